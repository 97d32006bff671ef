/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches that wait for their kernels, and the compiling of several at a time: what they compute, in which order, and
 * what is left when a program is wrong, the cache takes nothing, or the memory that they use is given back meanwhile.
 * Where programs are compiled one by one, the same must come out.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache_case.h"
#include "opencl.h"
#include "tensor_internal.h"

#define PROGRAMS 6

static clef_device *dev;
static const char *const program[PROGRAMS] = { "d0", "d1", "d2", "d3", "d4", "d5" };

/* d3 appends the digit 3 to the number in y. */
static void write_program(int i, const char *comment)
{
	char path[1100], source[256];

	snprintf(path, sizeof(path), "%s/kernels/%s.cl", test_dir(), program[i]);
	snprintf(source, sizeof(source),
		 "__kernel void append(__global int *y, ulong y_offset)\n{\n\tif (get_global_id(0) == 0)\n"
		 "\t\ty[y_offset] = y[y_offset] * 10 + %d;\n}\n%s",
		 i, comment);
	cache_write(path, source, strlen(source));
}

static void setup(void)
{
	cache_setup();
	for (int i = 0; i < PROGRAMS; i++)
		write_program(i, "");
	dev = ck_new(clef_device_open(NULL));
}

static void teardown(void)
{
	clef_device_close(dev);
}

static clef_status append(int digit, clef_tensor *y)
{
	return clef__launch(dev, &(clef__launch_opts){ .program = program[digit],
						       .kernel = "append",
						       .global = { 1 },
						       .args = { CLEF__BUFFER(y->buffer, y->offset) } });
}

static void set(clef_tensor *y, int value)
{
	ck_ok(clef__buffer_write(y->buffer, y->offset * 4, &(int32_t){ value }, 4));
}

static void append_all(clef_tensor *y)
{
	for (int i = 0; i < PROGRAMS; i++)
		ck_ok(append(i, y));
}

static uint64_t built(void)
{
	return clef_device_get_stats(dev).programs_built;
}

static clef_tensor *new_number(void)
{
	return ck_new(clef_tensor_new(dev, CLEF_INT32, CLEF_SCALAR));
}

