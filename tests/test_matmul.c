/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of matrices: ranks, broadcasting, transposes and sizes of zero against sums in double precision, on whole
 * numbers for equality; how many launches they take; and sums over the batch that are too large for scratch.
 */
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "op_case.h"

/* ---- the reference ---- */

typedef struct trans {
	bool a, b;
} trans;

static clef_tensor *apply_matmul(clef_tensor **x, const void *opts)
{
	const trans *t = opts;

	return t->a || t->b ? clef_matmul_trans(x[0], t->a, x[1], t->b) : clef_matmul(x[0], x[1]);
}

/* Both operands are the one input. */
static clef_tensor *apply_square(clef_tensor **x, const void *opts)
{
	const trans *t = opts;

	return clef_matmul_trans(x[0], t->a, x[0], t->b);
}

/* The shape with two dimensions at least: a vector is a row of a or a column of b. */
static clef_shape as_matrix(clef_shape s, bool is_b)
{
	return s.ndim > 1 ? s : is_b ? CLEF_SHAPE(s.dim[0], 1) : CLEF_SHAPE(1, s.dim[0]);
}

/* Element (r, c) of op(x) at the index of the batch whose dimensions are given from the innermost. */
static double element(const ref_array *x, bool is_b, bool transposed, const int64_t *index, int64_t r, int64_t c)
{
	clef_shape s = as_matrix(x->shape, is_b);
	int64_t rows = s.dim[s.ndim - 2], columns = s.dim[s.ndim - 1], at = 0;

	for (int i = 0; i < s.ndim - 2; i++) {
		int64_t inner = s.ndim - 3 - i;

		at = at * s.dim[i] + (s.dim[i] == 1 ? 0 : index[inner]);
	}
	return x->v[(at * rows + (transposed ? c : r)) * columns + (transposed ? r : c)];
}

static void reference(const ref_array *a, const ref_array *b, const trans *t, ref_array *y)
{
	clef_shape as = as_matrix(a->shape, false), bs = as_matrix(b->shape, true);
	int batch = (as.ndim > bs.ndim ? as.ndim : bs.ndim) - 2;
	int64_t m = as.dim[as.ndim - (t->a ? 1 : 2)], k = as.dim[as.ndim - (t->a ? 2 : 1)];
	int64_t n = bs.dim[bs.ndim - (t->b ? 2 : 1)];

	for (int64_t e = 0; e < y->numel; e++) {
		int64_t index[CLEF_MAX_DIMS] = { 0 }, rest = e / n / m;
		double sum = 0;

		for (int i = 0; i < batch; i++) {
			int64_t size = y->shape.dim[batch - 1 - i];

			index[i] = rest % size;
			rest /= size;
		}
		for (int64_t l = 0; l < k; l++)
			sum += element(a, false, t->a, index, e / n % m, l) * element(b, true, t->b, index, l, e % n);
		y->v[e] = sum;
	}
}

static void reference_matmul(const ref_array *x, const void *opts, ref_array *y)
{
	reference(&x[0], &x[1], opts, y);
}

static void reference_square(const ref_array *x, const void *opts, ref_array *y)
{
	reference(&x[0], &x[0], opts, y);
}

/* ---- cases ---- */

typedef struct shapes {
	clef_shape a, b;
} shapes;

static clef_shape swapped(clef_shape s, bool swap)
{
	int64_t last = s.dim[s.ndim - 1];

	if (swap) {
		s.dim[s.ndim - 1] = s.dim[s.ndim - 2];
		s.dim[s.ndim - 2] = last;
	}
	return s;
}

static void run_case(const shapes *s, trans t, bool whole)
{
	char name[400], a[160], b[160];
	clef_shape as = swapped(s->a, t.a), bs = swapped(s->b, t.b);

	snprintf(name, sizeof(name), "matmul %s%s %s%s", clef_shape_text(as, a, sizeof(a)), t.a ? "'" : "",
		 clef_shape_text(bs, b, sizeof(b)), t.b ? "'" : "");
	op_case_run(&(op_case){ .name = name,
				.apply = apply_matmul,
				.reference = reference_matmul,
				.opts = &t,
				.inputs = 2,
				.in = { { .shape = as, .lo = -8, .hi = 8, .whole = whole },
					{ .shape = bs, .lo = -8, .hi = 8, .whole = whole } } });
}

