/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initializers that scale with the shape, so that signals keep their variance from layer to layer: Glorot and Bengio
 * 2010 (xavier), He et al. 2015 (kaiming), LeCun et al. 1998 (lecun). Everything is computed in double and rounded
 * once, as PyTorch does, so the bounds are PyTorch's to the last bit or the one before.
 */
#include <float.h>
#include <math.h>

#include "init_internal.h"

/* NaN for a value that is no nonlinearity. */
static double gain_of(clef_nonlinearity nonlinearity, double a)
{
	switch (nonlinearity) {
	case CLEF_NONLINEARITY_LEAKY_RELU:
		return sqrt(2 / (1 + a * a));
	case CLEF_NONLINEARITY_RELU:
		return sqrt(2);
	case CLEF_NONLINEARITY_LINEAR:
	case CLEF_NONLINEARITY_SIGMOID:
		return 1;
	case CLEF_NONLINEARITY_TANH:
		return 5.0 / 3;
	case CLEF_NONLINEARITY_SELU:
		return 0.75;
	}
	return NAN;
}

clef_status clef_nonlinearity_parse(const char *name, clef_nonlinearity *nonlinearity)
{
	static const struct {
		const char *name;
		clef_nonlinearity value;
	} rows[] = {
		{ "leaky_relu", CLEF_NONLINEARITY_LEAKY_RELU },
		{ "relu", CLEF_NONLINEARITY_RELU },
		{ "linear", CLEF_NONLINEARITY_LINEAR },
		{ "conv1d", CLEF_NONLINEARITY_LINEAR },
		{ "conv2d", CLEF_NONLINEARITY_LINEAR },
		{ "conv3d", CLEF_NONLINEARITY_LINEAR },
		{ "conv_transpose1d", CLEF_NONLINEARITY_LINEAR },
		{ "conv_transpose2d", CLEF_NONLINEARITY_LINEAR },
		{ "conv_transpose3d", CLEF_NONLINEARITY_LINEAR },
		{ "sigmoid", CLEF_NONLINEARITY_SIGMOID },
		{ "tanh", CLEF_NONLINEARITY_TANH },
		{ "selu", CLEF_NONLINEARITY_SELU },
	};

	if (!name || !nonlinearity)
		return clef__fail(CLEF_ERROR_INVALID, "clef_nonlinearity_parse: %s is NULL",
				  name ? "nonlinearity" : "name");
	for (int i = 0; i < CLEF_COUNT(rows); i++)
		if (!strcmp(name, rows[i].name)) {
			*nonlinearity = rows[i].value;
			return CLEF_OK;
		}
	return clef__fail(CLEF_ERROR_INVALID,
			  "clef_nonlinearity_parse: \"%s\", expected linear, conv1d, conv2d, conv3d, conv_transpose1d, "
			  "conv_transpose2d, conv_transpose3d, sigmoid, tanh, relu, leaky_relu or selu",
			  name);
}

float clef_calculate_gain(clef_nonlinearity nonlinearity, float a)
{
	return (float)gain_of(nonlinearity, (double)a);
}

static clef_status find_fans(const char *what, clef_shape shape, int64_t *fan_in, int64_t *fan_out)
{
	clef_shape kernel = { .ndim = shape.ndim - 2 };
	int64_t positions;

	if (shape.ndim < 2 || clef_shape_numel(shape) < 0)
		return clef__fail(CLEF_ERROR_SHAPE, "%s: shape %s has no fans, expected weights [out, in, kernel...]",
				  what, CLEF__SHAPE_TEXT(shape));
	memcpy(kernel.dim, shape.dim + 2, (size_t)kernel.ndim * sizeof(*kernel.dim));
	positions = clef_shape_numel(kernel);
	if (positions < 0)
		return clef__fail(CLEF_ERROR_SHAPE, "%s: the fans of shape %s exceed all bounds", what,
				  CLEF__SHAPE_TEXT(shape));
	*fan_in = shape.dim[1] * positions;
	*fan_out = shape.dim[0] * positions;
	return CLEF_OK;
}

clef_status clef_calculate_fan(clef_shape shape, int64_t *fan_in, int64_t *fan_out)
{
	int64_t in = 0, out = 0;
	clef_status status = find_fans("clef_calculate_fan", shape, &in, &out);

	if (status)
		return status;
	if (fan_in)
		*fan_in = in;
	if (fan_out)
		*fan_out = out;
	return CLEF_OK;
}

