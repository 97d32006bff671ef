/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequential models: a table of layers, applied in order by one forward function. A pointwise layer behind a linear
 * one, a convolution or a batch normalization is handed to that as its activation, so that the two can run as one
 * operation. Where layers are told apart, for clef_model_print() or clef_model_watch(), they run one by one.
 */
#include "nn_internal.h"

static clef_tensor *forward(clef_module *m, clef_tensor *x)
{
	const clef_model *model = m->model;

	for (int i = 0; i < model->layer_count && x; i++) {
		const clef_layer *layer = &model->layers[i];
		const clef__layer_type *type = clef__layer_type_of(layer->kind);
		clef_activation act = { .kind = CLEF_ACT_NONE };
		const char *name = model->layer_names[i];
		clef_tensor *y;

		if (type->fuses && !m->named && i + 1 < model->layer_count)
			act = clef__layer_activation(layer + 1);
		y = type->apply(m, name, x, layer, act);
		if (i > 0 && y != x)
			clef_tensor_drop(x);
		x = y;
		i += act.kind != CLEF_ACT_NONE;
	}
	return x;
}

/* ---- fields ---- */

/* Every field of clef_layer, but for kind, weight and bias. Sizes are given to operations as int. */
#define SIZE(name)                                                                                                     \
	{                                                                                                              \
#name, offsetof(clef_layer, name), sizeof(((clef_layer *)0)->name), true                               \
	}
#define OTHER(name)                                                                                                    \
	{                                                                                                              \
#name, offsetof(clef_layer, name), sizeof(((clef_layer *)0)->name), false                              \
	}

static const struct {
	const char *name;
	size_t offset, bytes;
	bool is_size;
} members[] = {
	SIZE(out),     SIZE(kernel),       SIZE(stride),     SIZE(pad),          SIZE(output_pad), SIZE(dilation),
	SIZE(groups),  SIZE(count),        SIZE(dims),       SIZE(dim),          SIZE(size),       SIZE(factor),
	SIZE(height),  SIZE(width),        OTHER(scale),     OTHER(eps),         OTHER(momentum),  OTHER(alpha),
	OTHER(beta),   OTHER(k),           OTHER(p),         OTHER(q),           OTHER(no_bias),   OTHER(no_affine),
	OTHER(affine), OTHER(per_channel), OTHER(ceil_mode), OTHER(exclude_pad), OTHER(bilinear),  OTHER(align_corners),
};

static bool takes(const clef__layer_type *type, size_t offset)
{
	for (int i = 0; i < CLEF__LAYER_FIELDS && type->field[i].name; i++)
		if (type->field[i].offset == offset)
			return true;
	return false;
}

/* The field that the layer has and its kind does not know, as in { CLEF_RELU, .out = 10 }; NULL for none. */
static const char *stray_field(const clef_layer *layer, const clef__layer_type *type)
{
	/* Bytes, so that -0.0f counts as given. */
	static const char zeros[sizeof(int64_t)];

	for (int i = 0; i < CLEF_COUNT(members); i++)
		if (!takes(type, members[i].offset) &&
		    memcmp((const char *)layer + members[i].offset, zeros, members[i].bytes) != 0)
			return members[i].name;
	if (layer->weight.kind != CLEF_INIT_DEFAULT && !type->takes_weight)
		return "weight";
	return layer->bias.kind != CLEF_INIT_DEFAULT && !type->takes_bias ? "bias" : NULL;
}

static clef_status check_sizes(const clef_layer *layer, const char *name, int i)
{
	for (int k = 0; k < CLEF_COUNT(members); k++) {
		int64_t size = 0;

		if (members[k].is_size)
			memcpy(&size, (const char *)layer + members[k].offset, sizeof(size));
		if (size > INT32_MAX || size < INT32_MIN)
			return clef__fail(CLEF_ERROR_INVALID,
					  "clef_sequential_new: layer %d (%s): .%s is %lld, which is beyond 2^31 - 1",
					  i, name, members[k].name, (long long)size);
	}
	return CLEF_OK;
}

static clef_status check_layer(const clef_layer *layer, int i)
{
	const clef__layer_type *type = clef__layer_type_of(layer->kind);
	const char *stray;

	if (layer->kind == CLEF_LAYER_NONE)
		return clef__fail(CLEF_ERROR_INVALID, "clef_sequential_new: layer %d has no kind: its row is empty", i);
	if (!type)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_sequential_new: layer %d is of kind %d, which is no clef_layer_kind", i,
				  (int)layer->kind);
	stray = stray_field(layer, type);
	if (stray)
		return clef__fail(CLEF_ERROR_INVALID, "clef_sequential_new: layer %d (%s) takes no .%s", i, type->name,
				  stray);
	return check_sizes(layer, type->name, i);
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
