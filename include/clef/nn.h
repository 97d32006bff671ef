/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters, models and layers (torch.nn), in three ways:
 *
 *   barebones    weights from a clef_params of your own, and operations from ops.h
 *   module       a forward function that is the model: layers ask for their parameters by name (clef_nn_*, layers.h)
 *   sequential   a table of layers
 */
#ifndef CLEF_NN_H
#define CLEF_NN_H

#include <stdio.h>

#include <clef/layers.h>

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

/* A model as a function. x [batch, ...]. It is called once with a batch of one without values when the model is made,
 * to find parameters and shapes: nothing runs on the device then, and clef_item() or clef_read() in it give zeros. It
 * must ask for all its parameters in that call; later ones may take other ways through them. */
typedef clef_tensor *(*clef_forward_fn)(clef_module *m, clef_tensor *x);

typedef struct clef_model_opts {
	uint64_t seed;     /* of the initialization */
	clef_init weight;  /* initializer of the weights of linear, convolution and embedding layers that their options
			    * do not name; default: the layer's own */
	clef_init bias;    /* the same of their biases */
	void *user;        /* for clef_module_user() */
	clef_dtype dtype;  /* of x; default CLEF_FLOAT32. CLEF_INT32 for indices, as clef_embedding() takes */
	int64_t max_numel; /* more values in parameters and buffers are ERROR_SHAPE, found before there is memory for
			    * them: for descriptions from somewhere else. Default: no limit */
} clef_model_opts;

/* A model from a forward function. `input` is the shape of one sample, without the batch: CLEF_SHAPE(1, 28, 28).
 * opts NULL: all defaults. NULL when the forward function fails on that shape; clef_error() is then its message.
 * Free it with clef_model_free(). */
CLEF_API clef_model *clef_model_new(clef_device *dev, clef_forward_fn forward, clef_shape input,
				    const clef_model_opts *opts);

/* Frees the model and its parameters. NULL is accepted. */
CLEF_API void clef_model_free(clef_model *model);

/* The output for x [batch, sample...]; the sample's shape and the type must be those that the model was made for. */
CLEF_API clef_tensor *clef_model_forward(clef_model *model, clef_tensor *x);

/* Whether batch normalization and dropout train: true when a model has been made. torch.nn.Module.train() and eval().
 */
CLEF_API clef_status clef_model_train(clef_model *model, bool training);

/* The model's parameters; they belong to the model. */
CLEF_API clef_params *clef_model_params(clef_model *model);

/* The state of that name, such as "bn1.running_mean", which belongs to the model, or NULL with a message. */
CLEF_API clef_tensor *clef_model_buffer(const clef_model *model, const char *name);

/* The shape of one output sample: that of the output without its first dimension. */
CLEF_API clef_shape clef_model_output(const clef_model *model);

/* The shape of one sample that the model was made for. */
CLEF_API clef_shape clef_model_input(const clef_model *model);

/* Writes a table to `out`: each layer, or operation outside of layers, with its name, output shape and parameters; and
 * the totals. N is the batch. A parameter counts where it is used first. */
CLEF_API clef_status clef_model_print(const clef_model *model, FILE *out);

/* ---- watching ---- */

/* What a layer gave in a forward pass. Mean, deviation, minimum and maximum are those of its finite values, and NaN
 * where it has none; the deviation is that of torch.std(), by n - 1. They hold for values of any size: squares do not
 * overflow. */
typedef struct clef_watch {
	const char *name; /* of the layer, or of the operation where that is outside of layers */
	const char *op;   /* the (first) operation */
	clef_shape shape; /* of the output, with the batch */
	int64_t numel;
	float mean, std, min, max;
	float zeros;  /* the share of zeros among all values, 0 to 1 */
	int64_t nans; /* how many values are NaN */
	int64_t infs; /* how many are infinite */
} clef_watch;

/* Gets the rows of a forward pass, in the order of computation: those of clef_model_print(), as far as they were
 * computed and are float32. They and their texts are valid until it returns. */
