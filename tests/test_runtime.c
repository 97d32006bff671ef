/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime below tensors: buffers and their pool, uploads, launches and their limits, the profile. Limits are tested
 * by lowering what the device is said to have, so that the same refusal is met on every device and no driver is driven
 * to its end.
 */
#define _XOPEN_SOURCE            700
#define CL_TARGET_OPENCL_VERSION 120
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_clef.h"
#include "opencl.h"
#include "tensor_internal.h"

static clef_device_info *info_of(clef_device *dev)
{
	return (clef_device_info *)(uintptr_t)clef_device_get_info(dev);
}

static clef_device_stats stats(void)
{
	return clef_device_get_stats(test_device);
}

/* ---- the pool ---- */

START_TEST(pool_gives_a_buffer_again)
{
	uint64_t created = stats().buffers_created;

	for (int i = 0; i < 10; i++) {
		clef__buffer *a = ck_new(clef__buffer_new(test_device, 1000));
		clef__buffer *b = ck_new(clef__buffer_new(test_device, 1000));

		ck_assert_ptr_ne(a, b);
		clef__buffer_release(a);
		clef__buffer_release(b);
	}
	ck_assert_uint_eq(stats().buffers_created, created + 2);
}
END_TEST

START_TEST(pool_counts_bytes)
{
	clef_device_stats start = stats(), s;
	clef__buffer *a = ck_new(clef__buffer_new(test_device, 4096)), *b = ck_new(clef__buffer_new(test_device, 8192));

	s = stats();
	ck_assert_uint_eq(s.memory_in_use, start.memory_in_use + 4096 + 8192);
	ck_assert_uint_eq(s.memory_pooled, start.memory_pooled);
	clef__buffer_retain(a);
	clef__buffer_release(a);
	ck_assert_uint_eq(stats().memory_in_use, s.memory_in_use);
	clef__buffer_release(a);
	s = stats();
	ck_assert_uint_eq(s.memory_in_use, start.memory_in_use + 8192);
	ck_assert_uint_eq(s.memory_pooled, start.memory_pooled + 4096);
	clef__buffer_release(b);
	clef_device_trim(test_device);
	s = stats();
	ck_assert_uint_eq(s.memory_in_use, start.memory_in_use);
	ck_assert_uint_eq(s.memory_pooled, 0);
	ck_assert_uint_ge(s.memory_peak, start.memory_in_use + 4096 + 8192);
	clef__buffer_release(NULL);
}
END_TEST

/* A size class wastes a quarter at most, and holds what was asked. */
START_TEST(pool_size_classes)
{
	for (size_t bytes = 0; bytes < 100000; bytes += bytes / 50 + 1) {
		uint64_t before = stats().memory_in_use, got;
		clef__buffer *b = ck_new(clef__buffer_new(test_device, bytes));

		got = stats().memory_in_use - before;
		ck_assert_uint_ge(got, bytes);
		ck_assert_uint_le(got, bytes < 256 ? 256 : bytes + bytes / 4);
		clef__buffer_release(b);
	}
	clef_device_trim(test_device);
}
END_TEST

START_TEST(pool_of_one_class_only_serves_what_fits)
{
	clef_device_info *info = info_of(test_device);
	uint64_t most = info->max_allocation;
	float last = 0;
	clef__buffer *b;

	/* Where the class exceeds what one buffer may have, the buffer is as small as asked. */
	info->max_allocation = 1000000;
	b = ck_new(clef__buffer_new(test_device, 1000000));
	clef__buffer_release(b);
	info->max_allocation = most;
	b = ck_new(clef__buffer_new(test_device, 1040000));
	ck_ok(clef__buffer_write(b, 1040000 - 4, &(float){ 7 }, 4));
	ck_ok(clef__buffer_read(b, 1040000 - 4, &last, 4));
	ck_assert(last == 7);
	clef__buffer_release(b);
}
END_TEST

