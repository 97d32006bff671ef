/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions: the problems of their families, and random combinations, by every implementation. */
#include <stdio.h>
#include <string.h>

#include "check_clef.h"
#include "conv_case.h"
#include "families.h"

/* Every PARTS-th problem of a family from the first on, so that a test of many does not run out of time. Those with a
 * "by" of their own are another's problem. */
#define PARTS 8

static void check_part(const clef__family *f, int first, int parts)
{
	int count = test_small() ? f->quick : f->count;

	for (int i = first; i < count; i += parts)
		if (!strstr(f->problems[i], " by="))
			conv_check(f->problems[i]);
}

START_TEST(conv2d)
{
	check_part(&clef__family_conv2d, _i, PARTS);
}
END_TEST

START_TEST(conv1d)
{
	check_part(&clef__family_conv1d, 0, 1);
}
END_TEST

START_TEST(conv_transpose2d)
{
	check_part(&clef__family_conv_transpose2d, 0, 1);
}
END_TEST

START_TEST(conv_transpose1d)
{
	check_part(&clef__family_conv_transpose1d, 0, 1);
}
END_TEST

/* What the tests above do not ask for by every name: the library's choice, and whatever names one. */
START_TEST(by)
{
	static const clef__family *const families[] = { &clef__family_conv2d, &clef__family_conv1d,
							&clef__family_conv_transpose2d,
							&clef__family_conv_transpose1d };

	for (int i = 0; i < CLEF_COUNT(families); i++)
		for (int j = 0; j < (test_small() ? families[i]->quick : families[i]->count); j++)
			if (j < families[i]->quick)
				check_problem(families[i]->problems[j]);
			else if (strstr(families[i]->problems[j], " by="))
				check_problem_or_skip(families[i]->problems[j]);
}
END_TEST

/* Groups that are large enough for products, and groups that are not; more channels than local memory has room for. */
START_TEST(fits)
{
	static const char *const done[] = {
		"conv2d n2 c8 h6 w7 k16 r3 p1 g2 by=im2col whole",
		"conv2d n2 c64 h4 k16 r1 g2 by=im2col whole",
	};
	static const char *const refused[] = {
		"conv2d n2 c5 h9 w35 k5 r3 p1 g5 by=im2col whole",
		"conv2d n2 c4 h5 k2 r1 g2 by=im2col whole",
	};

	for (int i = 0; i < (test_small() ? 0 : CLEF_COUNT(done)); i++)
		check_problem(done[i]);
	for (int i = 0; i < (test_small() ? 0 : CLEF_COUNT(refused)); i++)
		ck_assert(!check_problem_or_skip(refused[i]));
	if (conv_has_cpu()) {
		check_problem("conv2d n3 c230 h5 k14 r3 p1 by=winograd whole");
		check_problem("conv2d n3 c230 h5 k14 r3 p1 by=winograd no_bias");
	}
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

static int at_least(int a, int b)
{
	return a > b ? a : b;
}

/* Along one direction. Padding is 6 at most, and a transposed image must not be cut away. */
typedef struct axis {
	int size, kernel, stride, pad, before, after, dilation, more;
} axis;

static axis random_axis(int longest, int pad, bool transposed, bool mirrored)
{
	axis a = { .size = roll(1, longest),
		   .kernel = roll(1, 4),
		   .stride = seldom(1, 1, 4),
		   .pad = pad,
		   .before = seldom(0, 1, 3),
		   .after = seldom(0, 1, 3),
		   .dilation = seldom(1, 1, 3) };

	if (transposed) {
		a.size += 12;
		a.more = roll(0, a.stride - 1);
		return a;
	}
	a.size = at_least(a.size, (a.kernel - 1) * a.dilation + 1 - 2 * a.pad - a.before - a.after);
	a.size = at_least(a.size, mirrored ? 7 : 1);
	return a;
}

static void random_case(char *text, size_t size)
{
	static const char *const modes[] = { "zeros", "reflect", "replicate", "circular" };
	bool transposed = roll(0, 2) == 0, one = roll(0, 5) == 0;
	int groups = seldom(1, 2, 3), c = groups * roll(1, 3), k = groups * roll(1, 3);
	int mode = transposed ? 0 : roll(0, 3);
	int pad = seldom(0, 1, 3), pad_w = seldom(0, 1, 3); /* 0: the same */
	axis h = random_axis(9, pad, transposed, mode != 0);
	axis w = random_axis(roll(0, 2) ? 9 : 40, pad_w ? pad_w : pad, transposed, mode != 0);
	size_t used = (size_t)snprintf(text, size, "conv%s%s n%d c%d k%d g%d", transposed ? "_transpose" : "",
				       one ? "1d" : "2d", roll(1, 3), c, k, groups);

	if (one)
		used += (size_t)snprintf(text + used, size - used, " l%d r%d st%d p%d pl%d pr%d d%d", w.size, w.kernel,
					 w.stride, w.pad, w.before, w.after, w.dilation);
	else
		used += (size_t)snprintf(text + used, size - used,
					 " h%d w%d r%d s%d st%d stw%d p%d pw%d pt%d pb%d pl%d pr%d d%d dw%d", h.size,
					 w.size, h.kernel, w.kernel, h.stride, w.stride, w.pad ? h.pad : 0, w.pad,
					 h.before, h.after, w.before, w.after, h.dilation, w.dilation);
	if (transposed && one)
		snprintf(text + used, size - used, " op%d", w.more);
	else if (transposed)
		snprintf(text + used, size - used, " oph%d opw%d", h.more, w.more);
	else
		snprintf(text + used, size - used, " mode=%s", modes[mode]);
}

/* Some tests of some each, so that none runs out of time. */
START_TEST(random_combinations)
{
	int count = test_small() ? 0 : test_long() ? 300 : 25;

	state = (uint64_t)_i + 1;
	for (int i = 0; i < count; i++) {
		char text[CLEF__PROBLEM_TEXT - 40], problem[CLEF__PROBLEM_TEXT];

		random_case(text, sizeof(text));
		snprintf(problem, sizeof(problem), "%s whole", text);
		conv_check(problem);
		snprintf(problem, sizeof(problem), "%s no_bias", text);
		conv_check(problem);
	}
}
END_TEST

Suite *conv_suite(void)
{
	Suite *s = suite_create("conv");
	TCase *c = tcase_create("conv");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, conv2d, 0, PARTS);
	tcase_add_test(c, conv1d);
	tcase_add_test(c, conv_transpose2d);
	tcase_add_test(c, conv_transpose1d);
	tcase_add_test(c, by);
	tcase_add_test(c, fits);
	tcase_add_loop_test(c, random_combinations, 0, 4);
	suite_add_tcase(s, c);
	return s;
}
