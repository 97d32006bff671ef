/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of clef train. The library's schedules count steps, and whoever writes a command line thinks in epochs, so
 * all numbers of --schedule but its warm-up are multiplied with the steps of an epoch here; what is smooth then changes
 * from step to step. A loss of several batches is the mean of theirs, so that the rate means the same with any number
 * of them; where an epoch does not fill its last step, that is the mean of those there are.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include <clef/clef.h>

#include "tool.h"
#include "train_optim.h"

/* ---- opening ---- */

/* -1, or an exit status. */
static int open_schedule(train_optim *t, const train_options *o, int64_t steps)
{
	clef_schedule_opts opts;
	int64_t total = steps * o->epochs;
	clef_status s = clef_schedule_parse(o->schedule_text, &opts);
	bool lasts = opts.kind == CLEF_SCHEDULE_COSINE || opts.kind == CLEF_SCHEDULE_RESTARTS ||
		     opts.kind == CLEF_SCHEDULE_ONE_CYCLE || opts.kind == CLEF_SCHEDULE_LINEAR ||
		     opts.kind == CLEF_SCHEDULE_POLYNOMIAL;

	if (s) {
		complain("--schedule \"%s\": %s", o->schedule_text, reason());
		return EXIT_MISUSED;
	}
	if (opts.warmup && opts.warmup >= total && o->epochs) {
		complain("--schedule \"%s\": a warm-up of %" PRId64 " steps leaves none of the %" PRId64 " of the run",
			 o->schedule_text, opts.warmup, total);
		free((void *)opts.at);
		return EXIT_MISUSED;
	}
	opts.every *= steps;
	opts.steps *= steps;
	if (lasts && !opts.steps)
		opts.steps = total > opts.warmup ? total - opts.warmup : 1;
	for (int i = 0; i < opts.at_count; i++)
		((int64_t *)opts.at)[i] *= steps;
	if (opts.kind == CLEF_SCHEDULE_EXPONENTIAL)
		opts.factor = pow(opts.factor != 0.0 ? opts.factor : 0.1, 1.0 / (double)steps);
	t->reports = opts.kind == CLEF_SCHEDULE_PLATEAU;
	t->schedule = clef_schedule_new(t->optim, &opts);
	free((void *)opts.at);
	if (t->schedule)
		return -1;
	complain("--schedule \"%s\": %s", o->schedule_text, reason());
	return EXIT_FAILED;
}

static clef_status open_rest(train_optim *t, const train_options *o, clef_params *params)
{
	t->accumulate = o->accumulate;
	t->gradients = (clef_gradient_opts){ .scale = 1.0f / (float)o->accumulate,
					     .clip_value = o->clip_value,
					     .clip_norm = o->clip_norm };
	t->gradients_set = o->accumulate > 1 || o->clip_value > 0 || o->clip_norm > 0;
	if (o->ema > 0) {
		t->average = clef_average_new(params, o->ema);
		if (!t->average)
			return clef_error_status();
	}
	return t->gradients_set ? clef_optim_gradients(t->optim, &t->gradients) : CLEF_OK;
}

int train_optim_open(train_optim *t, const train_options *o, clef_model *model, int64_t images)
{
	clef_params *params = clef_model_params(model);
	int64_t batches = (images + o->batch - 1) / o->batch, steps = (batches + o->accumulate - 1) / o->accumulate;
	clef_optim_opts opts;
	clef_status s = clef_optim_parse(o->optim_text, &opts);

	*t = (train_optim){ .optim = s ? NULL : clef_optim_new(params, &opts) };
	if (t->optim && !open_rest(t, o, params)) {
		t->lr = clef_optim_get_lr(t->optim);
		return *o->schedule_text ? open_schedule(t, o, steps > 1 ? steps : 1) : -1;
	}
	complain("--optim \"%s\": %s", o->optim_text, reason());
	return EXIT_FAILED;
}

void train_optim_close(train_optim *t)
{
	clef_schedule_free(t->schedule);
	clef_average_free(t->average);
	clef_optim_free(t->optim);
	*t = (train_optim){ .optim = NULL };
}

/* ---- steps ---- */

static clef_status step(train_optim *t)
{
	clef_status s = clef_optim_step(t->optim);

	t->gathered = 0;
	if (!s && t->average)
		s = clef_average_update(t->average);
	return !s && t->schedule ? clef_schedule_step(t->schedule) : s;
}

clef_status train_optim_add(train_optim *t, clef_tensor *loss)
{
	clef_status s = t->gathered ? clef_backward_add(loss) : clef_backward(loss);

	if (s || ++t->gathered < t->accumulate)
		return s;
	return step(t);
}

clef_status train_optim_flush(train_optim *t)
{
	clef_gradient_opts fewer = t->gradients;
	clef_status s;

	if (!t->gathered)
		return CLEF_OK;
	fewer.scale = 1.0f / (float)t->gathered;
	s = clef_optim_gradients(t->optim, &fewer);
	if (!s)
		s = step(t);
	return s ? s : clef_optim_gradients(t->optim, &t->gradients);
}

clef_status train_optim_report(train_optim *t, double loss)
{
	return t->reports ? clef_schedule_report(t->schedule, loss) : CLEF_OK;
}

clef_status train_optim_swap(train_optim *t)
{
	return clef_average_ready(t->average) ? clef_average_swap(t->average) : CLEF_OK;
}
