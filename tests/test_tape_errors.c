/* SPDX-License-Identifier: Apache-2.0 */
/* The tape: what wrong uses of it are told, and that the first message of a failed expression is the one that stays. */
#include <math.h>
#include <string.h>

#include "tape_case.h"

/* ---- errors ---- */

START_TEST(wrong_losses)
{
	clef_tensor *x = line_leaf(1), *y = clef_mul(x, x), *z = line_input(1);

	ck_fails(clef_backward(y), CLEF_ERROR_SHAPE, "clef_backward: the loss has shape [4]; it must have one element");
	ck_fails(clef_backward_add(y), CLEF_ERROR_SHAPE, "clef_backward_add: the loss has shape [4]");
	ck_fails(clef_backward(line_total(z)), CLEF_ERROR_STATE,
		 "nothing that the loss depends on requires a gradient");
	ck_fails(clef_backward(NULL), CLEF_ERROR_INVALID, "clef_backward");
	ck_fails(clef_backward_add(NULL), CLEF_ERROR_INVALID, "clef_backward_add");
	clef_tensor_free(x);
	x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SCALAR));
	ck_ok(clef_requires_grad(x, true));
	ck_fails(clef_backward(x), CLEF_ERROR_STATE, "not a result of the current recording");
	clef_tensor_free(x);
}
END_TEST

START_TEST(wrong_requests)
{
	clef_tensor *x = line_leaf(1), *y = clef_mul(x, x);
	clef_tensor *n = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2)));

	ck_fails(clef_requires_grad(n, true), CLEF_ERROR_DTYPE, "the tensor is int32");
	ck_fails(clef_requires_grad(NULL, true), CLEF_ERROR_INVALID, "clef_requires_grad");
	ck_fails(clef_requires_grad(y, false), CLEF_ERROR_STATE, "clef_detach()");
	ck_null_fails(clef_grad(NULL), CLEF_ERROR_INVALID, "clef_grad");
	ck_null_fails(clef_grad(n), CLEF_ERROR_STATE,
		      "the tensor [2] did not ask for a gradient: call clef_requires_grad()");
	ck_null_fails(clef_grad(y), CLEF_ERROR_STATE, "did not ask");
	ck_null_fails(clef_grad(x), CLEF_ERROR_STATE, "no clef_backward() has reached the tensor [4] yet");
	ck_null_fails(clef_detach(NULL), CLEF_ERROR_INVALID, "detach");
	ck_fails(clef_tape_begin(NULL), CLEF_ERROR_INVALID, "clef_tape_begin");
	ck_fails(clef_tape_begin_no_grad(NULL), CLEF_ERROR_INVALID, "clef_tape_begin_no_grad");
	clef_tensor_free(x);
	clef_tensor_free(n);
}
END_TEST

START_TEST(tensor_of_an_earlier_recording)
{
	clef_tensor *x = line_leaf(1), *old = clef_mul(x, x), *loss = line_total(old);
	float v[LINE];

	ck_ok(clef_requires_grad(old, true));
	ck_ok(clef_backward(loss));
	ck_ok(clef_tape_begin(test_tape));
	ck_null_fails(clef_relu(old), CLEF_ERROR_STATE, "relu: argument 1 was made before the last clef_tape_begin()");
	ck_null_fails(clef_add(x, old), CLEF_ERROR_STATE, "add: argument 2 was made before");
	ck_fails(clef_backward(loss), CLEF_ERROR_STATE, "not a result of the current recording");
	ck_fails(clef_read(old, v, sizeof(v)), CLEF_ERROR_STATE, "clef_read: the tensor was made before");
	ck_fails(clef_write(old, v, sizeof(v)), CLEF_ERROR_STATE, "clef_write: the tensor was made before");
	ck_fails(clef_fill(old, 0), CLEF_ERROR_STATE, "clef_fill: the tensor was made before");
	ck_fails(clef_axpy(1, old, x), CLEF_ERROR_STATE, "clef_axpy: the tensor was made before");
	ck_fails(clef_copy(x, old), CLEF_ERROR_STATE, "clef_copy: the tensor was made before");
	ck_fails(clef_requires_grad(old, true), CLEF_ERROR_STATE, "clef_requires_grad: the tensor was made before");
	ck_null_fails(clef_grad(old), CLEF_ERROR_STATE, "clef_grad: the tensor was made before");
	clef_error_clear();
	ck_assert(isnan(clef_item(loss)));
	ck_assert_int_eq(clef_error_status(), CLEF_ERROR_STATE);
	clef_tensor_free(x);
}
END_TEST

START_TEST(no_tape_begun)
{
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef_tensor *x = ck_new(clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(2)));
	clef_tape *t;
	float v[2] = { 0 };
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(2), v };

	ck_ok(clef_fill(x, 1));
	ck_null_fails(clef_relu(x), CLEF_ERROR_STATE, "relu: no tape has been begun: call clef_tape_begin()");
	t = ck_new(clef_tape_new(dev));
	ck_null_fails(clef_relu(x), CLEF_ERROR_STATE, "no tape has been begun");
	ck_null_fails(clef_input(t, &array), CLEF_ERROR_STATE, "clef_input: the tape has not been begun");
	ck_ok(clef_tape_begin(t));
	ck_new(clef_relu(x));
	clef_tape_free(t);
	ck_null_fails(clef_relu(x), CLEF_ERROR_STATE, "no tape has been begun");
	clef_tensor_free(x);
	clef_device_close(dev);
}
END_TEST

