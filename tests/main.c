/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the test suites: all of them, or those named. Each test runs in a forked process, so that a driver that crashes
 * or hangs costs one test. For that the parent must not call OpenCL: threads of a driver do not survive a fork.
 *
 *     clef_tests [--list] [suite ...]
 *
 * Check's own variables work too: CK_FORK=no for a debugger, CK_RUN_CASE for one case, CK_VERBOSITY=verbose.
 */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

#ifdef __SANITIZE_ADDRESS__
#include <dlfcn.h>

/* The loader unloads drivers that have no platform. What such a one has allocated is then reachable from nowhere, and a
 * leak of no module that a suppression could name. So nothing is unloaded. */
int dlclose(void *handle)
{
	(void)handle;
	return 0;
}
#endif

static const struct {
	const char *name;
	Suite *(*suite)(void);
} suites[] = {
#define SUITE_ROW(name) { #name, name##_suite },
	SUITE_MAP(SUITE_ROW)
#undef SUITE_ROW
};

static int find(const char *name)
{
	for (int i = 0; i < CLEF_COUNT(suites); i++)
		if (!strcmp(suites[i].name, name))
			return i;
	return -1;
}

static int usage(const char *bad)
{
	fprintf(stderr, "clef_tests: no suite \"%s\"\nusage: clef_tests [--list] [suite ...]\nsuites:", bad);
	for (int i = 0; i < CLEF_COUNT(suites); i++)
		fprintf(stderr, " %s", suites[i].name);
	fprintf(stderr, "\n");
	return 2;
}

static int list(void)
{
	for (int i = 0; i < CLEF_COUNT(suites); i++)
		printf("%s\n", suites[i].name);
	return 0;
}

static int run(SRunner *runner)
{
	int failed, total;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	total = srunner_ntests_run(runner);
	printf("%d passed, %d failed\n", total - failed, failed);
	return failed || !total;
}

int main(int argc, char **argv)
{
	SRunner *runner;
	int status;

	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	for (int i = 1; i < argc; i++)
		if (find(argv[i]) < 0)
			return usage(argv[i]);
	if (!test_root_make()) {
		perror("clef_tests: temporary folder");
		return 2;
	}
	/* What a user has tuned, and what a device measures by itself, is no business of tests but those of it. */
	setenv("CLEF_TUNING", "", 1);
	setenv("CLEF_TUNE_MS", "0", 1);
	/* Check's four seconds are too few for a kernel's first compilation. Cases read this when they are created. */
	setenv("CK_DEFAULT_TIMEOUT", "120", 0);
	runner = srunner_create(NULL);
	if (argc < 2)
		for (int i = 0; i < CLEF_COUNT(suites); i++)
			srunner_add_suite(runner, suites[i].suite());
	for (int i = 1; i < argc; i++)
		srunner_add_suite(runner, suites[find(argv[i])].suite());
	status = run(runner);
	srunner_free(runner);
	test_root_remove();
	return status;
}
