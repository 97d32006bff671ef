/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products of few rows or columns with rows of A and of a stored transpose of B, for CPUs: y = x W^T for a
 * single x, or for few outputs. Each element of C is a dot product of two rows as they lie in memory, so that nothing
 * is copied. A tile of them is held in registers, as sums of as many lanes as a register has: 4 by 6 in 32 registers, 2 by
 * 5 in 16, which goes well with ten classes.
 */
#if FLOAT_VECTOR >= 16
#define VECTOR            16
#define FLOATS            float16
#define INTS              int16
#define ROWS              4
#define COLUMNS           6
#define EACH_ROW(X)       X(0) X(1) X(2) X(3)
#define EACH_COLUMN(X, i) X(i, 0) X(i, 1) X(i, 2) X(i, 3) X(i, 4) X(i, 5)
#define LANES             (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define HALF(v)           ((v).lo + (v).hi)
#else
#define VECTOR            8
#define FLOATS            float8
#define INTS              int8
#define ROWS              2
#define COLUMNS           5
#define EACH_ROW(X)       X(0) X(1)
#define EACH_COLUMN(X, i) X(i, 0) X(i, 1) X(i, 2) X(i, 3) X(i, 4)
#define LANES             (int8)(0, 1, 2, 3, 4, 5, 6, 7)
#define HALF(v)           (v)
#endif

typedef FLOATS __attribute__((aligned(4))) floats_any;

#define LOAD(p) (*(__global const floats_any *)(p))

static float4 halve(FLOATS v)
{
	const float8 h = HALF(v);

	return h.lo + h.hi;
}

static float4 sum_of_four(FLOATS v0, FLOATS v1, FLOATS v2, FLOATS v3)
{
	const float4 a = halve(v0), b = halve(v1), c = halve(v2), d = halve(v3);

	return ((float4)(a.s0, b.s0, c.s0, d.s0) + (float4)(a.s1, b.s1, c.s1, d.s1)) +
	       ((float4)(a.s2, b.s2, c.s2, d.s2) + (float4)(a.s3, b.s3, c.s3, d.s3));
}

/* Rows from `rows` on, and columns alike, repeat the last. k is 16 or more; the last vector overlaps the one before,
 * and what was counted there is masked. */
static void dot_tile(__global const float *a, int lda, int rows, __global const float *b, int ldb, int columns, int k,
		     float *sums)
{
#define A_ROW(i)       __global const float *a##i = a + (size_t)min(i, rows - 1) * lda;
#define B_ROW(i, j)    __global const float *b##j = b + (size_t)min(j, columns - 1) * ldb;
#define START(i, j)    FLOATS s##i##j = 0.0f;
#define START_ROW(i)   EACH_COLUMN(START, i)
#define READ_A(i)      const FLOATS x##i = LOAD(a##i + l);
#define READ_B(i, j)   const FLOATS y##j = LOAD(b##j + l);
#define STEP(i, j)     s##i##j = x##i * y##j + s##i##j;
#define STEP_ROW(i)    EACH_COLUMN(STEP, i)
	EACH_ROW(A_ROW)
	EACH_COLUMN(B_ROW, 0)
	int l = 0;

	EACH_ROW(START_ROW)
	for (; l + VECTOR <= k; l += VECTOR) {
		EACH_ROW(READ_A)
		EACH_COLUMN(READ_B, 0)
		EACH_ROW(STEP_ROW)
	}
	if (l < k) {
		const INTS keep = LANES >= (INTS)(VECTOR - (k - l));
		const FLOATS zero = 0.0f;

		l = k - VECTOR;
#define TAIL_A(i)    const FLOATS x##i = select(zero, LOAD(a##i + l), keep);
#define TAIL_B(i, j) const FLOATS y##j = select(zero, LOAD(b##j + l), keep);
		EACH_ROW(TAIL_A)
		EACH_COLUMN(TAIL_B, 0)
		EACH_ROW(STEP_ROW)
	}
#define KEEP(i) vstore4(sum_of_four(s##i##0, s##i##1, s##i##2, s##i##3), 0, sums + i * COLUMNS);
	EACH_ROW(KEEP)
#if COLUMNS == 6
	const float4 p = sum_of_four(s04, s05, s14, s15), q = sum_of_four(s24, s25, s34, s35);

	vstore2(p.lo, 0, sums + 4);
	vstore2(p.hi, 0, sums + COLUMNS + 4);
	vstore2(q.lo, 0, sums + 2 * COLUMNS + 4);
	vstore2(q.hi, 0, sums + 3 * COLUMNS + 4);
#else
	const float4 p = sum_of_four(s04, s14, s04, s14);

	sums[4] = p.s0;
	sums[COLUMNS + 4] = p.s1;
#endif
}

#include "activation.clh"

/* A work-item computes a block of mc rows by nc columns. shape is m, n, k, mc, nc. */
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void gemm_dot(__global const float *a, ulong a_offset, int lda, ulong a_step, __global const float *b,
                       ulong b_offset, int ldb, ulong b_step, __global float *c, ulong c_offset, int ldc, ulong c_step,
                       int8 shape, float alpha, float beta, __global const float *bias, ulong bias_offset,
                       int has_bias, float p_, float q_)
{
	const size_t matrix = get_global_id(2);
	const int k = shape.s2, j0 = (int)get_global_id(0) * shape.s4, i0 = (int)get_global_id(1) * shape.s3;
	const int i1 = min(i0 + shape.s3, shape.s0), j1 = min(j0 + shape.s4, shape.s1);
	const int down = (i1 - i0 + ROWS - 1) / ROWS, across = (j1 - j0 + COLUMNS - 1) / COLUMNS;
	float sums[ROWS * COLUMNS];

	a += a_offset + matrix * a_step;
	b += b_offset + matrix * b_step;
	c += c_offset + matrix * c_step;
	bias += bias_offset;
	for (int t = 0; t < down * across; t++) {
		/* The longer side is gone through once. */
		const int i = i0 + (down < across ? t % down : t / across) * ROWS;
		const int j = j0 + (down < across ? t / down : t % across) * COLUMNS;
		const int rows = min(ROWS, i1 - i), columns = min(COLUMNS, j1 - j);

		dot_tile(a + (size_t)i * lda, lda, rows, b + (size_t)j * ldb, ldb, columns, k, sums);
		for (int r = 0; r < rows; r++)
			for (int s = 0; s < columns; s++) {
				__global float *to = c + (size_t)(i + r) * ldc + j + s;
				const float x = alpha * sums[r * COLUMNS + s] + (has_bias ? bias[j + s] : 0.0f);

				*to = activate(beta == 0.0f ? x : beta * *to + x, p_, q_);
			}
	}
}
