/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedules over 200 steps, against references that go from one rate to the next, as PyTorch's chained forms do, where
 * the schedules themselves are closed formulas; reduction on a plateau against a history worked out by hand.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

#define PI 3.14159265358979323846

static clef_params *params;
static clef_optim *optim;

static void setup(void)
{
	device_setup();
	params = ck_new(clef_params_new(test_device));
	ck_new(clef_params_add(params, "w", CLEF_SHAPE(3), NULL));
	ck_ok(clef_params_commit(params, &(clef_rng){ .seed = 1 }));
	optim = ck_new(clef_sgd_new(params, &(clef_sgd_opts){ .lr = 0.5f }));
}

static void teardown(void)
{
	clef_optim_free(optim);
	clef_params_free(params);
	device_teardown();
}

/* ---- references: the rate at t from that before, 0.5 being the base ---- */

static double constant(double lr, int t)
{
	return t == 0 ? 0.5 * 0.25 : t == 10 ? lr / 0.25 : lr;
}

static double by_steps(double lr, int t)
{
	return t && t % 30 == 0 ? lr * 0.5 : lr;
}

static double multistep(double lr, int t)
{
	return t == 7 || t == 150 ? lr * 0.1 : t == 60 ? lr * 0.1 * 0.1 : lr;
}

static double exponential(double lr, int t)
{
	return t ? lr * 0.98 : lr;
}

static double cosine(double lr, int t)
{
	if (t == 0 || t > 100)
		return lr;
	return (1 + cos(PI * t / 100)) / (1 + cos(PI * (t - 1) / 100)) * (lr - 0.01) + 0.01;
}

static double restarts(double lr, int t)
{
	static int at, length;

	(void)lr;
	if (t == 0) {
		at = 0;
		length = 20;
	} else if (++at == length) {
		at = 0;
		length *= 2;
	}
	return 0.01 + (0.5 - 0.01) * (1 + cos(PI * at / length)) / 2;
}

static double again(double lr, int t)
{
	(void)lr;
	return 0.5 * (1 + cos(PI * (t % 20) / 20)) / 2;
}

static double one_cycle(double lr, int t)
{
	double up = 0.3 * 200 - 1, down = 199;

	(void)lr;
	if (t <= up)
		return 0.5 + (0.02 - 0.5) * (1 + cos(PI * t / up)) / 2;
	return 2e-6 + (0.5 - 2e-6) * (1 + cos(PI * fmin(1, (t - up) / (down - up)))) / 2;
}

static double three_phases(double lr, int t)
{
	double up = 0.25 * 200 - 1, down = 2 * up;

	(void)lr;
	if (t <= up)
		return 0.05 + 0.45 * t / up;
	if (t <= down)
		return 0.5 - 0.45 * (t - up) / (down - up);
	return 0.05 - (0.05 - 0.0005) * fmin(1, (t - down) / (199 - down));
}

static double linear(double lr, int t)
{
	return t == 0 ? 0.125 : t > 50 ? lr : lr * (1 + (1 - 0.25) / (50 * 0.25 + (t - 1) * (1 - 0.25)));
}

static double polynomial(double lr, int t)
{
	return t == 0 || t > 100 ? lr : lr * pow((1 - t / 100.0) / (1 - (t - 1) / 100.0), 2);
}

static double user_rate(int64_t t, void *user)
{
	return 1 / (1 + *(const double *)user * (double)t);
}

static double user(double lr, int t)
{
	(void)lr;
	return 0.5 / (1 + 0.25 * t);
}

static double quarter = 0.25;
static const int64_t milestones[] = { 7, 60, 60, 150 };

