/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the best value is, x being [outer][reduced][inner]. BEATS(a, b) says that a is better than b, with a NaN better
 * than any number; of equal values the first is kept, because it is not beaten.
 */

static __global const float *row_of(__global const float *x, int o, int reduced, int inner)
{
	return x + (size_t)(o / inner) * reduced * inner + o % inner;
}

/* found[chunk][o]: the position of the best value of one chunk. */
__kernel void find(__global const float *x, ulong x_offset, __global int *found, ulong found_offset, int reduced,
		   int inner, int chunk, int outputs, int n)
{
	GLOBAL_ID(id, n);
	const int from = id / outputs * chunk, to = reduced - from < chunk ? reduced : from + chunk;
	int best = from;

	x = row_of(x + x_offset, id % outputs, reduced, inner);
	float top = x[(size_t)from * inner];

	for (int r = from + 1; r < to; r++) {
		const float v = x[(size_t)r * inner];

		if (BEATS(v, top)) {
			top = v;
			best = r;
		}
	}
	found[found_offset + id] = best;
}

__kernel void find_of_found(__global const float *x, ulong x_offset, __global const int *found, ulong found_offset,
			    __global int *y, ulong y_offset, int reduced, int inner, int chunks, int outputs)
{
	GLOBAL_ID(o, outputs);
	x = row_of(x + x_offset, o, reduced, inner);
	found += found_offset + o;
	int best = found[0];

	for (int c = 1; c < chunks; c++) {
		const int r = found[(size_t)c * outputs];

		if (BEATS(x[(size_t)r * inner], x[(size_t)best * inner]))
			best = r;
	}
	y[y_offset + o] = best;
}
