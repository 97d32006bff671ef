/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders of images. PNG files are written here, chunk by chunk; the two JPEG files are of 3 x 2 pixels of one colour,
 * and were made by another library.
 */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "check_clef.h"
#include "data_files.h"

/* (200, 100, 50), and 77. */
/* clang-format off */
static const uint8_t colour_jpeg[] = {
	255, 216, 255, 224, 0, 16, 74, 70, 73, 70, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 255, 219, 0, 67, 0, 2, 1, 1, 1, 1, 1,
	2, 1, 1, 1, 2, 2, 2, 2, 2, 4, 3, 2, 2, 2, 2, 5, 4, 4, 3, 4, 6, 5, 6, 6, 6, 5, 6, 6, 6, 7, 9, 8, 6, 7, 9, 7, 6,
	6, 8, 11, 8, 9, 10, 10, 10, 10, 10, 6, 8, 11, 12, 11, 10, 12, 9, 10, 10, 10, 255, 219, 0, 67, 1, 2, 2, 2, 2,
	2, 2, 5, 3, 3, 5, 10, 7, 6, 7, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
	10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
	10, 10, 10, 255, 192, 0, 17, 8, 0, 2, 0, 3, 3, 1, 17, 0, 2, 17, 1, 3, 17, 1, 255, 196, 0, 20, 0, 1, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 255, 196, 0, 20, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	255, 196, 0, 20, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 255, 196, 0, 20, 17, 1, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 218, 0, 12, 3, 1, 0, 2, 17, 3, 17, 0, 63, 0, 60, 87, 54, 31, 255, 217,
};
static const uint8_t grey_jpeg[] = {
	255, 216, 255, 224, 0, 16, 74, 70, 73, 70, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 255, 219, 0, 67, 0, 2, 1, 1, 1, 1, 1,
	2, 1, 1, 1, 2, 2, 2, 2, 2, 4, 3, 2, 2, 2, 2, 5, 4, 4, 3, 4, 6, 5, 6, 6, 6, 5, 6, 6, 6, 7, 9, 8, 6, 7, 9, 7, 6,
	6, 8, 11, 8, 9, 10, 10, 10, 10, 10, 6, 8, 11, 12, 11, 10, 12, 9, 10, 10, 10, 255, 192, 0, 11, 8, 0, 2, 0, 3,
	1, 1, 17, 0, 255, 196, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 255, 196, 0, 20, 16, 1, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 218, 0, 8, 1, 1, 0, 0, 63, 0, 25, 191, 255, 217,
};
/* clang-format on */

typedef struct bytes {
	uint8_t data[512];
	size_t size;
} bytes;

static void append(bytes *b, const void *data, size_t size)
{
	ck_assert_uint_le(b->size + size, sizeof(b->data));
	if (size)
		memcpy(b->data + b->size, data, size);
	b->size += size;
}

