/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions for CPUs: activations that are applied where a tile is stored. */

#include "check_clef.h"
#include "conv_case.h"
#include "fusion_case.h"

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

Suite *conv_cpu_suite(void)
{
	Suite *s = suite_create("conv_cpu");
	TCase *c = tcase_create("conv_cpu");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, activations);
	suite_add_tcase(s, c);
	return s;
}
