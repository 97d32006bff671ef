/* SPDX-License-Identifier: Apache-2.0 */
/* Problems as text, and checks that must fail: of an operation that computes something else than its reference. */
#include <math.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

static void same(const char *problem, const char *text)
{
	char got[256];

	ck_ok(clef_check_normalize(problem, got, sizeof(got)));
	ck_assert_str_eq(got, text);
}

START_TEST(normalized)
{
	same("linear x4x5 out3", "linear x4x5 out3");
	same("  linear\twhole  out3 no_bias x4x5 ", "linear x4x5 out3 no_bias whole");
	same("linear x=4x5 out=1", "linear x4x5 out1");
	same("relu x=scalar", "relu x=scalar");
	same("add a2x1x3 b0", "add a2x1x3 b0");
	same("softplus threshold20 beta0.5 x7", "softplus x7 beta0.5");
	same("clamp x3 min-0.25 max1e3", "clamp x3 min-0.25 max1000");
	same("random n5 draw=uniform", "random draw=uniform n5");
	same("conv2d r3 by=auto st2147483647 k4 g1 c3 h5", "conv2d c3 h5 k4 r3 st2147483647");
	same("norm p=inf dims-1,0 x2x3", "norm x2x3 dims-1,0 p=inf");
	same("norm x3 p-inf", "norm x3 p=-inf");
	same("bce_loss x3 weight=scalar reduction=mean", "bce_loss x3 weight=scalar");
	same("activate act_p=-0 act=elu x3", "activate x3 act=elu act_p-0");
	same("activate act_p=0 act=none x3", "activate x3");
}
END_TEST

static void refused(const char *problem, const char *message)
{
	char text[256];

	ck_fails(clef_check_normalize(problem, text, sizeof(text)), CLEF_ERROR_INVALID, message);
}

START_TEST(refusals)
{
	refused("", "the name of an operation is expected");
	refused("relux x3", "\"relux\" is no operation; did you mean \"relu\"?");
	refused("zzz", "\"zzz\" is no operation");
	refused("relu", "relu needs x, as in x2x3x4");
	refused("linear x3", "linear needs out, as in out8");
	refused("relu x3 x4", "\"x4\" of relu: it is given twice");
	refused("relu x3 y4", "\"y4\" means nothing to relu; there are x, whole");
	refused("relu x", "\"x\" means nothing to relu");
	refused("relu x1x2x3x4x5x6x7x8x9", "a shape is expected");
	refused("relu x-3", "a shape is expected");
	refused("relu x3x", "a shape is expected");
	refused("relu x99999999999", "2147483647 elements at most");
	refused("leaky_relu x3 negative_slope=", "a number is expected");
	refused("leaky_relu x3 negative_slope=nan", "a number is expected");
	refused("leaky_relu x3 negative_slope1e99", "the number is too large");
	refused("linear x3 out1e9", "1 to 1000000 are allowed");
	refused("norm x3 p1e999", "the number is too large");
	refused("norm x3 pinf", "\"pinf\" means nothing to norm");
	refused("sum x3 dims8", "-8 to 7 are allowed");
	refused("sum x3 dims0,4294967296", "-8 to 7 are allowed");
	refused("sum x3 dims0,", "whole numbers are expected, 8 at most");
	refused("kl_div x3 reduction=most", "there are mean, sum, none, batchmean");
	refused("linear x3 out2.5", "a whole number is expected");
	refused("conv2d n3 c2 h3 k2 r3 p1 no_bias twice", "wants no_bias, and x [3, 2, 3, 3] and w [2, 2, 3, 3] alike");
	refused("random draw=normall", "there are uniform, normal,");
	refused("transpose x2x3", "transpose needs two dimensions, as in dims0,1");
	refused("slice x5 range0,1,2,3", "slice wants start, stop and step, as in range1,4,2");
	refused("split x5 size2 use3", "split: part 3 of 3, counted from 0");
	refused("cat x5 more1,2,3,4,5,6", "cat of 7 tensors: 6 at most");
	refused("random", "random needs draw, as in draw=uniform");
	ck_fails(clef_check_normalize(NULL, NULL, 0), CLEF_ERROR_INVALID, "clef_check_normalize");
	refused("conv2d c3 h5 k4", "conv2d needs r, as in r8");
	refused("conv2d c3 h5 k4 r3 st2147483648", "0 to 2147483647 are allowed");
	refused("conv1d c3 l5 k4 r3 by=fft", "there are auto, winograd, ");
}
END_TEST

/* What the library checks by itself can be read, is written as the library would, and is there once. */
START_TEST(own_problems)
{
	for (int i = 0; i < clef_check_count(); i++) {
		clef_check_family f = clef_check_get(i);
		char text[4096];

		ck_assert_msg(f.quick > 0 && f.quick <= f.count, "%s: %d quick problems of %d", f.name, f.quick,
			      f.count);
		ck_ok(clef_check_terms(f.name, text, sizeof(text)));
		ck_assert_ptr_nonnull(strstr(text, "whole\t"));
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(clef_check_get(k).name, f.name);
		for (int k = 0; k < f.count; k++) {
			same(f.problems[k], f.problems[k]);
			for (int l = 0; l < k; l++)
				ck_assert_msg(strcmp(f.problems[l], f.problems[k]) != 0, "twice: %s", f.problems[k]);
		}
	}
	ck_assert_ptr_null(clef_check_get(-1).name);
	ck_assert_ptr_null(clef_check_get(clef_check_count()).name);
	ck_fails(clef_check_terms("liner", (char[9]){ 0 }, 9), CLEF_ERROR_INVALID, "did you mean \"linear\"?");
}
END_TEST

