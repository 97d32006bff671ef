/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalizations against one naive reference: it knows for each element which group it is in and which w and b are its
 * own, and computes means and variances of groups by going through all elements.
 */
#include <math.h>
#include <stdlib.h>

#include "check_clef.h"
#include "divide.h"
#include "op_case.h"

typedef enum norm_kind { BATCH, LAYER, RMS, GROUP, INSTANCE } norm_kind;

typedef struct norm_case {
	norm_kind kind;
	bool affine, evaluate;
	int groups;                /* of GROUP */
	int dims;                  /* of LAYER and RMS */
	float eps;                 /* as given; 0: the default */
	clef_tensor *mean, *var;   /* of BATCH */
	const float *means, *vars; /* what they hold, for evaluation */
} norm_case;

static clef_tensor *apply_norm(clef_tensor **x, const void *opts)
{
	const norm_case *c = opts;
	const clef_batch_norm_opts batch = { .training = !c->evaluate, .eps = c->eps };

	switch (c->kind) {
	case BATCH:
		return c->affine ? clef_batch_norm(x[0], x[1], x[2], c->mean, c->var, &batch)
				 : clef_batch_norm_plain(x[0], c->mean, c->var, &batch);
	case LAYER:
		return c->affine ? clef_layer_norm(x[0], x[1], x[2], c->eps)
				 : clef_layer_norm_plain(x[0], c->dims, c->eps);
	case RMS:
		return c->affine ? clef_rms_norm(x[0], x[1], c->eps) : clef_rms_norm_plain(x[0], c->dims, c->eps);
	case GROUP:
		return c->affine ? clef_group_norm(x[0], c->groups, x[1], x[2], c->eps)
				 : clef_group_norm_plain(x[0], c->groups, c->eps);
	case INSTANCE:
		break;
	}
	return c->affine ? clef_instance_norm(x[0], x[1], x[2], c->eps) : clef_instance_norm_plain(x[0], c->eps);
}

/* The sizes of the last dimensions, from dimension `from` on. */
static int64_t size_from(const clef_shape *s, int from)
{
	int64_t n = 1;

	for (int i = from; i < s->ndim; i++)
		n *= s->dim[i];
	return n;
}

/* The group of element i, and the index of its w and b. */
static void place(const norm_case *c, const clef_shape *s, int64_t i, int64_t *group, int64_t *weight)
{
	int64_t length = size_from(s, s->ndim - c->dims), channel = 0, sample = 0;

	if (c->kind == LAYER || c->kind == RMS) {
		*group = i / length;
		*weight = i % length;
		return;
	}
	sample = i / size_from(s, 1);
	channel = i / size_from(s, 2) % s->dim[1];
	*weight = channel;
	*group = c->kind == BATCH      ? channel
		 : c->kind == INSTANCE ? sample * s->dim[1] + channel
				       : sample * c->groups + channel / (s->dim[1] / c->groups);
}

static void reference_norm(const ref_array *x, const void *opts, ref_array *y)
{
	const norm_case *c = opts;
	const clef_shape *s = &x[0].shape;
	double eps = c->eps != 0 ? (double)c->eps : c->kind == RMS ? 0x1p-23 : 1e-5;
	double *mean = calloc(3 * (size_t)x[0].numel + 1, sizeof(double)), *var = mean + x[0].numel,
	       *count = var + x[0].numel;
	int64_t g, w;

	ck_assert_ptr_nonnull(mean);
	for (int64_t i = 0; i < x[0].numel; i++) {
		place(c, s, i, &g, &w);
		count[g]++;
		mean[g] += x[0].v[i];
	}
	for (int64_t i = 0; i < x[0].numel; i++)
		mean[i] = c->kind == RMS ? 0 : c->evaluate ? (double)c->means[i % s->dim[1]] : mean[i] / count[i];
	for (int64_t i = 0; i < x[0].numel; i++) {
		place(c, s, i, &g, &w);
		var[g] += (x[0].v[i] - mean[g]) * (x[0].v[i] - mean[g]);
	}
	for (int64_t i = 0; i < x[0].numel; i++)
		var[i] = c->evaluate ? (double)c->vars[i % s->dim[1]] : var[i] / count[i];
	for (int64_t i = 0; i < x[0].numel; i++) {
		place(c, s, i, &g, &w);
		y->v[i] = (x[0].v[i] - mean[g]) / sqrt(var[g] + eps);
		if (c->affine)
			y->v[i] = y->v[i] * x[1].v[w] + (c->kind == RMS ? 0 : x[2].v[w]);
	}
	free(mean);
}

static clef_tensor *new_tensor(clef_shape shape, const float *values)
{
	return ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, shape, (void *)(uintptr_t)values }));
}

