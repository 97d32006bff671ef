/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "op_case.h"
#include "tensor_internal.h"

#define GUARD   37 /* elements before and behind each operand: no multiple of a vector */
#define POISON  NAN
#define SAMPLES 48 /* elements of a large operand whose gradient is checked */

static double worst_value, worst_gradient; /* of the case that runs */

/* ---- random numbers of the tests' own ---- */

static uint64_t state;

static double uniform(double lo, double hi)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return lo + (hi - lo) * (double)(state >> 11) * 0x1p-53;
}

/* ---- operands ---- */

typedef struct operand {
	ref_array ref;
	clef_tensor *x;      /* view into values */
	clef_tensor *values; /* with guards */
	clef_tensor *grads;  /* with guards */
	float *host;         /* as uploaded, with guards */
} operand;

static ref_array ref_new(clef_shape shape)
{
	ref_array a = { shape, clef_shape_numel(shape), NULL };

	a.v = calloc((size_t)a.numel + 1, sizeof(double));
	ck_assert_ptr_nonnull(a.v);
	return a;
}

static operand operand_new(const op_input *in)
{
	operand o = { .ref = ref_new(in->shape) };
	int64_t n = o.ref.numel + 2 * GUARD;
	clef_dtype dtype = in->label ? CLEF_INT32 : CLEF_FLOAT32;
	clef_array array = { dtype, CLEF_SHAPE(n), NULL };

	o.host = malloc((size_t)n * sizeof(float));
	ck_assert_ptr_nonnull(o.host);
	for (int64_t i = 0; i < n; i++)
		o.host[i] = POISON;
	for (int64_t i = 0; i < o.ref.numel; i++) {
		double v = uniform(in->lo, in->hi);
		int32_t label = (int32_t)floor(v);

		if (in->label || in->whole)
			v = floor(v);
		o.host[GUARD + i] = (float)v;
		if (in->label)
			memcpy(&o.host[GUARD + i], &label, sizeof(label));
		o.ref.v[i] = in->label ? v : (double)o.host[GUARD + i];
	}
	array.data = o.host;
	o.values = ck_new(clef_tensor_from(test_device, &array));
	o.x = ck_new(clef__tensor_view(test_device, dtype, in->shape, o.values->buffer, o.values->offset + GUARD));
	if (in->label)
		return o;
	o.grads = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(n)));
	ck_ok(clef_fill(o.grads, (double)POISON));
	o.x->grad = ck_new(clef__tensor_view(test_device, dtype, in->shape, o.grads->buffer, o.grads->offset + GUARD));
	ck_ok(clef_requires_grad(o.x, true));
	return o;
}

static void check_guards(const char *name, const clef_tensor *whole, const float *expected)
{
	size_t n = (size_t)clef_tensor_numel(whole);
	float *got = malloc(n * sizeof(float));

	ck_assert_ptr_nonnull(got);
	ck_ok(clef_read(whole, got, n * sizeof(float)));
	for (size_t i = 0; i < n; i++)
		if (expected || i < GUARD || i >= n - GUARD)
			ck_assert_msg(expected ? memcmp(&got[i], &expected[i], sizeof(float)) == 0 : isnan(got[i]),
				      "%s: element %d outside of its operand was written", name, (int)i - GUARD);
	free(got);
}

static void operand_free(operand *o)
{
	clef_tensor_free(o->x);
	clef_tensor_free(o->values);
	clef_tensor_free(o->grads);
	free(o->ref.v);
	free(o->host);
}

/* Puts buffers full of NaN into the pool, where results will find them. */
static void poison_pool(int64_t numel)
{
	clef_tensor *x[4];

	for (int i = 0; i < CLEF_COUNT(x); i++) {
		x[i] = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(numel)));
		ck_ok(clef_fill(x[i], (double)POISON));
	}
	for (int i = 0; i < CLEF_COUNT(x); i++)
		clef_tensor_free(x[i]);
}

/* ---- comparing ---- */

static double mean_size(const double *v, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += fabs(v[i]);
	return n ? sum / (double)n : 0;
}

static double relative_error(double got, double want, double scale)
{
	if (isnan(want))
		return isnan(got) ? 0 : INFINITY;
	if (isnan(got) || isinf(got))
		return got == want ? 0 : INFINITY;
	return got == want ? 0 : fabs(got - want) / fmax(fabs(want), scale);
}

