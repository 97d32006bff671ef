/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initializers by their definitions: draws of the host, bounds and deviations by the formulas of init.h, eye and dirac
 * as the loops of torch.nn.init, sparse matrices by the algorithm that chooses their zeros.
 */
#include <math.h>

#include "base_internal.h"
#include "init_reference.h"

void clef__init_ref_uniform(clef_rng rng, float *x, size_t n, float lo, float hi)
{
	clef_rng_uniform(&rng, x, n);
	for (size_t i = 0; i < n; i++)
		x[i] = fminf(fmaf(x[i], hi - lo, lo), nextafterf(hi, lo));
}

void clef__init_ref_normal(clef_rng rng, float *x, size_t n, float mean, float std)
{
	clef_rng_normal(&rng, x, n);
	for (size_t i = 0; i < n; i++)
		x[i] = fmaf(x[i], std, mean);
}

/* ---- identities ---- */

static void eye(clef_shape shape, float *x)
{
	for (int64_t i = 0; i < shape.dim[0]; i++)
		for (int64_t k = 0; k < shape.dim[1]; k++)
			x[i * shape.dim[1] + k] = i == k ? 1.0f : 0.0f;
}

/* As torch.nn.init.dirac_ does it, step by step. */
static void dirac(clef_shape shape, int groups, float *x)
{
	int64_t of_group = shape.dim[0] / groups;

	memset(x, 0, (size_t)clef_shape_numel(shape) * sizeof(*x));
	for (int g = 0; g < groups; g++)
		for (int64_t d = 0; d < of_group && d < shape.dim[1]; d++) {
			int64_t place = (g * of_group + d) * shape.dim[1] + d;

			for (int i = 2; i < shape.ndim; i++)
				place = place * shape.dim[i] + shape.dim[i] / 2;
			x[place] = 1;
		}
}

/* ---- sparse ---- */

/* A number below n for element e, by Lemire's method: each equally likely. */
static uint32_t below(uint32_t n, uint32_t e, clef_rng rng)
{
	uint64_t product = 0;

	for (uint32_t attempt = 1; attempt <= 64; attempt++) {
		uint32_t w[4];

		clef_philox4x32(
			(uint32_t[]){ e / 4, attempt << 24, (uint32_t)rng.counter, (uint32_t)(rng.counter >> 32) },
			(uint32_t[]){ (uint32_t)rng.seed, (uint32_t)(rng.seed >> 32) }, w);
		product = (uint64_t)w[e % 4] * n;
		if ((uint32_t)product >= (uint32_t)((UINT64_C(1) << 32) % n))
			break;
	}
	return (uint32_t)(product >> 32);
}

/* The fewest of the rows that are such a share of them or more, as a float. */
static uint32_t zeros_of(float sparsity, uint32_t rows)
{
	uint32_t zeros = 0;

	while (zeros < rows && (float)((double)zeros / (double)rows) < sparsity)
		zeros++;
	return zeros;
}

static void sparse(clef_rng rng, clef_shape shape, float sparsity, float std, float *x)
{
	uint32_t rows = (uint32_t)shape.dim[0], columns = (uint32_t)shape.dim[1];

	clef__init_ref_normal(rng, x, (size_t)rows * columns, 0, std);
	for (uint32_t column = 0; column < columns; column++) {
		uint32_t left = zeros_of(sparsity, rows);

		for (uint32_t row = 0; row < rows; row++)
			if (below(rows - row, column * rows + row, rng) < left) {
				x[(size_t)row * columns + column] = 0;
				left--;
			}
	}
}

/* ---- deviations ---- */

static double gain_of(const clef_kaiming_opts *o)
{
	switch (o->nonlinearity) {
	case CLEF_NONLINEARITY_LEAKY_RELU:
		return sqrt(2 / (1 + (double)o->a * (double)o->a));
	case CLEF_NONLINEARITY_RELU:
		return sqrt(2);
	case CLEF_NONLINEARITY_TANH:
		return 5.0 / 3;
	case CLEF_NONLINEARITY_SELU:
		return 0.75;
	default:
		return 1;
	}
}

/* Of the initializers that scale with the shape; a uniform one reaches sqrt(3) times as far. */
static double deviation_of(const clef_init *init, clef_shape shape)
{
	double kernel = 1, in, out;

	for (int i = 2; i < shape.ndim; i++)
		kernel *= (double)shape.dim[i];
	in = (double)shape.dim[1] * kernel;
	out = (double)shape.dim[0] * kernel;
	switch (init->kind) {
	case CLEF_INIT_XAVIER_UNIFORM:
	case CLEF_INIT_XAVIER_NORMAL:
		return (init->p > 0 ? (double)init->p : 1) * sqrt(2 / (in + out));
	case CLEF_INIT_KAIMING_UNIFORM:
	case CLEF_INIT_KAIMING_NORMAL:
		return gain_of(&init->kaiming) / sqrt(init->kaiming.mode == CLEF_FAN_OUT ? out : in);
	default:
		return 1 / sqrt(in);
	}
}

