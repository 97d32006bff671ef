/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions as matrix products whose second matrix is never written down: its elements are pixels, which are looked
 * up on their way to local memory. Forward, to the images and to the weights are the same computation,
 *
 *     y[row, column] = sum over the depth of a[row, depth] x[depth, column],
 *
 * where x[depth, column] is the pixel that lies in the place of the column and the place of the depth added up:
 *
 *                rows       depth                   columns                 a         x        y
 *     forward    outputs    (channel, tap)          (image, pixel of y)     weights   images   outputs
 *     to images  channels   (output, tap)           (image, pixel of x)     weights   outputs  images
 *     to weights outputs    (image, pixel of y)     (channel, tap)          outputs   images   weights
 *
 * Depth and columns are triples. The work-items keep a table of the places of the tile's columns in local memory, and
 * one of the depths of each copy, which the first TK of them write while the others multiply: so no element costs a
 * division. What is beyond the border, or the end of the depth, counts as zero; rows and columns beyond the last repeat
 * it and are not stored.
 */
#include "conv_gemm.clh"

/* A place so far outside of all images that what is added to it does not lead back. */
#define NOWHERE (-(1 << 30))

/* How a and x are copied: see conv_gemm.clh. Compilers for GPUs are told, so that they keep one way in registers; for
 * a CPU one program for all is better. */
#ifdef A_MODE
#define modes (A_MODE | B_MODE << 2)
#else
#define modes any_modes
#endif

/* (i / (u v), i / v % u, i % v) */
static int4 triple(int i, int u, int v)
{
	return (int4)(i / (u * v), i / v % u, i % v, 0);
}

/* at + by, for triples below (any, u, v) */
static int4 advance(int4 at, int4 by, int u, int v)
{
	at += by;
	if (at.z >= v) {
		at.z -= v;
		at.y++;
	}
	if (at.y >= u) {
		at.y -= u;
		at.x++;
	}
	return at;
}

/* Of an element of the depth: what it adds to a pixel's index, row and column, and its index in a row of a. There it is
 * -1 behind the last one. */
static int4 depth_entry(int4 at, int inside, int8 along, int width)
{
	const int h = at.y * along.s3, w = at.z * along.s4;

	return (int4)((int)((uint)at.x * (uint)along.s2 + (uint)h * (uint)width + (uint)w), inside ? h : NOWHERE, w,
		      inside ? at.x * along.s5 + at.y * along.s6 + at.z * along.s7 : -1);
}

/* Of a column: the same three, and its index in a row of y. */
static int4 column_entry(int4 at, int8 across, int8 result, int width)
{
	const int h = across.s5 + at.y * across.s3, w = across.s6 + at.z * across.s4;

	return (int4)((int)((uint)at.x * (uint)across.s2 + (uint)h * (uint)width + (uint)w), h, w,
		      at.x * result.s0 + at.y * result.s1 + at.z * result.s2);
}

INLINE void load_a(float *to, __global const float *a, __local const int4 *depths, int row, int rows, int a_row,
		   int mode)
{
	if (!(mode & QUADS)) {
		UNROLL
		for (int i = 0; i < A_EACH; i++) {
			const int2 from = spot_of(i, TM, mode);
			const int at = depths[from.x].w;

			to[i] = at >= 0 ? a[min(row + from.y, rows - 1) * a_row + at] : 0.0f;
		}
		return;
	}
	UNROLL
	for (int i = 0; i < A_EACH / 4; i++) {
		const int2 from = spot_of(i, TM, mode);
		const int at = depths[from.x].w, last = mode & ALONG_DEPTH ? rows - 1 : rows - 4;
		float4 v = (float4)(0.0f);

		if (at >= 0)
			v = *(__global const float4 *)(a + min(row + from.y, last) * a_row + at);
		to[4 * i] = v.x;
		to[4 * i + 1] = v.y;
		to[4 * i + 2] = v.z;
		to[4 * i + 3] = v.w;
	}
}

/* Quads are for windows of one pixel, which see no border. */
INLINE void load_x(float *to, __global const float *x, __local const int4 *depths, __local const int4 *columns, int h,
		   int w, int mode)
{
	if (!(mode & QUADS)) {
		UNROLL
		for (int i = 0; i < B_EACH; i++) {
			const int2 from = spot_of(i, TN, mode);
			const int4 d = depths[from.x], c = columns[from.y];
			const int inside = (uint)(d.y + c.y) < (uint)h && (uint)(d.z + c.z) < (uint)w;

			to[i] = inside ? x[(uint)d.x + (uint)c.x] : 0.0f;
		}
		return;
	}
	UNROLL
	for (int i = 0; i < B_EACH / 4; i++) {
		const int2 from = spot_of(i, TN, mode);
		const int4 at = depths[from.x];
		float4 v = (float4)(0.0f);

		/* The last column, which others repeat, may be the last of its four. */
		if (at.w >= 0)
			v = *(__global const float4 *)(x + (((uint)at.x + (uint)columns[from.y].x) & ~3u));
		to[4 * i] = v.x;
		to[4 * i + 1] = v.y;
		to[4 * i + 2] = v.z;
		to[4 * i + 3] = v.w;
	}
}

