/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this layer share: parameters and models from inside, and the table of layer kinds. */
#ifndef CLEF_NN_INTERNAL_H
#define CLEF_NN_INTERNAL_H

#include <clef/nn.h>
#include <clef/optim.h>

#include "fields.h"
#include "tape.h"

/* ---- parameters ---- */

typedef struct clef__param {
	char *name;
	clef_tensor *w;
	clef_init init;
	int64_t offset;   /* of the first element in values and in grads */
	int64_t zero_row; /* that starts at 0 whatever init says; -1: none */
} clef__param;

struct clef_params {
	clef_device *dev;
	int references; /* the owner's, and one of each optimizer */
	bool of_model;  /* clef_params_free() leaves it to the model */
	int count, capacity;
	clef__param *list;
	int64_t numel;
	int64_t size;                /* numel with the padding between parameters */
	clef_tensor *values, *grads; /* float32 [size]; NULL until committed */
};

void clef__params_retain(clef_params *params);
void clef__params_release(clef_params *params); /* NULL is accepted */

/* The index of the parameter LAYER.PART (part NULL: LAYER), or -1. Looks at index `guess` first. */
int clef__params_index(const clef_params *params, const char *layer, const char *part, int guess);

/* Before the commit: slice `row` of parameter i's first dimension starts at 0. */
void clef__params_zero_row(clef_params *params, int i, int64_t row);

/* ---- models ---- */

/* A line of clef_model_print(). */
typedef struct clef__row {
	char *layer;    /* NULL: an operation outside of any layer */
	const char *op; /* the operation's name */
	clef_shape output;
	int64_t numel; /* values in parameters that no row above has used */
	bool shared;   /* uses parameters of a row above */
} clef__row;

#define CLEF__MAX_NAME 256

/* The model, as its forward function sees it. */
struct clef_module {
	clef_model *model;
	clef_tape *dry;              /* the recording in which parameters are made; NULL once the model exists */
	clef_tape *named;            /* the recording that layers write their names to: a dry or watched one */
	int cursor;                  /* the parameter that a layer will ask for next if the order is as ever */
	char prefix[CLEF__MAX_NAME]; /* "layer1.0.": the modules that were entered */
	unsigned char outer[CLEF__MAX_NAME]; /* the prefix's length before each of them, whose names may hold dots */
	int depth;
	bool prefix_bad; /* it did not fit, or was left once too often */
};

/* State that is no parameter. */
typedef struct clef__state {
	char *name;
	clef_tensor *x;
	float start;
	bool counts; /* a mean that runs: `batches` have gone into it. PyTorch's num_batches_tracked */
	int64_t batches;
} clef__state;

struct clef_model {
	clef_module module;
	clef_forward_fn forward;
	clef_params *params;
	clef_model_opts opts;
	clef_shape input, output; /* of one sample */
	clef_layer *layers;       /* of a sequential model: a copy; else NULL */
	int layer_count;
	char (*layer_names)[12]; /* "0", "1", ... */
	clef__row *rows;
	int row_count, row_capacity;
	clef__state *states;
	int state_count, state_capacity;
	bool training;
	clef_rng rng; /* of dropout */
	clef_watch_fn watch;
	void *watch_user;
	clef_watch *watched; /* of the last pass that was watched */
	int watched_capacity;
	char *network; /* the text that clef_model_parse() made it of, where that names a network; else NULL */
	void *owned;   /* what opts.user is, where the model has that from clef_model_parse(): freed with it */
};

/* clef_model_new(); layers NULL unless the model is a sequential one. */
clef_model *clef__model_new(clef_device *dev, clef_forward_fn forward, const clef_layer *layers, int count,
			    clef_shape input, const clef_model_opts *opts);

/* Runs the forward function in evaluation on a dry recording, with a batch of one; its result, or NULL with a message.
 * `first`: the model is being made, and parameters with it. */
clef_tensor *clef__model_record(clef_model *model, clef_tape *tape, bool first);

/* Fills model->rows from a recording of its forward function. */
clef_status clef__model_rows(clef_model *model, const clef_tape *tape);

/* ---- watch.c ---- */

