/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The definition of convolutions, written down as naively as can be, one element of the result at a time: a transposed
 * one looks up which pixels of x are spread over it.
 */
#include <math.h>

#include <clef/ops.h>

#include "check_conv.h"

const char *const clef__conv_words[] = { "auto",        "winograd", "winograd_weights", "winograd_gpu", "cpu",
					 "cpu_weights", "gemm",     "im2col",           "direct",       NULL };

typedef enum way {
	AUTO,
	WINOGRAD,
	WINOGRAD_WEIGHTS,
	WINOGRAD_GPU,
} way;

/* Defaults filled in; rows first, then columns. */
typedef struct geometry {
	int64_t stride[2], before[2], after[2], dilation[2], reach[2];
	int64_t image[2], kernel[2], out[2]; /* of x, w and y; out is filled in by the reference */
	int64_t channels, outputs;           /* of a group */
	int64_t inputs, groups;
} geometry;

static int64_t or_else(int value, int64_t other)
{
	return value ? value : other;
}

static geometry geometry_of(const clef__conv_problem *o)
{
	geometry g = { .stride = { or_else(o->st, 1), or_else(o->stw, or_else(o->st, 1)) },
		       .dilation = { or_else(o->d, 1), or_else(o->dw, or_else(o->d, 1)) },
		       .before = { o->p + o->pt, or_else(o->pw, o->p) + o->pl },
		       .after = { o->p + o->pb, or_else(o->pw, o->p) + o->pr },
		       .image = { o->h, o->w },
		       .kernel = { o->r, o->s },
		       .channels = o->c / o->g,
		       .outputs = o->k / o->g,
		       .inputs = o->c,
		       .groups = o->g };

	if (o->one) {
		g.stride[0] = g.dilation[0] = 1;
		g.before[0] = g.after[0] = 0;
	}
	for (int i = 0; i < 2; i++)
		g.reach[i] = g.dilation[i] * (g.kernel[i] - 1) + 1;
	return g;
}

/* ---- operands ---- */

/* How many windows there are in one direction, that is, rows or columns of y, or of x if that is spread. */
static int64_t windows(const clef__conv_problem *o, const geometry *g, int d)
{
	return o->transposed ? g->image[d]
			     : (g->image[d] + g->before[d] + g->after[d] - g->reach[d]) / g->stride[d] + 1;
}

/* A stride from the only window to the next is none. */
static bool winograd_fits(const clef__conv_problem *o)
{
	const geometry g = geometry_of(o);
	bool fits = o->r == 3 && o->s == 3 && o->g == 1;

	for (int d = 0; d < 2; d++)
		fits = fits && (g.stride[d] == 1 || windows(o, &g, d) == 1) && g.dilation[d] == 1;
	return fits;
}

/* Winograd's transformed weights have sixths in them, so its results are not exact; their error is one of the products,
 * of which the sum may be a small part. It may run unless another one was asked for, and where there are many channels
 * it is the library's choice for a gradient that the other one does not know. */
static void set_tolerance(clef__problem *p, const clef__conv_problem *o)
{
	bool fits = winograd_fits(o), wanted = fits && o->by <= WINOGRAD_GPU;

	p->tolerance = wanted ? 2e-4 : o->act.kind > CLEF_ACT_RELU ? CLEF__TOLERANCE : 0;
	p->gradient_tolerance = wanted || (fits && o->c >= 16 && o->k >= 16) ? 2e-4 : 2e-5;
}

