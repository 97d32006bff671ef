/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks without a device: statistics, judging, comparing, and the verdict in words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_case.h"
#include "check_clef.h"

/* ---- statistics ---- */

START_TEST(median_and_quartiles)
{
	double odd[] = { 5, 1, 4, 2, 3 }, even[] = { 4, 1, 3, 2 }, one[] = { 7 };
	clef_bench_stat s = clef__bench_stat(odd, 5);

	ck_assert_int_eq(s.count, 5);
	BENCH_NEAR(s.median, 3.0);
	BENCH_NEAR(s.low, 2.0);
	BENCH_NEAR(s.high, 4.0);
	BENCH_NEAR(s.least, 1.0);
	BENCH_NEAR(s.most, 5.0);
	s = clef__bench_stat(even, 4);
	BENCH_NEAR(s.median, 2.5);
	BENCH_NEAR(s.low, 1.75);
	BENCH_NEAR(s.high, 3.25);
	s = clef__bench_stat(one, 1);
	BENCH_NEAR(s.median, 7.0);
	BENCH_NEAR(s.high, 7.0);
	ck_assert_int_eq(clef__bench_stat(NULL, 0).count, 0);
}
END_TEST

/* ---- judging ---- */

static clef_bench_row judged(double seconds, double flops, double bytes, double launches, double saves)
{
	const clef_bench_limits_result l = bench_limits_of();
	const clef_bench_probe probe = { 0, 1e11, 1e10 };
	clef_bench_row row = {
		.seconds = bench_stat_of(seconds), .flops = flops, .bytes = bytes, .launches = launches, .bound = ""
	};

	clef__bench_judge(&l, probe, probe, saves, &row);
	return row;
}

START_TEST(the_nearest_limit_is_told)
{
	clef_bench_row row = judged(0.02, 1e9, 1e7, 1, 1);

	ck_assert_str_eq(row.bound, "arithmetic");
	BENCH_NEAR(row.limit, 0.01);
	BENCH_NEAR(clef_bench_share(&row), 0.5);
	row = judged(0.1, 1e6, 5e8, 1, 1);
	ck_assert_str_eq(row.bound, "memory");
	BENCH_NEAR(row.limit, 0.05);
	row = judged(1e-4, 1e3, 1e3, 5, 1);
	ck_assert_str_eq(row.bound, "launches");
	BENCH_NEAR(row.limit, 5e-5);
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
	const clef_bench_limits_result l = bench_limits_of();

	BENCH_NEAR(clef__bench_bandwidth(&l, 1e5, false), 4e10);
	BENCH_NEAR(clef__bench_bandwidth(&l, 1e7, false), 4e10);
	BENCH_NEAR(clef__bench_bandwidth(&l, 1e9, false), 1e10);
	BENCH_NEAR(clef__bench_bandwidth(&l, 1e9, true), 1.1e10);
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
	bench_sample a, b, c;
	const clef_bench_result *all[] = { &a.r, &b.r, &c.r };
	const clef_bench_ratio *row;
	clef_bench_ratio *list;
	int count;

	bench_fill(&a, "first", 1);
	bench_fill(&b, "second", 2);
	bench_fill(&c, "third", 1.005);
	b.r.limits.multiply_add = bench_stat_of(0.5e11);
	c.op[1].state = CLEF_BENCH_WRONG;
	c.r.networks = 0;
	list = ck_new(clef_bench_compare(all, 3, &count));
	row = find(list, count, a.op[0].name);
	ck_assert_str_eq(row->kind, "op");
	BENCH_NEAR(row->ratio[0], 1.0);
	BENCH_NEAR(row->ratio[1], 0.5);
	ck_assert(row->clear[1]);
	BENCH_NEAR(row->ratio[2], 1 / 1.005);
	ck_assert(!row->clear[2]);
	BENCH_NEAR(find(list, count, "multiply-adds")->ratio[1], 0.5);
	BENCH_NEAR(find(list, count, "launch and wait")->ratio[1], 1.0);
	ck_assert(find(list, count, a.op[1].name)->broken[2]);
	ck_assert(find(list, count, a.op[1].name)->ratio[2] == 0);
	ck_assert(find(list, count, a.network[0].name)->ratio[2] == 0);
	ck_assert(!find(list, count, a.network[0].name)->broken[2]);
	BENCH_NEAR(clef_bench_mean(list, count, "op", 1), 0.5);
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
	bench_sample a, b;
	clef_bench_ratio *list;
	int count;

	bench_fill(&a, "first", 1);
	bench_fill(&b, "second", 1);
	b.r.ops = b.r.networks = b.r.probes = 0;
	b.r.error = bench_text("the driver crashes");
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
	bench_sample a, b;
	char *words;

	bench_fill(&a, "slow one", 4);
	bench_fill(&b, "quick one", 1);
	a.r.limits.launch_row = bench_stat_of(5e-5);
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
	a.network[0].message = bench_text("no device memory");
	words = clef_bench_verdict((const clef_bench_result *[]){ &a.r, &b.r }, 2);
	ck_assert_ptr_nonnull(strstr(words, "the only device that did it. Not on 0:0 slow one (platform): failed, no "
					    "device memory."));
	free(words);
	words = clef_bench_verdict((const clef_bench_result *[]){ &a.r }, 1);
	ck_assert_ptr_nonnull(strstr(words, "No device trains mlp n100 c1 h28 w28."));
	free(words);
}
END_TEST

/* ---- what is run ---- */

START_TEST(networks_can_be_made)
{
	int quick, all;
	const clef_bench_network *network = clef_bench_networks(CLEF_BENCH_DEFAULT, &all);

	ck_assert_ptr_nonnull(clef_bench_networks(CLEF_BENCH_QUICK, &quick));
	ck_assert(quick > 0 && quick < all);
	for (int i = 0; i < all; i++) {
		clef_optim_opts optim;

		ck_ok(clef_model_check(network[i].model));
		ck_assert_int_gt(clef_shape_numel(network[i].input), 0);
		if (network[i].optim)
			ck_ok(clef_optim_parse(network[i].optim, &optim));
	}
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
	c = tcase_create("comparing");
	tcase_add_test(c, ratios);
	tcase_add_test(c, a_device_that_failed_is_broken);
	tcase_add_test(c, verdict_in_words);
	tcase_add_test(c, networks_can_be_made);
	suite_add_tcase(s, c);
	return s;
}
