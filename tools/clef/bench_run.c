/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running benchmarks, on one device in this process, or on all of them in processes of their own: a driver that crashes
 * or hangs then costs its own device and no other. This process does not touch OpenCL in that case, not even to list
 * the devices, because a forked process cannot use what its parent has opened.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_tool.h"
#include "child.h"
#include "tool.h"

enum { MOST_DEVICES = 32, TIME_LIMIT = 300 };

/* ---- one device ---- */

typedef struct plan {
	clef_bench *b;
	int done, steps;
	bool terminal;
	FILE *out; /* the pipe to the parent, where there is one */
} plan;

static void show_step(plan *p, const char *what)
{
	p->done++;
	if (p->out)
		fprintf(p->out, "[%d/%d] %s\n", p->done, p->steps, what);
	else if (p->terminal)
		fprintf(stderr, "\r\033[K[%d/%d] %.70s", p->done, p->steps, what);
}

static int failed(plan *p)
{
	if (p->terminal)
		fputs("\r\033[K", stderr);
	complain("%s", reason());
	return EXIT_FAILED;
}

static bool wants(const bench_options *o, const check_plan *problems, int part)
{
	if (o->only)
		return (o->only & part) != 0;
	return (!o->model && !problems->count) || (part == BENCH_OPS ? problems->count > 0 : o->model != NULL);
}

static int measure(const bench_options *o, const check_plan *problems, clef_bench_effort effort, plan *p)
{
	const clef_bench_network own = { o->model, o->input.ndim ? o->input : CLEF_SHAPE(3, 32, 32), (int)o->classes,
					 o->batch, o->optim };
	int ops, networks;
	const char *const *op = clef_bench_problems(effort, &ops);
	const clef_bench_network *network = clef_bench_networks(effort, &networks);

	ops = problems->count ? problems->count : ops;
	if (o->model) {
		network = &own;
		networks = 1;
	}
	ops = wants(o, problems, BENCH_OPS) ? ops : 0;
	networks = wants(o, problems, BENCH_NETWORKS) ? networks : 0;
	p->steps = 1 + ops + networks;
	show_step(p, "limits of the device");
	if (clef_bench_limits(p->b))
		return failed(p);
	for (int i = 0; i < ops; i++) {
		const char *problem = problems->count ? problems->cases[i].problem : op[i];

		show_step(p, problem);
		if (clef_bench_problem(p->b, problem))
			return failed(p);
	}
	for (int i = 0; i < networks; i++) {
		show_step(p, network[i].model);
		if (clef_bench_network_run(p->b, &network[i]))
			return failed(p);
	}
	if (p->terminal)
		fputs("\r\033[K", stderr);
	return -1;
}

static int run(const bench_options *o, const check_plan *problems, const char *device, FILE *out, clef_bench **b)
{
	clef_bench_effort effort = o->quick ? CLEF_BENCH_QUICK : o->full ? CLEF_BENCH_FULL : CLEF_BENCH_DEFAULT;
	clef_device *dev = clef_device_open(device);
	plan p = { .terminal = !out && isatty(STDERR_FILENO) == 1, .out = out };

	if (!dev) {
		complain("%s%s%s%s", device ? "--device " : "", device ? device : "", device ? ": " : "", reason());
		return EXIT_FAILED;
	}
	*b = p.b = clef_bench_new(dev, effort);
	clef_device_close(dev);
	return p.b ? measure(o, problems, effort, &p) : failed(&p);
}

int bench_run(const bench_options *o, const check_plan *problems, const char *device, clef_bench **b)
{
	return run(o, problems, device, NULL, b);
}

/* ---- all devices ---- */

static void list_devices(void *arg, FILE *out)
{
	static clef_device_info infos[MOST_DEVICES];
	int n = clef_device_list(infos, MOST_DEVICES);

	(void)arg;
	if (n < 0)
		_exit(EXIT_FAILED);
	fwrite(infos, sizeof(*infos), (size_t)(n < MOST_DEVICES ? n : MOST_DEVICES), out);
}

typedef struct device_work {
	const bench_options *o;
	const check_plan *problems;
	const clef_device_info *info;
	char path[512]; /* where the result goes */
} device_work;

static void measure_device(void *arg, FILE *out)
{
	const device_work *w = arg;
	clef_bench *b = NULL;
	char name[32];
	int status;

	snprintf(name, sizeof(name), "%d:%d", w->info->platform, w->info->device);
	status = run(w->o, w->problems, name, out, &b);
	if (status < 0 && !clef_bench_write(w->path, (const clef_bench_result *[]){ clef_bench_get(b) }, 1))
		return;
	if (status < 0)
		complain("%s", reason());
	fflush(NULL);
	_exit(EXIT_FAILED);
}

static void show_line(void *user, char *line)
{
	const device_work *w = user;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%.30s: %.70s", w->info->name, line);
}

static clef_bench_result *without(const clef_device_info *info, const char *why)
{
	clef_bench_result *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->device = *info;
	r->error = strdup(why);
	return r;
}

/* A row that hangs says nothing, so the limit is one for silence. */
static clef_bench_result *run_device(const bench_options *o, const check_plan *problems, const clef_device_info *info)
{
	device_work w = { .o = o, .problems = problems, .info = info };
	child c = { .work = measure_device, .arg = &w, .line = show_line, .user = &w };
	const char *tmp = getenv("TMPDIR");
	clef_bench_result **read = NULL, *r = NULL;
	int fd, count = 0;

	if (!info->available)
		return without(info, "its driver says that it cannot be used");
	snprintf(w.path, sizeof(w.path), "%s/clef-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	fd = mkstemp(w.path);
	if (fd < 0)
		return without(info, "there is no place for a temporary file");
	close(fd);
	child_run(&c, o->time_limit ? (double)o->time_limit : TIME_LIMIT);
	if (c.end == CHILD_DONE)
		read = clef_bench_read(w.path, &count);
	if (read && count == 1)
		r = read[0];
	else
		r = without(info, c.end == CHILD_DONE ? reason() : c.text);
	free(read);
	unlink(w.path);
	child_free(&c);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	return r;
}

int bench_run_all(const bench_options *o, const check_plan *problems, clef_bench_result ***results, int *count)
{
	child lister = { .work = list_devices };
	const clef_device_info *infos;
	int devices;

	child_run(&lister, TIME_LIMIT);
	infos = (const void *)lister.said.data;
	devices = lister.end == CHILD_DONE ? (int)(lister.said.size / sizeof(*infos)) : -1;
	if (devices > 0)
		*results = calloc((size_t)devices, sizeof(**results));
	if (devices < 0)
		complain("the devices cannot be listed: a driver %s", lister.text);
	else if (devices == 0)
		complain("no OpenCL device was found; clef devices says what to do");
	for (int i = 0; i < devices && *results; i++) {
		(*results)[i] = run_device(o, problems, &infos[i]);
		if (!(*results)[i])
			break;
		++*count;
	}
	child_free(&lister);
	return devices > 0 && *count == devices ? -1 : EXIT_FAILED;
}
