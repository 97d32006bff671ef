/* SPDX-License-Identifier: Apache-2.0 */
/* Borders and repeats: pad and expand. */
#include "places.h"

static clef_tensor *apply_pad(clef_tensor **x, const void *opts)
{
	return clef_pad(x[0], opts);
}

/* Element i of a line that goes on by the mode's rule; -1 for a new one. Walks from the inside out. */
static int64_t beyond(int64_t i, int64_t size, clef_pad_mode mode)
{
	switch (mode) {
	case CLEF_PAD_ZEROS:
		break;
	case CLEF_PAD_REPLICATE:
		return i < 0 ? 0 : i < size ? i : size - 1;
	case CLEF_PAD_CIRCULAR:
		return i;
	case CLEF_PAD_REFLECT:
		while (i < 0 || i >= size)
			i = i < 0 ? -i : 2 * (size - 1) - i;
		return i;
	}
	return i < 0 || i >= size ? -1 : i;
}

static void reference_pad(const ref_array *x, const void *opts, ref_array *y)
{
	const clef_pad_opts *o = opts;

	for (int64_t i = 0; i < y->numel; i++) {
		place p = place_of(&y->shape, i);
		bool inside = true;

		for (int d = 0; d < y->shape.ndim; d++) {
			const int *border = &o->pad[2 * (y->shape.ndim - 1 - d)];
			int64_t first = border[0] < 0 ? -border[0] : 0;
			int64_t left = x->shape.dim[d] - first + (border[1] < 0 ? border[1] : 0);

			if (o->mode == CLEF_PAD_CIRCULAR)
				p.at[d] = first + (p.at[d] - border[0] - first + 4 * left) % left;
			else
				p.at[d] = beyond(p.at[d] - border[0], x->shape.dim[d], o->mode);
			inside = inside && p.at[d] >= 0;
		}
		y->v[i] = inside ? value_at(&x[0], &p) : (double)o->value;
	}
}

static void run_pad(clef_shape shape, clef_pad_opts opts)
{
	run_exact((op_case){ .name = "pad", .apply = apply_pad, .reference = reference_pad, .opts = &opts }, shape);
}

#define BORDER(...)                                                                                                    \
	(clef_pad_opts)                                                                                                \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

START_TEST(pad)
{
	for (int mode = CLEF_PAD_ZEROS; mode <= CLEF_PAD_CIRCULAR; mode++) {
		clef_pad_mode m = (clef_pad_mode)mode;

		run_pad(CLEF_SHAPE(1, 3, 4), BORDER(.pad = { 2, 1, 1, 2 }, .mode = m));
		if (test_small())
			continue;
		run_pad(CLEF_SHAPE(2, 3, 5, 6), BORDER(.pad = { 4, 4, 3, 3 }, .mode = m));
		run_pad(CLEF_SHAPE(2, 3, 5, 6), BORDER(.pad = { 0, 0, 0, 2 }, .mode = m));
		run_pad(CLEF_SHAPE(2, 3, 33), BORDER(.pad = { 1, 0, 2, 2, 1, 1 }, .mode = m));
		run_pad(CLEF_SHAPE(2, 257), BORDER(.pad = { 256, 256 }, .mode = m));
		run_pad(CLEF_SHAPE(7, 8), BORDER(.pad = { -2, 3, 2, -4 }, .mode = m));
		run_pad(CLEF_SHAPE(7, 8), BORDER(.pad = { -2, -3, -3, -4 }, .mode = m));
		run_pad(CLEF_SHAPE(4, 3), BORDER(.mode = m));
		run_pad(CLEF_SHAPE(9), BORDER(.pad = { 2, -3 }, .mode = m));
		run_pad(CLEF_SHAPE(0, 3), BORDER(.pad = { 2, 2 }, .mode = m));
	}
	if (test_small())
		return;
	run_pad(CLEF_SHAPE(3, 4), BORDER(.pad = { 1, 2, 30, 0 }, .value = -7));
	run_pad(CLEF_SHAPE(3, 0), BORDER(.pad = { 1, 2 }, .value = 3));
	run_pad(CLEF_SHAPE(1, 1), BORDER(.pad = { 5, 9, 3, 0 }, .mode = CLEF_PAD_REPLICATE));
	run_pad(CLEF_SHAPE(2, 3), BORDER(.pad = { -4, 6 }, .mode = CLEF_PAD_REPLICATE));
	run_pad(CLEF_SHAPE(2, 3), BORDER(.pad = { 6, -4 }, .mode = CLEF_PAD_REPLICATE));
	run_pad(CLEF_SHAPE(2, 3), BORDER(.pad = { 3, 3 }, .mode = CLEF_PAD_CIRCULAR));
	run_pad(CLEF_SHAPE(2, 3), BORDER(.pad = { -4, 2 }, .mode = CLEF_PAD_REFLECT));
}
END_TEST

static clef_tensor *apply_expand(clef_tensor **x, const void *opts)
{
	return clef_expand(x[0], *(const clef_shape *)opts);
}

static void reference_expand(const ref_array *x, const void *opts, ref_array *y)
{
	int front = y->shape.ndim - x->shape.ndim;

	(void)opts;
	for (int64_t i = 0; i < y->numel; i++) {
		place p = place_of(&y->shape, i), from = { { 0 } };

		for (int d = 0; d < x->shape.ndim; d++)
			from.at[d] = x->shape.dim[d] == 1 ? 0 : p.at[d + front];
		y->v[i] = value_at(&x[0], &from);
	}
}

static void run_expand(clef_shape shape, clef_shape to)
{
	run_exact((op_case){ .name = "expand", .apply = apply_expand, .reference = reference_expand, .opts = &to },
		  shape);
}

START_TEST(expand)
{
	run_expand(CLEF_SHAPE(2, 1), CLEF_SHAPE(2, 3));
	if (test_small())
		return;
	run_expand(CLEF_SHAPE(1, 3, 1), CLEF_SHAPE(5, -1, 7));
	run_expand(CLEF_SHAPE(3), CLEF_SHAPE(2, 4, 3));
	run_expand(CLEF_SHAPE(1), CLEF_SHAPE(257, 33));
	run_expand(CLEF_SCALAR, CLEF_SHAPE(3, 2));
	run_expand(CLEF_SHAPE(2, 3), CLEF_SHAPE(2, 3));
	run_expand(CLEF_SHAPE(2, 3), CLEF_SHAPE(1, 2, -1));
	run_expand(CLEF_SHAPE(2, 1), CLEF_SHAPE(2, 0));
	run_expand(CLEF_SHAPE(0, 1), CLEF_SHAPE(4, 0, 3));
}
END_TEST

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
