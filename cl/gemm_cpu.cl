/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix product for CPUs. A CPU wants few large work-items and explicit vectors: here one work-item owns a block
 * of C and goes through K in blocks. For each it copies its part of B into __local memory, which on a CPU is the core's
 * second-level cache, as tiles of one or two vectors of 16 columns; then some panels of MR rows of A; and holds a tile
 * of MR rows by these vectors of C in registers while it runs through K.
 *
 * The tile is chosen by the vector registers. 26 sums, 2 of B and one broadcast of A fill the 32 of AVX-512; of the 16 of
 * AVX2, which are half as long, 12 hold sums, 2 B and one the broadcast. The host may define another MR, of no more than
 * A_STEP. What stays in the first-level cache is the larger of the two for each step of K: with AVX-512 a panel of A,
 * copied alone, while tiles of B pass by; with AVX2 a tile of B, while panels of A do, as one stream.
 */
#include "vector.clh"

#if FLOAT_VECTOR >= 16
#ifndef MR
#define MR 13
#endif
#define A_STEP     16 /* from one k to the next in a panel: a line of the cache */
#define A_VECTOR   float16_any
#define NR         (2 * VECTOR)
#define A_IS_ROWS  1 /* in a panel */

#define ONE_OR_TWO(one, two) one two
#else
#ifndef MR
#define MR 6
#endif
#define A_STEP     8
#define A_VECTOR   float8_any
#define NR         VECTOR
#define A_IS_ROWS  0

#define ONE_OR_TWO(one, two) one
#endif
#define EACH_ROW EACH_OF(MR)

#define A_ROW 528 /* from one row to the next in a panel: more than a block of K, and an odd number of cache lines */

/* A hint, to the first-level cache, where the compiler has it; those that interpret do not. */
#undef PREFETCH
#define PREFETCH(p)
#if FLOAT_VECTOR >= 8 && defined(__has_builtin)
#if __has_builtin(__builtin_prefetch)
#undef PREFETCH
#define PREFETCH(p) __builtin_prefetch((const void *)(size_t)(p))
#endif
#endif

/* ---- packing ---- */

#if FLOAT_VECTOR >= 8 && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLE
/* In each four of a and of b. */
#define LOW_PAIRS(a, b)   __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH_PAIRS(a, b)  __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW_HALVES(a, b)  __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH_HALVES(a, b) __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
/* Of fours. */
#define EVEN_FOURS(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD_FOURS(a, b)  __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
/* Four i of both. */
#define BOTH_FOURS(a, b, i)                                                                                            \
	__builtin_shufflevector(a, b, 4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3, 4 * i + 16, 4 * i + 17, 4 * i + 18,      \
	                        4 * i + 19)

/* Rows of x, the last of `count` repeated, and 16 numbers at l of four of them: x##i##0 has of each row those that are a
 * multiple of four behind l, x##i##1 the next ones, and so on. */
#define ROW(i)       (x + (size_t)min(i, count - 1) * ld)
#define FOUR_ROWS(i) ROW(i), ROW(i + 1), ROW(i + 2), ROW(i + 3)
#define READ(i)                                                                                                        \
	float16 x##i##0 = LOAD_GLOBAL(p[4 * i] + l), x##i##1 = LOAD_GLOBAL(p[4 * i + 1] + l);                          \
	float16 x##i##2 = LOAD_GLOBAL(p[4 * i + 2] + l), x##i##3 = LOAD_GLOBAL(p[4 * i + 3] + l);                      \
	const float16 y##i##0 = LOW_PAIRS(x##i##0, x##i##1), y##i##1 = HIGH_PAIRS(x##i##0, x##i##1);                   \
	const float16 y##i##2 = LOW_PAIRS(x##i##2, x##i##3), y##i##3 = HIGH_PAIRS(x##i##2, x##i##3);                   \
	x##i##0 = LOW_HALVES(y##i##0, y##i##2);                                                                        \
	x##i##1 = HIGH_HALVES(y##i##0, y##i##2);                                                                       \
	x##i##2 = LOW_HALVES(y##i##1, y##i##3);                                                                        \
	x##i##3 = HIGH_HALVES(y##i##1, y##i##3);
#endif
#endif

/* `count` columns of B, stored as rows of `depth`, to one vector of a tile. The last is repeated for those that are
 * missing: what is computed with them is not stored. */
