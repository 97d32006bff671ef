/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-entropy with all its options, and nll_loss. */
#include <math.h>

#include "check_case.h"
#include "families.h"
#include "tape_case.h"

static const clef__family *const families[] = { &clef__family_cross_entropy_with, &clef__family_nll_loss };

START_TEST(problems)
{
	check_family(families[_i]);
}
END_TEST

/* ---- values one by one ---- */

static void check(const clef_tensor *y, const float *want)
{
	tape_check(y, want, 2e-6f);
}

/* Losses, and the gradient of their sum. */
static void check_both(clef_tensor *y, const float *want, const clef_tensor *x, const float *gradient)
{
	tape_check_both(y, want, x, gradient, 2e-6f);
}

/* Without options, the very numbers of the plain call. */
START_TEST(defaults)
{
	clef_tensor *x = tape_floats(CLEF_SHAPE(2, 3), (float[]){ 1, 2, 3, -1, 5, 0.5f });
	clef_tensor *labels = tape_ints(CLEF_SHAPE(2), (int32_t[]){ 2, 0 });
	float plain[6];
	double loss = clef_item(clef_cross_entropy(x, labels));

	ck_ok(clef_backward(clef_cross_entropy(x, labels)));
	ck_ok(clef_read(clef_grad(x), plain, sizeof(plain)));
	check_both(clef_cross_entropy_with(x, labels, NULL), (float[]){ (float)loss }, x, plain);
	check_both(clef_nll_loss(clef_log_softmax(x, 1), labels, NULL), (float[]){ (float)loss }, x, plain);
}
END_TEST

/* What PyTorch 2.15 gives. */
START_TEST(edges)
{
	const float inf = INFINITY, v[] = { 1, -INFINITY, -INFINITY, 1 }, none[] = { 0, 0, 0, 0 };
	clef_tensor *x = tape_floats(CLEF_SHAPE(2, 2), v),
		    *y = tape_floats(CLEF_SHAPE(2, 2), (float[]){ 1, NAN, 0, 1 });
	clef_tensor *first = tape_ints(CLEF_SHAPE(2), (int32_t[]){ 0, 0 });
	clef_tensor *ignored = tape_ints(CLEF_SHAPE(2), (int32_t[]){ -100, -100 });

	check_both(clef_cross_entropy_with(x, first, NULL), (float[]){ inf }, x, (float[]){ 0, 0, -0.5f, 0.5f });
	check_both(clef_cross_entropy_with(x, first, &(clef_cross_entropy_opts){ .label_smoothing = 0.1f }),
		   (float[]){ inf }, x, (float[]){ 0.025f, -0.025f, -0.475f, 0.475f });
	check(clef_cross_entropy_with(x, tape_floats(CLEF_SHAPE(2, 2), (float[]){ 1, 0, 1, 0 }), NULL),
	      (float[]){ NAN });
	check_both(clef_cross_entropy_with(y, tape_ints(CLEF_SHAPE(2), (int32_t[]){ -100, 0 }), NULL),
		   (float[]){ 1.31326163f }, y, (float[]){ NAN, NAN, -0.731058598f, 0.731058598f });
	y = tape_floats(CLEF_SHAPE(2, 2), none);
	check_both(clef_cross_entropy_with(y, ignored, NULL), (float[]){ NAN }, y, none);
	check_both(clef_cross_entropy_with(y, ignored, &(clef_cross_entropy_opts){ .reduction = CLEF_REDUCTION_SUM }),
		   (float[]){ 0 }, y, none);
	check_both(clef_nll_loss(y, ignored, &(clef_cross_entropy_opts){ .reduction = CLEF_REDUCTION_NONE }), none, y,
		   none);
	/* With another index to ignore, -100 is a label like others: none. */
	check(clef_cross_entropy_with(y, ignored, &(clef_cross_entropy_opts){ .has_ignore_index = true }),
	      (float[]){ NAN });
	check_both(clef_nll_loss(y, tape_ints(CLEF_SHAPE(2), (int32_t[]){ 1, 2 }), NULL), (float[]){ NAN }, y,
		   (float[]){ NAN, NAN, NAN, NAN });
	ck_assert(isnan(clef_item(
		clef_cross_entropy_with(tape_floats(CLEF_SHAPE(0, 2), NULL), tape_ints(CLEF_SHAPE(0), NULL), NULL))));
	ck_assert_int_eq(clef_tensor_numel(ck_new(clef_cross_entropy_with(
				 tape_floats(CLEF_SHAPE(2, 2, 0), NULL), tape_ints(CLEF_SHAPE(2, 0), NULL),
				 &(clef_cross_entropy_opts){ .reduction = CLEF_REDUCTION_NONE }))),
			 0);
}
END_TEST

