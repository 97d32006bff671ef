/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --watch and --stop-nan. A table is about the forward pass of one step; looking makes the program wait for the device,
 * so the watch is off in all other steps. To find NaN it has to look at all of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <clef/clef.h>

#include "options.h"
#include "tool.h"
#include "train_watch.h"

bool train_watch_parse(const char *text, void *field)
{
	if (*text)
		return option_count(text, field);
	*(int64_t *)field = TRAIN_WATCH_EPOCHS;
	return true;
}

void train_watch_start(train_watch *w, clef_model *model, progress *p, int64_t every, bool stop_nan)
{
	*w = (train_watch){ .model = model, .progress = p, .every = every, .stop_nan = stop_nan };
}

static void write_name(const clef_watch *row, char *text, size_t size)
{
	if (strcmp(row->name, row->op) != 0)
		snprintf(text, size, "%s (%s)", row->name, row->op);
	else
		snprintf(text, size, "%s", row->name);
}

static void print_table(const train_watch *w, const clef_watch *rows, int count)
{
	char name[300], shape[160];
	int width = (int)strlen("layer"), shape_width = (int)strlen("output");

	for (int i = 0; i < count; i++) {
		int length;

		write_name(&rows[i], name, sizeof(name));
		length = (int)strlen(name);
		width = length > width ? length : width;
		length = (int)strlen(clef_shape_text(rows[i].shape, shape, sizeof(shape)));
		shape_width = length > shape_width ? length : shape_width;
	}
	progress_clear(w->progress);
	printf("step %" PRId64 ", in epoch %" PRId64 ":\n", w->step, w->epoch);
	printf("  %-*s  %-*s  %10s  %10s  %10s  %10s  %7s  %6s  %6s\n", width, "layer", shape_width, "output", "mean",
	       "std", "min", "max", "zeros", "NaN", "inf");
	for (int i = 0; i < count; i++) {
		const clef_watch *row = &rows[i];

		write_name(row, name, sizeof(name));
		printf("  %-*s  %-*s  %10.4g  %10.4g  %10.4g  %10.4g  %5.1f %%  %6" PRId64 "  %6" PRId64 "\n", width,
		       name, shape_width, clef_shape_text(row->shape, shape, sizeof(shape)), (double)row->mean,
		       (double)row->std, (double)row->min, (double)row->max, 100 * (double)row->zeros, row->nans,
		       row->infs);
	}
	fflush(stdout);
}

static void find_nan(train_watch *w, const clef_watch *rows, int count)
{
	for (int i = 0; i < count && !w->found; i++) {
		if (rows[i].nans == 0)
			continue;
		w->found = true;
		w->nans = rows[i].nans;
		w->numel = rows[i].numel;
		write_name(&rows[i], w->layer, sizeof(w->layer));
		if (!i)
			continue;
		write_name(&rows[i - 1], w->input, sizeof(w->input));
		w->input_infs = rows[i - 1].infs;
	}
}

static void look(void *user, const clef_watch *rows, int count)
{
	train_watch *w = user;

	if (w->table)
		print_table(w, rows, count);
	if (w->stop_nan)
		find_nan(w, rows, count);
}

void train_watch_step(train_watch *w, int64_t epoch)
{
	const bool first = epoch != w->epoch;

	w->epoch = epoch;
	w->step++;
	w->table = w->every == TRAIN_WATCH_EPOCHS ? first : w->every && (w->step - 1) % w->every == 0;
	if (w->table || w->stop_nan)
		clef_model_watch(w->model, look, w);
}

void train_watch_step_end(train_watch *w)
{
	clef_model_watch(w->model, NULL, NULL);
}

void train_watch_complain(const train_watch *w)
{
	char before[400] = "";

	if (*w->input && w->input_infs)
		snprintf(before, sizeof(before), "; layer %s in front of it gave %" PRId64 " that are infinite",
			 w->input, w->input_infs);
	else if (*w->input)
		snprintf(before, sizeof(before), "; layer %s in front of it gave none", w->input);
	complain("layer %s gave NaN in step %" PRId64 ", in epoch %" PRId64 ": %" PRId64 " of its %" PRId64 " values%s",
		 w->layer, w->step, w->epoch, w->nans, w->numel, before);
}
