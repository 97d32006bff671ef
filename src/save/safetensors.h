/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing safetensors share: the arrays of a file in memory. */
#ifndef CLEF_SAFETENSORS_H
#define CLEF_SAFETENSORS_H

#include <jansson.h>

#include <clef/checkpoint.h>

#include "base_internal.h"

/* The length of the header stands in so many bytes in front of it. */
#define CLEF__SAFETENSORS_START 8

#define CLEF__SAFETENSORS_METADATA "__metadata__"

typedef struct clef__stored_type {
	const char *name;
	size_t size;
} clef__stored_type;

typedef struct clef__stored {
	char *name;
	const clef__stored_type *type;
	clef_shape shape;
	size_t bytes;
	size_t begin; /* in the file's data, while it is being read */
	void *own;    /* the values of one that was added; else NULL */
	const void *data;
} clef__stored;

struct clef_safetensors {
	clef__stored *list;
	int count, capacity;
	json_t *texts; /* an object of strings */
	void *data;    /* of all arrays that came from a file */
};

/* NULL for a name that is none. */
const clef__stored_type *clef__stored_type_of(const char *name);

/* Whether an array holds floats of some width, and those as float32: stored_floats.c. */
bool clef__stored_is_float(const clef_safetensors_entry *e);
void clef__stored_floats(const clef_safetensors_entry *e, float *values);

#endif
