/* SPDX-License-Identifier: Apache-2.0 */
/* Losses and right answers over many batches, summed up by the device and read when they are to be shown. */
#ifndef SCORER_H
#define SCORER_H

#include <signal.h>

#include <clef/data.h>
#include <clef/nn.h>

#include "train_log.h"
#include "train_report.h"

typedef struct scorer {
	clef_model *model;
	clef_tape *tape;
	clef_tensor *losses, *hits; /* scalars on the device */
} scorer;

clef_status scorer_open(scorer *s, clef_device *dev, clef_model *model);
void scorer_close(scorer *s);

/* Starts with these sums of losses and right answers. */
clef_status scorer_begin(scorer *s, const float sums[2]);

/* Adds a batch, of which these are the means. */
clef_status scorer_add(scorer *s, clef_tensor *loss, clef_tensor *accuracy, int64_t images);

/* The sums, and what they are in the mean over so many images. Waits for the device. */
clef_status scorer_read(const scorer *s, int64_t images, float sums[2], train_score *score);

/* An epoch of the loader without gradients and without a step; ends early when *stop is not 0. The sums start anew.
 * `report`: gets the predictions, or NULL. */
clef_status scorer_evaluate(scorer *s, clef_loader *loader, const volatile sig_atomic_t *stop, train_score *score,
			    train_report *report);

#endif
