/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: passing over draws, those made by a key, and their text. */
#include <math.h>

#include "init_case.h"

START_TEST(adding_to_the_counter_passes_over_draws)
{
	clef_rng slow = { 9, 3 }, fast = { 9, 3 };
	float a[100], b[100];
	int32_t order[50];

	for (int i = 0; i < 5; i++) {
		clef_rng_normal(&slow, a, (size_t)i * 20);
		ck_ok(clef_rng_randint(&slow, order, 50, 0, 3));
		clef_rng_permutation(&slow, order, 50);
	}
	fast.counter += 15;
	ck_assert(slow.counter == fast.counter && slow.seed == fast.seed);
	clef_rng_uniform(&slow, a, 100);
	clef_rng_uniform(&fast, b, 100);
	ck_same_bits(a, b, 100);
	fast.counter -= 16;
	slow = (clef_rng){ 9, 3 };
	clef_rng_uniform(&slow, a, 100);
	clef_rng_uniform(&fast, b, 100);
	ck_same_bits(a, b, 100);
}
END_TEST

START_TEST(keys_make_streams_of_their_own)
{
	const clef_rng start = { 0x0123456789abcdef, 77 };
	const uint32_t key[2] = { 0x89abcdef, 0x01234567 };
	uint64_t seeds[64];
	uint32_t out[4];
	float a[1000], b[1000];

	for (uint64_t i = 0; i < 64; i++) {
		const uint64_t name = i < 32 ? i : UINT64_C(1) << i;
		const clef_rng stream = clef_rng_stream(start, name);

		clef_philox4x32((uint32_t[]){ (uint32_t)name, (uint32_t)(name >> 32), UINT32_MAX, UINT32_MAX }, key,
				out);
		ck_assert(stream.counter == 0 && stream.seed == ((uint64_t)out[1] << 32 | out[0]));
		seeds[i] = stream.seed;
		for (uint64_t j = 0; j < i; j++)
			ck_assert(seeds[j] != seeds[i]);
	}
	ck_assert(clef_rng_stream((clef_rng){ start.seed, 0 }, 5).seed == seeds[5]);
	ck_assert(clef_rng_stream((clef_rng){ start.seed + 1, 77 }, 5).seed != seeds[5]);
	for (uint64_t lag = 1; lag < 4; lag++) {
		double product = 0;
		clef_rng one = clef_rng_stream(start, 0), other = clef_rng_stream(start, lag);

		clef_rng_normal(&one, a, 1000);
		clef_rng_normal(&other, b, 1000);
		for (int i = 0; i < 1000; i++)
			product += (double)a[i] * (double)b[i] / 1000;
		ck_assert_double_lt(fabs(product), 4 / sqrt(1000));
	}
}
END_TEST

START_TEST(a_stream_can_be_saved_as_text)
{
	static const clef_rng streams[] = { { 0, 0 }, { 1, 42 }, { UINT64_MAX, UINT64_MAX }, { 0, UINT64_MAX - 1 } };
	static const char *const texts[] = { "0:0", "1:42", "18446744073709551615:18446744073709551615",
					     "0:18446744073709551614" };
	char text[42], cut[4] = "xxx";

	for (int i = 0; i < CLEF_COUNT(streams); i++) {
		clef_rng read = { 7, 7 };

		ck_assert_str_eq(clef_rng_text(streams[i], text, sizeof(text)), texts[i]);
		ck_ok(clef_rng_parse(text, &read));
		ck_assert(read.seed == streams[i].seed && read.counter == streams[i].counter);
	}
	ck_assert_str_eq(clef_rng_text(streams[1], cut, sizeof(cut)), "1:4");
	ck_assert_ptr_eq(clef_rng_text(streams[1], NULL, 0), NULL);
}
END_TEST

START_TEST(other_text_is_no_stream)
{
	static const char *const texts[] = { "",
					     ":",
					     "1",
					     "1:",
					     ":1",
					     "1:2:3",
					     " 1:2",
					     "1:2 ",
					     "1 :2",
					     "-1:2",
					     "1:+2",
					     "0x1:2",
					     "1,2",
					     "a:b",
					     "1.0:2",
					     "18446744073709551616:0",
					     "0:18446744073709551616",
					     "0:99999999999999999999999" };
	clef_rng rng = { 5, 6 };

	for (int i = 0; i < CLEF_COUNT(texts); i++)
		ck_fails(clef_rng_parse(texts[i], &rng), CLEF_ERROR_INVALID, "expected seed:counter");
	ck_fails(clef_rng_parse(NULL, &rng), CLEF_ERROR_INVALID, "text is NULL");
	ck_fails(clef_rng_parse("1:2", NULL), CLEF_ERROR_INVALID, "rng is NULL");
	ck_assert(rng.seed == 5 && rng.counter == 6);
}
END_TEST

Suite *random_streams_suite(void)
{
	Suite *s = suite_create("random_streams");
	TCase *c = tcase_create("host");

	tcase_add_test(c, adding_to_the_counter_passes_over_draws);
	tcase_add_test(c, keys_make_streams_of_their_own);
	tcase_add_test(c, a_stream_can_be_saved_as_text);
	tcase_add_test(c, other_text_is_no_stream);
	suite_add_tcase(s, c);
	return s;
}
