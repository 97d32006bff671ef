/* SPDX-License-Identifier: Apache-2.0 */
/* What clef check is to check, and what came of it. */
#ifndef CHECK_PLAN_H
#define CHECK_PLAN_H

#include <stdbool.h>

#include <clef/clef.h>

#include "options.h"

typedef enum check_state {
	CHECK_WAITS,
	CHECK_RUNS,
	CHECK_DONE,    /* there is a result */
	CHECK_CRASHED, /* the driver did, or gave no answer; result.message says so */
} check_state;

typedef struct check_case {
	char problem[256];
	char family[64];
	check_state state;
	int worker; /* of a case that runs */
	clef_check_result result;
} check_case;

typedef struct check_plan {
	check_case *cases;
	int count, capacity;
} check_plan;

/* The library's own problems of all families; all: not the quick ones only. -1, or an exit status after an error that
 * has been reported, here as below. */
int check_plan_library(check_plan *plan, bool all);

/* Those that words name: problems, families, and files of problems as "@FILE", a line each, # for remarks. A word that
 * is no family and begins no problem belongs to the words before it, so that quotes can be left out. */
int check_plan_words(check_plan *plan, const option_words *words, bool all);

void check_plan_free(check_plan *plan);

bool check_failed(const check_case *c);

/* ---- running: check_run.c ---- */

typedef struct check_device {
	bool known;
	char name[128], platform[64], version[128], driver[64];
	const char *kind;
} check_device;

typedef struct check_run_opts {
	const char *device;              /* --device */
	int jobs;                        /* processes at a time */
	double limit;                    /* seconds that a case may take */
	void (*done)(void *user, int i); /* case i has ended */
	void *user;
} check_run_opts;

/* Runs all cases in child processes. A case in which one crashes or goes silent is done with that. */
int check_run(check_plan *plan, const check_run_opts *opts, check_device *device);

#endif