static void append_number(bytes *b, uint32_t value)
{
	append(b,
	       ((uint8_t[]){ (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value }),
	       4);
}

static void append_chunk(bytes *b, const char *name, const void *data, size_t size)
{
	size_t start = b->size + 4;

	append_number(b, (uint32_t)size);
	append(b, name, 4);
	append(b, data, size);
	append_number(b, (uint32_t)crc32(0, b->data + start, (uInt)(b->size - start)));
}

enum { GREY = 0, COLOUR = 2, COLOUR_ALPHA = 6 };

/* A PNG that says it is of that size; `rows` are its rows, each with a 0 in front. */
static bytes png(uint32_t width, uint32_t height, uint8_t depth, uint8_t type, const void *rows, size_t size)
{
	bytes b = { .size = 0 }, header = { .size = 0 };
	uint8_t packed[256];
	uLongf length = sizeof(packed);

	append_number(&header, width);
	append_number(&header, height);
	append(&header, ((uint8_t[]){ depth, type, 0, 0, 0 }), 5);
	ck_assert_int_eq(compress(packed, &length, rows, (uLong)size), Z_OK);
	append(&b, "\x89PNG\r\n\x1a\n", 8);
	append_chunk(&b, "IHDR", header.data, header.size);
	append_chunk(&b, "IDAT", packed, length);
	append_chunk(&b, "IEND", NULL, 0);
	return b;
}

static bytes grey_png(void)
{
	static const uint8_t rows[] = { 0, 1, 2, 3, 0, 4, 5, 255 };

	return png(3, 2, 8, GREY, rows, sizeof(rows));
}

static void folder(const char *name)
{
	ck_assert_int_eq(mkdir(test_path(name), 0777), 0);
}

/* One image, in a class of its own. */
static clef_dataset *open_one(const void *data, size_t size, int channels)
{
	mkdir(test_path("one"), 0777);
	mkdir(test_path("one/class"), 0777);
	put("one/class/image.png", data, size);
	return clef_images_open(test_path("one"), NULL, channels);
}

static bool built_with_both(void)
{
	bytes image = grey_png();
	clef_dataset *a = open_one(image.data, image.size, 0), *b = open_one(grey_jpeg, sizeof(grey_jpeg), 0);
	bool both = a && b;

	ck_assert_msg(both || strstr(clef_error(), "was built without"), "%s", clef_error());
	clef_dataset_free(a);
	clef_dataset_free(b);
	return both;
}

#define NEED_BOTH()                                                                                                    \
	if (!built_with_both())                                                                                        \
	test_skip("clef was built without libpng or libjpeg")

START_TEST(pixels_are_those_of_the_file)
{
	static const uint8_t colour[] = { 0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 255 };
	static const uint8_t clear[] = { 0, 9, 9, 9, 0, 1, 2, 3, 255 }, bits[] = { 0, 0xa0, 0, 0x40 };
	static const struct {
		const void *rows;
		size_t size;
		int64_t width, height;
		uint8_t depth, type;
		int wanted, channels;
		const char *values;
	} rows[] = {
		{ colour, 14, 2, 2, 8, COLOUR, 0, 3, "\1\4\7\x0a\2\5\x08\x0b\3\6\x09\xff" },
		{ colour, 14, 2, 2, 8, COLOUR, 3, 3, "\1\4\7\x0a\2\5\x08\x0b\3\6\x09\xff" },
		{ "\0\1\2\3\0\4\5\xff", 8, 3, 2, 8, GREY, 0, 1, "\1\2\3\4\5\xff" },
		{ "\0\1\2\3\0\4\5\xff", 8, 3, 2, 8, GREY, 3, 3, "\1\2\3\4\5\xff\1\2\3\4\5\xff\1\2\3\4\5\xff" },
		{ clear, 9, 2, 1, 8, COLOUR_ALPHA, 0, 3, "\0\1\0\2\0\3" },
		{ bits, 4, 3, 2, 1, GREY, 0, 1, "\xff\0\xff\0\xff\0" },
		{ "\0\x55\x55\x55", 4, 1, 1, 8, COLOUR, 1, 1, "\x55" },
	};

	NEED_BOTH();
	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		bytes image = png((uint32_t)rows[i].width, (uint32_t)rows[i].height, rows[i].depth, rows[i].type,
				  rows[i].rows, rows[i].size);
		clef_dataset *set = ck_new(open_one(image.data, image.size, rows[i].wanted));

		check_set(set, 1, CLEF_SHAPE(rows[i].channels, rows[i].height, rows[i].width), 1, rows[i].values, "");
		clef_dataset_free(set);
	}
}
END_TEST

START_TEST(jpeg_too)
{
	static const int channels[] = { 0, 3, 1 };

	NEED_BOTH();
	for (int i = 0; i < CLEF_COUNT(channels); i++) {
		clef_dataset *set = ck_new(open_one(colour_jpeg, sizeof(colour_jpeg), channels[i]));
		const uint8_t *x = clef_dataset_samples(set);

		ck_assert(clef_shape_equal(clef_dataset_sample(set), CLEF_SHAPE(channels[i] == 1 ? 1 : 3, 2, 3)));
		for (int k = 0; k < (channels[i] == 1 ? 6 : 18); k++) {
			/* Brightness by BT.601. */
			int want = channels[i] == 1 ? 124 : k < 6 ? 200 : k < 12 ? 100 : 50;

			ck_assert_int_le(abs(x[k] - want), 2);
		}
		clef_dataset_free(set);
		set = ck_new(open_one(grey_jpeg, sizeof(grey_jpeg), channels[i]));
		x = clef_dataset_samples(set);
		ck_assert(clef_shape_equal(clef_dataset_sample(set), CLEF_SHAPE(channels[i] == 3 ? 3 : 1, 2, 3)));
		for (int k = 0; k < (channels[i] == 3 ? 18 : 6); k++)
			ck_assert_int_le(abs(x[k] - 77), 1);
		clef_dataset_free(set);
	}
}
END_TEST

