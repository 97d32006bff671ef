/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions over any dimensions, positions of extremes among them: a plain loop over the values of each result. */
#include <math.h>

#include <clef/ops.h>

#include "families.h"

typedef struct reduce_opts {
	clef_shape x;
	clef__list dims;
	bool keepdim;
	bool biased;
	float p;
} reduce_opts;

/* ---- one result: of the n values v ---- */

static double of_sum(const double *v, int64_t n, const reduce_opts *o)
{
	double sum = 0;

	(void)o;
	for (int64_t i = 0; i < n; i++)
		sum += v[i];
	return sum;
}

static double of_mean(const double *v, int64_t n, const reduce_opts *o)
{
	return of_sum(v, n, o) / (double)n;
}

static double of_max(const double *v, int64_t n, const reduce_opts *o)
{
	double y = v[0];

	(void)o;
	for (int64_t i = 1; i < n; i++)
		y = fmax(y, v[i]);
	return y;
}

static double of_min(const double *v, int64_t n, const reduce_opts *o)
{
	double y = v[0];

	(void)o;
	for (int64_t i = 1; i < n; i++)
		y = fmin(y, v[i]);
	return y;
}

static double of_argmax(const double *v, int64_t n, const reduce_opts *o)
{
	int64_t best = 0;

	(void)o;
	for (int64_t i = 1; i < n; i++)
		if (v[i] > v[best])
			best = i;
	return (double)best;
}

static double of_argmin(const double *v, int64_t n, const reduce_opts *o)
{
	int64_t best = 0;

	(void)o;
	for (int64_t i = 1; i < n; i++)
		if (v[i] < v[best])
			best = i;
	return (double)best;
}

static double of_var(const double *v, int64_t n, const reduce_opts *o)
{
	double mean = 0, sum = 0;

	for (int64_t i = 0; i < n; i++)
		mean += v[i] / (double)n;
	for (int64_t i = 0; i < n; i++)
		sum += (v[i] - mean) * (v[i] - mean);
	return sum / (double)(o->biased ? n : n - 1);
}

static double of_std(const double *v, int64_t n, const reduce_opts *o)
{
	return sqrt(of_var(v, n, o));
}

static double of_norm(const double *v, int64_t n, const reduce_opts *o)
{
	double p = o->p == 0 ? 2 : (double)o->p, sum = 0, largest = 0, smallest = INFINITY;

	for (int64_t i = 0; i < n; i++) {
		sum += pow(fabs(v[i]), p);
		largest = fmax(largest, fabs(v[i]));
		smallest = fmin(smallest, fabs(v[i]));
	}
	return isinf(p) ? (p > 0 ? largest : smallest) : pow(sum, 1 / p);
}

static double of_logsumexp(const double *v, int64_t n, const reduce_opts *o)
{
	double largest, sum = 0;

	if (!n)
		return -INFINITY;
	largest = of_max(v, n, o);
	for (int64_t i = 0; i < n; i++)
		sum += exp(v[i] - largest);
	return largest + log(sum);
}

/* ---- which values they are ---- */

/* Some of the dimensions of an array. */
typedef struct axes {
	int n;
	int64_t size[CLEF_MAX_DIMS], step[CLEF_MAX_DIMS];
} axes;

static int64_t offset_of(const axes *a, int64_t i)
{
	int64_t offset = 0;

	for (int d = a->n - 1; d >= 0; d--) {
		offset += i % a->size[d] * a->step[d];
		i /= a->size[d];
	}
	return offset;
}

/* The shape of the result. */
static clef_shape split(const reduce_opts *o, const clef_shape *x, axes *kept, axes *reduced)
{
	bool reduce[CLEF_MAX_DIMS] = { false };
	clef_shape y = { 0 };

	kept->n = reduced->n = 0;
	for (int d = 0; d < x->ndim; d++)
		reduce[d] = o->dims.count == 0;
	for (int i = 0; i < o->dims.count; i++)
		reduce[o->dims.v[i] + (o->dims.v[i] < 0 ? x->ndim : 0)] = true;
	for (int d = 0; d < x->ndim; d++) {
		axes *a = reduce[d] ? reduced : kept;

		a->size[a->n] = x->dim[d];
		a->step[a->n++] = clef__ref_size(x, d + 1, x->ndim);
		if (!reduce[d] || o->keepdim)
			y.dim[y.ndim++] = reduce[d] ? 1 : x->dim[d];
	}
	return y;
}

static bool reduce(double (*of)(const double *v, int64_t n, const reduce_opts *o), const clef__ref *x, const void *opts,
		   clef__ref *y)
{
	axes kept, reduced;
	clef_shape shape = split(opts, &x->shape, &kept, &reduced);
	int64_t each = 1;
	double *v;

	if (!clef_shape_equal(shape, y->shape))
		return !clef__fail(CLEF_ERROR_SHAPE, "the result has shape %s, expected %s", CLEF__SHAPE_TEXT(y->shape),
				   CLEF__SHAPE_TEXT(shape));
	for (int d = 0; d < reduced.n; d++)
		each *= reduced.size[d];
	v = clef__calloc((size_t)each + 1, sizeof(*v), "a reference");
	for (int64_t i = y->from; i < y->to && v; i++) {
		int64_t start = offset_of(&kept, i);

		for (int64_t k = 0; k < each; k++)
			v[k] = x->v[start + offset_of(&reduced, k)];
		y->v[i] = of(v, each, opts);
	}
	free(v);
	return v != NULL;
}

