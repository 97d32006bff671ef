/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums over any dimensions, of which reductions and the gradients of biases and broadcast operands are made: against
 * sums in double precision, with the result at an offset among guards.
 */
#include <math.h>
#include <stdlib.h>

#include "check_clef.h"
#include "tensor_internal.h"

static clef_tensor *floats(int64_t n)
{
	return ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(n)));
}

static uint32_t seed;

static uint32_t draw(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

typedef struct sum_case {
	clef_shape shape;
	bool reduce[CLEF_MAX_DIMS];
	float alpha, beta;
	bool integers;
} sum_case;

/* Index, among the kept dimensions, of element i of x. */
static int64_t output_of(const sum_case *s, int64_t i)
{
	int64_t at = 0, step = 1;

	for (int d = s->shape.ndim - 1; d >= 0; d--) {
		if (!s->reduce[d]) {
			at += i % s->shape.dim[d] * step;
			step *= s->shape.dim[d];
		}
		i /= s->shape.dim[d];
	}
	return at;
}

static const char *sum_text(const sum_case *s)
{
	static char text[256];
	char shape[160], mask[CLEF_MAX_DIMS + 1] = "";

	for (int i = 0; i < s->shape.ndim; i++)
		mask[i] = s->reduce[i] ? 'x' : '.';
	snprintf(text, sizeof(text), "%s %s alpha %g beta %g", clef_shape_text(s->shape, shape, sizeof(shape)), mask,
		 (double)s->alpha, (double)s->beta);
	return text;
}

/* Integers are exact; other values may be off by 1e-6 of the sum of absolute values, however many are summed. */
static void check_sum(const sum_case *s)
{
	int64_t n = clef_shape_numel(s->shape), kept = 1;
	float *x = malloc(sizeof(float) * (size_t)(n + 1)), *y, *got;
	double *want, *size, slack = s->integers ? 0 : 1e-6;
	clef_tensor *in = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, s->shape)), *out;
	clef__buffer *b;

	for (int d = 0; d < s->shape.ndim; d++)
		kept *= s->reduce[d] ? 1 : s->shape.dim[d];
	y = malloc(sizeof(float) * (size_t)(kept + 4));
	got = malloc(sizeof(float) * (size_t)(kept + 4));
	want = calloc((size_t)kept + 1, sizeof(double));
	size = calloc((size_t)kept + 1, sizeof(double));
	for (int64_t i = 0; i < n; i++) {
		x[i] = s->integers ? (float)draw(17) - 8 : (float)draw(1 << 20) / (1 << 17) - 3;
		want[output_of(s, i)] += (double)x[i];
		size[output_of(s, i)] += fabs((double)x[i]);
	}
	/* y lies at offset 2 among guards; at beta 0 it must not be read. */
	for (int64_t i = 0; i < kept + 4; i++) {
		bool inside = i >= 2 && i < kept + 2;

		y[i] = !inside ? -77 : s->beta != 0 ? (float)draw(17) - 8 : NAN;
		if (inside) {
			want[i - 2] = (double)s->alpha * want[i - 2] + (s->beta != 0 ? (double)(s->beta * y[i]) : 0);
			size[i - 2] = fabs((double)s->alpha) * size[i - 2] + (s->beta != 0 ? fabs((double)y[i]) : 0);
		}
	}
	/* A new one: Oclgrind follows a buffer only as far as the first upload to it went. */
	clef_device_trim(test_device);
	b = ck_new(clef__buffer_new(test_device, sizeof(float) * (size_t)(kept + 4)));
	out = ck_new(clef__tensor_view(test_device, CLEF_FLOAT32, CLEF_SHAPE(kept), b, 2));
	ck_ok(clef__buffer_write(b, 0, y, sizeof(float) * (size_t)(kept + 4)));
	ck_ok(clef_write(in, x, sizeof(float) * (size_t)n));
	ck_ok(clef__reduce_sum(in, s->reduce, s->alpha, s->beta, out));
	ck_ok(clef__buffer_read(b, 0, got, sizeof(float) * (size_t)(kept + 4)));
	ck_assert(got[0] == -77 && got[1] == -77 && got[kept + 2] == -77 && got[kept + 3] == -77);
	for (int64_t i = 0; i < kept; i++)
		if (!(fabs((double)got[i + 2] - want[i]) <= slack * size[i]))
			ck_abort_msg("%s: y[%d] is %.9g, should be %.9g, sum of absolute values %.9g", sum_text(s),
				     (int)i, (double)got[i + 2], want[i], size[i]);
	clef_tensor_free(in);
	clef_tensor_free(out);
	clef__buffer_release(b);
	free(x);
	free(y);
	free(got);
	free(want);
	free(size);
}

