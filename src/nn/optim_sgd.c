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

clef_optim *clef_sgd_new(clef_params *params, const clef_sgd_opts *opts)
{
	const char *f = "clef_sgd_new";
	clef_sgd_opts o = opts ? *opts : (clef_sgd_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-3f, CLEF__POSITIVE },
		{ "momentum", &o.momentum, 0.0f, CLEF__BELOW_ONE },
		{ "dampening", &o.dampening, 0.0f, CLEF__SHARE },
		{ "weight_decay", &o.weight_decay, 0.0f, CLEF__NON_NEGATIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	if (o.nesterov && (o.momentum == 0.0f || o.dampening != 0.0f))
		return clef__fail_null(
			CLEF_ERROR_INVALID,
			"%s: nesterov with momentum %g and dampening %g: it needs momentum > 0 and dampening 0", f,
			(double)o.momentum, (double)o.dampening);
	optim = clef__optim_new(params, o.momentum == 0.0f ? &sgd : &sgd_momentum,
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = o.decoupled,
						      .maximize = o.maximize });
	if (optim)
		optim->opts.sgd = o;
	return optim;
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

clef_optim *clef_lars_new(clef_params *params, const clef_lars_opts *opts)
{
	const char *f = "clef_lars_new";
	clef_lars_opts o = opts ? *opts : (clef_lars_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-3f, CLEF__POSITIVE },
		{ "momentum", &o.momentum, 0.9f, CLEF__BELOW_ONE },
		{ "trust", &o.trust, 1e-3f, CLEF__POSITIVE },
		{ "eps", &o.eps, 1e-8f, CLEF__POSITIVE },
		{ "weight_decay", &o.weight_decay, 0.0f, CLEF__NON_NEGATIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	optim = clef__optim_new(
		params, &lars,
		&(clef__optim_start){
			.function = f, .lr = o.lr, .weight_decay = o.weight_decay, .maximize = o.maximize });
	if (optim)
		optim->opts.lars = o;
	return optim;
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

clef_optim *clef_rprop_new(clef_params *params, const clef_rprop_opts *opts)
{
	const char *f = "clef_rprop_new";
	clef_rprop_opts o = opts ? *opts : (clef_rprop_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-2f, CLEF__POSITIVE },
		{ "eta_minus", &o.eta_minus, 0.5f, CLEF__INSIDE },
		{ "eta_plus", &o.eta_plus, 1.2f, CLEF__ABOVE_ONE },
		{ "step_min", &o.step_min, 1e-6f, CLEF__POSITIVE },
		{ "step_max", &o.step_max, 50.0f, CLEF__POSITIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	if (o.step_max < o.step_min)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: step_max is %g, must be >= step_min, which is %g", f,
				       (double)o.step_max, (double)o.step_min);
	optim = clef__optim_new(params, &rprop,
				&(clef__optim_start){ .function = f, .lr = o.lr, .maximize = o.maximize });
	if (optim)
		optim->opts.rprop = o;
	return optim;
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

clef_optim *clef_asgd_new(clef_params *params, const clef_asgd_opts *opts)
{
	const char *f = "clef_asgd_new";
	clef_asgd_opts o = opts ? *opts : (clef_asgd_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-2f, CLEF__POSITIVE },
		{ "lambd", &o.lambd, 1e-4f, CLEF__NON_NEGATIVE },
		{ "alpha", &o.alpha, 0.75f, CLEF__NON_NEGATIVE },
		{ "t0", &o.t0, 1e6f, CLEF__NON_NEGATIVE },
		{ "weight_decay", &o.weight_decay, 0.0f, CLEF__NON_NEGATIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	optim = clef__optim_new(params, &asgd,
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = o.decoupled,
						      .maximize = o.maximize });
	if (optim)
		optim->opts.asgd = o;
	return optim;
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

clef_optim *clef_lion_new(clef_params *params, const clef_lion_opts *opts)
{
	const char *f = "clef_lion_new";
	clef_lion_opts o = opts ? *opts : (clef_lion_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-4f, CLEF__POSITIVE },
		{ "beta1", &o.beta1, 0.9f, CLEF__BELOW_ONE },
		{ "beta2", &o.beta2, 0.99f, CLEF__BELOW_ONE },
		{ "weight_decay", &o.weight_decay, 0.0f, CLEF__NON_NEGATIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	optim = clef__optim_new(params, &lion,
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = true,
						      .maximize = o.maximize });
	if (optim)
		optim->opts.lion = o;
	return optim;
}