static const struct {
	clef_schedule_opts opts;
	double (*reference)(double lr, int t);
} cases[] = {
	{ { .kind = CLEF_SCHEDULE_CONSTANT, .factor = 0.25, .steps = 10 }, constant },
	{ { .kind = CLEF_SCHEDULE_STEP, .every = 30, .factor = 0.5 }, by_steps },
	{ { .kind = CLEF_SCHEDULE_MULTISTEP, .at = milestones, .at_count = 4 }, multistep },
	{ { .kind = CLEF_SCHEDULE_EXPONENTIAL, .factor = 0.98 }, exponential },
	{ { .kind = CLEF_SCHEDULE_COSINE, .steps = 100, .end_lr = 0.01 }, cosine },
	{ { .kind = CLEF_SCHEDULE_RESTARTS, .steps = 20, .multiple = 2, .end_lr = 0.01 }, restarts },
	{ { .kind = CLEF_SCHEDULE_RESTARTS, .steps = 20 }, again },
	{ { .kind = CLEF_SCHEDULE_ONE_CYCLE, .steps = 200 }, one_cycle },
	{ { .kind = CLEF_SCHEDULE_ONE_CYCLE,
	    .steps = 200,
	    .start = 0.25,
	    .div_factor = 10,
	    .final_div_factor = 100,
	    .linear = true,
	    .three_phase = true },
	  three_phases },
	{ { .kind = CLEF_SCHEDULE_LINEAR, .start_factor = 0.25, .steps = 50 }, linear },
	{ { .kind = CLEF_SCHEDULE_POLYNOMIAL, .power = 2, .steps = 100 }, polynomial },
	{ { .kind = CLEF_SCHEDULE_FUNCTION, .function = user_rate, .user = &quarter }, user },
};

static void check_rate(double want, int t)
{
	double got = (double)clef_optim_get_lr(optim);

	ck_assert_msg(fabs(got - want) <= 1e-6 * fmax(want, 1e-6), "step %d: %.9g, not %.9g", t, got, want);
}

START_TEST(test_values)
{
	clef_schedule *schedule = ck_new(clef_schedule_new(optim, &cases[_i].opts));
	double lr = 0.5;

	for (int t = 0; t < 200; t++) {
		lr = cases[_i].reference(lr, t);
		check_rate(lr, t);
		ck_ok(clef_schedule_step(schedule));
	}
	clef_schedule_free(schedule);
}
END_TEST

/* In a straight line to the base rate, and then the schedule. */
START_TEST(test_warmup)
{
	clef_schedule_opts o = cases[_i].opts;
	clef_schedule *schedule;
	double lr = 0.5;

	o.warmup = 10;
	if (o.kind == CLEF_SCHEDULE_ONE_CYCLE) {
		ck_null_fails(clef_schedule_new(optim, &o), CLEF_ERROR_INVALID, "one_cycle: this kind takes no warmup");
		return;
	}
	schedule = ck_new(clef_schedule_new(optim, &o));
	for (int t = 0; t < 200; t++) {
		double share = 1 / 11.0 + (1 - 1 / 11.0) * t / 10;

		lr = t < 10 ? 0.5 * share : cases[_i].reference(t == 10 ? 0.5 : lr, t - 10);
		check_rate(lr, t);
		ck_ok(clef_schedule_step(schedule));
	}
	clef_schedule_free(schedule);
}
END_TEST

/* Another one that is given the state goes on the same way. */
START_TEST(test_restore)
{
	clef_schedule *first = ck_new(clef_schedule_new(optim, &cases[_i].opts)), *second;
	clef_schedule_state state;
	float want;

	for (int t = 0; t < 63; t++)
		ck_ok(clef_schedule_step(first));
	state = clef_schedule_get(first);
	ck_ok(clef_schedule_step(first));
	want = clef_optim_get_lr(optim);
	ck_ok(clef_optim_set_lr(optim, 0.5f));
	second = ck_new(clef_schedule_new(optim, &cases[_i].opts));
	ck_ok(clef_schedule_set(second, &state));
	ck_ok(clef_schedule_step(second));
	ck_assert(clef_optim_get_lr(optim) == want);
	state.step = -1;
	ck_fails(clef_schedule_set(second, &state), CLEF_ERROR_INVALID, "step is -1");
	clef_schedule_free(first);
	clef_schedule_free(second);
}
END_TEST

