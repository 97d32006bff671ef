/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites of tuning share: a file of their own, and choices put into it. */
#ifndef CLEF_TUNING_CASE_H
#define CLEF_TUNING_CASE_H

#include <stdio.h>
#include <stdlib.h>

#include "check_clef.h"
#include "tuning.h"

static inline void tuning_setup(void)
{
	char path[1100];

	snprintf(path, sizeof(path), "%s/tuning.json", test_dir());
	test_setenv("CLEF_TUNING", path);
	test_setenv("CLEF_TUNE_MS", "0");
	/* Of the test before, where they share a process. */
	remove(path);
	test_note_warnings();
}

/* Products are a choice unless the environment names an engine. */
static inline bool tuning_is_forced(void)
{
	const char *name = getenv("CLEF_GEMM");

	return name && *name;
}

static inline void tuning_keep(clef_device *dev, const char *problem, const char *name, const char *param, int value)
{
	clef__tuned t = { .choice = clef__choice_make(name), .shipped = "x" };

	snprintf(t.problem, sizeof(t.problem), "%s", problem);
	if (param)
		clef__choice_add(&t.choice, param, value);
	ck_ok(clef__tuning_keep(dev, &t, true));
}

#endif
