/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters of CLBlast's matrix products. They are the device's, not the problem's: one set for the direct kernel and
 * one for the indirect one, and the size from which on the second is taken. Each set makes CLBlast compile for seconds,
 * so they are measured one after the other, from a short list of those that its own tuner finds on devices of all
 * kinds.
 *
 * Some sets compute wrong results on some devices. So a set is compared with the plain engine in all transposes, with
 * and without remainders, before it is timed; and the set in use at the end is one that passed, or CLBlast is not used
 * any more.
 */
#include <math.h>

#include "gemm.h"

/* A gain below this is as likely chance. */
#define LEAST_GAIN 1.03
/* Of a square product that is timed: about as large as the kernel is for. */
#define DIRECT_SIZE       192
#define INDIRECT_SIZE     1024
#define INDIRECT_SIZE_CPU 384
/* More than any product has. */
#define NEVER 65536

typedef struct set {
	int value[16];
} set;

/* In the order of the names there. */
static const char *const names[CLEF__CLBLAST_KERNELS][16] = {
	{ "WGD", "MDIMCD", "NDIMCD", "MDIMAD", "NDIMBD", "KWID", "VWMD", "VWND", "PADA", "PADB" },
	{ "MWG", "NWG", "KWG", "MDIMC", "NDIMC", "MDIMA", "NDIMB", "KWI", "VWM", "VWN", "STRM", "STRN", "SA", "SB",
	  "GEMMK", "KREG" },
};

/* clang-format off */
static const set direct_sets[] = {
	{ { 8, 8, 8, 8, 8, 2, 1, 1, 1, 1 } },
	{ { 16, 8, 8, 8, 8, 2, 2, 2, 1, 1 } },
	{ { 32, 8, 8, 8, 8, 2, 2, 2, 1, 1 } },
	{ { 32, 8, 8, 8, 8, 8, 4, 4, 1, 1 } },
	{ { 32, 16, 16, 16, 16, 2, 2, 2, 1, 1 } },
};
static const set indirect_sets[] = {
	{ { 64, 64, 16, 8, 8, 8, 8, 2, 4, 4, 0, 0, 1, 1, 0, 1 } },
	{ { 64, 64, 16, 16, 16, 16, 16, 2, 4, 4, 0, 0, 1, 1, 0, 1 } },
	{ { 128, 128, 32, 16, 16, 16, 16, 2, 4, 4, 0, 0, 1, 1, 0, 1 } },
	{ { 128, 64, 32, 32, 8, 32, 16, 2, 4, 4, 0, 0, 1, 1, 0, 1 } },
	{ { 64, 64, 32, 8, 8, 8, 8, 2, 4, 4, 0, 0, 0, 0, 0, 1 } },
	{ { 32, 32, 32, 8, 8, 8, 8, 8, 4, 4, 0, 0, 0, 0, 0, 1 } },
};
/* clang-format on */

static clef__choice choice_of(clef__clblast_kernel kernel, const set *s)
{
	clef__choice c = clef__choice_make("clblast");

	for (int i = 0; i < CLEF_COUNT(s->value) && names[kernel][i]; i++)
		clef__choice_add(&c, names[kernel][i], s->value[i]);
	return c;
}

/* ---- one set ---- */

static clef_status product(clef_device *dev, int m, int n, int k, int trans, bool *good, double *seconds)
{
	const clef__gemm_opts g = { .trans_a = trans & 1, .trans_b = trans & 2, .m = m, .n = n, .k = k, .batch = 1 };

	return clef__gemm_verify(dev, "clblast", &g, good, seconds);
}

/* Wrong, or refused by the driver, is no good; only memory is an error. */
static clef_status verify(clef_device *dev, bool *good)
{
	static const int sizes[][3] = { { 64, 64, 64 }, { 129, 67, 71 }, { 35, 260, 131 } };
	clef_status status = CLEF_OK;

	*good = true;
	for (int i = 0; i < CLEF_COUNT(sizes) && !status && *good; i++)
		for (int trans = 0; trans < 4 && !status && *good; trans++)
			status = product(dev, sizes[i][0], sizes[i][1], sizes[i][2], trans, good, NULL);
	if (status && status != CLEF_ERROR_MEMORY && status != CLEF_ERROR_DEVICE_MEMORY) {
		*good = false;
		return CLEF_OK;
	}
	return status;
}

static int timed_size(const clef_device *dev, clef__clblast_kernel kernel)
{
	return kernel == CLEF__CLBLAST_DIRECT      ? DIRECT_SIZE
	       : dev->info.kind == CLEF_DEVICE_CPU ? INDIRECT_SIZE_CPU
						   : INDIRECT_SIZE;
}

static clef_status time_set(clef_device *dev, clef__clblast_kernel kernel, double *seconds)
{
	int n = timed_size(dev, kernel);
	clef_status status = CLEF_OK;
	bool good = true;
	double all[3] = { 0 };

	/* Of the transposes those that networks have most. */
	for (int trans = 0; trans < 3 && !status; trans++)
		status = product(dev, n, n, n, trans, &good, &all[trans]);
	*seconds = good ? all[0] + all[1] + all[2] : INFINITY;
	return status;
}

static void set_aside(const clef_device *dev, const clef__choice *c, clef__tuned *t)
{
	char text[CLEF__CHOICE_TEXT];

	clef__log(CLEF_LOG_WARN, "tuning: %s is set aside on %s: %.*s", clef__choice_text(c, text), dev->info.name,
		  (int)strcspn(clef_error(), "\n"), clef_error_status() ? clef_error() : "it computes wrong results");
	snprintf(t->wrong, sizeof(t->wrong), "clblast");
	clef_error_clear();
}

/* ---- all of them ---- */

