/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to choose from: all candidates, with all their parameters, are right, on odd shapes. */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>

#include "conv_internal.h"
#include "gemm.h"
#include "gemm_case.h"
#include "tuning_case.h"
#include "variant.h"

/* ---- work-groups ---- */

static char launch_problem[4][CLEF__KEY_TEXT];
static int launch_problems;

static void note_launch(void *user, const char *problem)
{
	(void)user;
	if (strncmp(problem, "launch ", 7) == 0 && launch_problems < 4)
		strcpy(launch_problem[launch_problems++], problem);
}

static void square(clef_device *dev, float *values, int count)
{
	clef_tape *tape = ck_new(clef_tape_new(dev));
	clef_tensor *x = ck_new(clef_tensor_from(dev, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(count), values }));

	ck_ok(clef_tape_begin_no_grad(tape));
	ck_ok(clef_read(ck_new(clef_mul(x, x)), values, sizeof(*values) * (size_t)count));
	clef_tensor_free(x);
	clef_tape_free(tape);
}

START_TEST(sizes_of_work_groups)
{
	enum { COUNT = 70001 };
	static float want[COUNT], got[COUNT];
	const clef__measure_opts how = { .seconds = 20 };
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef__tuned t;
	bool done;

	for (int i = 0; i < COUNT; i++)
		want[i] = got[i] = (float)(i % 301 - 150) / 7;
	clef__tuning_watch(dev, note_launch, NULL);
	square(dev, want, COUNT);
	clef__tuning_watch(dev, NULL, NULL);
	ck_assert_int_eq(launch_problems, 1);
	ck_assert_str_eq(launch_problem[0], "launch binary binary_forward log16");
	ck_ok(clef__launch_measure(dev, launch_problem[0], &how, &t, &done));
	ck_assert_msg(done && !t.wrong[0] && test_warnings == 0, "%s", test_warning);
	ck_assert_str_eq(t.shipped, "group");
	for (int size = 1; size <= 16; size *= 4) {
		tuning_keep(dev, launch_problem[0], "group", "size", size);
		square(dev, got, COUNT);
		ck_assert(memcmp(want, got, sizeof(want)) == 0);
		for (int i = 0; i < COUNT; i++)
			got[i] = (float)(i % 301 - 150) / 7;
	}
	ck_assert_int_eq(test_warnings, 0);
	/* A size that the device does not take, and another choice than that. */
	tuning_keep(dev, launch_problem[0], "group", "size", 1 << 24);
	square(dev, got, COUNT);
	ck_assert(memcmp(want, got, sizeof(want)) == 0);
	ck_assert_int_eq(test_warnings, 1);
	tuning_keep(dev, launch_problem[0], "direct", NULL, 0);
	square(dev, want, COUNT);
	ck_assert_int_eq(test_warnings, 2);
	clef__launches_release(dev);
	ck_fails(clef__launch_measure(dev, launch_problem[0], &how, &t, &done), CLEF_ERROR_INVALID, "name a model");
	clef_device_close(dev);
}
END_TEST

/* ---- every candidate, on odd shapes ---- */

/* All are checked against the direct one, with each tile and blocking. */
static void measure_all(clef_device *dev, const char *problem)
{
	const clef__measure_opts how = { .seconds = 60 };
	clef__tuned t;
	bool done;

	ck_ok(strncmp(problem, "gemm", 4) == 0   ? clef__gemm_measure(dev, problem, &how, &t, &done)
	      : strncmp(problem, "conv", 4) == 0 ? clef__conv_measure(dev, problem, &how, &t, &done)
						 : clef__variant_measure(dev, problem, &how, &t, &done));
	ck_assert_msg(done && !t.wrong[0] && test_warnings == 0, "%s: %s", problem, test_warning);
	ck_assert_str_eq(t.problem, problem);
}

/* With `other`, by tiles for CPUs with other vectors, which can be had too, if not fast; products by an engine that
 * does not depend on them. */
