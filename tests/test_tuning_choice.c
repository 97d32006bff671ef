/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing: what goes before what, what is measured and when, and how candidates are compared.
 */
#define _XOPEN_SOURCE            700
#define CL_TARGET_OPENCL_VERSION 120
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conv_internal.h"
#include "gemm.h"
#include "gemm_case.h"
#include "tuning_case.h"

/* ---- a small convolution ---- */

#define FORWARD "conv forward n2 c3 h5 w6 k4 r3 s2 oh5 ow5 pt1"
#define DATA    "conv backward_data n2 c3 h5 w6 k4 r3 s2 oh5 ow5 pt1"
#define WEIGHTS "conv backward_weights n2 c3 h5 w6 k4 r3 s2 oh5 ow5 pt1"

typedef struct small_conv {
	clef_tape *tape;
	clef_tensor *x, *w;
	const char *impl[CLEF__CONV_WAYS]; /* that were chosen */
	float y[2 * 4 * 5 * 5], dw[4 * 3 * 3 * 2];
} small_conv;

static float *values(int n)
{
	static float v[256];

	for (int i = 0; i < n; i++)
		v[i] = (float)(i * 7 % 11 - 5) * 0.37f;
	return v;
}

/* One step: x has a gradient too. */
static void run(clef_device *dev, small_conv *c, bool gradients)
{
	const clef__conv_opts *o;
	clef_tensor *y;

	memset(c, 0, sizeof(*c));
	c->tape = ck_new(clef_tape_new(dev));
	c->x = ck_new(clef_tensor_from(dev, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 3, 5, 6), values(180) }));
	c->w = ck_new(clef_tensor_from(dev, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(4, 3, 3, 2), values(72) }));
	ck_ok(clef_requires_grad(c->x, true));
	ck_ok(clef_requires_grad(c->w, true));
	ck_ok(gradients ? clef_tape_begin(c->tape) : clef_tape_begin_no_grad(c->tape));
	y = ck_new(clef_conv2d_no_bias(c->x, c->w, &(clef_conv2d_opts){ .pad_top = 1, .pad_bottom = 1 }));
	o = clef__tape_node(c->tape, 0)->opts;
	for (int i = 0; i < CLEF__CONV_WAYS; i++)
		c->impl[i] = o->impl[i]->name;
	ck_ok(clef_read(y, c->y, sizeof(c->y)));
	if (gradients) {
		ck_ok(clef_backward(clef_sum(y, NULL)));
		ck_ok(clef_read(clef_grad(c->w), c->dw, sizeof(c->dw)));
	}
	clef_tensor_free(c->x);
	clef_tensor_free(c->w);
	clef_tape_free(c->tape);
}

/* ---- what goes before what ---- */

START_TEST(environment_file_rules)
{
	clef_device *dev;
	small_conv shipped, c;

	/* CLBlast takes minutes where things are small. */
	if (test_small())
		test_setenv("CLEF_GEMM", "plain");
	dev = ck_new(clef_device_open(NULL));

	run(dev, &shipped, true);
	tuning_keep(dev, FORWARD, "direct", NULL, 0);
	run(dev, &c, true);
	ck_assert_str_eq(c.impl[CLEF__CONV_FORWARD], "direct");
	ck_assert_str_eq(c.impl[CLEF__CONV_BACKWARD_DATA], shipped.impl[CLEF__CONV_BACKWARD_DATA]);
	clef_device_close(dev);
	/* From the file, in what could be another process. */
	dev = ck_new(clef_device_open(NULL));
	run(dev, &c, true);
	ck_assert_str_eq(c.impl[CLEF__CONV_FORWARD], "direct");
	ck_ok(clef_tune_use(dev, false));
	run(dev, &c, true);
	ck_assert_str_eq(c.impl[CLEF__CONV_FORWARD], shipped.impl[CLEF__CONV_FORWARD]);
	ck_ok(clef_tune_use(dev, true));
	test_setenv("CLEF_CONV", "im2col");
	run(dev, &c, true);
	ck_assert_str_eq(c.impl[CLEF__CONV_FORWARD], "im2col");
	test_setenv("CLEF_CONV", NULL);
	ck_assert_int_eq(test_warnings, 0);
	clef_device_close(dev);
}
END_TEST