START_TEST(test_plateau)
{
	static const struct {
		double value, rate;
	} history[] = {
		{ 3, 0.5 },   { 2, 0.5 },    { 1.9, 0.5 }, /* not better by a tenth */
		{ 2, 0.5 },   { 2, 0.25 },   { 2, 0.25 },  /* more than two in a row; cools down */
		{ 2, 0.25 },  { 2, 0.25 },   { 2, 0.125 },  { 1, 0.125 }, { 0.95, 0.125 }, { 0.95, 0.125 },
		{ NAN, 0.1 }, { 0.95, 0.1 }, { 0.95, 0.1 }, { 5, 0.1 },   { 5, 0.1 },      { 5, 0.1 },
	};
	clef_schedule_opts o = { .kind = CLEF_SCHEDULE_PLATEAU,
				 .factor = 0.5,
				 .patience = 2,
				 .threshold = 0.1,
				 .cooldown = 1,
				 .end_lr = 0.1 };
	clef_schedule *schedule;
	double sign = _i ? -1 : 1;

	o.maximum = _i == 1;
	o.absolute = _i == 1; /* and of the negative values; a tenth is less there */
	schedule = ck_new(clef_schedule_new(optim, &o));
	for (int n = 0; n < CLEF_COUNT(history); n++) {
		double value = sign * history[n].value;

		if (o.absolute && n == 2)
			value = -1.95;
		ck_ok(clef_schedule_report(schedule, value));
		check_rate(history[n].rate, n);
		ck_ok(clef_schedule_step(schedule));
		check_rate(history[n].rate, n);
	}
	clef_schedule_free(schedule);
}
END_TEST

START_TEST(test_errors)
{
	static const int64_t falling[] = { 5, 3 };
	static const struct {
		clef_schedule_opts opts;
		const char *message;
	} bad[] = {
		{ { .kind = CLEF_SCHEDULE_KINDS }, "kind is 11, must be 0 to 10" },
		{ { .kind = CLEF_SCHEDULE_COSINE }, "steps is 0, must be >= 1" },
		{ { .kind = CLEF_SCHEDULE_STEP }, "every is 0, must be >= 1" },
		{ { .kind = CLEF_SCHEDULE_STEP, .every = 3, .steps = 5 }, "step: this kind takes no steps" },
		{ { .kind = CLEF_SCHEDULE_COSINE, .steps = 5, .factor = 0.5 }, "cosine: this kind takes no factor" },
		{ { .kind = CLEF_SCHEDULE_MULTISTEP }, "multistep needs at and at_count" },
		{ { .kind = CLEF_SCHEDULE_MULTISTEP, .at = falling, .at_count = 2 }, "at[1] is 3, must be >= 5" },
		{ { .kind = CLEF_SCHEDULE_EXPONENTIAL, .factor = -1 }, "factor is -1, must be > 0 and finite" },
		{ { .kind = CLEF_SCHEDULE_LINEAR, .steps = 5, .start_factor = 2 },
		  "start_factor is 2, must be > 0 and <= 1" },
		{ { .kind = CLEF_SCHEDULE_FUNCTION }, "function is NULL" },
		{ { .kind = CLEF_SCHEDULE_COSINE, .steps = 5, .warmup = -1 }, "warmup is -1" },
		{ { .kind = CLEF_SCHEDULE_PLATEAU, .patience = -2 }, "patience is -2" },
		{ { .kind = CLEF_SCHEDULE_COSINE, .steps = 5, .end_lr = NAN }, "end_lr is nan" },
	};
	clef_schedule *schedule;
	double nothing = -1;

	for (int i = 0; i < CLEF_COUNT(bad); i++)
		ck_null_fails(clef_schedule_new(optim, &bad[i].opts), CLEF_ERROR_INVALID, bad[i].message);
	ck_null_fails(clef_schedule_new(NULL, &cases[0].opts), CLEF_ERROR_INVALID, "clef_schedule_new");
	ck_null_fails(clef_schedule_new(optim, NULL), CLEF_ERROR_INVALID, "clef_schedule_new");
	ck_assert_float_eq(clef_optim_get_lr(optim), 0.5f);
	schedule = ck_new(clef_schedule_new(
		optim,
		&(clef_schedule_opts){ .kind = CLEF_SCHEDULE_FUNCTION, .function = user_rate, .user = &nothing }));
	ck_fails(clef_schedule_step(schedule), CLEF_ERROR_INVALID, "function gives a rate of inf at step 1");
	ck_fails(clef_schedule_report(schedule, 1), CLEF_ERROR_STATE, "function takes no reports");
	ck_fails(clef_schedule_step(NULL), CLEF_ERROR_INVALID, "clef_schedule_step");
	ck_assert_str_eq(clef_schedule_name(CLEF_SCHEDULE_ONE_CYCLE), "one_cycle");
	ck_assert_str_eq(clef_schedule_name(CLEF_SCHEDULE_KINDS), "schedule?");
	clef_schedule_free(schedule);
	clef_schedule_free(NULL);
}
END_TEST

