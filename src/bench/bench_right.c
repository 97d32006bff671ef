/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what was timed is right. A reference that computes all of a large convolution would take minutes, so:
 *
 *   - Elements all over the result are compared with the reference in double precision, in each of many equal pieces a
 *     few at a place that is drawn; and all of them with those of another run, bit by bit.
 *   - With w the gradient of the result that was given, the gradients g of the operands foretell what moving the
 *     operands by d does to all of the result: <w, f(x + d) - f(x - d)> = 2 <g, d>. One d moves all elements, one a few
 *     of each operand, so that a single wrong gradient among them shows. Products and convolutions have no third
 *     derivatives, so for them d may be large and f is the device's own, whose values have just been checked; this also
 *     covers all elements of the result that the first check did not look at. Otherwise d is tiny and f the reference.
 */
#include <clef/bench.h>
#include <math.h>

#include "bench_op.h"
#include "operand.h"

enum { PIECES = 128, RUN = 4, MOST_PIECES = 4096, FEW = 64, SHORT = 64 };

#define FLOPS_TO_SPEND   1e8
#define SECONDS_TO_SPEND 5
#define STEP             1e-8 /* of the size of an operand: few values pass a kink on so short a way */
#define SIGMAS           8    /* errors of rounding are as good as independent */

static char *no_memory(clef_status *status)
{
	*status = CLEF_ERROR_MEMORY;
	return NULL;
}

static double mean_size(const float *v, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += fabs((double)v[i]);
	return n ? sum / (double)n : 0;
}

/* ---- values ---- */

/* The tolerances are for short sums. That of a long one errs by the roots of as many roundings. */
static double value_limit(const clef__bench_op *op)
{
	double limit = op->p.tolerance > 0 ? op->p.tolerance : CLEF__TOLERANCE;
	double flops = op->p.family->flops ? op->p.family->flops(&op->p) : 0;
	double terms = flops / (2 * (double)CLEF__MAX(clef_tensor_numel(op->y), 1));

	return limit * fmax(1, sqrt(terms / SHORT));
}

/* Compares elements from..to. */
static char *compare(clef__bench_op *op, const float *got, const clef__ref *y, double scale, int64_t from, int64_t to)
{
	double limit = value_limit(op);

	for (int64_t i = from; i < to; i++) {
		double want = y->v[i], error = fabs((double)got[i] - want) / fmax(fmax(fabs(want), scale), 1e-30);

		if ((double)got[i] == want || (isnan(want) && isnan(got[i])))
			continue;
		op->error = fmax(op->error, isnan(error) ? INFINITY : error / limit);
		if (!(error <= limit))
			return clef__format("y[%lld] is %.9g, expected %.9g, error %.2g", (long long)i, (double)got[i],
					    want, error);
	}
	return NULL;
}

/* Fills in all of y, or as much as the references of some families do at once. */
static bool reference(clef__bench_op *op, clef__ref *y, int64_t from, int64_t to)
{
	y->from = from;
	y->to = to;
	return op->p.family->reference(op->ref, op->p.opts, y);
}

/* A few elements at a place that is drawn in each piece of the result, and its ends. */
static int64_t place_in(int64_t numel, int64_t pieces, int64_t k, uint64_t *state)
{
	int64_t from = numel * k / pieces, to = numel * (k + 1) / pieces;
	double at = clef__draw_uniform(state, (double)from, (double)CLEF__MAX(to - RUN, from) + 1);

	if (k == 0 || k == pieces - 1)
		return k ? CLEF__MAX(numel - RUN, 0) : 0;
	return CLEF__MIN((int64_t)at, to - 1);
}

static char *compare_pieces(clef__bench_op *op, const float *got, clef__ref *y, clef_status *status)
{
	double scale = mean_size(got, y->numel), start = clef__seconds();
	double each = op->p.family->flops ? op->p.family->flops(&op->p) / (double)CLEF__MAX(y->numel, 1) : 1;
	int64_t pieces = (int64_t)CLEF__MIN(CLEF__MAX(FLOPS_TO_SPEND / (RUN * (each + 1)), PIECES), MOST_PIECES);
	uint64_t state = 1;
	char *wrong = NULL;

	pieces = CLEF__MAX(CLEF__MIN(pieces, y->numel / RUN), 1);
	for (int64_t k = 0; k < pieces && !wrong && !*status; k++) {
		int64_t at = place_in(y->numel, pieces, k, &state), to = CLEF__MIN(at + RUN, y->numel);
		bool all = false;

		if (!reference(op, y, at, to))
			*status = clef_error_status();
		/* Some references have to go through everything for any element: then they may compute all. */
		if (!*status && k == 0 && (clef__seconds() - start) * (double)pieces > SECONDS_TO_SPEND) {
			at = 0;
			to = y->numel;
			all = true;
			if (!reference(op, y, at, to))
				*status = clef_error_status();
		}
		if (!*status)
			wrong = compare(op, got, y, scale, at, to);
		if (all)
			break;
	}
	return wrong;
}

