/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products, with every engine that there is: one by one, in batches, and with a bias and a pointwise operation
 * on top. See gemm_case.h for what each is held to.
 */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>

#include "gemm_case.h"
#include "opencl.h"

START_TEST(engines_are_listed)
{
	int count = gemm_list_engines(), plain = 0;

	for (int i = 0; i < count; i++)
		plain += strcmp(gemm_engines[i], "plain") == 0;
	ck_assert_int_eq(plain, 1);
	test_setenv("CLEF_GEMM", "");
	clef_device_close(ck_new(clef_device_open(NULL)));
	test_setenv("CLEF_GEMM", "Plain");
	ck_null_fails(clef_device_open(NULL), CLEF_ERROR_INVALID, "\"Plain\"");
}
END_TEST

/* ---- all products ---- */

static const int sizes[] = { 0, 1, 3, 33, 257 }, small_sizes[] = { 0, 1, 5 };

/* Number i of the shapes that are tested. */
static bool shape_of(int i, gemm_product *p)
{
	const int *size = test_small() ? small_sizes : sizes;
	int n = test_small() ? CLEF_COUNT(small_sizes) : CLEF_COUNT(sizes);

	if (i >= n * n * n)
		return false;
	p->m = size[i % n];
	p->n = size[i / n % n];
	p->k = size[i / n / n];
	return true;
}

/* Each shape meets some values of alpha, beta and the padding, and each of these many shapes. */
static void check_all(clef_device *dev, bool integers)
{
	static const float alphas[] = { 1, 1, -2, 0.5f }, betas[] = { 0, 1, 0.5f };
	gemm_product p = { .integers = integers };

	for (int i = 0; shape_of(i, &p); i++)
		for (int way = integers ? 0 : i % 3; way < 8; way += integers ? 1 : 3) {
			p.ta = way & 1;
			p.tb = way & 2;
			p.has_bias = (way & 4) != 0;
			p.alpha = alphas[gemm_pick(4)];
			p.beta = betas[gemm_pick(3)];
			p.pad = gemm_pick(2) ? gemm_pick(5) : 0;
			gemm_check_product(dev, &p);
		}
}

START_TEST(integers_are_exact)
{
	clef_device *dev = gemm_open_with(_i);

	if (!dev)
		test_skip("no such engine here");
	check_all(dev, true);
	clef_device_close(dev);
}
END_TEST

START_TEST(reals_are_near)
{
	clef_device *dev = gemm_open_with(_i);

	if (!dev)
		test_skip("no such engine here");
	check_all(dev, false);
	clef_device_close(dev);
}
END_TEST

/* Shapes of networks, where engines cut C into blocks, and long sums. */
START_TEST(larger_products)
{
	static const int shapes[][3] = { { 64, 10, 256 }, { 100, 256, 784 }, { 10, 300, 64 },  { 1, 513, 1025 },
					 { 513, 1, 70 },  { 129, 65, 2049 }, { 300, 500, 31 }, { 16, 16, 5000 },
					 { 20, 90, 63 },  { 90, 20, 16 },    { 7, 40, 31 },    { 5, 3, 17 },
					 { 21, 70, 400 }, { 1, 100, 4097 },  { 64, 27, 785 } };
	clef_device *dev;

	if (test_small())
		test_skip("large");
	dev = gemm_open_with(_i);
	if (!dev)
		test_skip("no such engine here");
	for (int i = 0; i < CLEF_COUNT(shapes) * 4; i++)
		gemm_check_product(dev, &(gemm_product){ .ta = i & 1,
							 .tb = i & 2,
							 .has_bias = i % 3 == 0,
							 .integers = true,
							 .m = shapes[i / 4][0],
							 .n = shapes[i / 4][1],
							 .k = shapes[i / 4][2],
							 .pad = i % 5 == 0 ? 3 : 0,
							 .alpha = 1,
							 .beta = (float)(i % 2) });
	clef_device_close(dev);
}
END_TEST

