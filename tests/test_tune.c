/* SPDX-License-Identifier: Apache-2.0 */
/* Tuning as a user asks for it: for a list, and for a model. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

static void setup(void)
{
	char path[1100];

	snprintf(path, sizeof(path), "%s/tuning.json", test_dir());
	test_setenv("CLEF_TUNING", path);
	device_setup();
}

/* Products are a choice unless the environment names an engine. */
static bool is_forced(void)
{
	const char *name = getenv("CLEF_GEMM");

	return name && *name;
}

#define SKIP_FORCED()                                                                                                  \
	if (is_forced())                                                                                               \
	test_skip("CLEF_GEMM leaves no choice")

/* What the callbacks saw. */
static int begun, ended, steps_told, stop_at = -1;

static void note(void *user, const clef_tune_progress *p)
{
	ck_assert_ptr_eq(user, &begun);
	ck_assert(p->done >= 0 && p->done <= p->count && p->elapsed >= 0 && p->left >= 0);
	if (!p->problem) {
		steps_told++;
		return;
	}
	begun += !p->result;
	ended += p->result != NULL;
	if (p->result) {
		ck_assert_str_eq(p->result->problem, p->problem);
		ck_assert(*p->result->before && *p->result->after);
	}
}

static bool stop(void *user)
{
	ck_assert_ptr_eq(user, &begun);
	return stop_at >= 0 && ended >= stop_at;
}

static const clef_tune_opts opts = { .progress = note, .stop = stop, .user = &begun };

/* Three products each: forward, and to both operands. */
static const char *const list[] = { "linear x7x33 out17", "linear x5x6 out3", "linear x7x33 out17" };

START_TEST(a_list)
{
	clef_tune_report r;
	clef_tune_result t;
	int seen = 0;

	SKIP_FORCED();
	ck_ok(clef_tune_problems(test_device, list, test_small() ? 1 : 3, &opts, &r));
	ck_assert_int_eq(r.problems, test_small() ? 3 : 6);
	ck_assert_int_eq(r.measured, r.problems);
	ck_assert_int_eq(r.known, 0);
	ck_assert(!r.stopped && !r.wrong && !r.steps && r.changed <= r.problems && r.seconds > 0);
	ck_assert_int_eq(begun, r.problems);
	ck_assert_int_eq(ended, r.problems);
	ck_assert_int_eq(clef_tune_count(test_device), r.problems);
	for (int i = 0; clef_tune_get(test_device, i, &t); i++) {
		ck_assert(!t.first_use && !*t.wrong);
		seen += strcmp(t.problem, "gemm m7 n17 k33 tb") == 0;
	}
	ck_assert_int_eq(seen, 1);
	/* Again: nothing to do, unless it is asked for. */
	ck_ok(clef_tune_problems(test_device, list, 1, NULL, &r));
	ck_assert_int_eq(r.measured, 0);
	ck_assert_int_eq(r.known, 3);
	ck_ok(clef_tune_problems(test_device, (const char *[]){ "gemm m7 n17 k33 tb" }, 1,
				 &(clef_tune_opts){ .again = true }, &r));
	ck_assert_int_eq(r.measured, 1);
	ck_assert_int_eq(r.problems, 1);
}
END_TEST

START_TEST(stopped_and_continued)
{
	clef_tune_report r;

	SKIP_FORCED();
	stop_at = 1;
	ck_ok(clef_tune_problems(test_device, list, 1, &opts, &r));
	ck_assert(r.stopped);
	ck_assert_int_eq(r.problems, 3);
	ck_assert_int_eq(r.measured, 1);
	ck_assert_int_eq(clef_tune_count(test_device), 1);
	stop_at = -1;
	/* By another process, for which the file is all there is. */
	device_teardown();
	device_setup();
	ck_ok(clef_tune_problems(test_device, list, 1, &opts, &r));
	ck_assert_int_eq(r.known, 1);
	ck_assert_int_eq(r.measured, 2);
	ck_assert(!r.stopped);
}
END_TEST

START_TEST(no_time)
{
	clef_tune_report r;

	SKIP_FORCED();
	ck_ok(clef_tune_problems(test_device, list, 1, &(clef_tune_opts){ .budget = 1e-6 }, &r));
	ck_assert_int_eq(r.problems, 3);
	ck_assert_int_eq(r.measured, 0);
	ck_assert(!r.stopped);
	ck_fails(clef_tune_problems(test_device, list, 1, &(clef_tune_opts){ .budget = -1 }, &r), CLEF_ERROR_INVALID,
		 "must not be negative");
}
END_TEST

