/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels that all normalizations share, enqueued. A group of many elements is cut into chunks, one for each
 * work-item, where there are too few groups to keep a device busy; how depends on the shape alone, and chunks are added
 * up in their order, so that equal inputs give equal bits.
 *
 * A group's statistics are kept for backward, but not the normalized x, which costs less to compute again than to read.
 */
#include <math.h>

#include "divide.h"
#include "norm_internal.h"

#define CHUNK       1024
#define FEW_OUTPUTS 4096
#define BIG_CHUNK   8192 /* one chunk of so many is fine where there are many groups */
#define SPAN        1024

typedef struct chunks {
	int size, count;
} chunks;

static chunks cut(int count, int groups)
{
	chunks c = { count, 1 };

	if (count <= 2 * CHUNK || (count <= BIG_CHUNK && groups >= FEW_OUTPUTS))
		return c;
	for (c.size = CHUNK; count / c.size > c.size;)
		c.size *= 2;
	c.count = (count + c.size - 1) / c.size;
	return c;
}

clef_status clef__norm_infer(const clef__node *n, float eps, clef_shape *shape)
{
	*shape = n->x[0]->shape;
	if (!(eps >= 0) || isinf(eps))
		return clef__op_fail(n, CLEF_ERROR_INVALID, "eps is %g, expected a finite number, 0 or more",
				     (double)eps);
	return clef__op_dtype(n, 0, "x", CLEF_FLOAT32);
}

clef_status clef__norm_operand(const clef__node *n, int i, const char *argument, clef_shape shape)
{
	clef_status status = clef__op_dtype(n, i, argument, CLEF_FLOAT32);

	if (!status && !clef_shape_equal(n->x[i]->shape, shape))
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "%s has shape %s, expected %s for x %s", argument,
				       CLEF__SHAPE_TEXT(n->x[i]->shape), CLEF__SHAPE_TEXT(shape),
				       CLEF__SHAPE_TEXT(n->x[0]->shape));
	return status;
}

clef_status clef__norm_save(clef__node *n, int64_t groups)
{
	if (groups > INT32_MAX / 4)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "x %s has %lld groups to normalize: at most 2^29 - 1",
				     CLEF__SHAPE_TEXT(n->x[0]->shape), (long long)groups);
	return clef__save(n, 0, CLEF_FLOAT32, CLEF_SHAPE(groups, 4));
}

/* ---- forward ---- */

static clef_status finish(const clef__node *n, const clef__norm *v, const clef_tensor *part, chunks c)
{
	return clef__launch(part->dev, &(clef__launch_opts){
					       .program = "norm_stats",
					       .kernel = "norm_finish",
					       .global = { (size_t)v->groups },
					       .long_items = true,
					       .bytes = 12.0 * (double)part->numel,
					       .args = { CLEF__TENSOR(part), CLEF__TENSOR(n->saved[0]),
							 CLEF__INT(v->groups), CLEF__INT(v->count), CLEF__INT(c.size),
							 CLEF__INT(c.count), CLEF__FLOAT(v->eps) },
				       });
}

clef_status clef__norm_moments(const clef__node *n, const clef__norm *v)
{
	const chunks c = cut(v->count, v->groups);
	const clef_tensor *x = n->x[0];
	/* Columns of a matrix lie in one run with a step. */
	const bool channels = v->per_group == 0, columns = channels && v->inner == 1;
	clef_tensor *part =
		c.count > 1 ? clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(c.count, v->groups, 3)) : n->saved[0];
	clef_status status;

	if (!part)
		return clef_error_status();
	status = clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = "norm_stats",
			.kernel = "norm_moments",
			.global = { (size_t)v->groups * (size_t)c.count },
			.long_items = true,
			.bytes = 4.0 * (double)x->numel,
			.flops = (v->no_mean ? 2.0 : 5.0) * (double)x->numel,
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(part), CLEF__INT(v->groups),
				  CLEF__INT(channels ? v->inner : v->count), CLEF__INT(v->count),
				  CLEF__INT(channels && !columns ? v->inner : v->count),
				  CLEF__INT(v->channels * v->inner), CLEF__INT(columns ? v->channels : 1),
				  CLEF__INT(c.size), CLEF__INT(c.count), CLEF__INT(!v->no_mean), CLEF__FLOAT(v->eps) },
		});
	if (c.count > 1) {
		if (!status)
			status = finish(n, v, part, c);
		clef__scratch_free(part);
	}
	return status;
}

/* ---- elements ---- */

