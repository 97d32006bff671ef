/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads whole files, plain or gzip-compressed. Memory follows the bytes that have really arrived: a buffer doubles as
 * it fills, and neither the size in a gzip trailer nor any count in the contents is believed. This uses zlib's inflate
 * and not its gzread(), which passes over bytes after the compressed data without a word; here they are an error, as
 * they are in a plain file.
 */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <zlib.h>

#include "data_internal.h"

#define FIRST_SIZE ((size_t)1 << 16)

/* A file on its way in. */
typedef struct job {
	const char *what, *path; /* for messages */
	size_t limit;
	uint8_t *data;
	size_t size, used; /* of data: allocated, and filled */
} job;

static bool is_gzip(const uint8_t *data, size_t size)
{
	return size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
}

/* One byte more than the limit may be held: its arrival is what tells that a file is too large. */
static clef_status widen(job *j)
{
	size_t size = j->size > j->limit / 2 ? j->limit + 1 : CLEF__MAX(j->size * 2, FIRST_SIZE);
	uint8_t *data = realloc(j->data, size);

	if (!data)
		return clef__fail(CLEF_ERROR_MEMORY, "%s: no memory for %zu bytes of %s", j->what, size, j->path);
	j->data = data;
	j->size = size;
	return CLEF_OK;
}

static clef_status too_large(const job *j, const char *how)
{
	return clef__fail(CLEF_ERROR_FORMAT, "%s: %s %s more than %zu bytes, the most that is read", j->what, j->path,
			  how, j->limit);
}

static clef_status io_error(const job *j, const char *how)
{
	return clef__fail(CLEF_ERROR_IO, "%s: cannot %s %s: %s", j->what, how, j->path, strerror(errno));
}

static clef_status read_stream(job *j, FILE *f)
{
	for (;;) {
		size_t n;

		if (j->used == j->size && widen(j))
			return CLEF_ERROR_MEMORY;
		n = fread(j->data + j->used, 1, j->size - j->used, f);
		j->used += n;
		if (ferror(f))
			return io_error(j, "read");
		if (j->used > j->limit)
			return too_large(j, "holds");
		if (!n)
			return CLEF_OK;
	}
}

static clef_status read_open(job *j, FILE *f)
{
	struct stat st;

	if (fstat(fileno(f), &st))
		return io_error(j, "read");
	if (S_ISDIR(st.st_mode))
		return clef__fail(CLEF_ERROR_IO, "%s: %s is a folder; a file is expected", j->what, j->path);
	if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size > j->limit)
		return too_large(j, "holds");
	if (S_ISREG(st.st_mode)) {
		/* With one byte more, the end is seen without widening. */
		j->data = clef__calloc((size_t)st.st_size + 1, 1, j->path);
		if (!j->data)
			return CLEF_ERROR_MEMORY;
		j->size = (size_t)st.st_size + 1;
	}
	return read_stream(j, f);
}

/* One or more gzip members, one after another, as the gzip command accepts them; or, `raw`, one stream of deflate. */
static clef_status inflate_members(job *j, z_stream *z, bool raw)
{
	const char *kind = raw ? "deflate" : "gzip";

	for (;;) {
		size_t room;
		int r;

		if (j->used == j->size && widen(j))
			return CLEF_ERROR_MEMORY;
		room = CLEF__MIN(j->size - j->used, UINT_MAX);
		z->next_out = j->data + j->used;
		z->avail_out = (uInt)room;
		r = inflate(z, Z_NO_FLUSH);
		j->used += room - z->avail_out;
		if (j->used > j->limit)
			return too_large(j, "expands to");
		if (r == Z_STREAM_END && !z->avail_in)
			return CLEF_OK;
		if (r == Z_STREAM_END && (raw || !is_gzip(z->next_in, z->avail_in)))
			return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is too long: %u bytes follow the %s data", j->what,
					  j->path, z->avail_in, kind);
		if (r == Z_STREAM_END)
			inflateReset(z);
		else if (r == Z_BUF_ERROR || (r == Z_OK && !z->avail_in && z->avail_out))
			return clef__fail(CLEF_ERROR_FORMAT,
					  "%s: %s is truncated: its %s data ends early, after %zu bytes of contents",
					  j->what, j->path, kind, j->used);
		else if (r != Z_OK)
			return clef__fail(r == Z_MEM_ERROR ? CLEF_ERROR_MEMORY : CLEF_ERROR_FORMAT,
					  "%s: the %s data of %s cannot be expanded: %s", j->what, kind, j->path,
					  z->msg ? z->msg : zError(r));
	}
}

/* Fills `out` with what the data expand to. */
static clef_status expand(job *out, const uint8_t *data, size_t size, bool raw)
{
	z_stream z = { 0 };
	clef_status s;

	/* 15 bits of window, and 16 for "gzip and nothing else", or a minus for deflate without a header. */
	if (inflateInit2(&z, raw ? -15 : 15 + 16) != Z_OK)
		return clef__fail(CLEF_ERROR_MEMORY, "%s: no memory to expand %s", out->what, out->path);
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)size;
	s = inflate_members(out, &z, raw);
	inflateEnd(&z);
	return s;
}

/* Replaces compressed contents by what they expand to. */
static clef_status expand_file(job *j)
{
	job out = { j->what, j->path, j->limit, NULL, 0, 0 };
	clef_status s = expand(&out, j->data, j->used, false);

	free(j->data);
	*j = out;
	return s;
}

clef_status clef__inflate(const char *what, const char *path, clef__bytes packed, size_t limit, clef__bytes *out)
{
	job j = { what, path, limit, NULL, 0, 0 };
	clef_status s = expand(&j, packed.data, packed.size, true);

	*out = (clef__bytes){ j.data, j.used };
	if (!s)
		return CLEF_OK;
	free(j.data);
	*out = (clef__bytes){ NULL, 0 };
	return s;
}

clef_status clef__file_read(const char *what, const char *path, size_t limit, clef__bytes *file)
{
	job j = { what, path, limit, NULL, 0, 0 };
	FILE *f = fopen(path, "rb");
	clef_status s;

	*file = (clef__bytes){ NULL, 0 };
	if (!f)
		return io_error(&j, "open");
	s = read_open(&j, f);
	fclose(f);
	if (!s && is_gzip(j.data, j.used))
		s = expand_file(&j);
	if (!s && !j.used)
		s = clef__fail(CLEF_ERROR_FORMAT, "%s: %s is empty", what, path);
	if (s) {
		free(j.data);
		return s;
	}
	*file = (clef__bytes){ j.data, j.used };
	return CLEF_OK;
}
