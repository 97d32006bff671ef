/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions for CPUs, forward and to the images, which are one computation: a window slides over planes of images
 * that are padded with zeros. Where images are strided towards the result (the gradient of a strided convolution), the
 * result falls into phases, pixels h = a + phases * i, each of which is a convolution with some of the taps.
 *
 * One work-item is a large block: some images or rows of one, some panels of MR channels of the result. For each block
 * of channels it copies its part of the images, padded, into __local memory, which on a CPU is the core's second-level
 * cache, and runs a register tile of MR channels by NV vectors of pixels over it. The copy is laid out such that a
 * vector of pixels is contiguous for every tap, at a distance from the first that depends on the tap alone:
 *
 *   wide rows     as they are, columns of the phases of the stride apart; a vector is a part of one row
 *   narrow rows   once for each column of the window, without padding at the side, so that a vector runs over rows
 *
 * Weights are packed, by conv_cpu_pack.cl, as [group][block of channels][phase][panel][1 + channels * taps][MR]; what
 * comes first is the bias.
 */
#include "activation.clh"
#include "conv_cpu.clh"
#include "stream.clh"

#if MR == 13
#define EACH(OP) ROW(OP, 0) ROW(OP, 1) ROW(OP, 2) ROW(OP, 3) ROW(OP, 4) ROW(OP, 5) ROW(OP, 6) ROW(OP, 7) ROW(OP, 8)     \
	ROW(OP, 9) ROW(OP, 10) ROW(OP, 11) ROW(OP, 12)
#elif MR == 11
#define EACH(OP) ROW(OP, 0) ROW(OP, 1) ROW(OP, 2) ROW(OP, 3) ROW(OP, 4) ROW(OP, 5) ROW(OP, 6) ROW(OP, 7) ROW(OP, 8)     \
	ROW(OP, 9) ROW(OP, 10)
#elif MR == 8
#define EACH(OP) ROW(OP, 0) ROW(OP, 1) ROW(OP, 2) ROW(OP, 3) ROW(OP, 4) ROW(OP, 5) ROW(OP, 6) ROW(OP, 7)
#elif MR == 6
#define EACH(OP) ROW(OP, 0) ROW(OP, 1) ROW(OP, 2) ROW(OP, 3) ROW(OP, 4) ROW(OP, 5)
#elif MR == 4
#define EACH(OP) ROW(OP, 0) ROW(OP, 1) ROW(OP, 2) ROW(OP, 3)
#elif MR == 3
#define EACH(OP) ROW(OP, 0) ROW(OP, 1) ROW(OP, 2)
#elif MR == 1
#define EACH(OP) ROW(OP, 0)
#endif

#if NV == 1
#define ALONG(OP, r) OP(r, 0)
#elif NV == 2
#define ALONG(OP, r) OP(r, 0) OP(r, 1)
#elif NV == 3
#define ALONG(OP, r) OP(r, 0) OP(r, 1) OP(r, 2)
#elif NV == 4
#define ALONG(OP, r) OP(r, 0) OP(r, 1) OP(r, 2) OP(r, 3)
#elif NV == 6
#define ALONG(OP, r) OP(r, 0) OP(r, 1) OP(r, 2) OP(r, 3) OP(r, 4) OP(r, 5)
#endif
#define ROW(OP, r) ALONG(OP, r)

/* ---- the copy ---- */

#define EVEN(a, b)                                                                                                     \
	(float16)((a).s0, (a).s2, (a).s4, (a).s6, (a).s8, (a).sa, (a).sc, (a).se, (b).s0, (b).s2, (b).s4, (b).s6,      \
	          (b).s8, (b).sa, (b).sc, (b).se)

/*
 * All that follows writes whole vectors, which may go beyond what is asked for: into what is written later, since the
 * copy grows upwards, or into the vector that it has more. `left` is how much of x may be read from x[0] on.
 */

static void clear_run(__local float *copy, int count)
{
	for (int j = 0; j < count; j += VECTOR)
		STORE_LOCAL(copy + j, (float16)(0.0f));
}

/* copy[j] = x[j] */
static void copy_run(__local float *copy, __global const float *x, int count, int left)
{
	int j = 0;

	for (; j < count && j + VECTOR <= left; j += VECTOR)
		STORE_LOCAL(copy + j, LOAD_GLOBAL(x + j));
	for (; j < count; j++)
		copy[j] = x[j];
}

