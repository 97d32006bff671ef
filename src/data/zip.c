/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zip files, as far as numpy.savez() and its like write them: members that are stored or deflated, found by the central
 * directory at the end, which has the sizes; local headers may leave them out. A file that is read is below 2 GiB, so
 * the fields of zip64 are not needed, and what asks for them is refused. Every offset is compared with what is left
 * before anything is read there, and a member is right only if its size and its check sum are.
 */
#include <zlib.h>

#include "data_internal.h"

#define END_MAGIC     0x06054b50u
#define CENTRAL_MAGIC 0x02014b50u
#define LOCAL_MAGIC   0x04034b50u

enum { END_SIZE = 22, CENTRAL_SIZE = 46, LOCAL_SIZE = 30, COMMENT_MAX = 65535 };
enum { STORED = 0, DEFLATED = 8, ENCRYPTED = 1 };

typedef struct member {
	uint32_t flags, method, crc;
	size_t packed, size, offset;
} member;

static uint32_t u16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
	return u16(p) | u16(p + 2) << 16;
}

/* The end record: the last one whose comment reaches to the end of the file. NULL: it is no zip file. */
static const uint8_t *find_end(clef__bytes file)
{
	for (size_t comment = 0; comment <= COMMENT_MAX && comment + END_SIZE <= file.size; comment++) {
		const uint8_t *p = file.data + file.size - END_SIZE - comment;

		if (u32(p) == END_MAGIC && u16(p + 20) == comment)
			return p;
	}
	return NULL;
}

typedef enum found { FOUND, NOT_FOUND, NO_ZIP, DAMAGED } found;

static found find(clef__bytes file, const char *name, member *m)
{
	const uint8_t *end = find_end(file), *p;
	size_t count, left, skip;

	if (!end)
		return NO_ZIP;
	count = u16(end + 10);
	left = (size_t)(end - file.data);
	if (u32(end + 16) > left)
		return DAMAGED;
	p = file.data + u32(end + 16);
	left -= u32(end + 16);
	for (; count; count--, p += skip, left -= skip) {
		if (left < CENTRAL_SIZE || u32(p) != CENTRAL_MAGIC)
			return DAMAGED;
		skip = (size_t)CENTRAL_SIZE + u16(p + 28) + u16(p + 30) + u16(p + 32);
		if (skip > left)
			return DAMAGED;
		if (u16(p + 28) != strlen(name) || memcmp(p + CENTRAL_SIZE, name, strlen(name)) != 0)
			continue;
		*m = (member){ u16(p + 8), u16(p + 10), u32(p + 16), u32(p + 20), u32(p + 24), u32(p + 42) };
		return FOUND;
	}
	return NOT_FOUND;
}

bool clef__zip_has(clef__bytes file, const char *name)
{
	member m;

	return find(file, name, &m) == FOUND;
}

/* Where the member's bytes are. */
static clef_status locate(const char *what, const char *path, clef__bytes file, const member *m, clef__bytes *packed)
{
	size_t left = m->offset < file.size ? file.size - m->offset : 0, skip;
	const uint8_t *p = file.data + (left ? m->offset : 0);

	if (left < LOCAL_SIZE || u32(p) != LOCAL_MAGIC)
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is damaged: it has no header at %zu of %zu bytes", what,
				  path, m->offset, file.size);
	skip = m->offset + LOCAL_SIZE + u16(p + 26) + u16(p + 28);
	if (skip > file.size || file.size - skip < m->packed)
		return clef__fail(CLEF_ERROR_FORMAT,
				  "%s: %s is truncated: its %zu bytes do not end within the file of %zu", what, path,
				  m->packed, file.size);
	*packed = (clef__bytes){ file.data + skip, m->packed };
	return CLEF_OK;
}

static clef_status unpack(const char *what, const char *path, const member *m, clef__bytes packed, clef__bytes *out)
{
	if (m->flags & ENCRYPTED)
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is encrypted", what, path);
	if (m->method == DEFLATED)
		return clef__inflate(what, path, packed, CLEF__MIN(m->size, CLEF__FILE_LIMIT), out);
	if (m->method != STORED)
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is compressed by method %u; 0 and 8 (deflate) are read",
				  what, path, m->method);
	out->data = malloc(packed.size + 1);
	if (!out->data)
		return clef__fail(CLEF_ERROR_MEMORY, "%s: no memory for %zu bytes of %s", what, packed.size, path);
	memcpy(out->data, packed.data, packed.size);
	out->size = packed.size;
	return CLEF_OK;
}

static clef_status read_member(const char *what, const char *path, clef__bytes file, const member *m, clef__bytes *out)
{
	clef__bytes packed = { NULL, 0 };
	clef_status s = locate(what, path, file, m, &packed);

	if (!s)
		s = unpack(what, path, m, packed, out);
	if (!s && out->size != m->size)
		s = clef__fail(CLEF_ERROR_FORMAT, "%s: %s has %zu bytes, and the directory says %zu", what, path,
			       out->size, m->size);
	if (!s && crc32(0, out->data, (uInt)out->size) != m->crc)
		s = clef__fail(CLEF_ERROR_FORMAT, "%s: %s is damaged: its check sum is wrong", what, path);
	if (s) {
		free(out->data);
		*out = (clef__bytes){ NULL, 0 };
	}
	return s;
}

clef_status clef__zip_read(const char *what, const char *path, clef__bytes file, const char *name, clef__bytes *out)
{
	member m = { 0 };
	clef_status s;
	char *full;

	*out = (clef__bytes){ NULL, 0 };
	switch (find(file, name, &m)) {
	case NO_ZIP:
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is no zip file, or is truncated", what, path);
	case DAMAGED:
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is damaged: its directory is none", what, path);
	case NOT_FOUND:
		return clef__fail(CLEF_ERROR_IO, "%s: %s has no %s", what, path, name);
	case FOUND:
		break;
	}
	full = clef__format("%s, %s", path, name);
	s = full ? read_member(what, full, file, &m, out) : CLEF_ERROR_MEMORY;
	free(full);
	return s;
}
