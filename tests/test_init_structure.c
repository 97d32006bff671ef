/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initializers whose result has a structure: eye and dirac against PyTorch's loops, sparse against its algorithm on the
 * host and in the number and the places of its zeros, orthogonal against what defines a QR decomposition.
 */
#include <math.h>

#include "init_case.h"

/* ---- eye and dirac ---- */

START_TEST(eye_is_the_identity)
{
	static const int64_t sizes[][2] = { { 1, 1 }, { 3, 3 }, { 5, 2 }, { 2, 7 }, { 64, 65 }, { 1, 9 } };
	const int64_t rows = sizes[_i][0], columns = sizes[_i][1];
	inside t = inside_new(CLEF_SHAPE(rows, columns), 3);
	const float *x;

	ck_ok(clef_init_eye(t.x));
	x = inside_read(&t);
	for (int64_t i = 0; i < rows * columns; i++)
		ck_assert(x[i] == (i / columns == i % columns ? 1.0f : 0.0f));
	inside_free(&t);
}
END_TEST

static const struct {
	clef_shape shape;
	int groups;
} diracs[] = {
	{ { 3, { 4, 4, 3 } }, 0 },     { { 3, { 4, 6, 2 } }, 1 },       { { 3, { 6, 4, 1 } }, 1 },
	{ { 4, { 3, 16, 5, 5 } }, 1 }, { { 4, { 6, 2, 3, 4 } }, 3 },    { { 4, { 12, 5, 2, 3 } }, 2 },
	{ { 4, { 5, 1, 1, 1 } }, 5 },  { { 5, { 4, 3, 3, 2, 5 } }, 2 }, { { 5, { 2, 2, 4, 4, 4 } }, 1 },
	{ { 3, { 0, 4, 3 } }, 2 },
};

/* As torch.nn.init.dirac_ does it, step by step. */
START_TEST(dirac_is_that_of_pytorch)
{
	const clef_shape shape = diracs[_i].shape;
	const int groups = diracs[_i].groups ? diracs[_i].groups : 1;
	const int64_t of_group = shape.dim[0] / groups;
	inside t = inside_new(shape, 5);
	float *want = calloc(t.n + 1, sizeof(*want));
	const float *x;

	ck_assert_ptr_nonnull(want);
	for (int g = 0; g < groups; g++)
		for (int64_t d = 0; d < of_group && d < shape.dim[1]; d++) {
			int64_t place = (g * of_group + d) * shape.dim[1] + d;

			for (int i = 2; i < shape.ndim; i++)
				place = place * shape.dim[i] + shape.dim[i] / 2;
			want[place] = 1;
		}
	ck_ok(clef_init_dirac(t.x, diracs[_i].groups));
	x = inside_read(&t);
	for (size_t i = 0; i < t.n; i++)
		ck_assert_msg(x[i] == want[i], "element %zu is %g", i, (double)x[i]);
	free(want);
	inside_free(&t);
}
END_TEST

/* ---- sparse ---- */

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

static void host_sparse(clef_rng rng, float *x, uint32_t rows, uint32_t columns, uint32_t zeros, float std)
{
	clef_rng_normal(&(clef_rng){ rng.seed, rng.counter }, x, (size_t)rows * columns);
	for (size_t i = 0; i < (size_t)rows * columns; i++)
		x[i] = fmaf(x[i], std, 0);
	for (uint32_t column = 0; column < columns; column++) {
		uint32_t left = zeros;

		for (uint32_t row = 0; row < rows; row++)
			if (below(rows - row, column * rows + row, rng) < left) {
				x[row * columns + column] = 0;
				left--;
			}
	}
}

static const struct {
	int rows, columns;
	float sparsity;
	int zeros; /* of each column: ceil(sparsity rows) as PyTorch has it */
} sparses[] = {
	{ 10, 7, 0.1f, 1 },    { 10, 7, 0.11f, 2 },   { 10, 7, 0, 0 },       { 10, 7, 1, 10 },   { 1, 5, 0.001f, 1 },
	{ 5, 1, 0.9f, 5 },     { 100, 64, 0.9f, 90 }, { 30, 3, 0.7f, 21 },   { 30, 3, 0.3f, 9 }, { 1000, 3, 0.001f, 1 },
	{ 64, 128, 0.5f, 32 }, { 3, 3, 1.0f / 3, 1 }, { 257, 9, 0.25f, 65 },
};