/* copy[j] = x[2 j] */
static void copy_half(__local float *copy, __global const float *x, int count, int left)
{
	int j = 0;

	for (; count - j > VECTOR / 2 && 2 * (j + VECTOR) <= left; j += VECTOR) {
		const float16 x0 = LOAD_GLOBAL(x + 2 * j), x1 = LOAD_GLOBAL(x + 2 * j + VECTOR);

		STORE_LOCAL(copy + j, EVEN(x0, x1));
	}
	for (; j < count && 2 * j + VECTOR <= left; j += VECTOR / 2) {
		const float16 x0 = LOAD_GLOBAL(x + 2 * j);

		STORE_LOCAL(copy + j, EVEN(x0, x0));
	}
	for (; j < count; j++)
		copy[j] = x[2 * j];
}

/* So many rows, one below the other, from a plane of x; those outside are zero. from: where the copy of a row begins. */
static void copy_rows(const shape *t, __global const float *x, int left, int h, int step, int rows, int from,
                      __local float *copy)
{
	const int lo = from >= 0 ? 0 : min((-from + t->stride_w - 1) / t->stride_w, t->copy_columns);
	const int hi = from >= t->w ? 0 : min((t->w - 1 - from) / t->stride_w + 1, t->copy_columns);

	for (int i = 0; i < rows; i++, h += step, copy += t->copy_columns) {
		const int at = h * t->w + from + lo * t->stride_w;

		if (h < 0 || h >= t->h || lo >= hi) {
			clear_run(copy, t->copy_columns);
			continue;
		}
		for (int j = 0; j < lo; j++)
			copy[j] = 0.0f;
		if (t->stride_w == 1)
			copy_run(copy + lo, x + at, hi - lo, left - at);
		else if (t->stride_w == 2)
			copy_half(copy + lo, x + at, hi - lo, left - at);
		else
			for (int j = lo; j < hi; j++)
				copy[j] = x[at + (j - lo) * t->stride_w];
		for (int j = hi; j < t->copy_columns; j++)
			copy[j] = 0.0f;
	}
}

/* The same for rows that follow each other in x as they do in the copy, but for a shift. */
static void copy_shifted(const shape *t, __global const float *x, int left, int h, int rows, int shift,
                         __local float *copy)
{
	const int w = t->w, top = clamp(-h, 0, rows), bottom = clamp(t->h - h, top, rows), count = (bottom - top) * w;
	const int lo = min(max(-shift, 0), w), hi = min(max(shift, 0), w);

	if (count <= 0 || lo == w || hi == w) {
		clear_run(copy, rows * w);
		return;
	}
	clear_run(copy, top * w);
	copy += top * w;
	{
		__local float *row = copy;
		const int at = (h + top) * w + shift + lo;

		for (int j = 0; j < lo; j++)
			copy[j] = 0.0f;
		copy_run(copy + lo, x + at, count - lo - hi, left - at);
		for (int i = top; i < bottom; i++, row += w) {
			for (int j = 0; j < lo; j++)
				row[j] = 0.0f;
			for (int j = w - hi; j < w; j++)
				row[j] = 0.0f;
		}
	}
	clear_run(copy + count, (rows - bottom) * w);
}

/* The rows that a block sees, for so many channels and images. x is its first image's and channel's. */
static void copy_block(const shape *t, __global const float *x, size_t left, int row0, int channels, int images,
                       __local float *copy)
{
	const size_t plane = (size_t)t->h * t->w, image = plane * t->groups * t->c;
	const int h = row0 * t->stride_h + t->first_h;
	const int shifted = t->narrow && t->stride_h == 1 && t->stride_w == 1 && t->copy_columns == t->w;

	for (int c = 0; c < channels; c++)
		for (int k = 0; k < t->copies; k++) {
			const int from = t->first_w + k * t->copy_step;
			__local float *to = copy + (size_t)(c * t->copies + k) * t->plane;

			for (int n = 0; n < images; n++) {
				const size_t at = n * image + c * plane;
				const int rest = (int)min(left - at, (size_t)INT_MAX);

				for (int i = 0; i < t->splits; i++, to += t->copy_rows * t->copy_columns)
					if (shifted)
						copy_shifted(t, x + at, rest, h, t->copy_rows, from, to);
					else
						copy_rows(t, x + at, rest, h + i, t->stride_h, t->copy_rows, from, to);
			}
		}
}

/* What copy_block() reads next, by so many turns: the channels behind these of groups [g0, g1), or the first ones of the
 * next work-item, which the same core most often has. */
