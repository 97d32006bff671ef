/* SPDX-License-Identifier: Apache-2.0 */
/* The data sets of clef train, and how their values are normalised. */
#ifndef TRAIN_DATA_H
#define TRAIN_DATA_H

#include <clef/data.h>

#include "train_options.h"

typedef struct train_data {
	clef_dataset *train, *test;
	clef_dataset *validation; /* NULL: nothing was held out */
	float scale;              /* for clef_loader_opts, like */
	float *mean, *std;        /* those of each channel of `train` */
} train_data;

/* Reads and splits what the options ask for. Returns -1, or the exit status after an error that was reported; `data`
 * is for train_data_close() either way. */
int train_data_open(const train_options *o, train_data *data);
void train_data_close(train_data *data);

/* A loader on one of the sets, with the options' batch and seed. */
clef_loader *train_data_loader(const train_data *data, const clef_dataset *set, const train_options *o, bool shuffle);

#endif
