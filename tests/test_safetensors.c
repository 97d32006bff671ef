/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the safetensors format: what is written is read again, and what is damaged, cut or made up in bad faith is
 * an error that names the file and the field. Under AddressSanitizer the truncations and flips show that nothing is
 * read beyond a buffer.
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check_clef.h"
#include "data_files.h"

static const float weight[6] = { 1, -2.5f, 3e-40f, 0, -0.0f, 6 };
static const int64_t tracked = 1234567890123;
static const uint8_t flags[3] = { 1, 0, 255 };

static clef_safetensors *sample(void)
{
	clef_safetensors *file = ck_new(clef_safetensors_new());

	ck_ok(clef_safetensors_add(file, "flags", "U8", CLEF_SHAPE(3), flags));
	ck_ok(clef_safetensors_add(file, "0.weight", "F32", CLEF_SHAPE(2, 3), weight));
	ck_ok(clef_safetensors_add(file, "empty", "F32", CLEF_SHAPE(0, 4), weight));
	ck_ok(clef_safetensors_add(file, "tracked", "I64", CLEF_SCALAR, &tracked));
	ck_ok(clef_safetensors_set(file, "format", "pt"));
	ck_ok(clef_safetensors_set(file, "a \"quoted\" key", "\xc3\xa4\n"));
	return file;
}

static void check_entry(const clef_safetensors *file, const char *name, const char *dtype, clef_shape shape,
			const void *data, size_t bytes)
{
	clef_safetensors_entry e;

	ck_ok(clef_safetensors_get(file, clef_safetensors_find(file, name), &e));
	ck_assert_str_eq(e.name, name);
	ck_assert_str_eq(e.dtype, dtype);
	ck_assert(clef_shape_equal(e.shape, shape));
	ck_assert_uint_eq(e.bytes, bytes);
	ck_assert_mem_eq(e.data, data, bytes);
}

static void check_sample(const clef_safetensors *file)
{
	ck_assert_int_eq(clef_safetensors_count(file), 4);
	check_entry(file, "flags", "U8", CLEF_SHAPE(3), flags, 3);
	check_entry(file, "0.weight", "F32", CLEF_SHAPE(2, 3), weight, sizeof(weight));
	check_entry(file, "empty", "F32", CLEF_SHAPE(0, 4), weight, 0);
	check_entry(file, "tracked", "I64", CLEF_SCALAR, &tracked, 8);
	ck_assert_str_eq(clef_safetensors_text(file, "format"), "pt");
	ck_assert_str_eq(clef_safetensors_text(file, "a \"quoted\" key"), "\xc3\xa4\n");
	ck_assert_ptr_null(clef_safetensors_text(file, "no such"));
	ck_assert_str_eq(clef_safetensors_key(file, 0), "format");
	ck_assert_str_eq(clef_safetensors_key(file, 1), "a \"quoted\" key");
	ck_assert_ptr_null(clef_safetensors_key(file, 2));
	ck_assert_ptr_null(clef_safetensors_key(file, -1));
}

/* The bytes of a file; free them. */
static uint8_t *contents(const char *path, size_t *size)
{
	FILE *f = ck_new(fopen(path, "rb"));
	uint8_t *data = ck_new(malloc(1 << 16));

	*size = fread(data, 1, 1 << 16, f);
	ck_assert_uint_lt(*size, 1 << 16);
	fclose(f);
	return data;
}

START_TEST(safetensors_come_back)
{
	const char *path = test_path("a.safetensors");
	clef_safetensors *file = sample();
	size_t size[2];
	uint8_t *data[2];

	check_sample(file);
	ck_ok(clef_safetensors_save(file, path, false));
	clef_safetensors_free(file);
	file = ck_new(clef_safetensors_open(path));
	check_sample(file);
	/* What was read can be written, to the byte; the values begin at a multiple of 8. */
	ck_ok(clef_safetensors_save(file, test_path("again"), false));
	data[0] = contents(path, &size[0]);
	data[1] = contents(test_path("again"), &size[1]);
	ck_assert_uint_eq((size[0] - 8 - sizeof(weight) - 3) % 8, 0);
	ck_assert_uint_eq(size[0], size[1]);
	ck_assert_mem_eq(data[0], data[1], size[0]);
	free(data[0]);
	free(data[1]);
	ck_ok(clef_safetensors_set(file, "format", NULL));
	ck_assert_ptr_null(clef_safetensors_text(file, "format"));
	ck_ok(clef_safetensors_set(file, "format", "other"));
	ck_assert_str_eq(clef_safetensors_text(file, "format"), "other");
	clef_safetensors_free(file);
}
END_TEST