static void measure_ways(const char *shape, bool other)
{
	static const char *const ways[] = { "forward", "backward_data", "backward_weights" };
	clef_device *dev;

	if (other)
		test_setenv("CLEF_GEMM", "plain");
	dev = ck_new(clef_device_open(NULL));
	if (other)
		dev->info.float_vector = dev->info.float_vector >= 16 ? 8 : 16;
	for (int i = 0; i < 3; i++) {
		char problem[CLEF__KEY_TEXT];

		snprintf(problem, sizeof(problem), "conv %s %s", ways[i], shape);
		measure_all(dev, problem);
	}
	clef_device_close(dev);
	if (other)
		test_setenv("CLEF_GEMM", NULL);
}

START_TEST(convolutions_are_right)
{
	static const char *const shapes[] = {
		"n1 c1 h1 w1 k1 r1 s1 oh1 ow1",
		"n7 c17 h9 w13 k19 r3 s3 oh9 ow13 pt1 pl1",
		"n3 c5 h11 w35 k7 r5 s3 oh6 ow18 sh2 sw2 pt2 pl1",
		"n2 c12 h6 w7 k18 r3 s3 oh6 ow7 pt1 pl1 g3",
		"n4 c6 h8 w9 k6 r3 s3 oh8 ow9 pt1 pl1 g6",
		"n5 c33 h4 w4 k34 r1 s1 oh4 ow4",
		"n2 c4 h10 w12 k5 r3 s2 oh6 ow10 dh2 dw2",
	};
	if (test_small() && _i > 1)
		test_skip("slow");
	measure_ways(shapes[_i], false);
	if (test_long())
		measure_ways(shapes[_i], true);
}
END_TEST

/* Pools and normalizations: all ways, and the one that is kept is the one that is taken. */
START_TEST(ways_are_right)
{
	static const char *const problems[] = {
		"pool max1 planes6 h9 w11 oh5 ow6 kh3 kw3 sh2 sw2 ph1 pw1",
		"pool planes6 h33 w7 oh17 ow2 kh2 kw5 sh2 sw2 ph1 nopad1",
		"pool max1 planes3 h5 w6 oh2 ow4 adaptive1",
		"pool planes40 h1 w1 oh1 ow1",
		"normalize n3 c5 i7",
		"normalize n2 c17 i300",
		"normalize n6 c3 i1",
	};
	clef_device *dev = ck_new(clef_device_open(NULL));

	for (int i = 0; i < CLEF_COUNT(problems); i++)
		measure_all(dev, problems[i]);
	clef_device_close(dev);
}
END_TEST

static const char *chosen;

static void note_way(void *user, const char *problem)
{
	(void)user;
	if (strncmp(problem, "pool ", 5) == 0)
		chosen = problem[5] == 'm' ? "max" : "mean";
}

/* A pooling and its gradient, one after the other; the problem that it is. */
static void pool(clef_device *dev, float out[2 * 3 * 4 * 4 + 2 * 3 * 8 * 8], bool record_only)
{
	clef_tape *tape = ck_new(clef_tape_new(dev));
	clef_tensor *x, *y;
	float values[2 * 3 * 8 * 8];

	for (int i = 0; i < CLEF_COUNT(values); i++)
		values[i] = (float)(i * 37 % 101);
	x = ck_new(clef_tensor_from(dev, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 3, 8, 8), values }));
	ck_ok(clef_requires_grad(x, true));
	ck_ok(clef_tape_begin(tape));
	y = ck_new(clef_max_pool2d(x, &(clef_max_pool_opts){ .kernel = 2 }));
	if (!record_only) {
		ck_ok(clef_read(y, out, sizeof(float) * 96));
		ck_ok(clef_backward(clef_sum(y, NULL)));
		ck_ok(clef_read(clef_grad(x), out + 96, sizeof(float) * 384));
	}
	clef_tensor_free(x);
	clef_tape_free(tape);
}