typedef void (*clef_watch_fn)(void *user, const clef_watch *rows, int count);

/*
 * From now on `watch` is called at the end of each clef_model_forward() that succeeds; NULL ends that. The device finds
 * the figures, with two small kernels for each row, and the host waits for it once in a pass. A table's layers then run
 * one by one and not fused, which may change the last bits. Off, it costs nothing.
 *
 * `watch` may look at the model and read tensors, and call clef_model_watch(); not clef_model_forward() of this model.
 */
CLEF_API clef_status clef_model_watch(clef_model *model, clef_watch_fn watch, void *user);

/* ---- sequential ---- */

/* What a row of the table is: a module of torch.nn, and behind it the fields that it takes, of which those in brackets
 * may be left out. */
typedef enum clef_layer_kind {
	CLEF_LAYER_NONE, /* a row of zeros: an error, so that a forgotten row is noticed */

	CLEF_LINEAR,           /* out [no_bias weight bias] */
	CLEF_CONV1D,           /* out kernel [stride pad dilation groups no_bias weight bias] */
	CLEF_CONV2D,           /* the same */
	CLEF_CONV_TRANSPOSE1D, /* out kernel [stride pad output_pad groups dilation no_bias weight bias] */
	CLEF_CONV_TRANSPOSE2D, /* the same */
	CLEF_EMBEDDING,        /* count out [weight]; see clef_model_opts.dtype */

	CLEF_BATCH_NORM,          /* [eps momentum no_affine] */
	CLEF_LAYER_NORM,          /* [dims eps no_affine no_bias] */
	CLEF_RMS_NORM,            /* [dims eps no_affine] */
	CLEF_GROUP_NORM,          /* groups [eps no_affine] */
	CLEF_INSTANCE_NORM,       /* [eps affine] */
	CLEF_LOCAL_RESPONSE_NORM, /* size [alpha beta k] */
	CLEF_DROPOUT,             /* [p]; default 0.5 */
	CLEF_DROPOUT2D,           /* [p]; default 0.5 */

	CLEF_MAX_POOL1D,          /* kernel [stride pad dilation ceil_mode] */
	CLEF_MAX_POOL2D,          /* the same */
	CLEF_AVG_POOL1D,          /* kernel [stride pad ceil_mode exclude_pad] */
	CLEF_AVG_POOL2D,          /* the same */
	CLEF_ADAPTIVE_AVG_POOL1D, /* out */
	CLEF_ADAPTIVE_AVG_POOL2D, /* out: height and width */
	CLEF_ADAPTIVE_MAX_POOL1D, /* out */
	CLEF_ADAPTIVE_MAX_POOL2D, /* out: height and width */

	CLEF_FLATTEN,
	CLEF_UNFLATTEN,         /* out [height width]: [n, out * height * width] to [n, out, height, width] */
	CLEF_PIXEL_SHUFFLE,     /* factor */
	CLEF_PIXEL_UNSHUFFLE,   /* factor */
	CLEF_UPSAMPLE,          /* scale, or out: height and width; [bilinear align_corners] */
	CLEF_ZERO_PAD1D,        /* pad: on all sides */
	CLEF_ZERO_PAD2D,        /* the same */
	CLEF_CONSTANT_PAD1D,    /* pad, p: the value */
	CLEF_CONSTANT_PAD2D,    /* the same */
	CLEF_REFLECTION_PAD1D,  /* pad */
	CLEF_REFLECTION_PAD2D,  /* pad */
	CLEF_REPLICATION_PAD1D, /* pad */
	CLEF_REPLICATION_PAD2D, /* pad */
	CLEF_CIRCULAR_PAD1D,    /* pad */
	CLEF_CIRCULAR_PAD2D,    /* pad */

	CLEF_SOFTMAX,     /* [dim] */
	CLEF_LOG_SOFTMAX, /* [dim] */
	CLEF_PRELU,       /* [p per_channel]: p is the start value of the slope */
/* [p q] */
#define CLEF_UNARY0(name, NAME, value, gradient)                             CLEF_##NAME,
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)               CLEF_##NAME,
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient) CLEF_##NAME,
#include <clef/pointwise.def>
	CLEF_LAYER_KINDS /* the number of kinds, with NONE */
} clef_layer_kind;

