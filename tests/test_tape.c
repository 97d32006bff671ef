/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tape: what is recorded and differentiated, and who frees what and when. The operations here are simple ones, so
 * that gradients are exact small numbers.
 */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>

#include "tape_case.h"

/* ---- gradients ---- */

START_TEST(tensor_used_twice)
{
	clef_tensor *x = line_leaf(1);

	ck_ok(clef_backward(line_total(clef_mul(x, x))));
	ck_line(clef_grad(x), 2, 2);
	ck_ok(clef_backward(line_total(clef_add(x, x))));
	ck_line(clef_grad(x), 2, 0);
	ck_ok(clef_backward(line_total(clef_sub(x, x))));
	ck_line(clef_grad(x), 0, 0);
	ck_ok(clef_backward(line_total(clef_add(clef_add(x, x), clef_mul(x, x)))));
	ck_line(clef_grad(x), 4, 2);
	ck_line(x, 1, 1);
	clef_tensor_free(x);
}
END_TEST

/* The ways part and meet again: y = (3 x)(x + x), of a result and of an input. */
START_TEST(diamond)
{
	clef_tensor *x = line_leaf(1), *z = line_input(1), *a, *b;

	ck_ok(clef_requires_grad(z, true));
	a = clef_mul_scalar(x, 3);
	b = clef_add(x, x);
	ck_ok(clef_backward(line_total(clef_mul(a, b))));
	ck_line(clef_grad(x), 12, 12);
	a = clef_mul_scalar(z, 2);
	b = clef_add(a, a);
	b = clef_add(clef_mul(b, a), clef_mul(b, z));
	ck_ok(clef_backward(line_total(b)));
	/* b = 8 z^2 + 4 z^2 */
	ck_line(clef_grad(z), 24, 24);
	clef_tensor_free(x);
}
END_TEST

/* 2^20 ways through a chain of 20 additions. */
START_TEST(deep_chain)
{
	clef_tensor *x = line_leaf(1), *y = x;

	for (int i = 0; i < 20; i++)
		y = clef_add(y, y);
	ck_ok(clef_backward(line_total(y)));
	ck_line(clef_grad(x), 1048576, 0);
	ck_line(y, 1048576, 1048576);
	clef_tensor_free(x);
}
END_TEST

START_TEST(backward_twice_on_one_recording)
{
	clef_tensor *x = line_leaf(1), *loss = line_total(clef_mul(x, clef_mul(x, x)));
	float v[LINE];

	for (int i = 0; i < 3; i++) {
		ck_ok(clef_backward(loss));
		ck_ok(clef_read(clef_grad(x), v, sizeof(v)));
		for (int j = 0; j < LINE; j++)
			ck_assert(v[j] == (float)(3 * (j + 1) * (j + 1)));
	}
	ck_ok(clef_backward(loss));
	ck_ok(clef_backward(line_total(clef_mul_scalar(x, 5))));
	ck_line(clef_grad(x), 5, 0);
	clef_tensor_free(x);
}
END_TEST

START_TEST(backward_add)
{
	clef_tensor *x = line_leaf(1), *y = line_leaf(3), *loss = line_total(clef_mul(x, x));

	/* The first one has nothing to add to. */
	ck_ok(clef_backward_add(loss));
	ck_line(clef_grad(x), 2, 2);
	ck_ok(clef_backward_add(loss));
	ck_line(clef_grad(x), 4, 4);
	ck_ok(clef_tape_begin(test_tape));
	ck_ok(clef_backward_add(line_total(clef_mul(x, y))));
	ck_line(clef_grad(x), 7, 5);
	ck_line(clef_grad(y), 1, 1);
	ck_ok(clef_backward(line_total(clef_add(x, x))));
	ck_line(clef_grad(x), 2, 0);
	/* A leaf that the loss does not depend on keeps its gradient. */
	ck_line(clef_grad(y), 1, 1);
	clef_tensor_free(x);
	clef_tensor_free(y);
}
END_TEST

