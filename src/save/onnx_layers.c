/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers as ONNX: a function for each family of kinds. Weights keep their names. Where ONNX and PyTorch, which clef
 * follows, mean different things by the same name, or readers do not agree, the layer is refused.
 */
#include <math.h>

#include "onnx_internal.h"

/* ---- weights ---- */

/* Parameter or buffer NAME.PART as a weight of that shape; NULL, with a message, where it cannot be read. */
static const char *weight_as(const clef__onnx_job *j, const char *part, clef_shape shape)
{
	char full[64];
	int i = clef__params_index(j->model->params, j->name, part, 0);
	const clef_tensor *x;
	float *values;
	const char *name;

	snprintf(full, sizeof(full), "%s.%s", j->name, part);
	x = i >= 0 ? j->model->params->list[i].w : clef_model_buffer(j->model, full);
	values = x ? clef__calloc((size_t)x->numel, sizeof(*values), full) : NULL;
	if (!values || clef_read(x, values, (size_t)x->numel * sizeof(*values))) {
		free(values);
		return NULL;
	}
	name = clef__onnx_floats(j->g, full, shape.ndim < 0 ? x->shape : shape, values);
	free(values);
	return name;
}

static const char *weight(const clef__onnx_job *j, const char *part)
{
	return weight_as(j, part, (clef_shape){ .ndim = -1 });
}

/* The same number everywhere. */
static const char *filled(const clef__onnx_job *j, clef_shape shape, float value)
{
	const int64_t count = clef_shape_numel(shape);
	float *values = clef__calloc((size_t)count, sizeof(*values), "a weight");
	const char *name;

	if (!values)
		return NULL;
	for (int64_t i = 0; i < count; i++)
		values[i] = value;
	name = clef__onnx_floats(j->g, NULL, shape, values);
	free(values);
	return name;
}

/* One for each channel of x. */
static const char *per_channel(const clef__onnx_job *j, float value)
{
	return filled(j, CLEF_SHAPE(j->in.dim[1]), value);
}

/* Spatial dimensions of x. */
static int spatial(const clef__onnx_job *j)
{
	return j->in.ndim - 2;
}

/* An attribute with the same number for each spatial dimension, `times` over. */
static void each(const clef__onnx_job *j, const char *name, int64_t value, int times)
{
	int64_t values[2 * CLEF_MAX_DIMS];
	const int count = times * spatial(j);

	for (int i = 0; i < count; i++)
		values[i] = value;
	clef__onnx_ints(j->g, name, values, count);
}

/* ---- layers with weights ---- */

static const char *linear(const clef__onnx_job *j, const char *x)
{
	const char *w = weight(j, "weight"), *b = j->layer->no_bias ? NULL : weight(j, "bias");

	if (!w || (!b && !j->layer->no_bias))
		return NULL;
	if (j->in.ndim == 2) {
		clef__onnx_int(j->g, "transB", 1);
		return clef__onnx_node(j->g, "Gemm", (const char *const[]){ x, w, b }, b ? 3 : 2);
	}
	clef__onnx_ints(j->g, "perm", (const int64_t[]){ 1, 0 }, 2);
	x = bin(j, "MatMul", x, un(j, "Transpose", w));
	return b ? bin(j, "Add", x, b) : x;
}

static const char *conv(const clef__onnx_job *j, const char *x)
{
	const clef_layer *l = j->layer;
	const bool transposed = l->kind == CLEF_CONV_TRANSPOSE1D || l->kind == CLEF_CONV_TRANSPOSE2D;
	const char *w = weight(j, "weight"), *b = l->no_bias ? NULL : weight(j, "bias");

	if (!w || (!b && !l->no_bias))
		return NULL;
	if (transposed && l->output_pad >= CLEF__MAX(l->stride, 1))
		return clef__onnx_refuse(j, "output_pad is not below the stride, which readers do not take");
	each(j, "kernel_shape", l->kernel, 1);
	each(j, "strides", l->stride ? l->stride : 1, 1);
	each(j, "pads", l->pad, 2);
	each(j, "dilations", l->dilation ? l->dilation : 1, 1);
	clef__onnx_int(j->g, "group", l->groups ? l->groups : 1);
	if (transposed)
		each(j, "output_padding", l->output_pad, 1);
	return clef__onnx_node(j->g, transposed ? "ConvTranspose" : "Conv", (const char *const[]){ x, w, b },
			       b ? 3 : 2);
}

static float eps_of(const clef__onnx_job *j, float preset)
{
	return j->layer->eps > 0 ? j->layer->eps : preset;
}

