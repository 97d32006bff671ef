/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of networks for images that have parameters or state of their own. */
#include <math.h>

#include "nn_internal.h"

/* ---- convolution ---- */

static clef_tensor *conv2d(clef_module *m, const char *name, clef_tensor *x, int64_t out, int64_t kernel, bool no_bias,
			   const clef_conv2d_opts *opts)
{
	const clef_model_opts *model = &m->model->opts;
	clef_init weight = { .kind = CLEF_INIT_KAIMING_UNIFORM, .kaiming = { .a = sqrtf(5.0f) } };
	clef_init bias = { .kind = CLEF_INIT_UNIFORM };
	int64_t groups = opts && opts->groups ? opts->groups : 1, in;
	clef_tensor *w, *b;

	if (out < 1 || out > INT32_MAX || kernel < 1 || kernel > INT32_MAX)
		return clef__fail_null(CLEF_ERROR_INVALID, "out is %lld and kernel is %lld, must be 1 to 2^31 - 1",
				       (long long)out, (long long)kernel);
	if (x->shape.ndim != 4)
		return clef__fail_null(CLEF_ERROR_SHAPE, "x must be [n, channels, height, width]");
	if (groups < 1 || x->shape.dim[1] % groups || out % groups)
		return clef__fail_null(CLEF_ERROR_INVALID,
				       "groups is %lld, must divide the %lld channels of x and out %lld",
				       (long long)groups, (long long)x->shape.dim[1], (long long)out);
	in = x->shape.dim[1] / groups;
	w = clef__layer_parameter(m, name, "weight", CLEF_SHAPE(out, in, kernel, kernel),
				  clef__layer_init(&(clef_init){ 0 }, &model->weight, &weight));
	if (!w)
		return NULL;
	if (no_bias)
		return clef__layer_begin(m, name) ? NULL : clef_conv2d_no_bias(x, w, opts);
	bias.q = (float)(1.0 / sqrt((double)(in * kernel * kernel)));
	bias.p = -bias.q;
	b = clef__layer_parameter(m, name, "bias", CLEF_SHAPE(out),
				  clef__layer_init(&(clef_init){ 0 }, &model->bias, &bias));
	return !b || clef__layer_begin(m, name) ? NULL : clef_conv2d(x, w, b, opts);
}

clef_tensor *clef_nn_conv2d(clef_module *m, const char *name, clef_tensor *x, int64_t out, int64_t kernel,
			    const clef_conv2d_opts *opts)
{
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_conv2d", full);
	return name ? clef__layer_end(m, name, "conv2d", x, conv2d(m, name, x, out, kernel, false, opts)) : NULL;
}

clef_tensor *clef_nn_conv2d_no_bias(clef_module *m, const char *name, clef_tensor *x, int64_t out, int64_t kernel,
				    const clef_conv2d_opts *opts)
{
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_conv2d_no_bias", full);
	return name ? clef__layer_end(m, name, "conv2d", x, conv2d(m, name, x, out, kernel, true, opts)) : NULL;
}

/* ---- batch normalization ---- */

/* The state LAYER.PART; the modules around it are in the layer's name already. */
static clef_tensor *statistic(clef_module *m, const char *layer, const char *part, int64_t channels, float start)
{
	char name[CLEF__MAX_NAME];
	const char *own = layer + strlen(m->prefix);

	if (snprintf(name, sizeof(name), "%s.%s", own, part) >= (int)sizeof(name))
		return clef__fail_null(CLEF_ERROR_INVALID, "the name is too long");
	return clef_nn_buffer(m, name, CLEF_SHAPE(channels), start);
}

static clef_tensor *batch_norm(clef_module *m, const char *name, clef_tensor *x, const clef_batch_norm_opts *opts)
{
	clef_init one = { .kind = CLEF_INIT_CONSTANT, .p = 1.0f };
	clef_batch_norm_opts o = opts ? *opts : (clef_batch_norm_opts){ 0 };
	clef_tensor *w, *b, *mean, *var;
	int64_t channels;

	if (x->shape.ndim < 2)
		return clef__fail_null(CLEF_ERROR_SHAPE, "x must be [n, channels, ...]");
	channels = x->shape.dim[1];
	w = clef__layer_parameter(m, name, "weight", CLEF_SHAPE(channels), &one);
	b = w ? clef__layer_parameter(m, name, "bias", CLEF_SHAPE(channels), NULL) : NULL;
	mean = b ? statistic(m, name, "running_mean", channels, 0.0f) : NULL;
	var = mean ? statistic(m, name, "running_var", channels, 1.0f) : NULL;
	o.training = m->model->training;
	return !var || clef__layer_begin(m, name) ? NULL : clef_batch_norm(x, w, b, mean, var, &o);
}

clef_tensor *clef_nn_batch_norm(clef_module *m, const char *name, clef_tensor *x, const clef_batch_norm_opts *opts)
{
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_batch_norm", full);
	return name ? clef__layer_end(m, name, "batch_norm", x, batch_norm(m, name, x, opts)) : NULL;
}

/* ---- dropout ---- */

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
