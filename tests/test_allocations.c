/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A training loop that is warm asks neither the driver for a buffer nor the host for memory. The driver's buffers are
 * counted by the device. The host's are counted here, by standing in for the C library's allocator and looking who
 * called: this program has the library linked in, while drivers and the C library are elsewhere and may do as they
 * like. Where that is not possible, under a sanitizer or another C library, only the buffers are counted.
 */
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

static long calls;

#if defined(__GLIBC__) && !defined(SANITIZED)
#define CAN_COUNT true

extern char __executable_start, etext;
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

static void count(const void *caller)
{
	calls += (uintptr_t)caller >= (uintptr_t)&__executable_start && (uintptr_t)caller < (uintptr_t)&etext;
}

void *malloc(size_t size)
{
	count(__builtin_return_address(0));
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_realloc(p, size);
}
#else
#define CAN_COUNT false
#endif

/* So that a silent counter is noticed. */
START_TEST(counter_counts)
{
	clef_tape *t;
	long start = calls, made, freed;

	if (!CAN_COUNT)
		test_skip("allocations cannot be counted here");
	t = clef_tape_new(test_device);
	made = calls;
	clef_tape_free(t);
	freed = calls;
	ck_assert_int_eq(made, start + 1);
	ck_assert_int_eq(freed, made);
}
END_TEST

/* ---- loops ---- */

enum { BATCH = 32, IN = 20, HIDDEN = 50, CLASSES = 10 };

/* Oclgrind takes what is written to a buffer beyond the first upload to it for uninitialised. */
static const char no_reuse[] = "buffers are reused";

static float images[BATCH * IN];
static int32_t labels[BATCH];
static clef_tape *tape;

static void setup(void)
{
	device_setup();
	tape = ck_new(clef_tape_new(test_device));
	for (int i = 0; i < BATCH * IN; i++)
		images[i] = (float)(i * 37 % 101) / 50 - 1;
	for (int i = 0; i < BATCH; i++)
		labels[i] = i * 7 % CLASSES;
}

static void teardown(void)
{
	clef_tape_free(tape);
	device_teardown();
}

/* Warms a loop up and runs it on; each step must succeed. Assertions allocate, so they stand outside of the loop. */
static void check_loop(clef_status (*step)(int i, void *user), void *user, int warm)
{
	clef_status status = CLEF_OK;
	uint64_t buffers;
	long before;

	for (int i = 0; i < warm && !status; i++)
		status = step(i, user);
	ck_ok(status);
	/* On PoCL launches wait for their kernels until then. */
	ck_ok(clef_finish(test_device));
	buffers = clef_device_get_stats(test_device).buffers_created;
	before = calls;
	for (int i = warm; i < warm + 100 && !status; i++)
		status = step(i, user);
	before = calls - before;
	ck_ok(status);
	ck_assert_uint_eq(clef_device_get_stats(test_device).buffers_created, buffers);
	ck_assert_int_eq(before, 0);
}

static clef_array batch_of(int n, bool of_labels)
{
	return of_labels ? (clef_array){ CLEF_INT32, CLEF_SHAPE(n), labels }
			 : (clef_array){ CLEF_FLOAT32, CLEF_SHAPE(n, IN), images };
}

typedef struct by_hand {
	clef_tensor *w[4];
	double loss;
} by_hand;

static clef_tensor *forward(const by_hand *m, clef_tensor *x)
{
	return clef_linear(clef_relu(clef_linear(x, m->w[0], m->w[1])), m->w[2], m->w[3]);
}

static clef_status step_by_hand(int i, void *user)
{
	by_hand *m = user;
	clef_array x = batch_of(BATCH, false), t = batch_of(BATCH, true);
	clef_tensor *loss, *labels_in;
	clef_status status;

	(void)i;
	clef_tape_begin(tape);
	labels_in = clef_input(tape, &t);
	loss = clef_cross_entropy(forward(m, clef_input(tape, &x)), labels_in);
	status = clef_backward(loss);
	for (int j = 0; j < 4 && !status; j++)
		status = clef_axpy(-0.1f, clef_grad(m->w[j]), m->w[j]);
	m->loss = clef_item(loss);
	return status;
}

