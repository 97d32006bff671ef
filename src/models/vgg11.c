/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VGG-11 for CIFAR: convolutions of 3x3 pixels alone, and a pooling after each stage. The three large linear layers
 * behind them, meant for 1000 classes, are one small one here. Layers are numbered with the pointwise operations and
 * poolings among them, as in PyTorch's Sequential.
 */
#include "models_internal.h"

clef_tensor *clef__vgg11(clef_module *m, clef_tensor *x)
{
	static const struct {
		int ratio, convolutions;
	} stages[] = { { 1, 1 }, { 2, 1 }, { 4, 2 }, { 8, 2 }, { 8, 2 } };
	clef__network c =
		clef__network_of(m, (clef__network){ .width = 64, .stages = CLEF_COUNT(stages), .blocks = 2 });
	clef_linear_opts linear = { .weight = { CLEF_INIT_NORMAL, .q = 0.01f }, .bias = { CLEF_INIT_CONSTANT } };
	char conv[16], norm[16];
	int layer = 0;

	clef_module_enter(m, "features");
	for (int stage = 0; stage < c.stages; stage++) {
		clef__conv_norm_opts opts = { c.width * stages[stage].ratio, 3, .bias = true,
					      .activation = CLEF_ACT_RELU };

		for (int i = 0; i < stages[stage].convolutions && i < c.blocks; i++, layer += 3) {
			snprintf(conv, sizeof(conv), "%d", layer);
			snprintf(norm, sizeof(norm), "%d", layer + 1);
			x = clef__conv_norm(m, conv, norm, x, opts);
		}
		x = clef_max_pool2d(x, &(clef_max_pool_opts){ .kernel = 2 });
		layer++;
	}
	clef_module_leave(m);
	x = clef_flatten(clef_adaptive_avg_pool2d(x, 1, 1));
	return clef_nn_linear(m, "classifier", x, c.classes, &linear);
}
