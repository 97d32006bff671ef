/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an optimizer refuses: options out of their ranges, by name and value, and sets that it cannot work on. Rules as
 * data and as text: what can be written, that it means what the constructor means, and what is no such text.
 */
#include <math.h>
#include <string.h>

#include "optim_case.h"

/* ---- options out of range ---- */

static const struct {
	clef_optim_opts opts;
	const char *message;
} bad[] = {
	{ { CLEF_OPTIM_SGD, .sgd = { .lr = -1 } }, "clef_sgd_new: lr is -1, must be > 0" },
	{ { CLEF_OPTIM_SGD, .sgd = { .lr = -0.0f } }, "lr is 0, must be > 0 and finite" },
	{ { CLEF_OPTIM_SGD, .sgd = { .lr = NAN } }, "lr is nan" },
	{ { CLEF_OPTIM_SGD, .sgd = { .lr = INFINITY } }, "lr is inf, must be > 0 and finite" },
	{ { CLEF_OPTIM_SGD, .sgd = { .momentum = 1 } }, "momentum is 1, must be >= 0 and < 1" },
	{ { CLEF_OPTIM_SGD, .sgd = { .momentum = -0.5f } }, "momentum is -0.5" },
	{ { CLEF_OPTIM_SGD, .sgd = { .momentum = NAN } }, "momentum is" },
	{ { CLEF_OPTIM_SGD, .sgd = { .momentum = 0.9f, .dampening = 1.5f } },
	  "dampening is 1.5, must be >= 0 and <= 1" },
	{ { CLEF_OPTIM_SGD, .sgd = { .momentum = 0.9f, .dampening = NAN } }, "dampening is" },
	{ { CLEF_OPTIM_SGD, .sgd = { .weight_decay = -1e-4f } }, "weight_decay is -0.0001, must be >= 0" },
	{ { CLEF_OPTIM_SGD, .sgd = { .nesterov = true } }, "nesterov with momentum 0" },
	{ { CLEF_OPTIM_SGD, .sgd = { .nesterov = true, .momentum = 0.5f, .dampening = 0.5f } }, "dampening 0.5" },
	{ { CLEF_OPTIM_ADAGRAD, .adagrad = { .lr = -1 } }, "clef_adagrad_new: lr is -1, must be > 0" },
	{ { CLEF_OPTIM_ADAGRAD, .adagrad = { .lr_decay = -0.5f } }, "lr_decay is -0.5, must be >= 0" },
	{ { CLEF_OPTIM_ADAGRAD, .adagrad = { .accumulator = -1 } }, "accumulator is -1, must be >= 0" },
	{ { CLEF_OPTIM_ADAGRAD, .adagrad = { .eps = -1e-8f } }, "eps is -1e-08, must be > 0" },
	{ { CLEF_OPTIM_ADAGRAD, .adagrad = { .weight_decay = NAN } }, "weight_decay is" },
	{ { CLEF_OPTIM_ADADELTA, .adadelta = { .lr = -1 } }, "clef_adadelta_new: lr is -1" },
	{ { CLEF_OPTIM_ADADELTA, .adadelta = { .rho = 1 } }, "rho is 1, must be >= 0 and < 1" },
	{ { CLEF_OPTIM_ADADELTA, .adadelta = { .eps = -1 } }, "eps is -1, must be > 0" },
	{ { CLEF_OPTIM_ADADELTA, .adadelta = { .weight_decay = -1 } }, "weight_decay is -1, must be >= 0" },
	{ { CLEF_OPTIM_RMSPROP, .rmsprop = { .lr = -1 } }, "clef_rmsprop_new: lr is -1" },
	{ { CLEF_OPTIM_RMSPROP, .rmsprop = { .alpha = 1 } }, "alpha is 1, must be >= 0 and < 1" },
	{ { CLEF_OPTIM_RMSPROP, .rmsprop = { .eps = -0.0f } }, "eps is 0, must be > 0" },
	{ { CLEF_OPTIM_RMSPROP, .rmsprop = { .momentum = 1 } }, "momentum is 1, must be >= 0 and < 1" },
	{ { CLEF_OPTIM_RMSPROP, .rmsprop = { .weight_decay = -1 } }, "weight_decay is -1" },
	{ { CLEF_OPTIM_ADAM, .adam = { .lr = -1 } }, "clef_adam_new: lr is -1" },
	{ { CLEF_OPTIM_ADAM, .adam = { .beta1 = 1 } }, "beta1 is 1, must be >= 0 and < 1" },
	{ { CLEF_OPTIM_ADAM, .adam = { .beta1 = -0.1f } }, "beta1 is -0.1" },
	{ { CLEF_OPTIM_ADAM, .adam = { .beta2 = 1.5f } }, "beta2 is 1.5" },
	{ { CLEF_OPTIM_ADAM, .adam = { .beta2 = NAN } }, "beta2 is" },
	{ { CLEF_OPTIM_ADAM, .adam = { .eps = -1e-8f } }, "eps is -1e-08, must be > 0" },
	{ { CLEF_OPTIM_ADAM, .adam = { .weight_decay = INFINITY } }, "weight_decay is inf, must be >= 0 and finite" },
	{ { CLEF_OPTIM_ADAMW, .adam = { .lr = -1 } }, "clef_adamw_new: lr is -1" },
	{ { CLEF_OPTIM_ADAMW, .adam = { .beta2 = 1 } }, "clef_adamw_new: beta2 is 1" },
	{ { CLEF_OPTIM_ADAMW, .adam = { .weight_decay = -1 } }, "clef_adamw_new: weight_decay is -1" },
	{ { CLEF_OPTIM_ADAMAX, .adamax = { .lr = -1 } }, "clef_adamax_new: lr is -1" },
	{ { CLEF_OPTIM_ADAMAX, .adamax = { .beta1 = 1 } }, "beta1 is 1, must be >= 0 and < 1" },
	{ { CLEF_OPTIM_ADAMAX, .adamax = { .beta2 = 1 } }, "beta2 is 1, must be >= 0 and < 1" },
	{ { CLEF_OPTIM_ADAMAX, .adamax = { .eps = -1 } }, "eps is -1, must be > 0" },
	{ { CLEF_OPTIM_ADAMAX, .adamax = { .weight_decay = -1 } }, "weight_decay is -1" },
	{ { CLEF_OPTIM_NADAM, .nadam = { .lr = -1 } }, "clef_nadam_new: lr is -1" },
	{ { CLEF_OPTIM_NADAM, .nadam = { .beta1 = 1 } }, "beta1 is 1" },
	{ { CLEF_OPTIM_NADAM, .nadam = { .beta2 = -1 } }, "beta2 is -1" },
	{ { CLEF_OPTIM_NADAM, .nadam = { .eps = -1 } }, "eps is -1, must be > 0" },
	{ { CLEF_OPTIM_NADAM, .nadam = { .momentum_decay = -1 } }, "momentum_decay is -1, must be >= 0" },
	{ { CLEF_OPTIM_NADAM, .nadam = { .weight_decay = -1 } }, "weight_decay is -1" },
	{ { CLEF_OPTIM_RADAM, .radam = { .lr = -1 } }, "clef_radam_new: lr is -1" },
	{ { CLEF_OPTIM_RADAM, .radam = { .beta1 = 1 } }, "beta1 is 1" },
	{ { CLEF_OPTIM_RADAM, .radam = { .beta2 = 1 } }, "beta2 is 1" },
	{ { CLEF_OPTIM_RADAM, .radam = { .eps = -1 } }, "eps is -1, must be > 0" },
	{ { CLEF_OPTIM_RADAM, .radam = { .weight_decay = -1 } }, "weight_decay is -1" },
	{ { CLEF_OPTIM_RPROP, .rprop = { .lr = -1 } }, "clef_rprop_new: lr is -1" },
	{ { CLEF_OPTIM_RPROP, .rprop = { .eta_minus = 1 } }, "eta_minus is 1, must be > 0 and < 1" },
	{ { CLEF_OPTIM_RPROP, .rprop = { .eta_minus = -0.0f } }, "eta_minus is 0, must be > 0 and < 1" },
	{ { CLEF_OPTIM_RPROP, .rprop = { .eta_plus = 1 } }, "eta_plus is 1, must be > 1" },
	{ { CLEF_OPTIM_RPROP, .rprop = { .step_min = -1 } }, "step_min is -1, must be > 0" },
	{ { CLEF_OPTIM_RPROP, .rprop = { .step_max = INFINITY } }, "step_max is inf" },
	{ { CLEF_OPTIM_RPROP, .rprop = { .step_min = 2, .step_max = 1 } },
	  "step_max is 1, must be >= step_min, which is 2" },
	{ { CLEF_OPTIM_ASGD, .asgd = { .lr = -1 } }, "clef_asgd_new: lr is -1" },
	{ { CLEF_OPTIM_ASGD, .asgd = { .lambd = -1 } }, "lambd is -1, must be >= 0" },
	{ { CLEF_OPTIM_ASGD, .asgd = { .alpha = -1 } }, "alpha is -1, must be >= 0" },
	{ { CLEF_OPTIM_ASGD, .asgd = { .t0 = -1 } }, "t0 is -1, must be >= 0" },
	{ { CLEF_OPTIM_ASGD, .asgd = { .weight_decay = -1 } }, "weight_decay is -1" },
	{ { CLEF_OPTIM_LION, .lion = { .lr = -1 } }, "clef_lion_new: lr is -1" },
	{ { CLEF_OPTIM_LION, .lion = { .beta1 = 1 } }, "beta1 is 1" },
	{ { CLEF_OPTIM_LION, .lion = { .beta2 = 1 } }, "beta2 is 1" },
	{ { CLEF_OPTIM_LION, .lion = { .weight_decay = -1 } }, "weight_decay is -1" },
	{ { CLEF_OPTIM_LARS, .lars = { .lr = -1 } }, "clef_lars_new: lr is -1" },
	{ { CLEF_OPTIM_LARS, .lars = { .momentum = 1 } }, "momentum is 1, must be >= 0 and < 1" },
	{ { CLEF_OPTIM_LARS, .lars = { .trust = -1 } }, "trust is -1, must be > 0" },
	{ { CLEF_OPTIM_LARS, .lars = { .eps = -1 } }, "eps is -1, must be > 0" },
	{ { CLEF_OPTIM_LARS, .lars = { .weight_decay = -1 } }, "weight_decay is -1" },
	{ { CLEF_OPTIM_LAMB, .lamb = { .lr = -1 } }, "clef_lamb_new: lr is -1" },
	{ { CLEF_OPTIM_LAMB, .lamb = { .beta1 = 1 } }, "beta1 is 1" },
	{ { CLEF_OPTIM_LAMB, .lamb = { .beta2 = 1 } }, "beta2 is 1" },
	{ { CLEF_OPTIM_LAMB, .lamb = { .eps = -1 } }, "eps is -1, must be > 0" },
	{ { CLEF_OPTIM_LAMB, .lamb = { .weight_decay = -1 } }, "weight_decay is -1" },
	{ { CLEF_OPTIM_ADAFACTOR, .adafactor = { .lr = -1 } }, "clef_adafactor_new: lr is -1" },
	{ { CLEF_OPTIM_ADAFACTOR, .adafactor = { .beta2_decay = 0.5f } }, "beta2_decay is 0.5, must be <= 0" },
	{ { CLEF_OPTIM_ADAFACTOR, .adafactor = { .eps1 = -1 } }, "eps1 is -1, must be > 0" },
	{ { CLEF_OPTIM_ADAFACTOR, .adafactor = { .eps2 = -1 } }, "eps2 is -1, must be > 0" },
	{ { CLEF_OPTIM_ADAFACTOR, .adafactor = { .d = -1 } }, "d is -1, must be > 0" },
	{ { CLEF_OPTIM_ADAFACTOR, .adafactor = { .weight_decay = -1 } }, "weight_decay is -1" },
	{ { (clef_optim_kind)-1, .sgd = { .lr = 1 } }, "clef_optim_new: kind is -1, must be 0 to 14" },
	{ { CLEF_OPTIM_KINDS, .sgd = { .lr = 1 } }, "clef_optim_new: kind is 15" },
};

