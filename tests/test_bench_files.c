/* SPDX-License-Identifier: Apache-2.0 */
/* Results of benchmarks as files: what is written is read, and what is damaged is an error that tells the place. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_case.h"
#include "check_clef.h"

static void write_text(const char *path, const char *content)
{
	FILE *file = ck_new(fopen(path, "w"));

	ck_assert(fputs(content, file) >= 0 && fclose(file) == 0);
}

static void same_stat(const clef_bench_stat *a, const clef_bench_stat *b)
{
	ck_assert_int_eq(a->count, b->count);
	BENCH_NEAR(a->median, b->median);
	BENCH_NEAR(a->low, b->low);
	BENCH_NEAR(a->high, b->high);
	BENCH_NEAR(a->least, b->least);
	BENCH_NEAR(a->most, b->most);
}

static void same_row(const clef_bench_row *a, const clef_bench_row *b)
{
	ck_assert_str_eq(a->name, b->name);
	ck_assert_str_eq(a->pass, b->pass);
	ck_assert_str_eq(a->group, b->group);
	ck_assert_pstr_eq(a->message, b->message);
	ck_assert_str_eq(a->bound, b->bound);
	ck_assert_int_eq(a->state, b->state);
	ck_assert_uint_eq(a->memory, b->memory);
	same_stat(&a->seconds, &b->seconds);
	same_stat(&a->data, &b->data);
	same_stat(&a->forward, &b->forward);
	same_stat(&a->backward, &b->backward);
	same_stat(&a->optimizer, &b->optimizer);
	BENCH_NEAR(a->flops, b->flops);
	BENCH_NEAR(a->bytes, b->bytes);
	BENCH_NEAR(a->launches, b->launches);
	BENCH_NEAR(a->limit, b->limit);
	BENCH_NEAR(a->multiply_add, b->multiply_add);
	BENCH_NEAR(a->copy, b->copy);
	BENCH_NEAR(a->error, b->error);
	BENCH_NEAR(a->images, b->images);
	BENCH_NEAR(a->loss, b->loss);
}

START_TEST(what_is_written_is_read)
{
	bench_sample a, b;
	const clef_bench_result *both[] = { &a.r, &b.r };
	clef_bench_result **got;
	int count;

	bench_fill(&a, "first", 1);
	bench_fill(&b, "second", 2);
	b.op[1].state = CLEF_BENCH_WRONG;
	b.op[1].message = bench_text("y[3] is \"1\", expected 2");
	b.r.limits = (clef_bench_limits_result){ 0 };
	ck_ok(clef_bench_write(test_path("two.json"), both, 2));
	got = ck_new(clef_bench_read(test_path("two.json"), &count));
	ck_assert_int_eq(count, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(got[i]->device.name, both[i]->device.name);
		ck_assert_int_eq(got[i]->device.kind, CLEF_DEVICE_GPU);
		ck_assert_int_eq(got[i]->ops, BENCH_ROWS);
		ck_assert_int_eq(got[i]->networks, 1);
		for (int k = 0; k < BENCH_ROWS; k++)
			same_row(&got[i]->op[k], &both[i]->op[k]);
		same_row(&got[i]->network[0], &both[i]->network[0]);
		BENCH_NEAR(clef_bench_drift(got[i]), clef_bench_drift(both[i]));
	}
	same_stat(&got[0]->limits.memory[1].read, &a.r.limits.memory[1].read);
	same_stat(&got[0]->limits.transfer[0].to_host, &a.r.limits.transfer[0].to_host);
	same_stat(&got[0]->limits.compile_cold, &a.r.limits.compile_cold);
	ck_assert_int_eq(got[0]->limits.compile_cached.count, 0);
	ck_assert_int_eq(got[1]->limits.multiply_add.count, 0);
	clef_bench_results_free(got, count);
}
END_TEST

static void refuses(const char *content, const char *part)
{
	const char *path = test_path("bad.json");
	int count = 3;

	write_text(path, content);
	ck_null_fails(clef_bench_read(path, &count), CLEF_ERROR_FORMAT, part);
	ck_assert_int_eq(count, 0);
}

START_TEST(damaged_files_are_errors)
{
	int count;

	ck_null_fails(clef_bench_read(test_path("none.json"), &count), CLEF_ERROR_IO, "none.json cannot be opened");
	refuses("{ \"schema\": 1", "is no JSON: line 1");
	refuses("[]", "schema: a whole number");
	refuses("{ \"schema\": 2, \"results\": [] }", "schema 2; this version reads 1");
	refuses("{ \"schema\": 1, \"results\": [] }", "results: an array, not empty, is expected");
	refuses("{ \"schema\": 1, \"results\": [ 3 ] }", "results[0].probes: an array is expected");
	refuses("{ \"schema\": 1, \"results\": [ { \"probes\": [] } ] }", "results[0].device: an object is expected");
}
END_TEST

/* Every part of a good file, changed to nonsense in turn. */
START_TEST(nonsense_is_named_by_its_place)
{
	static const struct {
		const char *from, *to, *part;
	} cases[] = {
		{ "\"state\": \"right\"", "\"state\": \"good\"", "results[0].ops[0].state: right, wrong, impossible" },
		{ "\"bound\": \"arithmetic\"", "\"bound\": \"luck\"", "results[0].ops[0].bound: arithmetic" },
		{ "\"flops\": 1000000.0", "\"flops\": \"many\"", "results[0].ops[0].flops: a number" },
		{ "\"flops\": 1000000.0", "\"flops\": -1", "results[0].ops[0].flops: a number, 0 or above" },
		{ "\"name\": \"conv2d", "\"nam\": \"conv2d", "results[0].ops[0].name: a string" },
		{ "\"median\": 0.001,", "\"median\": 5.0,",
		  "results[0].ops[0].seconds: count >= 1, median > 0 and low" },
		{ "\"ops\": [", "\"op\": [", "results[0].ops: an array" },
		{ "\"multiply_add\": {", "\"multiply_add\": [], \"x\": {",
		  "results[0].limits.multiply_add: an object" },
	};
	bench_sample a;
	char good[32768], bad[32768];
	FILE *file;
	size_t size;

	bench_fill(&a, "first", 1);
	ck_ok(clef_bench_write(test_path("good.json"), (const clef_bench_result *[]){ &a.r }, 1));
	file = ck_new(fopen(test_path("good.json"), "r"));
	size = fread(good, 1, sizeof(good) - 1, file);
	ck_assert_uint_gt(size, 1000);
	good[size] = '\0';
	fclose(file);
	for (int i = 0; i < CLEF_COUNT(cases); i++) {
		char *at = strstr(good, cases[i].from);

		ck_assert_msg(at != NULL, "%s is not in the file", cases[i].from);
		snprintf(bad, sizeof(bad), "%.*s%s%s", (int)(at - good), good, cases[i].to, at + strlen(cases[i].from));
		refuses(bad, cases[i].part);
	}
}
END_TEST

START_TEST(a_file_that_cannot_be_written)
{
	bench_sample a;

	bench_fill(&a, "first", 1);
	ck_fails(clef_bench_write(test_path("no/such/folder"), (const clef_bench_result *[]){ &a.r }, 1), CLEF_ERROR_IO,
		 "cannot be written: No such file");
}
END_TEST

Suite *bench_files_suite(void)
{
	Suite *s = suite_create("bench_files");
	TCase *c;

	c = tcase_create("files");
	tcase_add_test(c, what_is_written_is_read);
	tcase_add_test(c, damaged_files_are_errors);
	tcase_add_test(c, nonsense_is_named_by_its_place);
	tcase_add_test(c, a_file_that_cannot_be_written);
	suite_add_tcase(s, c);
	return s;
}
