/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small network on handwritten digits, by hand: parameters of one's own, a function of operations for the model, and
 * gradient descent written out. module.c and sequential.c do the same with more help.
 *
 *     barebones [digits.csv.gz]
 */
#include <stdio.h>

#include <clef/clef.h>

enum { W1, B1, W2, B2, COUNT };

static clef_tensor *mlp(clef_tensor *x, clef_tensor *const *w)
{
	x = clef_relu(clef_linear(clef_flatten(x), w[W1], w[B1]));
	return clef_linear(x, w[W2], w[B2]);
}

/* One epoch. */
static clef_status train(clef_tape *tape, clef_tensor *const *w, clef_loader *loader, float lr)
{
	clef_status s = CLEF_OK;
	clef_batch b;

	while (!s && clef_loader_next(loader, &b)) {
		clef_tape_begin(tape);
		s = clef_backward(clef_cross_entropy(mlp(clef_input(tape, &b.images), w), clef_input(tape, &b.labels)));
		for (int i = 0; i < COUNT && !s; i++)
			s = clef_axpy(-lr, clef_grad(w[i]), w[i]);
	}
	return s;
}

/* The accuracy on a set whose loader gives it in one batch; not a number >= 0 after an error. */
static double test(clef_tape *tape, clef_tensor *const *w, clef_loader *loader)
{
	clef_batch b;

	if (!clef_loader_next(loader, &b))
		return -1;
	clef_tape_begin_no_grad(tape);
	return clef_item(clef_accuracy(mlp(clef_input(tape, &b.images), w), clef_input(tape, &b.labels)));
}

int main(int argc, char **argv)
{
	const clef_init kaiming = { .kind = CLEF_INIT_KAIMING_UNIFORM };
	clef_dataset *digits, *first = NULL, *rest = NULL;
	clef_loader *loader, *test_loader;
	clef_tensor *w[COUNT];
	double accuracy = -1;
	clef_status s;

	digits = clef_csv_open(argc > 1 ? argv[1] : CLEF_EXAMPLES_DATA "/digits.csv.gz", CLEF_SHAPE(1, 8, 8), 10);
	clef_dataset_split(digits, clef_dataset_count(digits) * 5 / 6, 1, &first, &rest);
	loader = clef_loader_open(
		first, &(clef_loader_opts){ .batch = 32, .shuffle = true, .seed = 1, .scale = 1.0f / 16.0f });
	test_loader =
		clef_loader_open(rest, &(clef_loader_opts){ .batch = clef_dataset_count(rest), .scale = 1.0f / 16.0f });

	clef_device *dev = test_loader ? clef_device_open(NULL) : NULL;
	clef_tape *tape = clef_tape_new(dev);
	clef_params *params = clef_params_new(dev);

	w[W1] = clef_params_add(params, "fc1.weight", CLEF_SHAPE(128, 64), &kaiming);
	w[B1] = clef_params_add(params, "fc1.bias", CLEF_SHAPE(128), NULL);
	w[W2] = clef_params_add(params, "fc2.weight", CLEF_SHAPE(10, 128), &kaiming);
	w[B2] = clef_params_add(params, "fc2.bias", CLEF_SHAPE(10), NULL);
	s = clef_params_commit(params, &(clef_rng){ .seed = 1 });
	for (int epoch = 0; epoch < 20 && !s; epoch++)
		s = train(tape, w, loader, 0.1f);
	if (!s)
		accuracy = test(tape, w, test_loader);
	if (accuracy >= 0)
		printf("test accuracy %.2f %%\n", 100 * accuracy);
	else
		fprintf(stderr, "barebones: %s\n", clef_error());

	clef_params_free(params);
	clef_tape_free(tape);
	clef_device_close(dev);
	clef_loader_close(loader);
	clef_loader_close(test_loader);
	clef_dataset_free(digits);
	clef_dataset_free(first);
	clef_dataset_free(rest);
	return accuracy >= 0 ? 0 : 1;
}
