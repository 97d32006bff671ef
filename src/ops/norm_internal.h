/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the normalizations share. All of them are (x - mean) / sqrt(var + eps) * w + b with the elements grouped in one
 * way or another, so they share their kernels too (cl/norm_stats.cl and cl/norm.cl).
 */
#ifndef CLEF_NORM_INTERNAL_H
#define CLEF_NORM_INTERNAL_H

#include "activation_internal.h"
#include "variant.h"

/* x as [outer][channels][inner], with one w and one b for each channel; NULL: none. */
typedef struct clef__norm {
	int outer, channels, inner;
	int per_group; /* a group is so many neighbouring segments of `inner` elements; 0: it is a channel */
	int groups, count;
	bool no_mean; /* the mean is taken as 0: rms_norm */
	bool given;   /* the statistics do not depend on x: batch_norm that evaluates */
	float eps;
	const clef_tensor *w, *b;
	clef_activation activation; /* resolved; it fuses, and a group is a channel */
} clef__norm;

/* As kernels are told: 1 with w, 2 with b. */
static inline int clef__norm_affine(const clef__norm *v)
{
	return (v->w ? 1 : 0) + (v->b ? 2 : 0);
}

/* Checks eps and x, whose shape y gets. */
clef_status clef__norm_infer(const clef__node *n, float eps, clef_shape *shape);

/* Checks an operand of the operation and its shape. */
clef_status clef__norm_operand(const clef__node *n, int i, const char *argument, clef_shape shape);

/* In infer(): makes n->saved[0], the statistics of so many groups, four floats each. */
clef_status clef__norm_save(clef__node *n, int64_t groups);

/* Enqueues the statistics of x. */
clef_status clef__norm_moments(const clef__node *n, const clef__norm *v);

/* Enqueues y. */
clef_status clef__norm_forward(const clef__node *n, const clef__norm *v);

/* Enqueues the gradients to x, w and b; dw and db are not looked at without w and b. */
clef_status clef__norm_backward(const clef__node *n, const clef__norm *v, const clef_tensor *dy, const clef__grad *dx,
				const clef__grad *dw, const clef__grad *db);

/* ---- by the batch, on a CPU: a work-item is a channel, and statistics and result are one kernel ---- */

/* That way, or by the kernels of all normalizations. */
enum { CLEF__NORM_CHANNELS, CLEF__NORM_PARTS };

/* Which one x goes, in training. */
int clef__norm_choose(const clef__node *n, const clef__norm *v);

/* clef_batch_norm() in training, by one of them. */
clef_tensor *clef__batch_norm_by(clef_tensor *x, clef_tensor *w, clef_tensor *b, int way);

/* Enqueues the statistics of x and y, and moves the running ones; NULL: there are none to move. */
clef_status clef__norm_train(const clef__node *n, const clef__norm *v, const clef_tensor *running_mean,
			     const clef_tensor *running_var, float momentum);

clef_status clef__norm_train_backward(const clef__node *n, const clef__norm *v, const clef_tensor *dy,
				      const clef__grad *dx, const clef__grad *dw, const clef__grad *db);

/* Where a channel is a column of a matrix: y, by statistics that are there. */
bool clef__norm_has_columns(const clef_device *dev, const clef__norm *v);
clef_status clef__norm_columns(const clef__node *n, const clef__norm *v);

/* ---- over the last dimensions, on a CPU: a work-item is a row, or a chunk of rows ---- */

bool clef__norm_by_rows(const clef_device *dev, const clef__norm *v);

/* Enqueues the statistics of x and y. */
clef_status clef__norm_rows(const clef__node *n, const clef__norm *v);

clef_status clef__norm_rows_backward(const clef__node *n, const clef__norm *v, const clef_tensor *dy,
				     const clef__grad *dx, const clef__grad *dw, const clef__grad *db);

#endif