/* The kernels for vectors of another width, which have other tiles, and blocks that leave a rest. */
START_TEST(other_vectors)
{
	static const int shapes[][3] = { { 40, 47, 65 }, { 21, 33, 16 }, { 100, 300, 35 }, { 130, 784, 20 } };
	clef_device *dev;

	if (test_small())
		test_skip("large");
	dev = gemm_open_with(0);
	if (!dev)
		test_skip("no engine for CPUs here");
	/* Before the device has compiled any. */
	dev->info.float_vector = _i ? 8 : 16;
	for (int i = 0; i < 3 * CLEF_COUNT(shapes); i++)
		gemm_check_product(dev, &(gemm_product){ .ta = i % 3 == 1,
							 .tb = i % 3 != 2,
							 .integers = true,
							 .m = shapes[i / 3][0],
							 .n = shapes[i / 3][1],
							 .k = shapes[i / 3][2],
							 .pad = i % 2,
							 .alpha = 1,
							 .beta = (float)(i % 2) });
	clef_device_close(dev);
}
END_TEST

/* Two runs give the same bits. */
START_TEST(products_repeat)
{
	clef_device *dev = gemm_open_with(_i);
	const int n = test_small() ? 4 : 50;
	float x[4 * 50 * 50], first[4 * 50 * 50], second[4 * 50 * 50];
	size_t step = (size_t)n * (size_t)n, bytes = sizeof(float) * 4 * step;
	clef__buffer *a, *b;

	if (!dev)
		test_skip("no such engine here");
	for (int i = 0; i < CLEF_COUNT(x); i++)
		x[i] = gemm_next_value(false);
	a = ck_new(clef__buffer_new(dev, bytes));
	b = ck_new(clef__buffer_new(dev, bytes));
	ck_ok(clef__buffer_write(a, 0, x, bytes));
	for (int i = 0; i < 2; i++) {
		ck_ok(clef__gemm(dev, &(clef__gemm_opts){ .trans_b = true,
							  .m = n,
							  .n = n,
							  .k = n,
							  .alpha = 1,
							  .a = a,
							  .b = a,
							  .c = b,
							  .lda = n,
							  .ldb = n,
							  .ldc = n,
							  .batch = 4,
							  .a_step = step,
							  .b_step = step,
							  .c_step = step }));
		ck_ok(clef__buffer_read(b, 0, i ? second : first, bytes));
	}
	ck_assert(memcmp(first, second, bytes) == 0);
	clef__buffer_release(a);
	clef__buffer_release(b);
	clef_device_close(dev);
}
END_TEST

/* ---- batches ---- */

/* All ways to repeat an operand, to transpose and to add a bias. */
static void check_batches(clef_device *dev, int m, int n, int k, int batch)
{
	for (int way = 0; way < 32; way++)
		gemm_check_product(dev, &(gemm_product){ .ta = way & 1,
							 .tb = way & 2,
							 .same_a = way & 4,
							 .same_b = way & 8,
							 .has_bias = way & 16,
							 .integers = true,
							 .m = m,
							 .n = n,
							 .k = k,
							 .batch = batch,
							 .pad = gemm_pick(2) ? gemm_pick(5) : 0,
							 .alpha = gemm_pick(2) ? 1 : -2,
							 .beta = (float)gemm_pick(2) });
}

START_TEST(batches_are_exact)
{
	static const int shapes[][4] = { { 1, 1, 1, 2 },  { 3, 33, 17, 5 }, { 33, 5, 1, 3 },
					 { 5, 3, 0, 4 },  { 7, 9, 5, 100 }, { 27, 70, 300, 3 },
					 { 1, 40, 9, 6 }, { 40, 1, 9, 1 },  { 64, 64, 64, 2 } };
	clef_device *dev = gemm_open_with(_i);

	if (!dev)
		test_skip("no such engine here");
	for (int i = 0; i < (test_small() ? 1 : CLEF_COUNT(shapes)); i++)
		check_batches(dev, shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]);
	check_batches(dev, 5, 3, 4, 2);
	clef_device_close(dev);
}
END_TEST

/* As many launches for many matrices as for one. */
START_TEST(batch_is_one_product)
{
	clef_device *dev = gemm_open_with(_i);
	gemm_product p = { .m = 5, .n = 6, .k = 7, .integers = true, .alpha = 1, .batch = 1 };
	uint64_t launches[2];

	if (!dev)
		test_skip("no such engine here");
	for (int i = 0; i < 2; i++) {
		launches[i] = clef_device_get_stats(dev).launches;
		gemm_check_product(dev, &p);
		launches[i] = clef_device_get_stats(dev).launches - launches[i];
		p.batch = 50;
	}
	ck_assert_uint_eq(launches[0], launches[1]);
	clef_device_close(dev);
}
END_TEST

