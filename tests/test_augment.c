/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Augmentation, bit for bit against a host that does one thing after another to each image, with the numbers of the
 * same stream; how often and how far; and the text of options.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "nn_case.h"
#include "op_case.h"

static const clef_rng stream = { 0x123456789abcdef0u, 0x500000007u };

/* ---- a host's augmentation ---- */

/* One channel of an image. */
typedef struct plane {
	int h, w;
	double *v;
} plane;

static plane plane_new(int h, int w)
{
	return (plane){ h, w, ck_new(calloc((size_t)(h * w), sizeof(double))) };
}

/* The pixel, or what stands for it outside. */
static double at(plane p, int row, int column, bool reflect)
{
	if (reflect) {
		row = row < 0 ? -row : row >= p.h ? 2 * p.h - 2 - row : row;
		column = column < 0 ? -column : column >= p.w ? 2 * p.w - 2 - column : column;
	}
	return row >= 0 && row < p.h && column >= 0 && column < p.w ? p.v[row * p.w + column] : 0;
}

/* Puts `pad` pixels around the image and takes the h x w from (row, column) on. */
static void cut(plane p, int pad, int row, int column, bool reflect)
{
	plane padded = plane_new(p.h + 2 * pad, p.w + 2 * pad);

	for (int i = 0; i < padded.h; i++)
		for (int k = 0; k < padded.w; k++)
			padded.v[i * padded.w + k] = at(p, i - pad, k - pad, reflect);
	for (int i = 0; i < p.h; i++)
		for (int k = 0; k < p.w; k++)
			p.v[i * p.w + k] = padded.v[(i + row) * padded.w + k + column];
	free(padded.v);
}

static void move(plane p, int down, int across, bool reflect)
{
	plane from = plane_new(p.h, p.w);

	memcpy(from.v, p.v, (size_t)(p.h * p.w) * sizeof(*p.v));
	for (int i = 0; i < p.h; i++)
		for (int k = 0; k < p.w; k++)
			p.v[i * p.w + k] = at(from, i + down, k + across, reflect);
	free(from.v);
}

static void swap(double *a, double *b)
{
	double t = *a;

	*a = *b;
	*b = t;
}

static int choice(uint32_t word, int count)
{
	return (int)(((uint64_t)word * (uint64_t)count) >> 32);
}

static bool happens(uint32_t word, float p)
{
	return (double)(word >> 8) < (double)p * 0x1p24;
}

static void augment_plane(plane p, const clef_augment_opts *o, const uint32_t w[12])
{
	int down = (int)fmin(round((double)o->translate * p.h), p.h - 1);
	int across = (int)fmin(round((double)o->translate * p.w), p.w - 1), size = (int)o->erase;
	int top = choice(w[6], p.h) - size / 2, left = choice(w[7], p.w) - size / 2;

	cut(p, (int)o->crop, choice(w[0], 2 * (int)o->crop + 1), choice(w[1], 2 * (int)o->crop + 1), o->reflect);
	move(p, choice(w[2], 2 * down + 1) - down, choice(w[3], 2 * across + 1) - across, o->reflect);
	for (int i = 0; i < p.h && happens(w[4], o->flip); i++)
		for (int k = 0; k < p.w / 2; k++)
			swap(&p.v[i * p.w + k], &p.v[i * p.w + p.w - 1 - k]);
	for (int i = 0; i < p.h / 2 && happens(w[5], o->vflip); i++)
		for (int k = 0; k < p.w; k++)
			swap(&p.v[i * p.w + k], &p.v[(p.h - 1 - i) * p.w + k]);
	for (int i = 0; i < p.h && happens(w[8], o->erase_p > 0 ? o->erase_p : 1); i++)
		for (int k = 0; k < p.w; k++)
			if (i >= top && i < top + size && k >= left && k < left + size)
				p.v[i * p.w + k] = 0;
}

/* ---- values ---- */

