/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef doctor: why there is no device, or not the one that was expected. A table of checks; each reports findings, with
 * what to do where something is wrong, and leaves what it learned to those behind it. Whatever calls OpenCL runs in a
 * child process: a driver that crashes costs a line and not the run.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "options.h"
#include "tool.h"

typedef struct doctor_options {
	bool json;
	const char *device;
	float limit;
} doctor_options;

typedef struct check_row {
	const char *name, *title;
	doctor_check *run;
} check_row;

/* In this order: the choice needs the devices, and advice about a missing one needs the hardware. */
static const check_row checks[] = {
	{ "loader", "OpenCL loader", doctor_loader },
	{ "icd", "Drivers that are installed", doctor_icd_files },
	{ "devices", "Platforms and devices", doctor_devices },
	{ "hardware", "Hardware", doctor_hardware },
	{ "permissions", "Permissions", doctor_permissions },
	{ "choice", "The device that clef uses", doctor_choice },
	{ "drivers", "Drivers with known problems", doctor_drivers },
	{ "environment", "Environment", doctor_environment },
	{ "cache", "Caches of compiled kernels", doctor_cache },
	{ "kernel", "A first kernel", doctor_kernel },
};

static const option_row rows[] = {
	{ "device", "WHICH", option_text, offsetof(doctor_options, device),
	  "gpu, cpu, accelerator, a number, PLATFORM:DEVICE or part of a name",
	  "the device that is wanted, as for clef train: says why\n"
	  "it is not found or cannot be used" },
	{ "timeout", "SECONDS", option_positive, offsetof(doctor_options, limit), "a number above 0",
	  "how long a driver may take to answer (default: 20); a\n"
	  "first kernel may take six times as long" },
	{ "json", NULL, option_flag, offsetof(doctor_options, json), NULL, "write a JSON array instead of lines" },
};

static const option_table table = {
	.usage = "clef doctor [option ...]",
	.about = "Looks for the reason where there is no device, or not the one that was expected: loader, drivers,\n"
		 "hardware, permissions, known problems, environment, caches, a first kernel. Each line is marked ok,\n"
		 "warning, problem or skipped, with what to do below it. Changes nothing; kernels get into the cache.\n"
		 "Where all is well and results are still in doubt, clef check computes every operation.\n"
		 "The exit status is 0 when there is a device to use and nothing is a problem, else 1.\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.more = "JSON: an array with an object for each line, and one at the end:\n"
		"  check    \"loader\", \"icd\", \"devices\", \"hardware\", \"permissions\", \"choice\", \"drivers\",\n"
		"           \"environment\", \"cache\", \"kernel\"; \"verdict\" in the last one\n"
		"  status   \"ok\", \"warning\", \"problem\" or \"skipped\"; of the verdict \"ok\" or \"problem\"\n"
		"  found    string: what was found\n"
		"  advice   string: what to do, in lines; null where there is nothing to do\n"
		"\n"
		"CLEF_DOCTOR_ROOT=FOLDER looks at FOLDER/etc, FOLDER/sys, FOLDER/dev and FOLDER/proc instead of the\n"
		"system's: at the files of another machine, or at made-up ones.\n",
};

static const char *const mark_names[] = { "ok", "warning", "problem", "skipped" };

/* ---- findings ---- */

/* Each line of the text with `first` in front, the others with `other`. */
static void print_lines(const char *text, const char *first, const char *other)
{
	for (const char *line = text; *line; line += *line == '\n') {
		int length = (int)strcspn(line, "\n");

		printf("%s%.*s\n", line == text ? first : other, length, line);
		line += length;
	}
}

static void print_finding(const finding *f)
{
	static const char *const colors[] = { "\033[32m", "\033[33m", "\033[31m", "\033[2m" };
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	bool color = isatty(STDOUT_FILENO) && (!no_color || !*no_color) && term && strcmp(term, "dumb") != 0;

	printf("  %s%-8s%s", color ? colors[f->mark] : "", mark_names[f->mark], color ? "\033[0m" : "");
	print_lines(f->found, " ", "           ");
	print_lines(f->advice, "           -> ", "           -> ");
	fflush(stdout);
}

/* JSON takes nothing but UTF-8, and drivers and file names may have anything. Ends without a newline or space. */
static void tidy(char *text)
{
	json_t *string = json_string(text);

	for (size_t n = strlen(text); n && isspace((unsigned char)text[n - 1]); n--)
		text[n - 1] = '\0';

	for (char *p = text; *p && !string; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	json_decref(string);
}

static void add(doctor *d, doctor_mark mark, const char *advice, const char *format, va_list args)
{
	finding *f;

	if (d->count == d->capacity) {
		int capacity = 2 * d->capacity + 32;
		finding *grown = realloc(d->findings, (size_t)capacity * sizeof(*grown));

		if (!grown) {
			d->out_of_memory = true;
			return;
		}
		d->findings = grown;
		d->capacity = capacity;
	}
	f = &d->findings[d->count++];
	f->check = d->check;
	f->mark = mark;
	vsnprintf(f->found, sizeof(f->found), format, args);
	snprintf(f->advice, sizeof(f->advice), "%s", advice);
	tidy(f->found);
	tidy(f->advice);
	if (!d->json)
		print_finding(f);
}

void doctor_report(doctor *d, doctor_mark mark, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, mark, "", format, args);
	va_end(args);
}