START_TEST(safetensors_without_arrays)
{
	clef_safetensors *file = ck_new(clef_safetensors_new());

	ck_ok(clef_safetensors_save(file, test_path("none"), false));
	clef_safetensors_free(file);
	file = ck_new(clef_safetensors_open(test_path("none")));
	ck_assert_int_eq(clef_safetensors_count(file), 0);
	ck_assert_ptr_null(clef_safetensors_key(file, 0));
	clef_safetensors_free(file);
	clef_safetensors_free(NULL);
	ck_assert_int_eq(clef_safetensors_count(NULL), 0);
	ck_assert_int_eq(clef_safetensors_find(NULL, "x"), -1);
	ck_assert_ptr_null(clef_safetensors_text(NULL, "x"));
}
END_TEST

START_TEST(safetensors_misuse)
{
	clef_safetensors *file = sample();
	clef_safetensors_entry e;

	ck_fails(clef_safetensors_add(file, "flags", "U8", CLEF_SHAPE(3), flags), CLEF_ERROR_INVALID, "already");
	ck_fails(clef_safetensors_add(file, "", "U8", CLEF_SHAPE(3), flags), CLEF_ERROR_INVALID, "cannot be");
	ck_fails(clef_safetensors_add(file, "__metadata__", "U8", CLEF_SHAPE(3), flags), CLEF_ERROR_INVALID,
		 "cannot be");
	ck_fails(clef_safetensors_add(file, "\xff", "U8", CLEF_SHAPE(3), flags), CLEF_ERROR_INVALID, "no UTF-8");
	ck_fails(clef_safetensors_add(file, "x", "F31", CLEF_SHAPE(3), flags), CLEF_ERROR_DTYPE, "\"F31\"");
	ck_fails(clef_safetensors_add(file, "x", "U8", CLEF_SHAPE(-3), flags), CLEF_ERROR_SHAPE, "[-3]");
	ck_fails(clef_safetensors_add(file, "x", "U8", CLEF_SHAPE(3), NULL), CLEF_ERROR_INVALID, "NULL");
	ck_fails(clef_safetensors_get(file, 4, &e), CLEF_ERROR_INVALID, "no array 4, the file has 4");
	ck_fails(clef_safetensors_get(file, -1, &e), CLEF_ERROR_INVALID, "no array -1");
	ck_fails(clef_safetensors_set(file, "x", "\xff"), CLEF_ERROR_INVALID, "no UTF-8");
	ck_assert_int_eq(clef_safetensors_find(file, "x"), -1);
	check_sample(file);
	ck_fails(clef_safetensors_save(file, test_path("no/folder"), false), CLEF_ERROR_IO, "No such file");
	ck_fails(clef_safetensors_save(file, NULL, false), CLEF_ERROR_INVALID, "NULL");
	clef_safetensors_free(file);
	ck_null_fails(clef_safetensors_open(test_path("missing")), CLEF_ERROR_IO, "No such file");
	ck_null_fails(clef_safetensors_open(test_dir()), CLEF_ERROR_IO, "is a folder");
	ck_null_fails(clef_safetensors_open(NULL), CLEF_ERROR_INVALID, "NULL");
}
END_TEST

/* ---- damage ---- */

START_TEST(safetensors_every_truncation)
{
	const char *path = test_path("whole");
	clef_safetensors *file = sample();
	size_t size;
	uint8_t *data;

	ck_ok(clef_safetensors_save(file, path, false));
	clef_safetensors_free(file);
	data = contents(path, &size);
	for (size_t n = 0; n < size; n++)
		ck_null_fails(clef_safetensors_open(put("cut", data, n)), CLEF_ERROR_FORMAT, "/cut: ");
	data[size] = 0;
	ck_null_fails(clef_safetensors_open(put("long", data, size + 1)), CLEF_ERROR_FORMAT, "but the file has");
	free(data);
}
END_TEST

