/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that are not pointwise: products, shapes, reductions, losses. */
#include <math.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

/* ---- linear ---- */

START_TEST(linear)
{
	check_family(&clef__family_linear);
}
END_TEST

START_TEST(linear_errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 5)));
	clef_tensor *w = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(3, 4)));
	clef_tensor *b = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(4)));

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_linear_no_bias(x, w), CLEF_ERROR_SHAPE, "linear: x has shape [2, 5], expected [..., 4]");
	ck_null_fails(clef_linear_no_bias(w, b), CLEF_ERROR_SHAPE, "linear: w has shape [4], expected [out, in]");
	ck_null_fails(clef_linear(b, w, b), CLEF_ERROR_SHAPE, "linear: b has shape [4], expected [3]");
	ck_null_fails(clef_linear(b, w, NULL), CLEF_ERROR_INVALID, "linear: given NULL");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tape_free(tape);
}
END_TEST

/* ---- shape ---- */

START_TEST(reshape)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 3, 4)));
	clef_shape to = CLEF_SHAPE(4, -1);

	check_family(&clef__family_reshape);
	check_family(&clef__family_flatten);
	ck_ok(clef_tape_begin(tape));
	ck_assert(clef_shape_equal(clef_tensor_shape(clef_flatten(x)), CLEF_SHAPE(2, 12)));
	ck_assert_int_eq(clef_tensor_dtype(clef_flatten(x)), CLEF_INT32);
	ck_assert(clef_shape_equal(clef_tensor_shape(clef_reshape(x, to)), CLEF_SHAPE(4, 6)));
	ck_null_fails(clef_reshape(x, CLEF_SHAPE(5, -1)), CLEF_ERROR_SHAPE,
		      "reshape: x [2, 3, 4] does not fill [5, -1]");
	ck_null_fails(clef_reshape(x, CLEF_SHAPE(-1, -1)), CLEF_ERROR_SHAPE, "one may be -1");
	ck_null_fails(clef_reshape(x, CLEF_SHAPE(24, 2)), CLEF_ERROR_SHAPE, "does not fill [24, 2]");
	clef_tensor_free(x);
	clef_tape_free(tape);
}
END_TEST

/* ---- reductions ---- */

START_TEST(reductions)
{
	check_family(&clef__family_sum);
	check_family(&clef__family_mean);
}
END_TEST

START_TEST(reduction_edges)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *none = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(0, 3)));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 3)));
	float y[3] = { 1, 1, 1 };

	ck_ok(clef_tape_begin(tape));
	ck_assert(clef_item(clef_sum(none, NULL)) == 0);
	ck_assert(isnan(clef_item(clef_mean(none, NULL))));
	ck_ok(clef_read(clef_sum(none, &(clef_reduce_opts){ .ndim = 1, .dim = { 0 } }), y, sizeof(y)));
	ck_assert(y[0] == 0 && y[1] == 0 && y[2] == 0);
	ck_null_fails(clef_sum(x, &(clef_reduce_opts){ .ndim = 1, .dim = { 2 } }), CLEF_ERROR_INVALID,
		      "sum: dimension 2 of x [2, 3]: -2 to 1 are allowed");
	ck_null_fails(clef_sum(x, &(clef_reduce_opts){ .ndim = 2, .dim = { 1, -1 } }), CLEF_ERROR_INVALID,
		      "dimension 1 is given twice");
	clef_tensor_free(none);
	clef_tensor_free(x);
	clef_tape_free(tape);
}
END_TEST

/* ---- losses ---- */

START_TEST(losses)
{
	check_family(&clef__family_cross_entropy);
	check_family(&clef__family_accuracy);
}
END_TEST

START_TEST(loss_edges)
{
	float big[] = { 1000, -1000, 0, -INFINITY, 3e38f, 0 }, grad[6], wrong[] = { 1, 2, 3, 4, 5, NAN };
	int32_t label[] = { 0, 1 }, outside[] = { 0, 3 };
	clef_array x = { CLEF_FLOAT32, CLEF_SHAPE(2, 3), big }, t = { CLEF_INT32, CLEF_SHAPE(2), label };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *logits, *loss;

	ck_ok(clef_tape_begin(tape));
	logits = ck_new(clef_input(tape, &x));
	ck_ok(clef_requires_grad(logits, true));
	loss = ck_new(clef_cross_entropy(logits, clef_input(tape, &t)));
	ck_assert(clef_item(loss) == 0);
	ck_ok(clef_backward(loss));
	ck_ok(clef_read(clef_grad(logits), grad, sizeof(grad)));
	for (int i = 0; i < 6; i++)
		ck_assert_msg(grad[i] == 0, "gradient %d is %g", i, (double)grad[i]);
	t.data = outside;
	ck_assert(isnan(clef_item(clef_cross_entropy(logits, clef_input(tape, &t)))));
	x.data = wrong;
	t.data = label;
	/* The NaN counts as largest and is not label 1; in row 0 the largest is the last. */
	ck_assert(clef_item(clef_accuracy(clef_input(tape, &x), clef_input(tape, &t))) == 0);
	x.shape = CLEF_SHAPE(0, 3);
	t.shape = CLEF_SHAPE(0);
	ck_assert(isnan(clef_item(clef_cross_entropy(clef_input(tape, &x), clef_input(tape, &t)))));
	t.shape = CLEF_SHAPE(2);
	ck_null_fails(clef_cross_entropy(logits, clef_input(tape, &x)), CLEF_ERROR_DTYPE,
		      "cross_entropy: labels is float32, expected int32");
	t.shape = CLEF_SHAPE(1);
	ck_null_fails(clef_cross_entropy(logits, clef_input(tape, &t)), CLEF_ERROR_SHAPE,
		      "labels have shape [1], expected [2] for logits [2, 3]");
	clef_tape_free(tape);
}
END_TEST

Suite *ops_suite(void)
{
	Suite *s = suite_create("ops");
	TCase *c = tcase_create("ops");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, linear);
	tcase_add_test(c, linear_errors);
	tcase_add_test(c, reshape);
	tcase_add_test(c, reductions);
	tcase_add_test(c, reduction_edges);
	tcase_add_test(c, losses);
	tcase_add_test(c, loss_edges);
	suite_add_tcase(s, c);
	return s;
}
