/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that divide by the size that gradients had so far, without Adam's bias correction. */
#include "optim_internal.h"

/* ---- Adagrad ---- */

static void adagrad_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_adagrad_opts *o = &optim->opts.adagrad;

	k[0] = (float)(at->lr / (1.0 + (double)(at->t - 1) * (double)o->lr_decay));
	k[1] = o->eps;
}

static const clef__optim_rule adagrad = { .name = "adagrad", .state = { "sum" }, .numbers = adagrad_numbers };

const clef__optim_type clef__adagrad = {
	CLEF__OPTIM_TYPE(adagrad, ADAGRAD, adagrad),
	.rule = &adagrad,
	.field = { CLEF__OPTION(adagrad, lr, POSITIVE, 1e-2f), CLEF__OPTION(adagrad, lr_decay, NON_NEGATIVE, 0.0f),
		   CLEF__OPTION(adagrad, accumulator, NON_NEGATIVE, 0.0f), CLEF__OPTION(adagrad, eps, POSITIVE, 1e-10f),
		   CLEF__WEIGHT_DECAY(adagrad, 0.0f), CLEF__FLAG(adagrad, decoupled), CLEF__FLAG(adagrad, maximize) },
};

clef_optim *clef_adagrad_new(clef_params *params, const clef_adagrad_opts *opts)
{
	return clef__optim_new(&clef__adagrad, params, opts);
}

/* ---- Adadelta ---- */

static void adadelta_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_adadelta_opts *o = &optim->opts.adadelta;

	(void)at;
	k[0] = o->rho;
	k[1] = (float)(1.0 - (double)o->rho);
	k[2] = o->eps;
}

static const clef__optim_rule adadelta = { .name = "adadelta",
					   .state = { "square_avg", "acc_delta" },
					   .numbers = adadelta_numbers };

const clef__optim_type clef__adadelta = {
	CLEF__OPTIM_TYPE(adadelta, ADADELTA, adadelta),
	.rule = &adadelta,
	.field = { CLEF__OPTION(adadelta, lr, POSITIVE, 1.0f), CLEF__OPTION(adadelta, rho, BELOW_ONE, 0.9f),
		   CLEF__OPTION(adadelta, eps, POSITIVE, 1e-6f), CLEF__WEIGHT_DECAY(adadelta, 0.0f),
		   CLEF__FLAG(adadelta, decoupled), CLEF__FLAG(adadelta, maximize) },
};

clef_optim *clef_adadelta_new(clef_params *params, const clef_adadelta_opts *opts)
{
	return clef__optim_new(&clef__adadelta, params, opts);
}

/* ---- RMSprop ---- */

static void rmsprop_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_rmsprop_opts *o = &optim->opts.rmsprop;

	(void)at;
	k[0] = o->alpha;
	k[1] = (float)(1.0 - (double)o->alpha);
	k[2] = o->eps;
	k[3] = o->momentum;
}

static const clef__optim_rule rmsprop[2][2] = {
	{ { .name = "rmsprop", .state = { "square_avg" }, .numbers = rmsprop_numbers },
	  { .name = "rmsprop_momentum", .state = { "square_avg", "momentum_buffer" }, .numbers = rmsprop_numbers } },
	{ { .name = "rmsprop_centered", .state = { "square_avg", "grad_avg" }, .numbers = rmsprop_numbers },
	  { .name = "rmsprop_centered_momentum",
	    .state = { "square_avg", "grad_avg", "momentum_buffer" },
	    .numbers = rmsprop_numbers } },
};

static const clef__optim_rule *pick_rmsprop(const clef_optim_opts *o, const char *function)
{
	(void)function;
	return &rmsprop[o->rmsprop.centered][o->rmsprop.momentum > 0.0f];
}

const clef__optim_type clef__rmsprop = {
	CLEF__OPTIM_TYPE(rmsprop, RMSPROP, rmsprop),
	.pick = pick_rmsprop,
	.field = { CLEF__OPTION(rmsprop, lr, POSITIVE, 1e-2f), CLEF__OPTION(rmsprop, alpha, BELOW_ONE, 0.99f),
		   CLEF__OPTION(rmsprop, eps, POSITIVE, 1e-8f), CLEF__OPTION(rmsprop, momentum, BELOW_ONE, 0.0f),
		   CLEF__WEIGHT_DECAY(rmsprop, 0.0f), CLEF__FLAG(rmsprop, centered), CLEF__FLAG(rmsprop, decoupled),
		   CLEF__FLAG(rmsprop, maximize) },
};

clef_optim *clef_rmsprop_new(clef_params *params, const clef_rmsprop_opts *opts)
{
	return clef__optim_new(&clef__rmsprop, params, opts);
}
