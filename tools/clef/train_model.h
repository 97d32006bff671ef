/* SPDX-License-Identifier: Apache-2.0 */
/* The model that the options of clef train describe. */
#ifndef TRAIN_MODEL_H
#define TRAIN_MODEL_H

#include <clef/nn.h>

#include "train_data.h"
#include "train_options.h"

/* A model for the data. Returns -1, or the exit status after an error that was reported. */
int train_model_open(const train_options *o, const train_data *data, clef_device *dev, clef_model **model);

/* FNV-1a, 64 bits, of all weights: runs that agree in it agree in every bit. */
clef_status train_model_hash(clef_model *model, uint64_t *hash);

#endif
