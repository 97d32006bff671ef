/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the start of the weights does to a deep network: 100 layers of 256 neurons, and how large the values are that
 * come out of each. With weights from N(0, 1) they grow sixteen times a layer, the root of 256, until floats end; with
 * a deviation of 1/16 they stay. What is behind a nonlinearity needs its gain too: Glorot and Bengio 2010, He et al.
 * 2015. The library looks at the layers: clef_model_watch().
 *
 *     deep_init [SEED]
 *
 * The size of values is the root of their mean square, which is their standard deviation where the mean is 0.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <clef/clef.h>

enum { DEPTH = 100, WIDTH = 256, BATCH = 256 };

typedef struct experiment {
	const char *title[2];
	clef_activation_kind activation;
	clef_init init;
	double size[DEPTH]; /* NaN from the first layer on that has one */
	int first_inf, first_nan;
} experiment;

static experiment experiments[] = {
	{ { "linear", "N(0, 1)" }, CLEF_ACT_NONE, { CLEF_INIT_NORMAL, .q = 1 } },
	{ { "linear", "N(0, 1/n)" }, CLEF_ACT_NONE, { CLEF_INIT_NORMAL, .q = 1.0f / 16 } },
	{ { "tanh", "xavier" }, CLEF_ACT_TANH, { CLEF_INIT_XAVIER_UNIFORM } },
	{ { "tanh", "xavier(5/3)" }, CLEF_ACT_TANH, { CLEF_INIT_XAVIER_UNIFORM, .p = 5.0f / 3 } },
	{ { "relu", "xavier" }, CLEF_ACT_RELU, { CLEF_INIT_XAVIER_UNIFORM } },
	{ { "relu", "kaiming" },
	  CLEF_ACT_RELU,
	  { CLEF_INIT_KAIMING_NORMAL, .kaiming = { .nonlinearity = CLEF_NONLINEARITY_RELU } } },
};

enum { EXPERIMENTS = CLEF_COUNT(experiments) };

static clef_tensor *deep(clef_module *m, clef_tensor *x)
{
	const experiment *e = clef_module_user(m);
	char name[16];

	for (int i = 1; i <= DEPTH; i++) {
		snprintf(name, sizeof(name), "%d", i);
		x = clef_nn_linear(
			m, name, x, WIDTH,
			&(clef_linear_opts){ .no_bias = true, .weight = e->init, .activation = { e->activation } });
	}
	return x;
}

static double size_of(const clef_watch *row)
{
	return row->nans ? (double)NAN : row->infs ? (double)INFINITY : hypot((double)row->mean, (double)row->std);
}

static void keep(void *user, const clef_watch *rows, int count)
{
	experiment *e = user;

	for (int i = 0; i < count && i < DEPTH; i++) {
		e->size[i] = size_of(&rows[i]);
		if (rows[i].infs && !e->first_inf)
			e->first_inf = i + 1;
		if (rows[i].nans && !e->first_nan)
			e->first_nan = i + 1;
	}
}

static clef_tensor *normal_input(clef_tape *tape, int64_t count, uint64_t seed)
{
	float *values = malloc((size_t)count * WIDTH * sizeof(float));
	clef_tensor *x = NULL;

	if (values) {
		clef_rng_normal(&(clef_rng){ .seed = seed, .counter = 1000 }, values, (size_t)count * WIDTH);
		x = clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(count, WIDTH), values });
	}
	free(values);
	return x;
}

static bool run(clef_device *dev, clef_tape *tape, experiment *e, uint64_t seed)
{
	clef_model *model = clef_model_new(dev, deep, CLEF_SHAPE(WIDTH), &(clef_model_opts){ .seed = seed, .user = e });
	bool ok = model && !clef_model_watch(model, keep, e) && !clef_tape_begin_no_grad(tape) &&
		  clef_model_forward(model, normal_input(tape, BATCH, seed));

	clef_model_free(model);
	return ok;
}

/* From layer 1 to the last one that is finite. */
static double growth(const experiment *e)
{
	int last = DEPTH;

	while (last > 2 && !isfinite(e->size[last - 1]))
		last--;
	return pow(e->size[last - 1] / e->size[0], 1.0 / (last - 1));
}

