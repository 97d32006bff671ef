/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that move elements about: the problems of their families, integers, and what is refused. */
#include <string.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

/* ---- problems ---- */

START_TEST(permute)
{
	check_family(&clef__family_permute);
}
END_TEST

START_TEST(transpose)
{
	check_family(&clef__family_transpose);
}
END_TEST

START_TEST(cat)
{
	check_family(&clef__family_cat);
}
END_TEST

START_TEST(stack)
{
	check_family(&clef__family_stack);
}
END_TEST

START_TEST(slice)
{
	check_family(&clef__family_slice);
}
END_TEST

START_TEST(split)
{
	check_family(&clef__family_split);
}
END_TEST

START_TEST(numbers_of_parts)
{
	static float v[12];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x, *parts[4];

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(3, 4), v }));
	ck_ok(clef_split(x, 4, 1, parts, 1));
	ck_ok(clef_split(x, 100, 1, parts, 1));
	ck_ok(clef_split(x, 1, -2, parts, 3));
	ck_assert(clef_shape_equal(clef_tensor_shape(parts[2]), CLEF_SHAPE(1, 4)));
	ck_ok(clef_split(clef_slice(x, 0, 0, 0, 1), 5, 0, parts, 1));
	ck_assert(clef_shape_equal(clef_tensor_shape(parts[0]), CLEF_SHAPE(0, 4)));
	ck_fails(clef_split(x, 3, 1, parts, 1), CLEF_ERROR_INVALID,
		 "split: x [3, 4] has 2 parts of 3 along dimension 1, not 1");
	ck_assert_ptr_null(parts[0]);
	parts[3] = x;
	ck_fails(clef_split(NULL, 1, 1, parts, 4), CLEF_ERROR_INVALID, "split: given NULL");
	ck_assert(!parts[0] && !parts[3]);
	ck_fails(clef_split(x, 0, 1, parts, 4), CLEF_ERROR_INVALID, "split: parts of 0: 1 or more");
	ck_fails(clef_split(x, 1, 2, parts, 4), CLEF_ERROR_INVALID, "split: dimension 2 of x [3, 4]");
	clef_tape_free(tape);
}
END_TEST

/* ---- types and errors ---- */

#define BORDER(...)                                                                                                    \
	(clef_pad_opts)                                                                                                \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

/* Bits that are denormal numbers or odd sorts of NaN as floats. */
static const int32_t odd[] = { 1, -1, 0x7f800001, INT32_MIN, 0x00400000, 7 };

static void check_ints(const clef_tensor *y, const int *from, int count)
{
	int32_t got[16];

	ck_assert_ptr_nonnull(y);
	ck_assert_int_eq(clef_tensor_dtype(y), CLEF_INT32);
	ck_ok(clef_read(y, got, (size_t)count * sizeof(int32_t)));
	for (int i = 0; i < count; i++)
		ck_assert_msg(got[i] == (from[i] < 0 ? 0 : odd[from[i]]), "element %d is %d", i, (int)got[i]);
}

START_TEST(integers)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	int32_t values[CLEF_COUNT(odd)];
	clef_tensor *x, *parts[2];

	memcpy(values, odd, sizeof(odd));
	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &(clef_array){ CLEF_INT32, CLEF_SHAPE(2, 3), values }));
	check_ints(clef_transpose(x, 0, 1), (int[]){ 0, 3, 1, 4, 2, 5 }, 6);
	check_ints(clef_cat((clef_tensor *[]){ x, x }, 2, 1), (int[]){ 0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5 }, 12);
	check_ints(clef_stack(&x, 1, 2), (int[]){ 0, 1, 2, 3, 4, 5 }, 6);
	ck_ok(clef_split(x, 2, 1, parts, 2));
	check_ints(parts[1], (int[]){ 2, 5 }, 2);
	check_ints(clef_expand(clef_slice(x, 1, 1, 2, 1), CLEF_SHAPE(2, 2)), (int[]){ 1, 1, 4, 4 }, 4);
	check_ints(clef_pad(x, &BORDER(.pad = { 1, 0 })), (int[]){ -1, 0, 1, 2, -1, 3, 4, 5 }, 8);
	check_ints(clef_pad(x, &BORDER(.pad = { 1, 0 }, .mode = CLEF_PAD_REFLECT)), (int[]){ 1, 0, 1, 2, 4, 3, 4, 5 },
		   8);
	clef_tape_free(tape);
}
END_TEST

