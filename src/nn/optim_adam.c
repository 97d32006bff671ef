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

static const clef__optim_rule *pick_adam(const clef_optim_opts *o, const char *function)
{
	(void)function;
	return o->adam.amsgrad ? &adam_amsgrad : &adam;
}

#define ADAM_FIELDS(decay)                                                                                             \
	CLEF__OPTION(adam, lr, POSITIVE, 1e-3f), CLEF__OPTION(adam, beta1, BELOW_ONE, 0.9f),                           \
		CLEF__OPTION(adam, beta2, BELOW_ONE, 0.999f), CLEF__OPTION(adam, eps, POSITIVE, 1e-8f),                \
		CLEF__WEIGHT_DECAY(adam, decay), CLEF__FLAG(adam, amsgrad), CLEF__FLAG(adam, maximize)

const clef__optim_type clef__adam = {
	CLEF__OPTIM_TYPE(adam, ADAM, adam),
	.pick = pick_adam,
	.field = { ADAM_FIELDS(0.0f), CLEF__FLAG(adam, decoupled) },
};

const clef__optim_type clef__adamw = {
	CLEF__OPTIM_TYPE(adamw, ADAMW, adam),
	.decoupled = true,
	.pick = pick_adam,
	.field = { ADAM_FIELDS(1e-2f) },
};

clef_optim *clef_adam_new(clef_params *params, const clef_adam_opts *opts)
{
	return clef__optim_new(&clef__adam, params, opts);
}

clef_optim *clef_adamw_new(clef_params *params, const clef_adam_opts *opts)
{
	return clef__optim_new(&clef__adamw, params, opts);
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

const clef__optim_type clef__adamax = {
	CLEF__OPTIM_TYPE(adamax, ADAMAX, adamax),
	.rule = &adamax,
	.field = { CLEF__OPTION(adamax, lr, POSITIVE, 2e-3f), CLEF__OPTION(adamax, beta1, BELOW_ONE, 0.9f),
		   CLEF__OPTION(adamax, beta2, BELOW_ONE, 0.999f), CLEF__OPTION(adamax, eps, POSITIVE, 1e-8f),
		   CLEF__WEIGHT_DECAY(adamax, 0.0f), CLEF__FLAG(adamax, decoupled), CLEF__FLAG(adamax, maximize) },
};

clef_optim *clef_adamax_new(clef_params *params, const clef_adamax_opts *opts)
{
	return clef__optim_new(&clef__adamax, params, opts);
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

const clef__optim_type clef__nadam = {
	CLEF__OPTIM_TYPE(nadam, NADAM, nadam),
	.rule = &nadam,
	.field = { CLEF__OPTION(nadam, lr, POSITIVE, 2e-3f), CLEF__OPTION(nadam, beta1, BELOW_ONE, 0.9f),
		   CLEF__OPTION(nadam, beta2, BELOW_ONE, 0.999f), CLEF__OPTION(nadam, eps, POSITIVE, 1e-8f),
		   CLEF__OPTION(nadam, momentum_decay, NON_NEGATIVE, 4e-3f), CLEF__WEIGHT_DECAY(nadam, 0.0f),
		   CLEF__FLAG(nadam, decoupled), CLEF__FLAG(nadam, maximize) },
};

clef_optim *clef_nadam_new(clef_params *params, const clef_nadam_opts *opts)
{
	return clef__optim_new(&clef__nadam, params, opts);
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

const clef__optim_type clef__radam = {
	CLEF__OPTIM_TYPE(radam, RADAM, radam),
	.rule = &radam,
	.field = { CLEF__OPTION(radam, lr, POSITIVE, 1e-3f), CLEF__OPTION(radam, beta1, BELOW_ONE, 0.9f),
		   CLEF__OPTION(radam, beta2, BELOW_ONE, 0.999f), CLEF__OPTION(radam, eps, POSITIVE, 1e-8f),
		   CLEF__WEIGHT_DECAY(radam, 0.0f), CLEF__FLAG(radam, decoupled), CLEF__FLAG(radam, maximize) },
};

clef_optim *clef_radam_new(clef_params *params, const clef_radam_opts *opts)
{
	return clef__optim_new(&clef__radam, params, opts);
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

const clef__optim_type clef__lamb = {
	CLEF__OPTIM_TYPE(lamb, LAMB, lamb),
	.rule = &lamb,
	.field = { CLEF__OPTION(lamb, lr, POSITIVE, 1e-3f), CLEF__OPTION(lamb, beta1, BELOW_ONE, 0.9f),
		   CLEF__OPTION(lamb, beta2, BELOW_ONE, 0.999f), CLEF__OPTION(lamb, eps, POSITIVE, 1e-6f),
		   CLEF__WEIGHT_DECAY(lamb, 0.0f), CLEF__FLAG(lamb, maximize) },
};

clef_optim *clef_lamb_new(clef_params *params, const clef_lamb_opts *opts)
{
	return clef__optim_new(&clef__lamb, params, opts);
}