/* Asking for a gradient changes nothing: none flows to weights. */
START_TEST(no_gradient_to_weights)
{
	clef_tensor *x = tape_floats(CLEF_SHAPE(1, 2), (float[]){ 0, 0 }),
		    *labels = tape_ints(CLEF_SHAPE(1), (int32_t[]){ 1 });
	clef_cross_entropy_opts opts = { .weight = tape_floats(CLEF_SHAPE(2), (float[]){ 2, 3 }),
					 .reduction = CLEF_REDUCTION_SUM };

	check_both(clef_cross_entropy_with(x, labels, &opts), (float[]){ 3 * 0.693147181f }, x,
		   (float[]){ 1.5f, -1.5f });
	ck_assert_ptr_null(clef_grad(opts.weight));
	check_both(clef_cross_entropy_with(x, tape_floats(CLEF_SHAPE(1, 2), (float[]){ 0, 1 }), &opts),
		   (float[]){ 3 * 0.693147181f }, x, (float[]){ 1.5f, -1.5f });
	ck_assert_ptr_null(clef_grad(opts.weight));
	check_both(clef_nll_loss(x, labels, &opts), (float[]){ 0 }, x, (float[]){ 0, -3 });
	ck_assert_ptr_null(clef_grad(opts.weight));
}
END_TEST

START_TEST(errors)
{
	clef_tensor *x = tape_floats(CLEF_SHAPE(2, 3), (float[6]){ 0 }),
		    *three = tape_floats(CLEF_SHAPE(3), (float[3]){ 0 });
	clef_tensor *two = tape_ints(CLEF_SHAPE(2), (int32_t[2]){ 0 }),
		    *four = tape_ints(CLEF_SHAPE(4), (int32_t[4]){ 0 });
	clef_tensor *scalar = tape_floats(CLEF_SCALAR, (float[1]){ 0 });

	ck_null_fails(clef_cross_entropy_with(x, four, NULL), CLEF_ERROR_SHAPE,
		      "cross_entropy: labels have shape [4], expected [2] for input [2, 3]");
	ck_null_fails(clef_cross_entropy_with(x, three, NULL), CLEF_ERROR_SHAPE,
		      "probabilities have shape [3], expected [2, 3] for input [2, 3]");
	ck_null_fails(clef_cross_entropy_with(x, two, &(clef_cross_entropy_opts){ .weight = x }), CLEF_ERROR_SHAPE,
		      "weight has shape [2, 3], expected [3] for input [2, 3]");
	ck_null_fails(clef_cross_entropy_with(x, two, &(clef_cross_entropy_opts){ .label_smoothing = 1.5f }),
		      CLEF_ERROR_INVALID, "label_smoothing is 1.5: 0 to 1 are allowed");
	ck_null_fails(
		clef_cross_entropy_with(x, two, &(clef_cross_entropy_opts){ .reduction = CLEF_REDUCTION_BATCHMEAN }),
		CLEF_ERROR_INVALID, "reduction 3: 0 to 2 are allowed");
	ck_null_fails(clef_cross_entropy_with(scalar, two, NULL), CLEF_ERROR_SHAPE,
		      "input has shape [], expected [classes], [n, classes] or [n, classes, ...]");
	ck_null_fails(clef_nll_loss(x, x, NULL), CLEF_ERROR_DTYPE, "nll_loss: labels is float32, expected int32");
	ck_null_fails(clef_nll_loss(x, two, &(clef_cross_entropy_opts){ .label_smoothing = 0.5f }), CLEF_ERROR_INVALID,
		      "nll_loss: label_smoothing is 0.5");
	ck_null_fails(clef_cross_entropy_with(NULL, two, NULL), CLEF_ERROR_INVALID, "cross_entropy: given NULL");
}
END_TEST

Suite *class_loss_suite(void)
{
	Suite *s = suite_create("class_loss");
	TCase *c = tcase_create("problems"), *e = tcase_create("edges");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, problems, 0, CLEF_COUNT(families));
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(e, tape_setup, tape_teardown);
	tcase_add_test(e, defaults);
	tcase_add_test(e, edges);
	tcase_add_test(e, no_gradient_to_weights);
	tcase_add_test(e, errors);
	suite_add_tcase(s, e);
	return s;
}
