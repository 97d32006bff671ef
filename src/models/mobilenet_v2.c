/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MobileNetV2 for CIFAR. Its block widens the channels by a convolution of 1x1 pixels, filters each one by itself
 * (depthwise), and narrows them again, with no nonlinearity there; where the sizes allow, the block's input is added.
 * Channels are scaled as they are, without the paper's rounding to multiples of 8, so that a narrow network is narrow.
 */
#include "models_internal.h"

enum { WIDTH = 32 };

static clef_tensor *inverted_residual(clef_module *m, const char *name, clef_tensor *x, int expand, int64_t out,
				      int stride)
{
	int64_t in = clef_tensor_shape(x).dim[1], hidden = in * expand;
	clef_tensor *wide = x, *filtered, *narrow, *y;

	clef_module_enter(m, name);
	clef_module_enter(m, "conv");
	if (expand > 1)
		wide = clef__conv_norm(m, "0.0", "0.1", x,
				       (clef__conv_norm_opts){ hidden, 1, .activation = CLEF_ACT_RELU6 });
	filtered = clef__conv_norm(
		m, expand > 1 ? "1.0" : "0.0", expand > 1 ? "1.1" : "0.1", wide,
		(clef__conv_norm_opts){ hidden, 3, stride, .groups = (int)hidden, .activation = CLEF_ACT_RELU6 });
	narrow = clef__conv_norm(m, expand > 1 ? "2" : "1", expand > 1 ? "3" : "2", filtered,
				 (clef__conv_norm_opts){ out, 1 });
	y = stride == 1 && in == out ? clef_add(x, narrow) : narrow;
	if (wide != x)
		clef_tensor_drop(wide);
	clef_tensor_drop(filtered);
	if (y != narrow)
		clef_tensor_drop(narrow);
	clef_tensor_drop(x);
	clef_module_leave(m);
	clef_module_leave(m);
	return y;
}

clef_tensor *clef__mobilenet_v2(clef_module *m, clef_tensor *x)
{
	static const struct {
		int expand, out, blocks, stride;
	} stages[] = {
		{ 1, 16, 1, 1 }, { 6, 24, 2, 1 },  { 6, 32, 3, 2 },  { 6, 64, 4, 2 },
		{ 6, 96, 3, 1 }, { 6, 160, 3, 2 }, { 6, 320, 1, 1 },
	};
	clef__network c =
		clef__network_of(m, (clef__network){ .width = WIDTH, .stages = CLEF_COUNT(stages), .blocks = 4 });
	clef_linear_opts linear = { .weight = { CLEF_INIT_NORMAL, .q = 0.01f }, .bias = { CLEF_INIT_CONSTANT } };
	char name[32];
	int layer = 0;
	clef_tensor *y;

	clef_module_enter(m, "features");
	x = clef__conv_norm(m, "0.0", "0.1", x, (clef__conv_norm_opts){ c.width, 3, .activation = CLEF_ACT_RELU6 });
	for (int stage = 0; stage < c.stages; stage++)
		for (int block = 0; block < stages[stage].blocks && block < c.blocks; block++) {
			snprintf(name, sizeof(name), "%d", ++layer);
			x = inverted_residual(m, name, x, stages[stage].expand, stages[stage].out * c.width / WIDTH,
					      block ? 1 : stages[stage].stride);
		}
	snprintf(name, sizeof(name), "%d", layer + 1);
	clef_module_enter(m, name);
	y = clef__conv_norm(m, "0", "1", x,
			    (clef__conv_norm_opts){ 1280 * c.width / WIDTH, 1, .activation = CLEF_ACT_RELU6 });
	clef_tensor_drop(x);
	x = y;
	clef_module_leave(m);
	clef_module_leave(m);
	y = clef_flatten(clef_adaptive_avg_pool2d(x, 1, 1));
	clef_tensor_drop(x);
	/* "1" because PyTorch has a dropout before it. */
	return clef_nn_linear(m, "classifier.1", y, c.classes, &linear);
}
