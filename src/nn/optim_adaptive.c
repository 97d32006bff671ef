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

clef_optim *clef_adagrad_new(clef_params *params, const clef_adagrad_opts *opts)
{
	const char *f = "clef_adagrad_new";
	clef_adagrad_opts o = opts ? *opts : (clef_adagrad_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-2f, CLEF__POSITIVE },
		{ "lr_decay", &o.lr_decay, 0.0f, CLEF__NON_NEGATIVE },
		{ "accumulator", &o.accumulator, 0.0f, CLEF__NON_NEGATIVE },
		{ "eps", &o.eps, 1e-10f, CLEF__POSITIVE },
		{ "weight_decay", &o.weight_decay, 0.0f, CLEF__NON_NEGATIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	optim = clef__optim_new(params, &adagrad,
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = o.decoupled,
						      .maximize = o.maximize,
						      .fill = o.accumulator });
	if (optim)
		optim->opts.adagrad = o;
	return optim;
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

clef_optim *clef_adadelta_new(clef_params *params, const clef_adadelta_opts *opts)
{
	const char *f = "clef_adadelta_new";
	clef_adadelta_opts o = opts ? *opts : (clef_adadelta_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1.0f, CLEF__POSITIVE },
		{ "rho", &o.rho, 0.9f, CLEF__BELOW_ONE },
		{ "eps", &o.eps, 1e-6f, CLEF__POSITIVE },
		{ "weight_decay", &o.weight_decay, 0.0f, CLEF__NON_NEGATIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	optim = clef__optim_new(params, &adadelta,
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = o.decoupled,
						      .maximize = o.maximize });
	if (optim)
		optim->opts.adadelta = o;
	return optim;
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

clef_optim *clef_rmsprop_new(clef_params *params, const clef_rmsprop_opts *opts)
{
	const char *f = "clef_rmsprop_new";
	clef_rmsprop_opts o = opts ? *opts : (clef_rmsprop_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-2f, CLEF__POSITIVE },
		{ "alpha", &o.alpha, 0.99f, CLEF__BELOW_ONE },
		{ "eps", &o.eps, 1e-8f, CLEF__POSITIVE },
		{ "momentum", &o.momentum, 0.0f, CLEF__BELOW_ONE },
		{ "weight_decay", &o.weight_decay, 0.0f, CLEF__NON_NEGATIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	optim = clef__optim_new(params, &rmsprop[o.centered][o.momentum > 0.0f],
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = o.decoupled,
						      .maximize = o.maximize });
	if (optim)
		optim->opts.rmsprop = o;
	return optim;
}
