/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors: making, writing, reading, filling, copying and adding up, and what is said of wrong arguments. Tensors that
 * are written lie at an offset among guards.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "tensor_internal.h"

/* Sizes that end a vector, a work-group and a chunk of a sum, and those beside them. */
static const int lengths[] = { 0, 1, 2, 3, 15, 16, 17, 33, 255, 256, 257, 1023, 1024, 1025, 4099 };

static clef_tensor *floats(int64_t n)
{
	return ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(n)));
}

static clef_tensor *ints(int64_t n)
{
	return ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(n)));
}

/* ---- making ---- */

START_TEST(properties)
{
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 0, 5)));

	ck_assert_int_eq(clef_tensor_dtype(x), CLEF_INT32);
	ck_assert(clef_shape_equal(clef_tensor_shape(x), CLEF_SHAPE(2, 0, 5)));
	ck_assert_int_eq(clef_tensor_numel(x), 0);
	ck_assert_ptr_eq(clef_tensor_device(x), test_device);
	clef_tensor_free(x);
	ck_assert_int_eq(clef_tensor_dtype(NULL), CLEF_FLOAT32);
	ck_assert_int_eq(clef_tensor_shape(NULL).ndim, 0);
	ck_assert_int_eq(clef_tensor_numel(NULL), 0);
	ck_assert_ptr_null(clef_tensor_device(NULL));
	clef_tensor_free(NULL);
}
END_TEST

START_TEST(bad_shapes_and_types)
{
	static const clef_shape bad[] = {
		{ 1, { -1 } },        { 9, { 1 } },
		{ -1, { 0 } },        { 2, { 65536, 32768 } },
		{ 2, { 0, -2 } },     { 1, { (int64_t)1 << 31 } },
		{ 1, { INT64_MAX } }, { 3, { INT64_MAX, INT64_MAX, INT64_MAX } },
	};

	for (int i = 0; i < CLEF_COUNT(bad); i++)
		ck_null_fails(clef_tensor_new(test_device, CLEF_FLOAT32, bad[i]), CLEF_ERROR_SHAPE,
			      "clef_tensor_new: shape [");
	ck_null_fails(clef_tensor_new(test_device, (clef_dtype)7, CLEF_SCALAR), CLEF_ERROR_DTYPE, "7 is no data type");
	ck_null_fails(clef_tensor_from(test_device, NULL), CLEF_ERROR_INVALID, "clef_tensor_from");
	ck_null_fails(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2), NULL }),
		      CLEF_ERROR_INVALID, "NULL");
	ck_null_fails(clef_tensor_from(NULL, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(0), NULL }), CLEF_ERROR_INVALID,
		      "clef_tensor_new");
}
END_TEST

START_TEST(from_copies_at_once)
{
	int32_t values[] = { 5, -6, 7 }, got[3];
	clef_tensor *x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_INT32, CLEF_SHAPE(3, 1), values }));
	clef_tensor *none =
		ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(4, 0), NULL }));

	memset(values, 0, sizeof(values));
	ck_ok(clef_read(x, got, sizeof(got)));
	ck_assert(got[0] == 5 && got[1] == -6 && got[2] == 7);
	ck_ok(clef_read(none, NULL, 0));
	clef_tensor_free(x);
	clef_tensor_free(none);
}
END_TEST

/* ---- values in and out ---- */

START_TEST(write_and_read)
{
	static float f[4099], fgot[4099];
	static int32_t n[4099], ngot[4099];

	for (int i = 0; i < CLEF_COUNT(f); i++) {
		f[i] = (float)i * 0.37f - 100;
		n[i] = (int32_t)((uint32_t)i * 1000003u);
	}
	f[1] = NAN;
	f[2] = INFINITY;
	for (int i = 0; i < CLEF_COUNT(lengths); i++) {
		clef_tensor *x = floats(lengths[i]), *y = ints(lengths[i]);
		size_t bytes = (size_t)lengths[i] * 4;

		ck_ok(clef_write(x, f, bytes));
		ck_ok(clef_write(y, n, bytes));
		ck_ok(clef_read(x, fgot, bytes));
		ck_ok(clef_read(y, ngot, bytes));
		ck_assert(memcmp(f, fgot, bytes) == 0 && memcmp(n, ngot, bytes) == 0);
		clef_tensor_free(x);
		clef_tensor_free(y);
	}
}
END_TEST