START_TEST(test_bad_options)
{
	bool seen[CLEF_OPTIM_KINDS] = { false };

	for (int i = 0; i < CLEF_COUNT(bad); i++) {
		ck_null_fails(clef_optim_new(optim_f.params, &bad[i].opts), CLEF_ERROR_INVALID, bad[i].message);
		if ((unsigned)bad[i].opts.kind < CLEF_OPTIM_KINDS)
			seen[bad[i].opts.kind] = true;
	}
	for (int kind = 0; kind < CLEF_OPTIM_KINDS; kind++)
		ck_assert_msg(seen[kind], "%s has no row", clef_optim_name((clef_optim_kind)kind));
}
END_TEST

START_TEST(test_bad_params)
{
	clef_params *params = ck_new(clef_params_new(test_device));

	ck_null_fails(clef_sgd_new(NULL, NULL), CLEF_ERROR_INVALID, "clef_sgd_new");
	ck_null_fails(clef_adam_new(NULL, NULL), CLEF_ERROR_INVALID, "clef_adam_new");
	ck_null_fails(clef_optim_new(optim_f.params, NULL), CLEF_ERROR_INVALID, "clef_optim_new");
	ck_null_fails(clef_adam_new(params, NULL), CLEF_ERROR_STATE, "clef_params_commit");
	ck_ok(clef_params_commit(params, &(clef_rng){ .seed = 1 }));
	ck_null_fails(clef_sgd_new(params, NULL), CLEF_ERROR_INVALID, "no parameters");
	clef_params_free(params);
}
END_TEST

