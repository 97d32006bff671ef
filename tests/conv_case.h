/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions by every implementation against the definition. */
#ifndef CLEF_TESTS_CONV_CASE_H
#define CLEF_TESTS_CONV_CASE_H

#include "op_case.h"

/* Options, for all operations: those of one dimension have the fields of the columns. */
typedef struct conv_case {
	bool transposed, one;
	clef_conv2d_opts o;
	int output_pad_h, output_pad_w;
} conv_case;

/* Defaults filled in. */
typedef struct conv_geometry {
	int64_t stride[2], before[2], after[2], dilation[2], groups;
} conv_geometry;

conv_geometry conv_geometry_of(const conv_case *c);

/* y = the convolution of x[0] with x[1], plus the bias x[2] if there is one. */
void conv_case_reference(const ref_array *x, const conv_case *c, ref_array *y, bool bias);

/* What $CLEF_CONV may be, and how many cases each did in this process. */
#define CONV_IMPLS 6
extern const char *const conv_impls[CONV_IMPLS];
extern int conv_runs[CONV_IMPLS];

/* Sums of products are exact with whole numbers, which 0 asks for; those of transformed weights, which have sixths in
 * them, are not, and their error is one of the products, of which the sum may be a small part. */
double conv_tolerance(const char *impl);

/* Whether the implementation that $CLEF_CONV names does the case: it may refuse, but in one way only. */
bool conv_case_does(clef_shape x, clef_shape w, const conv_case *c);

/* Runs the case by every implementation that does it, with whole numbers and with real ones. */
void conv_case_run_by(int impl, clef_shape x, clef_shape w, const conv_case *c); /* one of them */
void conv_case_run(clef_shape x, clef_shape w, const conv_case *c);

/* Values only, by every implementation, of images with NaN and infinities among them. */
void conv_case_run_nonfinite(clef_shape x, clef_shape w, const conv_case *c);

#endif
