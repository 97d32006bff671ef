/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cross-entropy of x [n][classes][inner] against labels [n][inner] (LABELS) or probabilities of the shape of x. x holds
 * logits (FROM_LOGITS) or log-probabilities. saved keeps three numbers of each row, the first of all rows before the
 * second of all: its maximum, the logarithm of its sum of exponentials less that, and the sum of its target masses. The
 * first two are 0 with log-probabilities.
 */
#include "rows.clh"

#if LABELS
typedef int target_type;
#else
typedef float target_type;
#endif

static float weight_of(__global const float *weight, int weighted, int c)
{
	return weighted ? weight[c] : 1.0f;
}

/* Neighbouring logits sixteen at a time; behind the end of a row is nothing that counts. */
static float largest_of(__global const float *x, int classes, int inner)
{
	float largest = x[0];

	if (inner == 1) {
		float16 most = -INFINITY;

		EACH_VECTOR(classes, most = fmax(most, LOAD_ROW(x, -INFINITY));)
		return largest_lane(most);
	}
	for (int c = 1; c < classes; c++)
		largest = x[(size_t)c * inner] > largest ? x[(size_t)c * inner] : largest;
	return largest;
}

static float log_sum_of(__global const float *x, int classes, int inner, float largest)
{
	float sum = 0.0f;

	if (inner == 1) {
		float16 sums = 0.0f;

		EACH_VECTOR(classes, sums += exp(LOAD_ROW(x, -INFINITY) - largest);)
		return log(sum16(sums));
	}
	for (int c = 0; c < classes; c++)
		sum += exp(x[(size_t)c * inner] - largest);
	return log(sum);
}

/* share[row]: what the row counts in the mean. */
__kernel void class_loss(__global const float *x, ulong x_offset, __global const target_type *target,
			 ulong target_offset, __global const float *weight, ulong weight_offset, __global float *loss,
			 ulong loss_offset, __global float *share, ulong share_offset, __global float *saved,
			 ulong saved_offset, int weighted, float smoothing, int ignore, int classes, int inner,
			 int rows)
{
	GLOBAL_ID(row, rows);
	const size_t first = (size_t)(row / inner) * classes * inner + row % inner;
	const float spread = smoothing / (float)classes;
	float sum = 0.0f, mass = 0.0f, counts = 1.0f;

	x += x_offset + first;
	weight += weight_offset;
#if FROM_LOGITS
	const float largest = largest_of(x, classes, inner), log_sum = log_sum_of(x, classes, inner, largest);
#else
	const float largest = 0.0f, log_sum = 0.0f;
#endif
#if LABELS
	const int label = target[target_offset + row];

	if (label == ignore) {
		counts = 0.0f;
	} else if (label < 0 || label >= classes) {
		sum = mass = counts = NAN;
	} else {
		counts = weight_of(weight, weighted, label);
		mass = (1.0f - smoothing) * counts;
		sum = mass * (log_sum - (x[(size_t)label * inner] - largest));
		for (int c = 0; c < classes && smoothing > 0.0f; c++) {
			const float m = spread * weight_of(weight, weighted, c);

			mass += m;
			sum += m * (log_sum - (x[(size_t)c * inner] - largest));
		}
	}
#else
	target += target_offset + first;
	for (int c = 0; c < classes; c++) {
		const float t = (1.0f - smoothing) * target[(size_t)c * inner] + spread;
		const float m = t * weight_of(weight, weighted, c);

		mass += m;
		sum += m * (log_sum - (x[(size_t)c * inner] - largest));
	}
#endif
	loss[loss_offset + row] = sum;
	share[share_offset + row] = counts;
	saved += saved_offset + row;
	saved[0] = largest;
	saved[rows] = log_sum;
	saved[2 * (size_t)rows] = mass;
}

/* Sums to a mean; the divisor's inverse is for backward. */
__kernel void class_loss_divide(__global float *y, ulong y_offset, __global float *divisor, ulong divisor_offset)
{
	GLOBAL_ID(i, 1);
	const float d = divisor[divisor_offset];

	y[y_offset] /= d;
	divisor[divisor_offset] = 1.0f / d;
}

/* What the gradient of a row is multiplied with. reduction: 0 mean, 1 sum, 2 none. */
static float row_slope(__global const float *dy, __global const float *inverse, int reduction, int row)
{
	return reduction == 0 ? dy[0] * inverse[0] : reduction == 1 ? dy[0] : dy[row];
}

static void store(__global float *dx, float accumulate, float term)
{
	*dx = accumulate == 0.0f ? term : fma(accumulate, *dx, term);
}

