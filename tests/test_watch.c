/* SPDX-License-Identifier: Apache-2.0 */
/* clef_model_watch(): figures against those of the host, names, and that it leaves a pass as it is. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

#define ROWS 16

/* What the last pass gave. */
typedef struct seen {
	clef_watch rows[ROWS];
	char names[ROWS][32];
	int count, passes;
} seen;

static void keep(void *user, const clef_watch *rows, int count)
{
	seen *s = user;

	ck_assert_int_le(count, ROWS);
	memcpy(s->rows, rows, (size_t)count * sizeof(*rows));
	for (int i = 0; i < count; i++) {
		snprintf(s->names[i], sizeof(s->names[i]), "%s", rows[i].name);
		s->rows[i].name = s->names[i];
	}
	s->count = count;
	s->passes++;
}

/* ---- figures ---- */

static clef_tensor *negative(clef_module *m, clef_tensor *x)
{
	(void)m;
	return clef_neg(x);
}

typedef struct figures {
	double mean, std, min, max;
	int64_t zeros, nans, infs, finite;
} figures;

static figures host_figures(const float *x, int64_t n)
{
	figures f = { .min = INFINITY, .max = -INFINITY };
	double sum = 0, squares = 0;

	for (int64_t i = 0; i < n; i++) {
		const double v = -(double)x[i];

		f.nans += isnan(v);
		f.infs += isinf(v) != 0;
		f.zeros += v == 0;
		if (!isfinite(v))
			continue;
		f.finite++;
		sum += v;
		f.min = fmin(f.min, v);
		f.max = fmax(f.max, v);
	}
	f.mean = sum / (double)f.finite;
	for (int64_t i = 0; i < n; i++)
		if (isfinite(x[i]))
			squares += pow(-(double)x[i] - f.mean, 2);
	f.std = sqrt(squares / (double)(f.finite - 1));
	return f;
}

static void ck_near(const char *what, float got, double want, double scale)
{
	if (isnan(want))
		ck_assert_msg(isnan(got), "%s is %g, expected NaN", what, (double)got);
	else
		ck_assert_msg(fabs((double)got - want) <= 2e-6 * scale, "%s is %.9g, expected %.9g", what, (double)got,
			      want);
}

static void check_figures(const float *x, int64_t n)
{
	clef_model *model = ck_new(clef_model_new(test_device, negative, CLEF_SCALAR, NULL));
	const figures f = host_figures(x, n);
	const double size = f.finite ? fmax(fabs(f.min), fabs(f.max)) : 0;
	seen s = { .count = 0 };
	const clef_watch *row = &s.rows[0];

	ck_ok(clef_model_watch(model, keep, &s));
	ck_ok(clef_tape_begin(nn_tape));
	ck_new(clef_model_forward(
		model, clef_input(nn_tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(n), (void *)(uintptr_t)x })));
	ck_assert_int_eq(s.count, 1);
	ck_assert_str_eq(row->name, "neg");
	ck_assert_str_eq(row->op, "neg");
	ck_assert_int_eq(row->numel, n);
	ck_assert(clef_shape_equal(row->shape, CLEF_SHAPE(n)));
	ck_assert_int_eq(row->nans, f.nans);
	ck_assert_int_eq(row->infs, f.infs);
	ck_assert(row->zeros == (float)(n ? (double)f.zeros / (double)n : 0));
	ck_near("the mean", row->mean, f.finite ? f.mean : NAN, size);
	ck_near("the deviation", row->std, f.finite > 1 ? f.std : NAN, f.std);
	ck_near("the minimum", row->min, f.finite ? f.min : NAN, 0);
	ck_near("the maximum", row->max, f.finite ? f.max : NAN, 0);
	clef_model_free(model);
}

static float *random_values(int64_t n, float mean, float std)
{
	float *x = ck_new(malloc((size_t)n * sizeof(float) + 1));
	clef_rng rng = { 3, (uint64_t)n };

	clef_rng_normal(&rng, x, (size_t)n);
	for (int64_t i = 0; i < n; i++)
		x[i] = mean + std * x[i];
	return x;
}

START_TEST(figures_are_those_of_the_host)
{
	static const struct {
		int64_t n;
		float mean, std;
	} rows[] = { { 1, 2, 1 },       { 2, 0, 1 },         { 15, 0, 1 },       { 16, 3, 1 },
		     { 17, -3, 1 },     { 257, 0, 1e-30f },  { 1023, 0, 1e30f }, { 1025, 5, 1 },
		     { 3000, 1e3f, 1 }, { 5000, 0, 1e37f },  { 5000, 0, 1e-6f }, { 0, 0, 1 },
		     { 70000, 0, 1 },   { 70001, 10, 0.1f }, { 1048600, -1, 2 }, { 3000001, 1, 1 } };
	float *x;

	if (test_small() && rows[_i].n > 3000)
		test_skip("an interpreter");
	x = random_values(rows[_i].n, rows[_i].mean, rows[_i].std);
	check_figures(x, rows[_i].n);
	free(x);
}
END_TEST