/* What does not fit is passed over, once, with a warning that names it; the results are those of the rules. */
START_TEST(choices_that_cannot_be_used)
{
	static const struct {
		const char *problem, *name, *param;
		int value;
	} bad[] = {
		{ FORWARD, "winograd", NULL, 0 },    { FORWARD, "no_such", NULL, 0 },
		{ FORWARD, "cpu_weights", NULL, 0 }, { FORWARD, "cpu", "mr", 99 },
		{ FORWARD, "direct", "mr", 6 },      { WEIGHTS, "cpu", NULL, 0 },
		{ DATA, "winograd", NULL, 0 },       { WEIGHTS, "winograd_weights", NULL, 0 },
	};
	clef_device *dev;
	small_conv shipped, c;

	dev = ck_new(clef_device_open(NULL));
	run(dev, &shipped, true);
	tuning_keep(dev, bad[_i].problem, bad[_i].name, bad[_i].param, bad[_i].value);
	clef_device_close(dev);
	dev = ck_new(clef_device_open(NULL));
	for (int i = 0; i < 2; i++) {
		run(dev, &c, true);
		ck_assert(memcmp(c.y, shipped.y, sizeof(c.y)) == 0 && memcmp(c.dw, shipped.dw, sizeof(c.dw)) == 0);
		ck_assert_int_eq(test_warnings, 1);
	}
	ck_assert_msg(strstr(test_warning, bad[_i].name) && strstr(test_warning, bad[_i].problem), "%s", test_warning);
	clef_device_close(dev);
}
END_TEST

START_TEST(products_are_chosen)
{
	static const char problem[] = "gemm m5 n6 k7 tb";
	gemm_product p = { .tb = true, .m = 5, .n = 6, .k = 7, .integers = true, .alpha = 1 };
	clef_device *dev;
	const clef__gemm_engine *first;
	clef__gemm_opts g = { .trans_b = true, .m = 5, .n = 6, .k = 7, .batch = 1 };

	if (tuning_is_forced())
		test_skip("CLEF_GEMM leaves no choice");
	dev = ck_new(clef_device_open(NULL));
	first = clef__gemm_choose(dev);
	tuning_keep(dev, problem, "plain", NULL, 0);
	ck_assert_str_eq(clef__gemm_tuned(dev, first, &g)->name, "plain");
	gemm_check_product(dev, &p);
	g.m = 6;
	ck_assert_ptr_eq(clef__gemm_tuned(dev, first, &g), first);
	g.m = 5;
	ck_assert_int_eq(test_warnings, 0);
	tuning_keep(dev, problem, "plain", "kc", 16);
	ck_assert_ptr_eq(clef__gemm_tuned(dev, first, &g), first);
	ck_assert_int_eq(test_warnings, 1);
	tuning_keep(dev, problem, "no_such", NULL, 0);
	ck_assert_ptr_eq(clef__gemm_tuned(dev, first, &g), first);
	ck_assert_int_eq(test_warnings, 2);
	tuning_keep(dev, problem, "plain", NULL, 0);
	clef_device_close(dev);
	/* The environment goes before it, and without a warning. */
	if (strcmp(first->name, "cpu") == 0) {
		test_setenv("CLEF_GEMM", "cpu");
		dev = ck_new(clef_device_open(NULL));
		ck_assert_str_eq(clef__gemm_tuned(dev, clef__gemm_choose(dev), &g)->name, "cpu");
		tuning_keep(dev, problem, "cpu", "kc", 17);
		clef__gemm_tuned(dev, clef__gemm_choose(dev), &g);
		ck_assert_int_eq(test_warnings, 3);
		clef_device_close(dev);
	}
}
END_TEST

