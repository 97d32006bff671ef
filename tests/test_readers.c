/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers of data sets. The files are written here, byte by byte, so that each value that is read is known, and
 * each way in which a file can be wrong is tried.
 */
#include <string.h>

#include "check_clef.h"
#include "data_files.h"

typedef struct bytes {
	const char *data;
	size_t size;
} bytes;

/* A string literal with the zeros in it. */
#define BYTES(text)                                                                                                    \
	{                                                                                                              \
		(text), sizeof(text) - 1                                                                               \
	}

/* Two images of 1 x 3 and their labels. */
#define IMAGES "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x03\x00\x01\x7f\x80\xfe\xff"
#define LABELS "\0\0\x08\x01\0\0\0\x02\x04\x09"

static const bytes images = BYTES(IMAGES), labels = BYTES(LABELS);

/* ---- IDX ---- */

static clef_dataset *open_idx(bytes x, bytes y, int classes)
{
	const char *path = put("images", x.data, x.size);

	return clef_idx_open(path, put("labels", y.data, y.size), classes);
}

START_TEST(idx_values_are_those_of_the_file)
{
	static const struct {
		int given, classes;
	} rows[] = { { 0, 10 }, { 10, 10 }, { 256, 256 } };

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		clef_dataset *set = ck_new(open_idx(images, labels, rows[i].given));

		check_set(set, 2, CLEF_SHAPE(1, 1, 3), rows[i].classes, images.data + 16, labels.data + 8);
		clef_dataset_free(set);
	}
	for (int i = 0; i < 4; i++) {
		const char *x = (i & 1 ? put_gz : put)("x", images.data, images.size);
		clef_dataset *set = ck_new(clef_idx_open(x, (i & 2 ? put_gz : put)("y", labels.data, labels.size), 0));

		check_set(set, 2, CLEF_SHAPE(1, 1, 3), 10, images.data + 16, labels.data + 8);
		clef_dataset_free(set);
	}
}
END_TEST

START_TEST(idx_may_be_empty)
{
	static const bytes x = BYTES("\0\0\x08\x03\0\0\0\0\0\0\0\x1c\0\0\0\x1c"), y = BYTES("\0\0\x08\x01\0\0\0\0");
	clef_dataset *set = ck_new(open_idx(x, y, 10));

	ck_assert_int_eq(clef_dataset_count(set), 0);
	ck_assert(clef_shape_equal(clef_dataset_sample(set), CLEF_SHAPE(1, 28, 28)));
	clef_dataset_free(set);
	ck_null_fails(open_idx(x, y, 0), CLEF_ERROR_FORMAT, "no labels to count the classes by");
}
END_TEST

START_TEST(idx_of_any_wrong_length_is_refused)
{
	bytes longer_x = BYTES(IMAGES "x"), longer_y = BYTES(LABELS "x");

	for (size_t n = 1; n < images.size; n++)
		ck_null_fails(open_idx((bytes){ images.data, n }, labels, 0), CLEF_ERROR_FORMAT, "images is truncated");
	for (size_t n = 1; n < labels.size; n++)
		ck_null_fails(open_idx(images, (bytes){ labels.data, n }, 0), CLEF_ERROR_FORMAT, "labels is truncated");
	ck_null_fails(open_idx((bytes){ "", 0 }, labels, 0), CLEF_ERROR_FORMAT, "images is empty");
	ck_null_fails(open_idx(images, (bytes){ "", 0 }, 0), CLEF_ERROR_FORMAT, "labels is empty");
	ck_null_fails(open_idx(longer_x, labels, 0), CLEF_ERROR_FORMAT,
		      "images is too long: 7 bytes follow the header, which says 6 (2 images of 3)");
	ck_null_fails(open_idx(images, longer_y, 0), CLEF_ERROR_FORMAT, "labels is too long: 3 bytes");
}
END_TEST

#define IDX_ROW(x, y, classes, part)                                                                                   \
	{                                                                                                              \
		BYTES(x), BYTES(y), (classes), (part)                                                                  \
	}
#define HEADER(n, h, w) "\0\0\x08\x03" n h w

