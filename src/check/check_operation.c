/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of an operation. Everything is held to the double-precision reference, so that no kernel is compared with
 * another one that may be wrong in the same way: values directly, gradients with central differences of the reference.
 * The first thing that is wrong ends the check, and its message is the verdict.
 */
#include <math.h>

#include <clef/ops.h>

#include "operand.h"

#define SAMPLES 48 /* elements of a large operand whose gradient is checked */

typedef struct run {
	const clef__problem *p;
	clef_device *dev;
	clef_tape *tape;
	clef__placed in[CLEF__OPERANDS];
	clef_tensor *x[CLEF__OPERANDS];
	clef__ref y;
	double *weight; /* the loss is the sum of y times these */
	float *weight32;
	clef_check_result *result;
} run;

/* ---- verdicts ---- */

static bool wrong(run *r, const char *format, ...) CLEF__PRINTF(2, 3);

static bool wrong(run *r, const char *format, ...)
{
	va_list args;

	r->result->verdict = CLEF_VERDICT_FAILED;
	va_start(args, format);
	vsnprintf(r->result->message, sizeof(r->result->message), format, args);
	va_end(args);
	return false;
}

/* The library failed, where it should not have. */
static bool broken(run *r)
{
	wrong(r, "%s", clef_error());
	if (clef_error_status() == CLEF_ERROR_UNSUPPORTED)
		r->result->verdict = CLEF_VERDICT_SKIPPED;
	return false;
}

static bool done(run *r, clef_status s)
{
	return !s || broken(r);
}

static bool has_gradient(const run *r, int i)
{
	return !r->p->no_gradient && r->p->in[i].kind == CLEF__OPERAND_GRADIENT;
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

static bool guards_hold(run *r, const clef_tensor *whole, const float *expected, const char *what, int i)
{
	size_t n = (size_t)clef_tensor_numel(whole);
	float *got = clef__calloc(n, sizeof(*got), "a copy of an operand");
	bool fine = got && done(r, clef_read(whole, got, n * sizeof(*got)));

	for (size_t k = 0; k < n && fine; k++)
		if (expected || k < CLEF__GUARD || k >= n - CLEF__GUARD)
			fine = (expected ? memcmp(&got[k], &expected[k], sizeof(*got)) == 0 : isnan(got[k])) ||
			       wrong(r, "%s %d: element %lld, outside of what may be written, was written", what, i,
				     (long long)k - CLEF__GUARD);
	free(got);
	return got ? fine : broken(r);
}

/* ---- values ---- */

static double value_limit(const clef__problem *p)
{
	bool exact = p->tolerance <= 0;

	if (p->tolerance == CLEF__EXACT)
		return 0;
	for (int i = 0; i < p->operands; i++)
		exact = exact && (p->in[i].whole || p->in[i].kind == CLEF__OPERAND_LABEL);
	return exact ? 0 : p->tolerance > 0 ? p->tolerance : CLEF__TOLERANCE;
}

/* Element i of a result as it was read, which may be int32. */
static double element_of(const clef_tensor *y, const float *got, size_t i)
{
	int32_t whole;

	if (clef_tensor_dtype(y) != CLEF_INT32)
		return (double)got[i];
	memcpy(&whole, &got[i], sizeof(whole));
	return whole;
}

static bool compare_values(run *r, const clef_tensor *y)
{
	size_t n = (size_t)r->y.numel;
	float *got = clef__calloc(n, sizeof(*got), "a result");
	double scale = mean_size(r->y.v, r->y.numel);
	bool fine = got && done(r, clef_read(y, got, n * sizeof(*got)));

	for (size_t i = 0; i < n && fine; i++) {
		double value = element_of(y, got, i), error = relative_error(value, r->y.v[i], scale);

		r->result->value_error = fmax(r->result->value_error, error);
		fine = error <= r->result->value_limit ||
		       wrong(r, "y[%zu] is %.9g, expected %.9g, error %.2g", i, value, r->y.v[i], error);
	}
	free(got);
	return got ? fine : broken(r);
}

/* ---- gradients: of the sum of y times fixed random weights ---- */

static bool weighted_reference(run *r, double *sum)
{
	clef__ref x[CLEF__OPERANDS];

	for (int i = 0; i < r->p->operands; i++)
		x[i] = r->in[i].ref;
	if (!r->p->family->reference(x, r->p->opts, &r->y))
		return broken(r);
	*sum = 0;
	for (int64_t i = 0; i < r->y.numel; i++)
		*sum += r->weight[i] * r->y.v[i];
	return true;
}

/* The slope in one element, from where the loss is `middle`; NAN at a kink, where those to the left and right differ.
 */
static bool slope(run *r, int input, int64_t i, double middle, double *result)
{
	double *v = &r->in[input].ref.v[i], at = *v, h = 1e-5 * (1 + fabs(at));
	double above, below, left, right;
	bool fine;

	*v = at + h;
	fine = weighted_reference(r, &above);
	*v = at - h;
	fine = fine && weighted_reference(r, &below);
	*v = at;
	if (!fine)
		return false;
	right = (above - middle) / h;
	left = (middle - below) / h;
	*result = fabs(left - right) > 1e-2 * (1 + fabs(left) + fabs(right)) ? NAN : (left + right) / 2;
	return true;
}

static bool read_gradient(run *r, int input, float *g)
{
	return done(r, clef_read(r->in[input].x->grad, g, (size_t)r->in[input].ref.numel * sizeof(*g)));
}

static bool compare_gradient(run *r, int input, const float *got)
{
	int64_t n = r->in[input].ref.numel, step = n > SAMPLES ? n / SAMPLES : 1;
	double scale = 0, middle, want, error;
	int kinks = 0, checked = 0;

	for (int64_t i = 0; i < n; i++) {
		if (isnan(got[i]))
			return wrong(r, "gradient %d: element %lld is NaN", input, (long long)i);
		scale += fabs((double)got[i]) / (double)n;
	}
	if (n && !weighted_reference(r, &middle))
		return false;
	for (int64_t i = 0; i < n; i += step) {
		if (!slope(r, input, i, middle, &want))
			return false;
		if (isnan(want)) {
			kinks++;
			continue;
		}
		checked++;
		/* Central differences of sums of the size of y are not better than this. */
		error = relative_error((double)got[i], want, fmax(scale, 1e-3));
		r->result->gradient_error = fmax(r->result->gradient_error, error);
		if (!(error <= r->result->gradient_limit))
			return wrong(r, "gradient %d: element %lld is %.9g, expected %.9g, error %.2g", input,
				     (long long)i, (double)got[i], want, error);
	}
	return !n || checked > kinks || wrong(r, "gradient %d: %d kinks in %d elements", input, kinks, kinks + checked);
}

/* A second pass on top of the first gives twice the gradient, and overwriting gives the first one's bits again. */
static bool check_accumulation(run *r, clef_tensor *loss, int input, const float *once, float *again)
{
	size_t n = (size_t)r->in[input].ref.numel;
	double scale = 0;

	/* Sums may start from what is there, so an element that is nearly cancelled out errs by the size of others. */
	for (size_t i = 0; i < n; i++)
		scale += fabs((double)once[i]) / (double)n;
	scale = fmax(scale, 1);
	if (!done(r, clef_backward_add(loss)) || !read_gradient(r, input, again))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(fabs((double)again[i] - 2 * (double)once[i]) <= 2e-6 * (scale + fabs((double)once[i]))))
			return wrong(r, "gradient %d: element %zu is %.9g when added up, expected twice %.9g", input, i,
				     (double)again[i], (double)once[i]);
	if (!done(r, clef_backward(loss)) || !read_gradient(r, input, again))
		return false;
	return memcmp(once, again, n * sizeof(*once)) == 0 ||
	       wrong(r, "gradient %d: two passes give different bits", input);
}

