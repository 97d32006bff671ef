/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions as products in tiles, the implementation for GPUs: all its tiles, memory on boundaries of four floats
 * and not, chunks of the depth, phases of strides, and where it is chosen. Whole numbers must give what the direct
 * implementation gives, bit for bit; that one is compared with the definition elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "conv_task.h"
#include "opencl.h"

/* ---- one computation ---- */

static void compare(const conv_task *t)
{
	const clef__conv *g = &t->g;
	size_t count;
	float *got, *want;

	ck_assert_msg(clef__conv_gemm.fits(test_device, g, t->way), "tile %d x %d: does not fit", g->param[0],
		      g->param[1]);
	got = conv_task_run(&clef__conv_gemm, t, &count);
	want = conv_task_run(&clef__conv_direct, t, &count);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(got[i] == want[i],
			      "%s, x [%d, %d, %d, %d], w [%d, ., %d, %d], strides %d %d, dilation %d, groups %d, "
			      "offset %zu, beta %g, tile %d x %d: element %zu of %zu is %g, not %g",
			      conv_way_names[t->way], g->n, g->c, g->h, g->w, g->k, g->r, g->s, g->stride_h,
			      g->stride_w, g->dilation_h, g->groups, t->offset, (double)t->beta, g->param[0],
			      g->param[1], i, count, (double)got[i], (double)want[i]);
	free(want);
	free(got);
}

/* All three ways, plainly. */
static void run(const clef__conv *sizes)
{
	for (int way = 0; way < CLEF__CONV_WAYS; way++)
		compare(&(conv_task){ .g = conv_whole(sizes), .way = (clef__conv_way)way });
}

/* ---- tiles ---- */

/* Cut by each tile in all directions, and large enough for it, with a depth of several copies; taps, strides, and
 * groups. */
