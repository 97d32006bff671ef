/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Benchmarks on a device. Most tests bring limits of their own, since measuring them takes seconds. Kernels that
 * compute something else in a few elements are given to the library by $CLEF_KERNELS: what is timed must be found out.
 */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_internal.h"
#include "check_clef.h"

static const clef_bench_stat high = { 5, 1e15, 1e15, 1e15, 1e15, 1e15 };

/* Limits that nothing reaches. */
static clef_bench *new_bench(void)
{
	clef_bench *b = ck_new(clef_bench_new(test_device, CLEF_BENCH_QUICK));

	b->result.limits.multiply_add = high;
	return b;
}

/* ---- kernels that are wrong ---- */

static char *read_file(const char *path)
{
	FILE *file = ck_new(fopen(path, "r"));
	char *content = ck_new(calloc(1, 1 << 18));

	ck_assert_uint_gt(fread(content, 1, (1 << 18) - 1, file), 0);
	fclose(file);
	return content;
}

/* A copy of the kernels in which `from`, of one file, is `to`; it is used from now on. */
static void change_kernel(const char *name, const char *from, const char *to)
{
	DIR *dir = ck_new(opendir(CLEF_SOURCE_DIR "/cl"));
	char source[1024], *content, *at;
	struct dirent *entry;
	FILE *file;

	while ((entry = readdir(dir)))
		if (*entry->d_name != '.' && strcmp(entry->d_name, name) != 0) {
			snprintf(source, sizeof(source), CLEF_SOURCE_DIR "/cl/%s", entry->d_name);
			ck_assert_int_eq(symlink(source, test_path(entry->d_name)), 0);
		}
	closedir(dir);
	snprintf(source, sizeof(source), CLEF_SOURCE_DIR "/cl/%s", name);
	content = read_file(source);
	at = strstr(content, from);
	ck_assert_msg(at != NULL, "\"%s\" is not in %s", from, name);
	file = ck_new(fopen(test_path(name), "w"));
	ck_assert(fprintf(file, "%.*s%s%s", (int)(at - content), content, to, at + strlen(from)) > 0);
	ck_assert_int_eq(fclose(file), 0);
	free(content);
	test_setenv("CLEF_KERNELS", test_dir());
}

static const clef_bench_row *op_row(const clef_bench *b, const char *pass)
{
	const clef_bench_result *r = clef_bench_get(b);

	for (int i = 0; i < r->ops; i++)
		if (!strcmp(r->op[i].pass, pass))
			return &r->op[i];
	ck_abort_msg("there is no row \"%s\"", pass);
	return NULL;
}

/* Every other state but `state` fails the test. */
static const clef_bench_row *ck_row(const clef_bench *b, const char *pass, clef_bench_state state, const char *part)
{
	const clef_bench_row *row = op_row(b, pass);

	ck_assert_msg(row->state == state, "%s %s is %s: %s", row->name, pass, clef_bench_state_name(row->state),
		      row->message);
	ck_assert_msg(!part || (row->message && strstr(row->message, part)), "\"%s\" is not in: %s", part,
		      row->message);
	return row;
}

/* ---- limits ---- */

START_TEST(limits_are_measured_once)
{
	clef_bench *b = ck_new(clef_bench_new(test_device, CLEF_BENCH_QUICK));
	const clef_bench_limits_result *l = &clef_bench_get(b)->limits;

	ck_fails(clef_bench_problem(b, "relu x3"), CLEF_ERROR_STATE, "call clef_bench_limits() first");
	ck_fails(clef_bench_network_run(b, &(clef_bench_network){ .model = "mlp", .input = CLEF_SHAPE(4) }),
		 CLEF_ERROR_STATE, "call clef_bench_limits() first");
	ck_ok(clef_bench_limits(b));
	ck_assert(l->multiply_add.count >= 3 && l->multiply_add.median > 1e6);
	ck_assert(l->multiply_add.least <= l->multiply_add.low && l->multiply_add.high <= l->multiply_add.most);
	ck_assert_int_gt(l->memories, 0);
	for (int i = 0; i < l->memories; i++) {
		ck_assert(l->memory[i].copy.median > 1e5 && l->memory[i].read.median > 1e5);
		ck_assert(i == 0 || l->memory[i].bytes > l->memory[i - 1].bytes);
	}
	ck_assert(l->launch.median > 0 && l->launch_row.median > 0);
	for (int i = 0; i < l->transfers; i++)
		ck_assert(l->transfer[i].to_device.median > 0 && l->transfer[i].to_host.median > 0);
	ck_assert(l->compile_cold.count && l->compile_cold.median > l->compile_cached.median);
	ck_assert_int_eq(clef_bench_get(b)->probes, 1);
	ck_fails(clef_bench_limits(b), CLEF_ERROR_STATE, "have been measured");
	clef_bench_free(b);
}
END_TEST

