/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv2d, conv1d, conv_transpose2d and conv_transpose1d: their terms and problems. What has no "by" the tests run by
 * every implementation.
 */
#include "check_conv.h"
#include "families.h"

/* ---- terms ---- */

static const char *const mode_words[] = { "zeros", "reflect", "replicate", "circular", NULL };

#define NUMBER(term, field, preset_, least_, about_)                                                                   \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_INT, .offset = offsetof(clef__conv_problem, field),                   \
		.preset = preset_, .least = least_, .most = INT32_MAX, .about = about_                                 \
	}
#define WORD(term, field, words_, about_)                                                                              \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_WORD, .offset = offsetof(clef__conv_problem, field), .words = words_, \
		.about = about_                                                                                        \
	}
#define CHANNELS NUMBER("n", n, 1, 0, "images"), NUMBER("c", c, -1, 0, "their channels")
#define LAST                                                                                                           \
	NUMBER("g", g, 1, 1, "groups of channels"), CLEF__ACTIVATION_TERMS(clef__conv_problem, act),                   \
		{ .name = "no_bias",                                                                                   \
		  .kind = CLEF__TERM_FLAG,                                                                             \
		  .offset = offsetof(clef__conv_problem, no_bias),                                                     \
		  .about = "without a bias" },                                                                         \
		{ .name = "twice",                                                                                     \
		  .kind = CLEF__TERM_FLAG,                                                                             \
		  .offset = offsetof(clef__conv_problem, twice),                                                       \
		  .about = "the images are the weights as well" },                                                     \
		WORD("by", by, clef__conv_words, "implementation"),                                                    \
	{                                                                                                              \
		NULL                                                                                                   \
	}
#define MODE WORD("mode", mode, mode_words, "what padding consists of")

/* Of images. */
#define SIZES                                                                                                          \
	CHANNELS, NUMBER("h", h, -1, 0, "rows"), NUMBER("w", w, 0, 0, "columns; 0: as h"),                             \
		NUMBER("k", k, -1, 0, "outputs"), NUMBER("r", r, -1, 0, "rows of the kernel"),                         \
		NUMBER("s", s, 0, 0, "its columns; 0: as r"), NUMBER("st", st, 1, 0, "stride"),                        \
		NUMBER("stw", stw, 0, 0, "stride of columns; 0: as st"), NUMBER("p", p, 0, 0, "padding on all sides"), \
		NUMBER("pw", pw, 0, 0, "padding left and right; 0: as p"), NUMBER("pt", pt, 0, 0, "more at the top"),  \
		NUMBER("pb", pb, 0, 0, "more at the bottom"), NUMBER("pl", pl, 0, 0, "more on the left"),              \
		NUMBER("pr", pr, 0, 0, "more on the right"), NUMBER("d", d, 1, 0, "dilation"),                         \
		NUMBER("dw", dw, 0, 0, "dilation of columns; 0: as d")
/* Of rows. */
#define SIZES1                                                                                                         \
	CHANNELS, NUMBER("l", w, -1, 0, "elements"), NUMBER("k", k, -1, 0, "outputs"),                                 \
		NUMBER("r", s, -1, 0, "elements of the kernel"), NUMBER("st", stw, 1, 0, "stride"),                    \
		NUMBER("p", pw, 0, 0, "padding at both ends"), NUMBER("pl", pl, 0, 0, "more on the left"),             \
		NUMBER("pr", pr, 0, 0, "more on the right"), NUMBER("d", dw, 1, 0, "dilation")

static const clef__term terms_conv2d[] = { SIZES, MODE, LAST };
static const clef__term terms_conv1d[] = { SIZES1, MODE, LAST };
static const clef__term terms_conv_transpose2d[] = { SIZES, NUMBER("op", op, 0, 0, "added to the result"),
						     NUMBER("oph", oph, 0, 0, "more rows"),
						     NUMBER("opw", opw, 0, 0, "more columns"), LAST };
static const clef__term terms_conv_transpose1d[] = { SIZES1, NUMBER("op", op, 0, 0, "added to the result"), LAST };

/* ---- problems ---- */

