/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimizers from inside. A rule is a row of a table and a function in cl/optim_rules.clh; the constructor of the rule
 * checks its options, and the row's function works out the numbers of a step from them.
 */
#ifndef CLEF_OPTIM_INTERNAL_H
#define CLEF_OPTIM_INTERNAL_H

#include <math.h>

#include "nn_internal.h"

#define CLEF__STATES  3
#define CLEF__NUMBERS 8  /* of a rule */
#define CLEF__BLOCK   32 /* floats: the kernels' BLOCK, and a divisor of where parameters start */

/* A step t = 1, 2, ... of one parameter. */
typedef struct clef__optim_at {
	double lr; /* with the group's factor */
	double weight_decay;
	int64_t t;
} clef__optim_at;

typedef struct clef__optim_rule {
	const char *name;                /* of the function in cl/optim_rules.clh */
	const char *state[CLEF__STATES]; /* names, PyTorch's; NULL behind the last */
	/* What the function takes as k. */
	void (*numbers)(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS]);
	bool own_decay;        /* the rule itself does what weight_decay says */
	const char *direction; /* of a rule with a ratio of norms for each parameter: its other function; else NULL */
	bool factored;         /* of Adafactor, which has kernels of its own */
} clef__optim_rule;

typedef struct clef__optim_group {
	float lr_factor;
	float weight_decay;
	bool frozen;
} clef__optim_group;

/* The running product of NAdam, up to step t. */
typedef struct clef__optim_product {
	int64_t t;
	double value;
} clef__optim_product;

typedef struct clef__factors clef__factors;

struct clef_optim {
	const clef__optim_rule *rule;
	clef_params *params;
	clef_tensor *state[CLEF__STATES]; /* float32 [size] */
	clef__factors *factors;           /* Adafactor's in place of state */
	int64_t *steps;                   /* made so far, of each parameter */
	float lr;
	bool decoupled, maximize;
	clef__optim_group *groups; /* the first is that of parameters that no pattern has matched */
	int group_count, group_capacity;
	int *group; /* of each parameter */

	clef_gradient_opts gradient;
	clef__buffer *control; /* CONTROL_... of cl/optim.clh; NULL unless norms are clipped or gradients checked */
	bool measured;         /* a step has written it */

	clef__buffer *map;    /* ints: the parameter of each block; where chunks start; each parameter's first chunk */
	int blocks, chunks;   /* all of the set's */
	int *first_chunk;     /* of each parameter, and behind the last */
	clef__buffer *sums;   /* of the chunks; NULL until needed */
	clef__buffer *ratios; /* one a parameter; NULL unless the rule has them */
	clef__buffer *table;  /* rows of numbers; NULL until needed */
	float *rows, *last_rows; /* the same on the host: of this step, and as they were written last */
	bool written;

	clef_optim_entry *entries; /* of clef_optim_state_get() */
	int entry_count;

	clef__optim_product product;
	union {
		clef_sgd_opts sgd;
		clef_adagrad_opts adagrad;
		clef_adadelta_opts adadelta;
		clef_rmsprop_opts rmsprop;
		clef_adam_opts adam;
		clef_adamax_opts adamax;
		clef_nadam_opts nadam;
		clef_radam_opts radam;
		clef_rprop_opts rprop;
		clef_asgd_opts asgd;
		clef_lion_opts lion;
		clef_lars_opts lars;
		clef_lamb_opts lamb;
		clef_adafactor_opts adafactor;
	} opts; /* with defaults filled in; lr is above, weight_decay in the groups */
};

/* ---- options ---- */

typedef enum clef__range {
	CLEF__POSITIVE,     /* > 0 */
	CLEF__NON_NEGATIVE, /* >= 0 */
	CLEF__BELOW_ONE,    /* >= 0 and < 1 */
	CLEF__SHARE,        /* >= 0 and <= 1 */
	CLEF__INSIDE,       /* > 0 and < 1 */
	CLEF__ABOVE_ONE,    /* > 1 */
	CLEF__NEGATIVE,     /* <= 0 */
} clef__range;

typedef struct clef__option {
	const char *name;
	float *value;
	float preset;
	clef__range range;
} clef__option;

/* Fails unless the value is in the range, and finite. */
clef_status clef__option_check(const char *function, const char *name, float value, clef__range range);

/* Puts in the presets of what was left out, then checks all. */
clef_status clef__options(const char *function, const clef__option *options, int count);

/* ---- making one: optim.c ---- */

typedef struct clef__optim_start {
	const char *function;
	float lr, weight_decay;
	bool decoupled, maximize;
	float fill; /* what the first state starts with */
} clef__optim_start;

clef_optim *clef__optim_new(clef_params *params, const clef__optim_rule *rule, const clef__optim_start *start);

/* ---- a step: optim_step.c ---- */

/* The parameters of a step: from `first` to the one before `end`, those between that take no part have a row of zeros
 * in the table. */
typedef struct clef__optim_span {
	int first, end;
	bool table; /* else all of them have the numbers below */
	float numbers[2 * CLEF__NUMBERS];
	const char *defines;
} clef__optim_span;

/* The end of the list of arguments that a kernel takes as NUMBERS; map starts at `block`. Returns the next argument. */
clef__arg *clef__optim_numbers(const clef_optim *optim, const clef__optim_span *span, int64_t block, clef__arg *arg);

/* ---- norms: optim_norm.c ---- */

/* The work-group of a kernel that sums up what chunks have: a power of 2. */
size_t clef__optim_finish_size(const clef_optim *optim);

/* Writes control from the gradients of the span. */
clef_status clef__optim_measure_gradient(clef_optim *optim, const clef__optim_span *span);

/* Writes the ratio of each parameter of the span. */
clef_status clef__optim_measure_ratio(clef_optim *optim, const clef__optim_span *span);

/* ---- Adafactor: optim_factor.c ---- */

clef_status clef__factors_new(clef_optim *optim);
void clef__factors_free(clef__factors *factors);
clef_status clef__factors_update(clef_optim *optim, const clef__optim_span *span);

/* The part of the statistics that belongs to parameter i: which = 0 its row_var or variance, 1 its col_var. False where
 * it has none. */
bool clef__factors_part(const clef_optim *optim, int i, int which, const char **name, clef_shape *shape,
			clef__buffer **buffer, size_t *offset);

/* ---- state: optim_state.c ---- */

void clef__optim_entries_free(clef_optim *optim);

#endif
