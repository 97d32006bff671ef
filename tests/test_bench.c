/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks without a device: statistics, judging, files, comparing, and the verdict in words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_internal.h"
#include "check_clef.h"

#define NEAR(a, b) ck_assert_double_eq_tol((a), (b), 1e-9 * (1 + fabs(b)))

static clef_bench_stat stat_of(double median)
{
	return (clef_bench_stat){ 5, median, 0.99 * median, 1.01 * median, 0.9 * median, 1.1 * median };
}

/* 100 GFLOP/s; 10 GB/s in memory, 40 GB/s in 1 MB; launches of 10 us. */
static clef_bench_limits_result limits_of(void)
{
	return (clef_bench_limits_result){
		.multiply_add = stat_of(1e11),
		.memories = 2,
		.memory = { { 1000000, stat_of(4e10), stat_of(3e10) }, { 100000000, stat_of(1e10), stat_of(8e9) } },
		.launch = stat_of(2e-5),
		.launch_row = stat_of(1e-5),
		.transfers = 1,
		.transfer = { { 4096, stat_of(1e9), stat_of(2e9) } },
		.compile_cold = stat_of(0.5),
	};
}

/* ---- statistics ---- */

START_TEST(median_and_quartiles)
{
	double odd[] = { 5, 1, 4, 2, 3 }, even[] = { 4, 1, 3, 2 }, one[] = { 7 };
	clef_bench_stat s = clef__bench_stat(odd, 5);

	ck_assert_int_eq(s.count, 5);
	NEAR(s.median, 3.0);
	NEAR(s.low, 2.0);
	NEAR(s.high, 4.0);
	NEAR(s.least, 1.0);
	NEAR(s.most, 5.0);
	s = clef__bench_stat(even, 4);
	NEAR(s.median, 2.5);
	NEAR(s.low, 1.75);
	NEAR(s.high, 3.25);
	s = clef__bench_stat(one, 1);
	NEAR(s.median, 7.0);
	NEAR(s.high, 7.0);
	ck_assert_int_eq(clef__bench_stat(NULL, 0).count, 0);
}
END_TEST

/* ---- judging ---- */

static clef_bench_row judged(double seconds, double flops, double bytes, double launches, double saves)
{
	const clef_bench_limits_result l = limits_of();
	const clef_bench_probe probe = { 0, 1e11, 1e10 };
	clef_bench_row row = {
		.seconds = stat_of(seconds), .flops = flops, .bytes = bytes, .launches = launches, .bound = ""
	};

	clef__bench_judge(&l, probe, probe, saves, &row);
	return row;
}

START_TEST(the_nearest_limit_is_told)
{
	clef_bench_row row = judged(0.02, 1e9, 1e7, 1, 1);

	ck_assert_str_eq(row.bound, "arithmetic");
	NEAR(row.limit, 0.01);
	NEAR(clef_bench_share(&row), 0.5);
	row = judged(0.1, 1e6, 5e8, 1, 1);
	ck_assert_str_eq(row.bound, "memory");
	NEAR(row.limit, 0.05);
	row = judged(1e-4, 1e3, 1e3, 5, 1);
	ck_assert_str_eq(row.bound, "launches");
	NEAR(row.limit, 5e-5);
	row = judged(0.1, 0, 0, 0, 1);
	ck_assert_str_eq(row.bound, "");
	ck_assert(clef_bench_share(&row) == 0 && row.state == CLEF_BENCH_RIGHT);
}
END_TEST

/* The median is a tenth below what the best moment, 1.1 times the median, allows; and a tenth is the clock's. */
START_TEST(faster_than_the_device_is_impossible)
{
	clef_bench_row row = judged(0.0084, 1e9, 0, 1, 1);

	ck_assert_int_eq(row.state, CLEF_BENCH_RIGHT);
	row = judged(0.0080, 1e9, 0, 1, 1);
	ck_assert_int_eq(row.state, CLEF_BENCH_IMPOSSIBLE);
	ck_assert_ptr_nonnull(strstr(row.message, "8 ms, where the limits of the device allow 9.09 ms at best"));
	free(row.message);
	/* An algorithm that multiplies a quarter may be four times as fast, and no more. */
	row = judged(0.0021, 1e9, 0, 1, CLEF__WINOGRAD_SAVES);
	ck_assert_int_eq(row.state, CLEF_BENCH_RIGHT);
	row = judged(0.0020, 1e9, 0, 1, CLEF__WINOGRAD_SAVES);
	ck_assert_int_eq(row.state, CLEF_BENCH_IMPOSSIBLE);
	free(row.message);
	row = judged(0.005, 0, 1e8, 1, 1);
	ck_assert_int_eq(row.state, CLEF_BENCH_IMPOSSIBLE);
	free(row.message);
}
END_TEST

