/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ResNet-18 for CIFAR. A block is a function, and clef_module_enter() gives each use of it its own parameters,
 * layer1.0.conv1.weight and so on, as submodules do in PyTorch.
 */
#include "models_internal.h"

static clef_tensor *block_of(clef_module *m, const char *name, clef_tensor *x, int64_t out, int stride)
{
	bool projects = stride != 1 || clef_tensor_shape(x).dim[1] != out;
	clef_tensor *y;

	clef_module_enter(m, name);
	y = clef__conv_norm(m, "conv1", "bn1", x,
			    (clef__conv_norm_opts){ out, 3, .stride = stride, .activation = CLEF_ACT_RELU });
	y = clef__conv_norm(m, "conv2", "bn2", y, (clef__conv_norm_opts){ out, 3 });
	if (projects)
		x = clef__conv_norm(m, "downsample.0", "downsample.1", x,
				    (clef__conv_norm_opts){ out, 1, .stride = stride });
	y = clef_add_act(y, x, (clef_activation){ CLEF_ACT_RELU });
	clef_module_leave(m);
	return y;
}

clef_tensor *clef__resnet18(clef_module *m, clef_tensor *x)
{
	clef__network c = clef__network_of(m, (clef__network){ .width = 64, .stages = 4, .blocks = 2 });
	char name[32];

	x = clef__conv_norm(m, "conv1", "bn1", x, (clef__conv_norm_opts){ c.width, 3, .activation = CLEF_ACT_RELU });
	for (int stage = 0; stage < c.stages; stage++) {
		snprintf(name, sizeof(name), "layer%d", stage + 1);
		clef_module_enter(m, name);
		for (int block = 0; block < c.blocks; block++) {
			snprintf(name, sizeof(name), "%d", block);
			x = block_of(m, name, x, c.width << stage, stage && !block ? 2 : 1);
		}
		clef_module_leave(m);
	}
	x = clef_flatten(clef_adaptive_avg_pool2d(x, 1, 1));
	return clef_nn_linear(m, "fc", x, c.classes, NULL);
}
