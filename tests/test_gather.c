/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups by index: the problems of their families, padding, wrong indices, the order of sums, and what is refused. */
#include <math.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

START_TEST(gather)
{
	check_family(&clef__family_gather);
}
END_TEST

START_TEST(index_select)
{
	check_family(&clef__family_index_select);
}
END_TEST

START_TEST(embedding)
{
	check_family(&clef__family_embedding);
}
END_TEST

/* ---- by hand ---- */

static clef_tape *tape;

static void tape_setup(void)
{
	device_setup();
	tape = ck_new(clef_tape_new(test_device));
	ck_ok(clef_tape_begin(tape));
}

static void tape_teardown(void)
{
	clef_tape_free(tape);
	device_teardown();
}

static clef_tensor *floats(clef_shape shape, const float *values)
{
	return ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, shape, (void *)(uintptr_t)values }));
}

static clef_tensor *ints(clef_shape shape, const int32_t *values)
{
	return ck_new(clef_input(tape, &(clef_array){ CLEF_INT32, shape, (void *)(uintptr_t)values }));
}

static void check_gradient(clef_tensor *x, clef_tensor *y, const float *want, int count)
{
	float g[16];

	ck_ok(clef_backward(clef_sum(y, NULL)));
	ck_ok(clef_read(clef_grad(x), g, (size_t)count * sizeof(float)));
	for (int i = 0; i < count; i++)
		ck_assert_msg(g[i] == want[i], "gradient %d is %g, expected %g", i, (double)g[i], (double)want[i]);
}

START_TEST(padding)
{
	clef_tensor *w = floats(CLEF_SHAPE(3, 2), (float[]){ 1, 2, 3, 4, 5, 6 });
	clef_tensor *index = ints(CLEF_SHAPE(4), (int32_t[]){ 2, 0, 2, 1 });
	clef_embedding_opts last = { .has_padding = true, .padding_idx = -1 }, first = { .has_padding = true };

	ck_ok(clef_requires_grad(w, true));
	check_gradient(w, clef_embedding(index, w, NULL), (float[]){ 1, 1, 1, 1, 2, 2 }, 6);
	check_gradient(w, clef_embedding(index, w, &last), (float[]){ 1, 1, 1, 1, 0, 0 }, 6);
	check_gradient(w, clef_embedding(index, w, &first), (float[]){ 0, 0, 1, 1, 2, 2 }, 6);
	last.padding_idx = 3;
	ck_null_fails(clef_embedding(index, w, &last), CLEF_ERROR_INVALID,
		      "embedding: padding_idx 3 of weight [3, 2]: -3 to 2 are allowed");
	last.padding_idx = -4;
	ck_null_fails(clef_embedding(index, w, &last), CLEF_ERROR_INVALID, "padding_idx -4");
}
END_TEST

START_TEST(out_of_range)
{
	clef_tensor *x = floats(CLEF_SHAPE(2, 2), (float[]){ 1, 2, 3, 4 });
	clef_tensor *index = ints(CLEF_SHAPE(4), (int32_t[]){ 1, 2, -1, INT32_MIN });
	clef_tensor *labels = ints(CLEF_SHAPE(2), (int32_t[]){ 5, 6 });
	clef_tensor *none = floats(CLEF_SHAPE(0, 2), NULL);
	clef_tensor *y;
	float got[8];
	int32_t whole[4];

	ck_ok(clef_requires_grad(x, true));
	y = ck_new(clef_index_select(x, 0, index));
	ck_ok(clef_read(y, got, sizeof(got)));
	ck_assert(got[0] == 3 && got[1] == 4);
	for (int i = 2; i < 8; i++)
		ck_assert(isnan(got[i]));
	check_gradient(x, y, (float[]){ 0, 0, 1, 1 }, 4);
	ck_ok(clef_read(clef_index_select(labels, 0, index), whole, sizeof(whole)));
	ck_assert(whole[0] == 6 && whole[1] == INT32_MIN && whole[2] == INT32_MIN && whole[3] == INT32_MIN);
	/* Nothing to look up in. */
	ck_ok(clef_requires_grad(none, true));
	y = ck_new(clef_embedding(index, none, NULL));
	ck_ok(clef_read(y, got, sizeof(got)));
	for (int i = 0; i < 8; i++)
		ck_assert(isnan(got[i]));
	ck_ok(clef_backward(clef_sum(y, NULL)));
}
END_TEST