/* No child is left, not even one that has ended. */
static void check_no_child(void)
{
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

START_TEST(launches_and_uploads_keep_their_order)
{
	clef_tensor *y = new_number(), *z = new_number();

	set(y, 9);
	set(z, 8);
	append_all(y);
	ck_assert_uint_eq(built(), dev->compile_jobs > 1 ? 0 : PROGRAMS);
	ck_ok(append(2, z));
	set(y, 7);
	for (int i = PROGRAMS; i-- > 0;)
		ck_ok(append(i, y));
	ck_assert_uint_eq(clef_device_get_stats(dev).launches, 2 * PROGRAMS + 1);
	ck_assert_int_eq((int)clef_item(y), 7543210);
	ck_assert_int_eq((int)clef_item(z), 82);
	ck_assert_uint_eq(built(), PROGRAMS);
	ck_assert_uint_eq(clef_device_get_stats(dev).launches, 2 * PROGRAMS + 1);
	/* Nothing waits any more. */
	set(y, 1);
	ck_ok(append(4, y));
	ck_assert_int_eq((int)clef_item(y), 14);
	check_no_child();
	clef_tensor_free(y);
	clef_tensor_free(z);
}
END_TEST

START_TEST(all_are_in_the_cache_afterwards)
{
	clef_tensor *y = new_number();

	set(y, 0);
	append_all(y);
	ck_ok(clef_finish(dev));
	clef_tensor_free(y);
	clef_device_close(dev);
	ck_assert_int_eq(cache_files(cache_folder, "", NULL, 0), PROGRAMS);
	ck_assert_int_eq(cache_files(cache_folder, "tmp-", NULL, 0), 0);
	dev = ck_new(clef_device_open(NULL));
	y = new_number();
	set(y, 6);
	append_all(y);
	ck_assert_uint_eq(clef_device_get_stats(dev).programs_cached, PROGRAMS);
	ck_assert_int_eq((int)clef_item(y), 6012345);
	ck_assert_uint_eq(built(), 0);
	clef_tensor_free(y);
}
END_TEST

/* The library's own copy of what is uploaded; and memory that the pool gives to others, and to the driver. */
START_TEST(memory_may_go_meanwhile)
{
	enum { SIZE = 1 << 20, COPIES = 4 };
	clef__buffer *large = ck_new(clef__buffer_new_whole(dev, SIZE));
	int32_t *host = calloc(SIZE, 1);
	clef_tensor *y = new_number();

	ck_assert_ptr_nonnull(host);
	set(y, 0);
	append_all(y);
	for (int i = 0; i < COPIES; i++) {
		host[0] = i;
		ck_ok(clef__buffer_write(large, 0, host, SIZE));
		ck_ok(clef__launch(dev, &(clef__launch_opts){ .program = program[i],
							      .kernel = "append",
							      .global = { 1 },
							      .args = { CLEF__BUFFER(large, 0) } }));
	}
	free(host);
	clef__buffer_release(large);
	clef_device_trim(dev);
	large = ck_new(clef__buffer_new_whole(dev, SIZE));
	clef__buffer_release(large);
	clef_device_trim(dev);
	ck_assert_int_eq((int)clef_item(y), 12345);
	clef_tensor_free(y);
}
END_TEST

/* The call that waits says what is wrong, and the device goes on. */
START_TEST(wrong_program_fails_where_it_is_waited_for)
{
	const char wrong[] = "__kernel void append(__global int *y, ulong y_offset)\n{\n\ty[0] = nothing_such;\n}\n";
	char path[1100];
	clef_tensor *y = new_number();
	clef_status status = CLEF_OK;

	snprintf(path, sizeof(path), "%s/kernels/d3.cl", test_dir());
	cache_write(path, wrong, strlen(wrong));
	set(y, 0);
	for (int i = 0; i < PROGRAMS && !status; i++)
		status = append(i, y);
	if (!status)
		status = clef_finish(dev);
	ck_assert_int_eq(status, CLEF_ERROR_BUILD);
	ck_assert_msg(strstr(clef_error(), "d3.cl does not compile") && strstr(clef_error(), "nothing_such"), "%s",
		      clef_error());
	clef_error_clear();
	set(y, 5);
	ck_ok(append(1, y));
	ck_ok(append(2, y));
	ck_assert_int_eq((int)clef_item(y), 512);
	ck_assert_int_eq(append(3, y) ? clef_error_status() : clef_finish(dev), CLEF_ERROR_BUILD);
	clef_error_clear();
	check_no_child();
	clef_tensor_free(y);
}
END_TEST

START_TEST(cache_that_takes_nothing_costs_time_only)
{
	clef_tensor *y = new_number();

	ck_assert_int_eq(rmdir(cache_folder), 0);
	cache_write(cache_folder, "", 0);
	set(y, 3);
	append_all(y);
	ck_assert_int_eq((int)clef_item(y), 3012345);
	ck_assert_uint_eq(built(), PROGRAMS);
	check_no_child();
	clef_tensor_free(y);
}
END_TEST

/* A program that waits for all its children takes away the answer to whoever started them. */
START_TEST(ignored_children_are_no_matter)
{
	clef_tensor *y = new_number();

	ck_assert(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	set(y, 4);
	append_all(y);
	ck_assert_int_eq((int)clef_item(y), 4012345);
	ck_assert(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
	clef_tensor_free(y);
}
END_TEST

/* Who never waits for a result fills no memory with what waits. */
START_TEST(waiting_has_an_end)
{
	enum { LAUNCHES = 1000, UPLOADS = 20, SIZE = 16 << 20 };
	clef_tensor *y = new_number();
	clef__buffer *large = ck_new(clef__buffer_new_whole(dev, SIZE));
	void *host = calloc(SIZE, 1);

	ck_assert_ptr_nonnull(host);
	for (int i = 0; i < LAUNCHES + 1; i++)
		ck_ok(append(1, y));
	ck_assert_uint_eq(built(), 1);
	ck_assert_ptr_null(dev->deferred);
	ck_ok(append(2, y));
	for (int i = 0; i < UPLOADS; i++)
		ck_ok(clef__buffer_write(large, 0, host, SIZE));
	ck_assert_uint_eq(built(), 2);
	ck_assert_ptr_null(dev->deferred);
	free(host);
	clef__buffer_release(large);
	clef_tensor_free(y);
}
END_TEST

/* No children then; the same results. */
START_TEST(beside_another_device)
{
	clef_device *other = ck_new(clef_device_open(NULL));
	clef_tensor *y = new_number();

	ck_assert(!clef__device_is_only_one());
	set(y, 5);
	append_all(y);
	ck_assert_int_eq((int)clef_item(y), 5012345);
	ck_assert_uint_eq(built(), PROGRAMS);
	clef_tensor_free(y);
	clef_device_close(other);
	ck_assert(clef__device_is_only_one());
}
END_TEST

START_TEST(device_may_be_closed_before)
{
	clef_tensor *y = new_number();

	set(y, 4);
	append_all(y);
	clef_tensor_free(y);
	ck_assert_uint_eq(built(), dev->compile_jobs > 1 ? 0 : PROGRAMS);
}
END_TEST

START_TEST(jobs_by_the_environment)
{
	static const char *const bad[] = { "0", "65", "-1", "two", "2x", "1.5" };
	clef_tensor *y;

	clef_device_close(dev);
	for (int i = 0; i < CLEF_COUNT(bad); i++) {
		test_setenv("CLEF_COMPILE_JOBS", bad[i]);
		ck_assert_ptr_null(clef_device_open(NULL));
		ck_assert_int_eq(clef_error_status(), CLEF_ERROR_INVALID);
		ck_assert_msg(strstr(clef_error(), bad[i]) && strstr(clef_error(), "1 to 64"), "%s", clef_error());
		clef_error_clear();
	}
	for (int jobs = 1; jobs <= 5; jobs += 4) {
		test_setenv("CLEF_COMPILE_JOBS", jobs == 1 ? "1" : "5");
		dev = ck_new(clef_device_open(NULL));
		y = new_number();
		set(y, 8);
		append_all(y);
		ck_assert_uint_eq(built(), jobs > 1 && dev->compile_jobs > 1 ? 0 : PROGRAMS);
		ck_assert_int_eq((int)clef_item(y), 8012345);
		ck_assert_uint_eq(built(), PROGRAMS);
		clef_tensor_free(y);
		clef_device_close(dev);
		for (int i = 0; i < PROGRAMS; i++)
			write_program(i, "/* unknown to the cache */\n");
	}
	test_setenv("CLEF_COMPILE_JOBS", NULL);
	dev = ck_new(clef_device_open(NULL));
	check_no_child();
}
END_TEST

/* Where single launches are looked at, none waits. */
START_TEST(poison_is_in_order)
{
	clef_tensor *y, *z;

	clef_device_close(dev);
	test_setenv("CLEF_POISON", "1");
	dev = ck_new(clef_device_open(NULL));
	y = new_number();
	set(y, 1);
	ck_ok(append(1, y));
	ck_assert_uint_eq(built(), 1);
	z = new_number();
	set(z, 2);
	ck_ok(append(2, z));
	clef_tensor_free(z);
	ck_assert_int_eq((int)clef_item(y), 11);
	clef_tensor_free(y);
	test_setenv("CLEF_POISON", NULL);
}
END_TEST

Suite *compile_suite(void)
{
	Suite *s = suite_create("compile");
	TCase *c = tcase_create("compile");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, launches_and_uploads_keep_their_order);
	tcase_add_test(c, all_are_in_the_cache_afterwards);
	tcase_add_test(c, memory_may_go_meanwhile);
	tcase_add_test(c, wrong_program_fails_where_it_is_waited_for);
	tcase_add_test(c, cache_that_takes_nothing_costs_time_only);
	tcase_add_test(c, ignored_children_are_no_matter);
	tcase_add_test(c, waiting_has_an_end);
	tcase_add_test(c, beside_another_device);
	tcase_add_test(c, device_may_be_closed_before);
	tcase_add_test(c, jobs_by_the_environment);
	tcase_add_test(c, poison_is_in_order);
	suite_add_tcase(s, c);
	return s;
}