/* Whole numbers with a bias, where all must be exact, and real ones without. */
#define BOTH_OF(name, sizes)  #name " " sizes " whole", #name " " sizes " no_bias"
#define BY(name, impl, sizes) #name " " sizes " by=" #impl " whole"
/* Those that do any sizes without groups, and those for 3 x 3 as well. */
#define MOST_OF(name, sizes)                                                                                           \
	BY(name, cpu, sizes), BY(name, cpu_weights, sizes), BY(name, gemm, sizes), BY(name, im2col, sizes),            \
		BY(name, direct, sizes)
#define EVERY_OF(name, sizes)                                                                                          \
	BY(name, winograd, sizes), BY(name, winograd_weights, sizes), BY(name, winograd_gpu, sizes),                   \
		MOST_OF(name, sizes)

/* clang-format off */
static const char *const problems_conv2d[] = {
#define BOTH(sizes) BOTH_OF(conv2d, sizes)
#define STRIDES(sizes) BOTH(sizes " p1"), BOTH(sizes " st2 p1"), BOTH(sizes " st3 p1")
	"conv2d n2 c3 h5 w6 k4 r3 p1 whole",
	"conv2d c2 h6 w7 k3 r2 s3 st2 d2 no_bias",
	"conv2d c4 h4 w5 k6 r2 s3 p1 mode=reflect g2 whole",
	"conv2d n2 c3 h5 w6 k4 r3 p1 by=gemm whole",
	"conv2d n2 c3 h5 w6 k4 r3 p1 by=im2col whole",
	"conv2d n2 c3 h5 w6 k4 r3 p1 by=direct whole",
	/* The interesting ones: 3 x 3, one that is large for its channels, strided, depthwise, and a single product. */
	EVERY_OF(conv2d, "n2 c17 h9 w20 k14 r3 p1"),
	EVERY_OF(conv2d, "n5 c2 h13 k3 r3 p1"),
	MOST_OF(conv2d, "n2 c3 h15 w17 k5 r5 st2 p2"),
	BY(conv2d, cpu, "n2 c19 h5 w32 k19 r3 p1 g19"),
	BY(conv2d, cpu_weights, "n2 c19 h5 w32 k19 r3 p1 g19"),
	BY(conv2d, direct, "n2 c19 h5 w32 k19 r3 p1 g19"),
	MOST_OF(conv2d, "n3 c41 h5 w4 k20 r1"),
	"conv2d n2 c2 h3 k2 r3 p1 no_bias twice whole",
	"conv2d n2 c3 h6 w19 k5 r3 p1 act=relu",
	"conv2d n2 c3 h6 w19 k5 r3 p1 act=tanh",
	"conv2d n2 c3 h6 w9 k5 r3 st2 act=leaky_relu no_bias",
	"conv2d n2 c3 h6 w9 k5 r3 p1 act=gelu",
	/* Winograd's tiles and panels, cut into parts. */
	BOTH("n2 c2 h33 w1 k3 r3 p1"),
	BOTH("n2 c2 h31 w3 k3 r3 p1"),
	BOTH("n2 c2 h17 w4 k3 r3 p1"),
	BOTH("n2 c2 h16 w5 k3 r3 p1"),
	BOTH("n2 c2 h15 w8 k3 r3 p1"),
	BOTH("n2 c2 h12 w9 k3 r3 p1"),
	BOTH("n2 c2 h9 w12 k3 r3 p1"),
	BOTH("n2 c2 h8 w15 k3 r3 p1"),
	BOTH("n2 c2 h5 w16 k3 r3 p1"),
	BOTH("n2 c2 h4 w17 k3 r3 p1"),
	BOTH("n2 c2 h3 w31 k3 r3 p1"),
	BOTH("n2 c2 h1 w33 k3 r3 p1"),
	BOTH("c3 h6 w7 k1 r3 p1"),
	BOTH("c3 h6 w7 k8 r3 p1"),
	BOTH("c3 h6 w7 k11 r3 p1"),
	BOTH("c3 h6 w7 k12 r3 p1"),
	BOTH("c3 h6 w7 k13 r3 p1"),
	BOTH("c3 h6 w7 k14 r3 p1"),
	BOTH("c3 h6 w7 k34 r3 p1"),
	BOTH("c1 h6 w7 k3 r3 p1"),
	BOTH("c15 h6 w7 k3 r3 p1"),
	BOTH("c16 h6 w7 k3 r3 p1"),
	BOTH("c17 h6 w7 k3 r3 p1"),
	BOTH("c33 h6 w7 k3 r3 p1"),
	BOTH("n9 c3 h4 k5 r3 p1"),
	BOTH("n5 c3 h8 k5 r3 p1"),
	BOTH("c2 h9 w20 k3 r3 p2"),
	BOTH("c2 h9 w20 k3 r3 p5"),
	BOTH("c2 h9 w20 k3 r3 pt2 pl1"),
	BOTH("c2 h9 w20 k3 r3"),
	/* One product an image, and one for all; batches of four images and one. */
	BOTH("n2 c2 h5 w4 k3 r3 s2"),
	BOTH("n2 c3 h23 w25 k5 r1"),
	BOTH("n3 c4 h5 k9 r1"),
	BOTH("c1 h3 w257 k2 r2 s3"),
	BOTH("c2 h257 w1 k3 r5 s1"),
	BOTH("c1 h1 k1 r1"),
	BOTH("n5 c3 h1 k4 r1"),
	BOTH("n2 c3 h6 w7 k4 r6 s7"),
	BOTH("n5 c1 h46 w50 k2 r2 s1"),
	/* Strides, also larger than the kernel, than the image, and than all. */
	BOTH("c2 h6 w7 k3 r3 st2"),
	BOTH("n2 c2 h20 w37 k3 r3 st2 stw1"),
	BOTH("n2 c2 h20 w37 k3 r3 stw2"),
	BOTH("n2 c2 h40 w67 k3 r3 st3"),
	BOTH("n2 c3 h9 k3 r1 st2"),
	BOTH("n2 c2 h11 w13 k3 r2 st5"),
	BOTH("n2 c2 h4 k3 r3 st7"),
	BOTH("n2 c2 h4 k3 r3 st2147483647 p1"),
	/* Padding; at last as many rows and columns of y as of x, but not the same ones. */
	BOTH("c2 h3 w4 k2 r3 p1"),
	BOTH("n2 c3 h8 w33 k4 r5 p2"),
	BOTH("n2 c3 h8 w9 k4 r5 s3 p2 pw1"),
	BOTH("n2 c3 h8 w9 k4 r1 s3 pw1"),
	BOTH("n2 c3 h8 w9 k4 r3 s1 pt1 pb1"),
	BOTH("n2 c3 h8 w9 k4 r2 pb1 pr1"),
	BOTH("n2 c3 h5 w6 k4 r3 s4 p1 pt1 pb2 pl3"),
	BOTH("n2 c3 h2 w3 k4 r3 p9"),
	BOTH("n2 c3 h1 k4 r5 p2"),
	BOTH("n2 c3 h3 k4 r1 p1"),
	BOTH("c3 h4 k4 r1 st2 p2"),
	/* Dilations. */
	BOTH("c2 h5 w6 k2 r2 s3 d2"),
	BOTH("n2 c3 h12 w40 k4 r3 d2 dw5"),
	BOTH("n2 c3 h12 w13 k4 r3 p3 dw3"),
	BOTH("n2 c3 h3 k4 r3 p7 d7"),
	BOTH("n2 c3 h3 k4 r1 d2147483647"),
	/* Groups: of some channels, of one, and of as many as make products pay. */
	BOTH("c4 h4 w5 k6 r2 s3 g2"),
	BOTH("n2 c5 h9 w35 k5 r3 p1 g5"),
	BOTH("n2 c3 h9 w8 k9 r3 st2 g3"),
	BOTH("n2 c4 h5 k2 r1 g2"),
	BOTH("n2 c8 h6 w7 k16 r3 p1 g2"),
	BOTH("n2 c64 h4 k16 r1 g2"),
	/* Padding with the image's own pixels, as much as each sort allows. */
	BOTH("c1 h3 w2 k2 r3 p1 mode=reflect"),
	BOTH("n2 c3 h4 w5 k2 r3 p3 pw4 mode=reflect"),
	BOTH("n2 c3 h4 w5 k2 r2 s3 st2 pt2 pr3 mode=reflect"),
	BOTH("n2 c2 h6 w35 k4 r3 p2 d2 mode=reflect g2"),
	BOTH("n2 c2 h3 k4 r3 mode=reflect"),
	BOTH("c1 h3 w2 k2 r3 p1 mode=replicate"),
	BOTH("n2 c3 h4 w5 k2 r3 p4 pw4 mode=replicate"),
	BOTH("n2 c3 h4 w5 k2 r2 s3 st2 pt2 pr3 mode=replicate"),
	BOTH("n2 c2 h6 w35 k4 r3 p2 d2 mode=replicate g2"),
	BOTH("n2 c2 h3 k4 r3 mode=replicate"),
	BOTH("c1 h3 w2 k2 r3 p1 mode=circular"),
	BOTH("n2 c3 h4 w5 k2 r3 p4 pw4 mode=circular"),
	BOTH("n2 c3 h4 w5 k2 r2 s3 st2 pt2 pr3 mode=circular"),
	BOTH("n2 c2 h6 w35 k4 r3 p2 d2 mode=circular g2"),
	BOTH("n2 c2 h3 k4 r3 mode=circular"),
	BOTH("n2 c1 h1 k2 r3 p9 mode=replicate"),
	BOTH("n2 c1 h1 k2 r3 p1 mode=circular"),
	/* For CPUs: each register tile and the parts of it; several blocks of channels, the last one smaller. */
	BOTH("c2 h4 w17 k1 r3 p1"),
	BOTH("c2 h4 w17 k2 r3 p1"),
	BOTH("c2 h4 w17 k4 r3 p1"),
	BOTH("c2 h4 w17 k5 r3 p1"),
	BOTH("c2 h4 w17 k8 r3 p1"),
	BOTH("c2 h4 w17 k11 r3 p1"),
	BOTH("c2 h4 w17 k13 r3 p1"),
	BOTH("c2 h4 w17 k14 r3 p1"),
	BOTH("c2 h4 w17 k22 r3 p1"),
	BOTH("c2 h4 w17 k27 r3 p1"),
	BOTH("c131 h3 w5 k3 r3 p1"),
	BOTH("c131 h5 k14 r3 st2 p1"),
	BOTH("n2 c530 h2 w3 k3 r1"),
	/* Widths that vectors divide and do not. */
	STRIDES("c2 h3 w1 k3 r3"),
	STRIDES("c2 h4 w2 k3 r3"),
	STRIDES("c2 h5 w3 k3 r3"),
	STRIDES("c2 h3 w4 k3 r3"),
	STRIDES("c2 h4 w7 k3 r3"),
	STRIDES("c2 h5 w8 k3 r3"),
	STRIDES("c2 h3 w14 k3 r3"),
	STRIDES("c2 h4 w15 k3 r3"),
	STRIDES("c2 h5 w16 k3 r3"),
	STRIDES("c2 h3 w17 k3 r3"),
	STRIDES("c2 h4 w18 k3 r3"),
	STRIDES("c2 h5 w31 k3 r3"),
	STRIDES("c2 h3 w32 k3 r3"),
	STRIDES("c2 h4 w33 k3 r3"),
	STRIDES("c2 h5 w49 k3 r3"),
	STRIDES("c2 h3 w64 k3 r3"),
	/* Bands of rows in one image, and blocks of several images with and without a border between them. */
	BOTH("c2 h37 w16 k2 r3 p1"),
	BOTH("c1 h70 w33 k1 r3 p1"),
	BOTH("c1 h70 w9 k2 r5 s3 st2 p2"),
	BOTH("n35 c2 h3 k3 r3 p1"),
	BOTH("n35 c2 h3 k3 r1"),
	BOTH("n35 c2 h5 w4 k3 r1 st2"),
	BOTH("n35 c2 h4 w5 k3 r3 st2 p1"),
	/* Windows, the last one with rows of padding alone on all sides. */
	BOTH("c3 h9 w20 k4 r5 p2"),
	BOTH("c3 h9 w20 k4 r7 st2 p3"),
	BOTH("c3 h9 w20 k4 r2 s4 pl2"),
	BOTH("c3 h9 w20 k4 r3 p2 d2"),
	BOTH("c3 h9 w7 k4 r3 p4 dw3"),
	BOTH("c3 h6 w7 k4 r2 st4 p3"),
	BOTH("c2 h2 w3 k3 r3 p6"),
	/* Every channel on its own, or with few others. */
	BOTH("n2 c19 h5 w32 k19 r3 p1 g19"),
	BOTH("n17 c3 h4 w6 k6 r3 p1 g3"),
	BOTH("n2 c12 h5 k18 r3 p1 g3"),
	BOTH("n2 c19 h5 w32 k19 r3 st2 p1 g19"),
	BOTH("n17 c3 h4 w6 k6 r3 st2 p1 g3"),
	BOTH("n2 c12 h5 k18 r3 st2 p1 g3"),
#undef BOTH
};

