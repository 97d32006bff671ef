/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initializers whose result has a structure, beyond the library's own checks: the number of zeros of sparse ones as
 * PyTorch has it, which choices are equally likely, and what is refused.
 */
#include <math.h>

#include "init_case.h"

/* ---- sparse ---- */

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
	clef_rng rng = start;
	const float *x;

	ck_ok(clef_init_sparse(t.x, sparses[_i].sparsity, 0.5f, &rng));
	ck_assert_uint_eq(rng.counter, start.counter + 1);
	x = inside_read(&t);
	for (int column = 0; column < columns; column++) {
		int zeros = 0;

		for (int row = 0; row < rows; row++)
			zeros += x[row * columns + column] == 0;
		ck_assert_int_eq(zeros, sparses[_i].zeros);
	}
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
	tcase_add_loop_test(c, sparse_has_its_zeros, 0, CLEF_COUNT(sparses));
	tcase_add_test(c, sparse_chooses_all_rows_alike);
	tcase_add_test(c, sparse_bits_are_the_same_everywhere);
	tcase_add_test(c, orthogonal_matrices_are_equally_likely);
	tcase_add_test(c, orthogonal_can_be_replayed);
	tcase_add_test(c, bad_arguments_are_refused);
	suite_add_tcase(s, c);
	return s;
}
