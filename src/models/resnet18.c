/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ResNet-18 for CIFAR. A block is a function, and clef_module_enter() gives each use of it its own parameters,
 * layer1.0.conv1.weight and so on, as submodules do in PyTorch. What is not needed any more is dropped where PyTorch's
 * variables would go out of use.
 */
#include "models_internal.h"

static clef_tensor *block_of(clef_module *m, const char *name, clef_tensor *x, int64_t out, int stride)
{
	bool projects = stride != 1 || clef_tensor_shape(x).dim[1] != out;
	clef_tensor *y, *z, *shortcut = x;

	clef_module_enter(m, name);
	y = clef__conv_norm(m, "conv1", "bn1", x,
			    (clef__conv_norm_opts){ out, 3, .stride = stride, .activation = CLEF_ACT_RELU });
	z = clef__conv_norm(m, "conv2", "bn2", y, (clef__conv_norm_opts){ out, 3 });
	clef_tensor_drop(y);
	if (projects)
		shortcut = clef__conv_norm(m, "downsample.0", "downsample.1", x,
					   (clef__conv_norm_opts){ out, 1, .stride = stride });
	y = clef_add_act(z, shortcut, (clef_activation){ CLEF_ACT_RELU });
	clef_tensor_drop(z);
	clef_tensor_drop(shortcut);
	clef_tensor_drop(x);
	clef_module_leave(m);
	return y;
}

clef_tensor *clef__resnet18(clef_module *m, clef_tensor *x)
{
	clef__network c = clef__network_of(m, (clef__network){ .width = 64, .stages = 4, .blocks = 2 });
	char name[32];
	clef_tensor *y;

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
	y = clef_flatten(clef_adaptive_avg_pool2d(x, 1, 1));
	clef_tensor_drop(x);
	return clef_nn_linear(m, "fc", y, c.classes, NULL);
}
