/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images at another size, by the nearest pixel (NEAREST), or by a straight line between two along each axis, with
 * pixels as squares or as points (ALIGN_CORNERS). image: in h, w, out h, w. ratio: pixels of x to a pixel of y.
 */

/* Pixel o of y along an axis is (1 - part) times pixel `at` of x, plus part times pixel `next`. */
typedef struct origin {
	int at, next;
	float part;
} origin;

static origin origin_of(int o, float ratio, int in)
{
	origin from;

#ifdef NEAREST
	from.at = min((int)((float)o * ratio), in - 1);
	from.next = from.at;
	from.part = 0.0f;
#else
#ifdef ALIGN_CORNERS
	const float place = (float)o * ratio;
#else
	const float place = fmax(((float)o + 0.5f) * ratio - 0.5f, 0.0f);
#endif

	/* As in PyTorch, also where one of the two is not finite: it reaches y even if its part is 0, but for an axis that
	 * keeps its size. */
	from.at = min((int)place, in - 1);
	from.next = ratio == 1.0f ? from.at : min(from.at + 1, in - 1);
	from.part = clamp(place - (float)from.at, 0.0f, 1.0f);
#endif
	return from;
}

/* The share of pixel i of x in pixel o of y. */
static float share(int o, float ratio, int i, int in)
{
	const origin from = origin_of(o, ratio, in);

	return from.at == from.next ? (from.at == i ? 1.0f : 0.0f)
	       : from.at == i       ? 1.0f - from.part
	                            : (from.next == i ? from.part : 0.0f);
}

/* The first and the last pixel of y in which i may have a share, half a pixel wider for rounding. */
static int2 pixels_from(int i, float ratio, int out)
{
#ifdef NEAREST
	const float first = (float)i / ratio, last = ((float)i + 1.0f) / ratio;
#elif defined(ALIGN_CORNERS)
	const float first = ((float)i - 1.0f) / ratio, last = ((float)i + 1.0f) / ratio;
#else
	const float first = ((float)i - 0.5f) / ratio - 0.5f, last = ((float)i + 1.5f) / ratio - 0.5f;
#endif
	int2 range = (int2)(0, out - 1);

	/* A ratio of 0 is one pixel stretched, or one of many taken. */
	if (ratio > 0.0f) {
		range.x = (int)fmin(fmax(floor(first - 0.5f), 0.0f), (float)out);
		range.y = (int)fmin(ceil(last + 0.5f), (float)(out - 1));
	}
	return range;
}

static float between(float a, float b, float part)
{
	return (1.0f - part) * a + part * b;
}

__kernel void upsample_forward(__global const float *x, ulong x_offset, __global float *y, ulong y_offset,
                               float ratio_h, float ratio_w, int8 image, int n)
{
	GLOBAL_ID(id, n);
	const origin row = origin_of(id / image.s3 % image.s2, ratio_h, image.s0);
	const origin column = origin_of(id % image.s3, ratio_w, image.s1);
	const int down = (row.next - row.at) * image.s1, right = column.next - column.at;

	x += x_offset + (size_t)(id / image.s3 / image.s2) * image.s0 * image.s1 + row.at * image.s1 + column.at;
#ifdef NEAREST
	y[y_offset + id] = x[0];
#else
	y[y_offset + id] =
		between(between(x[0], x[right], column.part), between(x[down], x[down + right], column.part), row.part);
#endif
}

/* dx = beta dx + the shares in y. */
__kernel void upsample_backward(__global const float *dy, ulong dy_offset, __global float *dx, ulong dx_offset,
                                float beta, float ratio_h, float ratio_w, int8 image, int n)
{
	GLOBAL_ID(id, n);
	const int row = id / image.s1 % image.s0, column = id % image.s1;
	const int2 rows = pixels_from(row, ratio_h, image.s2);
	const int2 columns = pixels_from(column, ratio_w, image.s3);
	float sum = 0.0f;

	dy += dy_offset + (size_t)(id / image.s1 / image.s0) * image.s2 * image.s3;
	for (int r = rows.x; r <= rows.y; r++) {
		const float of_row = share(r, ratio_h, row, image.s0);
		float row_sum = 0.0f;

		if (of_row == 0.0f)
			continue;
		for (int c = columns.x; c <= columns.y; c++) {
			const float of_column = share(c, ratio_w, column, image.s1);

			/* Pixels that have no share may be NaN. */
			if (of_column != 0.0f)
				row_sum += of_column * dy[r * image.s3 + c];
		}
		sum += of_row * row_sum;
	}
	dx += dx_offset + id;
	*dx = beta == 0.0f ? sum : fma(beta, *dx, sum);
}
