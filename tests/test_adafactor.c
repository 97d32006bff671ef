/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adafactor on parameters of all kinds side by side, against its formula in double precision: matrices that are cut
 * into tiles, with rests at both ends; many small ones, also of sizes that have kernels of their own; and what is no
 * matrix. The gradients are given, as in optim_case.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

#define LARGEST 41000
/* The last ones are left out where the device is slow. */
static const clef_shape shapes[] = {
	{ 3, { 37, 3, 3 } },     /* a rest of sixteen */
	{ 2, { 20, 30 } },       /* one tile */
	{ 1, { 45 } },           /* no matrix */
	{ 2, { 1, 1 } },         /* a single element */
	{ 3, { 40, 1, 1 } },     /* a kernel's own size */
	{ 4, { 3, 7, 5, 5 } },   /* small ones of any size */
	{ 2, { 9, 2 } },         /* fewer than sixteen */
	{ 3, { 18, 70, 4 } },    /* larger, narrow: a lane each */
	{ 3, { 3, 16, 17 } },    /* some of a tile each */
	{ 2, { 700, 3 } },       /* a narrow one in tiles */
	{ 3, { 17, 20, 1 } },    /* columns of one */
	{ 3, { 20, 1, 19 } },    /* rows of one */
	{ 3, { 16, 3, 3 } },     /* nothing behind it that may be read */
	{ 2, { 41, 1000 } },     /* tiles above each other */
	{ 2, { 5, 8200 } },      /* and side by side */
	{ 1, { 40001 } },        /* pieces of a line */
	{ 3, { 2, 130, 150 } },  /* both, of two matrices */
	{ 4, { 64, 32, 3, 3 } }, /* pieces of matrices */
};
enum { ALL = CLEF_COUNT(shapes), FEW = 13 };

static struct {
	int count;
	clef_tape *tape;
	clef_params *params;
	clef_tensor *w[ALL], *c[ALL], *loss;
	double *ref[ALL], *by_row[ALL], *by_col[ALL];
	float *g[ALL];
	int n[ALL], rows[ALL], columns[ALL];
	uint64_t seed;
} f;

/* Roughly N(0, 1). */
static float draw(void)
{
	double sum = -2;

	for (int i = 0; i < 4; i++) {
		f.seed = f.seed * 6364136223846793005u + 1442695040888963407u;
		sum += (double)(f.seed >> 40) / 16777216.0;
	}
	return (float)(1.7320508 * sum);
}

static void add_parameter(int i)
{
	char name[16];
	int ndim = shapes[i].ndim;

	snprintf(name, sizeof(name), "w%d", i);
	f.w[i] = ck_new(clef_params_add(f.params, name, shapes[i], NULL));
	f.n[i] = (int)clef_shape_numel(shapes[i]);
	f.rows[i] = ndim > 1 ? (int)shapes[i].dim[ndim - 2] : 1;
	f.columns[i] = ndim > 1 ? (int)shapes[i].dim[ndim - 1] : 1;
	ck_assert_int_le(f.n[i], LARGEST);
	f.ref[i] = ck_new(calloc((size_t)f.n[i], sizeof(double)));
	f.by_row[i] = ck_new(calloc((size_t)f.n[i], sizeof(double)));
	f.by_col[i] = ck_new(calloc((size_t)f.n[i], sizeof(double)));
	f.g[i] = ck_new(calloc((size_t)f.n[i], sizeof(float)));
}

static void setup(void)
{
	device_setup();
	memset(&f, 0, sizeof(f));
	f.count = test_small() ? FEW : ALL;
	f.seed = 3;
	f.tape = ck_new(clef_tape_new(test_device));
	f.params = ck_new(clef_params_new(test_device));
	for (int i = 0; i < f.count; i++)
		add_parameter(i);
	ck_ok(clef_params_commit(f.params, &(clef_rng){ .seed = 1 }));
	ck_ok(clef_tape_begin(f.tape));
	for (int i = 0; i < f.count; i++) {
		clef_tensor *term;

		for (int k = 0; k < f.n[i]; k++) {
			f.g[i][k] = (float)(0.2 + i) * draw();
			f.ref[i][k] = (double)f.g[i][k];
		}
		ck_ok(clef_write(f.w[i], f.g[i], (size_t)f.n[i] * sizeof(float)));
		f.c[i] = ck_new(clef_input(f.tape, &(clef_array){ CLEF_FLOAT32, shapes[i], f.g[i] }));
		term = ck_new(clef_sum(clef_mul(f.w[i], f.c[i]), NULL));
		f.loss = i ? ck_new(clef_add(f.loss, term)) : term;
	}
}