/* ---- every operation has a family ---- */

/* What is an operation's name with this behind it is a form of it, which a flag of its family reaches. */
static const char *const forms[] = { "_no_bias", "_plain", "_act", "_act_no_bias" };

/* Not operations, or tested by hand: where max pooling found its elements is the tests' of pooling. */
static const char *const others[] = { "max_pool_indices" };

static bool is_family(const char *name, size_t length)
{
	for (int i = 0; i < clef_check_count(); i++) {
		const char *family = clef_check_get(i).name;

		if (strlen(family) == length && !strncmp(family, name, length))
			return true;
	}
	return false;
}

static bool is_covered(const char *name)
{
	size_t length = strlen(name);

	for (int i = 0; i < CLEF_COUNT(others); i++)
		if (!strcmp(others[i], name))
			return true;
	for (int i = 0; i < CLEF_COUNT(forms); i++) {
		size_t n = strlen(forms[i]);

		if (length > n && !strcmp(name + length - n, forms[i]) && is_family(name, length - n))
			return true;
	}
	return is_family(name, length);
}

/* The functions of a header that return a tensor. */
static int look_at(const char *header)
{
	static const char prefix[] = "CLEF_API clef_tensor *clef_";
	char path[512], line[512], name[64];
	int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/include/clef/%s", CLEF_SOURCE_DIR, header);
	file = ck_new(fopen(path, "r"));
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, prefix, strlen(prefix)) != 0 || strstr(line, "##name"))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(line + strlen(prefix), "("), line + strlen(prefix));
		ck_assert_msg(is_covered(name), "%s: clef_%s() has no family in src/check", header, name);
		count++;
	}
	fclose(file);
	return count;
}

START_TEST(every_operation_has_a_family)
{
	static const char *const headers[] = { "activation.h", "augment.h", "conv.h", "loss.h",   "norm.h",
					       "pool.h",       "reduce.h",  "ops.h",  "shaping.h" };
	int count = 0;

	for (int i = 0; i < CLEF_COUNT(headers); i++)
		count += look_at(headers[i]);
	ck_assert_int_gt(count, 80);
}
END_TEST

/* ---- checks that fail ---- */

static clef_check_result verdict_of(const char *problem)
{
	clef_check_result r;

	ck_ok(clef_check(test_device, problem, &r));
	return r;
}

START_TEST(results)
{
	clef_check_result r = verdict_of("linear x4x5 out3 whole");

	ck_assert(r.verdict == CLEF_VERDICT_PASSED && r.value_error == 0 && r.value_limit == 0);
	ck_assert(r.gradient_error <= r.gradient_limit && r.gradient_limit > 0 && r.seconds > 0 && !*r.message);
	r = verdict_of("random draw=uniform");
	ck_assert(r.verdict == CLEF_VERDICT_PASSED && isnan(r.gradient_limit));
	ck_assert_str_eq(r.message, "hash 4a113ed1a23dc4ff, expected 4a113ed1a23dc4ff");
	/* What the operation refuses. */
	r = verdict_of("add a2x3 b4");
	ck_assert(r.verdict == CLEF_VERDICT_FAILED);
	ck_assert_ptr_nonnull(strstr(r.message, "cannot be broadcast"));
	/* A network that cannot learn in a step. */
	r = verdict_of("train model=mlp c1 h8 steps1");
	ck_assert(r.verdict == CLEF_VERDICT_FAILED);
	ck_assert_ptr_nonnull(strstr(r.message, "the batch was not learned"));
	ck_fails(clef_check(test_device, "relux", &r), CLEF_ERROR_INVALID, "is no operation");
	ck_fails(clef_check(NULL, "relu x3", &r), CLEF_ERROR_INVALID, "clef_check");
}
END_TEST

START_TEST(random_numbers)
{
	check_family(&clef__family_random);
}
END_TEST

START_TEST(training)
{
	if (test_small())
		test_skip("whole networks take minutes on a slow device");
	check_family(&clef__family_train);
}
END_TEST

Suite *check_suite(void)
{
	Suite *s = suite_create("check");
	TCase *text = tcase_create("text"), *c = tcase_create("check");

	tcase_add_test(text, normalized);
	tcase_add_test(text, refusals);
	tcase_add_test(text, own_problems);
	tcase_add_test(text, every_operation_has_a_family);
	suite_add_tcase(s, text);
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, results);
	tcase_add_test(c, random_numbers);
	tcase_add_test(c, training);
	suite_add_tcase(s, c);
	return s;
}
