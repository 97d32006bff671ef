/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of CLEF_PROFILE=1: where the device's time went, by kernel. Launches are timed by their events, which are
 * collected in batches so that profiling does not make every launch wait.
 */
#include "opencl.h"

#define MAX_ROWS    256
#define MAX_PENDING 1024

typedef struct row {
	const char *label;
	uint64_t calls;
	double seconds, bytes, flops;
} row;

struct clef__profile {
	row row[MAX_ROWS]; /* the last one takes what finds no place */
	int rows;
	struct {
		cl_event event;
		int row;
		double bytes, flops;
	} pending[MAX_PENDING];
	int waiting;
	double start;
};

clef__profile *clef__profile_new(void)
{
	clef__profile *p = clef__calloc(1, sizeof(*p), "the profile");

	if (p)
		p->start = clef__seconds();
	return p;
}

static int find_row(clef__profile *p, const char *label)
{
	for (int i = 0; i < p->rows; i++)
		if (strcmp(p->row[i].label, label) == 0)
			return i;
	if (p->rows == MAX_ROWS)
		return MAX_ROWS - 1;
	p->row[p->rows].label = p->rows == MAX_ROWS - 1 ? "others" : label;
	return p->rows++;
}

static void add(row *r, double seconds, double bytes, double flops)
{
	r->calls++;
	r->seconds += seconds;
	r->bytes += bytes;
	r->flops += flops;
}

static void collect(clef__profile *p)
{
	for (int i = 0; i < p->waiting; i++) {
		cl_event event = p->pending[i].event;
		cl_ulong start = 0, end = 0;

		clWaitForEvents(1, &event);
		clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof(start), &start, NULL);
		clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(end), &end, NULL);
		clReleaseEvent(event);
		add(&p->row[p->pending[i].row], end > start ? 1e-9 * (double)(end - start) : 0, p->pending[i].bytes,
		    p->pending[i].flops);
	}
	p->waiting = 0;
}

void clef__profile_event(clef__profile *p, const char *label, cl_event event, double bytes, double flops)
{
	if (p->waiting == MAX_PENDING)
		collect(p);
	p->pending[p->waiting].event = event;
	p->pending[p->waiting].row = find_row(p, label);
	p->pending[p->waiting].bytes = bytes;
	p->pending[p->waiting++].flops = flops;
}

void clef__profile_time(clef__profile *p, const char *label, double seconds, double bytes, double flops)
{
	add(&p->row[find_row(p, label)], seconds, bytes, flops);
}

static int by_seconds(const void *a, const void *b)
{
	double x = ((const row *)a)->seconds, y = ((const row *)b)->seconds;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* A kernel's share of the limit that it is nearest to, in percent; 0 where nothing is known of it. */
static double share_of_limit(const row *r, double bytes_limit, double flops_limit)
{
	double share = 0;

	if (r->seconds > 0 && bytes_limit > 0)
		share = 100 * r->bytes / r->seconds / bytes_limit;
	if (r->seconds > 0 && flops_limit > 0)
		share = CLEF__MAX(share, 100 * r->flops / r->seconds / flops_limit);
	return share;
}

static void print_row(const row *r, double total, double bytes_limit, double flops_limit)
{
	double per_second = r->seconds > 0 ? 1 / r->seconds : 0;

	fprintf(stderr, "%-28s %9llu %10.2f %5.1f%% %9.2f %8.2f %9.2f %5.1f%%\n", r->label,
		(unsigned long long)r->calls, 1e3 * r->seconds, total > 0 ? 100 * r->seconds / total : 0,
		1e6 * r->seconds / (double)r->calls, 1e-9 * r->bytes * per_second, 1e-9 * r->flops * per_second,
		share_of_limit(r, bytes_limit, flops_limit));
}

void clef__profile_close(clef_device *dev)
{
	clef__profile *p = dev->profile;
	double total = 0, wall = clef__seconds() - p->start, compiling = dev->stats.build_seconds;
	double bytes_limit, flops_limit;

	collect(p);
	/* The probe is no part of the profile. */
	dev->profile = NULL;
	clef__probe(dev, &bytes_limit, &flops_limit);
	qsort(p->row, (size_t)p->rows, sizeof(row), by_seconds);
	for (int i = 0; i < p->rows; i++)
		total += p->row[i].seconds;
	fprintf(stderr, "\n%s: %.3f s in all, %.3f s in kernels, %.3f s in compiling\n", dev->info.name, wall, total,
		compiling);
	fprintf(stderr, "%-28s %9s %10s %6s %9s %8s %9s %6s\n", "kernel", "calls", "ms", "share", "us/call", "GB/s",
		"GFLOP/s", "limit");
	for (int i = 0; i < p->rows; i++)
		if (p->row[i].calls)
			print_row(&p->row[i], total, bytes_limit, flops_limit);
	fprintf(stderr, "limits measured here: copying %.2f GB/s, multiply-adds %.2f GFLOP/s\n", 1e-9 * bytes_limit,
		1e-9 * flops_limit);
	free(p);
}
