/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions by their definition: what fits every geometry, and what is best where each channel sees few others, so
 * that there is no large matrix product in it. The gradient of the weights is computed in parts, of some rows of the
 * images each, which are added up in a fixed order; the parts keep a device busy whose weights are few.
 */
#include "conv_internal.h"

/* Work-items that should compute the gradient of the weights, and the most pixels that one of them should add up. */
#define ENOUGH_ITEMS 16384
#define MANY_PIXELS  16384

static bool fits(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	(void)dev;
	(void)g;
	(void)way;
	return true;
}

static double flops(const clef__conv *g)
{
	return 2.0 * g->n * g->k * g->oh * g->ow * (g->c / g->groups) * g->r * g->s;
}

static double bytes(const clef__conv *g)
{
	return 4.0 * ((double)g->n * g->c * g->h * g->w + (double)g->n * g->k * g->oh * g->ow +
		      (double)g->k * (g->c / g->groups) * g->r * g->s);
}

static clef_status forward(const clef__node *n, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
			   const clef__conv_epilogue *given, float beta, const clef_tensor *y)
{
	int items = g->n * g->k * g->oh * clef__divide_up(g->ow, clef__conv_span(y->dev));
	const clef__conv_epilogue e = given ? *given : (clef__conv_epilogue){ NULL };
	const clef_tensor *b = e.bias ? e.bias : w;

	return clef__launch(y->dev, &(clef__launch_opts){
					    .program = "conv_direct",
					    .defines = clef__activation_defines(e.activation),
					    .kernel = "conv_direct_forward",
					    .label = n->op->name,
					    .global = { (size_t)items },
					    .long_items = true,
					    .bytes = bytes(g),
					    .flops = flops(g),
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(w), CLEF__TENSOR(b),
						      CLEF__INT(e.bias != NULL), CLEF__TENSOR(y), CLEF__FLOAT(beta),
						      CLEF__FLOAT(e.activation.p), CLEF__FLOAT(e.activation.q),
						      clef__conv_size(g), clef__conv_step(g), CLEF__INT(items) },
				    });
}

static clef_status backward_data(const clef__node *n, const clef__conv *g, const clef_tensor *y, const clef_tensor *w,
				 const clef__conv_epilogue *given, float beta, const clef_tensor *x)
{
	int items = g->n * g->c * g->h * clef__divide_up(g->w, clef__conv_span(x->dev));
	const clef__conv_epilogue e = given ? *given : (clef__conv_epilogue){ NULL };
	const clef_tensor *b = e.bias ? e.bias : w;

	(void)n;
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "conv_direct",
					    .defines = clef__activation_defines(e.activation),
					    .kernel = "conv_direct_backward_data",
					    .global = { (size_t)items },
					    .long_items = true,
					    .bytes = bytes(g),
					    .flops = flops(g),
					    .args = { CLEF__TENSOR(y), CLEF__TENSOR(w), CLEF__TENSOR(b),
						      CLEF__INT(e.bias != NULL), CLEF__TENSOR(x), CLEF__FLOAT(beta),
						      CLEF__FLOAT(e.activation.p), CLEF__FLOAT(e.activation.q),
						      clef__conv_size(g), clef__conv_step(g), CLEF__INT(items) },
				    });
}

static clef_status backward_weights(const clef__node *n, const clef__conv *g, const clef_tensor *x,
				    const clef_tensor *y, float beta, clef_tensor *w)
{
	const int all_rows = w->numel ? g->n * g->oh : 0;
	int64_t wanted = CLEF__MAX(ENOUGH_ITEMS / CLEF__MAX(w->numel, 1), (int64_t)all_rows * g->ow / MANY_PIXELS);
	int64_t most = INT32_MAX / CLEF__MAX(w->numel, 1);
	int chunks = (int)CLEF__MAX(CLEF__MIN(CLEF__MIN(wanted, most), all_rows), 1);
	int rows = CLEF__MAX(clef__divide_up(all_rows, chunks), 1);
	clef_tensor *part;
	clef_status status;

	if (w->numel == 0)
		return CLEF_OK;
	chunks = CLEF__MAX(clef__divide_up(all_rows, rows), 1);
	part = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(chunks, w->numel));
	if (!part)
		return clef_error_status();
	status = clef__launch(w->dev, &(clef__launch_opts){
					      .program = "conv_direct",
					      .kernel = "conv_direct_backward_weights",
					      .global = { (size_t)part->numel },
					      .long_items = true,
					      .bytes = bytes(g),
					      .flops = flops(g),
					      .args = { CLEF__TENSOR(x), CLEF__TENSOR(y), CLEF__TENSOR(part),
							CLEF__INT(rows), CLEF__INT(all_rows), clef__conv_size(g),
							clef__conv_step(g), CLEF__INT(part->numel) },
				      });
	if (!status)
		status = clef__reduce_sum(part, (const bool[CLEF_MAX_DIMS]){ true }, 1, beta, w);
	clef__scratch_free(part);
	return status;
}

const clef__conv_impl clef__conv_direct = { "direct", fits, NULL, forward, backward_data, backward_weights };
