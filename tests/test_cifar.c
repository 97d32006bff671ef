/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CIFAR-10 files, written here, and the real set where $CLEF_TEST_DATA has it; and which reader a folder is given to.
 */
#include <string.h>

#include "check_clef.h"
#include "data_files.h"

enum { PIXELS = 3 * 32 * 32, RECORD = 1 + PIXELS };

/* `count` records whose labels and pixels follow from their number, from `first` on. */
static const uint8_t *records(int first, int count)
{
	static uint8_t data[4 * RECORD + 2];

	for (int i = 0; i < count; i++) {
		data[i * RECORD] = (uint8_t)((first + i) % 10);
		for (int k = 0; k < PIXELS; k++)
			data[i * RECORD + 1 + k] = (uint8_t)((first + i) * 31 + k / 7);
	}
	return data;
}

/* Training files of 1, 2, 3, 1 and 2 records, and a test file of 4. */
static void put_cifar(void)
{
	static const int counts[] = { 1, 2, 3, 1, 2 };
	char name[32];
	int first = 0;

	for (int i = 0; i < 5; first += counts[i++]) {
		snprintf(name, sizeof(name), "data_batch_%d.bin%s", i + 1, i == 3 ? ".gz" : "");
		(i == 3 ? put_gz : put)(name, records(first, counts[i]), (size_t)counts[i] * RECORD);
	}
	put("test_batch.bin", records(100, 4), 4 * RECORD);
}

static void check_records(const clef_dataset *set, int first, int count)
{
	ck_assert_int_eq(clef_dataset_count(set), count);
	ck_assert_int_eq(clef_dataset_classes(set), 10);
	ck_assert_int_eq(clef_dataset_channels(set), 3);
	ck_assert(clef_shape_equal(clef_dataset_sample(set), CLEF_SHAPE(3, 32, 32)));
	for (int i = 0; i < count; i++) {
		const uint8_t *record = records(first + i, 1);

		ck_assert_int_eq(clef_dataset_labels(set)[i], *record);
		ck_assert_mem_eq(clef_dataset_samples(set) + (size_t)i * PIXELS, record + 1, PIXELS);
	}
}

START_TEST(values_are_those_of_the_files)
{
	clef_dataset *set;

	put_cifar();
	set = ck_new(clef_cifar10_open(test_dir(), true));
	check_records(set, 0, 9);
	clef_dataset_free(set);
	set = ck_new(clef_cifar10_open(test_dir(), false));
	check_records(set, 100, 4);
	clef_dataset_free(set);
}
END_TEST

START_TEST(classes_have_names)
{
	clef_dataset *set, *part[2];

	put_cifar();
	set = ck_new(clef_cifar10_open(test_dir(), true));
	ck_ok(clef_dataset_split(set, 3, 1, &part[0], &part[1]));
	clef_dataset_free(set);
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(clef_dataset_class(part[i], 0), "airplane");
		ck_assert_str_eq(clef_dataset_class(part[i], 9), "truck");
		ck_assert_ptr_null(clef_dataset_class(part[i], 10));
		ck_assert_ptr_null(clef_dataset_class(part[i], -1));
		clef_dataset_free(part[i]);
	}
	ck_assert_ptr_null(clef_dataset_class(NULL, 0));
	set = ck_new(clef_dataset_new((const uint8_t *)"a", (const uint8_t *)"", 1, CLEF_SCALAR, 1));
	ck_assert_ptr_null(clef_dataset_class(set, 0));
	clef_dataset_free(set);
}
END_TEST