clef_status clef__conv_setup(clef__problem *p)
{
	clef__conv_problem *o = (void *)p->opts;
	double top = p->whole ? 8 : 1;
	const clef__operand values = { .lo = -top, .hi = top, .whole = p->whole };

	o->one = strstr(p->family->name, "1d") != NULL;
	o->transposed = strstr(p->family->name, "transpose") != NULL;
	o->w = o->w ? o->w : o->h;
	o->s = o->s ? o->s : o->r;
	if (o->one)
		o->h = o->r = 1;
	p->operands = o->no_bias ? 2 : 3;
	for (int i = 0; i < 3; i++)
		p->in[i] = values;
	p->in[0].shape = o->one ? CLEF_SHAPE(o->n, o->c, o->w) : CLEF_SHAPE(o->n, o->c, o->h, o->w);
	p->in[1].shape =
		o->transposed ? CLEF_SHAPE(o->c, o->k / o->g, o->r, o->s) : CLEF_SHAPE(o->k, o->c / o->g, o->r, o->s);
	if (o->one)
		p->in[1].shape = CLEF_SHAPE(p->in[1].shape.dim[0], p->in[1].shape.dim[1], o->s);
	p->in[2].shape = CLEF_SHAPE(o->k);
	set_tolerance(p, o);
	if (!o->twice)
		return CLEF_OK;
	p->operands = 1;
	if (!o->no_bias || !clef_shape_equal(p->in[0].shape, p->in[1].shape))
		return clef__fail(CLEF_ERROR_INVALID, "problem: %s: \"twice\" wants no_bias, and x %s and w %s alike",
				  p->text, CLEF__SHAPE_TEXT(p->in[0].shape), CLEF__SHAPE_TEXT(p->in[1].shape));
	return CLEF_OK;
}

/* ---- the operations ---- */

/* b NULL: without a bias. */
static clef_tensor *apply_one(clef_tensor *x, clef_tensor *w, clef_tensor *b, const clef__conv_problem *o)
{
	const clef_conv1d_opts c = { o->stw ? o->stw : o->st,
				     o->pw ? o->pw : o->p,
				     o->pl,
				     o->pr,
				     o->dw ? o->dw : o->d,
				     o->g,
				     (clef_pad_mode)o->mode,
				     o->act };
	const clef_conv_transpose1d_opts t = {
		c.stride, c.pad, c.pad_left, c.pad_right, o->op, c.dilation, o->g, o->act
	};

	if (o->transposed)
		return b ? clef_conv_transpose1d(x, w, b, &t) : clef_conv_transpose1d_no_bias(x, w, &t);
	return b ? clef_conv1d(x, w, b, &c) : clef_conv1d_no_bias(x, w, &c);
}

static clef_tensor *apply_two(clef_tensor *x, clef_tensor *w, clef_tensor *b, const clef__conv_problem *o)
{
	const clef_conv2d_opts c = { .stride = o->st,
				     .stride_w = o->stw,
				     .pad = o->p,
				     .pad_w = o->pw,
				     .pad_top = o->pt,
				     .pad_bottom = o->pb,
				     .pad_left = o->pl,
				     .pad_right = o->pr,
				     .dilation = o->d,
				     .dilation_w = o->dw,
				     .groups = o->g,
				     .pad_mode = (clef_pad_mode)o->mode,
				     .activation = o->act };
	const clef_conv_transpose2d_opts t = { .stride = o->st,
					       .stride_w = o->stw,
					       .pad = o->p,
					       .pad_w = o->pw,
					       .pad_top = o->pt,
					       .pad_bottom = o->pb,
					       .pad_left = o->pl,
					       .pad_right = o->pr,
					       .output_pad = o->op,
					       .output_pad_h = o->oph,
					       .output_pad_w = o->opw,
					       .dilation = o->d,
					       .dilation_w = o->dw,
					       .groups = o->g,
					       .activation = o->act };

	if (o->transposed)
		return b ? clef_conv_transpose2d(x, w, b, &t) : clef_conv_transpose2d_no_bias(x, w, &t);
	return b ? clef_conv2d(x, w, b, &c) : clef_conv2d_no_bias(x, w, &c);
}