/* The result as it is now in new memory, or NULL. */
static float *read_result(clef__bench_op *op, clef_status *status)
{
	size_t size = sizeof(float) * (size_t)clef_tensor_numel(op->y);
	float *values = clef__calloc(size + 1, 1, "a result");

	if (!values)
		*status = CLEF_ERROR_MEMORY;
	else
		*status = clef_read(op->y, values, size);
	if (!*status)
		return values;
	free(values);
	return NULL;
}

char *clef__bench_check_values(clef__bench_op *op, clef_status *status)
{
	size_t size = sizeof(float) * (size_t)clef_tensor_numel(op->y);
	float *last = read_result(op, status), *again = NULL;
	clef__ref y = { 0 };
	char *wrong = NULL;

	if (last) {
		*status = clef__bench_forward(op);
		again = *status ? NULL : read_result(op, status);
	}
	if (again && memcmp(last, again, size) != 0)
		wrong = clef__strdup("two runs give different bits");
	else if (again && !clef__ref_new(clef_tensor_shape(op->y), &y))
		*status = clef_error_status();
	else if (again)
		wrong = compare_pieces(op, last, &y, status);
	free(last);
	free(again);
	free(y.v);
	return wrong;
}

/* ---- gradients ---- */

typedef struct direction {
	double *d[CLEF__OPERANDS];
	double foretold; /* 2 <g, d> */
	double seen;     /* <w, f(x + d) - f(x - d)> */
	double noise;    /* the square of what rounding may do to their difference */
	double scale;    /* the mean size of the result's elements */
} direction;

/* Moves all elements, or a few all over, of each operand that has a gradient. */
static bool draw(clef__bench_op *op, bool all, double step, direction *v)
{
	uint64_t state = all ? 7 : 11;

	for (int i = 0; i < op->p.operands; i++) {
		int64_t n = op->ref[i].numel, every = all ? 1 : CLEF__MAX(n / FEW, 1);
		double size = step * CLEF__MAX(fabs(op->p.in[i].lo), fabs(op->p.in[i].hi)) / 2;

		if (!clef__bench_has_gradient(op, i))
			continue;
		v->d[i] = clef__calloc((size_t)n + 1, sizeof(double), "a direction");
		if (!v->d[i])
			return false;
		for (int64_t k = 0; k < n; k += every) {
			int64_t at = k + (int64_t)clef__draw_uniform(&state, 0, (double)every);

			v->d[i][CLEF__MIN(at, n - 1)] = clef__draw_uniform(&state, 0, 1) < 0.5 ? -size : size;
		}
	}
	return true;
}

static clef_status foretell(clef__bench_op *op, direction *v)
{
	double limit = op->p.gradient_tolerance > 0 ? op->p.gradient_tolerance : CLEF__GRADIENT_TOLERANCE;
	clef_status s = CLEF_OK;

	for (int i = 0; i < op->p.operands && !s; i++) {
		int64_t n = op->ref[i].numel;
		float *g = v->d[i] ? clef__calloc((size_t)n + 1, sizeof(*g), "a gradient") : NULL;
		double scale;

		if (!v->d[i])
			continue;
		s = g ? clef_read(clef_grad(op->x[i]), g, (size_t)n * sizeof(*g)) : CLEF_ERROR_MEMORY;
		scale = s ? 0 : mean_size(g, n);
		for (int64_t k = 0; k < n && !s; k++) {
			double error = 2 * limit * fmax(fabs((double)g[k]), scale) * v->d[i][k];

			v->foretold += 2 * (double)g[k] * v->d[i][k];
			v->noise += error * error;
		}
		free(g);
	}
	return s;
}

/* The difference of two results, and what rounding to single precision does to it. */
static void take_difference(const clef__bench_op *op, direction *v, double up, double down, int64_t i, double rounding)
{
	double w = (double)op->weight[i], error;

	if (up == down)
		return;
	error = w * rounding * fmax(fmax(fabs(up), fabs(down)), v->scale);
	v->seen += w * (up - down);
	v->noise += 2 * error * error;
}