START_TEST(what_is_refused)
{
	static const char *const bad[] = {
		"xyzzy",           "linear",           "gemm m5 n6",
		"gemm m0 n1 k1",   "gemm m5 n6 k7 q1", "gemm m5 n6 k7 tb1",
		"conv forward n1", "conv sideways n1", "conv forward n1 c2 h3 w3 k4 r1 s1 oh3 ow3 g3"
	};

	SKIP_FORCED();
	for (int i = 0; i < CLEF_COUNT(bad); i++)
		ck_fails(clef_tune_problems(test_device, &bad[i], 1, NULL, NULL), CLEF_ERROR_INVALID, "");
	ck_assert_int_eq(clef_tune_count(test_device), 0);
	ck_fails(clef_tune_problems(NULL, list, 1, NULL, NULL), CLEF_ERROR_INVALID, "clef_tune_problems");
	ck_fails(clef_tune_problems(test_device, NULL, 1, NULL, NULL), CLEF_ERROR_INVALID, "clef_tune_problems");
	ck_fails(clef_tune_model(NULL, 1, NULL, NULL), CLEF_ERROR_INVALID, "clef_tune_model");
	test_setenv("CLEF_GEMM", "plain");
	ck_fails(clef_tune_problems(test_device, (const char *[]){ "gemm m5 n6 k7" }, 1, NULL, NULL), CLEF_ERROR_STATE,
		 "CLEF_GEMM is set to plain");
	test_setenv("CLEF_CONV", "direct");
	ck_fails(clef_tune_problems(test_device, (const char *[]){ "conv forward n1 c1 h3 w3 k1 r1 s1 oh3 ow3" }, 1,
				    NULL, NULL),
		 CLEF_ERROR_STATE, "CLEF_CONV is set to direct");
}
END_TEST

/* The first layer's images have no gradient, so there are two computations of its convolution, and three of the other
 * things. */
START_TEST(a_model)
{
	clef_layer *layers;
	int count;
	clef_model *model;
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tune_report r;
	clef_tensor *x;
	float image[2 * 2 * 6 * 6] = { 1 };

	SKIP_FORCED();
	ck_ok(clef_layers_parse("conv2d(9, 3, pad=1) relu conv2d(4, 3, pad=1) flatten linear(5)", &layers, &count));
	model = ck_new(clef_sequential_new(test_device, layers, count, CLEF_SHAPE(2, 6, 6), NULL));
	free(layers);
	ck_ok(clef_model_train(model, false));
	ck_ok(clef_tape_begin_no_grad(tape));
	x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 2, 6, 6), image }));
	ck_ok(clef_tune_model(model, 2, &(clef_tune_opts){ .progress = note, .user = &begun }, &r));
	ck_assert_int_ge(r.problems, 8);
	ck_assert_int_eq(r.measured, r.problems);
	ck_assert_int_eq(begun, r.problems);
	ck_assert(r.steps >= 3 && steps_told == r.steps && r.step_before_ms > 0 && r.step_after_ms > 0);
	/* The user's recording, and his mode, are as they were. */
	ck_new(clef_model_forward(model, x));
	ck_assert(!strcmp(clef_tune_path(test_device), getenv("CLEF_TUNING")));
	ck_ok(clef_tune_model(model, 2, &(clef_tune_opts){ .budget = 5 }, &r));
	ck_assert_int_eq(r.measured, 0);
	ck_assert_int_eq(r.known, r.problems);
	ck_fails(clef_tune_model(model, 0, NULL, NULL), CLEF_ERROR_INVALID, "a batch of 0");
	clef_model_free(model);
	clef_tape_free(tape);
}
END_TEST

/* What is tuned computes the same, within rounding. */
START_TEST(results_stay)
{
	clef_model *model = ck_new(clef_model_parse(test_device, "conv2d(20, 3, pad=1) relu conv2d(17, 3) flatten",
						    CLEF_SHAPE(3, 9, 9), 1, NULL));
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	float image[2 * 3 * 9 * 9], y[2][2 * 17 * 7 * 7];
	double size = 0;

	SKIP_FORCED();
	for (int i = 0; i < CLEF_COUNT(image); i++)
		image[i] = (float)(i % 13 - 6) / 6;
	for (int i = 0; i < 2; i++) {
		ck_ok(clef_tape_begin_no_grad(tape));
		ck_ok(clef_read(
			clef_model_forward(
				model, clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 3, 9, 9), image })),
			y[i], sizeof(y[i])));
		if (i == 0)
			ck_ok(clef_tune_model(model, 2, NULL, NULL));
	}
	for (int i = 0; i < CLEF_COUNT(y[0]); i++)
		size += fabs((double)y[0][i]) / CLEF_COUNT(y[0]);
	for (int i = 0; i < CLEF_COUNT(y[0]); i++)
		ck_assert(fabs((double)y[0][i] - (double)y[1][i]) <= 1e-4 * size);
	clef_model_free(model);
	clef_tape_free(tape);
}
END_TEST

Suite *tune_suite(void)
{
	Suite *s = suite_create("tune");
	TCase *c = tcase_create("tune");

	tcase_add_checked_fixture(c, setup, device_teardown);
	tcase_add_test(c, a_list);
	tcase_add_test(c, stopped_and_continued);
	tcase_add_test(c, no_time);
	tcase_add_test(c, what_is_refused);
	tcase_add_test(c, a_model);
	tcase_add_test(c, results_stay);
	suite_add_tcase(s, c);
	return s;
}
