/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learning rates that change (torch.optim.lr_scheduler). A schedule sets the rate of an optimizer as a function of how
 * often clef_schedule_step() was called, after each step or after each epoch, as its fields mean it:
 *
 *   schedule = clef_schedule_new(optim, &(clef_schedule_opts){ .kind = CLEF_SCHEDULE_COSINE, .steps = 10000,
 *                                                              .warmup = 500 });
 *   ...
 *   clef_optim_step(optim);
 *   clef_schedule_step(schedule);
 *
 * The base rate is the optimizer's when the schedule is made, and the schedule sets it to that of step 0 at once.
 * Groups follow by their factors.
 */
#ifndef CLEF_SCHEDULE_H
#define CLEF_SCHEDULE_H

#include <clef/optim.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In the formulas t = 0, 1, ... counts the steps behind the warm-up and b is the base rate. In brackets what may be
 * left out. */
typedef enum clef_schedule_kind {
	CLEF_SCHEDULE_CONSTANT,    /* [factor steps]: factor b while t < steps, then b; ConstantLR */
	CLEF_SCHEDULE_STEP,        /* every [factor]: b factor^(t / every, rounded down); StepLR */
	CLEF_SCHEDULE_MULTISTEP,   /* at at_count [factor]: factor for each of them that t has reached; MultiStepLR */
	CLEF_SCHEDULE_EXPONENTIAL, /* factor: b factor^t; ExponentialLR */
	CLEF_SCHEDULE_COSINE,      /* steps [end_lr]: from b to end_lr by half a cosine, then end_lr. CosineAnnealingLR,
				    * which rises again behind its end */
	CLEF_SCHEDULE_RESTARTS, /* steps [multiple end_lr]: the same over and over, every time `multiple` times as long;
				 * CosineAnnealingWarmRestarts */
	CLEF_SCHEDULE_ONE_CYCLE, /* steps [start div_factor final_div_factor linear three_phase]: from b / div_factor up
				  * to b for the share `start` of the steps, then down to b / div_factor /
				  * final_div_factor; three_phase: down to b / div_factor as long as up, first.
				  * OneCycleLR with cycle_momentum False */
	CLEF_SCHEDULE_LINEAR,    /* steps [start_factor end_factor]: from start_factor b to end_factor b; LinearLR */
	CLEF_SCHEDULE_POLYNOMIAL, /* steps [power]: b (1 - t / steps)^power; PolynomialLR */
	CLEF_SCHEDULE_PLATEAU,    /* [factor patience threshold cooldown end_lr eps absolute maximum]: times factor when
				   * clef_schedule_report() has seen no better value more than patience times;
				   * ReduceLROnPlateau */
	CLEF_SCHEDULE_FUNCTION,   /* function [user]: b function(t, user); LambdaLR */
	CLEF_SCHEDULE_KINDS       /* the number of kinds */
} clef_schedule_kind;

/* What is 0 has its default; -0.0 is a zero that is meant. */
typedef struct clef_schedule_opts {
	clef_schedule_kind kind;
	int64_t warmup;          /* any kind but ONE_CYCLE: so many steps first, in a straight line from warmup_factor b
				  * to b; SequentialLR of LinearLR and the kind's */
	double warmup_factor;    /* 0 <= it <= 1; default 1 / (warmup + 1), so that no step is at 0 */
	int64_t steps;           /* >= 1 */
	int64_t every;           /* >= 1 */
	const int64_t *at;       /* rising; copied */
	int at_count;            /* >= 1 */
	double factor;           /* > 0; default 0.1, CONSTANT: 1 */
	double end_lr;           /* >= 0; default 0 */
	int64_t multiple;        /* >= 1; default 1 */
	double start;            /* 0 < start < 1; default 0.3 */
	double div_factor;       /* > 0; default 25 */
	double final_div_factor; /* > 0; default 1e4 */
	double start_factor;     /* 0 < it <= 1; default 1/3 */
	double end_factor;       /* 0 <= it <= 1; default 1 */
	double power;            /* > 0; default 1 */
	int64_t patience;        /* >= 0; default 10; -1: none */
	int64_t cooldown;        /* >= 0 */
	double threshold;        /* >= 0; default 1e-4 */
	double eps;              /* >= 0; default 1e-8: smaller changes are not made */
	bool linear, three_phase, absolute, maximum;
	double (*function)(int64_t t, void *user); /* >= 0 and finite */
	void *user;
} clef_schedule_opts;

typedef struct clef_schedule clef_schedule;

/* A schedule for an optimizer, which must live as long. A field that the kind does not take, or one that is out of
 * range, is ERROR_INVALID, and the message names it. Free it with clef_schedule_free(). */
CLEF_API clef_schedule *clef_schedule_new(clef_optim *optim, const clef_schedule_opts *opts);
CLEF_API void clef_schedule_free(clef_schedule *schedule);

/* "constant", "step", "multistep", "exponential", "cosine", "restarts", "one_cycle", "linear", "polynomial", "plateau",
 * "function"; "schedule?" for a value that is none. */
CLEF_API const char *clef_schedule_name(clef_schedule_kind kind);

/*
 * Reads "cosine(5000)", "step(30, 0.1, warmup=5)", "multistep(30, 60, factor=0.2)" or "plateau(patience=3)": a name
 * and, in brackets, fields of that kind; numbers without a name are the kind's in the order of its row above, and a
 * flag is its name alone. What a cosine, restarts, one_cycle, linear or polynomial leaves out of `steps` is the
 * caller's to fill in, and 0. The list `at` is allocated; free() it. ERROR_INVALID, with the place in the text or the
 * range, for what is no such text or no such schedule; a function cannot be written.
 */
CLEF_API clef_status clef_schedule_parse(const char *text, clef_schedule_opts *opts);

/* Goes one step on and sets the optimizer's rate. A PLATEAU counts its warm-up with this, and else does nothing here.
 */
CLEF_API clef_status clef_schedule_step(clef_schedule *schedule);

/* Tells a PLATEAU the value that is to get smaller (or larger: maximum), once an epoch; ERROR_STATE for other kinds. */
CLEF_API clef_status clef_schedule_report(clef_schedule *schedule, double value);

/* Where a schedule stands, for checkpoints: numbers to be kept and given back. set also sets the optimizer's rate. */
typedef struct clef_schedule_state {
	int64_t step;
	double best, reduced; /* of PLATEAU: the best value so far, and what the rate has become */
	int64_t bad, cooldown;
} clef_schedule_state;

CLEF_API clef_schedule_state clef_schedule_get(const clef_schedule *schedule);
CLEF_API clef_status clef_schedule_set(clef_schedule *schedule, const clef_schedule_state *state);

#ifdef __cplusplus
}
#endif

#endif
