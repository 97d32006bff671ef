/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products behind one entry point: an ordered list of engines, the fastest first, ending in one that fits every
 * device. Before an engine's first product on a device, a small known product is computed with it in all four
 * transposes; an engine that fails the call or the check is set aside, with a warning, and the next one takes over.
 */
#include <math.h>

#include <clblast_c.h>

#include "opencl.h"

typedef struct engine {
	const char *name;
	bool (*fits)(const clef_device *dev);
	clef_status (*run)(clef_device *dev, const clef__gemm_opts *g);
	bool adds_bias; /* otherwise C is filled with the bias first */
} engine;

/* ---- engines ---- */

static bool fits_any(const clef_device *dev)
{
	(void)dev;
	return true;
}

/* Its blocks of B want a cache as large as the one that PoCL's local memory stands for. */
static bool fits_cpu(const clef_device *dev)
{
	return dev->info.kind == CLEF_DEVICE_CPU && dev->info.local_memory >= 128 * 1024;
}

static double flops(const clef__gemm_opts *g)
{
	return 2.0 * g->m * g->n * g->k;
}

static double bytes(const clef__gemm_opts *g)
{
	return 4.0 * ((double)g->m * g->k + (double)g->k * g->n + (double)g->m * g->n * (g->beta != 0 ? 2 : 1));
}

static clef_status run_clblast(clef_device *dev, const clef__gemm_opts *g)
{
	double start = 0;
	CLBlastStatusCode code;

	/* CLBlast launches several kernels and gives an event for the last one only. */
	if (dev->profile) {
		clFinish(dev->queue);
		start = clef__seconds();
	}
	code = CLBlastSgemm(CLBlastLayoutRowMajor, g->trans_a ? CLBlastTransposeYes : CLBlastTransposeNo,
			    g->trans_b ? CLBlastTransposeYes : CLBlastTransposeNo, (size_t)g->m, (size_t)g->n,
			    (size_t)g->k, g->alpha, g->a->mem, g->a_offset, (size_t)g->lda, g->b->mem, g->b_offset,
			    (size_t)g->ldb, g->beta, g->c->mem, g->c_offset, (size_t)g->ldc, &dev->queue, NULL);
	if (code)
		return clef__fail(CLEF_ERROR_OPENCL, "CLBlast on %s: status %d for a product of %d x %d x %d",
				  dev->info.name, (int)code, g->m, g->n, g->k);
	dev->stats.launches++;
	if (dev->profile) {
		clFinish(dev->queue);
		clef__profile_time(dev->profile, "gemm (CLBlast)", clef__seconds() - start, bytes(g), flops(g));
	}
	return CLEF_OK;
}

static clef_status run_plain(clef_device *dev, const clef__gemm_opts *g)
{
	/* Element (i, l) of op(A) is at i * a_row + l * a_col, and so on. */
	return clef__launch(
		dev, &(clef__launch_opts){
			     .program = "gemm_plain",
			     .kernel = "gemm_plain",
			     .global = { (size_t)g->n, (size_t)((g->m + 3) / 4) },
			     .bytes = bytes(g),
			     .flops = flops(g),
			     .args = { CLEF__BUFFER(g->a, g->a_offset), CLEF__INT(g->trans_a ? 1 : g->lda),
				       CLEF__INT(g->trans_a ? g->lda : 1), CLEF__BUFFER(g->b, g->b_offset),
				       CLEF__INT(g->trans_b ? 1 : g->ldb), CLEF__INT(g->trans_b ? g->ldb : 1),
				       CLEF__BUFFER(g->c, g->c_offset), CLEF__INT(g->ldc), CLEF__INT(g->m),
				       CLEF__INT(g->n), CLEF__INT(g->k), CLEF__FLOAT(g->alpha), CLEF__FLOAT(g->beta) },
		     });
}

static const engine engines[] = {
	{ "cpu", fits_cpu, clef__gemm_cpu, true },
	{ "clblast", fits_any, run_clblast, false },
	{ "plain", fits_any, run_plain, false },
};

#define CLBLAST_BIT (1u << 1)

/* C is written before the product: by the bias in every row; or by zeros or beta C, where there is nothing to sum. */
static clef_status prepare_c(clef_device *dev, const clef__gemm_opts *g)
{
	const clef__buffer *bias = g->bias ? g->bias : g->c;

	return clef__launch(dev, &(clef__launch_opts){
					 .program = "gemm_plain",
					 .kernel = "gemm_prepare",
					 .global = { (size_t)g->n, (size_t)g->m },
					 .bytes = 4.0 * g->m * g->n,
					 .args = { CLEF__BUFFER(g->c, g->c_offset), CLEF__INT(g->ldc), CLEF__INT(g->m),
						   CLEF__INT(g->n), CLEF__FLOAT(g->beta),
						   CLEF__BUFFER(bias, g->bias_offset), CLEF__INT(g->bias != NULL) },
				 });
}

static clef_status run(clef_device *dev, const engine *e, const clef__gemm_opts *g)
{
	clef__gemm_opts rest = *g;

	if ((g->bias && !e->adds_bias) || g->k == 0) {
		clef_status status = prepare_c(dev, g);

		if (status || g->k == 0)
			return status;
		rest.bias = NULL;
		rest.beta = 1;
	}
	return e->run(dev, &rest);
}

/* ---- the check ---- */

enum { CHECK_M = 21, CHECK_N = 35, CHECK_K = 50 };

/* Small integers, so that the product is exact in any order of summation. */
static void fill_check(float *x, int n, unsigned seed)
{
	for (int i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		x[i] = (float)((int)(seed >> 28) - 8);
	}
}

