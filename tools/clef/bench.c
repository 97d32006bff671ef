/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef bench: the command line. What it measures, and how, is in the library (clef/bench.h), so that programs and tests
 * have the same.
 */
#include <stdlib.h>
#include <string.h>

#include "bench_tool.h"
#include "tool.h"

static bool read_only(const char *text, void *field)
{
	static const char *const names[] = { "limits", "ops", "networks" };
	int *bits = field;

	*bits = 0;
	while (*text) {
		size_t n = strcspn(text, ",");
		int found = -1;

		for (int i = 0; i < CLEF_COUNT(names); i++)
			if (strlen(names[i]) == n && !strncmp(names[i], text, n))
				found = i;
		if (found < 0)
			return false;
		*bits |= 1 << found;
		text += n + (text[n] == ',');
	}
	return *bits != 0;
}

/* "3x32x32" */
static bool read_shape(const char *text, void *field)
{
	clef_shape shape = { .ndim = 0 };
	char *end;

	do {
		if (shape.ndim == CLEF_MAX_DIMS - 1 || *text < '1' || *text > '9')
			return false;
		shape.dim[shape.ndim++] = strtoll(text, &end, 10);
		text = end + 1;
	} while (*end == 'x');
	*(clef_shape *)field = shape;
	return !*end && clef_shape_numel(shape) > 0;
}

#define FIELD(name) offsetof(bench_options, name)

static const option_row rows[] = {
	{ "device", "NAME", option_text, FIELD(device), "the name of a device",
	  "which one to measure (clef devices lists them); default $CLEF_DEVICE" },
	{ "all-devices", NULL, option_flag, FIELD(all_devices), NULL,
	  "measure every device, each in a process of its own, and\nsay which one to train on, and why" },
	{ "time-limit", "S", option_count, FIELD(time_limit), "a whole number from 1",
	  "with --all-devices: seconds that one measurement may take\nbefore its device is given up; default 300" },
	{ "quick", NULL, option_flag, FIELD(quick), NULL, "a few operations and networks, fewer repetitions" },
	{ "full", NULL, option_flag, FIELD(full), NULL, "a second and 25 repetitions for each, at least" },
	{ "only", "LIST", read_only, FIELD(only), "limits, ops, networks, with commas in between",
	  "limits (always measured), ops, networks" },
	{ "model", "TEXT", option_text, FIELD(model), "a model",
	  "measure this network: a name, or layers, as of clef train" },
	{ "input", "SHAPE", read_shape, FIELD(input), "sizes such as 3x32x32", "its images; default 3x32x32" },
	{ "classes", "N", option_count, FIELD(classes), "a whole number from 1", "its outputs; default 10" },
	{ "batch", "N", option_count, FIELD(batch), "a whole number from 1", "its batch; default 64" },
	{ "optim", "TEXT", option_text, FIELD(optim), "an optimizer",
	  "its optimizer; default \"sgd(lr=1e-4, momentum=0.9)\"" },
	{ "json", "FILE", option_text, FIELD(json), "a file",
	  "write all results as JSON; \"-\": to the output, instead\n"
	  "of the table" },
	{ "csv", "FILE", option_text, FIELD(csv), "a file", "write the rows as CSV; \"-\" as above" },
	{ "html", "FILE", option_text, FIELD(html), "a file", "write a page with pictures; it needs no network" },
	{ "read", "FILE", option_text, FIELD(read), "a file",
	  "show the results of a JSON file, and measure nothing:\nwith --html, a page of what was measured elsewhere" },
	{ "compare", NULL, option_flag, FIELD(compare), NULL,
	  "compare the JSON files FILE ... with the first of them,\nand measure nothing" },
	{ "fail-below", "R", option_positive, FIELD(fail_below), "a number above 0",
	  "with --compare: exit with status 1 if something runs at\nless than R times the speed of the first file" },
};

