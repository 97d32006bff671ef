/* SPDX-License-Identifier: Apache-2.0 */
/* The learning curve of --plot. */
#ifndef TRAIN_PLOT_H
#define TRAIN_PLOT_H

#include "train_log.h"

typedef struct train_plot_epoch {
	int64_t epoch;
	train_score train, validation; /* images 0: there is none */
} train_plot_epoch;

typedef struct train_plot {
	const char *path; /* NULL: none is wanted */
	const char *title;
	train_plot_epoch *epochs;
	int count, capacity;
} train_plot;

/* Adds an epoch, validation NULL or not, and writes the picture anew, so that it can be watched. Returns -1, or the
 * exit status after an error that was reported. */
int train_plot_add(train_plot *plot, int64_t epoch, train_score train, const train_score *validation);

void train_plot_close(train_plot *plot);

#endif