/* What fits a cache may be moved faster than memory can. */
START_TEST(bandwidth_is_that_of_the_working_set)
{
	const clef_bench_limits_result l = limits_of();

	NEAR(clef__bench_bandwidth(&l, 1e5, false), 4e10);
	NEAR(clef__bench_bandwidth(&l, 1e7, false), 4e10);
	NEAR(clef__bench_bandwidth(&l, 1e9, false), 1e10);
	NEAR(clef__bench_bandwidth(&l, 1e9, true), 1.1e10);
	ck_assert_int_eq(judged(3e-5, 0, 1e6, 1, 1).state, CLEF_BENCH_RIGHT);
}
END_TEST

/* A wrong result stays wrong, however fast. */
START_TEST(the_first_state_stays)
{
	clef_bench_row row = { .bound = "" };

	clef__bench_set_state(&row, CLEF_BENCH_WRONG, clef__strdup("first"));
	clef__bench_set_state(&row, CLEF_BENCH_IMPOSSIBLE, clef__strdup("second"));
	ck_assert_int_eq(row.state, CLEF_BENCH_WRONG);
	ck_assert_str_eq(row.message, "first");
	free(row.message);
}
END_TEST

/* ---- results by hand ---- */

#define ROWS 3

typedef struct sample {
	clef_bench_result r;
	clef_bench_row op[ROWS], network[1];
	clef_bench_probe probe[2];
} sample;

static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant; /* results own theirs; these are only read */
}

/* `slow` times as slow as the first. */
static void fill(sample *s, const char *name, double slow)
{
	static const char *const ops[ROWS] = { "conv2d n64 c3 h32 w32 k32 r5 s5 p2", "linear x64x3072 out4000",
					       "a <b> & \"c\", d" };

	memset(s, 0, sizeof(*s));
	s->r = (clef_bench_result){ .clef = text("0.1.0"),
				    .date = text("2026-01-31T12:00:00Z"),
				    .system = text("Linux"),
				    .effort = text("quick"),
				    .seconds = 12,
				    .limits = limits_of(),
				    .probes = 2,
				    .ops = ROWS,
				    .networks = 1,
				    .probe = s->probe,
				    .op = s->op,
				    .network = s->network };
	snprintf(s->r.device.name, sizeof(s->r.device.name), "%s", name);
	snprintf(s->r.device.platform_name, sizeof(s->r.device.platform_name), "platform");
	s->r.device.kind = CLEF_DEVICE_GPU;
	s->probe[0] = (clef_bench_probe){ 1, 1e11, 1e10 };
	s->probe[1] = (clef_bench_probe){ 2, 0.8e11, 1e10 };
	for (int i = 0; i < ROWS; i++)
		s->op[i] = (clef_bench_row){ .name = text(ops[i]),
					     .pass = text("forward"),
					     .group = text("op"),
					     .seconds = stat_of(1e-3 * (i + 1) * slow),
					     .flops = 1e6,
					     .bytes = 1e5,
					     .launches = 2,
					     .limit = 5e-4,
					     .bound = "arithmetic",
					     .multiply_add = 1e11,
					     .copy = 1e10,
					     .error = 0.25 };
	s->network[0] = (clef_bench_row){ .name = text("mlp n100 c1 h28 w28"),
					  .pass = text("train sgd"),
					  .group = text("mlp"),
					  .seconds = stat_of(2e-3 * slow),
					  .flops = 1e7,
					  .bytes = 1e6,
					  .launches = 18,
					  .limit = 1e-3,
					  .bound = "launches",
					  .memory = 123456789,
					  .images = 100,
					  .loss = 2.3,
					  .data = stat_of(1e-4),
					  .forward = stat_of(1e-3),
					  .backward = stat_of(2e-3),
					  .optimizer = stat_of(3e-4) };
}

