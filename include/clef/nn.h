/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters, models and layers (torch.nn), in three ways:
 *
 *   barebones    weights from a clef_params of your own, and operations from ops.h
 *   module       a forward function that is the model: layers ask for their parameters by name (clef_nn_*)
 *   sequential   a table of layers
 */
#ifndef CLEF_NN_H
#define CLEF_NN_H

#include <stdio.h>

#include <clef/init.h>
#include <clef/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- parameters ----
 *
 * Named float32 leaves that require gradients. All values lie in one buffer and all gradients in another, so that an
 * optimizer updates everything with one kernel. First add the parameters, then commit them, then use them. */

typedef struct clef_params clef_params;

/* An empty set on a device. Free it with clef_params_free(). */
CLEF_API clef_params *clef_params_new(clef_device *dev);

/* Frees the parameters, their gradients and the set, in any order with its optimizers. NULL is accepted; a model's set
 * is left to the model. */
CLEF_API void clef_params_free(clef_params *params);

/* Adds a parameter to be filled by `init` (CLEF_INIT_DEFAULT or NULL: zeros). The name must be new and not empty. The
 * tensor belongs to the set; it has a shape at once and values after clef_params_commit(). ERROR_STATE after that. */
CLEF_API clef_tensor *clef_params_add(clef_params *params, const char *name, clef_shape shape, const clef_init *init);

/* Allocates values and gradients and initializes the parameters in the order they were added, each with one draw of
 * rng: parameter i with rng's counter + i, also where it is a constant. Once per set; nothing can be added afterwards.
 * After an error, which names the parameter, nothing is committed and rng is unchanged. */
CLEF_API clef_status clef_params_commit(clef_params *params, clef_rng *rng);

CLEF_API int clef_params_count(const clef_params *params);

/* The number of values over all parameters. */
CLEF_API int64_t clef_params_numel(const clef_params *params);

/* Parameter i, 0 <= i < count, in the order added; NULL outside, with a message. */
CLEF_API clef_tensor *clef_params_get(const clef_params *params, int i);

/* The name of parameter i, or NULL outside; valid as long as the set. */
CLEF_API const char *clef_params_name(const clef_params *params, int i);

/* The parameter of that name, or NULL with a message that lists the names there are. */
CLEF_API clef_tensor *clef_params_find(const clef_params *params, const char *name);

/* ---- models ---- */

typedef struct clef_model clef_model;

/* What a forward function uses to ask for parameters: valid during the call only. */
typedef struct clef_module clef_module;

/* A model as a function. x [batch, ...]. It is called once with a batch of one without values when the model is made,
 * to find parameters and shapes: nothing runs on the device then, and clef_item() or clef_read() in it give zeros. It
 * must ask for all its parameters in that call; later ones may take other ways through them. */
typedef clef_tensor *(*clef_forward_fn)(clef_module *m, clef_tensor *x);

typedef struct clef_model_opts {
	uint64_t seed;    /* of the initialization */
	clef_init weight; /* initializer of weights that the layer's options do not name; default: the layer's own. A
			   * slope of PReLU is none, and clef_nn_parameter() has its own. */
	clef_init bias;   /* of biases */
	void *user;       /* for clef_module_user() */
} clef_model_opts;

/* A model from a forward function. `input` is the shape of one sample, without the batch: CLEF_SHAPE(1, 28, 28).
 * opts NULL: all defaults. NULL when the forward function fails on that shape; clef_error() is then its message.
 * Free it with clef_model_free(). */
CLEF_API clef_model *clef_model_new(clef_device *dev, clef_forward_fn forward, clef_shape input,
				    const clef_model_opts *opts);

/* Frees the model and its parameters. NULL is accepted. */
CLEF_API void clef_model_free(clef_model *model);

/* The output for x [batch, sample...], float32; the sample's shape must be the one that the model was made for. */
CLEF_API clef_tensor *clef_model_forward(clef_model *model, clef_tensor *x);

/* The model's parameters; they belong to the model. */
CLEF_API clef_params *clef_model_params(clef_model *model);

