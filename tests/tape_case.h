/* SPDX-License-Identifier: Apache-2.0 */
/* A device with a recording on it, tensors of given values, and comparisons with given values. */
#ifndef CLEF_TESTS_TAPE_CASE_H
#define CLEF_TESTS_TAPE_CASE_H

#include "check_clef.h"

extern clef_tape *test_tape;

/* A checked fixture, which opens the device too and begins a recording. */
void tape_setup(void);
void tape_teardown(void);

/* Inputs of the recording; floats require a gradient. */
clef_tensor *tape_floats(clef_shape shape, const float *v);
clef_tensor *tape_ints(clef_shape shape, const int32_t *v);

/* Fails unless y has these values; each may be off by `tolerance` times its size. At most 16. */
void tape_check(const clef_tensor *y, const float *want, float tolerance);

/* The same, and for the gradient of x of the sum of y. */
void tape_check_both(clef_tensor *y, const float *want, const clef_tensor *x, const float *gradient, float tolerance);

/* ---- lines: small whole numbers, of which gradients are exact ---- */

#define LINE 4

/* [LINE] of start, start + 1, ...: a leaf that requires a gradient, or an input. */
clef_tensor *line_leaf(float start);
clef_tensor *line_input(float start);

clef_tensor *line_total(clef_tensor *x);

/* x[i] == a + b i */
void line_check(const clef_tensor *x, float a, float b, int line);

#define ck_line(x, a, b) line_check((x), (a), (b), __LINE__)

#endif