/* ---- files ---- */

static void write_text(const char *path, const char *content)
{
	FILE *file = ck_new(fopen(path, "w"));

	ck_assert(fputs(content, file) >= 0 && fclose(file) == 0);
}

static void same_stat(const clef_bench_stat *a, const clef_bench_stat *b)
{
	ck_assert_int_eq(a->count, b->count);
	NEAR(a->median, b->median);
	NEAR(a->low, b->low);
	NEAR(a->high, b->high);
	NEAR(a->least, b->least);
	NEAR(a->most, b->most);
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
	NEAR(a->flops, b->flops);
	NEAR(a->bytes, b->bytes);
	NEAR(a->launches, b->launches);
	NEAR(a->limit, b->limit);
	NEAR(a->multiply_add, b->multiply_add);
	NEAR(a->copy, b->copy);
	NEAR(a->error, b->error);
	NEAR(a->images, b->images);
	NEAR(a->loss, b->loss);
}

START_TEST(what_is_written_is_read)
{
	sample a, b;
	const clef_bench_result *both[] = { &a.r, &b.r };
	clef_bench_result **got;
	int count;

	fill(&a, "first", 1);
	fill(&b, "second", 2);
	b.op[1].state = CLEF_BENCH_WRONG;
	b.op[1].message = text("y[3] is \"1\", expected 2");
	b.r.limits = (clef_bench_limits_result){ 0 };
	ck_ok(clef_bench_write(test_path("two.json"), both, 2));
	got = ck_new(clef_bench_read(test_path("two.json"), &count));
	ck_assert_int_eq(count, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(got[i]->device.name, both[i]->device.name);
		ck_assert_int_eq(got[i]->device.kind, CLEF_DEVICE_GPU);
		ck_assert_int_eq(got[i]->ops, ROWS);
		ck_assert_int_eq(got[i]->networks, 1);
		for (int k = 0; k < ROWS; k++)
			same_row(&got[i]->op[k], &both[i]->op[k]);
		same_row(&got[i]->network[0], &both[i]->network[0]);
		NEAR(clef_bench_drift(got[i]), clef_bench_drift(both[i]));
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
	sample a;
	char good[32768], bad[32768];
	FILE *file;
	size_t size;

	fill(&a, "first", 1);
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
	sample a;

	fill(&a, "first", 1);
	ck_fails(clef_bench_write(test_path("no/such/folder"), (const clef_bench_result *[]){ &a.r }, 1), CLEF_ERROR_IO,
		 "cannot be written: No such file");
}
END_TEST

/* ---- comparing ---- */

static const clef_bench_ratio *find(const clef_bench_ratio *list, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	ck_abort_msg("%s is not there", name);
	return NULL;
}

START_TEST(ratios)
{
	sample a, b, c;
	const clef_bench_result *all[] = { &a.r, &b.r, &c.r };
	const clef_bench_ratio *row;
	clef_bench_ratio *list;
	int count;

	fill(&a, "first", 1);
	fill(&b, "second", 2);
	fill(&c, "third", 1.005);
	b.r.limits.multiply_add = stat_of(0.5e11);
	c.op[1].state = CLEF_BENCH_WRONG;
	c.r.networks = 0;
	list = ck_new(clef_bench_compare(all, 3, &count));
	row = find(list, count, a.op[0].name);
	ck_assert_str_eq(row->kind, "op");
	NEAR(row->ratio[0], 1.0);
	NEAR(row->ratio[1], 0.5);
	ck_assert(row->clear[1]);
	NEAR(row->ratio[2], 1 / 1.005);
	ck_assert(!row->clear[2]);
	NEAR(find(list, count, "multiply-adds")->ratio[1], 0.5);
	NEAR(find(list, count, "launch and wait")->ratio[1], 1.0);
	ck_assert(find(list, count, a.op[1].name)->broken[2]);
	ck_assert(find(list, count, a.op[1].name)->ratio[2] == 0);
	ck_assert(find(list, count, a.network[0].name)->ratio[2] == 0);
	ck_assert(!find(list, count, a.network[0].name)->broken[2]);
	NEAR(clef_bench_mean(list, count, "op", 1), 0.5);
	ck_assert(clef_bench_mean(list, count, "network", 2) == 0);
	ck_assert(clef_bench_below(row, 2, 0.95));
	ck_assert(!clef_bench_below(row, 2, 0.45));
	ck_assert(clef_bench_below(find(list, count, a.op[1].name), 3, 0.1));
	ck_assert(!clef_bench_below(find(list, count, "multiply-adds"), 2, 0.95));
	/* Less than 0.999 of the speed, but that may be chance. */
	list[0] = *row;
	list[0].ratio[1] = row->ratio[2];
	list[0].clear[1] = false;
	ck_assert(!clef_bench_below(&list[0], 2, 0.999));
	free(list);
}
END_TEST

/* A device that could not be measured any more is not one that got no slower. */
START_TEST(a_device_that_failed_is_broken)
{
	sample a, b;
	clef_bench_ratio *list;
	int count;

	fill(&a, "first", 1);
	fill(&b, "second", 1);
	b.r.ops = b.r.networks = b.r.probes = 0;
	b.r.error = text("the driver crashes");
	list = ck_new(clef_bench_compare((const clef_bench_result *[]){ &a.r, &b.r }, 2, &count));
	ck_assert(clef_bench_below(find(list, count, a.op[0].name), 2, 0.1));
	free(list);
	ck_null_fails(clef_bench_compare((const clef_bench_result *[]){ &b.r }, 1, &count), CLEF_ERROR_INVALID,
		      "1 results; 2 to 16");
	b.r.limits = (clef_bench_limits_result){ 0 };
	ck_null_fails(clef_bench_compare((const clef_bench_result *[]){ &b.r, &a.r }, 2, &count), CLEF_ERROR_INVALID,
		      "nothing to compare");
}
END_TEST

START_TEST(verdict_in_words)
{
	sample a, b;
	char *words;

	fill(&a, "slow one", 4);
	fill(&b, "quick one", 1);
	a.r.limits.launch_row = stat_of(5e-5);
	words = clef_bench_verdict((const clef_bench_result *[]){ &a.r, &b.r }, 2);
	ck_assert_str_eq(words,
			 "Train mlp n100 c1 h28 w28 on 0:0 quick one (platform): 50000 images/s, 4 times as fast as "
			 "0:0 slow one (platform), because it starts kernels 5.0 times as fast (100 against 20 "
			 "thousand launches/s).\n");
	free(words);
	/* The same limits: then it is the use of them. */
	a.r.limits = b.r.limits;
	words = clef_bench_verdict((const clef_bench_result *[]){ &a.r, &b.r }, 2);
	ck_assert_ptr_nonnull(strstr(words, "because clef reaches 50 % of its limits and 12 % of the other's"));
	free(words);
	a.network[0].state = CLEF_BENCH_FAILED;
	a.network[0].message = text("no device memory");
	words = clef_bench_verdict((const clef_bench_result *[]){ &a.r, &b.r }, 2);
	ck_assert_ptr_nonnull(strstr(words, "the only device that did it. Not on 0:0 slow one (platform): failed, no "
					    "device memory."));
	free(words);
	words = clef_bench_verdict((const clef_bench_result *[]){ &a.r }, 1);
	ck_assert_ptr_nonnull(strstr(words, "No device trains mlp n100 c1 h28 w28."));
	free(words);
}
END_TEST

Suite *bench_suite(void)
{
	Suite *s = suite_create("bench");
	TCase *c = tcase_create("judging");

	tcase_add_test(c, median_and_quartiles);
	tcase_add_test(c, the_nearest_limit_is_told);
	tcase_add_test(c, faster_than_the_device_is_impossible);
	tcase_add_test(c, bandwidth_is_that_of_the_working_set);
	tcase_add_test(c, the_first_state_stays);
	suite_add_tcase(s, c);
	c = tcase_create("files");
	tcase_add_test(c, what_is_written_is_read);
	tcase_add_test(c, damaged_files_are_errors);
	tcase_add_test(c, nonsense_is_named_by_its_place);
	tcase_add_test(c, a_file_that_cannot_be_written);
	suite_add_tcase(s, c);
	c = tcase_create("comparing");
	tcase_add_test(c, ratios);
	tcase_add_test(c, a_device_that_failed_is_broken);
	tcase_add_test(c, verdict_in_words);
	suite_add_tcase(s, c);
	return s;
}
