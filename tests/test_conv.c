/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions: each option alone, and random combinations. */
#include "check_clef.h"
#include "conv_case.h"

static void run(clef_shape x, clef_shape w, clef_conv2d_opts o)
{
	conv_case_run(x, w, &(conv_case){ .o = o });
}

static void run_transposed(clef_shape x, clef_shape w, clef_conv2d_opts o, int more_h, int more_w)
{
	conv_case_run(x, w, &(conv_case){ .transposed = true, .o = o, .output_pad_h = more_h, .output_pad_w = more_w });
}

/* ---- what Winograd's tiles and panels cut into parts ---- */

START_TEST(winograd)
{
	static const int widths[] = { 1, 3, 4, 5, 8, 9, 12, 15, 16, 17, 31, 33 };
	static const int outputs[] = { 1, 8, 11, 12, 13, 14, 34 };
	static const int channels[] = { 1, 15, 16, 17, 33 };
	const clef_conv2d_opts pad = { .pad = 1 };
	int before = conv_runs[2];

	if (test_small()) {
		run(CLEF_SHAPE(2, 3, 5, 6), CLEF_SHAPE(4, 3, 3, 3), pad);
		return;
	}
	for (int i = 0; i < CLEF_COUNT(widths); i++)
		run(CLEF_SHAPE(2, 2, widths[CLEF_COUNT(widths) - 1 - i], widths[i]), CLEF_SHAPE(3, 2, 3, 3), pad);
	for (int i = 0; i < CLEF_COUNT(outputs); i++)
		run(CLEF_SHAPE(1, 3, 6, 7), CLEF_SHAPE(outputs[i], 3, 3, 3), pad);
	for (int i = 0; i < CLEF_COUNT(channels); i++)
		run(CLEF_SHAPE(1, channels[i], 6, 7), CLEF_SHAPE(3, channels[i], 3, 3), pad);
	run(CLEF_SHAPE(9, 3, 4, 4), CLEF_SHAPE(5, 3, 3, 3), pad);
	run(CLEF_SHAPE(5, 3, 8, 8), CLEF_SHAPE(5, 3, 3, 3), pad);
	run(CLEF_SHAPE(1, 2, 9, 20), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .pad = 2 });
	run(CLEF_SHAPE(1, 2, 9, 20), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .pad = 5 });
	run(CLEF_SHAPE(1, 2, 9, 20), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .pad_top = 2, .pad_left = 1 });
	run(CLEF_SHAPE(1, 2, 9, 20), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ 0 });
	/* More channels than local memory has room for. */
	conv_case_run_by(2, CLEF_SHAPE(3, 230, 5, 5), CLEF_SHAPE(14, 230, 3, 3), &(conv_case){ .o = pad });
	if (clef_device_get_info(test_device)->kind == CLEF_DEVICE_CPU)
		ck_assert_int_eq(conv_runs[2] - before,
				 CLEF_COUNT(widths) + CLEF_COUNT(outputs) + CLEF_COUNT(channels) + 7);
}
END_TEST

/* ---- options one by one ---- */

START_TEST(plain)
{
	run(CLEF_SHAPE(2, 2, 5, 4), CLEF_SHAPE(3, 2, 3, 2), (clef_conv2d_opts){ 0 });
	if (test_small())
		return;
	/* One product an image, and one for all. */
	run(CLEF_SHAPE(2, 3, 23, 25), CLEF_SHAPE(5, 3, 1, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(3, 4, 5, 5), CLEF_SHAPE(9, 4, 1, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(1, 1, 3, 257), CLEF_SHAPE(2, 1, 2, 3), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(1, 2, 257, 1), CLEF_SHAPE(3, 2, 5, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(1, 1, 1, 1), CLEF_SHAPE(1, 1, 1, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(5, 3, 1, 1), CLEF_SHAPE(4, 3, 1, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(2, 3, 6, 7), CLEF_SHAPE(4, 3, 6, 7), (clef_conv2d_opts){ 0 });
	/* Batches of four images and one. */
	run(CLEF_SHAPE(5, 1, 46, 50), CLEF_SHAPE(2, 1, 2, 1), (clef_conv2d_opts){ 0 });
	ck_assert_int_eq(conv_runs[0], conv_runs[1]);
}
END_TEST

START_TEST(strides)
{
	run(CLEF_SHAPE(1, 2, 6, 7), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = 2 });
	if (test_small())
		return;
	run(CLEF_SHAPE(2, 2, 20, 37), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = 2, .stride_w = 1 });
	run(CLEF_SHAPE(2, 2, 20, 37), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride_w = 2 });
	run(CLEF_SHAPE(2, 2, 40, 67), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = 3 });
	run(CLEF_SHAPE(2, 3, 9, 9), CLEF_SHAPE(3, 3, 1, 1), (clef_conv2d_opts){ .stride = 2 });
	/* Larger than the kernel, than the image, and than all. */
	run(CLEF_SHAPE(2, 2, 11, 13), CLEF_SHAPE(3, 2, 2, 2), (clef_conv2d_opts){ .stride = 5 });
	run(CLEF_SHAPE(2, 2, 4, 4), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = 7 });
	run(CLEF_SHAPE(2, 2, 4, 4), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = INT32_MAX, .pad = 1 });
	ck_assert_int_eq(conv_runs[0], conv_runs[1]);
}
END_TEST

