/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's arrays and zip files. Files are put together here from headers as NumPy writes them; then every truncation,
 * every flipped bit and every lie in a header is tried.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "check_clef.h"
#include "data_files.h"

typedef struct bytes {
	uint8_t data[4096];
	size_t size;
} bytes;

static void append(bytes *b, const void *data, size_t size)
{
	ck_assert_uint_le(b->size + size, sizeof(b->data));
	memcpy(b->data + b->size, data, size);
	b->size += size;
}

static void append_number(bytes *b, uint64_t value, int size)
{
	for (int i = 0; i < size; i++)
		append(b, &(uint8_t){ (uint8_t)(i < 8 ? value >> 8 * i : 0) }, 1);
}

/* An array of that version: the dict, padded as NumPy pads it, and the values. */
static bytes npy(int version, const char *dict, const void *values, size_t size)
{
	bytes b = { .size = 0 };
	size_t length = strlen(dict) + 1;

	append(&b, "\x93NUMPY", 6);
	append_number(&b, (uint64_t)version, 2);
	append_number(&b, length, version == 1 ? 2 : 4);
	append(&b, dict, length - 1);
	append(&b, "\n", 1);
	append(&b, values, size);
	return b;
}

#define DICT(type, shape) "{'descr': '" type "', 'fortran_order': False, 'shape': " shape ", }"

static clef_dataset *open_npy(const bytes *x, const bytes *y, int classes)
{
	const char *path = put("x.npy", x->data, x->size);

	return clef_npy_open(path, put("y.npy", y->data, y->size), classes);
}

/* Two samples of 2 x 3 and their labels. */
static const uint8_t pixels[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
static const uint8_t two_labels[] = { 3, 0 };

static bytes images(void)
{
	return npy(1, DICT("|u1", "(2, 2, 3)"), pixels, sizeof(pixels));
}

static bytes labels(void)
{
	return npy(1, DICT("|u1", "(2,)"), two_labels, sizeof(two_labels));
}

/* ---- .npy ---- */

START_TEST(shapes_are_those_of_the_array)
{
	/* Pixels of two samples with five rows, two columns and two channels, last. */
	uint8_t hwc[40], chw[40];
	const struct {
		const char *dict;
		clef_shape sample;
		const uint8_t *in, *out;
		size_t size;
	} rows[] = {
		{ DICT("|u1", "(2, 2, 3)"), CLEF_SHAPE(1, 2, 3), pixels, pixels, 12 },
		{ DICT("|u1", "(2, 6)"), CLEF_SHAPE(6), pixels, pixels, 12 },
		{ DICT("|u1", "(2,)"), CLEF_SCALAR, pixels, pixels, 2 },
		{ DICT("|u1", "(2, 3, 2, 1)"), CLEF_SHAPE(3, 2, 1), pixels, pixels, 12 },
		{ DICT("|u1", "(2, 5, 2, 2)"), CLEF_SHAPE(2, 5, 2), hwc, chw, 40 },
		{ "{\"shape\":(2,6),\"fortran_order\":False,\"descr\":\"u1\"}", CLEF_SHAPE(6), pixels, pixels, 12 },
	};
	bytes y = labels();

	for (int i = 0; i < 40; i++)
		hwc[i] = (uint8_t)i;
	for (int i = 0; i < 40; i++)
		chw[i / 20 * 20 + i % 2 * 10 + i % 20 / 2] = hwc[i];
	for (int i = 0; i < CLEF_COUNT(rows); i++)
		for (int version = 1; version <= 3; version++) {
			bytes x = npy(version, rows[i].dict, rows[i].in, rows[i].size);
			clef_dataset *set = ck_new(open_npy(&x, &y, 0));

			check_set(set, 2, rows[i].sample, 4, rows[i].out, two_labels);
			clef_dataset_free(set);
		}
}
END_TEST

START_TEST(labels_may_be_of_any_integer_type)
{
	static const struct {
		const char *dict, *values;
		size_t size;
	} rows[] = {
		{ DICT("|i1", "(2,)"), "\3\0", 2 },
		{ DICT("|u1", "(2, 1)"), "\3\0", 2 },
		{ DICT("<i2", "(2,)"), "\3\0\0\0", 4 },
		{ DICT(">u2", "(2,)"), "\0\3\0\0", 4 },
		{ DICT("<i4", "(2, 1)"), "\3\0\0\0\0\0\0\0", 8 },
		{ DICT("<i8", "(2,)"), "\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16 },
		{ DICT(">i8", "(2,)"), "\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0", 16 },
	};
	bytes x = images();

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		bytes y = npy(1, rows[i].dict, rows[i].values, rows[i].size);
		clef_dataset *set = ck_new(open_npy(&x, &y, 10));

		check_set(set, 2, CLEF_SHAPE(1, 2, 3), 10, pixels, two_labels);
		clef_dataset_free(set);
	}
}
END_TEST

START_TEST(wrong_labels_are_refused)
{
	static const struct {
		const char *dict, *values;
		size_t size;
		int classes;
		const char *part;
	} rows[] = {
		{ DICT("|i1", "(2,)"), "\3\xff", 2, 0,
		  "y.npy: label 1 is negative, or 18446744073709551615; below 256" },
		{ DICT("<i2", "(2,)"), "\0\0\0\1", 4, 0, "label 1 is 256; below 256 is allowed" },
		{ DICT("<i8", "(2,)"), "\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0\0", 16, 0, "label 0 is negative" },
		{ DICT("|u1", "(2,)"), "\3\0", 2, 3, "label 0 is 3; below 3 is allowed" },
		{ DICT("|u1", "(1,)"), "\3", 1, 0, "holds labels in 1 dimensions, 1 in all; [2] is expected" },
		{ DICT("|u1", "(1, 2)"), "\3\0", 2, 0, "in 2 dimensions" },
		{ DICT("|u1", "()"), "\3", 1, 0, "in 0 dimensions" },
		{ DICT("<f4", "(2,)"), "\0\0\0\0\0\0\0\0", 8, 0, "its values are '<f4'; integers of 1, 2, 4 or 8" },
	};
	bytes x = images();

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		bytes y = npy(1, rows[i].dict, rows[i].values, rows[i].size);

		ck_null_fails(open_npy(&x, &y, rows[i].classes), CLEF_ERROR_FORMAT, rows[i].part);
	}
}
END_TEST

