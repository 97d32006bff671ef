/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef eval: how well a saved model does on a test set. A checkpoint of clef train says which data it was trained on
 * and how images were normalised; for other files the training part of --data tells the latter, as it would in
 * training.
 */
#include <inttypes.h>

#include <clef/clef.h>

#include "options.h"
#include "saved_model.h"
#include "scorer.h"
#include "tool.h"
#include "train_checkpoint.h"

typedef struct eval_options {
	const char *words[1];
	const char *data, *device;
	int64_t batch;
} eval_options;

static const option_row rows[] = {
	{ "data", "DIR|digits", option_text, offsetof(eval_options, data), "a folder with a data set, or digits",
	  "whose test set to use, as for clef train (default: the\n"
	  "one that the model was trained on, where the file says)" },
	{ "batch", "N", option_count, offsetof(eval_options, batch), "a whole number from 1 to 2147483647",
	  "images in a batch (default: 100)" },
	{ "device", "WHICH", option_text, offsetof(eval_options, device),
	  "gpu, cpu, accelerator, a number, PLATFORM:DEVICE or part of a name", "the device, as for clef train" },
};

static const option_table table = {
	.usage = "clef eval MODEL [option ...]",
	.about = "Says how many images of a test set a saved model gets right, and which classes it confuses. MODEL is "
		 "a\n"
		 "checkpoint of clef train, or a file of clef_model_save() or clef_checkpoint_save().\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.words = 1,
	.words_offset = offsetof(eval_options, words),
};

typedef struct evaluation {
	saved_model m;
	train_options options; /* of the run that made the model */
	train_data data;
	clef_loader *loader;
	scorer scorer;
	train_report report;
} evaluation;

/* All return -1, or an exit status after an error that was reported. */

static int failed(void)
{
	complain("%s", reason());
	return EXIT_FAILED;
}

static int read_options(evaluation *e, const eval_options *o)
{
	int status = -1;

	if (clef_safetensors_text(e->m.file, "clef.train"))
		status = train_options_restore(e->m.file, e->m.path, &e->options);
	else if (o->data)
		train_options_default(&e->options);
	else {
		complain("%s does not say which data it was trained on: --data is needed", e->m.path);
		status = EXIT_MISUSED;
	}
	if (o->data)
		e->options.data = o->data;
	e->options.batch = o->batch;
	return status;
}

static int open_data(evaluation *e)
{
	clef_shape output = clef_model_output(e->m.model);
	int classes, status = train_data_open(&e->options, &e->data);
	char text[160];

	if (status < 0 && clef_safetensors_find(e->m.file, "train:normal") >= 0)
		status = train_checkpoint_normal(e->m.file, e->m.path, &e->data);
	if (status >= 0)
		return status;
	classes = clef_dataset_classes(e->data.test);
	if (output.ndim != 1 || output.dim[0] != classes) {
		complain("%s gives %s for an image, but --data %s has %d classes", e->m.path,
			 clef_shape_text(output, text, sizeof(text)), e->options.data, classes);
		return EXIT_FAILED;
	}
	e->loader = train_data_loader(&e->data, e->data.test, &e->options, false);
	if (!e->loader || scorer_open(&e->scorer, e->m.dev, e->m.model))
		return failed();
	return train_report_open(&e->report, classes) ? -1 : EXIT_FAILED;
}

static int run(evaluation *e, const eval_options *o)
{
	static const volatile sig_atomic_t never = 0;
	train_score score;
	int status = saved_model_open(&e->m, o->words[0], o->device);

	if (status < 0)
		status = read_options(e, o);
	if (status < 0)
		status = open_data(e);
	if (status >= 0)
		return status;
	if (scorer_evaluate(&e->scorer, e->loader, &never, &score, &e->report))
		return failed();
	printf("model   %s: %" PRId64 " parameters%s\n", e->m.path, clef_params_numel(clef_model_params(e->m.model)),
	       clef_average_ready(e->m.average) ? ", averaged" : "");
	printf("data    %s: %" PRId64 " images\n", e->options.data, score.images);
	printf("test loss %.4f\n", score.loss);
	printf("test accuracy %.2f %% (%" PRId64 " images)\n", 100 * score.accuracy, score.images);
	train_report_print(&e->report, e->data.test);
	return EXIT_OK;
}

int eval_main(int argc, char **argv)
{
	eval_options o = { .batch = 100 };
	evaluation e = { .loader = NULL };
	int status = options_read(&table, argc, argv, &o);

	if (status >= 0)
		return status;
	status = run(&e, &o);
	train_report_close(&e.report);
	scorer_close(&e.scorer);
	clef_loader_close(e.loader);
	saved_model_close(&e.m);
	train_data_close(&e.data);
	train_options_free(&e.options);
	return status;
}
