/* SPDX-License-Identifier: Apache-2.0 */
/* What the named networks share. */
#ifndef CLEF_MODELS_INTERNAL_H
#define CLEF_MODELS_INTERNAL_H

#include <clef/models.h>

#include "nn_internal.h"

/* What stands in the brackets behind a name, and how many classes there are. 0: as published. */
typedef struct clef__network {
	int64_t width, stages, blocks;
	int classes;
} clef__network;

/* The network of the model, with what is left out, or more than published, taken from `published`. */
clef__network clef__network_of(const clef_module *m, clef__network published);

/* ---- networks as forward functions ---- */

clef_tensor *clef__resnet18(clef_module *m, clef_tensor *x);
clef_tensor *clef__vgg11(clef_module *m, clef_tensor *x);
clef_tensor *clef__mobilenet_v2(clef_module *m, clef_tensor *x);

/* ---- networks as text of layers; free it with free() ---- */

char *clef__mlp(clef__network net);
char *clef__convnet(clef__network net);
char *clef__vgg(clef__network net);

/* ---- what they are made of ---- */

typedef struct clef__conv_norm_opts {
	int64_t out, kernel;
	int stride; /* default 1 */
	int groups; /* default 1 */
	bool bias;
	clef_activation_kind activation; /* default none */
} clef__conv_norm_opts;

/* A convolution called `conv`, padded so that stride 1 keeps the size, a batch normalization called `norm`, and an
 * activation, which the normalization applies in passing. */
clef_tensor *clef__conv_norm(clef_module *m, const char *conv, const char *norm, clef_tensor *x,
			     clef__conv_norm_opts opts);

#endif
