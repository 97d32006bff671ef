/* SPDX-License-Identifier: Apache-2.0 */
/* Losses of an element and its target: every formula, every reduction, and weights. */
#include <math.h>

#include "check_loss.h"

/* ---- for all losses ---- */

const char *const clef__reduction_words[] = { "mean", "sum", "none", NULL };

bool clef__reference_losses(double (*loss)(const clef__ref *x, const void *opts, int64_t i), const clef__ref *x,
			    const void *opts, int reduction, int64_t n, double divisor, clef__ref *y)
{
	bool none = reduction == CLEF_REDUCTION_NONE;
	double sum = 0;

	if (y->numel != (none ? n : 1))
		return !clef__fail(CLEF_ERROR_SHAPE, "the result has shape %s, expected %lld losses",
				   CLEF__SHAPE_TEXT(y->shape), none ? (long long)n : 1);
	for (int64_t i = none ? y->from : 0; i < (none ? y->to : n); i++) {
		double v = loss(x, opts, i);

		sum += v;
		if (none)
			y->v[i] = v;
	}
	if (!none)
		y->v[0] = reduction == CLEF_REDUCTION_SUM ? sum : sum / divisor;
	return true;
}

/* ---- formulas for one element ---- */

typedef struct loss_opts {
	clef_shape x;
	int reduction;
	float p; /* beta or delta */
	bool log_target;
	clef_shape weight, pos_weight; /* ndim -1: none */
} loss_opts;

static double of_mse_loss(double x, double t, const loss_opts *o)
{
	(void)o;
	return (x - t) * (x - t);
}

static double of_l1_loss(double x, double t, const loss_opts *o)
{
	(void)o;
	return fabs(x - t);
}

static double of_smooth_l1_loss(double x, double t, const loss_opts *o)
{
	double d = fabs(x - t), beta = (double)o->p;

	return d < beta ? d * d / (2 * beta) : d - beta / 2;
}

static double of_huber_loss(double x, double t, const loss_opts *o)
{
	double d = fabs(x - t), delta = (double)o->p;

	return d <= delta ? d * d / 2 : delta * (d - delta / 2);
}

static double of_bce_loss(double x, double t, const loss_opts *o)
{
	(void)o;
	return -(t * log(x) + (1 - t) * log(1 - x));
}

static double of_bce_with_logits_loss(double x, double t, const loss_opts *o)
{
	return of_bce_loss(1 / (1 + exp(-x)), t, o);
}

static double of_kl_div(double x, double t, const loss_opts *o)
{
	return o->log_target ? exp(t) * (t - x) : t * (log(t) - x);
}

/* ---- operands ---- */

static clef_status set(clef__problem *p, double x_lo, double x_hi, double t_lo, double t_hi)
{
	const loss_opts *o = (const void *)p->opts;

	p->operands = 2;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = x_lo, .hi = x_hi, .whole = p->whole };
	p->in[1] = (clef__operand){ .shape = o->x, .lo = t_lo, .hi = t_hi, .whole = p->whole };
	p->tolerance = CLEF__TOLERANCE;
	p->gradient_tolerance = 2e-5;
	return CLEF_OK;
}

static clef_status setup_differences(clef__problem *p)
{
	return set(p, -3, 3, -3, 3);
}

static clef_status setup_kl_div(clef__problem *p)
{
	return ((const loss_opts *)(const void *)p->opts)->log_target ? set(p, -4, 0, -3, 0) : set(p, -4, 0, 0.05, 1);
}

static clef_status add_weights(clef__problem *p)
{
	const loss_opts *o = (const void *)p->opts;
	const clef_shape *shapes[] = { &o->weight, &o->pos_weight };

	for (int i = 0; i < CLEF_COUNT(shapes); i++)
		if (shapes[i]->ndim >= 0)
			p->in[p->operands++] = (clef__operand){
				.shape = *shapes[i], .lo = 0.25, .hi = 4, .kind = CLEF__OPERAND_CONSTANT
			};
	return CLEF_OK;
}

static clef_status setup_bce_loss(clef__problem *p)
{
	set(p, 0.05, 0.95, 0, 1);
	((loss_opts *)(void *)p->opts)->pos_weight.ndim = -1;
	return add_weights(p);
}

static clef_status setup_bce_with_logits_loss(clef__problem *p)
{
	set(p, -6, 6, 0, 1);
	return add_weights(p);
}

