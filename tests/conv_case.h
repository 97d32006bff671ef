/* SPDX-License-Identifier: Apache-2.0 */
/* Problems of convolutions by every implementation that does them. */
#ifndef CLEF_TESTS_CONV_CASE_H
#define CLEF_TESTS_CONV_CASE_H

#include "check_case.h"

/* The implementations, in the order of the term "by". */
typedef enum conv_impl {
	CONV_WINOGRAD,
	CONV_WINOGRAD_WEIGHTS,
	CONV_WINOGRAD_GPU,
	CONV_CPU,
	CONV_CPU_WEIGHTS,
	CONV_GEMM,
	CONV_IM2COL,
	CONV_DIRECT,
	CONV_IMPLS
} conv_impl;
extern const char *const *const conv_impls;

/* Has convolutions on test_device use an implementation, CONV_IMPLS or "" for the library's choice. */
void conv_force(int impl);
void conv_force_name(const char *impl);

/* Whether the device is a CPU with the local memory that the kernels for CPUs are made for. */
bool conv_has_cpu(void);

/* Whether an implementation has a gradient of weights of its own. */
bool conv_does_weights(int impl);

/* The problem by an implementation, into p; false where the device does not do it, for which there is one way only. */
bool conv_case_parse(const char *problem, int impl, clef__problem *p);

/* Checks the problem, which has no "by", by every implementation that does it, and that those that must do it do. */
void conv_check(const char *problem);

/* Values only, by every implementation, of images with NaN and infinities among them. */
void conv_check_nonfinite(const char *problem);

#endif
