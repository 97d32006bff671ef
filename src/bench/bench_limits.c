/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of a device, and what they say about a measurement: which of them holds it back, and whether it can be
 * true at all. A working set that stays in a cache is moved faster than memory can, so bandwidth is a curve over sizes.
 */
#include "bench_internal.h"

enum {
	LAUNCHES = 200,
	COMPILATIONS = 3,
	PROBES = 2, /* of which the best counts: one may be when the machine does something else */
};

/* Clocks are read to a microsecond or so, and the best moment of a probe is not the best of all. */
#define MARGIN 1.1

static const uint64_t memory_sizes[] = { 1 << 17, 1 << 19, 1 << 21, 1 << 23, 1 << 25, 1 << 27 };
static const uint64_t transfer_sizes[] = { 4, 1 << 12, 1 << 16, 1 << 20, 1 << 24 };

typedef struct measurement {
	clef_device *dev;
	uint64_t bytes;
	bool choice; /* copying, to the host, cached */
} measurement;

/* ---- the measurements, as rates or seconds ---- */

static clef_status multiply_add(void *what, double *flops)
{
	return clef__probe_multiply_add(((const measurement *)what)->dev, flops);
}

static clef_status memory(void *what, double *rate)
{
	const measurement *m = what;
	double seconds = 0;
	clef_status s = clef__probe_memory(m->dev, m->choice, (size_t)m->bytes, &seconds);

	*rate = seconds > 0 ? (double)m->bytes / seconds : 0;
	return s;
}

static clef_status transfer(void *what, double *rate)
{
	const measurement *m = what;
	double seconds = 0;
	clef_status s = clef__probe_transfer(m->dev, m->choice, (size_t)m->bytes, &seconds);

	*rate = seconds > 0 ? (double)m->bytes / seconds : 0;
	return s;
}

static clef_status launch(void *what, double *seconds)
{
	return clef__probe_launch(((const measurement *)what)->dev, 1, seconds);
}

static clef_status launch_row(void *what, double *seconds)
{
	return clef__probe_launch(((const measurement *)what)->dev, LAUNCHES, seconds);
}

/* Slow, and it fills the driver's cache, so its number is fixed. */
static clef_status compile(clef_bench *b, bool cached, clef_bench_stat *stat)
{
	double value[COMPILATIONS];
	int count = b->effort == CLEF_BENCH_QUICK ? 1 : COMPILATIONS;
	clef_status s = CLEF_OK;

	for (int i = 0; i < count && !s; i++)
		s = clef__probe_compile(b->dev, cached, &value[i]);
	if (!s && value[0] > 0)
		*stat = clef__bench_stat(value, count);
	return s;
}

static clef_status memories(clef_bench *b, clef_bench_limits_result *l)
{
	measurement m = { .dev = b->dev };
	uint64_t most = CLEF__MIN(b->result.device.max_allocation, b->result.device.global_memory / 4);
	clef_status s = CLEF_OK;

	for (int i = 0; i < CLEF_COUNT(memory_sizes) && memory_sizes[i] <= most && !s; i++) {
		clef_bench_memory *row = &l->memory[l->memories++];

		row->bytes = m.bytes = memory_sizes[i];
		m.choice = true;
		s = clef__bench_measure(b, memory, &m, &row->copy);
		m.choice = false;
		if (!s)
			s = clef__bench_measure(b, memory, &m, &row->read);
		/* An interpreter would take hours over the larger ones. */
		if (!s && row->copy.median < 1e8)
			break;
	}
	return s;
}

static clef_status transfers(clef_bench *b, clef_bench_limits_result *l)
{
	measurement m = { .dev = b->dev };
	clef_status s = CLEF_OK;

	for (int i = 0; i < CLEF_COUNT(transfer_sizes) && !s; i++) {
		clef_bench_transfer *row = &l->transfer[l->transfers++];

		row->bytes = m.bytes = transfer_sizes[i];
		m.choice = false;
		s = clef__bench_measure(b, transfer, &m, &row->to_device);
		m.choice = true;
		if (!s)
			s = clef__bench_measure(b, transfer, &m, &row->to_host);
	}
	return s;
}

clef_status clef_bench_limits(clef_bench *b)
{
	clef_bench_limits_result *l = b ? &b->result.limits : NULL;
	clef_bench_probe probe;
	measurement m;
	clef_status s;

	if (!b)
		return clef__null_argument("clef_bench_limits");
	if (l->multiply_add.count)
		return clef__fail(CLEF_ERROR_STATE, "clef_bench_limits: the limits of this run have been measured");
	m = (measurement){ .dev = b->dev };
	s = memories(b, l);
	if (!s)
		s = clef__bench_measure(b, launch, &m, &l->launch);
	if (!s)
		s = clef__bench_measure(b, launch_row, &m, &l->launch_row);
	if (!s)
		s = transfers(b, l);
	if (!s)
		s = compile(b, false, &l->compile_cold);
	if (!s)
		s = compile(b, true, &l->compile_cached);
	if (!s)
		s = clef__bench_measure(b, multiply_add, &m, &l->multiply_add);
	clef_device_trim(b->dev);
	return s ? s : clef__bench_probe_now(b, &probe);
}

