/* SPDX-License-Identifier: Apache-2.0 */
/* Borders and repeats: the problems of pad and expand, and what is refused. */
#include "check_case.h"
#include "check_clef.h"
#include "families.h"

START_TEST(pad)
{
	check_family(&clef__family_pad);
}
END_TEST

START_TEST(expand)
{
	check_family(&clef__family_expand);
}
END_TEST

#define BORDER(...)                                                                                                    \
	(clef_pad_opts)                                                                                                \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

START_TEST(errors)
{
	static float v[24];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x, *none;

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 12), v }));
	none = ck_new(clef_slice(x, 0, 0, 0, 1));
	ck_null_fails(clef_pad(x, NULL), CLEF_ERROR_INVALID, "pad: given NULL");
	ck_null_fails(clef_pad(x, &BORDER(.pad = { 0, 0, 0, 0, 1 })), CLEF_ERROR_INVALID,
		      "pad: pad[4] is 1, but x [2, 12] has 2 dimensions");
	ck_null_fails(clef_pad(x, &BORDER(.pad = { 0, 0, -1, -2 })), CLEF_ERROR_SHAPE,
		      "pad: -1 and -2 elements more in dimension 0 of x [2, 12]: a negative size");
	ck_null_fails(clef_pad(x, &BORDER(.pad = { 12 }, .mode = CLEF_PAD_REFLECT)), CLEF_ERROR_SHAPE,
		      "12 elements to be reflected in dimension 1 of x [2, 12]: fewer than there are");
	ck_null_fails(clef_pad(x, &BORDER(.pad = { 0, 13 }, .mode = CLEF_PAD_CIRCULAR)), CLEF_ERROR_SHAPE,
		      "13 elements around dimension 1 of x [2, 12]: no more than there are");
	ck_null_fails(clef_pad(none, &BORDER(.pad = { 0, 0, 1 }, .mode = CLEF_PAD_REPLICATE)), CLEF_ERROR_SHAPE,
		      "dimension 0 of x [0, 12] has no element to be repeated");
	ck_null_fails(clef_pad(x, &BORDER(.pad = { INT32_MAX })), CLEF_ERROR_SHAPE, "more than 2^31 - 1 elements");
	ck_null_fails(clef_pad(x, &BORDER(.pad = { INT32_MAX, -INT32_MAX }, .mode = CLEF_PAD_REPLICATE)),
		      CLEF_ERROR_INVALID, "2147483647 elements more in dimension 1 of x [2, 12]: too many");
	ck_null_fails(clef_pad(x, &BORDER(.mode = (clef_pad_mode)9)), CLEF_ERROR_INVALID, "pad: mode 9 is none");
	ck_null_fails(clef_expand(x, CLEF_SHAPE(12)), CLEF_ERROR_SHAPE, "expand: x [2, 12] to 1 dimensions");
	ck_null_fails(clef_expand(x, CLEF_SHAPE(4, 12)), CLEF_ERROR_SHAPE,
		      "expand: x [2, 12] cannot be repeated to [4, 12]");
	ck_null_fails(clef_expand(x, CLEF_SHAPE(-1, 2, 12)), CLEF_ERROR_SHAPE, "cannot be repeated to [-1, 2, 12]");
	ck_null_fails(clef_expand(x, CLEF_SHAPE(1 << 30, 2, 12)), CLEF_ERROR_SHAPE, "more than 2^31 - 1 elements");
	clef_tape_free(tape);
}
END_TEST

Suite *border_suite(void)
{
	Suite *s = suite_create("border");
	TCase *c = tcase_create("border");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, pad);
	tcase_add_test(c, expand);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