/* ---- operands and options ---- */

static clef_status set(clef__problem *p, double lo, double hi, double tolerance)
{
	const reduce_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = lo, .hi = hi, .whole = p->whole };
	p->tolerance = tolerance;
	p->gradient_tolerance = 2e-5;
	return CLEF_OK;
}

static clef_status setup_sum(clef__problem *p)
{
	clef_status s = set(p, -8, 8, p->whole ? 0 : CLEF__TOLERANCE);

	p->gradient_tolerance = CLEF__GRADIENT_TOLERANCE;
	return s;
}

static clef_status setup_mean(clef__problem *p)
{
	clef_status s = set(p, 1, 8, CLEF__TOLERANCE);

	p->gradient_tolerance = CLEF__GRADIENT_TOLERANCE;
	return s;
}

static clef_status setup_extreme(clef__problem *p)
{
	return set(p, -4, 4, CLEF__EXACT);
}

/* With whole numbers most results have more than one to choose from. */
static clef_status setup_position(clef__problem *p)
{
	p->no_gradient = true;
	return set(p, -50, 50, CLEF__EXACT);
}

static clef_status setup_smooth(clef__problem *p)
{
	return set(p, -4, 4, CLEF__TOLERANCE);
}

static clef_status setup_norm(clef__problem *p)
{
	float order = ((const reduce_opts *)(const void *)p->opts)->p;

	/* The root of a sum of roots, or of reciprocals, errs more. */
	return set(p, -4, 4, isinf(order) ? CLEF__EXACT : order < 1 && order != 0 ? 4e-6 : CLEF__TOLERANCE);
}

static clef_reduce_opts dims_of(const reduce_opts *o)
{
	clef_reduce_opts r = { .ndim = o->dims.count, .keepdim = o->keepdim };

	for (int i = 0; i < r.ndim; i++)
		r.dim[i] = (int)o->dims.v[i];
	return r;
}

/* Where there is nothing to say no options are given. */
static clef_tensor *apply_plain(clef_tensor *(*f)(clef_tensor *x, const clef_reduce_opts *opts), clef_tensor *x,
				const reduce_opts *o)
{
	clef_reduce_opts r = dims_of(o);

	return f(x, r.ndim || r.keepdim ? &r : NULL);
}

static clef_tensor *apply_variance(clef_tensor *(*f)(clef_tensor *x, const clef_var_opts *opts), clef_tensor *x,
				   const reduce_opts *o)
{
	clef_reduce_opts r = dims_of(o);
	clef_var_opts v = { .ndim = r.ndim, .keepdim = r.keepdim, .biased = o->biased };

	memcpy(v.dim, r.dim, sizeof(v.dim));
	return f(x, v.ndim || v.keepdim || v.biased ? &v : NULL);
}

static clef_tensor *apply_orders(clef_tensor *(*f)(clef_tensor *x, const clef_norm_opts *opts), clef_tensor *x,
				 const reduce_opts *o)
{
	clef_reduce_opts r = dims_of(o);
	clef_norm_opts n = { .ndim = r.ndim, .keepdim = r.keepdim, .p = o->p };

	memcpy(n.dim, r.dim, sizeof(n.dim));
	return f(x, n.ndim || n.keepdim || n.p != 0 ? &n : NULL);
}

/* ---- terms ---- */

/* clang-format off */
#define X { .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(reduce_opts, x), .about = "x" }
#define DIMS(text) { .name = "dims", .kind = CLEF__TERM_LIST, .offset = offsetof(reduce_opts, dims), \
		     .least = -CLEF_MAX_DIMS, .most = CLEF_MAX_DIMS - 1, .about = text }
#define KEEPDIM { .name = "keepdim", .kind = CLEF__TERM_FLAG, .offset = offsetof(reduce_opts, keepdim), \
		  .about = "keep what is reduced, with size 1" }
/* clang-format on */

#define REDUCED "dimensions to reduce; none: all"

static const clef__term terms_plain[] = { X, DIMS(REDUCED), KEEPDIM, { NULL } };

static const clef__term terms_position[] = {
	X, DIMS("the dimension to reduce; none: all, in a row"), KEEPDIM, { NULL }
};

static const clef__term terms_variance[] = {
	X,
	DIMS(REDUCED),
	KEEPDIM,
	{ .name = "biased",
	  .kind = CLEF__TERM_FLAG,
	  .offset = offsetof(reduce_opts, biased),
	  .about = "divide by n, not by n - 1" },
	{ NULL },
};