START_TEST(two_tapes)
{
	clef_tape *other = ck_new(clef_tape_new(test_device));
	clef_tensor *x = line_leaf(1), *a = line_input(1), *b;

	ck_ok(clef_tape_begin(other));
	b = clef_relu(x);
	ck_null_fails(clef_add(a, b), CLEF_ERROR_INVALID, "add: tensors of two tapes");
	/* Each on its own works on, and leaves go to the one begun last. */
	ck_ok(clef_backward(line_total(clef_mul(clef_add(a, x), x))));
	ck_line(clef_grad(x), 3, 3);
	ck_ok(clef_backward(line_total(clef_mul(b, x))));
	ck_line(clef_grad(x), 2, 2);
	ck_null_fails(clef_add(a, clef_relu(x)), CLEF_ERROR_INVALID, "two tapes");
	clef_tape_free(other);
	ck_new(clef_add(a, x));
	clef_tensor_free(x);
}
END_TEST

START_TEST(two_devices)
{
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef_tensor *x = line_leaf(1), *y = ck_new(clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(LINE)));

	ck_null_fails(clef_add(x, y), CLEF_ERROR_INVALID, "add: tensors of two devices");
	ck_null_fails(clef_add(line_input(1), y), CLEF_ERROR_INVALID, "two devices");
	ck_null_fails(clef_relu(y), CLEF_ERROR_STATE, "no tape has been begun");
	clef_tensor_free(x);
	clef_tensor_free(y);
	clef_device_close(dev);
}
END_TEST

START_TEST(bad_inputs)
{
	float v[2] = { 0 };

	ck_null_fails(clef_input(test_tape, NULL), CLEF_ERROR_INVALID, "clef_input");
	ck_null_fails(clef_input(NULL, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2), v }), CLEF_ERROR_INVALID,
		      "clef_input");
	ck_null_fails(clef_input(test_tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2), NULL }), CLEF_ERROR_INVALID,
		      "NULL");
	ck_null_fails(clef_input(test_tape, &(clef_array){ (clef_dtype)9, CLEF_SHAPE(2), v }), CLEF_ERROR_DTYPE,
		      "clef_input: 9 is no data type");
	ck_null_fails(clef_input(test_tape, &(clef_array){ CLEF_FLOAT32, { 1, { -2 } }, v }), CLEF_ERROR_SHAPE,
		      "clef_input: shape [-2]");
	ck_null_fails(clef_input(test_tape, &(clef_array){ CLEF_FLOAT32, { 9, { 1 } }, v }), CLEF_ERROR_SHAPE,
		      "9 dimensions");
}
END_TEST

START_TEST(parameters_that_are_not_committed)
{
	clef_params *params = ck_new(clef_params_new(test_device));
	clef_tensor *w = ck_new(clef_params_add(params, "w", CLEF_SHAPE(LINE), NULL));

	ck_null_fails(clef_relu(w), CLEF_ERROR_STATE, "relu: argument 1 has no values yet");
	ck_null_fails(clef_add(line_input(1), w), CLEF_ERROR_STATE, "add: argument 2 has no values yet");
	ck_ok(clef_params_commit(params, &(clef_rng){ 1, 0 }));
	ck_line(clef_add(line_input(1), w), 1, 1);
	clef_params_free(params);
}
END_TEST

/* The message of the first failure stays, through whatever is given its NULL. */
START_TEST(null_is_contagious)
{
	clef_tensor *x = line_leaf(1), *five = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(5))), *bad,
		    *y;

	clef_error_clear();
	bad = clef_add(x, five);
	ck_assert_ptr_null(bad);
	y = clef_mul(clef_linear(clef_relu(bad), x, x), clef_flatten(clef_reshape(clef_detach(bad), CLEF_SHAPE(2, 2))));
	y = clef_cross_entropy(clef_prelu(clef_mean(y, NULL), x), clef_matmul(x, y));
	ck_assert_ptr_null(y);
	ck_assert_int_eq(clef_backward(y), CLEF_ERROR_SHAPE);
	ck_assert(isnan(clef_item(y)));
	ck_assert_ptr_null(clef_grad(y));
	ck_assert_int_eq(clef_requires_grad(y, true), CLEF_ERROR_SHAPE);
	ck_assert_int_eq(clef_read(y, NULL, 0), CLEF_ERROR_SHAPE);
	ck_assert_int_eq(clef_error_status(), CLEF_ERROR_SHAPE);
	ck_assert_msg(strncmp(clef_error(), "add: a [4] and b [5] cannot be broadcast", 40) == 0, "%s", clef_error());
	/* What was recorded before is unharmed. */
	ck_ok(clef_backward(line_total(clef_mul(x, x))));
	ck_line(clef_grad(x), 2, 2);
	clef_tensor_free(x);
	clef_tensor_free(five);
}
END_TEST

Suite *tape_errors_suite(void)
{
	Suite *s = suite_create("tape_errors");
	TCase *c = tcase_create("errors");

	tcase_add_checked_fixture(c, tape_setup, tape_teardown);
	tcase_add_test(c, wrong_losses);
	tcase_add_test(c, wrong_requests);
	tcase_add_test(c, tensor_of_an_earlier_recording);
	tcase_add_test(c, no_tape_begun);
	tcase_add_test(c, two_tapes);
	tcase_add_test(c, two_devices);
	tcase_add_test(c, bad_inputs);
	tcase_add_test(c, parameters_that_are_not_committed);
	tcase_add_test(c, null_is_contagious);
	suite_add_tcase(s, c);
	return s;
}