START_TEST(padding)
{
	run(CLEF_SHAPE(1, 2, 3, 4), CLEF_SHAPE(2, 2, 3, 3), (clef_conv2d_opts){ .pad = 1 });
	if (test_small())
		return;
	run(CLEF_SHAPE(2, 3, 8, 33), CLEF_SHAPE(4, 3, 5, 5), (clef_conv2d_opts){ .pad = 2 });
	run(CLEF_SHAPE(2, 3, 8, 9), CLEF_SHAPE(4, 3, 5, 3), (clef_conv2d_opts){ .pad = 2, .pad_w = 1 });
	run(CLEF_SHAPE(2, 3, 8, 9), CLEF_SHAPE(4, 3, 1, 3), (clef_conv2d_opts){ .pad_w = 1 });
	run(CLEF_SHAPE(2, 3, 8, 9), CLEF_SHAPE(4, 3, 3, 1), (clef_conv2d_opts){ .pad_top = 1, .pad_bottom = 1 });
	run(CLEF_SHAPE(2, 3, 8, 9), CLEF_SHAPE(4, 3, 2, 2), (clef_conv2d_opts){ .pad_right = 1, .pad_bottom = 1 });
	run(CLEF_SHAPE(2, 3, 5, 6), CLEF_SHAPE(4, 3, 3, 4),
	    (clef_conv2d_opts){ .pad = 1, .pad_top = 1, .pad_bottom = 2, .pad_left = 3, .pad_right = 0 });
	run(CLEF_SHAPE(2, 3, 2, 2), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .pad = 9 });
	run(CLEF_SHAPE(2, 3, 1, 1), CLEF_SHAPE(4, 3, 5, 5), (clef_conv2d_opts){ .pad = 2 });
	run(CLEF_SHAPE(2, 3, 3, 3), CLEF_SHAPE(4, 3, 1, 1), (clef_conv2d_opts){ .pad = 1 });
	/* As many rows and columns of y as of x, but not the same ones. */
	run(CLEF_SHAPE(1, 3, 4, 4), CLEF_SHAPE(4, 3, 1, 1), (clef_conv2d_opts){ .pad = 2, .stride = 2 });
	ck_assert_int_eq(conv_runs[0], conv_runs[1]);
}
END_TEST

START_TEST(dilations)
{
	run(CLEF_SHAPE(1, 2, 5, 6), CLEF_SHAPE(2, 2, 2, 3), (clef_conv2d_opts){ .dilation = 2 });
	if (test_small())
		return;
	run(CLEF_SHAPE(2, 3, 12, 40), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .dilation = 2, .dilation_w = 5 });
	run(CLEF_SHAPE(2, 3, 12, 13), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .dilation_w = 3, .pad = 3 });
	run(CLEF_SHAPE(2, 3, 3, 3), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .dilation = 7, .pad = 7 });
	run(CLEF_SHAPE(2, 3, 3, 3), CLEF_SHAPE(4, 3, 1, 1), (clef_conv2d_opts){ .dilation = INT32_MAX });
	ck_assert_int_eq(conv_runs[0], conv_runs[1]);
}
END_TEST

START_TEST(grouped)
{
	run(CLEF_SHAPE(1, 4, 4, 5), CLEF_SHAPE(6, 2, 2, 3), (clef_conv2d_opts){ .groups = 2 });
	if (test_small())
		return;
	/* Depthwise: one for each, and a multiplier. */
	run(CLEF_SHAPE(2, 5, 9, 35), CLEF_SHAPE(5, 1, 3, 3), (clef_conv2d_opts){ .groups = 5, .pad = 1 });
	run(CLEF_SHAPE(2, 3, 9, 8), CLEF_SHAPE(9, 1, 3, 3), (clef_conv2d_opts){ .groups = 3, .stride = 2 });
	run(CLEF_SHAPE(2, 4, 5, 5), CLEF_SHAPE(2, 2, 1, 1), (clef_conv2d_opts){ .groups = 2 });
	ck_assert_int_eq(conv_runs[0], 0);
	/* Large enough for products. */
	run(CLEF_SHAPE(2, 8, 6, 7), CLEF_SHAPE(16, 4, 3, 3), (clef_conv2d_opts){ .groups = 2, .pad = 1 });
	run(CLEF_SHAPE(2, 64, 4, 4), CLEF_SHAPE(16, 32, 1, 1), (clef_conv2d_opts){ .groups = 2 });
	ck_assert_int_eq(conv_runs[0], 2);
}
END_TEST

