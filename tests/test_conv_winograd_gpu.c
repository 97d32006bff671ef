/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Winograd's transforms for GPUs: images and padding of all sizes about that of a tile, parts of outputs and of tiles,
 * the memory that they take, what is refused, and where they are chosen. The problems of convolutions, which
 * test_conv.c runs by every implementation, compare them with the definition in double precision.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conv_case.h"
#include "conv_task.h"
#include "opencl.h"

enum { TILES = 6, ROWS };

/* ---- results ---- */

/* Against the direct one, relative to the results' mean size. */
static void compare(const conv_task *t)
{
	const clef__conv *g = &t->g;
	double size = 0, slack;
	size_t count;
	float *got, *want;

	ck_assert(clef__conv_winograd_gpu.fits(test_device, g, t->way));
	got = conv_task_run(&clef__conv_winograd_gpu, t, &count);
	want = conv_task_run(&clef__conv_direct, t, &count);
	for (size_t i = 0; i < count; i++)
		size += fabs((double)want[i]) / (double)count;
	slack = clef__conv_winograd_gpu.tolerance * size;
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(fabs((double)got[i] - (double)want[i]) <= slack,
			      "%s, x [%d, %d, %d, %d], %d outputs, padding %d %d, offset %zu, beta %g: element %zu of "
			      "%zu is %g, not %g",
			      conv_way_names[t->way], g->n, g->c, g->h, g->w, g->k, g->pad_top, g->pad_left, t->offset,
			      (double)t->beta, i, count, (double)got[i], (double)want[i]);
	free(want);
	free(got);
}

/* The last tile of a row has one to four pixels of the result, and some, all or none of its own are padding. */
START_TEST(borders)
{
	for (int h = 1; h <= (test_small() ? 1 : 10); h += 2)
		for (int w = 1; w <= (test_small() ? 2 : 9); w++) {
			clef__conv g = { .n = 2, .c = 3, .h = h, .w = w, .k = 5, .r = 3, .s = 3 };

			g.pad_top = h < 3 ? 1 : w % 4;
			g.pad_left = w < 3 ? 1 : (w / 2 + h) % 5;
			for (int way = 0; way < 2; way++)
				compare(&(conv_task){ .g = conv_whole(&g),
						      .way = (clef__conv_way)way,
						      .real = true,
						      .beta = w % 2 ? 1.0f : 0.0f });
		}
}
END_TEST

