/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of compiled kernels: what is stored is loaded again, and whatever is wrong with a file costs a compilation
 * and never a result.
 */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cache_case.h"
#include "tensor_internal.h"

/* ---- good files ---- */

START_TEST(second_open_loads)
{
	cache_run("a", 1, 0);
	cache_run("a", 0, 1);
	cache_run("ab", 1, 1);
	cache_run("ab", 0, 2);
	cache_run("", 0, 0);
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), 2);
	ck_assert_int_eq(cache_files(cache_folder, "tmp-", NULL, 0), 0);
	ck_assert_int_eq(cache_warnings, 0);
}
END_TEST

/* The kernels of the library itself. Opening, for its check of matrix products, compiles the first one, unless the
 * check comes later to be compiled with others. */
START_TEST(embedded_kernels_are_cached)
{
	test_setenv("CLEF_KERNELS", NULL);
	test_setenv("CLEF_COMPILE_JOBS", "1");
	for (int i = 0; i < 2; i++) {
		clef_device *dev = ck_new(clef_device_open(NULL));
		uint64_t built = clef_device_get_stats(dev).programs_built;
		clef_tensor *x = ck_new(clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(1)));

		ck_ok(clef_fill(x, 0.5));
		ck_assert(clef_item(x) == 0.5);
		ck_assert_uint_eq(built, i == 0);
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_built - built, i == 0);
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_cached, i == 1);
		ck_assert(clef_device_get_stats(dev).build_seconds > 0);
		clef_tensor_free(x);
		clef_device_close(dev);
	}
}
END_TEST

START_TEST(another_source_is_another_file)
{
	cache_run("a", 1, 0);
	cache_kernel("a", 1001, "/* changed */\n");
	cache_run("a", 1, 0);
	cache_kernel("a", 1001, "");
	cache_run("a", 0, 1);
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), 2);
}
END_TEST

static void launch_with(clef_device *dev, const char *defines, bool exact)
{
	clef_tensor *y = ck_new(clef_tensor_new(dev, CLEF_INT32, CLEF_SCALAR));

	ck_ok(clef__launch(dev, &(clef__launch_opts){ .program = "a",
						      .defines = defines,
						      .exact = exact,
						      .kernel = "put",
						      .global = { 1 },
						      .args = { CLEF__BUFFER(y->buffer, y->offset) } }));
	clef_tensor_free(y);
}

START_TEST(defines_and_options_are_part_of_the_key)
{
	for (int i = 0; i < 2; i++) {
		clef_device *dev = ck_new(clef_device_open(NULL));

		launch_with(dev, NULL, false);
		launch_with(dev, "#define A 1\n", false);
		launch_with(dev, "#define A 2\n", false);
		launch_with(dev, NULL, true);
		launch_with(dev, "", false);
		ck_ok(clef_finish(dev));
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_built, i ? 0 : 4);
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_cached, i ? 4 : 0);
		clef_device_close(dev);
	}
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), 4);
}
END_TEST

START_TEST(another_driver_compiles_anew)
{
	cache_run("a", 1, 0);
	for (int i = 0; i < 2; i++) {
		clef_device *dev = ck_new(clef_device_open(NULL));
		clef_device_info *info = (clef_device_info *)(uintptr_t)clef_device_get_info(dev);

		snprintf(info->driver, sizeof(info->driver), "another");
		cache_run_on(dev, "a");
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_built, i == 0);
		clef_device_close(dev);
	}
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), 2);
	cache_run("a", 0, 1);
}
END_TEST

/* ---- damaged files ---- */

typedef struct content {
	unsigned char *data;
	size_t size, key_size;
} content;

enum { MAGIC = 0, KEY_SIZE = 8, BINARY_SIZE = 16, CHECKSUM = 24, HEADER = 32 };

static content read_whole(const char *path)
{
	FILE *file = fopen(path, "rb");
	content c = { malloc(1 << 24), 0, 0 };
	uint64_t size;

	ck_assert_msg(file && c.data, "cannot read %s", path);
	c.size = fread(c.data, 1, 1 << 24, file);
	fclose(file);
	ck_assert_uint_gt(c.size, HEADER);
	memcpy(&size, c.data + KEY_SIZE, sizeof(size));
	c.key_size = (size_t)size;
	ck_assert_uint_lt(c.key_size, c.size);
	return c;
}

static void seal(content *c)
{
	uint64_t sum = clef__hash(CLEF__HASH_START, c->data + HEADER, c->size - HEADER);

	memcpy(c->data + CHECKSUM, &sum, sizeof(sum));
}

typedef struct damage {
	const char *name;
	void (*apply)(content *c);
} damage;

static void make_empty(content *c)
{
	c->size = 0;
}

static void cut_in_header(content *c)
{
	c->size = HEADER - 1;
}

static void cut_after_header(content *c)
{
	c->size = HEADER;
}

static void cut_in_key(content *c)
{
	c->size = HEADER + c->key_size / 2;
}