/* With every transpose that the ranks allow. */
static void run_cases(const shapes *s, int count)
{
	for (int i = 0; i < count; i++)
		for (int way = 0; way < 4; way++)
			if ((!(way & 1) || s[i].a.ndim > 1) && (!(way & 2) || s[i].b.ndim > 1))
				run_case(&s[i], (trans){ way & 1, way & 2 }, true);
}

START_TEST(small_cases)
{
	const shapes s[] = { { CLEF_SHAPE(3, 4), CLEF_SHAPE(4, 5) }, { CLEF_SHAPE(2, 1, 3), CLEF_SHAPE(3, 2) } };

	run_cases(s, CLEF_COUNT(s));
}
END_TEST

START_TEST(plain_matrices)
{
	const shapes s[] = { { CLEF_SHAPE(1, 1), CLEF_SHAPE(1, 1) },
			     { CLEF_SHAPE(33, 1), CLEF_SHAPE(1, 17) },
			     { CLEF_SHAPE(1, 257), CLEF_SHAPE(257, 1) },
			     { CLEF_SHAPE(40, 65), CLEF_SHAPE(65, 33) } };

	if (test_small())
		test_skip("large");
	run_cases(s, CLEF_COUNT(s));
	run_case(&s[3], (trans){ false, true }, false);
}
END_TEST

START_TEST(vectors)
{
	const shapes s[] = { { CLEF_SHAPE(5), CLEF_SHAPE(5) },          { CLEF_SHAPE(257), CLEF_SHAPE(257) },
			     { CLEF_SHAPE(5), CLEF_SHAPE(5, 3) },       { CLEF_SHAPE(3, 5), CLEF_SHAPE(5) },
			     { CLEF_SHAPE(5), CLEF_SHAPE(2, 5, 3) },    { CLEF_SHAPE(2, 3, 5), CLEF_SHAPE(5) },
			     { CLEF_SHAPE(5), CLEF_SHAPE(2, 3, 5, 4) }, { CLEF_SHAPE(2, 2, 3, 5), CLEF_SHAPE(5) },
			     { CLEF_SHAPE(1), CLEF_SHAPE(1) } };

	run_cases(s, test_small() ? 1 : CLEF_COUNT(s));
}
END_TEST

START_TEST(batches)
{
	const shapes s[] = { { CLEF_SHAPE(2, 3, 4), CLEF_SHAPE(2, 4, 5) },
			     { CLEF_SHAPE(3, 33, 17), CLEF_SHAPE(3, 17, 9) },
			     { CLEF_SHAPE(2, 3, 2, 3), CLEF_SHAPE(2, 3, 3, 2) },
			     { CLEF_SHAPE(2, 1, 2, 3, 4), CLEF_SHAPE(2, 1, 2, 4, 5) },
			     { CLEF_SHAPE(7, 1, 3, 1), CLEF_SHAPE(7, 1, 1, 2) } };

	run_cases(s, test_small() ? 1 : CLEF_COUNT(s));
}
END_TEST

/* Sums over all dimensions of the batch, over outer, inner and middle ones; and both operands repeated. */
START_TEST(broadcasts)
{
	const shapes s[] = { { CLEF_SHAPE(2, 1, 3, 4), CLEF_SHAPE(3, 4, 5) },
			     { CLEF_SHAPE(2, 3, 4), CLEF_SHAPE(4, 5) },
			     { CLEF_SHAPE(3, 4), CLEF_SHAPE(2, 4, 5) },
			     { CLEF_SHAPE(2, 3, 4), CLEF_SHAPE(1, 4, 5) },
			     { CLEF_SHAPE(1, 3, 4), CLEF_SHAPE(2, 4, 5) },
			     { CLEF_SHAPE(2, 3, 3, 4), CLEF_SHAPE(1, 3, 4, 5) },
			     { CLEF_SHAPE(2, 3, 3, 4), CLEF_SHAPE(2, 1, 4, 5) },
			     { CLEF_SHAPE(2, 3, 2, 3, 4), CLEF_SHAPE(2, 1, 2, 4, 3) },
			     { CLEF_SHAPE(1, 3, 1, 3, 4), CLEF_SHAPE(2, 1, 2, 4, 3) },
			     { CLEF_SHAPE(3, 2, 1, 2, 3), CLEF_SHAPE(1, 2, 3, 2) },
			     { CLEF_SHAPE(2, 1, 2, 1, 2, 1, 2, 3), CLEF_SHAPE(1, 2, 1, 2, 1, 2, 3, 2) },
			     { CLEF_SHAPE(1, 1, 3, 4), CLEF_SHAPE(4, 5) },
			     { CLEF_SHAPE(2, 1, 257), CLEF_SHAPE(257, 3) } };

	run_cases(s, test_small() ? 1 : CLEF_COUNT(s));
}
END_TEST

