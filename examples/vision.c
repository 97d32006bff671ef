/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trains a network that clef knows by name: as published on CIFAR-10, in the folder of its binary version, or on a set
 * in the format of MNIST; without a folder a narrow one, on the handwritten digits that come with clef. The learning
 * rate goes down to 0 along a half cosine.
 *
 *     vision [MODEL [FOLDER [EPOCHS]]]        MODEL: as clef_model_parse() reads it; mobilenet_v2
 *                                             is the default
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <clef/clef.h>

static bool open_sets(const char *folder, clef_dataset *sets[2])
{
	if (!folder) {
		clef_dataset *all = clef_csv_open(CLEF_EXAMPLES_DATA "/digits.csv.gz", CLEF_SHAPE(1, 8, 8), 10);

		clef_dataset_split(all, clef_dataset_count(all) * 5 / 6, 1, &sets[0], &sets[1]);
		clef_dataset_free(all);
		return sets[1] != NULL;
	}
	for (int i = 0; i < 2; i++)
		sets[i] = clef_dataset_open(folder, i == 0);
	return sets[0] && sets[1];
}

/* One epoch of training, where there is an optimizer, or of evaluation; the accuracy, no number >= 0 after an error. */
static double run_epoch(clef_model *model, clef_tape *tape, clef_loader *loader, clef_optim *opt, int epoch, int epochs)
{
	double correct = 0, images = 0, steps = (double)clef_loader_batches(loader) * epochs;
	clef_batch b;

	clef_model_train(model, opt != NULL);
	while (clef_loader_next(loader, &b)) {
		clef_tensor *logits, *labels;
		double step = (double)clef_loader_batches(loader) * epoch + (double)b.index;

		if (opt ? clef_tape_begin(tape) : clef_tape_begin_no_grad(tape))
			return -1;
		labels = clef_input(tape, &b.labels);
		logits = clef_model_forward(model, clef_input(tape, &b.images));
		if (opt && (clef_optim_set_lr(opt, (float)(0.05 * (1 + cos(3.14159 * step / steps)))) ||
			    clef_backward(clef_cross_entropy(logits, labels)) || clef_optim_step(opt)))
			return -1;
		correct += clef_item(clef_accuracy(logits, labels)) * (double)b.count;
		images += (double)b.count;
	}
	return correct / images;
}

int main(int argc, char **argv)
{
	const char *folder = argc > 2 ? argv[2] : NULL;
	int epochs = argc > 3 ? atoi(argv[3]) : folder ? 30 : 6;
	const char *text = argc > 1 ? argv[1] : folder ? "mobilenet_v2" : "mobilenet_v2(width=16, stages=3)";
	clef_dataset *sets[2] = { NULL, NULL };
	clef_loader *loaders[2] = { NULL, NULL };
	float mean[3] = { 0 }, std[3] = { 0 };
	clef_loader_opts load = {
		.batch = folder ? 128 : 32, .shuffle = true, .seed = 1, .channel_mean = mean, .channel_std = std
	};
	double accuracy = -1;

	if (clef_model_check(text) || epochs < 1) {
		fprintf(stderr, "usage: vision [MODEL [FOLDER [EPOCHS]]], EPOCHS 1 or more: %s\n", clef_error());
		return 2;
	}
	if (open_sets(folder, sets) && clef_dataset_channels(sets[0]) <= CLEF_COUNT(mean) &&
	    !clef_dataset_channel_stats(sets[0], 1.0f / 255.0f, mean, std))
		for (int i = 0; i < 2; i++)
			loaders[i] = clef_loader_open(sets[i], &load);

	clef_device *dev = loaders[1] ? clef_device_open(NULL) : NULL;
	clef_tape *tape = clef_tape_new(dev);
	clef_model *model = clef_model_parse(dev, text, clef_dataset_sample(sets[0]), clef_dataset_classes(sets[0]),
					     &(clef_model_opts){ .seed = 1 });
	clef_optim *opt = clef_sgd_new(clef_model_params(model),
				       &(clef_sgd_opts){ .momentum = 0.9f, .weight_decay = 5e-4f, .nesterov = true });

	if (opt)
		clef_model_print(model, stdout);
	for (int epoch = 0; epoch < epochs && opt; epoch++) {
		double trained = run_epoch(model, tape, loaders[0], opt, epoch, epochs);

		accuracy = trained >= 0 ? run_epoch(model, tape, loaders[1], NULL, epoch, epochs) : -1;
		if (!(accuracy >= 0))
			break;
		printf("epoch %d: training %.2f %%, test accuracy %.2f %%\n", epoch + 1, 100 * trained, 100 * accuracy);
		fflush(stdout);
	}
	/* tools/test wants an accuracy of at least 0.95. */
	if (!(accuracy >= 0))
		fprintf(stderr, "vision: %s\n", clef_error());

	clef_optim_free(opt);
	clef_model_free(model);
	clef_tape_free(tape);
	clef_device_close(dev);
	for (int i = 0; i < 2; i++) {
		clef_loader_close(loaders[i]);
		clef_dataset_free(sets[i]);
	}
	return accuracy >= 0 ? 0 : 1;
}
