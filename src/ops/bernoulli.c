/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zeros and ones by a tensor of probabilities. The draw is one of Philox, as those of init.h are, with the same bits on
 * every device; nothing flows back through it.
 */
#include <clef/ops.h>

#include "tape.h"

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	(void)dtype;
	*shape = n->x[0]->shape;
	return clef__op_dtype(n, 0, "p", CLEF_FLOAT32);
}

static clef_status forward(const clef__node *n)
{
	const clef_rng *rng = n->opts;
	const clef_tensor *p = n->x[0];
	/* A device that has vectors wants them spelled out. */
	const bool wide = clef_device_get_info(p->dev)->float_vector > 1;
	const size_t values = wide ? 4096 : 4; /* of a work-item: VALUES * RUN in random.clh */

	if (p->numel == 0)
		return CLEF_OK;
	return clef__launch(p->dev, &(clef__launch_opts){
					    .program = "random_kinds",
					    .defines = wide ? "#define PHILOX_WIDTH 16\n" : "#define PHILOX_WIDTH 1\n",
					    .kernel = "bernoulli_each",
					    .exact = true,
					    .local = { wide ? 1 : 0 },
					    .global = { ((size_t)p->numel + values - 1) / values },
					    .bytes = 8.0 * (double)p->numel,
					    .args = { CLEF__TENSOR(p), CLEF__TENSOR(n->y), CLEF__UINT(p->numel),
						      CLEF__ULONG(rng->seed), CLEF__ULONG(rng->counter) },
				    });
}

static const clef__op bernoulli = { "bernoulli", infer, forward, NULL };

clef_tensor *clef_bernoulli(clef_tensor *p, clef_rng *rng)
{
	clef_tensor *y;

	if (p && !rng)
		return clef__fail_null(CLEF_ERROR_INVALID,
				       "bernoulli: rng is NULL, expected a stream of random numbers");
	y = clef__apply(&bernoulli, &p, 1, rng, rng ? sizeof(*rng) : 0);
	if (y)
		rng->counter++;
	return y;
}
