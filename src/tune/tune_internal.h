/* SPDX-License-Identifier: Apache-2.0 */
/* A tuning in progress: the problems that occur, and the time that it may take. */
#ifndef CLEF_TUNE_INTERNAL_H
#define CLEF_TUNE_INTERNAL_H

#include <clef/tune.h>

#include "tuning.h"

typedef struct clef__session {
	clef_device *dev;
	clef_tune_opts opts;
	clef_tune_report report;
	double start, reserve; /* when it began; seconds to be left for other things */
	char **problem;        /* in the order of their occurrence, and of who chooses */
	int count, capacity;
	int done;
	clef_status status; /* of collecting */
} clef__session;

clef_status clef__session_begin(clef__session *s, const char *function, clef_device *dev, const clef_tune_opts *opts);

/* From now on problems that occur are added to the list, each once; or no longer. */
void clef__session_collect(clef__session *s, bool collect);

/* Tunes those that are not done yet. */
clef_status clef__session_tune(clef__session *s);

bool clef__session_stopped(clef__session *s);

/* Tells what is going on. `problem` NULL: steps are timed; they take so many seconds more. */
void clef__session_tell(clef__session *s, const char *problem, const clef_tune_result *result, double more);

/* Counts what the list has come to, hands out the report and frees the list. Returns the status. */
clef_status clef__session_end(clef__session *s, clef_status status, clef_tune_report *report);

#endif