START_TEST(buffer_above_the_largest_is_refused)
{
	clef_device_info *info = info_of(test_device);
	char part[64];

	ck_null_fails(clef__buffer_new(test_device, (size_t)info->max_allocation + 1), CLEF_ERROR_DEVICE_MEMORY,
		      "more than one buffer may have");
	snprintf(part, sizeof(part), "%.1f MB for one buffer", 1e-6 * (double)info->max_allocation);
	ck_assert_msg(strstr(clef_error(), part) != NULL, "no \"%s\" in \"%s\"", part, clef_error());
	ck_assert_ptr_nonnull(strstr(clef_error(), info->name));
	info->max_allocation = 3000000;
	ck_null_fails(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(1000, 1000)), CLEF_ERROR_DEVICE_MEMORY,
		      "no device memory for 4.0 MB");
}
END_TEST

START_TEST(full_device_first_gives_up_its_pool)
{
	clef_device_info *info = info_of(test_device);
	clef__buffer *b[24], *large;

	clef_device_trim(test_device);
	info->global_memory = stats().memory_in_use + (4 << 20);
	for (int i = 0; i < 24; i++)
		b[i] = ck_new(clef__buffer_new(test_device, 1 << 17));
	for (int i = 0; i < 24; i++)
		clef__buffer_release(b[i]);
	ck_assert_uint_eq(stats().memory_pooled, 3 << 20);
	large = ck_new(clef__buffer_new(test_device, 2 << 20));
	ck_assert_uint_eq(stats().memory_pooled, 0);
	ck_null_fails(clef__buffer_new(test_device, 3 << 20), CLEF_ERROR_DEVICE_MEMORY, "no device memory for 3.1 MB");
	ck_assert_ptr_nonnull(strstr(clef_error(), "2.1 MB are in use, of 4.2 MB in all"));
	clef__buffer_release(large);
	large = ck_new(clef__buffer_new(test_device, 3 << 20));
	clef__buffer_release(large);
	ck_assert_uint_le(stats().memory_peak, info->global_memory);
}
END_TEST

/* The same with a driver that says so itself. */
START_TEST(memory_limit_of_the_driver)
{
	clef_device *dev;
	uint64_t total;

	test_setenv("POCL_MEMORY_LIMIT", "1");
	dev = ck_new(clef_device_open(NULL));
	total = clef_device_get_info(dev)->global_memory;
	if (!strstr(clef_device_get_info(dev)->platform_name, "Portable")) {
		clef_device_close(dev);
		test_skip("not PoCL");
	}
	ck_assert_uint_le(total, (uint64_t)1 << 30);
	ck_null_fails(clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE((int64_t)(total / 4 + 1))),
		      CLEF_ERROR_DEVICE_MEMORY, "no device memory");
	clef_device_close(dev);
}
END_TEST

/* ---- uploads ---- */

/* A view of `n` values of a buffer. */
static clef_tensor *view(clef__buffer *b, size_t offset, int64_t n)
{
	return ck_new(clef__tensor_view(test_device, CLEF_INT32, CLEF_SHAPE(n), b, offset));
}

/* Each value is copied on by the device before the next is written to its place, from host memory that changes at once,
 * with larger uploads in between. */
START_TEST(uploads_keep_their_order)
{
	enum { COUNT = 300 };
	clef__buffer *from = ck_new(clef__buffer_new(test_device, 4)),
		     *to = ck_new(clef__buffer_new(test_device, 4 * COUNT));
	clef__buffer *big = ck_new(clef__buffer_new(test_device, 1 << 20));
	clef_tensor *x = view(from, 0, 1), *y[COUNT];
	int32_t got[COUNT], value, *junk = calloc(1 << 20, 1);

	for (int i = 0; i < COUNT; i++)
		y[i] = view(to, (size_t)i, 1);
	for (int i = 0; i < COUNT; i++) {
		value = 1000 + i;
		ck_ok(clef_write(x, &value, sizeof(value)));
		value = -1;
		if (i % 7 == 3)
			ck_ok(clef__buffer_write(big, 0, junk, (size_t)3000 * (size_t)i));
		ck_ok(clef_copy(x, y[i]));
	}
	ck_ok(clef__buffer_read(to, 0, got, sizeof(got)));
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(got[i], 1000 + i);
		clef_tensor_free(y[i]);
	}
	clef_tensor_free(x);
	clef__buffer_release(from);
	clef__buffer_release(to);
	clef__buffer_release(big);
	free(junk);
}
END_TEST

