/* SPDX-License-Identifier: Apache-2.0 */
/* See init_case.h. */
#include <math.h>

#include "init_case.h"

inside inside_new(clef_shape shape, size_t offset)
{
	inside t = { .n = (size_t)clef_shape_numel(shape), .offset = offset };

	t.total = offset + t.n + 70;
	t.values = malloc(t.total * sizeof(float));
	ck_assert_ptr_nonnull(t.values);
	for (size_t i = 0; i < t.total; i++)
		t.values[i] = GUARD;
	t.buffer = ck_new(clef__buffer_new(test_device, t.total * sizeof(float)));
	ck_ok(clef__buffer_write(t.buffer, 0, t.values, t.total * sizeof(float)));
	t.x = ck_new(clef__tensor_view(test_device, CLEF_FLOAT32, shape, t.buffer, offset));
	return t;
}

const float *inside_read(inside *t)
{
	ck_ok(clef__buffer_read(t->buffer, 0, t->values, t->total * sizeof(float)));
	for (size_t i = 0; i < t->total; i++)
		if (i < t->offset || i >= t->offset + t->n)
			ck_assert_msg(t->values[i] == GUARD, "element %zu beside the tensor is %g", i,
				      (double)t->values[i]);
	return t->values + t->offset;
}

void inside_free(inside *t)
{
	clef_tensor_free(t->x);
	clef__buffer_release(t->buffer);
	free(t->values);
}

void ck_same_bits(const float *got, const float *want, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(!memcmp(&got[i], &want[i], sizeof(float)), "element %zu of %zu is %a, expected %a", i, n,
			      (double)got[i], (double)want[i]);
}

double normal_cdf(double x)
{
	return 0.5 * erfc(-x / sqrt(2));
}

static int compare_floats(const void *a, const void *b)
{
	const float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

double ks_distance(float *values, size_t n, double (*cdf)(double x, const void *data), const void *data)
{
	double worst = 0;

	qsort(values, n, sizeof(*values), compare_floats);
	for (size_t i = 0; i < n; i++) {
		const double p = cdf((double)values[i], data);

		worst = fmax(worst, fmax(fabs(p - (double)i / (double)n), fabs(p - (double)(i + 1) / (double)n)));
	}
	return worst * sqrt((double)n);
}
