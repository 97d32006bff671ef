/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix product for CPUs. A CPU wants few large work-items and explicit vectors: here one work-item owns a block
 * of C of many rows by up to a few hundred columns, and goes through K in blocks. For each it copies its part of B into
 * __local memory, which on a CPU is the core's second-level cache, and runs a tile of MR rows by two vectors of 16
 * columns over it, held in registers.
 *
 * A is packed beforehand into [block of K][panel of MR rows][k][MR], times alpha, padded with zeros. MR is chosen by
 * the number of vector registers: 26 sums, 2 of B and one broadcast of A fill the 32 of AVX-512.
 */

#if FLOAT_VECTOR >= 16
#define MR 13
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define MR 3
#define EACH_ROW(X) X(0) X(1) X(2)
#endif

#define VECTOR 16
#define NR     (2 * VECTOR)

/* Vectors at any address: vload16 and vstore16 become four accesses with some compilers. */
typedef float16 __attribute__((aligned(4))) float16_any;

#define LOAD_GLOBAL(p)     (*(__global const float16_any *)(p))
#define LOAD_LOCAL(p)      (*(__local const float16_any *)(p))
#define STORE_GLOBAL(p, x) (*(__global float16_any *)(p) = (x))
#define STORE_LOCAL(p, x)  (*(__local float16_any *)(p) = (x))

/* ---- packing A ---- */

/* A work-item packs one panel of one block, of which a matrix has `each`. Element (i, l) of op(A) is
 * a[i * row + l * col]. */
__kernel void gemm_cpu_pack(__global const float *a, ulong a_offset, int row, int col, ulong a_step,
                            __global float *packed, ulong packed_offset, int m, int k, int kc, float alpha, int panels,
                            int each, int n)
{
	GLOBAL_ID(id, n);
	const size_t matrix = id / each;
	const int p = id % each % panels, l0 = id % each / panels * kc, i0 = p * MR;
	const int depth = min(kc, k - l0), rows = min(MR, m - i0);

	a += a_offset + matrix * a_step + (size_t)i0 * row + (size_t)l0 * col;
	packed += packed_offset + matrix * panels * MR * k + (size_t)l0 * panels * MR + (size_t)p * depth * MR;
	for (int l = 0; l < depth; l++, a += col, packed += MR)
		for (int r = 0; r < MR; r++)
			packed[r] = r < rows ? alpha * a[(size_t)r * row] : 0.0f;
}

/* ---- packing B: depth rows of nc columns, the last ones zero ---- */

static void pack_rows(__global const float *b, int ldb, int depth, int columns, int nc, __local float *packed)
{
	for (int l = 0; l < depth; l++, b += ldb, packed += nc) {
		int j = 0;

		for (; j + VECTOR <= columns; j += VECTOR)
			STORE_LOCAL(packed + j, LOAD_GLOBAL(b + j));
		for (; j < columns; j++)
			packed[j] = b[j];
		for (; j < nc; j++)
			packed[j] = 0.0f;
	}
}

/* Interleaving rows i and i + 8 four times over transposes 16 rows of 16. */
#define WEAVE(a, b, x, y)                                                                                              \
	x = (float16)((a).s0, (b).s0, (a).s1, (b).s1, (a).s2, (b).s2, (a).s3, (b).s3, (a).s4, (b).s4, (a).s5, (b).s5,  \
	              (a).s6, (b).s6, (a).s7, (b).s7);                                                                 \
	y = (float16)((a).s8, (b).s8, (a).s9, (b).s9, (a).sa, (b).sa, (a).sb, (b).sb, (a).sc, (b).sc, (a).sd, (b).sd,  \
	              (a).se, (b).se, (a).sf, (b).sf);