START_TEST(idx_that_lies_is_refused)
{
	static const struct {
		bytes x, y;
		int classes;
		const char *part;
	} rows[] = {
		IDX_ROW(LABELS, LABELS, 0, "images holds labels (magic 2049) where images (magic 2051) are expected"),
		IDX_ROW(IMAGES, IMAGES, 0, "labels holds images (magic 2051) where labels (magic 2049) are expected"),
		IDX_ROW(LABELS, IMAGES, 0, "are the two files exchanged?"),
		IDX_ROW("\0\0\x0d\x03"
			"more than enough",
			LABELS, 0, "IDX of type 0x0d with 3 dimensions"),
		IDX_ROW(IMAGES,
			"\0\0\x08\x02"
			"more than enough",
			0, "IDX of type 0x08 with 2 dimensions"),
		IDX_ROW("\x89PNG....", LABELS, 0, "no IDX file: it begins with 0x89504e47, and one of images with"),
		IDX_ROW("\3\x08\0\0....", LABELS, 0, "no IDX file: it begins with 0x03080000"),
		IDX_ROW(IMAGES,
			"\0\0\x08\x01\0\0\0\x03"
			"abc",
			0, "holds 2 images, but"),
		IDX_ROW(IMAGES, LABELS, 9, "labels: label 1 is 9; below 9 is allowed"),
		IDX_ROW(HEADER("\xff\xff\xff\xff", "\0\0\0\x1c", "\0\0\0\x1c") "abcd", LABELS, 0,
			"truncated: 4 bytes follow the header, which says 3367254359280 (4294967295 images"),
		IDX_ROW(HEADER("\xff\xff\xff\xff", "\0\0\0\1", "\x7f\xff\xff\xff") "abcd", LABELS, 0,
			"truncated: 4 bytes follow the header, which says 9223372030412324865"),
		/* Products that are 0, 6 and 0 in 32 or 64 bits. */
		IDX_ROW(HEADER("\0\0\0\x02", "\0\1\0\0", "\0\1\0\0"), LABELS, 0, "images are 65536 x 65536;"),
		IDX_ROW(HEADER("\0\0\0\x02", "\x40\0\0\1", "\0\0\0\4") "abcdefgh", LABELS, 0, "are 1073741825 x 4;"),
		IDX_ROW(HEADER("\x80\0\0\0", "\x80\0\0\0", "\0\0\0\4"), LABELS, 0, "images are 2147483648 x 4;"),
		IDX_ROW(HEADER("\0\0\0\2", "\xff\xff\xff\xff", "\xff\xff\xff\xff"), LABELS, 0,
			"images are 4294967295 x 4294967295; 1 to 2147483647 pixels"),
		IDX_ROW(HEADER("\0\0\0\2", "\0\0\0\0", "\0\0\0\x1c"), LABELS, 0, "images are 0 x 28;"),
		IDX_ROW(IMAGES,
			"\0\0\x08\x01\xff\xff\xff\xff"
			"ab",
			0, "labels is truncated: 2 bytes follow"),
	};

	for (int i = 0; i < CLEF_COUNT(rows); i++)
		ck_null_fails(open_idx(rows[i].x, rows[i].y, rows[i].classes), CLEF_ERROR_FORMAT, rows[i].part);
}
END_TEST

START_TEST(idx_bad_arguments)
{
	const char *x = put("x", images.data, images.size), *y = put("y", labels.data, labels.size);

	ck_null_fails(clef_idx_open(NULL, y, 0), CLEF_ERROR_INVALID, "path of the images is NULL");
	ck_null_fails(clef_idx_open(x, NULL, 0), CLEF_ERROR_INVALID, "path of the labels is NULL");
	ck_null_fails(clef_idx_open(x, y, -1), CLEF_ERROR_INVALID, "classes is -1; 1 to 256");
	ck_null_fails(clef_idx_open(x, y, 257), CLEF_ERROR_INVALID, "classes is 257; 1 to 256");
	ck_null_fails(clef_idx_open(test_path("none"), y, 0), CLEF_ERROR_IO, "none: No such file");
	ck_null_fails(clef_idx_open(x, test_dir(), 0), CLEF_ERROR_IO, "is a folder");
}
END_TEST

/* ---- MNIST's names ---- */

/* A training set whose first pixel tells it from others. */
static void put_set(const char *prefix, const char *suffix, char pixel)
{
	char name[128], data[sizeof(IMAGES)];

	memcpy(data, IMAGES, sizeof(IMAGES));
	data[16] = pixel;
	snprintf(name, sizeof(name), "%strain-images-idx3-ubyte%s", prefix, suffix);
	(*suffix ? put_gz : put)(name, data, images.size);
	snprintf(name, sizeof(name), "%strain-labels-idx1-ubyte%s", prefix, suffix);
	(*suffix ? put_gz : put)(name, labels.data, labels.size);
}

static int first_pixel(void)
{
	clef_dataset *set = ck_new(clef_mnist_open(test_dir(), true));
	int pixel = clef_dataset_samples(set)[0];

	ck_assert_int_eq(clef_dataset_count(set), 2);
	ck_assert_int_eq(clef_dataset_classes(set), 10);
	clef_dataset_free(set);
	return pixel;
}

