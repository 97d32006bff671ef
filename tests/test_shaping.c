/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that move elements about, against loops over coordinates. */
#include <string.h>

#include "places.h"

/* ---- permute and transpose ---- */

static clef_tensor *apply_permute(clef_tensor **x, const void *opts)
{
	return clef_permute(x[0], *(const clef_shape *)opts);
}

static void reference_permute(const ref_array *x, const void *opts, ref_array *y)
{
	const clef_shape *order = opts;

	for (int64_t i = 0; i < y->numel; i++) {
		place p = place_of(&y->shape, i), from = { { 0 } };

		for (int d = 0; d < order->ndim; d++) {
			int64_t o = order->dim[d] < 0 ? order->dim[d] + order->ndim : order->dim[d];

			from.at[o] = p.at[d];
		}
		y->v[i] = value_at(&x[0], &from);
	}
}

static void run_permute(clef_shape shape, clef_shape order)
{
	run_exact(
		(op_case){ .name = "permute", .apply = apply_permute, .reference = reference_permute, .opts = &order },
		shape);
}

static clef_tensor *apply_transpose(clef_tensor **x, const void *opts)
{
	const int *dims = opts;

	return clef_transpose(x[0], dims[0], dims[1]);
}

static void reference_transpose(const ref_array *x, const void *opts, ref_array *y)
{
	const int *dims = opts;
	int a = dims[0] < 0 ? dims[0] + x->shape.ndim : dims[0], b = dims[1] < 0 ? dims[1] + x->shape.ndim : dims[1];

	for (int64_t i = 0; i < y->numel; i++) {
		place p = place_of(&y->shape, i);
		int64_t at = p.at[a];

		p.at[a] = p.at[b];
		p.at[b] = at;
		y->v[i] = value_at(&x[0], &p);
	}
}

static void run_transpose(clef_shape shape, int dim0, int dim1)
{
	run_exact((op_case){ .name = "transpose",
			     .apply = apply_transpose,
			     .reference = reference_transpose,
			     .opts = (int[]){ dim0, dim1 } },
		  shape);
}

START_TEST(permute)
{
	run_permute(CLEF_SHAPE(2, 3, 4), CLEF_SHAPE(2, 0, 1));
	run_transpose(CLEF_SHAPE(2, 3), 0, 1);
	if (test_small())
		return;
	run_permute(CLEF_SHAPE(2, 3, 5, 7), CLEF_SHAPE(0, 2, 3, 1));
	run_permute(CLEF_SHAPE(2, 3, 5, 7), CLEF_SHAPE(-1, 1, -4, 2));
	run_permute(CLEF_SHAPE(2, 1, 3, 2, 1, 2, 3, 2), CLEF_SHAPE(7, 6, 5, 4, 3, 2, 1, 0));
	run_permute(CLEF_SHAPE(257), CLEF_SHAPE(0));
	run_permute(CLEF_SHAPE(3, 0, 2), CLEF_SHAPE(2, 1, 0));
	run_permute(CLEF_SCALAR, CLEF_SCALAR);
	run_transpose(CLEF_SHAPE(33, 257), 0, 1);
	run_transpose(CLEF_SHAPE(4, 5, 6, 7), 1, -1);
	run_transpose(CLEF_SHAPE(4, 5, 6), -2, -2);
}
END_TEST

/* ---- cat, stack, split, slice ---- */

static clef_tensor *apply_cat(clef_tensor **x, const void *opts)
{
	return clef_cat(x, 3, *(const int *)opts);
}

static void reference_cat(const ref_array *x, const void *opts, ref_array *y)
{
	int dim = *(const int *)opts + (*(const int *)opts < 0 ? y->shape.ndim : 0);

	for (int64_t i = 0; i < y->numel; i++) {
		place p = place_of(&y->shape, i);
		int k = 0;

		while (p.at[dim] >= x[k].shape.dim[dim])
			p.at[dim] -= x[k++].shape.dim[dim];
		y->v[i] = value_at(&x[k], &p);
	}
}

static void run_cat(clef_shape shape, int dim, int64_t second, int64_t third)
{
	op_case c = { .name = "cat", .apply = apply_cat, .reference = reference_cat, .opts = &dim, .inputs = 3 };
	int d = dim < 0 ? dim + shape.ndim : dim;

	c.in[1].shape = c.in[2].shape = shape;
	c.in[1].shape.dim[d] = second;
	c.in[2].shape.dim[d] = third;
	run_exact(c, shape);
}

static clef_tensor *apply_stack(clef_tensor **x, const void *opts)
{
	return clef_stack(x, 3, *(const int *)opts);
}

static void reference_stack(const ref_array *x, const void *opts, ref_array *y)
{
	int dim = *(const int *)opts + (*(const int *)opts < 0 ? y->shape.ndim : 0);

	for (int64_t i = 0; i < y->numel; i++) {
		place p = place_of(&y->shape, i), from = { { 0 } };

		for (int d = 0; d < x[0].shape.ndim; d++)
			from.at[d] = p.at[d < dim ? d : d + 1];
		y->v[i] = value_at(&x[p.at[dim]], &from);
	}
}