START_TEST(wrong_sizes_and_nulls)
{
	float values[4] = { 0 };
	clef_tensor *x = floats(3);

	ck_fails(clef_read(x, values, 16), CLEF_ERROR_INVALID, "clef_read: 16 bytes given, float32 [3] has 12");
	ck_fails(clef_read(x, values, 8), CLEF_ERROR_INVALID, "clef_read: 8 bytes");
	ck_fails(clef_write(x, values, 11), CLEF_ERROR_INVALID, "clef_write: 11 bytes given, float32 [3] has 12");
	ck_fails(clef_write(x, values, 0), CLEF_ERROR_INVALID, "clef_write: 0 bytes");
	ck_fails(clef_read(x, NULL, 12), CLEF_ERROR_INVALID, "clef_read: given NULL");
	ck_fails(clef_write(x, NULL, 12), CLEF_ERROR_INVALID, "clef_write: given NULL");
	ck_fails(clef_read(NULL, values, 12), CLEF_ERROR_INVALID, "clef_read");
	ck_fails(clef_write(NULL, values, 12), CLEF_ERROR_INVALID, "clef_write");
	ck_fails(clef_fill(NULL, 0), CLEF_ERROR_INVALID, "clef_fill");
	ck_fails(clef_axpy(1, NULL, x), CLEF_ERROR_INVALID, "clef_axpy");
	ck_fails(clef_axpy(1, x, NULL), CLEF_ERROR_INVALID, "clef_axpy");
	ck_fails(clef_copy(NULL, x), CLEF_ERROR_INVALID, "clef_copy");
	ck_fails(clef_copy(x, NULL), CLEF_ERROR_INVALID, "clef_copy");
	clef_tensor_free(x);
}
END_TEST

/* The first message stays, with its status. */
START_TEST(null_of_a_failed_call)
{
	float values[1];

	ck_assert_ptr_null(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(-3)));
	ck_assert_int_eq(clef_read(NULL, values, 4), CLEF_ERROR_SHAPE);
	ck_assert_int_eq(clef_axpy(1, NULL, NULL), CLEF_ERROR_SHAPE);
	ck_assert(isnan(clef_item(NULL)));
	ck_assert_ptr_nonnull(strstr(clef_error(), "clef_tensor_new: shape [-3]"));
}
END_TEST

START_TEST(item)
{
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SCALAR)), *y = ints(1),
		    *many = floats(2);
	clef_tensor *one = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(1, 1, 1))), *none = floats(0);

	ck_ok(clef_fill(x, 0.1));
	ck_ok(clef_fill(y, -2147483647));
	ck_ok(clef_fill(one, -3));
	ck_assert(clef_item(x) == (double)0.1f);
	ck_assert(clef_item(y) == -2147483647);
	ck_assert(clef_item(one) == -3);
	clef_error_clear();
	ck_assert(isnan(clef_item(many)));
	ck_assert(isnan(clef_item(many)));
	ck_assert_int_eq(clef_error_status(), CLEF_ERROR_SHAPE);
	ck_assert_ptr_nonnull(strstr(clef_error(), "shape [2] has 2 elements, not one"));
	clef_error_clear();
	ck_assert(isnan(clef_item(none)));
	ck_assert_int_eq(clef_error_status(), CLEF_ERROR_SHAPE);
	clef_error_clear();
	ck_assert(isnan(clef_item(NULL)));
	ck_assert_int_eq(clef_error_status(), CLEF_ERROR_INVALID);
	clef_tensor_free(x);
	clef_tensor_free(y);
	clef_tensor_free(one);
	clef_tensor_free(many);
	clef_tensor_free(none);
}
END_TEST

/* ---- arithmetic ---- */

/* A view of n values at offset 3, in a buffer of n + 6 whose other values are -77; values NULL: all are. It goes up as
 * a whole to a new buffer, because Oclgrind follows a buffer only as far as the first upload to it went. */
