/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets in memory, and the real ones: that which comes with clef, and those in $CLEF_TEST_DATA, are checked against
 * figures that were computed elsewhere.
 */
#include <math.h>
#include <string.h>

#include "check_clef.h"
#include "data_files.h"

/* ---- sets ---- */

START_TEST(set_copies_its_samples)
{
	uint8_t x[] = { 1, 2, 3, 4, 5, 6, 7, 8 }, y[] = { 2, 0 };
	clef_dataset *set = ck_new(clef_dataset_new(x, y, 2, CLEF_SHAPE(1, 2, 2), 3));

	x[0] = y[0] = 9;
	check_set(set, 2, CLEF_SHAPE(1, 2, 2), 3, "\1\2\3\4\5\6\7\x08", "\2\0");
	clef_dataset_free(set);
	set = ck_new(clef_dataset_new(x, y, 1, CLEF_SCALAR, 256));
	check_set(set, 1, CLEF_SCALAR, 256, "\x09", "\x09");
	clef_dataset_free(set);
	set = ck_new(clef_dataset_new(NULL, NULL, 0, CLEF_SHAPE(4), 1));
	ck_assert_int_eq(clef_dataset_count(set), 0);
	clef_dataset_free(set);
	clef_dataset_free(NULL);
	ck_assert_int_eq(clef_dataset_count(NULL), 0);
	ck_assert_int_eq(clef_dataset_classes(NULL), 0);
	ck_assert_ptr_null(clef_dataset_samples(NULL));
	ck_assert_ptr_null(clef_dataset_labels(NULL));
}
END_TEST

START_TEST(set_refuses_bad_arguments)
{
	const uint8_t x[4] = { 0 }, y[2] = { 1, 3 };
	const clef_shape s = CLEF_SHAPE(2);
	clef_shape eight = CLEF_SHAPE(1, 1, 1, 1, 1, 1, 1, 1);

	ck_null_fails(clef_dataset_new(NULL, y, 2, s, 4), CLEF_ERROR_INVALID, "samples is NULL with 2 samples");
	ck_null_fails(clef_dataset_new(x, NULL, 2, s, 4), CLEF_ERROR_INVALID, "labels is NULL with 2 samples");
	ck_null_fails(clef_dataset_new(x, y, -1, s, 4), CLEF_ERROR_INVALID, "count is -1; 0 to 2147483647");
	ck_null_fails(clef_dataset_new(x, y, (int64_t)1 << 31, s, 4), CLEF_ERROR_INVALID, "count is 2147483648");
	ck_null_fails(clef_dataset_new(x, y, 2, s, 0), CLEF_ERROR_INVALID, "classes is 0; 1 to 256");
	ck_null_fails(clef_dataset_new(x, y, 2, s, 257), CLEF_ERROR_INVALID, "classes is 257; 1 to 256");
	ck_null_fails(clef_dataset_new(x, y, 2, s, 3), CLEF_ERROR_INVALID, "sample 1 is 3; below 3");
	ck_null_fails(clef_dataset_new(x, y, 2, CLEF_SHAPE(2, 0), 4), CLEF_ERROR_SHAPE, "[2, 0]");
	ck_null_fails(clef_dataset_new(x, y, 2, CLEF_SHAPE(-2), 4), CLEF_ERROR_SHAPE, "[-2]");
	ck_null_fails(clef_dataset_new(x, y, 2, CLEF_SHAPE(65536, 32768), 4), CLEF_ERROR_SHAPE, "[65536, 32768]");
	ck_null_fails(clef_dataset_new(x, y, 2, eight, 4), CLEF_ERROR_SHAPE, "8 dimensions; 0 to 7");
}
END_TEST

START_TEST(stats_are_those_of_all_values)
{
	const uint8_t x[] = { 1, 2, 3, 4 }, y[4] = { 0 };
	clef_dataset *set = ck_new(clef_dataset_new(x, y, 2, CLEF_SHAPE(2), 1));
	clef_dataset *none = ck_new(clef_dataset_new(NULL, NULL, 0, CLEF_SHAPE(2), 1));
	float mean, std;

	ck_ok(clef_dataset_stats(set, 1, &mean, &std));
	ck_assert_float_eq(mean, 2.5f);
	ck_assert_float_eq(std, 1.118033988749895f);
	ck_ok(clef_dataset_stats(set, -2, &mean, NULL));
	ck_ok(clef_dataset_stats(set, -2, NULL, &std));
	ck_assert_float_eq(mean, -5);
	ck_assert_float_eq(std, 2.23606797749979f);
	ck_fails(clef_dataset_stats(set, NAN, &mean, &std), CLEF_ERROR_INVALID, "scale is nan");
	ck_fails(clef_dataset_stats(set, 1e37f, &mean, &std), CLEF_ERROR_INVALID, "scale is 1e+37");
	ck_fails(clef_dataset_stats(none, 1, &mean, &std), CLEF_ERROR_SHAPE, "empty set");
	ck_fails(clef_dataset_stats(NULL, 1, &mean, &std), CLEF_ERROR_INVALID, "clef_dataset_stats: given NULL");
	clef_dataset_free(set);
	clef_dataset_free(none);
}
END_TEST