static stream stream_behind(const shape *t, __global const float *x, int step, int channels, int g0, int g1, int bands,
                            int turns)
{
	const int after = step + channels, last = after == (g1 - g0) * t->c, item = (int)get_global_id(0) + last;
	const int group = last ? g0 : g0 + after / t->c, c0 = last ? 0 : after % t->c, n0 = item / bands * t->images;
	const int h = item % bands * t->rows * t->stride_h + t->first_h;
	const size_t from = ((size_t)n0 * t->groups + group) * t->c + c0;

	return stream_of(x + from * t->h * t->w, t->w, t->h, t->groups * t->c, h, h + t->copy_rows * t->stride_h,
	                 t->splits == t->stride_h ? 1 : t->stride_h, min(t->channels, t->c - c0),
	                 min(t->images, t->n - n0), turns);
}

/* Distances in the copy of all taps of all channels, for each phase. */
static void list_taps(const shape *t, int channels, __local int *taps)
{
	for (int a = 0; a < t->phases_h; a++)
		for (int b = 0; b < t->phases_w; b++) {
			const int taps_h = count_taps(a, t->phases_h, t->pad_top, t->r);
			const int taps_w = count_taps(b, t->phases_w, t->pad_left, t->s);
			const int h0 = first_pixel(a, t->phases_h, t->pad_top, t->r, t->dilation_h) - t->first_h;
			const int w0 = first_pixel(b, t->phases_w, t->pad_left, t->s, t->dilation_w) - t->first_w;

			for (int c = 0; c < channels; c++)
				for (int i = 0; i < taps_h; i++)
					for (int j = 0; j < taps_w; j++) {
						const int h = h0 + i * t->dilation_h, w = w0 + j * t->dilation_w;
						const int k = t->narrow ? w / t->copy_step : w % t->stride_w;

						*taps++ = (c * t->copies + k) * t->plane +
						          (h % t->stride_h * t->copy_rows + h / t->stride_h) *
						                  t->copy_columns +
						          (t->narrow ? 0 : w / t->stride_w);
					}
		}
}

/* ---- the result ---- */

/* Sums of some of the channels only are not activated yet. */
#ifdef VALUE
#define ACTIVATE(x) (complete ? activate(x, p, q) : (x))
#else
#define ACTIVATE(x) activate(x, p, q)
#endif

/* y[j] = act(beta y[j] + sums[j]); with FLOOR p is what there is at the end, or minus infinity before. */
static void finish_row(__global float *y, __local const float *sums, int columns, float beta, int complete, float p,
                       float q)
{
	int j = 0;

#ifndef VALUE
	for (; j + VECTOR <= columns; j += VECTOR) {
		const float16 s = LOAD_LOCAL(sums + j);

		const float16 z = beta == 0.0f ? s : beta * LOAD_GLOBAL(y + j) + s;

		STORE_GLOBAL(y + j, RAISED(float16, z, p));
	}
#endif
	if (beta == 0.0f)
		for (; j < columns; j++)
			y[j] = ACTIVATE(sums[j]);
	else
		for (; j < columns; j++)
			y[j] = ACTIVATE(fma(beta, y[j], sums[j]));
}

#define FIRST_HALVES(a, b)                                                                                             \
	(float16)((a).s0, (b).s0, (a).s1, (b).s1, (a).s2, (b).s2, (a).s3, (b).s3, (a).s4, (b).s4, (a).s5, (b).s5,      \
	          (a).s6, (b).s6, (a).s7, (b).s7)

/* The same from several phases, `step` apart. */
static void finish_phases(__global float *y, __local const float *sums, int step, int phases, int columns, float beta,
                          int complete, float p, float q)
{
	int j = 0;

#ifndef VALUE
	if (phases == 2)
		for (; j + VECTOR / 2 <= columns; j += VECTOR) {
			const float16 s = LOAD_LOCAL(sums + j / 2), t = LOAD_LOCAL(sums + step + j / 2);
			float16 u = FIRST_HALVES(s, t);

			if (j + VECTOR > columns) {
				__global float8_any *last = (__global float8_any *)(y + j);

				const float8 z = beta == 0.0f ? u.lo : beta * *last + u.lo;

				*last = RAISED(float8, z, p);
				j += VECTOR / 2;
				break;
			}
			u = beta == 0.0f ? u : beta * LOAD_GLOBAL(y + j) + u;
			STORE_GLOBAL(y + j, RAISED(float16, u, p));
		}
#endif
	for (; j < columns; j++) {
		const float s = sums[j % phases * step + j / phases];

		y[j] = ACTIVATE(beta == 0.0f ? s : fma(beta, y[j], s));
	}
}

