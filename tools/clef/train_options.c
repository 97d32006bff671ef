/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of clef train: their table, and the values that the options of other commands do not have. Whatever can
 * be found wrong without data and without a device is found here, so that a mistake shows at once.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <clef/clef.h>

#include "options.h"
#include "tool.h"
#include "train_checkpoint.h"
#include "train_options.h"
#include "train_watch.h"

static bool parse_optim(const char *text, void *field)
{
	clef_optim_opts opts;

	*(const char **)field = text;
	return !clef_optim_parse(text, &opts);
}

static bool parse_schedule(const char *text, void *field)
{
	clef_schedule_opts opts = { .at = NULL };
	clef_status s = clef_schedule_parse(text, &opts);

	free((void *)opts.at);
	*(const char **)field = text;
	return !s;
}

static bool parse_below_one(const char *text, void *field)
{
	return option_non_negative(text, field) && *(float *)field < 1.0f;
}

static bool parse_inside(const char *text, void *field)
{
	return option_positive(text, field) && *(float *)field < 1.0f;
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
	*(const char **)field = text;
	return !clef_model_check(text);
}

static bool parse_augment(const char *text, void *field)
{
	clef_augment_opts opts;

	*(const char **)field = text;
	return !clef_augment_parse(text, &opts);
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
	ROW("data", "PATH", option_text, data, "a folder with MNIST, CIFAR-10 or images, a .npz, or digits",
	    "what to learn: a folder with files in MNIST's format\n"
	    "(train-images-idx3-ubyte and so on), or with CIFAR-10's\n"
	    "binary version (data_batch_1.bin and so on), also with\n"
	    ".gz, or with PNG and JPEG images as train/CLASS/NAME.png\n"
	    "and test/CLASS/NAME.png; a .npz of NumPy with x_train, y_train, x_test and\n"
	    "y_test; or digits, the small set that comes with clef, of\n"
	    "which a fifth is kept for the test (default: digits)"),
	ROW("model", "MODEL", parse_model, model, NULL,
	    "mlp, convnet, vgg, vgg11, resnet18 or mobilenet_v2, also\n"
	    "narrower or shorter, as in \"resnet18(width=16,\n"
	    "stages=3)\"; or the layers, in order, as in \"linear(64)\n"
	    "relu linear(10)\" (default: mlp, which is 256 neurons\n"
	    "with relu, twice, and a linear layer to the classes)"),
	ROW("init", "INIT", parse_init, init, NULL,
	    "how weights start: xavier_uniform, xavier_normal,\n"
	    "kaiming_uniform, kaiming_normal, lecun_normal,\n"
	    "normal(0, 0.02), trunc_normal(0, 0.02), orthogonal,\n"
	    "sparse(0.9), uniform(-0.1, 0.1) and others of init.h,\n"
	    "or default, which is PyTorch's for the layer (default:\n"
	    "xavier_uniform)"),
	ROW("weights", "FILE", option_text, weights, "the path of a file",
	    "start from the weights in FILE instead, a safetensors\n"
	    "file of the same network, such as a checkpoint, and\n"
	    "train as in a new run; with the --val-split and --seed\n"
	    "of the run before, it holds out the same images"),
	ROW("optim", "OPTIM", parse_optim, optim, NULL,
	    "the optimizer: sgd, momentum, nesterov, adagrad,\n"
	    "adadelta, rmsprop, adam, adamw, adamax, nadam, radam,\n"
	    "rprop, asgd, lion, lars, lamb or adafactor, with any of\n"
	    "its options in brackets, as in\n"
	    "\"adamw(lr=0.002, beta2=0.98, amsgrad)\" (default: adam);\n"
	    "docs/optimizers.md has them all"),
	ROW("lr", "RATE", option_positive, lr, "a number from 1.2e-38 to 3.4e38, such as 0.001",
	    "the learning rate (default: the optimizer's, of adam\n"
	    "and sgd 0.001)"),
	ROW("momentum", "M", parse_below_one, momentum, "a number from 0 to below 1, such as 0.9",
	    "of optimizers that have it (default: the optimizer's)"),
	ROW("nesterov", NULL, option_flag, nesterov, NULL, "use Nesterov's momentum, in sgd or lars"),
	ROW("weight-decay", "D", option_non_negative, weight_decay, "a number from 0 to 3.4e38, such as 0.0001",
	    "decay of the weights (default: the optimizer's: 0, of\n"
	    "adamw 0.01)"),
	ROW("beta1", "B", parse_below_one, beta1, "a number from 0 to below 1, such as 0.9",
	    "of adam and its relatives (default: the optimizer's)"),
	ROW("beta2", "B", parse_below_one, beta2, "a number from 0 to below 1, such as 0.999", "the same"),
	ROW("eps", "E", option_positive, eps, "a number from 1.2e-38 to 3.4e38, such as 1e-8",
	    "of optimizers that divide (default: the optimizer's)"),
	ROW("alpha", "A", option_non_negative, alpha, "a number from 0 to 3.4e38, such as 0.99",
	    "of rmsprop and asgd (default: the optimizer's)"),
	ROW("schedule", "SCHEDULE", parse_schedule, schedule, NULL,
	    "how the learning rate changes, with numbers in epochs:\n"
	    "cosine, one_cycle, linear, polynomial, step(30, 0.1),\n"
	    "multistep(30, 60, factor=0.1), exponential(0.95),\n"
	    "restarts(10, multiple=2), constant(0.1, 5) or\n"
	    "plateau(factor=0.1, patience=3), which goes by the loss\n"
	    "of what was held out; where a length is left out, it is\n"
	    "the whole run (default: the rate stays)"),
	ROW("warmup", "N", option_natural, warmup, "a whole number from 0 to 2147483647",
	    "so many steps in which the rate rises in a straight\n"
	    "line, before the schedule (default: 0)"),
	ROW("clip-norm", "X", option_positive, clip_norm, "a number from 1.2e-38 to 3.4e38, such as 1",
	    "shorten the gradients of a step, taken together, to this\n"
	    "norm"),
	ROW("clip-value", "X", option_positive, clip_value, "a number from 1.2e-38 to 3.4e38, such as 0.5",
	    "put every element of a gradient between -X and X"),
	ROW("accumulate", "N", option_count, accumulate, "a whole number from 1 to 2147483647",
	    "batches in a step: their mean counts (default: 1)"),
	ROW("ema", "DECAY", parse_inside, ema, "a number above 0 and below 1, such as 0.999",
	    "keep a moving average of the weights, which is what is\n"
	    "validated and tested"),
	ROW("batch", "N", option_count, batch, "a whole number from 1 to 2147483647",
	    "images in a batch (default: 100)"),
	ROW("epochs", "N", option_natural, epochs, "a whole number from 0 to 2147483647",
	    "times to go through the training set (default: 15)"),
	ROW("early-stop", "N", option_count, early_stop, "a whole number from 1 to 2147483647",
	    "end the training when N epochs have brought no lower\n"
	    "loss of what was held out, or else of the training set"),
	ROW("val-split", "SPLIT", parse_val_split, val_split, "a share from 0 to below 1, or a whole number of images",
	    "how much of the training set to hold out, to see after\n"
	    "each epoch how images do that were not trained on: a\n"
	    "share below 1, or a number of images (default: 0.1)"),
	ROW("augment", "WORDS", parse_augment, augment, NULL,
	    "change the images of the training set by chance, each\n"
	    "time anew; any of, as in \"crop(4) flip erase(8)\":\n"
	    "crop(N): surround by N pixels of 0, cut one out of that;\n"
	    "translate(SHARE): move by up to a share of the size;\n"
	    "flip(P), vflip(P): mirror left to right, upside down,\n"
	    "with probability P (default: 0.5);\n"
	    "erase(N, P): put 0 into a square of N pixels a side;\n"
	    "reflect: what is moved in from outside is the mirrored\n"
	    "image instead of 0"),
	ROW("seed", "N", option_seed, seed, "a whole number from 0 to 2^64 - 1",
	    "of everything random: equal seeds give equal weights on\n"
	    "a device, to the bit (default: 1)"),
	ROW("device", "WHICH", option_text, device,
	    "gpu, cpu, accelerator, a number, PLATFORM:DEVICE or part of a name",
	    "the device; clef devices lists them (default: $CLEF_DEVICE,\n"
	    "else the first GPU, else what there is)"),
	ROW("checkpoint", "FILE", option_text, checkpoint, "the path of a file",
	    "keep all that the run depends on in FILE, a safetensors\n"
	    "file with the weights under PyTorch's names, and the one\n"
	    "before it in FILE.prev; written at the end of each epoch,\n"
	    "and by Ctrl-C"),
	ROW("every", "N", option_count, every, "a whole number from 1 to 2147483647",
	    "write the checkpoint after every N steps too"),
	ROW("resume", NULL, option_flag, resume, NULL,
	    "go on from the checkpoint, to the bit as if the run had\n"
	    "not been stopped, or begin where there is none yet. Its\n"
	    "options are those of the run and can be left out; only\n"
	    "--epochs may be another, without a --schedule"),
	ROW("eval-only", NULL, option_flag, eval_only, NULL, "test what is in the checkpoint, and do not train"),
	ROW("log", "FILE", option_text, log, "the path of a file",
	    "write a JSON object a line to FILE: options, epochs,\n"
	    "result"),
	ROW("plot", "FILE", option_text, plot, "the path of a file",
	    "draw loss and accuracy over the epochs into FILE, an\n"
	    "SVG, after each epoch"),
	ROW("print", NULL, option_flag, print, NULL, "print a table of the model"),
	ROW("watch", "[=N]", train_watch_parse, watch, "nothing, or a whole number from 1 to 2147483647",
	    "print what each layer gives (mean, deviation, range,\n"
	    "zeros, NaN) in the first step of every epoch, or in\n"
	    "every N-th step"),
	ROW("stop-nan", NULL, option_flag, stop_nan, NULL,
	    "stop when a layer gives NaN, and say which was first;\n"
	    "looks at every step, which takes time"),
};

