/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of parameters: layout, names, initialization in order, and what they refuse. */
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

START_TEST(test_params)
{
	static const clef_init two = { .kind = CLEF_INIT_CONSTANT, .p = 2 };
	clef_params *p = ck_new(clef_params_new(test_device));
	clef_rng rng = { .seed = 3, .counter = 10 };
	clef_tensor *a, *b, *c;
	float *v;

	a = ck_new(clef_params_add(p, "a", CLEF_SHAPE(3, 5), NULL));
	b = ck_new(clef_params_add(p, "b", CLEF_SHAPE(33), &two));
	c = ck_new(clef_params_add(p, "c", CLEF_SCALAR, &(clef_init){ .kind = CLEF_INIT_NORMAL }));
	ck_assert(nn_shape_is(a, CLEF_SHAPE(3, 5)));
	ck_ok(clef_params_commit(p, &rng));
	ck_assert_uint_eq(rng.counter, 13);
	ck_assert_int_eq(clef_params_count(p), 3);
	ck_assert_int_eq(clef_params_numel(p), 15 + 33 + 1);
	ck_assert_ptr_eq(clef_params_get(p, 1), b);
	ck_assert_str_eq(clef_params_name(p, 2), "c");
	ck_assert_ptr_eq(clef_params_find(p, "c"), c);
	v = nn_values(a);
	for (int i = 0; i < 15; i++)
		ck_assert_float_eq(v[i], 0);
	free(v);
	v = nn_values(b);
	for (int i = 0; i < 33; i++)
		ck_assert_float_eq(v[i], 2);
	free(v);
	clef_params_free(p);
	clef_params_free(NULL);
}
END_TEST

/* Parameter i is draw i, also behind constants: what stands in one place does not depend on the other places. */
START_TEST(test_params_draws)
{
	static const clef_init normal = { .kind = CLEF_INIT_NORMAL };
	clef_rng rng = { .seed = 3, .counter = 7 };
	clef_params *p = ck_new(clef_params_new(test_device));
	float want[40];
	clef_tensor *w;
	float *v;

	ck_new(clef_params_add(p, "zeros", CLEF_SHAPE(8), NULL));
	w = ck_new(clef_params_add(p, "w", CLEF_SHAPE(40), &normal));
	ck_ok(clef_params_commit(p, &rng));
	clef_rng_normal(&(clef_rng){ .seed = 3, .counter = 8 }, want, 40);
	v = nn_values(w);
	ck_assert_mem_eq(v, want, sizeof(want));
	free(v);
	clef_params_free(p);
}
END_TEST

START_TEST(test_params_errors)
{
	static const clef_init xavier = { .kind = CLEF_INIT_XAVIER_UNIFORM };
	clef_params *p = ck_new(clef_params_new(test_device)), *q = ck_new(clef_params_new(test_device));
	clef_rng rng = { .seed = 1, .counter = 5 };

	ck_null_fails(clef_params_new(NULL), CLEF_ERROR_INVALID, "clef_params_new");
	ck_new(clef_params_add(p, "w", CLEF_SHAPE(2, 3), NULL));
	ck_null_fails(clef_params_add(p, "w", CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID,
		      "\"w\" already, of shape [2, 3]");
	ck_null_fails(clef_params_add(p, "", CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID, "empty");
	ck_null_fails(clef_params_add(p, NULL, CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID, "NULL");
	ck_null_fails(clef_params_add(p, "x", CLEF_SHAPE(4, -1), NULL), CLEF_ERROR_SHAPE, "\"x\": [4, -1]");
	ck_null_fails(clef_params_add(p, "x", CLEF_SHAPE(INT32_MAX), NULL), CLEF_ERROR_SHAPE, "2^31 - 1 values");
	ck_null_fails(clef_params_find(p, "nope"), CLEF_ERROR_INVALID, "no parameter \"nope\"; there are 1: w");
	ck_null_fails(clef_params_get(p, 1), CLEF_ERROR_INVALID, "no parameter 1");
	ck_null_fails(clef_params_get(p, -1), CLEF_ERROR_INVALID, "no parameter -1");
	ck_null_fails(clef_params_name(p, 1), CLEF_ERROR_INVALID, "the set has 1");
	ck_fails(clef_params_commit(p, NULL), CLEF_ERROR_INVALID, "NULL");
	ck_ok(clef_params_commit(p, &rng));
	ck_fails(clef_params_commit(p, &rng), CLEF_ERROR_STATE, "already");
	ck_null_fails(clef_params_add(p, "v", CLEF_SHAPE(4), NULL), CLEF_ERROR_STATE, "\"v\"");
	clef_params_free(p);

	/* xavier needs two dimensions */
	rng.counter = 5;
	ck_new(clef_params_add(q, "good", CLEF_SHAPE(4, 4), &xavier));
	ck_new(clef_params_add(q, "vector", CLEF_SHAPE(4), &xavier));
	ck_fails(clef_params_commit(q, &rng), CLEF_ERROR_SHAPE, "parameter \"vector\" [4]: ");
	ck_assert_uint_eq(rng.counter, 5);
	clef_params_free(q);
}
END_TEST

START_TEST(test_params_empty)
{
	clef_params *p = ck_new(clef_params_new(test_device));

	ck_new(clef_params_add(p, "none", CLEF_SHAPE(0, 4), NULL));
	ck_new(clef_params_add(p, "one", CLEF_SHAPE(1), NULL));
	ck_ok(clef_params_commit(p, &(clef_rng){ .seed = 1 }));
	ck_assert_int_eq(clef_params_numel(p), 1);
	clef_params_free(p);
	ck_assert_int_eq(clef_params_count(NULL), 0);
	ck_assert_int_eq(clef_params_numel(NULL), 0);
}
END_TEST

Suite *params_suite(void)
{
	Suite *s = suite_create("params");
	TCase *c = nn_add_case(s, "params");

	tcase_add_test(c, test_params);
	tcase_add_test(c, test_params_draws);
	tcase_add_test(c, test_params_errors);
	tcase_add_test(c, test_params_empty);
	return s;
}