START_TEST(wrong_files_are_refused)
{
	uint8_t bad[RECORD];

	ck_null_fails(clef_cifar10_open(NULL, true), CLEF_ERROR_INVALID, "the folder is NULL");
	ck_null_fails(clef_cifar10_open(test_dir(), false), CLEF_ERROR_IO,
		      "has neither test_batch.bin nor test_batch.bin.gz");
	put_cifar();
	for (int n = 1; n < 2 * RECORD; n += 307) {
		put("data_batch_3.bin", records(0, 2), (size_t)n);
		if (n % RECORD)
			ck_null_fails(clef_cifar10_open(test_dir(), true), CLEF_ERROR_FORMAT,
				      "data_batch_3.bin is truncated");
	}
	put("data_batch_3.bin", "", 0);
	ck_null_fails(clef_cifar10_open(test_dir(), true), CLEF_ERROR_FORMAT, "data_batch_3.bin is empty");
	put("data_batch_3.bin", records(0, 1), RECORD + 1);
	ck_null_fails(clef_cifar10_open(test_dir(), true), CLEF_ERROR_FORMAT, "3074 bytes are no whole number");
	memcpy(bad, records(0, 1), RECORD);
	bad[0] = 10;
	put("data_batch_3.bin", bad, RECORD);
	ck_null_fails(clef_cifar10_open(test_dir(), true), CLEF_ERROR_FORMAT, "bin: label 0 is 10; below 10 is");
	remove(test_path("data_batch_3.bin"));
	ck_null_fails(clef_cifar10_open(test_dir(), true), CLEF_ERROR_IO, "has neither data_batch_3.bin nor");
}
END_TEST

START_TEST(channels_have_statistics)
{
	/* Two samples of two channels of two pixels. */
	const uint8_t x[] = { 1, 3, 10, 10, 5, 7, 10, 10 }, y[2] = { 0 };
	clef_dataset *set = ck_new(clef_dataset_new(x, y, 2, CLEF_SHAPE(2, 1, 2), 1));
	clef_dataset *flat = ck_new(clef_dataset_new(x, y, 2, CLEF_SHAPE(2, 2), 1));
	clef_dataset *none = ck_new(clef_dataset_new(NULL, NULL, 0, CLEF_SHAPE(2, 1, 2), 1));
	float mean[2], std[2], all;

	ck_ok(clef_dataset_channel_stats(set, 2, mean, std));
	ck_assert_float_eq(mean[0], 8);
	ck_assert_float_eq(std[0], 4.47213595499958f);
	ck_assert_float_eq(mean[1], 20);
	ck_assert_float_eq(std[1], 0);
	ck_ok(clef_dataset_channel_stats(flat, 1, mean, NULL));
	ck_ok(clef_dataset_stats(set, 1, &all, NULL));
	ck_assert_float_eq(mean[0], 7);
	ck_assert_float_eq(all, 7);
	ck_assert_int_eq(clef_dataset_channels(flat), 1);
	ck_assert_int_eq(clef_dataset_channels(NULL), 0);
	ck_fails(clef_dataset_channel_stats(none, 1, mean, std), CLEF_ERROR_SHAPE, "channel_stats: an empty set");
	ck_fails(clef_dataset_channel_stats(NULL, 1, mean, std), CLEF_ERROR_INVALID, "channel_stats: given NULL");
	clef_dataset_free(set);
	clef_dataset_free(flat);
	clef_dataset_free(none);
}
END_TEST

START_TEST(loader_normalises_by_channel)
{
	const uint8_t x[] = { 1, 3, 10, 10, 5, 7, 10, 10 }, y[2] = { 0 };
	clef_dataset *set = ck_new(clef_dataset_new(x, y, 2, CLEF_SHAPE(2, 1, 2), 1));
	float mean[] = { 4, 10 }, std[] = { 0.5f, 0 };
	clef_loader_opts opts = { .batch = 2, .scale = 1, .channel_mean = mean, .channel_std = std };
	clef_loader *loader = ck_new(clef_loader_open(set, &opts));
	clef_batch b;

	/* The arrays are no longer looked at, and a channel that is all the same stays finite. */
	mean[0] = std[0] = mean[1] = 99;
	ck_assert(clef_loader_next(loader, &b));
	ck_assert_mem_eq(b.images.data, ((float[]){ -6, -2, 0, 0, 2, 6, 0, 0 }), 8 * sizeof(float));
	clef_loader_close(loader);
	std[1] = -1;
	ck_null_fails(clef_loader_open(set, &opts), CLEF_ERROR_INVALID, "std is -1");
	clef_dataset_free(set);
}
END_TEST