/* ---- text ---- */

static const int64_t two_places[] = { 30, 60 };

static const struct {
	const char *text;
	clef_schedule_opts opts;
} texts[] = {
	{ "constant(0.5, 10)", { .kind = CLEF_SCHEDULE_CONSTANT, .factor = 0.5, .steps = 10 } },
	{ "step(30, 0.25)", { .kind = CLEF_SCHEDULE_STEP, .every = 30, .factor = 0.25 } },
	{ "multistep(30, 60, factor=0.5)",
	  { .kind = CLEF_SCHEDULE_MULTISTEP, .at = two_places, .at_count = 2, .factor = 0.5 } },
	{ "multistep(at=30, at=60)", { .kind = CLEF_SCHEDULE_MULTISTEP, .at = two_places, .at_count = 2 } },
	{ "exponential(0.95)", { .kind = CLEF_SCHEDULE_EXPONENTIAL, .factor = 0.95 } },
	{ " cosine ( 100 , end_lr = 0.01 ) ", { .kind = CLEF_SCHEDULE_COSINE, .steps = 100, .end_lr = 0.01 } },
	{ "cosine(100, warmup=5, warmup_factor=0)",
	  { .kind = CLEF_SCHEDULE_COSINE, .steps = 100, .warmup = 5, .warmup_factor = -0.0 } },
	{ "restarts(10, 2)", { .kind = CLEF_SCHEDULE_RESTARTS, .steps = 10, .multiple = 2 } },
	{ "one_cycle(50, 0.25, linear, three_phase)",
	  { .kind = CLEF_SCHEDULE_ONE_CYCLE, .steps = 50, .start = 0.25, .linear = true, .three_phase = true } },
	{ "linear(20, 0.5, 0)",
	  { .kind = CLEF_SCHEDULE_LINEAR, .steps = 20, .start_factor = 0.5, .end_factor = -0.0 } },
	{ "polynomial(20, 2)", { .kind = CLEF_SCHEDULE_POLYNOMIAL, .steps = 20, .power = 2 } },
	{ "plateau(0.5, 3)", { .kind = CLEF_SCHEDULE_PLATEAU, .factor = 0.5, .patience = 3 } },
};

/* The rates of 100 steps. A plateau hears of a loss that gets no better. */
static void rates(const clef_schedule_opts *o, float rate[100])
{
	clef_schedule *schedule = ck_new(clef_schedule_new(optim, o));

	for (int i = 0; i < 100; i++) {
		rate[i] = clef_optim_get_lr(optim);
		if (o->kind == CLEF_SCHEDULE_PLATEAU)
			ck_ok(clef_schedule_report(schedule, 1.0));
		ck_ok(clef_schedule_step(schedule));
	}
	clef_schedule_free(schedule);
	ck_ok(clef_optim_set_lr(optim, 0.5f));
}

