/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draws on the device that are no initializers: exponential values, zeros and ones, integers. Their parameters are
 * checked here for the host's draws too.
 */
#include <float.h>
#include <math.h>

#include "init_internal.h"

clef_status clef__random_rate_check(const char *what, float rate)
{
	/* Values reach from 2.3e-10 / rate to 22.2 / rate, and none of them is to be subnormal or infinite. */
	if (!(rate >= 1e-36f) || !(rate <= 1e27f))
		return clef__fail(CLEF_ERROR_INVALID, "%s: rate %g, expected a number from 1e-36 to 1e27", what,
				  (double)rate);
	return CLEF_OK;
}

clef_status clef__random_share_check(const char *what, float p)
{
	if (!(p >= 0) || !(p <= 1))
		return clef__fail(CLEF_ERROR_INVALID, "%s: probability %g, expected a number from 0 to 1", what,
				  (double)p);
	return CLEF_OK;
}

clef_status clef__random_int_check(const char *what, int64_t lo, int64_t hi)
{
	if (lo < INT32_MIN || hi > (int64_t)INT32_MAX + 1 || lo >= hi)
		return clef__fail(CLEF_ERROR_INVALID, "%s: bounds %lld and %lld, expected -2^31 <= lo < hi <= 2^31",
				  what, (long long)lo, (long long)hi);
	return CLEF_OK;
}

clef_status clef_random_exponential(clef_tensor *x, float rate, clef_rng *rng)
{
	clef_status status = clef__init_check("clef_random_exponential", x, rng);

	if (!status)
		status = clef__random_rate_check("clef_random_exponential", rate);
	if (status)
		return status;
	return clef__init_draw(x, rng,
			       &(clef__launch_opts){
				       .program = "random_kinds",
				       .kernel = "exponential",
				       .args = { CLEF__TENSOR(x), CLEF__UINT(x->numel), CLEF__FLOAT(0.5 / (double)rate),
						 CLEF__ULONG(rng->seed), CLEF__ULONG(rng->counter) },
			       });
}

clef_status clef_random_bernoulli(clef_tensor *x, float p, clef_rng *rng)
{
	clef_status status = clef__init_check("clef_random_bernoulli", x, rng);

	if (!status)
		status = clef__random_share_check("clef_random_bernoulli", p);
	if (status)
		return status;
	return clef__init_draw(x, rng,
			       &(clef__launch_opts){
				       .program = "random_kinds",
				       .kernel = "bernoulli",
				       .args = { CLEF__TENSOR(x), CLEF__UINT(x->numel), CLEF__FLOAT(p),
						 CLEF__ULONG(rng->seed), CLEF__ULONG(rng->counter) },
			       });
}

clef_status clef_random_int(clef_tensor *x, int64_t lo, int64_t hi, clef_rng *rng)
{
	const uint32_t range = (uint32_t)((uint64_t)hi - (uint64_t)lo);
	const uint32_t excess = range ? (0u - range) % range : 0;
	clef_status status;

	if (!x)
		return clef__null_argument("clef_random_int");
	if (!rng)
		return clef__fail(CLEF_ERROR_INVALID, "clef_random_int: rng is NULL, expected a stream of random "
						      "numbers");
	if (x->dtype != CLEF_INT32)
		return clef__fail(CLEF_ERROR_DTYPE, "clef_random_int: the tensor %s is %s, expected int32",
				  CLEF__SHAPE_TEXT(x->shape), clef_dtype_name(x->dtype));
	status = clef__random_int_check("clef_random_int", lo, hi);
	if (status)
		return status;
	return clef__init_draw(
		x, rng,
		&(clef__launch_opts){
			.program = "random_kinds",
			.kernel = "integers",
			.args = { CLEF__TENSOR(x), CLEF__UINT(x->numel), CLEF__UINT((uint64_t)lo), CLEF__UINT(range),
				  CLEF__UINT(excess), CLEF__ULONG(rng->seed), CLEF__ULONG(rng->counter) },
		});
}
