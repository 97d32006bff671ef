/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers and initializers (torch.nn.init), computed on the device.
 *
 * Random numbers come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A
 * stream is a seed and a counter; element i of a draw depends on (seed, counter, i) alone, never on the device or the
 * launch. Uniform and normal draws consist of integer and exactly rounded operations only, so they are bit-identical
 * on every device and equal to clef_rng_uniform() and clef_rng_normal() on the host (as long as bounds and deviations
 * are above 1e-30 or so: below 1.2e-38 devices may round to 0).
 *
 * Element i comes from word i % 4 of the block i / 4; normal values from two words, the first or the last two of their
 * block. The Philox key of a block is the seed and its counter is { block number, rng counter }, each of these 64-bit
 * numbers as two words, the low one first. Normal values are those of Box and Muller's formula (1958) to 3e-7,
 * relatively, and reach from -6.66 to 6.66, where the tails that are missing weigh 3e-11.
 */
#ifndef CLEF_INIT_H
#define CLEF_INIT_H

#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- on the host ---- */

/* Philox4x32-10: the four output words for a counter and a key, word 0 first. */
CLEF_API void clef_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* One draw of n values: 32-bit integers; floats uniform in [0, 1), multiples of 2^-24; floats from N(0, 1). Each adds
 * 1 to rng->counter. */
CLEF_API void clef_rng_uint32(clef_rng *rng, uint32_t *values, size_t n);
CLEF_API void clef_rng_uniform(clef_rng *rng, float *values, size_t n);
CLEF_API void clef_rng_normal(clef_rng *rng, float *values, size_t n);

/* One draw: a permutation of 0..n-1, every one equally likely (Fisher and Yates), n at most 2^31 - 1. */
CLEF_API void clef_rng_permutation(clef_rng *rng, int32_t *values, size_t n);

/* ---- initializers: fill a float32 tensor; not recorded on any tape ----
 *
 * Errors: ERROR_INVALID for a bad bound, standard deviation, gain or nonlinearity; ERROR_SHAPE where a fan is asked of
 * a tensor of fewer than two dimensions, or a fan is 0; ERROR_DTYPE unless float32. After an error rng is unchanged.
 * The tensor may be one without values in a model's dry run: then rng advances and nothing else happens. */

/* x[i] ~ U[lo, hi), as lo + u (hi - lo) rounded once, and never hi (but for lo = hi). lo <= hi, both finite, and so is
 * hi - lo. torch.nn.init.uniform_. */
CLEF_API clef_status clef_init_uniform(clef_tensor *x, float lo, float hi, clef_rng *rng);

/* x[i] ~ N(mean, std^2), as mean + z std rounded once. std >= 0, both finite. torch.nn.init.normal_. */
CLEF_API clef_status clef_init_normal(clef_tensor *x, float mean, float std, clef_rng *rng);

/* x[i] = value. torch.nn.init.constant_; 0 and 1 give zeros_ and ones_. */
CLEF_API clef_status clef_init_constant(clef_tensor *x, float value);

/* Glorot and Bengio 2010. U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)); N(0, std^2) with
 * std = gain sqrt(2 / (fan_in + fan_out)). gain > 0; 0 means 1. torch.nn.init.xavier_uniform_, xavier_normal_. */
CLEF_API clef_status clef_init_xavier_uniform(clef_tensor *x, float gain, clef_rng *rng);
CLEF_API clef_status clef_init_xavier_normal(clef_tensor *x, float gain, clef_rng *rng);

typedef enum clef_fan_mode {
	CLEF_FAN_IN,  /* keeps the variance of the forward pass */
	CLEF_FAN_OUT, /* keeps the variance of the backward pass */
} clef_fan_mode;

/* The nonlinearities that calculate_gain knows. PyTorch calls conv1d, conv2d, ... by name; they are LINEAR. */
typedef enum clef_nonlinearity {
	CLEF_NONLINEARITY_LEAKY_RELU, /* sqrt(2 / (1 + a^2)), with a the slope */
	CLEF_NONLINEARITY_RELU,       /* sqrt(2) */
	CLEF_NONLINEARITY_LINEAR,     /* 1 */
	CLEF_NONLINEARITY_SIGMOID,    /* 1 */
	CLEF_NONLINEARITY_TANH,       /* 5/3 */
	CLEF_NONLINEARITY_SELU,       /* 3/4 */
} clef_nonlinearity;

typedef struct clef_kaiming_opts {
	clef_fan_mode mode;             /* default fan_in */
	clef_nonlinearity nonlinearity; /* default leaky_relu */
	float a;                        /* the negative slope of leaky_relu; default 0, which makes it relu */
} clef_kaiming_opts;

/* He et al. 2015. std = gain / sqrt(fan), U(-sqrt(3) std, sqrt(3) std) or N(0, std^2). opts NULL: all defaults.
 * torch.nn.init.kaiming_uniform_, kaiming_normal_. */
CLEF_API clef_status clef_init_kaiming_uniform(clef_tensor *x, const clef_kaiming_opts *opts, clef_rng *rng);
CLEF_API clef_status clef_init_kaiming_normal(clef_tensor *x, const clef_kaiming_opts *opts, clef_rng *rng);

/* The recommended gain; `a` counts for leaky_relu only. NaN for a value that is no nonlinearity.
 * torch.nn.init.calculate_gain. */
CLEF_API float clef_calculate_gain(clef_nonlinearity nonlinearity, float a);

/* fan_in = dim[1] * dim[2] * ..., fan_out = dim[0] * dim[2] * ..., for weights [out, in, kernel...]; either pointer may
 * be NULL. ERROR_SHAPE below two dimensions. */
CLEF_API clef_status clef_calculate_fan(clef_shape shape, int64_t *fan_in, int64_t *fan_out);

/* ---- an initializer as data: for layers, parameters and command lines ---- */

typedef enum clef_init_kind {
	CLEF_INIT_DEFAULT,         /* what the layer would do by itself */
	CLEF_INIT_CONSTANT,        /* value p; default 0 */
	CLEF_INIT_UNIFORM,         /* bounds p and q; both 0: 0 and 1 */
	CLEF_INIT_NORMAL,          /* mean p, standard deviation q; both 0: 0 and 1 */
	CLEF_INIT_XAVIER_UNIFORM,  /* gain p; 0: 1 */
	CLEF_INIT_XAVIER_NORMAL,   /* gain p; 0: 1 */
	CLEF_INIT_KAIMING_UNIFORM, /* kaiming */
	CLEF_INIT_KAIMING_NORMAL,  /* kaiming */
} clef_init_kind;

typedef struct clef_init {
	clef_init_kind kind;
	float p, q;
	clef_kaiming_opts kaiming;
} clef_init;

/* Fills x by the initializer: one draw, or none for a constant. CLEF_INIT_DEFAULT is an error here: only a layer knows
 * its default. */
CLEF_API clef_status clef_init_apply(clef_tensor *x, const clef_init *init, clef_rng *rng);

/* Reads "xavier_uniform", "normal(0, 0.02)", "kaiming_normal(fan_out, relu)", "constant(0.1)", "zeros", "ones",
 * "default": a name and, where wanted, its numbers or words in parentheses. Numbers are p and q; for kaiming a number
 * is a. The decimal point is a point in every locale. ERROR_INVALID names the text and what was allowed, and leaves
 * *init as it was. */
CLEF_API clef_status clef_init_parse(const char *text, clef_init *init);

#ifdef __cplusplus
}
#endif

#endif
