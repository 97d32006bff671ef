/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pointwise operation of one operand: VALUE is y as an expression of x, GRADIENT is dx as an expression of x, y and
 * dy, and PARAMETERS declares the names that both may use besides. The rows are in pointwise.def.
 */

#define SELU_ALPHA   1.6732632423543772848170429916717f
#define SELU_SCALE   1.0507009873554804934193349852946f
#define INV_SQRT_2PI 0.39894228040143267794f

static float logistic(float x)
{
	return 1.0f / (1.0f + exp(-x));
}

/* sqrt(2 / pi) (x + 0.044715 x^3). With it gelu's (1 + tanh(t)) / 2 is logistic(2 t), which has no cancellation. */
static float gelu_inner(float x)
{
	return 0.79788456080286535588f * (x + 0.044715f * x * x * x);
}

/* Beyond +-10 the logistic is 0 or 1 to the last bit; its slope is 0 there, but the inner slope overflows. */
static float gelu_tanh_slope(float x)
{
	const float s = logistic(2.0f * gelu_inner(x)), t = clamp(x, -10.0f, 10.0f);
	const float inner = 0.79788456080286535588f * (1.0f + 3.0f * 0.044715f * t * t);

	return s + 2.0f * t * s * (1.0f - s) * inner;
}

static float silu_slope(float x)
{
	const float s = logistic(x);

	return s * (1.0f + x * (1.0f - s));
}

/* tanh(log(1 + e^x)) is n / (n + 2) with n = e^x (e^x + 2); one less that is 2 / (n + 2), without cancellation. From 20
 * on it is 1 to the last bit. */
static float mish_tanh(float x)
{
	const float e = exp(fmin(x, 20.0f)), n = e * (e + 2.0f);

	return n / (n + 2.0f);
}

static float mish_slope(float x)
{
	const float t = fmin(x, 20.0f), e = exp(t), n = e * (e + 2.0f), y = n / (n + 2.0f);

	return x != x ? x : y + t * logistic(t) * 2.0f / (n + 2.0f) * (1.0f + y);
}

__kernel void unary_forward(__global const float *in, ulong in_offset, __global float *out, ulong out_offset, float p_,
                            float q_, int n)
{
	GLOBAL_ID(i, n);
	PARAMETERS
	const float x = in[in_offset + i];

	out[out_offset + i] = VALUE;
}

__kernel void unary_backward(__global const float *in, ulong in_offset, __global const float *out, ulong out_offset,
                             __global const float *dout, ulong dout_offset, __global float *din, ulong din_offset,
                             float p_, float q_, float accumulate, int n)
{
	GLOBAL_ID(i, n);
	const float before = accumulate == 0.0f ? 0.0f : accumulate * din[din_offset + i];
	float term;
	{
		PARAMETERS
		const float x = in[in_offset + i];
		const float y = out[out_offset + i];
		const float dy = dout[dout_offset + i];

		term = GRADIENT;
	}
	din[din_offset + i] = before + term;
}