/* ---- text ---- */

/* An optimizer, and the text that means the same. */
#define NEW(id) static clef_optim *new_##id(clef_params *params)
NEW(sgd)
{
	return clef_sgd_new(params, NULL);
}
NEW(adagrad)
{
	return clef_adagrad_new(params, &(clef_adagrad_opts){ .accumulator = 0.5f, .lr = 0.1f });
}
NEW(adadelta)
{
	return clef_adadelta_new(params, &(clef_adadelta_opts){ .rho = 0.8f });
}
NEW(rmsprop)
{
	return clef_rmsprop_new(params, &(clef_rmsprop_opts){ .centered = true, .momentum = 0.5f });
}
NEW(adam)
{
	return clef_adam_new(params, &(clef_adam_opts){ .beta1 = -0.0f, .amsgrad = true });
}
NEW(adamw)
{
	return clef_adamw_new(params, NULL);
}
NEW(adamw_none)
{
	return clef_adamw_new(params, &(clef_adam_opts){ .lr = 2e-3f, .weight_decay = -0.0f });
}
NEW(adamax)
{
	return clef_adamax_new(params, &(clef_adamax_opts){ .decoupled = true, .weight_decay = 0.1f });
}
NEW(nadam)
{
	return clef_nadam_new(params, &(clef_nadam_opts){ .momentum_decay = -0.0f });
}
NEW(radam)
{
	return clef_radam_new(params, &(clef_radam_opts){ .maximize = true });
}
NEW(rprop)
{
	return clef_rprop_new(params, &(clef_rprop_opts){ .eta_minus = 0.25f, .step_max = 0.1f });
}
NEW(asgd)
{
	return clef_asgd_new(params, &(clef_asgd_opts){ .t0 = -0.0f, .lambd = 0.5f });
}
NEW(lion)
{
	return clef_lion_new(params, &(clef_lion_opts){ .weight_decay = 0.5f });
}
NEW(lars)
{
	return clef_lars_new(params, &(clef_lars_opts){ .nesterov = true });
}
NEW(lamb)
{
	return clef_lamb_new(params, NULL);
}
NEW(adafactor)
{
	return clef_adafactor_new(params, &(clef_adafactor_opts){ .beta2_decay = -0.5f });
}
NEW(momentum)
{
	return clef_sgd_new(params, &(clef_sgd_opts){ .momentum = 0.9f, .lr = 0.5f });
}
NEW(nesterov)
{
	return clef_sgd_new(params, &(clef_sgd_opts){ .momentum = 0.75f, .nesterov = true });
}
NEW(classical)
{
	return clef_sgd_new(params, &(clef_sgd_opts){ .momentum = 0.5f, .lr = 0.1f, .classical = true });
}

