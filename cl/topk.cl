/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The largest values of rows x[row][columns]. There is one order, from the best on: the larger value first, a NaN
 * before any number, of equal ones that with the smaller index. A work-item is a row and goes through it once for each
 * result, looking for the best of those that come behind the last one found; so it needs no memory of its own.
 */

static bool larger(float a, float b)
{
	return a > b || (a != a && b == b);
}

/* Does value a, at index i, come before value b, at index j? */
static bool before(float a, int i, float b, int j)
{
	return larger(a, b) || (!larger(b, a) && i < j);
}

__kernel void topk_indices(__global const float *x, ulong x_offset, __global int *y, ulong y_offset, int columns, int k,
			   int rows)
{
	GLOBAL_ID(row, rows);
	int last = -1;

	x += x_offset + (size_t)row * columns;
	y += y_offset + (size_t)row * k;
	for (int j = 0; j < k; j++) {
		int best = -1;

		for (int c = 0; c < columns; c++)
			if ((last < 0 || before(x[last], last, x[c], c)) && (best < 0 || larger(x[c], x[best])))
				best = c;
		y[j] = best;
		last = best;
	}
}

__kernel void topk_values(__global const float *x, ulong x_offset, __global const int *indices, ulong indices_offset,
			  __global float *y, ulong y_offset, int columns, int k, int n)
{
	GLOBAL_ID(i, n);
	y[y_offset + i] = x[x_offset + (size_t)(i / k) * columns + indices[indices_offset + i]];
}

__kernel void topk_backward(__global const int *indices, ulong indices_offset, __global const float *dy,
			    ulong dy_offset, __global float *dx, ulong dx_offset, float accumulate, int columns, int k,
			    int n)
{
	GLOBAL_ID(i, n);
	const int row = i / columns, c = i % columns;
	float term = 0.0f;

	indices += indices_offset + (size_t)row * k;
	dy += dy_offset + (size_t)row * k;
	for (int j = 0; j < k; j++)
		if (indices[j] == c)
			term = dy[j];
	dx += dx_offset + i;
	*dx = accumulate == 0.0f ? term : fma(accumulate, *dx, term);
}

/* hits[row] = 1 if fewer than k values come before the label's. */
__kernel void topk_hits(__global const float *x, ulong x_offset, __global const int *labels, ulong labels_offset,
			__global float *hits, ulong hits_offset, int columns, int k, int rows)
{
	GLOBAL_ID(row, rows);
	const int label = labels[labels_offset + row];
	int better = 0;

	x += x_offset + (size_t)row * columns;
	if (label < 0 || label >= columns)
		better = k;
	else
		for (int c = 0; c < columns; c++)
			better += before(x[c], c, x[label], label) ? 1 : 0;
	hits[hits_offset + row] = better < k ? 1.0f : 0.0f;
}