/* The labels go up first, so the images find the ring of uploads too small. */
START_TEST(step_by_hand_allocates_nothing)
{
	const clef_shape shapes[] = { CLEF_SHAPE(HIDDEN, IN), CLEF_SHAPE(HIDDEN), CLEF_SHAPE(CLASSES, HIDDEN),
				      CLEF_SHAPE(CLASSES) };
	clef_rng rng = { 1, 0 };
	by_hand m;
	double first;

	if (test_small())
		test_skip(no_reuse);
	for (int i = 0; i < 4; i++) {
		m.w[i] = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, shapes[i]));
		ck_ok(clef_init_uniform(m.w[i], -0.3f, 0.3f, &rng));
		ck_ok(clef_requires_grad(m.w[i], true));
	}
	ck_ok(step_by_hand(0, &m));
	first = m.loss;
	check_loop(step_by_hand, &m, 1);
	ck_assert_msg(m.loss < first, "loss %g after %g", m.loss, first);
	for (int i = 0; i < 4; i++)
		clef_tensor_free(m.w[i]);
}
END_TEST

typedef struct with_model {
	clef_model *model;
	clef_optim *optim;
	bool shorter; /* every fourth batch */
} with_model;

/* Trains; and every fifth time evaluates, without a recording for gradients. */
static clef_status step_with_model(int i, void *user)
{
	with_model *m = user;
	int n = m->shorter && i % 4 == 3 ? BATCH / 2 + 1 : BATCH;
	clef_array x = batch_of(n, false), t = batch_of(n, true);
	clef_tensor *y;
	clef_status status;

	clef_tape_begin(tape);
	y = clef_model_forward(m->model, clef_input(tape, &x));
	status = clef_backward(clef_cross_entropy(y, clef_input(tape, &t)));
	if (!status)
		status = clef_optim_step(m->optim);
	if (status || i % 5 != 0)
		return status;
	clef_tape_begin_no_grad(tape);
	y = clef_model_forward(m->model, clef_input(tape, &x));
	return clef_item(clef_accuracy(y, clef_input(tape, &t))) >= 0 ? CLEF_OK : clef_error_status();
}

START_TEST(step_with_a_model_allocates_nothing)
{
	static const clef_layer layers[] = { { CLEF_LINEAR, .out = HIDDEN },
					     { CLEF_RELU },
					     { CLEF_LINEAR, .out = HIDDEN },
					     { CLEF_TANH },
					     { CLEF_LINEAR, .out = CLASSES } };
	with_model m = { .shorter = _i == 1 };

	if (test_small())
		test_skip(no_reuse);

	m.model = ck_new(clef_sequential_new(test_device, layers, CLEF_COUNT(layers), CLEF_SHAPE(IN), NULL));
	m.optim = ck_new(clef_adam_new(clef_model_params(m.model), &(clef_adam_opts){ .lr = 0.01f }));
	/* Once each way a step may go. */
	check_loop(step_with_model, &m, _i == 1 ? 20 : 2);
	clef_optim_free(m.optim);
	clef_model_free(m.model);
}
END_TEST

static clef_status step_of_uploads(int i, void *user)
{
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(BATCH, IN), images };
	clef_tensor *x;

	(void)i;
	(void)user;
	clef_tape_begin(tape);
	x = clef_input(tape, &array);
	return x ? CLEF_OK : clef_error_status();
}

/* One upload a step: the ring is as large as it will be after the first. */
START_TEST(uploads_allocate_nothing)
{
	if (test_small())
		test_skip(no_reuse);
	check_loop(step_of_uploads, NULL, 1);
}
END_TEST

Suite *allocations_suite(void)
{
	Suite *s = suite_create("allocations");
	TCase *c = tcase_create("loops");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, counter_counts);
	tcase_add_test(c, step_by_hand_allocates_nothing);
	tcase_add_loop_test(c, step_with_a_model_allocates_nothing, 0, 2);
	tcase_add_test(c, uploads_allocate_nothing);
	suite_add_tcase(s, c);
	return s;
}
