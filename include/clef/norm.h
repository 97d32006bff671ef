/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization and dropout. What ops.h says of all operations holds for these too.
 *
 * Normalizations compute y = (x - mean) / sqrt(var + eps) * w + b. They differ in which elements share a mean and a
 * variance, the biased one (the mean of (x - mean)^2), which is computed from the differences themselves: data with a
 * mean of 10,000 and a deviation of 1 are normalized as exactly as centred ones. Each has a form without w and b,
 * whose name ends in _plain; a NULL w or b is an error that came from elsewhere.
 *
 *   eps >= 0 and finite; 0 means the default. A NaN or an infinity makes its whole group NaN.
 *   A group of equal values has the variance 0 and gives b.
 */
#ifndef CLEF_NORM_H
#define CLEF_NORM_H

#include <clef/activation.h>
#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- batch normalization ---- */

typedef struct clef_batch_norm_opts {
	bool training;     /* normalize by the batch and move the running statistics; else normalize by those */
	bool keep_running; /* training without the latter: the running statistics are neither read nor written */
	float momentum;    /* the batch's share in the new running statistics, up to 1; default 0.1 */
	float eps;         /* default 1e-5 */
	clef_activation activation; /* applied to the result; default none */
} clef_batch_norm_opts;

/*
 * One mean and variance for each channel of x [n, channels] or [n, channels, ...], over all else; w, b, running_mean
 * and running_var are [channels]. torch.nn.functional.batch_norm.
 *
 * Training: running = (1 - momentum) running + momentum batch, computed on the device when the operation is applied,
 * also on a tape without gradients; running_var takes the unbiased variance. At momentum 1 the old ones are not read,
 * so the cumulative average (PyTorch: momentum=None) is momentum 1 / k for the k-th batch. A batch without elements
 * moves nothing. One value for each channel has no variance: ERROR_SHAPE.
 *
 * Evaluation: the running statistics are constants, and the gradient to x is dy w / sqrt(running_var + eps). It uses
 * those of the time when the operation was applied.
 *
 * opts NULL: all defaults, which is evaluation. ERROR_INVALID for a bad momentum or eps, and for running statistics
 * that require a gradient.
 */
CLEF_API clef_tensor *clef_batch_norm(clef_tensor *x, clef_tensor *w, clef_tensor *b, clef_tensor *running_mean,
				      clef_tensor *running_var, const clef_batch_norm_opts *opts);
CLEF_API clef_tensor *clef_batch_norm_plain(clef_tensor *x, clef_tensor *running_mean, clef_tensor *running_var,
					    const clef_batch_norm_opts *opts);

/* ---- normalization sample by sample ---- */

/* Over the last dimensions of x, those that w and b have: for x [n, t, d], w and b may be [d], [t, d] or [n, t, d].
 * eps 0: 1e-5. ERROR_SHAPE unless w and b have the shape of x's last dimensions. torch.nn.functional.layer_norm. */
CLEF_API clef_tensor *clef_layer_norm(clef_tensor *x, clef_tensor *w, clef_tensor *b, float eps);

/* The same over the last `dims` dimensions, 1 to all; ERROR_INVALID for another number. */
CLEF_API clef_tensor *clef_layer_norm_plain(clef_tensor *x, int dims, float eps);

/* x / sqrt(mean(x^2) + eps) * w, over the last dimensions as above. eps 0: 2^-23, float's epsilon.
 * torch.nn.functional.rms_norm. */
CLEF_API clef_tensor *clef_rms_norm(clef_tensor *x, clef_tensor *w, float eps);
CLEF_API clef_tensor *clef_rms_norm_plain(clef_tensor *x, int dims, float eps);

/* Over so many groups of neighbouring channels of each sample of x [n, channels, ...]; w and b are [channels]. eps 0:
 * 1e-5. ERROR_INVALID unless groups divides the channels. A group of a single value gives b, even for n = 1, which
 * PyTorch refuses. torch.nn.functional.group_norm. */
CLEF_API clef_tensor *clef_group_norm(clef_tensor *x, int groups, clef_tensor *w, clef_tensor *b, float eps);
CLEF_API clef_tensor *clef_group_norm_plain(clef_tensor *x, int groups, float eps);

/* Over each channel of each sample of x [n, channels, ...]; w and b are [channels]. eps 0: 1e-5. A single value in each
 * channel has no variance: ERROR_SHAPE. There are no running statistics. torch.nn.functional.instance_norm. */
CLEF_API clef_tensor *clef_instance_norm(clef_tensor *x, clef_tensor *w, clef_tensor *b, float eps);
CLEF_API clef_tensor *clef_instance_norm_plain(clef_tensor *x, float eps);

typedef struct clef_local_response_norm_opts {
	float alpha; /* default 1e-4 */
	float beta;  /* default 0.75 */
	float k;     /* default 1 */
} clef_local_response_norm_opts;

/* x / (k + alpha / size * the sum of x^2 over `size` neighbouring channels)^beta, for x [n, channels, ...]. The
 * channels around c are c - size / 2 to c + (size - 1) / 2, as far as there are such; size 1 or more, ERROR_INVALID for
 * less. opts NULL: all defaults. torch.nn.functional.local_response_norm. */
CLEF_API clef_tensor *clef_local_response_norm(clef_tensor *x, int size, const clef_local_response_norm_opts *opts);

/* ---- dropout ---- */

/*
 * In training each element becomes 0 with probability p, and the others are multiplied by 1 / (1 - p). At p 1 all are
 * 0. Element i is dropped if value i of clef_rng_uniform() for this stream (see init.h) is below p, on every device;
 * like every draw it adds 1 to rng->counter, also in a model's dry run. The mask is not stored: backward draws it
 * again, and so can you, with a copy of *rng. NaN, and infinity where it is dropped, become NaN.
 *
 * With p 0, or when not training, the result is x itself, a view; nothing is drawn, rng stays as it was and may be
 * NULL. p outside of 0 to 1, or no rng, is ERROR_INVALID and leaves rng as it was. torch.nn.functional.dropout.
 */
CLEF_API clef_tensor *clef_dropout(clef_tensor *x, float p, bool training, clef_rng *rng);

/* The same for whole channels of x [n, channels, ...]: value i of the draw is for channel i of n * channels.
 * torch.nn.functional.dropout2d. */
CLEF_API clef_tensor *clef_dropout2d(clef_tensor *x, float p, bool training, clef_rng *rng);

/* y[i] = 1 with probability p[i], else 0, of the shape of p: 1 where value i of clef_rng_uniform() is below p[i], so
 * that 0 or less, and NaN, give 0, and 1 or more 1. (PyTorch refuses p outside of 0 to 1, for which it has to wait for
 * the device.) One draw: adds 1 to rng->counter. No gradient flows through. ERROR_INVALID without rng. torch.bernoulli.
 */
CLEF_API clef_tensor *clef_bernoulli(clef_tensor *p, clef_rng *rng);

#ifdef __cplusplus
}
#endif

#endif
