/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of a module (torch.nn): an operation together with the parameters that it asks its model for. Included by
 * nn.h, which tells what a module and a model are.
 *
 * `name` is the layer's, unique in the model unless two calls mean to share parameters; parameters are called
 * NAME.weight and NAME.bias, as in PyTorch's state_dict. Sizes that follow from x are taken from it: the features or
 * channels that come in, and what a normalization needs. Option structs may be NULL, for all defaults. What a layer
 * computes, and in which range its options are, is told where its operation is: ops.h, conv.h, norm.h, shaping.h.
 * Operations without parameters, such as pooling, softmax and padding, are used as they are.
 *
 * Weights and biases of linear, convolution and embedding start with the layer's own initializer, where it has such an
 * option; else with the model's (clef_model_opts.weight and bias); else as in PyTorch: those of linear and convolutions
 * with kaiming_uniform, a = sqrt(5), and U(-1/sqrt(fan_in), 1/sqrt(fan_in)); those of embedding with N(0, 1).
 * Normalizations start as the identity. Any other start is had by asking for the parameter before the layer does:
 *
 *   clef_nn_parameter(m, "conv1.weight", CLEF_SHAPE(64, 3, 7, 7), &init);
 *   x = clef_nn_conv2d(m, "conv1", x, 64, 7, NULL);
 *
 * Errors name the layer, its kind and the shape of x: ERROR_SHAPE where the parameters of that name have other shapes
 * than this call implies, ERROR_STATE for a name that is new after the model was made, and those of the operation.
 */
#ifndef CLEF_LAYERS_H
#define CLEF_LAYERS_H

#include <clef/init.h>
#include <clef/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a forward function uses to ask for parameters: valid during the call only. See nn.h. */
typedef struct clef_module clef_module;

/* ---- linear ---- */

typedef struct clef_linear_opts {
	bool no_bias;
	clef_init weight, bias;     /* default: as told above, with fan_in = in */
	clef_activation activation; /* of the result; default: none */
} clef_linear_opts;

/* y = x w^T + b; x [..., in], weight [out, in], bias [out]; y [..., out]. torch.nn.Linear. */
CLEF_API clef_tensor *clef_nn_linear(clef_module *m, const char *name, clef_tensor *x, int64_t out,
				     const clef_linear_opts *opts);

/* ---- convolution ----
 *
 * `out` is the number of channels of y, and `kernel` the size of the kernel, 1 or more, both of its sides in two
 * dimensions. opts as for the operation, with its activation. Those that end in _no_bias have bias=False. */

/* x [n, channels, l], weight [out, channels / groups, kernel]. torch.nn.Conv1d. */
CLEF_API clef_tensor *clef_nn_conv1d(clef_module *m, const char *name, clef_tensor *x, int64_t out, int64_t kernel,
				     const clef_conv1d_opts *opts);
CLEF_API clef_tensor *clef_nn_conv1d_no_bias(clef_module *m, const char *name, clef_tensor *x, int64_t out,
					     int64_t kernel, const clef_conv1d_opts *opts);

/* x [n, channels, h, w], weight [out, channels / groups, kernel, kernel]. torch.nn.Conv2d. */
CLEF_API clef_tensor *clef_nn_conv2d(clef_module *m, const char *name, clef_tensor *x, int64_t out, int64_t kernel,
				     const clef_conv2d_opts *opts);
CLEF_API clef_tensor *clef_nn_conv2d_no_bias(clef_module *m, const char *name, clef_tensor *x, int64_t out,
					     int64_t kernel, const clef_conv2d_opts *opts);

/* The same with a kernel of other sides, CLEF_SHAPE(height, width). */
CLEF_API clef_tensor *clef_nn_conv2d_rect(clef_module *m, const char *name, clef_tensor *x, int64_t out,
					  clef_shape kernel, const clef_conv2d_opts *opts);
CLEF_API clef_tensor *clef_nn_conv2d_rect_no_bias(clef_module *m, const char *name, clef_tensor *x, int64_t out,
						  clef_shape kernel, const clef_conv2d_opts *opts);

/* x [n, channels, l], weight [channels, out / groups, kernel], and fan_in is (out / groups) * kernel, as in PyTorch.
 * torch.nn.ConvTranspose1d. */
CLEF_API clef_tensor *clef_nn_conv_transpose1d(clef_module *m, const char *name, clef_tensor *x, int64_t out,
					       int64_t kernel, const clef_conv_transpose1d_opts *opts);
CLEF_API clef_tensor *clef_nn_conv_transpose1d_no_bias(clef_module *m, const char *name, clef_tensor *x, int64_t out,
						       int64_t kernel, const clef_conv_transpose1d_opts *opts);

/* x [n, channels, h, w], weight [channels, out / groups, kernel, kernel]; fan_in likewise. torch.nn.ConvTranspose2d. */
CLEF_API clef_tensor *clef_nn_conv_transpose2d(clef_module *m, const char *name, clef_tensor *x, int64_t out,
					       int64_t kernel, const clef_conv_transpose2d_opts *opts);
CLEF_API clef_tensor *clef_nn_conv_transpose2d_no_bias(clef_module *m, const char *name, clef_tensor *x, int64_t out,
						       int64_t kernel, const clef_conv_transpose2d_opts *opts);

/* ---- normalization ---- */

