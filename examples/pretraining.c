/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How networks were started before the good initializers: each layer is first trained, without labels, as a restricted
 * Boltzmann machine on what the layers below it give (Hinton, Osindero and Teh, "A fast learning algorithm for deep
 * belief nets", 2006), and the whole is then trained as usual. The table shows the accuracy on the test set, epoch by
 * epoch, of a network of three sigmoid layers that starts so, and of the same from xavier_uniform and from small random
 * weights.
 *
 *     pretraining [FOLDER|digits [EPOCHS [EPOCHS OF PRETRAINING [WIDTH]]]]
 *
 * FOLDER holds MNIST, or a set in its format; otherwise it is the handwritten digits that come with clef.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clef/clef.h>

enum { LAYERS = 3, STARTS = 3, MAX_EPOCHS = 100 };

static const char *const names[LAYERS] = { "1", "2", "3" };

static const struct start {
	const char *name;
	clef_init weight;
	bool pretrain;
} starts[STARTS] = {
	{ "normal(0, 0.01)", { CLEF_INIT_NORMAL, .q = 0.01f }, false },
	{ "xavier_uniform", { CLEF_INIT_XAVIER_UNIFORM }, false },
	{ "pretrained", { CLEF_INIT_NORMAL, .q = 0.01f }, true },
};

typedef struct setting {
	clef_device *dev;
	clef_tape *tape;
	clef_loader *train, *test;
	clef_shape sample;
	long epochs, pretraining, width;
} setting;

/* The layers below `layer`: all of them, without the output, for LAYERS. */
static clef_tensor *hidden(clef_module *m, clef_tensor *x, int layer, long width)
{
	x = clef_flatten(x);
	for (int i = 0; i < layer; i++)
		x = clef_nn_linear(
			m, names[i], x, width,
			&(clef_linear_opts){ .bias = { CLEF_INIT_CONSTANT }, .activation = { CLEF_ACT_SIGMOID } });
	return x;
}

static clef_tensor *classifier(clef_module *m, clef_tensor *x)
{
	const setting *set = clef_module_user(m);

	return clef_nn_linear(m, "out", hidden(m, x, LAYERS, set->width), 10,
			      &(clef_linear_opts){ .weight = { CLEF_INIT_XAVIER_UNIFORM } });
}

/* ---- a restricted Boltzmann machine ---- */

typedef struct rbm {
	clef_params *params;
	clef_tensor *w, *b, *a; /* [hidden, visible], biases [hidden] of the hidden units, [visible] of the visible */
	clef_rng rng;
} rbm;

static bool rbm_open(rbm *r, clef_device *dev, int64_t visible, int64_t units, uint64_t seed)
{
	r->params = clef_params_new(dev);
	r->w = clef_params_add(r->params, "weight", CLEF_SHAPE(units, visible),
			       &(clef_init){ CLEF_INIT_NORMAL, .q = 0.01f });
	r->b = clef_params_add(r->params, "hidden", CLEF_SHAPE(units), NULL);
	r->a = clef_params_add(r->params, "visible", CLEF_SHAPE(visible), NULL);
	r->rng = (clef_rng){ .seed = seed };
	return r->a && !clef_params_commit(r->params, &r->rng);
}

/* F(v) = -v a - sum(log(1 + exp(v w^T + b))), the mean over the batch: the machine finds v the likelier, the lower it
 * is. */
static clef_tensor *free_energy(const rbm *r, clef_tensor *v)
{
	clef_tensor *units = clef_sum(clef_softplus(clef_linear(v, r->w, r->b), 1, 20),
				      &(clef_reduce_opts){ .ndim = 1, .dim = { 1 } });

	return clef_neg(clef_mean(clef_add(clef_matmul(v, r->a), units), NULL));
}

/* Contrastive divergence (Hinton 2002): v is to become likelier than what the machine makes of it in one turn, hidden
 * units drawn by their probabilities and back. The gradient is that of the difference of their free energies. Returns
 * the mean squared error of the reconstruction. */
static clef_tensor *contrastive_divergence(rbm *r, clef_tensor *v, clef_tensor **error)
{
	clef_tensor *h = clef_bernoulli(clef_sigmoid(clef_linear(v, r->w, r->b)), &r->rng);
	clef_tensor *made = clef_detach(clef_sigmoid(clef_add(clef_matmul(h, r->w), r->a)));

	*error = clef_mse_loss(made, v, CLEF_REDUCTION_MEAN);
	return clef_sub(free_energy(r, v), free_energy(r, made));
}

/* ---- layer by layer ---- */

static clef_tensor *find(clef_model *model, int layer, const char *part)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.%s", names[layer], part);
	return clef_params_find(clef_model_params(model), name);
}

