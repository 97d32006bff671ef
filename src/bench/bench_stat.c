/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeating measurements. Others use the machine as well, so what is told is a median with its quartiles; a mean would
 * be drawn by what was disturbed, and the best of all says nothing about the next time.
 */
#include "bench_internal.h"

enum { MOST_SAMPLES = 101 };

typedef struct effort {
	int samples;    /* at least */
	double sample;  /* seconds of one, at least */
	double seconds; /* of all of them together, at least */
	double most;    /* seconds after which three samples do */
} effort;

static const effort efforts[] = {
	[CLEF_BENCH_DEFAULT] = { 9, 4e-3, 0.15, 1.0 },
	[CLEF_BENCH_QUICK] = { 5, 1e-3, 0.02, 0.5 },
	[CLEF_BENCH_FULL] = { 25, 1e-2, 1.0, 20.0 },
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Between the two values that stand around the place. */
static double quantile(const double *sorted, int count, double share)
{
	double place = share * (count - 1);
	int i = (int)place;

	return i + 1 < count ? sorted[i] + (place - i) * (sorted[i + 1] - sorted[i]) : sorted[i];
}

clef_bench_stat clef__bench_stat(double *values, int count)
{
	if (count < 1)
		return (clef_bench_stat){ 0 };
	qsort(values, (size_t)count, sizeof(*values), by_value);
	return (clef_bench_stat){
		.count = count,
		.median = quantile(values, count, 0.5),
		.low = quantile(values, count, 0.25),
		.high = quantile(values, count, 0.75),
		.least = values[0],
		.most = values[count - 1],
	};
}

static bool enough(const effort *e, int count, double start)
{
	double spent = clef__seconds() - start;

	return count == MOST_SAMPLES || (count >= e->samples && spent >= e->seconds) ||
	       (count >= 3 && spent >= e->most);
}

clef_status clef__bench_measure(clef_bench *b, clef__bench_measure_fn *fn, void *what, clef_bench_stat *stat)
{
	const effort *e = &efforts[b->effort];
	double value[MOST_SAMPLES], start = clef__seconds();
	clef_status s = CLEF_OK;
	int count = 0;

	do
		s = fn(what, &value[count++]);
	while (!s && !enough(e, count, start));
	*stat = clef__bench_stat(value, s ? 0 : count);
	return s;
}

static clef_status run(clef_bench *b, clef__bench_fn *fn, void *what, int count, double *seconds)
{
	double start = clef__seconds();
	clef_status s = CLEF_OK;

	for (int i = 0; i < count && !s; i++)
		s = fn(what);
	if (!s)
		s = clef_finish(b->dev);
	*seconds = (clef__seconds() - start) / count;
	return s;
}

clef_status clef__bench_time(clef_bench *b, clef__bench_fn *fn, void *what, clef_bench_stat *seconds)
{
	const effort *e = &efforts[b->effort];
	double value[MOST_SAMPLES], start, once = 0;
	clef_status s = run(b, fn, what, 1, &once);
	int count = 0, times;

	if (!s)
		s = run(b, fn, what, 1, &once);
	times = once >= e->sample ? 1 : (int)CLEF__MIN(e->sample / CLEF__MAX(once, 1e-7) + 1, 1000);
	start = clef__seconds();
	while (!s && !enough(e, count, start))
		s = run(b, fn, what, times, &value[count++]);
	*seconds = clef__bench_stat(value, s ? 0 : count);
	return s;
}
