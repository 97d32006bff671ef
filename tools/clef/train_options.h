/* SPDX-License-Identifier: Apache-2.0 */
/* The options of clef train, as plain data: texts are those of the command line, found to be readable. */
#ifndef TRAIN_OPTIONS_H
#define TRAIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum train_optim { TRAIN_ADAM, TRAIN_SGD } train_optim;

typedef struct train_options {
	const char *data;  /* a folder, or "digits" */
	const char *model; /* for clef_layers_parse() */
	const char *init;  /* for clef_init_parse() */
	train_optim optim;
	float lr, momentum, weight_decay;
	bool nesterov;
	int64_t batch, epochs;
	double val_split; /* below 1 a share of the training set, else a number of samples */
	uint64_t seed;
	const char *device; /* for clef_device_open() */
	const char *log;    /* path, or NULL */
	bool print;
} train_options;

/* "adam" or "sgd". */
const char *train_optim_name(train_optim optim);

/* Reads the command line. -1 when it is fine; else the exit status, after the help or an error that was reported. */
int train_options_read(int argc, char **argv, train_options *o);

#endif
