/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environment variables that change what clef or a driver does, and names that look like one of clef's and are none: a
 * misspelt variable is silent. Whether a value is one that the library takes, the library says.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "doctor.h"
#include "tool.h"

extern char **environ;

static const char *const clef_variables[] = { "CLEF_DEVICE", "CLEF_CACHE",       "CLEF_KERNELS",      "CLEF_PROFILE",
					      "CLEF_GEMM",   "CLEF_CONV",        "CLEF_TUNING",       "CLEF_TUNE_MS",
					      "CLEF_DATA",   "CLEF_DOCTOR_ROOT", "CLEF_COMPILE_JOBS", "CLEF_POISON" };

static bool is_known(const char *name, size_t length)
{
	for (int i = 0; i < CLEF_COUNT(clef_variables); i++)
		if (strlen(clef_variables[i]) == length && !strncmp(clef_variables[i], name, length))
			return true;
	/* Of the tests. */
	return !strncmp(name, "CLEF_TEST_", 10);
}

static int check_names(doctor *d)
{
	int seen = 0;

	for (char **entry = environ; *entry; entry++) {
		size_t length = strcspn(*entry, "=");
		char name[64], advice[192];
		const char *guess;

		if (strncmp(*entry, "CLEF_", 5) != 0 || is_known(*entry, length))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)length, *entry);
		guess = nearest(name, clef_variables, sizeof(clef_variables[0]), CLEF_COUNT(clef_variables));
		snprintf(advice, sizeof(advice), "unset %s%s%s%s", name, guess ? ", or did you mean " : "",
			 guess ? guess : "", guess ? "?" : "");
		doctor_advise(d, DOCTOR_WARNING, advice, "%s is set, and clef knows no such variable", name);
		seen++;
	}
	return seen;
}

static const char *value_of(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static int check_kernels(doctor *d)
{
	const char *folder = value_of("CLEF_KERNELS");
	DIR *dir = folder ? opendir(folder) : NULL;

	if (!folder)
		return 0;
	if (dir)
		doctor_advise(d, DOCTOR_WARNING, "unset CLEF_KERNELS, unless you work on them",
			      "CLEF_KERNELS=%s: kernels come from this folder, not from the library", folder);
	else
		doctor_advise(d, DOCTOR_PROBLEM, "unset CLEF_KERNELS", "CLEF_KERNELS=%s: %s", folder, strerror(errno));
	if (dir)
		closedir(dir);
	return 1;
}

/* The library reads CLEF_CONV at a convolution. What it does not know it refuses before it compiles anything. */
static void convolve(void *arg, FILE *out)
{
	const doctor *d = arg;
	float ones[4] = { 1, 1, 1, 1 };
	clef_array image = { CLEF_FLOAT32, CLEF_SHAPE(1, 1, 2, 2), ones },
		   filter = { CLEF_FLOAT32, CLEF_SHAPE(1, 1, 1, 1), ones };
	clef_device *dev = clef_device_open(d->device);
	clef_tape *tape = dev ? clef_tape_new(dev) : NULL;

	if (!tape || clef_tape_begin_no_grad(tape))
		return;
	if (!clef_conv2d_no_bias(clef_input(tape, &image), clef_input(tape, &filter), NULL) &&
	    clef_error_status() == CLEF_ERROR_INVALID)
		fputs(reason(), out);
}

static int check_conv(doctor *d)
{
	const char *name = value_of("CLEF_CONV");
	child r = { .work = convolve, .arg = d };

	if (!name)
		return 0;
	child_run(&r, 6 * d->limit);
	if (r.said.data && *r.said.data)
		doctor_advise(d, DOCTOR_PROBLEM, "unset CLEF_CONV", "%s", r.said.data);
	else
		doctor_advise(d, DOCTOR_WARNING, "unset CLEF_CONV, so that the best that fits is used",
			      "CLEF_CONV=%s: convolutions are done this way, also where another is faster", name);
	child_free(&r);
	return 1;
}

/* Variables whose effect one may have forgotten. An invalid CLEF_GEMM is an error of the first kernel, below. */
static const struct {
	const char *name, *platform, *fine, *found, *advice;
} others[] = {
	{ "CLEF_GEMM", NULL, NULL, "matrix products are done this way, also where another is faster",
	  "unset CLEF_GEMM, so that the best that fits is used" },
	{ "POCL_MAX_WORK_GROUP_SIZE", "Portable", NULL,
	  "PoCL takes no larger work-groups, and some kernels of CLBlast need them", "unset POCL_MAX_WORK_GROUP_SIZE" },
	{ "POCL_EXTRA_BUILD_FLAGS", "Portable", NULL,
	  "PoCL compiles with these; -cl-opt-disable is twenty times slower", "unset POCL_EXTRA_BUILD_FLAGS" },
	{ "POCL_WORK_GROUP_SPECIALIZATION", "Portable", "0", "PoCL compiles a kernel anew for each size of work-group",
	  "for shorter starts: unset POCL_WORK_GROUP_SPECIALIZATION" },
	{ "POCL_MEMORY_LIMIT", "Portable", NULL, "PoCL says that it has no more memory than this, in GB",
	  "unset POCL_MEMORY_LIMIT" },
};

static int check_others(doctor *d)
{
	int seen = 0;

	for (int i = 0; i < CLEF_COUNT(others); i++) {
		const char *value = value_of(others[i].name);

		if (!value || (others[i].fine && !strcmp(value, others[i].fine)) ||
		    (others[i].platform && !doctor_has_platform(d, others[i].platform)))
			continue;
		doctor_advise(d, DOCTOR_WARNING, others[i].advice, "%s=%s: %s", others[i].name, value, others[i].found);
		seen++;
	}
	return seen;
}

static int check_profile(doctor *d)
{
	const char *value = value_of("CLEF_PROFILE");

	if (!value || !strcmp(value, "0"))
		return 0;
	doctor_advise(d, DOCTOR_WARNING, "unset CLEF_PROFILE when you need no table of kernels",
		      "CLEF_PROFILE=%s: every kernel is timed, which takes time itself", value);
	return 1;
}

void doctor_environment(doctor *d)
{
	int seen = check_names(d) + check_kernels(d) + check_profile(d) + check_others(d);

	if (d->chosen >= 0)
		seen += check_conv(d);
	if (!seen)
		doctor_report(d, DOCTOR_OK, "no variable is set that changes how clef computes");
}
