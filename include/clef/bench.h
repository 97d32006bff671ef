/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Benchmarks: what a device can do, and how near clef comes to it with operations and with whole networks.
 *
 * clef_bench_limits() measures the device's limits. Whatever is measured behind it is checked in the same run, and
 * timed by repetition: medians, with quartiles. Beside each measurement a short probe tells what the device did at that
 * moment, since clocks change and machines are shared; shares of a limit are of the limit at that moment.
 *
 *   clef_bench *b = clef_bench_new(dev, CLEF_BENCH_DEFAULT);
 *   if (clef_bench_limits(b) || clef_bench_network_run(b, &(clef_bench_network){ .model = "resnet18", ... }))
 *       ...
 *   clef_bench_write("results.json", (const clef_bench_result *[]){ clef_bench_get(b) }, 1);
 *
 * What cannot be measured, as there is no memory for it or a kernel does not compile, is a row with a message, and not
 * an error of the call. docs/bench.md describes what is counted, and the files.
 */
#ifndef CLEF_BENCH_H
#define CLEF_BENCH_H

#include <stdio.h>

#include <clef/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How much time to take: milliseconds, a quarter of a second or a second for each measurement. */
typedef enum clef_bench_effort { CLEF_BENCH_DEFAULT, CLEF_BENCH_QUICK, CLEF_BENCH_FULL } clef_bench_effort;

/* ---- results ---- */

/* What a repeated measurement gave. count 0: not measured, and all else is 0. */
typedef struct clef_bench_stat {
	int count;
	double median, low, high; /* low and high: the first and the third quartile */
	double least, most;
} clef_bench_stat;

/* Bytes a second over a working set of so many bytes: copied, read and written each counting, and read. */
typedef struct clef_bench_memory {
	uint64_t bytes;
	clef_bench_stat copy, read;
} clef_bench_memory;

/* Bytes a second between host and device, one transfer at a time. */
typedef struct clef_bench_transfer {
	uint64_t bytes;
	clef_bench_stat to_device, to_host;
} clef_bench_transfer;

#define CLEF_BENCH_SIZES 12

typedef struct clef_bench_limits_result {
	clef_bench_stat multiply_add; /* single-precision operations a second; a multiply-add is two */
	int memories;
	clef_bench_memory memory[CLEF_BENCH_SIZES]; /* from small to large */
	clef_bench_stat launch;                     /* seconds: a launch and the wait for it */
	clef_bench_stat launch_row;                 /* seconds for each of many launches in a row */
	int transfers;
	clef_bench_transfer transfer[CLEF_BENCH_SIZES];
	clef_bench_stat compile_cold;   /* seconds: a small program, from its source to the end of its first launch */
	clef_bench_stat compile_cached; /* the same out of the kernel cache; not measured where there is none */
} clef_bench_limits_result;

/* The device at one moment of the run. */
typedef struct clef_bench_probe {
	double at;           /* seconds since clef_bench_new() */
	double multiply_add; /* operations a second */
	double copy;         /* bytes a second, over the largest working set of the limits */
} clef_bench_probe;

typedef enum clef_bench_state {
	CLEF_BENCH_RIGHT,      /* measured, and the result was right */
	CLEF_BENCH_WRONG,      /* it computed something else; the time means nothing */
	CLEF_BENCH_IMPOSSIBLE, /* faster than the device can be, so the measurement is wrong */
	CLEF_BENCH_FAILED,     /* could not run */
} clef_bench_state;

/* "right", "wrong", "impossible" or "failed". */
CLEF_API const char *clef_bench_state_name(clef_bench_state state);

/* One thing measured. Figures are of one run of it. */
typedef struct clef_bench_row {
	char *name;  /* the problem, or "resnet18 n64 c3 h32 w32": what it is known by in comparisons, with pass */
	char *pass;  /* "forward", "backward"; "train sgd(lr=0.1)", "infer" */
	char *group; /* the operation, "conv2d", or the model's text */
	clef_bench_state state;
	char *message; /* why it is not right, or NULL */
	clef_bench_stat seconds;
	double flops, bytes;       /* arithmetic and memory traffic by definition; 0 where they are not known */
	double launches;           /* kernels */
	double limit;              /* seconds: the least that the limits allow, as they were beside it; 0: unknown */
	const char *bound;         /* which limit that is: "arithmetic", "memory" or "launches"; "" with limit 0 */
	double multiply_add, copy; /* the probes beside it */
	double error;              /* operations: the largest error found, relative to what is allowed */
	uint64_t memory;           /* networks: bytes of device memory, the most at any time */
	double images;             /* networks: samples in a batch */
	double loss;               /* networks in training: after the steps of the check */
	clef_bench_stat data, forward, backward, optimizer; /* networks in training: seconds of the parts, each waited
							     * for, so that their sum exceeds seconds */
} clef_bench_row;

/* All that was measured on a device. */
typedef struct clef_bench_result {
	clef_device_info device;
	char *error;                     /* why there is nothing else, where that is so; else NULL */
	char *clef, *date, *system;      /* version; UTC, "2026-01-31T12:00:00Z"; "Linux 6.1 x86_64, AMD EPYC" */
	char *effort;                    /* "default", "quick" or "full" */
	double seconds;                  /* that it took */
	clef_bench_limits_result limits; /* multiply_add.count 0: not measured */
	int probes, ops, networks;
	clef_bench_probe *probe;
	clef_bench_row *op, *network;
} clef_bench_result;

