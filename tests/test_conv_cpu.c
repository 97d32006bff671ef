/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions for CPUs: what their blocks, panels, vectors and phases cut into parts, and fused activations. */
#define _XOPEN_SOURCE 700
#include <stdlib.h>

#include "check_clef.h"
#include "conv_case.h"
#include "fusion_case.h"

/* In conv_impls. */
#define CPU 3

static bool has_cpu(void)
{
	const clef_device_info *info = clef_device_get_info(test_device);

	return info->kind == CLEF_DEVICE_CPU && info->local_memory >= 1024 * 1024;
}

/* By all implementations, this one among them where the device has room for it. */
static void run(clef_shape x, clef_shape w, clef_conv2d_opts o)
{
	int before = conv_runs[CPU];

	conv_case_run(x, w, &(conv_case){ .o = o });
	if (has_cpu())
		ck_assert_int_eq(conv_runs[CPU], before + 1);
}

/* Each register tile, and the parts of it. */
START_TEST(channels_of_y)
{
	static const int64_t outputs[] = { 1, 2, 4, 5, 8, 11, 13, 14, 22, 27 };

	for (int i = 0; i < (test_small() ? 0 : CLEF_COUNT(outputs)); i++)
		run(CLEF_SHAPE(1, 2, 4, 17), CLEF_SHAPE(outputs[i], 2, 3, 3), (clef_conv2d_opts){ .pad = 1 });
}
END_TEST

/* Several blocks, the last one smaller. */
START_TEST(channels_of_x)
{
	if (test_small())
		return;
	run(CLEF_SHAPE(1, 131, 3, 5), CLEF_SHAPE(3, 131, 3, 3), (clef_conv2d_opts){ .pad = 1 });
	run(CLEF_SHAPE(1, 131, 5, 5), CLEF_SHAPE(14, 131, 3, 3), (clef_conv2d_opts){ .pad = 1, .stride = 2 });
	run(CLEF_SHAPE(2, 530, 2, 3), CLEF_SHAPE(3, 530, 1, 1), (clef_conv2d_opts){ 0 });
}
END_TEST

START_TEST(widths)
{
	static const int64_t sizes[] = { 1, 2, 3, 4, 7, 8, 14, 15, 16, 17, 18, 31, 32, 33, 49, 64 };

	for (int i = 0; i < (test_small() ? 0 : CLEF_COUNT(sizes)); i++)
		for (int stride = 1; stride <= 3; stride++)
			run(CLEF_SHAPE(1, 2, 3 + i % 3, sizes[i]), CLEF_SHAPE(3, 2, 3, 3),
			    (clef_conv2d_opts){ .pad = 1, .stride = stride });
}
END_TEST

/* Bands of rows in one image, and blocks of several images with and without a border between them. */
START_TEST(blocks)
{
	if (test_small())
		return;
	run(CLEF_SHAPE(1, 2, 37, 16), CLEF_SHAPE(2, 2, 3, 3), (clef_conv2d_opts){ .pad = 1 });
	run(CLEF_SHAPE(1, 1, 70, 33), CLEF_SHAPE(1, 1, 3, 3), (clef_conv2d_opts){ .pad = 1 });
	run(CLEF_SHAPE(1, 1, 70, 9), CLEF_SHAPE(2, 1, 5, 3), (clef_conv2d_opts){ .pad = 2, .stride = 2 });
	run(CLEF_SHAPE(35, 2, 3, 3), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .pad = 1 });
	run(CLEF_SHAPE(35, 2, 3, 3), CLEF_SHAPE(3, 2, 1, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(35, 2, 5, 4), CLEF_SHAPE(3, 2, 1, 1), (clef_conv2d_opts){ .stride = 2 });
	run(CLEF_SHAPE(35, 2, 4, 5), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = 2, .pad = 1 });
}
END_TEST

