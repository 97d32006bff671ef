/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of compiled kernels: what is stored is loaded again, and whatever is wrong with a file or the folder costs
 * a compilation and never a result. The programs are tiny ones in a folder of CLEF_KERNELS, so that compiling is quick.
 */
#define _XOPEN_SOURCE            700
#define CL_TARGET_OPENCL_VERSION 120
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_clef.h"
#include "opencl.h"
#include "tensor_internal.h"

/* ---- helpers ---- */

static char cache[1024];
static const char *doing = "";
static int warnings;
static char warning[1024];

static void count_warnings(void *user, clef_log_level level, const char *message)
{
	(void)user;
	if (level == CLEF_LOG_WARN) {
		warnings++;
		snprintf(warning, sizeof(warning), "%s", message);
	}
}

static void write_file(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "wb");

	ck_assert_msg(file && fwrite(data, 1, size, file) == size && fclose(file) == 0, "cannot write %s", path);
}

/* NAME.cl, whose kernel writes `value`. */
static void make_kernel(const char *name, int value, const char *comment)
{
	char path[1100], source[256];

	snprintf(path, sizeof(path), "%s/kernels/%s.cl", test_dir(), name);
	snprintf(source, sizeof(source),
		 "__kernel void put(__global int *y, ulong y_offset)\n{\n\tif (get_global_id(0) == 0)\n"
		 "\t\ty[y_offset] = %d;\n}\n%s",
		 value, comment);
	write_file(path, source, strlen(source));
}

/* An empty cache, and programs a, b and c that give 1001, 1002 and 1003. */
static void setup(void)
{
	char path[1100];

	snprintf(cache, sizeof(cache), "%s/cache", test_dir());
	snprintf(path, sizeof(path), "%s/kernels", test_dir());
	ck_assert_int_eq(mkdir(path, 0700), 0);
	setenv("CLEF_KERNELS", path, 1);
	setenv("CLEF_CACHE", cache, 1);
	strcat(path, "/common.clh");
	write_file(path, "", 0);
	make_kernel("a", 1001, "");
	make_kernel("b", 1002, "");
	make_kernel("c", 1003, "");
	clef_log_set(count_warnings, NULL, CLEF_LOG_WARN);
}

/* Runs the programs on an open device and checks what they write. */
static void run_on(clef_device *dev, const char *programs)
{
	clef_tensor *y = ck_new(clef_tensor_new(dev, CLEF_INT32, CLEF_SCALAR));

	for (const char *p = programs; *p; p++) {
		const char name[2] = { *p, '\0' };

		ck_ok(clef__launch(dev, &(clef__launch_opts){ .program = name,
							      .kernel = "put",
							      .global = { 1 },
							      .args = { CLEF__BUFFER(y->buffer, y->offset) } }));
		ck_assert_int_eq((int)clef_item(y), 1001 + *p - 'a');
	}
	clef_tensor_free(y);
}

/* The same on a device of its own; so many must be compiled and so many come from the cache. */
static void check_run(const char *programs, int built, int cached)
{
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef_device_stats stats;

	run_on(dev, programs);
	stats = clef_device_get_stats(dev);
	clef_device_close(dev);
	ck_assert_msg(stats.programs_built == (uint64_t)built && stats.programs_cached == (uint64_t)cached,
		      "programs %s%s%s: %d compiled and %d cached, should be %d and %d", programs,
		      *doing ? ", file " : "", doing, (int)stats.programs_built, (int)stats.programs_cached, built,
		      cached);
}

/* The number of files in the folder whose names begin so; `path`, if not NULL, becomes that of one. */
static int count_files(const char *folder, const char *prefix, char *path, size_t size)
{
	DIR *dir = opendir(folder);
	int count = 0;

	for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
		if (*e->d_name == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (path)
			ck_assert_int_lt(snprintf(path, size, "%s/%s", folder, e->d_name), (int)size);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

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

/* ---- good files ---- */

START_TEST(second_open_loads)
{
	check_run("a", 1, 0);
	check_run("a", 0, 1);
	check_run("ab", 1, 1);
	check_run("ab", 0, 2);
	check_run("", 0, 0);
	ck_assert_int_eq(count_files(cache, "", NULL, 0), 2);
	ck_assert_int_eq(count_files(cache, "tmp-", NULL, 0), 0);
	ck_assert_int_eq(warnings, 0);
}
END_TEST

/* The kernels of the library itself. */
START_TEST(embedded_kernels_are_cached)
{
	unsetenv("CLEF_KERNELS");
	for (int i = 0; i < 2; i++) {
		clef_device *dev = ck_new(clef_device_open(NULL));
		clef_tensor *x = ck_new(clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(1)));

		ck_ok(clef_fill(x, 0.5));
		ck_assert(clef_item(x) == 0.5);
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_built, i == 0);
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_cached, i == 1);
		ck_assert(clef_device_get_stats(dev).build_seconds > 0);
		clef_tensor_free(x);
		clef_device_close(dev);
	}
}
END_TEST