/* Each set that is added goes before those that were there. */
START_TEST(mnist_names_have_an_order)
{
	put_set("some-digits-", ".gz", 1);
	ck_assert_int_eq(first_pixel(), 1);
	put_set("some-digits-", "", 2);
	ck_assert_int_eq(first_pixel(), 2);
	put_set("-", "", 9);
	put_set("unhyphenated", "", 9);
	put("train-images-idx3-ubyte.bak", "", 0);
	ck_assert_int_eq(first_pixel(), 2);
	put_set("other-", "", 3);
	ck_null_fails(clef_mnist_open(test_dir(), true), CLEF_ERROR_INVALID, "has more than one set: ");
	ck_assert_ptr_nonnull(strstr(clef_error(), "some-digits-train-images-idx3-ubyte"));
	ck_assert_ptr_nonnull(strstr(clef_error(), "other-train-images-idx3-ubyte"));
	put_set("", ".gz", 4);
	ck_assert_int_eq(first_pixel(), 4);
	put_set("", "", 5);
	ck_assert_int_eq(first_pixel(), 5);
}
END_TEST

START_TEST(mnist_parts_may_differ_in_compression)
{
	clef_dataset *set;

	put_gz("a-t10k-images-idx3-ubyte.gz", images.data, images.size);
	put("a-t10k-labels-idx1-ubyte", labels.data, labels.size);
	set = ck_new(clef_mnist_open(test_dir(), false));
	check_set(set, 2, CLEF_SHAPE(1, 1, 3), 10, images.data + 16, labels.data + 8);
	clef_dataset_free(set);
}
END_TEST

START_TEST(mnist_says_what_it_looked_for)
{
	ck_null_fails(clef_mnist_open(test_dir(), false), CLEF_ERROR_IO,
		      "has none of t10k-images-idx3-ubyte, t10k-images-idx3-ubyte.gz, "
		      "PREFIX-t10k-images-idx3-ubyte and PREFIX-t10k-images-idx3-ubyte.gz");
	ck_null_fails(clef_mnist_open(test_path("nowhere"), true), CLEF_ERROR_IO, "nowhere: No such file");
	ck_null_fails(clef_mnist_open(put("file", "x", 1), true), CLEF_ERROR_IO, "cannot open the folder");
	ck_null_fails(clef_mnist_open(NULL, true), CLEF_ERROR_INVALID, "the folder is NULL");
	put("a-train-images-idx3-ubyte", images.data, images.size);
	put("b-train-labels-idx1-ubyte", labels.data, labels.size);
	ck_null_fails(clef_mnist_open(test_dir(), true), CLEF_ERROR_IO,
		      "has images, but neither a-train-labels-idx1-ubyte nor a-train-labels-idx1-ubyte.gz");
	put("a-train-labels-idx1-ubyte", "\0\0\x08\x01\0\0\0\2\1\x0a", 10);
	ck_null_fails(clef_mnist_open(test_dir(), true), CLEF_ERROR_FORMAT, "label 1 is 10; below 10");
}
END_TEST

/* ---- comma-separated values ---- */

static clef_dataset *open_csv(bytes text, int classes)
{
	return clef_csv_open(put("file.csv", text.data, text.size), CLEF_SHAPE(3), classes);
}

START_TEST(csv_values_are_those_of_the_file)
{
	static const bytes texts[] = {
		BYTES("0,1,255,2\n7,8,9,0\n"),           BYTES("0,1,255,2\n7,8,9,0"),
		BYTES("0,1,255,2\r\n7,8,9,0\r\n"),       BYTES("\n \n0,1,255,2\n\t\r\n\n7,8,9,0\n\n  "),
		BYTES(" 0,\t1 , 255,2 \n007,08,9,00\n"),
	};

	for (int i = 0; i < CLEF_COUNT(texts); i++) {
		clef_dataset *set = ck_new(open_csv(texts[i], 0));

		check_set(set, 2, CLEF_SHAPE(3), 3, "\0\1\xff\7\x08\x09", "\2\0");
		clef_dataset_free(set);
		put_gz("file.csv.gz", texts[i].data, texts[i].size);
		set = ck_new(clef_csv_open(test_path("file.csv.gz"), CLEF_SHAPE(3, 1), 9));
		check_set(set, 2, CLEF_SHAPE(3, 1), 9, "\0\1\xff\7\x08\x09", "\2\0");
		clef_dataset_free(set);
	}
}
END_TEST

START_TEST(csv_fits_its_memory_exactly)
{
	static char text[200001];
	clef_dataset *set;

	for (int i = 0; i < 200000; i += 4)
		memcpy(text + i, "1,2\n", 4);
	for (size_t size = 199999; size <= 200000; size++) {
		set = ck_new(clef_csv_open(put("pairs.csv", text, size), CLEF_SCALAR, 0));
		ck_assert_int_eq(clef_dataset_count(set), 50000);
		ck_assert_int_eq(clef_dataset_classes(set), 3);
		clef_dataset_free(set);
	}
}
END_TEST

