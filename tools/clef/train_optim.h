/* SPDX-License-Identifier: Apache-2.0 */
/* How clef train steps: the optimizer with its schedule, clipping, accumulation and averages of the weights. */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H

#include <clef/schedule.h>

#include "train_options.h"

typedef struct train_optim {
	clef_optim *optim;
	clef_schedule *schedule;      /* NULL: the rate stays */
	clef_average *average;        /* NULL: none */
	clef_gradient_opts gradients; /* of a step */
	bool gradients_set;           /* they are not the optimizer's defaults */
	bool reports;                 /* the schedule goes by the loss */
	int64_t accumulate, gathered; /* batches in a step, and in the current one so far */
	float lr;                     /* before any schedule */
} train_optim;

/* For a training set of so many images. -1, or an exit status after an error that was reported. */
int train_optim_open(train_optim *t, const train_options *o, clef_model *model, int64_t images);
void train_optim_close(train_optim *t);

/* The gradients of a batch, and a step if the batch is the last of its step. */
clef_status train_optim_add(train_optim *t, clef_tensor *loss);

/* At the end of an epoch: a step with the batches that were left, then what its loss means for the rate. */
clef_status train_optim_flush(train_optim *t);
clef_status train_optim_report(train_optim *t, double loss);

/* Exchanges the weights and their averages, if there are any: before and after an evaluation. */
clef_status train_optim_swap(train_optim *t);

#endif
