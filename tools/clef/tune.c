/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef tune: measures which implementations are the fastest on this device, for a model or a list of problems, and
 * keeps the result, which every program that uses clef then takes up. What is found is kept problem by problem, so that
 * Ctrl-C loses nothing and the same command goes on where it stopped. All of it is the library's; here are the command
 * line and what is shown.
 */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <clef/clef.h>

#include "options.h"
#include "progress.h"
#include "tool.h"
#include "tune_list.h"
#include "tune_report.h"

typedef struct tune_options {
	const char *model, *device;
	clef_shape shape;
	int64_t batch, classes;
	double budget;
	bool list, forget, json, again;
	option_words words;
} tune_options;

/* "60s", "2m", "1h", "60". */
static bool parse_duration(const char *text, void *field)
{
	char number[32];
	size_t length = strlen(text);
	double *value = field, unit = 1;

	if (!length || length >= sizeof(number))
		return false;
	memcpy(number, text, length + 1);
	if (isalpha((unsigned char)number[length - 1])) {
		unit = number[length - 1] == 's' ? 1 : number[length - 1] == 'm' ? 60 : 3600;
		if (!strchr("smh", number[length - 1]))
			return false;
		number[length - 1] = '\0';
	}
	if (!parse_number(number, value) || !(*value > 0) || *value > 1e6)
		return false;
	*value *= unit;
	return true;
}

/* "3x32x32" */
static bool parse_shape(const char *text, void *field)
{
	clef_shape *shape = field;
	int used;

	*shape = (clef_shape){ 0 };
	for (;;) {
		int size;

		if (shape->ndim == CLEF_MAX_DIMS - 1 || sscanf(text, "%9d%n", &size, &used) != 1 || size < 1)
			return false;
		shape->dim[shape->ndim++] = size;
		text += used;
		if (!*text)
			return true;
		if (*text++ != 'x' || !isdigit((unsigned char)*text))
			return false;
	}
}

#define FIELD(name) offsetof(tune_options, name)

static const option_row rows[] = {
	{ "model", "TEXT", option_text, FIELD(model), "a model, as for clef train",
	  "tune for training this network, \"resnet18\" or \"flatten\nlinear(256) relu linear(10)\": for all that "
	  "occurs "
	  "in a step\nof it, forward and backward" },
	{ "batch", "N", option_count, FIELD(batch), "a whole number from 1 to 2147483647",
	  "samples in a step of it (default: 64)" },
	{ "shape", "CxHxW", parse_shape, FIELD(shape), "sizes, such as 3x32x32", "of one sample (default: 3x32x32)" },
	{ "classes", "N", option_count, FIELD(classes), "a whole number from 1 to 2147483647",
	  "outputs of a network that is named (default: 10)" },
	{ "budget", "TIME", parse_duration, FIELD(budget), "a time such as 60s, 2m or 1h",
	  "how long it may take, about (default: as long as it takes)" },
	{ "again", NULL, option_flag, FIELD(again), NULL, "measure also what was tuned before" },
	{ "list", NULL, option_flag, FIELD(list), NULL, "show what is kept for this device" },
	{ "forget", NULL, option_flag, FIELD(forget), NULL,
	  "forget what is kept about the problems that are named,\nor, without any, all for this device" },
	{ "json", NULL, option_flag, FIELD(json), NULL, "write a JSON object instead of a table" },
	{ "device", "WHICH", option_text, FIELD(device),
	  "gpu, cpu, accelerator, a number, PLATFORM:DEVICE or part of a name", "the device, as for clef train" },
};

static const option_table table = {
	.usage = "clef tune --model TEXT [option ...] | clef tune PROBLEM|@FILE ... | clef tune --list",
	.about =
		"Measures the implementations of operations on this device, with their tile and block sizes, and the\n"
		"sizes of work-groups of all other kernels, for the sizes that a network or a list has, and keeps the\n"
		"fastest of each: every program that uses clef then takes it. Each is compared with the direct\n"
		"implementation before it is timed.\n"
		"Ctrl-C keeps what was found, and the same command goes on from there.\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.more = "A PROBLEM is an operation with its sizes, \"linear x100x784 out256\", as for clef check, or a single\n"
		"computation as --list shows it, \"gemm m100 n256 k784 tb\". @FILE has one a line; # begins a "
		"comment.\n"
		"\n"
		"Environment:\n"
		"  CLEF_TUNING    the file; default $XDG_DATA_HOME/clef/tuning.json, else "
		"~/.local/share/clef/tuning.json\n"
		"  CLEF_TUNE_MS   milliseconds that programs may measure when a problem is new (default: 0 on CPUs "
		"with\n"
		"                 vectors of 8 or 16 floats, 50 elsewhere)\n",
	.words = OPTIONS_ANY,
	.words_offset = FIELD(words),
};

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool is_interrupted(void *user)
{
	(void)user;
	return interrupted;
}

