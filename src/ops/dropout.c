/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropout (Srivastava et al. 2014), of elements and of channels (Tompson et al. 2015). A mask is a draw of Philox, so
 * it is the same on every device, and backward draws it again from the seed and the counter in the node, which is
 * cheaper than to keep it.
 */
#include <math.h>

#include <clef/ops.h>

#include "divide.h"
#include "tape.h"

typedef struct dropout_opts {
	float p;
	bool channels; /* one draw for each channel */
	clef_rng rng;
} dropout_opts;

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const dropout_opts *opts = n->opts;
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);

	(void)dtype;
	*shape = n->x[0]->shape;
	if (!status && !(opts->p >= 0 && opts->p <= 1))
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "p is %g: 0 to 1 are allowed", (double)opts->p);
	if (!status && opts->channels && shape->ndim < 2)
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s, expected [n, channels, ...]",
				       CLEF__SHAPE_TEXT(*shape));
	return status;
}

/* Where the random numbers end that drop: u < p for u a multiple of 2^-24. */
static clef__arg threshold(const dropout_opts *opts)
{
	return (clef__arg)CLEF__UINT(ceil((double)opts->p * 0x1p24));
}

static clef__arg scale(const dropout_opts *opts)
{
	return (clef__arg)CLEF__FLOAT(opts->p < 1 ? 1 / (1 - opts->p) : 0);
}

/* A device that has vectors wants them spelled out, as for random numbers. */
static size_t vectors(const clef_device *dev, const char **defines)
{
	const bool wide = clef_device_get_info(dev)->float_vector > 1;

	*defines = wide ? "#define PHILOX_WIDTH 16\n" : "#define PHILOX_WIDTH 1\n";
	return wide ? 64 : 4;
}

static clef_status drop_elements(const dropout_opts *opts, const clef_tensor *x, float beta, const clef_tensor *y)
{
	clef__launch_opts launch = { .program = "dropout",
				     .kernel = "dropout",
				     .bytes = (beta != 0 ? 12.0 : 8.0) * (double)x->numel,
				     .args = { CLEF__TENSOR(x), CLEF__TENSOR(y), CLEF__FLOAT(beta), threshold(opts),
					       scale(opts), CLEF__ULONG(opts->rng.seed), CLEF__ULONG(opts->rng.counter),
					       CLEF__UINT(x->numel) } };
	const size_t values = vectors(x->dev, &launch.defines);

	launch.global[0] = ((size_t)x->numel + values - 1) / values;
	return clef__launch(x->dev, &launch);
}

static clef_status draw_factors(const dropout_opts *opts, const clef_tensor *factors)
{
	clef__launch_opts launch = { .program = "dropout",
				     .kernel = "dropout_factors",
				     .bytes = 4.0 * (double)factors->numel,
				     .args = { CLEF__TENSOR(factors), threshold(opts), scale(opts),
					       CLEF__ULONG(opts->rng.seed), CLEF__ULONG(opts->rng.counter),
					       CLEF__UINT(factors->numel) } };
	const size_t values = vectors(factors->dev, &launch.defines);

	launch.global[0] = ((size_t)factors->numel + values - 1) / values;
	return clef__launch(factors->dev, &launch);
}

static clef_status drop_channels(const clef__node *n, const clef_tensor *x, float beta, const clef_tensor *y)
{
	clef_tensor *factors = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(x->shape.dim[0], x->shape.dim[1]));
	const char *defines;
	clef_status status;

	if (!factors)
		return clef_error_status();
	vectors(x->dev, &defines);
	status = draw_factors(n->opts, factors);
	if (!status)
		status = clef__launch(
			x->dev,
			&(clef__launch_opts){
				.program = "dropout",
				.defines = defines,
				.kernel = "dropout_channels",
				.global = { (size_t)x->numel },
				.bytes = (beta != 0 ? 12.0 : 8.0) * (double)x->numel,
				.args = { CLEF__TENSOR(x), CLEF__TENSOR(factors), CLEF__TENSOR(y), CLEF__FLOAT(beta),
					  CLEF__DIVIDER(x->numel / factors->numel), CLEF__INT(x->numel) },
			});
	clef__scratch_free(factors);
	return status;
}

/* y = x times the mask + beta y. */
static clef_status drop(const clef__node *n, const clef_tensor *x, float beta, const clef_tensor *y)
{
	const dropout_opts *opts = n->opts;

	if (x->numel == 0)
		return CLEF_OK;
	return opts->channels ? drop_channels(n, x, beta, y) : drop_elements(opts, x, beta, y);
}

static clef_status forward(const clef__node *n)
{
	return drop(n, n->x[0], 0, n->y);
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	return dx->dx ? drop(n, dy, dx->beta, dx->dx) : CLEF_OK;
}

static clef_status identity_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	(void)n;
	return clef__pass_gradient(dy, dx);
}

static const clef__op dropout = { "dropout", infer, forward, backward, clef__in_place, clef__needs_nothing };
static const clef__op dropout_off = { "dropout", infer, NULL, identity_backward, clef__in_place };
static const clef__op dropout2d = { "dropout2d", infer, forward, backward, clef__in_place, clef__needs_nothing };
static const clef__op dropout2d_off = { "dropout2d", infer, NULL, identity_backward, clef__in_place };

static clef_tensor *apply(const clef__op *on, const clef__op *off, clef_tensor *x, float p, bool training,
			  clef_rng *rng)
{
	dropout_opts opts = { .p = p, .channels = on == &dropout2d };
	const bool draws = training && p != 0;
	clef_tensor *y;

	if (x && draws && !rng)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: rng is NULL, expected a stream of random numbers",
				       on->name);
	if (draws && rng)
		opts.rng = *rng;
	y = clef__apply(draws ? on : off, &x, 1, &opts, sizeof(opts));
	if (y && draws)
		rng->counter++;
	return y;
}

clef_tensor *clef_dropout(clef_tensor *x, float p, bool training, clef_rng *rng)
{
	return apply(&dropout, &dropout_off, x, p, training, rng);
}

clef_tensor *clef_dropout2d(clef_tensor *x, float p, bool training, clef_rng *rng)
{
	return apply(&dropout2d, &dropout2d_off, x, p, training, rng);
}
