/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions as layers. The four of them, and their forms with and without a bias, differ in the shape of the weight
 * alone: that of a transposed one begins with the channels that come in.
 */
#include "nn_internal.h"

static bool sizes_fit(const clef__weighted *layer)
{
	if (layer->out < 1 || layer->out > INT32_MAX)
		return !clef__fail(CLEF_ERROR_INVALID, "out is %lld, must be 1 to 2^31 - 1", (long long)layer->out);
	for (int i = 0; i < layer->kernel.ndim; i++)
		if (layer->kernel.dim[i] < 1 || layer->kernel.dim[i] > INT32_MAX)
			return !clef__fail(CLEF_ERROR_INVALID, "kernel is %lld, must be 1 to 2^31 - 1",
					   (long long)layer->kernel.dim[i]);
	return true;
}

static bool conv_weights(clef_module *m, const char *name, const clef_tensor *x, const clef__weighted *layer,
			 bool transposed, int64_t groups, clef_tensor *w[2])
{
	clef_shape shape = layer->kernel;
	int64_t in;

	if (!sizes_fit(layer))
		return false;
	if (x->shape.ndim != shape.ndim + 2)
		return !clef__fail(CLEF_ERROR_SHAPE, "x must be [n, channels, %s]",
				   shape.ndim == 1 ? "length" : "height, width");
	in = x->shape.dim[1];
	groups = groups ? groups : 1;
	if (in < 1 || groups < 1 || in % groups || layer->out % groups)
		return !clef__fail(CLEF_ERROR_INVALID,
				   "groups is %lld, must divide the %lld channels of x, 1 or more, and out %lld",
				   (long long)groups, (long long)in, (long long)layer->out);
	memmove(shape.dim + 2, shape.dim, (size_t)shape.ndim * sizeof(*shape.dim));
	shape.ndim += 2;
	shape.dim[0] = transposed ? in : layer->out;
	shape.dim[1] = (transposed ? layer->out : in) / groups;
	return clef__layer_weights(m, name, layer, shape, w);
}

/* A layer for each operation, in its public forms and the one that they are made of. */
#define CONV_LAYER(op, transposed, ...)                                                                                \
	clef_tensor *clef__nn_##op(clef_module *m, const char *name, clef_tensor *x, const clef__weighted *layer,      \
				   const clef_##op##_opts *opts)                                                       \
	{                                                                                                              \
		char full[CLEF__MAX_NAME];                                                                             \
		clef_tensor *w[2], *y = NULL;                                                                          \
                                                                                                                       \
		name = clef__layer_name(m, name, x, "clef_nn_" #op, full);                                             \
		if (!name)                                                                                             \
			return NULL;                                                                                   \
		if (conv_weights(m, name, x, layer, transposed, opts ? opts->groups : 0, w))                           \
			y = layer->no_bias ? clef_##op##_no_bias(x, w[0], opts) : clef_##op(x, w[0], w[1], opts);      \
		return clef__layer_end(m, name, #op, x, y);                                                            \
	}                                                                                                              \
                                                                                                                       \
	clef_tensor *clef_nn_##op(clef_module *m, const char *name, clef_tensor *x, int64_t out, int64_t kernel,       \
				  const clef_##op##_opts *opts)                                                        \
	{                                                                                                              \
		const clef__weighted layer = { .out = out, .kernel = CLEF_SHAPE(__VA_ARGS__) };                        \
                                                                                                                       \
		return clef__nn_##op(m, name, x, &layer, opts);                                                        \
	}                                                                                                              \
                                                                                                                       \
	clef_tensor *clef_nn_##op##_no_bias(clef_module *m, const char *name, clef_tensor *x, int64_t out,             \
					    int64_t kernel, const clef_##op##_opts *opts)                              \
	{                                                                                                              \
		const clef__weighted layer = { .out = out, .kernel = CLEF_SHAPE(__VA_ARGS__), .no_bias = true };       \
                                                                                                                       \
		return clef__nn_##op(m, name, x, &layer, opts);                                                        \
	}

CONV_LAYER(conv1d, false, kernel)
CONV_LAYER(conv2d, false, kernel, kernel)
CONV_LAYER(conv_transpose1d, true, kernel)
CONV_LAYER(conv_transpose2d, true, kernel, kernel)

static clef_tensor *conv2d_rect(clef_module *m, const char *name, clef_tensor *x, const clef__weighted *layer,
				const clef_conv2d_opts *opts)
{
	if (layer->kernel.ndim != 2)
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "clef_nn_conv2d_rect: kernel has %d dimensions, must be [height, width]",
				       layer->kernel.ndim);
	return clef__nn_conv2d(m, name, x, layer, opts);
}

clef_tensor *clef_nn_conv2d_rect(clef_module *m, const char *name, clef_tensor *x, int64_t out, clef_shape kernel,
				 const clef_conv2d_opts *opts)
{
	return conv2d_rect(m, name, x, &(clef__weighted){ .out = out, .kernel = kernel }, opts);
}

clef_tensor *clef_nn_conv2d_rect_no_bias(clef_module *m, const char *name, clef_tensor *x, int64_t out,
					 clef_shape kernel, const clef_conv2d_opts *opts)
{
	return conv2d_rect(m, name, x, &(clef__weighted){ .out = out, .kernel = kernel, .no_bias = true }, opts);
}