START_TEST(sparse_has_its_zeros)
{
	const int rows = sparses[_i].rows, columns = sparses[_i].columns;
	const clef_rng start = { 0x123456789, 0x987654321 };
	inside t = inside_new(CLEF_SHAPE(rows, columns), 7);
	float *want = malloc(t.n * sizeof(*want));
	clef_rng rng = start;
	const float *x;

	ck_assert_ptr_nonnull(want);
	ck_ok(clef_init_sparse(t.x, sparses[_i].sparsity, 0.5f, &rng));
	ck_assert_uint_eq(rng.counter, start.counter + 1);
	x = inside_read(&t);
	for (int column = 0; column < columns; column++) {
		int zeros = 0;

		for (int row = 0; row < rows; row++)
			zeros += x[row * columns + column] == 0;
		ck_assert_int_eq(zeros, sparses[_i].zeros);
	}
	host_sparse(start, want, (uint32_t)rows, (uint32_t)columns, (uint32_t)sparses[_i].zeros, 0.5f);
	ck_same_bits(x, want, t.n);
	free(want);
	inside_free(&t);
}
END_TEST

/* Of two rows in five there are ten choices. The chi-square statistic of 9 degrees of freedom exceeds 27.9 in one of a
 * thousand samples. */
START_TEST(sparse_chooses_all_rows_alike)
{
	enum { COLUMNS = 20000 };
	inside t = inside_new(CLEF_SHAPE(5, test_small() ? 2000 : COLUMNS), 0);
	const int columns = (int)clef_tensor_shape(t.x).dim[1];
	int counts[32] = { 0 };
	double chi = 0;
	const float *x;

	ck_ok(clef_init_sparse(t.x, 0.4f, 1, &(clef_rng){ 5, 5 }));
	x = inside_read(&t);
	for (int column = 0; column < columns; column++) {
		int set = 0;

		for (int row = 0; row < 5; row++)
			set |= (x[row * columns + column] == 0) << row;
		counts[set]++;
	}
	for (int set = 0; set < 32; set++)
		if (counts[set])
			chi += pow(counts[set] - columns / 10.0, 2) / (columns / 10.0);
	ck_assert_double_lt(chi, 27.9);
	inside_free(&t);
}
END_TEST

/* Of 64 x 64 values of draw 2 of seed 1, half of them 0. */
#define HASH_SPARSE 0x97a50ed4c3b1ef50u

START_TEST(sparse_bits_are_the_same_everywhere)
{
	inside t = inside_new(CLEF_SHAPE(64, 64), 0);

	ck_ok(clef_init_sparse(t.x, 0.5f, 1, &(clef_rng){ 1, 2 }));
	ck_assert_uint_eq(clef__hash(CLEF__HASH_START, inside_read(&t), 4096 * sizeof(float)), HASH_SPARSE);
	inside_free(&t);
}
END_TEST

/* ---- orthogonal ---- */

static const struct {
	clef_shape shape;
	float gain;
} orthogonals[] = {
	{ { 2, { 1, 1 } }, 0 },        { { 2, { 1, 9 } }, 1 },           { { 2, { 9, 1 } }, 1 },
	{ { 2, { 16, 16 } }, 0 },      { { 2, { 40, 70 } }, 1.41f },     { { 2, { 70, 40 } }, 0.5f },
	{ { 4, { 64, 3, 5, 5 } }, 1 }, { { 5, { 20, 3, 1, 2, 2 } }, 2 }, { { 2, { 128, 128 } }, 1 },
	{ { 2, { 300, 150 } }, 1 },    { { 2, { 150, 300 } }, 3 },       { { 2, { 400, 400 } }, 1 },
};

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

/* Vectors of length 1 and at right angles, to 1e-5; and normal value i is a sum of vectors 0 to i with a positive share
 * of the last: what makes the decomposition the only one. */
