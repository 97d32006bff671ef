/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward functions as ONNX. The function runs on a dry recording, in evaluation, and each operation recorded there is
 * turned back into the layer that would have recorded it, which onnx_layers.c knows how to write; what has two
 * operands, as the sum at the end of a residual block, is written here.
 */
#include <clef/pool.h>

#include "conv_internal.h"
#include "onnx_internal.h"
#include "pool_internal.h"

typedef struct walk {
	clef__onnx *g;
	const clef_model *model;
	const clef_tape *tape;
	const char **names; /* of the nodes' results */
} walk;

static const char *refuse(const clef__node *n, const char *why)
{
	return clef__fail_null(CLEF_ERROR_UNSUPPORTED, "clef_onnx_save: %s%s%s%s cannot be written as ONNX: %s",
			       n->op->name, n->label ? " \"" : "", n->label ? n->label : "", n->label ? "\"" : "", why);
}

/* ---- tensors by name ---- */

static const char *parameter_name(const clef_model *model, const clef_tensor *x)
{
	for (int i = 0; i < model->params->count; i++)
		if (model->params->list[i].w == x)
			return model->params->list[i].name;
	for (int i = 0; i < model->state_count; i++)
		if (model->states[i].x == x)
			return model->states[i].name;
	return NULL;
}

/* Operand i: what a node gave, or the input. */
static const char *operand(const walk *k, const clef__node *n, int i)
{
	for (int at = 0; at < clef__tape_count(k->tape); at++)
		if (clef__tape_node(k->tape, at)->y == n->x[i])
			return k->names[at];
	if (n->x[i]->tape == k->tape)
		return "x";
	return refuse(n, "an operand is a tensor that is neither computed nor a layer's");
}

/* Whether operand i is PART of the layer that the node is labelled with: that is where the layer's writer looks. */
static bool is_of_layer(const walk *k, const clef__node *n, int i, const char *part)
{
	const char *name = i < n->inputs ? parameter_name(k->model, n->x[i]) : NULL;
	size_t length = n->label ? strlen(n->label) : 0;

	return name && length && !strncmp(name, n->label, length) && name[length] == '.' &&
	       !strcmp(name + length + 1, part);
}

/* ---- operations with one operand, as layers ---- */

static const char *as_layer(const walk *k, const clef__node *n, const clef_layer *layer, const char *x)
{
	const clef__onnx_job job = { .g = k->g,
				     .model = k->model,
				     .layer = layer,
				     .index = -1,
				     .name = n->label ? n->label : n->op->name,
				     .in = n->x[0]->shape,
				     .out = n->y->shape };

	return x ? clef__onnx_layer(&job, x) : NULL;
}

/* The layer that is a pointwise operation by this name; CLEF_LAYER_NONE where there is none. */
static clef_layer_kind kind_of(const char *name)
{
	for (int kind = CLEF_LAYER_NONE + 1; kind < CLEF_LAYER_KINDS; kind++)
		if (!strcmp(clef_layer_name((clef_layer_kind)kind), name))
			return (clef_layer_kind)kind;
	return CLEF_LAYER_NONE;
}

/* A zero that is meant. */
static float meant(float value)
{
	return value == 0 ? -0.0f : value;
}

/* On top of what the node gave: the activation that it applies to its result. */
static const char *activated(const walk *k, const clef__node *n, clef_activation a, const char *x)
{
	clef_layer layer = { CLEF_LAYER_NONE, .p = meant(a.p), .q = meant(a.q) };

	if (a.kind == CLEF_ACT_NONE)
		return x;
	for (int kind = CLEF_LAYER_NONE + 1; kind < CLEF_LAYER_KINDS; kind++)
		if (clef__layer_type_of((clef_layer_kind)kind)->activation == a.kind)
			layer.kind = (clef_layer_kind)kind;
	return as_layer(k, n, &layer, x);
}