static double check_one(clef_device *dev, const engine *e, clef__buffer *const buf[3], const float *a, const float *b,
			float *c, int trans)
{
	bool ta = trans & 1, tb = trans & 2;
	int lda = ta ? CHECK_M : CHECK_K, ldb = tb ? CHECK_K : CHECK_N;
	clef__gemm_opts g = { .trans_a = ta,
			      .trans_b = tb,
			      .m = CHECK_M,
			      .n = CHECK_N,
			      .k = CHECK_K,
			      .alpha = 1,
			      .a = buf[0],
			      .b = buf[1],
			      .c = buf[2],
			      .lda = lda,
			      .ldb = ldb,
			      .ldc = CHECK_N };
	double worst = 0;

	/* At beta 0 these must not be read. */
	for (int i = 0; i < CHECK_M * CHECK_N; i++)
		c[i] = NAN;
	if (clef__buffer_write(buf[2], 0, c, sizeof(float) * CHECK_M * CHECK_N) || e->run(dev, &g) ||
	    clef__buffer_read(buf[2], 0, c, sizeof(float) * CHECK_M * CHECK_N))
		return INFINITY;
	for (int i = 0; i < CHECK_M; i++)
		for (int j = 0; j < CHECK_N; j++) {
			double sum = 0;

			for (int l = 0; l < CHECK_K; l++)
				sum += (double)a[ta ? l * lda + i : i * lda + l] *
				       (double)b[tb ? j * ldb + l : l * ldb + j];
			/* A NaN fails every comparison. */
			if (!(fabs(sum - (double)c[i * CHECK_N + j]) <= worst))
				worst = isnan(c[i * CHECK_N + j]) ? INFINITY : fabs(sum - (double)c[i * CHECK_N + j]);
		}
	return worst;
}

/* OK: usable or not, as *good says. Without memory for the check nothing is known of the engine. */
static clef_status check(clef_device *dev, const engine *e, bool *good)
{
	float a[CHECK_M * CHECK_K], b[CHECK_K * CHECK_N], c[CHECK_M * CHECK_N];
	const size_t sizes[3] = { sizeof(a), sizeof(b), sizeof(c) };
	clef__buffer *buf[3] = { NULL };
	clef_status status = CLEF_OK;
	double worst = 0;

	fill_check(a, CLEF_COUNT(a), 1);
	fill_check(b, CLEF_COUNT(b), 2);
	for (int i = 0; i < 3 && !status; i++) {
		buf[i] = clef__buffer_new(dev, sizes[i]);
		status = buf[i] ? CLEF_OK : clef_error_status();
	}
	if (!status)
		status = clef__buffer_write(buf[0], 0, a, sizeof(a));
	if (!status)
		status = clef__buffer_write(buf[1], 0, b, sizeof(b));
	for (int trans = 0; trans < 4 && !status; trans++)
		worst = fmax(worst, check_one(dev, e, buf, a, b, c, trans));
	for (int i = 0; i < 3; i++)
		clef__buffer_release(buf[i]);
	*good = worst <= 0;
	return status;
}

/* One line, and no error any more: the product will be computed all the same. */
static void set_aside(clef_device *dev, int i)
{
	const char *why = clef_error_status() ? clef_error() : "it computes wrong results";

	dev->gemm_bad |= 1u << i;
	clef__log(CLEF_LOG_WARN, "matrix products: %s is set aside on %s: %.*s", engines[i].name, dev->info.name,
		  (int)strcspn(why, "\n"), why);
	clef_error_clear();
}

/* ---- choice ---- */

static clef_status usable(clef_device *dev, int i, bool *good)
{
	uint32_t bit = 1u << i;
	clef_status status = CLEF_OK;

	*good = dev->gemm_forced >= 0 ? dev->gemm_forced == i : engines[i].fits(dev);
	if (*good && !(dev->gemm_checked & bit)) {
		clef_error_clear();
		status = check(dev, &engines[i], good);
		if (!status) {
			dev->gemm_checked |= bit;
			if (!*good)
				set_aside(dev, i);
		}
	}
	*good = *good && !(dev->gemm_bad & bit);
	return status;
}

clef_status clef__gemm(clef_device *dev, const clef__gemm_opts *g)
{
	if (g->m == 0 || g->n == 0)
		return CLEF_OK;
	for (int i = 0; i < CLEF_COUNT(engines); i++) {
		bool good;
		clef_status status = usable(dev, i, &good);

		if (status || good)
			return status ? status : run(dev, &engines[i], g);
	}
	return clef__fail(CLEF_ERROR_UNSUPPORTED, "no engine for matrix products is usable on %s%s%s", dev->info.name,
			  dev->gemm_forced >= 0 ? ": CLEF_GEMM asks for " : "",
			  dev->gemm_forced >= 0 ? engines[dev->gemm_forced].name : "");
}

clef_status clef__gemm_open(clef_device *dev)
{
	const char *name = getenv("CLEF_GEMM");
	char names[128] = "";
	size_t used = 0;

	dev->gemm_forced = -1;
	if (!name || !*name)
		return CLEF_OK;
	for (int i = 0; i < CLEF_COUNT(engines); i++) {
		if (strcmp(engines[i].name, name) == 0)
			dev->gemm_forced = i;
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "", engines[i].name);
	}
	if (dev->gemm_forced < 0)
		return clef__fail(CLEF_ERROR_INVALID, "CLEF_GEMM is \"%s\": there are %s", name, names);
	return CLEF_OK;
}

void clef__gemm_close(clef_device *dev)
{
	/* CLBlast keeps its programs by context, and would keep this one's for ever. */
	if (dev->gemm_checked & CLBLAST_BIT)
		CLBlastClearCache();
}