/* Options that a run can be resumed with or without. */
static const char *const apart[] = { "device",   "log",        "plot",  "print",  "watch",
				     "stop-nan", "checkpoint", "every", "resume", "eval-only" };

static bool is_apart(const char *name)
{
	for (int i = 0; i < CLEF_COUNT(apart); i++)
		if (!strcmp(name, apart[i]))
			return true;
	return false;
}

static void note_option(const option_row *row, const char *text, void *fields)
{
	train_options *o = fields;

	if (is_apart(row->name))
		return;
	if (!o->given)
		o->given = json_object();
	json_object_set_new(o->given, row->name, json_string(text));
}

static const option_table table = {
	.usage = "clef train [option ...]",
	.about = "Trains a network to tell images apart, and says how many images of the test set it gets right.\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.seen = note_option,
	.more = "Examples:\n"
		"  clef train\n"
		"  clef train --data mnist --epochs 5 --log run.jsonl\n"
		"  clef train --model \"linear(64) gelu linear(10)\" --optim nesterov --lr 0.1 --schedule cosine\n"
		"  clef train --data cifar-10-batches-bin --model \"resnet18(16)\" --augment \"crop(4) flip\"\n"
		"  clef train --optim \"adamw(beta2=0.98)\" --lr 0.002 --weight-decay 0.05 --warmup 20 --clip-norm 1\n"
		"\n"
		"Ctrl-C ends the training after the step that runs, and shows what was reached. With --checkpoint it\n"
		"can be gone on with:\n"
		"  clef train --data mnist --epochs 50 --checkpoint run.safetensors\n"
		"  clef train --checkpoint run.safetensors --resume\n"
		"CLEF_PROFILE=1 clef train ... shows at the end how long each kernel took.\n"
		"\n"
		"The lines of --log, by their \"event\"; accuracies are shares from 0 to 1, null is no number. A run\n"
		"that is resumed adds its lines, with a start of its own:\n"
		"  start   version, options, device, data, parameters\n"
		"  epoch   epoch, loss, accuracy, validation_loss, validation_accuracy, seconds,\n"
		"          images_per_second, lr: the learning rate behind it\n"
		"  end     status (\"done\", \"interrupted\", \"diverged\" or \"failed\"); with done: test_accuracy,\n"
		"          test_loss, test_images, seconds, weights\n",
};