/* ---- bias and epilogue ---- */

/* At k 0 and, with a K of many blocks, after the last of them only. */
START_TEST(epilogues)
{
	static const int shapes[][4] = {
		{ 5, 3, 4, 1 }, { 5, 3, 0, 2 }, { 33, 70, 17, 0 }, { 30, 50, 2, 3 }, { 29, 300, 700, 2 }
	};
	clef_device *dev = gemm_open_with(_i);

	if (!dev)
		test_skip("no such engine here");
	for (int i = 0; i < (test_small() ? 2 : CLEF_COUNT(shapes)); i++)
		for (int way = 0; way < 16; way++)
			gemm_check_product(dev, &(gemm_product){ .ta = way & 1,
								 .tb = way & 2,
								 .has_bias = way & 4,
								 .beta = way & 8 ? 1.0f : 0.0f,
								 .same_b = i == 3,
								 .integers = true,
								 .m = shapes[i][0],
								 .n = shapes[i][1],
								 .k = shapes[i][2],
								 .batch = shapes[i][3],
								 .pad = way % 3,
								 .alpha = 1,
								 .epilogue = GEMM_EPILOGUE,
								 .p = 3,
								 .q = -100 });
	clef_device_close(dev);
}
END_TEST

/* ---- where work-groups are small ---- */

static int warnings;

static void count_warnings(void *user, clef_log_level level, const char *message)
{
	(void)user;
	warnings += level == CLEF_LOG_WARN;
	ck_assert_ptr_null(strchr(message, '\n'));
}

/* An engine computes right or is set aside with one warning; `plain` always computes, and so does the best that is
 * left. */
START_TEST(small_work_groups)
{
	gemm_product p = { .m = 33, .n = 70, .k = 65, .integers = true, .alpha = 1, .has_bias = true, .pad = 1 };
	clef_device *dev;
	clef__buffer *b;

	test_setenv("POCL_MAX_WORK_GROUP_SIZE", "64");
	clef_log_set(count_warnings, NULL, CLEF_LOG_WARN);
	dev = gemm_open_with(_i - 1);
	if (!dev)
		test_skip("no such engine here");
	if (!strstr(clef_device_get_info(dev)->platform_name, "Portable")) {
		clef_device_close(dev);
		test_skip("not PoCL");
	}
	ck_assert_uint_eq(clef_device_get_info(dev)->max_work_group, 64);
	b = ck_new(clef__buffer_new(dev, 4));
	clef_error_clear();
	if (_i &&
	    clef__gemm(dev, &(clef__gemm_opts){
				    .m = 1, .n = 1, .k = 1, .a = b, .b = b, .c = b, .lda = 1, .ldb = 1, .ldc = 1 })) {
		ck_assert_str_ne(gemm_engines[_i - 1], "plain");
		ck_assert_int_eq(clef_error_status(), CLEF_ERROR_UNSUPPORTED);
		ck_assert_ptr_nonnull(strstr(clef_error(), gemm_engines[_i - 1]));
		ck_assert_int_eq(warnings, 1);
	} else {
		for (int way = 0; way < 4; way++) {
			p.ta = way & 1;
			p.tb = way & 2;
			gemm_check_product(dev, &p);
		}
		ck_assert_int_le(warnings, _i ? 0 : 2);
	}
	clef__buffer_release(b);
	clef_device_close(dev);
}
END_TEST

Suite *gemm_suite(void)
{
	Suite *s = suite_create("gemm");
	TCase *c = tcase_create("engines");

	tcase_add_test(c, engines_are_listed);
	/* As many as there may be; tests of those that there are not, pass. */
	tcase_add_loop_test(c, integers_are_exact, 0, 4);
	tcase_add_loop_test(c, reals_are_near, 0, 4);
	tcase_add_loop_test(c, larger_products, 0, 4);
	tcase_add_loop_test(c, other_vectors, 0, 2);
	tcase_add_loop_test(c, products_repeat, 0, 4);
	tcase_add_loop_test(c, batches_are_exact, 0, 4);
	tcase_add_loop_test(c, batch_is_one_product, 0, 4);
	tcase_add_loop_test(c, epilogues, 0, 4);
	tcase_add_loop_test(c, small_work_groups, 0, 5);
	suite_add_tcase(s, c);
	return s;
}