START_TEST(pad_modes)
{
	for (clef_pad_mode mode = CLEF_PAD_REFLECT; mode <= CLEF_PAD_CIRCULAR; mode++) {
		run(CLEF_SHAPE(1, 1, 3, 2), CLEF_SHAPE(2, 1, 3, 3), (clef_conv2d_opts){ .pad = 1, .pad_mode = mode });
		if (test_small())
			continue;
		/* As much as circular, and then as reflection, allows. */
		run(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(2, 3, 3, 3),
		    (clef_conv2d_opts){ .pad = mode == CLEF_PAD_REFLECT ? 3 : 4, .pad_w = 4, .pad_mode = mode });
		run(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(2, 3, 2, 3),
		    (clef_conv2d_opts){ .pad_top = 2, .pad_right = 3, .stride = 2, .pad_mode = mode });
		run(CLEF_SHAPE(2, 2, 6, 35), CLEF_SHAPE(4, 1, 3, 3),
		    (clef_conv2d_opts){ .pad = 2, .groups = 2, .dilation = 2, .pad_mode = mode });
		run(CLEF_SHAPE(2, 2, 3, 3), CLEF_SHAPE(4, 2, 3, 3), (clef_conv2d_opts){ .pad_mode = mode });
	}
	if (test_small())
		return;
	run(CLEF_SHAPE(2, 1, 1, 1), CLEF_SHAPE(2, 1, 3, 3),
	    (clef_conv2d_opts){ .pad = 9, .pad_mode = CLEF_PAD_REPLICATE });
	run(CLEF_SHAPE(2, 1, 1, 1), CLEF_SHAPE(2, 1, 3, 3),
	    (clef_conv2d_opts){ .pad = 1, .pad_mode = CLEF_PAD_CIRCULAR });
}
END_TEST

START_TEST(transposed)
{
	run_transposed(CLEF_SHAPE(1, 2, 3, 2), CLEF_SHAPE(2, 3, 2, 3), (clef_conv2d_opts){ .stride = 2, .pad = 1 }, 1,
		       0);
	if (test_small())
		return;
	run_transposed(CLEF_SHAPE(2, 3, 4, 33), CLEF_SHAPE(3, 5, 3, 3), (clef_conv2d_opts){ 0 }, 0, 0);
	run_transposed(CLEF_SHAPE(2, 3, 25, 25), CLEF_SHAPE(3, 5, 1, 1), (clef_conv2d_opts){ 0 }, 0, 0);
	run_transposed(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(3, 5, 2, 2), (clef_conv2d_opts){ .stride = 2 }, 0, 0);
	run_transposed(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(3, 5, 3, 4), (clef_conv2d_opts){ .stride = 3, .stride_w = 2 },
		       2, 1);
	/* Larger than the stride, but not than the dilation. */
	run_transposed(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(3, 5, 3, 3), (clef_conv2d_opts){ .dilation = 3 }, 2, 1);
	run_transposed(CLEF_SHAPE(2, 4, 4, 5), CLEF_SHAPE(4, 3, 3, 3),
		       (clef_conv2d_opts){ .stride = 2, .groups = 2, .pad = 1, .pad_left = 1, .pad_bottom = 2 }, 1, 1);
	run_transposed(CLEF_SHAPE(2, 4, 1, 1), CLEF_SHAPE(4, 3, 5, 5), (clef_conv2d_opts){ .stride = 9 }, 8, 0);
	run_transposed(CLEF_SHAPE(2, 16, 5, 5), CLEF_SHAPE(16, 8, 3, 3), (clef_conv2d_opts){ .groups = 2 }, 0, 0);
	/* More is cut than the kernel adds. */
	run_transposed(CLEF_SHAPE(2, 2, 9, 9), CLEF_SHAPE(2, 3, 3, 3), (clef_conv2d_opts){ .pad = 4 }, 0, 0);
}
END_TEST

