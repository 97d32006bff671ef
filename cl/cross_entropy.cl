/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-entropy of logits [rows][classes] against labels, and the score of the largest logit. A work-item is a row. */
#include "divide.clh"
#include "rows.clh"

/* loss[row] = log(sum(exp(x - largest))) - (x[label] - largest). stats keeps the maxima of all rows, then the
 * logarithms of their sums: added up, they would lose the digits that a small loss is made of. */
__kernel void cross_entropy(__global const float *in, ulong in_offset, __global const int *labels, ulong labels_offset,
			    __global float *loss, ulong loss_offset, __global float *stats, ulong stats_offset,
			    int classes, int rows)
{
	GLOBAL_ID(row, rows);
	in += in_offset + (size_t)row * classes;
	const int label = labels[labels_offset + row];
	float16 most = -INFINITY, sums = 0.0f;

	EACH_VECTOR(classes, most = fmax(most, LOAD_ROW(in, -INFINITY));)
	/* A row of minus infinity: exp(-inf + inf) would be right neither here nor in the gradient. */
	const float largest = largest_lane(most) == -INFINITY ? 0.0f : largest_lane(most);

	EACH_VECTOR(classes, sums += exp(LOAD_ROW(in, -INFINITY) - largest);)
	const float log_sum = log(sum16(sums));

	stats += stats_offset + row;
	stats[0] = largest;
	stats[rows] = log_sum;
	loss[loss_offset + row] = label >= 0 && label < classes ? log_sum - (in[label] - largest) : NAN;
}

/* dx = accumulate dx + dy / rows (softmax(x) - [class is label]). A work-item is an element. */
__kernel void cross_entropy_backward(__global const float *x, ulong x_offset, __global const int *labels,
				     ulong labels_offset, __global const float *stats, ulong stats_offset,
				     __global const float *dy, ulong dy_offset, __global float *dx, ulong dx_offset,
				     float accumulate, int classes, ulong by_classes, int rows, int n)
{
	GLOBAL_ID(i, n);
	const int row = divide(i, by_classes), c = i - row * classes, label = labels[labels_offset + row];
	const float largest = stats[stats_offset + row], log_sum = stats[stats_offset + rows + row];
	const float softmax = exp((x[x_offset + i] - largest) - log_sum);
	const float slope = label >= 0 && label < classes ? softmax - (c == label ? 1.0f : 0.0f) : NAN;
	const float term = dy[dy_offset] / (float)rows * slope;

	dx += dx_offset + i;
	*dx = accumulate == 0.0f ? term : fma(accumulate, *dx, term);
}

#ifdef DEVICE_IS_CPU
/* The same, of a whole row. */
__kernel void cross_entropy_backward_rows(__global const float *in, ulong in_offset, __global const int *labels,
					  ulong labels_offset, __global const float *stats, ulong stats_offset,
					  __global const float *dy, ulong dy_offset, __global float *dx, ulong dx_offset,
					  float accumulate, int classes, int rows)
{
	GLOBAL_ID(row, rows);
	const int label = labels[labels_offset + row];
	const bool valid = label >= 0 && label < classes;
	const float largest = stats[stats_offset + row], log_sum = stats[stats_offset + rows + row];
	const float scale = valid ? dy[dy_offset] / (float)rows : NAN;
	float of_label = 0.0f;

	in += in_offset + (size_t)row * classes;
	dx += dx_offset + (size_t)row * classes;
	if (valid) {
		of_label = scale * (exp((in[label] - largest) - log_sum) - 1.0f);
		if (accumulate != 0.0f)
			of_label = fma(accumulate, dx[label], of_label);
	}
	EACH_VECTOR(classes, {
		float16 term = scale * exp((LOAD_ROW(in, -INFINITY) - largest) - log_sum);

		if (accumulate != 0.0f)
			term = fma((float16)accumulate, LOAD_ROW(dx, 0.0f), term);
		STORE_ROW(dx, term);
	})
	if (valid)
		dx[label] = of_label;
}
#endif

/* score[row] = 1 if the first of the largest logits is the label's; a NaN is larger than any number. */
__kernel void accuracy(__global const float *x, ulong x_offset, __global const int *labels, ulong labels_offset,
		       __global float *score, ulong score_offset, __global const float *unused, ulong unused_offset,
		       int classes, int rows)
{
	GLOBAL_ID(row, rows);
	int best = 0;

	x += x_offset + (size_t)row * classes;
	for (int c = 1; c < classes; c++)
		if (x[c] > x[best] || (x[c] != x[c] && x[best] == x[best]))
			best = c;
	score[score_offset + row] = best == labels[labels_offset + row] ? 1.0f : 0.0f;
}
