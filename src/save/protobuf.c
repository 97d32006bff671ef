/* SPDX-License-Identifier: Apache-2.0 */
/* Writes messages of Protocol Buffers into memory. */
#include "protobuf.h"

enum { VARINT = 0, LENGTH = 2, FIXED32 = 5 };

static uint8_t *room(clef__proto *p, size_t size)
{
	uint8_t *at;

	if (p->failed || size > (size_t)(INT32_MAX / 2 - p->used) ||
	    clef__grow(&p->bytes, &p->capacity, p->used + (int)size, 1, "a message")) {
		if (!p->failed)
			clef__fail(CLEF_ERROR_MEMORY, "no memory for a message, or it is larger than 1 GiB");
		p->failed = true;
		return NULL;
	}
	at = p->bytes + p->used;
	p->used += (int)size;
	return at;
}

static void append(clef__proto *p, const void *data, size_t size)
{
	uint8_t *at = size ? room(p, size) : NULL;

	if (at)
		memcpy(at, data, size);
}

static void varint(clef__proto *p, uint64_t value)
{
	uint8_t groups[10];
	size_t n = 0;

	do {
		groups[n] = (uint8_t)(value & 0x7f);
		value >>= 7;
		groups[n++] |= value ? 0x80 : 0;
	} while (value);
	append(p, groups, n);
}

static void key(clef__proto *p, int field, int how)
{
	varint(p, (uint64_t)field << 3 | (uint64_t)how);
}

void clef__proto_int(clef__proto *p, int field, int64_t value)
{
	key(p, field, VARINT);
	varint(p, (uint64_t)value);
}

void clef__proto_float(clef__proto *p, int field, float value)
{
	uint32_t bits;
	uint8_t bytes[4];

	memcpy(&bits, &value, sizeof(bits));
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(bits >> 8 * i);
	key(p, field, FIXED32);
	append(p, bytes, sizeof(bytes));
}

void clef__proto_bytes(clef__proto *p, int field, const void *data, size_t size)
{
	key(p, field, LENGTH);
	varint(p, size);
	append(p, data, size);
}

void clef__proto_text(clef__proto *p, int field, const char *text)
{
	clef__proto_bytes(p, field, text, strlen(text));
}

void clef__proto_join(clef__proto *p, clef__proto *part)
{
	append(p, part->bytes, (size_t)part->used);
	p->failed |= part->failed;
	part->used = 0;
}

void clef__proto_message(clef__proto *p, int field, clef__proto *part)
{
	p->failed |= part->failed;
	clef__proto_bytes(p, field, part->bytes, (size_t)part->used);
	free(part->bytes);
	*part = (clef__proto){ .used = 0 };
}
