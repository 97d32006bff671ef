/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix product for CPUs. A CPU wants few large work-items and explicit vectors: here one work-item owns a block
 * of C and goes through K in blocks. For each it copies its part of B into __local memory, which on a CPU is the core's
 * second-level cache, as tiles of one or two vectors of 16 columns; then panels of MR rows of A; and holds a tile of MR
 * rows by these vectors of C in registers while it runs through K.
 *
 * The tile is chosen by the vector registers. 26 sums, 2 of B and one broadcast of A fill the 32 of AVX-512; of the 16 of
 * AVX2, which are half as long, 12 hold sums, 2 B and one the broadcast. The host may define another MR, of no more than
 * A_STEP.
 *
 * With PACKED, B has been put into tiles of all of K before, by cl/gemm_cpu_pack.cl, and is read where it is.
 */
#include "gemm_cpu_pack.clh"

#if FLOAT_VECTOR >= 16
#ifndef MR
#define MR 13
#endif
#define A_STEP     16 /* from one k to the next in a panel: a line of the cache */
#define A_VECTOR   float16_any
#define PREFETCH_A 0

#define ONE_OR_TWO(one, two) one two
#else
#ifndef MR
#define MR 6
#endif
#define A_STEP     8
#define A_VECTOR   float8_any
#define PREFETCH_A 1 /* the next panel, during the sums of this one */

#define ONE_OR_TWO(one, two) one
#endif
#define EACH_ROW EACH_OF(MR)

#define A_ROW 528 /* from one row to the next in a panel: more than a block of K, and an odd number of cache lines */

/* ---- packing ---- */

