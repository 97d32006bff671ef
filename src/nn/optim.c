/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimizers. A rule is one row of `rules` and one kernel in cl/optim.cl: the kernel gets the values, the gradients,
 * the rule's state, the number of elements, and then the numbers that the row's function computes for the step. Values,
 * gradients and state are laid out alike, so one launch updates any range of parameters.
 *
 * A step covers the parameters that the last backward pass reached. Commonly that is all of them, in one launch.
 * Otherwise each unbroken run is a launch. Steps are counted for each parameter, as PyTorch does, because one that was
 * passed over is behind with its bias correction; a run therefore also ends where the count changes.
 */
#include <math.h>

#include "nn_internal.h"

#define MAX_STATES  4
#define MAX_NUMBERS (CLEF__MAX_ARGS - 3 - MAX_STATES)

typedef struct rule {
	const char *kernel;
	int states;     /* buffers of state */
	double streams; /* floats read or written for one element */
	/* Writes what the kernel takes in step t = 1, 2, ... and returns how many numbers that is. */
	int (*numbers)(const clef_optim *optim, int64_t t, float out[MAX_NUMBERS]);
} rule;

struct clef_optim {
	const rule *rule;
	clef_params *params;
	clef_tensor *state[MAX_STATES]; /* float32 [size] */
	int64_t *steps;                 /* made so far, of each parameter */
	float lr;
	union {
		clef_sgd_opts sgd;
		clef_adam_opts adam;
	} opts; /* as given, with defaults filled in; lr is above */
};

/* ---- rules ---- */

static int sgd_numbers(const clef_optim *optim, int64_t t, float out[MAX_NUMBERS])
{
	(void)t;
	out[0] = optim->lr;
	out[1] = optim->opts.sgd.weight_decay;
	return 2;
}

static int sgd_momentum_numbers(const clef_optim *optim, int64_t t, float out[MAX_NUMBERS])
{
	const clef_sgd_opts *o = &optim->opts.sgd;

	out[0] = optim->lr;
	out[1] = o->weight_decay;
	out[2] = o->momentum;
	out[3] = t == 1 ? 0.0f : o->momentum;
	out[4] = t == 1 ? 1.0f : 1.0f - o->dampening;
	out[5] = o->nesterov ? 1.0f : 0.0f;
	return 6;
}

static int adam_numbers(const clef_optim *optim, int64_t t, float out[MAX_NUMBERS])
{
	const clef_adam_opts *o = &optim->opts.adam;
	double beta1 = (double)o->beta1, beta2 = (double)o->beta2;

	out[0] = (float)((double)optim->lr / (1.0 - pow(beta1, (double)t)));
	out[1] = o->weight_decay;
	out[2] = o->beta1;
	out[3] = (float)(1.0 - beta1);
	out[4] = o->beta2;
	out[5] = (float)(1.0 - beta2);
	out[6] = o->eps;
	out[7] = (float)(1.0 / sqrt(1.0 - pow(beta2, (double)t)));
	return 8;
}

enum { SGD, SGD_MOMENTUM, ADAM };

static const rule rules[] = {
	[SGD] = { "sgd", 0, 3.0, sgd_numbers },
	[SGD_MOMENTUM] = { "sgd_momentum", 1, 5.0, sgd_momentum_numbers },
	[ADAM] = { "adam", 2, 7.0, adam_numbers },
};

/* ---- options ---- */

/* Fails unless low < value < high, with `closed` low <= value < high. NaN fails. */
static clef_status check(const char *function, const char *field, float value, float low, float high, bool closed)
{
	char upper[32] = "finite";

	if (isfinite(value) && (closed ? value >= low : value > low) && value < high)
		return CLEF_OK;
	if (isfinite(high))
		snprintf(upper, sizeof(upper), "< %g", (double)high);
	return clef__fail(CLEF_ERROR_INVALID, "%s: %s is %g, must be %s %g and %s", function, field, (double)value,
			  closed ? ">=" : ">", (double)low, upper);
}

static float or_default(float value, float preset)
{
	return value == 0.0f ? preset : value;
}

static clef_optim *new_optim(clef_params *params, const rule *r, float lr, const char *function)
{
	clef_optim *optim;

	if (!params->values)
		return clef__fail_null(CLEF_ERROR_STATE, "%s: the parameters need clef_params_commit() first",
				       function);
	if (!params->count)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: the set has no parameters", function);
	optim = clef__calloc(1, sizeof(*optim), "an optimizer");
	if (!optim)
		return NULL;
	optim->rule = r;
	optim->lr = lr;
	optim->params = params;
	clef__params_retain(params);
	optim->steps = clef__calloc((size_t)params->count, sizeof(*optim->steps), "an optimizer's step counts");
	if (!optim->steps)
		goto fail;
	for (int i = 0; i < r->states; i++) {
		optim->state[i] = clef_tensor_new(params->dev, CLEF_FLOAT32, params->values->shape);
		if (!optim->state[i] || clef_fill(optim->state[i], 0.0))
			goto fail;
	}
	return optim;
fail:
	clef_optim_free(optim);
	return NULL;
}

static clef_status check_sgd(const clef_sgd_opts *o)
{
	const char *f = "clef_sgd_new";
	clef_status s = check(f, "lr", o->lr, 0.0f, INFINITY, false);

	if (!s)
		s = check(f, "momentum", o->momentum, 0.0f, 1.0f, true);
	if (!s && !(o->dampening >= 0.0f && o->dampening <= 1.0f))
		s = clef__fail(CLEF_ERROR_INVALID, "%s: dampening is %g, must be >= 0 and <= 1", f,
			       (double)o->dampening);
	if (!s)
		s = check(f, "weight_decay", o->weight_decay, 0.0f, INFINITY, true);
	if (!s && o->nesterov && (o->momentum == 0.0f || o->dampening != 0.0f))
		s = clef__fail(CLEF_ERROR_INVALID,
			       "%s: nesterov with momentum %g and dampening %g: it needs momentum > 0 and dampening 0",
			       f, (double)o->momentum, (double)o->dampening);
	return s;
}

