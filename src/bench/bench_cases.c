/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that a run of benchmarks takes: layers of the networks in bench_network.c, by their own batches. */
#include <clef/bench.h>

#include "base_internal.h"

/* The quick ones first. */
static const char *const problems[] = {
	"conv2d n64 c3 h32 k32 r5 p2",
	"conv2d n64 c64 h32 k64 r3 p1 no_bias",
	"linear x64x3072 out4000",
	"relu x64x64x32x32",
	/* The small ConvNets, and MLPs. */
	"conv2d n64 c32 h32 k16 r3 p1",
	"conv2d n64 c3 h32 k128 r5 p2",
	"conv2d n64 c128 h32 k64 r3 p1",
	"linear x100x784 out256",
	"linear x100x512 out512",
	"linear x64x4000 out10",
	"linear x64x16384 out10",
	/* VGG and ResNet-18: the stem, and a layer of each stage; the steps between stages. */
	"conv2d n64 c3 h32 k64 r3 p1 no_bias",
	"conv2d n64 c128 h16 k128 r3 p1 no_bias",
	"conv2d n64 c256 h8 k256 r3 p1 no_bias",
	"conv2d n64 c512 h4 k512 r3 p1 no_bias",
	"conv2d n64 c64 h32 k128 r3 st2 p1 no_bias",
	"conv2d n64 c64 h32 k128 r1 st2 no_bias",
	"batch_norm x64x128x16x16 training",
	"batch_norm x64x512x4x4 training",
	"max_pool2d x64x64x32x32 k2",
	"adaptive_avg_pool2d x64x512x4x4",
	"add a64x128x16x16 b64x128x16x16",
	/* MobileNetV2: widening, by channels, and narrowing. */
	"conv2d n64 c16 h32 k96 r1 no_bias",
	"conv2d n64 c96 h32 k96 r3 p1 g96 no_bias",
	"conv2d n64 c144 h16 k32 r1 no_bias",
	"conv2d n64 c384 h4 k384 r3 p1 g384 no_bias",
	"relu6 x64x96x32x32",
	/* One image, as when a network is used. */
	"conv2d c64 h32 k64 r3 p1 no_bias",
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

enum { QUICK = 4 };

const char *const *clef_bench_problems(clef_bench_effort effort, int *count)
{
	*count = effort == CLEF_BENCH_QUICK ? QUICK : CLEF_COUNT(problems);
	return problems;
}