/* CLBlast's parameters: without all of them, or for a kernel that there is not, its own are used. */
START_TEST(parameters_of_clblast)
{
	static const int whole[] = { 32, 8, 8, 8, 8, 2, 2, 2, 1, 1 };
	static const char *const names[] = { "WGD",  "MDIMCD", "NDIMCD", "MDIMAD", "NDIMBD",
					     "KWID", "VWMD",   "VWND",   "PADA",   "PADB" };
	gemm_product p = { .m = 33, .n = 20, .k = 35, .integers = true, .alpha = 1, .has_bias = true };
	clef_tune_report report;
	clef__tuned t = { .choice = clef__choice_make("clblast"), .shipped = "clblast" };
	clef_device *dev;

	if (test_small() || (_i && !test_long()))
		test_skip("CLBlast compiles for minutes");
	test_setenv("CLEF_GEMM", "clblast");
	/* CLBlast is checked at open, before anything is kept for it. */
	test_setenv("CLEF_COMPILE_JOBS", "1");
	dev = ck_new(clef_device_open(NULL));
	snprintf(t.problem, sizeof(t.problem), "%s", clef__clblast_problem(CLEF__CLBLAST_DIRECT));
	for (int i = 0; i < (_i ? CLEF_COUNT(names) : 3); i++)
		clef__choice_add(&t.choice, names[i], whole[i]);
	ck_ok(clef__tuning_keep(dev, &t, true));
	ck_ok(clef_tune_problems(dev, (const char *[]){ "clblast direct" }, 1, NULL, &report));
	ck_assert_int_eq(report.known, 1);
	clef_device_close(dev);
	dev = ck_new(clef_device_open(NULL));
	for (int way = 0; way < 4; way++) {
		p.ta = way & 1;
		p.tb = way & 2;
		gemm_check_product(dev, &p);
	}
	ck_assert_int_eq(test_warnings, _i ? 0 : 1);
	if (!_i)
		ck_assert_msg(strstr(test_warning, t.problem) && strstr(test_warning, "cannot be used"), "%s",
			      test_warning);
	clef_device_close(dev);
}
END_TEST

/* ---- measuring at the first use ---- */

START_TEST(first_use_is_kept)
{
	clef_device *dev;
	small_conv first, second;
	int count;

	test_setenv("CLEF_TUNE_MS", "100");
	dev = ck_new(clef_device_open(NULL));
	run(dev, &first, true);
	count = clef_tune_count(dev);
	ck_assert_int_ge(count, 3);
	ck_assert(clef__tuning_find(dev, FORWARD)->first_use);
	ck_assert_ptr_nonnull(clef__tuning_find(dev, DATA));
	ck_assert_ptr_nonnull(clef__tuning_find(dev, WEIGHTS));
	/* In this process, in another one, and where nothing is measured. */
	for (int i = 0; i < 3; i++) {
		run(dev, &second, true);
		for (int j = 0; j < CLEF__CONV_WAYS; j++)
			ck_assert_str_eq(first.impl[j], second.impl[j]);
		ck_assert(memcmp(first.y, second.y, sizeof(first.y)) == 0);
		ck_assert(memcmp(first.dw, second.dw, sizeof(first.dw)) == 0);
		clef_device_close(dev);
		test_setenv("CLEF_TUNE_MS", i ? "0" : "100");
		dev = ck_new(clef_device_open(NULL));
		ck_assert_int_eq(clef_tune_count(dev), count);
	}
	clef_device_close(dev);
	ck_assert_int_eq(test_warnings, 0);
}
END_TEST

START_TEST(nothing_is_measured_unless_asked)
{
	clef_device *dev = ck_new(clef_device_open(NULL));
	small_conv c;

	run(dev, &c, true);
	ck_assert_int_eq(clef_tune_count(dev), 0);
	ck_assert_int_eq(access(clef_tune_path(dev), R_OK), -1);
	clef_device_close(dev);
}
END_TEST

