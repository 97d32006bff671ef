/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products, with every engine that there is: exact on small integers, and within 1e-6 of sum |a||b| on other
 * data, against a sum in double precision. The operands lie at offsets in larger buffers and in rows longer than their
 * own; NaN around A, B and the bias shows what is read beyond them, and a pattern around C what is written beyond it.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "runtime.h"

/* ---- engines ---- */

#define MAX_ENGINES 8

static char engines[MAX_ENGINES][16];

/* Their names, from the message that lists them. No OpenCL device is needed to open for that but the default one. */
static int list_engines(void)
{
	const char *names;
	int count = 0, used;

	setenv("CLEF_GEMM", "no-such-engine", 1);
	ck_null_fails(clef_device_open(NULL), CLEF_ERROR_INVALID, "CLEF_GEMM is \"no-such-engine\": there are ");
	unsetenv("CLEF_GEMM");
	names = strstr(clef_error(), "there are ") + strlen("there are ");
	while (count < MAX_ENGINES && sscanf(names, "%15[a-z0-9_]%n", engines[count], &used) == 1) {
		count++;
		names += used;
		names += strspn(names, ", ");
	}
	ck_assert_int_ge(count, 2);
	return count;
}

/* Opens a device with engine i alone, or with all for i -1; NULL where there is no such engine, or the device is none
 * of those that it is made for: forced to run there it may be slow beyond measure. */
static clef_device *open_with(int i)
{
	const clef_device_info *info;
	clef_device *dev;

	/* CLBlast takes minutes where things are small. */
	if (i >= list_engines() || (i >= 0 && test_small() && strcmp(engines[i], "clblast") == 0))
		return NULL;
	if (i >= 0)
		setenv("CLEF_GEMM", engines[i], 1);
	dev = ck_new(clef_device_open(NULL));
	info = clef_device_get_info(dev);
	if (i < 0 || strcmp(engines[i], "cpu") != 0 ||
	    (info->kind == CLEF_DEVICE_CPU && info->local_memory >= 128 * 1024))
		return dev;
	clef_device_close(dev);
	return NULL;
}

START_TEST(engines_are_listed)
{
	int count = list_engines(), plain = 0;

	for (int i = 0; i < count; i++)
		plain += strcmp(engines[i], "plain") == 0;
	ck_assert_int_eq(plain, 1);
	setenv("CLEF_GEMM", "", 1);
	clef_device_close(ck_new(clef_device_open(NULL)));
	setenv("CLEF_GEMM", "Plain", 1);
	ck_null_fails(clef_device_open(NULL), CLEF_ERROR_INVALID, "\"Plain\"");
}
END_TEST

/* ---- one product ---- */

typedef struct product {
	bool ta, tb, has_bias, integers;
	int m, n, k, pad; /* pad: added to every row and every offset */
	float alpha, beta;
} product;

static uint32_t seed;

/* -8..7, or a real number between. */
static float next_value(bool integer)
{
	seed = seed * 1664525u + 1013904223u;
	return integer ? (float)(seed >> 28) - 8 : (float)(seed >> 8) * (16.0f / 16777216.0f) - 8;
}

typedef struct matrix {
	int rows, columns, ld, offset;
	size_t total;
	float *x;
	clef__buffer *buffer;
} matrix;

/* Rows of random numbers, with `around` everywhere else. */
static matrix make_matrix(int rows, int columns, int pad, bool integers, float around)
{
	matrix a = { rows, columns, columns + pad > 0 ? columns + pad : 1, 3 * pad, 0, NULL, NULL };

	a.total = (size_t)a.offset + (size_t)rows * (size_t)a.ld + (size_t)pad;
	a.x = malloc(sizeof(float) * (a.total + 1));
	for (size_t i = 0; i < a.total; i++)
		a.x[i] = around;
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < columns; j++)
			a.x[a.offset + i * a.ld + j] = next_value(integers);
	return a;
}

