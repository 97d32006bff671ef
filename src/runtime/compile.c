/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiling several programs at a time.
 *
 * PoCL compiles one program at a time in a process, in however many threads and contexts: four programs took 20.4 s one
 * after the other, 19.3 s in four threads, 21.2 s in four contexts (3.1). So processes do it, children by fork(), which
 * have all that the compiler has loaded, and find the device idle; the kernel cache brings back what they made. A
 * program that does not come back is compiled as if there were no children.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "opencl.h"

#define MAX_CHILDREN 63
/* Where a child has made nothing for so long, something is wrong with it. */
#define PATIENCE 300.0

typedef struct work {
	atomic_int next; /* program to build */
} work;

bool clef__is_pocl(const clef_device *dev)
{
	return strcmp(dev->info.platform_name, "Portable Computing Language") == 0;
}

bool clef__compiles_in_parallel(const clef_device *dev)
{
	return dev->cache_folder && dev->info.compute_units > 1 && clef__is_pocl(dev);
}

static int by_size(const void *a, const void *b)
{
	size_t x = (*(clef__program *const *)a)->key.size, y = (*(clef__program *const *)b)->key.size;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void be_child(clef_device *dev, clef__program **program, int count, work *w)
{
	int i;

#ifdef __linux__
	prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
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

void clef__programs_build(clef_device *dev, clef__program **program, int count)
{
	pid_t child[MAX_CHILDREN];
	int children, started = 0, i;
	double until;
	work *w;

	/* Large ones first, so that all end at about the same time; but before them a small one, by which the compiler
	 * loads what the children would load each. */
	qsort(program, (size_t)count, sizeof(*program), by_size);
	if (count > 1 && !dev->stats.programs_built && clef__program_build(dev, program[--count]))
		return;
	if (count < 2)
		return;
	w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w == MAP_FAILED)
		return;
	atomic_init(&w->next, 0);
	children = CLEF__MIN(CLEF__MIN((int)dev->info.compute_units, count) - 1, MAX_CHILDREN);
	clFinish(dev->queue);
	for (; started < children && (child[started] = fork()) >= 0; started++)
		if (child[started] == 0)
			be_child(dev, program, count, w);
	for (int k = 0; k < count && started; k++)
		program[k]->aside = true;
	while ((i = atomic_fetch_add(&w->next, 1)) < count) {
		program[i]->aside = false;
		if (clef__program_build(dev, program[i]))
			break;
	}
	until = clef__seconds() + PATIENCE;
	while (started)
		await(child[--started], until);
	munmap(w, sizeof(*w));
}