START_TEST(orthogonal_is_the_q_of_the_draw)
{
	const clef_shape shape = orthogonals[_i].shape;
	const double gain = orthogonals[_i].gain > 0 ? (double)orthogonals[_i].gain : 1;
	inside t = inside_new(shape, 11);
	const int64_t rows = shape.dim[0], columns = (int64_t)t.n / rows;
	const int64_t count = rows < columns ? rows : columns, length = rows < columns ? columns : rows;
	double *q = malloc((size_t)(count * length) * sizeof(*q)), *z = malloc((size_t)length * sizeof(*z));
	float *normal = malloc(t.n * sizeof(*normal));
	clef_rng rng = { 7, 3 };
	const float *x;

	ck_assert(q && z && normal);
	ck_ok(clef_init_orthogonal(t.x, orthogonals[_i].gain, &rng));
	ck_assert_uint_eq(rng.counter, 4);
	x = inside_read(&t);
	clef_rng_normal(&(clef_rng){ 7, 3 }, normal, t.n);
	for (int64_t i = 0; i < count; i++)
		vector_of(x, rows, columns, i, gain, q + i * length);
	for (int64_t i = 0; i < count; i++) {
		vector_of(normal, rows, columns, i, 1, z);
		ck_assert_double_gt(product_of(z, q + i * length, length), 0);
		for (int64_t j = 0; j < count; j++) {
			const double is = product_of(q + i * length, q + j * length, length);

			ck_assert_msg(fabs(is - (i == j)) < 1e-5, "%g for %d and %d", is, (int)i, (int)j);
			/* An error of 1e-7 in the matrix product is one of up to 1e-4 beside a short last share. */
			ck_assert_double_lt(j > i ? fabs(product_of(z, q + j * length, length)) : 0, 1e-3);
		}
	}
	free(q);
	free(z);
	free(normal);
	inside_free(&t);
}
END_TEST

/* Of uniformly distributed 3 x 3 matrices an element has the mean 0, the mean square 1/3 and the mean fourth power 1/5.
 */
START_TEST(orthogonal_matrices_are_equally_likely)
{
	enum { TRIALS = 4000 };
	inside t = inside_new(CLEF_SHAPE(3, 3), 0);
	clef_rng rng = { 77, 0 };
	double sums[9][3] = { { 0 } }, turned = 0;

	for (int i = 0; i < TRIALS; i++) {
		float x[9];

		ck_ok(clef_init_orthogonal(t.x, 0, &rng));
		ck_ok(clef_read(t.x, x, sizeof(x)));
		for (int j = 0; j < 9; j++) {
			sums[j][0] += (double)x[j] / TRIALS;
			sums[j][1] += pow((double)x[j], 2) / TRIALS;
			sums[j][2] += pow((double)x[j], 4) / TRIALS;
		}
		turned += x[0] * (x[4] * x[8] - x[5] * x[7]) - x[1] * (x[3] * x[8] - x[5] * x[6]) +
						  x[2] * (x[3] * x[7] - x[4] * x[6]) >
					  0
				  ? 1.0 / TRIALS
				  : 0;
	}
	for (int j = 0; j < 9; j++) {
		ck_assert_double_lt(fabs(sums[j][0]), 4 * sqrt(1.0 / 3 / TRIALS));
		ck_assert_double_lt(fabs(sums[j][1] - 1.0 / 3), 4 * sqrt((1.0 / 5 - 1.0 / 9) / TRIALS));
		ck_assert_double_lt(fabs(sums[j][2] - 1.0 / 5), 4 * sqrt((1.0 / 9 - 1.0 / 25) / TRIALS));
	}
	ck_assert_double_lt(fabs(turned - 0.5), 4 * sqrt(0.25 / TRIALS));
	inside_free(&t);
}
END_TEST

START_TEST(orthogonal_can_be_replayed)
{
	/* Both with more than a panel of 128. */
	const int rows = test_small() ? 130 : 200, columns = test_small() ? 131 : 300;
	inside a = inside_new(CLEF_SHAPE(rows, columns), 0), b = inside_new(CLEF_SHAPE(rows, columns), 13);

	ck_ok(clef_init_orthogonal(a.x, 1, &(clef_rng){ 4, 4 }));
	ck_ok(clef_init_orthogonal(b.x, 1, &(clef_rng){ 4, 4 }));
	ck_same_bits(inside_read(&a), inside_read(&b), a.n);
	inside_free(&a);
	inside_free(&b);
}
END_TEST

/* ---- errors ---- */

