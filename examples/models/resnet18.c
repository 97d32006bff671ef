/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ResNet-18 for CIFAR. A block is a function, and clef_module_enter() gives each use of it its own parameters,
 * layer1.0.conv1.weight and so on, as submodules do in PyTorch.
 */
#include <stdio.h>

#include <models.h>

clef_tensor *resnet_block(clef_module *m, const char *name, clef_tensor *x, int64_t out, int stride)
{
	bool projects = stride != 1 || clef_tensor_shape(x).dim[1] != out;
	clef_tensor *y;

	clef_module_enter(m, name);
	y = conv_norm(m, "conv1", "bn1", x, (conv_norm_opts){ out, 3, .stride = stride, .activation = CLEF_ACT_RELU });
	y = conv_norm(m, "conv2", "bn2", y, (conv_norm_opts){ out, 3 });
	if (projects)
		x = conv_norm(m, "downsample.0", "downsample.1", x, (conv_norm_opts){ out, 1, .stride = stride });
	y = clef_add_act(y, x, (clef_activation){ CLEF_ACT_RELU });
	clef_module_leave(m);
	return y;
}

clef_tensor *resnet18(clef_module *m, clef_tensor *x)
{
	model_config c = model_config_of(m, (model_config){ .width = 64, .classes = 10, .stages = 4, .blocks = 2 });
	char name[32];

	x = conv_norm(m, "conv1", "bn1", x, (conv_norm_opts){ c.width, 3, .activation = CLEF_ACT_RELU });
	for (int stage = 0; stage < c.stages; stage++) {
		snprintf(name, sizeof(name), "layer%d", stage + 1);
		clef_module_enter(m, name);
		for (int block = 0; block < c.blocks; block++) {
			snprintf(name, sizeof(name), "%d", block);
			x = resnet_block(m, name, x, c.width << stage, stage && !block ? 2 : 1);
		}
		clef_module_leave(m);
	}
	x = clef_flatten(clef_adaptive_avg_pool2d(x, 1, 1));
	return clef_nn_linear(m, "fc", x, c.classes, NULL);
}