/* A stream for each batch: the same whenever it is made, and none twice. */
START_TEST(batches_have_streams)
{
	const uint8_t x[6] = { 0 }, y[6] = { 0 };
	clef_dataset *set = ck_new(clef_dataset_new(x, y, 6, CLEF_SCALAR, 1));
	clef_loader *loader[2];
	clef_rng seen[12];
	clef_batch b;
	int n = 0;

	for (int i = 0; i < 2; i++)
		loader[i] = ck_new(clef_loader_open(set, &(clef_loader_opts){ .batch = 2, .seed = 5, .shuffle = i }));
	for (int epoch = 0; epoch < 3; epoch++) {
		for (; clef_loader_next(loader[0], &b); n++) {
			seen[n] = b.rng;
			for (int i = 0; i < n; i++)
				ck_assert(seen[i].seed != b.rng.seed || seen[i].counter != b.rng.counter);
			ck_assert_uint_eq(b.rng.counter, (uint64_t)b.index << 32);
			ck_assert(clef_loader_next(loader[1], &b));
			ck_assert_mem_eq(&seen[n], &b.rng, sizeof(b.rng));
		}
		ck_assert(!clef_loader_next(loader[1], &b));
	}
	ck_assert_int_eq(n, 9);
	clef_loader_close(loader[0]);
	clef_loader_close(loader[1]);
	clef_dataset_free(set);
}
END_TEST

START_TEST(folders_are_told_apart)
{
	clef_dataset *set;

	ck_null_fails(clef_dataset_open(NULL, true), CLEF_ERROR_INVALID, "the path is NULL");
	ck_null_fails(clef_dataset_open(test_dir(), true), CLEF_ERROR_IO, "has none of train-images-idx3-ubyte");
	put("t10k-images-idx3-ubyte", "\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01x", 17);
	put("t10k-labels-idx1-ubyte", "\0\0\x08\x01\0\0\0\x01\x03", 9);
	set = ck_new(clef_dataset_open(test_dir(), false));
	check_set(set, 1, CLEF_SHAPE(1, 1, 1), 10, "x", "\x03");
	clef_dataset_free(set);
	put_cifar();
	set = ck_new(clef_dataset_open(test_dir(), true));
	check_records(set, 0, 9);
	clef_dataset_free(set);
	remove(test_path("data_batch_1.bin"));
	set = ck_new(clef_dataset_open(test_dir(), false));
	check_records(set, 100, 4);
	clef_dataset_free(set);
}
END_TEST

/* Figures of the published set: 5000 and 1000 images of each class, and the means that are in use everywhere. */
START_TEST(the_real_set)
{
	static const double means[] = { 0.4914, 0.4822, 0.4465 }, stds[] = { 0.2470, 0.2435, 0.2616 };
	const char *folder = test_data("cifar-10-batches-bin");
	float mean[3], std[3];

	if (!folder)
		test_skip("needs cifar-10-batches-bin in $CLEF_TEST_DATA");
	for (int train = 0; train < 2; train++) {
		clef_dataset *set = ck_new(clef_dataset_open(folder, train));
		int counts[10] = { 0 }, each = train ? 5000 : 1000;

		ck_assert_int_eq(clef_dataset_count(set), 10 * each);
		for (int i = 0; i < 10 * each; i++)
			counts[clef_dataset_labels(set)[i]]++;
		for (int i = 0; i < 10; i++)
			ck_assert_int_eq(counts[i], each);
		ck_ok(clef_dataset_channel_stats(set, 1.0f / 255, mean, std));
		for (int c = 0; c < 3 && train; c++) {
			ck_assert_double_eq_tol((double)mean[c], means[c], 1e-4);
			ck_assert_double_eq_tol((double)std[c], stds[c], 1e-4);
		}
		clef_dataset_free(set);
	}
}
END_TEST

Suite *cifar_suite(void)
{
	Suite *s = suite_create("cifar");
	TCase *c = tcase_create("cifar");

	tcase_add_test(c, values_are_those_of_the_files);
	tcase_add_test(c, classes_have_names);
	tcase_add_test(c, wrong_files_are_refused);
	tcase_add_test(c, channels_have_statistics);
	tcase_add_test(c, loader_normalises_by_channel);
	tcase_add_test(c, batches_have_streams);
	tcase_add_test(c, folders_are_told_apart);
	tcase_add_test(c, the_real_set);
	suite_add_tcase(s, c);
	return s;
}
