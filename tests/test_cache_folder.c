/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of the kernel cache: where it is, what is said when it cannot be used, and that processes share it.
 */
#define _XOPEN_SOURCE            700
#define CL_TARGET_OPENCL_VERSION 120
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache_case.h"
#include "opencl.h"

START_TEST(missing_folders_are_made)
{
	char path[1100];

	snprintf(path, sizeof(path), "%s/x/y/z/", test_dir());
	test_setenv("CLEF_CACHE", path);
	cache_run("a", 1, 0);
	cache_run("a", 0, 1);
	ck_assert_int_eq(cache_files(path, "", NULL, 0), 1);
	ck_assert_int_eq(cache_warnings, 0);
}
END_TEST

/* The library says which folder it takes, and cuts it to what there is. */
static void check_named(const char *path)
{
	char text[1200], cut[6];

	ck_assert_str_eq(clef_cache_folder(text, sizeof(text)), path);
	clef_cache_folder(cut, sizeof(cut));
	ck_assert_uint_le(strlen(cut), 5);
	ck_assert_int_eq(strncmp(cut, path, 5), 0);
}

START_TEST(default_folders)
{
	char xdg[1100], home[1100], path[1200];

	snprintf(xdg, sizeof(xdg), "%s/xdg", test_dir());
	snprintf(home, sizeof(home), "%s/home", test_dir());
	test_setenv("CLEF_CACHE", NULL);
	test_setenv("HOME", home);
	test_setenv("XDG_CACHE_HOME", xdg);
	cache_run("a", 1, 0);
	snprintf(path, sizeof(path), "%s/clef", xdg);
	check_named(path);
	ck_assert_int_eq(cache_files(path, "", NULL, 0), 1);
	cache_run("a", 0, 1);
	/* The XDG specification says to pass over a path that is not absolute. */
	test_setenv("XDG_CACHE_HOME", "relative");
	cache_run("a", 1, 0);
	snprintf(path, sizeof(path), "%s/.cache/clef", home);
	check_named(path);
	ck_assert_int_eq(cache_files(path, "", NULL, 0), 1);
	test_setenv("XDG_CACHE_HOME", NULL);
	cache_run("a", 0, 1);
	test_setenv("HOME", NULL);
	check_named("");
	cache_run("a", 1, 0);
	ck_assert_int_eq(cache_warnings, 0);
}
END_TEST

START_TEST(empty_variable_keeps_none)
{
	test_setenv("CLEF_CACHE", "");
	test_setenv("XDG_CACHE_HOME", test_path("xdg"));
	check_named("");
	cache_run("a", 1, 0);
	cache_run("a", 1, 0);
	ck_assert_int_eq(cache_files(test_path("xdg/clef"), "", NULL, 0), 0);
	ck_assert_int_eq(cache_warnings, 0);
}
END_TEST

/* Root may write everywhere, so a folder without permission is no test. */
static const char *unusable_folder(int i)
{
	switch (i) {
	case 0:
		cache_write(test_path("file"), "", 0);
		return test_path("file/cache");
	case 1:
		cache_write(test_path("file"), "", 0);
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
	test_setenv("CLEF_CACHE", folder);
	dev = ck_new(clef_device_open(NULL));
	cache_run_on(dev, "abc");
	ck_assert_uint_eq(clef_device_get_stats(dev).programs_built, 3);
	clef_device_close(dev);
	ck_assert_int_eq(cache_warnings, 1);
	ck_assert_msg(strstr(cache_warning, folder) != NULL, "no \"%s\" in \"%s\"", folder, cache_warning);
	ck_assert_ptr_null(strchr(cache_warning, '\n'));
}
END_TEST

/* A folder in the place of a file cannot be read, and nothing can be renamed to it. */
START_TEST(folder_in_place_of_a_file)
{
	char path[2048];

	cache_run("a", 1, 0);
	cache_files(cache_folder, "", path, sizeof(path));
	ck_assert_int_eq(remove(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	cache_run("a", 1, 0);
	ck_assert_int_eq(cache_warnings, 1);
	ck_assert_int_eq(cache_files(cache_folder, "tmp-", NULL, 0), 0);
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
	ck_assert_int_eq(cache_warnings, 1);
	ck_assert_msg(strstr(cache_warning, cache_folder) != NULL, "%s", cache_warning);
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), 0);
	ck_assert_ptr_null(clef__cache_load(dev, "key", 3, &size));
	clef__cache_store(dev, "key", 3, binary, sizeof(binary));
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), 1);
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
			cache_run_on(dev, i % 2 ? "ab" : "ba");
			clef_device_close(dev);
			_exit(cache_warnings ? 2 : 0);
		}
	}
	for (int i = 0; i < processes; i++) {
		ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: wait status %d", i, status);
	}
	ck_assert_int_eq(cache_files(cache_folder, "tmp-", NULL, 0), 0);
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), 2);
	cache_run("ab", 0, 2);
}
END_TEST

Suite *cache_folder_suite(void)
{
	Suite *s = suite_create("cache_folder");
	TCase *c = tcase_create("folders");

	tcase_add_checked_fixture(c, cache_setup, NULL);
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