START_TEST(nothing_to_multiply)
{
	const shapes s[] = { { CLEF_SHAPE(2, 3, 0), CLEF_SHAPE(2, 0, 5) },
			     { CLEF_SHAPE(0, 3, 4), CLEF_SHAPE(4, 5) },
			     { CLEF_SHAPE(0, 3, 4), CLEF_SHAPE(0, 4, 5) },
			     { CLEF_SHAPE(3, 4), CLEF_SHAPE(0, 4, 5) },
			     { CLEF_SHAPE(2, 0, 4), CLEF_SHAPE(4, 5) },
			     { CLEF_SHAPE(2, 3, 4), CLEF_SHAPE(4, 0) },
			     { CLEF_SHAPE(0), CLEF_SHAPE(0) },
			     { CLEF_SHAPE(2, 3, 0), CLEF_SHAPE(0) },
			     { CLEF_SHAPE(0), CLEF_SHAPE(0, 3) },
			     { CLEF_SHAPE(0, 4), CLEF_SHAPE(4) },
			     { CLEF_SHAPE(0, 1, 3, 4), CLEF_SHAPE(2, 4, 5) } };

	run_cases(s, test_small() ? 2 : CLEF_COUNT(s));
	/* Sizes whose product no integer holds. */
	run_case(&(shapes){ CLEF_SHAPE(INT32_MAX, INT32_MAX, INT32_MAX, 0, 3, 4), CLEF_SHAPE(4, 5) },
		 (trans){ false, false }, true);
	run_case(&(shapes){ CLEF_SHAPE(INT32_MAX, INT32_MAX, INT32_MAX, 0, 4), CLEF_SHAPE(4, 5) },
		 (trans){ false, false }, true);
}
END_TEST

/* Both gradients go to one tensor. */
START_TEST(one_tensor_twice)
{
	for (int way = 0; way < 4; way++) {
		const trans t = { way & 1, way & 2 };
		bool square = t.a == t.b;

		op_case_run(&(op_case){ .name = "matmul of x and x",
					.apply = apply_square,
					.reference = reference_square,
					.opts = &t,
					.inputs = 1,
					.in = { { .shape = square ? CLEF_SHAPE(2, 4, 4) : CLEF_SHAPE(2, 3, 4),
						  .lo = -8,
						  .hi = 8,
						  .whole = true } } });
	}
}
END_TEST

/* ---- tensors of random numbers ---- */

static uint32_t seed = 1;

static clef_tensor *random_leaf(clef_shape shape, bool whole)
{
	size_t n = (size_t)clef_shape_numel(shape);
	float *v = malloc(n * sizeof(float) + 1);
	clef_tensor *x;

	ck_assert_ptr_nonnull(v);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		v[i] = whole ? (float)(seed >> 28) - 8 : (float)(seed >> 8) * 0x1p-20f - 8;
	}
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, shape, v }));
	ck_ok(clef_requires_grad(x, true));
	free(v);
	return x;
}

static float *values_of(const clef_tensor *x)
{
	size_t bytes = (size_t)clef_tensor_numel(x) * sizeof(float);
	float *v = malloc(bytes + 1);

	ck_assert_ptr_nonnull(v);
	ck_ok(clef_read(x, v, bytes));
	return v;
}

/* ---- runs and launches ---- */