/* One layer: { CLEF_LINEAR, .out = 256 }, { CLEF_RELU }, { CLEF_LEAKY_RELU, .p = 0.2f }. What is 0 has its default,
 * which is that of the module's layer or of the operation. */
typedef struct clef_layer {
	clef_layer_kind kind;
	int64_t out;             /* features, channels, width of an embedding, or size of the result */
	int64_t kernel;          /* of convolution and pooling */
	int64_t stride;          /* 0: 1, or the kernel for pooling */
	int64_t pad, output_pad; /* on each side; added at the end */
	int64_t dilation;        /* 0: 1 */
	int64_t groups;          /* 0: 1 */
	int64_t count;           /* embedding: rows */
	int64_t dims;            /* layer_norm, rms_norm: how many of the last dimensions; 0: 1 */
	int64_t dim;             /* softmax, log_softmax: which dimension; 0: the last */
	int64_t size;            /* local_response_norm: how many channels */
	int64_t factor;          /* pixel_shuffle */
	int64_t height, width;   /* unflatten; 0: no such dimension */
	double scale;            /* upsample */
	float eps, momentum, alpha, beta, k;
	float p, q; /* pointwise: the parameters in the order of pointwise.def; both 0: the defaults there, and with p
		     * -0.0f a real 0 */
	bool no_bias, no_affine, affine, per_channel, ceil_mode, exclude_pad, bilinear, align_corners;
	clef_init weight, bias; /* initializers; default: the model's, else the layer's own */
} clef_layer;

/* "linear", "flatten", "relu", ...; "layer?" for a value that is none. */
CLEF_API const char *clef_layer_name(clef_layer_kind kind);

/* A model that applies the layers in order. Their names are "0", "1", ... as in torch.nn.Sequential; the table is
 * copied. A linear layer works on the last dimension, so an image needs a CLEF_FLATTEN before it. A field that its
 * layer does not take is an error, which names the layer by its index. A linear layer, convolution or batch
 * normalization and the pointwise layer behind it run as one operation where that can be (see activation.h). */
CLEF_API clef_model *clef_sequential_new(clef_device *dev, const clef_layer *layers, int count, clef_shape input,
					 const clef_model_opts *opts);

/*
 * Reads "flatten linear(256) relu linear(10)": layers in order, separated by blanks, commas or "->", each with its
 * values in parentheses where it takes some: leaky_relu(0.2), hardtanh(-2, 2), linear(256, no_bias). They come in the
 * order that clef_layer_kind tells; a number may also be given by its name there or in pointwise.def,
 * softplus(threshold=10), conv2d(8, 3, pad=1), and the start value of prelu is its slope. Those left out have their
 * defaults. On success *layers is an array of *count layers: free it with free(). ERROR_INVALID names the word, its
 * position and what was allowed; then *layers is NULL.
 */
CLEF_API clef_status clef_layers_parse(const char *text, clef_layer **layers, int *count);

/* The text that clef_layers_parse() makes these layers of, but for initializers, which cannot be written: free it with
 * free(). ERROR_INVALID for a row that is no layer. */
CLEF_API char *clef_layers_text(const clef_layer *layers, int count);

/*
 * Reads "crop(4) flip erase(8)": what clef_augment() is to do, in any order and each once, with numbers as in
 * clef_layers_parse(); augment.h tells what they mean. crop(pad), translate(share), flip(p), vflip(p), erase(size, p),
 * reflect. Where they are left out, a share is 0.1, the probability of a flip 0.5 and that of erase 1. A text without
 * words does nothing. ERROR_INVALID names the word and what was allowed; then *opts is as it was.
 */
CLEF_API clef_status clef_augment_parse(const char *text, clef_augment_opts *opts);

#ifdef __cplusplus
}
#endif

#endif