/* The fans of a tensor that is to be filled: 0 would make the bounds infinite. */
static clef_status check_fans(const char *what, const clef_tensor *x, const clef_rng *rng, int64_t *in, int64_t *out)
{
	clef_status status = clef__init_check(what, x, rng);

	if (!status)
		status = find_fans(what, x->shape, in, out);
	if (!status && (!*in || !*out))
		status = clef__fail(CLEF_ERROR_SHAPE, "%s: shape %s has fan_in %lld and fan_out %lld, expected no 0",
				    what, CLEF__SHAPE_TEXT(x->shape), (long long)*in, (long long)*out);
	return status;
}

static clef_status xavier_std(const char *what, const clef_tensor *x, float gain, const clef_rng *rng, double *std)
{
	int64_t in = 0, out = 0;
	clef_status status = check_fans(what, x, rng, &in, &out);

	if (status)
		return status;
	if (!(gain >= 0) || gain > FLT_MAX / 4)
		return clef__fail(CLEF_ERROR_INVALID, "%s: gain %g, expected a positive number up to %g, or 0 for 1",
				  what, (double)gain, (double)(FLT_MAX / 4));
	*std = (gain > 0 ? (double)gain : 1) * sqrt(2.0 / (double)(in + out));
	return CLEF_OK;
}

static clef_status kaiming_std(const char *what, const clef_tensor *x, const clef_kaiming_opts *opts,
			       const clef_rng *rng, double *std)
{
	const clef_kaiming_opts o = opts ? *opts : (clef_kaiming_opts){ 0 };
	const double gain = gain_of(o.nonlinearity, (double)o.a);
	int64_t in = 0, out = 0;
	clef_status status = check_fans(what, x, rng, &in, &out);

	if (status)
		return status;
	if (o.mode != CLEF_FAN_IN && o.mode != CLEF_FAN_OUT)
		return clef__fail(CLEF_ERROR_INVALID, "%s: fan mode %d, expected CLEF_FAN_IN or CLEF_FAN_OUT", what,
				  (int)o.mode);
	if (!isfinite(o.a))
		return clef__fail(CLEF_ERROR_INVALID, "%s: slope a %g, expected a finite number", what, (double)o.a);
	if (isnan(gain))
		return clef__fail(CLEF_ERROR_INVALID, "%s: nonlinearity %d, expected a CLEF_NONLINEARITY_ value", what,
				  (int)o.nonlinearity);
	*std = gain / sqrt((double)(o.mode == CLEF_FAN_IN ? in : out));
	return CLEF_OK;
}

/* A uniform distribution on [-a, a) has the standard deviation a / sqrt(3). */
static clef_status fill_uniform(clef_tensor *x, double std, clef_rng *rng)
{
	const float bound = (float)(sqrt(3) * std);

	return clef_init_uniform(x, -bound, bound, rng);
}

clef_status clef_init_xavier_uniform(clef_tensor *x, float gain, clef_rng *rng)
{
	double std = 0;
	clef_status status = xavier_std("clef_init_xavier_uniform", x, gain, rng, &std);

	return status ? status : fill_uniform(x, std, rng);
}

clef_status clef_init_xavier_normal(clef_tensor *x, float gain, clef_rng *rng)
{
	double std = 0;
	clef_status status = xavier_std("clef_init_xavier_normal", x, gain, rng, &std);

	return status ? status : clef_init_normal(x, 0, (float)std, rng);
}

clef_status clef_init_kaiming_uniform(clef_tensor *x, const clef_kaiming_opts *opts, clef_rng *rng)
{
	double std = 0;
	clef_status status = kaiming_std("clef_init_kaiming_uniform", x, opts, rng, &std);

	return status ? status : fill_uniform(x, std, rng);
}

clef_status clef_init_kaiming_normal(clef_tensor *x, const clef_kaiming_opts *opts, clef_rng *rng)
{
	double std = 0;
	clef_status status = kaiming_std("clef_init_kaiming_normal", x, opts, rng, &std);

	return status ? status : clef_init_normal(x, 0, (float)std, rng);
}

static clef_status lecun_std(const char *what, const clef_tensor *x, const clef_rng *rng, double *std)
{
	return kaiming_std(what, x, &(clef_kaiming_opts){ .nonlinearity = CLEF_NONLINEARITY_LINEAR }, rng, std);
}

clef_status clef_init_lecun_uniform(clef_tensor *x, clef_rng *rng)
{
	double std = 0;
	clef_status status = lecun_std("clef_init_lecun_uniform", x, rng, &std);

	return status ? status : fill_uniform(x, std, rng);
}

clef_status clef_init_lecun_normal(clef_tensor *x, clef_rng *rng)
{
	double std = 0;
	clef_status status = lecun_std("clef_init_lecun_normal", x, rng, &std);

	return status ? status : clef_init_normal(x, 0, (float)std, rng);
}