/* The device's results at x + sign d, in new memory; the direction becomes what it is after rounding. */
static float *device_at(clef__bench_op *op, direction *v, double sign, clef_status *status)
{
	for (int i = 0; i < op->p.operands && !*status; i++) {
		size_t n = (size_t)op->ref[i].numel;
		float *moved;

		if (!v->d[i])
			continue;
		moved = clef__calloc(n + 1, sizeof(*moved), "an operand");
		for (size_t k = 0; moved && k < n; k++)
			moved[k] = (float)(op->ref[i].v[k] + sign * v->d[i][k]);
		*status = moved ? clef_write(op->x[i], moved, n * sizeof(*moved)) : CLEF_ERROR_MEMORY;
		free(moved);
	}
	if (!*status)
		*status = clef__bench_forward(op);
	return *status ? NULL : read_result(op, status);
}

static clef_status see_on_device(clef__bench_op *op, direction *v)
{
	clef_status s = CLEF_OK, restored = CLEF_OK;
	float *up = device_at(op, v, 1, &s), *down = up ? device_at(op, v, -1, &s) : NULL;
	int64_t n = clef_tensor_numel(op->y);

	if (down) {
		v->scale = mean_size(up, n);
		for (int64_t i = 0; i < n; i++)
			take_difference(op, v, (double)up[i], (double)down[i], i, value_limit(op));
	}
	free(up);
	free(down);
	for (int i = 0; i < op->p.operands && !restored; i++)
		if (v->d[i])
			restored = clef_write(op->x[i], op->host[i], sizeof(float) * (size_t)op->ref[i].numel);
	return s ? s : restored;
}

static bool reference_at(clef__bench_op *op, const direction *v, double sign, clef__ref *y)
{
	bool fine;

	for (int i = 0; i < op->p.operands; i++)
		for (int64_t k = 0; v->d[i] && k < op->ref[i].numel; k++)
			op->ref[i].v[k] = (double)op->host[i][k] + sign * v->d[i][k];
	fine = reference(op, y, 0, y->numel);
	for (int i = 0; i < op->p.operands; i++)
		for (int64_t k = 0; v->d[i] && k < op->ref[i].numel; k++)
			op->ref[i].v[k] = (double)op->host[i][k];
	return fine;
}

static clef_status see_in_reference(clef__bench_op *op, direction *v)
{
	clef__ref up = { 0 }, down = { 0 };
	clef_shape shape = clef_tensor_shape(op->y);
	bool fine = clef__ref_new(shape, &up) && clef__ref_new(shape, &down) && reference_at(op, v, 1, &up) &&
		    reference_at(op, v, -1, &down);

	for (int64_t i = 0; i < up.numel && fine; i++)
		take_difference(op, v, up.v[i], down.v[i], i, 1e-15);
	free(up.v);
	free(down.v);
	return fine ? CLEF_OK : clef_error_status();
}

static char *check_direction(clef__bench_op *op, bool all, clef_status *status)
{
	bool products = clef__bench_trait_of(&op->p).products;
	direction v = { .foretold = 0 };
	char *wrong = NULL;
	double allowed, error;

	if (!draw(op, all, products ? 1 : STEP, &v))
		wrong = no_memory(status);
	if (!*status)
		*status = foretell(op, &v);
	if (!*status)
		*status = products ? see_on_device(op, &v) : see_in_reference(op, &v);
	allowed = SIGMAS * sqrt(v.noise);
	error = fabs(v.seen - v.foretold);
	if (!*status && allowed > 0)
		op->error = fmax(op->error, isnan(error) ? INFINITY : error / allowed);
	if (!*status && !(error <= allowed))
		wrong = clef__format("moving %s of the operands changes <w, y> by %.9g; the gradients say %.9g, and "
				     "rounding explains %.2g of the difference",
				     all ? "all elements" : "some elements", v.seen, v.foretold, allowed);
	for (int i = 0; i < op->p.operands; i++)
		free(v.d[i]);
	return wrong;
}

/* As foretold by what was timed: the second direction runs forward, which leaves the gradients alone. */
char *clef__bench_check_gradients(clef__bench_op *op, clef_status *status)
{
	char *wrong = check_direction(op, true, status);

	return wrong || *status ? wrong : check_direction(op, false, status);
}