static void run_case(norm_case c, clef_shape shape, double lo, double hi)
{
	static const char *const names[] = { "batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm" };
	const bool layer = c.kind == LAYER || c.kind == RMS;
	clef_shape affine = CLEF_SHAPE(layer ? 1 : shape.dim[1]);
	op_case row = { .name = names[c.kind],
			.apply = apply_norm,
			.reference = reference_norm,
			.opts = &c,
			.inputs = !c.affine       ? 1
				  : c.kind == RMS ? 2
						  : 3,
			.tolerance = 3e-6,
			.gradient_tolerance = 5e-5 };

	for (int i = 0; layer && i < c.dims; i++)
		affine.dim[i] = shape.dim[shape.ndim - c.dims + i];
	affine.ndim = layer ? c.dims : 1;
	row.in[0] = (op_input){ .shape = shape, .lo = lo, .hi = hi };
	row.in[1] = (op_input){ .shape = affine, .lo = 0.5, .hi = 2 };
	row.in[2] = (op_input){ .shape = affine, .lo = -1, .hi = 1 };
	op_case_run(&row);
}

/* With w and b and without. */
static void run(norm_case c, clef_shape shape)
{
	c.affine = true;
	run_case(c, shape, -2, 3);
	c.affine = false;
	c.eps = 0.25f;
	run_case(c, shape, -2, 3);
}

static void run_batch(clef_shape shape)
{
	enum { MOST = 300 };
	float means[MOST], vars[MOST];
	norm_case c = { .kind = BATCH, .means = means, .vars = vars };

	for (int i = 0; i < shape.dim[1]; i++) {
		means[i] = (float)(i % 7) / 5;
		vars[i] = (float)(i % 11) / 4 + 0.5f;
	}
	c.mean = new_tensor(CLEF_SHAPE(shape.dim[1]), means);
	c.var = new_tensor(CLEF_SHAPE(shape.dim[1]), vars);
	c.evaluate = true;
	run(c, shape);
	c.evaluate = false;
	run(c, shape);
	clef_tensor_free(c.mean);
	clef_tensor_free(c.var);
}

START_TEST(batch_norm)
{
	run_batch(CLEF_SHAPE(3, 2));
	run_batch(CLEF_SHAPE(2, 3, 3));
	if (test_small())
		return;
	run_batch(CLEF_SHAPE(33, 257));
	run_batch(CLEF_SHAPE(257, 1));
	run_batch(CLEF_SHAPE(2, 5, 1, 33));
	run_batch(CLEF_SHAPE(1, 33, 2, 9));
	run_batch(CLEF_SHAPE(5, 3, 2, 3, 2));
}
END_TEST

START_TEST(layer_norm)
{
	run((norm_case){ .kind = LAYER, .dims = 1 }, CLEF_SHAPE(3, 5));
	run((norm_case){ .kind = RMS, .dims = 1 }, CLEF_SHAPE(2, 17));
	if (test_small())
		return;
	for (norm_kind kind = LAYER; kind <= RMS; kind++) {
		run((norm_case){ .kind = kind, .dims = 1 }, CLEF_SHAPE(33));
		run((norm_case){ .kind = kind, .dims = 1 }, CLEF_SHAPE(33, 257));
		run((norm_case){ .kind = kind, .dims = 2 }, CLEF_SHAPE(4, 3, 11));
		run((norm_case){ .kind = kind, .dims = 3 }, CLEF_SHAPE(2, 3, 5));
		run((norm_case){ .kind = kind, .dims = 1 }, CLEF_SHAPE(257, 2));
	}
	/* A single element in each group: x less its mean is 0. */
	run((norm_case){ .kind = LAYER, .dims = 1 }, CLEF_SHAPE(5, 1));
}
END_TEST

START_TEST(group_norm)
{
	run((norm_case){ .kind = GROUP, .groups = 2 }, CLEF_SHAPE(2, 4, 3));
	run((norm_case){ .kind = INSTANCE }, CLEF_SHAPE(2, 2, 5));
	if (test_small())
		return;
	run((norm_case){ .kind = GROUP, .groups = 3 }, CLEF_SHAPE(5, 33));
	run((norm_case){ .kind = GROUP, .groups = 1 }, CLEF_SHAPE(3, 33, 1, 1));
	run((norm_case){ .kind = GROUP, .groups = 6 }, CLEF_SHAPE(3, 6, 3, 11));
	run((norm_case){ .kind = GROUP, .groups = 2 }, CLEF_SHAPE(1, 4, 257));
	run((norm_case){ .kind = GROUP, .groups = 33 }, CLEF_SHAPE(3, 33));
	run((norm_case){ .kind = INSTANCE }, CLEF_SHAPE(3, 5, 33));
	run((norm_case){ .kind = INSTANCE }, CLEF_SHAPE(1, 33, 4, 4));
	run((norm_case){ .kind = INSTANCE }, CLEF_SHAPE(33, 1, 2, 1, 3));
}
END_TEST

