/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step needs norms for: clipping, the check for NaN and infinity, and the ratios of LARS and LAMB. The norms
 * stay on the device, where the update reads what follows from them.
 */
#include "optim_internal.h"

#define CONTROLS 4 /* CONTROL_... of cl/optim.clh */

enum { NORM = 2, BAD = 3 };

/* ---- launches ---- */

size_t clef__optim_finish_size(const clef_optim *optim)
{
	const clef_device_info *info = clef_device_get_info(optim->params->dev);
	size_t most = info->kind == CLEF_DEVICE_CPU ? 16 : 256, size = 1; /* barriers are dear on a CPU */

	while (2 * size <= CLEF__MIN(most, info->max_work_group))
		size *= 2;
	return size;
}

static clef_status measure(clef_optim *optim, const clef__optim_span *span, const char *label, const char *defines,
			   int streams)
{
	const clef_params *params = optim->params;
	int chunk = optim->first_chunk[span->first], count = optim->first_chunk[span->end] - chunk;
	const clef_tensor *state[2];
	clef__launch_opts launch = {
		.program = "optim_norm",
		.defines = defines,
		.kernel = "measure",
		.label = label,
		.global = { (size_t)count },
		.long_items = true,
		.bytes = 4.0 * streams * (double)params->numel,
	};
	clef__arg *arg = launch.args;

	if (!optim->sums) {
		optim->sums = clef__buffer_new_whole(params->dev, sizeof(float) * CLEF__PARTS * (size_t)optim->chunks);
		if (!optim->sums)
			return clef_error_status();
	}
	for (int i = 0; i < 2; i++)
		state[i] = optim->state[i] ? optim->state[i] : params->values;
	*arg++ = (clef__arg)CLEF__BUFFER(params->values->buffer, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(params->grads->buffer, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(state[0]->buffer, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(state[1]->buffer, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->control ? optim->control : optim->map, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->map, optim->blocks + chunk);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->sums, 0);
	*arg++ = (clef__arg)CLEF__INT(count);
	clef__optim_numbers(optim, span, 0, arg);
	return clef__launch(params->dev, &launch);
}

/* ---- clipping and the check ---- */

clef_status clef__optim_measure_gradient(clef_optim *optim, const clef__optim_span *span)
{
	int count = optim->first_chunk[span->end] - optim->first_chunk[span->first];
	size_t size = clef__optim_finish_size(optim);
	char defines[96];
	clef_status s;

	/* Neither the factor nor the direction are known yet. */
	snprintf(defines, sizeof(defines), "%s%s", span->table ? "#define TABLE\n" : "",
		 optim->gradient.clip_value > 0.0f ? "#define CLIP_VALUE\n" : "");
	s = measure(optim, span, "gradient_norm", defines, 1);
	if (s)
		return s;
	optim->measured = true;
	return clef__launch(
		optim->params->dev,
		&(clef__launch_opts){
			.program = "optim_norm",
			.defines = defines,
			.kernel = "finish_gradient",
			.global = { size },
			.local = { size },
			.args = { CLEF__BUFFER(optim->sums, 0), CLEF__BUFFER(optim->control, 0),
				  CLEF__LOCAL(size * sizeof(float)), CLEF__INT(count),
				  CLEF__FLOAT(optim->gradient.clip_norm), CLEF__INT(optim->gradient.nonfinite) },
		});
}

static bool controlled(const clef_gradient_opts *o)
{
	return o->clip_norm > 0.0f || o->nonfinite != CLEF_NONFINITE_IGNORE;
}

clef_status clef_optim_gradients(clef_optim *optim, const clef_gradient_opts *opts)
{
	const char *f = "clef_optim_gradients";
	static const float zeros[CONTROLS];
	clef_gradient_opts o = opts ? *opts : (clef_gradient_opts){ .scale = 1.0f };
	clef_status s;

	if (!optim)
		return clef__null_argument(f);
	if (clef__left_out(o.scale))
		o.scale = 1.0f;
	s = clef__option_check(f, "scale", o.scale, CLEF__POSITIVE);
	if (!s)
		s = clef__option_check(f, "clip_value", o.clip_value, CLEF__NON_NEGATIVE);
	if (!s)
		s = clef__option_check(f, "clip_norm", o.clip_norm, CLEF__NON_NEGATIVE);
	if (!s && (o.nonfinite < CLEF_NONFINITE_IGNORE || o.nonfinite > CLEF_NONFINITE_STOP))
		s = clef__fail(CLEF_ERROR_INVALID, "%s: nonfinite is %d, must be 0 to %d", f, (int)o.nonfinite,
			       (int)CLEF_NONFINITE_STOP);
	if (s)
		return s;
	if (controlled(&o) && !optim->control) {
		clef__buffer *control = clef__buffer_new_whole(optim->params->dev, sizeof(zeros));

		s = control ? clef__buffer_write(control, 0, zeros, sizeof(zeros)) : clef_error_status();
		if (s) {
			clef__buffer_release(control);
			return s;
		}
		optim->control = control;
	} else if (!controlled(&o)) {
		clef__buffer_release(optim->control);
		optim->control = NULL;
		optim->measured = false;
	}
	optim->gradient = o;
	return CLEF_OK;
}

double clef_optim_grad_norm(const clef_optim *optim)
{
	float norm;

	if (!optim) {
		clef__null_argument("clef_optim_grad_norm");
		return NAN;
	}
	if (!optim->measured) {
		clef__fail(CLEF_ERROR_STATE,
			   "clef_optim_grad_norm: no norm has been taken: call clef_optim_gradients() with clip_norm "
			   "or nonfinite, and make a step");
		return NAN;
	}
	if (clef__buffer_read(optim->control, sizeof(float) * NORM, &norm, sizeof(norm)))
		return NAN;
	return (double)norm;
}

clef_status clef_optim_check(clef_optim *optim)
{
	float bad;
	clef_status s;

	if (!optim)
		return clef__null_argument("clef_optim_check");
	if (optim->gradient.nonfinite == CLEF_NONFINITE_IGNORE)
		return clef__fail(CLEF_ERROR_STATE,
				  "clef_optim_check: gradients are not checked: call clef_optim_gradients() with "
				  "CLEF_NONFINITE_SKIP or CLEF_NONFINITE_STOP");
	s = clef__buffer_read(optim->control, sizeof(float) * BAD, &bad, sizeof(bad));
	if (s || bad == 0.0f)
		return s;
	s = clef__buffer_write(optim->control, sizeof(float) * BAD, &(float){ 0.0f }, sizeof(float));
	return s ? s
		 : clef__fail(CLEF_ERROR_STATE,
			      "clef_optim_check: %.0f step%s had NaN or infinity in the gradients and %s left out",
			      (double)bad, bad == 1.0f ? "" : "s",
			      optim->gradient.nonfinite == CLEF_NONFINITE_STOP ? "with all after were"
			      : bad == 1.0f                                    ? "was"
									       : "were");
}

/* ---- ratios ---- */

clef_status clef__optim_measure_ratio(clef_optim *optim, const clef__optim_span *span)
{
	const clef_lars_opts *lars = optim->rule->own_decay && !optim->rule->state[1] ? &optim->opts.lars : NULL;
	size_t size = clef__optim_finish_size(optim);
	clef__launch_opts launch = {
		.program = "optim_norm",
		.defines = span->defines,
		.kernel = "finish_ratio",
		.global = { size * (size_t)(span->end - span->first) },
		.local = { size },
		.args = { CLEF__BUFFER(optim->sums, 0) },
	};
	clef__arg *arg = launch.args;
	clef_status s = measure(optim, span, "norms", span->defines, lars ? 2 : 4);

	if (s)
		return s;
	*arg++ = (clef__arg)CLEF__BUFFER(optim->sums, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->map, optim->blocks + optim->chunks + 1);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->ratios, 0);
	*arg++ = (clef__arg)CLEF__LOCAL(size * sizeof(float));
	*arg++ = (clef__arg)CLEF__INT(span->first);
	*arg++ = (clef__arg)CLEF__INT(optim->first_chunk[span->first]);
	*arg++ = (clef__arg)CLEF__INT(lars ? 1 : 0);
	*arg++ = (clef__arg)CLEF__FLOAT(lars ? lars->trust : 1.0f);
	*arg++ = (clef__arg)CLEF__FLOAT(lars ? lars->eps : 0.0f);
	clef__optim_numbers(optim, span, 0, arg);
	return clef__launch(optim->params->dev, &launch);
}