static const char *const problems_conv1d[] = {
#define BOTH(sizes) BOTH_OF(conv1d, sizes)
	"conv1d n2 c3 l7 k4 r3 st2 p1 pl1 mode=circular whole",
	"conv1d n2 c2 l6 k2 r3 p2 mode=replicate no_bias",
	MOST_OF(conv1d, "n2 c5 l33 k14 r3 p1"),
	BOTH("n2 c3 l7 k4 r3 st2 p1 pl1"),
	BOTH("n3 c4 l257 k6 r5 p5 d3 mode=reflect g2"),
	BOTH("n3 c4 l5 k6 r5 p5 d3 mode=circular g2"),
	"conv1d n2 c3 l37 k4 r5 d2 act=relu",
#undef BOTH
};

static const char *const problems_conv_transpose2d[] = {
#define BOTH(sizes) BOTH_OF(conv_transpose2d, sizes)
	"conv_transpose2d c2 h3 w2 k3 r2 s3 st2 p1 oph1 whole",
	"conv_transpose2d c4 h3 w4 k2 r3 g2 no_bias",
	EVERY_OF(conv_transpose2d, "n2 c17 h7 w12 k14 r3 p1"),
	MOST_OF(conv_transpose2d, "n2 c5 h7 w6 k4 r4 st2 p1"),
	"conv_transpose2d c2 h3 w2 k3 r2 s3 st2 p1 oph1 no_bias",
	BOTH("n2 c3 h4 w33 k5 r3"),
	BOTH("n2 c3 h25 k5 r1"),
	BOTH("n2 c3 h4 w5 k5 r2 st2"),
	BOTH("n2 c3 h4 w5 k5 r3 s4 st3 stw2 oph2 opw1"),
	/* What is added is larger than the stride, but not than the dilation. */
	BOTH("n2 c3 h4 w5 k5 r3 d3 oph2 opw1"),
	BOTH("n2 c4 h4 w5 k6 r3 st2 p1 pb2 pl1 oph1 opw1 g2"),
	BOTH("n2 c4 h1 k3 r5 st9 oph8"),
	BOTH("n2 c16 h5 k16 r3 g2"),
	/* More is cut than the kernel adds. */
	BOTH("n2 c2 h9 k3 r3 p4"),
	"conv_transpose2d n2 c3 h4 w5 k4 r3 st2 op1 act=relu",
#undef BOTH
};

