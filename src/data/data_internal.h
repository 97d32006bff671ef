/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the readers of data sets share. A reader brings a whole file into memory, checks it, and hands its buffers to
 * clef__dataset_adopt(), so that a large set is never held twice.
 */
#ifndef CLEF_DATA_INTERNAL_H
#define CLEF_DATA_INTERNAL_H

#include <clef/data.h>

#include "base_internal.h"

/* Samples have one dimension fewer than a tensor may have: batches put their count in front. */
#define CLEF__SAMPLE_MAX_DIMS (CLEF_MAX_DIMS - 1)

#define CLEF__MAX_CLASSES 256

struct clef_dataset {
	uint8_t *samples;
	uint8_t *labels;
	int64_t count;
	int64_t numel; /* of one sample */
	clef_shape sample;
	int classes;
	char **names; /* of the classes, in one block; or NULL */
};

/* The contents of a file; free data with free(). */
typedef struct clef__bytes {
	uint8_t *data;
	size_t size;
} clef__bytes;

/* The largest file that is read, and the most that a compressed one may expand to. */
#define CLEF__FILE_LIMIT ((size_t)1 << 31)

/* Reads a whole file, expanding it if it is gzip-compressed, whatever its name; more than `limit` bytes, in the file or
 * expanded, are an error, and so is none. The limit is at most CLEF__FILE_LIMIT. `what` begins the messages. After an
 * error *file is empty and nothing is to be freed. */
clef_status clef__file_read(const char *what, const char *path, size_t limit, clef__bytes *file);

/* Expands a stream of deflate, as zip files have them, of up to CLEF__FILE_LIMIT bytes; the same otherwise. */
clef_status clef__inflate(const char *what, const char *path, clef__bytes packed, size_t limit, clef__bytes *out);

/* Brings a member of a zip file into memory, checked; `file` is the zip file's contents. ERROR_IO: there is no such
 * member. After an error *out is empty. */
clef_status clef__zip_read(const char *what, const char *path, clef__bytes file, const char *name, clef__bytes *out);

/* Whether there is such a member. False where the file is no zip file. */
bool clef__zip_has(clef__bytes file, const char *name);

/* An image as planes, each of its rows from the top. */
typedef struct clef__image {
	int channels; /* 1, or 3: red, green, blue */
	int64_t height, width;
	uint8_t *planes; /* free it with free() */
} clef__image;

/* Reads a PNG or a JPEG, told by its first bytes, with 1 or 3 channels, or with 0 as many as it has. After an error
 * nothing is to be freed. */
clef_status clef__image_read(const char *what, const char *path, int channels, clef__image *image);

/* Whether there are folders in the folder. */
bool clef__has_folders(const char *folder);

/* A set that takes over both buffers, which came from malloc(); they are freed if that fails. Checks nothing. */
clef_dataset *clef__dataset_adopt(uint8_t *samples, uint8_t *labels, int64_t count, clef_shape sample, int classes);

/* Gives the classes of a set their names, which are copied. Returns the set, or NULL where that fails, and then the set
 * is freed. NULL is accepted for either. */
clef_dataset *clef__dataset_name_classes(clef_dataset *set, const char *const *names);

/* Checks the shape of a sample, and the number of classes where 0 stands for "as the labels say". */
clef_status clef__sample_check(const char *what, clef_shape sample);
clef_status clef__classes_check(const char *what, int classes);

/* The index of the first label that is not below `classes`, or -1. */
int64_t clef__label_above(const uint8_t *labels, int64_t count, int classes);

#endif