START_TEST(bad_arguments_are_refused)
{
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 3)));
	inside flat = inside_new(CLEF_SHAPE(6), 0), square = inside_new(CLEF_SHAPE(6, 6), 0);
	inside kernel = inside_new(CLEF_SHAPE(6, 2, 3), 0), six = inside_new(CLEF_SHAPE(1, 1, 1, 1, 1, 6), 0);
	clef_rng rng = { 1, 6 };

	ck_fails(clef_init_eye(flat.x), CLEF_ERROR_SHAPE, "[6], expected two dimensions");
	ck_fails(clef_init_eye(kernel.x), CLEF_ERROR_SHAPE, "[6, 2, 3]");
	ck_fails(clef_init_eye(ints), CLEF_ERROR_DTYPE, "clef_init_eye");
	ck_fails(clef_init_eye(NULL), CLEF_ERROR_INVALID, "clef_init_eye");
	ck_fails(clef_init_dirac(square.x, 1), CLEF_ERROR_SHAPE, "three to five");
	ck_fails(clef_init_dirac(six.x, 1), CLEF_ERROR_SHAPE, "three to five");
	ck_fails(clef_init_dirac(kernel.x, 4), CLEF_ERROR_SHAPE, "4 groups");
	ck_fails(clef_init_dirac(kernel.x, -1), CLEF_ERROR_INVALID, "-1 groups");
	ck_fails(clef_init_dirac(ints, 1), CLEF_ERROR_DTYPE, "clef_init_dirac");
	ck_fails(clef_init_dirac(NULL, 1), CLEF_ERROR_INVALID, "clef_init_dirac");
	ck_fails(clef_init_sparse(flat.x, 0.5f, 1, &rng), CLEF_ERROR_SHAPE, "[6]");
	ck_fails(clef_init_sparse(kernel.x, 0.5f, 1, &rng), CLEF_ERROR_SHAPE, "[6, 2, 3]");
	ck_fails(clef_init_sparse(square.x, 1.5f, 1, &rng), CLEF_ERROR_INVALID, "sparsity 1.5");
	ck_fails(clef_init_sparse(square.x, -0.5f, 1, &rng), CLEF_ERROR_INVALID, "sparsity -0.5");
	ck_fails(clef_init_sparse(square.x, NAN, 1, &rng), CLEF_ERROR_INVALID, "sparsity nan");
	ck_fails(clef_init_sparse(square.x, 0.5f, -1, &rng), CLEF_ERROR_INVALID, "deviation -1");
	ck_fails(clef_init_sparse(square.x, 0.5f, INFINITY, &rng), CLEF_ERROR_INVALID, "inf");
	ck_fails(clef_init_sparse(square.x, 0.5f, 1, NULL), CLEF_ERROR_INVALID, "rng is NULL");
	ck_fails(clef_init_sparse(ints, 0.5f, 1, &rng), CLEF_ERROR_DTYPE, "clef_init_sparse");
	ck_fails(clef_init_orthogonal(flat.x, 1, &rng), CLEF_ERROR_SHAPE, "[6]");
	ck_fails(clef_init_orthogonal(square.x, -1, &rng), CLEF_ERROR_INVALID, "gain -1");
	ck_fails(clef_init_orthogonal(square.x, NAN, &rng), CLEF_ERROR_INVALID, "gain nan");
	ck_fails(clef_init_orthogonal(square.x, INFINITY, &rng), CLEF_ERROR_INVALID, "gain inf");
	ck_fails(clef_init_orthogonal(square.x, 1, NULL), CLEF_ERROR_INVALID, "rng is NULL");
	ck_fails(clef_init_orthogonal(ints, 1, &rng), CLEF_ERROR_DTYPE, "clef_init_orthogonal");
	ck_fails(clef_init_lecun_normal(flat.x, &rng), CLEF_ERROR_SHAPE, "clef_init_lecun_normal");
	ck_fails(clef_init_lecun_uniform(ints, &rng), CLEF_ERROR_DTYPE, "clef_init_lecun_uniform");
	ck_assert_uint_eq(rng.counter, 6);
	for (size_t i = 0; i < square.n; i++)
		ck_assert(inside_read(&square)[i] == GUARD);
	inside_free(&flat);
	inside_free(&square);
	inside_free(&kernel);
	inside_free(&six);
	clef_tensor_free(ints);
}
END_TEST

Suite *init_structure_suite(void)
{
	Suite *s = suite_create("init_structure");
	TCase *c = tcase_create("device");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, eye_is_the_identity, 0, 6);
	tcase_add_loop_test(c, dirac_is_that_of_pytorch, 0, CLEF_COUNT(diracs));
	tcase_add_loop_test(c, sparse_has_its_zeros, 0, CLEF_COUNT(sparses));
	tcase_add_test(c, sparse_chooses_all_rows_alike);
	tcase_add_test(c, sparse_bits_are_the_same_everywhere);
	tcase_add_loop_test(c, orthogonal_is_the_q_of_the_draw, 0, CLEF_COUNT(orthogonals) - (test_small() ? 3 : 0));
	tcase_add_test(c, orthogonal_matrices_are_equally_likely);
	tcase_add_test(c, orthogonal_can_be_replayed);
	tcase_add_test(c, bad_arguments_are_refused);
	suite_add_tcase(s, c);
	return s;
}
