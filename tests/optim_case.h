/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of optimizers share: three parameters on the device and on the host, and gradients for them. The
 * gradients are given: the loss is the sum of w * c over all parameters, so the gradient of w is the c of the step,
 * exactly.
 */
#ifndef CLEF_TESTS_OPTIM_CASE_H
#define CLEF_TESTS_OPTIM_CASE_H

#include "check_clef.h"

#define OPTIM_PARAMS  3
#define OPTIM_LARGEST 192

/* What is optimized. s: the state of a reference, with what it likes in it. */
typedef struct optim_fixture {
	clef_tape *tape;
	clef_params *params;
	clef_tensor *w[OPTIM_PARAMS];
	int n[OPTIM_PARAMS];
	int rows[OPTIM_PARAMS]; /* of a matrix, else 0 */
	double ref[OPTIM_PARAMS][OPTIM_LARGEST], m[OPTIM_PARAMS][OPTIM_LARGEST], v[OPTIM_PARAMS][OPTIM_LARGEST];
	double s[OPTIM_PARAMS][OPTIM_LARGEST];
	double product[OPTIM_PARAMS];
	int t[OPTIM_PARAMS];
	float c[OPTIM_PARAMS][OPTIM_LARGEST];
	uint64_t seed;
} optim_fixture;

extern optim_fixture optim_f;

/* Roughly N(0, 1). */
float optim_random(void);

/* A checked fixture, which opens the device too. */
void optim_setup(void);
void optim_teardown(void);

/* New gradients for the parameters in the set of bits, by a backward pass; again: those that optim_f.c has. */
void optim_gradients(unsigned which);
void optim_gradients_again(unsigned which);

/* The values are those of the reference: within 1e-5, relative to the largest of the parameter. */
void optim_compare(int step);

/* How many steps a test makes. */
int optim_steps(void);

/* Launches of the device so far. */
uint64_t optim_launches(void);

/* ---- rules: optim_formulas.c ---- */

/* A rule: what it is made with, its formula for all elements of parameter i at its step t, a state that the optimizer
 * must have for "w1", and the launches of a step. */
typedef struct optim_rule {
	clef_optim *(*make)(void);
	void (*step)(int i, int t);
	const char *state;
	unsigned launches;
} optim_rule;

#define OPTIM_RULES 18
extern const optim_rule optim_rules[OPTIM_RULES];

#endif
