/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers and initializers (torch.nn.init), computed on the device.
 *
 * Random numbers come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A
 * stream is a seed and a counter; element i of a draw depends on (seed, counter, i) alone, never on the device or the
 * launch. All draws consist of integer and exactly rounded operations only, so they are bit-identical on every device,
 * and those of clef_rng_uniform() and its like on the host are the same bits (as long as bounds and deviations are
 * above 1e-30 or so: below 1.2e-38 devices may round to 0). So are all initializers but clef_init_orthogonal().
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

/* ---- streams ----
 *
 * A clef_rng is all of a stream's state: two numbers, to be copied, compared and stored as they are. Each draw adds 1
 * to its counter, whatever its size, so rng.counter += n passes over n draws at once, and rng.counter = 0 goes back to
 * the first. Numbers of one stream never depend on those of another. */

/* The stream of a key: counter 0, and a seed made of rng's seed (not its counter) and the key, as words 0 and 1 of
 * block `key` of draw 2^64 - 1. For a stream to each worker, layer or epoch. */
CLEF_API clef_rng clef_rng_stream(clef_rng rng, uint64_t key);

/* Writes "seed:counter" in decimal digits into text, cut to size bytes with the terminating zero; returns text. 42
 * bytes hold any stream. */
CLEF_API char *clef_rng_text(clef_rng rng, char *text, size_t size);

/* Reads what clef_rng_text() writes. ERROR_INVALID names the text, and leaves *rng as it was. */
CLEF_API clef_status clef_rng_parse(const char *text, clef_rng *rng);

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

/* The draws below, on the host, with the same bits and the same errors. */
CLEF_API clef_status clef_rng_trunc_normal(clef_rng *rng, float *values, size_t n, float mean, float std, float lo,
					   float hi);
CLEF_API clef_status clef_rng_exponential(clef_rng *rng, float *values, size_t n, float rate);
CLEF_API clef_status clef_rng_bernoulli(clef_rng *rng, float *values, size_t n, float p);
CLEF_API clef_status clef_rng_randint(clef_rng *rng, int32_t *values, size_t n, int64_t lo, int64_t hi);

/*
 * One draw of n of the numbers 0..count-1, each as likely as its weight says. With replacement each is drawn for
 * itself; without, none comes twice, and the next is drawn by the weights of those that are left. Weights need not add
 * up to 1; one of 0 is never drawn. torch.multinomial. Errors: ERROR_INVALID when a weight is negative or not finite,
 * when all are 0 and n is not, and without replacement when n exceeds the number of weights above 0; ERROR_SHAPE when
 * count exceeds 2^31 - 1; ERROR_MEMORY.
 */
CLEF_API clef_status clef_rng_multinomial(clef_rng *rng, const float *weights, size_t count, bool replacement,
					  int32_t *values, size_t n);

/* ---- draws on the device: fill a tensor; not recorded on any tape. Errors as those of initializers. ---- */

/* x[i] from the exponential distribution, density rate exp(-rate x): -ln(u) / rate to 2e-7, relatively, with u a
 * multiple of 2^-32; between 2.3e-10 / rate and 22.2 / rate. rate > 0. x is float32. Tensor.exponential_. */
CLEF_API clef_status clef_random_exponential(clef_tensor *x, float rate, clef_rng *rng);

/* x[i] = 1 with probability p, else 0: 1 where value i of clef_rng_uniform() is below p. p from 0 to 1, which counts in
 * multiples of 2^-24, rounded up. x is float32. Tensor.bernoulli_. */
CLEF_API clef_status clef_random_bernoulli(clef_tensor *x, float p, clef_rng *rng);

/* x[i] from lo, ..., hi - 1, each equally likely; -2^31 <= lo < hi <= 2^31. x is int32. torch.randint. */
CLEF_API clef_status clef_random_int(clef_tensor *x, int64_t lo, int64_t hi, clef_rng *rng);