void doctor_advise(doctor *d, doctor_mark mark, const char *advice, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, mark, advice, format, args);
	va_end(args);
}

/* ---- what checks share ---- */

const char *doctor_path(const doctor *d, const char *path, char text[DOCTOR_PATH])
{
	snprintf(text, DOCTOR_PATH, "%s%s", d->root, path);
	return text;
}

bool doctor_read(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n = file ? fread(text, 1, size - 1, file) : 0;
	bool good = file && !ferror(file);

	text[n] = '\0';
	if (n && text[n - 1] == '\n')
		text[n - 1] = '\0';
	if (file)
		fclose(file);
	return good;
}

bool doctor_contains(const char *text, const char *word)
{
	return strcasestr(text, word) != NULL;
}

bool doctor_in_container(const doctor *d)
{
	char path[DOCTOR_PATH];

	return !access(doctor_path(d, "/.dockerenv", path), F_OK) ||
	       !access(doctor_path(d, "/run/.containerenv", path), F_OK);
}

bool doctor_has_platform(const doctor *d, const char *name)
{
	for (int i = 0; i < d->device_count; i++)
		if (doctor_contains(d->devices[i].platform_name, name))
			return true;
	return false;
}

/* ---- the end ---- */

static int count_marks(const doctor *d, doctor_mark mark)
{
	int n = 0;

	for (int i = 0; i < d->count; i++)
		n += d->findings[i].mark == mark;
	return n;
}

static void verdict(const doctor *d, char *text, size_t size)
{
	int problems = count_marks(d, DOCTOR_PROBLEM), warnings = count_marks(d, DOCTOR_WARNING);
	char counts[96] = "", p[32] = "", w[32] = "";

	if (problems)
		snprintf(p, sizeof(p), "%d problem%s", problems, problems == 1 ? "" : "s");
	if (warnings)
		snprintf(w, sizeof(w), "%d warning%s", warnings, warnings == 1 ? "" : "s");
	if (problems || warnings)
		snprintf(counts, sizeof(counts), "; %s%s%s", p, problems && warnings ? " and " : "", w);
	if (d->works && d->chosen >= 0)
		snprintf(text, size, "clef can use %s (%s) on %s%s.", d->devices[d->chosen].name,
			 clef_device_kind_name(d->devices[d->chosen].kind), d->devices[d->chosen].platform_name,
			 *counts ? counts : ", and nothing is wrong");
	else if (d->chosen >= 0)
		snprintf(text, size, "clef cannot compute on %s%s.", d->devices[d->chosen].name, counts);
	else
		snprintf(text, size, "clef has no device that it can use%s%s.",
			 d->device_count && d->device ? " of that name" : "", counts);
}

static int print_json(const doctor *d, const char *sentence, bool good)
{
	json_t *list = json_array();
	bool failed = !list;

	for (int i = 0; i < d->count && !failed; i++) {
		const finding *f = &d->findings[i];

		failed = json_array_append_new(list, json_pack("{ss ss ss ss*}", "check", f->check, "status",
							       mark_names[f->mark], "found", f->found, "advice",
							       *f->advice ? f->advice : NULL));
		if (!failed && !*f->advice)
			failed = json_object_set_new(json_array_get(list, (size_t)i), "advice", json_null());
	}
	failed = failed || json_array_append_new(list, json_pack("{ss ss ss sn}", "check", "verdict", "status",
								 good ? "ok" : "problem", "found", sentence, "advice"));
	failed = failed || json_dumpf(list, stdout, JSON_INDENT(2)) || putchar('\n') == EOF;
	if (failed)
		complain("the JSON cannot be written: is a name no UTF-8, or memory short?");
	json_decref(list);
	return failed ? EXIT_FAILED : EXIT_OK;
}

int doctor_main(int argc, char **argv)
{
	doctor_options o = { .limit = 20 };
	int status = options_read(&table, argc, argv, &o);
	const char *root = getenv("CLEF_DOCTOR_ROOT");
	doctor d = { .root = root ? root : "", .chosen = -1 };
	char sentence[512];
	bool good;

	if (status >= 0)
		return status;
	d.json = o.json;
	d.device = o.device;
	d.limit = (double)o.limit;
	for (int i = 0; i < CLEF_COUNT(checks); i++) {
		d.check = checks[i].name;
		if (!d.json)
			printf("%s\n", checks[i].title);
		checks[i].run(&d);
	}
	good = d.works && !count_marks(&d, DOCTOR_PROBLEM) && !d.out_of_memory;
	verdict(&d, sentence, sizeof(sentence));
	status = good ? EXIT_OK : EXIT_FAILED;
	if (!d.json)
		printf("\n%s\n", sentence);
	else if (print_json(&d, sentence, good))
		status = EXIT_FAILED;
	if (d.out_of_memory)
		complain("there was no memory for all findings");
	free(d.findings);
	free(d.platforms);
	free(d.devices);
	return status;
}
