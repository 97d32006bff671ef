/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of device memory: pieces of blocks and what becomes of them; and work that is done in parts to save memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"
#include "tape_case.h"

/* ---- the pool ---- */

#define MB ((size_t)1 << 20)

/* Pieces of a block: cut where they are needed, whole again at the end. */
START_TEST(pieces)
{
	clef__buffer *a, *b, *c, *d;
	uint64_t created, used;
	float v = 0;

	clef_device_trim(test_device);
	used = clef_device_get_stats(test_device).memory_in_use;
	clef__buffer_release(ck_new(clef__buffer_new(test_device, 8 * MB)));
	created = clef_device_get_stats(test_device).buffers_created;
	a = ck_new(clef__buffer_new(test_device, 3 * MB));
	b = ck_new(clef__buffer_new_brief(test_device, 2 * MB));
	c = ck_new(clef__buffer_new(test_device, 2 * MB));
	ck_assert_uint_eq(clef_device_get_stats(test_device).memory_in_use, used + 7 * MB);
	/* Each has bytes of its own, whose neighbours are another's. */
	for (int i = 0; i < 3; i++) {
		clef__buffer *all[] = { a, b, c };
		const size_t sizes[] = { 3 * MB, 2 * MB, 2 * MB };

		v = (float)i;
		ck_ok(clef__buffer_write(all[i], 0, &v, sizeof(v)));
		ck_ok(clef__buffer_write(all[i], sizes[i] - sizeof(v), &v, sizeof(v)));
	}
	for (int i = 0; i < 3; i++) {
		clef__buffer *all[] = { a, b, c };
		const size_t sizes[] = { 3 * MB, 2 * MB, 2 * MB };

		ck_ok(clef__buffer_read(all[i], 0, &v, sizeof(v)));
		ck_assert(v == (float)i);
		ck_ok(clef__buffer_read(all[i], sizes[i] - sizeof(v), &v, sizeof(v)));
		ck_assert(v == (float)i);
	}
	/* The one that is brief is at the end, so that two of three joined give the first five. */
	clef__buffer_release(a);
	clef__buffer_release(c);
	d = ck_new(clef__buffer_new(test_device, 6 * MB));
	clef__buffer_release(b);
	clef__buffer_release(d);
	clef__buffer_release(ck_new(clef__buffer_new(test_device, 8 * MB)));
	ck_assert_uint_eq(clef_device_get_stats(test_device).buffers_created, created);
	/* What stays takes no part of a large block. */
	a = ck_new(clef__buffer_new_whole(test_device, 2 * MB));
	ck_assert_uint_eq(clef_device_get_stats(test_device).buffers_created, created + 1);
	clef__buffer_release(a);
	clef_device_trim(test_device);
	ck_assert_uint_eq(clef_device_get_stats(test_device).memory_pooled, 0);
	ck_assert_uint_eq(clef_device_get_stats(test_device).memory_in_use, used);
}
END_TEST

/* Blocks that are too small make room for a larger one, and are one afterwards. */
START_TEST(settled)
{
	clef__buffer *b[4];
	uint64_t created = 0, used;

	clef_device_trim(test_device);
	used = clef_device_get_stats(test_device).memory_in_use;
	clef_device_reset_peak(test_device);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 4; i++)
			b[i] = ck_new(clef__buffer_new(test_device, MB));
		for (int i = 0; i < 4; i++)
			clef__buffer_release(b[i]);
		clef__buffer_release(ck_new(clef__buffer_new(test_device, 3 * MB)));
		clef__buffer_release(ck_new(clef__buffer_new(test_device, 4 * MB)));
		clef__pool_settle(test_device);
		if (round == 0)
			created = clef_device_get_stats(test_device).buffers_created;
		ck_assert_uint_eq(clef_device_get_stats(test_device).buffers_created, created);
	}
	ck_assert_uint_le(clef_device_get_stats(test_device).memory_peak, used + 4 * MB + MB / 4);
	clef_device_trim(test_device);
}
END_TEST

/* ---- huge pages ---- */