static clef_tensor *guarded(clef_dtype dtype, int n, const void *values)
{
	static float f[4200];
	static int32_t ones[4200];
	void *all = dtype == CLEF_FLOAT32 ? (void *)f : (void *)ones;
	clef__buffer *b;
	clef_tensor *x;

	clef_device_trim(test_device);
	b = ck_new(clef__buffer_new(test_device, (size_t)(n + 6) * 4));
	x = ck_new(clef__tensor_view(test_device, dtype, CLEF_SHAPE(n), b, 3));
	for (int i = 0; i < n + 6; i++) {
		f[i] = -77;
		ones[i] = -77;
	}
	if (values)
		memcpy((char *)all + 12, values, (size_t)n * 4);
	ck_ok(clef__buffer_write(b, 0, all, (size_t)(n + 6) * 4));
	clef__buffer_release(b);
	return x;
}

static void check_guards(const clef_tensor *x)
{
	float f[6];
	size_t n = (size_t)x->numel;

	ck_ok(clef__buffer_read(x->buffer, 0, f, 12));
	ck_ok(clef__buffer_read(x->buffer, (n + 3) * 4, f + 3, 12));
	for (int i = 0; i < 6; i++) {
		int32_t bits;

		memcpy(&bits, &f[i], 4);
		ck_assert(x->dtype == CLEF_FLOAT32 ? f[i] == -77 : bits == -77);
	}
}

START_TEST(fill)
{
	static float f[4099];
	static int32_t n[4099];

	for (int i = 0; i < CLEF_COUNT(lengths); i++) {
		clef_tensor *x = guarded(CLEF_FLOAT32, lengths[i], NULL), *y = guarded(CLEF_INT32, lengths[i], NULL);
		size_t bytes = (size_t)lengths[i] * 4;

		ck_ok(clef_fill(x, 1.0 / 3));
		ck_ok(clef_fill(y, -5.9));
		ck_ok(clef_read(x, f, bytes));
		ck_ok(clef_read(y, n, bytes));
		for (int j = 0; j < lengths[i]; j++)
			ck_assert(f[j] == 1.0f / 3 && n[j] == -5);
		check_guards(x);
		check_guards(y);
		clef_tensor_free(x);
		clef_tensor_free(y);
	}
}
END_TEST

START_TEST(fill_limits)
{
	clef_tensor *x = floats(1), *y = ints(1);

	ck_ok(clef_fill(y, 2147483647.9));
	ck_assert(clef_item(y) == 2147483647);
	ck_ok(clef_fill(y, -2147483648.9));
	ck_assert(clef_item(y) == -2147483648.0);
	ck_ok(clef_fill(y, 5.9));
	ck_assert(clef_item(y) == 5);
	ck_fails(clef_fill(y, 2147483648.0), CLEF_ERROR_INVALID, "2.14748e+09 does not fit");
	ck_fails(clef_fill(y, -2147483649.0), CLEF_ERROR_INVALID, "does not fit");
	ck_fails(clef_fill(y, (double)NAN), CLEF_ERROR_INVALID, "nan does not fit");
	ck_fails(clef_fill(y, (double)INFINITY), CLEF_ERROR_INVALID, "inf does not fit");
	ck_assert(clef_item(y) == 5);
	ck_ok(clef_fill(x, (double)INFINITY));
	ck_assert(isinf(clef_item(x)));
	ck_ok(clef_fill(x, (double)NAN));
	ck_assert(isnan(clef_item(x)));
	clef_tensor_free(x);
	clef_tensor_free(y);
}
END_TEST

START_TEST(copy)
{
	static int32_t values[4099], got[4099];

	/* Any bits, NaN among them as floats: they must come through unchanged. */
	for (int i = 0; i < CLEF_COUNT(values); i++)
		values[i] = (int32_t)((uint32_t)i * 2654435761u);
	values[0] = 0x7fc12345;
	values[1] = 1; /* denormal as a float */
	for (int i = 0; i < CLEF_COUNT(lengths) * 2; i++) {
		clef_dtype dtype = i % 2 ? CLEF_INT32 : CLEF_FLOAT32;
		clef_tensor *x = guarded(dtype, lengths[i / 2], values), *y = guarded(dtype, lengths[i / 2], NULL);
		size_t bytes = (size_t)lengths[i / 2] * 4;

		ck_ok(clef_copy(x, y));
		ck_ok(clef_read(y, got, bytes));
		ck_assert(memcmp(values, got, bytes) == 0);
		check_guards(y);
		ck_ok(clef_copy(y, y));
		ck_ok(clef_read(y, got, bytes));
		ck_assert(memcmp(values, got, bytes) == 0);
		clef_tensor_free(x);
		clef_tensor_free(y);
	}
}
END_TEST