START_TEST(csv_error_has_line_and_column)
{
	static const struct {
		bytes text;
		int classes;
		const char *part;
	} rows[] = {
		{ BYTES("1,2,3\n"), 0,
		  "file.csv, line 1, column 3: fewer columns than the 4 of a sample and its label" },
		{ BYTES("\n1,2,3,0\n1,2,3,0,0\n"), 0, "line 3, column 4: more columns than the 4" },
		{ BYTES("1,2,3,0\n\r\n1"), 0, "line 3, column 1: fewer columns" },
		{ BYTES("1,2,3,0\n1,256,3,0\n"), 0, "line 2, column 2: '256'; an integer 0..255 is expected" },
		{ BYTES("1,2,3,99999999999999999999999\n"), 0, "line 1, column 4: '99999999999999999999...';" },
		{ BYTES("1,2,-3,0\n"), 0, "line 1, column 3: '-3';" },
		{ BYTES("1,2,+3,0\n"), 0, "line 1, column 3: '+3';" },
		{ BYTES("1,2,3.0,0\n"), 0, "line 1, column 3: '3.0';" },
		{ BYTES("1,2 3,4,0\n"), 0, "line 1, column 2: '2 3';" },
		{ BYTES("1,,3,0\n"), 0, "line 1, column 2: '';" },
		{ BYTES("1,2,3,\n"), 0, "line 1, column 4: '';" },
		{ BYTES(",\n"), 0, "line 1, column 1: '';" },
		{ BYTES("a,b,c,label\n1,2,3,0\n"), 0, "line 1, column 1: 'a';" },
		{ BYTES("1;2;3;0\n"), 0, "line 1, column 1: '1;2;3;0';" },
		{ BYTES("1,2,\0,0\n"), 0, "line 1, column 3: '?';" },
		{ BYTES("1,2,3,0\0\n"), 0, "line 1, column 4: '0?';" },
		{ BYTES("1,2,\xff\x1b[2J,0\n"), 0, "line 1, column 3: '??[2J';" },
		{ BYTES("1,2,3,0\n1,2,3,5\n"), 5, "line 2, column 4: the label is 5; below 5 is allowed" },
		{ BYTES(" \n\r\n"), 0, "holds only blank lines" },
		{ BYTES(""), 0, "file.csv is empty" },
	};

	for (int i = 0; i < CLEF_COUNT(rows); i++)
		ck_null_fails(open_csv(rows[i].text, rows[i].classes), CLEF_ERROR_FORMAT, rows[i].part);
}
END_TEST

START_TEST(csv_bad_arguments)
{
	const char *path = put("a.csv", "1,2,3,0\n", 8);

	ck_null_fails(clef_csv_open(NULL, CLEF_SHAPE(3), 0), CLEF_ERROR_INVALID, "the path is NULL");
	ck_null_fails(clef_csv_open(path, CLEF_SHAPE(0), 0), CLEF_ERROR_SHAPE, "[0]");
	ck_null_fails(clef_csv_open(path, CLEF_SHAPE(3), 300), CLEF_ERROR_INVALID, "classes is 300; 1 to 256");
	ck_null_fails(clef_csv_open(path, CLEF_SHAPE(INT32_MAX), 0), CLEF_ERROR_FORMAT,
		      "column 4: fewer columns than the 2147483648");
	ck_null_fails(clef_csv_open(test_path("none.csv"), CLEF_SHAPE(3), 0), CLEF_ERROR_IO, "none.csv: No such");
	ck_null_fails(clef_csv_open(test_dir(), CLEF_SHAPE(3), 0), CLEF_ERROR_IO, "is a folder");
}
END_TEST

Suite *readers_suite(void)
{
	Suite *s = suite_create("readers");
	TCase *idx = tcase_create("idx"), *mnist = tcase_create("mnist"), *csv = tcase_create("csv");

	tcase_add_test(idx, idx_values_are_those_of_the_file);
	tcase_add_test(idx, idx_may_be_empty);
	tcase_add_test(idx, idx_of_any_wrong_length_is_refused);
	tcase_add_test(idx, idx_that_lies_is_refused);
	tcase_add_test(idx, idx_bad_arguments);
	suite_add_tcase(s, idx);
	tcase_add_test(mnist, mnist_names_have_an_order);
	tcase_add_test(mnist, mnist_parts_may_differ_in_compression);
	tcase_add_test(mnist, mnist_says_what_it_looked_for);
	suite_add_tcase(s, mnist);
	tcase_add_test(csv, csv_values_are_those_of_the_file);
	tcase_add_test(csv, csv_fits_its_memory_exactly);
	tcase_add_test(csv, csv_error_has_line_and_column);
	tcase_add_test(csv, csv_bad_arguments);
	suite_add_tcase(s, csv);
	return s;
}