/* Rows of the result on boundaries of float4s and off them, of full tiles and not, stored, added, and finished. */
START_TEST(boundaries)
{
	static const clef__conv list[] = {
		{ .n = 2, .c = 5, .h = 6, .w = 8, .k = 6, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
		{ .n = 2, .c = 5, .h = 5, .w = 6, .k = 6, .r = 3, .s = 3, .pad_top = 2, .pad_left = 1 },
	};

	for (int i = 0; i < (test_small() ? 1 : CLEF_COUNT(list)); i++)
		for (int way = 0; way < 2; way++)
			for (int j = 0; j < (test_small() ? 2 : 6); j++)
				compare(&(conv_task){ .g = conv_whole(&list[i]),
						      .way = (clef__conv_way)way,
						      .real = true,
						      .offset = j % 2 ? 3 : 0,
						      .beta = j / 2 == 1 ? 1.0f : 0.0f,
						      .epilogue = j / 2 != 1 });
}
END_TEST

/* Activations that are a program of their own, and padding that is not the same on all sides. */
START_TEST(problems)
{
	static const char *const list[] = {
		"conv2d n2 c5 h7 w6 k6 r3 pt2 pr1 act=tanh by=winograd_gpu",
		"conv_transpose2d n2 c6 h6 w5 k5 r3 p1 pl1 act=tanh by=winograd_gpu",
		"conv2d n2 c37 h11 w14 k22 r3 p1 act=relu by=winograd_gpu",
		"conv2d n3 c18 h9 w5 k33 r3 p2 no_bias by=winograd_gpu",
	};

	for (int i = 0; i < (test_small() ? 1 : CLEF_COUNT(list)); i++)
		check_problem(list[i]);
}
END_TEST

/* ---- parts ---- */

static const clef__conv several = {
	.n = 3, .c = 5, .h = 7, .w = 11, .k = 9, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1
};

/* Of 18 tiles and of 9 or 5 outputs: the bits are those of all at once, and of a rerun. */
START_TEST(parts)
{
	static const struct {
		int tiles, rows, launches[2]; /* forward, and to the images */
	} cuts[] = {
		{ 0, 0, { 4, 4 } }, { 7, 6, { 20, 10 } }, { 10, 0, { 7, 7 } }, { 0, 4, { 10, 7 } }, { 4, 0, { 16, 16 } }
	};

	for (int way = 0; way < 2; way++) {
		conv_task t = { .g = conv_whole(&several), .way = (clef__conv_way)way, .real = true, .epilogue = true };
		size_t count;
		float *want = conv_task_run(&clef__conv_winograd_gpu, &t, &count);

		for (int i = 0; i < (test_small() ? 2 : CLEF_COUNT(cuts)); i++) {
			uint64_t before = clef_device_get_stats(test_device).launches;
			float *got;

			t.g.param[TILES] = cuts[i].tiles;
			t.g.param[ROWS] = cuts[i].rows;
			ck_assert(clef__conv_winograd_gpu.fits(test_device, &t.g, t.way));
			got = conv_task_run(&clef__conv_winograd_gpu, &t, &count);
			ck_assert_msg(memcmp(got, want, count * sizeof(float)) == 0,
				      "%s in parts of %d tiles and %d outputs", conv_way_names[way], cuts[i].tiles,
				      cuts[i].rows);
			ck_assert_int_eq((int)(clef_device_get_stats(test_device).launches - before),
					 cuts[i].launches[way]);
			free(got);
		}
		free(want);
	}
}
END_TEST

/* So many tiles that what they become would take more memory than it may, by a tenth. */
START_TEST(workspace)
{
	const uint64_t most = 4 << 24;
	const clef__conv g = conv_whole(&(clef__conv){
		.n = 62, .c = 4, .h = 126, .w = 127, .k = 4, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 });
	conv_task t = { .g = g, .real = true };
	uint64_t own = (uint64_t)g.n * 2 * 4 * (uint64_t)(g.h * g.w) * sizeof(float), peak;

	if (test_small())
		test_skip("it takes long");
	ck_ok(clef_finish(test_device));
	clef_device_trim(test_device);
	own += clef_device_get_stats(test_device).memory_in_use;
	clef_device_reset_peak(test_device);
	compare(&t);
	peak = clef_device_get_stats(test_device).memory_peak;
	ck_assert_msg(peak <= own + most + (most >> 4) && peak > own + most / 2, "%.1f MB at most, %.1f MB the tensors",
		      1e-6 * (double)peak, 1e-6 * (double)own);
}
END_TEST

/* Other tiles of the products, and the candidates of its own: tiles at a time. */
START_TEST(candidates)
{
	static const clef__conv many = {
		.n = 9, .c = 6, .h = 29, .w = 33, .k = 33, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1
	};
	conv_task t = { .g = conv_whole(&many), .real = true };
	const int *set;
	int done = 0;

	if (test_small())
		test_skip("too few tiles");
	for (int i = 0; (set = clef__conv_winograd_gpu.candidate(test_device, i)); i++) {
		memcpy(t.g.param, set, sizeof(t.g.param));
		if (!(set[TILES] || set[0] == 32) || !clef__conv_winograd_gpu.fits(test_device, &t.g, t.way))
			continue;
		compare(&t);
		done++;
	}
	ck_assert_int_ge(done, 2);
}
END_TEST

/* ---- the choice ---- */

static bool takes(const clef__conv *sizes)
{
	const clef__conv g = conv_whole(sizes);
	bool forward = clef__conv_winograd_gpu.fits(test_device, &g, CLEF__CONV_FORWARD);

	ck_assert_int_eq(forward, clef__conv_winograd_gpu.fits(test_device, &g, CLEF__CONV_BACKWARD_DATA));
	return forward;
}

START_TEST(refused)
{
	const clef__conv good = { .n = 2, .c = 4, .h = 9, .w = 9, .k = 6, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 };
	clef__conv bad[10];

	for (int i = 0; i < CLEF_COUNT(bad); i++)
		bad[i] = good;
	bad[0].r = 1;
	bad[1].s = 5;
	bad[2].stride_h = 2;
	bad[3].stride_w = 2;
	bad[4].dilation_h = 2;
	bad[5].dilation_w = 2;
	bad[6].groups = 2;
	bad[7].param[TILES] = 18; /* there are no more */
	bad[8].param[0] = 16;     /* a tile without its other sizes */
	bad[9].c = 1 << 20;
	ck_assert(takes(&good));
	for (int i = 0; i < CLEF_COUNT(bad); i++)
		ck_assert_msg(!takes(&bad[i]), "number %d", i);
}
END_TEST

/* On GPUs, where matrices are large enough for their transforms; on CPUs never. */
START_TEST(choice)
{
	/* As in VGG and in ResNet-18, at the end with images of 4 x 4. */
	static const clef__conv large[] = {
		{ .n = 2, .c = 64, .h = 32, .w = 32, .k = 64, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
		{ .n = 16, .c = 128, .h = 16, .w = 16, .k = 256, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
		{ .n = 64, .c = 512, .h = 4, .w = 4, .k = 512, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
	};
	/* Few channels, few tiles, and tiles that are empty for the most part. */
	static const clef__conv small[] = {
		{ .n = 64, .c = 32, .h = 32, .w = 32, .k = 32, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
		{ .n = 64, .c = 16, .h = 32, .w = 32, .k = 512, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
		{ .n = 1, .c = 512, .h = 8, .w = 8, .k = 512, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
		{ .n = 64, .c = 64, .h = 5, .w = 5, .k = 64, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 },
	};
	clef_device_info *info = &test_device->info;
	const clef_device_info own = *info;

	for (int way = 0; way < 2; way++) {
		info->kind = CLEF_DEVICE_GPU;
		for (int i = 0; i < CLEF_COUNT(large); i++)
			ck_assert_str_eq(conv_task_chosen(&large[i], (clef__conv_way)way), "winograd_gpu");
		for (int i = 0; i < CLEF_COUNT(small); i++)
			ck_assert_str_eq(conv_task_chosen(&small[i], (clef__conv_way)way), "gemm");
		info->kind = CLEF_DEVICE_CPU;
		for (int i = 0; i < CLEF_COUNT(large); i++)
			ck_assert_str_ne(conv_task_chosen(&large[i], (clef__conv_way)way), "winograd_gpu");
	}
	info->kind = CLEF_DEVICE_GPU;
	ck_assert_str_eq(conv_task_chosen(&large[0], CLEF__CONV_BACKWARD_WEIGHTS), "gemm");
	*info = own;
}
END_TEST

Suite *conv_winograd_gpu_suite(void)
{
	Suite *s = suite_create("conv_winograd_gpu");
	TCase *c = tcase_create("conv_winograd_gpu");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, borders);
	tcase_add_test(c, boundaries);
	tcase_add_test(c, problems);
	tcase_add_test(c, parts);
	tcase_add_test(c, workspace);
	tcase_add_test(c, candidates);
	tcase_add_test(c, refused);
	tcase_add_test(c, choice);
	suite_add_tcase(s, c);
	return s;
}