static void compare_values(const op_case *c, const clef_tensor *y, const ref_array *want)
{
	float *got = malloc((size_t)want->numel * sizeof(float) + 1);
	double scale = mean_size(want->v, want->numel);
	double limit = c->tolerance > 0 ? c->tolerance : OP_TOLERANCE;
	bool exact = true;

	for (int i = 0; i < c->inputs; i++)
		exact = exact && (c->in[i].whole || c->in[i].label) && c->tolerance <= 0;
	ck_assert_ptr_nonnull(got);
	ck_ok(clef_read(y, got, (size_t)want->numel * sizeof(float)));
	for (int64_t i = 0; i < want->numel; i++) {
		double error = relative_error((double)got[i], want->v[i], scale);

		ck_assert_msg(error <= (exact ? 0 : limit), "%s: y[%d] is %.9g, expected %.9g, error %.2g", c->name,
			      (int)i, (double)got[i], want->v[i], error);
		worst_value = fmax(worst_value, error);
	}
	free(got);
}

/* ---- gradients: of the sum of y times fixed random weights ---- */

static double weighted_reference(const op_case *c, const operand *in, ref_array *y, const double *weight)
{
	ref_array x[OP_INPUTS];
	double sum = 0;

	for (int i = 0; i < c->inputs; i++)
		x[i] = in[i].ref;
	c->reference(x, c->opts, y);
	for (int64_t i = 0; i < y->numel; i++)
		sum += weight[i] * y->v[i];
	return sum;
}

/* The slope in one element; NAN at a kink, where the slopes to the left and right differ. */
static double slope(const op_case *c, operand *in, int input, int64_t i, ref_array *y, const double *weight)
{
	double *v = &in[input].ref.v[i], at = *v, h = 1e-5 * (1 + fabs(at));
	double middle, left, right;

	middle = weighted_reference(c, in, y, weight);
	*v = at + h;
	right = (weighted_reference(c, in, y, weight) - middle) / h;
	*v = at - h;
	left = (middle - weighted_reference(c, in, y, weight)) / h;
	*v = at;
	return fabs(left - right) > 1e-2 * (1 + fabs(left) + fabs(right)) ? NAN : (left + right) / 2;
}

static void read_grad(const operand *o, float *g)
{
	ck_ok(clef_read(o->x->grad, g, (size_t)o->ref.numel * sizeof(float)));
}

static void compare_gradient(const op_case *c, operand *in, int input, ref_array *y, const double *weight)
{
	operand *o = &in[input];
	int64_t n = o->ref.numel, step = n > SAMPLES ? n / SAMPLES : 1;
	float *got = malloc((size_t)n * sizeof(float) + 1);
	double limit = c->gradient_tolerance > 0 ? c->gradient_tolerance : 1e-5, scale = 0;
	int kinks = 0, checked = 0;

	ck_assert_ptr_nonnull(got);
	read_grad(o, got);
	for (int64_t i = 0; i < n; i++) {
		ck_assert_msg(!isnan(got[i]), "%s: gradient %d, element %d is NaN", c->name, input, (int)i);
		scale += fabs((double)got[i]) / (double)n;
	}
	for (int64_t i = 0; i < n; i += step) {
		double want = slope(c, in, input, i, y, weight), error;

		if (isnan(want)) {
			kinks++;
			continue;
		}
		checked++;
		/* Central differences of sums of the size of y are not better than this. */
		error = relative_error((double)got[i], want, fmax(scale, 1e-3));
		ck_assert_msg(error <= limit, "%s: gradient %d, element %d is %.9g, expected %.9g, error %.2g", c->name,
			      input, (int)i, (double)got[i], want, error);
		worst_gradient = fmax(worst_gradient, error);
	}
	ck_assert_msg(!n || checked > kinks, "%s: gradient %d: %d kinks in %d elements", c->name, input, kinks,
		      kinks + checked);
	free(got);
}

/* A second pass on top of the first gives twice the gradient, and overwriting gives the first one's bits again. */
static void check_accumulation(const op_case *c, clef_tensor *loss, const operand *o)
{
	size_t n = (size_t)o->ref.numel;
	float *once = malloc(2 * n * sizeof(float) + 1), *again = once + n;
	double scale = 0;

	ck_assert_ptr_nonnull(once);
	read_grad(o, once);
	/* Sums may start from what is there, so an element that is nearly cancelled out errs by the size of others. */
	for (size_t i = 0; i < n; i++)
		scale += fabs((double)once[i]) / (double)n;
	scale = fmax(scale, 1);
	ck_ok(clef_backward_add(loss));
	read_grad(o, again);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(fabs((double)again[i] - 2 * (double)once[i]) <= 2e-6 * (scale + fabs((double)once[i])),
			      "%s: element %d of an accumulated gradient is %.9g, expected twice %.9g", c->name, (int)i,
			      (double)again[i], (double)once[i]);
	ck_ok(clef_backward(loss));
	read_grad(o, again);
	ck_assert_msg(memcmp(once, again, n * sizeof(float)) == 0, "%s: two passes give different bits", c->name);
	free(once);
}

