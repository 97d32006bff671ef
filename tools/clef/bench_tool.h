/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of clef bench share. The work is the library's (clef/bench.h); this shows it. */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <clef/clef.h>
#include <stdio.h>

#include "check_plan.h"
#include "options.h"

enum { BENCH_LIMITS = 1, BENCH_OPS = 2, BENCH_NETWORKS = 4 };

typedef struct bench_options {
	const char *device, *json, *csv, *html, *read, *model, *optim;
	clef_shape input;
	int64_t batch, classes, time_limit;
	int only; /* bits of the above; 0: all */
	bool quick, full, all_devices, compare;
	float fail_below; /* 0: not asked for */
	option_words words;
} bench_options;

/* Measures one device: an exit status, or -1 with the run, to be freed by clef_bench_free(). */
int bench_run(const bench_options *o, const check_plan *problems, const char *device, clef_bench **b);

/* Measures every device in a process of its own. The same with an array of results. */
int bench_run_all(const bench_options *o, const check_plan *problems, clef_bench_result ***results, int *count);

/* Shows results: the table, and the files that the options name. An exit status: failed where a result is not right. */
int bench_show(const bench_options *o, const clef_bench_result *const *results, int count);

/* Compares the files that the words name. An exit status. */
int bench_compare_files(const bench_options *o);

void bench_table(const clef_bench_result *r, FILE *out);
void bench_csv(const clef_bench_result *const *results, int count, FILE *out);
void bench_html(const clef_bench_result *const *results, int count, FILE *out);

/* ---- for the pages ---- */

/* Writes text with what HTML and XML keep for themselves escaped. */
void bench_escape(FILE *out, const char *text);

/* The roofline of a result as SVG. */
void bench_roofline(const clef_bench_result *r, FILE *out);

/* "1.23 ms", "45.6 us"; "12.3 GFLOP/s": with a suitable prefix. */
#define BENCH_TEXT 40
const char *bench_seconds_text(double seconds, char text[BENCH_TEXT]);
const char *bench_rate_text(double rate, const char *unit, char text[BENCH_TEXT]);
const char *bench_bytes_text(double bytes, char text[BENCH_TEXT]);

#endif
