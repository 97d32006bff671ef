/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adam and its relatives. All share the numbers of Adam: the betas and what they lack to 1, the rate with the bias
 * correction of the mean, the correction of the square, eps; each changes some of them or adds an eighth.
 */
#include "optim_internal.h"

enum { RATE = 4, SCALE = 5, EIGHTH = 7 };

static void adam_like(const clef__optim_at *at, float beta1, float beta2, float eps, float k[CLEF__NUMBERS])
{
	k[0] = beta1;
	k[1] = (float)(1.0 - (double)beta1);
	k[2] = beta2;
	k[3] = (float)(1.0 - (double)beta2);
	k[RATE] = (float)(at->lr / (1.0 - pow((double)beta1, (double)at->t)));
	k[SCALE] = (float)(1.0 / sqrt(1.0 - pow((double)beta2, (double)at->t)));
	k[6] = eps;
}

/* ---- Adam, AdamW ---- */

static void adam_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_adam_opts *o = &optim->opts.adam;

	adam_like(at, o->beta1, o->beta2, o->eps, k);
}

static const clef__optim_rule adam = { .name = "adam", .state = { "exp_avg", "exp_avg_sq" }, .numbers = adam_numbers };
static const clef__optim_rule adam_amsgrad = { .name = "adam_amsgrad",
					       .state = { "exp_avg", "exp_avg_sq", "max_exp_avg_sq" },
					       .numbers = adam_numbers };

static clef_optim *new_adam(const char *f, clef_params *params, const clef_adam_opts *opts, float weight_decay,
			    bool decoupled)
{
	clef_adam_opts o = opts ? *opts : (clef_adam_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-3f, CLEF__POSITIVE },
		{ "beta1", &o.beta1, 0.9f, CLEF__BELOW_ONE },
		{ "beta2", &o.beta2, 0.999f, CLEF__BELOW_ONE },
		{ "eps", &o.eps, 1e-8f, CLEF__POSITIVE },
		{ "weight_decay", &o.weight_decay, weight_decay, CLEF__NON_NEGATIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	optim = clef__optim_new(params, o.amsgrad ? &adam_amsgrad : &adam,
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = o.decoupled || decoupled,
						      .maximize = o.maximize });
	if (optim)
		optim->opts.adam = o;
	return optim;
}

clef_optim *clef_adam_new(clef_params *params, const clef_adam_opts *opts)
{
	return new_adam("clef_adam_new", params, opts, 0.0f, false);
}

clef_optim *clef_adamw_new(clef_params *params, const clef_adam_opts *opts)
{
	return new_adam("clef_adamw_new", params, opts, 1e-2f, true);
}

/* ---- Adamax ---- */

static void adamax_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_adamax_opts *o = &optim->opts.adamax;

	adam_like(at, o->beta1, o->beta2, o->eps, k);
	k[3] = o->eps;
}

static const clef__optim_rule adamax = { .name = "adamax",
					 .state = { "exp_avg", "exp_inf" },
					 .numbers = adamax_numbers };

clef_optim *clef_adamax_new(clef_params *params, const clef_adamax_opts *opts)
{
	const char *f = "clef_adamax_new";
	clef_adamax_opts o = opts ? *opts : (clef_adamax_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 2e-3f, CLEF__POSITIVE },
		{ "beta1", &o.beta1, 0.9f, CLEF__BELOW_ONE },
		{ "beta2", &o.beta2, 0.999f, CLEF__BELOW_ONE },
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
	optim = clef__optim_new(params, &adamax,
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = o.decoupled,
						      .maximize = o.maximize });
	if (optim)
		optim->opts.adamax = o;
	return optim;
}

/* ---- NAdam ---- */

static double nadam_momentum(const clef_nadam_opts *o, int64_t t)
{
	return (double)o->beta1 * (1.0 - 0.5 * pow(0.96, (double)t * (double)o->momentum_decay));
}

/* The product of the momenta up to step t. Most often a step asks for one more; where it starts over, that ends when
 * the product does not matter any more. */
static double nadam_product(clef_optim *optim, int64_t t)
{
	clef__optim_product *p = &optim->product;

	if (p->t == 0 || p->t > t)
		*p = (clef__optim_product){ 0, 1.0 };
	while (p->t < t && p->value > 1e-20)
		p->value *= nadam_momentum(&optim->opts.nadam, ++p->t);
	return p->value;
}

