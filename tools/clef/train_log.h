/* SPDX-License-Identifier: Apache-2.0 */
/* The file of --log: one JSON object a line, each written out at once. `clef train --help` documents the lines. */
#ifndef TRAIN_LOG_H
#define TRAIN_LOG_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include <clef/device.h>

#include "train_data.h"
#include "train_options.h"

/* The means over some images. */
typedef struct train_score {
	double loss, accuracy;
	int64_t images;
} train_score;

typedef struct train_log {
	FILE *file; /* NULL: none is wanted */
	const char *path;
} train_log;

/* The options of a run, as the log and checkpoints have them; lr is the rate before any schedule. */
json_t *train_log_options(const train_options *o, float lr);

/* All return -1, or the exit status after an error that was reported. With `append` what is in the file stays. */
int train_log_open(train_log *log, const char *path, bool append);
int train_log_start(train_log *log, const train_options *o, const train_data *data, const clef_device_info *device,
		    int64_t parameters, float lr);
int train_log_epoch(train_log *log, int64_t epoch, train_score train, const train_score *validation, double seconds,
		    float lr);

/* test: NULL unless status is "done". */
int train_log_end(train_log *log, const char *status, const train_score *test, double seconds, uint64_t weights);

void train_log_close(train_log *log);

#endif
