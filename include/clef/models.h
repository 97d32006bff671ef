/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models as text: a network that is known by name, "resnet18", or layers, "flatten linear(256) relu linear(10)". So a
 * model can be written on a command line, in a table and in the metadata of a file.
 *
 * Names, with what may stand in brackets behind them, in this order or by name, "resnet18(width=16)". Of what is left
 * out or 0 there is as much as is published. N are the classes.
 *
 *   mlp(width, stages)                     linear layers with relu. 256, 2 of them, and linear(N)
 *   convnet(width)                         conv2d(32, 5, pad=2) relu conv2d(16, 3, pad=1) relu flatten linear(N); the
 *                                          second has half the channels of the first
 *   vgg(width, stages)                     stages of two convolutions of 3x3 with batch normalization and relu, and a
 *                                          pooling; twice the channels in each. 64, 3; flatten linear(N) behind them
 *   vgg11(width, stages, blocks)           Simonyan and Zisserman 2015, "Very deep convolutional networks",
 *                                          configuration A, with batch normalization and a single linear layer.
 *                                          64, 5 stages of 1 or 2 convolutions; the image is halved in each.
 *                                          9,231,114 parameters
 *   resnet18(width, stages, blocks)        He et al. 2016, "Deep residual learning for image recognition", with a stem
 *                                          of 3x3 pixels instead of 7x7 and a pooling. 64, 4 stages of 2 blocks.
 *                                          11,173,962 parameters
 *   mobilenet_v2(width, stages, blocks)    Sandler et al. 2018, "MobileNetV2: inverted residuals and linear
 *                                          bottlenecks", with strides 1 in the stem and the second stage, and no
 *                                          dropout. 32, 7 stages of 1 to 4 blocks. 2,236,682 parameters
 *
 * `width` counts the channels, or neurons, of the first stage, and the other stages keep their ratios to it; `stages`
 * and `blocks` are at most those published, or with layers 100; a width is 65536 at most. The numbers of parameters are
 * those for 3 channels and 10 classes.
 *
 * The first three are layers, with names as in torch.nn.Sequential. The others are PyTorch's (torchvision.models) with
 * the first strides taken out, as is usual for 32x32 pixels. Their parameters and buffers have the names and shapes of
 * its state_dict, so that its checkpoints fit, and start as there: convolutions with kaiming_normal(fan_out, relu),
 * batch normalization with ones and zeros. They take images of any number of channels and, since the last pooling is
 * global, of any size from 1x1 that survives the strides before it.
 */
#ifndef CLEF_MODELS_H
#define CLEF_MODELS_H

#include <clef/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The model that a text describes, for samples of the shape `input`. `classes`, 1 or more, is the size of the output of
 * a named network; layers say themselves what they give. As a linear layer works on the last dimension, a flatten is
 * put in front where layers begin with one and a sample has more than one dimension. A named network takes opts->user
 * for itself. NULL after an error: ERROR_INVALID names the word, its position and what was allowed; others are those of
 * clef_model_new() and clef_sequential_new(). Free it with clef_model_free().
 */
CLEF_API clef_model *clef_model_parse(clef_device *dev, const char *text, clef_shape input, int classes,
				      const clef_model_opts *opts);

/* Whether clef_model_parse() can read the text: CLEF_OK or its error. */
CLEF_API clef_status clef_model_check(const char *text);

/* The name of named network i, from 0 on in the order above, or NULL when there are no more. */
CLEF_API const char *clef_model_preset(int i);

#ifdef __cplusplus
}
#endif

#endif