static void nadam_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_nadam_opts *o = &optim->opts.nadam;
	double mu = nadam_momentum(o, at->t), next = nadam_momentum(o, at->t + 1);
	double product = nadam_product(optim, at->t);

	adam_like(at, o->beta1, o->beta2, o->eps, k);
	k[RATE] = (float)(at->lr * (1.0 - mu) / (1.0 - product));
	k[EIGHTH] = (float)(at->lr * next / (1.0 - product * next));
}

static const clef__optim_rule nadam = { .name = "nadam",
					.state = { "exp_avg", "exp_avg_sq" },
					.numbers = nadam_numbers };

clef_optim *clef_nadam_new(clef_params *params, const clef_nadam_opts *opts)
{
	const char *f = "clef_nadam_new";
	clef_nadam_opts o = opts ? *opts : (clef_nadam_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 2e-3f, CLEF__POSITIVE },
		{ "beta1", &o.beta1, 0.9f, CLEF__BELOW_ONE },
		{ "beta2", &o.beta2, 0.999f, CLEF__BELOW_ONE },
		{ "eps", &o.eps, 1e-8f, CLEF__POSITIVE },
		{ "momentum_decay", &o.momentum_decay, 4e-3f, CLEF__NON_NEGATIVE },
		{ "weight_decay", &o.weight_decay, 0.0f, CLEF__NON_NEGATIVE },
	};
	clef_optim *optim;

	if (!params) {
		clef__null_argument(f);
		return NULL;
	}
	if (clef__options(f, list, CLEF_COUNT(list)))
		return NULL;
	optim = clef__optim_new(params, &nadam,
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = o.decoupled,
						      .maximize = o.maximize });
	if (optim)
		optim->opts.nadam = o;
	return optim;
}

/* ---- RAdam ---- */

static void radam_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_radam_opts *o = &optim->opts.radam;
	double beta2 = (double)o->beta2, power = pow(beta2, (double)at->t);
	double most = 2.0 / (1.0 - beta2) - 1.0, length = most - 2.0 * (double)at->t * power / (1.0 - power);
	double rate = at->lr / (1.0 - pow((double)o->beta1, (double)at->t));

	adam_like(at, o->beta1, o->beta2, o->eps, k);
	k[SCALE] = length > 5.0 ? 1.0f : 0.0f;
	if (length > 5.0)
		rate *= sqrt((1.0 - power) * (length - 4.0) * (length - 2.0) * most /
			     ((most - 4.0) * (most - 2.0) * length));
	k[RATE] = (float)rate;
}

static const clef__optim_rule radam = { .name = "radam",
					.state = { "exp_avg", "exp_avg_sq" },
					.numbers = radam_numbers };

clef_optim *clef_radam_new(clef_params *params, const clef_radam_opts *opts)
{
	const char *f = "clef_radam_new";
	clef_radam_opts o = opts ? *opts : (clef_radam_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-3f, CLEF__POSITIVE },
		{ "beta1", &o.beta1, 0.9f, CLEF__BELOW_ONE },
		{ "beta2", &o.beta2, 0.999f, CLEF__BELOW_ONE },
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
	optim = clef__optim_new(params, &radam,
				&(clef__optim_start){ .function = f,
						      .lr = o.lr,
						      .weight_decay = o.weight_decay,
						      .decoupled = o.decoupled,
						      .maximize = o.maximize });
	if (optim)
		optim->opts.radam = o;
	return optim;
}

/* ---- LAMB ---- */

static void lamb_numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_lamb_opts *o = &optim->opts.lamb;

	adam_like(at, o->beta1, o->beta2, o->eps, k);
	k[RATE] = (float)(1.0 / (1.0 - pow((double)o->beta1, (double)at->t)));
	k[EIGHTH] = (float)at->weight_decay;
}

static const clef__optim_rule lamb = { .name = "lamb",
				       .state = { "exp_avg", "exp_avg_sq" },
				       .numbers = lamb_numbers,
				       .own_decay = true,
				       .direction = "lamb_direction" };

clef_optim *clef_lamb_new(clef_params *params, const clef_lamb_opts *opts)
{
	const char *f = "clef_lamb_new";
	clef_lamb_opts o = opts ? *opts : (clef_lamb_opts){ .lr = 0.0f };
	const clef__option list[] = {
		{ "lr", &o.lr, 1e-3f, CLEF__POSITIVE },
		{ "beta1", &o.beta1, 0.9f, CLEF__BELOW_ONE },
		{ "beta2", &o.beta2, 0.999f, CLEF__BELOW_ONE },
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
	optim = clef__optim_new(
		params, &lamb,
		&(clef__optim_start){
			.function = f, .lr = o.lr, .weight_decay = o.weight_decay, .maximize = o.maximize });
	if (optim)
		optim->opts.lamb = o;
	return optim;
}
