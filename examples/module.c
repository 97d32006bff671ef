/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small network on handwritten digits, as a module: the forward function is the model, and its layers ask for their
 * parameters by name. There is no struct to declare and no constructor to write.
 *
 *     module [digits.csv.gz]
 */
#include <stdio.h>

#include <clef/clef.h>

static clef_tensor *mlp(clef_module *m, clef_tensor *x)
{
	x = clef_relu(clef_nn_linear(m, "fc1", clef_flatten(x), 128, NULL));
	return clef_nn_linear(m, "fc2", x, 10, NULL);
}

/* One epoch. */
static clef_status train(clef_tape *tape, clef_model *model, clef_optim *opt, clef_loader *loader)
{
	clef_status s = CLEF_OK;
	clef_batch b;

	while (!s && clef_loader_next(loader, &b)) {
		clef_tape_begin(tape);
		s = clef_backward(clef_cross_entropy(clef_model_forward(model, clef_input(tape, &b.images)),
						     clef_input(tape, &b.labels)));
		if (!s)
			s = clef_optim_step(opt);
	}
	return s;
}

/* The accuracy on a set whose loader gives it in one batch; not a number >= 0 after an error. */
static double test(clef_tape *tape, clef_model *model, clef_loader *loader)
{
	clef_batch b;

	if (!clef_loader_next(loader, &b))
		return -1;
	clef_tape_begin_no_grad(tape);
	return clef_item(
		clef_accuracy(clef_model_forward(model, clef_input(tape, &b.images)), clef_input(tape, &b.labels)));
}

int main(int argc, char **argv)
{
	clef_dataset *digits, *first = NULL, *rest = NULL;
	clef_loader *loader, *test_loader;
	double accuracy = -1;
	clef_status s = CLEF_OK;

	digits = clef_csv_open(argc > 1 ? argv[1] : CLEF_EXAMPLES_DATA "/digits.csv.gz", CLEF_SHAPE(1, 8, 8), 10);
	clef_dataset_split(digits, clef_dataset_count(digits) * 5 / 6, 1, &first, &rest);
	loader = clef_loader_open(
		first, &(clef_loader_opts){ .batch = 32, .shuffle = true, .seed = 1, .scale = 1.0f / 16.0f });
	test_loader =
		clef_loader_open(rest, &(clef_loader_opts){ .batch = clef_dataset_count(rest), .scale = 1.0f / 16.0f });

	clef_device *dev = test_loader ? clef_device_open(NULL) : NULL;
	clef_tape *tape = clef_tape_new(dev);
	clef_model *model = clef_model_new(dev, mlp, CLEF_SHAPE(1, 8, 8), &(clef_model_opts){ .seed = 1 });
	clef_optim *opt = clef_sgd_new(clef_model_params(model),
				       &(clef_sgd_opts){ .lr = 0.1f, .momentum = 0.9f, .nesterov = true });

	for (int epoch = 0; epoch < 20 && opt && !s; epoch++)
		s = train(tape, model, opt, loader);
	if (opt && !s)
		accuracy = test(tape, model, test_loader);
	if (accuracy >= 0)
		printf("test accuracy %.2f %%\n", 100 * accuracy);
	else
		fprintf(stderr, "module: %s\n", clef_error());

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