/* m channels of phase a; sums are laid out as conv_cpu() says. */
static void finish(const shape *t, int a, int row0, int rows, int images, int m, __global float *y,
                   __local const float *sums, int sums_step, int sum_image, int sum_row, float beta, int complete, float p,
                   float q)
{
	const size_t plane = (size_t)t->yh * t->yw, image = plane * t->groups * t->m;
	/* Narrow rows of one phase are one run. */
	const int whole = t->narrow && t->phases_h == 1 && t->phases_w == 1;
	const int columns = whole ? rows * t->yw : t->yw;

	if (whole)
		rows = 1;
	else
		rows = min(rows, (t->yh - a + t->phases_h - 1) / t->phases_h - row0);
	for (int k = 0; k < m; k++)
		for (int n = 0; n < images; n++)
			for (int i = 0; i < rows; i++) {
				__global float *yr = y + k * plane + n * image + (size_t)(i * t->phases_h + a) * t->yw;
				__local const float *sr = sums + k * sums_step + n * sum_image + i * sum_row;

				if (t->phases_w == 1)
					finish_row(yr, sr, columns, beta, complete, p, q);
				else
					finish_phases(yr, sr, MR * sums_step, t->phases_w, columns, beta, complete, p, q);
			}
}

/* ---- the tile ---- */

static void store(__global float *y, float16 sum, float beta, float floor)
{
	const float16 z = beta == 0.0f ? sum : beta * LOAD_GLOBAL(y) + sum;

	STORE_GLOBAL(y, RAISED(float16, z, floor));
}

/* y = beta y + the sums, not below `floor`, for `rows` channels y_step apart; or all sums to `sums`, sums_step apart, if
 * that is not 0. at and to: where the vectors are in the copy and in y; next: lines of y that are wanted soon. */
