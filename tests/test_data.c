/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets, the loader, and the real sets: the one that comes with clef, and those in $CLEF_TEST_DATA, are checked
 * against figures that were computed elsewhere.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

static void check_set(const clef_dataset *set, int64_t count, clef_shape sample, int classes, const void *x,
		      const void *y)
{
	ck_assert_int_eq(clef_dataset_count(set), count);
	ck_assert(clef_shape_equal(clef_dataset_sample(set), sample));
	ck_assert_int_eq(clef_dataset_classes(set), classes);
	ck_assert_mem_eq(clef_dataset_samples(set), x, (size_t)(count * clef_shape_numel(sample)));
	ck_assert_mem_eq(clef_dataset_labels(set), y, (size_t)count);
}

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

/* ---- the loader ---- */

static int batch_number(const clef_batch *b, int64_t i)
{
	const float *x = b->images.data;

	return (int)x[2 * i] * 256 + (int)x[2 * i + 1];
}

/* One epoch of numbered(): checks each batch, and gives the order of the samples and how many there were. */
static int run_epoch(clef_loader *loader, int64_t batch, int order[300])
{
	const void *memory = NULL;
	clef_batch b;
	int n = 0;

	for (int64_t k = 0; k < clef_loader_batches(loader); k++) {
		ck_assert(clef_loader_next(loader, &b));
		ck_assert_int_eq(b.index, k);
		ck_assert_int_eq(b.count, 300 - n < batch ? 300 - n : batch);
		ck_assert_int_eq(b.images.dtype, CLEF_FLOAT32);
		ck_assert(clef_shape_equal(b.images.shape, CLEF_SHAPE(b.count, 1, 2)));
		ck_assert_int_eq(b.labels.dtype, CLEF_INT32);
		ck_assert(clef_shape_equal(b.labels.shape, CLEF_SHAPE(b.count)));
		ck_assert(!memory || memory == b.images.data);
		memory = b.images.data;
		for (int64_t i = 0; i < b.count; i++) {
			order[n] = batch_number(&b, i);
			ck_assert_int_eq(((int32_t *)b.labels.data)[i], order[n] % 7);
			n++;
		}
	}
	ck_assert(!clef_loader_next(loader, &b));
	return n;
}

START_TEST(loader_keeps_the_order_of_the_set)
{
	static const struct {
		int64_t batch, batches;
		bool drop_last;
		int samples;
	} rows[] = {
		{ 0, 300, false, 300 },       { 1, 300, true, 300 },     { 100, 3, false, 300 }, { 100, 3, true, 300 },
		{ 7, 43, false, 300 },        { 7, 42, true, 294 },      { 299, 2, false, 300 }, { 299, 1, true, 299 },
		{ 300, 1, false, 300 },       { 300, 1, true, 300 },     { 301, 1, false, 300 }, { 301, 0, true, 0 },
		{ INT64_MAX, 1, false, 300 }, { INT64_MAX, 0, true, 0 },
	};
	clef_dataset *set = numbered();
	int order[300];

	for (int r = 0; r < CLEF_COUNT(rows); r++) {
		clef_loader_opts opts = { .batch = rows[r].batch, .drop_last = rows[r].drop_last, .scale = 1 };
		clef_loader *loader = ck_new(clef_loader_open(set, &opts));

		ck_assert_int_eq(clef_loader_batches(loader), rows[r].batches);
		for (int epoch = 0; epoch < 2; epoch++) {
			ck_assert_int_eq(clef_loader_epoch(loader), epoch);
			ck_assert_int_eq(run_epoch(loader, rows[r].batch ? rows[r].batch : 1, order), rows[r].samples);
			for (int i = 0; i < rows[r].samples; i++)
				ck_assert_int_eq(order[i], i);
		}
		ck_assert_int_eq(clef_loader_epoch(loader), 2);
		clef_loader_close(loader);
	}
	clef_dataset_free(set);
}
END_TEST