START_TEST(errors)
{
	static float v[24];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x, *scalar, *eight, *labels = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 12)));

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 12), v }));
	scalar = ck_new(clef_sum(x, NULL));
	eight = ck_new(clef_reshape(x, CLEF_SHAPE(1, 1, 1, 1, 1, 1, 2, 12)));
	ck_null_fails(clef_permute(x, CLEF_SHAPE(0)), CLEF_ERROR_INVALID,
		      "permute: an order of 1 dimensions for x [2, 12]");
	ck_null_fails(clef_permute(x, CLEF_SHAPE(0, 2)), CLEF_ERROR_INVALID,
		      "permute: dimension 2 of x [2, 12]: -2 to 1 are allowed");
	ck_null_fails(clef_permute(x, CLEF_SHAPE(1, -1)), CLEF_ERROR_INVALID,
		      "dimension 1 is twice in the order [1, -1]");
	ck_null_fails(clef_permute(x, CLEF_SHAPE(0, INT64_MAX)), CLEF_ERROR_INVALID, "are allowed");
	ck_null_fails(clef_transpose(x, -3, 1), CLEF_ERROR_INVALID, "transpose: dimension -3 of x [2, 12]");
	ck_null_fails(clef_transpose(scalar, 0, 0), CLEF_ERROR_INVALID, "dimension 0 of a scalar");
	ck_null_fails(clef_transpose(NULL, 0, 0), CLEF_ERROR_INVALID, "transpose: given NULL");
	ck_null_fails(clef_cat(&x, 0, 0), CLEF_ERROR_INVALID, "cat: 0 tensors: 1 or more");
	ck_null_fails(clef_cat(NULL, 2, 0), CLEF_ERROR_INVALID, "cat: given NULL");
	ck_null_fails(clef_cat((clef_tensor *[]){ x, labels }, 2, 0), CLEF_ERROR_DTYPE,
		      "cat: tensor 2 is int32, the first is float32");
	ck_null_fails(clef_cat((clef_tensor *[]){ x, clef_reshape(x, CLEF_SHAPE(3, 8)) }, 2, 0), CLEF_ERROR_SHAPE,
		      "cat: tensor 2 has shape [3, 8], expected that of the first, [2, 12], but for dimension 0");
	ck_null_fails(clef_cat((clef_tensor *[]){ x, scalar }, 2, 0), CLEF_ERROR_SHAPE, "tensor 2 has shape []");
	ck_null_fails(clef_stack((clef_tensor *[]){ x, scalar }, 2, 0), CLEF_ERROR_SHAPE,
		      "stack: tensor 2 has shape [], the first has [2, 12]");
	ck_null_fails(clef_stack(&eight, 1, 0), CLEF_ERROR_SHAPE, "at most 7 dimensions");
	ck_null_fails(clef_stack(&x, 1, 3), CLEF_ERROR_INVALID, "-3 to 2 are allowed");
	ck_null_fails(clef_slice(x, 2, 0, 1, 1), CLEF_ERROR_INVALID, "slice: dimension 2 of x [2, 12]");
	ck_null_fails(clef_slice(x, 1, 0, 1, 0), CLEF_ERROR_INVALID, "slice: step 0: 1 or more");
	clef_tensor_free(labels);
	clef_tape_free(tape);
}
END_TEST

Suite *shaping_suite(void)
{
	Suite *s = suite_create("shaping");
	TCase *c = tcase_create("shaping");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, permute);
	tcase_add_test(c, transpose);
	tcase_add_test(c, cat);
	tcase_add_test(c, stack);
	tcase_add_test(c, slice);
	tcase_add_test(c, split);
	tcase_add_test(c, numbers_of_parts);
	tcase_add_test(c, integers);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