START_TEST(axpy)
{
	static float a[4099], b[4099], got[4099];

	for (int i = 0; i < CLEF_COUNT(a); i++) {
		a[i] = (float)(i % 19 - 9);
		b[i] = (float)(i % 23 - 11);
	}
	for (int i = 0; i < CLEF_COUNT(lengths); i++) {
		clef_tensor *x = guarded(CLEF_FLOAT32, lengths[i], a), *y = guarded(CLEF_FLOAT32, lengths[i], b);
		size_t bytes = (size_t)lengths[i] * 4;

		ck_ok(clef_axpy(-2.5f, x, y));
		ck_ok(clef_read(y, got, bytes));
		for (int j = 0; j < lengths[i]; j++)
			ck_assert(got[j] == b[j] - 2.5f * a[j]);
		ck_ok(clef_axpy(3, y, y));
		ck_ok(clef_read(y, got, bytes));
		for (int j = 0; j < lengths[i]; j++)
			ck_assert(got[j] == 4 * (b[j] - 2.5f * a[j]));
		check_guards(y);
		/* At beta 0 a NaN is overwritten. */
		ck_ok(clef_fill(y, (double)NAN));
		ck_ok(clef__axpby(2, x, 0, y));
		ck_ok(clef_read(y, got, bytes));
		for (int j = 0; j < lengths[i]; j++)
			ck_assert(got[j] == 2 * a[j]);
		clef_tensor_free(x);
		clef_tensor_free(y);
	}
}
END_TEST

START_TEST(pairs_that_differ)
{
	clef_device *other = ck_new(clef_device_open(NULL));
	clef_tensor *x = floats(4), *y = floats(5), *n = ints(4), *m = ints(4);
	clef_tensor *z = ck_new(clef_tensor_new(other, CLEF_FLOAT32, CLEF_SHAPE(4)));
	clef_tensor *row = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(1, 4)));

	ck_fails(clef_axpy(1, x, y), CLEF_ERROR_SHAPE, "clef_axpy: x [4] and y [5] differ");
	ck_fails(clef_copy(x, row), CLEF_ERROR_SHAPE, "clef_copy: x [4] and y [1, 4] differ");
	ck_fails(clef_axpy(1, x, n), CLEF_ERROR_DTYPE, "clef_axpy: x is float32, y is int32");
	ck_fails(clef_axpy(1, n, m), CLEF_ERROR_DTYPE, "expected float32");
	ck_fails(clef_copy(n, x), CLEF_ERROR_DTYPE, "clef_copy: x is int32, y is float32");
	ck_fails(clef_copy(x, z), CLEF_ERROR_INVALID, "two devices");
	ck_fails(clef_axpy(1, x, z), CLEF_ERROR_INVALID, "two devices");
	clef_tensor_free(x);
	clef_tensor_free(y);
	clef_tensor_free(n);
	clef_tensor_free(m);
	clef_tensor_free(z);
	clef_tensor_free(row);
	clef_device_close(other);
}
END_TEST

Suite *tensor_suite(void)
{
	Suite *s = suite_create("tensor");
	TCase *c = tcase_create("values");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, properties);
	tcase_add_test(c, bad_shapes_and_types);
	tcase_add_test(c, from_copies_at_once);
	tcase_add_test(c, write_and_read);
	tcase_add_test(c, wrong_sizes_and_nulls);
	tcase_add_test(c, null_of_a_failed_call);
	tcase_add_test(c, item);
	suite_add_tcase(s, c);
	c = tcase_create("arithmetic");
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, fill);
	tcase_add_test(c, fill_limits);
	tcase_add_test(c, copy);
	tcase_add_test(c, axpy);
	tcase_add_test(c, pairs_that_differ);
	suite_add_tcase(s, c);
	return s;
}
