/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "conv_task.h"
#include "opencl.h"

const char *const conv_way_names[] = { "forward", "backward_data", "backward_weights" };

clef__conv conv_whole(const clef__conv *sizes)
{
	clef__conv g = *sizes;

	g.stride_h = CLEF__MAX(g.stride_h, 1);
	g.stride_w = CLEF__MAX(g.stride_w, 1);
	g.dilation_h = CLEF__MAX(g.dilation_h, 1);
	g.dilation_w = CLEF__MAX(g.dilation_w, 1);
	g.groups = CLEF__MAX(g.groups, 1);
	g.oh = (g.h + 2 * g.pad_top - (g.r - 1) * g.dilation_h - 1) / g.stride_h + 1;
	g.ow = (g.w + 2 * g.pad_left - (g.s - 1) * g.dilation_w - 1) / g.stride_w + 1;
	return g;
}

static clef_tensor *numbers(clef_shape shape, size_t offset, uint32_t seed, bool real)
{
	size_t count = (size_t)clef_shape_numel(shape);
	clef__buffer *buffer = ck_new(clef__buffer_new(test_device, (count + offset) * sizeof(float)));
	clef_tensor *x = ck_new(clef__tensor_view(test_device, CLEF_FLOAT32, shape, buffer, offset));
	float *v = malloc(count * sizeof(float));

	ck_assert_ptr_nonnull(v);
	for (size_t i = 0; i < count; i++) {
		seed = seed * 1664525u + 1013904223u;
		v[i] = real ? (float)(seed >> 8) / (1 << 24) - 0.5f : (float)(int)(seed >> 29) - 3;
	}
	ck_ok(clef_write(x, v, count * sizeof(float)));
	clef__buffer_release(buffer);
	free(v);
	return x;
}

static clef_status compute(const clef__conv_impl *impl, const conv_task *t, clef_tape *tape, clef_tensor *const *x,
			   const clef__conv_epilogue *e)
{
	static const clef__op op = { .name = "test" };
	const clef__node n = { .op = &op, .tape = tape };
	float beta = e ? 0 : t->beta;

	switch (t->way) {
	case CLEF__CONV_FORWARD:
		return impl->forward(&n, &t->g, x[0], x[1], e, beta, x[2]);
	case CLEF__CONV_BACKWARD_DATA:
		return impl->backward_data(&n, &t->g, x[2], x[1], e, beta, x[0]);
	default:
		return impl->backward_weights(&n, &t->g, x[0], x[2], beta, x[1]);
	}
}

float *conv_task_run(const clef__conv_impl *impl, const conv_task *t, size_t *count)
{
	const clef__conv *g = &t->g;
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x[] = { numbers(CLEF_SHAPE(g->n, g->c, g->h, g->w), t->offset, 1, t->real),
			     numbers(CLEF_SHAPE(g->k, g->c / g->groups, g->r, g->s), t->offset, 2, t->real),
			     numbers(CLEF_SHAPE(g->n, g->k, g->oh, g->ow), t->offset, 3, t->real) };
	clef_tensor *y = x[t->way == CLEF__CONV_FORWARD ? 2 : t->way == CLEF__CONV_BACKWARD_DATA ? 0 : 1];
	clef_tensor *bias = numbers(CLEF_SHAPE(t->way == CLEF__CONV_FORWARD ? g->k : g->c), 0, 4, t->real);
	const clef__conv_epilogue e = { bias, clef__activation_resolve((clef_activation){ CLEF_ACT_RELU }) };
	float *v = malloc((size_t)y->numel * sizeof(float));

	ck_assert_ptr_nonnull(v);
	ck_ok(clef_tape_begin(tape));
	ck_ok(compute(impl, t, tape, x, t->epilogue ? &e : NULL));
	*count = (size_t)y->numel;
	ck_ok(clef_read(y, v, *count * sizeof(float)));
	for (int i = 0; i < 3; i++)
		clef_tensor_free(x[i]);
	clef_tensor_free(bias);
	clef_tape_free(tape);
	return v;
}

const char *conv_task_chosen(const clef__conv *sizes, clef__conv_way way)
{
	const clef__conv g = conv_whole(sizes);

	return clef__conv_shipped(test_device, &g, way)->name;
}
