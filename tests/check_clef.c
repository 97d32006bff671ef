/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests share. The temporary folders lie in one that the parent process makes and removes, because a test
 * that crashes or runs out of time cannot clean up after itself.
 */
#define _XOPEN_SOURCE 700
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_clef.h"

clef_device *test_device;

static char root[512];

/* As ck_abort_msg(), but for the place where the assertion stands. */
#define FAIL(file, line, ...) _ck_assert_failed((file), (line), "failed", __VA_ARGS__)

void ck_clef_ok(clef_status got, const char *expr, const char *file, int line)
{
	if (got != CLEF_OK)
		FAIL(file, line, "%s: %s: %s", expr, clef_status_name(got), clef_error());
	else
		mark_point();
}

static void check_message(clef_status want, const char *part, const char *expr, const char *file, int line)
{
	if (clef_error_status() != want)
		FAIL(file, line, "%s: clef_error_status() is %s, should be %s; clef_error() is \"%s\"", expr,
		     clef_status_name(clef_error_status()), clef_status_name(want), clef_error());
	else if (!strstr(clef_error(), part))
		FAIL(file, line, "%s: \"%s\" is not in clef_error(), which is \"%s\"", expr, part, clef_error());
	else
		mark_point();
}

void ck_clef_fails(clef_status got, clef_status want, const char *part, const char *expr, const char *file, int line)
{
	if (got != want)
		FAIL(file, line, "%s: %s (%s), should be %s", expr, clef_status_name(got), clef_error(),
		     clef_status_name(want));
	else
		check_message(want, part, expr, file, line);
}

void ck_clef_null_fails(const void *got, clef_status want, const char *part, const char *expr, const char *file,
			int line)
{
	if (got)
		FAIL(file, line, "%s: not NULL, should fail with %s", expr, clef_status_name(want));
	else
		check_message(want, part, expr, file, line);
}

void *ck_clef_new(void *got, const char *expr, const char *file, int line)
{
	if (!got)
		FAIL(file, line, "%s: NULL: %s: %s", expr, clef_status_name(clef_error_status()), clef_error());
	else
		mark_point();
	return got;
}

int test_warnings;
char test_warning[2048];

static void note_warning(void *user, clef_log_level level, const char *message)
{
	(void)user;
	if (level != CLEF_LOG_WARN)
		return;
	test_warnings++;
	snprintf(test_warning, sizeof(test_warning), "%s", message);
	ck_assert_ptr_null(strchr(message, '\n'));
}

void test_note_warnings(void)
{
	test_warnings = 0;
	clef_log_set(note_warning, NULL, CLEF_LOG_WARN);
}

void device_setup(void)
{
	test_device = ck_new(clef_device_open(NULL));
	/* PoCL's handler goes on after an integer division by zero, wherever in the process, and hides it. */
	ck_assert(signal(SIGFPE, SIG_DFL) != SIG_ERR);
}

void device_teardown(void)
{
	clef_device_close(test_device);
	test_device = NULL;
}

/* One of four buffers in turn, so that a test can have a few paths at hand. */
static const char *join(const char *folder, const char *name)
{
	static char paths[4][1024];
	static int next;
	char *path = paths[next++ % 4];

	if ((size_t)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name) >= sizeof(paths[0]))
		ck_abort_msg("path too long: %s/%s", folder, name);
	return path;
}

const char *test_dir(void)
{
	static char dir[sizeof(root) + 32];
	static pid_t owner;

	if (owner == getpid())
		return dir;
	owner = getpid();
	snprintf(dir, sizeof(dir), "%s/%ld", root, (long)owner);
	if (mkdir(dir, 0700))
		ck_abort_msg("cannot make the folder %s", dir);
	return dir;
}

const char *test_path(const char *name)
{
	return join(test_dir(), name);
}

const char *test_data(const char *name)
{
	const char *folder = getenv("CLEF_TEST_DATA");
	const char *path;

	if (!folder || !*folder)
		return NULL;
	path = join(folder, name);
	return access(path, R_OK) ? NULL : path;
}

static bool is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value && strcmp(value, "0") != 0;
}

bool test_small(void)
{
	return is_set("CLEF_TEST_SMALL");
}

bool test_long(void)
{
	return is_set("CLEF_TEST_LONG");
}

bool test_root_make(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(root, sizeof(root), "%s/clef-tests-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	return mkdtemp(root) != NULL;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

void test_root_remove(void)
{
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void test_setenv(const char *name, const char *value)
{
	if (test_device)
		ck_ok(clef_finish(test_device));
	ck_assert((value ? setenv(name, value, 1) : unsetenv(name)) == 0);
}

clef_tensor *test_tensor(clef_shape shape, const float *values)
{
	return ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, shape, (void *)(uintptr_t)values }));
}
