/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cross-entropy with all its options, and nll_loss: PyTorch's definitions, term by term: hard and soft targets, each
 * with its smoothing, and the mean's divisor.
 */
#include <math.h>

#include "check_loss.h"

#define IGNORED (-100) /* the index that is ignored by default */

typedef struct class_opts {
	clef_shape x;
	bool probabilities, weight;
	int ignore_index;
	float label_smoothing;
	int reduction;
	float range;
	bool plain, nll; /* which of the operations it is */
} class_opts;

/* ---- operands ---- */

static int class_dim(const clef_shape *x)
{
	return x->ndim > 1;
}

/* Labels have the shape of the logits without the classes. */
static clef_shape target_shape(const class_opts *o)
{
	clef_shape shape = { 0 };

	if (o->probabilities)
		return o->x;
	for (int d = 0; d < o->x.ndim; d++)
		if (d != class_dim(&o->x))
			shape.dim[shape.ndim++] = o->x.dim[d];
	return shape;
}

static clef_status set(clef__problem *p, double tolerance)
{
	const class_opts *o = (const void *)p->opts;
	int64_t classes = clef__ref_size(&o->x, class_dim(&o->x), class_dim(&o->x) + 1);
	double range = (double)o->range;

	p->operands = o->weight ? 3 : 2;
	/* Logarithms of probabilities are never positive; of losses of both signs little would be left of the sum. */
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -range, .hi = o->nll ? 0 : range, .whole = p->whole };
	p->in[1] = (clef__operand){ .shape = target_shape(o),
				    .lo = 0,
				    .hi = o->probabilities ? 1 : (double)classes,
				    .kind = o->probabilities ? CLEF__OPERAND_GRADIENT : CLEF__OPERAND_LABEL };
	/* Whole weights are 0 for some classes. */
	p->in[2] = (clef__operand){ .shape = CLEF_SHAPE(classes),
				    .lo = p->whole ? 0 : 0.25,
				    .hi = 4,
				    .whole = p->whole,
				    .kind = CLEF__OPERAND_CONSTANT };
	p->tolerance = tolerance;
	p->gradient_tolerance = 2e-5;
	return CLEF_OK;
}

static clef_status setup_plain(clef__problem *p)
{
	class_opts *o = (void *)p->opts;

	o->plain = true;
	o->ignore_index = IGNORED;
	return set(p, CLEF__TOLERANCE);
}

static clef_status setup_with(clef__problem *p)
{
	return set(p, 4e-6);
}

static clef_status setup_nll(clef__problem *p)
{
	((class_opts *)(void *)p->opts)->nll = true;
	return set(p, 4e-6);
}

static clef_tensor *apply(clef_tensor *const *x, const void *opts)
{
	const class_opts *o = opts;
	clef_cross_entropy_opts c = { .weight = o->weight ? x[2] : NULL,
				      .has_ignore_index = o->ignore_index != IGNORED,
				      .ignore_index = o->ignore_index,
				      .label_smoothing = o->label_smoothing,
				      .reduction = (clef_reduction)o->reduction };
	bool any = c.weight || c.has_ignore_index || c.label_smoothing != 0 || o->reduction;

	if (o->plain)
		return clef_cross_entropy(x[0], x[1]);
	return o->nll ? clef_nll_loss(x[0], x[1], any ? &c : NULL)
		      : clef_cross_entropy_with(x[0], x[1], any ? &c : NULL);
}

/* ---- reference ---- */

static double weight_of(const clef__ref *x, const class_opts *o, int64_t class)
{
	return o->weight ? x[2].v[class] : 1;
}

/* The logarithm of the sum of exponentials of a row. */
static double log_sum(const double *x, int64_t classes, int64_t inner)
{
	double largest = x[0], sum = 0;

	for (int64_t k = 1; k < classes; k++)
		largest = fmax(largest, x[k * inner]);
	for (int64_t k = 0; k < classes; k++)
		sum += exp(x[k * inner] - largest);
	return largest + log(sum);
}

static double loss(const clef__ref *x, const void *opts, int64_t row)
{
	const class_opts *o = opts;
	int dim = class_dim(&x->shape);
	int64_t classes = x->shape.dim[dim], inner = clef__ref_size(&x->shape, dim + 1, x->shape.ndim);
	int64_t first = row / inner * classes * inner + row % inner;
	int64_t label = o->probabilities ? -1 : (int64_t)x[1].v[row];
	double e = (double)o->label_smoothing, hard = 0, smooth = 0;
	double log_divisor = o->nll ? 0 : log_sum(x->v + first, classes, inner);

	if (!o->probabilities && label == o->ignore_index)
		return 0;
	for (int64_t k = 0; k < classes; k++) {
		double p = o->probabilities ? x[1].v[first + k * inner] : k == label ? 1 : 0;
		double log_p = x->v[first + k * inner] - log_divisor;

		hard -= p * weight_of(x, o, k) * log_p;
		smooth -= weight_of(x, o, k) * log_p / (double)classes;
	}
	return (1 - e) * hard + e * smooth;
}

static bool reference(const clef__ref *x, const void *opts, clef__ref *y)
{
	const class_opts *o = opts;
	int64_t classes = clef__ref_size(&x->shape, class_dim(&x->shape), class_dim(&x->shape) + 1);
	int64_t rows = x->numel / classes;
	double divisor = 0;

	for (int64_t row = 0; row < rows; row++) {
		int64_t label = o->probabilities ? -1 : (int64_t)x[1].v[row];

		divisor += o->probabilities ? 1 : label == o->ignore_index ? 0 : weight_of(x, o, label);
	}
	return clef__reference_losses(loss, x, o, o->reduction, rows, divisor, y);
}

