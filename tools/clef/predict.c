/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef predict: which class a saved model takes images for. How pixels are normalised stands in a checkpoint of clef
 * train, and so do the names of the classes, where the data had some; a file without that is of no use here, because
 * its numbers would mean nothing.
 */
#include <math.h>
#include <stdlib.h>

#include <clef/clef.h>

#include "options.h"
#include "saved_model.h"
#include "tool.h"
#include "train_checkpoint.h"

typedef struct predict_options {
	const char *words[2];
	const char *device;
	int64_t top;
} predict_options;

static const option_row rows[] = {
	{ "top", "N", option_count, offsetof(predict_options, top), "a whole number from 1 to 2147483647",
	  "how many classes to print, the likeliest first (default:\n"
	  "3)" },
	{ "device", "WHICH", option_text, offsetof(predict_options, device),
	  "gpu, cpu, accelerator, a number, PLATFORM:DEVICE or part of a name", "the device, as for clef train" },
};

static const option_table table = {
	.usage = "clef predict MODEL IMAGE [option ...]",
	.about = "Says what a saved model takes an image for. MODEL is a checkpoint of clef train; IMAGE is a PNG or "
		 "JPEG "
		 "of\n"
		 "the size of its images.\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.words = 2,
	.words_offset = offsetof(predict_options, words),
};

typedef struct prediction {
	saved_model m;
	train_data data; /* the image alone, as `train` */
	clef_loader *loader;
	clef_tape *tape;
	json_t *stored;
	float *logits;
	int classes;
} prediction;

/* All return -1, or an exit status after an error that was reported. */

static int failed(void)
{
	complain("%s", reason());
	return EXIT_FAILED;
}

static int open_image(prediction *p, const char *path)
{
	clef_shape sample = clef_model_input(p->m.model), shape;
	char wanted[160], got[160];
	size_t channels;

	if (sample.ndim != 3 || (sample.dim[0] != 1 && sample.dim[0] != 3)) {
		complain("%s is not for images: it takes %s", p->m.path,
			 clef_shape_text(sample, wanted, sizeof(wanted)));
		return EXIT_FAILED;
	}
	p->data.train = clef_image_open(path, (int)sample.dim[0]);
	if (!p->data.train)
		return failed();
	shape = clef_dataset_sample(p->data.train);
	if (!clef_shape_equal(shape, sample)) {
		complain("%s is %s, and %s takes %s", path, clef_shape_text(shape, got, sizeof(got)), p->m.path,
			 clef_shape_text(sample, wanted, sizeof(wanted)));
		return EXIT_FAILED;
	}
	channels = (size_t)sample.dim[0];
	p->data.mean = calloc(channels, sizeof(*p->data.mean));
	p->data.std = calloc(channels, sizeof(*p->data.std));
	if (!p->data.mean || !p->data.std) {
		complain("no memory on the host for the means of %zu channels", channels);
		return EXIT_FAILED;
	}
	return train_checkpoint_normal(p->m.file, p->m.path, &p->data);
}

static clef_status run_model(prediction *p)
{
	const clef_shape output = clef_model_output(p->m.model);
	clef_tensor *logits;
	clef_batch b;

	p->loader = clef_loader_open(p->data.train, &(clef_loader_opts){ .scale = p->data.scale,
									 .channel_mean = p->data.mean,
									 .channel_std = p->data.std });
	p->tape = clef_tape_new(p->m.dev);
	p->classes = (int)clef_shape_numel(output);
	p->logits = calloc((size_t)p->classes + 1, sizeof(*p->logits));
	if (!p->logits)
		return CLEF_ERROR_MEMORY;
	if (!clef_loader_next(p->loader, &b) || clef_model_train(p->m.model, false) || clef_tape_begin_no_grad(p->tape))
		return clef_error_status();
	logits = clef_model_forward(p->m.model, clef_input(p->tape, &b.images));
	return clef_read(logits, p->logits, (size_t)p->classes * sizeof(*p->logits));
}

/* The likeliest of those that are left, which are not NaN. */
static int best_of(const float *logits, int classes)
{
	int best = -1;

	for (int i = 0; i < classes; i++)
		if (!isnan(logits[i]) && (best < 0 || logits[i] > logits[best]))
			best = i;
	return best;
}

static void print_best(const prediction *p, int64_t top)
{
	const json_t *names = json_object_get(p->stored, "classes");
	double sum = 0, highest;
	int best = best_of(p->logits, p->classes);

	highest = best < 0 ? 0 : (double)p->logits[best];
	for (int i = 0; i < p->classes; i++)
		sum += exp((double)p->logits[i] - highest);
	for (int64_t i = 0; i < top && (best = best_of(p->logits, p->classes)) >= 0; i++) {
		const char *name = json_string_value(json_array_get(names, (size_t)best));

		printf("%6.2f %%  %d%s%s\n", 100 * exp((double)p->logits[best] - highest) / sum, best, name ? " " : "",
		       name ? name : "");
		p->logits[best] = NAN;
	}
}

static int run(prediction *p, const predict_options *o)
{
	int status = saved_model_open(&p->m, o->words[0], o->device);

	if (status >= 0)
		return status;
	p->stored = train_checkpoint_options(p->m.file, p->m.path);
	status = p->stored ? open_image(p, o->words[1]) : EXIT_FAILED;
	if (status >= 0)
		return status;
	if (run_model(p))
		return failed();
	print_best(p, o->top);
	return EXIT_OK;
}

int predict_main(int argc, char **argv)
{
	predict_options o = { .top = 3 };
	prediction p = { .loader = NULL };
	int status = options_read(&table, argc, argv, &o);

	if (status >= 0)
		return status;
	status = run(&p, &o);
	free(p.logits);
	json_decref(p.stored);
	clef_tape_free(p.tape);
	clef_loader_close(p.loader);
	saved_model_close(&p.m);
	train_data_close(&p.data);
	return status;
}
