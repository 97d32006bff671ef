/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of matrix products when a device is opened, or before the first product where programs are compiled several
 * at a time: what it finds, what it remembers, and what it leaves no trace in. The engine is "plain" where any will do,
 * because its program compiles quickest.
 */
#define _XOPEN_SOURCE            700
#define CL_TARGET_OPENCL_VERSION 120
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gemm_case.h"
#include "opencl.h"

static void setup(void)
{
	test_setenv("CLEF_CACHE", test_path("cache"));
	test_setenv("CLEF_GEMM", "plain");
	test_setenv("CLEF_COMPILE_JOBS", "1");
	test_note_warnings();
}

static void setup_late(void)
{
	setup();
	test_setenv("CLEF_COMPILE_JOBS", "2");
}

/* What was done by the time the device was open. */
static clef_device_stats open_and_close(void)
{
	clef_device *dev;
	clef_device_stats stats;

	clef_error_clear();
	dev = ck_new(clef_device_open(NULL));
	stats = clef_device_get_stats(dev);
	ck_assert_int_eq(clef_error_status(), CLEF_OK);
	clef_device_close(dev);
	return stats;
}

/* A check needs its engine's program, and nothing else does before a device is open. */
static uint64_t checks_of(const clef_device_stats *stats)
{
	ck_assert_uint_eq(stats->launches, 0);
	return stats->programs_built + stats->programs_cached;
}

static uint64_t count_checks(void)
{
	const clef_device_stats stats = open_and_close();

	return checks_of(&stats);
}

static const gemm_product some_product = { .m = 6, .n = 7, .k = 8, .integers = true, .alpha = 1, .has_bias = true };

/* ---- what is remembered ---- */

START_TEST(verdict_is_remembered)
{
	clef_device_stats stats = open_and_close();
	clef_device *dev;

	ck_assert_uint_eq(checks_of(&stats), 1);
	ck_assert_uint_eq(stats.memory_in_use + stats.memory_pooled, 0);
	stats = open_and_close();
	ck_assert_uint_eq(checks_of(&stats) + stats.buffers_created, 0);
	dev = ck_new(clef_device_open(NULL));
	gemm_check_product(dev, &some_product);
	ck_assert_uint_eq(clef_device_get_stats(dev).programs_cached, 1);
	ck_assert_uint_eq(clef_device_get_stats(dev).launches, 1);
	clef_device_close(dev);
	ck_assert_int_eq(test_warnings, 0);
}
END_TEST

START_TEST(without_a_cache_every_open_checks)
{
	test_setenv("CLEF_CACHE", "");
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(open_and_close().programs_built, 1);
	}
	ck_assert_int_eq(test_warnings, 0);
}
END_TEST

/* The file of the verdict: the smaller one of the two. */
static void find_verdict(char *path, size_t size)
{
	DIR *dir = opendir(test_path("cache"));
	off_t smallest = 0;
	int files = 0;

	ck_assert_ptr_nonnull(dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		char name[1024];
		struct stat st;

		snprintf(name, sizeof(name), "%s/%s", test_path("cache"), e->d_name);
		if (*e->d_name == '.' || stat(name, &st))
			continue;
		if (!files++ || st.st_size < smallest) {
			smallest = st.st_size;
			snprintf(path, size, "%s", name);
		}
	}
	closedir(dir);
	ck_assert_int_eq(files, 2);
}

