/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images at another size. Where a pixel of y comes from is computed in float32, as PyTorch does on a CPU; in backward
 * each pixel of x looks at the pixels of y that may come from it and asks the same function, so the gradient fits the
 * value and needs no atomics.
 */
#include "shaping_internal.h"

/* Float32 tells neighbouring pixels apart with room to spare. */
#define LONGEST (1 << 20)

typedef struct upsample_opts {
	clef_upsample_opts given;
	int32_t in[2], out[2]; /* height, width */
	float ratio[2];        /* pixels of x to a pixel of y */
} upsample_opts;

/* The output size along an axis, and the ratio. */
static clef_status infer_axis(const clef__node *n, upsample_opts *o, int i, int64_t in)
{
	const clef_upsample_opts *g = &o->given;
	double scale = i == 1 && g->scale_w != 0 ? g->scale_w : g->scale;
	double out = scale != 0 ? (double)in * scale : (double)(i ? g->out_w : g->out_h);

	if (scale != 0 && !(scale > 0))
		return clef__op_fail(n, CLEF_ERROR_INVALID, "scale %g: more than 0", scale);
	if (in < 1 || in > LONGEST || !(out >= 1 && out < LONGEST + 1))
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "from %lld to %.10g pixels: 1 to %d are allowed",
				     (long long)in, out, LONGEST);
	o->in[i] = (int32_t)in;
	o->out[i] = (int32_t)out;
	/* Whatever the scale was, to be rounded down to this. */
	if (o->out[i] == in || (g->mode == CLEF_UPSAMPLE_NEAREST && o->out[i] == 2 * in))
		scale = 0;
	if (g->mode == CLEF_UPSAMPLE_BILINEAR && g->align_corners)
		o->ratio[i] = o->out[i] > 1 ? (float)(in - 1) / (float)(o->out[i] - 1) : 0;
	else
		o->ratio[i] = scale != 0 ? (float)(1 / scale) : (float)in / (float)o->out[i];
	return CLEF_OK;
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	/* The copy in the arena, which is this node's own. */
	upsample_opts *o = (upsample_opts *)(uintptr_t)n->opts;
	const clef_shape *x = &n->x[0]->shape;
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);

	(void)dtype;
	if (!status && x->ndim != 4)
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s, expected [n, c, h, w]",
				       CLEF__SHAPE_TEXT(*x));
	if (!status && (o->given.out_h || o->given.out_w) && (o->given.scale != 0 || o->given.scale_w != 0))
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "both a size of %d x %d and a scale", o->given.out_h,
				       o->given.out_w);
	if (!status && o->given.mode != CLEF_UPSAMPLE_NEAREST && o->given.mode != CLEF_UPSAMPLE_BILINEAR)
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "mode %d is none", (int)o->given.mode);
	if (!status && o->given.mode == CLEF_UPSAMPLE_NEAREST && o->given.align_corners)
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "align_corners is for mode CLEF_UPSAMPLE_BILINEAR");
	for (int i = 0; i < 2 && !status; i++)
		status = infer_axis(n, o, i, x->dim[2 + i]);
	if (status)
		return status;
	*shape = *x;
	shape->dim[2] = o->out[0];
	shape->dim[3] = o->out[1];
	return clef__check_size(n, shape);
}

static const char *defines_of(const upsample_opts *o)
{
	if (o->given.mode == CLEF_UPSAMPLE_NEAREST)
		return "#define NEAREST 1\n";
	return o->given.align_corners ? "#define ALIGN_CORNERS 1\n" : NULL;
}

static clef__arg image_of(const upsample_opts *o)
{
	return (clef__arg){ .kind = CLEF__ARG_INT8, .value.i8 = { o->in[0], o->in[1], o->out[0], o->out[1] } };
}

static clef_status forward(const clef__node *n)
{
	const upsample_opts *o = n->opts;
	const clef_tensor *x = n->x[0], *y = n->y;

	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "upsample",
					    .defines = defines_of(o),
					    .kernel = "upsample_forward", /* OpenCL has an upsample() of its own */
					    .label = "upsample",
					    .global = { (size_t)y->numel },
					    .bytes = 4.0 * ((double)x->numel + (double)y->numel),
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(y), CLEF__FLOAT(o->ratio[0]),
						      CLEF__FLOAT(o->ratio[1]), image_of(o), CLEF__INT(y->numel) },
				    });
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const upsample_opts *o = n->opts;
	const clef_tensor *x = n->x[0];

	if (!dx->dx)
		return CLEF_OK;
	return clef__launch(x->dev,
			    &(clef__launch_opts){
				    .program = "upsample",
				    .defines = defines_of(o),
				    .kernel = "upsample_backward",
				    .global = { (size_t)x->numel },
				    .bytes = (dx->beta != 0 ? 8.0 : 4.0) * (double)x->numel + 4.0 * (double)dy->numel,
				    .args = { CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx), CLEF__FLOAT(dx->beta),
					      CLEF__FLOAT(o->ratio[0]), CLEF__FLOAT(o->ratio[1]), image_of(o),
					      CLEF__INT(x->numel) },
			    });
}

static const clef__op upsample = { "upsample", infer, forward, backward };

clef_tensor *clef_upsample(clef_tensor *x, const clef_upsample_opts *opts)
{
	upsample_opts o;

	if (!opts) {
		clef__null_argument("upsample");
		return NULL;
	}
	o = (upsample_opts){ .given = *opts };
	return clef__apply(&upsample, &x, 1, &o, sizeof(o));
}