/* Kilobytes of this process for which it has asked for them, or -1 where that cannot be known. */
static long asked_for(void)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	long size = 0, all = f ? 0 : -1;

	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "Size: %ld", &size);
		if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " hg"))
			all += size;
	}
	if (f)
		fclose(f);
	return all;
}

/* More than malloc() ever takes from its heap, so that it is a mapping of its own. */
START_TEST(huge_pages)
{
	long before = asked_for();
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");

	if (f)
		fclose(f);
	if (!f || before < 0 ||
	    strcmp(clef_device_get_info(test_device)->platform_name, "Portable Computing Language") != 0)
		test_skip("for PoCL, and Linux with huge pages");
	clef_device_trim(test_device);
	before = asked_for();
	clef__buffer_release(ck_new(clef__buffer_new(test_device, 40 * MB)));
	ck_assert_int_ge(asked_for() - before, 38 * 1024);
	clef_device_trim(test_device);
}
END_TEST

/* ---- workspaces ---- */

/* Transformed weights and images, and products, that are done a part at a time. */
START_TEST(parts_of_winograd)
{
	enum { N = 36, WIDTH = 256, SIZE = 8 };
	static const char *const way[] = { "winograd", "winograd_weights", "cpu", "cpu_weights" };
	const clef_shape images = CLEF_SHAPE(N, WIDTH, SIZE, SIZE), weights = CLEF_SHAPE(WIDTH, WIDTH, 3, 3);
	float *values, *got[4][3];
	clef_tensor *x, *w;

	if (test_small() || clef_device_get_info(test_device)->kind != CLEF_DEVICE_CPU ||
	    clef_device_get_info(test_device)->local_memory < 256 * 1024)
		test_skip("for CPUs with a large cache");
	values = ck_new(calloc((size_t)clef_shape_numel(images), sizeof(float)));
	clef_rng_normal(&(clef_rng){ .seed = 1 }, values, (size_t)clef_shape_numel(images));
	x = test_tensor(images, values);
	w = test_tensor(weights, values);
	free(values);
	ck_ok(clef_requires_grad(x, true));
	ck_ok(clef_requires_grad(w, true));
	for (int i = 0; i < CLEF_COUNT(way); i++) {
		clef_tensor *y;

		clef__device_set_conv(test_device, way[i]);
		ck_ok(clef_tape_begin(test_tape));
		y = clef_conv2d_no_bias(x, w, &(clef_conv2d_opts){ .pad = 1 });
		ck_ok(clef_backward(clef_mean(clef_mul(y, y), NULL)));
		for (int k = 0; k < 3; k++) {
			const clef_tensor *t = k == 0 ? y : clef_grad(k == 1 ? x : w);
			size_t size = (size_t)clef_tensor_numel(t) * sizeof(float);

			got[i][k] = ck_new(malloc(size));
			ck_ok(clef_read(t, got[i][k], size));
		}
	}
	clef__device_set_conv(test_device, NULL);
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 3; k++) {
			int64_t n = clef_shape_numel(k == 2 ? weights : images);
			double error = 0, size = 0;

			for (int64_t j = 0; j < n; j++) {
				double d = (double)got[i][k][j] - (double)got[i + 2][k][j];

				error += d * d;
				size += (double)got[i + 2][k][j] * (double)got[i + 2][k][j];
			}
			ck_assert_msg(error <= 1e-10 * size, "%s, tensor %d: %g of %g", way[i], k, error, size);
		}
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < 3; k++)
			free(got[i][k]);
	clef_tensor_free(x);
	clef_tensor_free(w);
}
END_TEST

Suite *memory_pool_suite(void)
{
	Suite *s = suite_create("memory_pool");
	TCase *c = tcase_create("memory_pool");

	tcase_set_timeout(c, 300);
	tcase_add_checked_fixture(c, tape_setup, tape_teardown);
	tcase_add_test(c, pieces);
	tcase_add_test(c, settled);
	tcase_add_test(c, huge_pages);
	tcase_add_test(c, parts_of_winograd);
	suite_add_tcase(s, c);
	return s;
}
