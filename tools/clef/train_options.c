/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of clef train: their table, and the values that the options of other commands do not have. Whatever can
 * be found wrong without data and without a device is found here, so that a mistake shows at once.
 */
#include <stdlib.h>
#include <string.h>

#include <clef/clef.h>

#include "options.h"
#include "tool.h"
#include "train_options.h"

static const char *const optims[] = { [TRAIN_ADAM] = "adam", [TRAIN_SGD] = "sgd" };

const char *train_optim_name(train_optim optim)
{
	return optims[optim];
}

static bool parse_optim(const char *text, void *field)
{
	for (int i = 0; i < CLEF_COUNT(optims); i++)
		if (!strcmp(text, optims[i])) {
			*(train_optim *)field = (train_optim)i;
			return true;
		}
	return false;
}

static bool parse_momentum(const char *text, void *field)
{
	return option_non_negative(text, field) && *(float *)field < 1.0f;
}

/* A share below 1, or a whole number. */
static bool parse_val_split(const char *text, void *field)
{
	double value;
	int64_t count;

	if (parse_integer(text, 0, INT32_MAX, &count))
		value = (double)count;
	else if (!parse_number(text, &value) || value < 0 || value >= 1)
		return false;
	*(double *)field = value;
	return true;
}

static bool parse_model(const char *text, void *field)
{
	clef_layer *layers;
	int count;

	if (clef_layers_parse(text, &layers, &count))
		return false;
	free(layers);
	*(const char **)field = text;
	return true;
}

static bool parse_init(const char *text, void *field)
{
	clef_init init;

	*(const char **)field = text;
	return !clef_init_parse(text, &init);
}

#define ROW(name, value, parse, field, allowed, help)                                                                  \
	{                                                                                                              \
		name, value, parse, offsetof(train_options, field), allowed, help                                      \
	}

static const option_row rows[] = {
	ROW("data", "DIR|digits", option_text, data, "a folder in the layout of MNIST, or digits",
	    "what to learn: a folder with files in MNIST's format\n"
	    "(train-images-idx3-ubyte and so on, also with .gz), or\n"
	    "the small set of digits that comes with clef, of which\n"
	    "a fifth is kept for the test (default: digits)"),
	ROW("model", "LAYERS", parse_model, model, NULL,
	    "the layers, in order; a flatten in front may be left out\n"
	    "(default: \"linear(256) relu linear(256) relu linear(10)\")"),
	ROW("init", "INIT", parse_init, init, NULL,
	    "how weights start: xavier_uniform, xavier_normal,\n"
	    "kaiming_uniform, kaiming_normal, lecun_normal,\n"
	    "normal(0, 0.02), trunc_normal(0, 0.02), orthogonal,\n"
	    "sparse(0.9), uniform(-0.1, 0.1) and others of init.h,\n"
	    "or default, which is PyTorch's for the layer (default:\n"
	    "xavier_uniform)"),
	ROW("optim", "adam|sgd", parse_optim, optim, "adam or sgd", "the optimizer (default: adam)"),
	ROW("lr", "RATE", option_positive, lr, "a number from 1.2e-38 to 3.4e38, such as 0.001",
	    "the learning rate (default: 0.001)"),
	ROW("momentum", "M", parse_momentum, momentum, "a number from 0 to below 1, such as 0.9",
	    "momentum of sgd (default: 0)"),
	ROW("nesterov", NULL, option_flag, nesterov, NULL, "use Nesterov's momentum"),
	ROW("weight-decay", "D", option_non_negative, weight_decay, "a number from 0 to 3.4e38, such as 0.0001",
	    "decay of the weights (default: 0)"),
	ROW("batch", "N", option_count, batch, "a whole number from 1 to 2147483647",
	    "images in a step (default: 100)"),
	ROW("epochs", "N", option_natural, epochs, "a whole number from 0 to 2147483647",
	    "times to go through the training set (default: 15)"),
	ROW("val-split", "SPLIT", parse_val_split, val_split, "a share from 0 to below 1, or a whole number of images",
	    "how much of the training set to hold out, to see after\n"
	    "each epoch how images do that were not trained on: a\n"
	    "share below 1, or a number of images (default: 0.1)"),
	ROW("seed", "N", option_seed, seed, "a whole number from 0 to 2^64 - 1",
	    "of everything random: equal seeds give equal weights on\n"
	    "a device, to the bit (default: 1)"),
	ROW("device", "WHICH", option_text, device,
	    "gpu, cpu, accelerator, a number, PLATFORM:DEVICE or part of a name",
	    "the device; clef devices lists them (default: $CLEF_DEVICE,\n"
	    "else the first GPU, else what there is)"),
	ROW("log", "FILE", option_text, log, "the path of a file",
	    "write a JSON object a line to FILE: options, epochs,\n"
	    "result"),
	ROW("print", NULL, option_flag, print, NULL, "print a table of the model"),
};

static const option_table table = {
	.usage = "clef train [option ...]",
	.about = "Trains a network to tell images apart, and says how many images of the test set it gets right.\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.more = "Examples:\n"
		"  clef train\n"
		"  clef train --data mnist --epochs 5 --log run.jsonl\n"
		"  clef train --model \"linear(64) gelu linear(10)\" --optim sgd --lr 0.1 --momentum 0.9 --nesterov\n"
		"\n"
		"Ctrl-C ends the training after the step that runs, and shows what was reached.\n"
		"CLEF_PROFILE=1 clef train ... shows at the end how long each kernel took.\n"
		"\n"
		"The lines of --log, by their \"event\"; accuracies are shares from 0 to 1, null is no number:\n"
		"  start   version, options, device, data, parameters\n"
		"  epoch   epoch, loss, accuracy, validation_loss, validation_accuracy, seconds,\n"
		"          images_per_second\n"
		"  end     status (\"done\", \"interrupted\", \"diverged\" or \"failed\"); with done: test_accuracy,\n"
		"          test_loss, test_images, seconds, weights\n",
};

static int check_together(const train_options *o)
{
	if (o->optim != TRAIN_SGD && o->momentum > 0) {
		complain("--momentum %g: %s takes none; it goes with --optim sgd", (double)o->momentum,
			 train_optim_name(o->optim));
		return EXIT_MISUSED;
	}
	if (o->optim != TRAIN_SGD && o->nesterov) {
		complain("--nesterov: %s cannot do that; it goes with --optim sgd", train_optim_name(o->optim));
		return EXIT_MISUSED;
	}
	if (o->nesterov && !(o->momentum > 0)) {
		complain("--nesterov needs --momentum above 0, such as --momentum 0.9");
		return EXIT_MISUSED;
	}
	return -1;
}

int train_options_read(int argc, char **argv, train_options *o)
{
	int status;

	*o = (train_options){ .data = "digits",
			      .model = "linear(256) relu linear(256) relu linear(10)",
			      .init = "xavier_uniform",
			      .lr = 1e-3f,
			      .batch = 100,
			      .epochs = 15,
			      .val_split = 0.1,
			      .seed = 1 };
	status = options_read(&table, argc, argv, o);
	return status < 0 ? check_together(o) : status;
}