static const struct {
	const char *text;
	clef_optim *(*make)(clef_params *params);
} texts[] = {
	{ "sgd", new_sgd },
	{ "adagrad(accumulator=0.5, lr=0.1)", new_adagrad },
	{ "adadelta(1, 0.8)", new_adadelta },
	{ " rmsprop ( centered , momentum = 0.5 ) ", new_rmsprop },
	{ "adam(beta1=0, amsgrad)", new_adam },
	{ "adamw()", new_adamw },
	{ "adamw(2e-3, weight_decay=0)", new_adamw_none },
	{ "adamax(weight_decay=0.1, decoupled)", new_adamax },
	{ "nadam(momentum_decay=-0)", new_nadam },
	{ "radam(maximize)", new_radam },
	{ "rprop(eta_minus=.25, step_max=1e-1)", new_rprop },
	{ "asgd(lambd=0.5, t0=0)", new_asgd },
	{ "lion(weight_decay=0.5)", new_lion },
	{ "lars(nesterov)", new_lars },
	{ "lamb", new_lamb },
	{ "adafactor(beta2_decay=-0.5)", new_adafactor },
	{ "momentum(0.5)", new_momentum },
	{ "nesterov(momentum=0.75)", new_nesterov },
	{ "sgd(0.1, 0.5, classical)", new_classical },
};

