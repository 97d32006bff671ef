/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One kernel copies any block of elements. Dimensions that are contiguous in both tensors are joined first, so most
 * copies have one or two, and long runs.
 */
#include "strided.h"

#include "runs.h"

#define SHORT_RUN 16

void clef__row_major(clef_shape shape, int64_t step[CLEF_MAX_DIMS])
{
	int64_t next = 1;

	for (int i = shape.ndim - 1; i >= 0; i--) {
		step[i] = next;
		next *= shape.dim[i];
	}
}

/* Innermost first, as kernels want them; the number of dimensions that are left. */
static int join_dims(const clef__strided *s, clef__arg *size, clef__arg *x_step, clef__arg *y_step)
{
	int32_t *n = size->value.i8, *xs = x_step->value.i8, *ys = y_step->value.i8;
	int used = 0;

	size->kind = x_step->kind = y_step->kind = CLEF__ARG_INT8;
	n[0] = 1;
	for (int i = s->ndim - 1; i >= 0; i--) {
		if (s->size[i] == 1)
			continue;
		if (used && s->x_step[i] == (int64_t)xs[used - 1] * n[used - 1] &&
		    s->y_step[i] == (int64_t)ys[used - 1] * n[used - 1]) {
			n[used - 1] *= (int32_t)s->size[i];
			continue;
		}
		n[used] = (int32_t)s->size[i];
		xs[used] = (int32_t)s->x_step[i];
		ys[used++] = (int32_t)s->y_step[i];
	}
	return used;
}

static void exchange(int32_t *v, int i, int j)
{
	const int32_t first = v[i];

	v[i] = v[j];
	v[j] = first;
}

/* Where runs along the innermost dimension would be short, a CPU goes along another that is contiguous in one of the
 * tensors: the order in which elements are copied is no matter. */
static void lengthen_runs(const clef_device *dev, int dims, clef__arg *size, clef__arg *x_step, clef__arg *y_step)
{
	int32_t *n = size->value.i8, *xs = x_step->value.i8, *ys = y_step->value.i8;

	if (n[0] >= SHORT_RUN || clef_device_get_info(dev)->kind != CLEF_DEVICE_CPU)
		return;
	for (int i = 1; i < dims; i++)
		if (n[i] > n[0] && (xs[i] == 1 || ys[i] == 1)) {
			exchange(n, 0, i);
			exchange(xs, 0, i);
			exchange(ys, 0, i);
		}
}

clef_status clef__strided_copy(const clef__strided *s, const clef_tensor *x, float beta, const clef_tensor *y)
{
	clef__arg size = { 0 }, x_step = { 0 }, y_step = { 0 };
	int64_t n = 1;
	clef__arg cut;
	int dims, items;

	for (int i = 0; i < s->ndim; i++)
		if (s->size[i] <= 0)
			return CLEF_OK;
	for (int i = 0; i < s->ndim; i++)
		n *= s->size[i];
	dims = join_dims(s, &size, &x_step, &y_step);
	lengthen_runs(x->dev, dims, &size, &x_step, &y_step);
	cut = clef__run_cut(x->dev, n, dims, &size, x_step.value.i8[0] > 1 || y_step.value.i8[0] > 1, &items);
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "strided",
					    .kernel = beta != 0 ? "strided_add" : "strided_copy",
					    .label = s->label,
					    .global = { (size_t)items },
					    .long_items = items < n,
					    .bytes = (beta != 0 ? 12.0 : 8.0) * (double)n,
					    .args = { CLEF__BUFFER(x->buffer, x->offset + (size_t)s->x_start),
						      CLEF__BUFFER(y->buffer, y->offset + (size_t)s->y_start),
						      CLEF__FLOAT(beta), cut, size, x_step, y_step, CLEF__INT(items) },
				    });
}

clef_status clef__strided_back(const clef__strided *s, const clef_tensor *y, float beta, const clef_tensor *x)
{
	clef__strided back = *s;

	memcpy(back.x_step, s->y_step, sizeof(back.x_step));
	memcpy(back.y_step, s->x_step, sizeof(back.y_step));
	back.x_start = s->y_start;
	back.y_start = s->x_start;
	return clef__strided_copy(&back, y, beta, x);
}