static void damage(const char *path, long keep, long flip)
{
	char data[4096];
	FILE *file = fopen(path, "rb");
	size_t size;

	ck_assert_ptr_nonnull(file);
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	ck_assert_uint_lt(size, sizeof(data));
	ck_assert_int_gt((int)size, 100);
	if (keep < 0)
		size -= (size_t)-keep;
	if (flip)
		data[flip < 0 ? size - (size_t)-flip : (size_t)flip] ^= 1;
	file = fopen(path, "wb");
	ck_assert(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

START_TEST(damaged_verdict_is_none)
{
	static const long damages[][2] = { { -1, 0 }, { -60, 0 }, { 0, 1 }, { 0, 60 }, { 0, -1 }, { 0, -5 } };
	char path[1024];

	open_and_close();
	find_verdict(path, sizeof(path));
	for (int i = 0; i < CLEF_COUNT(damages); i++) {
		damage(path, damages[i][0], damages[i][1]);
		ck_assert_uint_eq(open_and_close().programs_cached, 1);
		ck_assert_uint_eq(count_checks(), 0);
	}
	ck_assert_int_eq(test_warnings, 0);
}
END_TEST

/* The verdict is that of a device with these limits: CLBlast, for one, fails where work-groups are small. */
START_TEST(verdict_is_that_of_the_limits)
{
	clef_device_stats stats;
	clef_device *dev;

	open_and_close();
	dev = ck_new(clef_device_open(NULL));
	stats = clef_device_get_stats(dev);
	ck_assert_uint_eq(checks_of(&stats), 0);
	dev->gemm_checked = 0;
	dev->info.max_work_group--;
	ck_ok(clef__gemm_open(dev));
	stats = clef_device_get_stats(dev);
	ck_assert_uint_eq(checks_of(&stats), 1);
	clef_device_close(dev);
}
END_TEST

/* ---- what is set aside ---- */

/* Writes a kernel file of the library into the folder "kernels", with one text replaced by another if there is one. */
static void write_kernels(const char *name, const char *from, const char *to)
{
	char path[1024], text[32768];
	FILE *file;
	char *at;
	size_t size;

	snprintf(path, sizeof(path), "%s/cl/%s", CLEF_SOURCE_DIR, name);
	file = fopen(path, "rb");
	ck_assert_msg(file != NULL, "cannot read %s", path);
	size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	at = from ? strstr(text, from) : text;
	ck_assert_msg(at != NULL, "no \"%s\" in %s", from, path);
	snprintf(path, sizeof(path), "%s/kernels/%s", test_dir(), name);
	file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	if (from)
		fprintf(file, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	else
		fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void make_kernel_folder(void)
{
	static const char *const names[] = { "common.clh",     "vector.clh",        "activation.clh",
					     "pointwise.clh",  "gemm_cpu_pack.clh", "gemm_plain.cl",
					     "gemm_finish.cl", "gemm_cpu.cl",       "gemm_dot.cl" };

	ck_assert_int_eq(mkdir(test_path("kernels"), 0700), 0);
	for (int i = 0; i < CLEF_COUNT(names); i++)
		write_kernels(names[i], NULL, NULL);
	test_setenv("CLEF_KERNELS", test_path("kernels"));
}

static const struct {
	const char *from, *to, *why;
} breakages[] = {
	{ "for (int l = 0;", "for (int l = 1;", "it computes wrong results" },
	{ "c += c_offset + matrix * c_step", "c += c_offset", "it computes wrong results" },
	{ "b_row, int b_col", "b_col, int b_row", "it computes wrong results" },
	{ "beta == 0.0f ? product", "beta == 2.0f ? product", "it computes wrong results" },
	{ "__kernel void gemm_plain(", "__kernel void gemm_plane(", "kernel gemm_plain of gemm_plain.cl" },
	{ "float sum[4]", "float sum[four]", "gemm_plain.cl does not compile" },
};

/* With a warning when the device opens, or before the first product, and the product says what is missing. A repaired
 * engine is used again. */
START_TEST(broken_engine_is_set_aside)
{
	clef_device *dev;

	test_setenv("CLEF_COMPILE_JOBS", _i ? "2" : "1");
	make_kernel_folder();
	for (int i = 0; i < (test_small() ? 1 : CLEF_COUNT(breakages)); i++) {
		write_kernels("gemm_plain.cl", breakages[i].from, breakages[i].to);
		for (int again = 0; again < 2; again++) {
			test_warnings = 0;
			clef_error_clear();
			dev = ck_new(clef_device_open(NULL));
			ck_assert_int_eq(clef_error_status(), CLEF_OK);
			ck_assert_int_eq(test_warnings, dev->compile_jobs == 1);
			ck_fails(clef__gemm(dev, &(clef__gemm_opts){ .m = 1, .n = 1, .k = 1, .alpha = 1 }),
				 CLEF_ERROR_UNSUPPORTED, "CLEF_GEMM asks for plain");
			ck_assert_uint_eq(clef_device_get_stats(dev).launches, 0);
			ck_assert_msg(test_warnings == 1 &&
					      strstr(test_warning, "matrix products: plain is set aside on ") &&
					      strstr(test_warning, breakages[i].why),
				      "breakage %d: %d warnings, \"%s\"", i, test_warnings, test_warning);
			clef_device_close(dev);
		}
	}
	test_warnings = 0;
	write_kernels("gemm_plain.cl", NULL, NULL);
	dev = ck_new(clef_device_open(NULL));
	gemm_check_product(dev, &some_product);
	clef_device_close(dev);
	ck_assert_int_eq(test_warnings, 0);
}
END_TEST

/* The engine that is next computes. */
START_TEST(next_engine_takes_over)
{
	static const char *const programs[][3] = {
		{ "gemm_cpu.cl", "s##r = A(r) * b0 + s##r", "s##r = A(r) * b0" },
		{ "gemm_dot.cl", "(float4)(a.s1, b.s1,", "(float4)(a.s0, b.s0," },
	};
	clef_device *dev;

	if (test_small())
		test_skip("the next engine is CLBlast");
	dev = gemm_open_with(0);
	if (!dev)
		test_skip("the first engine is not for this device");
	clef_device_close(dev);
	test_setenv("CLEF_GEMM", NULL);
	make_kernel_folder();
	for (int i = 0; i < CLEF_COUNT(programs); i++) {
		write_kernels(programs[i][0], programs[i][1], programs[i][2]);
		test_warnings = 0;
		dev = ck_new(clef_device_open(NULL));
		ck_assert_int_eq(test_warnings, 1);
		ck_assert_ptr_nonnull(strstr(test_warning, "cpu is set aside"));
		gemm_check_product(dev, &some_product);
		ck_assert_int_eq(test_warnings, 1);
		clef_device_close(dev);
		write_kernels(programs[i][0], NULL, NULL);
	}
}
END_TEST

/* ---- what cannot be known at open ---- */

/* Without memory for the check a device opens, and the first product is checked. */
START_TEST(without_memory_the_device_opens)
{
	clef_device *dev = ck_new(clef_device_open(NULL));
	uint64_t most = dev->info.max_allocation;
	clef__buffer *b = ck_new(clef__buffer_new(dev, 4));

	dev->gemm_checked = 0;
	free(dev->cache_folder);
	dev->cache_folder = NULL;
	dev->info.max_allocation = 100;
	clef_error_clear();
	ck_ok(clef__gemm_open(dev));
	ck_assert_int_eq(clef_error_status(), CLEF_OK);
	ck_assert_uint_eq(dev->gemm_checked | dev->gemm_bad, 0);
	ck_fails(clef__gemm(dev, &(clef__gemm_opts){ .m = 1, .n = 1, .k = 1, .a = b, .b = b, .c = b }),
		 CLEF_ERROR_DEVICE_MEMORY, "no device memory");
	dev->info.max_allocation = most;
	gemm_check_product(dev, &some_product);
	ck_assert_uint_ne(dev->gemm_checked, 0);
	ck_assert_uint_eq(dev->gemm_bad, 0);
	ck_assert_int_eq(test_warnings, 0);
	clef__buffer_release(b);
	clef_device_close(dev);
}
END_TEST

/* A folder of kernels in the making. */
START_TEST(without_its_file_the_device_opens)
{
	clef_device *dev;

	test_setenv("CLEF_KERNELS", test_dir());
	ck_assert_uint_eq(count_checks(), 0);
	dev = ck_new(clef_device_open(NULL));
	ck_fails(clef__gemm(dev, &(clef__gemm_opts){ .m = 1, .n = 1, .k = 1 }), CLEF_ERROR_IO, "CLEF_KERNELS");
	clef_device_close(dev);
	ck_assert_int_eq(test_warnings, 0);
}
END_TEST

/* ---- the profile ---- */

START_TEST(check_is_not_in_the_profile)
{
	const char *path = test_path("stderr");
	int saved = dup(STDERR_FILENO);
	static char text[65536];
	FILE *file;

	if (test_small())
		test_skip("the profile measures the device");
	test_setenv("CLEF_PROFILE", "1");
	ck_assert_ptr_nonnull(freopen(path, "w", stderr));
	open_and_close();
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_lt(fread(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "limits measured here"));
	ck_assert_ptr_null(strstr(text, "gemm"));
}
END_TEST

/* ---- before the first product ---- */

/* NULL where programs are compiled one at a time. */
static clef_device *open_late(void)
{
	clef_device *dev = ck_new(clef_device_open(NULL));

	if (dev->compile_jobs < 2) {
		clef_device_close(dev);
		return NULL;
	}
	ck_assert_uint_eq(dev->gemm_checked, 0);
	ck_assert_uint_eq(clef_device_get_stats(dev).programs_built, 0);
	return dev;
}

/* Neither it nor what it computes shows. */
START_TEST(first_product_is_checked)
{
	clef_device *dev = open_late();

	if (!dev)
		test_skip("one program at a time");
	clef__fail(CLEF_ERROR_SHAPE, "not looked at yet");
	gemm_check_product(dev, &some_product);
	ck_assert_uint_ne(dev->gemm_checked, 0);
	ck_assert_uint_eq(dev->gemm_bad, 0);
	ck_assert_uint_eq(clef_device_get_stats(dev).launches, 1);
	ck_assert_int_eq(clef_error_status(), CLEF_ERROR_SHAPE);
	ck_assert_str_eq(clef_error(), "not looked at yet");
	ck_assert_int_eq(test_warnings, 0);
	clef_device_close(dev);
}
END_TEST

/* What waits for its kernel when the check comes is as wrong as it was, and the engine right. */
START_TEST(other_launches_are_not_the_engine)
{
	clef_device *dev;
	clef__buffer *b;

	make_kernel_folder();
	write_kernels("gemm_finish.cl", "__kernel void", "kernel wrong");
	dev = open_late();
	if (!dev)
		test_skip("one program at a time");
	b = ck_new(clef__buffer_new(dev, 4));
	ck_ok(clef__launch(dev, &(clef__launch_opts){ .program = "gemm_finish",
						      .kernel = "gemm_finish",
						      .global = { 1 },
						      .args = { CLEF__BUFFER(b, 0) } }));
	ck_fails(clef__gemm(dev, &(clef__gemm_opts){ .m = 1, .n = 1, .k = 1, .alpha = 1, .a = b, .b = b, .c = b }),
		 CLEF_ERROR_BUILD, "gemm_finish.cl does not compile");
	ck_assert_uint_eq(dev->gemm_checked | dev->gemm_bad, 0);
	gemm_check_product(dev, &(gemm_product){ .m = 6, .n = 7, .k = 8, .integers = true, .alpha = 1 });
	ck_assert_uint_eq(dev->gemm_bad, 0);
	ck_assert_int_eq(test_warnings, 0);
	clef__buffer_release(b);
	clef_device_close(dev);
}
END_TEST

Suite *gemm_check_suite(void)
{
	Suite *s = suite_create("gemm_check");
	TCase *c = tcase_create("open"), *late = tcase_create("late");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, verdict_is_remembered);
	tcase_add_test(c, without_a_cache_every_open_checks);
	tcase_add_test(c, damaged_verdict_is_none);
	tcase_add_test(c, verdict_is_that_of_the_limits);
	tcase_add_loop_test(c, broken_engine_is_set_aside, 0, 2);
	tcase_add_test(c, next_engine_takes_over);
	tcase_add_test(c, without_memory_the_device_opens);
	tcase_add_test(c, without_its_file_the_device_opens);
	tcase_add_test(c, check_is_not_in_the_profile);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(late, setup_late, NULL);
	tcase_add_test(late, first_product_is_checked);
	tcase_add_test(late, other_launches_are_not_the_engine);
	suite_add_tcase(s, late);
	return s;
}