static void upload(matrix *a, clef_device *dev)
{
	a->buffer = ck_new(clef__buffer_new(dev, sizeof(float) * a->total));
	ck_ok(clef__buffer_write(a->buffer, 0, a->x, sizeof(float) * a->total));
}

static void free_matrix(matrix *a)
{
	clef__buffer_release(a->buffer);
	free(a->x);
}

static float at(const matrix *a, bool trans, int i, int j)
{
	return trans ? a->x[a->offset + j * a->ld + i] : a->x[a->offset + i * a->ld + j];
}

/* C as it must be; `slack` is what each value may differ by. */
static void compute(const product *p, const matrix *a, const matrix *b, const matrix *bias, const matrix *c,
		    double *want, double *slack)
{
	for (int i = 0; i < p->m; i++)
		for (int j = 0; j < p->n; j++) {
			double sum = 0, size = 0,
			       before = p->beta != 0 ? (double)p->beta * (double)at(c, false, i, j) : 0;
			double add = p->has_bias ? (double)at(bias, false, 0, j) : 0;

			for (int l = 0; l < p->k; l++) {
				double term = (double)at(a, p->ta, i, l) * (double)at(b, p->tb, l, j);

				sum += term;
				size += fabs(term);
			}
			want[i * p->n + j] = (double)p->alpha * sum + before + add;
			size = fabs((double)p->alpha) * size + fabs(before) + fabs(add);
			slack[i * p->n + j] = p->integers ? 0 : 1e-6 * size;
		}
}

static const char *product_text(const product *p)
{
	static char text[160];

	snprintf(text, sizeof(text), "%d x %d x %d%s%s%s alpha %g beta %g pad %d %s", p->m, p->n, p->k,
		 p->ta ? " A'" : "", p->tb ? " B'" : "", p->has_bias ? " bias" : "", (double)p->alpha, (double)p->beta,
		 p->pad, p->integers ? "integers" : "reals");
	return text;
}

static void compare(const product *p, const matrix *c, const float *got, const double *want, const double *slack)
{
	for (size_t at = 0; at < c->total; at++) {
		size_t inside = at - (size_t)c->offset, i = inside / (size_t)c->ld, j = inside % (size_t)c->ld;

		if (at < (size_t)c->offset || i >= (size_t)p->m || j >= (size_t)p->n) {
			if (memcmp(&got[at], &c->x[at], sizeof(float)) != 0)
				ck_abort_msg("%s: written beyond C at %d: %g", product_text(p), (int)at,
					     (double)got[at]);
		} else if (!(fabs((double)got[at] - want[i * (size_t)p->n + j]) <= slack[i * (size_t)p->n + j])) {
			ck_abort_msg("%s: C[%d][%d] is %.9g, should be %.9g within %.2g", product_text(p), (int)i,
				     (int)j, (double)got[at], want[i * (size_t)p->n + j], slack[i * (size_t)p->n + j]);
		}
	}
	mark_point();
}

static void check_product(clef_device *dev, const product *p)
{
	matrix a = make_matrix(p->ta ? p->k : p->m, p->ta ? p->m : p->k, p->pad, p->integers, NAN);
	matrix b = make_matrix(p->tb ? p->n : p->k, p->tb ? p->k : p->n, p->pad + (p->pad > 0), p->integers, NAN);
	matrix bias = make_matrix(1, p->n, p->pad, p->integers, NAN);
	matrix c = make_matrix(p->m, p->n, p->pad, p->integers, 12345.678f);
	size_t numel = (size_t)p->m * (size_t)p->n;
	double *want = malloc(sizeof(double) * (numel + 1)), *slack = malloc(sizeof(double) * (numel + 1));
	float *got = malloc(sizeof(float) * (c.total + 1));
	clef__gemm_opts g = {
		p->ta, p->tb, p->m, p->n, p->k, p->alpha, p->beta, .lda = a.ld, .ldb = b.ld, .ldc = c.ld
	};

	/* At beta 0 C must not be read. */
	for (int i = 0; i < p->m && p->beta == 0; i++)
		for (int j = 0; j < p->n; j++)
			c.x[c.offset + i * c.ld + j] = NAN;
	compute(p, &a, &b, &bias, &c, want, slack);
	upload(&a, dev);
	upload(&b, dev);
	upload(&bias, dev);
	upload(&c, dev);
	g.a = a.buffer;
	g.b = b.buffer;
	g.c = c.buffer;
	g.bias = p->has_bias ? bias.buffer : NULL;
	g.a_offset = (size_t)a.offset;
	g.b_offset = (size_t)b.offset;
	g.c_offset = (size_t)c.offset;
	g.bias_offset = (size_t)bias.offset;
	ck_ok(clef__gemm(dev, &g));
	ck_ok(clef__buffer_read(c.buffer, 0, got, sizeof(float) * c.total));
	compare(p, &c, got, want, slack);
	free_matrix(&a);
	free_matrix(&b);
	free_matrix(&bias);
	free_matrix(&c);
	free(want);
	free(slack);
	free(got);
}

