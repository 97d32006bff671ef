/* SPDX-License-Identifier: Apache-2.0 */
/* Results of clef check as a table, a line a family, and as JSON. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "check_report.h"
#include "tool.h"

static const char *verdict_name(const check_case *c)
{
	if (c->state == CHECK_CRASHED)
		return "crashed";
	if (c->state != CHECK_DONE)
		return "not run";
	return c->result.verdict == CLEF_VERDICT_PASSED   ? "passed"
	       : c->result.verdict == CLEF_VERDICT_FAILED ? "failed"
							  : "skipped";
}

check_counts check_count(const check_plan *plan)
{
	check_counts n = { 0, 0, 0 };

	for (int i = 0; i < plan->count; i++) {
		const check_case *c = &plan->cases[i];

		n.failed += check_failed(c);
		n.skipped += c->state == CHECK_DONE && c->result.verdict == CLEF_VERDICT_SKIPPED;
		n.passed += c->state == CHECK_DONE && c->result.verdict == CLEF_VERDICT_PASSED;
	}
	return n;
}

/* ---- a table ---- */

void check_print_head(void)
{
	printf("%-24s %5s  %-17s  %-17s %7s\n", "", "cases", "error of values", "of gradients", "seconds");
}

/* "1.2e-07 of 2e-06": the case that came nearest to its limit. */
static void error_text(double error, double limit, char text[32])
{
	if (isnan(limit))
		snprintf(text, 32, "-");
	else if (limit == 0)
		snprintf(text, 32, error == 0 ? "exact" : "%.1e of 0", error);
	else
		snprintf(text, 32, "%.1e of %.0e", error, limit);
}

static double nearness(double error, double limit)
{
	if (isnan(limit))
		return -1;
	return limit > 0 ? error / limit : error > 0 ? INFINITY : 0;
}

/* What cases have to say that passed: hashes, for instance. */
static void print_notes(const check_plan *plan, int first, int end)
{
	for (int i = first; i < end; i++) {
		const check_case *c = &plan->cases[i];

		if (c->state == CHECK_DONE && c->result.verdict != CLEF_VERDICT_FAILED && *c->result.message)
			printf("    %s: %s\n", c->problem + strlen(c->family) + 1, c->result.message);
	}
}

int check_print_family(const check_plan *plan, int first)
{
	const char *family = plan->cases[first].family;
	const clef_check_result *value = &plan->cases[first].result, *gradient = value;
	int i = first, failed = 0, skipped = 0;
	double time = 0;
	char values[32], gradients[32];

	for (; i < plan->count && !strcmp(plan->cases[i].family, family); i++) {
		const clef_check_result *r = &plan->cases[i].result;

		failed += check_failed(&plan->cases[i]);
		skipped += r->verdict == CLEF_VERDICT_SKIPPED;
		time += r->seconds;
		if (nearness(r->value_error, r->value_limit) > nearness(value->value_error, value->value_limit))
			value = r;
		if (nearness(r->gradient_error, r->gradient_limit) >
		    nearness(gradient->gradient_error, gradient->gradient_limit))
			gradient = r;
	}
	error_text(value->value_error, value->value_limit, values);
	error_text(gradient->gradient_error, gradient->gradient_limit, gradients);
	printf("%-24s %5d  %-17s  %-17s %7.2f  ", family, i - first, values, gradients, time);
	if (failed)
		printf("%d FAILED\n", failed);
	else if (skipped)
		printf("%d skipped\n", skipped);
	else
		printf("ok\n");
	print_notes(plan, first, i);
	return i;
}

void check_print_failures(const check_plan *plan, const char *device)
{
	for (int i = 0; i < plan->count; i++) {
		const check_case *c = &plan->cases[i];

		if (!check_failed(c))
			continue;
		printf("\nFAILED  %s\n        %s\n        again: clef check%s%s%s \"%s\"\n", c->problem,
		       c->result.message, device ? " --device \"" : "", device ? device : "", device ? "\"" : "",
		       c->problem);
	}
}

void check_print_sum(const check_plan *plan)
{
	check_counts n = check_count(plan);

	if (n.skipped)
		printf("%d passed, %d failed, %d skipped\n", n.passed, n.failed, n.skipped);
	else
		printf("%d passed, %d failed\n", n.passed, n.failed);
}

/* ---- JSON ---- */

/* JSON has no NaN and no infinity. */
static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *case_json(const check_case *c)
{
	const clef_check_result *r = &c->result;

	return json_pack("{ss ss ss so so so so so ss}", "problem", c->problem, "family", c->family, "verdict",
			 verdict_name(c), "value_error", number(r->value_error), "value_limit", number(r->value_limit),
			 "gradient_error", number(r->gradient_error), "gradient_limit", number(r->gradient_limit),
			 "seconds", number(r->seconds), "message", r->message);
}

int check_print_json(const check_plan *plan, const check_device *device, bool full)
{
	check_counts n = check_count(plan);
	json_t *cases = json_array(), *all;
	int status = cases ? EXIT_OK : EXIT_FAILED;

	for (int i = 0; i < plan->count && !status; i++)
		status = json_array_append_new(cases, case_json(&plan->cases[i])) ? EXIT_FAILED : EXIT_OK;
	all = json_pack("{si ss ss s{ss ss ss ss ss} si si si so}", "schema", 1, "clef", clef_version(), "level",
			full ? "full" : "quick", "device", "name", device->name, "kind",
			device->kind ? device->kind : "", "platform", device->platform, "version", device->version,
			"driver", device->driver, "passed", n.passed, "failed", n.failed, "skipped", n.skipped, "cases",
			cases);
	if (status || !all || json_dumpf(all, stdout, JSON_INDENT(2)) || putchar('\n') == EOF) {
		complain("the JSON cannot be written: is a name no UTF-8, or memory short?");
		status = EXIT_FAILED;
	}
	json_decref(all);
	return status;
}