/* The shape of one output sample: that of the output without its first dimension. */
CLEF_API clef_shape clef_model_output(const clef_model *model);

/* Writes a table to `out`: each layer, or operation outside of layers, with its name, output shape and parameters; and
 * the totals. N is the batch. A parameter counts where it is used first. */
CLEF_API clef_status clef_model_print(const clef_model *model, FILE *out);

/* ---- layers of a module ----
 *
 * `name` is the layer's, unique in the model unless two calls mean to share parameters; parameters are called
 * NAME.weight and NAME.bias, as in PyTorch's state_dict. Errors name the layer, its kind and the shape of x:
 * ERROR_SHAPE where the parameters of that name have other shapes than this call implies, ERROR_STATE for a name that
 * is new after the model was made. */

typedef struct clef_linear_opts {
	bool no_bias;
	clef_init weight; /* default: the model's, else kaiming_uniform with a = sqrt(5), as in torch.nn.Linear */
	clef_init bias;   /* default: the model's, else U(-1/sqrt(in), 1/sqrt(in)), as in torch.nn.Linear */
} clef_linear_opts;

/* y = x w^T + b; x [..., in], weight [out, in], bias [out]; y [..., out]. in is taken from x. torch.nn.Linear. */
CLEF_API clef_tensor *clef_nn_linear(clef_module *m, const char *name, clef_tensor *x, int64_t out,
				     const clef_linear_opts *opts);

typedef struct clef_prelu_opts {
	bool per_channel; /* one slope for each channel, dimension 1 of x; default one for all */
	float slope;      /* start value; default 0.25; -0.0f is a real 0 */
} clef_prelu_opts;

/* Leaky ReLU with a learned slope, NAME.weight [1] or [channels]. torch.nn.PReLU. */
CLEF_API clef_tensor *clef_nn_prelu(clef_module *m, const char *name, clef_tensor *x, const clef_prelu_opts *opts);

/* A parameter of any shape, created on the first call, for layers of your own. init NULL: zeros. */
CLEF_API clef_tensor *clef_nn_parameter(clef_module *m, const char *name, clef_shape shape, const clef_init *init);

/* y = cross-correlation of x [n, channels, h, w] with NAME.weight [out, channels / groups, kernel, kernel], plus
 * NAME.bias [out]. opts as for clef_conv2d(), NULL: all defaults. Initializers: the model's, else those of
 * torch.nn.Conv2d: kaiming_uniform with a = sqrt(5), and U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for the bias. Other kernels
 * than square ones: clef_nn_parameter() and clef_conv2d(). torch.nn.Conv2d. */
CLEF_API clef_tensor *clef_nn_conv2d(clef_module *m, const char *name, clef_tensor *x, int64_t out, int64_t kernel,
				     const clef_conv2d_opts *opts);

/* The same with bias=False. */
CLEF_API clef_tensor *clef_nn_conv2d_no_bias(clef_module *m, const char *name, clef_tensor *x, int64_t out,
					     int64_t kernel, const clef_conv2d_opts *opts);

/* Normalizes each channel of x [n, channels, ...]: NAME.weight (ones) and NAME.bias (zeros), and the buffers
 * NAME.running_mean and NAME.running_var, all [channels]. Momentum and eps come from opts; whether it trains, from
 * clef_model_train(). torch.nn.BatchNorm1d and BatchNorm2d. */
CLEF_API clef_tensor *clef_nn_batch_norm(clef_module *m, const char *name, clef_tensor *x,
					 const clef_batch_norm_opts *opts);

/* clef_dropout() and clef_dropout2d() with the model's own stream of random numbers, and its mode. torch.nn.Dropout. */
CLEF_API clef_tensor *clef_nn_dropout(clef_module *m, clef_tensor *x, float p);
CLEF_API clef_tensor *clef_nn_dropout2d(clef_module *m, clef_tensor *x, float p);

/* State that is no parameter, such as running statistics: a leaf of float32 without gradient that the model owns,
 * filled with `start` when the model is made, and left to the forward function from then on. PyTorch: register_buffer.
 */
