/* SPDX-License-Identifier: Apache-2.0 */
/* Losses of an element and its target: every formula, every reduction, weights and margins. */
#include <math.h>
#include <stdlib.h>

#include "op_case.h"
#include "tape_case.h"

/* ---- cases: a loss, and its formula for one element ---- */

typedef struct loss {
	const char *name;
	clef_tensor *(*apply)(clef_tensor *x, clef_tensor *t, const struct loss *l);
	double (*of)(double x, double t, const struct loss *l);
	double x_lo, x_hi, t_lo, t_hi;
	float p;
	clef_reduction reduction;
	clef_tensor *weight, *pos_weight; /* [3], of the values below */
} loss;

static const float weights[] = { 0.5f, 2, 3 }, pos_weights[] = { 4, 0.25f, 1 };

static clef_tensor *apply_mse(clef_tensor *x, clef_tensor *t, const loss *l)
{
	return clef_mse_loss(x, t, l->reduction);
}

static clef_tensor *apply_l1(clef_tensor *x, clef_tensor *t, const loss *l)
{
	return clef_l1_loss(x, t, l->reduction);
}

static clef_tensor *apply_smooth_l1(clef_tensor *x, clef_tensor *t, const loss *l)
{
	return clef_smooth_l1_loss(x, t, l->p, l->reduction);
}

static clef_tensor *apply_huber(clef_tensor *x, clef_tensor *t, const loss *l)
{
	return clef_huber_loss(x, t, l->p, l->reduction);
}

static clef_tensor *apply_bce(clef_tensor *x, clef_tensor *t, const loss *l)
{
	return clef_bce_loss(x, t, &(clef_bce_opts){ .weight = l->weight, .reduction = l->reduction });
}

static clef_tensor *apply_bce_with_logits(clef_tensor *x, clef_tensor *t, const loss *l)
{
	return clef_bce_with_logits_loss(
		x, t, &(clef_bce_opts){ .weight = l->weight, .pos_weight = l->pos_weight, .reduction = l->reduction });
}

static clef_tensor *apply_kl_div(clef_tensor *x, clef_tensor *t, const loss *l)
{
	return clef_kl_div(x, t, l->p != 0, l->reduction);
}

static double of_mse(double x, double t, const loss *l)
{
	(void)l;
	return (x - t) * (x - t);
}

static double of_l1(double x, double t, const loss *l)
{
	(void)l;
	return fabs(x - t);
}

static double of_smooth_l1(double x, double t, const loss *l)
{
	double d = fabs(x - t), beta = (double)l->p;

	return d < beta ? d * d / (2 * beta) : d - beta / 2;
}

static double of_huber(double x, double t, const loss *l)
{
	double d = fabs(x - t), delta = (double)l->p;

	return d <= delta ? d * d / 2 : delta * (d - delta / 2);
}

static double of_bce(double x, double t, const loss *l)
{
	(void)l;
	return -(t * log(x) + (1 - t) * log(1 - x));
}

static double of_bce_with_logits(double x, double t, const loss *l)
{
	return of_bce(1 / (1 + exp(-x)), t, l);
}

static double of_kl_div(double x, double t, const loss *l)
{
	return l->p != 0 ? exp(t) * (t - x) : t * (log(t) - x);
}

static const loss losses[] = {
	{ "mse_loss", apply_mse, of_mse, -3, 3, -3, 3, 0, 0, NULL, NULL },
	{ "l1_loss", apply_l1, of_l1, -3, 3, -3, 3, 0, 0, NULL, NULL },
	{ "smooth_l1_loss", apply_smooth_l1, of_smooth_l1, -3, 3, -3, 3, 1.5f, 0, NULL, NULL },
	{ "smooth_l1_loss, beta 0", apply_smooth_l1, of_smooth_l1, -3, 3, -3, 3, 0, 0, NULL, NULL },
	{ "huber_loss", apply_huber, of_huber, -3, 3, -3, 3, 1.5f, 0, NULL, NULL },
	{ "bce_loss", apply_bce, of_bce, 0.05, 0.95, 0, 1, 0, 0, NULL, NULL },
	{ "bce_with_logits_loss", apply_bce_with_logits, of_bce_with_logits, -6, 6, 0, 1, 0, 0, NULL, NULL },
	{ "kl_div", apply_kl_div, of_kl_div, -4, 0, 0.05, 1, 0, 0, NULL, NULL },
	{ "kl_div, log_target", apply_kl_div, of_kl_div, -4, 0, -3, 0, 1, 0, NULL, NULL },
};