START_TEST(windows)
{
	if (test_small())
		return;
	run(CLEF_SHAPE(1, 3, 9, 20), CLEF_SHAPE(4, 3, 5, 5), (clef_conv2d_opts){ .pad = 2 });
	run(CLEF_SHAPE(1, 3, 9, 20), CLEF_SHAPE(4, 3, 7, 7), (clef_conv2d_opts){ .pad = 3, .stride = 2 });
	run(CLEF_SHAPE(1, 3, 9, 20), CLEF_SHAPE(4, 3, 2, 4), (clef_conv2d_opts){ .pad_left = 2 });
	run(CLEF_SHAPE(1, 3, 9, 20), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .dilation = 2, .pad = 2 });
	run(CLEF_SHAPE(1, 3, 9, 7), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .dilation_w = 3, .pad = 4 });
	run(CLEF_SHAPE(1, 3, 6, 7), CLEF_SHAPE(4, 3, 2, 2), (clef_conv2d_opts){ .stride = 4, .pad = 3 });
	/* Rows of padding alone, on all sides. */
	run(CLEF_SHAPE(1, 2, 2, 3), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .pad = 6 });
}
END_TEST

/* Every channel on its own, or with few others. */
START_TEST(groups)
{
	if (test_small())
		return;
	for (int stride = 1; stride <= 2; stride++) {
		run(CLEF_SHAPE(2, 19, 5, 32), CLEF_SHAPE(19, 1, 3, 3),
		    (clef_conv2d_opts){ .groups = 19, .pad = 1, .stride = stride });
		run(CLEF_SHAPE(17, 3, 4, 6), CLEF_SHAPE(6, 1, 3, 3),
		    (clef_conv2d_opts){ .groups = 3, .pad = 1, .stride = stride });
		run(CLEF_SHAPE(2, 12, 5, 5), CLEF_SHAPE(18, 4, 3, 3),
		    (clef_conv2d_opts){ .groups = 3, .pad = 1, .stride = stride });
	}
}
END_TEST

/* ---- activations: as if applied by hand, to tiles that are stored at once and to parts of them ---- */

static clef_tensor *conv2d(const fusion_operands *o, clef_activation act)
{
	return clef_conv2d(o->x[0], o->x[1], o->x[2], &(clef_conv2d_opts){ .pad = 1, .activation = act });
}

static clef_tensor *conv_transpose2d(const fusion_operands *o, clef_activation act)
{
	return clef_conv_transpose2d(
		o->x[0], o->x[1], o->x[2],
		&(clef_conv_transpose2d_opts){ .stride = 2, .pad = 1, .output_pad_h = 1, .activation = act });
}

START_TEST(activations)
{
	/* clang-format off */
	static const fusion_op ops[] = {
		{ .name = "conv2d", .impl = "cpu", .inputs = 3, .apply = conv2d, .shape = {
			{ 4, { 2, 61, 6, 16 } }, { 4, { 5, 61, 3, 3 } }, { 1, { 5 } } } },
		{ .name = "conv2d", .impl = "cpu", .inputs = 3, .apply = conv2d, .shape = {
			{ 4, { 3, 61, 5, 7 } }, { 4, { 14, 61, 3, 3 } }, { 1, { 14 } } } },
		{ .name = "conv_transpose2d", .impl = "cpu", .inputs = 3, .apply = conv_transpose2d, .shape = {
			{ 4, { 1, 270, 2, 9 } }, { 4, { 270, 4, 3, 3 } }, { 1, { 4 } } } },
	};
	/* clang-format on */

	if (test_small() || !has_cpu())
		return;
	for (int i = 0; i < CLEF_COUNT(ops); i++) {
		fusion_check(&ops[i], (clef_activation){ .kind = CLEF_ACT_RELU }, false);
		fusion_check(&ops[i], (clef_activation){ .kind = CLEF_ACT_TANH }, false);
	}
	test_setenv("CLEF_CONV", NULL);
}
END_TEST

Suite *conv_cpu_suite(void)
{
	Suite *s = suite_create("conv_cpu");
	TCase *c = tcase_create("conv_cpu");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, channels_of_y);
	tcase_add_test(c, channels_of_x);
	tcase_add_test(c, widths);
	tcase_add_test(c, blocks);
	tcase_add_test(c, windows);
	tcase_add_test(c, groups);
	tcase_add_test(c, activations);
	suite_add_tcase(s, c);
	return s;
}
