/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operands of problems: drawn from a stream of their own, the same on every machine, and laid between guard values at
 * odd offsets of larger buffers, so that an access outside of them shows.
 */
#include <math.h>

#include "operand.h"

/* ---- values ---- */

double clef__draw_uniform(uint64_t *state, double lo, double hi)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return lo + (hi - lo) * (double)(*state >> 11) * 0x1p-53;
}

int64_t clef__ref_size(const clef_shape *shape, int from, int to)
{
	int64_t n = 1;

	from += from < 0 ? shape->ndim : 0;
	to += to < 0 ? shape->ndim : 0;
	for (int i = CLEF__MAX(from, 0); i < to && i < shape->ndim; i++)
		n *= shape->dim[i];
	return n;
}

int64_t clef__ref_broadcast(const clef_shape *y, const clef_shape *x, int64_t i)
{
	int64_t index = 0, step = 1;

	for (int d = y->ndim - 1, e = x->ndim - 1; e >= 0; d--, e--) {
		if (x->dim[e] != 1)
			index += i % y->dim[d] * step;
		step *= x->dim[e];
		i /= y->dim[d];
	}
	return index;
}

bool clef__ref_new(clef_shape shape, clef__ref *ref)
{
	*ref = (clef__ref){ .shape = shape, .numel = clef_shape_numel(shape) };
	if (ref->numel < 0)
		return clef__fail_null(CLEF_ERROR_SHAPE, "problem: %s is no shape of a tensor",
				       CLEF__SHAPE_TEXT(shape)) != NULL;
	ref->to = ref->numel;
	ref->v = clef__calloc((size_t)ref->numel + 1, sizeof(*ref->v), "a reference");
	return ref->v != NULL;
}

clef_status clef__problem_draw(const clef__problem *p, int i, clef__ref *ref, void *host)
{
	const clef__operand *in = &p->in[i];
	bool label = in->kind == CLEF__OPERAND_LABEL;
	uint64_t state = 12345u + 1000003u * (uint64_t)i;
	int32_t *labels = host;
	float *values = host;

	if (!clef__ref_new(in->shape, ref))
		return clef_error_status();
	for (int64_t k = 0; k < ref->numel; k++) {
		double v = clef__draw_uniform(&state, in->lo, in->hi);

		if (label || in->whole)
			v = floor(v);
		if (label)
			labels[k] = (int32_t)v;
		else
			values[k] = (float)v;
		ref->v[k] = label ? v : (double)values[k];
	}
	return CLEF_OK;
}

/* ---- on the device ---- */

static clef_status upload(clef_device *dev, const clef__problem *p, int i, clef__placed *o)
{
	const clef__operand *in = &p->in[i];
	clef_dtype dtype = in->kind == CLEF__OPERAND_LABEL ? CLEF_INT32 : CLEF_FLOAT32;
	int64_t n = o->ref.numel + 2 * CLEF__GUARD;
	clef_shape whole = CLEF_SHAPE(n);
	clef_status s = CLEF_OK;

	o->values = clef_tensor_from(dev, &(clef_array){ dtype, whole, o->host });
	if (!o->values)
		return clef_error_status();
	o->x = clef__tensor_view(dev, dtype, in->shape, o->values->buffer, o->values->offset + CLEF__GUARD);
	if (!o->x)
		return clef_error_status();
	if (p->no_gradient || in->kind != CLEF__OPERAND_GRADIENT)
		return CLEF_OK;
	o->grads = clef_tensor_new(dev, CLEF_FLOAT32, whole);
	if (!o->grads)
		return clef_error_status();
	s = clef_fill(o->grads, (double)NAN);
	if (s)
		return s;
	o->x->grad = clef__tensor_view(dev, dtype, in->shape, o->grads->buffer, o->grads->offset + CLEF__GUARD);
	return o->x->grad ? clef_requires_grad(o->x, true) : clef_error_status();
}

clef_status clef__place_new(clef_device *dev, const clef__problem *p, int i, clef__placed *o)
{
	int64_t n = clef_shape_numel(p->in[i].shape);
	clef_status s;

	memset(o, 0, sizeof(*o));
	if (n < 0 || n > INT32_MAX - 2 * CLEF__GUARD)
		return clef__fail(CLEF_ERROR_SHAPE, "problem: operand %d of shape %s is too large", i,
				  CLEF__SHAPE_TEXT(p->in[i].shape));
	o->host = clef__calloc((size_t)n + 2 * CLEF__GUARD, sizeof(*o->host), "an operand");
	if (!o->host)
		return CLEF_ERROR_MEMORY;
	for (int k = 0; k < CLEF__GUARD; k++)
		o->host[k] = o->host[n + CLEF__GUARD + k] = NAN;
	s = clef__problem_draw(p, i, &o->ref, o->host + CLEF__GUARD);
	return s ? s : upload(dev, p, i, o);
}

void clef__place_free(clef__placed *o)
{
	clef_tensor_free(o->x);
	clef_tensor_free(o->values);
	clef_tensor_free(o->grads);
	free(o->ref.v);
	free(o->host);
}
