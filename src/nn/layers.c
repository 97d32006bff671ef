/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers: an operation together with the parameters that it asks its model for. In the dry run an unknown name makes a
 * parameter; later it is an error, because the optimizer's buffers are laid out by then. Layers are mostly asked for
 * in the same order, so the model remembers which parameter came last and looks at the next one first.
 */
#include <math.h>

#include "nn_internal.h"

clef_status clef__layer_begin(clef_module *m, const char *name)
{
	return m->named ? clef__tape_label(m->named, name) : CLEF_OK;
}

clef_tensor *clef__layer_end(clef_module *m, const char *name, const char *kind, const clef_tensor *x, clef_tensor *y)
{
	if (m->named)
		clef__tape_label(m->named, NULL);
	if (!y)
		clef__fail(clef_error_status(), "layer \"%s\" (%s), x %s: %s", name, kind, CLEF__SHAPE_TEXT(x->shape),
			   clef_error());
	return y;
}

bool clef__left_out(float value)
{
	return value == 0.0f && !signbit(value);
}

const char *clef__layer_name(clef_module *m, const char *name, const clef_tensor *x, const char *function,
			     char full[CLEF__MAX_NAME])
{
	if (!m || !name || !x) {
		clef__null_argument(function);
		return NULL;
	}
	if (m->prefix_bad)
		return clef__fail_null(CLEF_ERROR_STATE,
				       "%s: clef_module_enter() and clef_module_leave() do not match, or the names are "
				       "longer than %d",
				       function, CLEF__MAX_NAME - 1);
	if (!*m->prefix)
		return name;
	if (snprintf(full, CLEF__MAX_NAME, "%s%s", m->prefix, name) >= CLEF__MAX_NAME)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: the name \"%s%s\" is longer than %d", function,
				       m->prefix, name, CLEF__MAX_NAME - 1);
	return full;
}

void clef_module_enter(clef_module *m, const char *name)
{
	size_t used;

	if (!m || !name)
		return;
	used = strlen(m->prefix);
	if ((size_t)snprintf(m->prefix + used, sizeof(m->prefix) - used, "%s.", name) >= sizeof(m->prefix) - used)
		m->prefix_bad = true;
	else
		m->outer[m->depth++] = (unsigned char)used;
}

void clef_module_leave(clef_module *m)
{
	if (!m)
		return;
	if (m->depth)
		m->prefix[m->outer[--m->depth]] = '\0';
	else
		m->prefix_bad = true;
}

static clef_tensor *new_parameter(clef_module *m, const char *layer, const char *part, clef_shape shape,
				  const clef_init *init)
{
	char *name = part ? clef__format("%s.%s", layer, part) : clef__strdup(layer);
	clef_tensor *w = name ? clef_params_add(m->model->params, name, shape, init) : NULL;

	free(name);
	if (w)
		m->cursor = m->model->params->count;
	return w;
}

clef_tensor *clef__layer_parameter(clef_module *m, const char *layer, const char *part, clef_shape shape,
				   const clef_init *init)
{
	const clef_params *params = m->model->params;
	int i = clef__params_index(params, layer, part, m->cursor);

	if (i < 0 && m->dry)
		return new_parameter(m, layer, part, shape, init);
	if (i < 0)
		return clef__fail_null(CLEF_ERROR_STATE,
				       "parameter \"%s%s%s\" %s is new, but the model exists already: the forward "
				       "function must ask for all its parameters when clef_model_new() calls it",
				       layer, part ? "." : "", part ? part : "", CLEF__SHAPE_TEXT(shape));
	if (!clef_shape_equal(params->list[i].w->shape, shape))
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "parameter \"%s\" was made with shape %s, but this call needs %s; layers that "
				       "are not meant to share need names of their own",
				       params->list[i].name, CLEF__SHAPE_TEXT(params->list[i].w->shape),
				       CLEF__SHAPE_TEXT(shape));
	m->cursor = i + 1;
	return params->list[i].w;
}

const clef_init *clef__layer_init(const clef_init *own, const clef_init *model, const clef_init *preset)
{
	if (own->kind != CLEF_INIT_DEFAULT)
		return own;
	return model->kind != CLEF_INIT_DEFAULT ? model : preset;
}

/* torch.nn.Linear and the convolutions begin alike: fan_in is the size of one slice of the weight. */
bool clef__layer_weights(clef_module *m, const char *name, const clef__weighted *layer, clef_shape shape,
			 clef_tensor *w[2])
{
	const clef_model_opts *model = &m->model->opts;
	clef_init weight = { .kind = CLEF_INIT_KAIMING_UNIFORM, .kaiming = { .a = sqrtf(5.0f) } };
	clef_init bias = { .kind = CLEF_INIT_UNIFORM };

	w[0] = clef__layer_parameter(m, name, "weight", shape,
				     clef__layer_init(&layer->weight, &model->weight, &weight));
	if (!w[0])
		return false;
	if (layer->no_bias)
		return !clef__layer_begin(m, name);
	bias.q = (float)(1.0 / sqrt((double)(w[0]->numel / shape.dim[0])));
	bias.p = -bias.q;
	w[1] = clef__layer_parameter(m, name, "bias", CLEF_SHAPE(layer->out),
				     clef__layer_init(&layer->bias, &model->bias, &bias));
	return w[1] && !clef__layer_begin(m, name);
}

