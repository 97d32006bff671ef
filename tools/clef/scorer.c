/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of losses and right answers. They stay on the device, so that adding a batch to them waits for nothing. As
 * float32 sums they are exact enough for a table, and the same in every run.
 */
#define _POSIX_C_SOURCE 200809L
#include <clef/clef.h>

#include "scorer.h"

clef_status scorer_open(scorer *s, clef_device *dev, clef_model *model)
{
	*s = (scorer){ .model = model, .tape = clef_tape_new(dev) };
	s->losses = s->tape ? clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SCALAR) : NULL;
	s->hits = s->losses ? clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SCALAR) : NULL;
	return s->hits ? CLEF_OK : clef_error_status();
}

void scorer_close(scorer *s)
{
	clef_tensor_free(s->losses);
	clef_tensor_free(s->hits);
	clef_tape_free(s->tape);
}

clef_status scorer_begin(scorer *s, const float sums[2])
{
	clef_status status = clef_write(s->losses, &sums[0], sizeof(sums[0]));

	return status ? status : clef_write(s->hits, &sums[1], sizeof(sums[1]));
}

clef_status scorer_add(scorer *s, clef_tensor *loss, clef_tensor *accuracy, int64_t images)
{
	clef_status status = clef_axpy((float)images, loss, s->losses);

	return status ? status : clef_axpy((float)images, accuracy, s->hits);
}

clef_status scorer_read(const scorer *s, int64_t images, float sums[2], train_score *score)
{
	clef_status status = clef_read(s->losses, &sums[0], sizeof(sums[0]));

	if (!status)
		status = clef_read(s->hits, &sums[1], sizeof(sums[1]));
	*score = (train_score){ (double)sums[0] / (double)images, (double)sums[1] / (double)images, images };
	return status;
}

clef_status scorer_evaluate(scorer *s, clef_loader *loader, const volatile sig_atomic_t *stop, train_score *score,
			    train_report *report)
{
	float sums[2] = { 0, 0 };
	clef_status status = scorer_begin(s, sums);
	clef_batch b;
	int64_t images = 0;

	clef_model_train(s->model, false);
	while (!status && !*stop && clef_loader_next(loader, &b)) {
		clef_tensor *logits, *labels;

		status = clef_tape_begin_no_grad(s->tape);
		labels = clef_input(s->tape, &b.labels);
		logits = clef_model_forward(s->model, clef_input(s->tape, &b.images));
		if (!status)
			status = scorer_add(s, clef_cross_entropy(logits, labels), clef_accuracy(logits, labels),
					    b.count);
		if (!status && report)
			status = train_report_add(report, logits, &b);
		images += b.count;
	}
	clef_model_train(s->model, true);
	return status ? status : scorer_read(s, images, sums, score);
}