START_TEST(ways_are_kept)
{
	static const char problem[] = "pool max1 planes6 h8 w8 oh4 ow4 kh2 kw2 sh2 sw2";
	clef_device *dev = ck_new(clef_device_open(NULL));
	float first[480], second[480];

	clef__tuning_watch(dev, note_way, NULL);
	pool(dev, first, false);
	clef__tuning_watch(dev, NULL, NULL);
	ck_assert_str_eq(chosen, "max");
	ck_assert_ptr_null(clef__tuning_look(dev, problem));
	tuning_keep(dev, problem, "elements", NULL, 0);
	pool(dev, second, false);
	ck_assert(memcmp(first, second, sizeof(first)) == 0);
	ck_assert_int_eq(test_warnings, 0);
	tuning_keep(dev, problem, "elements", "rows", 4);
	pool(dev, second, true);
	ck_assert_int_eq(test_warnings, 1);
	ck_assert_msg(strstr(test_warning, problem) != NULL, "%s", test_warning);
	ck_fails(clef__variant_measurable(dev, "pool max1 planes6 h8"), CLEF_ERROR_INVALID, "is no problem");
	ck_fails(clef__variant_measurable(dev, "normalize n1 c4 i1"), CLEF_ERROR_INVALID, "is no problem");
	clef_device_close(dev);
}
END_TEST

START_TEST(products_are_right)
{
	static const char *const problems[] = { "gemm m1 n1 k1",           "gemm m53 n71 k67",
						"gemm m53 n71 k67 ta",     "gemm m35 n150 k530 tb",
						"gemm m41 n33 k50 ta tb",  "gemm m7 n40 k31 tb",
						"gemm m30 n29 k45 batch3", "gemm m22 n50 k16 ta tb batch5" };
	clef_device *dev;

	if (tuning_is_forced())
		test_skip("CLEF_GEMM leaves no choice");
	dev = ck_new(clef_device_open(NULL));
	for (int i = 0; i < (test_small() ? 3 : CLEF_COUNT(problems)); i++)
		measure_all(dev, problems[i]);
	clef_device_close(dev);
}
END_TEST

/* Blockings with what a measurement leaves out: bias, epilogue, beta, rows longer than their own. */
START_TEST(blockings_finish)
{
	gemm_product p = { .m = 47,
			   .n = 90,
			   .k = 150,
			   .integers = true,
			   .alpha = 1,
			   .has_bias = true,
			   .pad = 3,
			   .epilogue = GEMM_EPILOGUE,
			   .p = 3,
			   .q = -100 };
	clef__gemm_opts g = { .m = p.m, .n = p.n, .k = p.k, .batch = 1 };
	clef__tuned t = { .problem = "gemm m47 n90 k150", .shipped = "cpu" };
	clef__choice list[40];
	clef_device *dev = ck_new(clef_device_open(NULL));
	int count;

	if (strcmp(clef__gemm_choose(dev)->name, "cpu") != 0) {
		clef_device_close(dev);
		test_skip("no blockings to choose from");
	}
	count = clef__gemm_cpu_candidates(dev, &g, list, CLEF_COUNT(list));
	ck_assert_int_ge(count, 6);
	for (int i = 0; i < count; i++) {
		t.choice = list[i];
		ck_ok(clef__tuning_keep(dev, &t, false));
		p.beta = (float)(i % 2);
		gemm_check_product(dev, &p);
	}
	ck_assert_int_eq(test_warnings, 0);
	clef_device_close(dev);
}
END_TEST

Suite *tuning_candidates_suite(void)
{
	Suite *s = suite_create("tuning_candidates");
	TCase *c = tcase_create("candidates");

	tcase_add_checked_fixture(c, tuning_setup, NULL);
	tcase_add_test(c, sizes_of_work_groups);
	tcase_add_test(c, ways_are_right);
	tcase_add_test(c, ways_are_kept);
	tcase_add_loop_test(c, convolutions_are_right, 0, 7);
	tcase_add_test(c, products_are_right);
	tcase_add_test(c, blockings_finish);
	suite_add_tcase(s, c);
	return s;
}
