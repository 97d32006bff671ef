/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test suites, in the order they run: from the lowest layer to the highest, so that the first failure is the one to
 * look at. X(base) stands for `Suite *base_suite(void)` in a file tests/test_*.c. A suite function runs in the parent
 * process, so it only lists tests and never opens a device.
 */
#ifndef CLEF_TESTS_SUITES_H
#define CLEF_TESTS_SUITES_H

#include <check.h>

#define SUITE_MAP(X) X(base) X(random) X(init) X(init_parse) X(gzread) X(data) X(readers) X(loader) X(pointwise) X(ops)

#define SUITE_DECLARE(name) Suite *name##_suite(void);
SUITE_MAP(SUITE_DECLARE)
#undef SUITE_DECLARE

#endif
