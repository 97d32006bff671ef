/* SPDX-License-Identifier: Apache-2.0 */
/* Initializers as text: all that can be written, and what is refused. */
#include <locale.h>
#include <string.h>

#include "check_clef.h"

static const struct {
	const char *text;
	clef_init init;
} accepted[] = {
	{ "default", { .kind = CLEF_INIT_DEFAULT } },
	{ "zeros", { .kind = CLEF_INIT_CONSTANT } },
	{ "ones", { .kind = CLEF_INIT_CONSTANT, .p = 1 } },
	{ "ones()", { .kind = CLEF_INIT_CONSTANT, .p = 1 } },
	{ "constant(0.1)", { .kind = CLEF_INIT_CONSTANT, .p = 0.1f } },
	{ "constant", { .kind = CLEF_INIT_CONSTANT } },
	{ "constant(0)", { .kind = CLEF_INIT_CONSTANT } },
	{ " constant ( -2 ) ", { .kind = CLEF_INIT_CONSTANT, .p = -2 } },
	{ "uniform", { .kind = CLEF_INIT_UNIFORM } },
	{ "uniform(-1,1)", { .kind = CLEF_INIT_UNIFORM, .p = -1, .q = 1 } },
	{ "normal", { .kind = CLEF_INIT_NORMAL } },
	{ "normal(0, 0.02)", { .kind = CLEF_INIT_NORMAL, .q = 0.02f } },
	{ "normal(+.5,\t2.)", { .kind = CLEF_INIT_NORMAL, .p = 0.5f, .q = 2 } },
	{ "normal(-1e-3, 1.5E+2)", { .kind = CLEF_INIT_NORMAL, .p = -1e-3f, .q = 150 } },
	{ "xavier_uniform", { .kind = CLEF_INIT_XAVIER_UNIFORM } },
	{ "xavier_normal(1.6666667)", { .kind = CLEF_INIT_XAVIER_NORMAL, .p = 1.6666667f } },
	{ "kaiming_uniform", { .kind = CLEF_INIT_KAIMING_UNIFORM } },
	{ "kaiming_uniform(2.2360679775)", { .kind = CLEF_INIT_KAIMING_UNIFORM, .kaiming = { .a = 2.2360679775f } } },
	{ "kaiming_normal(fan_out, relu)",
	  { .kind = CLEF_INIT_KAIMING_NORMAL, .kaiming = { CLEF_FAN_OUT, CLEF_NONLINEARITY_RELU, 0 } } },
	{ "kaiming_normal(0.2,leaky_relu , fan_in)",
	  { .kind = CLEF_INIT_KAIMING_NORMAL, .kaiming = { CLEF_FAN_IN, CLEF_NONLINEARITY_LEAKY_RELU, 0.2f } } },
	{ "kaiming_normal(linear)",
	  { .kind = CLEF_INIT_KAIMING_NORMAL, .kaiming = { .nonlinearity = CLEF_NONLINEARITY_LINEAR } } },
	{ "kaiming_normal(sigmoid)",
	  { .kind = CLEF_INIT_KAIMING_NORMAL, .kaiming = { .nonlinearity = CLEF_NONLINEARITY_SIGMOID } } },
	{ "kaiming_normal(tanh)",
	  { .kind = CLEF_INIT_KAIMING_NORMAL, .kaiming = { .nonlinearity = CLEF_NONLINEARITY_TANH } } },
	{ "kaiming_normal(selu)",
	  { .kind = CLEF_INIT_KAIMING_NORMAL, .kaiming = { .nonlinearity = CLEF_NONLINEARITY_SELU } } },
	{ "constant(0.000000000000000000000000000012345)", { .kind = CLEF_INIT_CONSTANT, .p = 1.2345e-29f } },
	{ "constant(12345678901234567890)", { .kind = CLEF_INIT_CONSTANT, .p = 12345678901234567890.0f } },
	{ "constant(3.14159265358979323846264338327950288)", { .kind = CLEF_INIT_CONSTANT, .p = 3.14159265f } },
	{ "constant(1e-999)", { .kind = CLEF_INIT_CONSTANT } },
};