/* ---- initializers: fill a float32 tensor; not recorded on any tape ----
 *
 * Each is one draw, but for those without rng. Errors: ERROR_INVALID for a bad bound, standard deviation, gain,
 * nonlinearity or share; ERROR_SHAPE where a fan is asked of a tensor of fewer than two dimensions, or a fan is 0, or
 * the number of dimensions is not the one wanted; ERROR_DTYPE unless float32. After an error rng is unchanged.
 * The tensor may be one without values in a model's dry run: then rng advances and nothing else happens. */

/* x[i] ~ U[lo, hi), as lo + u (hi - lo) rounded once, and never hi (but for lo = hi). lo <= hi, both finite, and so is
 * hi - lo. torch.nn.init.uniform_. */
CLEF_API clef_status clef_init_uniform(clef_tensor *x, float lo, float hi, clef_rng *rng);

/* x[i] ~ N(mean, std^2), as mean + z std rounded once. std >= 0, both finite. torch.nn.init.normal_. */
CLEF_API clef_status clef_init_normal(clef_tensor *x, float mean, float std, clef_rng *rng);

/*
 * x[i] ~ N(mean, std^2) on condition of lo <= x[i] <= hi: normal values, drawn again until they lie within the bounds,
 * or values from other distributions where that would take long, so that it is exact and fast for all bounds. std > 0;
 * lo <= hi; either may be infinite. The bounds are values, not numbers of standard deviations; PyTorch's defaults are
 * mean 0, std 1, -2 and 2. torch.nn.init.trunc_normal_.
 */
CLEF_API clef_status clef_init_trunc_normal(clef_tensor *x, float mean, float std, float lo, float hi, clef_rng *rng);

/* x[i] = value. torch.nn.init.constant_; 0 and 1 give zeros_ and ones_. */
CLEF_API clef_status clef_init_constant(clef_tensor *x, float value);

/* The identity matrix, also of a matrix that is not square. Two dimensions. torch.nn.init.eye_. */
CLEF_API clef_status clef_init_eye(clef_tensor *x);

/*
 * Weights [out, in, kernel...] that make a convolution with padding hand on its input: 1 at the kernel's centre (dim /
 * 2) from channel i of a group to channel i, as far as there are both, else 0. Three to five dimensions, the first one
 * a multiple of `groups`; 0 counts as 1 group. torch.nn.init.dirac_.
 */
CLEF_API clef_status clef_init_dirac(clef_tensor *x, int groups);

/*
 * A (semi-)orthogonal matrix times gain, every one equally likely (Saxe et al. 2014): of x as a matrix with dim[0] rows
 * the columns, or the rows where there are fewer of them, are orthogonal to each other and of length gain, to 1e-5. At
 * least two dimensions; gain > 0; 0 means 1. torch.nn.init.orthogonal_.
 *
 * It is the Q of the QR decomposition of a normal draw, with R's diagonal positive. The host orthogonalizes, in double,
 * 128 vectors at a time, so that up to 128 rows or columns have the same bits on all devices. Projections on earlier
 * vectors are matrix products of the device, whose last bits differ between devices; on one device they do not change.
 */
CLEF_API clef_status clef_init_orthogonal(clef_tensor *x, float gain, clef_rng *rng);

/*
 * Martens 2010: values from N(0, std^2), and in each column a share of `sparsity` of the rows, rounded up, set to 0;
 * every choice of rows is equally likely. The product of share and rows counts as whole if it is but for the rounding
 * of the share to a float. Two dimensions; sparsity from 0 to 1; std >= 0, 0.01 in PyTorch by default.
 * torch.nn.init.sparse_.
 */
CLEF_API clef_status clef_init_sparse(clef_tensor *x, float sparsity, float std, clef_rng *rng);

/* Glorot and Bengio 2010. U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)); N(0, std^2) with
 * std = gain sqrt(2 / (fan_in + fan_out)). gain > 0; 0 means 1. torch.nn.init.xavier_uniform_, xavier_normal_. */
