/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling to a given size: the kernels of the other poolings, compiled with windows that follow from the sizes. */
#include "pool_internal.h"

static const clef__op max2d = {
	"adaptive_max_pool2d", clef__max_pool_infer, clef__max_pool_forward, clef__max_pool_backward, NULL,
	clef__needs_nothing
};
static const clef__op max1d = {
	"adaptive_max_pool1d", clef__max_pool_infer, clef__max_pool_forward, clef__max_pool_backward, NULL,
	clef__needs_nothing
};
static const clef__op avg2d = {
	"adaptive_avg_pool2d", clef__avg_pool_infer, clef__avg_pool_forward, clef__avg_pool_backward, NULL,
	clef__needs_nothing
};
static const clef__op avg1d = {
	"adaptive_avg_pool1d", clef__avg_pool_infer, clef__avg_pool_forward, clef__avg_pool_backward, NULL,
	clef__needs_nothing
};

static clef_tensor *apply(const clef__op *op, clef_tensor *x, bool flat, int64_t out_h, int64_t out_w)
{
	clef__pool p = { .flat = flat, .adaptive = true, .wanted = { out_h, out_w } };

	return clef__apply(op, &x, 1, &p, sizeof(p));
}

clef_tensor *clef_adaptive_max_pool2d(clef_tensor *x, int64_t out_h, int64_t out_w)
{
	return apply(&max2d, x, false, out_h, out_w);
}

clef_tensor *clef_adaptive_max_pool1d(clef_tensor *x, int64_t out)
{
	return apply(&max1d, x, true, 1, out);
}

clef_tensor *clef_adaptive_avg_pool2d(clef_tensor *x, int64_t out_h, int64_t out_w)
{
	return apply(&avg2d, x, false, out_h, out_w);
}

clef_tensor *clef_adaptive_avg_pool1d(clef_tensor *x, int64_t out)
{
	return apply(&avg1d, x, true, 1, out);
}