static const char *batch_norm(const clef__onnx_job *j, const char *x)
{
	const bool plain = j->layer->no_affine;
	const char *in[5] = { x };

	in[1] = plain ? per_channel(j, 1) : weight(j, "weight");
	in[2] = plain ? per_channel(j, 0) : weight(j, "bias");
	in[3] = weight(j, "running_mean");
	in[4] = weight(j, "running_var");
	clef__onnx_float(j->g, "epsilon", eps_of(j, 1e-5f));
	return clef__onnx_node(j->g, "BatchNormalization", in, 5);
}

static const char *instance_norm(const clef__onnx_job *j, const char *x)
{
	const char *in[3] = { x };

	in[1] = j->layer->affine ? weight(j, "weight") : per_channel(j, 1);
	in[2] = j->layer->affine ? weight(j, "bias") : per_channel(j, 0);
	clef__onnx_float(j->g, "epsilon", eps_of(j, 1e-5f));
	return clef__onnx_node(j->g, "InstanceNormalization", in, 3);
}

static const char *group_norm(const clef__onnx_job *j, const char *x)
{
	const char *in[3] = { x };

	in[1] = j->layer->no_affine ? per_channel(j, 1) : weight(j, "weight");
	in[2] = j->layer->no_affine ? per_channel(j, 0) : weight(j, "bias");
	clef__onnx_float(j->g, "epsilon", eps_of(j, 1e-5f));
	clef__onnx_int(j->g, "num_groups", j->layer->groups);
	return clef__onnx_node(j->g, "GroupNormalization", in, 3);
}

/* ---- over the last dimensions ---- */

static int last_dims(const clef__onnx_job *j)
{
	return j->layer->dims ? (int)j->layer->dims : 1;
}

static const char *ones_of_last(const clef__onnx_job *j)
{
	clef_shape shape = { .ndim = last_dims(j) };

	for (int i = 0; i < shape.ndim; i++)
		shape.dim[i] = j->in.dim[j->in.ndim - shape.ndim + i];
	return filled(j, shape, 1);
}

static const char *layer_norm(const clef__onnx_job *j, const char *x)
{
	const bool bias = !j->layer->no_affine && !j->layer->no_bias;
	const char *in[3] = { x };

	in[1] = j->layer->no_affine ? ones_of_last(j) : weight(j, "weight");
	in[2] = bias ? weight(j, "bias") : NULL;
	clef__onnx_int(j->g, "axis", -last_dims(j));
	clef__onnx_float(j->g, "epsilon", eps_of(j, 1e-5f));
	return clef__onnx_node(j->g, "LayerNormalization", in, bias ? 3 : 2);
}

/* x / sqrt(mean(x^2) + eps) w */
static const char *rms_norm(const clef__onnx_job *j, const char *x)
{
	int64_t axes[CLEF_MAX_DIMS];
	const char *mean, *y;

	for (int i = 0; i < last_dims(j); i++)
		axes[i] = -1 - i;
	mean = clef__onnx_sizes(j->g, axes, last_dims(j));
	mean = bin(j, "ReduceMean", bin(j, "Mul", x, x), mean);
	y = bin(j, "Div", x, un(j, "Sqrt", bin(j, "Add", mean, number(j, eps_of(j, 0x1p-23f)))));
	return j->layer->no_affine ? y : bin(j, "Mul", y, weight(j, "weight"));
}

/* To a shape whose first dimension is that of x. */
static const char *reshape(const clef__onnx_job *j, const char *x, clef_shape shape)
{
	shape.dim[0] = 0;
	return bin(j, "Reshape", x, clef__onnx_sizes(j->g, shape.dim, shape.ndim));
}

static const char *response_norm(const clef__onnx_job *j, const char *x)
{
	const clef_layer *l = j->layer;
	const bool flat = j->in.ndim == 3;

	if (l->size % 2 == 0)
		return clef__onnx_refuse(j, "an even size");
	/* Readers want images. */
	if (flat)
		x = reshape(j, x, CLEF_SHAPE(0, j->in.dim[1], j->in.dim[2], 1));
	clef__onnx_int(j->g, "size", l->size);
	clef__onnx_float(j->g, "alpha", l->alpha > 0 ? l->alpha : 1e-4f);
	clef__onnx_float(j->g, "beta", l->beta > 0 ? l->beta : 0.75f);
	clef__onnx_float(j->g, "bias", l->k > 0 ? l->k : 1.0f);
	x = un(j, "LRN", x);
	return flat ? reshape(j, x, j->out) : x;
}

