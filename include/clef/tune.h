/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tuning: which implementation is the fastest for which problem on this device, found by measuring.
 *
 * Convolutions and matrix products have several implementations, some of them with sizes of blocks or register tiles
 * for parameters; pools and batch normalization have two ways; every other kernel has a size of work-groups. Which one
 * runs is decided, in this order, by
 *
 *   1. the environment, CLEF_CONV and CLEF_GEMM, for tests
 *   2. what is kept for this problem: a problem is one computation with all its sizes, "gemm m64 n10 k256 tb"
 *   3. for convolutions and products a short measurement when the problem is met first, whose result is kept; see
 *      CLEF_TUNE_MS in device.h. None is made on CPUs with vectors of 8 or 16 floats, for which clef's rules have been
 *      measured, unless it is asked for
 *   4. clef's rules
 *
 * The functions here fill in the second by long and careful measurements. Each candidate is first compared with the
 * direct implementation, which is the definition; one that is wrong is set aside with a warning and named in the file.
 * What is found is kept at once, so that a tuning that is stopped is continued by the next one.
 *
 * It is kept in the user's tuning file: $CLEF_TUNING, else $XDG_DATA_HOME/clef/tuning.json, else
 * ~/.local/share/clef/tuning.json; JSON, with an object for each device, driver and version of clef. It is read when a
 * device is opened. Choices differ in the order of their sums, so results differ in their last bits between a tuned
 * device and one that is not; but not from run to run, because what is kept stays until it is forgotten.
 */
#ifndef CLEF_TUNE_H
#define CLEF_TUNE_H

#include <clef/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is known of a problem. Texts are valid until the device's next call of this chapter. */
typedef struct clef_tune_result {
	const char *problem;        /* "conv forward n64 c3 h32 w32 k32 r5 s5 oh32 ow32 pt2 pl2" */
	const char *before, *after; /* what clef's rules say, and what is used: "winograd", "cpu(mr=6,nv=1)" */
	double before_ms, after_ms; /* of one run each, the best of several; 0: not measured */
	const char *wrong;          /* those that were set aside, with blanks between, or "" */
	bool first_use;             /* from a short measurement */
} clef_tune_result;

typedef struct clef_tune_progress {
	int done, count;      /* problems */
	double elapsed, left; /* seconds; what is left is an estimate */
	/* The problem that is being measured, with the result as soon as there is one. Without a problem, steps of the
	 * model are being timed. */
	const char *problem;
	const clef_tune_result *result;
} clef_tune_progress;

/* Fields left out are 0. */
typedef struct clef_tune_opts {
	double budget; /* seconds, about; 0: as long as it takes. What there is no time for is left for the next call */
	bool again;    /* measure also what was tuned before */
	/* Told before and after each problem. */
	void (*progress)(void *user, const clef_tune_progress *p);
	/* Asked many times a second: true ends it soon, and what was found is kept. */
	bool (*stop)(void *user);
	void *user;
} clef_tune_opts;

typedef struct clef_tune_report {
	int problems; /* those that occur */
	int measured; /* of them, now */
	int known;    /* tuned before, and not measured again */
	int changed;  /* for which something else than clef's rules say is used */
	int wrong;    /* for which something was set aside */
	bool stopped; /* by opts->stop */
	double seconds;
	/* Of one step of the model, forward and backward, with clef's rules and with what is kept: medians of runs in
	 * turn, A B A B; 0 where none were timed. */
	double step_before_ms, step_after_ms;
	int steps; /* runs of each */
} clef_tune_report;

/*
 * Tunes for a model: runs a step of it with random values, forward and backward, to learn which problems occur, tunes
 * those, and times steps before and after. `batch` samples a step. Running statistics of its batch normalizations take
 * part in the steps, and gradients are overwritten: give it a model of its own rather than one in training. opts and
 * report may be NULL. Errors: those of running the model; ERROR_INVALID for a batch below 1; ERROR_STATE where the
 * environment leaves no choice.
 */
CLEF_API clef_status clef_tune_model(clef_model *model, int64_t batch, const clef_tune_opts *opts,
				     clef_tune_report *report);

/*
 * Tunes for a list of problems: those of check.h, "linear x100x784 out256", of which the computations forward and
 * backward that have a choice are tuned; or single ones as results name them. Where
 * CLBlast computes the products, on GPUs or where CLEF_GEMM says so, "clblast direct" and "clblast indirect" tune the
 * parameters of its two kernels. It compiles each set of them for many seconds, and has no way back to its own within a
 * process: do that first, and in a process of its own. opts and report may be NULL. Errors:
 * ERROR_INVALID for one that cannot be read, before any is measured.
 */
CLEF_API clef_status clef_tune_problems(clef_device *dev, const char *const *problems, int count,
					const clef_tune_opts *opts, clef_tune_report *report);

/* ---- what is kept ---- */

/* The number of choices kept for this device, and choice i, in the order of their texts: false where there is none. */
CLEF_API int clef_tune_count(const clef_device *dev);
CLEF_API bool clef_tune_get(clef_device *dev, int i, clef_tune_result *result);

/* Forgets what is kept about a problem as results name it, or for NULL all that is kept for this device, driver and
 * version of clef, in the file too. *count, unless NULL, gets the number of choices forgotten. */
CLEF_API clef_status clef_tune_forget(clef_device *dev, const char *problem, int *count);

/* The path of the tuning file, or NULL where none is used; valid as long as the device. */
CLEF_API const char *clef_tune_path(const clef_device *dev);

/* False: clef's rules decide, whatever is kept, until it is true again; to compare the two. */
CLEF_API clef_status clef_tune_use(clef_device *dev, bool use);

#ifdef __cplusplus
}
#endif

#endif
