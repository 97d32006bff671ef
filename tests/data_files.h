/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of data sets share: files to read, and a look at what was read. Defined in test_gzread.c. */
#ifndef CLEF_TESTS_DATA_FILES_H
#define CLEF_TESTS_DATA_FILES_H

#include <clef/data.h>

/* Writes a file into the test's folder, as it is or gzip-compressed; its path is as in test_path(). */
const char *put(const char *name, const void *data, size_t size);
const char *put_gz(const char *name, const void *data, size_t size);

/* The set is exactly this one. */
void check_set(const clef_dataset *set, int64_t count, clef_shape sample, int classes, const void *x, const void *y);

#endif
