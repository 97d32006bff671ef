/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of matrix products share: the engines by name, and a product that is compared with what it should be.
 */
#ifndef CLEF_TESTS_GEMM_CASE_H
#define CLEF_TESTS_GEMM_CASE_H

#include "check_clef.h"
#include "runtime.h"

#define MAX_ENGINES 8

extern char gemm_engines[MAX_ENGINES][16];

/* Fills in gemm_engines, in the library's order, and returns how many there are. */
int gemm_list_engines(void);

/* Opens a device with engine i alone, or with all for i -1; NULL where there is no such engine, or the device is none
 * of those that it is made for: forced to run there it may be slow beyond measure. */
clef_device *gemm_open_with(int i);

typedef struct gemm_product {
	bool ta, tb, has_bias, integers;
	int m, n, k, pad; /* pad: added to every row and every offset, and left between matrices */
	float alpha, beta;
	int batch;            /* 0: 1, as in clef__gemm_opts */
	bool same_a, same_b;  /* every product of the batch has this operand */
	const char *epilogue; /* with gemm_finish() as its meaning */
	float p, q;
} gemm_product;

/* What the epilogues of products here mean: q where x < p. */
#define GEMM_EPILOGUE                                                                                                  \
	"#define PARAMETERS const float least = p_; const float instead = q_;\n"                                       \
	"#define VALUE x < least ? instead : x\n"                                                                      \
	"#define GRADIENT y < least ? 0.0f : dy\n"

/*
 * Computes it and compares: exact on integers, and within 1e-6 of sum |a||b| on other data. The operands lie at offsets
 * in larger buffers and in rows longer than their own; NaN around A, B and the bias shows what is read beyond them, and
 * a pattern around C what is written beyond it.
 */
void gemm_check_product(clef_device *dev, const gemm_product *p);

/* -8..7, or a real number between. */
float gemm_next_value(bool integer);

/* 0..n - 1 */
int gemm_pick(int n);

#endif
