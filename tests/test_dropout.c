/* SPDX-License-Identifier: Apache-2.0 */
/* Dropout, and draws by probabilities: the problems of their families, edges, shares, replays, and what is refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

START_TEST(dropout)
{
	check_family(&clef__family_dropout);
}
END_TEST

START_TEST(dropout2d)
{
	check_family(&clef__family_dropout2d);
}
END_TEST

START_TEST(bernoulli)
{
	check_family(&clef__family_bernoulli);
}
END_TEST

/* Probabilities that are none, and those at which a comparison that is off by one shows. */
START_TEST(bernoulli_edges)
{
	enum { N = 8 };
	float p[N] = { 0, 1, -1, 2, NAN, INFINITY, 0, 0 }, y[N], u[N];
	const float want[N] = { 0, 1, 0, 1, 0, 1, 0, 1 };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_rng rng = { 9, 0 };
	clef_tensor *x, *ints;

	clef_rng_uniform(&(clef_rng){ 9, 0 }, u, N);
	p[6] = u[6];
	p[7] = nextafterf(u[7], 1);
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(N), p }));
	ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(4)));
	ck_ok(clef_requires_grad(x, true));
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_read(clef_bernoulli(x, &rng), y, sizeof(y)));
	for (int i = 0; i < N; i++)
		ck_assert_msg(y[i] == want[i], "value %d is %g", i, (double)y[i]);
	ck_null_fails(clef_bernoulli(ints, &rng), CLEF_ERROR_DTYPE, "bernoulli: p is int32");
	ck_null_fails(clef_bernoulli(x, NULL), CLEF_ERROR_INVALID, "bernoulli: rng is NULL");
	ck_null_fails(clef_bernoulli(NULL, &rng), CLEF_ERROR_INVALID, "bernoulli: given NULL");
	ck_assert_uint_eq(rng.counter, 1);
	clef_tensor_free(x);
	clef_tensor_free(ints);
	clef_tape_free(tape);
}
END_TEST

/* The share that is dropped, at the smallest p that drops anything too: only a 0 is below 2^-24. */
START_TEST(probability)
{
	enum { N = 100000 };
	float *values, *y;
	clef_tape *tape;
	clef_tensor *x;
	clef_rng rng = { 7, 0 };
	int zeros = 0;

	if (test_small())
		test_skip("an interpreter");
	values = malloc(2 * N * sizeof(float));
	ck_assert_ptr_nonnull(values);
	y = values + N;
	tape = ck_new(clef_tape_new(test_device));
	for (int i = 0; i < N; i++)
		values[i] = 1;
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(N), values }));
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_read(clef_dropout(x, 0.3f, true, &rng), y, N * sizeof(float)));
	for (int i = 0; i < N; i++)
		zeros += y[i] == 0;
	/* Four standard deviations. */
	ck_assert_msg(abs(zeros - 30000) < 580, "%d of %d dropped at p 0.3", zeros, N);
	ck_ok(clef_read(clef_dropout(x, 1e-30f, true, &rng), y, N * sizeof(float)));
	rng.counter--;
	clef_rng_uniform(&rng, values, N);
	for (int i = 0; i < N; i++)
		ck_assert((y[i] == 0) == (values[i] == 0));
	clef_tensor_free(x);
	clef_tape_free(tape);
	free(values);
}
END_TEST

/* Draws differ from one another, and a copy of the stream replays them. */
START_TEST(replay)
{
	enum { N = 200 };
	float ones[N], a[N], b[N], c[N], grad[N];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x, *first;
	clef_rng rng = { 3, 5 }, copy = rng;

	for (int i = 0; i < N; i++)
		ones[i] = 1;
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(N), ones }));
	ck_ok(clef_requires_grad(x, true));
	ck_ok(clef_tape_begin(tape));
	first = ck_new(clef_dropout(x, 0.5f, true, &rng));
	ck_ok(clef_read(first, a, sizeof(a)));
	ck_ok(clef_read(clef_dropout(x, 0.5f, true, &rng), b, sizeof(b)));
	ck_ok(clef_read(clef_dropout(x, 0.5f, true, &copy), c, sizeof(c)));
	ck_assert(memcmp(a, b, sizeof(a)) != 0 && memcmp(a, c, sizeof(a)) == 0);
	/* The gradient is the mask of its own draw, whatever was drawn since. */
	ck_ok(clef_backward(clef_sum(first, NULL)));
	ck_ok(clef_read(clef_grad(x), grad, sizeof(grad)));
	ck_assert(memcmp(a, grad, sizeof(a)) == 0);
	clef_tensor_free(x);
	clef_tape_free(tape);
}
END_TEST

START_TEST(special_values)
{
	float values[64], y[64], u[64];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x;
	clef_rng rng = { 1, 0 }, copy = rng;

	for (int i = 0; i < 64; i++)
		values[i] = i % 2 ? NAN : -INFINITY;
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(64), values }));
	clef_rng_uniform(&copy, u, 64);
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_read(clef_dropout(x, 0.5f, true, &rng), y, sizeof(y)));
	for (int i = 0; i < 64; i++)
		ck_assert(i % 2 || u[i] < 0.5f ? isnan(y[i]) : y[i] == -INFINITY);
	clef_tensor_free(x);
	clef_tape_free(tape);
}
END_TEST

START_TEST(errors)
{
	const float ones[4] = { 1, 1, 1, 1 };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(
		clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(4), (void *)(uintptr_t)ones }));
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(4, 1)));
	clef_rng rng = { 1, 9 };

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_dropout(x, 1.5f, true, &rng), CLEF_ERROR_INVALID, "dropout: p is 1.5: 0 to 1 are allowed");
	ck_null_fails(clef_dropout(x, -0.5f, false, &rng), CLEF_ERROR_INVALID, "dropout: p is -0.5");
	ck_null_fails(clef_dropout(x, NAN, true, &rng), CLEF_ERROR_INVALID, "dropout: p is");
	ck_null_fails(clef_dropout(x, 0.5f, true, NULL), CLEF_ERROR_INVALID, "dropout: rng is NULL");
	ck_null_fails(clef_dropout(ints, 0.5f, true, &rng), CLEF_ERROR_DTYPE, "dropout: x is int32");
	ck_null_fails(clef_dropout2d(x, 0.5f, true, &rng), CLEF_ERROR_SHAPE,
		      "dropout2d: x has shape [4], expected [n, channels, ...]");
	ck_null_fails(clef_dropout(NULL, 0.5f, true, &rng), CLEF_ERROR_INVALID, "dropout: given NULL");
	ck_new(clef_dropout(x, 0.5f, false, NULL));
	ck_new(clef_dropout(x, 0, true, NULL));
	ck_assert(rng.counter == 9);
	clef_tensor_free(x);
	clef_tensor_free(ints);
	clef_tape_free(tape);
}
END_TEST

Suite *dropout_suite(void)
{
	Suite *s = suite_create("dropout");
	TCase *c = tcase_create("dropout");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, dropout);
	tcase_add_test(c, dropout2d);
	tcase_add_test(c, bernoulli);
	tcase_add_test(c, bernoulli_edges);
	tcase_add_test(c, probability);
	tcase_add_test(c, replay);
	tcase_add_test(c, special_values);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