/* What is asked for is settled when the operation is recorded, for the way back too. */
clef_tensor *clef__conv_check_apply(clef_tensor *const *x, const void *opts)
{
	const clef__conv_problem *o = opts;
	clef_tensor *b = o->no_bias ? NULL : x[2], *y;
	clef_device *dev = x[0] ? x[0]->dev : NULL;

	if (!o->no_bias && !b)
		return NULL;
	if (dev && o->by != AUTO)
		clef__device_set_conv(dev, clef__conv_words[o->by]);
	y = (o->one ? apply_one : apply_two)(x[0], x[o->twice ? 0 : 1], b, o);
	if (dev)
		clef__device_set_conv(dev, NULL);
	return y;
}

double clef__conv_flops(const clef__problem *p)
{
	const clef__conv_problem *o = (const void *)p->opts;
	const geometry g = geometry_of(o);

	return 2.0 * o->n * (double)windows(o, &g, 0) * (double)windows(o, &g, 1) * o->k * o->c / o->g * o->r * o->s;
}

/* ---- references ---- */

/* The pixel at i of a row of `size` with what surrounds it; -1 for a zero. */
static int64_t pixel_at(int64_t i, int64_t size, clef_pad_mode mode)
{
	if (mode == CLEF_PAD_REPLICATE)
		return i < 0 ? 0 : i >= size ? size - 1 : i;
	if (mode == CLEF_PAD_CIRCULAR)
		return (i + 10 * size) % size;
	while (mode == CLEF_PAD_REFLECT && (i < 0 || i >= size))
		i = i < 0 ? -i : size - 1 - (i - (size - 1));
	return i < 0 || i >= size ? -1 : i;
}

/* The pixel of x under element r of the kernel at place `out` of the result. */
static int64_t seen(const geometry *g, int d, int64_t out, int64_t r, clef_pad_mode mode)
{
	return pixel_at(out * g->stride[d] + r * g->dilation[d] - g->before[d], g->image[d], mode);
}

/* The pixel of x whose product with element r of the kernel is added to place `out`; -1 if none is. */
static int64_t spread(const geometry *g, int d, int64_t out, int64_t r)
{
	int64_t at = out + g->before[d] - r * g->dilation[d];

	return at < 0 || at % g->stride[d] || at / g->stride[d] >= g->image[d] ? -1 : at / g->stride[d];
}

static double element(const clef__ref *x, const clef__conv_problem *o, const geometry *g, int64_t at)
{
	int64_t j = at % g->out[1], i = at / g->out[1] % g->out[0], k = at / g->out[1] / g->out[0] % o->k,
		n = at / g->out[1] / g->out[0] / o->k, first = k / g->outputs * g->channels;
	int64_t image = g->image[0] * g->image[1], kernel = g->kernel[0] * g->kernel[1];
	const double *weights = x[o->twice ? 0 : 1].v;
	double sum = o->no_bias ? 0 : x[2].v[k];

	for (int64_t r = 0; r < g->kernel[0]; r++)
		for (int64_t s = 0; s < g->kernel[1]; s++) {
			clef_pad_mode mode = (clef_pad_mode)o->mode;
			int64_t a = o->transposed ? spread(g, 0, i, r) : seen(g, 0, i, r, mode);
			int64_t b = o->transposed ? spread(g, 1, j, s) : seen(g, 1, j, s, mode);

			for (int64_t c = 0; c < g->channels && a >= 0 && b >= 0; c++) {
				int64_t w =
					o->transposed ? (first + c) * g->outputs + k % g->outputs : k * g->channels + c;

				sum += x[0].v[(n * g->inputs + first + c) * image + a * g->image[1] + b] *
				       weights[w * kernel + r * g->kernel[1] + s];
			}
		}
	return clef__ref_activate(o->act, sum);
}

bool clef__conv_reference(const clef__ref *x, const void *opts, clef__ref *y)
{
	const clef__conv_problem *o = opts;
	geometry g = geometry_of(o);

	g.out[0] = o->one ? 1 : y->shape.dim[2];
	g.out[1] = y->shape.dim[o->one ? 2 : 3];
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = element(x, o, &g, i);
	return true;
}
