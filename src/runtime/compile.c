/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiling several programs at a time.
 *
 * PoCL compiles one program at a time in a process, in however many threads and contexts: four programs took 20.4 s one
 * after the other, 19.3 s in four threads, 21.2 s in four contexts (3.1). So processes do it, children by fork(), which
 * have all that the compiler has loaded, and find the device idle; the kernel cache brings back what they made. A
 * program that does not come back is compiled as if there were no children. Of the parent's threads a child has the one
 * that called fork(), and locks that others held stay locked in it: so there are none where another device is open.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "opencl.h"

#define MOST_JOBS 64
/* Seconds, and how many times the seconds that the parent took for its share, after which something is wrong with a
 * child. */
#define PATIENCE       5.0
#define PATIENCE_TIMES 4.0

typedef struct work {
	atomic_int next; /* program to build */
} work;

bool clef__is_pocl(const clef_device *dev)
{
	return strcmp(dev->info.platform_name, "Portable Computing Language") == 0;
}

/* ---- how many at a time ---- */

clef_status clef__compile_open(clef_device *dev)
{
	const char *text = getenv("CLEF_COMPILE_JOBS");
	long jobs = CLEF__MIN((long)dev->info.compute_units, MOST_JOBS);
	char *end;

	if (text && *text) {
		jobs = strtol(text, &end, 10);
		if (end == text || *end || jobs < 1 || jobs > MOST_JOBS)
			return clef__fail(CLEF_ERROR_INVALID,
					  "CLEF_COMPILE_JOBS is \"%s\": it takes how many programs to compile at a "
					  "time, 1 to %d",
					  text, MOST_JOBS);
	}
	dev->compile_jobs = dev->cache_folder && clef__is_pocl(dev) ? (int)jobs : 1;
	return CLEF_OK;
}

/* ---- compiling ---- */

static int by_size(const void *a, const void *b)
{
	size_t x = (*(clef__program *const *)a)->key.size, y = (*(clef__program *const *)b)->key.size;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* The parent will find out itself. */
static void ignore(void *user, clef_log_level level, const char *message)
{
	(void)user;
	(void)level;
	(void)message;
}

static void be_child(clef_device *dev, clef__program **program, int count, work *w)
{
	int i;

#ifdef __linux__
	prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
	clef_log_set(ignore, NULL, CLEF_LOG_WARN);
	while ((i = atomic_fetch_add(&w->next, 1)) < count)
		clef__program_build_aside(dev, program[i]);
	/* Not exit(): what the process has to do at its end is its parent's. */
	_exit(0);
}

static void await(pid_t child, double until)
{
	const struct timespec moment = { 0, 2000000 };

	/* Somebody who waits for any child may have been told of its end: then there is none. */
	while (waitpid(child, NULL, WNOHANG) == 0) {
		if (clef__seconds() > until)
			kill(child, SIGKILL);
		nanosleep(&moment, NULL);
	}
}

/* Until no program is left, together with the children that could be started. */
static void build_all(clef_device *dev, clef__program **program, int count, work *w)
{
	pid_t child[MOST_JOBS - 1];
	int children = CLEF__MIN(dev->compile_jobs, count) - 1, started = 0, i;
	double start = clef__seconds(), end;

	clef__wait(dev);
	for (; started < children && (child[started] = fork()) >= 0; started++)
		if (child[started] == 0)
			be_child(dev, program, count, w);
	for (int k = 0; k < count; k++)
		program[k]->aside = started > 0;
	while ((i = atomic_fetch_add(&w->next, 1)) < count) {
		program[i]->aside = false;
		if (clef__program_build(dev, program[i]))
			break;
	}
	end = clef__seconds();
	while (started)
		await(child[--started], end + PATIENCE + PATIENCE_TIMES * (end - start));
}

void clef__programs_build(clef_device *dev, clef__program **program, int count)
{
	double start = clef__seconds(), before = dev->stats.build_seconds;
	work *w;

	if (count < 2 || !clef__device_is_only_one())
		return;
	/* Large ones first, so that all end at about the same time; but before them, where there is work for all, a
	 * small one, by which the compiler loads what the children would load each. */
	qsort(program, (size_t)count, sizeof(*program), by_size);
	if (!dev->stats.programs_built && count > dev->compile_jobs && clef__program_build(dev, program[--count]))
		return;
	w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w == MAP_FAILED)
		return;
	atomic_init(&w->next, 0);
	build_all(dev, program, count, w);
	munmap(w, sizeof(*w));
	dev->stats.build_seconds = before + clef__seconds() - start;
}
