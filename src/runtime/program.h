/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel sources that the build embeds. */
#ifndef CLEF_PROGRAM_H
#define CLEF_PROGRAM_H

#include <stddef.h>

typedef struct clef__kernel_file {
	const char *name; /* "tensor.cl"; NULL ends the table */
	const char *text; /* ends with a zero byte */
	size_t size;
} clef__kernel_file;

extern const clef__kernel_file clef__kernel_files[];

#endif