static const clef__term terms_orders[] = {
	X,
	DIMS(REDUCED),
	KEEPDIM,
	{ .name = "p", .kind = CLEF__TERM_FLOAT, .offset = offsetof(reduce_opts, p), .about = "the order; 0: 2" },
	{ NULL },
};

/* ---- problems ---- */

/* From 7001 to 60x3x50 long enough for partial results: consecutive values, one result of every other value, scattered
 * dimensions. */
#define QUICK(op) op " x2x3x4 dims0,-1"
#define OTHERS(op, options)                                                                                            \
	op " x33" options, op " x2x3x4 dims1 keepdim" options, op " x257x33 dims0" options,                            \
		op " x33x257 dims1" options, op " x7001" options, op " x5000x2 dims0" options,                         \
		op " x60x3x50 dims0,2" options, op " x2x3x2x1x2x3x2x2 dims0,2,-3,7" options,                           \
		op " x2x2x2x2x2x2x2x3 dims1,3,5,7" options, op " x0x3 dims1" options
#define SUMS(op, options) op " x2x1x3x1x2x2x2x2 dims0,2,5,7" options, op " x1x1" options, op " x=scalar" options
#define NORMS(options)    OTHERS("norm", options)

static const char *const problems_sum[] = { QUICK("sum") " whole", QUICK("sum"), "sum x33",
					    /* Two blocks of columns, and a part of one. */
					    "sum x37x150 dims0", OTHERS("sum", " whole"), SUMS("sum", " whole"),
					    "sum x0x3 dims0" };
static const char *const problems_mean[] = { QUICK("mean"), OTHERS("mean", ""), SUMS("mean", "") };
static const char *const problems_var[] = { QUICK("var"), QUICK("var") " biased", OTHERS("var", ""),
					    OTHERS("var", " biased") };
static const char *const problems_std[] = { QUICK("std"), QUICK("std") " biased", OTHERS("std", ""),
					    OTHERS("std", " biased") };
static const char *const problems_norm[] = { QUICK("norm"),
					     QUICK("norm") " p1.5",
					     QUICK("norm") " p=inf",
					     QUICK("norm") " p1",
					     QUICK("norm") " p2",
					     QUICK("norm") " p3",
					     QUICK("norm") " p0.5",
					     QUICK("norm") " p-2",
					     QUICK("norm") " p=-inf",
					     NORMS(""),
					     NORMS(" p1"),
					     NORMS(" p2"),
					     NORMS(" p3"),
					     NORMS(" p1.5"),
					     NORMS(" p0.5"),
					     NORMS(" p-2"),
					     NORMS(" p=inf"),
					     NORMS(" p=-inf") };
static const char *const problems_max[] = { QUICK("max"), OTHERS("max", "") };
static const char *const problems_min[] = { QUICK("min"), OTHERS("min", "") };
static const char *const problems_logsumexp[] = { QUICK("logsumexp"), OTHERS("logsumexp", "") };

#define POSITIONS(op)                                                                                                  \
	op " x2x3x4 dims1 whole", op " x2x3x4", op " x33x257 dims0 whole", op " x33x257 dims-1 whole",                 \
		op " x33x257 dims1 keepdim", op " x7001 dims0 whole", op " x3x3001x2 dims1 whole",                     \
		op " x1500000 dims0 whole", op " x1500000", op " x60x3x50 keepdim whole", op " x0x3 dims1"

static const char *const problems_argmax[] = { POSITIONS("argmax") };
static const char *const problems_argmin[] = { POSITIONS("argmin") };

/* ---- families ---- */

#define FAMILY(name_, kind, operands, quick_ones)                                                                      \
	static clef_tensor *apply_##name_(clef_tensor *const *x, const void *opts)                                     \
	{                                                                                                              \
		return apply_##kind(clef_##name_, x[0], opts);                                                         \
	}                                                                                                              \
	static bool reference_##name_(const clef__ref *x, const void *opts, clef__ref *y)                              \
	{                                                                                                              \
		return reduce(of_##name_, x, opts, y);                                                                 \
	}                                                                                                              \
	const clef__family clef__family_##name_ = { .name = #name_,                                                    \
						    .terms = terms_##kind,                                             \
						    .setup = setup_##operands,                                         \
						    .apply = apply_##name_,                                            \
						    .reference = reference_##name_,                                    \
						    CLEF__PROBLEMS(problems_##name_, quick_ones) };

#define apply_position apply_plain

/* clang-format off */
FAMILY(sum, plain, sum, 3)
FAMILY(mean, plain, mean, 1)
FAMILY(max, plain, extreme, 1)
FAMILY(min, plain, extreme, 1)
FAMILY(argmax, position, position, 2)
FAMILY(argmin, position, position, 2)
FAMILY(var, variance, smooth, 2)
FAMILY(std, variance, smooth, 2)
FAMILY(norm, orders, norm, 3)
FAMILY(logsumexp, plain, smooth, 1)
/* clang-format on */
