/* SPDX-License-Identifier: Apache-2.0 */
/* Augmentation: the problems of its family; how often and how far; and the text of options. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"
#include "nn_case.h"

START_TEST(augment)
{
	check_family(&clef__family_augment);
}
END_TEST

/* NaN and infinity in pixels that are cut off or covered must not be left as 0 times NaN. */
START_TEST(covered_pixels_are_zero)
{
	const clef_augment_opts opts = { .erase = 2 };
	float v[] = { NAN, INFINITY, -INFINITY, NAN };
	clef_array x = { CLEF_FLOAT32, CLEF_SHAPE(1, 1, 2, 2), v };
	int zeros = 0;

	for (uint64_t i = 0; i < 40; i++) {
		clef_rng rng = { 1, i };
		float *y;

		ck_ok(clef_tape_begin_no_grad(nn_tape));
		y = nn_values(ck_new(clef_augment(clef_input(nn_tape, &x), &opts, &rng)));
		for (int k = 0; k < 4; k++) {
			zeros += y[k] == 0.0f;
			ck_assert(y[k] == 0.0f || !isfinite(y[k]));
		}
		free(y);
	}
	ck_assert_int_gt(zeros, 40);
}
END_TEST

/* A batch of images 0, 1, 2, ... 24 pixel by pixel: where the first lands says how it was moved. Every place of a crop
 * by 1 and both sides of a flip must come up about equally often. */
START_TEST(all_places_are_equally_likely)
{
	enum { IMAGES = 1800, SIDE = 5, AREA = SIDE * SIDE };

	const clef_augment_opts opts = { .crop = 1, .flip = 0.25f };
	float *v, *y;
	clef_array x = { CLEF_FLOAT32, CLEF_SHAPE(IMAGES, 1, SIDE, SIDE), NULL };
	clef_rng rng = { 9, 0 };
	int places[9] = { 0 }, flips = 0;

	if (test_small())
		test_skip("statistics of many images");
	x.data = v = ck_new(malloc(IMAGES * AREA * sizeof(*v)));
	for (int i = 0; i < IMAGES * AREA; i++)
		v[i] = (float)(i % AREA + 1);
	ck_ok(clef_tape_begin_no_grad(nn_tape));
	y = nn_values(ck_new(clef_augment(clef_input(nn_tape, &x), &opts, &rng)));
	for (int i = 0; i < IMAGES; i++) {
		const float *image = y + i * AREA;
		/* The middle pixel is always inside. */
		int middle = (int)image[AREA / 2] - 1, next = (int)image[AREA / 2 + 1] - 1;

		places[(middle / SIDE - 1) * 3 + middle % SIDE - 1]++;
		flips += next < middle;
	}
	for (int k = 0; k < 9; k++)
		ck_assert_msg(abs(places[k] - IMAGES / 9) < 60, "place %d came %d times of %d", k, places[k], IMAGES);
	ck_assert_msg(abs(flips - IMAGES / 4) < 80, "%d of %d were mirrored", flips, IMAGES);
	free(v);
	free(y);
}
END_TEST

START_TEST(wrong_options)
{
	static const struct {
		clef_augment_opts opts;
		const char *part;
	} rows[] = {
		{ { .crop = -1 }, "augment: crop is -1: 0 to 3 are allowed for images of [2, 1, 4, 6]" },
		{ { .crop = 4 }, "crop is 4: 0 to 3" },
		{ { .erase = 5 }, "erase is 5: 0 to 4" },
		{ { .erase = -2 }, "erase is -2: 0 to 4" },
		{ { .translate = 1 }, "translate is 1: 0 to below 1" },
		{ { .translate = NAN }, "translate is nan: 0 to below 1" },
		{ { .flip = 1.5f }, "flip is 1.5: 0 to 1" },
		{ { .vflip = -0.5f }, "vflip is -0.5: 0 to 1" },
		{ { .erase_p = NAN }, "erase_p is nan: 0 to 1" },
	};
	float v[48] = { 0 };
	clef_array x = { CLEF_FLOAT32, CLEF_SHAPE(2, 1, 4, 6), v }, flat = { CLEF_FLOAT32, CLEF_SHAPE(2, 24), v };
	clef_rng rng = { 5, 6 };

	ck_ok(clef_tape_begin_no_grad(nn_tape));
	for (int i = 0; i < CLEF_COUNT(rows); i++)
		ck_null_fails(clef_augment(clef_input(nn_tape, &x), &rows[i].opts, &rng), CLEF_ERROR_INVALID,
			      rows[i].part);
	ck_null_fails(clef_augment(clef_input(nn_tape, &flat), &rows[0].opts, &rng), CLEF_ERROR_SHAPE,
		      "x has shape [2, 24], expected [n, channels, height, width]");
	ck_null_fails(clef_augment(clef_input(nn_tape, &x), NULL, NULL), CLEF_ERROR_INVALID, "rng is NULL");
	ck_null_fails(clef_augment(NULL, NULL, &rng), CLEF_ERROR_INVALID, "NULL");
	ck_assert_uint_eq(rng.counter, 6);
}
END_TEST

