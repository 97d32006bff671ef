/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gemm_case.h"

/* ---- engines ---- */

char gemm_engines[MAX_ENGINES][16];

/* From the message that lists them. No OpenCL device is needed to open for that but the default one. */
int gemm_list_engines(void)
{
	const char *names;
	int count = 0, used;

	test_setenv("CLEF_GEMM", "no-such-engine");
	ck_null_fails(clef_device_open(NULL), CLEF_ERROR_INVALID, "CLEF_GEMM is \"no-such-engine\": there are ");
	test_setenv("CLEF_GEMM", NULL);
	names = strstr(clef_error(), "there are ") + strlen("there are ");
	while (count < MAX_ENGINES && sscanf(names, "%15[a-z0-9_]%n", gemm_engines[count], &used) == 1) {
		count++;
		names += used;
		names += strspn(names, ", ");
	}
	ck_assert_int_ge(count, 2);
	return count;
}

clef_device *gemm_open_with(int i)
{
	const clef_device_info *info;
	clef_device *dev;

	/* CLBlast takes minutes where things are small. */
	if (i >= gemm_list_engines() || (i >= 0 && test_small() && strcmp(gemm_engines[i], "clblast") == 0))
		return NULL;
	if (i >= 0 && strcmp(gemm_engines[i], "cpu") == 0) {
		test_setenv("CLEF_GEMM", "plain");
		dev = ck_new(clef_device_open(NULL));
		info = clef_device_get_info(dev);
		if (info->kind != CLEF_DEVICE_CPU || info->local_memory < 128 * 1024)
			i = MAX_ENGINES;
		clef_device_close(dev);
	}
	if (i == MAX_ENGINES)
		return NULL;
	if (i >= 0)
		test_setenv("CLEF_GEMM", gemm_engines[i]);
	else
		test_setenv("CLEF_GEMM", NULL);
	return ck_new(clef_device_open(NULL));
}

/* ---- random numbers ---- */

static uint32_t seed;

float gemm_next_value(bool integer)
{
	seed = seed * 1664525u + 1013904223u;
	return integer ? (float)(seed >> 28) - 8 : (float)(seed >> 8) * (16.0f / 16777216.0f) - 8;
}

int gemm_pick(int n)
{
	seed = seed * 1664525u + 1013904223u;
	return (int)((seed >> 16) % (uint32_t)n);
}

/* ---- matrices ---- */

typedef struct matrix {
	int rows, columns, ld, offset, count;
	size_t step, total;
	float *x;
	clef__buffer *buffer;
} matrix;

/* Where an element lies: matrix i, row r, column c. */
static size_t place(const matrix *a, int i, int r, int c)
{
	return (size_t)a->offset + (size_t)i * a->step + (size_t)r * (size_t)a->ld + (size_t)c;
}

