/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests share: assertions that know about clef's errors, a device for each test, a temporary folder, and the
 * environment that chooses how much is tested.
 *
 * Every test runs in a process of its own, and OpenCL must not be called before the fork. So a device is opened in a
 * checked fixture, which runs in the child:
 *
 *     TCase *c = tcase_create("ops");
 *     tcase_add_checked_fixture(c, device_setup, device_teardown);
 */
#ifndef CLEF_TESTS_CHECK_CLEF_H
#define CLEF_TESTS_CHECK_CLEF_H

#include <stdbool.h>
#include <stdio.h>

#include <check.h>

#include <clef/clef.h>

#include "suites.h"

/* The expression, a clef_status, is CLEF_OK. */
#define ck_ok(expr) ck_clef_ok((expr), #expr, __FILE__, __LINE__)

/* The expression, a clef_status, is `status`, and so is the last error, whose message contains `part`. An error left
 * over from before is forgotten first, so that the message is this call's own. */
#define ck_fails(expr, status, part)                                                                                   \
	(clef_error_clear(), ck_clef_fails((expr), (status), (part), #expr, __FILE__, __LINE__))

/* The expression, a pointer, is NULL, and the last error is `status` with a message that contains `part`. */
#define ck_null_fails(expr, status, part)                                                                              \
	(clef_error_clear(), ck_clef_null_fails((expr), (status), (part), #expr, __FILE__, __LINE__))

/* The expression, a pointer, is not NULL; gives it back, as a void pointer. */
#define ck_new(expr) ck_clef_new((expr), #expr, __FILE__, __LINE__)

void ck_clef_ok(clef_status got, const char *expr, const char *file, int line);
void ck_clef_fails(clef_status got, clef_status want, const char *part, const char *expr, const char *file, int line);
void ck_clef_null_fails(const void *got, clef_status want, const char *part, const char *expr, const char *file,
			int line);
void *ck_clef_new(void *got, const char *expr, const char *file, int line);

/* The device of the test, opened by the fixtures below as clef_device_open(NULL) does: $CLEF_DEVICE chooses. */
extern clef_device *test_device;

/* Sets an environment variable; value NULL takes it away. Waits for test_device first, because threads of PoCL that run
 * kernels read the environment, which must not change under them. */
void test_setenv(const char *name, const char *value);

/* A float32 leaf on test_device. */
clef_tensor *test_tensor(clef_shape shape, const float *values);

void device_setup(void);
void device_teardown(void);

/* Counts the library's warnings from now on, each of which must be a line, and keeps the last one. */
void test_note_warnings(void);
extern int test_warnings;
extern char test_warning[2048];

/* A temporary folder of this test, new and empty at the first call; removed, with all in it, when all tests are done,
 * even if this one crashes. */
const char *test_dir(void);

/* NAME in the folder above; valid until the fourth call after this one. */
const char *test_path(const char *name);

/* A file or folder of the data sets in $CLEF_TEST_DATA; NULL where there is none. As in test_path(). */
const char *test_data(const char *name);

/* $CLEF_TEST_SMALL: the device is an interpreter, a thousand times slower; keep to a few small shapes. */
bool test_small(void);

/* $CLEF_TEST_LONG: take the time. */
bool test_long(void);

/* Ends a test that cannot run here. It counts as passed, and the reason is printed. */
#define test_skip(why)                                                                                                 \
	do {                                                                                                           \
		fprintf(stderr, "%s:%d: skipped: %s\n", __FILE__, __LINE__, (why));                                    \
		return;                                                                                                \
	} while (0)

/* For main(): makes the folder that those of the tests lie in, and removes it; false on an error. */
bool test_root_make(void);
void test_root_remove(void);

#endif
