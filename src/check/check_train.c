/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training as a whole: a network learns one batch of noise by heart, which needs every part to work together, and it
 * does so twice, to the same bits.
 */
#include <math.h>

#include <clef/models.h>
#include <clef/ops.h>
#include <clef/optim.h>

#include "families.h"
#include "operand.h"

#define CLASSES 4

typedef struct train_opts {
	int model, width, n, c, h, steps;
	float lr;
} train_opts;

typedef struct outcome {
	double first, last; /* losses */
	double accuracy;
	uint64_t weights; /* hash */
} outcome;

typedef struct batch {
	clef_array images, labels;
} batch;

static const char *const models[] = { "mlp", "convnet", "vgg", "resnet18", "mobilenet_v2", NULL };

/* ---- one training ---- */

static bool make_batch(const train_opts *o, batch *b)
{
	size_t pixels = (size_t)o->n * (size_t)o->c * (size_t)o->h * (size_t)o->h;
	float *images = clef__calloc(pixels, sizeof(*images), "images");
	int32_t *labels = clef__calloc((size_t)o->n, sizeof(*labels), "labels");
	uint64_t state = 99;

	b->images = (clef_array){ CLEF_FLOAT32, CLEF_SHAPE(o->n, o->c, o->h, o->h), images };
	b->labels = (clef_array){ CLEF_INT32, CLEF_SHAPE(o->n), labels };
	for (size_t i = 0; i < pixels && images; i++)
		images[i] = (float)clef__draw_uniform(&state, -1, 1);
	for (int i = 0; i < o->n && labels; i++)
		labels[i] = i % CLASSES;
	return images && labels;
}

static clef_tensor *loss_of(clef_tape *tape, clef_model *model, const batch *b, clef_tensor **logits)
{
	*logits = clef_tape_begin(tape) ? NULL : clef_model_forward(model, clef_input(tape, &b->images));
	return clef_cross_entropy(*logits, clef_input(tape, &b->labels));
}

static clef_status train(clef_tape *tape, clef_model *model, clef_optim *optim, const train_opts *o, const batch *b,
			 outcome *out)
{
	clef_tensor *logits, *loss;
	clef_status s = CLEF_OK;

	for (int i = 0; i < o->steps && !s; i++) {
		loss = loss_of(tape, model, b, &logits);
		if (i == 0)
			out->first = clef_item(loss);
		s = clef_backward(loss);
		if (!s)
			s = clef_optim_step(optim);
	}
	if (s)
		return s;
	loss = loss_of(tape, model, b, &logits);
	out->last = clef_item(loss);
	out->accuracy = clef_item(clef_accuracy(logits, clef_input(tape, &b->labels)));
	return isnan(out->accuracy) ? clef_error_status() : CLEF_OK;
}

static clef_status hash_weights(clef_params *params, uint64_t *hash)
{
	clef_status s = CLEF_OK;

	*hash = CLEF__HASH_START;
	for (int i = 0; i < clef_params_count(params) && !s; i++) {
		const clef_tensor *x = clef_params_get(params, i);
		size_t bytes = (size_t)clef_tensor_numel(x) * sizeof(float);
		float *values = clef__calloc(bytes, 1, "weights");

		s = values ? clef_read(x, values, bytes) : CLEF_ERROR_MEMORY;
		if (!s)
			*hash = clef__hash(*hash, values, bytes);
		free(values);
	}
	return s;
}

static clef_status train_anew(clef_device *dev, const train_opts *o, const batch *b, outcome *out)
{
	char text[64];
	clef_tape *tape = clef_tape_new(dev);
	clef_model *model;
	clef_optim *optim;
	clef_status s;

	snprintf(text, sizeof(text), "%s(width=%d)", models[o->model], o->width);
	model = tape ? clef_model_parse(dev, text, CLEF_SHAPE(o->c, o->h, o->h), CLASSES,
					&(clef_model_opts){ .seed = 1 })
		     : NULL;
	optim = model ? clef_adam_new(clef_model_params(model), &(clef_adam_opts){ .lr = o->lr }) : NULL;
	s = optim ? train(tape, model, optim, o, b, out) : clef_error_status();
	if (!s)
		s = hash_weights(clef_model_params(model), &out->weights);
	clef_optim_free(optim);
	clef_model_free(model);
	clef_tape_free(tape);
	return s;
}

/* ---- the check ---- */

static void judge(const outcome *a, const outcome *b, clef_check_result *r)
{
	bool learned = a->accuracy == 1 && a->last < 0.1 * a->first, same = a->weights == b->weights;

	r->value_error = a->last / a->first;
	r->value_limit = 0.1;
	r->verdict = learned && same ? CLEF_VERDICT_PASSED : CLEF_VERDICT_FAILED;
	snprintf(r->message, sizeof(r->message), "loss %.3g to %.3g, accuracy %.0f %%, weights %016llx%s", a->first,
		 a->last, 100 * a->accuracy, (unsigned long long)a->weights,
		 !learned ? ": the batch was not learned"
		 : !same  ? ": a second training ends with other bits"
			  : "");
}

static clef_status run(const clef__problem *p, clef_device *dev, clef_check_result *r)
{
	const train_opts *o = (const void *)p->opts;
	outcome a = { .last = NAN }, b = a;
	batch data;
	clef_status s = make_batch(o, &data) ? CLEF_OK : CLEF_ERROR_MEMORY;

	if (!s)
		s = train_anew(dev, o, &data, &a);
	if (!s)
		s = train_anew(dev, o, &data, &b);
	if (!s)
		judge(&a, &b, r);
	else if (s != CLEF_ERROR_MEMORY) {
		r->verdict = s == CLEF_ERROR_UNSUPPORTED ? CLEF_VERDICT_SKIPPED : CLEF_VERDICT_FAILED;
		snprintf(r->message, sizeof(r->message), "%s", clef_error());
	}
	free(data.images.data);
	free(data.labels.data);
	return s == CLEF_ERROR_MEMORY ? s : CLEF_OK;
}

#define INT_TERM(term, field, value, low, high, text)                                                                  \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_INT, .offset = offsetof(train_opts, field), .preset = value,          \
		.least = low, .most = high, .about = text                                                              \
	}

static const clef__term terms[] = {
	{ .name = "model",
	  .kind = CLEF__TERM_WORD,
	  .offset = offsetof(train_opts, model),
	  .preset = -1,
	  .words = models,
	  .about = "a network of models.h" },
	INT_TERM("width", width, 8, 1, 65536, "of the network"),
	INT_TERM("n", n, 16, 1, 65536, "images"),
	INT_TERM("c", c, 3, 1, 65536, "channels"),
	INT_TERM("h", h, 16, 1, 4096, "rows and columns"),
	INT_TERM("steps", steps, 60, 1, 1000000, "steps of Adam"),
	{ .name = "lr",
	  .kind = CLEF__TERM_FLOAT,
	  .offset = offsetof(train_opts, lr),
	  .preset = (double)0.01f,
	  .least = 1e-9,
	  .most = 10,
	  .about = "learning rate" },
	{ NULL },
};

static const char *const problems[] = {
	"train model=mlp width32 c1 h8", "train model=convnet n8 h8",   "train model=vgg",
	"train model=resnet18 n8",       "train model=mobilenet_v2 n8",
};

const clef__family clef__family_train = { .name = "train", .terms = terms, .run = run, CLEF__PROBLEMS(problems, 1) };