static clef_tensor *linear(clef_module *m, const char *name, clef_tensor *x, int64_t out, const clef_linear_opts *opts)
{
	const clef__weighted layer = {
		.out = out, .no_bias = opts->no_bias, .weight = opts->weight, .bias = opts->bias
	};
	clef_tensor *w[2];
	int64_t in;

	if (out < 1 || out > INT32_MAX)
		return clef__fail_null(CLEF_ERROR_INVALID, "out is %lld, must be 1 to 2^31 - 1", (long long)out);
	if (x->shape.ndim < 1)
		return clef__fail_null(CLEF_ERROR_SHAPE, "x must have one dimension or more, [..., in]");
	in = x->shape.dim[x->shape.ndim - 1];
	if (in < 1)
		return clef__fail_null(CLEF_ERROR_SHAPE, "the last dimension of x must be 1 or more");
	if (!clef__layer_weights(m, name, &layer, CLEF_SHAPE(out, in), w))
		return NULL;
	if (opts->no_bias)
		return clef_linear_act_no_bias(x, w[0], opts->activation);
	return clef_linear_act(x, w[0], w[1], opts->activation);
}

clef_tensor *clef_nn_linear(clef_module *m, const char *name, clef_tensor *x, int64_t out, const clef_linear_opts *opts)
{
	static const clef_linear_opts defaults;
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_linear", full);
	if (!name)
		return NULL;
	return clef__layer_end(m, name, "linear", x, linear(m, name, x, out, opts ? opts : &defaults));
}

static clef_tensor *prelu(clef_module *m, const char *name, clef_tensor *x, const clef_prelu_opts *opts)
{
	clef_init init = { .kind = CLEF_INIT_CONSTANT, .p = clef__left_out(opts->slope) ? 0.25f : opts->slope };
	clef_tensor *w;

	if (!isfinite(opts->slope))
		return clef__fail_null(CLEF_ERROR_INVALID, "slope is %g, must be finite", (double)opts->slope);
	if (opts->per_channel && x->shape.ndim < 2)
		return clef__fail_null(CLEF_ERROR_SHAPE, "x must have two dimensions or more to have channels");
	w = clef__layer_parameter(m, name, "weight", CLEF_SHAPE(opts->per_channel ? x->shape.dim[1] : 1), &init);
	return !w || clef__layer_begin(m, name) ? NULL : clef_prelu(x, w);
}

clef_tensor *clef_nn_prelu(clef_module *m, const char *name, clef_tensor *x, const clef_prelu_opts *opts)
{
	static const clef_prelu_opts defaults;
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_prelu", full);
	if (!name)
		return NULL;
	return clef__layer_end(m, name, "prelu", x, prelu(m, name, x, opts ? opts : &defaults));
}

static clef_tensor *embedding(clef_module *m, const char *name, clef_tensor *index, clef_shape shape,
			      const clef_init *own, const clef_embedding_opts *opts)
{
	const clef_init normal = { .kind = CLEF_INIT_NORMAL };
	clef_params *params = m->model->params;
	int known = params->count;
	int64_t row = opts && opts->has_padding ? opts->padding_idx : -1;
	clef_tensor *w;

	if (shape.dim[0] < 1 || shape.dim[1] < 1)
		return clef__fail_null(CLEF_ERROR_INVALID, "count is %lld and width is %lld, must be 1 or more",
				       (long long)shape.dim[0], (long long)shape.dim[1]);
	w = clef__layer_parameter(m, name, "weight", shape, clef__layer_init(own, &m->model->opts.weight, &normal));
	if (!w || clef__layer_begin(m, name))
		return NULL;
	if (params->count > known && opts && opts->has_padding)
		clef__params_zero_row(params, known, row < 0 ? row + shape.dim[0] : row);
	return clef_embedding(index, w, opts);
}

clef_tensor *clef__nn_embedding(clef_module *m, const char *name, clef_tensor *index, int64_t count, int64_t width,
				const clef_init *weight, const clef_embedding_opts *opts)
{
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, index, "clef_nn_embedding", full);
	if (!name)
		return NULL;
	return clef__layer_end(m, name, "embedding", index,
			       embedding(m, name, index, CLEF_SHAPE(count, width), weight, opts));
}

clef_tensor *clef_nn_embedding(clef_module *m, const char *name, clef_tensor *index, int64_t count, int64_t width,
			       const clef_embedding_opts *opts)
{
	return clef__nn_embedding(m, name, index, count, width, &(clef_init){ 0 }, opts);
}

clef_tensor *clef_nn_dropout(clef_module *m, clef_tensor *x, float p)
{
	if (!m || !x) {
		clef__null_argument("clef_nn_dropout");
		return NULL;
	}
	return clef_dropout(x, p, m->model->training, &m->model->rng);
}

clef_tensor *clef_nn_dropout2d(clef_module *m, clef_tensor *x, float p)
{
	if (!m || !x) {
		clef__null_argument("clef_nn_dropout2d");
		return NULL;
	}
	return clef_dropout2d(x, p, m->model->training, &m->model->rng);
}

clef_tensor *clef_nn_parameter(clef_module *m, const char *name, clef_shape shape, const clef_init *init)
{
	char full[CLEF__MAX_NAME];
	clef_tensor *w;

	/* There is no x; anything that is not NULL will do. */
	name = clef__layer_name(m, name, (const clef_tensor *)m, "clef_nn_parameter", full);
	if (!name)
		return NULL;
	w = clef__layer_parameter(m, name, NULL, shape, init);
	if (!w)
		clef__fail(clef_error_status(), "clef_nn_parameter: %s", clef_error());
	return w;
}