CLEF_API clef_tensor *clef_nn_buffer(clef_module *m, const char *name, clef_shape shape, float start);

/* The buffer of that name, or NULL with a message. */
CLEF_API clef_tensor *clef_model_buffer(const clef_model *model, const char *name);

/* Between these two calls every name of a layer, parameter or buffer is put behind "NAME.": so a function can be used
 * for many blocks, as with submodules in PyTorch. May be nested; names are at most 255 characters in all. */
CLEF_API void clef_module_enter(clef_module *m, const char *name);
CLEF_API void clef_module_leave(clef_module *m);

/* Whether batch normalization and dropout train: true when a model has been made. torch.nn.Module.train() and eval().
 */
CLEF_API clef_status clef_model_train(clef_model *model, bool training);

/* What clef_model_train() said; false while the model is being made. */
CLEF_API bool clef_module_training(const clef_module *m);

/* clef_model_opts.user. */
CLEF_API void *clef_module_user(const clef_module *m);

/* ---- sequential ---- */

typedef enum clef_layer_kind {
	CLEF_LAYER_NONE, /* a row of zeros: an error, so that a forgotten row is noticed */
	CLEF_LINEAR,     /* out */
	CLEF_CONV2D,     /* out, kernel, stride, pad, groups */
	CLEF_BATCH_NORM,
	CLEF_MAX_POOL2D,          /* kernel, stride, pad */
	CLEF_AVG_POOL2D,          /* kernel, stride, pad */
	CLEF_ADAPTIVE_AVG_POOL2D, /* out: height and width */
	CLEF_DROPOUT,             /* p; default 0.5 */
	CLEF_FLATTEN,
	CLEF_PRELU, /* p: start value of the slope */
#define CLEF_UNARY0(name, NAME, value, gradient)                             CLEF_##NAME,
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)               CLEF_##NAME,
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient) CLEF_##NAME,
#include <clef/pointwise.def>
	CLEF_LAYER_KINDS /* the number of kinds, with NONE */
} clef_layer_kind;

/* One layer: { CLEF_LINEAR, .out = 256 }, { CLEF_RELU }, { CLEF_LEAKY_RELU, .p = 0.2f }. */
typedef struct clef_layer {
	clef_layer_kind kind;
	int64_t out;                 /* linear: output features; conv2d: channels; adaptive_avg_pool2d: size */
	int64_t kernel, stride, pad; /* conv2d and pooling; stride 0: 1, or the kernel for pooling */
	int64_t groups;              /* conv2d; 0: 1 */
	float p, q;   /* pointwise: the parameters in the order of pointwise.def; both 0: the defaults there, and with p
		       * -0.0f a real 0 */
	bool no_bias; /* linear, conv2d */
	clef_init weight, bias; /* linear; default: as in clef_linear_opts */
} clef_layer;

/* "linear", "flatten", "relu", ...; "layer?" for a value that is none. */
CLEF_API const char *clef_layer_name(clef_layer_kind kind);

/* A model that applies the layers in order. Their names are "0", "1", ... as in torch.nn.Sequential; the table is
 * copied. A linear layer works on the last dimension, so an image needs a CLEF_FLATTEN before it. A field that its
 * layer does not take is an error, which names the layer by its index. */
CLEF_API clef_model *clef_sequential_new(clef_device *dev, const clef_layer *layers, int count, clef_shape input,
					 const clef_model_opts *opts);

/*
 * Reads "flatten linear(256) relu linear(10)": layers in order, separated by blanks, commas or "->", each with its
 * numbers in parentheses where it takes some: leaky_relu(0.2), hardtanh(-2, 2), linear(256, no_bias). A number may
 * be given by its name in clef_layer or pointwise.def, softplus(threshold=10); those left out have their defaults. On
 * success *layers is an array of *count layers: free it with free(). ERROR_INVALID names the word, its position and
 * what was allowed; then *layers is NULL.
 */
CLEF_API clef_status clef_layers_parse(const char *text, clef_layer **layers, int *count);

#ifdef __cplusplus
}
#endif

#endif
