/* SPDX-License-Identifier: Apache-2.0 */
/* What the networks share. */
#include <stdio.h>
#include <string.h>

#include <models.h>

clef_forward_fn model_find(const char *name)
{
	static const struct {
		const char *name;
		clef_forward_fn forward;
	} models[] = { { "resnet18", resnet18 }, { "vgg11", vgg11 }, { "mobilenet_v2", mobilenet_v2 } };

	for (int i = 0; i < CLEF_COUNT(models); i++)
		if (!strcmp(models[i].name, name))
			return models[i].forward;
	return NULL;
}

model_config model_config_of(const clef_module *m, model_config published)
{
	const model_config *user = clef_module_user(m);
	model_config c = published;

	if (!user)
		return c;
	c.width = user->width ? user->width : c.width;
	c.classes = user->classes ? user->classes : c.classes;
	if (user->stages && user->stages < c.stages)
		c.stages = user->stages;
	if (user->blocks && user->blocks < c.blocks)
		c.blocks = user->blocks;
	return c;
}

clef_tensor *conv_norm(clef_module *m, const char *conv, const char *norm, clef_tensor *x, conv_norm_opts o)
{
	clef_init kaiming = { .kind = CLEF_INIT_KAIMING_NORMAL,
			      .kaiming = { .mode = CLEF_FAN_OUT, .nonlinearity = CLEF_NONLINEARITY_RELU } };
	clef_conv2d_opts opts = { .stride = o.stride, .pad = (int)o.kernel / 2, .groups = o.groups };
	clef_shape weight = clef_tensor_shape(x);
	char name[64];

	if (!x)
		return NULL;
	/* The layers share the parameters that are made here, which they would start otherwise themselves. */
	weight = CLEF_SHAPE(o.out, weight.dim[1] / (o.groups ? o.groups : 1), o.kernel, o.kernel);
	snprintf(name, sizeof(name), "%s.weight", conv);
	clef_nn_parameter(m, name, weight, &kaiming);
	snprintf(name, sizeof(name), "%s.bias", conv);
	if (o.bias)
		clef_nn_parameter(m, name, CLEF_SHAPE(o.out), NULL);
	x = o.bias ? clef_nn_conv2d(m, conv, x, o.out, o.kernel, &opts)
		   : clef_nn_conv2d_no_bias(m, conv, x, o.out, o.kernel, &opts);
	return clef_nn_batch_norm(m, norm, x, &(clef_batch_norm_opts){ .activation = { o.activation } });
}