/* Every byte with three kinds of change: what opens then is a file like any other, and can be looked at. */
START_TEST(safetensors_flips)
{
	static const uint8_t flip[] = { 1, 0x80, 0x10 };
	const char *path = test_path("whole");
	clef_safetensors *file = sample();
	int refused = 0, opened = 0;
	size_t size;
	uint8_t *data;

	ck_ok(clef_safetensors_save(file, path, false));
	clef_safetensors_free(file);
	data = contents(path, &size);
	for (size_t i = 0; i < 3 * size; i++) {
		uint64_t sum = 0;

		data[i / 3] ^= flip[i % 3];
		file = clef_safetensors_open(put("flipped", data, size));
		data[i / 3] ^= flip[i % 3];
		refused += !file;
		opened += file != NULL;
		if (!file)
			ck_assert_int_eq(clef_error_status(), CLEF_ERROR_FORMAT);
		for (int k = 0; k < clef_safetensors_count(file); k++) {
			clef_safetensors_entry e;

			ck_ok(clef_safetensors_get(file, k, &e));
			for (size_t b = 0; b < e.bytes; b++)
				sum += ((const uint8_t *)e.data)[b];
			ck_assert_uint_le(sum, 255 * size);
		}
		clef_safetensors_free(file);
	}
	/* Values, names and texts are not protected; lengths, places and punctuation are. */
	ck_assert_int_gt(refused, (int)size);
	ck_assert_int_gt(opened, 3 * 35);
	free(data);
}
END_TEST

/* A file with that header, as long as it is, and `bytes` of zeros. */
static const char *put_header(const char *header, size_t bytes)
{
	size_t length = strlen(header);
	uint8_t *data = ck_new(calloc(8 + length + bytes, 1));
	const char *path;

	for (size_t i = 0; i < 8; i++)
		data[i] = (uint8_t)((uint64_t)length >> 8 * i);
	memcpy(data + 8, header, length);
	path = put("hostile", data, 8 + length + bytes);
	free(data);
	return path;
}

#define ONE(fields) "{\"w\":{" fields "}}"
#define TWO(a, b)                                                                                                      \
	"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" a "},"                                             \
	"\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" b "}}"
#define F32       "\"dtype\":\"F32\","
#define SHAPED(s) F32 "\"shape\":" s ",\"data_offsets\":[0,8]"
#define PLACED(p) F32 "\"shape\":[2],\"data_offsets\":" p

