/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization over the last dimensions on CPUs (cl/norm_rows.cl): statistics and result of a row are one work-item's,
 * and so are, of a chunk of rows, the gradient to x and the sums that those to w and b are made of.
 */
#include "norm_internal.h"

/* Longer ones are cut into chunks for several cores by the kernels of all normalizations. */
#define LONGEST_ROW (1 << 16)
/* How rows are summed up depends on the shape alone. */
#define MOST_CHUNKS 64
#define LEAST_ROWS  8

bool clef__norm_by_rows(const clef_device *dev, const clef__norm *v)
{
	return clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU && v->inner == 1 && v->per_group == v->channels &&
	       v->count <= LONGEST_ROW;
}

clef_status clef__norm_rows(const clef__node *n, const clef__norm *v)
{
	const clef_tensor *x = n->x[0], *w = v->w ? v->w : x, *b = v->b ? v->b : x;

	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "norm_rows",
					    .kernel = "norm_rows",
					    .label = n->op->name,
					    .global = { (size_t)v->groups },
					    .long_items = true,
					    .bytes = 8.0 * (double)x->numel,
					    .flops = 9.0 * (double)x->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(w),
						      CLEF__TENSOR(b), CLEF__TENSOR(n->y), CLEF__INT(v->count),
						      CLEF__INT(v->groups), CLEF__INT(clef__norm_affine(v)),
						      CLEF__INT(!v->no_mean), CLEF__FLOAT(v->eps) },
				    });
}

/* `part`: of the chunks, the sums of dy and of dy times x normalized; not looked at if none is wanted. */
static clef_status enqueue_backward(const clef__node *n, const clef__norm *v, const clef_tensor *dy,
				    const clef__grad *dx, clef_tensor *const part[2], int each, int chunks)
{
	const clef_tensor *x = n->x[0], *stats = n->saved[0], *w = v->w ? v->w : x;
	const int want = (dx->dx ? 1 : 0) + (part[0] ? 2 : 0);

	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = "norm_rows",
			.kernel = "norm_rows_backward",
			.label = v->no_mean ? "rms_norm backward" : "layer_norm backward",
			.global = { (size_t)chunks },
			.long_items = true,
			.bytes = (dx->dx ? (dx->beta != 0 ? 16.0 : 12.0) : 8.0) * (double)x->numel,
			.flops = 14.0 * (double)x->numel,
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(dy), CLEF__TENSOR(stats), CLEF__TENSOR(w),
				  CLEF__TENSOR(dx->dx ? dx->dx : stats), CLEF__TENSOR(part[0] ? part[0] : stats),
				  CLEF__TENSOR(part[1] ? part[1] : stats), CLEF__INT(v->count), CLEF__INT(v->groups),
				  CLEF__INT(each), CLEF__INT(chunks), CLEF__INT(clef__norm_affine(v)),
				  CLEF__INT(!v->no_mean), CLEF__INT(want), CLEF__FLOAT(dx->beta) },
		});
}

clef_status clef__norm_rows_backward(const clef__node *n, const clef__norm *v, const clef_tensor *dy,
				     const clef__grad *dx, const clef__grad *dw, const clef__grad *db)
{
	static const bool chunk[CLEF_MAX_DIMS] = { true };
	const bool want_w = v->w && dw->dx, want_b = v->b && db->dx;
	const int each = CLEF__MAX(clef__divide_up(v->groups, MOST_CHUNKS), LEAST_ROWS);
	const int chunks = clef__divide_up(v->groups, each);
	clef_tensor *part[2] = { NULL, NULL };
	clef_status status = CLEF_OK;

	if (!dx->dx && !want_w && !want_b)
		return CLEF_OK;
	for (int i = 0; (want_w || want_b) && i < 2 && !status; i++) {
		part[i] = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(chunks, v->count));
		status = part[i] ? CLEF_OK : clef_error_status();
	}
	if (!status)
		status = enqueue_backward(n, v, dy, dx, part, each, chunks);
	/* In the order of the operands, which may be one tensor. */
	if (!status && want_w)
		status = clef__reduce_sum(part[1], chunk, 1, dw->beta, dw->dx);
	if (!status && want_b)
		status = clef__reduce_sum(part[0], chunk, 1, db->beta, db->dx);
	clef__scratch_free(part[0]);
	clef__scratch_free(part[1]);
	return status;
}