START_TEST(another_source_is_another_file)
{
	check_run("a", 1, 0);
	make_kernel("a", 1001, "/* changed */\n");
	check_run("a", 1, 0);
	make_kernel("a", 1001, "");
	check_run("a", 0, 1);
	ck_assert_int_eq(count_files(cache, "", NULL, 0), 2);
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
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_built, i ? 0 : 4);
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_cached, i ? 4 : 0);
		clef_device_close(dev);
	}
	ck_assert_int_eq(count_files(cache, "", NULL, 0), 4);
}
END_TEST

START_TEST(another_driver_compiles_anew)
{
	check_run("a", 1, 0);
	for (int i = 0; i < 2; i++) {
		clef_device *dev = ck_new(clef_device_open(NULL));
		clef_device_info *info = (clef_device_info *)(uintptr_t)clef_device_get_info(dev);

		snprintf(info->driver, sizeof(info->driver), "another");
		run_on(dev, "a");
		ck_assert_uint_eq(clef_device_get_stats(dev).programs_built, i == 0);
		clef_device_close(dev);
	}
	ck_assert_int_eq(count_files(cache, "", NULL, 0), 2);
	check_run("a", 0, 1);
}
END_TEST

/* ---- damaged files ---- */

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

	check_run("a", 1, 0);
	ck_assert_int_eq(count_files(cache, "", path, sizeof(path)), 1);
	for (int i = 0; i < CLEF_COUNT(damages); i++) {
		content c = read_whole(path);

		doing = damages[i].name;
		damages[i].apply(&c);
		write_file(path, c.data, c.size);
		free(c.data);
		check_run("a", 1, 0);
		check_run("a", 0, 1);
	}
	ck_assert_int_eq(count_files(cache, "", NULL, 0), 1);
	ck_assert_int_eq(warnings, 0);
}
END_TEST

/* Each is whole, but is the other program's. */
START_TEST(exchanged_files_are_replaced)
{
	char a[2048], b[2048], other[2048];

	check_run("a", 1, 0);
	count_files(cache, "", a, sizeof(a));
	snprintf(other, sizeof(other), "%s/kept", test_dir());
	ck_assert_int_eq(rename(a, other), 0);
	check_run("b", 1, 0);
	count_files(cache, "", b, sizeof(b));
	ck_assert_int_eq(rename(b, a), 0);
	ck_assert_int_eq(rename(other, b), 0);
	check_run("ab", 2, 0);
	check_run("ab", 0, 2);
	ck_assert_int_eq(count_files(cache, "", NULL, 0), 2);
}
END_TEST

/* ---- folders ---- */

