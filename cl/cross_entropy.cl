/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-entropy of logits [rows][classes] against labels, and the score of the largest logit. A work-item is a row. */

/* loss[row] = log(sum(exp(x - largest))) - (x[label] - largest). stats keeps the maxima of all rows, then the
 * logarithms of their sums: added up, they would lose the digits that a small loss is made of. */
__kernel void cross_entropy(__global const float *x, ulong x_offset, __global const int *labels, ulong labels_offset,
			    __global float *loss, ulong loss_offset, __global float *stats, ulong stats_offset,
			    int classes, int rows)
{
	GLOBAL_ID(row, rows);
	x += x_offset + (size_t)row * classes;
	const int label = labels[labels_offset + row];
	float largest = x[0], sum = 0.0f;

	for (int c = 1; c < classes; c++)
		largest = x[c] > largest ? x[c] : largest;
	/* A row of minus infinity: exp(-inf + inf) would be right neither here nor in the gradient. */
	largest = largest == -INFINITY ? 0.0f : largest;
	for (int c = 0; c < classes; c += 16) {
		float lane[16];

		/* Sixteen exponentials take little longer than one; that of minus infinity is 0. */
		for (int j = 0; j < 16; j++)
			lane[j] = c + j < classes ? x[c + j] - largest : -INFINITY;
		sum += sum16(exp(vload16(0, lane)));
	}
	const float log_sum = log(sum);

	stats += stats_offset + row;
	stats[0] = largest;
	stats[rows] = log_sum;
	loss[loss_offset + row] = label >= 0 && label < classes ? log_sum - (x[label] - largest) : NAN;
}

/* dx = accumulate dx + dy / rows (softmax(x) - [class is label]). */
__kernel void cross_entropy_backward(__global const float *x, ulong x_offset, __global const int *labels,
				     ulong labels_offset, __global const float *stats, ulong stats_offset,
				     __global const float *dy, ulong dy_offset, __global float *dx, ulong dx_offset,
				     float accumulate, int classes, int rows, int n)
{
	GLOBAL_ID(i, n);
	const int row = i / classes, c = i % classes, label = labels[labels_offset + row];
	const float largest = stats[stats_offset + row], log_sum = stats[stats_offset + rows + row];
	const float softmax = exp((x[x_offset + i] - largest) - log_sum);
	const float slope = label >= 0 && label < classes ? softmax - (c == label ? 1.0f : 0.0f) : NAN;
	const float term = dy[dy_offset] / (float)rows * slope;

	dx += dx_offset + i;
	*dx = accumulate == 0.0f ? term : fma(accumulate, *dx, term);
}

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
