/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that a run of benchmarks takes: layers of the networks in bench_network.c, by their own batches. */
#include <clef/bench.h>

#include "base_internal.h"

/* The quick ones first. */
static const char *const problems[] = {
	"linear x64x3072 out4000",
	"relu x64x64x32x32",
	/* MLPs, and the ends of ConvNets. */
	"linear x100x784 out256",
	"linear x100x512 out512",
	"linear x64x4000 out10",
	"linear x64x16384 out10",
	/* Sums and activations of ResNet-18 and MobileNetV2. */
	"add a64x128x16x16 b64x128x16x16",
	"relu6 x64x96x32x32",
	/* One image, as when a network is used. */
	"linear x1x4000 out10",
	/* The rest. */
	"matmul a512x512 b512x512",
	"matmul a16x128x64 b16x64x128",
	"gelu x64x4000",
	"tanh x64x4000",
	"softmax x64x1000",
	"cross_entropy x64x10",
	"sum x64x64x32x32",
};

enum { QUICK = 2 };

const char *const *clef_bench_problems(clef_bench_effort effort, int *count)
{
	*count = effort == CLEF_BENCH_QUICK ? QUICK : CLEF_COUNT(problems);
	return problems;
}