clef_optim *clef_sgd_new(clef_params *params, const clef_sgd_opts *opts)
{
	clef_sgd_opts o = opts ? *opts : (clef_sgd_opts){ .lr = 0.0f };
	clef_optim *optim;

	if (!params) {
		clef__null_argument("clef_sgd_new");
		return NULL;
	}
	o.lr = or_default(o.lr, 1e-3f);
	if (check_sgd(&o))
		return NULL;
	optim = new_optim(params, &rules[o.momentum == 0.0f ? SGD : SGD_MOMENTUM], o.lr, "clef_sgd_new");
	if (optim)
		optim->opts.sgd = o;
	return optim;
}

static clef_status check_adam(const clef_adam_opts *o)
{
	const char *f = "clef_adam_new";
	clef_status s = check(f, "lr", o->lr, 0.0f, INFINITY, false);

	if (!s)
		s = check(f, "beta1", o->beta1, 0.0f, 1.0f, false);
	if (!s)
		s = check(f, "beta2", o->beta2, 0.0f, 1.0f, false);
	if (!s)
		s = check(f, "eps", o->eps, 0.0f, INFINITY, false);
	if (!s)
		s = check(f, "weight_decay", o->weight_decay, 0.0f, INFINITY, true);
	return s;
}

clef_optim *clef_adam_new(clef_params *params, const clef_adam_opts *opts)
{
	clef_adam_opts o = opts ? *opts : (clef_adam_opts){ .lr = 0.0f };
	clef_optim *optim;

	if (!params) {
		clef__null_argument("clef_adam_new");
		return NULL;
	}
	o.lr = or_default(o.lr, 1e-3f);
	o.beta1 = or_default(o.beta1, 0.9f);
	o.beta2 = or_default(o.beta2, 0.999f);
	o.eps = or_default(o.eps, 1e-8f);
	if (check_adam(&o))
		return NULL;
	optim = new_optim(params, &rules[ADAM], o.lr, "clef_adam_new");
	if (optim)
		optim->opts.adam = o;
	return optim;
}

void clef_optim_free(clef_optim *optim)
{
	if (!optim)
		return;
	for (int i = 0; i < MAX_STATES; i++)
		clef_tensor_free(optim->state[i]);
	clef__params_release(optim->params);
	free(optim->steps);
	free(optim);
}

/* ---- a step ---- */

static bool wanted(const clef_tensor *w)
{
	return w->requires_grad && w->grad_fresh;
}

/* The end of the run that starts at parameter i: as long as they are updated and have made as many steps. */
static int run_end(const clef_optim *optim, int i)
{
	const clef_params *params = optim->params;
	int end = i + 1;

	while (end < params->count && wanted(params->list[end].w) && optim->steps[end] == optim->steps[i])
		end++;
	return end;
}

/* One launch over the parameters first to end - 1. */
static clef_status update(const clef_optim *optim, int first, int end)
{
	const clef_params *params = optim->params;
	const clef__param *last = &params->list[end - 1];
	int64_t offset = params->list[first].offset;
	int64_t n = last->offset + last->w->numel - offset;
	clef__launch_opts launch = {
		.program = "optim",
		.kernel = optim->rule->kernel,
		.global = { (size_t)n },
		.bytes = optim->rule->streams * sizeof(float) * (double)n,
		.args = { CLEF__BUFFER(params->values->buffer, offset), CLEF__BUFFER(params->grads->buffer, offset) },
	};
	float number[MAX_NUMBERS];
	int numbers = optim->rule->numbers(optim, optim->steps[first] + 1, number);
	clef__arg *arg = &launch.args[2];

	for (int i = 0; i < optim->rule->states; i++)
		*arg++ = (clef__arg)CLEF__BUFFER(optim->state[i]->buffer, offset);
	*arg++ = (clef__arg)CLEF__INT(n);
	for (int i = 0; i < numbers; i++)
		*arg++ = (clef__arg)CLEF__FLOAT(number[i]);
	return clef__launch(params->dev, &launch);
}

clef_status clef_optim_step(clef_optim *optim)
{
	const clef_params *params;
	int launches = 0;
	clef_status s = CLEF_OK;

	if (!optim)
		return clef__null_argument("clef_optim_step");
	params = optim->params;
	for (int i = 0, end; i < params->count && !s; i = end) {
		end = i + 1;
		if (!wanted(params->list[i].w))
			continue;
		end = run_end(optim, i);
		s = update(optim, i, end);
		for (int k = i; k < end && !s; k++)
			optim->steps[k]++;
		launches++;
	}
	if (!s && !launches)
		return clef__fail(
			CLEF_ERROR_STATE,
			"clef_optim_step: none of the %d parameters that require a gradient has got one since "
			"the last step: call clef_backward() on a loss that depends on them",
			params->count);
	for (int i = 0; i < params->count && !s; i++)
		params->list[i].w->grad_fresh = false;
	return s;
}

float clef_optim_get_lr(const clef_optim *optim)
{
	if (!optim)
		clef__null_argument("clef_optim_get_lr");
	return optim ? optim->lr : NAN;
}

clef_status clef_optim_set_lr(clef_optim *optim, float lr)
{
	clef_status s;

	if (!optim)
		return clef__null_argument("clef_optim_set_lr");
	s = check("clef_optim_set_lr", "lr", lr, 0.0f, INFINITY, false);
	if (!s)
		optim->lr = lr;
	return s;
}