#define WEAVE_ALL(a, b)                                                                                                \
	WEAVE(a##0, a##8, b##0, b##1)                                                                                  \
	WEAVE(a##1, a##9, b##2, b##3)                                                                                  \
	WEAVE(a##2, a##10, b##4, b##5)                                                                                 \
	WEAVE(a##3, a##11, b##6, b##7)                                                                                 \
	WEAVE(a##4, a##12, b##8, b##9)                                                                                 \
	WEAVE(a##5, a##13, b##10, b##11)                                                                               \
	WEAVE(a##6, a##14, b##12, b##13)                                                                               \
	WEAVE(a##7, a##15, b##14, b##15)
#define EACH_OF_16(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static void transpose_16(__global const float *b, int ldb, int nc, __local float *packed)
{
#define READ(i) float16 x##i = LOAD_GLOBAL(b + (size_t)i * ldb), y##i;
	EACH_OF_16(READ)
	WEAVE_ALL(x, y)
	WEAVE_ALL(y, x)
	WEAVE_ALL(x, y)
	WEAVE_ALL(y, x)
#define WRITE(i) STORE_LOCAL(packed + i * nc, x##i);
	EACH_OF_16(WRITE)
#undef READ
#undef WRITE
}

/* The same for a stored transpose: column j of B is b[j * ldb ...]. */
static void pack_columns(__global const float *b, int ldb, int depth, int columns, int nc, __local float *packed)
{
	for (int j = 0; j < nc; j += VECTOR) {
		const int width = min(VECTOR, columns - j);
		int l = 0;

		if (width == VECTOR)
			for (; l + VECTOR <= depth; l += VECTOR)
				transpose_16(b + (size_t)j * ldb + l, ldb, nc, packed + l * nc + j);
		for (; l < depth; l++)
			for (int i = 0; i < VECTOR; i++)
				packed[l * nc + j + i] = i < width ? b[(size_t)(j + i) * ldb + l] : 0.0f;
	}
}

/* ---- the tile ---- */

static void store(__global float *c, float16 sum, float beta)
{
	STORE_GLOBAL(c, beta == 0.0f ? sum : beta * LOAD_GLOBAL(c) + sum);
}

/* The part of a tile that lies inside of C, where it is not as wide as the tile. One loop for all rows: unrolled into
 * each it takes as long to compile as all the rest. */
static void store_edge(__global float *c, int ldc, const float *sums, int width, int rows, int columns, float beta)
{
	for (int r = 0; r < rows; r++, c += ldc, sums += width)
		for (int j = 0; j < columns; j++)
			c[j] = beta == 0.0f ? sums[j] : beta * c[j] + sums[j];
}

static float16 load_part(__global const float *x, int columns)
{
	float s[VECTOR];

	if (columns >= VECTOR)
		return LOAD_GLOBAL(x);
	for (int j = 0; j < VECTOR; j++)
		s[j] = j < columns ? x[j] : 0.0f;
	return *(float16_any *)s;
}

/* C = beta C + A B for MR rows and NR columns, of which `rows` and `columns` are stored; plus the bias if there is. */
static void tile_2(__global const float *a, __local const float *b, int depth, int nc, __global float *c, int ldc,
                   int rows, int columns, float beta, __global const float *bias, int has_bias)
{
	float16 bias0 = 0.0f, bias1 = 0.0f;

	if (has_bias) {
		bias0 = load_part(bias, columns);
		bias1 = load_part(bias + VECTOR, columns - VECTOR);
	}
#define START(r) float16 s##r = bias0, t##r = bias1;
	EACH_ROW(START)
	for (int l = 0; l < depth; l++, a += MR, b += nc) {
		const float16 b0 = LOAD_LOCAL(b), b1 = LOAD_LOCAL(b + VECTOR);
#define STEP(r)                                                                                                        \
	s##r = a[r] * b0 + s##r;                                                                                       \
	t##r = a[r] * b1 + t##r;
		EACH_ROW(STEP)
#undef STEP
	}
#define STORE(r)                                                                                                       \
	if (r < rows) {                                                                                                \
		store(c + (size_t)r * ldc, s##r, beta);                                                                \
		store(c + (size_t)r * ldc + VECTOR, t##r, beta);                                                       \
	}
#define KEEP(r)                                                                                                        \
	*(float16_any *)(sums + r * NR) = s##r;                                                                        \
	*(float16_any *)(sums + r * NR + VECTOR) = t##r;
	if (columns >= NR) {
		EACH_ROW(STORE)
	} else {
		float sums[MR * NR];

		EACH_ROW(KEEP)
		store_edge(c, ldc, sums, NR, rows, columns, beta);
	}
#undef START
#undef STORE
#undef KEEP
}

/* The same for up to one vector of columns. */
static void tile_1(__global const float *a, __local const float *b, int depth, int nc, __global float *c, int ldc,
                   int rows, int columns, float beta, __global const float *bias, int has_bias)
{
	float16 bias0 = 0.0f;

	if (has_bias)
		bias0 = load_part(bias, columns);
#define START(r) float16 s##r = bias0;
	EACH_ROW(START)
	for (int l = 0; l < depth; l++, a += MR, b += nc) {
		const float16 b0 = LOAD_LOCAL(b);
#define STEP(r) s##r = a[r] * b0 + s##r;
		EACH_ROW(STEP)
#undef STEP
	}
#define STORE(r)                                                                                                       \
	if (r < rows)                                                                                                  \
		store(c + (size_t)r * ldc, s##r, beta);
#define KEEP(r) *(float16_any *)(sums + r * VECTOR) = s##r;
	if (columns >= VECTOR) {
		EACH_ROW(STORE)
	} else {
		float sums[MR * VECTOR];

		EACH_ROW(KEEP)
		store_edge(c, ldc, sums, VECTOR, rows, columns, beta);
	}
#undef START
#undef STORE
#undef KEEP
}

/* A second pass over the tiles of a panel, while they are in the cache: it keeps the tile itself as it is. */
#ifdef VALUE
#include "activation.clh"

static void finish(__global float *c, int ldc, int rows, int columns, float p, float q)
{
	for (int i = 0; i < rows; i++, c += ldc)
		for (int j = 0; j < columns; j++)
			c[j] = activate(c[j], p, q);
}
#else
#define finish(c, ldc, rows, columns, p, q)
#endif

/* A work-item computes the rows of `panels_each` panels and nc columns of a matrix. b_local holds kc * nc values. */
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void gemm_cpu(__global const float *packed, ulong packed_offset, ulong packed_step, __global const float *b,
                       ulong b_offset, int ldb, ulong b_step, int trans_b, __global float *c, ulong c_offset, int ldc,
                       ulong c_step, int m, int n, int k, int kc, int nc, int panels_each, float beta,
                       __global const float *bias, ulong bias_offset, int has_bias, float p_, float q_,
                       __local float *b_local)
{
	const size_t matrix = get_global_id(2);
	const int j0 = (int)get_global_id(0) * nc, columns = min(nc, n - j0);
	const int panels = (m + MR - 1) / MR, p0 = (int)get_global_id(1) * panels_each;
	const int p1 = min(p0 + panels_each, panels);

	packed += packed_offset + matrix * packed_step;
	b += b_offset + matrix * b_step;
	c += c_offset + matrix * c_step;
	bias += bias_offset;
	for (int l0 = 0; l0 < k; l0 += kc) {
		const int depth = min(kc, k - l0);
		const float keep = l0 == 0 ? beta : 1.0f;
		const int add_bias = has_bias && l0 == 0;

		if (trans_b)
			pack_columns(b + (size_t)j0 * ldb + l0, ldb, depth, columns, nc, b_local);
		else
			pack_rows(b + (size_t)l0 * ldb + j0, ldb, depth, columns, nc, b_local);
		for (int p = p0; p < p1; p++) {
			__global const float *a = packed + (size_t)l0 * panels * MR + (size_t)p * depth * MR;
			__global float *row = c + (size_t)p * MR * ldc + j0;
			const int rows = min(MR, m - p * MR);
			int j = 0;

			for (; columns - j > VECTOR; j += NR)
				tile_2(a, b_local + j, depth, nc, row + j, ldc, rows, columns - j, keep, bias + j0 + j,
				       add_bias);
			if (j < columns)
				tile_1(a, b_local + j, depth, nc, row + j, ldc, rows, columns - j, keep, bias + j0 + j,
				       add_bias);
			if (l0 + depth == k)
				finish(row, ldc, rows, columns, p_, q_);
		}
	}
}
