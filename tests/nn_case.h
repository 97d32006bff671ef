/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of parameters, models and layers share: a fixture with a tape, inputs, and looking at tensors. */
#ifndef CLEF_TESTS_NN_CASE_H
#define CLEF_TESTS_NN_CASE_H

#include "check_clef.h"

/* A tape on test_device, made by the fixture. */
extern clef_tape *nn_tape;

/* A test case of the suite whose tests have test_device and nn_tape. */
TCase *nn_add_case(Suite *s, const char *name);

/* The values of a tensor; free them with free(). */
float *nn_values(const clef_tensor *x);

/* Equal shapes and, to the bit, equal values. */
void nn_check_same(const clef_tensor *a, const clef_tensor *b);

bool nn_shape_is(const clef_tensor *x, clef_shape shape);

/* A fixed input [batch, sample...] on nn_tape with values in [-1, 1). */
clef_tensor *nn_input(int64_t batch, clef_shape sample);

/* What clef_model_print() writes; free it with free(). */
char *nn_printed(const clef_model *model);

#endif