/* Zeros, NaNs and infinite values, chunks of which are nothing else; values of all sizes in one tensor. */
START_TEST(special_values_are_counted)
{
	enum { N = 5003 };
	float *x = random_values(N, 0, 1);

	for (int i = 0; i < N; i += 7)
		x[i] = 0;
	x[1] = -0.0f;
	check_figures(x, N);
	x[3] = INFINITY;
	x[N - 1] = -INFINITY;
	check_figures(x, N);
	for (int i = 1024; i < 2048; i++)
		x[i] = i % 3 ? NAN : INFINITY;
	check_figures(x, N);
	for (int i = 2048; i < 3072; i++)
		x[i] *= 1e-20f;
	for (int i = 3072; i < 4096; i++)
		x[i] *= 1e20f;
	check_figures(x, N);
	x[4] = FLT_MAX;
	x[5] = -FLT_MAX;
	x[6] = FLT_MIN;
	check_figures(x, N);
	for (int i = 0; i < N; i++)
		x[i] = i % 2 ? NAN : -INFINITY;
	check_figures(x, N);
	for (int i = 0; i < N; i++)
		x[i] = 0;
	check_figures(x, N);
	x[4] = 7;
	for (int i = 0; i < N; i++)
		x[i] = i == 4 ? 7 : NAN;
	check_figures(x, N);
	free(x);
}
END_TEST

/* ---- names ---- */

static clef_tensor *net(clef_module *m, clef_tensor *x)
{
	x = clef_relu(clef_nn_linear(m, "fc1", clef_flatten(x), 6, NULL));
	clef_module_enter(m, "block");
	x = clef_nn_layer_norm(m, "norm", x, NULL);
	clef_module_leave(m);
	return clef_nn_linear(m, "fc2", x, 3, &(clef_linear_opts){ .activation = { CLEF_ACT_TANH } });
}

static void ck_rows(const seen *s, const char *const *names, int count)
{
	ck_assert_int_eq(s->count, count);
	for (int i = 0; i < count; i++)
		ck_assert_str_eq(s->names[i], names[i]);
}

START_TEST(layers_of_a_function_have_their_names)
{
	static const char *const names[] = { "flatten", "fc1", "relu", "block.norm", "fc2" };
	clef_model *model = ck_new(clef_model_new(test_device, net, CLEF_SHAPE(2, 4), NULL));
	clef_tensor *want, *y;
	seen s = { .count = 0 };

	ck_ok(clef_tape_begin(nn_tape));
	want = ck_new(clef_model_forward(model, nn_input(5, CLEF_SHAPE(2, 4))));
	ck_ok(clef_model_watch(model, keep, &s));
	y = ck_new(clef_model_forward(model, nn_input(5, CLEF_SHAPE(2, 4))));
	ck_rows(&s, names, CLEF_COUNT(names));
	nn_check_same(y, want);
	ck_assert(clef_shape_equal(s.rows[1].shape, CLEF_SHAPE(5, 6)));
	ck_assert(s.rows[2].min >= 0 && s.rows[2].zeros > 0 && s.rows[2].zeros < 1);
	ck_assert(s.rows[4].max <= 1 && s.rows[4].min >= -1);
	ck_ok(clef_backward(clef_sum(y, NULL)));
	/* A second pass in the same recording has rows of its own only. */
	ck_new(clef_model_forward(model, nn_input(3, CLEF_SHAPE(2, 4))));
	ck_rows(&s, names, CLEF_COUNT(names));
	ck_assert(clef_shape_equal(s.rows[4].shape, CLEF_SHAPE(3, 3)));
	ck_assert_int_eq(s.passes, 2);
	clef_model_free(model);
}
END_TEST

