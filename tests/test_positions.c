/* SPDX-License-Identifier: Apache-2.0 */
/* Where the largest and smallest values are, and the k largest. */
#include <math.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

static clef_tape *tape;

static void setup(void)
{
	device_setup();
	tape = ck_new(clef_tape_new(test_device));
	ck_ok(clef_tape_begin(tape));
}

static void teardown(void)
{
	clef_tape_free(tape);
	device_teardown();
}

static clef_tensor *floats(clef_shape shape, float *v)
{
	clef_tensor *x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, shape, v }));

	ck_ok(clef_requires_grad(x, true));
	return x;
}

static void check_floats(const clef_tensor *y, const float *want)
{
	float got[64];
	int64_t n = clef_tensor_numel(y);

	ck_assert(y && n <= CLEF_COUNT(got));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(float)));
	for (int64_t i = 0; i < n; i++)
		ck_assert_msg(isnan(want[i]) ? isnan(got[i]) : got[i] == want[i], "element %d is %g, expected %g",
			      (int)i, (double)got[i], (double)want[i]);
}

static void check_ints(const clef_tensor *y, clef_shape shape, const int32_t *want)
{
	int32_t got[64];
	int64_t n = clef_tensor_numel(y);

	ck_assert(y && n <= CLEF_COUNT(got));
	ck_assert_int_eq(clef_tensor_dtype(y), CLEF_INT32);
	ck_assert(clef_shape_equal(clef_tensor_shape(y), shape));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(int32_t)));
	for (int64_t i = 0; i < n; i++)
		ck_assert_msg(got[i] == want[i], "element %d is %d, expected %d", (int)i, (int)got[i], (int)want[i]);
}

/* The values, and the gradient of their sum. */
static void check_both(clef_tensor *y, const float *want, const clef_tensor *x, const float *gradient)
{
	check_floats(y, want);
	ck_ok(clef_backward(clef_sum(y, NULL)));
	check_floats(clef_grad(x), gradient);
}

static const clef_reduce_opts last = { .ndim = 1, .dim = { -1 } };

START_TEST(positions)
{
	float v[] = { 3, 1, 3, NAN, 5, NAN, -INFINITY, -INFINITY, -INFINITY, 2, INFINITY, INFINITY };
	clef_tensor *x = floats(CLEF_SHAPE(4, 3), v), *y;

	check_ints(clef_argmax(x, &last), CLEF_SHAPE(4), (int32_t[]){ 0, 0, 0, 1 });
	check_ints(clef_argmin(x, &last), CLEF_SHAPE(4), (int32_t[]){ 1, 0, 0, 0 });
	check_ints(clef_argmax(x, &(clef_reduce_opts){ .ndim = 1, .dim = { 0 }, .keepdim = true }), CLEF_SHAPE(1, 3),
		   (int32_t[]){ 1, 3, 1 });
	check_ints(clef_argmin(x, &(clef_reduce_opts){ .ndim = 1, .dim = { 0 } }), CLEF_SHAPE(3),
		   (int32_t[]){ 1, 2, 1 });
	y = clef_argmax(x, NULL);
	check_ints(y, CLEF_SCALAR, (int32_t[]){ 3 });
	ck_fails(clef_backward(y), CLEF_ERROR_STATE, "requires a gradient");
	check_ints(clef_argmin(x, &(clef_reduce_opts){ .keepdim = true }), CLEF_SHAPE(1, 1), (int32_t[]){ 3 });
	x = floats(CLEF_SHAPE(0, 3), v);
	check_ints(clef_argmin(x, &last), CLEF_SHAPE(0), NULL);
}
END_TEST

static const clef__family *const families[] = { &clef__family_argmax, &clef__family_argmin, &clef__family_topk,
						&clef__family_topk_accuracy };

START_TEST(problems)
{
	check_family(families[_i]);
}
END_TEST