START_TEST(sums_over_random_dimensions)
{
	static const int64_t sizes[] = { 1, 1, 2, 3, 5, 7, 16, 17, 33, 0 };
	int cases = test_small() ? 20 : 300;

	for (int i = 0; i < cases; i++) {
		sum_case s = { .alpha = i % 3 == 2 ? -0.5f : 1, .beta = i % 2 ? 1.0f : 0, .integers = i % 4 != 3 };

		s.shape.ndim = (int)draw(6);
		for (int d = 0; d < s.shape.ndim; d++) {
			/* Seldom 0, and not all large. */
			s.shape.dim[d] = sizes[draw(s.shape.ndim > 3 ? 7 : i % 5 == 0 ? 10 : 9)];
			s.reduce[d] = draw(2);
		}
		check_sum(&s);
	}
}
END_TEST

START_TEST(sums_of_many_values)
{
	static const struct {
		clef_shape shape;
		int reduce; /* bits */
	} rows[] = {
		{ { 1, { 1000003 } }, 1 },     { { 1, { 2048 } }, 1 },        { { 1, { 2049 } }, 1 },
		{ { 2, { 3, 300007 } }, 2 },   { { 2, { 300007, 3 } }, 1 },   { { 3, { 5, 40009, 7 } }, 2 },
		{ { 3, { 3001, 5, 70 } }, 5 }, { { 3, { 70, 5, 3001 } }, 5 }, { { 2, { 2500, 400 } }, 3 },
		{ { 2, { 100, 5000 } }, 1 },   { { 2, { 5000, 100 } }, 2 },   { { 4, { 3000, 2, 3000, 1 } }, 5 },
	};

	if (test_small())
		test_skip("large");
	for (int i = 0; i < CLEF_COUNT(rows) * 4; i++) {
		sum_case s = { .shape = rows[i / 4].shape, .alpha = 1, .beta = (float)(i & 1), .integers = i & 2 };

		for (int d = 0; d < s.shape.ndim; d++)
			s.reduce[d] = rows[i / 4].reduce >> d & 1;
		check_sum(&s);
	}
}
END_TEST

/* Also where the other sizes are so large that their product is beyond any integer. */
START_TEST(sums_of_nothing)
{
	static const struct {
		clef_shape shape;
		int reduce, kept;
	} rows[] = {
		{ { 1, { 0 } }, 1, 1 },
		{ { 2, { 0, 5 } }, 1, 5 },
		{ { 3, { 3, 0, 4 } }, 2, 12 },
		{ { 4, { 2147483647, 2147483647, 3, 0 } }, 11, 3 },
		{ { 4, { 70000, 3, 70000, 0 } }, 13, 3 },
		{ { 2, { 0, 5 } }, 2, 0 },
	};

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, rows[i].shape)),
			    *y = floats(rows[i].kept);
		bool reduce[CLEF_MAX_DIMS] = { false };
		float got[16];

		for (int d = 0; d < 4; d++)
			reduce[d] = rows[i].reduce >> d & 1;
		for (int beta = 0; beta < 2; beta++) {
			ck_ok(clef_fill(y, beta ? 6 : (double)NAN));
			ck_ok(clef__reduce_sum(x, reduce, 3, (float)beta, y));
			ck_ok(clef_read(y, got, sizeof(float) * (size_t)rows[i].kept));
			for (int j = 0; j < rows[i].kept; j++)
				ck_assert(got[j] == (beta ? 6 : 0));
		}
		clef_tensor_free(x);
		clef_tensor_free(y);
	}
}
END_TEST

/* Partial sums come from the pool and go back to it, also when there is no memory for them. */
START_TEST(sums_keep_no_memory)
{
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(100000))), *y = floats(1);
	clef_device_info *info = (clef_device_info *)(uintptr_t)clef_device_get_info(test_device);
	bool all[CLEF_MAX_DIMS] = { true };
	uint64_t in_use = clef_device_get_stats(test_device).memory_in_use, most = info->max_allocation;

	ck_ok(clef_fill(x, 1));
	ck_ok(clef__reduce_sum(x, all, 1, 0, y));
	ck_assert_uint_eq(clef_device_get_stats(test_device).memory_in_use, in_use);
	clef_device_trim(test_device);
	info->max_allocation = 4;
	ck_fails(clef__reduce_sum(x, all, 1, 0, y), CLEF_ERROR_DEVICE_MEMORY, "no device memory");
	info->max_allocation = most;
	ck_assert_uint_eq(clef_device_get_stats(test_device).memory_in_use, in_use);
	ck_assert(clef_item(y) == 100000);
	clef_tensor_free(x);
	clef_tensor_free(y);
}
END_TEST

Suite *reduce_sum_suite(void)
{
	Suite *s = suite_create("reduce_sum");
	TCase *c = tcase_create("sums");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, sums_over_random_dimensions);
	tcase_add_test(c, sums_of_many_values);
	tcase_add_test(c, sums_of_nothing);
	tcase_add_test(c, sums_keep_no_memory);
	suite_add_tcase(s, c);
	return s;
}