/* Whoever ignores it, as nohup does, means that. */
static void catch_interrupts(void)
{
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART }, old;

	sigemptyset(&action.sa_mask);
	if (!sigaction(SIGINT, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaction(SIGINT, &action, NULL);
}

/* ---- the command ---- */

static int failed(void)
{
	complain("%s", reason());
	return clef_error_status() == CLEF_ERROR_INVALID || clef_error_status() == CLEF_ERROR_SHAPE ? EXIT_MISUSED
												    : EXIT_FAILED;
}

static int check_options(const tune_options *o)
{
	bool work = o->model || (o->words.count && !o->forget);

	if (work && (o->list || o->forget))
		complain("--%s goes with no %s", o->list ? "list" : "forget", o->model ? "--model" : "problem");
	else if (o->list && o->forget)
		complain("it is either --list or --forget");
	else if (o->model && o->words.count)
		complain("it is either --model or problems; \"%s\" is a problem", o->words.v[0]);
	else if (!work && !o->list && !o->forget)
		complain("nothing to tune for: give --model, or a problem; --help shows how");
	else
		return -1;
	return EXIT_MISUSED;
}

static int forget(clef_device *dev, const tune_list *names)
{
	int all = 0;

	for (int i = 0; i < (names->count ? names->count : 1); i++) {
		int count;

		if (clef_tune_forget(dev, names->count ? names->problem[i] : NULL, &count))
			return failed();
		if (names->count && !count)
			complain("nothing is kept about \"%s\"; --list shows what is", names->problem[i]);
		all += count;
	}
	printf("%d choice%s forgotten\n", all, all == 1 ? "" : "s");
	return names->count && !all ? EXIT_FAILED : EXIT_OK;
}

static clef_status tune_model(clef_device *dev, const tune_options *o, const clef_tune_opts *opts,
			      clef_tune_report *report)
{
	clef_model *model = clef_model_parse(dev, o->model, o->shape, (int)o->classes, &(clef_model_opts){ .seed = 1 });
	clef_status s = model ? clef_tune_model(model, o->batch, opts, report) : clef_error_status();

	clef_model_free(model);
	return s;
}

static int tune(tune_report *r, const tune_options *o, const tune_list *problems)
{
	const clef_tune_opts opts = { .budget = o->budget,
				      .again = o->again,
				      .progress = tune_report_progress,
				      .stop = is_interrupted,
				      .user = r };
	clef_tune_report report = { 0 };
	clef_status s;
	int status;

	catch_interrupts();
	s = o->model ? tune_model(r->dev, o, &opts, &report)
		     : clef_tune_problems(r->dev, (const char *const *)problems->problem, problems->count, &opts,
					  &report);
	progress_clear(&r->bar);
	status = s ? failed() : tune_report_close(r, &report);
	if (status == EXIT_OK && report.stopped) {
		complain("stopped; %s", clef_tune_path(r->dev) ? "what was found is kept, and the same command goes on"
							       : "nothing is kept");
		status = EXIT_INTERRUPTED;
	}
	return status;
}

static int run(tune_report *r, const tune_options *o, const tune_list *problems)
{
	r->dev = clef_device_open(o->device);
	if (!r->dev) {
		complain(o->device ? "--device %s: %s" : "%s%s", o->device ? o->device : "", reason());
		return EXIT_FAILED;
	}
	return o->list ? tune_report_list(r) : o->forget ? forget(r->dev, problems) : tune(r, o, problems);
}

int tune_main(int argc, char **argv)
{
	tune_options o = { .batch = 64, .classes = 10, .shape = CLEF_SHAPE(3, 32, 32) };
	int status = options_read(&table, argc, argv, &o);
	tune_list problems = { NULL };
	tune_report r = { .json = o.json };

	if (status < 0)
		status = check_options(&o);
	if (status < 0)
		status = tune_list_read(&o.words, &problems);
	if (status < 0) {
		tune_report_open(&r);
		status = run(&r, &o, &problems);
		tune_report_free(&r);
	}
	tune_list_free(&problems);
	clef_device_close(r.dev);
	return status;
}
