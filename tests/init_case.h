/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of random values share: a tensor with a guard around it, and distances from a distribution. */
#ifndef CLEF_TESTS_INIT_CASE_H
#define CLEF_TESTS_INIT_CASE_H

#include "check_clef.h"
#include "tensor_internal.h"

#define GUARD 42.5f

/* A tensor inside a larger buffer. */
typedef struct inside {
	clef__buffer *buffer;
	clef_tensor *x;
	size_t n, offset, total;
	float *values; /* host copy of the whole buffer; those of x begin at `offset` */
} inside;

inside inside_new(clef_shape shape, size_t offset);

/* Reads the buffer and checks that all but x is as it was. */
const float *inside_read(inside *t);
void inside_free(inside *t);

void ck_same_bits(const float *got, const float *want, size_t n);

double normal_cdf(double x);

/* Kolmogorov and Smirnov: the largest distance between the distribution functions of the values and of theory, which is
 * given the value and `data`, times sqrt(n). Exceeds 1.95 in one of a thousand samples. Sorts the values. */
double ks_distance(float *values, size_t n, double (*cdf)(double x, const void *data), const void *data);

#endif
