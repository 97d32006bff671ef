/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and its logarithm along any dimension. */
#include <math.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

START_TEST(problems)
{
	check_family(&clef__family_softmax);
	check_family(&clef__family_log_softmax);
}
END_TEST

static void check(const clef_tensor *y, const float *want)
{
	float got[64];
	int64_t n = clef_tensor_numel(y);

	ck_assert(y && n <= CLEF_COUNT(got));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(float)));
	for (int64_t i = 0; i < n; i++)
		ck_assert_msg(isnan(want[i]) ? isnan(got[i]) : got[i] == want[i], "element %d is %g, expected %g",
			      (int)i, (double)got[i], (double)want[i]);
}

START_TEST(edges)
{
	float v[] = { -INFINITY, -INFINITY, INFINITY, 1, -INFINITY, 2, NAN, 1, 1, NAN, 1e38f, -1e38f };
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(6, 2), v };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x;

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &array));
	ck_ok(clef_requires_grad(x, true));
	check(clef_softmax(x, 1), (float[]){ NAN, NAN, NAN, NAN, 0, 1, NAN, NAN, NAN, NAN, 1, 0 });
	check(clef_log_softmax(x, 1), (float[]){ NAN, NAN, NAN, NAN, -INFINITY, 0, NAN, NAN, NAN, NAN, 0, -2e38f });
	ck_ok(clef_backward(clef_sum(clef_softmax(x, 1), NULL)));
	check(clef_grad(x), (float[]){ NAN, NAN, NAN, NAN, 0, 0, NAN, NAN, NAN, NAN, 0, 0 });
	ck_ok(clef_backward(clef_sum(clef_log_softmax(x, 1), NULL)));
	check(clef_grad(x), (float[]){ NAN, NAN, NAN, NAN, 1, -1, NAN, NAN, NAN, NAN, -1, 1 });
	ck_null_fails(clef_softmax(x, 2), CLEF_ERROR_INVALID, "softmax: dimension 2 of x [6, 2]: -2 to 1 are allowed");
	ck_null_fails(clef_log_softmax(x, -3), CLEF_ERROR_INVALID, "log_softmax: dimension -3 of x [6, 2]");
	array.dtype = CLEF_INT32;
	ck_null_fails(clef_softmax(clef_input(tape, &array), 0), CLEF_ERROR_DTYPE, "x is int32, expected float32");
	clef_tape_free(tape);
}
END_TEST

Suite *softmax_suite(void)
{
	Suite *s = suite_create("softmax");
	TCase *c = tcase_create("softmax");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, problems);
	tcase_add_test(c, edges);
	suite_add_tcase(s, c);
	return s;
}