/* Calls the model's watch with what the recording's nodes from `first` on gave, and waits for the device. */
clef_status clef__model_watch(clef_model *model, const clef_tape *tape, int first);

/* ---- state: buffers.c ---- */

/* Gives what was asked for in the dry run its memory and start values. */
clef_status clef__states_commit(clef_model *model);
void clef__states_free(clef_model *model);

/* Another batch goes into a mean that runs; in the dry run: it will. */
void clef__state_count(clef_module *m, const clef_tensor *x);

/* ---- layers ---- */

/* The layer's name with those of the modules around it, in `full` if there are any. NULL, with a message, if m, name or
 * x is NULL, or the names do not fit. */
const char *clef__layer_name(clef_module *m, const char *name, const clef_tensor *x, const char *function,
			     char full[CLEF__MAX_NAME]);

/* The parameter LAYER.PART, or LAYER where part is NULL: made in the dry run, found later. */
clef_tensor *clef__layer_parameter(clef_module *m, const char *layer, const char *part, clef_shape shape,
				   const clef_init *init);

/* The layer's own initializer, else the model's, else the one that goes with the kind of layer. */
const clef_init *clef__layer_init(const clef_init *own, const clef_init *model, const clef_init *preset);

/* What linear layers and convolutions share. */
typedef struct clef__weighted {
	int64_t out;
	clef_shape kernel; /* of a convolution */
	bool no_bias;
	clef_init weight, bias;
} clef__weighted;

/* The parameters of such a layer, w[0] of that shape and, unless it has none, w[1] [out]; then clef__layer_begin().
 * False, with a message, where that fails. */
bool clef__layer_weights(clef_module *m, const char *name, const clef__weighted *layer, clef_shape shape,
			 clef_tensor *w[2]);

/* The layers of layers.h, with initializers. */
clef_tensor *clef__nn_conv1d(clef_module *m, const char *name, clef_tensor *x, const clef__weighted *layer,
			     const clef_conv1d_opts *opts);
clef_tensor *clef__nn_conv2d(clef_module *m, const char *name, clef_tensor *x, const clef__weighted *layer,
			     const clef_conv2d_opts *opts);
clef_tensor *clef__nn_conv_transpose1d(clef_module *m, const char *name, clef_tensor *x, const clef__weighted *layer,
				       const clef_conv_transpose1d_opts *opts);
clef_tensor *clef__nn_conv_transpose2d(clef_module *m, const char *name, clef_tensor *x, const clef__weighted *layer,
				       const clef_conv_transpose2d_opts *opts);
clef_tensor *clef__nn_embedding(clef_module *m, const char *name, clef_tensor *index, int64_t count, int64_t width,
				const clef_init *weight, const clef_embedding_opts *opts);

/* Around the operations of a layer. The first makes them one row of clef_model_print(). The second returns y; if that
 * is NULL, it puts the layer's name and kind and the shape of x in front of the message. */
clef_status clef__layer_begin(clef_module *m, const char *name);
clef_tensor *clef__layer_end(clef_module *m, const char *name, const char *kind, const clef_tensor *x, clef_tensor *y);

/* ---- kinds of layers: what sequential models and model strings know ---- */

#define CLEF__LAYER_FIELDS 9 /* with the end */

/* Applies a layer. `act` goes on top if its row says that it fuses, and is none otherwise. */
typedef clef_tensor *(*clef__layer_fn)(clef_module *m, const char *name, clef_tensor *x, const clef_layer *layer,
				       clef_activation act);

typedef struct clef__layer_type {
	const char *name;
	clef__layer_fn apply;
	clef_activation_kind activation; /* of a pointwise layer, else CLEF_ACT_NONE */
	bool fuses;                      /* a pointwise layer behind it may run in it */
	bool takes_weight, takes_bias;   /* initializers */
	clef__field field[CLEF__LAYER_FIELDS];
} clef__layer_type;

/* NULL for a value that is no kind. */
const clef__layer_type *clef__layer_type_of(clef_layer_kind kind);

/* The activation that a pointwise layer is. */
clef_activation clef__layer_activation(const clef_layer *layer);

#endif