/* Each layer of a table is seen, though the table would run two of them as one. */
START_TEST(layers_of_a_table_are_all_seen)
{
	static const clef_layer layers[] = { { CLEF_FLATTEN }, { CLEF_LINEAR, .out = 9 }, { CLEF_RELU },
					     { CLEF_DROPOUT }, { CLEF_LINEAR, .out = 2 }, { CLEF_SIGMOID } };
	static const char *const names[] = { "0", "1", "2", "3", "4", "5" };
	clef_model *model =
		ck_new(clef_sequential_new(test_device, layers, CLEF_COUNT(layers), CLEF_SHAPE(2, 4), NULL));
	seen s = { .count = 0 };
	float *want, *got;

	ck_ok(clef_model_train(model, false));
	ck_ok(clef_tape_begin_no_grad(nn_tape));
	want = nn_values(ck_new(clef_model_forward(model, nn_input(7, CLEF_SHAPE(2, 4)))));
	ck_ok(clef_model_watch(model, keep, &s));
	got = nn_values(ck_new(clef_model_forward(model, nn_input(7, CLEF_SHAPE(2, 4)))));
	ck_rows(&s, names, CLEF_COUNT(names));
	ck_assert_str_eq(s.rows[2].op, "relu");
	ck_assert(s.rows[1].min < 0 && s.rows[2].min == 0 && s.rows[2].max == s.rows[1].max);
	for (int i = 0; i < 14; i++)
		ck_assert_float_eq_tol(got[i], want[i], 1e-6f);
	free(want);
	free(got);
	clef_model_free(model);
}
END_TEST

static clef_tensor *divides(clef_module *m, clef_tensor *x)
{
	x = clef_nn_linear(m, "good", x, 4, NULL);
	return clef_nn_linear(m, "behind", clef_log(clef_relu(x)), 4, NULL);
}

/* The log of 0 is minus infinity, and products of that with both signs add up to NaN. */
START_TEST(first_nan_is_found)
{
	clef_model *model = ck_new(clef_model_new(test_device, divides, CLEF_SHAPE(8), NULL));
	seen s = { .count = 0 };

	ck_ok(clef_model_watch(model, keep, &s));
	ck_ok(clef_tape_begin(nn_tape));
	ck_new(clef_model_forward(model, nn_input(9, CLEF_SHAPE(8))));
	ck_assert_int_eq(s.count, 4);
	ck_assert_int_eq(s.rows[1].nans + s.rows[1].infs, 0);
	ck_assert_int_eq(s.rows[2].infs, (int64_t)lroundf(s.rows[1].zeros * 36));
	ck_assert(s.rows[2].infs > 0 && s.rows[2].nans == 0);
	ck_assert_int_gt(s.rows[3].nans, 0);
	clef_model_free(model);
}
END_TEST

/* ---- around it ---- */

static void never(void *user, const clef_watch *rows, int count)
{
	(void)user;
	(void)rows;
	ck_abort_msg("called with %d rows", count);
}

static clef_tensor *inner_pass(clef_module *m, clef_tensor *x)
{
	return clef_model_forward(clef_module_user(m), x);
}

/* Off, it launches nothing; and a model that is watched may be part of a model that is being made. */
START_TEST(off_costs_nothing)
{
	clef_model *model = ck_new(clef_model_new(test_device, net, CLEF_SHAPE(2, 4), NULL)), *outer;
	uint64_t before, launches;

	ck_ok(clef_tape_begin(nn_tape));
	before = clef_device_get_stats(test_device).launches;
	ck_new(clef_model_forward(model, nn_input(5, CLEF_SHAPE(2, 4))));
	launches = clef_device_get_stats(test_device).launches - before;
	ck_ok(clef_model_watch(model, never, NULL));
	outer = ck_new(clef_model_new(test_device, inner_pass, CLEF_SHAPE(2, 4), &(clef_model_opts){ .user = model }));
	ck_ok(clef_model_watch(model, NULL, NULL));
	ck_ok(clef_tape_begin(nn_tape));
	before = clef_device_get_stats(test_device).launches;
	ck_new(clef_model_forward(model, nn_input(5, CLEF_SHAPE(2, 4))));
	ck_assert_uint_eq(clef_device_get_stats(test_device).launches - before, launches);
	ck_fails(clef_model_watch(NULL, never, NULL), CLEF_ERROR_INVALID, "clef_model_watch");
	clef_model_free(outer);
	clef_model_free(model);
}
END_TEST

Suite *watch_suite(void)
{
	Suite *s = suite_create("watch");
	TCase *c = nn_add_case(s, "watch");

	tcase_add_loop_test(c, figures_are_those_of_the_host, 0, 16);
	tcase_add_test(c, special_values_are_counted);
	tcase_add_test(c, layers_of_a_function_have_their_names);
	tcase_add_test(c, layers_of_a_table_are_all_seen);
	tcase_add_test(c, first_nan_is_found);
	tcase_add_test(c, off_costs_nothing);
	return s;
}
