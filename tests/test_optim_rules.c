/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every rule: against its formula, by the library's own check; the launches of a step; and saved and restored in the
 * middle, with a continuation that is equal to the bit. Each parameter takes part in a rhythm of its own, so that
 * counts of steps differ and the numbers of a step come from a table.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_case.h"
#include "families.h"
#include "optim_case.h"

static const unsigned rhythm[] = { 7, 7, 7, 2, 5, 7, 1, 6, 3, 7 };

/* Problem i of each length is of rule i. */
START_TEST(test_rule)
{
	const clef__family *family = &clef__family_optim;

	for (int i = _i; i < (test_small() ? family->quick : family->count); i += CLEF__OPTIM_RULES)
		check_problem(family->problems[i]);
}
END_TEST

static clef_optim *make(const clef__optim_rule_row *rule)
{
	clef_optim_opts opts;

	ck_ok(clef_optim_parse(rule->optimizer, &opts));
	return ck_new(clef_optim_new(optim_f.params, &opts));
}

/* Launches do not become more where numbers come from a table. */
START_TEST(test_launches_fixed)
{
	const clef__optim_rule_row *rule = &clef__optim_rules[_i];
	clef_optim *optim = make(rule);
	bool with_norms =
		!strcmp(rule->name, "lars") || !strcmp(rule->name, "lamb") || !strcmp(rule->name, "adafactor");

	for (int step = 0; step < 5; step++) {
		uint64_t before;

		optim_gradients(rhythm[step]);
		before = optim_launches();
		ck_ok(clef_optim_step(optim));
		ck_assert_uint_eq(optim_launches() - before, with_norms ? 3 : 1);
	}
	clef_optim_free(optim);
}
END_TEST

/* ---- saved and restored ---- */

static void copy_state(const clef_optim *from, clef_optim *to)
{
	int count = clef_optim_state_count(from);
	char data[4 * OPTIM_LARGEST];

	ck_assert_int_ge(count, 2);
	ck_assert_int_eq(clef_optim_state_count(to), count);
	for (int i = 0; i < count; i++) {
		clef_optim_entry entry;
		size_t bytes;

		ck_ok(clef_optim_state_get(from, i, &entry));
		bytes = 4 * (size_t)clef_shape_numel(entry.shape);
		ck_assert_uint_le(bytes, sizeof(data));
		ck_ok(clef_optim_state_read(from, i, data, bytes));
		ck_assert_int_eq(clef_optim_state_find(to, entry.name), i);
		ck_ok(clef_optim_state_write(to, i, data, bytes));
	}
}

static void read_all(float values[OPTIM_PARAMS][OPTIM_LARGEST])
{
	for (int i = 0; i < OPTIM_PARAMS; i++)
		ck_ok(clef_read(optim_f.w[i], values[i], (size_t)optim_f.n[i] * sizeof(float)));
}

static void some_steps(clef_optim *optim, int from, int to)
{
	for (int step = from; step < to; step++) {
		optim_gradients(rhythm[step % CLEF_COUNT(rhythm)]);
		ck_ok(clef_optim_step(optim));
	}
}

START_TEST(test_restored)
{
	const clef__optim_rule_row *rule = &clef__optim_rules[_i];
	clef_optim *first = make(rule), *second;
	static float middle[OPTIM_PARAMS][OPTIM_LARGEST], end[OPTIM_PARAMS][OPTIM_LARGEST],
		again[OPTIM_PARAMS][OPTIM_LARGEST];
	int half = test_small() ? 3 : 15;
	uint64_t seed;

	some_steps(first, 0, half);
	ck_ok(clef_optim_set_lr(first, 0.03125f));
	second = make(rule);
	copy_state(first, second);
	ck_assert_float_eq(clef_optim_get_lr(second), 0.03125f);
	read_all(middle);
	seed = optim_f.seed;
	some_steps(first, half, 2 * half);
	read_all(end);
	for (int i = 0; i < OPTIM_PARAMS; i++)
		ck_ok(clef_write(optim_f.w[i], middle[i], (size_t)optim_f.n[i] * sizeof(float)));
	optim_f.seed = seed;
	some_steps(second, half, 2 * half);
	read_all(again);
	ck_assert_mem_eq(end, again, sizeof(end));
	clef_optim_free(first);
	clef_optim_free(second);
}
END_TEST

START_TEST(test_state_errors)
{
	clef_optim *optim = ck_new(clef_adam_new(optim_f.params, NULL));
	clef_optim_entry entry;
	int32_t steps[OPTIM_PARAMS] = { 1, -2, 3 };

	ck_assert_int_eq(clef_optim_state_count(optim), 2 + 2 * OPTIM_PARAMS);
	ck_fails(clef_optim_state_get(optim, 8, &entry), CLEF_ERROR_INVALID, "no entry 8, the optimizer has 8");
	ck_fails(clef_optim_state_get(optim, -1, &entry), CLEF_ERROR_INVALID, "no entry -1");
	clef_error_clear();
	ck_assert_int_eq(clef_optim_state_find(optim, "w0.sum"), -1);
	ck_assert_ptr_nonnull(strstr(clef_error(), "no entry \"w0.sum\" in the state of adam"));
	ck_ok(clef_optim_state_get(optim, 0, &entry));
	ck_assert_str_eq(entry.name, "steps");
	ck_assert_int_eq(entry.dtype, CLEF_INT32);
	ck_fails(clef_optim_state_read(optim, 0, steps, 4), CLEF_ERROR_INVALID, "\"steps\" [3] has 12 bytes, not 4");
	ck_fails(clef_optim_state_write(optim, 0, steps, 12), CLEF_ERROR_INVALID, "\"w1\" has made -2 steps");
	ck_fails(clef_optim_state_write(optim, 1, &(float){ -1 }, 4), CLEF_ERROR_INVALID, "lr is -1");
	ck_fails(clef_optim_state_read(NULL, 0, steps, 4), CLEF_ERROR_INVALID, "NULL");
	clef_optim_free(optim);
}
END_TEST

Suite *optim_rules_suite(void)
{
	Suite *s = suite_create("optim_rules");
	TCase *check = tcase_create("check"), *c = tcase_create("optim_rules");

	tcase_add_checked_fixture(check, device_setup, device_teardown);
	tcase_add_loop_test(check, test_rule, 0, CLEF__OPTIM_RULES);
	suite_add_tcase(s, check);
	tcase_add_checked_fixture(c, optim_setup, optim_teardown);
	tcase_add_loop_test(c, test_launches_fixed, 0, CLEF__OPTIM_RULES);
	tcase_add_loop_test(c, test_restored, 0, CLEF__OPTIM_RULES);
	tcase_add_test(c, test_state_errors);
	suite_add_tcase(s, c);
	return s;
}