START_TEST(one_dimension)
{
	conv_case c = { .one = true, .o = { .stride = 2, .pad = 1, .pad_left = 1 } };

	conv_case_run(CLEF_SHAPE(2, 3, 7), CLEF_SHAPE(4, 3, 3), &c);
	c.transposed = true;
	c.output_pad_w = 1;
	conv_case_run(CLEF_SHAPE(2, 3, 7), CLEF_SHAPE(3, 4, 3), &c);
	if (test_small())
		return;
	c = (conv_case){ .one = true, .o = { .dilation = 3, .groups = 2, .pad = 5, .pad_mode = CLEF_PAD_REFLECT } };
	conv_case_run(CLEF_SHAPE(3, 4, 257), CLEF_SHAPE(6, 2, 5), &c);
	c.o.pad_mode = CLEF_PAD_CIRCULAR;
	conv_case_run(CLEF_SHAPE(3, 4, 5), CLEF_SHAPE(6, 2, 5), &c);
	c = (conv_case){ .one = true, .transposed = true, .o = { .dilation = 2, .groups = 2, .pad_right = 1 } };
	conv_case_run(CLEF_SHAPE(3, 4, 33), CLEF_SHAPE(4, 3, 5), &c);
}
END_TEST

/* ---- random combinations ---- */

static uint64_t state;

static int roll(int from, int to)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return from + (int)((state >> 33) % (uint64_t)(to - from + 1));
}

/* Mostly `usual`. */
static int seldom(int usual, int from, int to)
{
	int other = roll(from, to);

	return roll(0, 2) ? usual : other;
}

static clef_conv2d_opts random_opts(void)
{
	return (clef_conv2d_opts){ .stride = seldom(0, 1, 4),
				   .stride_w = seldom(0, 1, 4),
				   .pad = seldom(0, 1, 3),
				   .pad_w = seldom(0, 1, 3),
				   .pad_top = seldom(0, 1, 3),
				   .pad_bottom = seldom(0, 1, 3),
				   .pad_left = seldom(0, 1, 3),
				   .pad_right = seldom(0, 1, 3),
				   .dilation = seldom(0, 1, 3),
				   .dilation_w = seldom(0, 1, 3),
				   .groups = seldom(1, 2, 3) };
}

static int64_t at_least(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void random_run(const conv_case *c, clef_shape x, clef_shape w)
{
	if (c->one) {
		x = CLEF_SHAPE(x.dim[0], x.dim[1], x.dim[3]);
		w = CLEF_SHAPE(w.dim[0], w.dim[1], w.dim[3]);
	}
	conv_case_run(x, w, c);
}

/* Shapes for which the options are allowed: padding is 6 at most, and a transposed image must not be cut away. */
static void random_case(void)
{
	conv_case c = { .transposed = roll(0, 2) == 0, .one = roll(0, 5) == 0, .o = random_opts() };
	int64_t parts = c.o.groups, in = parts * roll(1, 3), out = parts * roll(1, 3), n = roll(1, 3);
	int64_t h = roll(1, 9), w = roll(0, 2) ? roll(1, 9) : roll(1, 40), r = roll(1, 4), s = roll(1, 4);
	conv_geometry g;

	if (c.one) {
		h = r = 1;
		c.o.stride_w = c.o.dilation_w = c.o.pad_w = 0;
	}
	if (!c.transposed)
		c.o.pad_mode = (clef_pad_mode)roll(0, 3);
	g = conv_geometry_of(&c);
	if (c.transposed) {
		h = c.one ? 1 : h + 12;
		w += 12;
		c.output_pad_h = roll(0, (int)g.stride[0] - 1);
		c.output_pad_w = roll(0, (int)g.stride[1] - 1);
	} else {
		h = at_least(h, (r - 1) * g.dilation[0] + 1 - g.before[0] - g.after[0]);
		w = at_least(w, (s - 1) * g.dilation[1] + 1 - g.before[1] - g.after[1]);
		h = at_least(h, c.one || !c.o.pad_mode ? 1 : 7);
		w = at_least(w, c.o.pad_mode ? 7 : 1);
	}
	random_run(&c, CLEF_SHAPE(n, in, h, w),
		   c.transposed ? CLEF_SHAPE(in, out / parts, r, s) : CLEF_SHAPE(out, in / parts, r, s));
}

/* Four tests of some each, so that none conv_runs out of time. */
START_TEST(random_combinations)
{
	int count = test_small() ? 0 : test_long() ? 300 : 25;

	state = (uint64_t)_i + 1;
	for (int i = 0; i < count; i++)
		random_case();
	if (count)
		ck_assert_msg(conv_runs[0] > count / 3 && conv_runs[1] == count, "im2col did %d of %d, direct %d",
			      conv_runs[0], count, conv_runs[1]);
}
END_TEST

Suite *conv_suite(void)
{
	Suite *s = suite_create("conv");
	TCase *c = tcase_create("conv");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, plain);
	tcase_add_test(c, winograd);
	tcase_add_test(c, strides);
	tcase_add_test(c, padding);
	tcase_add_test(c, dilations);
	tcase_add_test(c, grouped);
	tcase_add_test(c, pad_modes);
	tcase_add_test(c, transposed);
	tcase_add_test(c, one_dimension);
	tcase_add_loop_test(c, random_combinations, 0, 4);
	suite_add_tcase(s, c);
	return s;
}
