/* SPDX-License-Identifier: Apache-2.0 */
/* Images at another size: upsample, pixel_shuffle and its inverse. */
#include <math.h>

#include <clef/ops.h>

#include "families.h"

/* ---- upsample ---- */

typedef struct upsample_opts {
	int n, c, h, w;
	clef_upsample_opts o;
} upsample_opts;

static clef_status setup_upsample(clef__problem *p)
{
	const upsample_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = CLEF_SHAPE(o->n, o->c, o->h, o->w), .lo = -8, .hi = 8, .whole = true };
	/* Pixels are copied; between two the place is a float32, whose error grows with the image. */
	if (o->o.mode == CLEF_UPSAMPLE_BILINEAR) {
		p->tolerance = 1e-6 * (4 + o->w);
		p->gradient_tolerance = 2 * p->tolerance;
	}
	return CLEF_OK;
}

static clef_tensor *apply_upsample(clef_tensor *const *x, const void *opts)
{
	return clef_upsample(x[0], &((const upsample_opts *)opts)->o);
}

/* How much pixel i of `in` adds to pixel o of `out`, in which `scale` (0: none) was given. */
static double weight(const clef_upsample_opts *c, int o, int i, int in, int out, double scale)
{
	double ratio = scale != 0 ? 1 / scale : (double)in / out, place;

	if (out == in)
		return i == o;
	if (c->mode == CLEF_UPSAMPLE_NEAREST && out == 2 * in)
		return i == o / 2;
	if (c->mode == CLEF_UPSAMPLE_NEAREST)
		return i == fmin(floor(o * ratio + 1e-9), in - 1);
	if (c->align_corners)
		place = out > 1 ? o * (double)(in - 1) / (out - 1) : 0;
	else
		place = fmin(fmax((o + 0.5) * ratio - 0.5, 0), in - 1);
	/* A hat of width 1 around each pixel. */
	return fmax(0, 1 - fabs(place - i));
}

static bool reference_upsample(const clef__ref *x, const void *opts, clef__ref *y)
{
	const clef_upsample_opts *c = &((const upsample_opts *)opts)->o;
	int h = (int)x->shape.dim[2], w = (int)x->shape.dim[3];
	double scale_w = c->scale_w != 0 ? c->scale_w : c->scale;
	int oh = c->scale != 0 ? (int)floor(h * c->scale) : c->out_h,
	    ow = scale_w != 0 ? (int)floor(w * scale_w) : c->out_w;

	if (y->shape.dim[2] != oh || y->shape.dim[3] != ow) {
		clef__fail(CLEF_ERROR_SHAPE, "y has shape %s, expected images of %d x %d", CLEF__SHAPE_TEXT(y->shape),
			   oh, ow);
		return false;
	}
	for (int64_t i = y->from; i < y->to; i++) {
		const double *image = x->v + i / (oh * ow) * h * w;
		double sum = 0;

		for (int r = 0; r < h; r++)
			for (int k = 0; k < w; k++)
				sum += image[r * w + k] * weight(c, (int)(i / ow % oh), r, h, oh, c->scale) *
				       weight(c, (int)(i % ow), k, w, ow, scale_w);
		y->v[i] = sum;
	}
	return true;
}

#define SIZE(term, field, value, text)                                                                                 \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_INT, .offset = offsetof(upsample_opts, field), .preset = value,       \
		.most = 1e6, .about = text                                                                             \
	}
#define SCALE(term, field, text)                                                                                       \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_DOUBLE, .offset = offsetof(upsample_opts, field), .about = text       \
	}

static const char *const modes[] = { "nearest", "bilinear", NULL };

static const clef__term terms_upsample[] = {
	SIZE("n", n, 1, "images"),
	SIZE("c", c, 1, "channels"),
	SIZE("h", h, 1, "height"),
	SIZE("w", w, 1, "width"),
	SIZE("out_h", o.out_h, 0, "new height"),
	SIZE("out_w", o.out_w, 0, "new width"),
	SCALE("scale", o.scale, "instead of a new size"),
	SCALE("scale_w", o.scale_w, "of the width, if another"),
	{ .name = "mode",
	  .kind = CLEF__TERM_WORD,
	  .offset = offsetof(upsample_opts, o.mode),
	  .words = modes,
	  .about = "between pixels" },
	{ .name = "align_corners",
	  .kind = CLEF__TERM_FLAG,
	  .offset = offsetof(upsample_opts, o.align_corners),
	  .about = "pixels are points" },
	{ NULL },
};