static clef_tensor *apply(clef_tensor **x, const void *opts)
{
	const loss *l = opts;

	return l->apply(x[0], x[1], l);
}

/* Weights are along the last dimension. */
static double element(const ref_array *x, int64_t i, const loss *l)
{
	double t = x[1].v[i], positive = l->of(x->v[i], 1, l), y = l->of(x->v[i], t, l);

	if (l->pos_weight)
		y += t * positive * ((double)pos_weights[i % 3] - 1);
	return l->weight ? y * (double)weights[i % 3] : y;
}

static void reference(const ref_array *x, const void *opts, ref_array *y)
{
	const loss *l = opts;
	double sum = 0;

	for (int64_t i = 0; i < x->numel; i++) {
		sum += element(x, i, l);
		if (l->reduction == CLEF_REDUCTION_NONE)
			y->v[i] = element(x, i, l);
	}
	if (l->reduction == CLEF_REDUCTION_MEAN)
		sum /= (double)x->numel;
	if (l->reduction == CLEF_REDUCTION_BATCHMEAN)
		sum /= (double)x->shape.dim[0];
	if (l->reduction != CLEF_REDUCTION_NONE)
		y->v[0] = sum;
}

static void run(const loss *l, clef_shape shape)
{
	op_case_run(&(op_case){ .name = l->name,
				.apply = apply,
				.reference = reference,
				.opts = l,
				.inputs = 2,
				.in = { { .shape = shape, .lo = l->x_lo, .hi = l->x_hi },
					{ .shape = shape, .lo = l->t_lo, .hi = l->t_hi } },
				.gradient_tolerance = 2e-5 });
}

START_TEST(formulas)
{
	for (int i = 0; i < CLEF_COUNT(losses); i++) {
		loss l = losses[i];
		bool kl = l.apply == apply_kl_div;

		for (int r = 0; r <= (kl ? CLEF_REDUCTION_BATCHMEAN : CLEF_REDUCTION_NONE); r++) {
			l.reduction = (clef_reduction)r;
			run(&l, CLEF_SHAPE(5, 3));
			if (test_small())
				continue;
			run(&l, CLEF_SHAPE(33));
			run(&l, CLEF_SHAPE(2, 257));
			run(&l, CLEF_SHAPE(1));
		}
	}
}
END_TEST

START_TEST(binary_weights)
{
	clef_array three = { CLEF_FLOAT32, CLEF_SHAPE(3), (void *)(uintptr_t)weights };
	clef_tensor *weight = ck_new(clef_tensor_from(test_device, &three)), *pos_weight;

	three.data = (void *)(uintptr_t)pos_weights;
	pos_weight = ck_new(clef_tensor_from(test_device, &three));
	/* Asking for a gradient changes nothing: none flows to weights. */
	ck_ok(clef_requires_grad(weight, true));
	for (int r = 0; r <= CLEF_REDUCTION_NONE; r++) {
		loss l = losses[5];

		l.reduction = (clef_reduction)r;
		l.weight = weight;
		run(&l, CLEF_SHAPE(5, 3));
		l = losses[6];
		l.reduction = (clef_reduction)r;
		l.pos_weight = pos_weight;
		run(&l, CLEF_SHAPE(2, 4, 3));
		l.weight = weight;
		run(&l, CLEF_SHAPE(5, 3));
	}
	clef_tensor_free(weight);
	clef_tensor_free(pos_weight);
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
	TCase *c = tcase_create("cases"), *e = tcase_create("edges");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, formulas);
	tcase_add_test(c, binary_weights);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(e, tape_setup, tape_teardown);
	tcase_add_test(e, edges);
	tcase_add_test(e, empty);
	tcase_add_test(e, errors);
	suite_add_tcase(s, e);
	return s;
}