static const option_table table = {
	.usage = "clef bench [option ...] [FAMILY|PROBLEM|@FILE ...]\n"
		 "       clef bench --read FILE [--html FILE]\n"
		 "       clef bench --compare [--fail-below R] FILE FILE ...",
	.about = "Measures what a device can do, and how near operations and networks come to it. Each result is\n"
		 "checked in the same run; what is wrong, or faster than the device can be, is told as such, and\n"
		 "the exit status is then 1. Times are medians, with the quartiles behind them.\n"
		 "\n"
		 "With problems, such as \"linear x64x3072 out4000\", families of them, or files with one in each\n"
		 "line, as clef check takes them, these are measured instead of a list of layers; with --model, that\n"
		 "network instead of a list of networks.\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.more = "limit %    the least time that the measured limits allow, divided by the time; the limits are\n"
		"           those of the same moment. Fast convolutions multiply less than the definition, by\n"
		"           which they are counted, and may exceed 100.\n"
		"bound      which limit that is: arithmetic, memory or launches\n"
		"forward, backward, optimizer, data   parts of a training step, each waited for, so that their\n"
		"           sum is more than the step takes\n"
		"memory     of the device, the most at any time\n"
		"\n"
		"--compare: a ratio of 2 means twice as fast as in the first file. ~ stands behind one whose\n"
		"quartiles overlap: that may be chance, and does not count for --fail-below.\n"
		"docs/bench.md describes the JSON file and what is counted.\n",
	.words = OPTIONS_ANY,
	.words_offset = FIELD(words),
};

static int misused(const char *message)
{
	complain("%s", message);
	return EXIT_MISUSED;
}

static int check_options(const bench_options *o)
{
	clef_optim_opts rule;
	bool measures = o->all_devices || o->only || o->model || o->quick || o->full || o->device;

	if (o->compare && (measures || o->read || o->json || o->csv || o->html))
		return misused("--compare measures nothing, and takes --fail-below and files alone");
	if (o->read && (measures || o->words.count))
		return misused("--read measures nothing, and takes --json, --csv and --html alone");
	if (o->fail_below > 0 && !o->compare)
		return misused("--fail-below needs --compare");
	if (o->compare && o->words.count < 2)
		return misused("--compare needs two files or more");
	if (o->time_limit && !o->all_devices)
		return misused("--time-limit needs --all-devices");
	if (o->quick && o->full)
		return misused("--quick and --full exclude each other");
	if (o->all_devices && o->device)
		return misused("--all-devices and --device exclude each other");
	if (!o->model && (o->optim || o->batch || o->classes || o->input.ndim))
		return misused("--input, --classes, --batch and --optim need --model");
	if (o->model && clef_model_check(o->model)) {
		complain("--model \"%s\": %s", o->model, reason());
		return EXIT_MISUSED;
	}
	if (o->optim && clef_optim_parse(o->optim, &rule)) {
		complain("--optim \"%s\": %s", o->optim, reason());
		return EXIT_MISUSED;
	}
	return -1;
}

/* ---- the command ---- */

/* Before minutes have gone by. */
static int check_problems(const check_plan *problems)
{
	for (int i = 0; i < problems->count; i++)
		if (clef_bench_measurable(problems->cases[i].problem)) {
			complain("%s", reason());
			return EXIT_MISUSED;
		}
	return -1;
}

static int measure(const bench_options *o)
{
	check_plan problems = { NULL, 0, 0 };
	clef_bench_result **all = NULL;
	clef_bench *b = NULL;
	int count = 0, status = check_plan_words(&problems, &o->words, o->full);

	if (status < 0)
		status = check_problems(&problems);
	if (status < 0 && o->read) {
		all = clef_bench_read(o->read, &count);
		if (!all)
			complain("%s", reason());
		status = all ? -1 : EXIT_FAILED;
	} else if (status < 0 && o->all_devices)
		status = bench_run_all(o, &problems, &all, &count);
	else if (status < 0)
		status = bench_run(o, &problems, o->device, &b);
	if (status < 0 && b)
		status = bench_show(o, (const clef_bench_result *[]){ clef_bench_get(b) }, 1);
	else if (status < 0)
		status = bench_show(o, (const clef_bench_result *const *)all, count);
	clef_bench_results_free(all, count);
	clef_bench_free(b);
	check_plan_free(&problems);
	return status;
}

int bench_main(int argc, char **argv)
{
	bench_options o = { .only = 0 };
	int status = options_read(&table, argc, argv, &o);

	if (status < 0)
		status = check_options(&o);
	if (status >= 0)
		return status;
	return o.compare ? bench_compare_files(&o) : measure(&o);
}