static void three_steps(clef_optim *optim, float values[OPTIM_PARAMS][OPTIM_LARGEST])
{
	float start[OPTIM_PARAMS][OPTIM_LARGEST];
	uint64_t seed = optim_f.seed;

	for (int i = 0; i < OPTIM_PARAMS; i++)
		ck_ok(clef_read(optim_f.w[i], start[i], (size_t)optim_f.n[i] * sizeof(float)));
	for (int step = 0; step < 3; step++) {
		optim_gradients(7);
		ck_ok(clef_optim_step(optim));
	}
	for (int i = 0; i < OPTIM_PARAMS; i++) {
		ck_ok(clef_read(optim_f.w[i], values[i], (size_t)optim_f.n[i] * sizeof(float)));
		ck_ok(clef_write(optim_f.w[i], start[i], (size_t)optim_f.n[i] * sizeof(float)));
	}
	optim_f.seed = seed;
	clef_optim_free(optim);
}

START_TEST(test_text)
{
	static float want[OPTIM_PARAMS][OPTIM_LARGEST], got[OPTIM_PARAMS][OPTIM_LARGEST];
	clef_optim_opts opts;

	ck_ok(clef_optim_parse(texts[_i].text, &opts));
	three_steps(ck_new(texts[_i].make(optim_f.params)), want);
	three_steps(ck_new(clef_optim_new(optim_f.params, &opts)), got);
	ck_assert_mem_eq(got, want, sizeof(want));
}
END_TEST