/* The order of a sum is that of the indices, however the work is dealt out: (1e8 + 1) - 1e8 in float32. */
START_TEST(order)
{
	enum { WIDTH = 300 };
	static float dy[3 * WIDTH], g[WIDTH];
	clef_tensor *w = floats(CLEF_SHAPE(1, WIDTH), dy), *index = ints(CLEF_SHAPE(3), (int32_t[]){ 0, 0, 0 });

	for (int i = 0; i < WIDTH; i++) {
		dy[i] = 1e8f;
		dy[WIDTH + i] = 1;
		dy[2 * WIDTH + i] = -1e8f;
	}
	ck_ok(clef_requires_grad(w, true));
	ck_ok(clef_backward(
		clef_sum(clef_mul(clef_embedding(index, w, NULL), floats(CLEF_SHAPE(3, WIDTH), dy)), NULL)));
	ck_ok(clef_read(clef_grad(w), g, sizeof(g)));
	for (int i = 0; i < WIDTH; i++)
		ck_assert(g[i] == 0);
}
END_TEST

START_TEST(errors)
{
	clef_tensor *x = floats(CLEF_SHAPE(2, 3), (float[]){ 1, 2, 3, 4, 5, 6 });
	clef_tensor *index = ints(CLEF_SHAPE(2, 3), (int32_t[]){ 0, 0, 0, 0, 0, 0 });
	clef_tensor *flat = ck_new(clef_reshape(index, CLEF_SHAPE(6))), *scalar = ck_new(clef_sum(x, NULL));

	ck_null_fails(clef_gather(x, 2, index), CLEF_ERROR_INVALID, "gather: dimension 2 of x [2, 3]");
	ck_null_fails(clef_gather(x, 1, x), CLEF_ERROR_DTYPE, "gather: index is float32, expected int32");
	ck_null_fails(clef_gather(x, 1, flat), CLEF_ERROR_SHAPE,
		      "gather: index has shape [6], expected as many dimensions");
	ck_null_fails(clef_gather(x, 1, clef_reshape(index, CLEF_SHAPE(3, 2))), CLEF_ERROR_SHAPE,
		      "none larger but for dimension 1");
	ck_null_fails(clef_gather(x, 1, NULL), CLEF_ERROR_INVALID, "gather: given NULL");
	ck_null_fails(clef_gather(NULL, 1, index), CLEF_ERROR_INVALID, "gather: given NULL");
	ck_null_fails(clef_index_select(x, 0, index), CLEF_ERROR_SHAPE,
		      "index_select: index has shape [2, 3], expected one dimension");
	ck_null_fails(clef_index_select(x, -3, flat), CLEF_ERROR_INVALID, "index_select: dimension -3 of x [2, 3]");
	ck_null_fails(clef_index_select(x, 0, x), CLEF_ERROR_DTYPE, "index is float32, expected int32");
	ck_null_fails(clef_embedding(index, scalar, NULL), CLEF_ERROR_SHAPE, "embedding: weight [] and index [2, 3]");
	ck_null_fails(clef_embedding(x, x, NULL), CLEF_ERROR_DTYPE, "embedding: index is float32, expected int32");
	ck_null_fails(clef_embedding(clef_reshape(index, CLEF_SHAPE(1, 1, 1, 1, 1, 1, 2, 3)), x, NULL),
		      CLEF_ERROR_SHAPE, "a result of at most 8 dimensions");
}
END_TEST

Suite *gather_suite(void)
{
	Suite *s = suite_create("gather");
	TCase *c = tcase_create("gather"), *hand = tcase_create("by hand");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, gather);
	tcase_add_test(c, index_select);
	tcase_add_test(c, embedding);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(hand, tape_setup, tape_teardown);
	tcase_add_test(hand, padding);
	tcase_add_test(hand, out_of_range);
	tcase_add_test(hand, order);
	tcase_add_test(hand, errors);
	suite_add_tcase(s, hand);
	return s;
}