/* ---- beside other measurements ---- */

clef_status clef__bench_probe_now(clef_bench *b, clef_bench_probe *probe)
{
	const clef_bench_limits_result *l = &b->result.limits;
	clef_bench_result *r = &b->result;
	clef_status s = CLEF_OK;

	*probe = (clef_bench_probe){ .at = clef__seconds() - b->start };
	for (int i = 0; i < PROBES && !s; i++) {
		measurement m = { b->dev, l->memories ? l->memory[l->memories - 1].bytes : 0, true };
		double flops = 0, copied = 0;

		s = clef__probe_multiply_add(b->dev, &flops);
		if (!s && m.bytes)
			s = memory(&m, &copied);
		probe->multiply_add = CLEF__MAX(probe->multiply_add, flops);
		probe->copy = CLEF__MAX(probe->copy, copied);
	}
	if (!s)
		s = clef__grow(&r->probe, &b->probe_capacity, r->probes + 1, sizeof(*r->probe), "a benchmark");
	if (!s)
		r->probe[r->probes++] = *probe;
	r->seconds = clef__seconds() - b->start;
	return s;
}

double clef_bench_drift(const clef_bench_result *r)
{
	double *values = r && r->probes > 1 ? calloc((size_t)r->probes, sizeof(*values)) : NULL;
	clef_bench_stat s = { 0 };

	for (int i = 0; values && i < r->probes; i++)
		values[i] = r->probe[i].multiply_add;
	if (values)
		s = clef__bench_stat(values, r->probes);
	free(values);
	return s.median > 0 ? (s.most - s.least) / s.median : 0;
}

/* ---- judging ---- */

double clef__bench_bandwidth(const clef_bench_limits_result *l, double bytes, bool most)
{
	double best = 0;

	for (int i = l->memories - 1; i >= 0; i--) {
		const clef_bench_memory *m = &l->memory[i];

		/* Between two sizes the smaller one counts: part of the data may stay in the cache. */
		best = CLEF__MAX(best, most ? CLEF__MAX(m->copy.most, m->read.most)
					    : CLEF__MAX(m->copy.median, m->read.median));
		if ((double)m->bytes <= bytes)
			break;
	}
	return best;
}

static double larger_part(double a, double b, double whole)
{
	return whole > 0 ? CLEF__MAX(a, b) / whole : 1;
}

static void set_limit(clef_bench_row *row, double seconds, const char *bound)
{
	if (seconds <= row->limit)
		return;
	row->limit = seconds;
	row->bound = bound;
}

void clef__bench_judge(const clef_bench_limits_result *l, clef_bench_probe before, clef_bench_probe behind,
		       double saves, clef_bench_row *row)
{
	double whole = l->memories ? l->memory[l->memories - 1].copy.median : 0;
	double pace = larger_part(before.copy, behind.copy, whole),
	       bandwidth = clef__bench_bandwidth(l, row->bytes, false);
	double fastest = CLEF__MAX(l->multiply_add.most, CLEF__MAX(before.multiply_add, behind.multiply_add));
	double widest = clef__bench_bandwidth(l, row->bytes, true) * CLEF__MAX(pace, 1);
	double least;

	row->multiply_add = CLEF__MAX(before.multiply_add, behind.multiply_add);
	row->copy = CLEF__MAX(before.copy, behind.copy);
	if (row->multiply_add > 0)
		set_limit(row, row->flops / row->multiply_add, "arithmetic");
	if (bandwidth > 0)
		set_limit(row, row->bytes / (bandwidth * pace), "memory");
	set_limit(row, row->launches * l->launch_row.median, "launches");
	least = fastest > 0 ? row->flops / saves / fastest : 0;
	if (widest > 0)
		least = CLEF__MAX(least, row->bytes / widest);
	if (row->seconds.count && row->seconds.median * MARGIN < least)
		clef__bench_set_state(row, CLEF_BENCH_IMPOSSIBLE,
				      clef__format("%.3g ms, where the limits of the device allow %.3g ms at best",
						   1e3 * row->seconds.median, 1e3 * least));
}

double clef_bench_share(const clef_bench_row *row)
{
	return row && row->limit > 0 && row->seconds.median > 0 ? row->limit / row->seconds.median : 0;
}