static void pack_columns(__global const float *x, int ld, int count, int depth, __local float *packed)
{
	int l = 0;

#ifdef HAS_SHUFFLE
	__global const float *const p[16] = { FOUR_ROWS(0), FOUR_ROWS(4), FOUR_ROWS(8), FOUR_ROWS(12) };

	for (; l + VECTOR <= depth; l += VECTOR) {
		READ(0)
		READ(1)
		READ(2)
		READ(3)
#define WRITE(i)                                                                                                       \
	{                                                                                                              \
		const float16 y0 = EVEN_FOURS(x0##i, x1##i), y1 = EVEN_FOURS(x2##i, x3##i);                            \
		const float16 y2 = ODD_FOURS(x0##i, x1##i), y3 = ODD_FOURS(x2##i, x3##i);                              \
                                                                                                                       \
		STORE_LOCAL(packed + (l + i) * NR, EVEN_FOURS(y0, y1));                                                \
		STORE_LOCAL(packed + (l + i + 4) * NR, EVEN_FOURS(y2, y3));                                            \
		STORE_LOCAL(packed + (l + i + 8) * NR, ODD_FOURS(y0, y1));                                             \
		STORE_LOCAL(packed + (l + i + 12) * NR, ODD_FOURS(y2, y3));                                            \
	}
		WRITE(0)
		WRITE(1)
		WRITE(2)
		WRITE(3)
	}
#endif
	for (; l < depth; l++)
		for (int i = 0; i < VECTOR; i++)
			packed[l * NR + i] = x[(size_t)min(i, count - 1) * ld + l];
}

/* `depth` rows of `columns`, row by row for the sake of the hardware's prefetching. */
static void pack_rows(__global const float *x, int ld, int columns, int depth, __local float *packed)
{
	for (int l = 0; l < depth; l++, x += ld, packed += NR) {
		__local float *row = packed;
		int j = 0;

		for (; j + NR <= columns; j += NR, row += depth * NR) {
			ONE_OR_TWO(const float16 x0 = LOAD_GLOBAL(x + j);
			           , const float16 x1 = LOAD_GLOBAL(x + j + VECTOR);)

			ONE_OR_TWO(PREFETCH(x + (size_t)8 * ld + j);, PREFETCH(x + (size_t)8 * ld + j + VECTOR);)
			ONE_OR_TWO(STORE_LOCAL(row, x0);, STORE_LOCAL(row + VECTOR, x1);)
		}
		if (j < columns)
			for (int i = 0; i < NR; i++)
				row[i] = j + i < columns ? x[j + i] : 0.0f;
	}
}

static void pack_b(__global const float *b, int ldb, int trans_b, int depth, int columns, __local float *packed)
{
	if (!trans_b)
		pack_rows(b, ldb, columns, depth, packed);
	else
		for (int j = 0; j < columns || j % NR; j += VECTOR) {
			const int from = min(j, columns - 1);

			pack_columns(b + (size_t)from * ldb, ldb, min(VECTOR, columns - from), depth,
				     packed + (size_t)(j / NR) * depth * NR + j % NR);
		}
}

#if A_IS_ROWS
/* A panel of MR rows, the last of them repeated where there are fewer: rows of A stay rows, A_ROW apart. */
static void copy_rows(__global const float *x, int ld, int depth, int count, __local float *packed)
{
	for (int i = 0; i < MR; i++, packed += A_ROW) {
		__global const float *row = x + (size_t)min(i, count - 1) * ld;
		int l = 0;

		for (; l + VECTOR <= depth; l += VECTOR)
			STORE_LOCAL(packed + l, LOAD_GLOBAL(row + l));
		for (; l < depth; l++)
			packed[l] = row[l];
	}
}
#else
/* A panel of MR rows, the last of them repeated where there are fewer: A_STEP numbers for each k. */
static void copy_rows(__global const float *x, int ld, int depth, int count, __local float *packed)
{
	int l = 0;

#ifdef HAS_SHUFFLE
	__global const float *const p[8] = { FOUR_ROWS(0), FOUR_ROWS(4) };

	for (; l + VECTOR <= depth; l += VECTOR) {
#define PUT(i, j)                                                                                                      \
	*(__local float8_any *)(packed + (l + 4 * (i) + (j)) * A_STEP) = BOTH_FOURS(x0##j, x1##j, i);
#define PUT_EACH(j) PUT(0, j) PUT(1, j) PUT(2, j) PUT(3, j)
		READ(0)
		READ(1)
		PUT_EACH(0)
		PUT_EACH(1)
		PUT_EACH(2)
		PUT_EACH(3)
	}
#endif
	for (; l < depth; l++)
		for (int i = 0; i < MR; i++)
			packed[l * A_STEP + i] = x[(size_t)min(i, count - 1) * ld + l];
}
#endif

/* Of a stored transpose the panels of `count` rows, side by side: A_STEP numbers for each k, `panel` from one panel to
 * the next. Up to `known` there are more rows, which may be read. */
static void copy_columns(__global const float *x, int ld, int depth, int count, int known, int panel,
                         __local float *packed)
{
	for (int l = 0; l < depth; l++, x += ld, packed += A_STEP)
		for (int i = 0; i < count; i += MR) {
			__local float *to = packed + i / MR * panel;

			if (i + A_STEP <= known)
				*(__local A_VECTOR *)to = *(__global const A_VECTOR *)(x + i);
			else
				for (int r = 0; r < MR; r++)
					to[r] = x[min(i + r, count - 1)];
		}
}

/* Panels of the `count` rows of A from row i on, at l of K; A has m rows. */
static void copy_panels(__global const float *a, int lda, int trans_a, int m, int i, int count, int l, int depth,
                        int panel, __local float *packed)
{
	if (trans_a)
		copy_columns(a + (size_t)l * lda + i, lda, depth, count, m - i, panel, packed);
	else
		for (int r = 0; r < count; r += MR, packed += panel)
			copy_rows(a + (size_t)(i + r) * lda + l, lda, depth, min(MR, count - r), packed);
}

/* ---- the tile ---- */

#define LOAD_B   ONE_OR_TWO(const float16 b0 = LOAD_LOCAL(b);, const float16 b1 = LOAD_LOCAL(b + VECTOR);)
#define START(r) ONE_OR_TWO(float16 s##r = 0.0f;, float16 t##r = 0.0f;)
#define STEP(r)  ONE_OR_TWO(s##r = A(r) * b0 + s##r;, t##r = A(r) * b1 + t##r;)
#define KEEP(r)                                                                                                        \
	ONE_OR_TWO(*(float16_any *)(sums + r * NR) = s##r;, *(float16_any *)(sums + r * NR + VECTOR) = t##r;)

/* The sums of a tile, from a packed panel. */
static void multiply(__local const float *a, __local const float *b, int depth, float *sums)
{
	EACH_ROW(START)
	for (int l = 0; l < depth; l++, a += A_STEP, b += NR) {
		LOAD_B
#define A(r) a[r]
		EACH_ROW(STEP)
#undef A
	}
	EACH_ROW(KEEP)
}

#if A_IS_ROWS
static void multiply_rows(__local const float *a, __local const float *b, int depth, float *sums)
{
	EACH_ROW(START)
	for (int l = 0; l < depth; l++, a++, b += NR) {
		LOAD_B
#define A(r) a[r * A_ROW]
		EACH_ROW(STEP)
#undef A
	}
	EACH_ROW(KEEP)
}
#endif

#include "activation.clh"

#ifdef VALUE
static void finish(__global float *c, int ldc, int rows, int columns, float p, float q)
{
	for (int i = 0; i < rows; i++, c += ldc)
		for (int j = 0; j < columns; j++)
			c[j] = activate(c[j], p, q);
}
#define FLOOR_OF(p) -INFINITY
#else
#define finish(c, ldc, rows, columns, p, q)
#define FLOOR_OF(p) (p)
#endif

/* C = beta C + alpha sums + bias, not below `floor`, for the part of a tile that lies inside of C. */
static void store(__global float *c, int ldc, const float *sums, int rows, int columns, float alpha, float beta,
		  __global const float *bias, int has_bias, float floor)
{
	if (columns >= NR) {
		ONE_OR_TWO(const float16 bias0 = has_bias ? LOAD_GLOBAL(bias) : 0.0f;
		           , const float16 bias1 = has_bias ? LOAD_GLOBAL(bias + VECTOR) : 0.0f;)

		for (int r = 0; r < rows; r++, c += ldc, sums += NR) {
			ONE_OR_TWO(float16 x0 = alpha * *(const float16_any *)sums + bias0;
			           , float16 x1 = alpha * *(const float16_any *)(sums + VECTOR) + bias1;)

			if (beta != 0.0f) {
				ONE_OR_TWO(x0 += beta * LOAD_GLOBAL(c);, x1 += beta * LOAD_GLOBAL(c + VECTOR);)
			}
			ONE_OR_TWO(STORE_GLOBAL(c, RAISED(float16, x0, floor));
			           , STORE_GLOBAL(c + VECTOR, RAISED(float16, x1, floor));)
		}
		return;
	}
	for (int r = 0; r < rows; r++, c += ldc, sums += NR)
		for (int j = 0; j < columns; j++) {
			const float x = alpha * sums[j] + (has_bias ? bias[j] : 0.0f);
			const float y = beta == 0.0f ? x : beta * c[j] + x;

			c[j] = y <= floor ? floor : y;
		}
}

/* A share of the panels that will be copied next, of `count` rows from row i on, at l of K: that of the tile at (r, j) of
 * the block that is computed meanwhile. */
static void prefetch_panels(__global const float *a, int lda, int trans_a, int m, int k, int i, int l, int count, int r,
                            int j)
{
	if (!trans_a && l + j < k)
		for (int q = 0; q < MR; q++)
			PREFETCH(a + (size_t)min(i + r + q, m - 1) * lda + l + j);
	l += (j / NR * count + r) / MR;
	if (trans_a && l < k)
		for (int q = 0; q < count; q += VECTOR)
			PREFETCH(a + (size_t)l * lda + min(i + q, m - 1));
}

#if A_IS_ROWS
#define PREFETCH_PANELS(i, l, r, j)
#define MULTIPLY(a, b, depth, sums) (trans_a ? multiply(a, b, depth, sums) : multiply_rows(a, b, depth, sums))
#define PANEL                       (trans_a ? kc * A_STEP : MR * A_ROW)
#else
#define PREFETCH_PANELS(i, l, r, j) prefetch_panels(a, lda, trans_a, m, k, i, l, count, r, j)
#define MULTIPLY(a, b, depth, sums) multiply(a, b, depth, sums)
#define PANEL                       (kc * A_STEP)
#endif

/* A work-item computes the rows of `panels_each` panels and nc columns of a matrix. shape is m, n, k, kc, nc,
 * panels_each, panels_packed: so many panels are copied at a time. a_local holds them, b_local kc rows of nc values. */
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void gemm_cpu(__global const float *a, ulong a_offset, int lda, ulong a_step, int trans_a,
                       __global const float *b, ulong b_offset, int ldb, ulong b_step, int trans_b, __global float *c,
                       ulong c_offset, int ldc, ulong c_step, int8 shape, float alpha, float beta,
                       __global const float *bias, ulong bias_offset, int has_bias, float p_, float q_,
                       __local float *a_local, __local float *b_local)
{
	const int m = shape.s0, n = shape.s1, k = shape.s2, kc = shape.s3, nc = shape.s4, panel = PANEL;
	const size_t matrix = get_global_id(2);
	const int j0 = (int)get_global_id(0) * nc, columns = min(nc, n - j0);
	const int i0 = (int)get_global_id(1) * shape.s5 * MR, i1 = min(i0 + shape.s5 * MR, m);
	float sums[MR * NR];

	a += a_offset + matrix * a_step;
	b += b_offset + matrix * b_step + (trans_b ? (size_t)j0 * ldb : (size_t)j0);
	c += c_offset + matrix * c_step + j0;
	bias += bias_offset + j0;
	for (int l0 = 0; l0 < k; l0 += kc) {
		const int depth = min(kc, k - l0), first = l0 == 0, last = l0 + depth == k;

		pack_b(b + (trans_b ? (size_t)l0 : (size_t)l0 * ldb), ldb, trans_b, depth, columns, b_local);
		for (int at = i0; at < i1; at += shape.s6 * MR) {
			const int count = min(shape.s6 * MR, i1 - at), next = at + count;

			copy_panels(a, lda, trans_a, m, at, count, l0, depth, panel, a_local);
			for (int j = 0; j < columns; j += NR)
				for (int r = 0; r < count; r += MR) {
					__global float *tile = c + (size_t)(at + r) * ldc + j;
					const int rows = min(MR, count - r), width = min(NR, columns - j);

					for (int q = 0; q < rows; q++) {
						ONE_OR_TWO(PREFETCH(tile + (size_t)q * ldc);
						           , PREFETCH(tile + (size_t)q * ldc + VECTOR);)
					}
					PREFETCH_PANELS(next < i1 ? next : i0, next < i1 ? l0 : l0 + kc, r, j);
					MULTIPLY(a_local + r / MR * panel, b_local + j * depth, depth, sums);
					store(tile, ldc, sums, rows, width, alpha, first ? beta : 1.0f, bias + j,
					      has_bias && first, last ? FLOOR_OF(p_) : -INFINITY);
					if (last)
						finish(tile, ldc, rows, width, p_, q_);
				}
		}
	}
}