static clef_tensor *apply(clef_tensor **x, const void *opts)
{
	clef_rng rng = stream;
	clef_tensor *y = clef_augment(x[0], opts, &rng);

	ck_assert_uint_eq(rng.seed, stream.seed);
	ck_assert_uint_eq(rng.counter, stream.counter + 1);
	return y;
}

static void reference(const ref_array *x, const void *opts, ref_array *y)
{
	const int64_t *dim = x->shape.dim;
	size_t images = (size_t)dim[0];
	uint32_t *words = ck_new(calloc(12 * images + 1, sizeof(*words)));
	clef_rng rng = stream;
	plane p = { (int)dim[2], (int)dim[3], y->v };

	clef_rng_uint32(&rng, words, 12 * images);
	for (int64_t i = 0; i < x->numel; i++)
		y->v[i] = x->v[i];
	for (int64_t i = 0; i < dim[0] * dim[1] && x->numel; i++, p.v += p.h * p.w)
		augment_plane(p, opts, words + 12 * (i / dim[1]));
	free(words);
}

START_TEST(values)
{
	static const clef_augment_opts opts[] = {
		{ 0 },
		{ .crop = 2 },
		{ .flip = 0.5f },
		{ .vflip = 0.5f },
		{ .erase = 3 },
		{ .crop = 3, .reflect = true },
		{ .translate = 0.3f },
		{ .translate = 0.99f, .reflect = true },
		{ .erase = 2, .erase_p = 0.5f },
		{ .flip = 1, .vflip = 1, .erase = 4 },
		{ .crop = 3, .translate = 0.5f, .flip = 0.5f, .vflip = 0.3f, .erase = 3, .erase_p = 0.7f },
		{ .crop = 3, .translate = 0.9f, .flip = 0.5f },
		{ .crop = 3, .translate = 0.4f, .flip = 0.5f, .vflip = 0.3f, .erase = 3, .reflect = true },
	};
	static const clef_shape shapes[] = { { 4, { 5, 2, 4, 5 } }, { 4, { 2057, 1, 5, 4 } }, { 4, { 2, 3, 32, 32 } } };

	for (int s = 0; s < (test_small() ? 1 : CLEF_COUNT(shapes)); s++)
		for (int i = 0; i < CLEF_COUNT(opts); i++)
			op_case_run(&(op_case){ .name = "augment",
						.apply = apply,
						.reference = reference,
						.opts = &opts[i],
						.inputs = 1,
						.in = { { .shape = shapes[s], .lo = 1, .hi = 9 } },
						.no_gradient = true });
}
END_TEST

START_TEST(sizes_at_the_edge)
{
	static const clef_augment_opts all = { .crop = 0, .translate = 0.9f, .flip = 1, .vflip = 1, .reflect = true };
	static const clef_shape shapes[] = {
		{ 4, { 3, 1, 1, 1 } }, { 4, { 0, 3, 4, 4 } }, { 4, { 2, 0, 4, 4 } }, { 4, { 2, 3, 0, 4 } },
		{ 4, { 2, 3, 4, 0 } }, { 4, { 2, 1, 1, 9 } }, { 4, { 2, 1, 9, 1 } },
	};

	for (int i = 0; i < CLEF_COUNT(shapes); i++)
		op_case_run(&(op_case){ .name = "augment",
					.apply = apply,
					.reference = reference,
					.opts = &all,
					.inputs = 1,
					.in = { { .shape = shapes[i], .lo = 1, .hi = 9 } },
					.no_gradient = true });
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

	tcase_add_test(c, values);
	tcase_add_test(c, sizes_at_the_edge);
	tcase_add_test(c, covered_pixels_are_zero);
	tcase_add_test(c, all_places_are_equally_likely);
	tcase_add_test(c, wrong_options);
	tcase_add_test(c, texts);
	tcase_add_test(c, never);
	return s;
}
