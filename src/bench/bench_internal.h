/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the benchmarks share. */
#ifndef CLEF_BENCH_INTERNAL_H
#define CLEF_BENCH_INTERNAL_H

#include <clef/bench.h>

#include "runtime.h"

struct clef_bench {
	clef_bench_result result;
	clef_device *dev;
	clef_bench_effort effort;
	double start;
	int probe_capacity, op_capacity, network_capacity;
};

/* ---- repeating ---- */

/* Sorts the values. */
clef_bench_stat clef__bench_stat(double *values, int count);

/* One run of what is timed; enqueues and need not wait. */
typedef clef_status clef__bench_fn(void *what);

/* Times fn() by repetition, behind a run that is not counted. Short runs are timed many at a time, with one wait behind
 * them, as in a training loop. */
clef_status clef__bench_time(clef_bench *b, clef__bench_fn *fn, void *what, clef_bench_stat *seconds);

/* A measurement that times itself. */
typedef clef_status clef__bench_measure_fn(void *what, double *value);

/* Repeats it, for as long as one measurement may take. */
clef_status clef__bench_measure(clef_bench *b, clef__bench_measure_fn *fn, void *what, clef_bench_stat *stat);

/* ---- rows ---- */

/* A new row with copies of its names, in the list of operations or of networks; NULL without memory. It moves when the
 * next one is made. */
clef_bench_row *clef__bench_add(clef_bench *b, bool network, const char *name, const char *pass, const char *group);
void clef__bench_row_free(clef_bench_row *row);

/* Sets the state with a message, which it takes over; the first one that is not right stays. */
void clef__bench_set_state(clef_bench_row *row, clef_bench_state state, char *message);

/* The row failed with the library's last error. */
void clef__bench_set_failed(clef_bench_row *row);

/* ---- judging ---- */

/* Measures what the device does at this moment, and remembers it. */
clef_status clef__bench_probe_now(clef_bench *b, clef_bench_probe *probe);

/* How much faster than its definition an algorithm may be, by multiplying less: 1 for none. */
#define CLEF__WINOGRAD_SAVES 4.0

/* Sets limit and bound, from flops, bytes and launches of the row and the probes before and behind it; and the state
 * "impossible", where the median is below what the fastest moments of the device allow, with a tenth for rounding of
 * clocks. `saves`: see above. */
void clef__bench_judge(const clef_bench_limits_result *limits, clef_bench_probe before, clef_bench_probe behind,
		       double saves, clef_bench_row *row);

/* Bytes a second that a working set of so many bytes may be moved with: the best of copying and reading, over working
 * sets that are not much smaller. `most`: in the best moments, instead of the median. */
double clef__bench_bandwidth(const clef_bench_limits_result *limits, double bytes, bool most);

#endif
