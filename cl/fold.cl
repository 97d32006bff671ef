/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reductions by expression: TERM, COMBINE_*, FINISH and GRADIENT come from the rows of an operation, as
 * src/tensor/fold.h says. S and T read the values that belong to the result `o`, and only where an expression names
 * them.
 */
#include "runs.clh"

#define S s[o]
#define T s[outputs + o]

#ifdef TERM

#if defined(COMBINE_SUM)
#define START         0.0f
#define COMBINE(a, b) ((a) + (b))
#elif defined(COMBINE_MAX) /* a NaN wins, and stays */
#define START         (-INFINITY)
#define COMBINE(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))
#elif defined(COMBINE_MIN)
#define START         INFINITY
#define COMBINE(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))
#endif

#define LANES 16

/* Where index i over sizes[0..3] leads with the strides behind them. */
static int element(int i, int8 dims)
{
	int at = i % dims.s0 * dims.s4;

	i /= dims.s0;
	at += i % dims.s1 * dims.s5;
	i /= dims.s1;
	return at + i % dims.s2 * dims.s6 + i / dims.s2 * dims.s7;
}

/* y[chunk][o] = alpha * the fold of the chunk. Consecutive values go into sixteen results side by side. */
__kernel void fold(__global const float *in, ulong in_offset, __global const float *second, ulong second_offset,
		   __global const float *s, ulong s_offset, __global float *out, ulong out_offset, float p, float alpha,
		   int total, int chunk, int outputs, int n, int8 kept, int8 reduced)
{
	GLOBAL_ID(id, n);
	const int o = id % outputs, from = id / outputs * chunk;
	const int to = total - from < chunk ? total : from + chunk;
	const int start = element(o, kept), stride = reduced.s4;
	float lanes[LANES], result = START;

	s += s_offset;
	for (int j = 0; j < LANES; j++)
		lanes[j] = START;
	for (int r = from; r < to;) {
		const int count = min(reduced.s0 - r % reduced.s0, to - r);
		const int at = start + element(r, reduced);
		__global const float *a = in + in_offset + at, *b = second + second_offset + at;
		int i = 0;

		if (stride == 1)
			for (; i + LANES <= count; i += LANES)
				for (int j = 0; j < LANES; j++) {
					const float x = a[i + j];
#define Z b[i + j]
					const float term = TERM;
#undef Z

					lanes[j] = COMBINE(lanes[j], term);
				}
		for (; i < count; i++) {
			const float x = a[(size_t)i * stride];
#define Z b[(size_t)i * stride]
			const float term = TERM;
#undef Z

			result = COMBINE(result, term);
		}
		r += count;
	}
	for (int j = 0; j < LANES; j++)
		result = COMBINE(result, lanes[j]);
	out[out_offset + id] = alpha * result;
}

#endif

#ifdef FINISH

__kernel void fold_finish(__global const float *s, ulong s_offset, __global float *out, ulong out_offset, float p,
			  int n)
{
	GLOBAL_ID(o, n);
	const float y = out[out_offset + o];

	s += s_offset;
	out[out_offset + o] = FINISH;
}

#endif

#ifdef GRADIENT

__kernel void fold_backward(__global const float *in, ulong in_offset, __global const float *second,
			    ulong second_offset, __global const float *out, ulong out_offset,
			    __global const float *dout, ulong dout_offset, __global const float *s, ulong s_offset,
			    __global float *din, ulong din_offset, float p, float accumulate, int outputs, int8 cut,
			    int8 size, int8 step, int items)
{
	GLOBAL_ID(id, items);
	const run r = find_run(id, cut, size, step, step);

	in += in_offset + r.start;
	second += second_offset + r.start;
	out += out_offset;
	dout += dout_offset;
	s += s_offset;
	din += din_offset + r.start;
#define Z second[i]
	EACH_OF_RUN(r, step.s0, 1, const int o = r.x + at_x; const float x = in[i]; const float y = out[o];
	            const float dy = dout[o]; const float term = GRADIENT;

	            din[i] = accumulate == 0.0f ? term : fma(accumulate, din[i], term);)
#undef Z
}

#endif
