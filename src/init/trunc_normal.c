/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normal values within bounds: what to propose, worked out here in double, for the sampler that host and device share.
 *
 * In standard deviations from the mean the bounds are alpha and beta. With the mean between them, normal values are
 * proposed if the bounds are more than sqrt(2 pi) apart, else uniform ones, which are then accepted more often. With
 * both bounds on one side of the mean, proposals are uniform, or begin at the nearer bound and fall off exponentially,
 * at the rate lambda that Robert (1995) found best; again, those that are accepted more often. Bounds below the mean
 * are mirrored: base is then the upper one, and the slope negative.
 */
#include <float.h>
#include <math.h>

#include "init_internal.h"
#include "trunc_normal.clh"

/* -2 ln of the density, relative to its maximum within the bounds, at alpha + u width: accepted are the u where a
 * random number's -2 ln exceeds that. */
static void propose_uniform(trunc_normal *t, double alpha, double width, double std)
{
	t->method = TRUNC_NORMAL_UNIFORM;
	t->a = (float)(width * width);
	t->b = (float)(2 * alpha * width);
	t->c = alpha < 0 ? (float)(alpha * alpha) : 0;
	t->slope = (float)(width * std);
}

/* The value is alpha + e / (2 lambda), e = -2 ln u, in standard deviations. Its density is to that proposed as
 * exp(-(value - lambda)^2 / 2), and alpha - lambda is -2 / (alpha + sqrt(alpha^2 + 4)). */
static void propose_beyond(trunc_normal *t, double alpha, double width, double std)
{
	const double sum = alpha + sqrt(alpha * alpha + 4), lambda = sum / 2, below = -2 / sum;

	if (width * lambda <= exp(below * below / 2)) {
		propose_uniform(t, alpha, width, std);
		return;
	}
	t->method = TRUNC_NORMAL_EXPONENTIAL;
	t->a = (float)(0.5 / lambda);
	t->b = (float)below;
	t->slope = (float)(0.5 / lambda * std);
}

static clef_status plan(const char *what, float mean, float std, float lo, float hi, trunc_normal *t)
{
	const double alpha = ((double)lo - (double)mean) / (double)std,
		     beta = ((double)hi - (double)mean) / (double)std;

	if (!isfinite(mean) || !isfinite(std) || !(std > 0))
		return clef__fail(CLEF_ERROR_INVALID,
				  "%s: mean %g and standard deviation %g, expected finite numbers, the second one "
				  "above 0",
				  what, (double)mean, (double)std);
	if (!(lo <= hi) || lo == INFINITY || hi == -INFINITY)
		return clef__fail(CLEF_ERROR_INVALID, "%s: bounds %g and %g, expected lo <= hi", what, (double)lo,
				  (double)hi);
	*t = (trunc_normal){ .base = mean, .slope = std, .lo = lo, .hi = hi };
	t->rest = mean < lo ? lo : mean > hi ? hi : mean;
	if (alpha > 0) {
		t->base = lo;
		propose_beyond(t, alpha, beta - alpha, (double)std);
	} else if (beta < 0) {
		t->base = hi;
		propose_beyond(t, -beta, beta - alpha, (double)std);
		t->slope = -t->slope;
	} else if (beta - alpha < sqrt(2 * 3.14159265358979323846)) {
		t->base = lo;
		propose_uniform(t, alpha, beta - alpha, (double)std);
	}
	if (!isfinite(t->slope))
		return clef__fail(CLEF_ERROR_INVALID, "%s: bounds %g and %g, expected numbers at most %g apart", what,
				  (double)lo, (double)hi, (double)FLT_MAX);
	return CLEF_OK;
}

clef_status clef_rng_trunc_normal(clef_rng *rng, float *values, size_t n, float mean, float std, float lo, float hi)
{
	trunc_normal t;
	clef_status status = plan("clef_rng_trunc_normal", mean, std, lo, hi, &t);
	float x[4];

	if (status)
		return status;
	for (size_t i = 0; i < n; i += 4) {
		const uint64_t block = i / 4;

		trunc_normal_block(x, t, (uint32_t)block, (uint32_t)(block >> 32), rng->seed, rng->counter);
		memcpy(values + i, x, CLEF__MIN(n - i, 4) * sizeof(*x));
	}
	rng->counter++;
	return CLEF_OK;
}

clef_status clef_init_trunc_normal(clef_tensor *x, float mean, float std, float lo, float hi, clef_rng *rng)
{
	clef_status status = clef__init_check("clef_init_trunc_normal", x, rng);
	trunc_normal t;

	if (!status)
		status = plan("clef_init_trunc_normal", mean, std, lo, hi, &t);
	if (status)
		return status;
	return clef__init_draw(
		x, rng,
		&(clef__launch_opts){
			.program = "trunc_normal",
			.kernel = "trunc_normal_fill",
			.args = { CLEF__TENSOR(x), CLEF__UINT(x->numel), CLEF__INT(t.method), CLEF__FLOAT(t.base),
				  CLEF__FLOAT(t.slope), CLEF__FLOAT(t.a), CLEF__FLOAT(t.b), CLEF__FLOAT(t.c),
				  CLEF__FLOAT(t.lo), CLEF__FLOAT(t.hi), CLEF__FLOAT(t.rest), CLEF__ULONG(rng->seed),
				  CLEF__ULONG(rng->counter) },
		});
}
