/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-entropy with all its options, and nll_loss. */
#include <math.h>

#include "op_case.h"
#include "tape_case.h"

#define CLASSES 5

static const float class_weights[CLASSES] = { 0.5f, 2, 3, 0, 1 };

/* ---- cases ---- */

typedef struct class_case {
	clef_cross_entropy_opts opts;
	bool nll;
} class_case;

static clef_tensor *apply(clef_tensor **x, const void *opts)
{
	const class_case *c = opts;

	return c->nll ? clef_nll_loss(x[0], x[1], &c->opts) : clef_cross_entropy_with(x[0], x[1], &c->opts);
}

static double weight_of(const class_case *c, int64_t class)
{
	return c->opts.weight ? (double)class_weights[class] : 1;
}

static double log_softmax(const double *x, int64_t classes, int64_t inner, int64_t class)
{
	double sum = 0;

	for (int64_t k = 0; k < classes; k++)
		sum += exp(x[k * inner]);
	return x[class * inner] - log(sum);
}

/* PyTorch's definitions, term by term: hard and soft targets, each with its smoothing, and the mean's divisor. */
static void reference(const ref_array *x, const void *opts, ref_array *y)
{
	const class_case *c = opts;
	bool labels = x[1].numel < x[0].numel;
	int64_t classes = x->shape.dim[x->shape.ndim > 1], rows = x->numel / classes, inner = 1;
	int32_t ignore = c->opts.has_ignore_index ? c->opts.ignore_index : -100;
	double e = (double)c->opts.label_smoothing, total = 0, divisor = 0;

	for (int d = 2; d < x->shape.ndim; d++)
		inner *= x->shape.dim[d];
	for (int64_t row = 0; row < rows; row++) {
		int64_t first = row / inner * classes * inner + row % inner;
		int64_t label = labels ? (int64_t)x[1].v[row] : -1;
		double hard = 0, smooth = 0, loss;

		for (int64_t k = 0; k < classes; k++) {
			double p = labels ? (k == label ? 1 : 0) : x[1].v[first + k * inner];
			double log_p = c->nll ? x->v[first + k * inner] : log_softmax(x->v + first, classes, inner, k);

			hard -= p * weight_of(c, k) * log_p;
			smooth -= weight_of(c, k) * log_p / (double)classes;
		}
		loss = labels && label == ignore ? 0 : (1 - e) * hard + e * smooth;
		divisor += !labels ? 1 : label == ignore ? 0 : weight_of(c, label);
		total += loss;
		if (c->opts.reduction == CLEF_REDUCTION_NONE)
			y->v[row] = loss;
	}
	if (c->opts.reduction != CLEF_REDUCTION_NONE)
		y->v[0] = c->opts.reduction == CLEF_REDUCTION_MEAN ? total / divisor : total;
}

static void run(const class_case *c, clef_shape logits, clef_shape target, bool labels)
{
	op_case_run(&(op_case){ .name = c->nll   ? "nll_loss"
					: labels ? "cross_entropy"
						 : "cross_entropy, probabilities",
				.apply = apply,
				.reference = reference,
				.opts = c,
				.inputs = 2,
				.in = { { .shape = logits, .lo = -4, .hi = 4 },
					{ .shape = target, .lo = 0, .hi = labels ? CLASSES : 1, .label = labels } },
				.tolerance = 4e-6,
				.gradient_tolerance = 2e-5 });
}

static void run_all(const class_case *c)
{
	run(c, CLEF_SHAPE(4, CLASSES), CLEF_SHAPE(4), true);
	if (!c->nll)
		run(c, CLEF_SHAPE(4, CLASSES), CLEF_SHAPE(4, CLASSES), false);
	if (test_small())
		return;
	run(c, CLEF_SHAPE(33, CLASSES, 3, 2), CLEF_SHAPE(33, 3, 2), true);
	run(c, CLEF_SHAPE(CLASSES), CLEF_SCALAR, true);
	if (!c->nll)
		run(c, CLEF_SHAPE(3, CLASSES, 7), CLEF_SHAPE(3, CLASSES, 7), false);
}

START_TEST(options)
{
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(CLASSES), (void *)(uintptr_t)class_weights };
	clef_tensor *weight = ck_new(clef_tensor_from(test_device, &array));

	/* Asking for a gradient changes nothing: none flows to weights. */
	ck_ok(clef_requires_grad(weight, true));
	for (int r = 0; r <= CLEF_REDUCTION_NONE; r++)
		for (int weighted = 0; weighted < 2; weighted++)
			for (int smooth = 0; smooth < 2; smooth++) {
				class_case c = { .opts = { .weight = weighted ? weight : NULL,
							   .label_smoothing = smooth ? 0.25f : 0,
							   .reduction = (clef_reduction)r } };

				run_all(&c);
				c.opts.has_ignore_index = true;
				c.opts.ignore_index = 1;
				run(&c, CLEF_SHAPE(7, CLASSES), CLEF_SHAPE(7), true);
				if (!smooth) {
					c.nll = true;
					run_all(&c);
				}
			}
	clef_tensor_free(weight);
}
END_TEST

START_TEST(sizes)
{
	class_case c = { .opts = { .label_smoothing = 0.1f } };

	if (test_small())
		test_skip("large shapes");
	run(&c, CLEF_SHAPE(257, 33), CLEF_SHAPE(257), true);
	run(&c, CLEF_SHAPE(33, 257), CLEF_SHAPE(33, 257), false);
	c.opts.label_smoothing = 1;
	run(&c, CLEF_SHAPE(3000, CLASSES), CLEF_SHAPE(3000), true);
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
	TCase *c = tcase_create("cases"), *e = tcase_create("edges");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, options);
	tcase_add_test(c, sizes);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(e, tape_setup, tape_teardown);
	tcase_add_test(e, defaults);
	tcase_add_test(e, edges);
	tcase_add_test(e, errors);
	suite_add_tcase(s, e);
	return s;
}
