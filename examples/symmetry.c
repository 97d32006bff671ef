/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why weights must start different from each other. Neurons of a layer that begin alike get the same gradient, so they
 * stay alike: with all weights 0 nothing is learned but the shares of the classes, and with all weights equal a hidden
 * layer of 32 neurons is worth one. A little noise is enough to tell them apart.
 *
 *     symmetry [EPOCHS [digits.csv.gz]]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <clef/clef.h>

enum { HIDDEN = 32, INPUTS = 64 };

static const struct start {
	const char *name;
	clef_init weight;
} starts[] = {
	{ "all 0", { CLEF_INIT_CONSTANT } },
	{ "all 0.1", { CLEF_INIT_CONSTANT, .p = 0.1f } },
	{ "0.1 and noise", { CLEF_INIT_NORMAL, .p = 0.1f, .q = 0.01f } },
	{ "xavier", { CLEF_INIT_XAVIER_UNIFORM } },
};

static clef_tensor *net(clef_module *m, clef_tensor *x)
{
	x = clef_tanh(clef_nn_linear(m, "hidden", clef_flatten(x), HIDDEN, NULL));
	return clef_nn_linear(m, "out", x, 10, NULL);
}

static clef_status train(clef_tape *tape, clef_model *model, clef_optim *opt, clef_loader *loader, long epochs)
{
	clef_status s = CLEF_OK;
	clef_batch b;

	for (long epoch = 0; epoch < epochs && !s; epoch++)
		while (!s && clef_loader_next(loader, &b)) {
			clef_tape_begin(tape);
			s = clef_backward(clef_cross_entropy(clef_model_forward(model, clef_input(tape, &b.images)),
							     clef_input(tape, &b.labels)));
			if (!s)
				s = clef_optim_step(opt);
		}
	return s;
}

/* On a set whose loader gives it in one batch; not a number >= 0 after an error. */
static double test(clef_tape *tape, clef_model *model, clef_loader *loader)
{
	double accuracy;
	clef_batch b;

	if (!clef_loader_next(loader, &b))
		return -1;
	clef_tape_begin_no_grad(tape);
	accuracy = clef_item(
		clef_accuracy(clef_model_forward(model, clef_input(tape, &b.images)), clef_input(tape, &b.labels)));
	/* Ends the epoch, so that the next test begins another one. */
	return clef_loader_next(loader, &b) ? -1 : accuracy;
}

/* How far apart the weights of two neurons of the hidden layer are at most, relative to the largest weight; and how
 * many of the neurons have no twin before them. */
static clef_status compare(clef_model *model, double *spread, int *different)
{
	static float w[HIDDEN][INPUTS];
	double largest = 0;
	clef_status s = clef_read(clef_params_find(clef_model_params(model), "hidden.weight"), w, sizeof(w));

	*spread = 0;
	*different = 0;
	for (int i = 0; i < HIDDEN; i++) {
		bool twin = false;

		for (int j = 0; j < i; j++) {
			double apart = 0;

			for (int k = 0; k < INPUTS; k++)
				apart = fmax(apart, fabs((double)w[i][k] - (double)w[j][k]));
			*spread = fmax(*spread, apart);
			twin = twin || apart < 1e-4;
		}
		*different += !twin;
		for (int k = 0; k < INPUTS; k++)
			largest = fmax(largest, fabs((double)w[i][k]));
	}
	if (largest > 0)
		*spread /= largest;
	return s;
}

static clef_status run(clef_tape *tape, clef_device *dev, const struct start *start, clef_loader *train_set,
		       clef_loader *test_set, long epochs)
{
	clef_model *model = clef_model_new(
		dev, net, CLEF_SHAPE(1, 8, 8),
		&(clef_model_opts){ .seed = 1, .weight = start->weight, .bias = { CLEF_INIT_CONSTANT } });
	clef_optim *opt = clef_sgd_new(clef_model_params(model), &(clef_sgd_opts){ .lr = 0.1f, .momentum = 0.9f });
	clef_status s = opt ? train(tape, model, opt, train_set, epochs) : clef_error_status();
	double accuracy = s ? -1 : test(tape, model, test_set), spread = 0;
	int different = 0;

	if (!s)
		s = accuracy < 0 ? clef_error_status() : compare(model, &spread, &different);
	if (!s)
		printf("%-14s  %17d  %18.2g  %12.2f %%\n", start->name, different, spread, 100 * accuracy);
	clef_optim_free(opt);
	clef_model_free(model);
	return s;
}

int main(int argc, char **argv)
{
	const long epochs = argc > 1 ? strtol(argv[1], NULL, 10) : 20;
	clef_dataset *digits, *first = NULL, *rest = NULL;
	clef_loader *loader, *test_loader;
	clef_status s;

	digits = clef_csv_open(argc > 2 ? argv[2] : CLEF_EXAMPLES_DATA "/digits.csv.gz", CLEF_SHAPE(1, 8, 8), 10);
	clef_dataset_split(digits, clef_dataset_count(digits) * 5 / 6, 1, &first, &rest);
	loader = clef_loader_open(
		first, &(clef_loader_opts){ .batch = 32, .shuffle = true, .seed = 1, .scale = 1.0f / 16.0f });
	test_loader =
		clef_loader_open(rest, &(clef_loader_opts){ .batch = clef_dataset_count(rest), .scale = 1.0f / 16.0f });

	clef_device *dev = test_loader && loader ? clef_device_open(NULL) : NULL;
	clef_tape *tape = clef_tape_new(dev);

	s = tape ? CLEF_OK : clef_error_status();
	if (!s)
		printf("%-14s  %17s  %18s  %14s\n", "weights", "different neurons", "largest difference",
		       "test accuracy");
	for (int i = 0; i < CLEF_COUNT(starts) && !s; i++)
		s = run(tape, dev, &starts[i], loader, test_loader, epochs);
	if (s)
		fprintf(stderr, "symmetry: %s\n", clef_error());

	clef_tape_free(tape);
	clef_device_close(dev);
	clef_loader_close(loader);
	clef_loader_close(test_loader);
	clef_dataset_free(digits);
	clef_dataset_free(first);
	clef_dataset_free(rest);
	return s ? 1 : 0;
}
