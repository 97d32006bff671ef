/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of cases. Problems are read by the library here already, which calls no driver, so a mistake in one ends the
 * command before anything runs.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check_plan.h"
#include "tool.h"

static int add(check_plan *plan, const char *problem)
{
	check_case *c;

	if (plan->count == plan->capacity) {
		int capacity = plan->capacity ? 2 * plan->capacity : 64;
		check_case *grown = realloc(plan->cases, (size_t)capacity * sizeof(*grown));

		if (!grown) {
			complain("no memory for %d cases", capacity);
			return EXIT_FAILED;
		}
		plan->cases = grown;
		plan->capacity = capacity;
	}
	c = &plan->cases[plan->count];
	memset(c, 0, sizeof(*c));
	if (clef_check_normalize(problem, c->problem, sizeof(c->problem))) {
		complain("%s", reason());
		return EXIT_MISUSED;
	}
	snprintf(c->family, sizeof(c->family), "%.*s", (int)strcspn(c->problem, " "), c->problem);
	plan->count++;
	return -1;
}

static int add_family(check_plan *plan, const clef_check_family *f, bool all)
{
	int status = -1;

	for (int i = 0; i < (all ? f->count : f->quick) && status < 0; i++)
		status = add(plan, f->problems[i]);
	return status;
}

int check_plan_library(check_plan *plan, bool all)
{
	int status = -1;

	for (int i = 0; i < clef_check_count() && status < 0; i++) {
		clef_check_family f = clef_check_get(i);

		status = add_family(plan, &f, all);
	}
	return status;
}

/* ---- words ---- */

static bool find_family(const char *name, size_t length, clef_check_family *found)
{
	for (int i = 0; i < clef_check_count(); i++) {
		*found = clef_check_get(i);
		if (strlen(found->name) == length && !strncmp(found->name, name, length))
			return true;
	}
	return false;
}

static int add_file(check_plan *plan, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[1024];
	int status = -1;

	if (!file) {
		complain("%s cannot be read: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	while (status < 0 && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "#\r\n")] = '\0';
		if (line[strspn(line, " \t")])
			status = add(plan, line);
	}
	if (status < 0 && ferror(file)) {
		complain("%s cannot be read: %s", path, strerror(errno));
		status = EXIT_FAILED;
	}
	fclose(file);
	return status;
}

/* From word i on, those that make a problem; returns how many, and the problem in text. */
static int join(const option_words *words, int i, char text[512])
{
	int first = i;
	size_t used = 0;
	clef_check_family f;

	do {
		used += (size_t)snprintf(text + used, 512 - used, "%s%s", i > first ? " " : "", words->v[i]);
		i++;
	} while (used < 512 && i < words->count && *words->v[i] != '@' &&
		 !find_family(words->v[i], strcspn(words->v[i], " "), &f));
	return i - first;
}

int check_plan_words(check_plan *plan, const option_words *words, bool all)
{
	int status = -1;

	for (int i = 0; i < words->count && status < 0;) {
		const char *word = words->v[i];
		char text[512];
		clef_check_family f;
		int n;

		if (*word == '@') {
			status = add_file(plan, word + 1);
			i++;
			continue;
		}
		n = join(words, i, text);
		if (n == 1 && find_family(word, strlen(word), &f))
			status = add_family(plan, &f, all);
		else
			status = add(plan, text);
		i += n;
	}
	return status;
}

void check_plan_free(check_plan *plan)
{
	free(plan->cases);
	*plan = (check_plan){ NULL, 0, 0 };
}

bool check_failed(const check_case *c)
{
	return c->state == CHECK_CRASHED || (c->state == CHECK_DONE && c->result.verdict == CLEF_VERDICT_FAILED);
}
