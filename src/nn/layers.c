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
	clef_model *model = m->model;
	char *label;

	if (!m->dry)
		return CLEF_OK;
	if (clef__grow(&model->labels, &model->label_capacity, model->label_count + 1, sizeof(*model->labels),
		       "names of layers"))
		return CLEF_ERROR_MEMORY;
	label = clef__strdup(name);
	if (!label)
		return CLEF_ERROR_MEMORY;
	model->labels[model->label_count++] = label;
	clef__tape_label(m->dry, label);
	return CLEF_OK;
}

clef_tensor *clef__layer_end(clef_module *m, const char *name, const char *kind, const clef_tensor *x, clef_tensor *y)
{
	if (m->dry)
		clef__tape_label(m->dry, NULL);
	if (!y)
		clef__fail(clef_error_status(), "layer \"%s\" (%s), x %s: %s", name, kind, CLEF__SHAPE_TEXT(x->shape),
			   clef_error());
	return y;
}

bool clef__left_out(float value)
{
	return value == 0.0f && !signbit(value);
}

static bool given(const clef_module *m, const char *name, const clef_tensor *x, const char *function)
{
	if (!m || !name || !x) {
		clef__null_argument(function);
		return false;
	}
	return true;
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

/* The parameter LAYER.PART, or LAYER where part is NULL. */
static clef_tensor *parameter(clef_module *m, const char *layer, const char *part, clef_shape shape,
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

/* The layer's own initializer, else the model's, else the one that goes with the kind of layer. */
static const clef_init *choose_init(const clef_init *own, const clef_init *model, const clef_init *preset)
{
	if (own->kind != CLEF_INIT_DEFAULT)
		return own;
	return model->kind != CLEF_INIT_DEFAULT ? model : preset;
}

static clef_tensor *linear(clef_module *m, const char *name, clef_tensor *x, int64_t out, const clef_linear_opts *opts)
{
	const clef_model_opts *model = &m->model->opts;
	clef_init weight = { .kind = CLEF_INIT_KAIMING_UNIFORM, .kaiming = { .a = sqrtf(5.0f) } };
	clef_init bias = { .kind = CLEF_INIT_UNIFORM };
	clef_tensor *w, *b;
	int64_t in;

	if (out < 1 || out > INT32_MAX)
		return clef__fail_null(CLEF_ERROR_INVALID, "out is %lld, must be 1 to 2^31 - 1", (long long)out);
	if (x->shape.ndim < 1)
		return clef__fail_null(CLEF_ERROR_SHAPE, "x must have one dimension or more, [..., in]");
	in = x->shape.dim[x->shape.ndim - 1];
	if (in < 1)
		return clef__fail_null(CLEF_ERROR_SHAPE, "the last dimension of x must be 1 or more");
	bias.q = (float)(1.0 / sqrt((double)in));
	bias.p = -bias.q;
	w = parameter(m, name, "weight", CLEF_SHAPE(out, in), choose_init(&opts->weight, &model->weight, &weight));
	if (!w)
		return NULL;
	if (opts->no_bias)
		return clef__layer_begin(m, name) ? NULL : clef_linear_no_bias(x, w);
	b = parameter(m, name, "bias", CLEF_SHAPE(out), choose_init(&opts->bias, &model->bias, &bias));
	return !b || clef__layer_begin(m, name) ? NULL : clef_linear(x, w, b);
}

clef_tensor *clef_nn_linear(clef_module *m, const char *name, clef_tensor *x, int64_t out, const clef_linear_opts *opts)
{
	static const clef_linear_opts defaults;

	if (!given(m, name, x, "clef_nn_linear"))
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
	w = parameter(m, name, "weight", CLEF_SHAPE(opts->per_channel ? x->shape.dim[1] : 1), &init);
	return !w || clef__layer_begin(m, name) ? NULL : clef_prelu(x, w);
}

clef_tensor *clef_nn_prelu(clef_module *m, const char *name, clef_tensor *x, const clef_prelu_opts *opts)
{
	static const clef_prelu_opts defaults;

	if (!given(m, name, x, "clef_nn_prelu"))
		return NULL;
	return clef__layer_end(m, name, "prelu", x, prelu(m, name, x, opts ? opts : &defaults));
}

clef_tensor *clef_nn_parameter(clef_module *m, const char *name, clef_shape shape, const clef_init *init)
{
	clef_tensor *w;

	if (!m || !name) {
		clef__null_argument("clef_nn_parameter");
		return NULL;
	}
	w = parameter(m, name, NULL, shape, init);
	if (!w)
		clef__fail(clef_error_status(), "clef_nn_parameter: %s", clef_error());
	return w;
}