START_TEST(headers_that_lie_are_refused)
{
	static const struct {
		const char *dict, *part;
	} rows[] = {
		{ DICT("|u1", "(2, 2, 4)"), "x.npy is truncated: 12 bytes follow the header, which says 16 of 1" },
		{ DICT("|u1", "(2, 2, 2)"), "is too long: 12 bytes follow the header, which says 8 of 1" },
		{ DICT("<i2", "(2, 2, 3)"), "is truncated: 12 bytes follow the header, which says 12 of 2" },
		{ DICT("<i2", "(2, 3)"), "samples are of type 'i2'; 'u1', uint8, is expected" },
		{ DICT("|i1", "(2, 2, 3)"), "samples are of type 'i1'" },
		{ DICT("|b1", "(2, 2, 3)"), "its values are '|b1'" },
		{ DICT("|u3", "(2, 2)"), "its values are '|u3'" },
		{ DICT("", "(2, 2, 3)"), "its values are ''" },
		{ DICT("|u11", "(2, 2, 3)"), "its values are '|u11'" },
		{ DICT("|O", "(2, 2, 3)"), "its values are '|O'" },
		{ DICT("a very long type", "(2,)"), "where the end of a short string is expected" },
		{ DICT("|u1", "(2147483648,)"), "where one of up to 8 sizes below 2^31 is expected" },
		{ DICT("|u1", "(99999999999999999999,)"), "sizes below 2^31" },
		{ DICT("|u1", "(65536, 65536)"), "more than 2147483647 values" },
		{ DICT("|u1", "(2147483647, 2147483647, 2147483647)"), "more than 2147483647 values" },
		{ DICT("|u1", "(1, 1, 1, 1, 1, 1, 1, 1, 12)"), "sizes below 2^31" },
		{ DICT("|u1", "(-2, 6)"), "sizes below 2^31" },
		{ DICT("|u1", "(2 6)"), "where ',' or ')' is expected" },
		{ DICT("|u1", "12"), "where a shape is expected" },
		{ DICT("|u1", "(0, 6)"), "is too long" },
		{ DICT("|u1", "()"), "is too long: 12 bytes follow the header, which says 1 of 1" },
		{ "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 6)}", "is in Fortran's order" },
		{ "{'descr': '|u1', 'fortran_order': False}", "descr, fortran_order and shape, each" },
		{ "{'descr': '|u1', 'descr': '|u1'}", "one of descr, fortran_order and shape" },
		{ "{'shape': (2, 6), 'color': 3}", "one of descr, fortran_order and shape" },
		{ "{'shape': (2, 6)", "where ',' or '}' is expected" },
		{ "{'shape': (2, 6", "where ',' or ')' is expected" },
		{ "{'shape", "the end of a short string" },
		{ "", "where '{' is expected" },
		{ "{", "where a string is expected" },
		{ DICT("|u1", "(2, 6)") " more", "where its end is expected" },
	};
	bytes y = labels();

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		bytes x = npy(1, rows[i].dict, pixels, sizeof(pixels));

		ck_null_fails(open_npy(&x, &y, 0), CLEF_ERROR_FORMAT, rows[i].part);
	}
}
END_TEST