/* ---- options that belong together ---- */

/* Adds an argument to a text such as "sgd" or "sgd(0.1)". False where it does not fit. */
static bool add_argument(char text[TRAIN_TEXT], const char *argument)
{
	size_t length = strlen(text);
	char *close = length && text[length - 1] == ')' ? text + length - 1 : NULL;
	const char *open = strchr(text, '(');
	char *end = close && open ? close : text + length;
	bool empty = close && open && open[1 + strspn(open + 1, " ")] == ')';
	size_t left = (size_t)(text + TRAIN_TEXT - end);

	return (size_t)snprintf(end, left, "%s%s)", !open ? "(" : empty ? "" : ", ", argument) < left;
}

static bool add_number(char text[TRAIN_TEXT], const char *name, double value)
{
	char argument[64];
	int digits = 6;

	if (isnan(value))
		return true;
	do /* as few digits as tell the float */
		snprintf(argument, sizeof(argument), "%s=%.*g", name, digits, value);
	while (strtof(strchr(argument, '=') + 1, NULL) != (float)value && ++digits < 10);
	return add_argument(text, argument);
}

static bool begin(char text[TRAIN_TEXT], const char *start)
{
	size_t length = strlen(start);

	while (length && isspace((unsigned char)start[length - 1]))
		length--;
	return snprintf(text, TRAIN_TEXT, "%.*s", (int)length, start) < TRAIN_TEXT;
}