static void print_table(void)
{
	static const int shown[] = { 1, 2, 3, 5, 10, 20, 29, 30, 31, 32, 33, 50, 75, 100 };

	printf("Size of the values behind each layer\n\n");
	for (int line = 0; line < 2; line++) {
		printf("%7s", line ? "layer" : "");
		for (int k = 0; k < EXPERIMENTS; k++)
			printf("  %11s", experiments[k].title[line]);
		printf("\n");
	}
	for (int i = 0; i < CLEF_COUNT(shown); i++) {
		printf("%7d", shown[i]);
		for (int k = 0; k < EXPERIMENTS; k++)
			printf("  %11.4g", fabs(experiments[k].size[shown[i] - 1]));
		printf("\n");
	}
	printf("\n");
	for (int k = 0; k < EXPERIMENTS; k++) {
		const experiment *e = &experiments[k];

		printf("%s, %s: times %.3f a layer", e->title[0], e->title[1], growth(e));
		if (e->first_nan)
			printf(", infinite in layer %d, NaN in layer %d", e->first_inf, e->first_nan);
		printf("\n");
	}
}

/* ---- gains ---- */

static const struct gain {
	const char *name;
	clef_activation activation;
	clef_nonlinearity nonlinearity;
	float a;
} gains[] = {
	{ "linear", { CLEF_ACT_NONE }, CLEF_NONLINEARITY_LINEAR, 0 },
	{ "relu", { CLEF_ACT_RELU }, CLEF_NONLINEARITY_RELU, 0 },
	{ "leaky_relu", { CLEF_ACT_LEAKY_RELU, .p = 0.2f }, CLEF_NONLINEARITY_LEAKY_RELU, 0.2f },
	{ "tanh", { CLEF_ACT_TANH }, CLEF_NONLINEARITY_TANH, 0 },
	{ "sigmoid", { CLEF_ACT_SIGMOID }, CLEF_NONLINEARITY_SIGMOID, 0 },
	{ "selu", { CLEF_ACT_SELU }, CLEF_NONLINEARITY_SELU, 0 },
};

static clef_tensor *only_activation(clef_module *m, clef_tensor *x)
{
	const struct gain *g = clef_module_user(m);

	/* 1 x, so that there is an operation to look at where the activation is none. */
	return clef_activate(clef_mul_scalar(x, 1), g->activation);
}

static void keep_last(void *user, const clef_watch *rows, int count)
{
	*(double *)user = size_of(&rows[count - 1]);
}

/* What is to be multiplied by to bring f(x), x from N(0, 1), back to size 1. */
static bool print_gains(clef_device *dev, clef_tape *tape, uint64_t seed)
{
	bool ok = true;

	printf("\n%-10s  %8s  %14s\n", "", "measured", "calculate_gain");
	for (int i = 0; i < CLEF_COUNT(gains) && ok; i++) {
		clef_model *model = clef_model_new(dev, only_activation, CLEF_SHAPE(WIDTH),
						   &(clef_model_opts){ .user = (void *)(uintptr_t)&gains[i] });
		double size = 1;

		ok = model && !clef_model_watch(model, keep_last, &size) && !clef_tape_begin_no_grad(tape) &&
		     clef_model_forward(model, normal_input(tape, 4000, seed));
		clef_model_free(model);
		if (ok)
			printf("%-10s  %8.4f  %14.4f\n", gains[i].name, 1 / size,
			       (double)clef_calculate_gain(gains[i].nonlinearity, gains[i].a));
	}
	return ok;
}

int main(int argc, char **argv)
{
	const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	clef_device *dev = clef_device_open(NULL);
	clef_tape *tape = clef_tape_new(dev);
	bool ok = tape != NULL;

	for (int k = 0; k < EXPERIMENTS && ok; k++)
		ok = run(dev, tape, &experiments[k], seed);
	if (ok)
		print_table();
	ok = ok && print_gains(dev, tape, seed);
	if (!ok)
		fprintf(stderr, "deep_init: %s\n", clef_error());
	clef_tape_free(tape);
	clef_device_close(dev);
	return ok ? 0 : 1;
}
