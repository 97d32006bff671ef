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
	{ "constant(value=3)", { .kind = CLEF_INIT_CONSTANT, .p = 3 } },
	{ "uniform(hi = 2)", { .kind = CLEF_INIT_UNIFORM, .q = 2 } },
	{ "uniform(hi=2, lo=-1)", { .kind = CLEF_INIT_UNIFORM, .p = -1, .q = 2 } },
	{ "normal(std=0.5)", { .kind = CLEF_INIT_NORMAL, .q = 0.5f } },
	{ "normal(3, std=0.5)", { .kind = CLEF_INIT_NORMAL, .p = 3, .q = 0.5f } },
	{ "xavier_uniform(gain=2)", { .kind = CLEF_INIT_XAVIER_UNIFORM, .p = 2 } },
	{ "kaiming_normal(a=0.2, mode=fan_out)",
	  { .kind = CLEF_INIT_KAIMING_NORMAL, .kaiming = { CLEF_FAN_OUT, CLEF_NONLINEARITY_LEAKY_RELU, 0.2f } } },
	{ "kaiming_uniform(nonlinearity = conv_transpose2d, fan_out)",
	  { .kind = CLEF_INIT_KAIMING_UNIFORM, .kaiming = { CLEF_FAN_OUT, CLEF_NONLINEARITY_LINEAR, 0 } } },
	{ "trunc_normal", { .kind = CLEF_INIT_TRUNC_NORMAL } },
	{ "trunc_normal(0, 0.02, -2, 2)", { .kind = CLEF_INIT_TRUNC_NORMAL, .q = 0.02f, .lo = -2, .hi = 2 } },
	{ "trunc_normal(1, 0.5)", { .kind = CLEF_INIT_TRUNC_NORMAL, .p = 1, .q = 0.5f, .lo = -2, .hi = 2 } },
	{ "trunc_normal(std=0.02)", { .kind = CLEF_INIT_TRUNC_NORMAL, .q = 0.02f, .lo = -2, .hi = 2 } },
	{ "trunc_normal(hi=0)", { .kind = CLEF_INIT_TRUNC_NORMAL, .q = 1, .lo = -2 } },
	{ "lecun_uniform", { .kind = CLEF_INIT_LECUN_UNIFORM } },
	{ "lecun_normal()", { .kind = CLEF_INIT_LECUN_NORMAL } },
	{ "orthogonal", { .kind = CLEF_INIT_ORTHOGONAL } },
	{ "orthogonal(1.41)", { .kind = CLEF_INIT_ORTHOGONAL, .p = 1.41f } },
	{ "eye", { .kind = CLEF_INIT_EYE } },
	{ "dirac", { .kind = CLEF_INIT_DIRAC } },
	{ "dirac(2)", { .kind = CLEF_INIT_DIRAC, .groups = 2 } },
	{ "dirac(groups=2)", { .kind = CLEF_INIT_DIRAC, .groups = 2 } },
	{ "sparse(0.9)", { .kind = CLEF_INIT_SPARSE, .p = 0.9f, .q = 0.01f } },
	{ "sparse(0)", { .kind = CLEF_INIT_SPARSE, .q = 0.01f } },
	{ "sparse(1, 2)", { .kind = CLEF_INIT_SPARSE, .p = 1, .q = 2 } },
	{ "sparse(std=2, sparsity=0.5)", { .kind = CLEF_INIT_SPARSE, .p = 0.5f, .q = 2 } },
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
	ck_assert_float_eq(got.lo, want->lo);
	ck_assert_float_eq(got.hi, want->hi);
	ck_assert_int_eq(got.groups, want->groups);
	ck_assert_int_eq(clef_error_status(), CLEF_OK);
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
	{ "kaiming_uniform(mode=relu)", "in any order" },
	{ "kaiming_uniform(a=0, a=0)", "in any order" },
	{ "", "eye, dirac or sparse" },
	{ "constant(values=3)", "constant(value)" },
	{ "normal(std=1, 3)", "normal(mean, std)" },
	{ "normal(0, mean=0)", "normal(mean, std)" },
	{ "normal(mode=fan_in)", "normal(mean, std)" },
	{ "eye(1)", "expected eye" },
	{ "eye(gain=1)", "expected eye" },
	{ "lecun_normal(1)", "expected lecun_normal" },
	{ "trunc_normal(1)", "trunc_normal(mean, std, lo, hi)" },
	{ "trunc_normal(0, 1, 2)", "lo < hi" },
	{ "trunc_normal(0, 0, -2, 2)", "std > 0" },
	{ "trunc_normal(0, 1, 2, -2)", "lo < hi" },
	{ "trunc_normal(0, 1, -2, 2, 3)", "lo < hi" },
	{ "orthogonal(0)", "gain > 0" },
	{ "orthogonal(1, 2)", "gain > 0" },
	{ "dirac(0)", "from 1 to 16777216" },
	{ "dirac(1.5)", "whole number" },
	{ "dirac(3e9)", "whole number" },
	{ "sparse", "sparse(sparsity, std)" },
	{ "sparse()", "sparse(sparsity, std)" },
	{ "sparse(std=0.1)", "sparse(sparsity, std)" },
	{ "sparse(1.1)", "0 <= sparsity <= 1" },
	{ "sparse(-0.1)", "0 <= sparsity <= 1" },
	{ "sparse(0.5, 0)", "std > 0" },
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

START_TEST(nonlinearities_have_the_names_of_pytorch)
{
	static const struct {
		const char *name;
		clef_nonlinearity value;
	} rows[] = {
		{ "linear", CLEF_NONLINEARITY_LINEAR },
		{ "conv1d", CLEF_NONLINEARITY_LINEAR },
		{ "conv2d", CLEF_NONLINEARITY_LINEAR },
		{ "conv3d", CLEF_NONLINEARITY_LINEAR },
		{ "conv_transpose1d", CLEF_NONLINEARITY_LINEAR },
		{ "conv_transpose2d", CLEF_NONLINEARITY_LINEAR },
		{ "conv_transpose3d", CLEF_NONLINEARITY_LINEAR },
		{ "sigmoid", CLEF_NONLINEARITY_SIGMOID },
		{ "tanh", CLEF_NONLINEARITY_TANH },
		{ "relu", CLEF_NONLINEARITY_RELU },
		{ "leaky_relu", CLEF_NONLINEARITY_LEAKY_RELU },
		{ "selu", CLEF_NONLINEARITY_SELU },
	};
	clef_nonlinearity got;

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		got = (clef_nonlinearity)-1;
		ck_ok(clef_nonlinearity_parse(rows[i].name, &got));
		ck_assert_int_eq(got, rows[i].value);
	}
	ck_fails(clef_nonlinearity_parse("gelu", &got), CLEF_ERROR_INVALID, "\"gelu\", expected linear");
	ck_fails(clef_nonlinearity_parse("", &got), CLEF_ERROR_INVALID, "expected linear");
	ck_fails(clef_nonlinearity_parse(NULL, &got), CLEF_ERROR_INVALID, "name is NULL");
	ck_fails(clef_nonlinearity_parse("relu", NULL), CLEF_ERROR_INVALID, "nonlinearity is NULL");
	ck_assert_int_eq(got, CLEF_NONLINEARITY_SELU);
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
	tcase_add_test(c, nonlinearities_have_the_names_of_pytorch);
	suite_add_tcase(s, c);
	return s;
}
