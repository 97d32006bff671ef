/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products by CLBlast, the general engine of GPUs. */
#include <clblast_c.h>

#include "gemm.h"

static CLBlastStatusCode call_clblast(clef_device *dev, const clef__gemm_opts *g)
{
	CLBlastTranspose ta = g->trans_a ? CLBlastTransposeYes : CLBlastTransposeNo;
	CLBlastTranspose tb = g->trans_b ? CLBlastTransposeYes : CLBlastTransposeNo;
	size_t m = (size_t)g->m, n = (size_t)g->n, k = (size_t)g->k;

	if (g->batch == 1)
		return CLBlastSgemm(CLBlastLayoutRowMajor, ta, tb, m, n, k, g->alpha, g->a->mem, g->a_offset,
				    (size_t)g->lda, g->b->mem, g->b_offset, (size_t)g->ldb, g->beta, g->c->mem,
				    g->c_offset, (size_t)g->ldc, &dev->queue, NULL);
	return CLBlastSgemmStridedBatched(CLBlastLayoutRowMajor, ta, tb, m, n, k, g->alpha, g->a->mem, g->a_offset,
					  (size_t)g->lda, g->a_step, g->b->mem, g->b_offset, (size_t)g->ldb, g->b_step,
					  g->beta, g->c->mem, g->c_offset, (size_t)g->ldc, g->c_step, (size_t)g->batch,
					  &dev->queue, NULL);
}

clef_status clef__gemm_clblast(clef_device *dev, const clef__gemm_opts *g)
{
	double start = 0;
	CLBlastStatusCode code;

	/* CLBlast launches several kernels and gives an event for the last one only. */
	if (dev->profile) {
		clFinish(dev->queue);
		start = clef__seconds();
	}
	dev->clblast_used = true;
	code = call_clblast(dev, g);
	if (code)
		return clef__fail((int)code == CL_MEM_OBJECT_ALLOCATION_FAILURE || (int)code == CL_OUT_OF_HOST_MEMORY
					  ? CLEF_ERROR_DEVICE_MEMORY
					  : CLEF_ERROR_OPENCL,
				  "CLBlast on %s: status %d for %d products of %d x %d x %d", dev->info.name, (int)code,
				  g->batch, g->m, g->n, g->k);
	dev->stats.launches++;
	if (dev->profile) {
		clFinish(dev->queue);
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
