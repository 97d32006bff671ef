/* SPDX-License-Identifier: Apache-2.0 */
/* Losses of an element and its target: every formula, every reduction, weights and margins. */
#include <math.h>

#include "check_case.h"
#include "families.h"
#include "tape_case.h"

static const clef__family *const families[] = {
	&clef__family_mse_loss,   &clef__family_l1_loss,  &clef__family_smooth_l1_loss,
	&clef__family_huber_loss, &clef__family_bce_loss, &clef__family_bce_with_logits_loss,
	&clef__family_kl_div,
};

START_TEST(problems)
{
	check_family(families[_i]);
}
END_TEST

/* ---- values one by one ---- */

static clef_tensor *floats(int n, const float *v)
{
	return tape_floats(CLEF_SHAPE(n), v);
}

static void check(const clef_tensor *y, const float *want)
{
	tape_check(y, want, 1e-6f);
}

/* Losses, and the gradient of their sum. */
static void check_both(clef_tensor *y, const float *want, const clef_tensor *x, const float *gradient)
{
	tape_check_both(y, want, x, gradient, 1e-6f);
}

/* What PyTorch 2.15 gives. */
START_TEST(edges)
{
	const float inf = INFINITY, log2 = 0.693147181f;
	const clef_bce_opts none = { .reduction = CLEF_REDUCTION_NONE };
	clef_tensor *x = floats(4, (float[]){ NAN, 1, 2, 1.5f }), *t = floats(4, (float[]){ 1, 1, 1, 1 });

	check_both(clef_l1_loss(x, t, CLEF_REDUCTION_NONE), (float[]){ NAN, 0, 1, 0.5f }, x, (float[]){ 0, 0, 1, 1 });
	check_both(clef_smooth_l1_loss(x, t, 0, CLEF_REDUCTION_NONE), (float[]){ NAN, 0, 1, 0.5f }, x,
		   (float[]){ 0, 0, 1, 1 });
	check_both(clef_smooth_l1_loss(x, t, 0.5f, CLEF_REDUCTION_NONE), (float[]){ NAN, 0, 0.75f, 0.25f }, x,
		   (float[]){ NAN, 0, 1, 1 });
	check_both(clef_huber_loss(x, t, 0.5f, CLEF_REDUCTION_NONE), (float[]){ NAN, 0, 0.375f, 0.125f }, x,
		   (float[]){ NAN, 0, 0.5f, 0.5f });
	x = floats(5, (float[]){ 0, 1, 0.5f, 0, NAN });
	t = floats(5, (float[]){ 0, 0, 0.3f, 1, 0 });
	check_both(clef_bce_loss(x, t, &none), (float[]){ 0, 100, log2, 100, NAN }, x,
		   (float[]){ 0, 1e12f, 0.8f, -1e12f, NAN });
	check(clef_grad(t), (float[]){ inf, -inf, 0, inf, NAN });
	x = floats(7, (float[]){ 0, 100, -200, inf, inf, -inf, NAN });
	t = floats(7, (float[]){ 0, 0, 0.3f, 1, 0, 0, 0 });
	check_both(clef_bce_with_logits_loss(x, t, &none), (float[]){ log2, 100, 60, NAN, inf, NAN, NAN }, x,
		   (float[]){ 0.5f, 1, -0.3f, 0, 1, 0, NAN });
	x = floats(4, (float[]){ -1, -2, -inf, -1 });
	t = floats(4, (float[]){ 0, 0.5f, 0, -1 });
	check_both(clef_kl_div(x, t, false, CLEF_REDUCTION_NONE), (float[]){ 0, 0.65342641f, NAN, NAN }, x,
		   (float[]){ 0, -0.5f, 0, 1 });
	x = floats(6, (float[]){ 0.3f, 0.3f, 1, 2, 0.4f, NAN });
	t = floats(6, (float[]){ 1, -1, -1, -1, 0.5f, -1 });
	check_both(clef_hinge_embedding_loss(x, t, 1, CLEF_REDUCTION_NONE), (float[]){ 0.3f, 0.7f, 0, 0, 1, NAN }, x,
		   (float[]){ 1, -1, 0, 0, 0, 0 });
	x = floats(2, (float[]){ 0, 0 });
	check_both(clef_cosine_similarity(x, floats(2, (float[]){ 1, 0 }), 0, 1e-8f), (float[]){ 0 }, x,
		   (float[]){ 1e8f, 0 });
}
END_TEST

/* Asking for a gradient changes nothing: none flows to weights. */
START_TEST(no_gradient_to_weights)
{
	const float log2 = 0.693147181f;
	clef_tensor *x = floats(2, (float[]){ 0, 0 }), *t = floats(2, (float[]){ 1, 0 });
	clef_tensor *weight = floats(2, (float[]){ 2, 3 });
	clef_bce_opts opts = { .weight = weight, .pos_weight = weight, .reduction = CLEF_REDUCTION_NONE };

	check_both(clef_bce_with_logits_loss(x, t, &opts), (float[]){ 4 * log2, 3 * log2 }, x, (float[]){ -2, 1.5f });
	ck_assert_ptr_null(clef_grad(weight));
	opts.pos_weight = NULL;
	x = floats(2, (float[]){ 0.5f, 0.5f });
	check_both(clef_bce_loss(x, t, &opts), (float[]){ 2 * log2, 3 * log2 }, x, (float[]){ -4, 6 });
	ck_assert_ptr_null(clef_grad(weight));
}
END_TEST

