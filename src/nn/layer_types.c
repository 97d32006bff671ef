/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of layers: what each is called, which fields of clef_layer it takes and what it does is one row of `types`.
 * Sequential models (net.c) and models as text (net_parse.c) need nothing but these rows. The rows of pointwise
 * operations come from pointwise.def.
 */
#include <math.h>

#include "nn_internal.h"

/* ---- what they do ---- */

#define LAYER(kind)                                                                                                    \
	static clef_tensor *apply_##kind(clef_module *m, const char *name, clef_tensor *x, const clef_layer *layer,    \
					 clef_activation act)

LAYER(linear)
{
	return clef_nn_linear(
		m, name, x, layer->out,
		&(clef_linear_opts){
			.no_bias = layer->no_bias, .weight = layer->weight, .bias = layer->bias, .activation = act });
}

static clef__weighted weighted(const clef_layer *layer, int dims)
{
	return (clef__weighted){ .out = layer->out,
				 .kernel = { .ndim = dims, .dim = { layer->kernel, layer->kernel } },
				 .no_bias = layer->no_bias,
				 .weight = layer->weight,
				 .bias = layer->bias };
}

#define CONV_LAYER(kind, dims, ...)                                                                                    \
	LAYER(kind)                                                                                                    \
	{                                                                                                              \
		const clef__weighted w = weighted(layer, dims);                                                        \
		const clef_##kind##_opts opts = { .stride = (int)layer->stride,                                        \
						  .pad = (int)layer->pad,                                              \
						  .dilation = (int)layer->dilation,                                    \
						  .activation = act,                                                   \
						  __VA_ARGS__ };                                                       \
                                                                                                                       \
		return clef__nn_##kind(m, name, x, &w, &opts);                                                         \
	}

CONV_LAYER(conv1d, 1, .groups = (int)layer->groups)
CONV_LAYER(conv2d, 2, .groups = (int)layer->groups)
CONV_LAYER(conv_transpose1d, 1, .groups = (int)layer->groups, .output_pad = (int)layer->output_pad)
CONV_LAYER(conv_transpose2d, 2, .groups = (int)layer->groups, .output_pad = (int)layer->output_pad)

LAYER(batch_norm)
{
	return (layer->no_affine ? clef_nn_batch_norm_plain : clef_nn_batch_norm)(
		m, name, x,
		&(clef_batch_norm_opts){ .eps = layer->eps, .momentum = layer->momentum, .activation = act });
}

/* A call of a layer that has a name, and takes no activation. */
#define NAMED_LAYER(kind, call)                                                                                        \
	LAYER(kind)                                                                                                    \
	{                                                                                                              \
		(void)act;                                                                                             \
		return (call);                                                                                         \
	}

NAMED_LAYER(embedding, clef__nn_embedding(m, name, x, layer->count, layer->out, &layer->weight, NULL))
NAMED_LAYER(layer_norm, clef_nn_layer_norm(m, name, x,
					   &(clef_layer_norm_opts){ .dims = (int)layer->dims,
								    .eps = layer->eps,
								    .no_affine = layer->no_affine,
								    .no_bias = layer->no_bias }))
NAMED_LAYER(rms_norm,
	    clef_nn_rms_norm(m, name, x,
			     &(clef_rms_norm_opts){
				     .dims = (int)layer->dims, .eps = layer->eps, .no_affine = layer->no_affine }))
NAMED_LAYER(group_norm, clef_nn_group_norm(m, name, x, (int)layer->groups,
					   &(clef_group_norm_opts){ .eps = layer->eps, .no_affine = layer->no_affine }))
NAMED_LAYER(instance_norm,
	    clef_nn_instance_norm(m, name, x, &(clef_instance_norm_opts){ .eps = layer->eps, .affine = layer->affine }))
NAMED_LAYER(prelu,
	    clef_nn_prelu(m, name, x, &(clef_prelu_opts){ .slope = layer->p, .per_channel = layer->per_channel }))