/* ---- large ones, in many chunks, on sizes where op_case's reference would take too long for gradients ---- */

static void fill_random(float *x, int64_t n, double mean, double deviation)
{
	uint64_t state = 99;

	for (int64_t i = 0; i < n; i++) {
		double sum = -6;

		for (int k = 0; k < 12; k++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			sum += (double)(state >> 11) * 0x1p-53;
		}
		x[i] = (float)(mean + deviation * sum);
	}
}

/* dx of sum(y * weight) for y normalized without w and b, by the formula in double. */
static void reference_gradient(const norm_case *c, const ref_array *x, const double *weight, double *dx)
{
	double *m = calloc(5 * (size_t)x->numel + 1, sizeof(double)), *var = m + x->numel, *sum = var + x->numel;
	double *product = sum + x->numel, *count = product + x->numel;
	double eps = c->kind == RMS ? 0x1p-23 : 1e-5;
	int64_t g, w;

	ck_assert_ptr_nonnull(m);
	for (int pass = 0; pass < 3; pass++)
		for (int64_t i = 0; i < x->numel; i++) {
			place(c, &x->shape, i, &g, &w);
			count[g] += pass == 0;
			m[g] += pass == 0 && c->kind != RMS ? x->v[i] : 0;
			if (pass > 0) {
				double d = x->v[i] - m[g] / count[g];

				var[g] += pass == 1 ? d * d : 0;
				sum[g] += pass == 2 && c->kind != RMS ? weight[i] : 0;
				product[g] += pass == 2 ? weight[i] * d / sqrt(var[g] / count[g] + eps) : 0;
			}
		}
	for (int64_t i = 0; i < x->numel; i++) {
		double r, xhat;

		place(c, &x->shape, i, &g, &w);
		r = 1 / sqrt(var[g] / count[g] + eps);
		xhat = (x->v[i] - m[g] / count[g]) * r;
		dx[i] = r * (weight[i] - sum[g] / count[g] - xhat * product[g] / count[g]);
	}
	free(m);
}

static void check_close(const char *what, const float *got, const double *want, int64_t n, double limit)
{
	double worst = 0;

	for (int64_t i = 0; i < n; i++) {
		double error = fabs((double)got[i] - want[i]) / fmax(1, fabs(want[i]));

		ck_assert_msg(error <= limit, "%s: element %d is %.9g, expected %.9g", what, (int)i, (double)got[i],
			      want[i]);
		worst = fmax(worst, error);
	}
}

/* Values and gradients of one large case. */
static void run_large(norm_case c, clef_shape shape, double mean, double deviation)
{
	int64_t n = clef_shape_numel(shape);
	float *x = malloc((size_t)n * sizeof(float)), *weights = malloc((size_t)n * sizeof(float));
	float *got = malloc((size_t)n * sizeof(float));
	ref_array ref = { shape, n, calloc((size_t)n, sizeof(double)) };
	ref_array want = { shape, n, calloc((size_t)n, sizeof(double)) };
	double *weight = calloc((size_t)n, sizeof(double));
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *in, *y;

	ck_assert(x && weights && got && ref.v && want.v && weight);
	fill_random(x, n, mean, deviation);
	fill_random(weights, n, 0, 1);
	for (int64_t i = 0; i < n; i++) {
		ref.v[i] = (double)x[i];
		weight[i] = (double)weights[i];
	}
	in = new_tensor(shape, x);
	ck_ok(clef_requires_grad(in, true));
	ck_ok(clef_tape_begin(tape));
	y = ck_new(apply_norm(&in, &c));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(float)));
	reference_norm(&ref, &c, &want);
	check_close("y", got, want.v, n, 2e-6);
	ck_ok(clef_backward(
		clef_sum(clef_mul(y, clef_input(tape, &(clef_array){ CLEF_FLOAT32, shape, weights })), NULL)));
	ck_ok(clef_read(clef_grad(in), got, (size_t)n * sizeof(float)));
	reference_gradient(&c, &ref, weight, want.v);
	check_close("dx", got, want.v, n, 1e-5 / fmin(deviation, 1));
	clef_tensor_free(in);
	clef_tape_free(tape);
	free(x);
	free(weights);
	free(got);
	free(ref.v);
	free(want.v);
	free(weight);
}