static clef_tensor *apply_bce(clef_tensor *(*f)(clef_tensor *x, clef_tensor *target, const clef_bce_opts *opts),
			      clef_tensor *const *x, const loss_opts *o)
{
	bool weight = o->weight.ndim >= 0, pos_weight = o->pos_weight.ndim >= 0;
	clef_bce_opts opts = { .weight = weight ? x[2] : NULL,
			       .pos_weight = pos_weight ? x[2 + weight] : NULL,
			       .reduction = (clef_reduction)o->reduction };

	return f(x[0], x[1], weight || pos_weight || o->reduction ? &opts : NULL);
}

/* ---- references ---- */

typedef double (*formula)(double x, double t, const loss_opts *o);

static bool reference(double (*loss)(const clef__ref *x, const void *opts, int64_t i), const clef__ref *x,
		      const loss_opts *o, clef__ref *y)
{
	double divisor =
		o->reduction == CLEF_REDUCTION_BATCHMEAN ? (double)clef__ref_size(&x->shape, 0, 1) : (double)x->numel;

	return clef__reference_losses(loss, x, o, o->reduction, x->numel, divisor, y);
}

static double plain(formula of, const clef__ref *x, const loss_opts *o, int64_t i)
{
	return of(x[0].v[i], x[1].v[i], o);
}

static double weighted(formula of, const clef__ref *x, const loss_opts *o, int64_t i)
{
	const clef__ref *weight = &x[2], *pos_weight = o->weight.ndim >= 0 ? &x[3] : &x[2];
	double t = x[1].v[i], y = of(x[0].v[i], t, o);

	if (o->pos_weight.ndim >= 0)
		y += t * of(x[0].v[i], 1, o) *
		     (pos_weight->v[clef__ref_broadcast(&x->shape, &pos_weight->shape, i)] - 1);
	return o->weight.ndim >= 0 ? y * weight->v[clef__ref_broadcast(&x->shape, &weight->shape, i)] : y;
}

/* ---- terms ---- */

/* clang-format off */
#define X { .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(loss_opts, x), \
	    .about = "x, and the target" }
#define REDUCTION CLEF__REDUCTION_TERM(loss_opts)
#define NUMBER(name_, least_, text) { .name = name_, .kind = CLEF__TERM_FLOAT, .offset = offsetof(loss_opts, p), \
				      .preset = 1, .least = least_, .most = 1e6, .about = text }
#define WEIGHT(field, text) { .name = #field, .kind = CLEF__TERM_SHAPE, .preset = -1, \
			      .offset = offsetof(loss_opts, field), .about = text }
/* clang-format on */

static const char *const kl_div_words[] = { "mean", "sum", "none", "batchmean", NULL };

static const clef__term terms_mse_loss[] = { X, REDUCTION, { NULL } };
static const clef__term terms_l1_loss[] = { X, REDUCTION, { NULL } };
static const clef__term terms_smooth_l1_loss[] = {
	X, NUMBER("beta", 0, "where it becomes linear"), REDUCTION, { NULL }
};
static const clef__term terms_huber_loss[] = {
	X, NUMBER("delta", 1e-6, "where it becomes linear"), REDUCTION, { NULL }
};
static const clef__term terms_bce_loss[] = {
	X, WEIGHT(weight, "factors of the losses, which broadcast to x"), REDUCTION, { NULL }
};
static const clef__term terms_bce_with_logits_loss[] = { X,
							 WEIGHT(weight, "factors of the losses, which broadcast to x"),
							 WEIGHT(pos_weight,
								"factors of what targets of 1 make, likewise"),
							 REDUCTION,
							 { NULL } };
static const clef__term terms_kl_div[] = {
	X,
	{ .name = "log_target",
	  .kind = CLEF__TERM_FLAG,
	  .offset = offsetof(loss_opts, log_target),
	  .about = "the target is a logarithm" },
	{ .name = "reduction",
	  .kind = CLEF__TERM_WORD,
	  .offset = offsetof(loss_opts, reduction),
	  .words = kl_div_words,
	  .about = "of the losses" },
	{ NULL },
};

/* ---- problems ---- */

#define SHAPES(op, options) op " x33" options, op " x2x257" options, op " x1" options
#define REDUCTIONS(op, options)                                                                                        \
	op " x5x3" options " reduction=sum", SHAPES(op, options), SHAPES(op, options " reduction=sum"),                \
		SHAPES(op, options " reduction=none")
