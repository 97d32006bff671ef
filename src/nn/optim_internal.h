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
#define CLEF__PARTS   3  /* the kernels' PARTS: sums of a chunk, or of a piece */

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
	clef_optim_opts opts; /* with defaults filled in; lr is above, weight_decay in the groups */
};

/* ---- averages of weights: optim_average.c ---- */

struct clef_average {
	clef_params *params;
	clef_tensor *values; /* as the set's: float32 [size], zero between parameters */
	float decay;
	bool started, swapped;
};

/* ---- rules by name: optim_options.c ---- */

/* What a constructor knows of its rule. Fields of these names mean the same for all that have them: lr, weight_decay,
 * decoupled, maximize; accumulator, which is what the first state starts with. */
typedef struct clef__optim_type {
	const char *name;     /* in text: "adam" */
	const char *function; /* "clef_adam_new" */
	clef_optim_kind kind;
	size_t size; /* of the options */
	bool decoupled;
	const clef__optim_rule *rule;
	/* In place of rule, where that depends on the options, or where there is more to check than ranges: NULL with
	 * a message then. */
	const clef__optim_rule *(*pick)(const clef_optim_opts *o, const char *function);
	clef__field field[CLEF__FIELDS];
} clef__optim_type;

/* To write the fields of a rule. */
#define CLEF__OPTION(rule, name, RANGE, preset)                                                                        \
	{                                                                                                              \
#name, CLEF__FIELD_OPTION, offsetof(clef_##rule##_opts, name), preset, CLEF__##RANGE                   \
	}
#define CLEF__FLAG(rule, name)                                                                                         \
	{                                                                                                              \
#name, CLEF__FIELD_FLAG, offsetof(clef_##rule##_opts, name)                                            \
	}
#define CLEF__WEIGHT_DECAY(rule, preset) CLEF__OPTION(rule, weight_decay, NON_NEGATIVE, preset)

#define CLEF__OPTIM_TYPE(id, ID, rule_opts)                                                                            \
	.name = #id, .function = "clef_" #id "_new", .kind = CLEF_OPTIM_##ID, .size = sizeof(clef_##rule_opts##_opts)

extern const clef__optim_type clef__sgd, clef__lars, clef__rprop, clef__asgd, clef__lion; /* optim_sgd.c */
extern const clef__optim_type clef__adam, clef__adamw, clef__adamax, clef__nadam, clef__radam,
	clef__lamb;                                                         /* .._adam.c */
extern const clef__optim_type clef__adagrad, clef__adadelta, clef__rmsprop; /* optim_adaptive.c */
extern const clef__optim_type clef__adafactor;                              /* optim_factor.c */

/* The value of a field; 0 if the rule has none of that name. */
float clef__optim_number(const clef__optim_type *type, const clef_optim_opts *o, const char *name);
bool clef__optim_flag(const clef__optim_type *type, const clef_optim_opts *o, const char *name);

/* Puts in the presets of what was left out, then checks all. NULL, with a message, where something is wrong. */
const clef__optim_rule *clef__optim_check(const clef__optim_type *type, clef_optim_opts *o);

/* ---- making one: optim.c ---- */

/* What every constructor does; opts: NULL, or the rule's. */
clef_optim *clef__optim_new(const clef__optim_type *type, clef_params *params, const void *opts);

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

/* ---- Adafactor: optim_factor.c, its steps optim_factor_step.c ---- */

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