/* ---- text ---- */

START_TEST(texts)
{
	static const struct {
		const char *text;
		clef_augment_opts opts;
	} rows[] = {
		{ "", { 0 } },
		{ " crop(4) flip erase(8) ", { .crop = 4, .flip = 0.5f, .erase = 8 } },
		{ "reflect, crop(pad=2)", { .crop = 2, .reflect = true } },
		{ "translate", { .translate = 0.1f } },
		{ "translate(0.25) -> vflip", { .translate = 0.25f, .vflip = 0.5f } },
		{ "erase(3, 0.5) flip(p=1) vflip(0.25)", { .erase = 3, .erase_p = 0.5f, .flip = 1, .vflip = 0.25f } },
	};
	static const struct {
		const char *text, *part;
	} wrong[] = {
		{ "crop", "\"crop\" at character 1: a number is missing; allowed is crop(pad)" },
		{ "crop(0)", "a whole number from 1" },
		{ "crop(4) crop(4)", "\"crop\" is there twice" },
		{ "croop(4)",
		  "unknown augmentation \"croop\" at character 1; did you mean \"crop\"?; known are crop, translate" },
		{ "flip(2)", "p is 2, must be >= 0 and <= 1" },
		{ "translate(1)", "share is 1, must be >= 0 and < 1" },
		{ "erase(8, p=-1)", "p is -1, must be" },
		{ "erase(8, 1, 1)", "one value too many" },
		{ "reflect(1)", "one value too many" },
		{ "flip(", "a value was expected" },
	};
	clef_augment_opts o;

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		const clef_augment_opts *want = &rows[i].opts;

		ck_ok(clef_augment_parse(rows[i].text, &o));
		ck_assert(o.crop == want->crop && o.erase == want->erase && o.reflect == want->reflect);
		ck_assert_float_eq(o.flip, want->flip);
		ck_assert_float_eq(o.vflip, want->vflip);
		ck_assert_float_eq(o.translate, want->translate);
		ck_assert_float_eq(o.erase_p, want->erase_p);
	}
	o = (clef_augment_opts){ .crop = 77 };
	for (int i = 0; i < CLEF_COUNT(wrong); i++)
		ck_fails(clef_augment_parse(wrong[i].text, &o), CLEF_ERROR_INVALID, wrong[i].part);
	ck_fails(clef_augment_parse(NULL, &o), CLEF_ERROR_INVALID, "given NULL");
	ck_fails(clef_augment_parse("flip", NULL), CLEF_ERROR_INVALID, "given NULL");
	ck_assert_int_eq(o.crop, 77);
}
END_TEST

/* A zero that is written is not a default. */
START_TEST(never)
{
	clef_augment_opts o;
	float v[] = { 1, 2, 3, 4 };
	clef_array x = { CLEF_FLOAT32, CLEF_SHAPE(1, 1, 2, 2), v };

	ck_ok(clef_augment_parse("erase(2, p=0) flip(0) translate(0)", &o));
	for (uint64_t i = 0; i < 20; i++) {
		clef_rng rng = { 2, i };
		float *y;

		ck_ok(clef_tape_begin_no_grad(nn_tape));
		y = nn_values(ck_new(clef_augment(clef_input(nn_tape, &x), &o, &rng)));
		ck_assert_mem_eq(y, v, sizeof(v));
		free(y);
	}
}
END_TEST

Suite *augment_suite(void)
{
	Suite *s = suite_create("augment");
	TCase *c = nn_add_case(s, "augment");

	tcase_add_test(c, augment);
	tcase_add_test(c, covered_pixels_are_zero);
	tcase_add_test(c, all_places_are_equally_likely);
	tcase_add_test(c, wrong_options);
	tcase_add_test(c, texts);
	tcase_add_test(c, never);
	return s;
}