/* ---- all products ---- */

static const int sizes[] = { 0, 1, 3, 33, 257 }, small_sizes[] = { 0, 1, 5 };

/* Number i of the shapes that are tested. */
static bool shape_of(int i, product *p)
{
	const int *size = test_small() ? small_sizes : sizes;
	int n = test_small() ? CLEF_COUNT(small_sizes) : CLEF_COUNT(sizes);

	if (i >= n * n * n)
		return false;
	p->m = size[i % n];
	p->n = size[i / n % n];
	p->k = size[i / n / n];
	return true;
}

static int pick(int n)
{
	seed = seed * 1664525u + 1013904223u;
	return (int)((seed >> 16) % (uint32_t)n);
}

/* Each shape meets some values of alpha, beta and the padding, and each of these many shapes. */
static void check_all(clef_device *dev, bool integers)
{
	static const float alphas[] = { 1, 1, -2, 0.5f }, betas[] = { 0, 1, 0.5f };
	product p = { .integers = integers };

	for (int i = 0; shape_of(i, &p); i++)
		for (int way = integers ? 0 : i % 3; way < 8; way += integers ? 1 : 3) {
			p.ta = way & 1;
			p.tb = way & 2;
			p.has_bias = (way & 4) != 0;
			p.alpha = alphas[pick(4)];
			p.beta = betas[pick(3)];
			p.pad = pick(2) ? pick(5) : 0;
			check_product(dev, &p);
		}
}

START_TEST(integers_are_exact)
{
	clef_device *dev = open_with(_i);

	if (!dev)
		test_skip("no such engine here");
	check_all(dev, true);
	clef_device_close(dev);
}
END_TEST

START_TEST(reals_are_near)
{
	clef_device *dev = open_with(_i);

	if (!dev)
		test_skip("no such engine here");
	check_all(dev, false);
	clef_device_close(dev);
}
END_TEST

/* Shapes of networks, where engines cut C into blocks, and long sums. */
START_TEST(larger_products)
{
	static const int shapes[][3] = { { 64, 10, 256 }, { 100, 256, 784 }, { 10, 300, 64 },  { 1, 513, 1025 },
					 { 513, 1, 70 },  { 129, 65, 2049 }, { 300, 500, 31 }, { 16, 16, 5000 } };
	clef_device *dev;

	if (test_small())
		test_skip("large");
	dev = open_with(_i);
	if (!dev)
		test_skip("no such engine here");
	for (int i = 0; i < CLEF_COUNT(shapes) * 4; i++)
		check_product(dev, &(product){ .ta = i & 1,
					       .tb = i & 2,
					       .has_bias = i % 3 == 0,
					       .integers = true,
					       .m = shapes[i / 4][0],
					       .n = shapes[i / 4][1],
					       .k = shapes[i / 4][2],
					       .pad = i % 5 == 0 ? 3 : 0,
					       .alpha = 1,
					       .beta = (float)(i % 2) });
	clef_device_close(dev);
}
END_TEST