/* An image of one grey pixel. */
static void put_pixel(const char *name, uint8_t value)
{
	bytes image = png(1, 1, 8, GREY, ((uint8_t[]){ 0, value }), 2);

	put(name, image.data, image.size);
}

static void put_classes(void)
{
	static const char *const folders[] = { "set",           "set/train", "set/train/dog", "set/train/Ape",
					       "set/train/cat", "set/test",  "set/test/dog",  "set/train/.git" };

	for (int i = 0; i < CLEF_COUNT(folders); i++)
		folder(folders[i]);
	put_pixel("set/train/dog/10.png", 1);
	put_pixel("set/train/dog/2.png", 2);
	put_pixel("set/train/Ape/b.PNG", 3);
	put_pixel("set/train/Ape/a.jpeg", 4); /* the contents tell what it is */
	put_pixel("set/test/dog/x.png", 5);
	put("set/train/dog/notes.txt", "no image", 8);
	put("set/train/dog/.hidden.png", "no image", 8);
	put("set/train/README", "no class", 8);
}

START_TEST(classes_are_folders)
{
	clef_dataset *set;

	NEED_BOTH();
	put_classes();
	set = ck_new(clef_dataset_open(test_path("set"), true));
	check_set(set, 4, CLEF_SHAPE(1, 1, 1), 3, "\4\3\1\2", "\0\0\2\2");
	ck_assert_str_eq(clef_dataset_class(set, 0), "Ape");
	ck_assert_str_eq(clef_dataset_class(set, 1), "cat");
	ck_assert_str_eq(clef_dataset_class(set, 2), "dog");
	clef_dataset_free(set);
	set = ck_new(clef_dataset_open(test_path("set"), false));
	check_set(set, 1, CLEF_SHAPE(1, 1, 1), 3, "\5", "\2");
	clef_dataset_free(set);
	set = ck_new(clef_images_open(test_path("set/test"), NULL, 0));
	check_set(set, 1, CLEF_SHAPE(1, 1, 1), 1, "\5", "\0");
	clef_dataset_free(set);
}
END_TEST

START_TEST(many_images)
{
	char name[64];
	clef_dataset *set;

	NEED_BOTH();
	folder("many");
	folder("many/a");
	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "many/a/%03d.png", 149 - i);
		put_pixel(name, (uint8_t)(149 - i));
	}
	set = ck_new(clef_images_open(test_path("many"), NULL, 3));
	ck_assert_int_eq(clef_dataset_count(set), 150);
	for (int i = 0; i < 450; i++)
		ck_assert_int_eq(clef_dataset_samples(set)[i], i / 3);
	clef_dataset_free(set);
}
END_TEST

START_TEST(one_image)
{
	bytes image = grey_png();
	clef_dataset *set;

	ck_null_fails(clef_image_open(NULL, 0), CLEF_ERROR_INVALID, "clef_image_open: the path is NULL");
	ck_null_fails(clef_image_open("x", 4), CLEF_ERROR_INVALID, "clef_image_open: channels is 4");
	ck_null_fails(clef_image_open(test_path("none"), 1), CLEF_ERROR_IO, "clef_image_open: cannot open");
	NEED_BOTH();
	set = ck_new(clef_image_open(put("a.png", image.data, image.size), 1));
	check_set(set, 1, CLEF_SHAPE(1, 2, 3), 1, "\1\2\3\4\5\xff", "");
	clef_dataset_free(set);
}
END_TEST