START_TEST(loader_shuffles_each_epoch_anew)
{
	clef_loader_opts opts = { .batch = 64, .shuffle = true, .seed = 11, .scale = 1 };
	clef_dataset *set = numbered();
	clef_loader *a = ck_new(clef_loader_open(set, &opts)), *b = ck_new(clef_loader_open(set, &opts)), *c;
	int orders[4][300], other[300];
	int32_t expected[300];

	opts.seed = 12;
	c = ck_new(clef_loader_open(set, &opts));
	for (uint64_t e = 0; e < 4; e++) {
		clef_rng rng = { .seed = 11, .counter = e };
		int seen[300] = { 0 }, same = 0;

		ck_assert_int_eq(run_epoch(a, 64, orders[e]), 300);
		clef_rng_permutation(&rng, expected, 300);
		for (int i = 0; i < 300; i++) {
			ck_assert_int_eq(orders[e][i], expected[i]);
			ck_assert_int_eq(seen[orders[e][i]]++, 0);
		}
		run_epoch(b, 64, other);
		ck_assert_mem_eq(orders[e], other, sizeof(other));
		run_epoch(c, 64, other);
		for (int i = 0; i < 300; i++)
			same += orders[e][i] == other[i];
		for (uint64_t before = 0; before < e; before++)
			for (int i = 0; i < 300; i++)
				same += orders[e][i] == orders[before][i];
		ck_assert_int_lt(same, 30);
	}
	clef_loader_close(a);
	clef_loader_close(b);
	clef_loader_close(c);
	clef_dataset_free(set);
}
END_TEST

/* With drop_last it is other samples that are left out in each epoch. */
START_TEST(loader_drops_the_last_of_the_order)
{
	clef_loader_opts opts = { .batch = 64, .shuffle = true, .drop_last = true, .scale = 1 };
	clef_dataset *set = numbered();
	clef_loader *loader = ck_new(clef_loader_open(set, &opts));
	int order[300], seen[300] = { 0 };

	for (int e = 0; e < 20; e++) {
		ck_assert_int_eq(run_epoch(loader, 64, order), 256);
		for (int i = 0; i < 256; i++)
			seen[order[i]]++;
	}
	for (int i = 0; i < 300; i++)
		ck_assert_int_gt(seen[i], 0);
	clef_loader_close(loader);
	clef_dataset_free(set);
}
END_TEST

/* All 256 values, as PyTorch's ToTensor and Normalize give them, and as exact binary fractions. */
START_TEST(loader_normalises)
{
	uint8_t raw[256], zero = 0;
	clef_dataset *set;
	clef_loader *plain, *exact, *usual;
	clef_batch a, b, c;

	for (int i = 0; i < 256; i++)
		raw[i] = (uint8_t)i;
	set = ck_new(clef_dataset_new(raw, &zero, 1, CLEF_SHAPE(256), 1));
	plain = ck_new(clef_loader_open(set, NULL));
	exact = ck_new(clef_loader_open(set, &(clef_loader_opts){ .scale = 0.0625f, .mean = 0.5f, .std = 0.25f }));
	usual = ck_new(clef_loader_open(set, &(clef_loader_opts){ .mean = 0.1307f, .std = 0.3081f }));
	ck_assert(clef_loader_next(plain, &a) && clef_loader_next(exact, &b) && clef_loader_next(usual, &c));
	ck_assert(clef_shape_equal(a.images.shape, CLEF_SHAPE(1, 256)));
	for (int i = 0; i < 256; i++) {
		double u = ((double)i / 255 - 0.1307) / 0.3081;

		ck_assert_float_eq(((float *)a.images.data)[i], (float)i / 255.0f);
		ck_assert_float_eq(((float *)b.images.data)[i], (float)(i - 8) / 4);
		ck_assert_double_eq_tol((double)((float *)c.images.data)[i], u, 1e-6);
	}
	ck_assert_float_eq(((float *)a.images.data)[255], 1);
	clef_loader_close(plain);
	clef_loader_close(exact);
	clef_loader_close(usual);
	clef_dataset_free(set);
}
END_TEST

START_TEST(loader_of_an_empty_set)
{
	clef_dataset *set = ck_new(clef_dataset_new(NULL, NULL, 0, CLEF_SHAPE(3, 4), 2));
	clef_loader *loader = ck_new(clef_loader_open(set, &(clef_loader_opts){ .batch = 8, .shuffle = true }));
	clef_batch b;

	ck_assert_int_eq(clef_loader_batches(loader), 0);
	ck_assert(!clef_loader_next(loader, &b));
	ck_assert(!clef_loader_next(loader, &b));
	ck_assert_int_eq(clef_loader_epoch(loader), 2);
	clef_loader_close(loader);
	clef_dataset_free(set);
}
END_TEST