/* Rows of random numbers, with `around` everywhere else. */
static matrix make_matrix(int count, int rows, int columns, int pad, bool integers, float around)
{
	matrix a = { rows, columns, columns + pad > 0 ? columns + pad : 1, 3 * pad, count, 0, 0, NULL, NULL };

	a.step = (size_t)rows * (size_t)a.ld + (size_t)(2 * pad);
	a.total = (size_t)a.offset + (size_t)count * a.step + (size_t)pad;
	a.x = malloc(sizeof(float) * (a.total + 1));
	for (size_t i = 0; i < a.total; i++)
		a.x[i] = around;
	for (int l = 0; l < count; l++)
		for (int i = 0; i < rows; i++)
			for (int j = 0; j < columns; j++)
				a.x[place(&a, l, i, j)] = gemm_next_value(integers);
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

/* Element (i, j) of op(matrix l); of the only one where all share it. */
static double at(const matrix *a, int l, bool trans, int i, int j)
{
	return (double)a->x[place(a, a->count == 1 ? 0 : l, trans ? j : i, trans ? i : j)];
}

/* ---- one product ---- */

/* Element (i, j) of C number l as it must be; `slack` is what it may differ by. */
static double compute(const gemm_product *p, const matrix *m, int l, int i, int j, double *slack)
{
	const matrix *a = &m[0], *b = &m[1], *bias = &m[2], *c = &m[3];
	double sum = 0, size = 0, before = p->beta != 0 ? (double)p->beta * at(c, l, false, i, j) : 0;
	double add = p->has_bias ? at(bias, 0, false, 0, j) : 0, want;

	for (int k = 0; k < p->k; k++) {
		double term = at(a, l, p->ta, i, k) * at(b, l, p->tb, k, j);

		sum += term;
		size += fabs(term);
	}
	want = (double)p->alpha * sum + before + add;
	size = fabs((double)p->alpha) * size + fabs(before) + fabs(add);
	*slack = p->integers ? 0 : 1e-6 * size;
	return p->epilogue && want < (double)p->p ? (double)p->q : want;
}

static const char *product_text(const gemm_product *p)
{
	static char text[240];

	snprintf(text, sizeof(text), "%d x %d x %d%s%s%s%s alpha %g beta %g pad %d %s batch %d%s%s", p->m, p->n, p->k,
		 p->ta ? " A'" : "", p->tb ? " B'" : "", p->has_bias ? " bias" : "", p->epilogue ? " epilogue" : "",
		 (double)p->alpha, (double)p->beta, p->pad, p->integers ? "integers" : "reals", p->batch,
		 p->same_a ? " of one A" : "", p->same_b ? " of one B" : "");
	return text;
}

static void compare(const gemm_product *p, const matrix *m, const float *got)
{
	const matrix *c = &m[3];

	for (size_t e = 0; e < c->total; e++) {
		size_t inside = e - (size_t)c->offset, l = c->step ? inside / c->step : 0;
		size_t i = (inside - l * c->step) / (size_t)c->ld, j = (inside - l * c->step) % (size_t)c->ld;
		double want, slack;

		if (e < (size_t)c->offset || l >= (size_t)c->count || i >= (size_t)p->m || j >= (size_t)p->n) {
			if (memcmp(&got[e], &c->x[e], sizeof(float)) != 0)
				ck_abort_msg("%s: written beyond C at %d: %g", product_text(p), (int)e, (double)got[e]);
			continue;
		}
		want = compute(p, m, (int)l, (int)i, (int)j, &slack);
		if (!(fabs((double)got[e] - want) <= slack))
			ck_abort_msg("%s: C %d [%d][%d] is %.9g, should be %.9g within %.2g", product_text(p), (int)l,
				     (int)i, (int)j, (double)got[e], want, slack);
	}
	mark_point();
}

static clef__gemm_opts opts_of(const gemm_product *p, const matrix *m)
{
	return (clef__gemm_opts){
		.trans_a = p->ta,
		.trans_b = p->tb,
		.m = p->m,
		.n = p->n,
		.k = p->k,
		.alpha = p->alpha,
		.beta = p->beta,
		.a = m[0].buffer,
		.b = m[1].buffer,
		.bias = p->has_bias ? m[2].buffer : NULL,
		.c = m[3].buffer,
		.a_offset = (size_t)m[0].offset,
		.b_offset = (size_t)m[1].offset,
		.bias_offset = (size_t)m[2].offset,
		.c_offset = (size_t)m[3].offset,
		.lda = m[0].ld,
		.ldb = m[1].ld,
		.ldc = m[3].ld,
		.batch = p->batch,
		.a_step = p->same_a ? 0 : m[0].step,
		.b_step = p->same_b ? 0 : m[1].step,
		.c_step = m[3].step,
		.epilogue = p->epilogue,
		.p = p->p,
		.q = p->q,
	};
}

/* The same bits with B in the engine's own order, of which nothing may be read but what belongs to it. */
static void check_packed(clef_device *dev, const gemm_product *p, const matrix *m, const float *expected, float *got)
{
	enum { OFFSET = 5 };
	clef__gemm_opts g = opts_of(p, m);
	size_t size = p->epilogue ? 0 : clef__gemm_packed_size(dev, &g);
	clef__buffer *packed;

	if (!size)
		return;
	packed = ck_new(clef__buffer_new(dev, sizeof(float) * (size + OFFSET)));
	ck_ok(clef__gemm_pack(dev, &g, packed, OFFSET));
	ck_ok(clef__buffer_write(m[3].buffer, 0, m[3].x, sizeof(float) * m[3].total));
	g.b = packed;
	g.b_offset = OFFSET;
	g.packed = true;
	ck_ok(clef__gemm(dev, &g));
	ck_ok(clef__buffer_read(m[3].buffer, 0, got, sizeof(float) * m[3].total));
	ck_assert_msg(memcmp(got, expected, sizeof(float) * m[3].total) == 0, "%s: other bits when packed",
		      product_text(p));
	clef__buffer_release(packed);
}

void gemm_check_product(clef_device *dev, const gemm_product *p)
{
	int batch = p->batch ? p->batch : 1, count_a = p->same_a ? 1 : batch, count_b = p->same_b ? 1 : batch;
	matrix m[4] = {
		make_matrix(count_a, p->ta ? p->k : p->m, p->ta ? p->m : p->k, p->pad, p->integers, NAN),
		make_matrix(count_b, p->tb ? p->n : p->k, p->tb ? p->k : p->n, p->pad + (p->pad > 0), p->integers, NAN),
		make_matrix(1, 1, p->n, p->pad, p->integers, NAN),
		make_matrix(batch, p->m, p->n, p->pad, p->integers, 12345.678f),
	};
	float *got = malloc(sizeof(float) * (m[3].total + 1)), *packed = malloc(sizeof(float) * (m[3].total + 1));

	/* At beta 0 C must not be read. */
	for (int l = 0; l < batch && p->beta == 0; l++)
		for (int i = 0; i < p->m; i++)
			for (int j = 0; j < p->n; j++)
				m[3].x[place(&m[3], l, i, j)] = NAN;
	for (int i = 0; i < CLEF_COUNT(m); i++)
		upload(&m[i], dev);
	ck_ok(clef__gemm(dev, (clef__gemm_opts[]){ opts_of(p, m) }));
	ck_ok(clef__buffer_read(m[3].buffer, 0, got, sizeof(float) * m[3].total));
	compare(p, m, got);
	check_packed(dev, p, m, got, packed);
	for (int i = 0; i < CLEF_COUNT(m); i++)
		free_matrix(&m[i]);
	free(got);
	free(packed);
}
