/* SPDX-License-Identifier: Apache-2.0 */
/* Results of benchmarks made by hand, for tests of what is done with them. */
#include "bench_case.h"

clef_bench_stat bench_stat_of(double median)
{
	return (clef_bench_stat){ 5, median, 0.99 * median, 1.01 * median, 0.9 * median, 1.1 * median };
}

clef_bench_limits_result bench_limits_of(void)
{
	return (clef_bench_limits_result){
		.multiply_add = bench_stat_of(1e11),
		.memories = 2,
		.memory = { { 1000000, bench_stat_of(4e10), bench_stat_of(3e10) },
			    { 100000000, bench_stat_of(1e10), bench_stat_of(8e9) } },
		.launch = bench_stat_of(2e-5),
		.launch_row = bench_stat_of(1e-5),
		.transfers = 1,
		.transfer = { { 4096, bench_stat_of(1e9), bench_stat_of(2e9) } },
		.compile_cold = bench_stat_of(0.5),
	};
}

char *bench_text(const char *constant)
{
	return (char *)(uintptr_t)constant; /* results own theirs; these are only read */
}

void bench_fill(bench_sample *s, const char *name, double slow)
{
	static const char *const ops[BENCH_ROWS] = { "conv2d n64 c3 h32 w32 k32 r5 s5 p2", "linear x64x3072 out4000",
						     "a <b> & \"c\", d" };

	memset(s, 0, sizeof(*s));
	s->r = (clef_bench_result){ .clef = bench_text("0.1.0"),
				    .date = bench_text("2026-01-31T12:00:00Z"),
				    .system = bench_text("Linux"),
				    .effort = bench_text("quick"),
				    .seconds = 12,
				    .limits = bench_limits_of(),
				    .probes = 2,
				    .ops = BENCH_ROWS,
				    .networks = 1,
				    .probe = s->probe,
				    .op = s->op,
				    .network = s->network };
	snprintf(s->r.device.name, sizeof(s->r.device.name), "%s", name);
	snprintf(s->r.device.platform_name, sizeof(s->r.device.platform_name), "platform");
	s->r.device.kind = CLEF_DEVICE_GPU;
	s->probe[0] = (clef_bench_probe){ 1, 1e11, 1e10 };
	s->probe[1] = (clef_bench_probe){ 2, 0.8e11, 1e10 };
	for (int i = 0; i < BENCH_ROWS; i++)
		s->op[i] = (clef_bench_row){ .name = bench_text(ops[i]),
					     .pass = bench_text("forward"),
					     .group = bench_text("op"),
					     .seconds = bench_stat_of(1e-3 * (i + 1) * slow),
					     .flops = 1e6,
					     .bytes = 1e5,
					     .launches = 2,
					     .limit = 5e-4,
					     .bound = "arithmetic",
					     .multiply_add = 1e11,
					     .copy = 1e10,
					     .error = 0.25 };
	s->network[0] = (clef_bench_row){ .name = bench_text("mlp n100 c1 h28 w28"),
					  .pass = bench_text("train sgd"),
					  .group = bench_text("mlp"),
					  .seconds = bench_stat_of(2e-3 * slow),
					  .flops = 1e7,
					  .bytes = 1e6,
					  .launches = 18,
					  .limit = 1e-3,
					  .bound = "launches",
					  .memory = 123456789,
					  .images = 100,
					  .loss = 2.3,
					  .data = bench_stat_of(1e-4),
					  .forward = bench_stat_of(1e-3),
					  .backward = bench_stat_of(2e-3),
					  .optimizer = bench_stat_of(3e-4) };
}