static void tile(__global const float *a, __local const int *taps, int depth, __local const float *copy,
                 __local const int *at, __local const int *to, __local const int *next, int rows, __global float *y,
                 size_t y_step, float beta, float floor, __local float *sums, int sums_step)
{
#define START(r, v) float16 s##r##_##v = a[r];
	EACH(START)
#define POINT(r, v) __local const float *const c##v = copy + at[v];
	ALONG(POINT, 0)
	if (sums_step == 0) {
		__global float *row = y;

		for (int r = 0; r < rows; r++, row += y_step) {
#define HINT_Y(r, v) PREFETCH_WRITE(row + next[v]);
			ALONG(HINT_Y, 0)
		}
	}
	a += MR;
	for (int l = 0; l < depth; l++, a += MR) {
		const int tap = taps[l];
#define READ(r, v) const float16 b##v = LOAD_LOCAL(c##v + tap);
		ALONG(READ, 0)
#define STEP(r, v) s##r##_##v = a[r] * b##v + s##r##_##v;
		EACH(STEP)
	}
#define STORE(r, v)                                                                                                    \
	if (r < rows)                                                                                                  \
		store(y + r * y_step + to[v], s##r##_##v, beta, floor);
#define KEEP(r, v) STORE_LOCAL(sums + r * sums_step + v * VECTOR, s##r##_##v);
	if (sums_step == 0) {
		EACH(STORE)
	} else {
		EACH(KEEP)
	}
}

/*
 * A work-item computes the channels of `panels_each` panels of each of `groups_each` groups, for some rows or images.
 * copy: channels * copies * plane and a vector more. sums: MR channels of all vectors, for each phase of the columns, and
 * a vector more. table: the taps, then two for each vector.
 */
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void conv_cpu(__global const float *x, ulong x_offset, __global const float *packed, ulong packed_offset,
                       __global float *y, ulong y_offset, float beta, float p_, float q_, int8 size, int8 window,
                       int8 copy_, int8 block, int groups_each, __local float *copy, __local float *sums,
                       __local int *table)
{
	const shape t = unpack(size, window, copy_, block);
	const int phase_rows = (t.yh + t.phases_h - 1) / t.phases_h, bands = (phase_rows + t.rows - 1) / t.rows;
	const int phase_columns = (t.yw + t.phases_w - 1) / t.phases_w;
	const int n0 = (int)get_global_id(0) / bands * t.images, row0 = (int)get_global_id(0) % bands * t.rows;
	const int images = min(t.images, t.n - n0), rows = min(t.rows, phase_rows - row0);
	const int p0 = (int)get_global_id(1) * t.panels_each, p1 = min(p0 + t.panels_each, t.panels);
	const int g0 = (int)get_global_id(2) * groups_each, g1 = min(g0 + groups_each, t.groups);
	const int phases = t.phases_h * t.phases_w, taps_each = t.r * t.s;
	const size_t y_plane = (size_t)t.yh * t.yw, y_image = y_plane * t.groups * t.m;
	const size_t x_plane = (size_t)t.h * t.w, x_all = x_plane * t.c * t.groups * t.n;
	/* Vectors, and sums that lie between those of two rows and of two images. Images without a border follow each
	 * other in the copy, so that a vector may belong to two of them. */
	const int together = t.narrow && t.copy_rows == t.rows && t.splits == 1;
	const int sum_row = t.narrow ? phase_columns : (phase_columns + VECTOR - 1) / VECTOR * VECTOR;
	const int sum_image = together ? rows * sum_row : (rows * sum_row + VECTOR - 1) / VECTOR * VECTOR;
	const int vectors = (images * sum_image + VECTOR - 1) / VECTOR, tiles = (vectors + NV - 1) / NV;
	const int sums_step = tiles * NV * VECTOR;
	/* Tiles are stored at once where all their pixels are some of y, in y's order. */
	const int direct = phases == 1 && vectors % NV == 0 &&
	                   (t.narrow ? rows * sum_row % VECTOR == 0 : phase_columns % VECTOR == 0);
	__local int *taps = table, *at = table + t.channels * taps_each, *to = at + tiles * NV;
	stream ahead;
	int listed = 0;

	for (int v = 0; v < tiles * NV; v++) {
		/* The last ones repeat one that there is. */
		const int from = min(v, vectors - 1) * VECTOR, n = together ? 0 : from / sum_image;
		const int in_image = from - n * sum_image, i = t.narrow ? 0 : in_image / sum_row;

		at[v] = n * t.splits * t.copy_rows * t.copy_columns + i * t.copy_columns + in_image - i * sum_row;
		to[v] = together ? from / sum_image * (int)y_image + from % sum_image
		                 : n * (int)y_image + i * t.yw + in_image - i * sum_row;
	}
	clear_run(copy + t.channels * t.copies * t.plane, VECTOR);
	x += x_offset;
	y += y_offset + (size_t)n0 * y_image + (size_t)row0 * t.phases_h * t.yw;
	packed += packed_offset;
	packed += (size_t)g0 * t.panels * MR * (phases * ((t.c + t.channels - 1) / t.channels) + t.c * taps_each);

	for (int step = 0; step < (g1 - g0) * t.c; step += min(t.channels, t.c - step % t.c)) {
		const int group = g0 + step / t.c, c0 = step % t.c, channels = min(t.channels, t.c - c0);
		const float keep = c0 == 0 ? beta : 1.0f;
		const int complete = c0 + channels == t.c;
		const size_t from = ((size_t)n0 * t.groups * t.c + (size_t)group * t.c + c0) * x_plane;
		__local const int *tap = taps;
#ifdef VALUE
		const int in_place = direct && !complete;
		const float floor = -INFINITY;
#else
		const int in_place = direct;
		const float floor = complete ? p_ : -INFINITY;
#endif

		copy_block(&t, x + from, x_all - from, row0, channels, images, copy);
		if (channels != listed)
			list_taps(&t, channels, taps);
		listed = channels;
		ahead = stream_behind(&t, x, step, channels, g0, g1, bands, phases * (p1 - p0) * tiles);
		for (int a = 0; a < t.phases_h; a++) {
			const int taps_h = count_taps(a, t.phases_h, t.pad_top, t.r);

			for (int p = p0; p < p1; p++) {
				const int m = min(MR, t.m - p * MR);
				__global float *yp = y + ((size_t)group * t.m + (size_t)p * MR) * y_plane;
				__global const float *pa = packed;
				__local const int *tp = tap;

				for (int b = 0; b < t.phases_w; b++) {
					const int taps_w = count_taps(b, t.phases_w, t.pad_left, t.s);
					const int depth = channels * taps_h * taps_w;
					/* Short sums end before what they ask for has come. */
					const int early = depth < 128;

					for (int v = 0; v < tiles; v++) {
						stream_fetch(&ahead);
						tile(pa + (size_t)p * (1 + depth) * MR, tp, depth, copy, at + v * NV,
						     to + v * NV, to + min(v + early, tiles - 1) * NV, m, yp, y_plane,
						     keep, floor,
						     sums + (size_t)b * MR * sums_step + v * NV * VECTOR,
						     in_place ? 0 : sums_step);
					}
					pa += (size_t)t.panels * (1 + depth) * MR;
					tp += depth;
				}
				if (!in_place)
					finish(&t, a, row0, rows, images, m, yp, sums, sums_step, sum_image, sum_row,
					       keep, complete, complete ? p_ : -INFINITY, q_);
			}
			for (int b = 0; b < t.phases_w; b++) {
				const int depth = channels * taps_h * count_taps(b, t.phases_w, t.pad_left, t.s);

				packed += (size_t)t.panels * (1 + depth) * MR;
				tap += depth;
			}
		}
	}
}
