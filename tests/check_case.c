/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_case.h"
#include "check_clef.h"

/* A test's cases may run in processes of their own, so each opens the file anew. */
static void report(const char *problem, const clef_check_result *r)
{
	const char *path = getenv("CLEF_TEST_REPORT");
	FILE *file = path && *path ? fopen(path, "a") : NULL;

	if (!file) {
		ck_assert_msg(!path || !*path, "CLEF_TEST_REPORT: %s cannot be written", path);
		return;
	}
	fprintf(file, "%s\t%.2e\t", problem, r->value_error);
	if (isnan(r->gradient_limit))
		fputs("-\n", file);
	else
		fprintf(file, "%.2e\n", r->gradient_error);
	fclose(file);
}

bool check_problem_or_skip(const char *problem)
{
	clef_check_result r;

	ck_ok(clef_check(test_device, problem, &r));
	ck_assert_msg(r.verdict != CLEF_VERDICT_FAILED, "%s: %s", problem, r.message);
	if (r.verdict == CLEF_VERDICT_PASSED)
		report(problem, &r);
	return r.verdict == CLEF_VERDICT_PASSED;
}

void check_problem(const char *problem)
{
	ck_assert_msg(check_problem_or_skip(problem), "%s: %s", problem, clef_error());
}

void check_family(const clef__family *family)
{
	int count = test_small() ? family->quick : family->count;

	for (int i = 0; i < count; i++)
		check_problem(family->problems[i]);
}
