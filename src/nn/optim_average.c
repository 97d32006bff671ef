/* SPDX-License-Identifier: Apache-2.0 */
/* Moving averages of weights: one array beside the collated values, so that an update or an exchange is one launch. */
#include "optim_internal.h"

clef_average *clef_average_new(clef_params *params, float decay)
{
	const char *f = "clef_average_new";
	clef_average *average;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__left_out(decay))
		decay = 0.999f;
	if (clef__option_check(f, "decay", decay, CLEF__BELOW_ONE))
		return NULL;
	if (!params->values)
		return clef__fail_null(CLEF_ERROR_STATE, "%s: the parameters need clef_params_commit() first", f);
	average = clef__calloc(1, sizeof(*average), "averages of weights");
	if (!average)
		return NULL;
	average->decay = decay;
	average->params = params;
	clef__params_retain(params);
	average->values = clef_tensor_new(params->dev, CLEF_FLOAT32, params->values->shape);
	if (average->values)
		return average;
	clef_average_free(average);
	return NULL;
}

void clef_average_free(clef_average *average)
{
	if (!average)
		return;
	clef_tensor_free(average->values);
	clef__params_release(average->params);
	free(average);
}

clef_status clef_average_update(clef_average *average)
{
	clef_status s;

	if (!average)
		return clef__null_argument("clef_average_update");
	if (average->swapped)
		return clef__fail(CLEF_ERROR_STATE, "clef_average_update: the averages are in use as the values: call "
						    "clef_average_swap() first");
	if (average->started)
		s = clef__axpby(1.0f - average->decay, average->params->values, average->decay, average->values);
	else
		s = clef_copy(average->params->values, average->values);
	average->started = average->started || !s;
	return s;
}

bool clef_average_ready(const clef_average *average)
{
	return average && average->started;
}

clef_status clef_average_swap(clef_average *average)
{
	const clef_tensor *w;
	clef_status s;

	if (!average)
		return clef__null_argument("clef_average_swap");
	if (!average->started)
		return clef__fail(CLEF_ERROR_STATE, "clef_average_swap: there are no averages before the first "
						    "clef_average_update()");
	w = average->params->values;
	s = clef__launch(w->dev,
			 &(clef__launch_opts){
				 .program = "optim_average",
				 .kernel = "swap",
				 .label = "average_swap",
				 .global = { (size_t)w->numel },
				 .bytes = 16.0 * (double)w->numel,
				 .args = { CLEF__TENSOR(w), CLEF__TENSOR(average->values), CLEF__INT(w->numel) },
			 });
	if (!s)
		average->swapped = !average->swapped;
	return s;
}