START_TEST(uploads_of_odd_sizes)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 5, 31, 255, 256, 257, 4097, 99999 };
	clef__buffer *b = ck_new(clef__buffer_new(test_device, 100100));
	unsigned char *data = malloc(100100), *want = malloc(100100), *got = malloc(100100);

	for (int i = 0; i < CLEF_COUNT(sizes); i++) {
		size_t offset = (size_t)i * 7 % 64;

		memset(want, 0xee, 100100);
		ck_ok(clef__buffer_write(b, 0, want, 100100));
		for (size_t j = 0; j < sizes[i]; j++)
			want[offset + j] = data[j] = (unsigned char)(j * 31 + (size_t)i);
		ck_ok(clef__buffer_write(b, offset, data, sizes[i]));
		ck_ok(clef__buffer_read(b, 0, got, 100100));
		ck_assert_msg(memcmp(got, want, 100100) == 0, "%zu bytes at %zu", sizes[i], offset);
		memset(got, 0, 100100);
		ck_ok(clef__buffer_read(b, offset, got, sizes[i]));
		ck_assert(memcmp(got, want + offset, sizes[i]) == 0 && got[sizes[i]] == 0);
	}
	ck_ok(clef__buffer_write(b, 0, NULL, 0));
	ck_ok(clef__buffer_read(b, 0, NULL, 0));
	clef__buffer_release(b);
	free(data);
	free(want);
	free(got);
}
END_TEST

/* Above 64 MB the ring is passed by. */
START_TEST(uploads_that_are_too_large_for_the_ring)
{
	size_t n = ((size_t)64 << 18) + 3;
	int32_t *data, *got;
	clef_tensor *x;

	if (test_small())
		test_skip("large");
	data = malloc(4 * n);
	got = malloc(4 * n);
	for (size_t i = 0; i < n; i++)
		data[i] = (int32_t)(i * 2654435761u);
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_INT32, CLEF_SHAPE((int64_t)n), data }));
	ck_ok(clef_read(x, got, 4 * n));
	ck_assert(memcmp(data, got, 4 * n) == 0);
	clef_tensor_free(x);
	free(data);
	free(got);
}
END_TEST

/* Those that an idle device copies itself, and the same behind a kernel: the caller's memory is free at once. */
START_TEST(uploads_to_an_idle_device)
{
	enum { COUNT = 80000 };
	clef__buffer *b = ck_new(clef__buffer_new(test_device, 4 * COUNT)),
		     *other = ck_new(clef__buffer_new(test_device, 4 * COUNT));
	clef_tensor *x = view(b, 0, COUNT), *y = view(other, 0, COUNT);
	int32_t *data = malloc(4 * COUNT), *got = malloc(4 * COUNT);

	for (int round = 0; round < 8; round++) {
		bool idle = round % 2 == 0;

		ck_ok(clef_finish(test_device));
		if (!idle)
			ck_ok(clef_copy(x, y));
		for (int i = 0; i < COUNT; i++)
			data[i] = i * 7 + round;
		ck_ok(clef_write(x, data, 4 * COUNT));
		memset(data, -1, 4 * COUNT);
		ck_ok(clef_read(x, got, 4 * COUNT));
		for (int i = 0; i < COUNT; i++)
			ck_assert_int_eq(got[i], i * 7 + round);
		if (idle)
			continue;
		/* What the kernel has read was there before. */
		ck_ok(clef_read(y, got, 4 * COUNT));
		for (int i = 0; i < COUNT; i++)
			ck_assert_int_eq(got[i], i * 7 + round - 1);
	}
	clef_tensor_free(x);
	clef_tensor_free(y);
	clef__buffer_release(b);
	clef__buffer_release(other);
	free(data);
	free(got);
}
END_TEST