static void cut_after_key(content *c)
{
	c->size = HEADER + c->key_size;
}

static void cut_last_byte(content *c)
{
	c->size--;
}

static void add_byte(content *c)
{
	c->data[c->size++] = 0;
}

static void zero_all(content *c)
{
	memset(c->data, 0, c->size);
}

static void flip_magic(content *c)
{
	c->data[MAGIC + 7] ^= 1;
}

static void flip_checksum(content *c)
{
	c->data[CHECKSUM + 3] ^= 0x10;
}

static void flip_key(content *c)
{
	c->data[HEADER + c->key_size / 2] ^= 1;
}

static void flip_binary_start(content *c)
{
	c->data[HEADER + c->key_size] ^= 1;
}

static void flip_binary_end(content *c)
{
	c->data[c->size - 1] ^= 0x80;
}

static void set_size(content *c, int field, uint64_t value)
{
	memcpy(c->data + field, &value, sizeof(value));
}

static void huge_key(content *c)
{
	set_size(c, KEY_SIZE, UINT64_MAX);
}

static void huge_binary(content *c)
{
	set_size(c, BINARY_SIZE, (uint64_t)1 << 62);
}

/* Both sizes and the header add up to the size of the file, if the sum wraps around. */
static void sizes_that_wrap(content *c)
{
	set_size(c, KEY_SIZE, (uint64_t)1 << 63);
	set_size(c, BINARY_SIZE, (uint64_t)c->size - HEADER - ((uint64_t)1 << 63));
}

static void no_binary(content *c)
{
	set_size(c, BINARY_SIZE, 0);
	c->size = HEADER + c->key_size;
	seal(c);
}

static void shorter_key(content *c)
{
	set_size(c, KEY_SIZE, c->key_size - 1);
	set_size(c, BINARY_SIZE, c->size - HEADER - c->key_size + 1);
	seal(c);
}

/* A whole file under the name of another driver's: what a collision of the hash, or a changed format, would be. */
static void another_driver(content *c)
{
	c->data[HEADER + 8] ^= 1;
	seal(c);
}

static const damage damages[] = {
	{ "empty", make_empty },
	{ "cut in the header", cut_in_header },
	{ "cut after the header", cut_after_header },
	{ "cut in the key", cut_in_key },
	{ "cut after the key", cut_after_key },
	{ "cut by a byte", cut_last_byte },
	{ "too long by a byte", add_byte },
	{ "zeros", zero_all },
	{ "bit flipped in the magic number", flip_magic },
	{ "bit flipped in the checksum", flip_checksum },
	{ "bit flipped in the key", flip_key },
	{ "first bit of the binary flipped", flip_binary_start },
	{ "last bit of the binary flipped", flip_binary_end },
	{ "huge size of the key", huge_key },
	{ "huge size of the binary", huge_binary },
	{ "sizes that wrap around", sizes_that_wrap },
	{ "no binary", no_binary },
	{ "a shorter key", shorter_key },
	{ "another driver's", another_driver },
};

START_TEST(damaged_file_is_replaced)
{
	char path[2048];

	cache_run("a", 1, 0);
	ck_assert_int_eq(cache_files(cache_folder, "", path, sizeof(path)), 1);
	for (int i = 0; i < CLEF_COUNT(damages); i++) {
		content c = read_whole(path);

		cache_doing = damages[i].name;
		damages[i].apply(&c);
		cache_write(path, c.data, c.size);
		free(c.data);
		cache_run("a", 1, 0);
		cache_run("a", 0, 1);
	}
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), 1);
	ck_assert_int_eq(cache_warnings, 0);
}
END_TEST

/* Each is whole, but is the other program's. */
START_TEST(exchanged_files_are_replaced)
{
	char a[2048], b[2048], other[2048];

	cache_run("a", 1, 0);
	cache_files(cache_folder, "", a, sizeof(a));
	snprintf(other, sizeof(other), "%s/kept", test_dir());
	ck_assert_int_eq(rename(a, other), 0);
	cache_run("b", 1, 0);
	cache_files(cache_folder, "", b, sizeof(b));
	ck_assert_int_eq(rename(b, a), 0);
	ck_assert_int_eq(rename(other, b), 0);
	cache_run("ab", 2, 0);
	cache_run("ab", 0, 2);
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), 2);
}
END_TEST

Suite *cache_suite(void)
{
	Suite *s = suite_create("cache");
	TCase *c = tcase_create("files");

	tcase_add_checked_fixture(c, cache_setup, NULL);
	tcase_add_test(c, second_open_loads);
	tcase_add_test(c, embedded_kernels_are_cached);
	tcase_add_test(c, another_source_is_another_file);
	tcase_add_test(c, defines_and_options_are_part_of_the_key);
	tcase_add_test(c, another_driver_compiles_anew);
	tcase_add_test(c, damaged_file_is_replaced);
	tcase_add_test(c, exchanged_files_are_replaced);
	suite_add_tcase(s, c);
	return s;
}