static bool check_gradient(run *r, clef_tensor *loss, int input)
{
	size_t n = (size_t)r->in[input].ref.numel;
	float *once = clef__calloc(2 * n, sizeof(*once), "gradients");
	bool fine = once && read_gradient(r, input, once) && compare_gradient(r, input, once) &&
		    check_accumulation(r, loss, input, once, once + n) &&
		    guards_hold(r, r->in[input].grads, NULL, "gradient", input);

	free(once);
	return once ? fine : broken(r);
}

/* Operands that are results themselves get the same gradients, some in the memory of the result's. */
static bool check_in_place(run *r, const clef_array *weight)
{
	clef_tensor *x[CLEF__OPERANDS];
	float *once[CLEF__OPERANDS] = { NULL };
	bool fine = done(r, clef_tape_begin(r->tape));

	for (int i = 0; i < r->p->operands && fine; i++) {
		size_t n = (size_t)r->in[i].ref.numel;

		x[i] = r->x[i];
		if (!has_gradient(r, i))
			continue;
		once[i] = clef__calloc(2 * n, sizeof(float), "gradients");
		fine = once[i] ? read_gradient(r, i, once[i]) : broken(r);
		x[i] = clef_reshape(r->x[i], clef_tensor_shape(r->x[i]));
	}
	fine = fine &&
	       done(r, clef_backward(clef_sum(clef_mul(r->p->family->apply(x, r->p->opts), clef_input(r->tape, weight)),
					      NULL)));
	for (int i = 0; i < r->p->operands; i++) {
		size_t n = (size_t)r->in[i].ref.numel;

		fine = fine && (!once[i] || (read_gradient(r, i, once[i] + n) &&
					     (memcmp(once[i], once[i] + n, n * sizeof(float)) == 0 ||
					      wrong(r, "gradient %d in place has other bits", i))));
		free(once[i]);
	}
	return fine;
}