/* Elements of a segment for one work-item: a CPU wants to look channel and group up once for many neighbours, a GPU
 * wants neighbours in several. */
static int span_of(const clef_device *dev, const clef__norm *v)
{
	return clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU ? CLEF__MIN(v->inner, SPAN) : 1;
}

static int spans_of(const clef_device *dev, const clef__norm *v)
{
	return (v->inner + span_of(dev, v) - 1) / span_of(dev, v);
}

static clef__arg run_layout(const clef_device *dev, const clef__norm *v)
{
	return (clef__arg){ .kind = CLEF__ARG_INT8,
			    .value.i8 = { v->inner, span_of(dev, v), spans_of(dev, v), v->channels, v->per_group } };
}

clef_status clef__norm_forward(const clef__node *n, const clef__norm *v)
{
	const clef_tensor *x = n->x[0], *w = v->w ? v->w : x, *b = v->b ? v->b : x;
	const int spans = spans_of(x->dev, v), items = v->outer * v->channels * spans;

	if (clef__norm_has_columns(x->dev, v))
		return clef__norm_columns(n, v);
	return clef__launch(
		x->dev, &(clef__launch_opts){
				.program = "norm",
				.defines = clef__activation_defines(v->activation),
				.kernel = "norm_forward",
				.label = n->op->name,
				.global = { (size_t)items },
				.long_items = span_of(x->dev, v) > 1,
				.bytes = 8.0 * (double)x->numel,
				.args = { CLEF__TENSOR(x), CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(w), CLEF__TENSOR(b),
					  CLEF__TENSOR(n->y), run_layout(x->dev, v), CLEF__DIVIDER(spans),
					  CLEF__DIVIDER(v->channels), CLEF__DIVIDER(v->per_group),
					  CLEF__INT(clef__norm_affine(v)), CLEF__FLOAT(v->activation.p),
					  CLEF__FLOAT(v->activation.q), CLEF__INT(items) },
			});
}

/* ---- backward ---- */

/* The result, which is read where there is an activation, and may be gone where there is none. */
static const clef_tensor *backward_y(const clef__node *n, const clef__norm *v)
{
	return v->activation.kind ? n->y : n->x[0];
}

/* Two sums for each channel or each group: of dy, and of dy times x normalized; dy on this side of the activation. */
typedef struct sums {
	clef_tensor *dy, *product;
} sums;

static void free_sums(sums *s)
{
	clef__scratch_free(s->dy);
	clef__scratch_free(s->product);
	*s = (sums){ NULL, NULL };
}

static clef_status new_sums(const clef__node *n, int count, int outputs, sums *s)
{
	s->dy = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(count, outputs));
	s->product = s->dy ? clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(count, outputs)) : NULL;
	return s->product ? CLEF_OK : clef_error_status();
}

/* Adds the chunks up. */
static clef_status total(const clef__node *n, sums *s, int count, int outputs)
{
	static const bool chunk[CLEF_MAX_DIMS] = { true };
	sums part = *s;
	clef_status status;

	if (count == 1)
		return CLEF_OK;
	*s = (sums){ NULL, NULL };
	status = new_sums(n, 1, outputs, s);
	if (!status)
		status = clef__reduce_sum(part.dy, chunk, 1, 0, s->dy);
	if (!status)
		status = clef__reduce_sum(part.product, chunk, 1, 0, s->product);
	free_sums(&part);
	return status;
}

static clef_status channel_sums(const clef__node *n, const clef__norm *v, const clef_tensor *dy, sums *s)
{
	const int count = v->outer * v->inner;
	const chunks c = cut(count, v->channels);
	const clef_tensor *x = n->x[0];
	clef_status status = new_sums(n, c.count, v->channels, s);

	if (!status)
		status = clef__launch(
			x->dev, &(clef__launch_opts){
					.program = "norm",
					.defines = clef__activation_defines(v->activation),
					.kernel = "norm_channel_sums",
					.global = { (size_t)v->channels * (size_t)c.count },
					.long_items = true,
					.bytes = (v->activation.kind ? 12.0 : 8.0) * (double)x->numel,
					.flops = 5.0 * (double)x->numel,
					.args = { CLEF__TENSOR(x), CLEF__TENSOR(backward_y(n, v)), CLEF__TENSOR(dy),
						  CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(s->dy),
						  CLEF__TENSOR(s->product), CLEF__INT(v->inner), CLEF__INT(v->channels),
						  CLEF__INT(v->per_group), CLEF__DIVIDER(v->per_group),
						  CLEF__INT(count), CLEF__INT(c.size), CLEF__INT(c.count),
						  CLEF__FLOAT(v->activation.p), CLEF__FLOAT(v->activation.q) },
				});
	return status ? status : total(n, s, c.count, v->channels);
}