static const struct {
	const char *header;
	const char *message;
} hostile[] = {
	/* the JSON */
	{ "[]", "does not begin with a curly bracket" },
	{ " {}", "does not begin with a curly bracket" },
	{ "{} x", "no JSON at its byte" },
	{ "{\"w\":", "no JSON at its byte" },
	{ "{\"w\":{\"dtype\":{\"x\":{}}}}", "nested deeper than 3 levels at its byte 19" },
	{ "{\"w\":{\"shape\":[[2]]}}", "nested deeper than 3 levels" },
	{ "{\"w\":1,\"w\":2}", "duplicate object key" },
	{ ONE(SHAPED("[2]") ",\"shape\":[2]"), "duplicate object key" },
	{ "{\"a\\u0000b\":1}", "no JSON at its byte" },
	{ "{\"\xff\":1}", "no JSON at its byte" },
	{ "{\"__metadata__\":[]}", "__metadata__ is no object" },
	{ "{\"__metadata__\":{\"k\":1}}", "__metadata__: \"k\" is no text" },
	/* an array */
	{ "{\"w\":7}", "tensor \"w\" is no object" },
	{ "{\"\":{" SHAPED("[2]") "}}", "empty name" },
	{ "{\"a\\nb\":7}", "tensor \"a?b\" is no object" },
	{ ONE(SHAPED("[2]") ",\"extra\":0"), "tensor \"w\": there is no field \"extra\"" },
	{ ONE("\"shape\":[2],\"data_offsets\":[0,8]"), "tensor \"w\": dtype is missing" },
	{ ONE("\"dtype\":4,\"shape\":[2],\"data_offsets\":[0,8]"), "tensor \"w\": dtype is no text" },
	{ ONE("\"dtype\":\"F99\",\"shape\":[2],\"data_offsets\":[0,8]"), "tensor \"w\": dtype \"F99\" is unknown" },
	{ ONE(F32 "\"data_offsets\":[0,8]"), "tensor \"w\": shape is missing" },
	{ ONE(F32 "\"shape\":[2]"), "tensor \"w\": data_offsets is missing" },
	/* shapes */
	{ ONE(SHAPED("2")), "tensor \"w\": shape is no list" },
	{ ONE(SHAPED("[2.0]")), "tensor \"w\": shape[0] is no whole number" },
	{ ONE(SHAPED("[2,\"1\"]")), "tensor \"w\": shape[1] is no whole number" },
	{ ONE(SHAPED("[-2]")), "tensor \"w\": shape[0] is -2, must not be negative" },
	{ ONE(SHAPED("[99999999999999999999]")), "no JSON at its byte" },
	{ ONE(SHAPED("[1,1,1,1,1,1,1,1,2]")), "tensor \"w\": shape has 9 dimensions, at most 8" },
	{ ONE(SHAPED("[65536,65536]")), "tensor \"w\": shape [65536, 65536] is more than the 2147483647 elements" },
	{ ONE(SHAPED("[4294967296,4294967296]")), "is more than the 2147483647 elements" },
	{ ONE(SHAPED("[9223372036854775807,2]")), "is more than the 2147483647 elements" },
	{ ONE(SHAPED("[3]")), "data_offsets span 8 bytes, but [3] of F32 takes 12" },
	{ ONE(SHAPED("[0]")), "data_offsets span 8 bytes, but [0] of F32 takes 0" },
	/* places */
	{ ONE(PLACED("[0]")), "tensor \"w\": data_offsets is no list of two numbers" },
	{ ONE(PLACED("[0,8,8]")), "tensor \"w\": data_offsets is no list of two numbers" },
	{ ONE(PLACED("8")), "tensor \"w\": data_offsets is no list of two numbers" },
	{ ONE(PLACED("[0.0,8]")), "tensor \"w\": data_offsets[0] is no whole number" },
	{ ONE(PLACED("[-8,0]")), "tensor \"w\": data_offsets[0] is -8" },
	{ ONE(PLACED("[8,0]")), "tensor \"w\": data_offsets end at 0, before their begin at 8" },
	{ ONE(PLACED("[9,17]")), "tensor \"w\": data_offsets end at 17, but the file has 16 bytes of data" },
	{ ONE(PLACED("[0,9223372036854775807]")), "but the file has 16 bytes of data" },
	{ ONE(PLACED("[0,16]")), "tensor \"w\": data_offsets span 16 bytes, but [2] of F32 takes 8" },
	{ ONE(PLACED("[8,16]")), "tensor \"w\": data_offsets begin at 8 and leave a hole behind 0" },
	{ ONE(PLACED("[0,8]")), "the tensors end at 8, but the file has 16 bytes of data" },
	{ "{}", "the tensors end at 0, but the file has 16 bytes of data" },
	{ TWO("[0,8]", "[0,8]"), "data_offsets begin at 0, within tensor" },
	{ TWO("[4,12]", "[0,8]"), "tensor \"a\": data_offsets begin at 4, within tensor \"b\", which ends at 8" },
	{ TWO("[0,8]", "[9,17]"), "but the file has 16 bytes" },
};

START_TEST(safetensors_hostile_headers)
{
	clef_safetensors *file;

	for (int i = 0; i < CLEF_COUNT(hostile); i++) {
		ck_null_fails(clef_safetensors_open(put_header(hostile[i].header, 16)), CLEF_ERROR_FORMAT,
			      hostile[i].message);
		ck_assert_ptr_nonnull(strstr(clef_error(), "/hostile: "));
	}
	/* So it is the damage that is refused, not the way the test writes them. */
	file = ck_new(clef_safetensors_open(put_header(TWO("[8,16]", "[0,8]") "  ", 16)));
	ck_assert_int_eq(clef_safetensors_count(file), 2);
	clef_safetensors_free(file);
}
END_TEST

/* A header whose length lies, up to what would overflow, and one that is deep enough to exhaust a stack. */
START_TEST(safetensors_hostile_lengths)
{
	static const uint64_t lengths[] = { 0, 1, 3, 100000000, 100000001, INT64_MAX, UINT64_MAX, UINT64_MAX - 7 };
	char *deep = ck_new(malloc(2000001));
	uint8_t data[10] = { 0, 0, 0, 0, 0, 0, 0, 0, '{', '}' };

	for (int i = 0; i < CLEF_COUNT(lengths); i++) {
		for (size_t k = 0; k < 8; k++)
			data[k] = (uint8_t)(lengths[i] >> 8 * k);
		ck_null_fails(clef_safetensors_open(put("length", data, sizeof(data))), CLEF_ERROR_FORMAT, "header");
	}
	memset(deep, '[', 2000000);
	deep[2000000] = '\0';
	memcpy(deep, "{\"a\":", 5);
	ck_null_fails(clef_safetensors_open(put_header(deep, 0)), CLEF_ERROR_FORMAT, "nested deeper");
	memset(deep + 2, 'n', 1000000);
	memcpy(deep + 1000002, "\":1}", 5);
	ck_null_fails(clef_safetensors_open(put_header(deep, 0)), CLEF_ERROR_FORMAT, "nnn...\" is no object");
	free(deep);
}
END_TEST