/* Two runs give the same bits. */
START_TEST(products_repeat)
{
	clef_device *dev = open_with(_i);
	matrix a, b, c;
	const int n = test_small() ? 10 : 100;
	float first[100 * 100], second[100 * 100];
	size_t bytes = sizeof(float) * (size_t)n * (size_t)n;

	if (!dev)
		test_skip("no such engine here");
	a = make_matrix(n, n, 0, false, 0);
	b = make_matrix(n, n, 0, false, 0);
	c = make_matrix(n, n, 0, false, 0);
	upload(&a, dev);
	upload(&b, dev);
	upload(&c, dev);
	for (int i = 0; i < 2; i++) {
		clef__gemm_opts g = { false,    true,     n,        n,        n,        1,       0,
				      a.buffer, b.buffer, c.buffer, .lda = n, .ldb = n, .ldc = n };

		ck_ok(clef__gemm(dev, &g));
		ck_ok(clef__buffer_read(c.buffer, 0, i ? second : first, bytes));
	}
	ck_assert(memcmp(first, second, bytes) == 0);
	free_matrix(&a);
	free_matrix(&b);
	free_matrix(&c);
	clef_device_close(dev);
}
END_TEST

/* ---- where work-groups are small ---- */

static int warnings;

static void count_warnings(void *user, clef_log_level level, const char *message)
{
	(void)user;
	warnings += level == CLEF_LOG_WARN;
	ck_assert_ptr_null(strchr(message, '\n'));
}

/* An engine computes right or is set aside with one warning; `plain` always computes, and so does the best that is
 * left. */
START_TEST(small_work_groups)
{
	product p = { .m = 33, .n = 70, .k = 65, .integers = true, .alpha = 1, .has_bias = true, .pad = 1 };
	clef_device *dev;
	clef__buffer *b;

	setenv("POCL_MAX_WORK_GROUP_SIZE", "64", 1);
	clef_log_set(count_warnings, NULL, CLEF_LOG_WARN);
	dev = open_with(_i - 1);
	if (!dev)
		test_skip("no such engine here");
	if (!strstr(clef_device_get_info(dev)->platform_name, "Portable")) {
		clef_device_close(dev);
		test_skip("not PoCL");
	}
	ck_assert_uint_eq(clef_device_get_info(dev)->max_work_group, 64);
	b = ck_new(clef__buffer_new(dev, 4));
	clef_error_clear();
	if (_i &&
	    clef__gemm(dev, &(clef__gemm_opts){
				    .m = 1, .n = 1, .k = 1, .a = b, .b = b, .c = b, .lda = 1, .ldb = 1, .ldc = 1 })) {
		ck_assert_str_ne(engines[_i - 1], "plain");
		ck_assert_int_eq(clef_error_status(), CLEF_ERROR_UNSUPPORTED);
		ck_assert_ptr_nonnull(strstr(clef_error(), engines[_i - 1]));
		ck_assert_int_eq(warnings, 1);
	} else {
		for (int way = 0; way < 4; way++) {
			p.ta = way & 1;
			p.tb = way & 2;
			check_product(dev, &p);
		}
		ck_assert_int_le(warnings, _i ? 0 : 2);
	}
	clef__buffer_release(b);
	clef_device_close(dev);
}
END_TEST

Suite *gemm_suite(void)
{
	Suite *s = suite_create("gemm");
	TCase *c = tcase_create("engines");

	tcase_add_test(c, engines_are_listed);
	/* As many as there may be; tests of those that there are not, pass. */
	tcase_add_loop_test(c, integers_are_exact, 0, 4);
	tcase_add_loop_test(c, reals_are_near, 0, 4);
	tcase_add_loop_test(c, larger_products, 0, 4);
	tcase_add_loop_test(c, products_repeat, 0, 4);
	tcase_add_loop_test(c, small_work_groups, 0, 5);
	suite_add_tcase(s, c);
	return s;
}
