/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels for CPUs: activations that are applied where a tile is stored, and the tiles of CPUs with vectors of another
 * width than this one's.
 */
#include "check_case.h"
#include "check_clef.h"
#include "conv_case.h"
#include "fusion_case.h"
#include "opencl.h"

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

	if (test_small() || !conv_has_cpu())
		return;
	for (int i = 0; i < CLEF_COUNT(ops); i++) {
		fusion_check(&ops[i], (clef_activation){ .kind = CLEF_ACT_RELU }, false);
		fusion_check(&ops[i], (clef_activation){ .kind = CLEF_ACT_TANH }, false);
	}
}
END_TEST

/* ---- vectors of another width: what this processor does not have, its compiler makes of several ---- */

static const char *const by_width[] = {
	"linear x65x130 out70 whole",
	"linear x65x700 out40 no_bias",
	"matmul_trans a37x65 b65x70 whole",
	"matmul_trans a65x37 b70x65 ta tb whole",
	"linear x3x300 out33 whole",
	"conv2d n2 c17 h9 w20 k14 r3 p1 by=winograd",
	"conv2d n5 c33 h13 k35 r3 p1 by=winograd_weights",
	"conv2d n3 c3 h15 w17 k35 r5 p2 by=cpu whole",
	"conv2d n2 c19 h5 w32 k34 r3 p1 by=cpu_weights whole",
};

START_TEST(other_width)
{
	const clef_device_info *info = clef_device_get_info(test_device);
	uint32_t own = info->float_vector;
	int done = 0;

	if (test_small() || info->kind != CLEF_DEVICE_CPU || info->local_memory < 256 * 1024)
		return;
	test_device->info.float_vector = own >= 16 ? 8 : 16;
	/* With little local memory Winograd's tiles of sixteen lanes are not for this device. */
	for (int i = 0; i < CLEF_COUNT(by_width); i++)
		done += check_problem_or_skip(by_width[i]);
	ck_assert_int_ge(done, CLEF_COUNT(by_width) - 2);
	test_device->info.float_vector = own;
}
END_TEST

Suite *conv_cpu_suite(void)
{
	Suite *s = suite_create("conv_cpu");
	TCase *c = tcase_create("conv_cpu");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, activations);
	tcase_add_test(c, other_width);
	suite_add_tcase(s, c);
	return s;
}
