/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequential models: a table of layers, applied in order by one forward function. What a kind of layer is called,
 * which fields it takes and what it does is one row of `types`; the rows of pointwise operations come from
 * pointwise.def. Reading a model from text (net_parse.c) needs nothing but these rows.
 */
#include <math.h>

#include "nn_internal.h"

static clef_tensor *apply_linear(clef_module *m, const char *name, clef_tensor *x, const clef_layer *layer)
{
	return clef_nn_linear(
		m, name, x, layer->out,
		&(clef_linear_opts){ .no_bias = layer->no_bias, .weight = layer->weight, .bias = layer->bias });
}

static clef_tensor *apply_prelu(clef_module *m, const char *name, clef_tensor *x, const clef_layer *layer)
{
	return clef_nn_prelu(m, name, x, &(clef_prelu_opts){ .slope = layer->p });
}

static clef_tensor *apply_conv2d(clef_module *m, const char *name, clef_tensor *x, const clef_layer *layer)
{
	const clef_conv2d_opts opts = { .stride = (int)layer->stride,
					.pad = (int)layer->pad,
					.groups = (int)layer->groups };

	return (layer->no_bias ? clef_nn_conv2d_no_bias : clef_nn_conv2d)(m, name, x, layer->out, layer->kernel, &opts);
}

static clef_tensor *apply_batch_norm(clef_module *m, const char *name, clef_tensor *x, const clef_layer *layer)
{
	(void)layer;
	return clef_nn_batch_norm(m, name, x, NULL);
}