/* No part of a file is one, and no change of a bit makes it read beyond; what was changed to something else that is
 * right is another set, which is all that can be asked of a format without check sums. */
START_TEST(damaged_arrays_are_survived)
{
	bytes x = images(), y = labels();

	for (size_t n = 1; n < x.size; n++) {
		bytes part = x;

		part.size = n;
		ck_null_fails(open_npy(&part, &y, 0), CLEF_ERROR_FORMAT, "x.npy");
	}
	for (size_t bit = 0; bit < 8 * (x.size - sizeof(pixels)); bit++) {
		bytes bad = x;

		bad.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		clef_dataset_free(open_npy(&bad, &y, 0));
	}
	x.data[6] = 4;
	ck_null_fails(open_npy(&x, &y, 0), CLEF_ERROR_FORMAT, "is of version 4; 1 to 3 are read");
	x.data[0] = 0;
	ck_null_fails(open_npy(&x, &y, 0), CLEF_ERROR_FORMAT, "is no NumPy array");
	ck_null_fails(clef_npy_open(NULL, "y", 0), CLEF_ERROR_INVALID, "path of the samples is NULL");
	ck_null_fails(clef_npy_open("x", NULL, 0), CLEF_ERROR_INVALID, "path of the labels is NULL");
	ck_null_fails(clef_npy_open("x", "y", 300), CLEF_ERROR_INVALID, "classes is 300");
	ck_null_fails(clef_npy_open(test_path("none"), "y", 0), CLEF_ERROR_IO, "none: No such file");
}
END_TEST

/* ---- .npz ---- */

typedef struct zipped {
	bytes file, directory;
	int count;
} zipped;

