/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products by CLBlast, the general engine of GPUs. */
#include <clblast_c.h>

#include "gemm.h"

/* ---- parameters ---- */

static const char *const direct_names[] = { "KWID", "MDIMAD", "MDIMCD", "NDIMBD", "NDIMCD",
					    "PADA", "PADB",   "VWMD",   "VWND",   "WGD" };
static const char *const indirect_names[] = { "GEMMK", "KREG", "KWG", "KWI", "MDIMA", "MDIMC", "MWG", "NDIMB",
					      "NDIMC", "NWG",  "SA",  "SB",  "STRM",  "STRN",  "VWM", "VWN" };

const char *clef__clblast_problem(clef__clblast_kernel kernel)
{
	return kernel == CLEF__CLBLAST_DIRECT ? "clblast direct " CLEF_CLBLAST_VERSION
					      : "clblast indirect " CLEF_CLBLAST_VERSION;
}

uint64_t clef__clblast_hash(clef_device *dev, uint64_t hash)
{
	char text[CLEF__CHOICE_TEXT];

	for (int i = 0; i < CLEF__CLBLAST_KERNELS; i++) {
		const clef__tuned *t = clef__tuning_look(dev, clef__clblast_problem((clef__clblast_kernel)i));

		if (t)
			hash = clef__hash(hash, clef__choice_text(&t->choice, text), strlen(text));
	}
	return hash;
}

static clef_status override(clef_device *dev, const char *kernel, const char *const *names, const size_t *values,
			    size_t count)
{
	CLBlastStatusCode code = CLBlastOverrideParameters(dev->id, kernel, CLBlastPrecisionSingle, count,
							   (const char **)(uintptr_t)names, values);

	dev->clblast_used = true;
	return code ? clef__fail(CLEF_ERROR_INVALID, "CLBlast on %s: parameters for %s: status %d", dev->info.name,
				 kernel, (int)code)
		    : CLEF_OK;
}

clef_status clef__clblast_threshold(clef_device *dev, int size)
{
	return override(dev, "GemmRoutine", (const char *const[]){ "XGEMM_MIN_INDIRECT_SIZE" },
			(const size_t[]){ (size_t)size }, 1);
}

clef_status clef__clblast_override(clef_device *dev, clef__clblast_kernel kernel, const clef__choice *c)
{
	bool direct = kernel == CLEF__CLBLAST_DIRECT;
	const char *const *names = direct ? direct_names : indirect_names;
	int count = direct ? CLEF_COUNT(direct_names) : CLEF_COUNT(indirect_names),
	    size = clef__choice_get(c, "FROM", 0);
	size_t values[CLEF_COUNT(indirect_names)];
	clef_status status;

	if (!c->param[0].name[0])
		return CLEF_OK;
	for (int i = 0; i < count; i++) {
		int value = clef__choice_get(c, names[i], -1);

		if (value < 0)
			return clef__fail(CLEF_ERROR_INVALID, "CLBlast on %s: there is no parameter %s", dev->info.name,
					  names[i]);
		values[i] = (size_t)value;
	}
	status = override(dev, direct ? "XgemmDirect" : "Xgemm", names, values, (size_t)count);
	return status || size <= 0 ? status : clef__clblast_threshold(dev, size);
}

/* Once for a device, before its first product. They were checked when they were kept; the check of all engines follows.
 */
static void use_what_is_kept(clef_device *dev)
{
	dev->clblast_tuned = true;
	for (int i = 0; i < CLEF__CLBLAST_KERNELS; i++) {
		const char *problem = clef__clblast_problem((clef__clblast_kernel)i);
		const clef__tuned *t = clef__tuning_look(dev, problem);

		if (t && clef__clblast_override(dev, (clef__clblast_kernel)i, &t->choice)) {
			clef__tuning_refuse(dev, problem, "cannot be used");
			clef_error_clear();
		}
	}
}

/* ---- products ---- */

static CLBlastStatusCode call_clblast(clef_device *dev, const clef__gemm_opts *g)
{
	CLBlastTranspose ta = g->trans_a ? CLBlastTransposeYes : CLBlastTransposeNo;
	CLBlastTranspose tb = g->trans_b ? CLBlastTransposeYes : CLBlastTransposeNo;
	size_t m = (size_t)g->m, n = (size_t)g->n, k = (size_t)g->k;
	size_t a = g->a->start / sizeof(float) + g->a_offset, b = g->b->start / sizeof(float) + g->b_offset;
	size_t c = g->c->start / sizeof(float) + g->c_offset;

	if (g->batch == 1)
		return CLBlastSgemm(CLBlastLayoutRowMajor, ta, tb, m, n, k, g->alpha, g->a->mem, a, (size_t)g->lda,
				    g->b->mem, b, (size_t)g->ldb, g->beta, g->c->mem, c, (size_t)g->ldc, &dev->queue,
				    NULL);
	return CLBlastSgemmStridedBatched(CLBlastLayoutRowMajor, ta, tb, m, n, k, g->alpha, g->a->mem, a,
					  (size_t)g->lda, g->a_step, g->b->mem, b, (size_t)g->ldb, g->b_step, g->beta,
					  g->c->mem, c, (size_t)g->ldc, g->c_step, (size_t)g->batch, &dev->queue, NULL);
}

clef_status clef__gemm_clblast(clef_device *dev, const clef__gemm_opts *g)
{
	double start = 0;
	CLBlastStatusCode code;

	if (clef__deferred_run(dev))
		return clef_error_status();
	/* CLBlast launches several kernels and gives an event for the last one only. */
	if (dev->profile) {
		clef__wait(dev);
		start = clef__seconds();
	}
	dev->clblast_used = true;
	if (!dev->clblast_tuned)
		use_what_is_kept(dev);
	code = call_clblast(dev, g);
	if (code)
		return clef__fail((int)code == CL_MEM_OBJECT_ALLOCATION_FAILURE || (int)code == CL_OUT_OF_HOST_MEMORY
					  ? CLEF_ERROR_DEVICE_MEMORY
					  : CLEF_ERROR_OPENCL,
				  "CLBlast on %s: status %d for %d products of %d x %d x %d", dev->info.name, (int)code,
				  g->batch, g->m, g->n, g->k);
	clef__count_launch(dev, clef__gemm_flops(g), clef__gemm_bytes(g));
	if (dev->profile) {
		clef__wait(dev);
		clef__profile_time(dev->profile, "gemm (CLBlast)", clef__seconds() - start, clef__gemm_bytes(g),
				   clef__gemm_flops(g));
	}
	return CLEF_OK;
}

void clef__gemm_close(clef_device *dev)
{
	/* CLBlast keeps its programs by context, and would keep this one's for ever. */
	if (dev->clblast_used)
		CLBlastClearCache();
}
