/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that go along the gradient or along its sign: their options, and the numbers of their steps. */
#include "optim_internal.h"

/* ---- SGD ---- */

static void no_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	(void)optim;
	(void)at;
	(void)k;
}

static void sgd_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_sgd_opts *o = &optim->opts.sgd;
	double momentum = (double)o->momentum, take = 1.0 - (double)o->dampening;
	bool first = at->t == 1 && !o->classical;
	double inner = o->classical ? at->lr : 1.0, outer = o->classical ? 1.0 : at->lr;

	k[0] = first ? 0.0f : o->momentum;
	k[1] = first ? 1.0f : (float)(take * inner);
	k[2] = o->nesterov ? (float)at->lr : 0.0f;
	k[3] = (float)(o->nesterov ? outer * momentum : outer);
}

static const clef__optim_rule sgd = { .name = "sgd", .numbers = no_numbers };
static const clef__optim_rule sgd_momentum = { .name = "sgd_momentum",
					       .state = { "momentum_buffer" },
					       .numbers = sgd_numbers };

static const clef__optim_rule *pick_sgd(const clef_optim_opts *opts, const char *function)
{
	const clef_sgd_opts *o = &opts->sgd;

	if (o->nesterov && (o->momentum == 0.0f || o->dampening != 0.0f))
		return clef__fail_null(
			CLEF_ERROR_INVALID,
			"%s: nesterov with momentum %g and dampening %g: it needs momentum > 0 and dampening 0",
			function, (double)o->momentum + 0.0, (double)o->dampening + 0.0);
	return o->momentum == 0.0f ? &sgd : &sgd_momentum;
}

const clef__optim_type clef__sgd = {
	CLEF__OPTIM_TYPE(sgd, SGD, sgd),
	.pick = pick_sgd,
	.field = { CLEF__OPTION(sgd, lr, POSITIVE, 1e-3f), CLEF__OPTION(sgd, momentum, BELOW_ONE, 0.0f),
		   CLEF__OPTION(sgd, dampening, SHARE, 0.0f), CLEF__WEIGHT_DECAY(sgd, 0.0f), CLEF__FLAG(sgd, nesterov),
		   CLEF__FLAG(sgd, classical), CLEF__FLAG(sgd, decoupled), CLEF__FLAG(sgd, maximize) },
};

clef_optim *clef_sgd_new(clef_params *params, const clef_sgd_opts *opts)
{
	return clef__optim_new(&clef__sgd, params, opts);
}

/* ---- LARS ---- */

static void lars_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_lars_opts *o = &optim->opts.lars;

	k[0] = (float)at->weight_decay;
	k[1] = o->momentum;
	k[2] = o->nesterov ? 1.0f : 0.0f;
	k[3] = o->nesterov ? o->momentum : 1.0f;
}

static const clef__optim_rule lars = { .name = "lars",
				       .state = { "momentum_buffer" },
				       .numbers = lars_numbers,
				       .own_decay = true,
				       .direction = "lars_direction" };

const clef__optim_type clef__lars = {
	CLEF__OPTIM_TYPE(lars, LARS, lars),
	.rule = &lars,
	.field = { CLEF__OPTION(lars, lr, POSITIVE, 1e-3f), CLEF__OPTION(lars, momentum, BELOW_ONE, 0.9f),
		   CLEF__OPTION(lars, trust, POSITIVE, 1e-3f), CLEF__OPTION(lars, eps, POSITIVE, 1e-8f),
		   CLEF__WEIGHT_DECAY(lars, 0.0f), CLEF__FLAG(lars, nesterov), CLEF__FLAG(lars, maximize) },
};

clef_optim *clef_lars_new(clef_params *params, const clef_lars_opts *opts)
{
	return clef__optim_new(&clef__lars, params, opts);
}

/* ---- Rprop ---- */

static void rprop_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_rprop_opts *o = &optim->opts.rprop;

	k[0] = o->eta_minus;
	k[1] = o->eta_plus;
	k[2] = o->step_min;
	k[3] = o->step_max;
	k[4] = at->t == 1 ? 1.0f : 0.0f;
}