START_TEST(many_chunks)
{
	float zeros[3] = { 0, 0, 0 };
	norm_case batch = { .kind = BATCH };

	run((norm_case){ .kind = LAYER, .dims = 1 }, CLEF_SHAPE(1, 2100));
	run((norm_case){ .kind = GROUP, .groups = 1 }, CLEF_SHAPE(1, 3, 701));
	run_batch(CLEF_SHAPE(701, 1, 3));
	run_batch(CLEF_SHAPE(2111, 1));
	if (test_small())
		return;
	run((norm_case){ .kind = GROUP, .groups = 2 }, CLEF_SHAPE(2, 6, 33, 43));
	run((norm_case){ .kind = LAYER, .dims = 1 }, CLEF_SHAPE(2100, 2));
	run_batch(CLEF_SHAPE(7, 3, 25, 41));
	batch.mean = new_tensor(CLEF_SHAPE(3), zeros);
	batch.var = new_tensor(CLEF_SHAPE(3), zeros);
	run_large(batch, CLEF_SHAPE(7, 3, 25, 41), 0.3, 2);
	run_large(batch, CLEF_SHAPE(1, 3, 70, 90), 0.3, 2);
	run_large(batch, CLEF_SHAPE(5001, 3), 0.3, 2);
	run_large((norm_case){ .kind = LAYER, .dims = 2 }, CLEF_SHAPE(3, 61, 101), 0.3, 2);
	run_large((norm_case){ .kind = RMS, .dims = 1 }, CLEF_SHAPE(2, 100003), 0.3, 2);
	run_large((norm_case){ .kind = GROUP, .groups = 2 }, CLEF_SHAPE(2, 6, 33, 43), 0.3, 2);
	run_large((norm_case){ .kind = GROUP, .groups = 2 }, CLEF_SHAPE(2, 9002), 0.3, 2);
	run_large((norm_case){ .kind = INSTANCE }, CLEF_SHAPE(2, 2, 61, 101), 0.3, 2);
	clef_tensor_free(batch.mean);
	clef_tensor_free(batch.var);
}
END_TEST

/* Sums of squares less squared sums would have no digit left here. */
START_TEST(large_mean)
{
	float zeros[3] = { 0, 0, 0 };
	norm_case batch = { .kind = BATCH };

	if (test_small())
		test_skip("an interpreter");
	batch.mean = new_tensor(CLEF_SHAPE(3), zeros);
	batch.var = new_tensor(CLEF_SHAPE(3), zeros);
	run_large(batch, CLEF_SHAPE(16, 3, 20, 20), 1e4, 1);
	run_large(batch, CLEF_SHAPE(64, 3), 1e4, 1);
	run_large(batch, CLEF_SHAPE(4000, 3), -1e4, 1);
	run_large((norm_case){ .kind = LAYER, .dims = 1 }, CLEF_SHAPE(5, 700), 1e4, 1);
	run_large((norm_case){ .kind = LAYER, .dims = 1 }, CLEF_SHAPE(2, 9000), 1e4, 1);
	run_large((norm_case){ .kind = GROUP, .groups = 2 }, CLEF_SHAPE(3, 4, 31), 1e4, 1);
	run_large((norm_case){ .kind = INSTANCE }, CLEF_SHAPE(3, 4, 31), -1e4, 1);
	clef_tensor_free(batch.mean);
	clef_tensor_free(batch.var);
}
END_TEST

/* ---- running statistics ---- */

static void check_pair(const clef_tensor *x, double a, double b)
{
	float got[2];

	ck_ok(clef_read(x, got, sizeof(got)));
	ck_assert_msg(fabs((double)got[0] - a) < 1e-5 && fabs((double)got[1] - b) < 1e-5, "%.9g %.9g, expected %g %g",
		      (double)got[0], (double)got[1], a, b);
}

START_TEST(running_statistics)
{
	/* Channel 0: 1 2 3 6, mean 3, variance 14/4, unbiased 14/3. Channel 1: 0 0 4 4, mean 2, 4, 16/3. */
	const float values[] = { 1, 2, 0, 0, 3, 6, 4, 4 }, one[] = { 1, 1 }, nan[] = { NAN, NAN };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = new_tensor(CLEF_SHAPE(2, 2, 2), values), *mean = new_tensor(CLEF_SHAPE(2), one);
	clef_tensor *var = new_tensor(CLEF_SHAPE(2), one), *none;

	ck_ok(clef_tape_begin_no_grad(tape));
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true }));
	check_pair(mean, 0.9 + 0.1 * 3, 0.9 + 0.1 * 2);
	check_pair(var, 0.9 + 0.1 * 14 / 3, 0.9 + 0.1 * 16 / 3);
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true, .momentum = 0.5f }));
	check_pair(mean, 2.1, 1.55);
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true, .keep_running = true }));
	ck_new(clef_batch_norm_plain(x, mean, var, NULL));
	none = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(0, 2, 2)));
	ck_new(clef_batch_norm_plain(none, mean, var, &(clef_batch_norm_opts){ .training = true }));
	check_pair(mean, 2.1, 1.55);
	/* At momentum 1 what was there does not count. */
	ck_ok(clef_write(mean, nan, sizeof(nan)));
	ck_ok(clef_write(var, nan, sizeof(nan)));
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true, .momentum = 1 }));
	check_pair(mean, 3, 2);
	check_pair(var, 14.0 / 3, 16.0 / 3);
	clef_tensor_free(x);
	clef_tensor_free(mean);
	clef_tensor_free(var);
	clef_tensor_free(none);
	clef_tape_free(tape);
}
END_TEST

