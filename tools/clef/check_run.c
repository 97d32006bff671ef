/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the cases in child processes, which report the beginning and the end of every case on a line of its own. Where
 * one ends too early, the case that it had begun is the one that its driver died of, and another child takes the rest.
 *
 * Most of the time of a first run goes into compiling, and cases of a family and of its relatives share kernels. So a
 * child claims a few neighbours at a time, and no kernel is compiled twice at once; from the end of the list on,
 * because the longest cases, whole networks, are there.
 */
#define _DEFAULT_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check_plan.h"
#include "child.h"
#include "tool.h"

#define MOST_TOGETHER 12

/* Cases that are claimed together: `owner` is the worker, or -1. In memory that the children share. */
typedef struct group {
	int first, count;
	atomic_int owner;
} group;

typedef struct worker {
	child process;
	check_plan *plan;
	group *groups;
	int group_count, index;
	const check_run_opts *opts;
	check_device *device;
	bool opened;
	char failure[512]; /* why its device could not be opened */
} worker;

/* ---- in the child ---- */

static void print_device(FILE *out, const clef_device_info *d)
{
	fprintf(out, "device\t%s\t%s\t%s\t%s\t%s\n", d->name, d->platform_name, d->version, d->driver,
		clef_device_kind_name(d->kind));
}

static void flatten(char *text)
{
	for (; *text; text++)
		if (*text == '\n' || *text == '\t')
			*text = ' ';
}

static void check_one(FILE *out, clef_device *dev, const check_case *c, int i)
{
	clef_check_result r;

	fprintf(out, "start\t%d\n", i);
	if (clef_check(dev, c->problem, &r)) {
		r.verdict = CLEF_VERDICT_FAILED;
		snprintf(r.message, sizeof(r.message), "%s", reason());
	}
	flatten(r.message);
	fprintf(out, "end\t%d\t%d\t%a\t%a\t%a\t%a\t%a\t%s\n", i, (int)r.verdict, r.value_error, r.value_limit,
		r.gradient_error, r.gradient_limit, r.seconds, r.message);
}

/* True where the group is the worker's now, or was: of the child before this one. */
static bool claim(const worker *w, group *g)
{
	int nobody = -1;

	return atomic_compare_exchange_strong(&g->owner, &nobody, w->index) || nobody == w->index;
}

static void work(void *arg, FILE *out)
{
	const worker *w = arg;
	clef_device *dev = clef_device_open(w->opts->device);

	if (!dev) {
		char why[512];

		snprintf(why, sizeof(why), "%s", reason());
		flatten(why);
		fprintf(out, "closed\t%s\n", why);
		return;
	}
	print_device(out, clef_device_get_info(dev));
	for (int k = w->group_count - 1; k >= 0; k--)
		if (claim(w, &w->groups[k]))
			for (int i = 0; i < w->groups[k].count; i++) {
				const check_case *c = &w->plan->cases[w->groups[k].first + i];

				if (c->state == CHECK_WAITS)
					check_one(out, dev, c, w->groups[k].first + i);
			}
}

/* ---- in the parent ---- */

/* Cuts the field at the next tab off. */
static const char *next_field(char **text)
{
	char *field = *text, *tab = field ? strchr(field, '\t') : NULL;

	if (tab)
		*tab = '\0';
	*text = tab ? tab + 1 : NULL;
	return field ? field : "";
}

static const char *kind_name(const char *text)
{
	for (int kind = CLEF_DEVICE_CPU; kind < CLEF_DEVICE_OTHER; kind++)
		if (!strcmp(clef_device_kind_name((clef_device_kind)kind), text))
			return clef_device_kind_name((clef_device_kind)kind);
	return clef_device_kind_name(CLEF_DEVICE_OTHER);
}

static void read_device(check_device *d, char *fields)
{
	d->known = true;
	snprintf(d->name, sizeof(d->name), "%s", next_field(&fields));
	snprintf(d->platform, sizeof(d->platform), "%s", next_field(&fields));
	snprintf(d->version, sizeof(d->version), "%s", next_field(&fields));
	snprintf(d->driver, sizeof(d->driver), "%s", next_field(&fields));
	d->kind = kind_name(next_field(&fields));
}

static void read_end(worker *w, char *fields)
{
	int i = atoi(next_field(&fields));
	check_case *c = i >= 0 && i < w->plan->count ? &w->plan->cases[i] : NULL;
	clef_check_result *r = &c->result;

	if (!c)
		return;
	r->verdict = (clef_verdict)atoi(next_field(&fields));
	r->value_error = strtod(next_field(&fields), NULL);
	r->value_limit = strtod(next_field(&fields), NULL);
	r->gradient_error = strtod(next_field(&fields), NULL);
	r->gradient_limit = strtod(next_field(&fields), NULL);
	r->seconds = strtod(next_field(&fields), NULL);
	snprintf(r->message, sizeof(r->message), "%s", fields ? fields : "");
	c->state = CHECK_DONE;
	w->opts->done(w->opts->user, i);
}