static const char *const problems_conv_transpose1d[] = {
#define BOTH(sizes) BOTH_OF(conv_transpose1d, sizes)
	"conv_transpose1d n2 c3 l7 k4 r3 st2 p1 pl1 op1 whole",
	MOST_OF(conv_transpose1d, "n2 c5 l33 k14 r3 p1"),
	"conv_transpose1d n2 c3 l7 k4 r3 st2 p1 pl1 op1 no_bias",
	BOTH("n3 c4 l33 k6 r5 pr1 d2 g2"),
	"conv_transpose1d c3 l37 k4 r1 act=relu",
#undef BOTH
};
/* clang-format on */

/* ---- families ---- */

#define FAMILY(name_, quick_)                                                                                          \
	const clef__family clef__family_##name_ = { .name = #name_,                                                    \
						    .terms = terms_##name_,                                            \
						    .setup = clef__conv_setup,                                         \
						    .apply = clef__conv_check_apply,                                   \
						    .reference = clef__conv_reference,                                 \
						    .flops = clef__conv_flops,                                         \
						    CLEF__PROBLEMS(problems_##name_, quick_) };

FAMILY(conv2d, 6)
FAMILY(conv1d, 2)
FAMILY(conv_transpose2d, 2)
FAMILY(conv_transpose1d, 1)
