/* SPDX-License-Identifier: Apache-2.0 */
/* Images at another size: upsample, pixel_shuffle and its inverse. */
#include <math.h>

#include "check_clef.h"
#include "op_case.h"

static clef_tensor *apply_upsample(clef_tensor **x, const void *opts)
{
	return clef_upsample(x[0], opts);
}

/* How much pixel i of `in` adds to pixel o of `out`, in which `scale` (0: none) was given. */
static double weight(const clef_upsample_opts *c, int o, int i, int in, int out, double scale)
{
	double ratio = scale != 0 ? 1 / scale : (double)in / out, place;

	if (out == in)
		return i == o;
	if (c->mode == CLEF_UPSAMPLE_NEAREST && out == 2 * in)
		return i == o / 2;
	if (c->mode == CLEF_UPSAMPLE_NEAREST)
		return i == fmin(floor(o * ratio + 1e-9), in - 1);
	if (c->align_corners)
		place = out > 1 ? o * (double)(in - 1) / (out - 1) : 0;
	else
		place = fmin(fmax((o + 0.5) * ratio - 0.5, 0), in - 1);
	/* A hat of width 1 around each pixel. */
	return fmax(0, 1 - fabs(place - i));
}

static void reference_upsample(const ref_array *x, const void *opts, ref_array *y)
{
	const clef_upsample_opts *c = opts;
	int h = (int)x->shape.dim[2], w = (int)x->shape.dim[3];
	int oh = (int)y->shape.dim[2], ow = (int)y->shape.dim[3];
	double scale_w = c->scale_w != 0 ? c->scale_w : c->scale;

	ck_assert_int_eq(oh, c->scale != 0 ? (int)floor(h * c->scale) : c->out_h);
	ck_assert_int_eq(ow, scale_w != 0 ? (int)floor(w * scale_w) : c->out_w);
	for (int64_t i = 0; i < y->numel; i++) {
		const double *image = x->v + i / (oh * ow) * h * w;
		double sum = 0;

		for (int r = 0; r < h; r++)
			for (int k = 0; k < w; k++)
				sum += image[r * w + k] * weight(c, (int)(i / ow % oh), r, h, oh, c->scale) *
				       weight(c, (int)(i % ow), k, w, ow, scale_w);
		y->v[i] = sum;
	}
}

static void run_upsample(clef_shape shape, clef_upsample_opts opts)
{
	op_case c = { .name = "upsample",
		      .apply = apply_upsample,
		      .reference = reference_upsample,
		      .opts = &opts,
		      .inputs = 1,
		      .in = { { .shape = shape, .lo = -8, .hi = 8, .whole = true } } };

	opts.mode = CLEF_UPSAMPLE_NEAREST;
	op_case_run(&c);
	opts.mode = CLEF_UPSAMPLE_BILINEAR;
	/* The place between two pixels is a float32, whose error grows with the image. */
	c.tolerance = 1e-6 * (double)(4 + shape.dim[3]);
	c.gradient_tolerance = 2 * c.tolerance;
	op_case_run(&c);
	opts.align_corners = true;
	op_case_run(&c);
}

#define SIZE(...)                                                                                                      \
	(clef_upsample_opts)                                                                                           \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

START_TEST(upsample)
{
	run_upsample(CLEF_SHAPE(1, 1, 2, 3), SIZE(.scale = 2));
	if (test_small())
		return;
	run_upsample(CLEF_SHAPE(2, 3, 5, 7), SIZE(.out_h = 13, .out_w = 9));
	run_upsample(CLEF_SHAPE(2, 3, 9, 11), SIZE(.out_h = 4, .out_w = 3));
	run_upsample(CLEF_SHAPE(1, 2, 9, 11), SIZE(.out_h = 9, .out_w = 11));
	run_upsample(CLEF_SHAPE(1, 2, 5, 6), SIZE(.scale = 1.5, .scale_w = 0.5));
	run_upsample(CLEF_SHAPE(1, 2, 5, 6), SIZE(.scale = 2.6, .scale_w = 3));
	run_upsample(CLEF_SHAPE(1, 2, 5, 3), SIZE(.scale = 1.15, .scale_w = 2.2));
	run_upsample(CLEF_SHAPE(3, 2, 1, 1), SIZE(.out_h = 5, .out_w = 4));
	run_upsample(CLEF_SHAPE(3, 2, 8, 9), SIZE(.out_h = 1, .out_w = 1));
	run_upsample(CLEF_SHAPE(1, 1, 1, 33), SIZE(.out_h = 3, .out_w = 257));
	run_upsample(CLEF_SHAPE(1, 1, 2, 257), SIZE(.out_h = 2, .out_w = 33));
	run_upsample(CLEF_SHAPE(0, 3, 4, 4), SIZE(.scale = 2));
}
END_TEST

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

/* ---- pixel_shuffle ---- */

static clef_tensor *apply_shuffle(clef_tensor **x, const void *opts)
{
	return clef_pixel_shuffle(x[0], *(const int *)opts);
}

static clef_tensor *apply_unshuffle(clef_tensor **x, const void *opts)
{
	return clef_pixel_unshuffle(x[0], *(const int *)opts);
}

/* For all pixels of the larger images: few[channel * r * r + (row % r) * r + column % r][row / r][column / r] is
 * large[channel][row][column]. */
static void each_pixel(const ref_array *large, int r, double *few, double *many, bool shuffle)
{
	int64_t h = large->shape.dim[large->shape.ndim - 2], w = large->shape.dim[large->shape.ndim - 1];

	for (int64_t i = 0; i < large->numel; i++) {
		int64_t column = i % w, row = i / w % h, channel = i / w / h;
		int64_t from = channel * r * r + row % r * r + column % r;
		double *at = &few[(from * (h / r) + row / r) * (w / r) + column / r];

		*(shuffle ? &many[i] : at) = shuffle ? *at : many[i];
	}
}

static void reference_shuffle(const ref_array *x, const void *opts, ref_array *y)
{
	each_pixel(y, *(const int *)opts, x->v, y->v, true);
}

static void reference_unshuffle(const ref_array *x, const void *opts, ref_array *y)
{
	each_pixel(x, *(const int *)opts, y->v, x->v, false);
}

static void run_shuffle(clef_shape shape, int r, bool shuffle)
{
	op_case_run(&(op_case){ .name = shuffle ? "pixel_shuffle" : "pixel_unshuffle",
				.apply = shuffle ? apply_shuffle : apply_unshuffle,
				.reference = shuffle ? reference_shuffle : reference_unshuffle,
				.opts = &r,
				.inputs = 1,
				.in = { { .shape = shape, .lo = -8, .hi = 8, .whole = true } } });
}

START_TEST(pixel_shuffle)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x;

	run_shuffle(CLEF_SHAPE(1, 4, 2, 3), 2, true);
	run_shuffle(CLEF_SHAPE(1, 2, 2, 6), 2, false);
	if (test_small()) {
		clef_tape_free(tape);
		return;
	}
	run_shuffle(CLEF_SHAPE(18, 5, 7), 3, true);
	run_shuffle(CLEF_SHAPE(2, 1, 3, 8, 3, 2), 2, true);
	run_shuffle(CLEF_SHAPE(2, 3, 4, 5), 1, true);
	run_shuffle(CLEF_SHAPE(0, 4, 4, 5), 2, true);
	run_shuffle(CLEF_SHAPE(2, 3, 9, 15), 3, false);
	run_shuffle(CLEF_SHAPE(3, 0, 4), 2, false);
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
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