/* Evaluation's gradient is by the statistics that evaluation saw. */
START_TEST(statistics_moved_later)
{
	const float values[] = { 1, 2, 3, 6, 4, 4, 0, 9 }, zero[] = { 0, 0 }, var4[] = { 4, 4 };
	float grad[8];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = new_tensor(CLEF_SHAPE(4, 2), values), *mean = new_tensor(CLEF_SHAPE(2), zero);
	clef_tensor *var = new_tensor(CLEF_SHAPE(2), var4), *y;

	ck_ok(clef_requires_grad(x, true));
	ck_ok(clef_tape_begin(tape));
	y = ck_new(clef_batch_norm_plain(x, mean, var, NULL));
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true, .momentum = 1 }));
	ck_ok(clef_backward(clef_sum(y, NULL)));
	ck_ok(clef_read(clef_grad(x), grad, sizeof(grad)));
	for (int i = 0; i < 8; i++)
		ck_assert_msg(fabs((double)grad[i] - 0.5) < 1e-5, "gradient %d is %g", i, (double)grad[i]);
	clef_tensor_free(x);
	clef_tensor_free(mean);
	clef_tensor_free(var);
	clef_tape_free(tape);
}
END_TEST

/* ---- edges ---- */

/* A group with a NaN or an infinity is NaN; the others are not touched. */
static void check_special(norm_kind kind, float special)
{
	const float values[] = { 1, 2, 5, special, 7, 9, 1, 1, 3, 3, 3, 3 }, ones[] = { 1, 1, 1 };
	norm_case c = { .kind = kind, .dims = 1, .groups = 3 };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = new_tensor(
		kind == BATCH || kind == LAYER || kind == RMS ? CLEF_SHAPE(4, 3) : CLEF_SHAPE(1, 3, 4), values);
	float y[12];
	int64_t group, bad, w;
	const clef_shape shape = clef_tensor_shape(x);

	c.mean = new_tensor(CLEF_SHAPE(3), ones);
	c.var = new_tensor(CLEF_SHAPE(3), ones);
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_read(apply_norm(&x, &c), y, sizeof(y)));
	place(&c, &shape, 3, &bad, &w);
	for (int i = 0; i < 12; i++) {
		place(&c, &shape, i, &group, &w);
		if (kind == RMS && isinf(special) && group == bad)
			ck_assert(i == 3 ? isnan(y[i]) : y[i] == 0);
		else
			ck_assert_msg((group == bad) == (isnan(y[i]) != 0), "kind %d, %g: y[%d] is %g", (int)kind,
				      (double)special, i, (double)y[i]);
	}
	clef_tensor_free(x);
	clef_tensor_free(c.mean);
	clef_tensor_free(c.var);
	clef_tape_free(tape);
}

START_TEST(special_values)
{
	const float values[] = { INFINITY, 1, -INFINITY, 2, 2, NAN };
	float ones[] = { 1, 1 }, got[2];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = new_tensor(CLEF_SHAPE(3, 2), values), *mean = new_tensor(CLEF_SHAPE(2), ones);
	clef_tensor *var = new_tensor(CLEF_SHAPE(2), ones);

	for (norm_kind kind = BATCH; kind <= INSTANCE; kind++) {
		check_special(kind, NAN);
		check_special(kind, INFINITY);
		check_special(kind, -INFINITY);
	}
	ck_ok(clef_tape_begin(tape));
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true }));
	ck_ok(clef_read(mean, got, sizeof(got)));
	ck_assert(isnan(got[0]) && isnan(got[1]));
	clef_tensor_free(x);
	clef_tensor_free(mean);
	clef_tensor_free(var);
	clef_tape_free(tape);
}
END_TEST

START_TEST(equal_values)
{
	float values[60], y[60];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x;

	for (int i = 0; i < 60; i++)
		values[i] = 12345.678f;
	x = new_tensor(CLEF_SHAPE(2, 30), values);
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_read(clef_layer_norm_plain(x, 1, 0), y, sizeof(y)));
	for (int i = 0; i < 60; i++)
		ck_assert_msg(fabs((double)y[i]) < 1e-6, "y[%d] is %g", i, (double)y[i]);
	clef_tensor_free(x);
	clef_tape_free(tape);
}
END_TEST

