/* SPDX-License-Identifier: Apache-2.0 */
/* Results of benchmarks made by hand. */
#ifndef CLEF_TESTS_BENCH_CASE_H
#define CLEF_TESTS_BENCH_CASE_H

#include "bench_internal.h"

#define BENCH_NEAR(a, b) ck_assert_double_eq_tol((a), (b), 1e-9 * (1 + fabs(b)))

/* A median with quartiles 1 % and extremes 10 % away. */
clef_bench_stat bench_stat_of(double median);

/* 100 GFLOP/s; 10 GB/s in memory, 40 GB/s in 1 MB; launches of 10 us. */
clef_bench_limits_result bench_limits_of(void);

enum { BENCH_ROWS = 3 };

typedef struct bench_sample {
	clef_bench_result r;
	clef_bench_row op[BENCH_ROWS], network[1];
	clef_bench_probe probe[2];
} bench_sample;

/* A text for results, which is only read. */
char *bench_text(const char *constant);

/* Operations of 1, 2 and 3 ms and a network of 2 ms, `slow` times as slow. */
void bench_fill(bench_sample *s, const char *name, double slow);

#endif
