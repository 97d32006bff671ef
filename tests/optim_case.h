/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of optimizers share: three parameters on the device and on the host, and gradients for them. The
 * gradients are given: the loss is the sum of w * c over all parameters, so the gradient of w is the c of the step,
 * exactly.
 */
#ifndef CLEF_TESTS_OPTIM_CASE_H
#define CLEF_TESTS_OPTIM_CASE_H

#include "check_clef.h"
#include "optim_reference.h"

#define OPTIM_PARAMS  3
#define OPTIM_LARGEST 192

/* What is optimized. state: of a reference, whose values are ref and whose gradients c. */
typedef struct optim_fixture {
	clef_tape *tape;
	clef_params *params;
	clef_tensor *w[OPTIM_PARAMS];
	int n[OPTIM_PARAMS];
	clef__optim_ref state[OPTIM_PARAMS];
	double ref[OPTIM_PARAMS][OPTIM_LARGEST], s[OPTIM_PARAMS][2][OPTIM_LARGEST];
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

#endif