/* No elements: the result has none either, and gradients to w and b are sums of nothing. */
START_TEST(no_elements)
{
	const float ones[] = { 1, 1, 1, 1 };
	float grad[4];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(0, 4)));
	clef_tensor *flat = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 4, 0)));
	clef_tensor *w = new_tensor(CLEF_SHAPE(4), ones), *b = new_tensor(CLEF_SHAPE(4), ones);
	clef_tensor *mean = new_tensor(CLEF_SHAPE(4), ones), *var = new_tensor(CLEF_SHAPE(4), ones);

	ck_ok(clef_requires_grad(w, true));
	ck_ok(clef_requires_grad(b, true));
	for (int i = 0; i < 5; i++) {
		const clef_batch_norm_opts training = { .training = true };
		clef_tensor *y;

		ck_ok(clef_tape_begin(tape));
		y = i == 0   ? clef_batch_norm(x, w, b, mean, var, &training)
		    : i == 1 ? clef_batch_norm(flat, w, b, mean, var, NULL)
		    : i == 2 ? clef_layer_norm(x, w, b, 0)
		    : i == 3 ? clef_group_norm(flat, 2, w, b, 0)
			     : clef_instance_norm(flat, w, b, 0);
		ck_assert_int_eq(clef_tensor_numel(ck_new(y)), 0);
		ck_ok(clef_backward(clef_sum(y, NULL)));
		ck_ok(clef_read(clef_grad(w), grad, sizeof(grad)));
		ck_assert(grad[0] == 0 && grad[3] == 0);
		ck_ok(clef_read(clef_grad(b), grad, sizeof(grad)));
		ck_assert(grad[0] == 0 && grad[3] == 0);
	}
	ck_new(clef_rms_norm(x, w, 0));
	ck_new(clef_local_response_norm(flat, 3, NULL));
	clef_tensor_free(x);
	clef_tensor_free(flat);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tensor_free(mean);
	clef_tensor_free(var);
	clef_tape_free(tape);
}
END_TEST

/* w and b may be one tensor, whose gradient is then both. */
START_TEST(shared_operand)
{
	const float values[] = { 1, 2, 4, 8, 3, 1 }, ones[] = { 1, 1, 1 };
	float both[3], dw[3], db[3];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = new_tensor(CLEF_SHAPE(2, 3), values), *w = new_tensor(CLEF_SHAPE(3), ones);
	clef_tensor *b = new_tensor(CLEF_SHAPE(3), ones);

	ck_ok(clef_requires_grad(w, true));
	ck_ok(clef_requires_grad(b, true));
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_backward(clef_sum(clef_layer_norm(x, w, b, 0), NULL)));
	ck_ok(clef_read(clef_grad(w), dw, sizeof(dw)));
	ck_ok(clef_read(clef_grad(b), db, sizeof(db)));
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_backward(clef_sum(clef_layer_norm(x, w, w, 0), NULL)));
	ck_ok(clef_read(clef_grad(w), both, sizeof(both)));
	for (int i = 0; i < 3; i++)
		ck_assert(db[i] == 2 && both[i] == dw[i] + db[i]);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tape_free(tape);
}
END_TEST