/* ---- writing ---- */

START_TEST(safetensors_keep_the_one_before)
{
	const char *path = test_path("kept");
	clef_safetensors *file = ck_new(clef_safetensors_new());
	mode_t mask = umask(027);
	struct stat st;

	for (int i = 0; i < 3; i++) {
		char text[] = { (char)('0' + i), '\0' };

		ck_ok(clef_safetensors_set(file, "version", text));
		ck_ok(clef_safetensors_save(file, path, true));
	}
	clef_safetensors_free(file);
	umask(mask);
	file = ck_new(clef_safetensors_open(path));
	ck_assert_str_eq(clef_safetensors_text(file, "version"), "2");
	clef_safetensors_free(file);
	file = ck_new(clef_safetensors_open(test_path("kept.prev")));
	ck_assert_str_eq(clef_safetensors_text(file, "version"), "1");
	clef_safetensors_free(file);
	ck_assert_int_eq(stat(test_path("kept.new"), &st), -1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq((int)st.st_mode & 0777, 0640);
}
END_TEST

/* Writes one version after the other until it is killed: all values are the number of the version. */
static void write_versions(const char *path)
{
	static int32_t values[20000];

	for (int32_t version = 1;; version++) {
		clef_safetensors *file = clef_safetensors_new();
		char text[16];

		for (int i = 0; i < 20000; i++)
			values[i] = version;
		snprintf(text, sizeof(text), "%d", (int)version);
		if (clef_safetensors_set(file, "version", text) ||
		    clef_safetensors_add(file, "values", "I32", CLEF_SHAPE(20000), values) ||
		    clef_safetensors_save(file, path, true))
			_exit(1);
		clef_safetensors_free(file);
	}
}

/* The version of a file that must be whole. */
static int version_of(const char *path)
{
	clef_safetensors *file = ck_new(clef_safetensors_open(path));
	int version = atoi(clef_safetensors_text(file, "version"));
	clef_safetensors_entry e;

	ck_ok(clef_safetensors_get(file, 0, &e));
	ck_assert_uint_eq(e.bytes, 80000);
	for (size_t i = 0; i < e.bytes; i += 4) {
		int32_t value;

		memcpy(&value, (const char *)e.data + i, 4);
		ck_assert_int_eq(value, version);
	}
	clef_safetensors_free(file);
	return version;
}

/* A second writer while the first one works must be refused or wait its turn, and never spoil the file. */
START_TEST(safetensors_killed_while_writing)
{
	char path[4096];
	const int kills = test_long() ? 500 : 50;
	struct stat st;
	int seen = 0;

	snprintf(path, sizeof(path), "%s", test_path("killed"));
	for (int i = 0; i < kills; i++) {
		pid_t child = fork();
		int status;

		ck_assert_int_ge(child, 0);
		if (!child)
			write_versions(path);
		/* The first one gets to its second version, so that there is one to replace. */
		while (stat(i ? path : test_path("killed.prev"), &st))
			nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
		nanosleep(&(struct timespec){ 0, 1000 * (997 * (long)i % 20000) }, NULL);
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSIGNALED(status));
		seen += version_of(path) > 1;
		if (!stat(test_path("killed.prev"), &st))
			version_of(test_path("killed.prev"));
	}
	ck_assert_int_gt(seen, 0);
}
END_TEST

Suite *safetensors_suite(void)
{
	Suite *s = suite_create("safetensors");
	TCase *c = tcase_create("safetensors");

	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	tcase_add_test(c, safetensors_come_back);
	tcase_add_test(c, safetensors_without_arrays);
	tcase_add_test(c, safetensors_misuse);
	tcase_add_test(c, safetensors_every_truncation);
	tcase_add_test(c, safetensors_flips);
	tcase_add_test(c, safetensors_hostile_headers);
	tcase_add_test(c, safetensors_hostile_lengths);
	tcase_add_test(c, safetensors_keep_the_one_before);
	tcase_add_test(c, safetensors_killed_while_writing);
	return s;
}