/* Adds a member, deflated or stored, as numpy.savez_compressed() and numpy.savez() do. */
static void add_member(zipped *z, const char *name, const bytes *contents, bool deflated)
{
	uint32_t crc = (uint32_t)crc32(0, contents->data, (uInt)contents->size);
	size_t at = z->file.size, length = strlen(name);
	bytes packed = *contents;
	z_stream s = { 0 };

	if (deflated) {
		ck_assert_int_eq(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
		s.next_in = (Bytef *)(uintptr_t)contents->data;
		s.avail_in = (uInt)contents->size;
		s.next_out = packed.data;
		s.avail_out = sizeof(packed.data);
		ck_assert_int_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
		packed.size = s.total_out;
		deflateEnd(&s);
	}
	append_number(&z->file, 0x04034b50, 4);
	append_number(&z->file, 45, 2);
	append_number(&z->file, 0, 2);
	append_number(&z->file, deflated ? 8 : 0, 2);
	append_number(&z->file, 0, 4);
	append_number(&z->file, 0xffffffffffff, 4 + 4 + 4); /* no crc and sizes: those of the directory count */
	append_number(&z->file, length, 2);
	append_number(&z->file, 3, 2);
	append(&z->file, name, length);
	append(&z->file, "abc", 3);
	append(&z->file, packed.data, packed.size);
	append_number(&z->directory, 0x02014b50, 4);
	append_number(&z->directory, 45 << 16 | 45, 4);
	append_number(&z->directory, 0, 2);
	append_number(&z->directory, deflated ? 8 : 0, 2);
	append_number(&z->directory, 0, 4);
	append_number(&z->directory, crc, 4);
	append_number(&z->directory, packed.size, 4);
	append_number(&z->directory, contents->size, 4);
	append_number(&z->directory, length, 2);
	append_number(&z->directory, 0, 2 + 2 + 2 + 2 + 4);
	append_number(&z->directory, at, 4);
	append(&z->directory, name, length);
	z->count++;
}

static bytes finish(zipped z, const char *comment)
{
	size_t at = z.file.size;

	append(&z.file, z.directory.data, z.directory.size);
	append_number(&z.file, 0x06054b50, 4);
	append_number(&z.file, 0, 4);
	append_number(&z.file, (uint64_t)z.count, 2);
	append_number(&z.file, (uint64_t)z.count, 2);
	append_number(&z.file, z.directory.size, 4);
	append_number(&z.file, at, 4);
	append_number(&z.file, strlen(comment), 2);
	append(&z.file, comment, strlen(comment));
	return z.file;
}

/* Two training images with labels 3 and 0, and one test image with label 5. */
static bytes archive(bool deflated, bool other_names)
{
	bytes x = images(), y = labels(), u = npy(1, DICT("|u1", "(1, 2, 3)"), pixels + 3, 6);
	bytes v = npy(1, DICT("<i8", "(1,)"), "\5\0\0\0\0\0\0\0", 8);
	zipped z = { .count = 0 };

	add_member(&z, "readme.npy", &v, false);
	add_member(&z, other_names ? "train_images.npy" : "x_train.npy", &x, deflated);
	add_member(&z, other_names ? "train_labels.npy" : "y_train.npy", &y, !deflated);
	add_member(&z, other_names ? "test_images.npy" : "x_test.npy", &u, deflated);
	add_member(&z, other_names ? "test_labels.npy" : "y_test.npy", &v, deflated);
	return finish(z, deflated ? "" : "a comment PK\5\6");
}

START_TEST(archives_are_read)
{
	for (int i = 0; i < 4; i++) {
		bytes file = archive(i & 1, i & 2);
		const char *path = put("set.npz", file.data, file.size);
		clef_dataset *set = ck_new(clef_dataset_open(path, true));

		check_set(set, 2, CLEF_SHAPE(1, 2, 3), 6, pixels, two_labels);
		clef_dataset_free(set);
		set = ck_new(clef_npz_open(path, false));
		check_set(set, 1, CLEF_SHAPE(1, 2, 3), 6, pixels + 3, "\5");
		clef_dataset_free(set);
	}
}
END_TEST

START_TEST(archives_that_lack_something)
{
	bytes x = images(), file;
	zipped z = { .count = 0 };

	file = finish(z, "");
	ck_null_fails(clef_npz_open(put("a.npz", file.data, file.size), true), CLEF_ERROR_IO, "has no x_train.npy");
	add_member(&z, "train_images.npy", &x, false);
	file = finish(z, "");
	ck_null_fails(clef_npz_open(put("a.npz", file.data, file.size), true), CLEF_ERROR_IO,
		      "has no train_labels.npy");
	add_member(&z, "train_labels.npy", &x, true);
	file = finish(z, "");
	ck_null_fails(clef_npz_open(put("a.npz", file.data, file.size), true), CLEF_ERROR_FORMAT,
		      "train_labels.npy holds labels in 3 dimensions");
	ck_null_fails(clef_npz_open(NULL, true), CLEF_ERROR_INVALID, "the path is NULL");
	ck_null_fails(clef_npz_open(put("a.npz", "PK", 2), true), CLEF_ERROR_FORMAT, "is no zip file, or is truncated");
	ck_null_fails(clef_npz_open(test_path("none"), true), CLEF_ERROR_IO, "none: No such file");
}
END_TEST

/* Every part of an archive, and every flipped bit: an error, or the same set where the bit has no meaning to it. */
START_TEST(damaged_archives_are_refused)
{
	bytes file = archive(true, false);
	int same = 0, refused = 0;

	for (size_t n = 0; n < file.size; n++) {
		clef_error_clear();
		ck_assert_ptr_null(clef_npz_open(put("a.npz", file.data, n), true));
		ck_assert_int_eq(clef_error_status(), CLEF_ERROR_FORMAT);
	}
	for (size_t bit = 0; bit < 8 * file.size; bit++) {
		bytes bad = file;
		clef_dataset *set;

		bad.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		set = clef_npz_open(put("a.npz", bad.data, bad.size), true);
		if (set)
			check_set(set, 2, CLEF_SHAPE(1, 2, 3), clef_dataset_classes(set), pixels, two_labels);
		same += set != NULL;
		refused += !set;
		clef_dataset_free(set);
	}
	ck_assert_int_gt(refused, 8 * 300);
	ck_assert_int_gt(same, 8 * 50);
}
END_TEST

/* Sizes, offsets and methods that only a directory can claim: at which of its bytes, and what. */
START_TEST(directories_that_lie_are_refused)
{
	static const struct {
		size_t at;
		uint32_t value;
		int size;
		const char *part;
	} rows[] = {
		{ 8, 1, 2, "x_train.npy is encrypted" },
		{ 10, 14, 2, "x_train.npy is compressed by method 14; 0 and 8" },
		{ 16, 0, 4, "x_train.npy is damaged: its check sum is wrong" },
		{ 20, 0xffffffff, 4, "x_train.npy is truncated: its 4294967295 bytes do not end within" },
		{ 20, 20, 4, "x_train.npy is truncated: its deflate data ends early" },
		{ 24, 0xffffffff, 4, "bytes, and the directory says 4294967295" },
		{ 24, 10, 4, "x_train.npy expands to more than 10 bytes" },
		{ 24, 0, 4, "x_train.npy expands to more than 0 bytes" },
		{ 28, 0xffff, 2, "is damaged: its directory is none" },
		{ 42, 0xffffffff, 4, "it has no header at 4294967295" },
		{ 42, 1, 4, "it has no header at 1 of" },
	};
	bytes x = images(), y = labels(), file;
	zipped z = { .count = 0 };

	add_member(&z, "x_train.npy", &x, true);
	add_member(&z, "y_train.npy", &y, true);
	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		file = finish(z, "");
		for (int k = 0; k < rows[i].size; k++)
			file.data[z.file.size + rows[i].at + (size_t)k] = (uint8_t)(rows[i].value >> 8 * k);
		ck_null_fails(clef_npz_open(put("a.npz", file.data, file.size), true), CLEF_ERROR_FORMAT, rows[i].part);
	}
	file = finish(z, "");
	memset(file.data + file.size - 6, 0xff, 4);
	ck_null_fails(clef_npz_open(put("a.npz", file.data, file.size), true), CLEF_ERROR_FORMAT,
		      "its directory is none");
}
END_TEST

Suite *npy_suite(void)
{
	Suite *s = suite_create("npy");
	TCase *npy_case = tcase_create("npy"), *npz = tcase_create("npz");

	tcase_add_test(npy_case, shapes_are_those_of_the_array);
	tcase_add_test(npy_case, labels_may_be_of_any_integer_type);
	tcase_add_test(npy_case, wrong_labels_are_refused);
	tcase_add_test(npy_case, headers_that_lie_are_refused);
	tcase_add_test(npy_case, damaged_arrays_are_survived);
	tcase_add_test(npz, archives_are_read);
	tcase_add_test(npz, archives_that_lack_something);
	tcase_add_test(npz, damaged_archives_are_refused);
	tcase_add_test(npz, directories_that_lie_are_refused);
	suite_add_tcase(s, npy_case);
	suite_add_tcase(s, npz);
	return s;
}