START_TEST(runs_give_equal_bits)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	int n = test_small() ? 5 : 37;
	clef_tensor *a = random_leaf(CLEF_SHAPE(3, 1, n, 2 * n), false);
	clef_tensor *b = random_leaf(CLEF_SHAPE(2, 2 * n, n), false);
	float *first[3] = { NULL }, *again[3];

	for (int run = 0; run < 2; run++) {
		clef_tensor *y, *from[3];

		ck_ok(clef_tape_begin(tape));
		y = ck_new(clef_matmul(a, b));
		ck_ok(clef_backward(clef_sum(clef_mul(y, y), NULL)));
		from[0] = y;
		from[1] = clef_grad(a);
		from[2] = clef_grad(b);
		for (int i = 0; i < 3; i++) {
			size_t bytes = (size_t)clef_tensor_numel(from[i]) * sizeof(float);

			again[i] = values_of(from[i]);
			ck_assert(!run || memcmp(first[i], again[i], bytes) == 0);
			free(first[i]);
			first[i] = again[i];
		}
	}
	for (int i = 0; i < 3; i++)
		free(first[i]);
	clef_tensor_free(a);
	clef_tensor_free(b);
	clef_tape_free(tape);
}
END_TEST

/* Launches forward and backward. */
static int launches(clef_shape a_shape, clef_shape b_shape)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *a = random_leaf(a_shape, true), *b = random_leaf(b_shape, true), *loss;
	uint64_t before;
	int count;

	ck_ok(clef_tape_begin(tape));
	before = clef_device_get_stats(test_device).launches;
	loss = ck_new(clef_matmul(a, b));
	count = (int)(clef_device_get_stats(test_device).launches - before);
	loss = ck_new(clef_sum(loss, NULL));
	before = clef_device_get_stats(test_device).launches;
	ck_ok(clef_backward(loss));
	count += (int)(clef_device_get_stats(test_device).launches - before);
	clef_tensor_free(a);
	clef_tensor_free(b);
	clef_tape_free(tape);
	return count;
}

/* A batch takes no more than one product does, neither where one operand is repeated and its gradient is a longer
 * product; another pass adds up where it is not. */
START_TEST(batches_are_one_launch)
{
	int one = launches(CLEF_SHAPE(3, 4), CLEF_SHAPE(4, 5));

	ck_assert_int_eq(launches(CLEF_SHAPE(9, 3, 4), CLEF_SHAPE(9, 4, 5)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(2, 3, 3, 4), CLEF_SHAPE(2, 3, 4, 5)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(9, 3, 4), CLEF_SHAPE(4, 5)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(2, 3, 3, 4), CLEF_SHAPE(4)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(2, 3, 3, 4), CLEF_SHAPE(2, 1, 4, 5)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(3, 4), CLEF_SHAPE(9, 4, 5)), one + 1);
}
END_TEST

/* 1100 products of 250 x 250 would be 69 million elements. */
START_TEST(sum_beyond_scratch)
{
	enum { COUNT = 1100, SIDE = 250 };
	clef_tape *tape;
	clef_tensor *a, *b, *y;
	float *bv, *da, *again;

	if (test_small())
		test_skip("large");
	tape = ck_new(clef_tape_new(test_device));
	a = random_leaf(CLEF_SHAPE(SIDE, SIDE), true);
	b = random_leaf(CLEF_SHAPE(COUNT, SIDE, 1), true);
	ck_ok(clef_tape_begin(tape));
	y = ck_new(clef_matmul(a, b));
	ck_ok(clef_backward(clef_sum(y, NULL)));
	ck_assert_uint_lt(clef_device_get_stats(test_device).memory_peak, 100000000);
	bv = values_of(b);
	da = values_of(clef_grad(a));
	for (int j = 0; j < SIDE; j++) {
		double sum = 0;

		for (int i = 0; i < COUNT; i++)
			sum += (double)bv[i * SIDE + j];
		for (int i = 0; i < SIDE; i++)
			ck_assert_msg((double)da[i * SIDE + j] == sum, "da[%d][%d] is %g, expected %g", i, j,
				      (double)da[i * SIDE + j], sum);
	}
	ck_ok(clef_backward_add(clef_sum(y, NULL)));
	again = values_of(clef_grad(a));
	for (int i = 0; i < SIDE * SIDE; i++)
		ck_assert_msg(again[i] == 2 * da[i], "da[%d] is %g, expected twice %g", i, (double)again[i],
			      (double)da[i]);
	free(bv);
	free(da);
	free(again);
	clef_tensor_free(a);
	clef_tensor_free(b);
	clef_tape_free(tape);
}
END_TEST

