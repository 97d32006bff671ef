/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uniform, normal and constant fills: what every initializer comes down to. Values are drawn on the device, so that
 * initializing moves nothing over the bus. The stream advances only when the draw has been enqueued: an initializer
 * that failed can be called again and gives what it would have given.
 */
#include <float.h>
#include <math.h>

#include "init_internal.h"

clef_status clef__init_check(const char *what, const clef_tensor *x, const clef_rng *rng)
{
	if (!x)
		return clef__null_argument(what);
	if (!rng)
		return clef__fail(CLEF_ERROR_INVALID, "%s: rng is NULL, expected a stream of random numbers", what);
	if (x->dtype != CLEF_FLOAT32)
		return clef__fail(CLEF_ERROR_DTYPE, "%s: the tensor %s is %s, expected float32", what,
				  CLEF__SHAPE_TEXT(x->shape), clef_dtype_name(x->dtype));
	return CLEF_OK;
}

/* A device that has vectors wants them spelled out; elsewhere, and in an interpreter, they would only spill. */
clef_status clef__init_draw(const clef_tensor *x, clef_rng *rng, clef__launch_opts *opts)
{
	const bool vectors = clef_device_get_info(x->dev)->float_vector > 1;
	const size_t values = vectors ? 4096 : 4; /* of a work-item: VALUES * RUN in random.clh */
	clef_status status = CLEF_OK;

	if (!opts->program)
		opts->program = "random";
	opts->defines = vectors ? "#define PHILOX_WIDTH 16\n" : "#define PHILOX_WIDTH 1\n";
	opts->exact = true;
	opts->local[0] = vectors ? 1 : 0;
	opts->global[0] = ((size_t)x->numel + values - 1) / values;
	opts->bytes = 4.0 * (double)x->numel;
	if (x->buffer)
		status = clef__launch(x->dev, opts);
	if (!status)
		rng->counter++;
	return status;
}

clef_status clef_init_uniform(clef_tensor *x, float lo, float hi, clef_rng *rng)
{
	clef_status status = clef__init_check("clef_init_uniform", x, rng);

	if (status)
		return status;
	if (!(lo <= hi) || !isfinite(lo) || !isfinite(hi) || !isfinite(hi - lo))
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_init_uniform: bounds %g and %g, expected lo <= hi, both finite and at most %g "
				  "apart",
				  (double)lo, (double)hi, (double)FLT_MAX);
	return clef__init_draw(
		x, rng,
		&(clef__launch_opts){
			.kernel = "uniform",
			.args = { CLEF__TENSOR(x), CLEF__UINT(x->numel), CLEF__FLOAT(lo), CLEF__FLOAT(hi - lo),
				  CLEF__FLOAT(nextafterf(hi, lo)), CLEF__ULONG(rng->seed), CLEF__ULONG(rng->counter) },
		});
}

clef_status clef_init_normal(clef_tensor *x, float mean, float std, clef_rng *rng)
{
	clef_status status = clef__init_check("clef_init_normal", x, rng);

	if (status)
		return status;
	if (!isfinite(mean) || !isfinite(std) || std < 0)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_init_normal: mean %g and standard deviation %g, expected finite numbers, the "
				  "second one not negative",
				  (double)mean, (double)std);
	return clef__init_draw(x, rng,
			       &(clef__launch_opts){
				       .kernel = "normal",
				       .args = { CLEF__TENSOR(x), CLEF__UINT(x->numel), CLEF__FLOAT(mean),
						 CLEF__FLOAT(std), CLEF__ULONG(rng->seed), CLEF__ULONG(rng->counter) },
			       });
}

clef_status clef_init_constant(clef_tensor *x, float value)
{
	clef_status status = clef__init_check("clef_init_constant", x, &(clef_rng){ 0 });

	return status ? status : clef_fill(x, (double)value);
}
