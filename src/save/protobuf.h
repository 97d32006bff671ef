/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of Protocol Buffers, as far as ONNX needs them. A field is a key, its number and how its value is stored,
 * and then the value: a number in groups of seven bits, four bytes of a float, or a length and so many bytes, which may
 * be another message. After a failure, of memory, the rest does nothing.
 */
#ifndef CLEF_PROTOBUF_H
#define CLEF_PROTOBUF_H

#include "base_internal.h"

/* {0} is an empty message. */
typedef struct clef__proto {
	uint8_t *bytes;
	int used, capacity;
	bool failed;
} clef__proto;

void clef__proto_int(clef__proto *p, int field, int64_t value);
void clef__proto_float(clef__proto *p, int field, float value);
void clef__proto_bytes(clef__proto *p, int field, const void *data, size_t size);
void clef__proto_text(clef__proto *p, int field, const char *text);

/* Puts the fields of a message behind those of another one, and empties it. */
void clef__proto_join(clef__proto *p, clef__proto *part);

/* Puts a message into another one, as a field, and frees it. */
void clef__proto_message(clef__proto *p, int field, clef__proto *part);

#endif
