/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products behind one entry point: an ordered list of engines, the fastest first, ending in one that fits every
 * device. The one that will be used is checked (gemm_check.c), when the device is opened or before the first product;
 * an engine that fails the check is set aside, with a warning, and the next one takes its place.
 */
#include "gemm.h"

/* ---- engines ---- */

static bool fits_any(const clef_device *dev)
{
	(void)dev;
	return true;
}

double clef__gemm_flops(const clef__gemm_opts *g)
{
	return 2.0 * g->m * g->n * g->k * g->batch;
}

double clef__gemm_bytes(const clef__gemm_opts *g)
{
	double a = (double)g->m * g->k * (g->a_step ? g->batch : 1),
	       b = (double)g->k * g->n * (g->b_step ? g->batch : 1);

	return 4.0 * (a + b + (double)g->m * g->n * g->batch * (g->beta != 0 ? 2 : 1));
}

static clef_status run_plain(clef_device *dev, const clef__gemm_opts *g)
{
	const clef__buffer *bias = g->bias ? g->bias : g->c;

	/* Element (i, l) of op(A) is at i * a_row + l * a_col, and so on. */
	return clef__launch(dev, &(clef__launch_opts){
					 .program = "gemm_plain",
					 .defines = g->epilogue,
					 .kernel = "gemm_plain",
					 .global = { (size_t)g->n, (size_t)((g->m + 3) / 4), (size_t)g->batch },
					 .bytes = clef__gemm_bytes(g),
					 .flops = clef__gemm_flops(g),
					 .args = { CLEF__BUFFER(g->a, g->a_offset),
						   CLEF__INT(g->trans_a ? 1 : g->lda),
						   CLEF__INT(g->trans_a ? g->lda : 1),
						   CLEF__ULONG(g->a_step),
						   CLEF__BUFFER(g->b, g->b_offset),
						   CLEF__INT(g->trans_b ? 1 : g->ldb),
						   CLEF__INT(g->trans_b ? g->ldb : 1),
						   CLEF__ULONG(g->b_step),
						   CLEF__BUFFER(g->c, g->c_offset),
						   CLEF__INT(g->ldc),
						   CLEF__ULONG(g->c_step),
						   CLEF__INT(g->m),
						   CLEF__INT(g->n),
						   CLEF__INT(g->k),
						   CLEF__FLOAT(g->alpha),
						   CLEF__FLOAT(g->beta),
						   CLEF__BUFFER(bias, g->bias_offset),
						   CLEF__INT(g->bias != NULL),
						   CLEF__FLOAT(g->p),
						   CLEF__FLOAT(g->q) },
				 });
}

static const clef__gemm_engine engines[] = {
	{ .name = "cpu",
	  .version = "",
	  .program = "gemm_cpu",
	  .program_of_few = "gemm_dot",
	  .fits = clef__gemm_cpu_fits,
	  .run = clef__gemm_cpu,
	  .takes = clef__gemm_cpu_takes,
	  .candidates = clef__gemm_cpu_candidates,
	  .packed_size = clef__gemm_cpu_packed_size,
	  .pack = clef__gemm_cpu_pack,
	  .finishes = true,
	  .gates = true,
	  .check = { 21, 35, 50 } },
	{ .name = "clblast",
	  .version = CLEF_CLBLAST_VERSION,
	  .fits = fits_any,
	  .run = clef__gemm_clblast,
	  .own_batch = true,
	  .check = { 21, 35, 50 } },
	/* Small, because an interpreter may have to do it at every start. */
	{ .name = "plain",
	  .version = "",
	  .program = "gemm_plain",
	  .fits = fits_any,
	  .run = run_plain,
	  .finishes = true,
	  .check = { 7, 5, 9 } },
};

/* ---- one product ---- */

/* C = value(beta C + bias), behind the gate */
static clef_status finish_c(clef_device *dev, const clef__gemm_opts *g)
{
	const clef__buffer *bias = g->bias ? g->bias : g->c, *gate = g->gate ? g->gate : g->c;

	return clef__launch(dev, &(clef__launch_opts){
					 .program = "gemm_finish",
					 .defines = g->epilogue,
					 .kernel = "gemm_finish",
					 .global = { (size_t)g->n, (size_t)g->m, (size_t)g->batch },
					 .bytes = 8.0 * g->m * g->n * g->batch,
					 .args = { CLEF__BUFFER(g->c, g->c_offset), CLEF__INT(g->ldc),
						   CLEF__ULONG(g->c_step), CLEF__INT(g->m), CLEF__INT(g->n),
						   CLEF__FLOAT(g->beta), CLEF__BUFFER(bias, g->bias_offset),
						   CLEF__INT(g->bias != NULL), CLEF__FLOAT(g->p), CLEF__FLOAT(g->q),
						   CLEF__BUFFER(gate, g->gate_offset), CLEF__INT(g->gate != NULL) },
				 });
}