static const char *conv(const walk *k, const clef__node *n, clef_layer_kind kind, const char *x)
{
	const clef__conv_opts *o = n->opts;
	const clef_shape *w = &n->x[1]->shape;
	int last = w->ndim - 1, from = o->dims == 1;
	clef_layer layer = { kind,
			     .kernel = w->dim[last],
			     .stride = o->stride[1],
			     .pad = o->before[1],
			     .output_pad = o->output_pad[1],
			     .dilation = o->dilation[1],
			     .groups = o->groups,
			     .no_bias = n->inputs < 3 };
	bool even = o->mode == CLEF_PAD_ZEROS;

	for (int i = from; i < 2; i++)
		even = even && w->dim[last - 1 + i] == layer.kernel && o->stride[i] == layer.stride &&
		       o->before[i] == layer.pad && o->after[i] == layer.pad && o->dilation[i] == layer.dilation &&
		       o->output_pad[i] == layer.output_pad;
	if (!even)
		return refuse(n, "its sides differ, or it pads with other than zeros");
	if (!is_of_layer(k, n, 1, "weight") || (n->inputs > 2 && !is_of_layer(k, n, 2, "bias")))
		return refuse(n, "its weights are not those of a layer");
	return activated(k, n, o->activation, as_layer(k, n, &layer, x));
}

static const char *batch_norm(const walk *k, const clef__node *n, const char *x)
{
	const clef_batch_norm_opts *o = n->opts;
	const clef_layer layer = { CLEF_BATCH_NORM, .eps = o->eps, .no_affine = n->inputs == 3 };

	if (!is_of_layer(k, n, n->inputs - 2, "running_mean") || !is_of_layer(k, n, n->inputs - 1, "running_var") ||
	    (n->inputs > 3 && (!is_of_layer(k, n, 1, "weight") || !is_of_layer(k, n, 2, "bias"))))
		return refuse(n, "its weights are not those of a layer");
	return activated(k, n, o->activation, as_layer(k, n, &layer, x));
}

static const char *linear(const walk *k, const clef__node *n, const char *x)
{
	const clef_layer layer = { CLEF_LINEAR, .no_bias = n->inputs < 3 };

	if (!is_of_layer(k, n, 1, "weight") || (n->inputs > 2 && !is_of_layer(k, n, 2, "bias")))
		return refuse(n, "its weights are not those of a layer");
	return activated(k, n, *(const clef_activation *)n->opts, as_layer(k, n, &layer, x));
}

static const char *pool(const walk *k, const clef__node *n, clef_layer_kind kind, const char *x)
{
	const clef__pool *p = n->opts;
	const clef_layer layer = { kind,
				   .out = p->out[1],
				   .kernel = p->kernel[1],
				   .stride = p->stride[1],
				   .pad = p->pad[1],
				   .dilation = p->dilation[1],
				   .exclude_pad = p->exclude_pad };
	bool even = p->flat || (p->adaptive ? p->out[0] == p->out[1]
					    : p->kernel[0] == p->kernel[1] && p->stride[0] == p->stride[1] &&
						      p->pad[0] == p->pad[1] && p->dilation[0] == p->dilation[1]);

	if (!even || p->divisor)
		return refuse(n, p->divisor ? "it has a divisor of its own" : "its sides differ");
	return as_layer(k, n, &layer, x);
}

/* The batch must stay what it is, since it may be of any size. */
static const char *reshape(const walk *k, const clef__node *n, const char *x)
{
	clef_shape shape = n->y->shape;

	if (!x)
		return NULL;
	if (!shape.ndim || shape.dim[0] != 1 || !n->x[0]->shape.ndim || n->x[0]->shape.dim[0] != 1)
		return refuse(n, "the first dimension is no longer the batch");
	shape.dim[0] = 0;
	return clef__onnx_binary(k->g, "Reshape", x, clef__onnx_sizes(k->g, shape.dim, shape.ndim));
}

/* ---- operations with two operands ---- */