static const clef__optim_rule rprop = { .name = "rprop", .state = { "prev", "step_size" }, .numbers = rprop_numbers };

static const clef__optim_rule *pick_rprop(const clef_optim_opts *opts, const char *function)
{
	const clef_rprop_opts *o = &opts->rprop;

	if (o->step_max < o->step_min)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: step_max is %g, must be >= step_min, which is %g",
				       function, (double)o->step_max, (double)o->step_min);
	return &rprop;
}

const clef__optim_type clef__rprop = {
	CLEF__OPTIM_TYPE(rprop, RPROP, rprop),
	.pick = pick_rprop,
	.field = { CLEF__OPTION(rprop, lr, POSITIVE, 1e-2f), CLEF__OPTION(rprop, eta_minus, INSIDE, 0.5f),
		   CLEF__OPTION(rprop, eta_plus, ABOVE_ONE, 1.2f), CLEF__OPTION(rprop, step_min, POSITIVE, 1e-6f),
		   CLEF__OPTION(rprop, step_max, POSITIVE, 50.0f), CLEF__FLAG(rprop, maximize) },
};

clef_optim *clef_rprop_new(clef_params *params, const clef_rprop_opts *opts)
{
	return clef__optim_new(&clef__rprop, params, opts);
}

/* ---- ASGD ---- */

static void asgd_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_asgd_opts *o = &optim->opts.asgd;
	double lambd = (double)o->lambd, before = (double)(at->t - 1);
	double eta = at->lr / pow(1.0 + lambd * at->lr * before, (double)o->alpha);

	k[0] = (float)(lambd * eta);
	k[1] = (float)eta;
	k[2] = (float)(1.0 / fmax(1.0, before - (double)o->t0));
}

static const clef__optim_rule asgd = { .name = "asgd", .state = { "ax" }, .numbers = asgd_numbers };

const clef__optim_type clef__asgd = {
	CLEF__OPTIM_TYPE(asgd, ASGD, asgd),
	.rule = &asgd,
	.field = { CLEF__OPTION(asgd, lr, POSITIVE, 1e-2f), CLEF__OPTION(asgd, lambd, NON_NEGATIVE, 1e-4f),
		   CLEF__OPTION(asgd, alpha, NON_NEGATIVE, 0.75f), CLEF__OPTION(asgd, t0, NON_NEGATIVE, 1e6f),
		   CLEF__WEIGHT_DECAY(asgd, 0.0f), CLEF__FLAG(asgd, decoupled), CLEF__FLAG(asgd, maximize) },
};

clef_optim *clef_asgd_new(clef_params *params, const clef_asgd_opts *opts)
{
	return clef__optim_new(&clef__asgd, params, opts);
}

/* ---- Lion ---- */

static void lion_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_lion_opts *o = &optim->opts.lion;

	(void)at;
	k[0] = o->beta1;
	k[1] = (float)(1.0 - (double)o->beta1);
	k[2] = o->beta2;
	k[3] = (float)(1.0 - (double)o->beta2);
}

static const clef__optim_rule lion = { .name = "lion", .state = { "exp_avg" }, .numbers = lion_numbers };

const clef__optim_type clef__lion = {
	CLEF__OPTIM_TYPE(lion, LION, lion),
	.decoupled = true,
	.rule = &lion,
	.field = { CLEF__OPTION(lion, lr, POSITIVE, 1e-4f), CLEF__OPTION(lion, beta1, BELOW_ONE, 0.9f),
		   CLEF__OPTION(lion, beta2, BELOW_ONE, 0.99f), CLEF__WEIGHT_DECAY(lion, 0.0f),
		   CLEF__FLAG(lion, maximize) },
};

clef_optim *clef_lion_new(clef_params *params, const clef_lion_opts *opts)
{
	return clef__optim_new(&clef__lion, params, opts);
}
