/* SPDX-License-Identifier: Apache-2.0 */
/* The options of clef train, as plain data: texts are those of the command line, found to be readable. */
#ifndef TRAIN_OPTIONS_H
#define TRAIN_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include <clef/checkpoint.h>

#define TRAIN_TEXT 512

typedef struct train_options {
	const char *data;    /* a folder, or "digits" */
	const char *model;   /* for clef_model_parse() */
	const char *init;    /* for clef_init_parse() */
	const char *weights; /* of a safetensors file, instead of those; or NULL */
	const char *optim;   /* for clef_optim_parse(), and what other options add to it; NAN: not given */
	float lr, momentum, weight_decay, beta1, beta2, eps, alpha;
	bool nesterov;
	const char *schedule;             /* for clef_schedule_parse(), and what --warmup adds to it; or NULL */
	int64_t warmup;                   /* -1: not given */
	float clip_norm, clip_value, ema; /* 0: none */
	int64_t batch, accumulate, epochs;
	double val_split;    /* below 1 a share of the training set, else a number of samples */
	const char *augment; /* for clef_augment_parse(), or NULL */
	uint64_t seed;
	const char *device; /* for clef_device_open() */
	const char *log;    /* path, or NULL */
	const char *plot;   /* the same */
	int64_t early_stop; /* epochs without a better loss; 0: never */
	int64_t watch;      /* steps from table to table; 0: none, -1: one an epoch */
	bool stop_nan;
	bool print;
	const char *checkpoint; /* path, or NULL */
	int64_t every;          /* steps; 0: at the end of each epoch */
	bool resume, eval_only;
	clef_safetensors *file;      /* of a run to resume: its checkpoint, or NULL if there is none yet */
	json_t *given;               /* options that make the run, name: text, as they were given or are in the file */
	json_t *stored;              /* what the file says of its run; texts above may be in there */
	char optim_text[TRAIN_TEXT]; /* all of the optimizer: "sgd(lr=0.1, momentum=0.9)" */
	char schedule_text[TRAIN_TEXT]; /* all of the schedule, or "" */
} train_options;

/* Reads the command line. -1 when it is fine; else the exit status, after the help or an error that was reported. */
int train_options_read(int argc, char **argv, train_options *o);

/* The options of the run that a checkpoint is of, in place of a command line. The same results. */
int train_options_restore(clef_safetensors *file, const char *path, train_options *o);

/* An empty command line. */
void train_options_default(train_options *o);

void train_options_free(train_options *o);

#endif
