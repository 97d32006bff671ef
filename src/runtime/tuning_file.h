/* SPDX-License-Identifier: Apache-2.0 */
/* The tuning table from the inside, and its file. */
#ifndef CLEF_TUNING_FILE_H
#define CLEF_TUNING_FILE_H

#include "tuning.h"

typedef struct clef__held_launch clef__held_launch;

typedef struct clef__tuning {
	clef__tuned **entry; /* sorted by problem */
	int count, capacity;
	char *path;       /* of the file; NULL: none is kept */
	bool use;         /* false: shipped rules alone */
	bool measuring;   /* something else, at this moment */
	bool warned;      /* of a file that cannot be written */
	double first_use; /* seconds */
	clef__key_fn watch;
	void *watch_user;
	uint32_t changes;        /* of the table, from 1 */
	clef__held_launch *held; /* see launch_tune.c */
} clef__tuning;

/* Into the table alone; the problem's earlier choice is replaced. */
clef_status clef__tuning_insert(clef__tuning *t, const clef__tuned *new);

/* Reads what the file has for this device and this clef. A file that cannot be read gets a warning. */
clef_status clef__tuning_read(clef_device *dev);

/* Joins one entry with what is in the file now. */
clef_status clef__tuning_write(clef_device *dev, const clef__tuned *t);

/* Takes this device's entry for the problem out of the file, or all of them for NULL. */
clef_status clef__tuning_erase(clef_device *dev, const char *problem);

#endif