/* 300 samples of two bytes that say which they are; the label follows from them. */
static clef_dataset *numbered(void)
{
	uint8_t x[600], y[300];

	for (int i = 0; i < 300; i++) {
		x[2 * i] = (uint8_t)(i >> 8);
		x[2 * i + 1] = (uint8_t)i;
		y[i] = (uint8_t)(i % 7);
	}
	return ck_new(clef_dataset_new(x, y, 300, CLEF_SHAPE(1, 2), 7));
}

static int number(const clef_dataset *set, int64_t i)
{
	return clef_dataset_samples(set)[2 * i] << 8 | clef_dataset_samples(set)[2 * i + 1];
}

START_TEST(split_is_a_partition)
{
	static const int counts[] = { 0, 1, 200, 300 };
	int seen[300] = { 0 };
	clef_dataset *set = numbered(), *part[2];

	for (int c = 0; c < CLEF_COUNT(counts); c++) {
		ck_ok(clef_dataset_split(set, counts[c], 5, &part[0], &part[1]));
		ck_assert_int_eq(clef_dataset_count(part[0]), counts[c]);
		ck_assert_int_eq(clef_dataset_count(part[1]), 300 - counts[c]);
		for (int p = 0; p < 2; p++) {
			ck_assert_int_eq(clef_dataset_classes(part[p]), 7);
			ck_assert(clef_shape_equal(clef_dataset_sample(part[p]), CLEF_SHAPE(1, 2)));
			for (int64_t i = 0; i < clef_dataset_count(part[p]); i++) {
				ck_assert_int_eq(clef_dataset_labels(part[p])[i], number(part[p], i) % 7);
				seen[number(part[p], i)]++;
			}
		}
		for (int i = 0; i < 300; i++)
			ck_assert_int_eq(seen[i], c + 1);
		clef_dataset_free(part[0]);
		clef_dataset_free(part[1]);
	}
	clef_dataset_free(set);
}
END_TEST

START_TEST(split_depends_on_its_seed_alone)
{
	clef_dataset *set = numbered(), *a[2], *b[2], *c[2];
	int same = 0;

	ck_ok(clef_dataset_split(set, 100, 5, &a[0], &a[1]));
	ck_ok(clef_dataset_split(set, 100, 5, &b[0], &b[1]));
	ck_ok(clef_dataset_split(set, 100, 6, &c[0], &c[1]));
	ck_assert_mem_eq(clef_dataset_samples(a[0]), clef_dataset_samples(b[0]), 200);
	ck_assert_mem_eq(clef_dataset_samples(a[1]), clef_dataset_samples(b[1]), 400);
	for (int i = 0; i < 100; i++)
		same += number(a[0], i) == number(c[0], i);
	ck_assert_int_lt(same, 20);
	for (int p = 0; p < 2; p++) {
		clef_dataset_free(a[p]);
		clef_dataset_free(b[p]);
		clef_dataset_free(c[p]);
	}
	ck_fails(clef_dataset_split(set, 301, 5, &a[0], &a[1]), CLEF_ERROR_INVALID, "count is 301; 0 to 300");
	ck_assert_ptr_null(a[0]);
	ck_assert_ptr_null(a[1]);
	ck_fails(clef_dataset_split(set, -1, 5, &a[0], &a[1]), CLEF_ERROR_INVALID, "count is -1; 0 to 300");
	ck_fails(clef_dataset_split(NULL, 0, 5, &a[0], &a[1]), CLEF_ERROR_INVALID, "given NULL");
	ck_fails(clef_dataset_split(set, 1, 5, NULL, &a[1]), CLEF_ERROR_INVALID, "first is NULL");
	ck_fails(clef_dataset_split(set, 1, 5, &a[0], NULL), CLEF_ERROR_INVALID, "second is NULL");
	clef_dataset_free(set);
}
END_TEST