#define MODES(problem)                                                                                                 \
	"upsample " problem, "upsample " problem " mode=bilinear", "upsample " problem " mode=bilinear align_corners"

static const char *const problems_upsample[] = {
	MODES("h2 w3 scale2"),
	MODES("n2 c3 h5 w7 out_h13 out_w9"),
	MODES("n2 c3 h9 w11 out_h4 out_w3"),
	MODES("c2 h9 w11 out_h9 out_w11"),
	MODES("c2 h5 w6 scale1.5 scale_w0.5"),
	MODES("c2 h5 w6 scale2.6 scale_w3"),
	MODES("c2 h5 w3 scale1.15 scale_w2.2"),
	MODES("n3 c2 out_h5 out_w4"),
	MODES("n3 c2 h8 w9 out_h1 out_w1"),
	MODES("w33 out_h3 out_w257"),
	MODES("h2 w257 out_h2 out_w33"),
	MODES("n0 c3 h4 w4 scale2"),
};

const clef__family clef__family_upsample = { .name = "upsample",
					     .terms = terms_upsample,
					     .setup = setup_upsample,
					     .apply = apply_upsample,
					     .reference = reference_upsample,
					     CLEF__PROBLEMS(problems_upsample, 3) };

/* ---- pixel_shuffle ---- */

typedef struct shuffle_opts {
	clef_shape x;
	int r;
} shuffle_opts;

static clef_status setup_shuffle(clef__problem *p)
{
	const shuffle_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = true };
	return CLEF_OK;
}

static clef_tensor *apply_shuffle(clef_tensor *const *x, const void *opts)
{
	return clef_pixel_shuffle(x[0], ((const shuffle_opts *)opts)->r);
}

static clef_tensor *apply_unshuffle(clef_tensor *const *x, const void *opts)
{
	return clef_pixel_unshuffle(x[0], ((const shuffle_opts *)opts)->r);
}

/* For all pixels of the larger images: few[channel * r * r + (row % r) * r + column % r][row / r][column / r] is
 * large[channel][row][column]. */
static void each_pixel(const clef__ref *large, int r, double *few, double *many, bool shuffle)
{
	int64_t h = large->shape.dim[large->shape.ndim - 2], w = large->shape.dim[large->shape.ndim - 1];

	for (int64_t i = 0; i < large->numel; i++) {
		int64_t column = i % w, row = i / w % h, channel = i / w / h;
		int64_t from = channel * r * r + row % r * r + column % r;
		double *at = &few[(from * (h / r) + row / r) * (w / r) + column / r];

		*(shuffle ? &many[i] : at) = shuffle ? *at : many[i];
	}
}

static bool reference_shuffle(const clef__ref *x, const void *opts, clef__ref *y)
{
	each_pixel(y, ((const shuffle_opts *)opts)->r, x->v, y->v, true);
	return true;
}

static bool reference_unshuffle(const clef__ref *x, const void *opts, clef__ref *y)
{
	each_pixel(x, ((const shuffle_opts *)opts)->r, y->v, x->v, false);
	return true;
}

static const clef__term terms_shuffle[] = {
	{ .name = "x",
	  .kind = CLEF__TERM_SHAPE,
	  .preset = 1,
	  .offset = offsetof(shuffle_opts, x),
	  .about = "x [..., channels, height, width]" },
	{ .name = "r",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(shuffle_opts, r),
	  .preset = 2,
	  .about = "pixels along a side of a square" },
	{ NULL },
};

static const char *const problems_shuffle[] = {
	"pixel_shuffle x1x4x2x3",    "pixel_shuffle x18x5x7 r3", "pixel_shuffle x2x1x3x8x3x2",
	"pixel_shuffle x2x3x4x5 r1", "pixel_shuffle x0x4x4x5",
};

static const char *const problems_unshuffle[] = {
	"pixel_unshuffle x1x2x2x6",
	"pixel_unshuffle x2x3x9x15 r3",
	"pixel_unshuffle x3x0x4",
};

const clef__family clef__family_pixel_shuffle = { .name = "pixel_shuffle",
						  .terms = terms_shuffle,
						  .setup = setup_shuffle,
						  .apply = apply_shuffle,
						  .reference = reference_shuffle,
						  CLEF__PROBLEMS(problems_shuffle, 1) };

const clef__family clef__family_pixel_unshuffle = { .name = "pixel_unshuffle",
						    .terms = terms_shuffle,
						    .setup = setup_shuffle,
						    .apply = apply_unshuffle,
						    .reference = reference_unshuffle,
						    CLEF__PROBLEMS(problems_unshuffle, 1) };
