/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the kernel cache share. */
#ifndef CLEF_TESTS_CACHE_CASE_H
#define CLEF_TESTS_CACHE_CASE_H

#include "check_clef.h"

/* The folder of the cache. */
extern char cache_folder[1024];

/* What is being tested, for messages. */
extern const char *cache_doing;

/* Warnings logged so far, and the last one. */
extern int cache_warnings;
extern char cache_warning[1024];

/* A fixture: an empty cache, and programs a, b and c that give 1001, 1002 and 1003. */
void cache_setup(void);

void cache_write(const char *path, const void *data, size_t size);

/* NAME.cl, whose kernel writes `value`; `comment` stands at its end. */
void cache_kernel(const char *name, int value, const char *comment);

/* Runs the programs on an open device and checks what they write. */
void cache_run_on(clef_device *dev, const char *programs);

/* The same on a device of its own; so many must be compiled and so many come from the cache. */
void cache_run(const char *programs, int built, int cached);

/* The number of files in the folder whose names begin so; `path`, if not NULL, becomes that of one. */
int cache_files(const char *folder, const char *prefix, char *path, size_t size);

#endif
