/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers give while clef train works: tables of it, and the layer where NaN comes from. */
#ifndef TRAIN_WATCH_H
#define TRAIN_WATCH_H

#include <clef/nn.h>

#include "progress.h"

/* --watch without a number. */
#define TRAIN_WATCH_EPOCHS (-1)

typedef struct train_watch {
	clef_model *model;
	progress *progress;
	int64_t every; /* steps from table to table, TRAIN_WATCH_EPOCHS, or 0: none */
	bool stop_nan;
	int64_t epoch, step; /* from 1; steps are those of the whole run */
	bool table;          /* is the current step one of those with a table? */
	bool found;          /* NaN, and that is to end the run: `layer` and so on tell of it */
	char layer[300];     /* "fc2 (linear)" */
	char input[300];     /* the layer in front of it, which has none, or "" */
	int64_t nans, numel, input_infs;
} train_watch;

/* For the parser of options: "" or a number of steps. */
bool train_watch_parse(const char *text, void *field);

void train_watch_start(train_watch *w, clef_model *model, progress *p, int64_t every, bool stop_nan);

/* Around a step of training: the first turns the watch on where the step is one to look at. */
void train_watch_step(train_watch *w, int64_t epoch);
void train_watch_step_end(train_watch *w);

/* Says which layer gave NaN first. */
void train_watch_complain(const train_watch *w);

#endif
