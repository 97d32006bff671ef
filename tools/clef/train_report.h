/* SPDX-License-Identifier: Apache-2.0 */
/* What clef train has to say of its result: which classes it tells apart, and whether it still gets better. */
#ifndef TRAIN_REPORT_H
#define TRAIN_REPORT_H

#include <stdint.h>

#include <clef/data.h>
#include <clef/tensor.h>

/* How often each class was taken for which. */
typedef struct train_report {
	int classes;
	int64_t *counts; /* [true class][prediction] */
} train_report;

/* False, with a message, without memory. */
bool train_report_open(train_report *report, int classes);
void train_report_close(train_report *report);

/* Adds a batch; waits for the device. */
clef_status train_report_add(train_report *report, const clef_tensor *logits, const clef_batch *batch);

/* Prints the accuracy of each class and the matrix, or, where that would be too wide, what is confused most often. The
 * set has the names. */
void train_report_print(const train_report *report, const clef_dataset *set);

/* ---- --early-stop ---- */

/* The best epoch so far. {0} before the first. */
typedef struct train_best {
	int64_t epoch; /* from 1; 0: none */
	double loss;
} train_best;

/* Takes an epoch in. True when `patience` epochs, 1 or more, have brought nothing better; never when it is 0. */
bool train_best_add(train_best *best, int64_t epoch, double loss, int64_t patience);

/* The same of the epochs there have been. */
bool train_best_is_past(const train_best *best, int64_t epochs, int64_t patience);

#endif
