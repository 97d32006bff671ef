/* SPDX-License-Identifier: Apache-2.0 */
/* Images at another size: the problems of upsample, pixel_shuffle and its inverse, infinities, and what is refused. */
#include <math.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

START_TEST(upsample)
{
	check_family(&clef__family_upsample);
}
END_TEST

START_TEST(pixel_shuffle)
{
	check_family(&clef__family_pixel_shuffle);
}
END_TEST

START_TEST(pixel_unshuffle)
{
	check_family(&clef__family_pixel_unshuffle);
}
END_TEST

#define SIZE(...)                                                                                                      \
	(clef_upsample_opts)                                                                                           \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

/* As in PyTorch, a pixel reaches its neighbour even where its share is 0, but for an axis that keeps its size. */
START_TEST(infinity)
{
	float v[] = { 1, INFINITY, 3, NAN }, y[12];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x;

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(1, 1, 2, 2), v }));
	ck_ok(clef_read(clef_upsample(x, &SIZE(.scale = 1, .mode = CLEF_UPSAMPLE_BILINEAR)), y, 4 * sizeof(float)));
	ck_assert(y[0] == 1 && isnan(y[1]) && y[2] == 3 && isnan(y[3]));
	x = ck_new(
		clef_upsample(x, &SIZE(.out_h = 3, .out_w = 3, .align_corners = true, .mode = CLEF_UPSAMPLE_BILINEAR)));
	ck_ok(clef_read(x, y, 9 * sizeof(float)));
	for (int i = 0; i < 9; i++)
		ck_assert(isnan(y[i]));
	clef_tape_free(tape);
}
END_TEST

START_TEST(shuffle_errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x;

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 0, 3), NULL }));
	ck_null_fails(clef_pixel_shuffle(x, 2), CLEF_ERROR_SHAPE,
		      "pixel_shuffle: 2 channels of x [2, 0, 3] are not divisible by 4");
	ck_null_fails(clef_pixel_unshuffle(x, 2), CLEF_ERROR_SHAPE,
		      "pixel_unshuffle: 0 x 3 pixels of x [2, 0, 3] are not divisible by 2");
	ck_null_fails(clef_pixel_shuffle(x, 0), CLEF_ERROR_INVALID, "pixel_shuffle: r 0: 1 to 32768");
	ck_null_fails(clef_pixel_shuffle(clef_reshape(x, CLEF_SHAPE(2, 0)), 1), CLEF_ERROR_SHAPE,
		      "x has shape [2, 0], expected [..., c, h, w] of 3 to 6 dimensions");
	ck_null_fails(clef_pixel_unshuffle(NULL, 2), CLEF_ERROR_INVALID, "pixel_unshuffle: given NULL");
	clef_tape_free(tape);
}
END_TEST

START_TEST(errors)
{
	static float v[12];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x, *flat;

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(1, 2, 2, 3), v }));
	flat = ck_new(clef_flatten(x));
	ck_null_fails(clef_upsample(x, NULL), CLEF_ERROR_INVALID, "upsample: given NULL");
	ck_null_fails(clef_upsample(flat, &SIZE(.scale = 2)), CLEF_ERROR_SHAPE,
		      "upsample: x has shape [1, 12], expected [n, c, h, w]");
	ck_null_fails(clef_upsample(x, &SIZE(.scale = 2, .out_w = 4)), CLEF_ERROR_INVALID,
		      "both a size of 0 x 4 and a scale");
	ck_null_fails(clef_upsample(x, &SIZE(0)), CLEF_ERROR_SHAPE, "from 2 to 0 pixels: 1 to 1048576 are allowed");
	ck_null_fails(clef_upsample(x, &SIZE(.out_h = 3)), CLEF_ERROR_SHAPE, "from 3 to 0 pixels");
	ck_null_fails(clef_upsample(x, &SIZE(.scale = -1)), CLEF_ERROR_INVALID, "scale -1: more than 0");
	ck_null_fails(clef_upsample(x, &SIZE(.scale = NAN)), CLEF_ERROR_INVALID, "scale nan: more than 0");
	ck_null_fails(clef_upsample(x, &SIZE(.scale = 0.4)), CLEF_ERROR_SHAPE, "from 2 to 0.8 pixels");
	ck_null_fails(clef_upsample(x, &SIZE(.scale = 1e300)), CLEF_ERROR_SHAPE, "pixels: 1 to 1048576");
	ck_null_fails(clef_upsample(x, &SIZE(.scale = 3e5)), CLEF_ERROR_SHAPE, "more than 2^31 - 1 elements");
	ck_null_fails(clef_upsample(x, &SIZE(.scale = 2, .align_corners = true)), CLEF_ERROR_INVALID,
		      "align_corners is for mode CLEF_UPSAMPLE_BILINEAR");
	ck_null_fails(clef_upsample(x, &SIZE(.scale = 2, .mode = (clef_upsample_mode)7)), CLEF_ERROR_INVALID,
		      "mode 7 is none");
	clef_tape_free(tape);
}
END_TEST

Suite *upsample_suite(void)
{
	Suite *s = suite_create("upsample");
	TCase *c = tcase_create("upsample");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, upsample);
	tcase_add_test(c, infinity);
	tcase_add_test(c, pixel_shuffle);
	tcase_add_test(c, pixel_unshuffle);
	tcase_add_test(c, shuffle_errors);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