START_TEST(loader_refuses_bad_options)
{
	static const struct {
		clef_loader_opts opts;
		const char *part;
	} rows[] = {
		{ { .batch = -3 }, "batch is -3; 1 or more" },
		{ { .std = -0.5f }, "std is -0.5; it must be above 0" },
		{ { .std = NAN }, "std is nan; it must be finite" },
		{ { .std = INFINITY }, "std is inf; it must be finite" },
		{ { .mean = -INFINITY }, "mean is -inf; it must be finite" },
		{ { .scale = NAN }, "scale is nan; it must be finite" },
		{ { .scale = FLT_MAX }, "of the value 2, which is not a finite float" },
		{ { .std = FLT_MIN, .scale = 1 }, "of the value 4, which is not a finite float" },
	};
	clef_dataset *set = numbered();
	clef_loader *loader = ck_new(clef_loader_open(set, NULL));

	for (int i = 0; i < CLEF_COUNT(rows); i++)
		ck_null_fails(clef_loader_open(set, &rows[i].opts), CLEF_ERROR_INVALID, rows[i].part);
	ck_null_fails(clef_loader_open(NULL, NULL), CLEF_ERROR_INVALID, "clef_loader_open: given NULL");
	ck_assert(!clef_loader_next(NULL, &(clef_batch){ .count = 0 }));
	ck_assert(!clef_loader_next(loader, NULL));
	ck_assert_int_eq(clef_loader_epoch(loader), 0);
	ck_assert_int_eq(clef_loader_batches(NULL), 0);
	ck_assert_int_eq(clef_loader_epoch(NULL), 0);
	clef_loader_close(NULL);
	clef_loader_close(loader);
	clef_dataset_free(set);
}
END_TEST

/* A batch must fit a tensor, whatever the set: 2049 samples of 2^20 bytes would not. */
START_TEST(loader_limits_its_batch)
{
	const int64_t count = 2049, size = 1 << 20;
	uint8_t *x, *y;
	clef_dataset *set;

	if (!test_long())
		test_skip("takes 4 GiB of memory; set CLEF_TEST_LONG");
	x = calloc((size_t)count, (size_t)size);
	y = calloc((size_t)count, 1);
	if (!x || !y) {
		free(x);
		free(y);
		test_skip("no memory");
	}
	set = ck_new(clef_dataset_new(x, y, count, CLEF_SHAPE(size), 1));
	free(x);
	free(y);
	ck_null_fails(clef_loader_open(set, &(clef_loader_opts){ .batch = 2048 }), CLEF_ERROR_INVALID,
		      "batch is 2048; samples of [1048576] allow 2047");
	clef_loader_close(ck_new(clef_loader_open(set, &(clef_loader_opts){ .batch = 16 })));
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
	TCase *sets = tcase_create("sets"), *loader = tcase_create("loader"), *real = tcase_create("real");

	tcase_add_test(sets, set_copies_its_samples);
	tcase_add_test(sets, set_refuses_bad_arguments);
	tcase_add_test(sets, stats_are_those_of_all_values);
	tcase_add_test(sets, split_is_a_partition);
	tcase_add_test(sets, split_depends_on_its_seed_alone);
	suite_add_tcase(s, sets);
	tcase_add_test(loader, loader_keeps_the_order_of_the_set);
	tcase_add_test(loader, loader_shuffles_each_epoch_anew);
	tcase_add_test(loader, loader_drops_the_last_of_the_order);
	tcase_add_test(loader, loader_normalises);
	tcase_add_test(loader, loader_of_an_empty_set);
	tcase_add_test(loader, loader_refuses_bad_options);
	tcase_add_test(loader, loader_limits_its_batch);
	suite_add_tcase(s, loader);
	tcase_add_test(real, shipped_digits_are_whole);
	tcase_add_test(real, mnist_has_its_figures);
	tcase_add_test(real, optdigits_have_their_figures);
	suite_add_tcase(s, real);
	return s;
}
