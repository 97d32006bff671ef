/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Norms over the collated parameters, in two launches and without a wait: `measure` sums squares over chunks, none of
 * which has two parameters in it, and another kernel makes of the sums what the update reads. With DIRECTION, a
 * function of optim_rules.clh, the norms are those of the values and of the direction in which the rule goes; without
 * it that of the gradient.
 */
#include "optim.clh"
#include "optim_rules.clh"

/* starts[i] is the first block of chunk i; that of the one behind it is its end. */
__kernel void measure(__global const float *w, ulong w_offset, __global const float *g, ulong g_offset,
		      __global const float *s0, ulong s0_offset, __global const float *s1, ulong s1_offset,
		      __global const float *control, ulong control_offset, __global const int *starts,
		      ulong starts_offset, __global float *sums, ulong sums_offset, int n, NUMBERS)
{
	GLOBAL_ID(i, n);
	const int first = starts[starts_offset + i], end = starts[starts_offset + i + 1];
	GET_NUMBERS(c, k, PARAMETER(first));
	real squares = 0.0f, direction = 0.0f, bad = 0.0f;
	float factor = 1.0f;

	sums += sums_offset + PARTS * (ulong)i;
#ifdef CONTROL
	factor = control[control_offset + CONTROL_FACTOR];
#endif
	for (ulong at = (ulong)first * BLOCK; ACTIVE(c) != 0.0f && at < (ulong)end * BLOCK; at += LANES) {
		const real d = factor * gradient(g + g_offset + at, c);

#ifdef DIRECTION
		const real x = load_next(w + w_offset + at);
		real s[2];

#if STATES > 0
		s[0] = load_next(s0 + s0_offset + at);
#endif
#if STATES > 1
		s[1] = load_next(s1 + s1_offset + at);
#endif
		const real u = DIRECTION(x, d, s, k);

		squares += x * x;
		direction += u * u;
#else
		direction += d * d;
		bad += d - d;
#endif
	}
	sums[0] = SUM(squares);
	sums[1] = SUM(direction);
	sums[2] = SUM(bad);
}

/* One work-group. check: 0 ignores NaN and infinities, 1 skips the step, 2 also all steps after it. */
__kernel void finish_gradient(__global const float *sums, ulong sums_offset, __global float *control,
			      ulong control_offset, __local float *lane, int count, float clip_norm, int check)
{
	sums += sums_offset;
	control += control_offset;

	const float norm = sqrt(sum_up(sums, 1, 0, count, lane)), bad = sum_up(sums, 2, 0, count, lane);
	const float more = norm + 1e-6f;

	if (get_local_id(0))
		return;
	const bool stop = check == 2 && control[CONTROL_BAD] != 0.0f;

	control[CONTROL_NORM] = norm;
	control[CONTROL_FACTOR] = clip_norm == 0.0f || more <= clip_norm ? 1.0f : clip_norm / more;
	if (bad != bad)
		control[CONTROL_BAD] += 1.0f;
	control[CONTROL_SKIP] = check && (bad != bad || stop) ? 1.0f : 0.0f;
}

/* One work-group a parameter, the chunks of which start at first[parameter]. The ratio is
 * trust |w| / (|direction| + decay |w| + eps), where decay is the rule's first number or, without with_decay, 0; it is
 * 1 where one of the norms is 0 or NaN. */
__kernel void finish_ratio(__global const float *sums, ulong sums_offset, __global const int *first, ulong first_offset,
			   __global float *ratios, ulong ratios_offset, __local float *lane, int parameter, int chunk,
			   int with_decay, float trust, float eps, NUMBERS)
{
	const int i = parameter + (int)get_group_id(0);

	first += first_offset + i;
	sums += sums_offset;

	const int from = first[0] - chunk, count = first[1] - first[0];
	const float w = sqrt(sum_up(sums, 0, from, count, lane)), u = sqrt(sum_up(sums, 1, from, count, lane));

	if (get_local_id(0))
		return;
#ifdef TABLE
	const float number = table[table_offset + 16 * i + 8];
#else
	const float number = special.s0;
#endif
	const float decay = with_decay ? number : 0.0f;

	ratios[ratios_offset + i] = w > 0.0f && u > 0.0f ? trust * w / (u + decay * w + eps) : 1.0f;
}