static bool check_gradients(run *r, clef_tensor *y)
{
	size_t n = (size_t)r->y.numel;
	clef_array array = { CLEF_FLOAT32, clef_tensor_shape(y), NULL };
	uint64_t state = 54321;
	clef_tensor *loss;

	r->weight = clef__calloc(n, sizeof(*r->weight), "weights of a loss");
	array.data = r->weight32 = clef__calloc(n, sizeof(*r->weight32), "weights of a loss");
	if (!r->weight || !r->weight32)
		return broken(r);
	for (size_t i = 0; i < n; i++) {
		r->weight32[i] = (float)clef__draw_uniform(&state, 0.5, 1.5);
		r->weight[i] = (double)r->weight32[i];
	}
	loss = clef_sum(clef_mul(y, clef_input(r->tape, &array)), NULL);
	if (!done(r, clef_backward(loss)))
		return false;
	for (int i = 0; i < r->p->operands; i++)
		if (has_gradient(r, i) && !check_gradient(r, loss, i))
			return false;
	return !n || check_in_place(r, &array);
}

/* ---- the check ---- */

/* Puts buffers full of NaN into the pool, where results will find them. */
static bool poison_pool(run *r, int64_t numel)
{
	clef_tensor *x[4];
	bool fine = true;

	for (int i = 0; i < CLEF_COUNT(x); i++) {
		x[i] = clef_tensor_new(r->dev, CLEF_FLOAT32, CLEF_SHAPE(numel));
		fine = fine && (x[i] ? done(r, clef_fill(x[i], (double)NAN)) : broken(r));
	}
	for (int i = 0; i < CLEF_COUNT(x); i++)
		clef_tensor_free(x[i]);
	return fine;
}

static clef_tensor *apply(run *r)
{
	return clef_tape_begin(r->tape) ? NULL : r->p->family->apply(r->x, r->p->opts);
}

static bool same_bits(run *r, const clef_tensor *y, float *first)
{
	size_t size = (size_t)r->y.numel * sizeof(float);
	float *second = clef__calloc(size, 1, "a result");
	bool fine = second && done(r, clef_read(y, second, size)) &&
		    (memcmp(first, second, size) == 0 || wrong(r, "two passes give different bits"));

	free(second);
	return second ? fine : broken(r);
}

/* The first pass leaves its bits in `first`. */
static bool check_values(run *r, clef_tensor **y)
{
	clef__ref refs[CLEF__OPERANDS];
	float *first;
	bool fine;

	for (int i = 0; i < r->p->operands; i++)
		refs[i] = r->in[i].ref;
	*y = apply(r);
	if (!*y || !clef__ref_new(clef_tensor_shape(*y), &r->y))
		return broken(r);
	first = clef__calloc((size_t)r->y.numel, sizeof(*first), "a result");
	fine = first && done(r, clef_read(*y, first, (size_t)r->y.numel * sizeof(*first))) &&
	       poison_pool(r, r->y.numel);
	if (fine)
		*y = apply(r);
	fine = fine && *y && r->p->family->reference(refs, r->p->opts, &r->y);
	if (fine)
		fine = compare_values(r, *y) && same_bits(r, *y, first);
	else if (!*r->result->message)
		broken(r);
	free(first);
	return fine;
}

static bool check_all(run *r)
{
	clef_tensor *y;

	r->tape = clef_tape_new(r->dev);
	if (!r->tape)
		return broken(r);
	for (int i = 0; i < r->p->operands; i++) {
		if (!done(r, clef__place_new(r->dev, r->p, i, &r->in[i])))
			return false;
		r->x[i] = r->in[i].x;
	}
	if (!check_values(r, &y) || (!r->p->no_gradient && !check_gradients(r, y)))
		return false;
	for (int i = 0; i < r->p->operands; i++)
		if (!guards_hold(r, r->in[i].values, r->p->in[i].kind == CLEF__OPERAND_STATE ? NULL : r->in[i].host,
				 "operand", i))
			return false;
	return true;
}

static void check_operation(clef_device *dev, const clef__problem *p, clef_check_result *result)
{
	run r = { .p = p, .dev = dev, .result = result };

	result->value_limit = value_limit(p);
	if (!p->no_gradient) {
		result->gradient_error = 0;
		result->gradient_limit =
			fmax(p->gradient_tolerance, 0) > 0 ? p->gradient_tolerance : CLEF__GRADIENT_TOLERANCE;
	}
	check_all(&r);
	clef_tape_free(r.tape);
	for (int i = 0; i < p->operands; i++)
		clef__place_free(&r.in[i]);
	free(r.y.v);
	free(r.weight);
	free(r.weight32);
}

clef_status clef_check(clef_device *dev, const char *problem, clef_check_result *result)
{
	double start = clef__seconds();
	clef__problem *p;
	clef_status s;

	if (!dev || !problem || !result)
		return clef__null_argument("clef_check");
	clef_error_clear();
	*result = (clef_check_result){ .gradient_error = NAN, .gradient_limit = NAN };
	p = clef__calloc(1, sizeof(*p), "a problem");
	if (!p)
		return CLEF_ERROR_MEMORY;
	s = clef__problem_parse(problem, p);
	if (!s && p->family->run)
		s = p->family->run(p, dev, result);
	else if (!s)
		check_operation(dev, p, result);
	free(p);
	if (!s && result->verdict && clef_error_status() == CLEF_ERROR_MEMORY)
		s = CLEF_ERROR_MEMORY;
	result->seconds = clef__seconds() - start;
	return s;
}