/* What the driver has been asked to start on is waited for too. */
START_TEST(finish_waits_for_what_has_started)
{
	enum { LAUNCHES = 50 };
	const int count = test_small() ? 1 << 18 : 1 << 22;
	clef__buffer *b = ck_new(clef__buffer_new(test_device, sizeof(float) * (size_t)count));
	clef_tensor *y = view(b, 0, count);
	cl_event last;
	cl_int status;

	for (int i = 0; i < LAUNCHES; i++)
		ck_ok(clef_fill(y, (float)i));
	ck_assert_int_eq(clEnqueueMarkerWithWaitList(test_device->queue, 0, NULL, &last), CL_SUCCESS);
	clef__flush(test_device);
	ck_ok(clef_finish(test_device));
	ck_assert_int_eq(clGetEventInfo(last, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL),
			 CL_SUCCESS);
	ck_assert_int_eq(status, CL_COMPLETE);
	clReleaseEvent(last);
	clef_tensor_free(y);
	clef__buffer_release(b);
}
END_TEST

/* A buffer that goes back while a kernel that reads it is queued may be handed out and written at once. */
START_TEST(released_buffer_is_reused_behind_the_queue)
{
	int n = test_small() ? 100 : 100000, rounds = 20;
	clef__buffer *sums = ck_new(clef__buffer_new(test_device, sizeof(float)));
	clef_tensor *y = ck_new(clef__tensor_view(test_device, CLEF_FLOAT32, CLEF_SCALAR, sums, 0));
	const bool all[CLEF_MAX_DIMS] = { true };
	uint64_t created = 0;
	double want = 0;

	ck_ok(clef_fill(y, 0));
	for (int i = 0; i < rounds; i++) {
		clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(n)));

		ck_ok(clef_fill(x, i));
		ck_ok(clef__reduce_sum(x, all, 1, 1, y));
		clef_tensor_free(x);
		want += (double)n * i;
		if (i == 0)
			created = stats().buffers_created;
	}
	ck_assert_uint_eq(stats().buffers_created, created);
	ck_assert(clef_item(y) == want);
	clef_tensor_free(y);
	clef__buffer_release(sums);
}
END_TEST

/* ---- a training step where work-groups are small ---- */

/* One step of linear regression in small integers, so that the gradient is exact. */
START_TEST(small_work_groups_train)
{
	enum { N = 70, IN = 5 };
	float x[N * IN], t[N], w[IN], want[IN] = { 0 }, got[IN];
	clef_device *dev;
	clef_tape *tape;
	clef_tensor *weight, *d;

	test_setenv("POCL_MAX_WORK_GROUP_SIZE", "64");
	dev = ck_new(clef_device_open(NULL));
	if (!strstr(clef_device_get_info(dev)->platform_name, "Portable")) {
		clef_device_close(dev);
		test_skip("not PoCL");
	}
	ck_assert_uint_eq(clef_device_get_info(dev)->max_work_group, 64);
	for (int i = 0; i < N * IN; i++)
		x[i] = (float)(i * 7 % 11 - 5);
	for (int i = 0; i < N; i++)
		t[i] = (float)(i % 5);
	for (int i = 0; i < IN; i++)
		w[i] = (float)(i - 2);
	for (int i = 0; i < N; i++) {
		float e = -t[i];

		for (int j = 0; j < IN; j++)
			e += x[i * IN + j] * w[j];
		for (int j = 0; j < IN; j++)
			want[j] += 2 * e * x[i * IN + j];
	}
	tape = ck_new(clef_tape_new(dev));
	weight = ck_new(clef_tensor_from(dev, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(1, IN), w }));
	ck_ok(clef_requires_grad(weight, true));
	ck_ok(clef_tape_begin(tape));
	d = clef_linear_no_bias(clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(N, IN), x }), weight);
	d = clef_sub(d, clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(N, 1), t }));
	ck_ok(clef_backward(clef_sum(clef_mul(d, d), NULL)));
	ck_ok(clef_read(clef_grad(weight), got, sizeof(got)));
	for (int i = 0; i < IN; i++)
		ck_assert_msg(got[i] == want[i], "gradient %d: %g, should be %g", i, (double)got[i], (double)want[i]);
	ck_ok(clef_axpy(-0.125f, clef_grad(weight), weight));
	ck_ok(clef_read(weight, got, sizeof(got)));
	for (int i = 0; i < IN; i++)
		ck_assert(got[i] == w[i] - 0.125f * want[i]);
	clef_tensor_free(weight);
	clef_tape_free(tape);
	clef_device_close(dev);
}
END_TEST