CLEF_API clef_status clef_init_xavier_uniform(clef_tensor *x, float gain, clef_rng *rng);
CLEF_API clef_status clef_init_xavier_normal(clef_tensor *x, float gain, clef_rng *rng);

typedef enum clef_fan_mode {
	CLEF_FAN_IN,  /* keeps the variance of the forward pass */
	CLEF_FAN_OUT, /* keeps the variance of the backward pass */
} clef_fan_mode;

/* The nonlinearities that calculate_gain knows. */
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

/* LeCun et al. 1998, Klambauer et al. 2017: std = 1 / sqrt(fan_in), U(-sqrt(3) std, sqrt(3) std) or N(0, std^2):
 * kaiming with fan_in and linear. (Keras cuts its lecun_normal off at two standard deviations; that is
 * clef_init_trunc_normal().)
 */
CLEF_API clef_status clef_init_lecun_uniform(clef_tensor *x, clef_rng *rng);
CLEF_API clef_status clef_init_lecun_normal(clef_tensor *x, clef_rng *rng);

/* The nonlinearity of a name as PyTorch's calculate_gain has it: linear, conv1d, conv2d, conv3d, conv_transpose1d,
 * conv_transpose2d and conv_transpose3d (which all are LINEAR), sigmoid, tanh, relu, leaky_relu, selu. ERROR_INVALID
 * names the text, and leaves *nonlinearity as it was. */
CLEF_API clef_status clef_nonlinearity_parse(const char *name, clef_nonlinearity *nonlinearity);

/* The recommended gain; `a` counts for leaky_relu only (where PyTorch's default is 0.01). NaN for a value that is no
 * nonlinearity. torch.nn.init.calculate_gain. */
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
	CLEF_INIT_LECUN_UNIFORM,
	CLEF_INIT_LECUN_NORMAL,
	CLEF_INIT_TRUNC_NORMAL, /* mean p, standard deviation q; 0: 1. Bounds lo and hi; both 0: -2 and 2 */
	CLEF_INIT_ORTHOGONAL,   /* gain p; 0: 1 */
	CLEF_INIT_EYE,
	CLEF_INIT_DIRAC,  /* groups; 0: 1 */
	CLEF_INIT_SPARSE, /* sparsity p, standard deviation q; 0: 0.01 */
} clef_init_kind;

typedef struct clef_init {
	clef_init_kind kind;
	float p, q;
	clef_kaiming_opts kaiming;
	float lo, hi;
	int groups;
} clef_init;

/* Fills x by the initializer: one draw, or none for a constant, eye or dirac. CLEF_INIT_DEFAULT is an error here: only
 * a layer knows its default. */
CLEF_API clef_status clef_init_apply(clef_tensor *x, const clef_init *init, clef_rng *rng);

/*
 * Reads an initializer: a name and, where wanted, its values in parentheses, in the order below or by name, as in
 * "normal(0, 0.02)", "trunc_normal(std=0.02)" or "kaiming_normal(fan_out, relu)". What is left out has the defaults
 * above.
 *
 *     default  zeros  ones  constant(value)  uniform(lo, hi)  normal(mean, std)  trunc_normal(mean, std, lo, hi)
 *     xavier_uniform(gain)  xavier_normal(gain)  kaiming_uniform(a, mode, nonlinearity)  kaiming_normal(...)
 *     lecun_uniform  lecun_normal  orthogonal(gain)  eye  dirac(groups)  sparse(sparsity, std)
 *
 * Those of kaiming come in any order; nonlinearities are those of clef_nonlinearity_parse(). The decimal point is a
 * point in every locale. ERROR_INVALID names the text and what was allowed, and leaves *init as it was.
 */
CLEF_API clef_status clef_init_parse(const char *text, clef_init *init);

#ifdef __cplusplus
}
#endif

#endif
