/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that a run of benchmarks takes: layers of the networks in bench_network.c, by their own batches. */
#include <clef/bench.h>

#include "base_internal.h"

/* The quick ones first. */
static const char *const problems[] = {
	"linear x100x784 out256", "linear x64x3072 out4000", "relu x64x64x32x32",      "add a64x64x32x32 b64x64x32x32",
	"linear x100x512 out512", "linear x64x4000 out10",   "linear x64x16384 out10", "relu6 x64x96x32x32",
	"gelu x64x4000",          "tanh x64x4000",
};

enum { QUICK = 4 };

const char *const *clef_bench_problems(clef_bench_effort effort, int *count)
{
	*count = effort == CLEF_BENCH_QUICK ? QUICK : CLEF_COUNT(problems);
	return problems;
}