START_TEST(test_text)
{
	static float want[100], got[100];
	clef_schedule_opts opts;

	ck_ok(clef_schedule_parse(texts[_i].text, &opts));
	rates(&texts[_i].opts, want);
	rates(&opts, got);
	ck_assert_mem_eq(got, want, sizeof(want));
	free((void *)opts.at);
}
END_TEST

START_TEST(test_text_fields)
{
	clef_schedule_opts opts;

	ck_ok(clef_schedule_parse("cosine", &opts));
	ck_assert_int_eq(opts.kind, CLEF_SCHEDULE_COSINE);
	ck_assert_int_eq(opts.steps, 0);
	ck_null_fails(clef_schedule_new(optim, &opts), CLEF_ERROR_INVALID, "steps is 0");
	ck_ok(clef_schedule_parse("plateau(patience=0, maximum, absolute)", &opts));
	ck_assert_int_eq(opts.patience, -1);
	ck_assert(opts.maximum && opts.absolute);
	ck_assert_ptr_null(opts.at);
}
END_TEST

START_TEST(test_text_errors)
{
	static const struct {
		const char *text, *message;
	} bad[] = {
		{ "", "the name of a schedule was expected" },
		{ "cosin", "unknown schedule \"cosin\" at character 1; did you mean \"cosine\"?; known are constant" },
		{ "function", "unknown schedule \"function\"" },
		{ "cosine step", "\"step\" at character 8 is left over: there can be one schedule" },
		{ "cosine(0.5)", "a whole number from 0" },
		{ "cosine(10, factor=0.5)", "allowed is cosine(steps, end_lr, warmup, warmup_factor)" },
		{ "step(3, 0.1, 5, 0.5, 9)", "\"9\" at character 22: one value too many" },
		{ "step", "every is 0, must be >= 1" },
		{ "step(3, 0)", "factor is " },
		{ "multistep", "multistep needs at and at_count" },
		{ "multistep(60, 30)", "at[1] is 30, must be >= 60" },
		{ "multistep(60, 0.5)", "\"0.5\" at character 15: a whole number" },
		{ "one_cycle(10, start=2)", "start is 2, must be > 0 and <= 1" },
		{ "one_cycle(10, warmup=3)", "allowed is one_cycle(steps, start" },
		{ "linear(10, start_factor=2)", "start_factor is 2" },
	};
	clef_schedule_opts opts;

	for (int i = 0; i < CLEF_COUNT(bad); i++)
		ck_fails(clef_schedule_parse(bad[i].text, &opts), CLEF_ERROR_INVALID, bad[i].message);
	ck_fails(clef_schedule_parse(NULL, &opts), CLEF_ERROR_INVALID, "clef_schedule_parse");
	ck_fails(clef_schedule_parse("cosine", NULL), CLEF_ERROR_INVALID, "clef_schedule_parse");
}
END_TEST

Suite *schedule_suite(void)
{
	Suite *s = suite_create("schedule");
	TCase *c = tcase_create("schedule");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_values, 0, CLEF_COUNT(cases));
	tcase_add_loop_test(c, test_warmup, 0, CLEF_COUNT(cases));
	tcase_add_loop_test(c, test_restore, 0, CLEF_COUNT(cases));
	tcase_add_loop_test(c, test_plateau, 0, 2);
	tcase_add_test(c, test_errors);
	tcase_add_loop_test(c, test_text, 0, CLEF_COUNT(texts));
	tcase_add_test(c, test_text_fields);
	tcase_add_test(c, test_text_errors);
	suite_add_tcase(s, c);
	return s;
}