#ifndef PACKED
/* `depth` rows of `columns`, row by row for the sake of the hardware's prefetching. */
static void pack_rows(__global const float *x, int ld, int columns, int depth, __local float *packed)
{
	for (int l = 0; l < depth; l++, x += ld, packed += NR) {
		__local float *row = packed;
		int j = 0;

		for (; j + NR <= columns; j += NR, row += depth * NR) {
			ONE_OR_TWO(const float16 x0 = LOAD_GLOBAL(x + j);
			           , const float16 x1 = LOAD_GLOBAL(x + j + VECTOR);)

			ONE_OR_TWO(PREFETCH_NEAR(x + (size_t)8 * ld + j);, PREFETCH_NEAR(x + (size_t)8 * ld + j + VECTOR);)
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

#endif

/* A panel of MR rows, the last of them repeated where there are fewer: rows of A stay rows, A_ROW apart. */
static void copy_rows(__global const float *a, int lda, int depth, int rows, __local float *packed)
{
	for (int i = 0; i < MR; i++, packed += A_ROW) {
		__global const float *row = a + (size_t)min(i, rows - 1) * lda;
		int l = 0;

		for (; l + VECTOR <= depth; l += VECTOR)
			STORE_LOCAL(packed + l, LOAD_GLOBAL(row + l));
		for (; l < depth; l++)
			packed[l] = row[l];
	}
}

/* Panels of a stored transpose, one behind the other, A_STEP numbers for each k. Several at a time, because they share
 * lines of the cache, and rows of A may lie at distances of which it keeps few. `left` may be read. */
static void copy_columns(__global const float *a, int lda, int depth, int rows, int left, __local float *packed)
{
	for (int l = 0; l < depth; l++, a += lda, packed += A_STEP) {
		__local float *to = packed;

		for (int i = 0; i < rows; i += MR, to += depth * A_STEP)
			if (i + A_STEP <= left)
				*(__local A_VECTOR *)to = *(__global const A_VECTOR *)(a + i);
			else
				for (int j = 0; j < MR; j++)
					to[j] = a[min(i + j, rows - 1)];
	}
}

/* ---- the tile ---- */

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

/* The part of a tile that lies inside of C, and what becomes of its sums: C = beta C + alpha sums + bias, not below
 * `floor`. */
typedef struct target {
	__global float *c;
	int ldc, rows, columns;
	float alpha, beta, floor;
	__global const float *bias;
	int has_bias;
} target;

static void put(const target *t, __global float *c, float16 sum, float16 bias)
{
	const float16 x = fma(t->alpha, sum, bias);

	STORE_GLOBAL(c, RAISED(float16, x, t->floor));
}

static void put_any(const target *t, const float *sums)
{
	__global float *c = t->c;

	for (int r = 0; r < t->rows; r++, c += t->ldc, sums += NR) {
		int j = 0;

		for (; j + VECTOR <= t->columns; j += VECTOR) {
			const float16 bias = t->has_bias ? LOAD_GLOBAL(t->bias + j) : 0.0f;
			float16 x = fma(t->alpha, *(const float16_any *)(sums + j), bias);

			if (t->beta != 0.0f)
				x = fma(t->beta, LOAD_GLOBAL(c + j), x);
			STORE_GLOBAL(c + j, RAISED(float16, x, t->floor));
		}
		for (; j < t->columns; j++) {
			const float x = fma(t->alpha, sums[j], t->has_bias ? t->bias[j] : 0.0f);
			const float y = t->beta == 0.0f ? x : fma(t->beta, c[j], x);

			c[j] = y <= t->floor ? t->floor : y;
		}
	}
}

#define LOAD_B    ONE_OR_TWO(const float16 b0 = LOAD_TILE(b);, const float16 b1 = LOAD_TILE(b + VECTOR);)
#define START(r)  ONE_OR_TWO(float16 s##r = 0.0f;, float16 t##r = 0.0f;)
#define STEP(r)   ONE_OR_TWO(s##r = A(r) * b0 + s##r;, t##r = A(r) * b1 + t##r;)
#define PUT(r)    ONE_OR_TWO(put(t, t->c + r * t->ldc, s##r, bias0);, put(t, t->c + r * t->ldc + VECTOR, t##r, bias1);)
#define KEEP(r)                                                                                                        \
	ONE_OR_TWO(*(float16_any *)(sums + r * NR) = s##r;, *(float16_any *)(sums + r * NR + VECTOR) = t##r;)

/* Most tiles go from registers to C; the others to `sums`, and then by put_any(). */
#define PUT_OR_KEEP                                                                                                    \
	if (t->rows == MR && t->columns == NR && t->beta == 0.0f) {                                                    \
		ONE_OR_TWO(const float16 bias0 = t->has_bias ? LOAD_GLOBAL(t->bias) : 0.0f;                            \
		           , const float16 bias1 = t->has_bias ? LOAD_GLOBAL(t->bias + VECTOR) : 0.0f;)                \
                                                                                                                       \
		EACH_ROW(PUT)                                                                                          \
		return 1;                                                                                              \
	}                                                                                                              \
	EACH_ROW(KEEP)                                                                                                 \
	return 0;

/* The sums of a tile, from a packed panel. Whether they are in C. */
static int multiply(__local const float *a, TILE const float *b, int depth, const target *t, float *sums)
{
	EACH_ROW(START)
	for (int l = 0; l < depth; l++, a += A_STEP, b += NR) {
		LOAD_B
#define A(r) a[r]
		EACH_ROW(STEP)
#undef A
	}
	PUT_OR_KEEP
}

static int multiply_rows(__local const float *a, TILE const float *b, int depth, const target *t, float *sums)
{
	EACH_ROW(START)
	for (int l = 0; l < depth; l++, a++, b += NR) {
		LOAD_B
#define A(r) a[r * A_ROW]
		EACH_ROW(STEP)
#undef A
	}
	PUT_OR_KEEP
}

/* A tile that has just been stored passes the gate. */
static void pass_gate(__global float *c, __global const float *gate, int ldc, int rows, int columns)
{
	for (int i = 0; i < rows; i++, c += ldc, gate += ldc) {
		int j = 0;

		for (; j + VECTOR <= columns; j += VECTOR)
			STORE_GLOBAL(c + j, GATED(float16, LOAD_GLOBAL(c + j), LOAD_GLOBAL(gate + j)));
		for (; j < columns; j++)
			c[j] = gate[j] <= 0.0f ? 0.0f : c[j];
	}
}

/* Lines of C, or of the gate, that a tile will need. */
static void fetch(__global const float *c, int ldc, int rows)
{
	for (int r = 0; r < rows; r++, c += ldc) {
		ONE_OR_TWO(PREFETCH_NEAR(c);, PREFETCH_NEAR(c + VECTOR);)
	}
}

/* A work-item computes the rows of `panels_each` panels and nc columns of a matrix. shape is m, n, k, kc, nc,
 * panels_each, floats of a_local. a_local holds a panel, of a transpose as many as it has room for; b_local kc rows of
 * nc values, or nothing with PACKED. */
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void gemm_cpu(__global const float *a, ulong a_offset, int lda, ulong a_step, int trans_a,
                       __global const float *b, ulong b_offset, int ldb, ulong b_step, int trans_b, __global float *c,
                       ulong c_offset, int ldc, ulong c_step, int8 shape, float alpha, float beta,
                       __global const float *bias, ulong bias_offset, int has_bias, float p_, float q_,
                       __global const float *gate, ulong gate_offset, int has_gate, __local float *a_local,
                       __local float *b_local)
{
	const int m = shape.s0, n = shape.s1, k = shape.s2, kc = shape.s3, nc = shape.s4;
	const size_t matrix = get_global_id(2);
	const int j0 = (int)get_global_id(0) * nc, columns = min(nc, n - j0);
	const int i0 = (int)get_global_id(1) * shape.s5 * MR, i1 = min(i0 + shape.s5 * MR, m);
	float sums[MR * NR];

	a += a_offset + matrix * a_step;
#ifdef PACKED
	b += b_offset + (size_t)j0 * k;
#else
	b += b_offset + matrix * b_step + (trans_b ? (size_t)j0 * ldb : (size_t)j0);
#endif
	c += c_offset + matrix * c_step + j0;
	bias += bias_offset + j0;
	gate += gate_offset + matrix * c_step + j0;
	for (int l0 = 0; l0 < k; l0 += kc) {
		const int depth = min(kc, k - l0), first = l0 == 0, last = l0 + depth == k;
		/* How many columns ahead of a tile's sums, which may be short. */
		const int early = depth < 64 ? 4 * NR : 0;
		const int group = max(shape.s6 / (depth * A_STEP), 1);

#ifdef PACKED
		TILE const float *tiles = b + (size_t)l0 * NR;
		const int run = k;
#else
		TILE const float *tiles = b_local;
		const int run = depth;

		pack_b(b + (trans_b ? (size_t)l0 : (size_t)l0 * ldb), ldb, trans_b, depth, columns, b_local);
#endif
		for (int i = i0; i < i1; i += MR) {
			const int rows = min(MR, m - i), panel = trans_a ? (i - i0) / MR % group : 0;
			__local const float *own = a_local + panel * depth * A_STEP;

			if (trans_a && panel == 0)
				copy_columns(a + (size_t)l0 * lda + i, lda, depth, min(group * MR, i1 - i), m - i, a_local);
			if (!trans_a)
				copy_rows(a + (size_t)i * lda + l0, lda, depth, rows, a_local);
			for (int j = 0; j < columns; j += NR) {
				__global float *tile = c + (size_t)i * ldc + j;
				const int width = min(NR, columns - j);
				const target t = { tile,
						   ldc,
						   rows,
						   width,
						   alpha,
						   first ? beta : 1.0f,
						   last ? FLOOR_OF(p_) : -INFINITY,
						   bias + j,
						   has_bias && first };

				fetch(tile + early, ldc, rows);
				if (last && has_gate)
					fetch(gate + (size_t)i * ldc + j + early, ldc, rows);
				if (PREFETCH_A && !trans_a && i + MR < i1 && j < depth)
					for (int r = 0; r < MR; r++)
						PREFETCH_NEAR(a + (size_t)min(i + MR + r, m - 1) * lda + l0 + j);
				if (!(trans_a ? multiply(own, tiles + (size_t)j * run, depth, &t, sums)
				              : multiply_rows(own, tiles + (size_t)j * run, depth, &t, sums)))
					put_any(&t, sums);
				if (last)
					finish(tile, ldc, rows, width, p_, q_);
				if (last && has_gate)
					pass_gate(tile, gate + (size_t)i * ldc + j, ldc, rows, width);
			}
		}
	}
}
