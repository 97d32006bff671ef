/* SPDX-License-Identifier: Apache-2.0 */
/* What clef tune shows: lines as results come in, or one JSON object at the end. */
#ifndef TUNE_REPORT_H
#define TUNE_REPORT_H

#include <jansson.h>

#include <clef/tune.h>

#include "progress.h"

typedef struct tune_report {
	bool json;
	clef_device *dev;
	progress bar;
	json_t *results; /* with json */
	bool begun;      /* something was shown */
	bool broken;     /* one of them could not be made */
} tune_report;

/* From here on warnings of the library are shown. */
void tune_report_open(tune_report *r);

/* For clef_tune_opts, with the report as user data. */
void tune_report_progress(void *report, const clef_tune_progress *p);

/* Writes the end; an exit status. */
int tune_report_close(tune_report *r, const clef_tune_report *report);
void tune_report_free(tune_report *r);

/* clef tune --list; an exit status. */
int tune_report_list(const tune_report *r);

#endif