static void run_stack(clef_shape shape, int dim)
{
	run_exact((op_case){ .name = "stack",
			     .apply = apply_stack,
			     .reference = reference_stack,
			     .opts = &dim,
			     .inputs = 3,
			     .in = { { .shape = shape }, { .shape = shape }, { .shape = shape } } },
		  shape);
}

START_TEST(joins)
{
	run_cat(CLEF_SHAPE(2, 3), 1, 1, 4);
	run_stack(CLEF_SHAPE(2, 3), 1);
	if (test_small())
		return;
	run_cat(CLEF_SHAPE(2, 3), 0, 5, 1);
	run_cat(CLEF_SHAPE(2, 3, 5, 7), 1, 33, 1);
	run_cat(CLEF_SHAPE(2, 3, 5), -1, 257, 4);
	run_cat(CLEF_SHAPE(33), 0, 1, 9);
	run_cat(CLEF_SHAPE(2, 0, 3), 1, 2, 0);
	run_cat(CLEF_SHAPE(0, 2), 1, 3, 4);
	run_stack(CLEF_SHAPE(2, 3), 0);
	run_stack(CLEF_SHAPE(2, 3), -1);
	run_stack(CLEF_SHAPE(4, 5, 6), -3);
	run_stack(CLEF_SHAPE(0, 5), 1);
	run_stack(CLEF_SCALAR, 0);
}
END_TEST

typedef struct slice_case {
	int dim;
	int64_t start, stop, step;
} slice_case;

static clef_tensor *apply_slice(clef_tensor **x, const void *opts)
{
	const slice_case *c = opts;

	return clef_slice(x[0], c->dim, c->start, c->stop, c->step);
}

static void reference_slice(const ref_array *x, const void *opts, ref_array *y)
{
	const slice_case *c = opts;
	int dim = c->dim < 0 ? c->dim + x->shape.ndim : c->dim;
	int64_t size = x->shape.dim[dim], taken = 0;

	for (int64_t k = 0; k < size; k++) {
		int64_t start = c->start < 0 ? c->start + size : c->start;
		int64_t stop = c->stop < 0 ? c->stop + size : c->stop;

		start = start < 0 ? 0 : start;
		if (k < start || k >= stop || (k - start) % c->step != 0)
			continue;
		for (int64_t i = 0; i < y->numel; i++) {
			place p = place_of(&y->shape, i);

			if (p.at[dim] != taken)
				continue;
			p.at[dim] = k;
			y->v[i] = value_at(&x[0], &p);
		}
		taken++;
	}
	ck_assert_int_eq((int)y->shape.dim[dim], (int)taken);
}

static void run_slice(clef_shape shape, int dim, int64_t start, int64_t stop, int64_t step)
{
	run_exact((op_case){ .name = "slice",
			     .apply = apply_slice,
			     .reference = reference_slice,
			     .opts = &(slice_case){ dim, start, stop, step } },
		  shape);
}

START_TEST(slice)
{
	run_slice(CLEF_SHAPE(4, 5), 1, 1, 4, 2);
	run_slice(CLEF_SHAPE(4, 5), 0, 0, CLEF_END, 1);
	if (test_small())
		return;
	run_slice(CLEF_SHAPE(33, 5, 3), 0, 1, 30, 4);
	run_slice(CLEF_SHAPE(33, 5, 3), -2, -3, -1, 1);
	run_slice(CLEF_SHAPE(5, 257), -1, -100, CLEF_END, 3);
	run_slice(CLEF_SHAPE(5, 9), 1, -100, 100, 1);
	run_slice(CLEF_SHAPE(5, 9), 1, 3, 3, 1);
	run_slice(CLEF_SHAPE(5, 9), 1, 7, 2, 1);
	run_slice(CLEF_SHAPE(5, 9), 1, 20, 30, 1);
	run_slice(CLEF_SHAPE(5, 9), 0, 2, CLEF_END, INT64_MAX);
	run_slice(CLEF_SHAPE(5, 0), 1, 0, 3, 1);
	run_slice(CLEF_SHAPE(7), 0, 2, 5, 1);
}
END_TEST

/* The last part, then the first: each part has a gradient of its own. */
static clef_tensor *apply_split(clef_tensor **x, const void *opts)
{
	clef_tensor *parts[3];

	(void)opts;
	ck_ok(clef_split(x[0], 2, -1, parts, 3));
	return clef_cat((clef_tensor *[]){ parts[2], parts[0] }, 2, -1);
}

static void reference_split(const ref_array *x, const void *opts, ref_array *y)
{
	(void)opts;
	for (int64_t i = 0; i < y->numel; i++) {
		place p = place_of(&y->shape, i);
		int64_t *last = &p.at[y->shape.ndim - 1];

		*last = *last == 0 ? 4 : *last - 1;
		y->v[i] = value_at(&x[0], &p);
	}
}

START_TEST(split)
{
	static float v[12];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x, *parts[4];

	run_exact((op_case){ .name = "split", .apply = apply_split, .reference = reference_split }, CLEF_SHAPE(3, 5));
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
	tcase_add_test(c, joins);
	tcase_add_test(c, slice);
	tcase_add_test(c, split);
	tcase_add_test(c, integers);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
