/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef check: is every operation right on this device, with this driver? The cases and their verdicts are the
 * library's; here they are chosen, run where a crash costs one of them, and shown.
 */
#include <string.h>
#include <unistd.h>

#include "check_plan.h"
#include "check_report.h"
#include "options.h"
#include "tool.h"

typedef struct check_options {
	const char *device;
	bool quick, full, json, list;
	int64_t jobs;
	float limit;
	option_words words;
} check_options;

static const option_row rows[] = {
	{ "device", "WHICH", option_text, offsetof(check_options, device),
	  "gpu, cpu, accelerator, a number, PLATFORM:DEVICE or part of a name",
	  "the device, as for clef train (default: $CLEF_DEVICE,\nelse the first GPU, else what there is)" },
	{ "quick", NULL, option_flag, offsetof(check_options, quick), NULL,
	  "one to three small cases of each family (the default)" },
	{ "full", NULL, option_flag, offsetof(check_options, full), NULL, "all cases that the library's tests have" },
	{ "jobs", "N", option_count, offsetof(check_options, jobs), "a whole number from 1",
	  "processes at a time (default: one for each processor,\n4 at most)" },
	{ "limit", "SECONDS", option_positive, offsetof(check_options, limit), "a number above 0",
	  "how long a case may take before its process is killed\n(default: 120)" },
	{ "json", NULL, option_flag, offsetof(check_options, json), NULL, "write JSON instead of a table" },
	{ "list", NULL, option_flag, offsetof(check_options, list), NULL,
	  "print the cases that would run, a problem a line; with\nthe name of a family, its terms as well" },
};

static const option_table table = {
	.usage = "clef check [option ...] [FAMILY|PROBLEM|@FILE ...]",
	.about =
		"Checks every operation on a device against a reference in double precision, forward and backward;\n"
		"random numbers and initializers against the bits that every device must draw; optimizers against\n"
		"their formulas; and networks that learn a batch by heart, twice, to the same bits. A line for each\n"
		"family tells the number of cases, the largest errors with their limits, and the time. Cases that "
		"fail\n"
		"are listed with the command that repeats them, and the exit status is 1. A driver that crashes or\n"
		"hangs costs the case, not the run.\n"
		"\n"
		"A FAMILY is an operation (conv2d), random, init, optim or train. A PROBLEM is one with its sizes and\n"
		"options, \"conv2d n64 c3 h32 w32 k32 r5 s5 p2\". A file has a problem a line, and # before remarks.\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.more = "Examples:\n"
		"  clef check\n"
		"  clef check --device gpu --full\n"
		"  clef check conv2d batch_norm\n"
		"  clef check \"linear x100x784 out256\"\n"
		"  clef check --list softmax\n"
		"\n"
		"Errors are relative to the larger of the element and the mean size of all elements.\n"
		"\n"
		"JSON: an object with\n"
		"  schema                1\n"
		"  clef, level           version; \"quick\" or \"full\"\n"
		"  device                name, kind, platform, version, driver\n"
		"  passed, failed, skipped    numbers of cases\n"
		"  cases                 an array of problem, family, verdict (\"passed\", \"failed\", \"crashed\",\n"
		"                        \"skipped\"), value_error, value_limit, gradient_error, gradient_limit\n"
		"                        (null: there is none, or no number), seconds, message\n",
	.words = OPTIONS_ANY,
	.words_offset = offsetof(check_options, words),
};

/* ---- the list ---- */

static int print_list(const check_options *o, const check_plan *plan)
{
	char terms[4096];

	for (int i = 0; i < o->words.count; i++) {
		clef_error_clear();
		if (strchr(o->words.v[i], ' ') || *o->words.v[i] == '@' ||
		    clef_check_terms(o->words.v[i], terms, sizeof(terms)))
			continue;
		printf("# terms of %s, with their defaults\n", o->words.v[i]);
		for (char *line = strtok(terms, "\n"); line; line = strtok(NULL, "\n")) {
			size_t name = strcspn(line, "\t");

			printf("#   %-24.*s %s\n", (int)name, line, line[name] ? line + name + 1 : "");
		}
	}
	for (int i = 0; i < plan->count; i++)
		printf("%s\n", plan->cases[i].problem);
	return EXIT_OK;
}

/* ---- a run ---- */

typedef struct progress {
	check_plan *plan;
	int printed; /* cases of families that were printed */
	int done;
	bool table, terminal;
} progress;

static bool family_done(const check_plan *plan, int first)
{
	for (int i = first; i < plan->count && !strcmp(plan->cases[i].family, plan->cases[first].family); i++)
		if (plan->cases[i].state < CHECK_DONE)
			return false;
	return true;
}

/* Families are printed in their order, each as soon as it and those before it are done. */
static void case_done(void *user, int i)
{
	progress *p = user;

	p->done++;
	if (p->terminal)
		fprintf(stderr, "\r\033[K");
	if (p->table && p->done == 1)
		check_print_head();
	while (p->table && p->printed < p->plan->count && family_done(p->plan, p->printed))
		p->printed = check_print_family(p->plan, p->printed);
	fflush(stdout);
	if (p->terminal && p->done < p->plan->count)
		fprintf(stderr, "%d of %d  %.60s", p->done, p->plan->count, p->plan->cases[i].problem);
}

static int processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 4 ? 4 : (int)n;
}

static int run(const check_options *o, check_plan *plan)
{
	progress p = { .plan = plan, .table = !o->json, .terminal = isatty(STDERR_FILENO) };
	const check_run_opts opts = { .device = o->device,
				      .jobs = o->jobs ? (int)o->jobs : processors(),
				      .limit = (double)o->limit,
				      .done = case_done,
				      .user = &p };
	check_device device = { .known = false };
	double start = seconds();
	int status;

	status = check_run(plan, &opts, &device);
	if (status >= 0)
		return status;
	if (o->json)
		status = check_print_json(plan, &device, o->full);
	else {
		check_print_failures(plan, o->device);
		printf("\n%s (%s), driver %s, on %s: %.0f s\n", device.name, device.kind ? device.kind : "",
		       device.driver, device.platform, seconds() - start);
		check_print_sum(plan);
		status = EXIT_OK;
	}
	return check_count(plan).failed ? EXIT_FAILED : status;
}

int check_main(int argc, char **argv)
{
	check_options o = { .limit = 120 };
	check_plan plan = { NULL, 0, 0 };
	int status = options_read(&table, argc, argv, &o);

	if (status >= 0)
		return status;
	if (o.quick && o.full) {
		complain("--quick and --full exclude each other");
		return EXIT_MISUSED;
	}
	status = o.words.count ? check_plan_words(&plan, &o.words, o.full) : check_plan_library(&plan, o.full);
	if (status < 0 && !plan.count) {
		complain("there is nothing to check in what was named");
		status = EXIT_MISUSED;
	}
	if (status < 0)
		status = o.list ? print_list(&o, &plan) : run(&o, &plan);
	check_plan_free(&plan);
	return status;
}