clef_status clef__init_ref(const clef_init *init, clef_shape shape, clef_rng rng, float *x)
{
	size_t n = (size_t)clef_shape_numel(shape);
	bool plain = init->p == 0 && init->q == 0, bounds = init->lo != 0 || init->hi != 0;
	float far;

	switch (init->kind) {
	case CLEF_INIT_CONSTANT:
		for (size_t i = 0; i < n; i++)
			x[i] = init->p;
		return CLEF_OK;
	case CLEF_INIT_UNIFORM:
		clef__init_ref_uniform(rng, x, n, init->p, plain ? 1 : init->q);
		return CLEF_OK;
	case CLEF_INIT_NORMAL:
		clef__init_ref_normal(rng, x, n, init->p, plain ? 1 : init->q);
		return CLEF_OK;
	case CLEF_INIT_XAVIER_UNIFORM:
	case CLEF_INIT_KAIMING_UNIFORM:
	case CLEF_INIT_LECUN_UNIFORM:
		far = (float)(sqrt(3) * deviation_of(init, shape));
		clef__init_ref_uniform(rng, x, n, -far, far);
		return CLEF_OK;
	case CLEF_INIT_XAVIER_NORMAL:
	case CLEF_INIT_KAIMING_NORMAL:
	case CLEF_INIT_LECUN_NORMAL:
		clef__init_ref_normal(rng, x, n, 0, (float)deviation_of(init, shape));
		return CLEF_OK;
	case CLEF_INIT_TRUNC_NORMAL:
		return clef_rng_trunc_normal(&rng, x, n, init->p, init->q > 0 ? init->q : 1, bounds ? init->lo : -2,
					     bounds ? init->hi : 2);
	case CLEF_INIT_EYE:
		eye(shape, x);
		return CLEF_OK;
	case CLEF_INIT_DIRAC:
		dirac(shape, CLEF__MAX(init->groups, 1), x);
		return CLEF_OK;
	case CLEF_INIT_SPARSE:
		sparse(rng, shape, init->p, init->q > 0 ? init->q : 0.01f, x);
		return CLEF_OK;
	case CLEF_INIT_DEFAULT:
	case CLEF_INIT_ORTHOGONAL:
		break;
	}
	return clef__fail(CLEF_ERROR_INVALID, "init: no reference for kind %d", (int)init->kind);
}

/* ---- orthogonal ---- */

/* One vector of the matrix, divided by the gain. */
static void vector_of(const float *x, int64_t rows, int64_t columns, int64_t i, double gain, double *v)
{
	if (rows < columns)
		for (int64_t k = 0; k < columns; k++)
			v[k] = (double)x[i * columns + k] / gain;
	else
		for (int64_t k = 0; k < rows; k++)
			v[k] = (double)x[k * columns + i] / gain;
}

static double product_of(const double *a, const double *b, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* q: `count` vectors of `length`; z: normal vector i. */
static bool last_is(const double *q, const double *z, int64_t i, int64_t count, int64_t length)
{
	bool fine = product_of(z, q + i * length, length) > 0;

	/* An error of 1e-7 in the matrix product is one of up to 1e-4 beside a short last share. */
	for (int64_t j = i + 1; j < count && fine; j++)
		fine = fabs(product_of(z, q + j * length, length)) < 1e-3;
	return fine;
}

static double angles_of(const double *q, int64_t i, int64_t length)
{
	double worst = 0;

	for (int64_t j = 0; j <= i; j++) {
		double error = fabs(product_of(q + i * length, q + j * length, length) - (i == j));

		worst = isfinite(error) ? fmax(worst, error) : (double)INFINITY;
	}
	return worst;
}

clef_status clef__init_ref_orthogonal(const float *x, clef_shape shape, double gain, clef_rng rng, double *error,
				      int64_t *other)
{
	int64_t n = clef_shape_numel(shape), rows = shape.dim[0], columns = n ? n / rows : 0;
	int64_t count = CLEF__MIN(rows, columns), length = CLEF__MAX(rows, columns);
	double *q = clef__calloc((size_t)(n + length) + 1, sizeof(*q), "a reference"), *z = q + n;
	float *normal = clef__calloc((size_t)n + 1, sizeof(*normal), "a reference");

	*error = 0;
	*other = -1;
	if (q && normal) {
		clef_rng_normal(&rng, normal, (size_t)n);
		for (int64_t i = 0; i < count; i++)
			vector_of(x, rows, columns, i, gain, q + i * length);
		for (int64_t i = 0; i < count; i++) {
			vector_of(normal, rows, columns, i, 1, z);
			*error = fmax(*error, angles_of(q, i, length));
			if (*other < 0 && !last_is(q, z, i, count, length))
				*other = i;
		}
	}
	free(q);
	free(normal);
	return q && normal ? CLEF_OK : CLEF_ERROR_MEMORY;
}