START_TEST(position_errors)
{
	clef_tensor *x = floats(CLEF_SHAPE(2, 3), (float[6]){ 0 }), *none = floats(CLEF_SHAPE(0, 3), NULL);

	ck_null_fails(clef_argmin(none, NULL), CLEF_ERROR_SHAPE, "argmin: the argmin of no values");
	ck_null_fails(clef_argmax(x, &(clef_reduce_opts){ .ndim = 2, .dim = { 0, 1 } }), CLEF_ERROR_INVALID,
		      "argmax: 2 dimensions given: one, or none for all");
	ck_null_fails(clef_argmax(NULL, NULL), CLEF_ERROR_INVALID, "argmax: given NULL");
}
END_TEST

/* ---- the k largest ---- */

START_TEST(topk_edges)
{
	float v[] = { 5, NAN, 5, INFINITY, NAN, 5, 1, 1, 1, -INFINITY, 1, 1 };
	clef_tensor *x = floats(CLEF_SHAPE(2, 6), v), *at, *y = clef_topk(x, 5, &at);

	check_ints(at, CLEF_SHAPE(2, 5), (int32_t[]){ 1, 4, 3, 0, 2, 0, 1, 2, 4, 5 });
	check_both(y, (float[]){ NAN, NAN, INFINITY, 5, 5, 1, 1, 1, 1, 1 }, x,
		   (float[]){ 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1 });
	x = floats(CLEF_SCALAR, v);
	y = clef_topk(x, 1, &at);
	check_ints(at, CLEF_SHAPE(1), (int32_t[]){ 0 });
	check_both(y, v, x, (float[]){ 1 });
	ck_null_fails(clef_topk(x, 2, &at), CLEF_ERROR_INVALID, "topk: k is 2: 0 to 1 are allowed for x []");
	ck_assert_ptr_null(at);
	ck_null_fails(clef_topk(x, -1, NULL), CLEF_ERROR_INVALID, "topk: k is -1");
}
END_TEST

START_TEST(topk_accuracy)
{
	float v[] = { 1, 2, 3, 4, 4, 4, 4, 4, 1, 9, NAN, 3, 5, 6, 7, 8 };
	clef_array array = { CLEF_INT32, CLEF_SHAPE(4), (int32_t[]){ 2, 1, 1, -1 } };
	clef_tensor *x = floats(CLEF_SHAPE(4, 4), v), *labels = ck_new(clef_input(tape, &array));

	ck_assert(clef_item(clef_topk_accuracy(x, labels, 1)) == 0);
	ck_assert(clef_item(clef_topk_accuracy(x, labels, 2)) == 0.75);
	ck_assert(clef_item(clef_topk_accuracy(x, labels, 4)) == 0.75);
	ck_assert(clef_item(clef_topk_accuracy(x, labels, 1)) == clef_item(clef_accuracy(x, labels)));
	ck_null_fails(clef_topk_accuracy(x, labels, 5), CLEF_ERROR_INVALID,
		      "topk_accuracy: k is 5: 1 to 4 are allowed for logits [4, 4]");
	ck_null_fails(clef_topk_accuracy(x, x, 1), CLEF_ERROR_DTYPE, "labels is float32, expected int32");
	ck_null_fails(clef_topk_accuracy(floats(CLEF_SHAPE(2, 8), v), labels, 1), CLEF_ERROR_SHAPE,
		      "labels have shape [4], expected [2] for logits [2, 8]");
	array.shape = CLEF_SHAPE(0);
	ck_assert(isnan(clef_item(clef_topk_accuracy(floats(CLEF_SHAPE(0, 4), v), clef_input(tape, &array), 1))));
}
END_TEST

Suite *positions_suite(void)
{
	Suite *s = suite_create("positions");
	TCase *c = tcase_create("positions"), *p = tcase_create("problems");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, positions);
	tcase_add_test(c, position_errors);
	tcase_add_test(c, topk_edges);
	tcase_add_test(c, topk_accuracy);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(p, device_setup, device_teardown);
	tcase_add_loop_test(p, problems, 0, CLEF_COUNT(families));
	suite_add_tcase(s, p);
	return s;
}