/* What is not computed is not measured: gradients without a gradient, and a dry recording. */
START_TEST(only_what_is_used)
{
	static const clef_layer layers[] = { { CLEF_CONV2D, .out = 4, .kernel = 3 },
					     { CLEF_FLATTEN },
					     { CLEF_LINEAR, .out = 2 } };
	clef_device *dev;
	small_conv c;

	test_setenv("CLEF_TUNE_MS", "20");
	dev = ck_new(clef_device_open(NULL));
	clef_model_free(ck_new(clef_sequential_new(dev, layers, CLEF_COUNT(layers), CLEF_SHAPE(3, 8, 8), NULL)));
	ck_assert_int_eq(clef_tune_count(dev), 0);
	run(dev, &c, false);
	ck_assert_ptr_nonnull(clef__tuning_find(dev, FORWARD));
	ck_assert_ptr_null(clef__tuning_find(dev, DATA));
	ck_assert_ptr_null(clef__tuning_find(dev, WEIGHTS));
	clef_device_close(dev);
}
END_TEST

/* Memory for the operation, but not for a second set of its tensors: the rules hold, and nothing is kept. */
START_TEST(without_memory_nothing_is_measured)
{
	clef_device *dev;
	clef_tape *tape;
	clef_tensor *x, *w;
	clef_device_stats stats;

	test_setenv("CLEF_TUNE_MS", "100");
	test_setenv("CLEF_GEMM", "plain");
	dev = ck_new(clef_device_open(NULL));
	tape = ck_new(clef_tape_new(dev));
	x = ck_new(clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(64, 1, 64, 64)));
	w = ck_new(clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(1, 1, 1, 1)));
	clef_device_trim(dev);
	stats = clef_device_get_stats(dev);
	dev->info.global_memory = stats.memory_in_use + ((size_t)3 << 19);
	ck_ok(clef_tape_begin(tape));
	ck_new(clef_conv2d_no_bias(x, w, NULL));
	ck_ok(clef_finish(dev));
	ck_assert_int_eq(clef_tune_count(dev), 0);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tape_free(tape);
	clef_device_close(dev);
}
END_TEST

/* ---- trials: candidates whose time and results are made here ---- */

typedef struct script {
	double ms;
	bool good;
	clef_status fails;
	int checks, runs;
} script;

static int number_of(const clef__choice *c)
{
	return c->name[0] - 'a';
}

static clef_status pretend(void *user, const clef__choice *c)
{
	script *s = &((script *)user)[number_of(c)];

	s->runs++;
	if (s->fails)
		return clef__fail(s->fails, "candidate %s fails", c->name);
	nanosleep(&(struct timespec){ .tv_nsec = (long)(1e6 * s->ms) }, NULL);
	return CLEF_OK;
}

static clef_status pretend_check(void *user, const clef__choice *c, bool *good)
{
	script *s = &((script *)user)[number_of(c)];
	clef_status status = pretend(user, c);

	s->runs--;
	s->checks++;
	*good = s->good;
	return status;
}

static int stop_after;

static bool stops(void *user)
{
	(void)user;
	return stop_after-- <= 0;
}

static clef_status try_all(clef_device *dev, script *s, int count, double seconds, bool stop, clef__tuned *t,
			   bool *done)
{
	const clef__measure_opts how = { .seconds = seconds, .stop = stop ? stops : NULL };
	clef__candidate list[8] = { { .choice = { .name = "" } } };
	clef__trial trial = { .dev = dev,
			      .problem = "pretended",
			      .candidate = list,
			      .count = count,
			      .run = pretend,
			      .check = pretend_check,
			      .user = s,
			      .how = &how };

	for (int i = 0; i < count; i++)
		list[i].choice = clef__choice_make((const char[]){ (char)('a' + i), '\0' });
	return clef__trial_run(&trial, t, done);
}