static clef_status run(clef_device *dev, const clef__gemm_engine *e, const clef__gemm_opts *g)
{
	clef__gemm_opts product = *g, rest = *g;
	clef_status status = CLEF_OK;

	/* Nothing to sum. */
	if (g->k == 0)
		return finish_c(dev, g);
	if ((e->finishes || (!g->bias && !g->epilogue)) && (e->gates || !g->gate))
		return e->run(dev, g);
	product.bias = NULL;
	product.epilogue = NULL;
	product.gate = NULL;
	if (g->epilogue || g->gate) {
		rest.beta = 1;
		status = e->run(dev, &product);
		return status ? status : finish_c(dev, &rest);
	}
	/* The sums may as well start from the bias. */
	product.beta = 1;
	status = finish_c(dev, &rest);
	return status ? status : e->run(dev, &product);
}

/* ---- choice ---- */

/* One line, and no error any more: the product will be computed all the same. */
static void set_aside(clef_device *dev, int i)
{
	const char *why = clef_error_status() ? clef_error() : "it computes wrong results";

	dev->gemm_bad |= 1u << i;
	clef__log(CLEF_LOG_WARN, "matrix products: %s is set aside on %s: %.*s", engines[i].name, dev->info.name,
		  (int)strcspn(why, "\n"), why);
	clef_error_clear();
}

void clef__gemm_give_up(clef_device *dev, const char *name)
{
	for (int i = 0; i < CLEF_COUNT(engines); i++)
		if (strcmp(engines[i].name, name) == 0)
			dev->gemm_bad |= 1u << i;
}

const clef__gemm_engine *clef__gemm_engine_get(int i)
{
	return i < CLEF_COUNT(engines) ? &engines[i] : NULL;
}

/* An error that somebody has yet to look at is there afterwards. */
static clef_status check(clef_device *dev, int i)
{
	const clef_status before = clef_error_status();
	char *message = before ? clef__strdup(clef_error()) : NULL;
	bool good;
	clef_status status = clef__gemm_check(dev, &engines[i], &good);

	if (!status) {
		dev->gemm_checked |= 1u << i;
		if (!good)
			set_aside(dev, i);
		if (before)
			clef__fail(before, "%s", message ? message : clef_status_text(before));
	}
	free(message);
	return status;
}

clef_status clef__gemm_usable(clef_device *dev, int i, bool *usable)
{
	uint32_t bit = 1u << i;

	*usable = false;
	if (dev->gemm_forced >= 0 ? dev->gemm_forced != i : !engines[i].fits(dev))
		return CLEF_OK;
	if (!(dev->gemm_checked & bit) && check(dev, i))
		return clef_error_status();
	*usable = !(dev->gemm_bad & bit);
	return CLEF_OK;
}

const clef__gemm_engine *clef__gemm_choose(clef_device *dev)
{
	for (int i = 0; i < CLEF_COUNT(engines); i++) {
		bool usable;

		if (clef__gemm_usable(dev, i, &usable))
			return NULL;
		if (usable)
			return &engines[i];
	}
	return clef__fail_null(CLEF_ERROR_UNSUPPORTED, "no engine for matrix products is usable on %s%s%s",
			       dev->info.name, dev->gemm_forced >= 0 ? ": CLEF_GEMM asks for " : "",
			       dev->gemm_forced >= 0 ? engines[dev->gemm_forced].name : "");
}

/* With parameters in g where they are kept, and with the batch it stands for. NULL on failure. */
static const clef__gemm_engine *choose_for(clef_device *dev, clef__gemm_opts *g)
{
	const clef__gemm_engine *e = clef__gemm_choose(dev);

	g->batch = CLEF__MAX(g->batch, 1);
	return e && clef__tuning_wanted(dev) && g->k > 0 ? clef__gemm_tuned(dev, e, g) : e;
}

clef_status clef__gemm(clef_device *dev, const clef__gemm_opts *opts)
{
	clef__gemm_opts g = *opts;
	const clef__gemm_engine *e;

	if (g.m == 0 || g.n == 0)
		return CLEF_OK;
	e = choose_for(dev, &g);
	return e ? run(dev, e, &g) : clef_error_status();
}

size_t clef__gemm_packed_size(clef_device *dev, const clef__gemm_opts *opts)
{
	clef__gemm_opts g = *opts;
	const clef__gemm_engine *e;

	if (g.m == 0 || g.n == 0 || g.k == 0 || !g.trans_b || g.batch > 1)
		return 0;
	e = choose_for(dev, &g);
	return e && e->packed_size ? e->packed_size(dev, &g) : 0;
}

clef_status clef__gemm_pack(clef_device *dev, const clef__gemm_opts *opts, clef__buffer *to, size_t offset)
{
	clef__gemm_opts g = *opts;
	const clef__gemm_engine *e = choose_for(dev, &g);

	return e ? e->pack(dev, &g, to, offset) : clef_error_status();
}

/* ---- life ---- */

static clef_status read_forced(clef_device *dev)
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

clef_status clef__gemm_open(clef_device *dev)
{
	clef_status status = read_forced(dev);

	if (status)
		return status;
	/* Where several programs can be compiled at a time, the check's are compiled with all that the first product
	 * has to wait for. */
	if (dev->compile_jobs > 1)
		return CLEF_OK;
	/* A device is of use without products; the first one will try again and say what is wrong. */
	if (!clef__gemm_choose(dev)) {
		clef__log(CLEF_LOG_DEBUG, "matrix products: %s", clef_error());
		clef_error_clear();
	}
	clef_device_trim(dev);
	return CLEF_OK;
}
