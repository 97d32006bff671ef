/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small residual network (He et al. 2016) on handwritten digits, whose block is a function: each
 * use of it enters a module of its own, and so has parameters of its own, layer1.1.conv.weight and so on. Batch
 * normalization and the last dropout behave differently in training and in evaluation: clef_model_train() says which it
 * is.
 *
 *     resnet [digits.csv.gz]
 */
#include <stdio.h>

#include <clef/clef.h>

/* A convolution of `kernel` x `kernel` without a bias, batch normalization, and an activation in the same pass. */
static clef_tensor *conv_norm(clef_module *m, const char *name, clef_tensor *x, int64_t out, int kernel, int stride,
			      clef_activation_kind act)
{
	clef_module_enter(m, name);
	x = clef_nn_conv2d_no_bias(m, "conv", x, out, kernel,
				   &(clef_conv2d_opts){ .stride = stride, .pad = kernel / 2 });
	x = clef_nn_batch_norm(m, "norm", x, &(clef_batch_norm_opts){ .activation = { act } });
	clef_module_leave(m);
	return x;
}

/* Two convolutions beside a way around them, which is a convolution itself where the sizes differ. */
static clef_tensor *block(clef_module *m, const char *name, clef_tensor *x, int64_t out, int stride)
{
	clef_tensor *y;

	clef_module_enter(m, name);
	y = conv_norm(m, "1", x, out, 3, stride, CLEF_ACT_RELU);
	y = conv_norm(m, "2", y, out, 3, 1, CLEF_ACT_NONE);
	if (stride != 1)
		x = conv_norm(m, "around", x, out, 1, stride, CLEF_ACT_NONE);
	y = clef_relu(clef_add(y, x));
	clef_module_leave(m);
	return y;
}

static clef_tensor *resnet(clef_module *m, clef_tensor *x)
{
	x = conv_norm(m, "stem", x, 16, 3, 1, CLEF_ACT_RELU);
	x = block(m, "layer1", x, 16, 1);
	x = block(m, "layer2", x, 32, 2);
	x = clef_flatten(clef_adaptive_avg_pool2d(x, 1, 1));
	return clef_nn_linear(m, "fc", clef_nn_dropout(m, x, 0.1f), 10, NULL);
}

/* One epoch of training with `opt`, or of evaluation without; the accuracy, not a number >= 0 after an error. */
static double run_epoch(clef_tape *tape, clef_model *model, clef_optim *opt, clef_loader *loader)
{
	double correct = 0, images = 0;
	clef_batch b;

	clef_model_train(model, opt != NULL);
	while (clef_loader_next(loader, &b)) {
		clef_tensor *logits, *labels;

		if (opt ? clef_tape_begin(tape) : clef_tape_begin_no_grad(tape))
			return -1;
		labels = clef_input(tape, &b.labels);
		logits = clef_model_forward(model, clef_input(tape, &b.images));
		if (opt && (clef_backward(clef_cross_entropy(logits, labels)) || clef_optim_step(opt)))
			return -1;
		correct += clef_item(clef_accuracy(logits, labels)) * (double)b.count;
		images += (double)b.count;
	}
	return correct / images;
}

int main(int argc, char **argv)
{
	clef_dataset *digits, *first = NULL, *rest = NULL;
	clef_loader *loader, *test_loader;
	double accuracy = -1;

	digits = clef_csv_open(argc > 1 ? argv[1] : CLEF_EXAMPLES_DATA "/digits.csv.gz", CLEF_SHAPE(1, 8, 8), 10);
	clef_dataset_split(digits, clef_dataset_count(digits) * 5 / 6, 1, &first, &rest);
	loader = clef_loader_open(
		first, &(clef_loader_opts){ .batch = 32, .shuffle = true, .seed = 1, .scale = 1.0f / 16.0f });
	test_loader = clef_loader_open(rest, &(clef_loader_opts){ .batch = 100, .scale = 1.0f / 16.0f });

	clef_device *dev = test_loader ? clef_device_open(NULL) : NULL;
	clef_tape *tape = clef_tape_new(dev);
	clef_model *model = clef_model_new(dev, resnet, CLEF_SHAPE(1, 8, 8), &(clef_model_opts){ .seed = 1 });
	clef_optim *opt = clef_adam_new(clef_model_params(model), &(clef_adam_opts){ .lr = 3e-3f });

	if (opt)
		clef_model_print(model, stdout);
	for (int epoch = 1; epoch <= 5 && opt; epoch++) {
		accuracy = run_epoch(tape, model, opt, loader);
		if (!(accuracy >= 0))
			break;
		printf("epoch %d: training accuracy %.2f %%\n", epoch, 100 * accuracy);
	}
	/* tools/test wants an accuracy of at least 0.95. */
	if (accuracy >= 0)
		accuracy = run_epoch(tape, model, NULL, test_loader);
	if (accuracy >= 0)
		printf("test accuracy %.2f %%\n", 100 * accuracy);
	else
		fprintf(stderr, "resnet: %s\n", clef_error());

	clef_optim_free(opt);
	clef_model_free(model);
	clef_tape_free(tape);
	clef_device_close(dev);
	clef_loader_close(loader);
	clef_loader_close(test_loader);
	clef_dataset_free(digits);
	clef_dataset_free(first);
	clef_dataset_free(rest);
	return accuracy >= 0 ? 0 : 1;
}
