/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise layers as ONNX. What has no operator there is made of several, by the formula in pointwise.def. */
#include "onnx_internal.h"

/* Parameter 0 or 1, or its default. */
static float parameter(const clef__onnx_job *j, int i)
{
	static const float zeros[2];
	const float values[2] = { j->layer->p, j->layer->q };

	if (!memcmp(values, zeros, sizeof(zeros)))
		return clef__layer_type_of(j->layer->kind)->field[i].preset;
	return values[i] + 0.0f;
}

static const char *with_alpha(const clef__onnx_job *j, const char *op, const char *x)
{
	clef__onnx_float(j->g, "alpha", parameter(j, 0));
	return un(j, op, x);
}

static const char *clip(const clef__onnx_job *j, const char *x, float low, float high)
{
	return clef__onnx_node(j->g, "Clip", (const char *const[]){ x, number(j, low), number(j, high) }, 3);
}

static const char *gelu(const clef__onnx_job *j, const char *approximate, const char *x)
{
	clef__onnx_text(j->g, "approximate", approximate);
	return un(j, "Gelu", x);
}

/* log(1 + exp(beta x)) / beta, which is x to the last bit or so from any usual threshold on. */
static const char *softplus(const clef__onnx_job *j, const char *x)
{
	const float beta = parameter(j, 0);

	if (parameter(j, 1) < 15)
		return clef__onnx_refuse(j, "a threshold below 15");
	return bin(j, "Div", un(j, "Softplus", bin(j, "Mul", x, number(j, beta))), number(j, beta));
}

static const char *shrink(const clef__onnx_job *j, const char *x, float bias)
{
	clef__onnx_float(j->g, "lambd", parameter(j, 0));
	clef__onnx_float(j->g, "bias", bias);
	return un(j, "Shrink", x);
}

static const char *threshold(const clef__onnx_job *j, const char *x)
{
	const char *above = bin(j, "Greater", x, number(j, parameter(j, 0)));

	return clef__onnx_node(j->g, "Where", (const char *const[]){ above, x, number(j, parameter(j, 1)) }, 3);
}

const char *clef__onnx_pointwise(const clef__onnx_job *j, const char *x)
{
	switch (j->layer->kind) {
	case CLEF_RELU:
		return un(j, "Relu", x);
	case CLEF_LEAKY_RELU:
		return with_alpha(j, "LeakyRelu", x);
	case CLEF_ELU:
		return with_alpha(j, "Elu", x);
	case CLEF_SELU:
		return un(j, "Selu", x);
	case CLEF_CELU:
		return with_alpha(j, "Celu", x);
	case CLEF_GELU:
		return gelu(j, "none", x);
	case CLEF_GELU_TANH:
		return gelu(j, "tanh", x);
	case CLEF_SIGMOID:
		return un(j, "Sigmoid", x);
	case CLEF_TANH:
		return un(j, "Tanh", x);
	case CLEF_SOFTPLUS:
		return softplus(j, x);
	case CLEF_SOFTSIGN:
		return un(j, "Softsign", x);
	case CLEF_SILU:
		return bin(j, "Mul", x, un(j, "Sigmoid", x));
	case CLEF_MISH:
		return un(j, "Mish", x);
	case CLEF_HARDTANH:
	case CLEF_CLAMP:
		return clip(j, x, parameter(j, 0), parameter(j, 1));
	case CLEF_RELU6:
		return clip(j, x, 0, 6);
	case CLEF_HARDSIGMOID:
		clef__onnx_float(j->g, "alpha", 1.0f / 6);
		return un(j, "HardSigmoid", x);
	case CLEF_HARDSWISH:
		return un(j, "HardSwish", x);
	case CLEF_TANHSHRINK:
		return bin(j, "Sub", x, un(j, "Tanh", x));
	case CLEF_SOFTSHRINK:
		return shrink(j, x, parameter(j, 0));
	case CLEF_HARDSHRINK:
		return shrink(j, x, 0);
	case CLEF_LOGSIGMOID:
		return un(j, "Neg", un(j, "Softplus", un(j, "Neg", x)));
	case CLEF_THRESHOLD:
		return threshold(j, x);
	case CLEF_EXP:
		return un(j, "Exp", x);
	case CLEF_LOG:
		return un(j, "Log", x);
	case CLEF_SQRT:
		return un(j, "Sqrt", x);
	case CLEF_RSQRT:
		return un(j, "Reciprocal", un(j, "Sqrt", x));
	case CLEF_ABS:
		return un(j, "Abs", x);
	case CLEF_NEG:
		return un(j, "Neg", x);
	case CLEF_SQUARE:
		return bin(j, "Mul", x, x);
	case CLEF_RECIPROCAL:
		return un(j, "Reciprocal", x);
	case CLEF_SIN:
		return un(j, "Sin", x);
	case CLEF_COS:
		return un(j, "Cos", x);
	case CLEF_POW:
		return bin(j, "Pow", x, number(j, parameter(j, 0)));
	case CLEF_ADD_SCALAR:
		return bin(j, "Add", x, number(j, parameter(j, 0)));
	case CLEF_MUL_SCALAR:
		return bin(j, "Mul", x, number(j, parameter(j, 0)));
	default:
		return clef__onnx_refuse(j, "it has no counterpart here yet");
	}
}
