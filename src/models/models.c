/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models as text. Names of networks and of layers are one vocabulary, so that a word that is neither gets one message
 * with all that was possible.
 */
#include "models_internal.h"

enum { MAX_WIDTH = 65536, MAX_STAGES = 100 };

typedef struct preset {
	const char *name;
	clef_forward_fn forward; /* or */
	char *(*layers)(clef__network net);
	clef__field field[CLEF__FIELDS];
} preset;

/* clang-format off */
#define WHOLE(member) { #member, CLEF__FIELD_WHOLE, offsetof(clef__network, member) }
/* clang-format on */

static const preset presets[] = {
	{ "mlp", NULL, clef__mlp, { WHOLE(width), WHOLE(stages) } },
	{ "convnet", NULL, clef__convnet, { WHOLE(width) } },
	{ "vgg", NULL, clef__vgg, { WHOLE(width), WHOLE(stages) } },
	{ "vgg11", clef__vgg11, NULL, { WHOLE(width), WHOLE(stages), WHOLE(blocks) } },
	{ "resnet18", clef__resnet18, NULL, { WHOLE(width), WHOLE(stages), WHOLE(blocks) } },
	{ "mobilenet_v2", clef__mobilenet_v2, NULL, { WHOLE(width), WHOLE(stages), WHOLE(blocks) } },
};

const char *clef_model_preset(int i)
{
	return i >= 0 && i < CLEF_COUNT(presets) ? presets[i].name : NULL;
}

/* ---- text ---- */

static const char *word_name(int kind)
{
	int layer = kind - CLEF_COUNT(presets);

	if (layer == CLEF_LAYER_NONE)
		return NULL;
	return layer < 0 ? presets[kind].name : clef_layer_name((clef_layer_kind)layer);
}

static const clef__field *preset_fields(int kind)
{
	return presets[kind].field;
}

static const clef__language words = { "clef_model_parse",
				      "model or layer",
				      "a model or a layer",
				      CLEF_COUNT(presets) + CLEF_LAYER_KINDS,
				      word_name,
				      NULL };
static const clef__language models = { "clef_model_parse",  "model",           "a model",
				       CLEF_COUNT(presets), clef_model_preset, preset_fields };

/* The preset that the text names, or NULL where it is made of layers. */
static clef_status parse_name(const char *text, const preset **found, clef__network *net)
{
	clef__parser in = { &words, text, text };
	bool seen[CLEF__FIELDS];
	clef__word name;
	int kind;
	clef_status s;

	*found = NULL;
	clef__parse_separators(&in);
	if (!*in.p)
		return clef__fail(CLEF_ERROR_INVALID, "clef_model_parse: \"%s\" has no layers in it", text);
	s = clef__parse_kind(&in, &name, &kind);
	if (s || kind >= CLEF_COUNT(presets))
		return s;
	in.language = &models;
	s = clef__parse_fields(&in, name, kind, net, seen);
	if (!s)
		s = clef__parse_end(&in);
	if (!s && (net->width > MAX_WIDTH || net->stages > MAX_STAGES))
		s = clef__fail(CLEF_ERROR_INVALID,
			       "clef_model_parse: %s of width %lld and %lld stages; up to %d and %d are allowed",
			       presets[kind].name, (long long)net->width, (long long)net->stages, MAX_WIDTH,
			       MAX_STAGES);
	*found = s ? NULL : &presets[kind];
	return s;
}

clef_status clef_model_check(const char *text)
{
	const preset *found;
	clef__network net = { .classes = 1 };
	clef_layer *layers;
	int count;
	clef_status s = text ? parse_name(text, &found, &net) : clef__null_argument("clef_model_check");

	if (s || found)
		return s;
	s = clef_layers_parse(text, &layers, &count);
	if (!s)
		free(layers);
	return s;
}

/* ---- models ---- */

