/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One naive reference for all normalizations: it knows for each element which group it is in and which w and b are its
 * own, and computes means and variances of groups by going through all elements.
 */
#include <math.h>
#include <stdlib.h>

#include "check_clef.h"
#include "norm_case.h"

clef_tensor *norm_apply(clef_tensor **x, const void *opts)
{
	const norm_case *c = opts;
	const clef_batch_norm_opts batch = { .training = !c->evaluate, .eps = c->eps };

	switch (c->kind) {
	case NORM_BATCH:
		return c->affine ? clef_batch_norm(x[0], x[1], x[2], c->mean, c->var, &batch)
				 : clef_batch_norm_plain(x[0], c->mean, c->var, &batch);
	case NORM_LAYER:
		return c->affine ? clef_layer_norm(x[0], x[1], x[2], c->eps)
				 : clef_layer_norm_plain(x[0], c->dims, c->eps);
	case NORM_RMS:
		return c->affine ? clef_rms_norm(x[0], x[1], c->eps) : clef_rms_norm_plain(x[0], c->dims, c->eps);
	case NORM_GROUP:
		return c->affine ? clef_group_norm(x[0], c->groups, x[1], x[2], c->eps)
				 : clef_group_norm_plain(x[0], c->groups, c->eps);
	case NORM_INSTANCE:
		break;
	}
	return c->affine ? clef_instance_norm(x[0], x[1], x[2], c->eps) : clef_instance_norm_plain(x[0], c->eps);
}

int64_t norm_size_from(const clef_shape *s, int from)
{
	int64_t n = 1;

	for (int i = from; i < s->ndim; i++)
		n *= s->dim[i];
	return n;
}

void norm_place(const norm_case *c, const clef_shape *s, int64_t i, int64_t *group, int64_t *weight)
{
	int64_t length = norm_size_from(s, s->ndim - c->dims), channel = 0, sample = 0;

	if (c->kind == NORM_LAYER || c->kind == NORM_RMS) {
		*group = i / length;
		*weight = i % length;
		return;
	}
	sample = i / norm_size_from(s, 1);
	channel = i / norm_size_from(s, 2) % s->dim[1];
	*weight = channel;
	*group = c->kind == NORM_BATCH      ? channel
		 : c->kind == NORM_INSTANCE ? sample * s->dim[1] + channel
					    : sample * c->groups + channel / (s->dim[1] / c->groups);
}

void norm_reference(const ref_array *x, const void *opts, ref_array *y)
{
	const norm_case *c = opts;
	const clef_shape *s = &x[0].shape;
	double eps = c->eps != 0 ? (double)c->eps : c->kind == NORM_RMS ? 0x1p-23 : 1e-5;
	double *mean = calloc(3 * (size_t)x[0].numel + 1, sizeof(double)), *var = mean + x[0].numel,
	       *count = var + x[0].numel;
	int64_t g, w;

	ck_assert_ptr_nonnull(mean);
	for (int64_t i = 0; i < x[0].numel; i++) {
		norm_place(c, s, i, &g, &w);
		count[g]++;
		mean[g] += x[0].v[i];
	}
	for (int64_t i = 0; i < x[0].numel; i++)
		mean[i] = c->kind == NORM_RMS ? 0 : c->evaluate ? (double)c->means[i % s->dim[1]] : mean[i] / count[i];
	for (int64_t i = 0; i < x[0].numel; i++) {
		norm_place(c, s, i, &g, &w);
		var[g] += (x[0].v[i] - mean[g]) * (x[0].v[i] - mean[g]);
	}
	for (int64_t i = 0; i < x[0].numel; i++)
		var[i] = c->evaluate ? (double)c->vars[i % s->dim[1]] : var[i] / count[i];
	for (int64_t i = 0; i < x[0].numel; i++) {
		norm_place(c, s, i, &g, &w);
		y->v[i] = (x[0].v[i] - mean[g]) / sqrt(var[g] + eps);
		if (c->affine)
			y->v[i] = y->v[i] * x[1].v[w] + (c->kind == NORM_RMS ? 0 : x[2].v[w]);
	}
	free(mean);
}

clef_tensor *norm_tensor(clef_shape shape, const float *values)
{
	return ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, shape, (void *)(uintptr_t)values }));
}

static void run_case(norm_case c, clef_shape shape, double lo, double hi)
{
	static const char *const names[] = { "batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm" };
	const bool layer = c.kind == NORM_LAYER || c.kind == NORM_RMS;
	clef_shape affine = CLEF_SHAPE(layer ? 1 : shape.dim[1]);
	op_case row = { .name = names[c.kind],
			.apply = norm_apply,
			.reference = norm_reference,
			.opts = &c,
			.inputs = !c.affine            ? 1
				  : c.kind == NORM_RMS ? 2
						       : 3,
			.tolerance = 3e-6,
			.gradient_tolerance = 5e-5 };

	for (int i = 0; layer && i < c.dims; i++)
		affine.dim[i] = shape.dim[shape.ndim - c.dims + i];
	affine.ndim = layer ? c.dims : 1;
	row.in[0] = (op_input){ .shape = shape, .lo = lo, .hi = hi };
	row.in[1] = (op_input){ .shape = affine, .lo = 0.5, .hi = 2 };
	row.in[2] = (op_input){ .shape = affine, .lo = -1, .hi = 1 };
	op_case_run(&row);
}

void norm_run(norm_case c, clef_shape shape)
{
	c.affine = true;
	run_case(c, shape, -2, 3);
	c.affine = false;
	c.eps = 0.25f;
	run_case(c, shape, -2, 3);
}

void norm_run_batch(clef_shape shape)
{
	enum { MOST = 300 };
	float means[MOST], vars[MOST];
	norm_case c = { .kind = NORM_BATCH, .means = means, .vars = vars };

	for (int i = 0; i < shape.dim[1]; i++) {
		means[i] = (float)(i % 7) / 5;
		vars[i] = (float)(i % 11) / 4 + 0.5f;
	}
	c.mean = norm_tensor(CLEF_SHAPE(shape.dim[1]), means);
	c.var = norm_tensor(CLEF_SHAPE(shape.dim[1]), vars);
	c.evaluate = true;
	norm_run(c, shape);
	c.evaluate = false;
	norm_run(c, shape);
	clef_tensor_free(c.mean);
	clef_tensor_free(c.var);
}
