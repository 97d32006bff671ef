/* SPDX-License-Identifier: Apache-2.0 */
/* What every layer uses: failing with a message, logging, allocating. */
#ifndef CLEF_BASE_INTERNAL_H
#define CLEF_BASE_INTERNAL_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clef/base.h>

#if defined(__GNUC__)
#define CLEF__PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define CLEF__PRINTF(fmt, first)
#endif

#define CLEF__MIN(a, b) ((a) < (b) ? (a) : (b))
#define CLEF__MAX(a, b) ((a) > (b) ? (a) : (b))

/* a / b, rounded up; a not negative, b positive. */
static inline int clef__divide_up(int a, int b)
{
	return (a + b - 1) / b;
}

/* The text of a shape, for messages: a temporary that lives as long as the enclosing block. */
#define CLEF__SHAPE_TEXT(shape) clef_shape_text((shape), (char[CLEF__SHAPE_TEXT_SIZE]){ 0 }, CLEF__SHAPE_TEXT_SIZE)
#define CLEF__SHAPE_TEXT_SIZE   160

/* Makes the message this thread's last error and returns the status. */
clef_status clef__fail(clef_status status, const char *format, ...) CLEF__PRINTF(2, 3);

/* The same where a pointer is to be returned: always NULL. */
void *clef__fail_null(clef_status status, const char *format, ...) CLEF__PRINTF(2, 3);

/* `what` was given NULL. Keeps the message of the call that failed and made it NULL; says so itself if none did. */
clef_status clef__null_argument(const char *what);

/* calloc that fails with a message naming `what`. Free with free(). */
void *clef__calloc(size_t count, size_t size, const char *what);

/* Grows *array, of *capacity elements of `size` bytes, to hold at least `need`; doubles. New elements are zero. */
clef_status clef__grow(void *array, int *capacity, int need, size_t size, const char *what);

char *clef__strdup(const char *text);

/* printf into a new string; NULL without memory. */
char *clef__format(const char *format, ...) CLEF__PRINTF(1, 2);

bool clef__log_wanted(clef_log_level level);
void clef__log(clef_log_level level, const char *format, ...) CLEF__PRINTF(2, 3);

/* Seconds on a clock that never goes back. */
double clef__seconds(void);

/* 64-bit FNV-1a, to be continued from `hash`; start with CLEF__HASH_START. */
#define CLEF__HASH_START 0xcbf29ce484222325u
uint64_t clef__hash(uint64_t hash, const void *data, size_t size);

#endif