START_TEST(empty)
{
	clef_tensor *x = floats(0, NULL), *t = floats(0, NULL);

	ck_assert(isnan(clef_item(clef_mse_loss(x, t, CLEF_REDUCTION_MEAN))));
	ck_assert(clef_item(clef_mse_loss(x, t, CLEF_REDUCTION_SUM)) == 0);
	ck_assert(isnan(clef_item(clef_kl_div(x, t, false, CLEF_REDUCTION_BATCHMEAN))));
	ck_assert_int_eq(clef_tensor_numel(ck_new(clef_l1_loss(x, t, CLEF_REDUCTION_NONE))), 0);
}
END_TEST

START_TEST(errors)
{
	clef_tensor *x = floats(3, (float[3]){ 0 }), *t = floats(1, (float[1]){ 0 });
	clef_tensor *ints =
		ck_new(clef_input(test_tape, &(clef_array){ CLEF_INT32, CLEF_SHAPE(3), (int32_t[3]){ 0 } }));

	ck_null_fails(clef_mse_loss(x, t, CLEF_REDUCTION_MEAN), CLEF_ERROR_SHAPE,
		      "mse_loss: target has shape [1], expected [3], that of x");
	ck_null_fails(clef_mse_loss(x, ints, CLEF_REDUCTION_MEAN), CLEF_ERROR_DTYPE,
		      "target is int32, expected float32");
	ck_null_fails(clef_mse_loss(x, x, CLEF_REDUCTION_BATCHMEAN), CLEF_ERROR_INVALID,
		      "mse_loss: reduction 3: 0 to 2 are allowed");
	ck_null_fails(clef_kl_div(x, x, false, (clef_reduction)4), CLEF_ERROR_INVALID, "kl_div: reduction 4: 0 to 3");
	ck_null_fails(clef_smooth_l1_loss(x, x, -1, CLEF_REDUCTION_MEAN), CLEF_ERROR_INVALID, "beta is -1");
	ck_null_fails(clef_huber_loss(x, x, 0, CLEF_REDUCTION_MEAN), CLEF_ERROR_INVALID, "delta is 0");
	ck_null_fails(clef_bce_loss(x, x, &(clef_bce_opts){ .pos_weight = t }), CLEF_ERROR_INVALID,
		      "bce_loss: pos_weight is for clef_bce_with_logits_loss()");
	ck_null_fails(clef_bce_loss(t, t, &(clef_bce_opts){ .weight = x }), CLEF_ERROR_SHAPE,
		      "bce_loss: weight [3] cannot be broadcast to x [1]");
	ck_null_fails(clef_bce_with_logits_loss(t, t, &(clef_bce_opts){ .pos_weight = x }), CLEF_ERROR_SHAPE,
		      "bce_with_logits_loss: pos_weight [3] cannot be broadcast to x [1]");
	ck_null_fails(clef_margin_ranking_loss(x, t, x, 0, CLEF_REDUCTION_MEAN), CLEF_ERROR_SHAPE,
		      "margin_ranking_loss: x1 [3] and x2 [1], expected one shape");
	ck_null_fails(clef_cosine_similarity(x, t, 0, 1e-8f), CLEF_ERROR_SHAPE,
		      "cosine_similarity: x1 [3] and x2 [1] differ in dimension 0");
	ck_null_fails(clef_cosine_similarity(x, x, 0, 0), CLEF_ERROR_INVALID, "eps is 0");
	ck_null_fails(clef_cosine_similarity(x, x, 1, 1), CLEF_ERROR_INVALID, "dimension 1 of x [3]");
	ck_null_fails(clef_hinge_embedding_loss(NULL, x, 1, CLEF_REDUCTION_MEAN), CLEF_ERROR_INVALID, "given NULL");
	ck_null_fails(clef_hinge_embedding_loss(x, NULL, 1, CLEF_REDUCTION_MEAN), CLEF_ERROR_INVALID, "given NULL");
	ck_null_fails(clef_cosine_embedding_loss(NULL, x, x, 0, CLEF_REDUCTION_MEAN), CLEF_ERROR_INVALID, "given NULL");
}
END_TEST

Suite *loss_suite(void)
{
	Suite *s = suite_create("loss");
	TCase *c = tcase_create("problems"), *e = tcase_create("edges");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, problems, 0, CLEF_COUNT(families));
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(e, tape_setup, tape_teardown);
	tcase_add_test(e, edges);
	tcase_add_test(e, no_gradient_to_weights);
	tcase_add_test(e, empty);
	tcase_add_test(e, errors);
	suite_add_tcase(s, e);
	return s;
}
