/* SPDX-License-Identifier: Apache-2.0 */
/* The weights as cl/conv_cpu.cl reads them. MR comes from the host. */
#include "conv_cpu.clh"

/* Transposes `rows` rows of `depth`, `step` apart. */
static void pack_rows(__global const float *w, int step, int rows, int depth, __global float *packed)
{
	for (int l = 0; l < depth; l++, w++, packed += MR)
		for (int k = 0; k < MR; k++)
			packed[k] = k < rows ? w[(size_t)k * step] : 0.0f;
}

/* A work-item packs one panel of one phase. w has the element of (channel of y, channel of x, r, s), in its group, at
 * m * step_m + c * step_c + r * s_size + s; where it is turned, from the end of both. */
__kernel void conv_cpu_pack(__global const float *w, ulong w_offset, ulong group_step, int step_m, int step_c,
                            int turned, __global const float *bias, ulong bias_offset, int has_bias,
                            __global float *packed, ulong packed_offset, int8 size, int8 window, int8 copy,
                            int8 block, int items)
{
	GLOBAL_ID(id, items);
	const shape t = unpack(size, window, copy, block);
	const int phases = t.phases_h * t.phases_w, blocks = max((t.c + t.channels - 1) / t.channels, 1);
	const int p = id % t.panels, f = id / t.panels % phases, cb = id / t.panels / phases % blocks;
	const int group = id / t.panels / phases / blocks, a = f / t.phases_w, b = f % t.phases_w;
	const int c0 = cb * t.channels, channels = min(t.channels, t.c - c0), m0 = p * MR, rows = min(MR, t.m - m0);
	const int r1 = last_tap(a, t.phases_h, t.pad_top), s1 = last_tap(b, t.phases_w, t.pad_left);
	const int taps_h = count_taps(a, t.phases_h, t.pad_top, t.r);
	const int taps_w = count_taps(b, t.phases_w, t.pad_left, t.s);
	size_t before = (size_t)group * (phases * blocks + t.c * t.r * t.s) + (size_t)cb * phases +
	                (size_t)c0 * t.r * t.s + f;

	for (int i = 0; i < f; i++)
		before += (size_t)channels * count_taps(i / t.phases_w, t.phases_h, t.pad_top, t.r) *
		          count_taps(i % t.phases_w, t.phases_w, t.pad_left, t.s);
	packed += packed_offset + (before * t.panels + (size_t)p * (1 + channels * taps_h * taps_w)) * MR;
	w += w_offset + group * group_step + (size_t)m0 * step_m + (size_t)c0 * step_c;
	for (int i = 0; i < MR; i++)
		packed[i] = has_bias && cb == 0 && i < rows ? bias[bias_offset + group * t.m + m0 + i] : 0.0f;
	packed += MR;
	if (turned) {
		pack_rows(w, step_m, rows, channels * taps_h * taps_w, packed);
		return;
	}
	for (int c = 0; c < channels; c++, w += step_c)
		for (int i = taps_h - 1; i >= 0; i--)
			for (int j = taps_w - 1; j >= 0; j--, packed += MR) {
				__global const float *from = w + (r1 + i * t.phases_h) * t.s + s1 + j * t.phases_w;

				for (int k = 0; k < rows; k++)
					packed[k] = from[k * step_m];
				for (int k = rows; k < MR; k++)
					packed[k] = 0.0f;
			}
}
