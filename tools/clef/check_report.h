/* SPDX-License-Identifier: Apache-2.0 */
/* What clef check prints. */
#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

#include "check_plan.h"

typedef struct check_counts {
	int passed, failed, skipped;
} check_counts;

check_counts check_count(const check_plan *plan);

/* The head of the table, and a line for the family whose cases begin at `first`; returns where the next one's do. */
void check_print_head(void);
int check_print_family(const check_plan *plan, int first);

/* Every case that failed, with the command that repeats it; then the sum. */
void check_print_failures(const check_plan *plan, const char *device);
void check_print_sum(const check_plan *plan);

/* The whole as JSON to standard output. An exit status. */
int check_print_json(const check_plan *plan, const check_device *device, bool full);

#endif