START_TEST(batch_norm_errors)
{
	const clef_batch_norm_opts training = { .training = true }, wild = { .momentum = 1.5f }, bad = { .eps = -1 };
	const clef_batch_norm_opts endless = { .eps = INFINITY };
	const float ones[12] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = new_tensor(CLEF_SHAPE(4, 3), ones), *w = new_tensor(CLEF_SHAPE(3), ones);
	clef_tensor *one = new_tensor(CLEF_SHAPE(1, 3, 1), ones), *v = new_tensor(CLEF_SHAPE(4), ones);
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(3)));

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_batch_norm_plain(v, w, w, NULL), CLEF_ERROR_SHAPE,
		      "batch_norm: x has shape [4], expected [n, channels, ...]");
	ck_null_fails(clef_batch_norm_plain(x, v, w, NULL), CLEF_ERROR_SHAPE,
		      "batch_norm: running_mean has shape [4], expected [3] for x [4, 3]");
	ck_null_fails(clef_batch_norm(x, w, w, w, v, NULL), CLEF_ERROR_SHAPE, "running_var has shape [4]");
	ck_null_fails(clef_batch_norm(x, v, w, w, w, NULL), CLEF_ERROR_SHAPE, "batch_norm: w has shape [4]");
	ck_null_fails(clef_batch_norm(x, w, v, w, w, NULL), CLEF_ERROR_SHAPE, "batch_norm: b has shape [4]");
	ck_null_fails(clef_batch_norm(x, w, ints, w, w, NULL), CLEF_ERROR_DTYPE, "b is int32, expected float32");
	ck_null_fails(clef_batch_norm(x, w, NULL, w, w, NULL), CLEF_ERROR_INVALID, "batch_norm: given NULL");
	ck_null_fails(clef_batch_norm_plain(one, w, w, &training), CLEF_ERROR_SHAPE,
		      "batch_norm: x [1, 3, 1] has one value for each channel; training needs more");
	ck_new(clef_batch_norm_plain(one, w, w, NULL));
	ck_null_fails(clef_batch_norm_plain(x, w, w, &wild), CLEF_ERROR_INVALID,
		      "batch_norm: momentum is 1.5: 0 to 1 are allowed");
	ck_null_fails(clef_batch_norm_plain(x, w, w, &bad), CLEF_ERROR_INVALID, "eps is -1, expected a finite number");
	ck_null_fails(clef_batch_norm_plain(x, w, w, &endless), CLEF_ERROR_INVALID, "eps is inf");
	ck_ok(clef_requires_grad(w, true));
	ck_null_fails(clef_batch_norm_plain(x, w, w, NULL), CLEF_ERROR_INVALID,
		      "running_mean requires a gradient, but no gradient flows to running statistics");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(one);
	clef_tensor_free(v);
	clef_tensor_free(ints);
	clef_tape_free(tape);
}
END_TEST

START_TEST(other_errors)
{
	const float ones[12] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = new_tensor(CLEF_SHAPE(2, 6), ones), *w = new_tensor(CLEF_SHAPE(6), ones);
	clef_tensor *v = new_tensor(CLEF_SHAPE(4), ones), *scalar = new_tensor(CLEF_SCALAR, ones);
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 6)));

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_layer_norm(x, v, v, 0), CLEF_ERROR_SHAPE,
		      "layer_norm: w has shape [4], expected [6] for x [2, 6]");
	ck_null_fails(clef_layer_norm(x, w, v, 0), CLEF_ERROR_SHAPE, "layer_norm: b has shape [4], expected [6]");
	ck_null_fails(clef_layer_norm(w, x, x, 0), CLEF_ERROR_SHAPE, "expected one to all last dimensions of x [6]");
	ck_null_fails(clef_rms_norm(x, scalar, 0), CLEF_ERROR_SHAPE, "rms_norm: w has shape []");
	ck_null_fails(clef_layer_norm_plain(x, 3, 0), CLEF_ERROR_INVALID,
		      "layer_norm: the last 3 dimensions of x [2, 6]: 1 to 2 are allowed");
	ck_null_fails(clef_rms_norm_plain(x, 0, 0), CLEF_ERROR_INVALID, "rms_norm: the last 0 dimensions");
	ck_null_fails(clef_layer_norm_plain(x, 1, NAN), CLEF_ERROR_INVALID, "eps is");
	ck_null_fails(clef_layer_norm_plain(ints, 1, 0), CLEF_ERROR_DTYPE, "layer_norm: x is int32");
	ck_null_fails(clef_layer_norm(x, NULL, w, 0), CLEF_ERROR_INVALID, "layer_norm: given NULL");
	ck_null_fails(clef_group_norm(x, 4, w, w, 0), CLEF_ERROR_INVALID,
		      "group_norm: 4 groups for x [2, 6]: expected a number that divides the 6 channels");
	ck_null_fails(clef_group_norm_plain(x, 0, 0), CLEF_ERROR_INVALID, "group_norm: 0 groups");
	ck_null_fails(clef_group_norm_plain(w, 1, 0), CLEF_ERROR_SHAPE, "group_norm: x has shape [6]");
	ck_null_fails(clef_instance_norm(x, w, w, 0), CLEF_ERROR_SHAPE,
		      "instance_norm: x [2, 6] has one value for each channel");
	ck_null_fails(clef_local_response_norm(x, 0, NULL), CLEF_ERROR_INVALID,
		      "local_response_norm: size is 0, expected 1 or more");
	ck_null_fails(clef_local_response_norm(w, 3, NULL), CLEF_ERROR_SHAPE, "x has shape [6], expected [n, channels");
	ck_null_fails(clef_local_response_norm(x, 3, &(clef_local_response_norm_opts){ .k = INFINITY }),
		      CLEF_ERROR_INVALID, "k inf, expected finite numbers");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(v);
	clef_tensor_free(scalar);
	clef_tensor_free(ints);
	clef_tape_free(tape);
}
END_TEST

/* ---- local response norm ---- */