/* ---- terms ---- */

/* clang-format off */
#define X(text) { .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(class_opts, x), .about = text }
#define RANGE(to) { .name = "range", .kind = CLEF__TERM_FLOAT, .offset = offsetof(class_opts, range), .preset = 4, \
		.least = 0, .most = 1000, .about = "x is from -range to " to }
#define WEIGHT { .name = "weight", .kind = CLEF__TERM_FLAG, .offset = offsetof(class_opts, weight), \
		 .about = "with a weight for each class" }
#define IGNORE_INDEX { .name = "ignore_index", .kind = CLEF__TERM_INT, .offset = offsetof(class_opts, ignore_index), \
		       .preset = IGNORED, .about = "the label of rows that do not count" }
/* clang-format on */

static const clef__term terms_plain[] = { X("logits [n, classes]"), RANGE("range"), { NULL } };

static const clef__term terms_with[] = {
	X("logits [classes], [n, classes] or [n, classes, ...]"),
	{ .name = "probabilities",
	  .kind = CLEF__TERM_FLAG,
	  .offset = offsetof(class_opts, probabilities),
	  .about = "the target is of the shape of x, not labels" },
	IGNORE_INDEX,
	{ .name = "label_smoothing",
	  .kind = CLEF__TERM_FLOAT,
	  .offset = offsetof(class_opts, label_smoothing),
	  .least = 0,
	  .most = 1,
	  .about = "the share that is spread over all classes" },
	WEIGHT,
	CLEF__REDUCTION_TERM(class_opts),
	RANGE("range"),
	{ NULL },
};

static const clef__term terms_nll[] = {
	X("as of cross_entropy_with, logarithms of probabilities"),
	IGNORE_INDEX,
	WEIGHT,
	CLEF__REDUCTION_TERM(class_opts),
	RANGE("0"),
	{ NULL },
};

/* ---- problems ---- */

static const char *const problems_plain[] = { "cross_entropy x5x3",          "cross_entropy x33x10",
					      "cross_entropy x257x1",        "cross_entropy x1x1000 range8",
					      "cross_entropy x7x10 range40", "cross_entropy x9x48" };

#define EVERY(macro, options)                                                                                          \
	macro(options), macro(options " reduction=sum"), macro(options " reduction=none"), macro(options " weight"),   \
		macro(options " weight reduction=sum"), macro(options " weight reduction=none")
#define WITH(options)                                                                                                  \
	"cross_entropy_with x33x5x3x2" options, "cross_entropy_with x5" options,                                       \
		"cross_entropy_with x4x5 probabilities" options, "cross_entropy_with x3x5x7 probabilities" options,    \
		"cross_entropy_with x7x5 ignore_index1" options
#define SMALL(options) "cross_entropy_with x4x5" options
#define NLL(options)                                                                                                   \
	"nll_loss x33x5x3x2 ignore_index1" options, "nll_loss x5 ignore_index1" options, "nll_loss x33x5x3x2" options

static const char *const problems_with[] = {
	"cross_entropy_with x6x5",
	"cross_entropy_with x6x5 probabilities label_smoothing0.25 weight",
	"cross_entropy_with x7x5 ignore_index3 weight reduction=none",
	"cross_entropy_with x2x5x3 label_smoothing0.25 weight reduction=sum",
	EVERY(SMALL, ""),
	EVERY(SMALL, " label_smoothing0.25"),
	"cross_entropy_with x33x5 weight whole",
	"cross_entropy_with x33x5 label_smoothing0.25 weight whole",
	"cross_entropy_with x33x5 probabilities weight whole",
	EVERY(WITH, ""),
	EVERY(WITH, " label_smoothing0.25"),
	"cross_entropy_with x257x33 label_smoothing0.1",
	"cross_entropy_with x3x1100 label_smoothing0.1",
	"cross_entropy_with x33x257 probabilities label_smoothing0.1",
	"cross_entropy_with x3000x5 label_smoothing1",
};

#define SMALL_NLL(options) "nll_loss x4x5" options, "nll_loss x4x5 ignore_index1" options

static const char *const problems_nll[] = {
	"nll_loss x6x5",      "nll_loss x6x5 ignore_index1 weight", "nll_loss x2x5x3 weight reduction=none",
	EVERY(SMALL_NLL, ""), "nll_loss x33x5 weight whole",        EVERY(NLL, "")
};

const clef__family clef__family_cross_entropy = { .name = "cross_entropy",
						  .terms = terms_plain,
						  .setup = setup_plain,
						  .apply = apply,
						  .reference = reference,
						  CLEF__PROBLEMS(problems_plain, 1) };

const clef__family clef__family_cross_entropy_with = { .name = "cross_entropy_with",
						       .terms = terms_with,
						       .setup = setup_with,
						       .apply = apply,
						       .reference = reference,
						       CLEF__PROBLEMS(problems_with, 4) };

const clef__family clef__family_nll_loss = { .name = "nll_loss",
					     .terms = terms_nll,
					     .setup = setup_nll,
					     .apply = apply,
					     .reference = reference,
					     CLEF__PROBLEMS(problems_nll, 3) };
