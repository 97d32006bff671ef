/* SPDX-License-Identifier: Apache-2.0 */
/* What clef tune shows. On a terminal a line at the bottom says what is being measured and how long it will go on. */
#include <stdlib.h>
#include <string.h>

#include <clef/clef.h>

#include "tool.h"
#include "tune_report.h"

/* ---- lines ---- */

static void print_result(const clef_tune_result *t)
{
	bool changed = strcmp(t->before, t->after) != 0;

	printf("%-72s  ", t->problem);
	if (!(t->after_ms > 0))
		printf("%s", t->after);
	else if (!changed)
		printf("%s %.3f ms", t->after, t->after_ms);
	else if (t->before_ms > 0)
		printf("%s %.3f ms -> %s %.3f ms, %.2fx", t->before, t->before_ms, t->after, t->after_ms,
		       t->before_ms / t->after_ms);
	else
		printf("%s -> %s %.3f ms", t->before, t->after, t->after_ms);
	printf("%s%s%s\n", t->first_use ? ", at first use" : "", *t->wrong ? "; set aside: " : "", t->wrong);
	fflush(stdout);
}

static void print_head(clef_device *dev)
{
	const clef_device_info *info = clef_device_get_info(dev);

	printf("device  %s, %s, driver %s\n", info->name, info->platform_name, info->driver);
	printf("file    %s\n", clef_tune_path(dev) ? clef_tune_path(dev) : "none");
}

static void print_end(const clef_tune_report *t)
{
	printf("%d problem%s: %d measured in %.1f s, %d known from before, %d left; %d changed from clef's rules\n",
	       t->problems, t->problems == 1 ? "" : "s", t->measured, t->seconds, t->known,
	       t->problems - t->measured - t->known, t->changed);
	if (t->wrong)
		printf("%d problem%s for which an implementation is wrong on this device: see --list\n", t->wrong,
		       t->wrong == 1 ? "" : "s");
	if (t->steps)
		printf("step    before %.2f ms, after %.2f ms: %.2fx (forward and backward; medians of %d each, in "
		       "turn)\n",
		       t->step_before_ms, t->step_after_ms, t->step_before_ms / t->step_after_ms, t->steps);
}

/* ---- JSON ---- */

static json_t *result_json(const clef_tune_result *t)
{
	return json_pack("{ss ss ss sf sf ss sb}", "problem", t->problem, "before", t->before, "after", t->after,
			 "before_ms", t->before_ms, "after_ms", t->after_ms, "wrong", t->wrong, "first_use",
			 t->first_use);
}

static int write_json(clef_device *dev, json_t *results, json_t *report)
{
	const char *path = clef_tune_path(dev);
	json_t *all =
		json_pack("{ss ss? sO}", "device", clef_device_get_info(dev)->name, "file", path, "results", results);
	bool good = all && (!report || !json_object_set(all, "report", report)) &&
		    !json_dumpf(all, stdout, JSON_INDENT(2)) && putchar('\n') != EOF;

	json_decref(all);
	if (!good)
		complain("the JSON cannot be written: is a name no UTF-8, or memory short?");
	return good ? EXIT_OK : EXIT_FAILED;
}

/* ---- a tuning ---- */

void tune_report_open(tune_report *r)
{
	r->results = r->json ? json_array() : NULL;
	progress_start(&r->bar);
	r->bar.terminal = r->bar.terminal && !r->json;
	clef_log_set(progress_message, &r->bar, CLEF_LOG_WARN);
}

/* When it is certain that there is something to do. */
static void begin(tune_report *r)
{
	if (r->begun)
		return;
	r->begun = true;
	if (!r->json)
		print_head(r->dev);
	if (!clef_tune_path(r->dev))
		complain("there is no tuning file, so that what is found is lost at the end: see CLEF_TUNING");
}

void tune_report_progress(void *user, const clef_tune_progress *p)
{
	tune_report *r = user;
	char line[512];

	begin(r);
	if (p->result && r->json) {
		r->broken = json_array_append_new(r->results, result_json(p->result)) || r->broken;
	} else if (p->result) {
		progress_clear(&r->bar);
		print_result(p->result);
	} else {
		snprintf(line, sizeof(line), "%d/%d  %3.0f s, %.0f s left  %s", p->done, p->count, p->elapsed, p->left,
			 p->problem ? p->problem : "steps of the model");
		progress_show(&r->bar, line);
	}
}

int tune_report_close(tune_report *r, const clef_tune_report *t)
{
	json_t *report;
	int status;

	begin(r);
	if (!r->json) {
		print_end(t);
		return EXIT_OK;
	}
	report = json_pack("{si si si si si sb sf sf sf si}", "problems", t->problems, "measured", t->measured, "known",
			   t->known, "changed", t->changed, "wrong", t->wrong, "stopped", t->stopped, "seconds",
			   t->seconds, "step_before_ms", t->step_before_ms, "step_after_ms", t->step_after_ms, "steps",
			   t->steps);
	status = r->broken || !report ? EXIT_FAILED : write_json(r->dev, r->results, report);
	if (r->broken || !report)
		complain("no memory for the JSON");
	json_decref(report);
	return status;
}

void tune_report_free(tune_report *r)
{
	clef_log_set(NULL, NULL, CLEF_LOG_WARN);
	json_decref(r->results);
}

/* ---- a list ---- */

int tune_report_list(const tune_report *r)
{
	clef_device *dev = r->dev;
	bool json = r->json;
	json_t *results = json ? json_array() : NULL;
	clef_tune_result t;
	int status = EXIT_OK;

	if (!json)
		print_head(dev);
	for (int i = 0; clef_tune_get(dev, i, &t); i++)
		if (!json)
			print_result(&t);
		else if (json_array_append_new(results, result_json(&t)))
			status = EXIT_FAILED;
	if (!json)
		printf("%d choice%s kept\n", clef_tune_count(dev), clef_tune_count(dev) == 1 ? "" : "s");
	else if (status)
		complain("no memory for the JSON");
	else
		status = write_json(dev, results, NULL);
	json_decref(results);
	return status;
}
