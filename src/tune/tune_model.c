/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tuning for a model. A step of it, forward and backward, tells which problems occur. Convolutions that come to be
 * computed as matrix products bring new ones, so that is done again until there are none. In the end steps are timed in
 * turn, by clef's rules and by what was found, because the sum of small gains is a guess and the step is what counts.
 */
#include <clef/ops.h>

#include "nn_internal.h"
#include "tune_internal.h"

/* Share of the budget for timing steps, and how many of each there are. */
#define STEP_SHARE 0.25
#define MIN_STEPS  3
#define MAX_STEPS  15
#define MOST_STEPS 20.0 /* seconds */
#define PASSES     4

typedef struct subject {
	clef_model *model;
	clef_tape *tape;
	clef_array batch;
} subject;

/* Values of about the size of normalised images: not zeros, which some kernels are quicker with. */
static clef_status make_batch(clef_model *model, int64_t batch, clef_array *a)
{
	clef_shape shape = { .ndim = model->input.ndim + 1, .dim = { batch } };
	bool ints = model->opts.dtype == CLEF_INT32;
	uint32_t state = 1;
	float *values;

	for (int i = 0; i < model->input.ndim; i++)
		shape.dim[i + 1] = model->input.dim[i];
	if (batch < 1 || clef_shape_numel(shape) < 0)
		return clef__fail(CLEF_ERROR_INVALID, "clef_tune_model: a batch of %lld for samples %s",
				  (long long)batch, CLEF__SHAPE_TEXT(model->input));
	values = clef__calloc((size_t)clef_shape_numel(shape), sizeof(*values), "a batch");
	for (int64_t i = 0; values && !ints && i < clef_shape_numel(shape); i++) {
		state = state * 1664525u + 1013904223u;
		values[i] = (float)(state >> 8) * 0x1p-23f - 1;
	}
	*a = (clef_array){ .dtype = model->opts.dtype, .shape = shape, .data = values };
	return values ? CLEF_OK : CLEF_ERROR_MEMORY;
}

static clef_status step(const subject *m)
{
	clef_status status = clef_tape_begin(m->tape);

	if (!status)
		status = clef_backward(clef_mean(clef_model_forward(m->model, clef_input(m->tape, &m->batch)), NULL));
	return status ? status : clef_finish(m->model->params->dev);
}

static clef_status collect(clef__session *s, const subject *m)
{
	clef_status status;

	clef__session_collect(s, true);
	status = step(m);
	clef__session_collect(s, false);
	return status ? status : s->status;
}

static clef_status timed_step(clef__session *s, const subject *m, bool tuned, double *seconds)
{
	clef_status status;
	double start;

	clef__tuning_use(s->dev, tuned);
	start = clef__seconds();
	status = step(m);
	*seconds = clef__seconds() - start;
	clef__tuning_use(s->dev, true);
	return status;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_size);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Each way once without the clock first, for what has to be compiled. */
static clef_status time_steps(clef__session *s, const subject *m, double seconds)
{
	double took[2][MAX_STEPS], warm, until = clef__seconds() + seconds;
	clef_status status = timed_step(s, m, false, &warm);
	int n = 0;

	if (!status)
		status = timed_step(s, m, true, &warm);
	while (!status && n < MAX_STEPS && (n < MIN_STEPS || clef__seconds() < until) && !clef__session_stopped(s)) {
		clef__session_tell(s, NULL, NULL, CLEF__MAX(until - clef__seconds(), 0));
		for (int i = 0; i < 2 && !status; i++)
			status = timed_step(s, m, i == 1, &took[i][n]);
		n++;
	}
	if (!status && n) {
		s->report.step_before_ms = 1e3 * median(took[0], n);
		s->report.step_after_ms = 1e3 * median(took[1], n);
		s->report.steps = n;
	}
	return status;
}

static clef_status tune(clef__session *s, const subject *m)
{
	int before = -1;
	clef_status status = CLEF_OK;

	s->reserve = STEP_SHARE * s->opts.budget;
	for (int pass = 0; pass < PASSES && !status && s->count > before && !clef__session_stopped(s); pass++) {
		before = s->count;
		status = collect(s, m);
		if (!status)
			status = clef__session_tune(s);
	}
	if (!status && !clef__session_stopped(s) && s->count)
		status = time_steps(s, m, s->opts.budget > 0 ? CLEF__MIN(s->reserve, MOST_STEPS) : MOST_STEPS);
	return status;
}

clef_status clef_tune_model(clef_model *model, int64_t batch, const clef_tune_opts *opts, clef_tune_report *report)
{
	subject m = { .model = model };
	bool training = model && model->training;
	void *begun;
	clef__session s;
	clef_status status = clef__session_begin(&s, "clef_tune_model", model ? model->params->dev : NULL, opts);

	if (status)
		return status;
	begun = clef__device_get_tape(s.dev);
	status = make_batch(model, batch, &m.batch);
	m.tape = status ? NULL : clef_tape_new(s.dev);
	if (!status)
		status = m.tape ? clef_model_train(model, true) : clef_error_status();
	if (!status)
		status = tune(&s, &m);
	model->training = training;
	clef_tape_free(m.tape);
	free((void *)(uintptr_t)m.batch.data);
	clef__device_set_tape(s.dev, begun);
	return clef__session_end(&s, status, report);
}