/* Each channel of x [n, channels, ...]: NAME.weight (ones) and NAME.bias (zeros), and the buffers NAME.running_mean
 * and NAME.running_var, all [channels]. Momentum, eps and activation come from opts; whether it trains, from
 * clef_model_train(). torch.nn.BatchNorm1d and BatchNorm2d. */
CLEF_API clef_tensor *clef_nn_batch_norm(clef_module *m, const char *name, clef_tensor *x,
					 const clef_batch_norm_opts *opts);

/* The same with the buffers alone. PyTorch: affine=False. */
CLEF_API clef_tensor *clef_nn_batch_norm_plain(clef_module *m, const char *name, clef_tensor *x,
					       const clef_batch_norm_opts *opts);

typedef struct clef_layer_norm_opts {
	int dims;       /* so many of the last dimensions of x; default 1 */
	float eps;      /* default 1e-5 */
	bool no_affine; /* without parameters. PyTorch: elementwise_affine=False */
	bool no_bias;   /* with NAME.weight alone */
} clef_layer_norm_opts;

/* Over the last dimensions of x, NAME.weight (ones) and NAME.bias (zeros) of their shape. torch.nn.LayerNorm. */
CLEF_API clef_tensor *clef_nn_layer_norm(clef_module *m, const char *name, clef_tensor *x,
					 const clef_layer_norm_opts *opts);

typedef struct clef_rms_norm_opts {
	int dims;       /* so many of the last dimensions of x; default 1 */
	float eps;      /* default 2^-23 */
	bool no_affine; /* without a parameter. PyTorch: elementwise_affine=False */
} clef_rms_norm_opts;

/* Over the last dimensions of x, NAME.weight (ones) of their shape. torch.nn.RMSNorm. */
CLEF_API clef_tensor *clef_nn_rms_norm(clef_module *m, const char *name, clef_tensor *x,
				       const clef_rms_norm_opts *opts);

typedef struct clef_group_norm_opts {
	float eps;      /* default 1e-5 */
	bool no_affine; /* without parameters. PyTorch: affine=False */
} clef_group_norm_opts;

/* Over so many groups of channels of x [n, channels, ...], NAME.weight (ones) and NAME.bias (zeros), [channels].
 * torch.nn.GroupNorm. */
CLEF_API clef_tensor *clef_nn_group_norm(clef_module *m, const char *name, clef_tensor *x, int groups,
					 const clef_group_norm_opts *opts);

typedef struct clef_instance_norm_opts {
	float eps;   /* default 1e-5 */
	bool affine; /* with NAME.weight (ones) and NAME.bias (zeros), [channels]; as in PyTorch, default without */
} clef_instance_norm_opts;

/* Over each channel of each sample of x [n, channels, ...]. There are no running statistics. torch.nn.InstanceNorm1d
 * and InstanceNorm2d. */
CLEF_API clef_tensor *clef_nn_instance_norm(clef_module *m, const char *name, clef_tensor *x,
					    const clef_instance_norm_opts *opts);

/* ---- others ---- */

/* Row index[i] of NAME.weight [count, width] for each index; index [...] is int32, y [..., width]. With padding, row
 * padding_idx starts at 0 and gets no gradient. A model whose input are indices has clef_model_opts.dtype CLEF_INT32.
 * torch.nn.Embedding. */
CLEF_API clef_tensor *clef_nn_embedding(clef_module *m, const char *name, clef_tensor *index, int64_t count,
					int64_t width, const clef_embedding_opts *opts);

typedef struct clef_prelu_opts {
	bool per_channel; /* one slope for each channel, dimension 1 of x; default one for all */
	float slope;      /* start value; default 0.25; -0.0f is a real 0 */
} clef_prelu_opts;

/* Leaky ReLU with a learned slope, NAME.weight [1] or [channels]. torch.nn.PReLU. */
CLEF_API clef_tensor *clef_nn_prelu(clef_module *m, const char *name, clef_tensor *x, const clef_prelu_opts *opts);

/* clef_dropout() and clef_dropout2d() with the model's own stream of random numbers, and its mode. torch.nn.Dropout. */
CLEF_API clef_tensor *clef_nn_dropout(clef_module *m, clef_tensor *x, float p);
CLEF_API clef_tensor *clef_nn_dropout2d(clef_module *m, clef_tensor *x, float p);

/* ---- for layers of your own ---- */

/* A parameter of any shape, created on the first call. init NULL: zeros. torch.nn.Parameter. */
CLEF_API clef_tensor *clef_nn_parameter(clef_module *m, const char *name, clef_shape shape, const clef_init *init);

/* State that is no parameter, such as running statistics: a leaf of float32 without gradient that the model owns,
 * filled with `start` when the model is made, and left to the forward function from then on. PyTorch: register_buffer.
 */
CLEF_API clef_tensor *clef_nn_buffer(clef_module *m, const char *name, clef_shape shape, float start);

/* Between these two calls every name of a layer, parameter or buffer is put behind "NAME.": so a function can be used
 * for many blocks, as with submodules in PyTorch. May be nested; names are at most 255 characters in all. */
CLEF_API void clef_module_enter(clef_module *m, const char *name);
CLEF_API void clef_module_leave(clef_module *m);

/* What clef_model_train() said; false while the model is being made. */
CLEF_API bool clef_module_training(const clef_module *m);

/* clef_model_opts.user. */
CLEF_API void *clef_module_user(const clef_module *m);

#ifdef __cplusplus
}
#endif

#endif