typedef struct lrn_case {
	int size;
	const clef_local_response_norm_opts *opts;
} lrn_case;

static clef_tensor *apply_lrn(clef_tensor **x, const void *opts)
{
	const lrn_case *c = opts;

	return clef_local_response_norm(x[0], c->size, c->opts);
}

/* As torch.nn.functional writes it: the squares, padded with size / 2 zeros in front and (size - 1) / 2 behind, and
 * averaged over windows. */
static void reference_lrn(const ref_array *x, const void *opts, ref_array *y)
{
	const lrn_case *c = opts;
	double alpha = c->opts ? (double)c->opts->alpha : 1e-4, beta = c->opts ? (double)c->opts->beta : 0.75;
	double k = c->opts ? (double)c->opts->k : 1;
	int64_t channels = x->shape.dim[1], inner = size_from(&x->shape, 2);
	double *padded = calloc((size_t)(channels + c->size), sizeof(double));

	ck_assert_ptr_nonnull(padded);
	for (int64_t s = 0; s < x->numel / channels; s++) {
		const int64_t start = s / inner * channels * inner + s % inner;

		for (int64_t ch = 0; ch < channels; ch++)
			padded[ch + c->size / 2] = x->v[start + ch * inner] * x->v[start + ch * inner];
		for (int64_t ch = 0; ch < channels; ch++) {
			double sum = 0;

			for (int j = 0; j < c->size; j++)
				sum += padded[ch + j];
			y->v[start + ch * inner] = x->v[start + ch * inner] / pow(k + alpha * sum / c->size, beta);
		}
	}
	free(padded);
}

static void run_lrn(clef_shape shape, int size, const clef_local_response_norm_opts *opts)
{
	const lrn_case c = { size, opts };

	op_case_run(&(op_case){ .name = "local_response_norm",
				.apply = apply_lrn,
				.reference = reference_lrn,
				.opts = &c,
				.inputs = 1,
				.in = { { .shape = shape, .lo = -2, .hi = 3 } },
				.gradient_tolerance = 5e-5 });
}

START_TEST(local_response_norm)
{
	const clef_local_response_norm_opts strong = { .alpha = 2, .beta = 0.5f, .k = 0.5f };

	run_lrn(CLEF_SHAPE(2, 4, 3), 3, &strong);
	run_lrn(CLEF_SHAPE(1, 5, 2), 2, &strong);
	if (test_small())
		return;
	run_lrn(CLEF_SHAPE(2, 33, 3, 5), 5, NULL);
	run_lrn(CLEF_SHAPE(2, 33, 3, 5), 5, &(clef_local_response_norm_opts){ .alpha = 0.5f, .beta = 2, .k = 2 });
	run_lrn(CLEF_SHAPE(3, 7), 1, &strong);
	run_lrn(CLEF_SHAPE(3, 7), 4, &strong);
	run_lrn(CLEF_SHAPE(3, 1, 257), 3, &strong);
	run_lrn(CLEF_SHAPE(2, 3, 9), 50, &strong);
}
END_TEST

/* ---- the kernels' division ---- */

START_TEST(dividers)
{
	uint64_t state = 5;

	for (int k = 0; k < 200000; k++) {
		int d, n[5];

		state = state * 6364136223846793005u + 1442695040888963407u;
		d = (int)((state >> 33) >> (state >> 8) % 31);
		d = d > 0 ? d : 1;
		n[0] = (int)(state >> 32 & INT32_MAX);
		n[1] = d - 1;
		n[2] = d;
		n[3] = INT32_MAX / d * d - 1;
		n[4] = INT32_MAX;
		for (int i = 0; i < CLEF_COUNT(n); i++) {
			const uint64_t by = clef__divider(d);

			ck_assert_msg((int)((uint64_t)n[i] * (uint32_t)by >> (by >> 32)) == n[i] / d, "%d / %d", n[i],
				      d);
		}
	}
}
END_TEST

Suite *norm_suite(void)
{
	Suite *s = suite_create("norm");
	TCase *c = tcase_create("norm");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, batch_norm);
	tcase_add_test(c, layer_norm);
	tcase_add_test(c, group_norm);
	tcase_add_test(c, many_chunks);
	tcase_add_test(c, large_mean);
	tcase_add_test(c, running_statistics);
	tcase_add_test(c, statistics_moved_later);
	tcase_add_test(c, special_values);
	tcase_add_test(c, equal_values);
	tcase_add_test(c, no_elements);
	tcase_add_test(c, shared_operand);
	tcase_add_test(c, batch_norm_errors);
	tcase_add_test(c, other_errors);
	tcase_add_test(c, local_response_norm);
	tcase_add_test(c, dividers);
	suite_add_tcase(s, c);
	return s;
}
