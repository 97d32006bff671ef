/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's own problems (clef/check.h) as tests: they end the test with the message of what is wrong. Where
 * $CLEF_TEST_REPORT names a file, a line of the problem and its largest relative errors of values and of gradients is
 * added to it.
 */
#ifndef CLEF_TESTS_CHECK_CASE_H
#define CLEF_TESTS_CHECK_CASE_H

#include "problem.h"

/* One problem on test_device. */
void check_problem(const char *problem);

/* The same; false where the device cannot do it. */
bool check_problem_or_skip(const char *problem);

/* All problems of a family; where test_small(), those of a quick check. */
void check_family(const clef__family *family);

#endif