/* The optimizer with what the options of their own say. */
static int compose_optim(train_options *o)
{
	char *text = o->optim_text;
	clef_optim_opts opts;

	if (!begin(text, o->optim) || !add_number(text, "lr", (double)o->lr) ||
	    !add_number(text, "momentum", (double)o->momentum) ||
	    !add_number(text, "weight_decay", (double)o->weight_decay) ||
	    !add_number(text, "beta1", (double)o->beta1) || !add_number(text, "beta2", (double)o->beta2) ||
	    !add_number(text, "eps", (double)o->eps) || !add_number(text, "alpha", (double)o->alpha) ||
	    (o->nesterov && !add_argument(text, "nesterov"))) {
		complain("--optim: the text is too long");
		return EXIT_MISUSED;
	}
	if (!clef_optim_parse(text, &opts))
		return -1;
	complain("--optim \"%s\": %s", text, reason());
	return EXIT_MISUSED;
}

static int compose_schedule(train_options *o)
{
	char *text = o->schedule_text;
	clef_schedule_opts opts = { .at = NULL };
	clef_status s;

	if (!o->schedule && o->warmup < 1)
		return -1;
	if (!begin(text, o->schedule ? o->schedule : "constant") ||
	    !add_number(text, "warmup", o->warmup < 0 ? NAN : (double)o->warmup)) {
		complain("--schedule: the text is too long");
		return EXIT_MISUSED;
	}
	s = clef_schedule_parse(text, &opts);
	free((void *)opts.at);
	if (!s)
		return -1;
	complain("--schedule \"%s\": %s", text, reason());
	return EXIT_MISUSED;
}

static const train_options defaults = { .data = "digits",
					.model = "mlp",
					.init = "xavier_uniform",
					.optim = "adam",
					.lr = NAN,
					.momentum = NAN,
					.weight_decay = NAN,
					.beta1 = NAN,
					.beta2 = NAN,
					.eps = NAN,
					.alpha = NAN,
					.warmup = -1,
					.accumulate = 1,
					.batch = 100,
					.epochs = 15,
					.val_split = 0.1,
					.seed = 1 };

static int compose(train_options *o)
{
	int status = compose_optim(o);

	return status < 0 ? compose_schedule(o) : status;
}

static int check_together(const train_options *o)
{
	const char *alone = o->resume ? "resume" : o->eval_only ? "eval-only" : o->every ? "every" : NULL;

	if (o->checkpoint || !alone)
		return -1;
	complain("--%s needs --checkpoint FILE", alone);
	return EXIT_MISUSED;
}

int train_options_restore(clef_safetensors *file, const char *path, train_options *o)
{
	const char *name;
	json_t *text;
	int status = -1;

	*o = defaults;
	o->stored = train_checkpoint_options(file, path);
	if (!o->stored)
		return EXIT_FAILED;
	/* A file may not say what is to be written where. */
	json_object_foreach(json_object_get(o->stored, "given"), name, text) {
		if (status < 0 && is_apart(name)) {
			complain("--%s is none of the options of a run", name);
			status = EXIT_FAILED;
		}
		if (status < 0)
			status = options_store(&table, name, json_is_string(text) ? json_string_value(text) : "", o);
	}
	if (status < 0)
		status = compose(o);
	if (status >= 0)
		complain("%s: the options in it are not right", path);
	return status < 0 ? -1 : EXIT_FAILED;
}

/* The command line once more, on top of the options of the run that it goes on with. */
static int read_resumed(int argc, char **argv, train_options *o)
{
	clef_safetensors *file = NULL;
	const char *path = o->checkpoint;
	int status = train_checkpoint_open(path, o->eval_only, &file);

	if (status >= 0)
		return status;
	if (!file)
		return compose(o);
	train_options_free(o);
	status = train_options_restore(file, path, o);
	o->file = file;
	if (status < 0)
		status = options_read(&table, argc, argv, o);
	if (status < 0)
		status = compose(o);
	return status < 0 ? train_checkpoint_compare(o) : status;
}

int train_options_read(int argc, char **argv, train_options *o)
{
	int status;

	*o = defaults;
	status = options_read(&table, argc, argv, o);
	if (status < 0)
		status = check_together(o);
	if (status >= 0)
		return status;
	return o->resume || o->eval_only ? read_resumed(argc, argv, o) : compose(o);
}

void train_options_default(train_options *o)
{
	*o = defaults;
}

void train_options_free(train_options *o)
{
	clef_safetensors_free(o->file);
	json_decref(o->given);
	json_decref(o->stored);
	o->file = NULL;
	o->given = o->stored = NULL;
}