static const clef__conv cut[] = {
	{ .n = 2, .c = 70, .h = 6, .w = 7, .k = 133, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
	{ .n = 3, .c = 66, .h = 7, .w = 6, .k = 133, .r = 1, .s = 1 },
	{ .n = 2, .c = 140, .h = 17, .w = 20, .k = 136, .r = 3, .s = 2, .stride_h = 2, .stride_w = 3, .groups = 2 },
};

/* One of each sort of register tile; where there is time, all. */
static bool is_typical(const int *tile)
{
	return (tile[0] == 128 && tile[1] == 128 && tile[2] == 8 && tile[5] == 2) ||
	       (tile[0] == 64 && tile[3] == 8 && tile[4] == 4 && tile[5] == 2) || tile[0] == 32;
}

START_TEST(tiles)
{
	const int *tile = clef__conv_gemm.candidate(test_device, _i);
	int done = 0;

	if (!tile || test_small() || !(test_long() || is_typical(tile)))
		return;
	for (int i = 0; i < CLEF_COUNT(cut); i++) {
		clef__conv g = conv_whole(&cut[i]);

		memcpy(g.param, tile, sizeof(g.param));
		if (clef__conv_gemm.fits(test_device, &g, CLEF__CONV_FORWARD)) {
			run(&g);
			done++;
		}
	}
	ck_assert_int_eq(done, CLEF_COUNT(cut));
}
END_TEST

START_TEST(refused_tiles)
{
	static const int wrong[][CLEF__CONV_PARAMS] = {
		{ 16 },                      /* not all of them */
		{ 16, 16, 16, 4, 4 },        /* as before */
		{ 16, 16, 16, 4, 4, 3 },     /* 16 is no multiple of 3 */
		{ 16, 16, 16, 3, 4, 1 },     /* not whole float4s */
		{ 18, 16, 16, 4, 4, 1 },     /* the same */
		{ 16, 64, 16, 8, 8, 1 },     /* fewer work-items than columns */
		{ 32, 32, 4, 4, 4, 1 },      /* two floats for each work-item */
		{ 4096, 16, 16, 4, 4, 1 },   /* too large */
		{ 512, 512, 16, 16, 16, 1 }, /* for any device's local memory */
	};
	clef__conv g = conv_whole(&cut[0]);

	for (int i = 0; i < CLEF_COUNT(wrong); i++) {
		memcpy(g.param, wrong[i], sizeof(g.param));
		test_device->info.local_memory = 65536;
		ck_assert_msg(!clef__conv_gemm.fits(test_device, &g, CLEF__CONV_FORWARD), "tile %d", i);
	}
}
END_TEST

/* A tile that would be empty for the most part is not to be had, and so not measured. */
START_TEST(empty_tiles)
{
	static const clef__conv few = { .n = 2, .c = 3, .h = 5, .w = 6, .k = 4, .r = 3, .s = 3 };
	int had = 0;

	for (int i = 0; clef__conv_gemm.candidate(test_device, i); i++) {
		clef__conv g = conv_whole(&few);

		memcpy(g.param, clef__conv_gemm.candidate(test_device, i), sizeof(g.param));
		if (clef__conv_gemm.fits(test_device, &g, CLEF__CONV_FORWARD)) {
			ck_assert_int_eq(g.param[0], 16);
			had++;
		}
	}
	ck_assert_int_ge(had, 1);
}
END_TEST

/* What a device has not is not asked of it. */
START_TEST(limits)
{
	clef_device_info *info = &test_device->info;
	const clef_device_info own = *info;
	const clef__conv g = conv_whole(&cut[0]);

	info->max_work_group = 16;
	info->local_memory = 12288;
	ck_assert(clef__conv_gemm.fits(test_device, &g, CLEF__CONV_FORWARD));
	info->max_work_group = 15;
	ck_assert(!clef__conv_gemm.fits(test_device, &g, CLEF__CONV_FORWARD));
	info->max_work_group = 16;
	info->local_memory = 8192;
	ck_assert(!clef__conv_gemm.fits(test_device, &g, CLEF__CONV_FORWARD));
	*info = own;
}
END_TEST

/* ---- memory ---- */

/* Rows of the images, of the weights and of the results that are whole float4s, and some that are not, on a boundary
 * and off it, stored and added. */
START_TEST(boundaries)
{
	static const clef__conv list[] = {
		{ .n = 3, .c = 8, .h = 4, .w = 6, .k = 12, .r = 1, .s = 1 },
		{ .n = 3, .c = 7, .h = 4, .w = 6, .k = 10, .r = 1, .s = 1 },
		{ .n = 3, .c = 8, .h = 3, .w = 5, .k = 12, .r = 1, .s = 1 },
		{ .n = 2, .c = 4, .h = 4, .w = 6, .k = 8, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
		{ .n = 2, .c = 16, .h = 4, .w = 6, .k = 8, .r = 1, .s = 1, .groups = 2 },
	};

	for (int i = 0; i < (test_small() ? 1 : CLEF_COUNT(list)); i++)
		for (int way = 0; way < CLEF__CONV_WAYS; way++)
			for (int j = 0; j < (test_small() ? 1 : 4); j++)
				compare(&(conv_task){ .g = conv_whole(&list[i]),
						      .way = (clef__conv_way)way,
						      .offset = j % 2 ? 3 : 0,
						      .beta = j / 2 ? 1.0f : 0.0f });
}
END_TEST

/* ---- strides ---- */

/* Phases without taps, dilation that shares a divisor with the stride and that does not, strides beyond the kernel. */
START_TEST(phases)
{
	static const clef__conv list[] = {
		{ .n = 2, .c = 3, .h = 9, .w = 11, .k = 5, .r = 2, .s = 3, .stride_h = 4, .stride_w = 2 },
		{ .n = 2,
		  .c = 3,
		  .h = 13,
		  .w = 14,
		  .k = 5,
		  .r = 3,
		  .s = 3,
		  .stride_h = 4,
		  .stride_w = 3,
		  .dilation_h = 2,
		  .dilation_w = 3,
		  .pad_top = 2,
		  .pad_left = 4 },
		{ .n = 1,
		  .c = 4,
		  .h = 14,
		  .w = 13,
		  .k = 6,
		  .r = 3,
		  .s = 4,
		  .stride_h = 2,
		  .stride_w = 3,
		  .dilation_h = 3,
		  .dilation_w = 2,
		  .pad_top = 1,
		  .groups = 2 },
		{ .n = 2, .c = 3, .h = 5, .w = 20, .k = 4, .r = 1, .s = 2, .stride_h = 7, .stride_w = 9 },
	};
	clef__conv far = conv_whole(&(clef__conv){
		.n = 1, .c = 3, .h = 40, .w = 40, .k = 4, .r = 2, .s = 2, .stride_h = 13, .stride_w = 5 });

	for (int i = 0; i < (test_small() ? 1 : CLEF_COUNT(list)); i++) {
		run(&list[i]);
		compare(&(conv_task){ .g = conv_whole(&list[i]), .way = CLEF__CONV_BACKWARD_DATA, .beta = 1 });
	}
	for (int i = 0; i < (test_small() ? 0 : 2); i++)
		compare(&(conv_task){ .g = conv_whole(&list[i]), .way = CLEF__CONV_BACKWARD_DATA, .epilogue = true });
	ck_assert(clef__conv_gemm.fits(test_device, &far, CLEF__CONV_FORWARD));
	ck_assert(!clef__conv_gemm.fits(test_device, &far, CLEF__CONV_BACKWARD_DATA));
}
END_TEST

/* ---- chunks ---- */

static int launches(const conv_task *t)
{
	uint64_t before = clef_device_get_stats(test_device).launches;
	size_t count;

	free(conv_task_run(&clef__conv_gemm, t, &count));
	return (int)(clef_device_get_stats(test_device).launches - before);
}

/* Sums of so many pixels that there are several chunks, with a smaller one at the end: the same bits twice. */
START_TEST(chunks)
{
	static const clef__conv many = {
		.n = 3, .c = 3, .h = 53, .w = 59, .k = 4, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1
	};
	conv_task t = { .g = conv_whole(&many), .way = CLEF__CONV_BACKWARD_WEIGHTS };
	conv_task one = { .g = conv_whole(&cut[1]), .way = CLEF__CONV_BACKWARD_WEIGHTS };
	size_t count;
	float *a, *b;

	if (test_small())
		return;
	compare(&t);
	t.beta = 1;
	compare(&t);
	ck_assert_int_gt(launches(&t), launches(&one));
	t.real = true;
	a = conv_task_run(&clef__conv_gemm, &t, &count);
	b = conv_task_run(&clef__conv_gemm, &t, &count);
	ck_assert(memcmp(a, b, count * sizeof(float)) == 0);
	free(a);
	free(b);
}
END_TEST

/* ---- the choice ---- */

/* On GPUs where there is a product; on CPUs never. */
START_TEST(choice)
{
	static const clef__conv depthwise = { .n = 8, .c = 64, .h = 9, .w = 9, .k = 64, .r = 3, .s = 3, .groups = 64 };
	static const clef__conv far = {
		.n = 8, .c = 16, .h = 90, .w = 90, .k = 16, .r = 3, .s = 3, .stride_h = 9, .stride_w = 9
	};
	clef_device_info *info = &test_device->info;
	const clef_device_info own = *info;

	info->kind = CLEF_DEVICE_GPU;
	for (int way = 0; way < CLEF__CONV_WAYS; way++) {
		for (int i = 0; i < CLEF_COUNT(cut); i++)
			ck_assert_str_eq(conv_task_chosen(&cut[i], (clef__conv_way)way), "gemm");
		ck_assert_str_eq(conv_task_chosen(&depthwise, (clef__conv_way)way), "direct");
	}
	ck_assert_str_eq(conv_task_chosen(&far, CLEF__CONV_FORWARD), "gemm");
	ck_assert_str_eq(conv_task_chosen(&far, CLEF__CONV_BACKWARD_DATA), "im2col");
	info->kind = CLEF_DEVICE_CPU;
	for (int way = 0; way < CLEF__CONV_WAYS; way++)
		for (int i = 0; i < CLEF_COUNT(cut); i++)
			ck_assert_str_ne(conv_task_chosen(&cut[i], (clef__conv_way)way), "gemm");
	*info = own;
}
END_TEST

Suite *conv_gemm_suite(void)
{
	Suite *s = suite_create("conv_gemm");
	TCase *c = tcase_create("conv_gemm");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, tiles, 0, 24);
	tcase_add_test(c, refused_tiles);
	tcase_add_test(c, empty_tiles);
	tcase_add_test(c, limits);
	tcase_add_test(c, boundaries);
	tcase_add_test(c, phases);
	tcase_add_test(c, chunks);
	tcase_add_test(c, choice);
	suite_add_tcase(s, c);
	return s;
}