START_TEST(detach)
{
	clef_tensor *x = line_leaf(1), *d = clef_detach(x), *y = clef_mul_scalar(x, 2), *e;

	ck_ok(clef_backward(line_total(clef_mul(x, d))));
	ck_line(clef_grad(x), 1, 1);
	e = clef_detach(y);
	ck_line(e, 2, 2);
	ck_ok(clef_backward(line_total(clef_mul(y, e))));
	ck_line(clef_grad(x), 4, 4);
	/* It shares the memory. */
	ck_ok(clef_fill(x, 7));
	ck_line(d, 7, 0);
	ck_fails(clef_backward(line_total(clef_mul(d, e))), CLEF_ERROR_STATE, "nothing that the loss depends on");
	/* A gradient may be asked for on the other side of the cut. */
	e = clef_detach(y);
	ck_ok(clef_requires_grad(e, true));
	ck_ok(clef_backward(line_total(clef_add(e, e))));
	ck_line(clef_grad(e), 2, 0);
	ck_line(clef_grad(x), 4, 4);
	clef_tensor_free(x);
	ck_line(d, 7, 0);
}
END_TEST

/* That of an input, which no operation made, and that of a result, which is asked to keep it. */
START_TEST(gradients_of_inputs_and_results)
{
	clef_tensor *x = line_leaf(1), *z = line_input(5), *y, *loss;

	ck_ok(clef_requires_grad(z, true));
	y = clef_mul(x, z);
	ck_ok(clef_requires_grad(y, true));
	loss = line_total(clef_mul_scalar(y, 3));
	ck_null_fails(clef_grad(z), CLEF_ERROR_STATE, "no clef_backward() has reached the tensor [4]");
	ck_ok(clef_backward(loss));
	ck_line(clef_grad(y), 3, 0);
	ck_line(clef_grad(z), 3, 3);
	ck_line(clef_grad(x), 15, 3);
	ck_ok(clef_backward(loss));
	ck_line(clef_grad(y), 3, 0);
	ck_line(clef_grad(z), 3, 3);
	clef_tensor_free(x);
}
END_TEST

START_TEST(loss_may_be_an_input)
{
	clef_tensor *z = ck_new(clef_input(test_tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(1, 1), &(float){ 9 } }));

	ck_ok(clef_requires_grad(z, true));
	ck_ok(clef_backward(z));
	ck_assert(clef_item(clef_grad(z)) == 1);
	ck_assert(clef_item(z) == 9);
}
END_TEST

START_TEST(frozen_leaf)
{
	clef_tensor *x = line_leaf(1), *y = line_leaf(2);

	ck_ok(clef_backward(line_total(clef_mul(x, y))));
	ck_ok(clef_requires_grad(x, false));
	ck_ok(clef_backward(line_total(clef_mul(clef_add(x, x), y))));
	ck_line(clef_grad(y), 2, 2);
	ck_null_fails(clef_grad(x), CLEF_ERROR_STATE, "did not ask for a gradient");
	ck_fails(clef_backward(line_total(x)), CLEF_ERROR_STATE,
		 "nothing that the loss depends on requires a gradient");
	ck_ok(clef_requires_grad(x, true));
	ck_ok(clef_backward(line_total(x)));
	ck_line(clef_grad(x), 1, 0);
	clef_tensor_free(x);
	clef_tensor_free(y);
}
END_TEST

START_TEST(no_grad)
{
	clef_tensor *x = line_leaf(1), *loss;

	ck_ok(clef_tape_begin_no_grad(test_tape));
	loss = line_total(clef_mul(x, x));
	ck_assert(clef_item(loss) == 30);
	ck_fails(clef_backward(loss), CLEF_ERROR_STATE, "clef_tape_begin_no_grad()");
	ck_ok(clef_tape_begin(test_tape));
	ck_ok(clef_backward(line_total(clef_mul(x, x))));
	ck_line(clef_grad(x), 2, 2);
	clef_tensor_free(x);
}
END_TEST

START_TEST(tensors_without_elements)
{
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(0, 3)));
	clef_tensor *z = ck_new(clef_input(test_tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(0, 3), NULL })), *loss;

	ck_ok(clef_requires_grad(x, true));
	loss = line_total(clef_mul(x, z));
	ck_ok(clef_backward(loss));
	ck_assert(clef_item(loss) == 0);
	ck_assert_int_eq(clef_tensor_numel(ck_new(clef_grad(x))), 0);
	ck_fails(clef_backward(clef_mul(x, z)), CLEF_ERROR_SHAPE, "[0, 3]");
	clef_tensor_free(x);
}
END_TEST