/*
 * y = act(beta y + a x + bias), the bias having a value for each row. In the order of the numbers:
 *     size    rows, columns, depth, groups, depth of a chunk, rows and columns of an image, stride of rows of a
 *     along   depth: the sizes of the second and third of a triple; strides of an index of x by the first, of a row by
 *             the second and a column by the third; strides of a by each of the three
 *     across  columns: the same sizes and strides, the first row and column
 *     result  strides of y by each of the three, by rows, groups and chunks; those of a and x by groups
 * Chunks of the depth give results of their own. Bit 4 of the modes: four columns of y are neighbours, on a boundary.
 */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void conv_gemm(
	__global const float *a, ulong a_offset, __global const float *x, ulong x_offset, __global const float *bias,
	ulong bias_offset, int has_bias, __global float *y, ulong y_offset, float beta, float p, float q, int8 size,
	int8 along, int8 across, int8 result, int any_modes)
{
	__local float4 a_copy[2 * TK * A_LINE / 4], b_copy[2 * TK * B_LINE / 4];
	__local int4 depths[2 * TK], columns[TN];
	const int item = (int)get_local_id(0), row = (int)get_group_id(0) * TM, column = (int)get_group_id(1) * TN;
	const int group = (int)get_group_id(2) % size.s3, chunk = (int)get_group_id(2) / size.s3;
	const int first = chunk * size.s4, depth = min(size.s4, size.s2 - first), steps = (depth + TK - 1) / TK;
	const int a_mode = modes & 3, b_mode = modes >> 2 & 3, quads = any_modes & 16;
	const int4 by = triple(TK, along.s0, along.s1);
	int4 at = triple(first + item, along.s0, along.s1);
	float a_next[A_EACH], b_next[B_EACH];
	float4 sum[MR * NQ];

	UNROLL
	for (int i = 0; i < MR * NQ; i++)
		sum[i] = (float4)(0.0f);
	a += a_offset + (size_t)group * result.s6;
	x += x_offset + (size_t)group * result.s7;
	if (item < TN)
		columns[item] = column_entry(triple(min(column + item, size.s1 - 1), across.s0, across.s1), across,
					     result, size.s6);
	if (item < TK) {
		depths[item] = depth_entry(at, item < depth, along, size.s6);
		at = advance(at, by, along.s0, along.s1);
	}
	barrier(CLK_LOCAL_MEM_FENCE);
	/* The first step only copies. */
	for (int step = -1; step < steps; step++) {
		const int now = step & 1, next = 1 - now, more = step + 1 < steps;

		if (more) {
			load_a(a_next, a, depths + next * TK, row, size.s0, size.s7, a_mode);
			load_x(b_next, x, depths + next * TK, columns, size.s5, size.s6, b_mode);
		}
		if (step >= 0)
			multiply(a_copy + now * (TK * A_LINE / 4), b_copy + now * (TK * B_LINE / 4), sum);
		if (more) {
			put((__local float *)a_copy + next * TK * A_LINE, a_next, A_EACH, A_LINE, a_mode);
			put((__local float *)b_copy + next * TK * B_LINE, b_next, B_EACH, B_LINE, b_mode);
		}
		if (item < TK) {
			depths[now * TK + item] = depth_entry(at, (step + 2) * TK + item < depth, along, size.s6);
			at = advance(at, by, along.s0, along.s1);
		}
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	y += y_offset + (size_t)group * result.s4 + (size_t)chunk * result.s5;
	UNROLL
	for (int j = 0; j < NQ; j++) {
		const int from = (j * (TN / NR) + ITEM_COLUMN) * 4, count = size.s1 - column - from;
		const int4 to = (int4)(columns[from].w, columns[from + 1].w, columns[from + 2].w, columns[from + 3].w);

		UNROLL
		for (int i = 0; i < MR; i++) {
			const int r = row + (i / 4 * (TM / MR) + ITEM_ROW) * 4 + i % 4;

			if (r < size.s0 && count > 0)
				store4(y + (size_t)r * result.s3, to, count, quads,
				       sum[i * NQ + j] +
					       (has_bias ? bias[bias_offset + (size_t)group * size.s0 + r] : 0.0f),
				       beta, p, q);
		}
	}
}