/* ---- real sets ---- */

/* Figures of a set, from an independent program. */
typedef struct figures {
	int64_t count;
	clef_shape sample;
	float scale, mean, std;
	int labels[10];
} figures;

static void check_figures(const clef_dataset *set, const figures *f)
{
	int labels[256] = { 0 };
	float mean, std;

	ck_assert_int_eq(clef_dataset_count(set), f->count);
	ck_assert(clef_shape_equal(clef_dataset_sample(set), f->sample));
	ck_assert_int_eq(clef_dataset_classes(set), 10);
	ck_ok(clef_dataset_stats(set, f->scale, &mean, &std));
	ck_assert_float_eq_tol(mean, f->mean, 1e-6f);
	ck_assert_float_eq_tol(std, f->std, 1e-6f);
	for (int64_t i = 0; i < f->count; i++)
		labels[clef_dataset_labels(set)[i]]++;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(labels[i], f->labels[i]);
}

static const figures digits = { 1797,      { 3, { 1, 8, 8 } }, 0.0625f,
				0.305260f, 0.376049f,          { 178, 182, 177, 183, 181, 182, 181, 179, 174, 180 } };

static const char shipped[] = CLEF_SOURCE_DIR "/examples/data/digits.csv.gz";

START_TEST(shipped_digits_are_whole)
{
	static const uint8_t first_row[] = { 0, 0, 5, 13, 9, 1, 0, 0 };
	clef_dataset *set = ck_new(clef_csv_open(shipped, CLEF_SHAPE(1, 8, 8), 0));

	check_figures(set, &digits);
	ck_assert_mem_eq(clef_dataset_samples(set), first_row, sizeof(first_row));
	clef_dataset_free(set);
}
END_TEST

START_TEST(mnist_has_its_figures)
{
	static const figures train = { 60000,      { 3, { 1, 28, 28 } },
				       1.0f / 255, 0.130660f,
				       0.308108f,  { 5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949 } };
	static const figures test = { 10000,      { 3, { 1, 28, 28 } },
				      1.0f / 255, 0.132515f,
				      0.310480f,  { 980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009 } };
	const char *folder = test_data("mnist");
	clef_dataset *set;

	if (!folder)
		test_skip("no mnist in $CLEF_TEST_DATA");
	set = ck_new(clef_mnist_open(folder, true));
	check_figures(set, &train);
	clef_dataset_free(set);
	set = ck_new(clef_mnist_open(folder, false));
	check_figures(set, &test);
	clef_dataset_free(set);
}
END_TEST

/* The test set is there as IDX and as text, and comes with clef as well: three ways to the same bytes. */
START_TEST(optdigits_have_their_figures)
{
	static const figures train = { 3823,      { 3, { 1, 8, 8 } },
				       0.0625f,   0.307748f,
				       0.377280f, { 376, 389, 380, 389, 387, 376, 377, 387, 380, 382 } };
	const char *folder = test_data("optdigits"), *text[] = { test_data("optdigits/optdigits.tes"), shipped };
	clef_dataset *set, *same;

	if (!folder)
		test_skip("no optdigits in $CLEF_TEST_DATA");
	set = ck_new(clef_mnist_open(folder, true));
	check_figures(set, &train);
	clef_dataset_free(set);
	set = ck_new(clef_mnist_open(folder, false));
	check_figures(set, &digits);
	for (int i = 0; i < CLEF_COUNT(text); i++) {
		same = ck_new(clef_csv_open(text[i], CLEF_SHAPE(1, 8, 8), 10));
		check_set(same, 1797, CLEF_SHAPE(1, 8, 8), 10, clef_dataset_samples(set), clef_dataset_labels(set));
		clef_dataset_free(same);
	}
	clef_dataset_free(set);
}
END_TEST

Suite *data_suite(void)
{
	Suite *s = suite_create("data");
	TCase *sets = tcase_create("sets"), *real = tcase_create("real");

	tcase_add_test(sets, set_copies_its_samples);
	tcase_add_test(sets, set_refuses_bad_arguments);
	tcase_add_test(sets, stats_are_those_of_all_values);
	tcase_add_test(sets, split_is_a_partition);
	tcase_add_test(sets, split_depends_on_its_seed_alone);
	suite_add_tcase(s, sets);
	tcase_add_test(real, shipped_digits_are_whole);
	tcase_add_test(real, mnist_has_its_figures);
	tcase_add_test(real, optdigits_have_their_figures);
	suite_add_tcase(s, real);
	return s;
}
