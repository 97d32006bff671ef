/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files, plain and compressed, which is what the readers of data sets stand on; and the helpers that write them.
 * Every truncation and every flipped bit of a compressed file is tried.
 */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "check_clef.h"
#include "data_files.h"
#include "data_internal.h"

const char *put(const char *name, const void *data, size_t size)
{
	const char *path = test_path(name);
	FILE *f = fopen(path, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

const char *put_gz(const char *name, const void *data, size_t size)
{
	const char *path = test_path(name);
	gzFile f = gzopen(path, "wb9");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(gzwrite(f, data, (unsigned)size), (int)size);
	ck_assert_int_eq(gzclose(f), Z_OK);
	return path;
}

void check_set(const clef_dataset *set, int64_t count, clef_shape sample, int classes, const void *x, const void *y)
{
	ck_assert_int_eq(clef_dataset_count(set), count);
	ck_assert(clef_shape_equal(clef_dataset_sample(set), sample));
	ck_assert_int_eq(clef_dataset_classes(set), classes);
	ck_assert_mem_eq(clef_dataset_samples(set), x, (size_t)(count * clef_shape_numel(sample)));
	ck_assert_mem_eq(clef_dataset_labels(set), y, (size_t)count);
}

static size_t get(const char *path, uint8_t *data, size_t room)
{
	FILE *f = fopen(path, "rb");
	size_t size;

	ck_assert_ptr_nonnull(f);
	size = fread(data, 1, room, f);
	fclose(f);
	ck_assert_uint_lt(size, room);
	return size;
}

static clef_status read_file(const char *path, size_t limit, clef__bytes *file)
{
	return clef__file_read("test", path, limit, file);
}

START_TEST(file_is_read_whole)
{
	static const size_t sizes[] = { 1, 2, 65535, 65536, 65537, 1000003 };
	uint8_t *data = malloc(1000003);
	clef__bytes file;

	ck_assert_ptr_nonnull(data);
	for (uint32_t i = 0; i < 1000003; i++)
		data[i] = (uint8_t)(i * i >> 7);
	for (int i = 0; i < CLEF_COUNT(sizes); i++) {
		for (int packed = 0; packed < 2; packed++) {
			const char *path = (packed ? put_gz : put)("file", data, sizes[i]);

			ck_ok(read_file(path, CLEF__FILE_LIMIT, &file));
			ck_assert_uint_eq(file.size, sizes[i]);
			ck_assert_mem_eq(file.data, data, sizes[i]);
			free(file.data);
			ck_ok(read_file(path, 1000050, &file));
			free(file.data);
		}
	}
	free(data);
}
END_TEST

START_TEST(file_keeps_to_the_limit)
{
	static const char zeros[100000] = { 0 };
	clef__bytes file;

	ck_ok(read_file(put("exact", zeros, 1000), 1000, &file));
	free(file.data);
	ck_ok(read_file(put_gz("exact.gz", zeros, 1000), 1000, &file));
	ck_assert_uint_eq(file.size, 1000);
	free(file.data);
	ck_fails(read_file(put("over", zeros, 1001), 1000, &file), CLEF_ERROR_FORMAT,
		 "over holds more than 1000 bytes");
	ck_fails(read_file(put_gz("over.gz", zeros, 1001), 1000, &file), CLEF_ERROR_FORMAT,
		 "over.gz expands to more than 1000 bytes");
	ck_fails(read_file(put_gz("bomb.gz", zeros, sizeof(zeros)), 70000, &file), CLEF_ERROR_FORMAT,
		 "bomb.gz expands to more than 70000 bytes");
	ck_assert_ptr_null(file.data);
	if (!access("/dev/zero", R_OK))
		ck_fails(read_file("/dev/zero", 300000, &file), CLEF_ERROR_FORMAT,
			 "/dev/zero holds more than 300000 bytes");
}
END_TEST

START_TEST(file_members_are_joined)
{
	uint8_t data[256];
	clef__bytes file;
	size_t size = get(put_gz("one.gz", "first,", 6), data, sizeof(data));

	size += get(put_gz("two.gz", "second", 6), data + size, sizeof(data) - size);
	ck_ok(read_file(put("both.gz", data, size), 100, &file));
	ck_assert_uint_eq(file.size, 12);
	ck_assert_mem_eq(file.data, "first,second", 12);
	free(file.data);
	memset(data + size, 0, 3);
	ck_fails(read_file(put("padded.gz", data, size + 3), 100, &file), CLEF_ERROR_FORMAT,
		 "too long: 3 bytes follow the gzip data");
	ck_fails(read_file(put("cut.gz", data, size - 1), 100, &file), CLEF_ERROR_FORMAT,
		 "truncated: its gzip data ends early, after 12 bytes");
}
END_TEST

/* A flipped bit is either found or changes nothing about the contents: the time in the header is a field like that, and
 * so is the distance of a repetition where the text repeats at both. */
START_TEST(file_damage_is_found)
{
	static const char text[] = "seven by nine by five by seven by nine";
	uint8_t data[256];
	clef__bytes file;
	size_t size = get(put_gz("whole.gz", text, sizeof(text)), data, sizeof(data));
	int found = 0;

	for (size_t i = 2; i < size; i++)
		ck_fails(read_file(put("cut.gz", data, i), 1000, &file), CLEF_ERROR_FORMAT, "truncated");
	for (size_t bit = 16; bit < size * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (read_file(put("flipped.gz", data, size), 1000, &file) == CLEF_OK) {
			ck_assert_uint_eq(file.size, sizeof(text));
			ck_assert_mem_eq(file.data, text, sizeof(text));
			free(file.data);
		} else {
			ck_assert_int_eq(clef_error_status(), CLEF_ERROR_FORMAT);
			found++;
		}
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_int_ge(found, (int)(size - 10) * 8 * 9 / 10);
	data[size - 5] ^= 1;
	ck_fails(read_file(put("sum.gz", data, size), 1000, &file), CLEF_ERROR_FORMAT, "incorrect data check");
}
END_TEST

START_TEST(file_that_cannot_be_read)
{
	clef__bytes file;
	const char *path;

	ck_fails(read_file(test_path("none"), 10, &file), CLEF_ERROR_IO, "cannot open");
	ck_fails(read_file(test_path("none"), 10, &file), CLEF_ERROR_IO, "none: No such file");
	ck_fails(read_file(test_dir(), 10, &file), CLEF_ERROR_IO, "is a folder");
	ck_fails(read_file(put("empty", "", 0), 10, &file), CLEF_ERROR_FORMAT, "empty is empty");
	ck_fails(read_file(put_gz("empty.gz", "", 0), 100, &file), CLEF_ERROR_FORMAT, "empty.gz is empty");
	path = put("locked", "x", 1);
	ck_assert_int_eq(chmod(path, 0), 0);
	if (access(path, R_OK))
		ck_fails(read_file(path, 10, &file), CLEF_ERROR_IO, "cannot open");
}
END_TEST

Suite *gzread_suite(void)
{
	Suite *s = suite_create("gzread");
	TCase *files = tcase_create("files");

	tcase_add_test(files, file_is_read_whole);
	tcase_add_test(files, file_keeps_to_the_limit);
	tcase_add_test(files, file_members_are_joined);
	tcase_add_test(files, file_damage_is_found);
	tcase_add_test(files, file_that_cannot_be_read);
	suite_add_tcase(s, files);
	return s;
}