START_TEST(null_and_nonsense)
{
	clef_bench *b = new_bench();

	ck_null_fails(clef_bench_new(NULL, CLEF_BENCH_QUICK), CLEF_ERROR_INVALID, "clef_bench_new");
	ck_null_fails(clef_bench_new(test_device, (clef_bench_effort)7), CLEF_ERROR_INVALID, "7 is no effort");
	ck_fails(clef_bench_limits(NULL), CLEF_ERROR_INVALID, "clef_bench_limits");
	ck_fails(clef_bench_problem(b, NULL), CLEF_ERROR_INVALID, "clef_bench_problem");
	ck_fails(clef_bench_problem(b, "relu x3 y4"), CLEF_ERROR_INVALID, "\"y4\"");
	ck_fails(clef_bench_problem(b, "optim rule=adam"), CLEF_ERROR_INVALID, "optim is no operation");
	ck_fails(clef_bench_measurable("random draw=normal"), CLEF_ERROR_INVALID, "random is no operation");
	ck_fails(clef_bench_measurable(NULL), CLEF_ERROR_INVALID, "clef_bench_measurable");
	ck_ok(clef_bench_measurable("relu x3"));
	ck_fails(clef_bench_network_run(b, &(clef_bench_network){ .model = "mpl", .input = CLEF_SHAPE(4) }),
		 CLEF_ERROR_INVALID, "did you mean \"mlp\"");
	ck_fails(clef_bench_network_run(
			 b, &(clef_bench_network){ .model = "mlp", .input = CLEF_SHAPE(4), .optim = "sdg" }),
		 CLEF_ERROR_INVALID, "did you mean \"sgd\"");
	ck_fails(
		clef_bench_network_run(b, &(clef_bench_network){ .model = "mlp", .input = CLEF_SHAPE(4), .batch = -1 }),
		CLEF_ERROR_SHAPE, "-1 samples");
	ck_assert_int_eq(clef_bench_get(b)->ops + clef_bench_get(b)->networks, 0);
	ck_assert_ptr_null(clef_bench_get(NULL));
	clef_bench_free(NULL);
	clef_bench_free(b);
}
END_TEST

/* ---- problems ---- */

START_TEST(right_operations)
{
	clef_bench *b = new_bench();
	const clef_bench_row *row;

	ck_ok(clef_bench_problem(b, "linear x20x784 out30"));
	row = ck_row(b, "forward", CLEF_BENCH_RIGHT, NULL);
	ck_assert(row->seconds.count >= 3 && row->launches >= 1);
	ck_assert_double_eq(row->flops, 2.0 * 20 * 784 * 30);
	ck_assert_double_eq(row->bytes, 4.0 * (20 * 784 + 784 * 30 + 30 + 20 * 30));
	ck_assert(row->error > 0 && row->error <= 1);
	row = ck_row(b, "backward", CLEF_BENCH_RIGHT, NULL);
	ck_assert_double_eq(row->flops, 2 * 2.0 * 20 * 784 * 30);
	ck_assert(row->error > 0 && row->error <= 1);
	clef_bench_free(b);
	b = new_bench();
	ck_ok(clef_bench_problem(b, "gelu x33x1000"));
	row = ck_row(b, "forward", CLEF_BENCH_RIGHT, NULL);
	ck_assert(row->flops == 0 && row->bytes == 4.0 * 2 * 33 * 1000);
	ck_row(b, "backward", CLEF_BENCH_RIGHT, NULL);
	clef_bench_free(b);
}
END_TEST

/* All that the library lists must be readable. */
START_TEST(listed_problems_exist)
{
	char text[256];
	int count, quick;
	const char *const *problems = clef_bench_problems(CLEF_BENCH_DEFAULT, &count);

	clef_bench_problems(CLEF_BENCH_QUICK, &quick);
	ck_assert(quick > 0 && quick < count);
	for (int i = 0; i < count; i++) {
		ck_ok(clef_check_normalize(problems[i], text, sizeof(text)));
		ck_assert_str_eq(text, problems[i]);
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(problems[i], problems[k]);
	}
}
END_TEST

