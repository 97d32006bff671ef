/* SPDX-License-Identifier: Apache-2.0 */
/* Log messages, memory, time and hashes: the small things that the C library gives without a message on failure. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "base_internal.h"

static struct {
	clef_log_fn fn;
	void *user;
	clef_log_level level;
} logger;

void clef_log_set(clef_log_fn fn, void *user, clef_log_level level)
{
	logger.fn = fn;
	logger.user = user;
	logger.level = level;
}

bool clef__log_wanted(clef_log_level level)
{
	return logger.fn && level <= logger.level;
}

void clef__log(clef_log_level level, const char *format, ...)
{
	char text[4096];
	va_list args;

	if (!clef__log_wanted(level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	logger.fn(logger.user, level, text);
}

void *clef__calloc(size_t count, size_t size, const char *what)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		clef__fail(CLEF_ERROR_MEMORY, "no memory for %zu x %zu bytes: %s", count, size, what);
	return p;
}

clef_status clef__grow(void *array, int *capacity, int need, size_t size, const char *what)
{
	void **p = array;
	int n = CLEF__MAX(*capacity, 4);
	void *grown;

	if (need <= *capacity)
		return CLEF_OK;
	while (n < need)
		n *= 2;
	grown = realloc(*p, (size_t)n * size);
	if (!grown)
		return clef__fail(CLEF_ERROR_MEMORY, "no memory for %d x %zu bytes: %s", n, size, what);
	memset((char *)grown + (size_t)*capacity * size, 0, (size_t)(n - *capacity) * size);
	*p = grown;
	*capacity = n;
	return CLEF_OK;
}

char *clef__strdup(const char *text)
{
	return clef__format("%s", text);
}

char *clef__format(const char *format, ...)
{
	va_list args;
	char *text;
	int size;

	va_start(args, format);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = clef__calloc((size_t)size + 1, 1, "a string");
	if (!text)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)size + 1, format, args);
	va_end(args);
	return text;
}

double clef__seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uint64_t clef__hash(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ p[i]) * 0x100000001b3u;
	return hash;
}
