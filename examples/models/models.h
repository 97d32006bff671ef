/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published networks for small images, as forward functions for clef_model_new():
 *
 *     model = clef_model_new(dev, resnet18, CLEF_SHAPE(3, 32, 32), NULL);
 *
 * They are a part of the examples and not of the library, to be copied and changed. x is [n, channels, height, width]
 * with any number of channels and, since the last pooling is global, of any size from 1x1 that survives the strides
 * before it; y is [n, classes].
 *
 * The three are PyTorch's (torchvision.models) with the first strides taken out, as is usual for 32x32 pixels.
 * Parameters and buffers have the names and shapes of its state_dict, so that its checkpoints fit, and start as there:
 * convolutions with kaiming_normal(fan_out, relu), batch normalization with ones and zeros.
 */
#ifndef CLEF_EXAMPLES_MODELS_H
#define CLEF_EXAMPLES_MODELS_H

#include <clef/clef.h>

/* For clef_model_opts.user, to train something smaller; it must live as long as the model. 0, and NULL for all of it,
 * means the published form. */
typedef struct model_config {
	int64_t width;   /* channels of the first stage; the other stages keep their ratios to it */
	int64_t classes; /* default 10 */
	int stages;      /* the first so many alone */
	int blocks;      /* at most so many blocks, or convolutions, in a stage */
} model_config;

/* The forward function of that name, NULL where there is none. */
clef_forward_fn model_find(const char *name);

/* He et al. 2016, "Deep residual learning for image recognition", with a stem of 3x3 pixels instead of 7x7 and a
 * pooling. 11,173,962 parameters for 3 channels and 10 classes. width 64, 4 stages of 2 blocks. */
clef_tensor *resnet18(clef_module *m, clef_tensor *x);

/* Simonyan and Zisserman 2015, "Very deep convolutional networks", configuration A, with batch normalization and a
 * single linear layer. 9,231,114 parameters. width 64, 5 stages of 1 or 2 convolutions. The image is halved in each. */
clef_tensor *vgg11(clef_module *m, clef_tensor *x);

/* Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", with strides 1 in the stem and the
 * second stage, and no dropout. 2,236,682 parameters. width 32, 7 stages of 1 to 4 blocks. */
clef_tensor *mobilenet_v2(clef_module *m, clef_tensor *x);

/* ---- what they are made of ---- */

/* Two convolutions beside a way around them, which is a convolution itself where the sizes differ. */
clef_tensor *resnet_block(clef_module *m, const char *name, clef_tensor *x, int64_t out, int stride);

typedef struct conv_norm_opts {
	int64_t out, kernel;
	int stride; /* default 1 */
	int groups; /* default 1 */
	bool bias;
	clef_activation_kind activation; /* default none */
} conv_norm_opts;

/* A convolution called `conv`, padded so that stride 1 keeps the size, a batch normalization called `norm`, and an
 * activation, which the normalization applies in passing. */
clef_tensor *conv_norm(clef_module *m, const char *conv, const char *norm, clef_tensor *x, conv_norm_opts opts);

/* The config of the model's user, with what is left out taken from `published`. */
model_config model_config_of(const clef_module *m, model_config published);

#endif