/* One slope for each channel, in front of the dimensions behind them. */
static const char *prelu(const clef__onnx_job *j, const char *x)
{
	clef_shape shape = { .ndim = j->layer->per_channel ? j->in.ndim - 1 : 1 };

	for (int i = 0; i < shape.ndim; i++)
		shape.dim[i] = 1;
	if (j->layer->per_channel)
		shape.dim[0] = j->in.dim[1];
	return bin(j, "PRelu", x, weight_as(j, "weight", shape));
}

/* ---- pooling ---- */

/* Windows in a row of `size`, with a last one that is not whole or without. */
static int64_t windows(const clef_layer *l, int64_t size, bool ceil)
{
	const int64_t stride = l->stride ? l->stride : l->kernel, dilation = l->dilation ? l->dilation : 1;
	const int64_t rest = size + 2 * l->pad - dilation * (l->kernel - 1) - 1;

	return (rest + (ceil ? stride - 1 : 0)) / stride + 1;
}

/* Whether that is what the layer gives. PyTorch has no window that begins behind x, ONNX has. */
static bool counts(const clef__onnx_job *j, bool ceil)
{
	for (int i = 2; i < j->in.ndim; i++)
		if (windows(j->layer, j->in.dim[i], ceil) != j->out.dim[i])
			return false;
	return true;
}

static const char *pool(const clef__onnx_job *j, const char *x)
{
	const clef_layer *l = j->layer;
	const bool max = l->kind == CLEF_MAX_POOL1D || l->kind == CLEF_MAX_POOL2D;
	const bool ceil = !counts(j, false);

	if (ceil && (!max || !counts(j, true)))
		return clef__onnx_refuse(j, "ceil_mode on such sizes, on which readers do not agree");
	each(j, "kernel_shape", l->kernel, 1);
	each(j, "strides", l->stride ? l->stride : l->kernel, 1);
	each(j, "pads", l->pad, 2);
	if (max)
		each(j, "dilations", l->dilation ? l->dilation : 1, 1);
	clef__onnx_int(j->g, "ceil_mode", ceil);
	if (!max)
		clef__onnx_int(j->g, "count_include_pad", !l->exclude_pad);
	return un(j, max ? "MaxPool" : "AveragePool", x);
}

/* Where the sizes are multiples it is a pooling like others. */
static const char *adaptive_pool(const clef__onnx_job *j, const char *x)
{
	const bool max = j->layer->kind == CLEF_ADAPTIVE_MAX_POOL1D || j->layer->kind == CLEF_ADAPTIVE_MAX_POOL2D;
	int64_t sides[CLEF_MAX_DIMS];

	for (int i = 0; i < spatial(j); i++) {
		sides[i] = j->in.dim[i + 2] / j->layer->out;
		if (!sides[i] || sides[i] * j->layer->out != j->in.dim[i + 2])
			return clef__onnx_refuse(j, "a size that is no multiple of the result's");
	}
	clef__onnx_ints(j->g, "kernel_shape", sides, spatial(j));
	clef__onnx_ints(j->g, "strides", sides, spatial(j));
	return un(j, max ? "MaxPool" : "AveragePool", x);
}

/* ---- shapes ---- */

static const char *pixel_unshuffle(const clef__onnx_job *j, const char *x)
{
	const int64_t f = j->layer->factor, c = j->in.dim[1], h = j->in.dim[2], w = j->in.dim[3];

	x = reshape(j, x, CLEF_SHAPE(0, c, h / f, f, w / f, f));
	clef__onnx_ints(j->g, "perm", (const int64_t[]){ 0, 1, 3, 5, 2, 4 }, 6);
	return reshape(j, un(j, "Transpose", x), j->out);
}

static bool scales_to(float scale, const clef__onnx_job *j, int i)
{
	return (int64_t)((double)scale * (double)j->in.dim[i]) == j->out.dim[i];
}

static const char *upsample(const clef__onnx_job *j, const char *x)
{
	const clef_layer *l = j->layer;
	float scales[CLEF_MAX_DIMS] = { 1, 1 };
	const char *in[3] = { x, "" };

	for (int i = 2; i < j->in.ndim; i++) {
		scales[i] = l->scale > 0 ? (float)l->scale : (float)j->out.dim[i] / (float)j->in.dim[i];
		/* Readers round the product down. One unit more is nothing to what lies between two values, but the
		 * nearest one may be another then. */
		if (!scales_to(scales[i], j, i) && l->bilinear)
			scales[i] = nextafterf(scales[i], INFINITY);
		if (!scales_to(scales[i], j, i))
			return clef__onnx_refuse(j, "a size that is no product of a float32 and that of x");
	}
	in[2] = clef__onnx_floats(j->g, NULL, CLEF_SHAPE(j->in.ndim), scales);
	clef__onnx_text(j->g, "mode", l->bilinear ? "linear" : "nearest");
	clef__onnx_text(j->g, "coordinate_transformation_mode",
			!l->bilinear       ? "asymmetric"
			: l->align_corners ? "align_corners"
					   : "half_pixel");
	if (!l->bilinear)
		clef__onnx_text(j->g, "nearest_mode", "floor");
	return clef__onnx_node(j->g, "Resize", in, 3);
}

