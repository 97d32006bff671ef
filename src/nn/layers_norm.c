/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalizations as layers. Their parameters start as the identity and are none of those that a model's initializers
 * are for; they have the shape of the channels, or of the last dimensions of x.
 */
#include "nn_internal.h"

/* NAME.weight, ones, and with `bias` NAME.bias, zeros. False, with a message, where that fails. */
static bool affine(clef_module *m, const char *name, clef_shape shape, bool bias, clef_tensor *w[2])
{
	const clef_init one = { .kind = CLEF_INIT_CONSTANT, .p = 1.0f };

	w[0] = clef__layer_parameter(m, name, "weight", shape, &one);
	w[1] = w[0] && bias ? clef__layer_parameter(m, name, "bias", shape, NULL) : NULL;
	return w[0] && (w[1] || !bias);
}

static clef_status check_channels(const clef_tensor *x)
{
	if (x->shape.ndim < 2)
		return clef__fail(CLEF_ERROR_SHAPE, "x must be [n, channels, ...]");
	return CLEF_OK;
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

static clef_tensor *batch_norm(clef_module *m, const char *name, clef_tensor *x, bool plain,
			       const clef_batch_norm_opts *opts)
{
	clef_batch_norm_opts o = opts ? *opts : (clef_batch_norm_opts){ 0 };
	clef_tensor *w[2], *mean, *var;
	int64_t channels;

	if (check_channels(x))
		return NULL;
	channels = x->shape.dim[1];
	if (!plain && !affine(m, name, CLEF_SHAPE(channels), true, w))
		return NULL;
	mean = statistic(m, name, "running_mean", channels, 0.0f);
	var = mean ? statistic(m, name, "running_var", channels, 1.0f) : NULL;
	if (!var || clef__layer_begin(m, name))
		return NULL;
	o.training = m->model->training;
	clef__state_count(m, mean);
	return plain ? clef_batch_norm_plain(x, mean, var, &o) : clef_batch_norm(x, w[0], w[1], mean, var, &o);
}

clef_tensor *clef_nn_batch_norm(clef_module *m, const char *name, clef_tensor *x, const clef_batch_norm_opts *opts)
{
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_batch_norm", full);
	return name ? clef__layer_end(m, name, "batch_norm", x, batch_norm(m, name, x, false, opts)) : NULL;
}

clef_tensor *clef_nn_batch_norm_plain(clef_module *m, const char *name, clef_tensor *x,
				      const clef_batch_norm_opts *opts)
{
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_batch_norm_plain", full);
	return name ? clef__layer_end(m, name, "batch_norm", x, batch_norm(m, name, x, true, opts)) : NULL;
}

/* ---- over the last dimensions ---- */

/* The last `dims` dimensions of x, 0 meaning 1. */
static clef_status last_dims(const clef_tensor *x, int *dims, clef_shape *shape)
{
	if (!*dims)
		*dims = 1;
	if (*dims < 1 || *dims > x->shape.ndim)
		return clef__fail(CLEF_ERROR_INVALID, "dims is %d, must be 1 to the %d dimensions of x", *dims,
				  x->shape.ndim);
	shape->ndim = *dims;
	for (int i = 0; i < *dims; i++)
		shape->dim[i] = x->shape.dim[x->shape.ndim - *dims + i];
	return CLEF_OK;
}

static clef_tensor *layer_norm(clef_module *m, const char *name, clef_tensor *x, clef_layer_norm_opts opts)
{
	clef_tensor *w[2];
	clef_shape shape;

	if (last_dims(x, &opts.dims, &shape))
		return NULL;
	if (!opts.no_affine && !affine(m, name, shape, !opts.no_bias, w))
		return NULL;
	if (clef__layer_begin(m, name))
		return NULL;
	if (opts.no_affine)
		return clef_layer_norm_plain(x, opts.dims, opts.eps);
	if (opts.no_bias)
		return clef_mul(clef_layer_norm_plain(x, opts.dims, opts.eps), w[0]);
	return clef_layer_norm(x, w[0], w[1], opts.eps);
}

clef_tensor *clef_nn_layer_norm(clef_module *m, const char *name, clef_tensor *x, const clef_layer_norm_opts *opts)
{
	static const clef_layer_norm_opts defaults;
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_layer_norm", full);
	if (!name)
		return NULL;
	return clef__layer_end(m, name, "layer_norm", x, layer_norm(m, name, x, opts ? *opts : defaults));
}

static clef_tensor *rms_norm(clef_module *m, const char *name, clef_tensor *x, clef_rms_norm_opts opts)
{
	clef_tensor *w[2];
	clef_shape shape;

	if (last_dims(x, &opts.dims, &shape))
		return NULL;
	if (!opts.no_affine && !affine(m, name, shape, false, w))
		return NULL;
	if (clef__layer_begin(m, name))
		return NULL;
	return opts.no_affine ? clef_rms_norm_plain(x, opts.dims, opts.eps) : clef_rms_norm(x, w[0], opts.eps);
}

clef_tensor *clef_nn_rms_norm(clef_module *m, const char *name, clef_tensor *x, const clef_rms_norm_opts *opts)
{
	static const clef_rms_norm_opts defaults;
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_rms_norm", full);
	if (!name)
		return NULL;
	return clef__layer_end(m, name, "rms_norm", x, rms_norm(m, name, x, opts ? *opts : defaults));
}

/* ---- within a sample ---- */

static clef_tensor *group_norm(clef_module *m, const char *name, clef_tensor *x, int groups, clef_group_norm_opts opts)
{
	clef_tensor *w[2];

	if (check_channels(x))
		return NULL;
	if (!opts.no_affine && !affine(m, name, CLEF_SHAPE(x->shape.dim[1]), true, w))
		return NULL;
	if (clef__layer_begin(m, name))
		return NULL;
	return opts.no_affine ? clef_group_norm_plain(x, groups, opts.eps)
			      : clef_group_norm(x, groups, w[0], w[1], opts.eps);
}

clef_tensor *clef_nn_group_norm(clef_module *m, const char *name, clef_tensor *x, int groups,
				const clef_group_norm_opts *opts)
{
	static const clef_group_norm_opts defaults;
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_group_norm", full);
	if (!name)
		return NULL;
	return clef__layer_end(m, name, "group_norm", x, group_norm(m, name, x, groups, opts ? *opts : defaults));
}

static clef_tensor *instance_norm(clef_module *m, const char *name, clef_tensor *x, clef_instance_norm_opts opts)
{
	clef_tensor *w[2];

	if (check_channels(x))
		return NULL;
	if (opts.affine && !affine(m, name, CLEF_SHAPE(x->shape.dim[1]), true, w))
		return NULL;
	if (clef__layer_begin(m, name))
		return NULL;
	return opts.affine ? clef_instance_norm(x, w[0], w[1], opts.eps) : clef_instance_norm_plain(x, opts.eps);
}

clef_tensor *clef_nn_instance_norm(clef_module *m, const char *name, clef_tensor *x,
				   const clef_instance_norm_opts *opts)
{
	static const clef_instance_norm_opts defaults;
	char full[CLEF__MAX_NAME];

	name = clef__layer_name(m, name, x, "clef_nn_instance_norm", full);
	if (!name)
		return NULL;
	return clef__layer_end(m, name, "instance_norm", x, instance_norm(m, name, x, opts ? *opts : defaults));
}