/* Inputs that are results themselves get the same gradients, some in the memory of the result's. */
static void check_in_place(const op_case *c, clef_tape *tape, operand *in, const clef_array *weight)
{
	clef_tensor *x[OP_INPUTS];
	float *once[OP_INPUTS] = { NULL }, *again;

	ck_ok(clef_tape_begin(tape));
	for (int i = 0; i < c->inputs; i++) {
		x[i] = in[i].x;
		if (c->in[i].label)
			continue;
		once[i] = malloc((size_t)in[i].ref.numel * sizeof(float) + 1);
		ck_assert_ptr_nonnull(once[i]);
		read_grad(&in[i], once[i]);
		x[i] = ck_new(clef_reshape(in[i].x, clef_tensor_shape(in[i].x)));
	}
	ck_ok(clef_backward(clef_sum(clef_mul(c->apply(x, c->opts), clef_input(tape, weight)), NULL)));
	for (int i = 0; i < c->inputs; i++) {
		size_t size = (size_t)in[i].ref.numel * sizeof(float);

		if (!once[i])
			continue;
		again = malloc(size + 1);
		ck_assert_ptr_nonnull(again);
		read_grad(&in[i], again);
		ck_assert_msg(memcmp(once[i], again, size) == 0, "%s: gradient %d in place has other bits", c->name, i);
		free(again);
		free(once[i]);
	}
}

static void check_gradients(const op_case *c, clef_tape *tape, operand *in, clef_tensor *y, ref_array *ref)
{
	double *weight = malloc((size_t)ref->numel * sizeof(double) + 1);
	float *w = malloc((size_t)ref->numel * sizeof(float) + 1);
	clef_array array = { CLEF_FLOAT32, clef_tensor_shape(y), w };
	clef_tensor *loss;

	ck_assert(weight && w);
	for (int64_t i = 0; i < ref->numel; i++) {
		w[i] = (float)uniform(0.5, 1.5);
		weight[i] = (double)w[i];
	}
	loss = ck_new(clef_sum(clef_mul(y, clef_input(tape, &array)), NULL));
	ck_ok(clef_backward(loss));
	for (int i = 0; i < c->inputs; i++)
		if (!c->in[i].label) {
			compare_gradient(c, in, i, ref, weight);
			check_accumulation(c, loss, &in[i]);
			check_guards(c->name, in[i].grads, NULL);
		}
	if (ref->numel)
		check_in_place(c, tape, in, &array);
	free(weight);
	free(w);
}

/* A line for the case in the file that CLEF_TEST_REPORT names. Cases run in processes of their own. */
static void report(const op_case *c)
{
	const char *path = getenv("CLEF_TEST_REPORT");
	FILE *file = path && *path ? fopen(path, "a") : NULL;

	if (!file) {
		ck_assert_msg(!path || !*path, "CLEF_TEST_REPORT: %s cannot be written", path);
		return;
	}
	fprintf(file, "%s\t%.2e\t", c->name, worst_value);
	if (c->no_gradient)
		fputs("-\n", file);
	else
		fprintf(file, "%.2e\n", worst_gradient);
	fclose(file);
}

void op_case_run(const op_case *c)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	operand in[OP_INPUTS];
	clef_tensor *x[OP_INPUTS], *y;
	ref_array refs[OP_INPUTS], ref;

	state = 12345;
	worst_value = worst_gradient = 0;
	for (int i = 0; i < c->inputs; i++) {
		in[i] = operand_new(&c->in[i]);
		x[i] = in[i].x;
		refs[i] = in[i].ref;
	}
	ck_ok(clef_tape_begin(tape));
	y = ck_new(c->apply(x, c->opts));
	poison_pool(clef_tensor_numel(y));
	ck_ok(clef_tape_begin(tape));
	y = ck_new(c->apply(x, c->opts));
	ref = ref_new(clef_tensor_shape(y));
	c->reference(refs, c->opts, &ref);
	compare_values(c, y, &ref);
	if (!c->no_gradient)
		check_gradients(c, tape, in, y, &ref);
	for (int i = 0; i < c->inputs; i++) {
		check_guards(c->name, in[i].values, in[i].host);
		operand_free(&in[i]);
	}
	free(ref.v);
	clef_tape_free(tape);
	report(c);
}