static void teardown(void)
{
	for (int i = 0; i < f.count; i++) {
		free(f.ref[i]);
		free(f.by_row[i]);
		free(f.by_col[i]);
		free(f.g[i]);
	}
	clef_params_free(f.params);
	clef_tape_free(f.tape);
	device_teardown();
}

static void new_gradients(void)
{
	for (int i = 0; i < f.count; i++) {
		for (int k = 0; k < f.n[i]; k++)
			f.g[i][k] = draw() * (k % 7 ? 1.0f : 0.01f);
		ck_ok(clef_write(f.c[i], f.g[i], (size_t)f.n[i] * sizeof(float)));
	}
	ck_ok(clef_backward(f.loss));
}

/* ---- the formula ---- */

static const clef_adafactor_opts options = { .lr = 0.02f, .weight_decay = 0.1f };

/* A matrix, from its first element on. `factor`: of the gradients. Directions go to u. */
static void direct_matrix(int i, int matrix, double share, double factor, double *u)
{
	int rows = f.rows[i], columns = f.columns[i], size = rows * columns;
	double *by_row = f.by_row[i] + matrix * rows, *by_col = f.by_col[i] + matrix * columns;
	double mean = 0, eps = pow(2, -23);
	const float *g = f.g[i] + matrix * size;

	for (int row = 0; row < rows; row++) {
		double sum = 0;

		for (int column = 0; column < columns; column++)
			sum += pow(factor * (double)g[row * columns + column], 2);
		by_row[row] += share * (sum / columns - by_row[row]);
		mean += by_row[row] / rows;
	}
	for (int column = 0; column < columns; column++) {
		double sum = 0;

		for (int row = 0; row < rows; row++)
			sum += pow(factor * (double)g[row * columns + column], 2);
		by_col[column] += share * (sum / rows - by_col[column]);
	}
	for (int k = 0; k < size; k++) {
		double v = by_row[k / columns] * by_col[k % columns] / fmax(mean, eps);

		u[matrix * size + k] = factor * (double)g[k] / sqrt(fmax(v, eps * eps));
	}
}

static void step_reference(int i, int t, double factor)
{
	static double u[LARGEST];
	double share = pow(t, (double)-0.8f), lr = (double)0.02f, squares = 0, direction = 0, far;
	int n = f.n[i];

	if (shapes[i].ndim > 1)
		for (int matrix = 0; matrix < n / (f.rows[i] * f.columns[i]); matrix++)
			direct_matrix(i, matrix, share, factor, u);
	else
		for (int k = 0; k < n; k++) {
			double g = factor * (double)f.g[i][k];

			f.by_row[i][k] += share * (g * g - f.by_row[i][k]);
			u[k] = g / fmax(sqrt(f.by_row[i][k]), pow(2, -23));
		}
	for (int k = 0; k < n; k++) {
		squares += f.ref[i][k] * f.ref[i][k];
		direction += u[k] * u[k];
	}
	far = fmax((double)1e-3f, sqrt(squares / n)) * fmin(lr, 1 / sqrt(t)) / fmax(1, sqrt(direction / n));
	for (int k = 0; k < n; k++)
		f.ref[i][k] = f.ref[i][k] * (1 - lr * (double)0.1f) - far * u[k];
}

