/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>

#include "tape_case.h"

clef_tape *test_tape;

void tape_setup(void)
{
	/* CLBlast takes a minute to check there. */
	if (test_small())
		setenv("CLEF_GEMM", "plain", 0);
	device_setup();
	test_tape = ck_new(clef_tape_new(test_device));
	ck_ok(clef_tape_begin(test_tape));
}

void tape_teardown(void)
{
	clef_tape_free(test_tape);
	device_teardown();
}

clef_tensor *tape_floats(clef_shape shape, const float *v)
{
	clef_array array = { CLEF_FLOAT32, shape, (void *)(uintptr_t)v };
	clef_tensor *x = ck_new(clef_input(test_tape, &array));

	ck_ok(clef_requires_grad(x, true));
	return x;
}

clef_tensor *tape_ints(clef_shape shape, const int32_t *v)
{
	clef_array array = { CLEF_INT32, shape, (void *)(uintptr_t)v };

	return ck_new(clef_input(test_tape, &array));
}

void tape_check(const clef_tensor *y, const float *want, float tolerance)
{
	float got[16];
	int64_t n = clef_tensor_numel(y);

	ck_assert(y && n <= CLEF_COUNT(got));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(float)));
	for (int64_t i = 0; i < n; i++)
		ck_assert_msg(isnan(want[i])
				      ? isnan(got[i])
				      : got[i] == want[i] || fabsf(got[i] - want[i]) <= tolerance * fabsf(want[i]),
			      "element %d is %.9g, expected %.9g", (int)i, (double)got[i], (double)want[i]);
}

void tape_check_both(clef_tensor *y, const float *want, const clef_tensor *x, const float *gradient, float tolerance)
{
	tape_check(y, want, tolerance);
	ck_ok(clef_backward(clef_sum(y, NULL)));
	tape_check(clef_grad(x), gradient, tolerance);
}

static void fill_line(float start, float v[LINE])
{
	for (int i = 0; i < LINE; i++)
		v[i] = start + (float)i;
}

clef_tensor *line_leaf(float start)
{
	float v[LINE];
	clef_tensor *x;

	fill_line(start, v);
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(LINE), v }));
	ck_ok(clef_requires_grad(x, true));
	return x;
}

clef_tensor *line_input(float start)
{
	float v[LINE];

	fill_line(start, v);
	return ck_new(clef_input(test_tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(LINE), v }));
}

clef_tensor *line_total(clef_tensor *x)
{
	return clef_sum(x, NULL);
}

void line_check(const clef_tensor *x, float a, float b, int line)
{
	float v[LINE];

	ck_ok(clef_read(x, v, sizeof(v)));
	for (int i = 0; i < LINE; i++)
		ck_assert_msg(v[i] == a + b * (float)i, "line %d: value %d is %g, should be %g", line, i, (double)v[i],
			      (double)(a + b * (float)i));
}