/* What the layers below `layer` give for x, and no gradient flows into them. */
static clef_tensor *below(clef_model *model, clef_tensor *x, int layer)
{
	x = clef_flatten(x);
	for (int i = 0; i < layer; i++)
		x = clef_sigmoid(clef_linear(x, find(model, i, "weight"), find(model, i, "bias")));
	return clef_detach(x);
}

static clef_status rbm_epoch(const setting *set, clef_model *model, int layer, rbm *r, clef_optim *opt, double *error)
{
	clef_tensor *mistake = NULL;
	clef_status s = CLEF_OK;
	clef_batch b;

	while (!s && clef_loader_next(set->train, &b)) {
		clef_tape_begin(set->tape);
		s = clef_backward(
			contrastive_divergence(r, below(model, clef_input(set->tape, &b.images), layer), &mistake));
		if (!s)
			s = clef_optim_step(opt);
	}
	*error = s ? -1 : clef_item(mistake);
	return s;
}

/* Trains a machine on what the layers below give, and puts its weights into the layer. */
static clef_status pretrain(const setting *set, clef_model *model, int layer)
{
	const clef_tensor *w = find(model, layer, "weight");
	const clef_shape shape = clef_tensor_shape(w);
	double error = 0;
	rbm r = { .params = NULL };
	clef_optim *opt = NULL;
	clef_status s = CLEF_OK;

	if (rbm_open(&r, set->dev, shape.dim[1], shape.dim[0], (uint64_t)layer + 1))
		opt = clef_sgd_new(r.params, &(clef_sgd_opts){ .lr = 0.02f, .momentum = 0.9f });
	if (!opt)
		s = clef_error_status();
	for (long epoch = 0; epoch < set->pretraining && !s; epoch++)
		s = rbm_epoch(set, model, layer, &r, opt, &error);
	if (!s)
		s = clef_copy(r.w, find(model, layer, "weight"));
	if (!s)
		s = clef_copy(r.b, find(model, layer, "bias"));
	if (!s)
		printf("layer %s: %ld epochs of contrastive divergence, squared error of the reconstruction %.4f\n",
		       names[layer], set->pretraining, error);
	clef_optim_free(opt);
	clef_params_free(r.params);
	return s;
}

/* ---- training as usual ---- */

static clef_status train_epoch(const setting *set, clef_model *model, clef_optim *opt)
{
	clef_status s = CLEF_OK;
	clef_batch b;

	while (!s && clef_loader_next(set->train, &b)) {
		clef_tape_begin(set->tape);
		s = clef_backward(clef_cross_entropy(clef_model_forward(model, clef_input(set->tape, &b.images)),
						     clef_input(set->tape, &b.labels)));
		if (!s)
			s = clef_optim_step(opt);
	}
	return s;
}

static clef_status test(const setting *set, clef_model *model, double *accuracy)
{
	double right = 0, images = 0;
	clef_batch b;

	while (clef_loader_next(set->test, &b)) {
		clef_tape_begin_no_grad(set->tape);
		right += (double)b.count *
			 clef_item(clef_accuracy(clef_model_forward(model, clef_input(set->tape, &b.images)),
						 clef_input(set->tape, &b.labels)));
		images += (double)b.count;
	}
	*accuracy = right / images;
	return *accuracy >= 0 ? CLEF_OK : clef_error_status();
}