START_TEST(parse_accepts)
{
	const clef_init *want = &accepted[_i].init;
	clef_init got;

	memset(&got, 0x55, sizeof(got));
	ck_ok(clef_init_parse(accepted[_i].text, &got));
	ck_assert_int_eq(got.kind, want->kind);
	ck_assert_float_eq(got.p, want->p);
	ck_assert_float_eq(got.q, want->q);
	ck_assert_int_eq(got.kaiming.mode, want->kaiming.mode);
	ck_assert_int_eq(got.kaiming.nonlinearity, want->kaiming.nonlinearity);
	ck_assert_float_eq(got.kaiming.a, want->kaiming.a);
}
END_TEST

static const struct {
	const char *text, *part;
} refused[] = {
	{ "", "expected default, zeros" },
	{ "norml", "\"norml\" begins with no initializer" },
	{ "normal_", "\"normal_\" begins with no initializer" },
	{ "Zeros", "expected default" },
	{ "(1)", "expected default" },
	{ "zeros(1)", "\"zeros(1)\", expected zeros" },
	{ "default(1)", "expected default" },
	{ "zeros zeros", "expected zeros" },
	{ "constant(1", "constant(value)" },
	{ "constant(1))", "constant(value)" },
	{ "constant(1, 2)", "constant(value)" },
	{ "constant(,)", "constant(value)" },
	{ "constant(1,)", "constant(value)" },
	{ "constant(nan)", "constant(value)" },
	{ "constant(inf)", "constant(value)" },
	{ "constant(1e39)", "constant(value)" },
	{ "constant(1e999)", "constant(value)" },
	{ "constant(1e9999)", "constant(value)" },
	{ "constant(0x10)", "constant(value)" },
	{ "constant(1e)", "constant(value)" },
	{ "constant(.)", "constant(value)" },
	{ "constant(-)", "constant(value)" },
	{ "constant(1.2.3)", "constant(value)" },
	{ "constant(relu)", "constant(value)" },
	{ "uniform(1)", "uniform(lo, hi) with lo < hi" },
	{ "uniform(1, 0)", "lo < hi" },
	{ "uniform(0, 0)", "lo < hi" },
	{ "uniform(-3e38, 3e38)", "lo < hi" },
	{ "uniform(0, 1, 2)", "lo < hi" },
	{ "normal(0, 0)", "std > 0" },
	{ "normal(0, -1)", "std > 0" },
	{ "normal(1)", "std > 0" },
	{ "normal 0 1", "std > 0" },
	{ "xavier_uniform(0)", "gain > 0" },
	{ "xavier_normal(-1)", "gain > 0" },
	{ "xavier_normal(fan_in)", "gain > 0" },
	{ "kaiming_normal(fan_in, fan_out)", "fan_in or fan_out" },
	{ "kaiming_normal(relu, relu)", "fan_in or fan_out" },
	{ "kaiming_normal(1, 2)", "the slope of leaky_relu" },
	{ "kaiming_uniform(gelu)", "leaky_relu, relu, linear, sigmoid, tanh or selu" },
	{ "kaiming_uniform(fan_in relu)", "in any order" },
};

START_TEST(parse_refuses)
{
	clef_init got, before;

	memset(&before, 0x55, sizeof(before));
	got = before;
	ck_fails(clef_init_parse(refused[_i].text, &got), CLEF_ERROR_INVALID, refused[_i].part);
	ck_assert_ptr_nonnull(strstr(clef_error(), refused[_i].text));
	ck_assert_mem_eq(&got, &before, sizeof(got));
}
END_TEST

START_TEST(parse_refuses_null)
{
	clef_init init;

	ck_fails(clef_init_parse(NULL, &init), CLEF_ERROR_INVALID, "text is NULL");
	ck_fails(clef_init_parse("zeros", NULL), CLEF_ERROR_INVALID, "init is NULL");
}
END_TEST

START_TEST(parse_reads_points_where_the_locale_has_commas)
{
	clef_init init;

	if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
		test_skip("no locale with decimal commas");
	ck_ok(clef_init_parse("normal(0.5, 0.25)", &init));
	ck_assert(init.p == 0.5f && init.q == 0.25f);
}
END_TEST

Suite *init_parse_suite(void)
{
	Suite *s = suite_create("init_parse");
	TCase *c = tcase_create("text");

	tcase_add_loop_test(c, parse_accepts, 0, CLEF_COUNT(accepted));
	tcase_add_loop_test(c, parse_refuses, 0, CLEF_COUNT(refused));
	tcase_add_test(c, parse_refuses_null);
	tcase_add_test(c, parse_reads_points_where_the_locale_has_commas);
	suite_add_tcase(s, c);
	return s;
}