static void compare(int step)
{
	for (int i = 0; i < f.count; i++) {
		static float got[LARGEST];
		double scale = 0, worst = 0;

		ck_ok(clef_read(f.w[i], got, (size_t)f.n[i] * sizeof(float)));
		for (int k = 0; k < f.n[i]; k++) {
			ck_assert(isfinite(got[k]));
			scale = fmax(scale, fabs(f.ref[i][k]));
			worst = fmax(worst, fabs((double)got[k] - f.ref[i][k]));
		}
		ck_assert_msg(worst <= 1e-5 * scale, "w%d after step %d: off by %g, of %g", i, step, worst, scale);
	}
}

/* ---- tests ---- */

static uint64_t step(clef_optim *optim)
{
	uint64_t before = clef_device_get_stats(test_device).launches;

	ck_ok(clef_optim_step(optim));
	return clef_device_get_stats(test_device).launches - before;
}

START_TEST(test_kinds)
{
	clef_optim *optim = ck_new(clef_adafactor_new(f.params, &options));

	for (int t = 1; t <= (test_small() ? 2 : 30); t++) {
		new_gradients();
		ck_assert_uint_eq(step(optim), 6);
		for (int i = 0; i < f.count; i++)
			step_reference(i, t, 1);
		compare(t);
	}
	clef_optim_free(optim);
}
END_TEST

/* Clipped by the norm, some frozen at both ends and in the middle: as many launches, and two for the norm. */
START_TEST(test_some)
{
	static const int frozen[][3] = { { 0, 1, 3 }, { 2, 4, 12 }, { 1, 1, 1 }, { 5, 8, 9 } };
	clef_optim *optim = ck_new(clef_adafactor_new(f.params, &options));
	int t[ALL] = { 0 };

	ck_ok(clef_optim_gradients(optim, &(clef_gradient_opts){ .scale = 2, .clip_norm = 3 }));
	for (int n = 0; n < (test_small() ? 2 : CLEF_COUNT(frozen)); n++) {
		const int *out = frozen[n];
		double sum = 0;
		char names[32];

		snprintf(names, sizeof(names), "w%d w%d w%d", out[0], out[1], out[2]);
		ck_ok(clef_optim_group(optim, "*", &(clef_group_opts){ .frozen = false }));
		ck_ok(clef_optim_group(optim, names, &(clef_group_opts){ .frozen = true }));
		new_gradients();
		ck_assert_uint_eq(step(optim), 8);
		for (int i = 0; i < f.count; i++)
			for (int k = 0; k < f.n[i] && i != out[0] && i != out[1] && i != out[2]; k++)
				sum += (double)f.g[i][k] * (double)f.g[i][k];
		for (int i = 0; i < f.count; i++)
			if (i != out[0] && i != out[1] && i != out[2])
				step_reference(i, ++t[i], 2 * fmin(1, 3 / (2 * sqrt(sum) + 1e-6)));
		compare(n);
	}
	clef_optim_free(optim);
}
END_TEST

/* A step with a NaN changes neither values nor statistics. */
START_TEST(test_skipped)
{
	clef_optim *optim = ck_new(clef_adafactor_new(f.params, &options));

	ck_ok(clef_optim_gradients(optim, &(clef_gradient_opts){ .nonfinite = CLEF_NONFINITE_SKIP }));
	for (int t = 1; t <= 3; t++) {
		new_gradients();
		if (t == 2) {
			f.g[1][17] = NAN;
			ck_ok(clef_write(f.c[1], f.g[1], (size_t)f.n[1] * sizeof(float)));
			ck_ok(clef_backward(f.loss));
		}
		ck_ok(clef_optim_step(optim));
		for (int i = 0; i < f.count && t != 2; i++)
			step_reference(i, t, 1);
		compare(t);
	}
	ck_fails(clef_optim_check(optim), CLEF_ERROR_STATE, "1 step had NaN or infinity");
	clef_optim_free(optim);
}
END_TEST

Suite *adafactor_suite(void)
{
	Suite *s = suite_create("adafactor");
	TCase *c = tcase_create("adafactor");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_kinds);
	tcase_add_test(c, test_some);
	tcase_add_test(c, test_skipped);
	suite_add_tcase(s, c);
	return s;
}