START_TEST(test_names)
{
	bool seen[CLEF_OPTIM_KINDS] = { false };
	clef_optim_opts opts;

	for (int i = 0; i < CLEF_COUNT(texts); i++) {
		ck_ok(clef_optim_parse(texts[i].text, &opts));
		seen[opts.kind] = true;
	}
	for (int kind = 0; kind < CLEF_OPTIM_KINDS; kind++) {
		const char *name = clef_optim_name((clef_optim_kind)kind);

		ck_assert_msg(seen[kind], "%s has no text", name);
		ck_ok(clef_optim_parse(name, &opts));
		ck_assert_int_eq(opts.kind, kind);
	}
	ck_assert_str_eq(clef_optim_name(CLEF_OPTIM_ADAMW), "adamw");
	ck_assert_str_eq(clef_optim_name(CLEF_OPTIM_KINDS), "optimizer?");
	ck_assert_str_eq(clef_optim_name((clef_optim_kind)-1), "optimizer?");
}
END_TEST

static const struct {
	const char *text, *message;
} refused[] = {
	{ "", "clef_optim_parse: \"\" at character 1: the name of an optimizer was expected" },
	{ "adm", "unknown optimizer \"adm\" at character 1; did you mean \"adam\"?; known are sgd, adagrad, " },
	{ "xyzzyxyzzy", "unknown optimizer \"xyzzyxyzzy\" at character 1; known are" },
	{ "adam sgd", "\"sgd\" at character 6 is left over: there can be one optimizer" },
	{ "adam(momentum=0.9)", "\"momentum\" at character 6: this takes no value of that name; allowed is adam(lr, " },
	{ "adam(momentum)", "a number was expected" },
	{ "sgd(nesterov=1)", "this takes no value of that name" },
	{ "adam(lr=x)", "\"x\" at character 9: a number was expected" },
	{ "adam(lr=nan)", "a number was expected" },
	{ "adam(0.1, lr=0.2)", "given twice" },
	{ "adam(0.1", "no closing bracket" },
	{ "rprop(weight_decay=0.1)", "allowed is rprop(lr, eta_minus, eta_plus, step_min, step_max, maximize)" },
	{ "adam(lr=-1)", "clef_adam_new: lr is -1, must be > 0 and finite" },
	{ "adam(lr=0)", "lr is 0, must be > 0 and finite" },
	{ "adam(lr=1e39)", "does not fit a float" },
	{ "adamw(beta1=1)", "clef_adamw_new: beta1 is 1" },
	{ "sgd(nesterov)", "nesterov with momentum 0" },
	{ "nesterov(momentum=0)", "nesterov with momentum 0 and dampening 0" },
	{ "rprop(step_min=2, step_max=1)", "step_max is 1" },
};

START_TEST(test_text_errors)
{
	clef_optim_opts opts;

	for (int i = 0; i < CLEF_COUNT(refused); i++)
		ck_fails(clef_optim_parse(refused[i].text, &opts), CLEF_ERROR_INVALID, refused[i].message);
	ck_fails(clef_optim_parse(NULL, &opts), CLEF_ERROR_INVALID, "clef_optim_parse");
	ck_fails(clef_optim_parse("adam", NULL), CLEF_ERROR_INVALID, "clef_optim_parse");
}
END_TEST

Suite *optim_options_suite(void)
{
	Suite *s = suite_create("optim_options");
	TCase *c = tcase_create("optim_options");

	tcase_add_checked_fixture(c, optim_setup, optim_teardown);
	tcase_add_test(c, test_bad_options);
	tcase_add_test(c, test_bad_params);
	tcase_add_loop_test(c, test_text, 0, CLEF_COUNT(texts));
	tcase_add_test(c, test_names);
	tcase_add_test(c, test_text_errors);
	suite_add_tcase(s, c);
	return s;
}