/* One element in a thousand is off by a thousandth. */
START_TEST(wrong_values_are_found)
{
	clef_bench *b;

	change_kernel("unary.cl", "= VALUE;", "= VALUE * (i % 1000 == 7 ? 1.001f : 1.0f);");
	b = new_bench();
	ck_ok(clef_bench_problem(b, "tanh x64x1000"));
	ck_row(b, "forward", CLEF_BENCH_WRONG, "expected");
	clef_bench_free(b);
}
END_TEST

START_TEST(wrong_gradients_are_found)
{
	clef_bench *b;

	change_kernel("unary.cl", "= GRADIENT;", "= GRADIENT * (i % 1000 == 7 ? 1.01f : 1.0f);");
	b = new_bench();
	ck_ok(clef_bench_problem(b, "tanh x64x1000"));
	ck_row(b, "forward", CLEF_BENCH_RIGHT, NULL);
	ck_row(b, "backward", CLEF_BENCH_WRONG, "the gradients say");
	clef_bench_free(b);
}
END_TEST

/* A tile of a product: rows and columns 16 to 31, where there are so many rows. The gradient of the weights of
 * "linear x20x784 out30" has 784 columns, or rows where it is computed transposed; the result has neither. */
static void wrong_tile(const char *condition)
{
	char to[200];

	snprintf(to, sizeof(to),
		 "float product = alpha * sum[r] * ((%s) && (i + r) / 16 == 1 && j / 16 == 1 ? 1.01f : 1.0f)"
		 " + add;",
		 condition);
	change_kernel("gemm_plain.cl", "float product = alpha * sum[r] + add;", to);
	test_setenv("CLEF_GEMM", "plain");
	/* The device of the fixture has its product already. */
	clef_device_close(test_device);
	test_device = ck_new(clef_device_open(NULL));
}

START_TEST(wrong_tile_of_a_result_is_found)
{
	clef_bench *b;

	wrong_tile("k == 784");
	b = new_bench();
	ck_ok(clef_bench_problem(b, "linear x20x784 out30"));
	ck_row(b, "forward", CLEF_BENCH_WRONG, "expected");
	clef_bench_free(b);
}
END_TEST

START_TEST(wrong_tile_of_a_gradient_is_found)
{
	clef_bench *b;

	wrong_tile("k == 20");
	b = new_bench();
	ck_ok(clef_bench_problem(b, "linear x20x784 out30"));
	ck_row(b, "forward", CLEF_BENCH_RIGHT, NULL);
	ck_row(b, "backward", CLEF_BENCH_WRONG, "the gradients say");
	clef_bench_free(b);
}
END_TEST

START_TEST(what_cannot_run_is_a_row)
{
	clef_bench *b = new_bench();

	change_kernel("unary.cl", "= VALUE;", "= no such thing;");
	ck_ok(clef_bench_problem(b, "tanh x10"));
	ck_row(b, "forward", CLEF_BENCH_FAILED, "unary.cl does not compile");
	ck_assert_int_eq(clef_bench_get(b)->ops, 1);
	clef_bench_free(b);
}
END_TEST

START_TEST(low_limits_make_it_impossible)
{
	clef_bench *b;

	if (test_small())
		test_skip("a probe that is slower still takes minutes");
	b = new_bench();
	/* The probe beside the operation gives the limit, unless its own of the start is higher. */
	change_kernel("probe.cl", "for (int r = 0; r < rounds; r++) {", "for (int r = 0; r < 100 * rounds; r++) {");
	b->result.limits.multiply_add = (clef_bench_stat){ 5, 1e6, 1e6, 1e6, 1e6, 1e6 };
	ck_ok(clef_bench_problem(b, "linear x256x1024 out1024"));
	ck_row(b, "forward", CLEF_BENCH_IMPOSSIBLE, "the limits of the device allow");
	clef_bench_free(b);
}
END_TEST

/* ---- networks ---- */

static const clef_bench_network small = {
	.model = "linear(8) relu linear(10)", .input = { 3, { 1, 4, 4 } }, .batch = 8, .optim = "adam(lr=1e-3)"
};

