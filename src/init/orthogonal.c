/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orthogonal matrices, by the method of Gram and Schmidt on normal values. It gives the Q that a QR decomposition gives
 * whose R has a positive diagonal, which makes every orthogonal matrix equally likely (Mezzadri, "How to generate
 * random matrices from the classical compact groups", 2007).
 *
 * The vectors, rows or columns of the matrix, are taken a panel of 128 at a time. Within a panel the host
 * orthogonalizes in double. Against the panels before, the device projects, by two matrix products in float. That
 * leaves errors that orthogonalizing within the panel may magnify, but both done again removes them: twice is enough
 * (Giraud et al., "Rounding error analysis of the classical Gram-Schmidt orthogonalization process", 2005).
 */
#include <float.h>
#include <math.h>

#include "init_internal.h"

#define PANEL  128
#define ACROSS 8 /* sums side by side, which a compiler keeps in vectors */

typedef struct work {
	int64_t count, length; /* of vectors, and of each */
	size_t step, stride;   /* from one vector to the next in `values`, and from one of its elements to the next */
	float *values;         /* in the layout of the tensor: normal values, in the end the result */
	double *panel;         /* PANEL vectors, one after another */
	float *staging;        /* the same for the device */
	clef__buffer *done;    /* all vectors that are ready; these three are NULL if one panel holds all */
	clef__buffer *moving;  /* the panel */
	clef__buffer *products;
} work;

static double dot(const double *a, const double *b, int64_t n)
{
	double sums[ACROSS] = { 0 }, total = 0;
	int64_t i = 0;

	for (; i + ACROSS <= n; i += ACROSS)
		for (int j = 0; j < ACROSS; j++)
			sums[j] += a[i + j] * b[i + j];
	for (; i < n; i++)
		total += a[i] * b[i];
	for (int j = 0; j < ACROSS; j++)
		total += sums[j];
	return total;
}

/* Vectors that were nearly dependent have lost digits, and go through it again. */
static void orthogonalize(double *panel, int64_t count, int64_t length)
{
	for (int64_t i = 0; i < count; i++) {
		double *v = panel + i * length, before, after = sqrt(dot(v, v, length));

		do {
			before = after;
			for (int64_t j = 0; j < i; j++) {
				const double *q = panel + j * length, share = dot(v, q, length);

				for (int64_t k = 0; k < length; k++)
					v[k] -= share * q[k];
			}
			after = sqrt(dot(v, v, length));
		} while (i && after < 1e-3 * before && after > 0);
		for (int64_t k = 0; k < length && after > 0; k++)
			v[k] /= after;
	}
}

/* Takes out of the panel's vectors what lies along the `first` ones that are done: P -= (P Q^T) Q. */
static clef_status project(clef_device *dev, const work *w, int64_t first, int64_t count)
{
	const size_t n = (size_t)(count * w->length);
	const int rows = (int)count, columns = (int)w->length, known = (int)first;
	clef_status status;

	for (size_t i = 0; i < n; i++)
		w->staging[i] = (float)w->panel[i];
	status = clef__buffer_write(w->moving, 0, w->staging, n * sizeof(float));
	if (!status)
		status = clef__gemm(dev, &(clef__gemm_opts){ .trans_b = true,
							     .m = rows,
							     .n = known,
							     .k = columns,
							     .alpha = 1,
							     .a = w->moving,
							     .lda = columns,
							     .b = w->done,
							     .ldb = columns,
							     .c = w->products,
							     .ldc = known });
	if (!status)
		status = clef__gemm(dev, &(clef__gemm_opts){ .m = rows,
							     .n = columns,
							     .k = known,
							     .alpha = -1,
							     .a = w->products,
							     .lda = known,
							     .b = w->done,
							     .ldb = columns,
							     .beta = 1,
							     .c = w->moving,
							     .ldc = columns });
	if (!status)
		status = clef__buffer_read(w->moving, 0, w->staging, n * sizeof(float));
	for (size_t i = 0; i < n && !status; i++)
		w->panel[i] = (double)w->staging[i];
	return status;
}

static clef_status do_panel(clef_device *dev, const work *w, int64_t first)
{
	const int64_t count = CLEF__MIN(PANEL, w->count - first);
	const size_t length = (size_t)w->length, bytes = length * sizeof(float);
	float *values = w->values + (size_t)first * w->step;
	clef_status status = CLEF_OK;

	for (size_t i = 0; i < (size_t)count; i++)
		for (size_t k = 0; k < length; k++)
			w->panel[i * length + k] = (double)values[i * w->step + k * w->stride];
	for (int pass = 0; pass < (first ? 2 : 1) && !status; pass++) {
		if (first)
			status = project(dev, w, first, count);
		if (!status)
			orthogonalize(w->panel, count, w->length);
	}
	if (status)
		return status;
	for (size_t i = 0; i < (size_t)count; i++)
		for (size_t k = 0; k < length; k++)
			values[i * w->step + k * w->stride] = (float)w->panel[i * length + k];
	if (first + count == w->count)
		return CLEF_OK;
	for (size_t i = 0; i < (size_t)count * length; i++)
		w->staging[i] = (float)w->panel[i];
	return clef__buffer_write(w->done, (size_t)first * bytes, w->staging, (size_t)count * bytes);
}

static clef_status prepare(clef_device *dev, work *w)
{
	const size_t n = (size_t)(w->count * w->length);
	const size_t panel = (size_t)(CLEF__MIN(PANEL, w->count) * w->length);

	w->values = clef__calloc(n, sizeof(*w->values), "values to orthogonalize");
	w->panel = w->values ? clef__calloc(panel, sizeof(*w->panel), "a panel to orthogonalize") : NULL;
	if (!w->panel)
		return clef_error_status();
	if (w->count <= PANEL)
		return CLEF_OK;
	w->staging = clef__calloc(panel, sizeof(*w->staging), "a panel on its way to the device");
	w->done = w->staging ? clef__buffer_new(dev, n * sizeof(float)) : NULL;
	w->moving = w->done ? clef__buffer_new(dev, panel * sizeof(float)) : NULL;
	w->products = w->moving ? clef__buffer_new(dev, PANEL * (size_t)w->count * sizeof(float)) : NULL;
	return w->products ? CLEF_OK : clef_error_status();
}

static clef_status fill(clef_tensor *x, float gain, clef_rng rng)
{
	const int64_t rows = x->shape.dim[0], columns = x->numel / rows;
	const bool wide = rows < columns;
	work w = {
		.count = wide ? rows : columns,
		.length = wide ? columns : rows,
		.step = wide ? (size_t)columns : 1,
		.stride = wide ? 1 : (size_t)columns,
	};
	clef_status status = prepare(x->dev, &w);

	if (!status) {
		clef_rng_normal(&rng, w.values, (size_t)x->numel);
		for (int64_t first = 0; first < w.count && !status; first += PANEL)
			status = do_panel(x->dev, &w, first);
	}
	if (!status) {
		for (int64_t i = 0; i < x->numel; i++)
			w.values[i] *= gain;
		status = clef_write(x, w.values, (size_t)x->numel * sizeof(float));
	}
	free(w.values);
	free(w.panel);
	free(w.staging);
	clef__buffer_release(w.done);
	clef__buffer_release(w.moving);
	clef__buffer_release(w.products);
	return status;
}

clef_status clef_init_orthogonal(clef_tensor *x, float gain, clef_rng *rng)
{
	clef_status status = clef__init_check("clef_init_orthogonal", x, rng);

	if (status)
		return status;
	if (x->shape.ndim < 2)
		return clef__fail(CLEF_ERROR_SHAPE, "clef_init_orthogonal: shape %s, expected two dimensions or more",
				  CLEF__SHAPE_TEXT(x->shape));
	if (!(gain >= 0) || gain > FLT_MAX / 4)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_init_orthogonal: gain %g, expected a positive number up to %g, or 0 for 1",
				  (double)gain, (double)(FLT_MAX / 4));
	if (x->numel && x->buffer)
		status = fill(x, gain > 0 ? gain : 1, *rng);
	if (!status)
		rng->counter++;
	return status;
}