/* ---- the profile ---- */

/* What is printed to standard error when a device is closed on which 12 tensors were filled; to be freed. */
static char *profile_of_fills(void)
{
	const char *path = test_path("stderr");
	int saved = dup(STDERR_FILENO);
	char *text = calloc(1, 65536);
	clef_device *dev;
	clef_tensor *x;
	FILE *file;

	ck_assert_ptr_nonnull(freopen(path, "w", stderr));
	dev = clef_device_open(NULL);
	x = clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(1000));
	for (int i = 0; i < 12; i++)
		clef_fill(x, i);
	clef_tensor_free(x);
	clef_device_close(dev);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	file = fopen(path, "r");
	ck_assert(file && text);
	ck_assert_uint_lt(fread(text, 1, 65535, file), 65535);
	fclose(file);
	return text;
}

START_TEST(profile_counts_calls)
{
	char *text, *row;
	int calls = 0;

	if (test_small())
		test_skip("the profile measures the device");
	test_setenv("CLEF_PROFILE", "1");
	text = profile_of_fills();
	row = strstr(text, "\nfill ");
	ck_assert_msg(row && sscanf(row, " fill %d", &calls) == 1 && calls == 12, "%s", text);
	free(text);
}
END_TEST

START_TEST(profile_is_silent_unless_asked_for)
{
	char *text;

	for (int i = 0; i < 2; i++) {
		if (i)
			test_setenv("CLEF_PROFILE", "0");
		else
			test_setenv("CLEF_PROFILE", NULL);
		text = profile_of_fills();
		ck_assert_str_eq(text, "");
		free(text);
	}
}
END_TEST

Suite *runtime_suite(void)
{
	Suite *s = suite_create("runtime");
	TCase *c = tcase_create("pool");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, pool_gives_a_buffer_again);
	tcase_add_test(c, pool_counts_bytes);
	tcase_add_test(c, pool_size_classes);
	tcase_add_test(c, pool_of_one_class_only_serves_what_fits);
	tcase_add_test(c, buffer_above_the_largest_is_refused);
	tcase_add_test(c, full_device_first_gives_up_its_pool);
	suite_add_tcase(s, c);
	c = tcase_create("uploads");
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, uploads_keep_their_order);
	tcase_add_test(c, uploads_of_odd_sizes);
	tcase_add_test(c, uploads_to_an_idle_device);
	tcase_add_test(c, finish_waits_for_what_has_started);
	tcase_add_test(c, uploads_that_are_too_large_for_the_ring);
	tcase_add_test(c, released_buffer_is_reused_behind_the_queue);
	suite_add_tcase(s, c);
	c = tcase_create("environment");
	tcase_add_test(c, memory_limit_of_the_driver);
	tcase_add_test(c, small_work_groups_train);
	tcase_add_test(c, profile_counts_calls);
	tcase_add_test(c, profile_is_silent_unless_asked_for);
	suite_add_tcase(s, c);
	return s;
}
