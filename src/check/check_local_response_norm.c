/* SPDX-License-Identifier: Apache-2.0 */
/* local_response_norm, each element from those of its neighbouring channels. */
#include <math.h>

#include <clef/ops.h>

#include "families.h"

typedef struct lrn_opts {
	clef_shape x;
	int size;
	float alpha, beta, k;
	bool defaults;
} lrn_opts;

static clef_status setup(clef__problem *p)
{
	const lrn_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -2, .hi = 3, .whole = p->whole };
	p->tolerance = CLEF__TOLERANCE;
	p->gradient_tolerance = 5e-5;
	return CLEF_OK;
}

static clef_tensor *apply(clef_tensor *const *x, const void *opts)
{
	const lrn_opts *o = opts;
	const clef_local_response_norm_opts own = { o->alpha, o->beta, o->k };

	return clef_local_response_norm(x[0], o->size, o->defaults ? NULL : &own);
}

/* The window begins size / 2 channels in front, as torch.nn.functional pads it. */
static bool reference(const clef__ref *x, const void *opts, clef__ref *y)
{
	const lrn_opts *o = opts;
	double alpha = o->defaults ? 1e-4 : (double)o->alpha, beta = o->defaults ? 0.75 : (double)o->beta;
	double k = o->defaults ? 1 : (double)o->k;
	int64_t channels = o->x.dim[1], inner = clef__ref_size(&o->x, 2, o->x.ndim);

	for (int64_t i = y->from; i < y->to; i++) {
		int64_t first = i / inner % channels - o->size / 2;
		double sum = 0;

		for (int64_t c = CLEF__MAX(first, 0); c < CLEF__MIN(first + o->size, channels); c++) {
			double v = x->v[i + (c - i / inner % channels) * inner];

			sum += v * v;
		}
		y->v[i] = x->v[i] / pow(k + alpha * sum / o->size, beta);
	}
	return true;
}

#define NUMBER(term, preset_, about_)                                                                                  \
	{                                                                                                              \
		.name = #term, .kind = CLEF__TERM_FLOAT, .offset = offsetof(lrn_opts, term), .preset = preset_,        \
		.about = about_                                                                                        \
	}

static const clef__term terms[] = {
	{ .name = "x",
	  .kind = CLEF__TERM_SHAPE,
	  .preset = 1,
	  .offset = offsetof(lrn_opts, x),
	  .about = "x [n, channels, ...]" },
	{ .name = "size",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(lrn_opts, size),
	  .preset = 5,
	  .least = 1,
	  .most = 1e6,
	  .about = "channels of a window" },
	NUMBER(alpha, 1, "as in norm.h"),
	NUMBER(beta, 1, "as in norm.h"),
	NUMBER(k, 1, "as in norm.h"),
	{ .name = "defaults",
	  .kind = CLEF__TERM_FLAG,
	  .offset = offsetof(lrn_opts, defaults),
	  .about = "those of the library for alpha, beta and k" },
	{ NULL },
};

static const char *const problems[] = {
	"local_response_norm x2x4x3 size3 alpha2 beta0.5 k0.5",
	"local_response_norm x1x5x2 size2 alpha2 beta0.5 k0.5",
	"local_response_norm x2x33x3x5 defaults",
	"local_response_norm x2x33x3x5 alpha0.5 beta2 k2",
	"local_response_norm x3x7 size1 alpha2 beta0.5 k0.5",
	"local_response_norm x3x7 size4 alpha2 beta0.5 k0.5",
	"local_response_norm x3x1x257 size3 alpha2 beta0.5 k0.5",
	"local_response_norm x2x3x9 size50 alpha2 beta0.5 k0.5",
};

const clef__family clef__family_local_response_norm = { .name = "local_response_norm",
							.terms = terms,
							.setup = setup,
							.apply = apply,
							.reference = reference,
							CLEF__PROBLEMS(problems, 2) };
