/* SPDX-License-Identifier: Apache-2.0 */
/* What an optimizer refuses: options out of their ranges, by name and value, and sets that it cannot work on. */
#include <math.h>

#include "check_clef.h"

START_TEST(test_bad_options)
{
	static const struct {
		clef_sgd_opts opts;
		const char *message;
	} sgd[] = {
		{ { .lr = -1 }, "clef_sgd_new: lr is -1, must be > 0" },
		{ { .lr = NAN }, "lr is nan" },
		{ { .lr = INFINITY }, "lr is inf, must be > 0 and finite" },
		{ { .momentum = 1 }, "momentum is 1, must be >= 0 and < 1" },
		{ { .momentum = -0.5f }, "momentum is -0.5" },
		{ { .momentum = NAN }, "momentum is" },
		{ { .momentum = 0.9f, .dampening = 1.5f }, "dampening is 1.5, must be >= 0 and <= 1" },
		{ { .momentum = 0.9f, .dampening = NAN }, "dampening is" },
		{ { .weight_decay = -1e-4f }, "weight_decay is -0.0001, must be >= 0" },
		{ { .nesterov = true }, "nesterov with momentum 0" },
		{ { .nesterov = true, .momentum = 0.5f, .dampening = 0.5f }, "dampening 0.5" },
	};
	static const struct {
		clef_adam_opts opts;
		const char *message;
	} adam[] = {
		{ { .lr = -1 }, "clef_adam_new: lr is -1" },
		{ { .beta1 = 1 }, "beta1 is 1, must be >= 0 and < 1" },
		{ { .beta1 = -0.1f }, "beta1 is -0.1" },
		{ { .beta2 = 1.5f }, "beta2 is 1.5" },
		{ { .beta2 = NAN }, "beta2 is" },
		{ { .eps = -1e-8f }, "eps is -1e-08, must be > 0" },
		{ { .weight_decay = INFINITY }, "weight_decay is inf, must be >= 0 and finite" },
	};
	clef_params *params = ck_new(clef_params_new(test_device));

	ck_new(clef_params_add(params, "w", CLEF_SHAPE(3), NULL));
	ck_ok(clef_params_commit(params, &(clef_rng){ .seed = 1 }));
	for (int i = 0; i < CLEF_COUNT(sgd); i++)
		ck_null_fails(clef_sgd_new(params, &sgd[i].opts), CLEF_ERROR_INVALID, sgd[i].message);
	for (int i = 0; i < CLEF_COUNT(adam); i++)
		ck_null_fails(clef_adam_new(params, &adam[i].opts), CLEF_ERROR_INVALID, adam[i].message);
	clef_params_free(params);
}
END_TEST

START_TEST(test_bad_params)
{
	clef_params *params = ck_new(clef_params_new(test_device));

	ck_null_fails(clef_sgd_new(NULL, NULL), CLEF_ERROR_INVALID, "clef_sgd_new");
	ck_null_fails(clef_adam_new(NULL, NULL), CLEF_ERROR_INVALID, "clef_adam_new");
	ck_null_fails(clef_adam_new(params, NULL), CLEF_ERROR_STATE, "clef_params_commit");
	ck_ok(clef_params_commit(params, &(clef_rng){ .seed = 1 }));
	ck_null_fails(clef_sgd_new(params, NULL), CLEF_ERROR_INVALID, "no parameters");
	clef_params_free(params);
}
END_TEST

Suite *optim_options_suite(void)
{
	Suite *s = suite_create("optim_options");
	TCase *c = tcase_create("optim_options");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, test_bad_options);
	tcase_add_test(c, test_bad_params);
	suite_add_tcase(s, c);
	return s;
}