#define QUICK(op, options) op " x5x3" options, op " x5x3" options " reduction=none"
#define EVERY(options)     options, options " reduction=sum", options " reduction=none"

static const char *const problems_mse_loss[] = { QUICK("mse_loss", ""), REDUCTIONS("mse_loss", "") };
static const char *const problems_l1_loss[] = { QUICK("l1_loss", ""), REDUCTIONS("l1_loss", "") };
static const char *const problems_smooth_l1_loss[] = { QUICK("smooth_l1_loss", " beta1.5"),
						       QUICK("smooth_l1_loss", " beta0"), "smooth_l1_loss x5x3",
						       REDUCTIONS("smooth_l1_loss", " beta1.5"),
						       REDUCTIONS("smooth_l1_loss", " beta0") };
static const char *const problems_huber_loss[] = { QUICK("huber_loss", " delta1.5"), "huber_loss x5x3",
						   REDUCTIONS("huber_loss", " delta1.5") };
static const char *const problems_bce_loss[] = { QUICK("bce_loss", ""), EVERY("bce_loss x5x3 weight3"),
						 EVERY("bce_loss x5x3 weight5x1"), REDUCTIONS("bce_loss", "") };
static const char *const problems_bce_with_logits_loss[] = {
	QUICK("bce_with_logits_loss", ""), EVERY("bce_with_logits_loss x5x3 weight3 pos_weight3"),
	EVERY("bce_with_logits_loss x2x4x3 pos_weight3"),
	EVERY("bce_with_logits_loss x2x4x3 weight4x1 pos_weight=scalar"), REDUCTIONS("bce_with_logits_loss", "")
};
static const char *const problems_kl_div[] = { QUICK("kl_div", ""),
					       QUICK("kl_div", " log_target"),
					       "kl_div x5x3 reduction=batchmean",
					       SHAPES("kl_div", " reduction=batchmean"),
					       "kl_div x5x3 log_target reduction=batchmean",
					       SHAPES("kl_div", " log_target reduction=batchmean"),
					       REDUCTIONS("kl_div", ""),
					       REDUCTIONS("kl_div", " log_target") };

/* ---- families ---- */

#define FAMILY(name_, operands, quick_ones, value, call)                                                               \
	static clef_tensor *apply_##name_(clef_tensor *const *x, const void *opts)                                     \
	{                                                                                                              \
		const loss_opts *o = opts;                                                                             \
                                                                                                                       \
		return call;                                                                                           \
	}                                                                                                              \
	static double loss_##name_(const clef__ref *x, const void *opts, int64_t i)                                    \
	{                                                                                                              \
		return value(of_##name_, x, opts, i);                                                                  \
	}                                                                                                              \
	static bool reference_##name_(const clef__ref *x, const void *opts, clef__ref *y)                              \
	{                                                                                                              \
		return reference(loss_##name_, x, opts, y);                                                            \
	}                                                                                                              \
	const clef__family clef__family_##name_ = { .name = #name_,                                                    \
						    .terms = terms_##name_,                                            \
						    .setup = setup_##operands,                                         \
						    .apply = apply_##name_,                                            \
						    .reference = reference_##name_,                                    \
						    CLEF__PROBLEMS(problems_##name_, quick_ones) };
#define REDUCED (clef_reduction) o->reduction

/* clang-format off */
FAMILY(mse_loss, differences, 2, plain, clef_mse_loss(x[0], x[1], REDUCED))
FAMILY(l1_loss, differences, 2, plain, clef_l1_loss(x[0], x[1], REDUCED))
FAMILY(smooth_l1_loss, differences, 3, plain, clef_smooth_l1_loss(x[0], x[1], o->p, REDUCED))
FAMILY(huber_loss, differences, 2, plain, clef_huber_loss(x[0], x[1], o->p, REDUCED))
FAMILY(bce_loss, bce_loss, 3, weighted, apply_bce(clef_bce_loss, x, o))
FAMILY(bce_with_logits_loss, bce_with_logits_loss, 3, weighted, apply_bce(clef_bce_with_logits_loss, x, o))
FAMILY(kl_div, kl_div, 3, plain, clef_kl_div(x[0], x[1], o->log_target, REDUCED))
/* clang-format on */