/* The smallest size for which the indirect kernel is the faster one, with what is kept about the other. */
static clef_status find_threshold(clef_device *dev, int *from)
{
	static const int sizes[] = { 128, 256, 512, 1024 };
	clef_status status = CLEF_OK;

	*from = NEVER;
	for (int i = 0; i < CLEF_COUNT(sizes) && *from == NEVER && !status; i++) {
		double seconds[2] = { 0 };
		bool good = true;

		if (dev->info.kind == CLEF_DEVICE_CPU && sizes[i] > INDIRECT_SIZE_CPU + 128)
			break;
		for (int j = 0; j < 2 && !status; j++) {
			status = clef__clblast_threshold(dev, j ? 1 : NEVER);
			if (!status)
				status = product(dev, sizes[i], sizes[i], sizes[i], 0, &good, &seconds[j]);
		}
		if (good && seconds[1] < seconds[0])
			*from = sizes[i];
	}
	return status;
}

static clef_status try_sets(clef_device *dev, clef__clblast_kernel kernel, const clef__measure_opts *how,
			    clef__tuned *t, double *best, clef__choice *fallback)
{
	const set *sets = kernel == CLEF__CLBLAST_DIRECT ? direct_sets : indirect_sets;
	int count = kernel == CLEF__CLBLAST_DIRECT ? CLEF_COUNT(direct_sets) : CLEF_COUNT(indirect_sets);
	double until = clef__seconds() + how->seconds, least = INFINITY;
	clef_status status = CLEF_OK;

	for (int i = 0; i < count && !status && clef__seconds() < until && !(how->stop && how->stop(how->user)); i++) {
		const clef__choice c = choice_of(kernel, &sets[i]);
		double seconds = INFINITY;
		bool good = false;

		clef_error_clear();
		if (!clef__clblast_override(dev, kernel, &c))
			status = verify(dev, &good);
		if (!status && good)
			status = time_set(dev, kernel, &seconds);
		if (!good && !status)
			set_aside(dev, &c, t);
		if (seconds < least) {
			least = seconds;
			*fallback = c;
		}
		if (seconds * LEAST_GAIN < *best) {
			*best = seconds;
			t->choice = c;
		}
	}
	return status;
}

static clef_status measure(clef_device *dev, clef__clblast_kernel kernel, const clef__measure_opts *how, clef__tuned *t,
			   bool *done)
{
	clef__choice fallback = clef__choice_make("");
	double shipped = 0, best;
	clef_status status, after;
	int from;

	*t = (clef__tuned){ .choice = clef__choice_make("clblast"), .shipped = "clblast" };
	snprintf(t->problem, sizeof(t->problem), "%s", clef__clblast_problem(kernel));
	/* Whatever the size, it is this kernel that is looked at. */
	status = clef__clblast_threshold(dev, kernel == CLEF__CLBLAST_DIRECT ? NEVER : 1);
	if (!status)
		status = time_set(dev, kernel, &shipped);
	best = shipped;
	if (!status)
		status = try_sets(dev, kernel, how, t, &best, &fallback);
	/* What was tried last may be wrong; and what was in use before cannot be had back. */
	after = t->choice.param[0].name[0] || fallback.name[0]
			? clef__clblast_override(dev, kernel, t->choice.param[0].name[0] ? &t->choice : &fallback)
			: CLEF_ERROR_UNSUPPORTED;
	if (after)
		clef__gemm_give_up(dev, "clblast");
	if (!status && !after && kernel == CLEF__CLBLAST_INDIRECT) {
		status = find_threshold(dev, &from);
		if (t->choice.param[0].name[0])
			clef__choice_add(&t->choice, "FROM", from);
	}
	if (!status)
		status = clef__clblast_threshold(dev, clef__choice_get(&t->choice, "FROM", 512));
	t->ms = 1e3 * best;
	t->shipped_ms = 1e3 * shipped;
	*done = !(how->stop && how->stop(how->user));
	return status;
}

const char *clef__clblast_named(const char *problem)
{
	for (int i = 0; i < CLEF__CLBLAST_KERNELS; i++)
		if (strncmp(clef__clblast_problem((clef__clblast_kernel)i), problem, strlen(problem)) == 0)
			return clef__clblast_problem((clef__clblast_kernel)i);
	return problem;
}

static clef_status find_kernel(clef_device *dev, const char *problem, clef__clblast_kernel *kernel)
{
	const char *forced = getenv("CLEF_GEMM");
	const clef__gemm_engine *first = clef__gemm_choose(dev);

	for (int i = 0; i < CLEF__CLBLAST_KERNELS; i++)
		if (strncmp(clef__clblast_problem((clef__clblast_kernel)i), problem, strlen(problem)) == 0 &&
		    strlen(problem) > strlen("clblast ")) {
			*kernel = (clef__clblast_kernel)i;
			if (first && strcmp(first->name, "clblast") == 0)
				return CLEF_OK;
			return clef__fail(
				CLEF_ERROR_STATE,
				"CLBlast computes no products on %s%s%s: set CLEF_GEMM to clblast to tune it all "
				"the same",
				dev->info.name, forced && *forced ? ", CLEF_GEMM is " : "", forced ? forced : "");
		}
	return clef__fail(CLEF_ERROR_INVALID, "\"%s\": there are clblast direct and clblast indirect", problem);
}

clef_status clef__clblast_measurable(clef_device *dev, const char *problem)
{
	clef__clblast_kernel kernel;

	return find_kernel(dev, problem, &kernel);
}

clef_status clef__clblast_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
				  bool *done)
{
	clef__clblast_kernel kernel;
	clef_status status = find_kernel(dev, problem, &kernel);

	return status ? status : measure(dev, kernel, how, t, done);
}
