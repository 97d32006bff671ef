/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases of operations, and what every one of them is held to: the value against a double-precision reference, every
 * gradient against central differences of that reference, gradients added with beta 1, operands at odd offsets between
 * guard values, results in memory that was poisoned before, and equal bits in a second run.
 */
#ifndef CLEF_TESTS_OP_CASE_H
#define CLEF_TESTS_OP_CASE_H

#include <clef/clef.h>

#define OP_INPUTS 3

typedef struct ref_array {
	clef_shape shape;
	int64_t numel;
	double *v;
} ref_array;

typedef struct op_input {
	clef_shape shape;
	double lo, hi; /* values uniform in between */
	bool whole;    /* whole numbers only */
	bool label;    /* int32, without gradient */
} op_input;

typedef struct op_case {
	const char *name;
	clef_tensor *(*apply)(clef_tensor **x, const void *opts);
	/* Fills y->v for inputs that the library accepted; y has the shape that the library gave. */
	void (*reference)(const ref_array *x, const void *opts, ref_array *y);
	const void *opts;
	int inputs;
	op_input in[OP_INPUTS];
	/* Largest error of value and gradient, relative to the larger of the element and the mean of the array. 0:
	 * exact. The default is for sums and plain arithmetic. */
	double tolerance, gradient_tolerance;
	bool no_gradient;
} op_case;

#define OP_TOLERANCE 2e-6

/* Runs the case on test_device; ends the test with a message when something is off. With CLEF_TEST_REPORT=FILE, a line
 * of the case's name and its largest relative errors of values and of gradients is added to that file. */
void op_case_run(const op_case *c);

#endif