START_TEST(wrong_folders)
{
	bytes image = grey_png();

	ck_null_fails(clef_images_open(NULL, NULL, 0), CLEF_ERROR_INVALID, "the folder is NULL");
	ck_null_fails(clef_images_open("x", NULL, 2), CLEF_ERROR_INVALID, "channels is 2; 1 for grey and 3");
	ck_null_fails(clef_images_open(test_path("none"), NULL, 0), CLEF_ERROR_IO, "cannot open the folder");
	ck_null_fails(clef_images_open(test_dir(), NULL, 0), CLEF_ERROR_FORMAT,
		      "holds 0 folders; one for each of 1 to");
	folder("set");
	folder("set/a");
	ck_null_fails(clef_images_open(test_path("set"), NULL, 0), CLEF_ERROR_FORMAT, "hold no .png, .jpg or .jpeg");
	NEED_BOTH();
	put("set/a/1.png", image.data, image.size);
	put("set/a/2.jpg", "GIF89a", 6);
	ck_null_fails(clef_images_open(test_path("set"), NULL, 0), CLEF_ERROR_FORMAT,
		      "set/a/2.jpg is neither a PNG nor a JPEG");
	put_pixel("set/a/2.jpg", 1);
	ck_null_fails(clef_images_open(test_path("set"), NULL, 0), CLEF_ERROR_FORMAT,
		      "set/a/2.jpg is 1 x 1 pixels, and the images before it are 2 x 3");
	folder("other");
	folder("other/b");
	ck_null_fails(clef_images_open(test_path("set"), test_path("other"), 0), CLEF_ERROR_FORMAT,
		      "set/a is none of the 1 classes, b to b");
}
END_TEST

/* No part of an image is one; but a PNG may lack its end, which has no pixels. */
START_TEST(damaged_images_are_refused)
{
	bytes image = grey_png();

	NEED_BOTH();
	for (size_t n = 1; n < image.size - 16; n++) {
		clef_error_clear();
		ck_assert_ptr_null(open_one(image.data, n, 0));
		ck_assert_int_eq(clef_error_status(), CLEF_ERROR_FORMAT);
	}
	for (size_t n = 1; n < sizeof(colour_jpeg) - 2; n++) {
		clef_error_clear();
		ck_assert_ptr_null(open_one(colour_jpeg, n, 0));
		ck_assert_int_eq(clef_error_status(), CLEF_ERROR_FORMAT);
	}
	for (size_t bit = 0; bit < 8 * image.size; bit++) {
		bytes bad = image;

		bad.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		clef_dataset_free(open_one(bad.data, bad.size, 0));
	}
	for (size_t bit = 0; bit < 8 * sizeof(colour_jpeg); bit++) {
		uint8_t bad[sizeof(colour_jpeg)];

		memcpy(bad, colour_jpeg, sizeof(bad));
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		clef_dataset_free(open_one(bad, sizeof(bad), 0));
	}
}
END_TEST

/* Sizes that only the header has. */
START_TEST(claims_are_not_believed)
{
	static const uint8_t rows[] = { 0, 1 };
	static const uint32_t sizes[][2] = { { 30000, 30000 }, { 1000000, 1000000 }, { 1, 100000000 } };
	uint8_t jpeg[sizeof(grey_jpeg)];
	const uint8_t *frame = NULL;

	NEED_BOTH();
	for (int i = 0; i < CLEF_COUNT(sizes); i++) {
		bytes image = png(sizes[i][0], sizes[i][1], 8, GREY, rows, sizeof(rows));

		clef_error_clear();
		ck_assert_ptr_null(open_one(image.data, image.size, 0));
		ck_assert_int_eq(clef_error_status(), CLEF_ERROR_FORMAT);
	}
	/* The height and width of a JPEG stand behind the marker of its frame, ff c0, and three bytes. */
	memcpy(jpeg, grey_jpeg, sizeof(jpeg));
	for (size_t i = 0; i + 9 < sizeof(jpeg) && !frame; i++)
		if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) {
			frame = &jpeg[i];
			memset(&jpeg[i + 5], 0xea, 4);
		}
	ck_assert_ptr_nonnull(frame);
	ck_null_fails(open_one(jpeg, sizeof(jpeg), 0), CLEF_ERROR_FORMAT,
		      "says that it is 60138 x 60138 pixels, which its 160 bytes cannot be");
}
END_TEST

Suite *images_suite(void)
{
	Suite *s = suite_create("images");
	TCase *c = tcase_create("images");

	tcase_add_test(c, pixels_are_those_of_the_file);
	tcase_add_test(c, jpeg_too);
	tcase_add_test(c, classes_are_folders);
	tcase_add_test(c, many_images);
	tcase_add_test(c, one_image);
	tcase_add_test(c, wrong_folders);
	tcase_add_test(c, damaged_images_are_refused);
	tcase_add_test(c, claims_are_not_believed);
	suite_add_tcase(s, c);
	return s;
}