static clef_status run(const setting *set, const struct start *start, double accuracy[MAX_EPOCHS + 1])
{
	clef_model *model = clef_model_new(
		set->dev, classifier, set->sample,
		&(clef_model_opts){ .seed = 1, .weight = start->weight, .user = (void *)(uintptr_t)set });
	clef_optim *opt = NULL;
	clef_status s = model ? CLEF_OK : clef_error_status();

	for (int layer = 0; layer < LAYERS && start->pretrain && !s; layer++)
		s = pretrain(set, model, layer);
	if (!s)
		opt = clef_sgd_new(clef_model_params(model), &(clef_sgd_opts){ .lr = 0.1f, .momentum = 0.9f });
	if (!s && !opt)
		s = clef_error_status();
	for (long epoch = 0; epoch < set->epochs && !s; epoch++) {
		s = train_epoch(set, model, opt);
		if (!s)
			s = test(set, model, &accuracy[epoch]);
	}
	clef_optim_free(opt);
	clef_model_free(model);
	return s;
}

static clef_status compare(const setting *set)
{
	static double accuracy[STARTS][MAX_EPOCHS + 1];
	clef_status s = CLEF_OK;

	for (int i = 0; i < STARTS && !s; i++)
		s = run(set, &starts[i], accuracy[i]);
	if (s)
		return s;
	printf("\nAccuracy on the test set\n\nepoch");
	for (int i = 0; i < STARTS; i++)
		printf("  %15s", starts[i].name);
	printf("\n");
	for (long epoch = 0; epoch < set->epochs; epoch++) {
		printf("%5ld", epoch + 1);
		for (int i = 0; i < STARTS; i++)
			printf("  %13.2f %%", 100 * accuracy[i][epoch]);
		printf("\n");
	}
	return CLEF_OK;
}

/* ---- data ---- */

static bool open_sets(const char *folder, clef_dataset *sets[2])
{
	if (!folder) {
		clef_dataset *all = clef_csv_open(CLEF_EXAMPLES_DATA "/digits.csv.gz", CLEF_SHAPE(1, 8, 8), 10);

		clef_dataset_split(all, clef_dataset_count(all) * 5 / 6, 1, &sets[0], &sets[1]);
		clef_dataset_free(all);
		return sets[1] != NULL;
	}
	for (int i = 0; i < 2; i++)
		sets[i] = clef_mnist_open(folder, i == 0);
	return sets[0] && sets[1];
}

static bool open_loaders(setting *set, clef_dataset *const sets[2], bool digits)
{
	const float scale = digits ? 1.0f / 16 : 1.0f / 255;

	set->sample = clef_dataset_sample(sets[0]);
	set->train = clef_loader_open(
		sets[0], &(clef_loader_opts){ .batch = digits ? 10 : 100, .shuffle = true, .seed = 1, .scale = scale });
	set->test = clef_loader_open(sets[1], &(clef_loader_opts){ .batch = 1000, .scale = scale });
	return set->train && set->test;
}

static long number(int argc, char **argv, int i, long otherwise)
{
	return argc > i ? strtol(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	const bool digits = argc < 2 || !strcmp(argv[1], "digits");
	setting set = { .epochs = number(argc, argv, 2, 10),
			.pretraining = number(argc, argv, 3, digits ? 20 : 5),
			.width = number(argc, argv, 4, digits ? 64 : 256) };
	clef_dataset *sets[2] = { NULL, NULL };
	bool ok = false;

	if (set.epochs < 1 || set.epochs > MAX_EPOCHS || set.pretraining < 0 || set.width < 1) {
		fprintf(stderr, "pretraining: 1 to %d epochs, 0 epochs or more of pretraining, a width of 1 or more\n",
			MAX_EPOCHS);
		return 2;
	}
	if (open_sets(digits ? NULL : argv[1], sets) && open_loaders(&set, sets, digits)) {
		set.dev = clef_device_open(NULL);
		set.tape = clef_tape_new(set.dev);
		ok = set.tape && !compare(&set);
	}
	if (!ok)
		fprintf(stderr, "pretraining: %s\n", clef_error());
	clef_tape_free(set.tape);
	clef_device_close(set.dev);
	clef_loader_close(set.train);
	clef_loader_close(set.test);
	clef_dataset_free(sets[0]);
	clef_dataset_free(sets[1]);
	return ok ? 0 : 1;
}