START_TEST(missing_folders_are_made)
{
	char path[1100];

	snprintf(path, sizeof(path), "%s/x/y/z/", test_dir());
	setenv("CLEF_CACHE", path, 1);
	check_run("a", 1, 0);
	check_run("a", 0, 1);
	ck_assert_int_eq(count_files(path, "", NULL, 0), 1);
	ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(default_folders)
{
	char xdg[1100], home[1100], path[1200];

	snprintf(xdg, sizeof(xdg), "%s/xdg", test_dir());
	snprintf(home, sizeof(home), "%s/home", test_dir());
	unsetenv("CLEF_CACHE");
	setenv("HOME", home, 1);
	setenv("XDG_CACHE_HOME", xdg, 1);
	check_run("a", 1, 0);
	snprintf(path, sizeof(path), "%s/clef", xdg);
	ck_assert_int_eq(count_files(path, "", NULL, 0), 1);
	check_run("a", 0, 1);
	/* The XDG specification says to pass over a path that is not absolute. */
	setenv("XDG_CACHE_HOME", "relative", 1);
	check_run("a", 1, 0);
	snprintf(path, sizeof(path), "%s/.cache/clef", home);
	ck_assert_int_eq(count_files(path, "", NULL, 0), 1);
	unsetenv("XDG_CACHE_HOME");
	check_run("a", 0, 1);
	unsetenv("HOME");
	check_run("a", 1, 0);
	ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(empty_variable_keeps_none)
{
	setenv("CLEF_CACHE", "", 1);
	setenv("XDG_CACHE_HOME", test_path("xdg"), 1);
	check_run("a", 1, 0);
	check_run("a", 1, 0);
	ck_assert_int_eq(count_files(test_path("xdg/clef"), "", NULL, 0), 0);
	ck_assert_int_eq(warnings, 0);
}
END_TEST

/* Root may write everywhere, so a folder without permission is no test. */
static const char *unusable_folder(int i)
{
	switch (i) {
	case 0:
		write_file(test_path("file"), "", 0);
		return test_path("file/cache");
	case 1:
		write_file(test_path("file"), "", 0);
		return test_path("file");
	case 2:
		return "/proc/clef-cache";
	default:
		return "/proc/self/fdinfo";
	}
}

START_TEST(unusable_folder_warns_once)
{
	const char *folder = unusable_folder(_i);
	clef_device *dev;

	if (_i >= 2 && access("/proc/self/fdinfo", R_OK))
		test_skip("no /proc");
	setenv("CLEF_CACHE", folder, 1);
	dev = ck_new(clef_device_open(NULL));
	run_on(dev, "abc");
	ck_assert_uint_eq(clef_device_get_stats(dev).programs_built, 3);
	clef_device_close(dev);
	ck_assert_int_eq(warnings, 1);
	ck_assert_msg(strstr(warning, folder) != NULL, "no \"%s\" in \"%s\"", folder, warning);
	ck_assert_ptr_null(strchr(warning, '\n'));
}
END_TEST

/* A folder in the place of a file cannot be read, and nothing can be renamed to it. */
START_TEST(folder_in_place_of_a_file)
{
	char path[2048];

	check_run("a", 1, 0);
	count_files(cache, "", path, sizeof(path));
	ck_assert_int_eq(remove(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	check_run("a", 1, 0);
	ck_assert_int_eq(warnings, 1);
	ck_assert_int_eq(count_files(cache, "tmp-", NULL, 0), 0);
}
END_TEST

/* As a full disk does, a limit on the size of files lets one be made and then takes no more bytes. */
START_TEST(full_disk_warns_once_and_leaves_nothing)
{
	static const unsigned char binary[100000];
	struct rlimit limit;
	clef_device *dev = ck_new(clef_device_open(NULL));
	rlim_t before;
	size_t size = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = 5000;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	clef__cache_store(dev, "key", 3, binary, sizeof(binary));
	clef__cache_store(dev, "yek", 3, binary, sizeof(binary));
	limit.rlim_cur = before;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(warnings, 1);
	ck_assert_msg(strstr(warning, cache) != NULL, "%s", warning);
	ck_assert_int_eq(count_files(cache, "", NULL, 0), 0);
	ck_assert_ptr_null(clef__cache_load(dev, "key", 3, &size));
	clef__cache_store(dev, "key", 3, binary, sizeof(binary));
	ck_assert_int_eq(count_files(cache, "", NULL, 0), 1);
	clef_device_close(dev);
}
END_TEST

/* ---- several processes ---- */

START_TEST(processes_share_a_cold_cache)
{
	enum { PROCESSES = 8 };
	pid_t child[PROCESSES];
	int status, processes = test_small() ? 2 : PROCESSES;

	for (int i = 0; i < processes; i++) {
		child[i] = fork();
		ck_assert_int_ge(child[i], 0);
		if (child[i] == 0) {
			clef_device *dev = clef_device_open(NULL);

			if (!dev)
				_exit(1);
			run_on(dev, i % 2 ? "ab" : "ba");
			clef_device_close(dev);
			_exit(warnings ? 2 : 0);
		}
	}
	for (int i = 0; i < processes; i++) {
		ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: wait status %d", i, status);
	}
	ck_assert_int_eq(count_files(cache, "tmp-", NULL, 0), 0);
	ck_assert_int_eq(count_files(cache, "", NULL, 0), 2);
	check_run("ab", 0, 2);
}
END_TEST

Suite *cache_suite(void)
{
	Suite *s = suite_create("cache");
	TCase *c = tcase_create("files");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, second_open_loads);
	tcase_add_test(c, embedded_kernels_are_cached);
	tcase_add_test(c, another_source_is_another_file);
	tcase_add_test(c, defines_and_options_are_part_of_the_key);
	tcase_add_test(c, another_driver_compiles_anew);
	tcase_add_test(c, damaged_file_is_replaced);
	tcase_add_test(c, exchanged_files_are_replaced);
	suite_add_tcase(s, c);
	c = tcase_create("folders");
	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, missing_folders_are_made);
	tcase_add_test(c, default_folders);
	tcase_add_test(c, empty_variable_keeps_none);
	tcase_add_loop_test(c, unusable_folder_warns_once, 0, 4);
	tcase_add_test(c, folder_in_place_of_a_file);
	tcase_add_test(c, full_disk_warns_once_and_leaves_nothing);
	tcase_add_test(c, processes_share_a_cold_cache);
	suite_add_tcase(s, c);
	return s;
}