static const char *pad(const clef__onnx_job *j, const char *x, const char *mode)
{
	int64_t pads[2 * CLEF_MAX_DIMS] = { 0 };
	const char *in[3] = { x };

	for (int i = 2; i < j->in.ndim; i++)
		pads[i] = pads[j->in.ndim + i] = j->layer->pad;
	clef__onnx_text(j->g, "mode", mode);
	in[1] = clef__onnx_sizes(j->g, pads, 2 * j->in.ndim);
	in[2] = number(j, j->layer->p + 0.0f);
	return clef__onnx_node(j->g, "Pad", in, !strcmp(mode, "constant") ? 3 : 2);
}

static const char *softmax(const clef__onnx_job *j, const char *x)
{
	clef__onnx_int(j->g, "axis", j->layer->dim ? j->layer->dim : -1);
	return un(j, j->layer->kind == CLEF_SOFTMAX ? "Softmax" : "LogSoftmax", x);
}

/* ---- all kinds ---- */

const char *clef__onnx_layer(const clef__onnx_job *j, const char *x)
{
	switch (j->layer->kind) {
	case CLEF_LINEAR:
		return linear(j, x);
	case CLEF_CONV1D:
	case CLEF_CONV2D:
	case CLEF_CONV_TRANSPOSE1D:
	case CLEF_CONV_TRANSPOSE2D:
		return conv(j, x);
	case CLEF_EMBEDDING:
		return bin(j, "Gather", weight(j, "weight"), x);
	case CLEF_BATCH_NORM:
		return batch_norm(j, x);
	case CLEF_LAYER_NORM:
		return layer_norm(j, x);
	case CLEF_RMS_NORM:
		return rms_norm(j, x);
	case CLEF_GROUP_NORM:
		return group_norm(j, x);
	case CLEF_INSTANCE_NORM:
		return instance_norm(j, x);
	case CLEF_LOCAL_RESPONSE_NORM:
		return response_norm(j, x);
	case CLEF_DROPOUT: /* of evaluation */
	case CLEF_DROPOUT2D:
		return x;
	case CLEF_MAX_POOL1D:
	case CLEF_MAX_POOL2D:
	case CLEF_AVG_POOL1D:
	case CLEF_AVG_POOL2D:
		return pool(j, x);
	case CLEF_ADAPTIVE_AVG_POOL1D:
	case CLEF_ADAPTIVE_AVG_POOL2D:
	case CLEF_ADAPTIVE_MAX_POOL1D:
	case CLEF_ADAPTIVE_MAX_POOL2D:
		return adaptive_pool(j, x);
	case CLEF_FLATTEN:
		return un(j, "Flatten", x);
	case CLEF_UNFLATTEN:
		return reshape(j, x, j->out);
	case CLEF_PIXEL_SHUFFLE:
		clef__onnx_int(j->g, "blocksize", j->layer->factor);
		clef__onnx_text(j->g, "mode", "CRD");
		return un(j, "DepthToSpace", x);
	case CLEF_PIXEL_UNSHUFFLE:
		return pixel_unshuffle(j, x);
	case CLEF_UPSAMPLE:
		return upsample(j, x);
	case CLEF_ZERO_PAD1D:
	case CLEF_ZERO_PAD2D:
	case CLEF_CONSTANT_PAD1D:
	case CLEF_CONSTANT_PAD2D:
		return pad(j, x, "constant");
	case CLEF_REFLECTION_PAD1D:
	case CLEF_REFLECTION_PAD2D:
		return pad(j, x, "reflect");
	case CLEF_REPLICATION_PAD1D:
	case CLEF_REPLICATION_PAD2D:
		return pad(j, x, "edge");
	case CLEF_CIRCULAR_PAD1D:
	case CLEF_CIRCULAR_PAD2D:
		return pad(j, x, "wrap");
	case CLEF_SOFTMAX:
	case CLEF_LOG_SOFTMAX:
		return softmax(j, x);
	case CLEF_PRELU:
		return prelu(j, x);
	default:
		return clef__onnx_pointwise(j, x);
	}
}