static const char *binary_operator(const char *name)
{
	static const char *const table[][2] = { { "add", "Add" }, { "sub", "Sub" },     { "mul", "Mul" },
						{ "div", "Div" }, { "maximum", "Max" }, { "minimum", "Min" } };

	for (int i = 0; i < CLEF_COUNT(table); i++)
		if (!strcmp(table[i][0], name))
			return table[i][1];
	return NULL;
}

static const char *two_operands(const walk *k, const clef__node *n, const char *operator)
{
	const char *a = operand(k, n, 0), *b = a ? operand(k, n, 1) : NULL;

	return b ? clef__onnx_binary(k->g, operator, a, b) : NULL;
}

/* ---- the recording ---- */

static const char *add_node(const walk *k, const clef__node *n)
{
	const char *name = n->op->name, *x;
	clef_layer_kind kind = kind_of(name);

	if (binary_operator(name))
		return two_operands(k, n, binary_operator(name));
	if (!strcmp(name, "add_act"))
		return activated(k, n, *(const clef_activation *)n->opts, two_operands(k, n, "Add"));
	x = operand(k, n, 0);
	if (!x)
		return NULL;
	switch (kind) {
	case CLEF_CONV1D:
	case CLEF_CONV2D:
	case CLEF_CONV_TRANSPOSE1D:
	case CLEF_CONV_TRANSPOSE2D:
		return conv(k, n, kind, x);
	case CLEF_BATCH_NORM:
		return batch_norm(k, n, x);
	case CLEF_LINEAR:
		return linear(k, n, x);
	case CLEF_MAX_POOL1D:
	case CLEF_MAX_POOL2D:
	case CLEF_AVG_POOL1D:
	case CLEF_AVG_POOL2D:
	case CLEF_ADAPTIVE_AVG_POOL1D:
	case CLEF_ADAPTIVE_AVG_POOL2D:
	case CLEF_ADAPTIVE_MAX_POOL1D:
	case CLEF_ADAPTIVE_MAX_POOL2D:
		return pool(k, n, kind, x);
	case CLEF_DROPOUT:
	case CLEF_DROPOUT2D:
	case CLEF_FLATTEN:
		return as_layer(k, n, &(clef_layer){ kind }, x);
	default:
		break;
	}
	if (!strcmp(name, "reshape"))
		return reshape(k, n, x);
	if (kind != CLEF_LAYER_NONE && clef__layer_type_of(kind)->activation != CLEF_ACT_NONE) {
		const float *parameters = n->opts; /* of every pointwise operation: p and q */

		return as_layer(k, n, &(clef_layer){ kind, .p = meant(parameters[0]), .q = meant(parameters[1]) }, x);
	}
	return refuse(n, "it has no counterpart here yet");
}

static const char *add_all(walk *k, const clef_tensor *y)
{
	const char *result = y->tape == k->tape ? "x" : NULL;

	for (int i = 0; i < clef__tape_count(k->tape); i++) {
		k->names[i] = add_node(k, clef__tape_node(k->tape, i));
		if (!k->names[i])
			return NULL;
		if (clef__tape_node(k->tape, i)->y == y)
			result = k->names[i];
	}
	return clef__onnx_unary(k->g, "Identity", result);
}

const char *clef__onnx_function(clef__onnx *g, const clef_model *model)
{
	clef_device *dev = model->params->dev;
	void *begun = clef__device_get_tape(dev);
	clef_tape *tape = clef_tape_new(dev);
	/* A dry recording leaves the model as it was. */
	const clef_tensor *y = tape ? clef__model_record((clef_model *)(uintptr_t)model, tape, false) : NULL;
	walk k = { .g = g, .model = model, .tape = tape };
	const char *result = NULL;

	if (y)
		k.names = clef__calloc((size_t)clef__tape_count(tape), sizeof(*k.names), "names");
	if (k.names)
		result = add_all(&k, y);
	free(k.names);
	clef_tape_free(tape);
	clef__device_set_tape(dev, begun);
	return result;
}
