/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floats of other widths as float32, which is what parameters are: models are often passed on with half of the bits.
 * All of F16 and BF16 fit; F64 is rounded to the nearest, as PyTorch does when it copies.
 */
#include <math.h>

#include "safetensors.h"

static float from_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* IEEE 754 binary16. */
static float from_half(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 1023u;

	if (exponent == 31)
		return from_bits(sign | 0x7f800000u | fraction << 13);
	if (exponent)
		return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
	return (sign ? -1.0f : 1.0f) * ldexpf((float)fraction, -24);
}

static bool is(const clef_safetensors_entry *e, const char *dtype)
{
	return strcmp(e->dtype, dtype) == 0;
}

bool clef__stored_is_float(const clef_safetensors_entry *e)
{
	return is(e, "F32") || is(e, "F16") || is(e, "BF16") || is(e, "F64");
}

void clef__stored_floats(const clef_safetensors_entry *e, float *values)
{
	size_t n = (size_t)clef_shape_numel(e->shape);
	const unsigned char *data = e->data;

	if (is(e, "F32")) {
		memcpy(values, data, n * sizeof(*values));
		return;
	}
	/* A file's arrays lie at any address. */
	for (size_t i = 0; i < n; i++) {
		uint16_t half;
		double wide;

		if (is(e, "F64")) {
			memcpy(&wide, data + i * sizeof(wide), sizeof(wide));
			values[i] = (float)wide;
			continue;
		}
		memcpy(&half, data + i * sizeof(half), sizeof(half));
		values[i] = is(e, "F16") ? from_half(half) : from_bits((uint32_t)half << 16);
	}
}
