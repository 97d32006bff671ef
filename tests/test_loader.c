/* SPDX-License-Identifier: Apache-2.0 */
/* The loader: which samples are in a batch, in which order, and as which numbers. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

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

/* From every place the batches are those that come there. */
START_TEST(loader_seeks)
{
	const clef_loader_opts opts = { .batch = 70, .shuffle = true, .seed = 9, .scale = 1 };
	clef_dataset *set = numbered();
	clef_loader *a = ck_new(clef_loader_open(set, &opts)), *b = ck_new(clef_loader_open(set, &opts));
	clef_batch x, y;

	for (int64_t place = 0; place < 3 * 6; place++) {
		ck_assert_int_eq(clef_loader_epoch(a), place / 6);
		ck_assert_int_eq(clef_loader_index(a), place % 6);
		ck_ok(clef_loader_seek(b, place / 6, place % 6));
		ck_assert_int_eq(clef_loader_epoch(b), place / 6);
		ck_assert_int_eq(clef_loader_index(b), place % 6);
		/* The other one's next two, also where an epoch ends between them. */
		for (int k = 0; k < 2; k++) {
			bool more = clef_loader_next(a, &x);

			ck_assert(more == (place % 6 + k != 5));
			ck_assert(clef_loader_next(b, &y) == more);
			if (more)
				ck_assert_mem_eq(x.images.data, y.images.data, (size_t)x.count * 2 * sizeof(float));
		}
		ck_ok(clef_loader_seek(a, (place + 1) / 6, (place + 1) % 6));
	}
	ck_fails(clef_loader_seek(a, -1, 0), CLEF_ERROR_INVALID, "epoch -1, index 0;");
	ck_fails(clef_loader_seek(a, 0, 6), CLEF_ERROR_INVALID, "index from 0 to 5");
	ck_fails(clef_loader_seek(a, 0, -1), CLEF_ERROR_INVALID, "index -1");
	ck_fails(clef_loader_seek(NULL, 0, 0), CLEF_ERROR_INVALID, "NULL");
	ck_assert_int_eq(clef_loader_index(NULL), 0);
	clef_loader_close(a);
	clef_loader_close(b);
	clef_dataset_free(set);
}
END_TEST

Suite *loader_suite(void)
{
	Suite *s = suite_create("loader");
	TCase *loader = tcase_create("loader");

	tcase_add_test(loader, loader_keeps_the_order_of_the_set);
	tcase_add_test(loader, loader_shuffles_each_epoch_anew);
	tcase_add_test(loader, loader_drops_the_last_of_the_order);
	tcase_add_test(loader, loader_normalises);
	tcase_add_test(loader, loader_of_an_empty_set);
	tcase_add_test(loader, loader_refuses_bad_options);
	tcase_add_test(loader, loader_limits_its_batch);
	tcase_add_test(loader, loader_seeks);
	suite_add_tcase(s, loader);
	return s;
}