static void read_line(void *user, char *line)
{
	worker *w = user;
	char *fields = line;
	const char *event = next_field(&fields);
	int i;

	if (!strcmp(event, "device")) {
		w->opened = true;
		read_device(w->device, fields);
	} else if (!strcmp(event, "closed"))
		snprintf(w->failure, sizeof(w->failure), "%s", fields ? fields : "");
	else if (!strcmp(event, "start")) {
		i = atoi(next_field(&fields));
		if (i >= 0 && i < w->plan->count) {
			w->plan->cases[i].state = CHECK_RUNS;
			w->plan->cases[i].worker = w->index;
		}
	} else if (!strcmp(event, "end"))
		read_end(w, fields);
}

static bool has_work(const worker *w)
{
	for (int k = 0; k < w->group_count; k++) {
		int owner = atomic_load(&w->groups[k].owner);

		for (int i = 0; i < w->groups[k].count; i++)
			if ((owner < 0 || owner == w->index) &&
			    w->plan->cases[w->groups[k].first + i].state == CHECK_WAITS)
				return true;
	}
	return false;
}

static void start(worker *w)
{
	child_free(&w->process);
	memset(&w->process, 0, sizeof(w->process));
	w->process.work = work;
	w->process.arg = w;
	w->process.line = read_line;
	w->process.user = w;
	w->opened = false;
	child_start(&w->process);
}

/* The child has ended: what it had begun was the end of it. True where nothing had begun that could be to blame. */
static bool blame(worker *w)
{
	bool blamed = false;

	for (int i = 0; i < w->plan->count; i++) {
		check_case *c = &w->plan->cases[i];

		if (c->state != CHECK_RUNS || c->worker != w->index)
			continue;
		c->state = CHECK_CRASHED;
		c->result = (clef_check_result){ .verdict = CLEF_VERDICT_FAILED };
		snprintf(c->result.message, sizeof(c->result.message), "the driver %s", w->process.text);
		w->opts->done(w->opts->user, i);
		blamed = true;
	}
	return blamed;
}

static int settle(worker *w)
{
	bool blamed = blame(w);

	if (!has_work(w))
		return -1;
	if (*w->failure || (!blamed && !w->opened)) {
		complain("the device cannot be opened: %s", *w->failure ? w->failure : w->process.text);
		return EXIT_FAILED;
	}
	if (!blamed) {
		complain("the process that checks ended between two cases: it %s", w->process.text);
		return EXIT_FAILED;
	}
	start(w);
	return -1;
}

/* Families with one beginning, conv1d and conv_transpose2d, or all normalizations. */
static bool share_kernels(const char *a, const char *b)
{
	static const char norm[] = "_norm";
	const size_t end = sizeof(norm) - 1, la = strlen(a), lb = strlen(b);

	return strncmp(a, b, 4) == 0 ||
	       (la > end && lb > end && strcmp(a + la - end, norm) == 0 && strcmp(b + lb - end, norm) == 0);
}

static int make_groups(const check_plan *plan, int jobs, group *groups)
{
	int count = 0, most = plan->count / jobs < MOST_TOGETHER ? plan->count / jobs : MOST_TOGETHER;

	for (int i = 0; i < plan->count; i++) {
		group *g = count ? &groups[count - 1] : NULL;

		if (g && g->count < most && share_kernels(plan->cases[i].family, plan->cases[g->first].family)) {
			g->count++;
			continue;
		}
		groups[count].first = i;
		groups[count].count = 1;
		atomic_init(&groups[count++].owner, -1);
	}
	return count;
}

static int run_jobs(worker *workers, int jobs, double limit)
{
	child *list[CHILD_MOST];
	int status = -1, ended;

	for (int i = 0; i < jobs; i++) {
		list[i] = &workers[i].process;
		start(&workers[i]);
	}
	while (status < 0 && (ended = child_wait(list, jobs, limit)) >= 0)
		status = settle(&workers[ended]);
	for (int i = 0; i < jobs; i++)
		child_free(&workers[i].process);
	return status;
}

int check_run(check_plan *plan, const check_run_opts *opts, check_device *device)
{
	worker workers[CHILD_MOST];
	int jobs = opts->jobs < plan->count ? opts->jobs : plan->count, status, count;
	size_t size = sizeof(group) * (size_t)(plan->count + 1);
	group *groups = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (groups == MAP_FAILED) {
		complain("no memory for %d cases", plan->count);
		return EXIT_FAILED;
	}
	jobs = jobs < 1 ? 1 : jobs > CHILD_MOST ? CHILD_MOST : jobs;
	count = make_groups(plan, jobs, groups);
	memset(workers, 0, sizeof(workers));
	for (int i = 0; i < jobs; i++)
		workers[i] = (worker){
			.plan = plan, .groups = groups, .group_count = count, .index = i, .opts = opts, .device = device
		};
	status = run_jobs(workers, jobs, opts->limit);
	munmap(groups, size);
	return status;
}