/* ---- errors ---- */

static void check_error(clef_shape a_shape, bool ta, clef_shape b_shape, bool tb, const char *message)
{
	clef_tensor *a = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, a_shape));
	clef_tensor *b = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, b_shape));

	ck_null_fails(clef_matmul_trans(a, ta, b, tb), CLEF_ERROR_SHAPE, message);
	clef_tensor_free(a);
	clef_tensor_free(b);
}

START_TEST(errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 2)));
	clef_tensor *i = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 2)));

	ck_ok(clef_tape_begin(tape));
	check_error(CLEF_SHAPE(2, 5), false, CLEF_SHAPE(3, 4), false,
		    "matmul: a [2, 5] and b [3, 4], expected [..., m, k] and [..., k, n]");
	check_error(CLEF_SHAPE(2, 5), true, CLEF_SHAPE(5, 4), false, "a [2, 5] transposed and b [5, 4], expected [...");
	check_error(CLEF_SHAPE(2, 5), false, CLEF_SHAPE(5, 4), true, "a [2, 5] and b [5, 4] transposed, expected [...");
	check_error(CLEF_SHAPE(5), false, CLEF_SHAPE(4), false, "a [5] and b [4], expected [..., m, k]");
	check_error(CLEF_SHAPE(5), false, CLEF_SHAPE(3, 4, 5), false, "a [5] and b [3, 4, 5], expected [..., m, k]");
	check_error(CLEF_SCALAR, false, CLEF_SHAPE(4), false, "a [] and b [4], expected at least one dimension each");
	check_error(CLEF_SHAPE(4), false, CLEF_SCALAR, false, "a [4] and b [], expected at least one dimension each");
	check_error(CLEF_SHAPE(4), true, CLEF_SHAPE(4, 4), false,
		    "a [4] transposed and b [4, 4], expected at least two dimensions of what is transposed");
	check_error(CLEF_SHAPE(4, 4), false, CLEF_SHAPE(4), true, "and b [4] transposed, expected at least two");
	check_error(CLEF_SHAPE(2, 3, 4), false, CLEF_SHAPE(3, 4, 5), false,
		    "a [2, 3, 4] and b [3, 4, 5], expected dimensions before the last two that are equal or 1");
	check_error(CLEF_SHAPE(2, 2, 3, 4), false, CLEF_SHAPE(3, 1, 4, 5), false, "equal or 1");
	check_error(CLEF_SHAPE(1 << 16, 1), false, CLEF_SHAPE(1, 1 << 15), false,
		    "a [65536, 1] and b [1, 32768]: the result [65536, 32768] would have more than 2^31 - 1 elements");
	check_error(CLEF_SHAPE(1 << 16, 0), false, CLEF_SHAPE(0, 1 << 15), false, "more than 2^31 - 1 elements");
	ck_null_fails(clef_matmul(i, x), CLEF_ERROR_DTYPE, "matmul: a is int32");
	ck_null_fails(clef_matmul(x, i), CLEF_ERROR_DTYPE, "matmul: b is int32");
	ck_null_fails(clef_matmul(NULL, x), CLEF_ERROR_INVALID, "matmul: given NULL");
	ck_null_fails(clef_matmul_trans(x, true, NULL, true), CLEF_ERROR_INVALID, "matmul: given NULL");
	clef_tensor_free(x);
	clef_tensor_free(i);
	clef_tape_free(tape);
}
END_TEST

Suite *matmul_suite(void)
{
	Suite *s = suite_create("matmul");
	TCase *c = tcase_create("matmul");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, small_cases);
	tcase_add_test(c, plain_matrices);
	tcase_add_test(c, vectors);
	tcase_add_test(c, batches);
	tcase_add_test(c, broadcasts);
	tcase_add_test(c, nothing_to_multiply);
	tcase_add_test(c, one_tensor_twice);
	tcase_add_test(c, runs_give_equal_bits);
	tcase_add_test(c, batches_are_one_launch);
	tcase_add_test(c, sum_beyond_scratch);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