/* An operation without parameters, as a layer with a name. */
#define PLAIN_LAYER(kind, call)                                                                                        \
	static clef_tensor *apply_##kind(clef_module *m, const char *name, clef_tensor *x, const clef_layer *layer)    \
	{                                                                                                              \
		return clef__layer_end(m, name, #kind, x, clef__layer_begin(m, name) ? NULL : (call));                 \
	}

PLAIN_LAYER(max_pool2d, clef_max_pool2d(x, &(clef_max_pool_opts){ .kernel = (int)layer->kernel,
								  .stride = (int)layer->stride,
								  .pad = (int)layer->pad }))
PLAIN_LAYER(avg_pool2d, clef_avg_pool2d(x, &(clef_avg_pool_opts){ .kernel = (int)layer->kernel,
								  .stride = (int)layer->stride,
								  .pad = (int)layer->pad }))
PLAIN_LAYER(adaptive_avg_pool2d, clef_adaptive_avg_pool2d(x, layer->out, layer->out))
PLAIN_LAYER(dropout, clef_nn_dropout(m, x, clef__left_out(layer->p) ? 0.5f : layer->p))

static clef_tensor *flatten(clef_tensor *x, float p, float q)
{
	(void)p;
	(void)q;
	return clef_flatten(x);
}

#define CLEF_UNARY0(name, NAME, value, gradient)                                                                       \
	static clef_tensor *apply_##name(clef_tensor *x, float p, float q)                                             \
	{                                                                                                              \
		(void)p;                                                                                               \
		(void)q;                                                                                               \
		return clef_##name(x);                                                                                 \
	}
#define CLEF_UNARY1(name, NAME, p_name, p_default, value, gradient)                                                    \
	static clef_tensor *apply_##name(clef_tensor *x, float p, float q)                                             \
	{                                                                                                              \
		(void)q;                                                                                               \
		return clef_##name(x, p);                                                                              \
	}
#define CLEF_UNARY2(name, NAME, p_name, p_default, q_name, q_default, value, gradient)                                 \
	static clef_tensor *apply_##name(clef_tensor *x, float p, float q)                                             \
	{                                                                                                              \
		return clef_##name(x, p, q);                                                                           \
	}
#include <clef/pointwise.def>

#define FIELD_P(text, value)                                                                                           \
	{                                                                                                              \
		text, CLEF__FIELD_NUMBER, offsetof(clef_layer, p), value                                               \
	}
#define FIELD_Q(text, value)                                                                                           \
	{                                                                                                              \
		text, CLEF__FIELD_NUMBER, offsetof(clef_layer, q), value                                               \
	}

#define FIELD_COUNT(text, member)                                                                                      \
	{                                                                                                              \
		text, CLEF__FIELD_COUNT, offsetof(clef_layer, member), 0.0f                                            \
	}
#define FIELD_WHOLE(text, member)                                                                                      \
	{                                                                                                              \
		text, CLEF__FIELD_WHOLE, offsetof(clef_layer, member), 0.0f                                            \
	}
#define FIELD_NO_BIAS                                                                                                  \
	{                                                                                                              \
		"no_bias", CLEF__FIELD_FLAG, offsetof(clef_layer, no_bias), 0.0f                                       \
	}
#define FIELDS_POOL FIELD_COUNT("kernel", kernel), FIELD_WHOLE("stride", stride), FIELD_WHOLE("pad", pad)

static const clef__layer_type types[CLEF_LAYER_KINDS] = {
	[CLEF_LINEAR] = { .name = "linear",
			  .apply = apply_linear,
			  .inits = true,
			  .field = { FIELD_COUNT("out", out), FIELD_NO_BIAS } },
	[CLEF_CONV2D] = { .name = "conv2d",
			  .apply = apply_conv2d,
			  .field = { FIELD_COUNT("out", out), FIELD_COUNT("kernel", kernel),
				     FIELD_WHOLE("stride", stride), FIELD_WHOLE("pad", pad),
				     FIELD_WHOLE("groups", groups), FIELD_NO_BIAS } },
	[CLEF_BATCH_NORM] = { .name = "batch_norm", .apply = apply_batch_norm },
	[CLEF_MAX_POOL2D] = { .name = "max_pool2d", .apply = apply_max_pool2d, .field = { FIELDS_POOL } },
	[CLEF_AVG_POOL2D] = { .name = "avg_pool2d", .apply = apply_avg_pool2d, .field = { FIELDS_POOL } },
	[CLEF_ADAPTIVE_AVG_POOL2D] = { .name = "adaptive_avg_pool2d",
				       .apply = apply_adaptive_avg_pool2d,
				       .field = { FIELD_COUNT("out", out) } },
	[CLEF_DROPOUT] = { .name = "dropout", .apply = apply_dropout, .field = { FIELD_P("p", 0.5f) } },
	[CLEF_FLATTEN] = { .name = "flatten", .pointwise = flatten },
	[CLEF_PRELU] = { .name = "prelu", .apply = apply_prelu, .field = { FIELD_P("slope", 0.25f) } },
#define CLEF_UNARY0(n, N, value, gradient) [CLEF_##N] = { .name = #n, .pointwise = apply_##n },
#define CLEF_UNARY1(n, N, p_name, p_default, value, gradient)                                                          \
	[CLEF_##N] = { .name = #n, .pointwise = apply_##n, .field = { FIELD_P(#p_name, p_default) } },
#define CLEF_UNARY2(n, N, p_name, p_default, q_name, q_default, value, gradient)                                       \
	[CLEF_##N] = { .name = #n,                                                                                     \
		       .pointwise = apply_##n,                                                                         \
		       .field = { FIELD_P(#p_name, p_default), FIELD_Q(#q_name, q_default) } },
#include <clef/pointwise.def>
};

const clef__layer_type *clef__layer_type_of(clef_layer_kind kind)
{
	if ((int)kind <= CLEF_LAYER_NONE || (int)kind >= CLEF_LAYER_KINDS)
		return NULL;
	return &types[kind];
}

const char *clef_layer_name(clef_layer_kind kind)
{
	const clef__layer_type *type = clef__layer_type_of(kind);

	return type ? type->name : "layer?";
}

static clef_tensor *pointwise(const clef__layer_type *type, clef_tensor *x, const clef_layer *layer)
{
	bool left_out = clef__left_out(layer->p) && clef__left_out(layer->q);

	/* Adding 0 makes a zero out of the -0.0f that means one. */
	return left_out ? type->pointwise(x, type->field[0].preset, type->field[1].preset)
			: type->pointwise(x, layer->p + 0.0f, layer->q + 0.0f);
}

static clef_tensor *forward(clef_module *m, clef_tensor *x)
{
	const clef_model *model = m->model;

	for (int i = 0; i < model->layer_count && x; i++) {
		const clef_layer *layer = &model->layers[i];
		const clef__layer_type *type = &types[layer->kind];
		const char *name = model->layer_names[i];

		if (type->apply)
			x = type->apply(m, name, x, layer);
		else
			x = clef__layer_end(m, name, type->name, x,
					    clef__layer_begin(m, name) ? NULL : pointwise(type, x, layer));
	}
	return x;
}

static bool takes(const clef__layer_type *type, size_t offset)
{
	for (int i = 0; i < CLEF__LAYER_FIELDS && type->field[i].name; i++)
		if (type->field[i].offset == offset)
			return true;
	return false;
}

/* A field that the kind does not know is a mistake, as in { CLEF_RELU, .out = 10 }. */
static clef_status check_layer(const clef_layer *layer, int i)
{
	const clef__layer_type *type = clef__layer_type_of(layer->kind);
	const char *wrong = NULL;
	/* Bytes, so that -0.0f counts as given. */
#define MEMBER(name)                                                                                                   \
	{                                                                                                              \
#name, offsetof(clef_layer, name), sizeof(layer->name)                                                 \
	}
	static const struct {
		const char *name;
		size_t offset, size;
	} fields[] = { MEMBER(out),    MEMBER(kernel), MEMBER(stride), MEMBER(pad),
		       MEMBER(groups), MEMBER(p),      MEMBER(q),      MEMBER(no_bias) };
#undef MEMBER
	static const char zeros[sizeof(int64_t)];

	if (layer->kind == CLEF_LAYER_NONE)
		return clef__fail(CLEF_ERROR_INVALID, "clef_sequential_new: layer %d has no kind: its row is empty", i);
	if (!type)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_sequential_new: layer %d is of kind %d, which is no clef_layer_kind", i,
				  (int)layer->kind);
	for (int k = 0; k < CLEF_COUNT(fields); k++)
		if (!takes(type, fields[k].offset) &&
		    memcmp((const char *)layer + fields[k].offset, zeros, fields[k].size) != 0)
			wrong = fields[k].name;
	if (layer->weight.kind != CLEF_INIT_DEFAULT && !type->inits)
		wrong = "weight";
	else if (layer->bias.kind != CLEF_INIT_DEFAULT && !type->inits)
		wrong = "bias";
	if (wrong)
		return clef__fail(CLEF_ERROR_INVALID, "clef_sequential_new: layer %d (%s) takes no .%s", i, type->name,
				  wrong);
	return CLEF_OK;
}

clef_model *clef_sequential_new(clef_device *dev, const clef_layer *layers, int count, clef_shape input,
				const clef_model_opts *opts)
{
	if (!dev || !layers) {
		clef__null_argument("clef_sequential_new");
		return NULL;
	}
	if (count < 1)
		return clef__fail_null(CLEF_ERROR_INVALID, "clef_sequential_new: count is %d, must be 1 or more",
				       count);
	for (int i = 0; i < count; i++)
		if (check_layer(&layers[i], i))
			return NULL;
	return clef__model_new(dev, forward, layers, count, input, opts);
}