#if LABELS
#define TARGET_OF(row, i) target[row]

/* The target mass of class c. The weight of a class without a share, which may be NaN, has no part in it. */
static float mass_of(int label, int c, int classes, int ignore, float smoothing, __global const float *weight,
		     int weighted)
{
	const float t = (1.0f - smoothing) * (c == label ? 1.0f : 0.0f) + smoothing / (float)classes;
	const bool valid = label >= 0 && label < classes;

	return label == ignore || (valid && t == 0.0f) ? 0.0f : valid ? t * weight_of(weight, weighted, c) : NAN;
}

/* A mean in which all are ignored is NaN, but none of them has a share in it. */
static float slope_of(int label, int ignore, float slope)
{
	return label == ignore ? 0.0f : slope;
}
#else
#define TARGET_OF(row, i) target[i]

static float mass_of(float target, int c, int classes, int ignore, float smoothing, __global const float *weight,
		     int weighted)
{
	return ((1.0f - smoothing) * target + smoothing / (float)classes) * weight_of(weight, weighted, c);
}

static float slope_of(float target, int ignore, float slope)
{
	return slope;
}
#endif

/* Times the masses of its row. */
#if FROM_LOGITS
#define SOFTMAX(x, largest, log_sum, mass) (exp(((x) - (largest)) - (log_sum)) * (mass))
#else
#define SOFTMAX(x, largest, log_sum, mass) 0.0f
#endif

/* A work-item has up to `span` neighbours: of a row where inner is 1, else of a class. BODY sees element i, its row and
 * its class c. */
#define EACH_OF_SPAN(BODY)                                                                                             \
	{                                                                                                              \
		const int along = inner == 1 ? classes : inner, spans = (along + span - 1) / span;                     \
		const int line = id / spans, start = id % spans * span, stop = min(along, start + span);               \
		const int class_of_line = line % classes, row_of_line = line / classes * inner;                        \
                                                                                                                       \
		if (inner == 1)                                                                                        \
			for (int c = start; c < stop; c++) {                                                           \
				const int row = line, i = row * classes + c;                                           \
                                                                                                                       \
				BODY                                                                                   \
			}                                                                                              \
		else                                                                                                   \
			for (int j = start; j < stop; j++) {                                                           \
				const int c = class_of_line, row = row_of_line + j, i = line * inner + j;              \
                                                                                                                       \
				BODY                                                                                   \
			}                                                                                              \
	}

__kernel void class_loss_backward(__global const float *x, ulong x_offset, __global const target_type *target,
				  ulong target_offset, __global const float *weight, ulong weight_offset,
				  __global const float *saved, ulong saved_offset, __global const float *inverse,
				  ulong inverse_offset, __global const float *dy, ulong dy_offset,
				  __global float *restrict dx, ulong dx_offset, int weighted, float smoothing,
				  int ignore, int reduction, float accumulate, int classes, int inner, int rows,
				  int span, int items)
{
	GLOBAL_ID(id, items);
	x += x_offset;
	target += target_offset;
	weight += weight_offset;
	saved += saved_offset;
	inverse += inverse_offset;
	dy += dy_offset;
	dx += dx_offset;
	EACH_OF_SPAN({
		const float m = mass_of(TARGET_OF(row, i), c, classes, ignore, smoothing, weight, weighted);
		const float slope = slope_of(TARGET_OF(row, i), ignore, row_slope(dy, inverse, reduction, row));
		const float of_row = saved[2 * (size_t)rows + row];

		store(dx + i, accumulate, slope * (SOFTMAX(x[i], saved[row], saved[rows + row], of_row) - m));
	})
}

#if !LABELS
__kernel void class_loss_backward_target(__global const float *x, ulong x_offset, __global const target_type *target,
					 ulong target_offset, __global const float *weight, ulong weight_offset,
					 __global const float *saved, ulong saved_offset, __global const float *inverse,
					 ulong inverse_offset, __global const float *dy, ulong dy_offset,
					 __global float *restrict dx, ulong dx_offset, int weighted, float smoothing,
					 int ignore, int reduction, float accumulate, int classes, int inner, int rows,
					 int span, int items)
{
	GLOBAL_ID(id, items);
	x += x_offset;
	weight += weight_offset;
	saved += saved_offset;
	inverse += inverse_offset;
	dy += dy_offset;
	dx += dx_offset;
	EACH_OF_SPAN({
		const float w = (1.0f - smoothing) * weight_of(weight, weighted, c);

		store(dx + i, accumulate,
		      row_slope(dy, inverse, reduction, row) * w * (saved[rows + row] - (x[i] - saved[row])));
	})
}
#endif