START_TEST(a_network)
{
	clef_bench *b = new_bench();
	const clef_bench_row *train, *infer;

	ck_ok(clef_bench_network_run(b, &small));
	ck_assert_int_eq(clef_bench_get(b)->networks, 2);
	train = &clef_bench_get(b)->network[0];
	infer = train + 1;
	ck_assert_msg(train->state == CLEF_BENCH_RIGHT, "%s", train->message);
	ck_assert_msg(infer->state == CLEF_BENCH_RIGHT, "%s", infer->message);
	ck_assert_str_eq(train->name, "linear(8) relu linear(10) n8 c1 h4 w4");
	ck_assert_str_eq(train->pass, "train adam(lr=1e-3)");
	ck_assert_str_eq(infer->pass, "infer");
	ck_assert(train->images == 8 && train->loss > 1 && train->loss < 4);
	ck_assert(train->seconds.count && train->data.count && train->forward.count && train->backward.count &&
		  train->optimizer.count && train->memory > 0);
	ck_assert(train->launches > infer->launches && infer->launches >= 2);
	/* Forward, and backward but for the images, which need no gradient; and a little for what is not a product. */
	ck_assert_double_eq(infer->flops, 2.0 * 8 * (16 * 8 + 8 * 10));
	ck_assert_double_eq_tol(train->flops, 2.0 * 8 * (2 * 16 * 8 + 3 * 8 * 10), 0.1 * train->flops);
	clef_bench_free(b);
}
END_TEST

START_TEST(a_network_that_diverges_is_wrong)
{
	clef_bench *b = new_bench();
	clef_bench_network wild = small;

	wild.optim = "sgd(lr=1e30)";
	ck_ok(clef_bench_network_run(b, &wild));
	ck_assert_int_eq(clef_bench_get(b)->network[0].state, CLEF_BENCH_WRONG);
	ck_assert_ptr_nonnull(strstr(clef_bench_get(b)->network[0].message, "the loss after 3 steps is "));
	clef_bench_free(b);
}
END_TEST

START_TEST(a_network_that_does_not_fit_is_a_row)
{
	clef_bench *b = new_bench();
	clef_bench_network odd = small;

	odd.model = "linear(8) conv2d(3, 5)";
	ck_ok(clef_bench_network_run(b, &odd));
	ck_assert_int_eq(clef_bench_get(b)->networks, 1);
	ck_assert_int_eq(clef_bench_get(b)->network[0].state, CLEF_BENCH_FAILED);
	ck_assert_ptr_nonnull(strstr(clef_bench_get(b)->network[0].message, "conv2d"));
	clef_bench_free(b);
}
END_TEST

START_TEST(the_peak_begins_anew)
{
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(1 << 20)));
	clef_device_stats s;

	clef_tensor_free(x);
	clef_device_trim(test_device);
	ck_assert_uint_ge(clef_device_get_stats(test_device).memory_peak, 4 << 20);
	clef_device_reset_peak(test_device);
	clef_device_reset_peak(NULL);
	s = clef_device_get_stats(test_device);
	ck_assert_uint_eq(s.memory_peak, s.memory_in_use + s.memory_pooled);
	ck_assert_uint_lt(s.memory_peak, 4 << 20);
}
END_TEST

Suite *bench_run_suite(void)
{
	Suite *s = suite_create("bench_run");
	TCase *c = tcase_create("limits");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, limits_are_measured_once);
	tcase_add_test(c, null_and_nonsense);
	tcase_add_test(c, the_peak_begins_anew);
	suite_add_tcase(s, c);
	c = tcase_create("problems");
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, right_operations);
	tcase_add_test(c, listed_problems_exist);
	tcase_add_test(c, wrong_values_are_found);
	tcase_add_test(c, wrong_gradients_are_found);
	tcase_add_test(c, wrong_tile_of_a_result_is_found);
	tcase_add_test(c, wrong_tile_of_a_gradient_is_found);
	tcase_add_test(c, what_cannot_run_is_a_row);
	tcase_add_test(c, low_limits_make_it_impossible);
	suite_add_tcase(s, c);
	c = tcase_create("networks");
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, a_network);
	tcase_add_test(c, a_network_that_diverges_is_wrong);
	tcase_add_test(c, a_network_that_does_not_fit_is_a_row);
	suite_add_tcase(s, c);
	return s;
}