/* Equal inputs give equal bits. */
START_TEST(gradients_repeat)
{
	static float v[65 * 33], first[33 * 33], again[33 * 33];
	const int rows = test_small() ? 5 : 65, columns = test_small() ? 3 : 33;
	size_t bytes = sizeof(float) * (size_t)columns * (size_t)columns;
	clef_tensor *w;

	for (int i = 0; i < CLEF_COUNT(v); i++)
		v[i] = (float)(i * 37 % 101) / 7;
	w = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(columns, columns), v }));
	ck_ok(clef_requires_grad(w, true));
	for (int i = 0; i < 3; i++) {
		clef_tensor *y;

		ck_ok(clef_tape_begin(test_tape));
		y = clef_linear_no_bias(
			clef_input(test_tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(rows, columns), v }), w);
		ck_ok(clef_backward(clef_mean(clef_mul(clef_sigmoid(y), y), NULL)));
		ck_ok(clef_read(clef_grad(w), i ? again : first, bytes));
		if (i)
			ck_assert(memcmp(first, again, bytes) == 0);
	}
	clef_tensor_free(w);
}
END_TEST

/* ---- life ---- */

START_TEST(leaf_freed_before_backward)
{
	uint64_t in_use = clef_device_get_stats(test_device).memory_in_use;
	clef_tensor *x = line_leaf(1), *y = line_leaf(2), *loss = line_total(clef_mul(clef_mul(x, y), x));

	clef_tensor_free(x);
	ck_ok(clef_backward(loss));
	ck_assert(clef_item(loss) == 1 * 2 + 4 * 3 + 9 * 4 + 16 * 5);
	ck_assert(clef_item(line_total(clef_grad(y))) == 30);
	clef_tensor_free(y);
	ck_ok(clef_backward(loss));
	ck_ok(clef_tape_begin(test_tape));
	ck_assert_uint_eq(clef_device_get_stats(test_device).memory_in_use, in_use);
}
END_TEST

START_TEST(tensors_of_a_tape_are_not_freed)
{
	clef_tensor *z = line_input(1), *y = clef_relu(z);

	clef_tensor_free(z);
	clef_tensor_free(y);
	clef_tensor_free(y);
	ck_line(y, 1, 1);
	ck_line(z, 1, 1);
}
END_TEST

/* Tapes freed before and after the leaves and the device, with a recording that is differentiated or not. */
START_TEST(freed_in_any_order)
{
	for (int i = 0; i < 16; i++) {
		clef_device *dev = ck_new(clef_device_open(NULL));
		clef_tape *t = ck_new(clef_tape_new(dev));
		clef_tensor *x = ck_new(clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(3)));

		ck_ok(clef_requires_grad(x, true));
		ck_ok(clef_fill(x, 1));
		ck_ok(clef_tape_begin(t));
		if (i & 1)
			ck_ok(clef_backward(clef_sum(clef_mul(x, x), NULL)));
		else
			ck_new(clef_detach(clef_mul(x, x)));
		if (i & 2)
			clef_device_close(dev);
		if (i & 4)
			clef_tape_free(t);
		clef_tensor_free(x);
		if (!(i & 4))
			clef_tape_free(t);
		if (!(i & 2))
			clef_device_close(dev);
		if (i >= 3 && test_small())
			break;
	}
}
END_TEST

Suite *tape_suite(void)
{
	Suite *s = suite_create("tape");
	TCase *c = tcase_create("gradients");

	tcase_add_checked_fixture(c, tape_setup, tape_teardown);
	tcase_add_test(c, tensor_used_twice);
	tcase_add_test(c, diamond);
	tcase_add_test(c, deep_chain);
	tcase_add_test(c, backward_twice_on_one_recording);
	tcase_add_test(c, backward_add);
	tcase_add_test(c, detach);
	tcase_add_test(c, gradients_of_inputs_and_results);
	tcase_add_test(c, loss_may_be_an_input);
	tcase_add_test(c, frozen_leaf);
	tcase_add_test(c, no_grad);
	tcase_add_test(c, tensors_without_elements);
	tcase_add_test(c, gradients_repeat);
	suite_add_tcase(s, c);
	c = tcase_create("life");
	tcase_add_checked_fixture(c, tape_setup, tape_teardown);
	tcase_add_test(c, leaf_freed_before_backward);
	tcase_add_test(c, tensors_of_a_tape_are_not_freed);
	tcase_add_test(c, freed_in_any_order);
	suite_add_tcase(s, c);
	return s;
}