/* ---- measuring ---- */

typedef struct clef_bench clef_bench;

/* An empty run on the device, which it holds. Free it with clef_bench_free(). */
CLEF_API clef_bench *clef_bench_new(clef_device *dev, clef_bench_effort effort);

/* Frees the run and its results. NULL is accepted. */
CLEF_API void clef_bench_free(clef_bench *b);

/* Measures the limits. Once in a run, before anything else; ERROR_STATE otherwise. */
CLEF_API clef_status clef_bench_limits(clef_bench *b);

/* A network in training and in inference, on synthetic images. */
typedef struct clef_bench_network {
	const char *model; /* for clef_model_parse() */
	clef_shape input;  /* of one sample */
	int classes;       /* 0: 10 */
	int64_t batch;     /* 0: 64 */
	const char *optim; /* for clef_optim_parse(); NULL: "sgd(lr=1e-4, momentum=0.9)" */
} clef_bench_network;

/*
 * Adds two rows. "train": data, forward, cross-entropy, backward and the optimizer's step. It is right when the loss
 * after a few steps is finite and, in a second run from the start, the same to the last bit. "infer": data, forward and
 * reading the result; right when all results are finite and all runs give the same bits. ERROR_INVALID for a text that
 * is no model or no optimizer, ERROR_STATE without limits.
 */
CLEF_API clef_status clef_bench_network_run(clef_bench *b, const clef_bench_network *network);

/* The networks that a run of this effort takes. */
CLEF_API const clef_bench_network *clef_bench_networks(clef_bench_effort effort, int *count);

/*
 * Adds a row "forward", of an operation as a problem (check.h), and one "backward" where it has gradients: all of them,
 * from that of the result. Forward is right when elements all over the result agree with the reference in double
 * precision, and all runs gave the same bits; backward, when the gradients together foretell what moving the operands
 * does to the result. Errors: those of clef_bench_measurable(); ERROR_STATE without limits.
 */
CLEF_API clef_status clef_bench_problem(clef_bench *b, const char *problem);

/* Whether it can be: ERROR_INVALID for a text that is no problem, or that names a check of something else than an
 * operation, "optim rule=adam", which networks time. */
CLEF_API clef_status clef_bench_measurable(const char *problem);

/* The problems that a run of this effort takes: shapes of layers of the networks above. */
CLEF_API const char *const *clef_bench_problems(clef_bench_effort effort, int *count);

/* What has been measured so far; it belongs to the run. NULL for NULL. */
CLEF_API const clef_bench_result *clef_bench_get(const clef_bench *b);

/* The share of the limit that a row reaches, 1 being all of it; 0 where that is not known. */
CLEF_API double clef_bench_share(const clef_bench_row *row);

/* How far the device's speed went up and down in the run: (most - least) / median of the probes. 0 with less than two.
 */
CLEF_API double clef_bench_drift(const clef_bench_result *r);

/* ---- files ---- */

/* Writes results as JSON: a file appears whole or not at all. "-" is standard output. */
CLEF_API clef_status clef_bench_write(const char *path, const clef_bench_result *const *results, int count);

/* Reads such a file: an array of *count results, for clef_bench_results_free(). NULL after an error: ERROR_IO, or
 * ERROR_FORMAT with the place and what was expected there. */
CLEF_API clef_bench_result **clef_bench_read(const char *path, int *count);
CLEF_API void clef_bench_results_free(clef_bench_result **results, int count);

/* ---- comparing ---- */

#define CLEF_BENCH_COLUMNS 16

/* A thing that two or more results have, and how fast the others are: time of the first divided by theirs; of limits
 * that are rates, theirs divided by that of the first. 0: not there, or not right. */
typedef struct clef_bench_ratio {
	const char *kind; /* "limit", "op" or "network" */
	const char *name, *pass;
	double value[CLEF_BENCH_COLUMNS]; /* seconds, or the rate */
	double ratio[CLEF_BENCH_COLUMNS]; /* of the first: 1 */
	bool clear[CLEF_BENCH_COLUMNS];   /* the spreads do not overlap: first and third quartiles */
	bool broken[CLEF_BENCH_COLUMNS];  /* right in the first, and not in this one */
} clef_bench_ratio;

/* All ratios, in the order of the first result, of 2 to CLEF_BENCH_COLUMNS results, to which names point: free it with
 * free(). NULL after an error. */
CLEF_API clef_bench_ratio *clef_bench_compare(const clef_bench_result *const *results, int count, int *ratios);

/* The geometric mean of one column over the ratios of a kind; 0 where there are none. */
CLEF_API double clef_bench_mean(const clef_bench_ratio *ratios, int count, const char *kind, int column);

/* Whether a ratio of any column is below `least` with clear spreads, or broken. Limits do not count. */
CLEF_API bool clef_bench_below(const clef_bench_ratio *ratio, int columns, double least);

/* In words, a line for each network: where to train it, and why; to be freed with free(). NULL without memory. */
CLEF_API char *clef_bench_verdict(const clef_bench_result *const *results, int count);

#ifdef __cplusplus
}
#endif

#endif
