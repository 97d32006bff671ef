/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Update rules, one kernel each, over a range of the collated parameters: w the values, g the gradients, then the
 * rule's state. One work-item an element; this runs at the speed of memory on CPUs and GPUs. The host works out what
 * depends on the step alone, in double precision.
 */

/* The gradient with weight decay; without it w is left out, because 0 * w is not 0 for an infinite w. */
static float decayed(float g, float w, float weight_decay)
{
	return weight_decay != 0.0f ? g + weight_decay * w : g;
}

__kernel void sgd(__global float *w, ulong w_offset, __global const float *g, ulong g_offset, int n, float lr,
		  float weight_decay)
{
	GLOBAL_ID(i, n);

	w += w_offset;
	g += g_offset;
	w[i] -= lr * decayed(g[i], w[i], weight_decay);
}

/* keep and take: momentum and 1 - dampening, but 0 and 1 at the first step. */
__kernel void sgd_momentum(__global float *w, ulong w_offset, __global const float *g, ulong g_offset,
			   __global float *v, ulong v_offset, int n, float lr, float weight_decay, float momentum,
			   float keep, float take, float nesterov)
{
	GLOBAL_ID(i, n);
	float d, velocity;

	w += w_offset;
	g += g_offset;
	v += v_offset;
	d = decayed(g[i], w[i], weight_decay);
	velocity = keep * v[i] + take * d;
	v[i] = velocity;
	w[i] -= lr * (nesterov != 0.0f ? d + momentum * velocity : velocity);
}

/* step_size = lr / (1 - beta1^t), scale = 1 / sqrt(1 - beta2^t). */
__kernel void adam(__global float *w, ulong w_offset, __global const float *g, ulong g_offset, __global float *m,
		   ulong m_offset, __global float *v, ulong v_offset, int n, float step_size, float weight_decay,
		   float beta1, float one_minus_beta1, float beta2, float one_minus_beta2, float eps, float scale)
{
	GLOBAL_ID(i, n);
	float d, mean, square;

	w += w_offset;
	g += g_offset;
	m += m_offset;
	v += v_offset;
	d = decayed(g[i], w[i], weight_decay);
	mean = beta1 * m[i] + one_minus_beta1 * d;
	square = beta2 * v[i] + one_minus_beta2 * d * d;
	m[i] = mean;
	v[i] = square;
	w[i] -= step_size * mean / (sqrt(square) * scale + eps);
}