static clef_model *of_layers(clef_device *dev, const char *text, clef_shape input, const clef_model_opts *opts)
{
	clef_layer *layers, *longer = NULL;
	clef_model *model = NULL;
	int count;

	if (clef_layers_parse(text, &layers, &count))
		return NULL;
	if (layers[0].kind == CLEF_LINEAR && input.ndim > 1) {
		longer = clef__calloc((size_t)count + 1, sizeof(*longer), "layers");
		if (longer) {
			longer[0].kind = CLEF_FLATTEN;
			memcpy(longer + 1, layers, (size_t)count * sizeof(*layers));
			model = clef_sequential_new(dev, longer, count + 1, input, opts);
		}
	} else {
		model = clef_sequential_new(dev, layers, count, input, opts);
	}
	free(layers);
	free(longer);
	return model;
}

static clef_model *of_function(clef_device *dev, const char *text, const preset *p, clef__network net, clef_shape input,
			       const clef_model_opts *opts)
{
	clef_model_opts own = opts ? *opts : (clef_model_opts){ .seed = 0 };
	clef__network *kept = clef__calloc(1, sizeof(*kept), "a model");
	clef_model *model;

	if (!kept)
		return NULL;
	*kept = net;
	own.user = kept;
	model = clef_model_new(dev, p->forward, input, &own);
	if (!model) {
		free(kept);
		return NULL;
	}
	model->owned = kept;
	model->network = clef__strdup(text);
	if (model->network)
		return model;
	clef_model_free(model);
	return NULL;
}

clef_model *clef_model_parse(clef_device *dev, const char *text, clef_shape input, int classes,
			     const clef_model_opts *opts)
{
	clef__network net = { .classes = classes };
	const preset *found;
	clef_model *model;
	char *layers;

	if (!dev || !text) {
		clef__null_argument("clef_model_parse");
		return NULL;
	}
	if (classes < 1)
		return clef__fail_null(CLEF_ERROR_INVALID, "clef_model_parse: classes is %d, must be 1 or more",
				       classes);
	if (parse_name(text, &found, &net))
		return NULL;
	if (!found)
		return of_layers(dev, text, input, opts);
	if (found->forward)
		return of_function(dev, text, found, net, input, opts);
	layers = found->layers(net);
	model = layers ? of_layers(dev, layers, input, opts) : NULL;
	free(layers);
	return model;
}

/* ---- for the networks ---- */

clef__network clef__network_of(const clef_module *m, clef__network published)
{
	const clef__network *given = clef_module_user(m);
	clef__network net = published;

	net.classes = given->classes;
	net.width = given->width ? given->width : net.width;
	if (given->stages && given->stages < net.stages)
		net.stages = given->stages;
	if (given->blocks && given->blocks < net.blocks)
		net.blocks = given->blocks;
	return net;
}

clef_tensor *clef__conv_norm(clef_module *m, const char *conv, const char *norm, clef_tensor *x, clef__conv_norm_opts o)
{
	clef_init kaiming = { .kind = CLEF_INIT_KAIMING_NORMAL,
			      .kaiming = { .mode = CLEF_FAN_OUT, .nonlinearity = CLEF_NONLINEARITY_RELU } };
	clef_conv2d_opts opts = { .stride = o.stride, .pad = (int)o.kernel / 2, .groups = o.groups };
	clef_shape weight = clef_tensor_shape(x);
	clef_tensor *y;
	char name[64];

	if (!x)
		return NULL;
	/* The layers share the parameters that are made here, which they would start otherwise themselves. */
	weight = CLEF_SHAPE(o.out, weight.dim[1] / (o.groups ? o.groups : 1), o.kernel, o.kernel);
	snprintf(name, sizeof(name), "%s.weight", conv);
	clef_nn_parameter(m, name, weight, &kaiming);
	snprintf(name, sizeof(name), "%s.bias", conv);
	if (o.bias)
		clef_nn_parameter(m, name, CLEF_SHAPE(o.out), NULL);
	x = o.bias ? clef_nn_conv2d(m, conv, x, o.out, o.kernel, &opts)
		   : clef_nn_conv2d_no_bias(m, conv, x, o.out, o.kernel, &opts);
	y = clef_nn_batch_norm(m, norm, x, &(clef_batch_norm_opts){ .activation = { o.activation } });
	clef_tensor_drop(x);
	return y;
}