/* With the weights in the sums. */
static clef_status group_sums(const clef__node *n, const clef__norm *v, const clef_tensor *dy, sums *s)
{
	const chunks c = cut(v->count, v->groups);
	const clef_tensor *x = n->x[0], *w = v->w ? v->w : x;
	clef_status status = new_sums(n, c.count, v->groups, s);

	if (!status)
		status = clef__launch(
			x->dev, &(clef__launch_opts){
					.program = "norm",
					.kernel = "norm_group_sums",
					.global = { (size_t)v->groups * (size_t)c.count },
					.long_items = true,
					.bytes = 8.0 * (double)x->numel,
					.flops = 6.0 * (double)x->numel,
					.args = { CLEF__TENSOR(x), CLEF__TENSOR(dy), CLEF__TENSOR(n->saved[0]),
						  CLEF__TENSOR(w), CLEF__TENSOR(s->dy), CLEF__TENSOR(s->product),
						  CLEF__INT(v->groups), CLEF__INT(v->w ? v->inner : v->count),
						  CLEF__INT(v->channels), CLEF__INT(v->count), CLEF__INT(v->w != NULL),
						  CLEF__INT(c.size), CLEF__INT(c.count) },
				});
	return status ? status : total(n, s, c.count, v->groups);
}

/* dx, by the sums of each group; `s` is not read where the statistics are given. */
static clef_status data_gradient(const clef__node *n, const clef__norm *v, const clef_tensor *dy, const sums *s,
				 const clef__grad *dx)
{
	const clef_tensor *x = n->x[0], *w = v->w ? v->w : x;
	const clef_tensor *sum = v->given ? x : s->dy, *product = v->given ? x : s->product;
	const int spans = spans_of(x->dev, v), items = v->outer * v->channels * spans;
	int through = v->given ? 0 : v->no_mean ? 2 : 3;

	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = "norm",
			.defines = clef__activation_defines(v->activation),
			.kernel = "norm_backward",
			.global = { (size_t)items },
			.long_items = span_of(x->dev, v) > 1,
			.bytes = ((dx->beta != 0 ? 16.0 : 12.0) + (v->activation.kind ? 4.0 : 0)) * (double)x->numel,
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(backward_y(n, v)), CLEF__TENSOR(dy),
				  CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(w), CLEF__TENSOR(sum), CLEF__TENSOR(product),
				  CLEF__TENSOR(dx->dx), CLEF__FLOAT(dx->beta), CLEF__FLOAT(1 / (float)v->count),
				  run_layout(x->dev, v), CLEF__DIVIDER(spans), CLEF__DIVIDER(v->channels),
				  CLEF__DIVIDER(v->per_group), CLEF__INT(clef__norm_affine(v)), CLEF__INT(through),
				  CLEF__FLOAT(v->activation.p), CLEF__FLOAT(v->activation.q), CLEF__INT(items) },
		});
}

/* Sums of nothing. */
static clef_status clear(const clef__grad *g)
{
	return g->beta == 0 ? clef_fill(g->dx, 0) : CLEF_OK;
}

/* The gradients to w and b are sums over channels, and so are those to x where a channel is a group. */
clef_status clef__norm_backward(const clef__node *n, const clef__norm *v, const clef_tensor *dy, const clef__grad *dx,
				const clef__grad *dw, const clef__grad *db)
{
	const bool want_w = v->w && dw->dx, want_b = v->b && db->dx, none = n->x[0]->numel == 0;
	sums channels = { NULL, NULL }, groups = { NULL, NULL };
	clef_status status = CLEF_OK;

	if (!none && (want_w || want_b || (dx->dx && v->per_group == 0 && !v->given)))
		status = channel_sums(n, v, dy, &channels);
	if (!status && !none && dx->dx && v->per_group != 0)
		status = group_sums(n, v, dy, &groups);
	if (!status && !none && dx->dx)
		status = data_gradient(n, v, dy, v->per_group ? &groups : &channels, dx);
	if (!status && want_w)
		status = none ? clear(dw) : clef__axpby(1, channels.product, dw->beta, dw->dx);
	if (!status && want_b)
		status = none ? clear(db) : clef__axpby(1, channels.dy, db->beta, db->dx);
	free_sums(&channels);
	free_sums(&groups);
	return status;
}
