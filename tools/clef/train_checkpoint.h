/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpoints of clef train: the library's, with the sums of an epoch and the options of the run beside its parts.
 */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include <jansson.h>

#include <clef/checkpoint.h>

#include "train_data.h"
#include "train_options.h"
#include "train_plot.h"
#include "train_report.h"

/* ---- a run to go on with ---- */

/* Opens the file of --checkpoint, or the one before it where that is damaged or not there. *file is NULL where there is
 * neither, which is an error if `must`. -1, or an exit status after an error that was reported. */
int train_checkpoint_open(const char *path, bool must, clef_safetensors **file);

/* { "given": { name: text }, "options": as in the log } of the run; NULL after an error that was reported. */
json_t *train_checkpoint_options(const clef_safetensors *file, const char *path);

/* Whether the options are those of the run that they go on with. -1, or an exit status. */
int train_checkpoint_compare(const train_options *o);

/* Puts in how the images of the run were normalised. -1, or an exit status after an error that was reported. */
int train_checkpoint_normal(const clef_safetensors *file, const char *path, train_data *data);

/* ---- saving ---- */

typedef struct train_checkpoint {
	const train_options *options;
	const train_data *data;
	clef_checkpoint parts;
	int64_t steps; /* since the last one that was written */
	bool failed;   /* the last one could not be written, which was reported */
	float sums[2]; /* of losses and right answers in the epoch, over so many images: */
	int64_t images;
	train_best best;
	train_plot *plot;
} train_checkpoint;

/* For a run that begins: there must be no file yet. -1, or an exit status after an error that was reported. */
int train_checkpoint_begin(const train_checkpoint *c);

/* After a step: is it time? */
bool train_checkpoint_due(train_checkpoint *c);

/* Writes the file, if one is wanted. */
void train_checkpoint_save(train_checkpoint *c);

/* Gives the parts what is in options->file, and the rest to c. -1, or an exit status after an error that was reported.
 */
int train_checkpoint_load(train_checkpoint *c);

#endif
