/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of random numbers as such: one made of another, and the text of one. */
#include <stdio.h>

#include "init_internal.h"

clef_rng clef_rng_stream(clef_rng rng, uint64_t key)
{
	const uint32_t counter[4] = { (uint32_t)key, (uint32_t)(key >> 32), UINT32_MAX, UINT32_MAX };
	uint32_t out[4];

	clef_philox4x32(counter, (uint32_t[]){ (uint32_t)rng.seed, (uint32_t)(rng.seed >> 32) }, out);
	return (clef_rng){ .seed = (uint64_t)out[1] << 32 | out[0] };
}

char *clef_rng_text(clef_rng rng, char *text, size_t size)
{
	if (size)
		snprintf(text, size, "%llu:%llu", (unsigned long long)rng.seed, (unsigned long long)rng.counter);
	return text;
}

/* Digits of a number below 2^64. */
static bool take_uint64(const char **at, uint64_t *value)
{
	const char *start = *at;

	for (*value = 0; **at >= '0' && **at <= '9'; ++*at) {
		const uint64_t digit = (uint64_t)(**at - '0');

		if (*value > (UINT64_MAX - digit) / 10)
			return false;
		*value = 10 * *value + digit;
	}
	return *at > start;
}

clef_status clef_rng_parse(const char *text, clef_rng *rng)
{
	const char *at = text;
	clef_rng read;

	if (!text || !rng)
		return clef__fail(CLEF_ERROR_INVALID, "clef_rng_parse: %s is NULL", text ? "rng" : "text");
	if (!take_uint64(&at, &read.seed) || *at++ != ':' || !take_uint64(&at, &read.counter) || *at)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_rng_parse: \"%s\", expected seed:counter, both whole numbers below 2^64", text);
	*rng = read;
	return CLEF_OK;
}