/* An operation without parameters, as a layer with a name. */
#define PLAIN_LAYER(kind, call)                                                                                        \
	LAYER(kind)                                                                                                    \
	{                                                                                                              \
		(void)layer;                                                                                           \
		(void)act;                                                                                             \
		return clef__layer_end(m, name, #kind, x, clef__layer_begin(m, name) ? NULL : (call));                 \
	}

static clef_tensor *max_pool(clef_tensor *x, const clef_layer *layer, int dims)
{
	const clef_max_pool_opts opts = { .kernel = (int)layer->kernel,
					  .stride = (int)layer->stride,
					  .pad = (int)layer->pad,
					  .dilation = (int)layer->dilation,
					  .ceil_mode = layer->ceil_mode };

	return dims == 1 ? clef_max_pool1d(x, &opts) : clef_max_pool2d(x, &opts);
}

static clef_tensor *avg_pool(clef_tensor *x, const clef_layer *layer, int dims)
{
	const clef_avg_pool_opts opts = { .kernel = (int)layer->kernel,
					  .stride = (int)layer->stride,
					  .pad = (int)layer->pad,
					  .ceil_mode = layer->ceil_mode,
					  .exclude_pad = layer->exclude_pad };

	return dims == 1 ? clef_avg_pool1d(x, &opts) : clef_avg_pool2d(x, &opts);
}

PLAIN_LAYER(max_pool1d, max_pool(x, layer, 1))
PLAIN_LAYER(max_pool2d, max_pool(x, layer, 2))
PLAIN_LAYER(avg_pool1d, avg_pool(x, layer, 1))
PLAIN_LAYER(avg_pool2d, avg_pool(x, layer, 2))
PLAIN_LAYER(adaptive_avg_pool1d, clef_adaptive_avg_pool1d(x, layer->out))
PLAIN_LAYER(adaptive_avg_pool2d, clef_adaptive_avg_pool2d(x, layer->out, layer->out))
PLAIN_LAYER(adaptive_max_pool1d, clef_adaptive_max_pool1d(x, layer->out))
PLAIN_LAYER(adaptive_max_pool2d, clef_adaptive_max_pool2d(x, layer->out, layer->out))

PLAIN_LAYER(local_response_norm,
	    clef_local_response_norm(x, (int)layer->size,
				     &(clef_local_response_norm_opts){
					     .alpha = layer->alpha, .beta = layer->beta, .k = layer->k }))
PLAIN_LAYER(dropout, clef_nn_dropout(m, x, clef__left_out(layer->p) ? 0.5f : layer->p))
PLAIN_LAYER(dropout2d, clef_nn_dropout2d(m, x, clef__left_out(layer->p) ? 0.5f : layer->p))

/* [n, out * height * width] to [n, out, height, width], as far as there are such. */
static clef_shape unflattened(const clef_tensor *x, const clef_layer *layer)
{
	clef_shape shape = CLEF_SHAPE(x->shape.ndim ? x->shape.dim[0] : 1, layer->out);

	if (layer->height)
		shape.dim[shape.ndim++] = layer->height;
	if (layer->width)
		shape.dim[shape.ndim++] = layer->width;
	return shape;
}

PLAIN_LAYER(flatten, clef_flatten(x))
PLAIN_LAYER(unflatten, clef_reshape(x, unflattened(x, layer)))
PLAIN_LAYER(pixel_shuffle, clef_pixel_shuffle(x, (int)layer->factor))
PLAIN_LAYER(pixel_unshuffle, clef_pixel_unshuffle(x, (int)layer->factor))
PLAIN_LAYER(upsample, clef_upsample(x, &(clef_upsample_opts){ .out_h = (int)layer->out,
							      .out_w = (int)layer->out,
							      .scale = layer->scale,
							      .align_corners = layer->align_corners,
							      .mode = layer->bilinear ? CLEF_UPSAMPLE_BILINEAR
										      : CLEF_UPSAMPLE_NEAREST }))

static clef_tensor *pad(clef_tensor *x, const clef_layer *layer, int dims, clef_pad_mode mode)
{
	/* Adding 0 makes a zero out of the -0.0f that means one. */
	clef_pad_opts opts = { .mode = mode, .value = layer->p + 0.0f };

	for (int i = 0; i < 2 * dims; i++)
		opts.pad[i] = (int)layer->pad;
	return clef_pad(x, &opts);
}

PLAIN_LAYER(zero_pad1d, pad(x, layer, 1, CLEF_PAD_ZEROS))
PLAIN_LAYER(zero_pad2d, pad(x, layer, 2, CLEF_PAD_ZEROS))
PLAIN_LAYER(constant_pad1d, pad(x, layer, 1, CLEF_PAD_ZEROS))
PLAIN_LAYER(constant_pad2d, pad(x, layer, 2, CLEF_PAD_ZEROS))
PLAIN_LAYER(reflection_pad1d, pad(x, layer, 1, CLEF_PAD_REFLECT))
PLAIN_LAYER(reflection_pad2d, pad(x, layer, 2, CLEF_PAD_REFLECT))
PLAIN_LAYER(replication_pad1d, pad(x, layer, 1, CLEF_PAD_REPLICATE))
PLAIN_LAYER(replication_pad2d, pad(x, layer, 2, CLEF_PAD_REPLICATE))
PLAIN_LAYER(circular_pad1d, pad(x, layer, 1, CLEF_PAD_CIRCULAR))
PLAIN_LAYER(circular_pad2d, pad(x, layer, 2, CLEF_PAD_CIRCULAR))

PLAIN_LAYER(softmax, clef_softmax(x, layer->dim ? (int)layer->dim : -1))
PLAIN_LAYER(log_softmax, clef_log_softmax(x, layer->dim ? (int)layer->dim : -1))

LAYER(pointwise)
{
	(void)act;
	return clef__layer_end(m, name, clef_layer_name(layer->kind), x,
			       clef__layer_begin(m, name) ? NULL : clef_activate(x, clef__layer_activation(layer)));
}

/* ---- the table ---- */

/* clang-format off */
#define FIELD(text, kind, member, preset) { text, CLEF__FIELD_##kind, offsetof(clef_layer, member), preset }
#define COUNT(member)          FIELD(#member, COUNT, member, 0.0f)
#define WHOLE(member)          FIELD(#member, WHOLE, member, 0.0f)
#define INTEGER(member)        FIELD(#member, INTEGER, member, 0.0f)
#define POSITIVE(member)       FIELD(#member, POSITIVE, member, 0.0f)
#define SCALE(member)          FIELD(#member, SCALE, member, 0.0f)
#define FLAG(member)           FIELD(#member, FLAG, member, 0.0f)
#define P(text, preset)        FIELD(text, NUMBER, p, preset)
#define Q(text, preset)        FIELD(text, NUMBER, q, preset)

/* A row; further members of it, such as FUSES and INITS, may follow the fields. */
#define FIELDS(...)            .field = { __VA_ARGS__ }
#define NO_FIELDS              .field = { { .name = NULL } }
#define ROW(NAME, id, ...)     [CLEF_##NAME] = { .name = #id, .apply = apply_##id, __VA_ARGS__ },
#define FUSES                  .fuses = true
#define INITS                  .takes_weight = true, .takes_bias = true

static const clef__layer_type types[CLEF_LAYER_KINDS] = {
	ROW(LINEAR, linear, FIELDS(COUNT(out), FLAG(no_bias)), INITS, FUSES)
	ROW(CONV1D, conv1d, FIELDS(COUNT(out), COUNT(kernel), WHOLE(stride), WHOLE(pad), WHOLE(dilation), WHOLE(groups),
		FLAG(no_bias)), INITS, FUSES)
	ROW(CONV2D, conv2d, FIELDS(COUNT(out), COUNT(kernel), WHOLE(stride), WHOLE(pad), WHOLE(dilation), WHOLE(groups),
		FLAG(no_bias)), INITS, FUSES)
	ROW(CONV_TRANSPOSE1D, conv_transpose1d, FIELDS(COUNT(out), COUNT(kernel), WHOLE(stride), WHOLE(pad),
		WHOLE(output_pad), WHOLE(groups), WHOLE(dilation), FLAG(no_bias)), INITS, FUSES)
	ROW(CONV_TRANSPOSE2D, conv_transpose2d, FIELDS(COUNT(out), COUNT(kernel), WHOLE(stride), WHOLE(pad),
		WHOLE(output_pad), WHOLE(groups), WHOLE(dilation), FLAG(no_bias)), INITS, FUSES)
	ROW(EMBEDDING, embedding, FIELDS(COUNT(count), COUNT(out)), .takes_weight = true)

	ROW(BATCH_NORM, batch_norm, FIELDS(POSITIVE(eps), POSITIVE(momentum), FLAG(no_affine)), FUSES)
	ROW(LAYER_NORM, layer_norm, FIELDS(WHOLE(dims), POSITIVE(eps), FLAG(no_affine), FLAG(no_bias)))
	ROW(RMS_NORM, rms_norm, FIELDS(WHOLE(dims), POSITIVE(eps), FLAG(no_affine)))
	ROW(GROUP_NORM, group_norm, FIELDS(COUNT(groups), POSITIVE(eps), FLAG(no_affine)))
	ROW(INSTANCE_NORM, instance_norm, FIELDS(POSITIVE(eps), FLAG(affine)))
	ROW(LOCAL_RESPONSE_NORM, local_response_norm, FIELDS(COUNT(size), POSITIVE(alpha), POSITIVE(beta), POSITIVE(k)))
	ROW(DROPOUT, dropout, FIELDS(P("p", 0.5f)))
	ROW(DROPOUT2D, dropout2d, FIELDS(P("p", 0.5f)))

	ROW(MAX_POOL1D, max_pool1d, FIELDS(COUNT(kernel), WHOLE(stride), WHOLE(pad), WHOLE(dilation), FLAG(ceil_mode)))
	ROW(MAX_POOL2D, max_pool2d, FIELDS(COUNT(kernel), WHOLE(stride), WHOLE(pad), WHOLE(dilation), FLAG(ceil_mode)))
	ROW(AVG_POOL1D, avg_pool1d, FIELDS(COUNT(kernel), WHOLE(stride), WHOLE(pad), FLAG(ceil_mode),
		FLAG(exclude_pad)))
	ROW(AVG_POOL2D, avg_pool2d, FIELDS(COUNT(kernel), WHOLE(stride), WHOLE(pad), FLAG(ceil_mode),
		FLAG(exclude_pad)))
	ROW(ADAPTIVE_AVG_POOL1D, adaptive_avg_pool1d, FIELDS(COUNT(out)))
	ROW(ADAPTIVE_AVG_POOL2D, adaptive_avg_pool2d, FIELDS(COUNT(out)))
	ROW(ADAPTIVE_MAX_POOL1D, adaptive_max_pool1d, FIELDS(COUNT(out)))
	ROW(ADAPTIVE_MAX_POOL2D, adaptive_max_pool2d, FIELDS(COUNT(out)))

	ROW(FLATTEN, flatten, NO_FIELDS)
	ROW(UNFLATTEN, unflatten, FIELDS(COUNT(out), WHOLE(height), WHOLE(width)))
	ROW(PIXEL_SHUFFLE, pixel_shuffle, FIELDS(COUNT(factor)))
	ROW(PIXEL_UNSHUFFLE, pixel_unshuffle, FIELDS(COUNT(factor)))
	ROW(UPSAMPLE, upsample, FIELDS(SCALE(scale), WHOLE(out), FLAG(bilinear), FLAG(align_corners)))
	ROW(ZERO_PAD1D, zero_pad1d, FIELDS(COUNT(pad)))
	ROW(ZERO_PAD2D, zero_pad2d, FIELDS(COUNT(pad)))
	ROW(CONSTANT_PAD1D, constant_pad1d, FIELDS(COUNT(pad), P("value", 0.0f)))
	ROW(CONSTANT_PAD2D, constant_pad2d, FIELDS(COUNT(pad), P("value", 0.0f)))
	ROW(REFLECTION_PAD1D, reflection_pad1d, FIELDS(COUNT(pad)))
	ROW(REFLECTION_PAD2D, reflection_pad2d, FIELDS(COUNT(pad)))
	ROW(REPLICATION_PAD1D, replication_pad1d, FIELDS(COUNT(pad)))
	ROW(REPLICATION_PAD2D, replication_pad2d, FIELDS(COUNT(pad)))
	ROW(CIRCULAR_PAD1D, circular_pad1d, FIELDS(COUNT(pad)))
	ROW(CIRCULAR_PAD2D, circular_pad2d, FIELDS(COUNT(pad)))

	ROW(SOFTMAX, softmax, FIELDS(INTEGER(dim)))
	ROW(LOG_SOFTMAX, log_softmax, FIELDS(INTEGER(dim)))
	ROW(PRELU, prelu, FIELDS(P("slope", 0.25f), FLAG(per_channel)))
#define POINTWISE(id, NAME) .name = #id, .apply = apply_pointwise, .activation = CLEF_ACT_##NAME
#define CLEF_UNARY0(id, NAME, value, gradient) [CLEF_##NAME] = { POINTWISE(id, NAME) },
#define CLEF_UNARY1(id, NAME, p_name, p_preset, value, gradient) \
	[CLEF_##NAME] = { POINTWISE(id, NAME), FIELDS(P(#p_name, p_preset)) },
#define CLEF_UNARY2(id, NAME, p_name, p_preset, q_name, q_preset, value, gradient) \
	[CLEF_##NAME] = { POINTWISE(id, NAME), FIELDS(P(#p_name, p_preset), Q(#q_name, q_preset)) },
#include <clef/pointwise.def>
};
/* clang-format on */

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

clef_activation clef__layer_activation(const clef_layer *layer)
{
	return (clef_activation){ .kind = types[layer->kind].activation, .p = layer->p, .q = layer->q };
}