START_TEST(the_fastest_that_is_right)
{
	script s[] = { { .ms = 60, .good = true },    { .ms = 1 },
		       { .ms = 20, .good = true },    { .ms = 300, .good = true },
		       { .fails = CLEF_ERROR_BUILD }, { .ms = 45, .good = true } };
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef__tuned t;
	bool done;

	ck_ok(try_all(dev, s, 6, 10, false, &t, &done));
	ck_assert(done);
	ck_assert_str_eq(t.choice.name, "c");
	ck_assert_str_eq(t.shipped, "a");
	ck_assert_str_eq(t.wrong, "b e");
	ck_assert_int_eq(test_warnings, 2);
	ck_assert_int_eq(clef_error_status(), CLEF_OK);
	/* What is wrong is never timed, and what is far behind not again. */
	ck_assert_int_eq(s[1].runs, 0);
	ck_assert_int_le(s[3].runs, 3);
	ck_assert(t.ms >= 20 && t.shipped_ms >= 60);
	clef_device_close(dev);
}
END_TEST

START_TEST(shipped_unless_something_is_better)
{
	script same[] = { { .ms = 20, .good = true }, { .ms = 19.9, .good = true } };
	script wrong[] = { { .ms = 1 }, { .ms = 5, .good = true } };
	script memory[] = { { .ms = 1, .good = true }, { .fails = CLEF_ERROR_DEVICE_MEMORY } };
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef__tuned t;
	bool done;

	ck_ok(try_all(dev, same, 2, 10, false, &t, &done));
	ck_assert_str_eq(t.choice.name, "a");
	ck_assert_int_eq(test_warnings, 0);
	ck_ok(try_all(dev, wrong, 2, 10, false, &t, &done));
	ck_assert_str_eq(t.choice.name, "b");
	ck_assert_str_eq(t.wrong, "a");
	ck_assert(done);
	ck_fails(try_all(dev, memory, 2, 10, false, &t, &done), CLEF_ERROR_DEVICE_MEMORY, "candidate b");
	clef_device_close(dev);
}
END_TEST

START_TEST(time_and_interruptions)
{
	script s[] = { { .ms = 1, .good = true }, { .ms = 300, .good = true }, { .ms = 1, .good = true } };
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef__tuned t;
	bool done;

	ck_ok(try_all(dev, s, 3, 0, false, &t, &done));
	ck_assert(!done);
	ck_assert_str_eq(t.choice.name, "a");
	/* The second one takes what time there is. */
	ck_ok(try_all(dev, s, 3, 0.3, false, &t, &done));
	ck_assert(done);
	ck_assert_int_eq(s[1].checks, 1);
	ck_assert_int_eq(s[2].checks, 0);
	ck_assert_str_eq(t.choice.name, "a");
	stop_after = 2;
	ck_ok(try_all(dev, s, 3, 10, true, &t, &done));
	ck_assert(!done);
	clef_device_close(dev);
}
END_TEST

Suite *tuning_choice_suite(void)
{
	Suite *s = suite_create("tuning_choice");
	TCase *c = tcase_create("choices");

	tcase_add_checked_fixture(c, tuning_setup, NULL);
	tcase_add_test(c, environment_file_rules);
	tcase_add_loop_test(c, choices_that_cannot_be_used, 0, 8);
	tcase_add_test(c, products_are_chosen);
	tcase_add_loop_test(c, parameters_of_clblast, 0, 2);
	tcase_add_test(c, first_use_is_kept);
	tcase_add_test(c, nothing_is_measured_unless_asked);
	tcase_add_test(c, only_what_is_used);
	tcase_add_test(c, without_memory_nothing_is_measured);
	tcase_add_test(c, the_fastest_that_is_right);
	tcase_add_test(c, shipped_unless_something_is_better);
	tcase_add_test(c, time_and_interruptions);
	suite_add_tcase(s, c);
	return s;
}
