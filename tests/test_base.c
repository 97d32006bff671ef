/* SPDX-License-Identifier: Apache-2.0 */
/* The base layer: status codes, the last error, the log, data types, shapes, and the inner helpers for memory. */
#include <pthread.h>

#include "base_internal.h"
#include "check_clef.h"

/* ---- status ---- */

START_TEST(version_is_that_of_the_header)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", CLEF_VERSION_MAJOR, CLEF_VERSION_MINOR, CLEF_VERSION_PATCH);
	ck_assert_str_eq(clef_version(), text);
}
END_TEST

START_TEST(status_has_name_and_text)
{
	ck_assert_int_eq(CLEF_OK, 0);
	ck_assert_str_eq(clef_status_name(CLEF_OK), "CLEF_OK");
	ck_assert_str_eq(clef_status_text(CLEF_OK), "success");
	ck_assert_str_eq(clef_status_name(CLEF_ERROR_SHAPE), "CLEF_ERROR_SHAPE");
	ck_assert_str_eq(clef_status_text(CLEF_ERROR_SHAPE), "shapes do not fit");
	ck_assert_str_eq(clef_status_name((clef_status)-12), "CLEF_ERROR_STATE");
	ck_assert_str_eq(clef_status_name((clef_status)-13), "CLEF_ERROR_?");
	ck_assert_str_eq(clef_status_name((clef_status)1), "CLEF_ERROR_?");
	ck_assert_str_eq(clef_status_text((clef_status)1), "unknown status");
}
END_TEST

START_TEST(statuses_differ_and_are_negative)
{
	static const struct {
		clef_status status;
		const char *name;
	} all[] = {
#define ROW(name, value, text) { CLEF_##name, "CLEF_" #name },
		CLEF_STATUS_MAP(ROW)
#undef ROW
	};

	for (int i = 0; i < CLEF_COUNT(all); i++) {
		ck_assert_str_eq(clef_status_name(all[i].status), all[i].name);
		ck_assert(all[i].status < 0 || i == 0);
		for (int j = 0; j < i; j++) {
			ck_assert_int_ne(all[i].status, all[j].status);
			ck_assert_str_ne(clef_status_text(all[i].status), clef_status_text(all[j].status));
		}
	}
}
END_TEST

/* ---- the last error ---- */

START_TEST(error_starts_empty_and_is_cleared)
{
	ck_assert_str_eq(clef_error(), "");
	ck_assert_int_eq(clef_error_status(), CLEF_OK);
	ck_assert_int_eq(clef__fail(CLEF_ERROR_IO, "%s: line %d", "data.csv", 7), CLEF_ERROR_IO);
	ck_assert_str_eq(clef_error(), "data.csv: line 7");
	ck_assert_int_eq(clef_error_status(), CLEF_ERROR_IO);
	clef_error_clear();
	ck_assert_str_eq(clef_error(), "");
	ck_assert_int_eq(clef_error_status(), CLEF_OK);
}
END_TEST

START_TEST(error_is_replaced_by_the_next)
{
	clef__fail(CLEF_ERROR_IO, "a longer first message");
	ck_assert_ptr_null(clef__fail_null(CLEF_ERROR_DTYPE, "second"));
	ck_assert_str_eq(clef_error(), "second");
	ck_assert_int_eq(clef_error_status(), CLEF_ERROR_DTYPE);
}
END_TEST

START_TEST(error_may_quote_the_last_one)
{
	clef__fail(CLEF_ERROR_IO, "inner");
	clef__fail(CLEF_ERROR_FORMAT, "outer: %s", clef_error());
	ck_assert_str_eq(clef_error(), "outer: inner");
}
END_TEST

START_TEST(error_is_cut_when_too_long)
{
	char text[20001];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	clef__fail(CLEF_ERROR_BUILD, "log: %s", text);
	ck_assert_uint_ge(strlen(clef_error()), 4000);
	ck_assert_uint_lt(strlen(clef_error()), sizeof(text));
	ck_assert_int_eq(strncmp(clef_error(), "log: xxxx", 9), 0);
}
END_TEST

START_TEST(null_argument_keeps_the_cause)
{
	ck_assert_int_eq(clef__null_argument("clef_relu"), CLEF_ERROR_INVALID);
	ck_assert_str_eq(clef_error(), "clef_relu: given NULL");
	clef__fail(CLEF_ERROR_SHAPE, "the cause");
	ck_assert_int_eq(clef__null_argument("clef_linear"), CLEF_ERROR_SHAPE);
	ck_assert_str_eq(clef_error(), "the cause");
}
END_TEST

static void *fail_in_a_thread(void *result)
{
	*(bool *)result = clef_error_status() == CLEF_OK && !*clef_error();
	clef__fail(CLEF_ERROR_STATE, "of the other thread");
	return NULL;
}

START_TEST(error_belongs_to_a_thread)
{
	pthread_t thread;
	bool was_empty = false;

	clef__fail(CLEF_ERROR_IO, "of this thread");
	ck_assert_int_eq(pthread_create(&thread, NULL, fail_in_a_thread, &was_empty), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(was_empty);
	ck_assert_str_eq(clef_error(), "of this thread");
	ck_assert_int_eq(clef_error_status(), CLEF_ERROR_IO);
}
END_TEST

/* ---- log ---- */

static struct {
	int count;
	clef_log_level level;
	char text[8192];
} logged;

static void log_message(void *user, clef_log_level level, const char *message)
{
	ck_assert_ptr_eq(user, &logged);
	logged.count++;
	logged.level = level;
	snprintf(logged.text, sizeof(logged.text), "%s", message);
}

START_TEST(log_drops_messages_at_first)
{
	ck_assert(!clef__log_wanted(CLEF_LOG_WARN));
	clef__log(CLEF_LOG_WARN, "nobody listens");
}
END_TEST

START_TEST(log_passes_levels_up_to_the_chosen_one)
{
	clef_log_set(log_message, &logged, CLEF_LOG_INFO);
	clef__log(CLEF_LOG_WARN, "cache of %d bytes is damaged", 12);
	ck_assert_int_eq(logged.count, 1);
	ck_assert_int_eq(logged.level, CLEF_LOG_WARN);
	ck_assert_str_eq(logged.text, "cache of 12 bytes is damaged");
	clef__log(CLEF_LOG_INFO, "building");
	ck_assert_int_eq(logged.count, 2);
	ck_assert_int_eq(logged.level, CLEF_LOG_INFO);
	clef__log(CLEF_LOG_DEBUG, "details");
	ck_assert_int_eq(logged.count, 2);
	ck_assert(clef__log_wanted(CLEF_LOG_INFO));
	ck_assert(!clef__log_wanted(CLEF_LOG_DEBUG));
	clef_log_set(NULL, NULL, CLEF_LOG_DEBUG);
	clef__log(CLEF_LOG_WARN, "nobody listens");
	ck_assert_int_eq(logged.count, 2);
}
END_TEST

/* ---- data types ---- */

START_TEST(dtype_has_name_and_size)
{
	ck_assert_str_eq(clef_dtype_name(CLEF_FLOAT32), "float32");
	ck_assert_str_eq(clef_dtype_name(CLEF_INT32), "int32");
	ck_assert_str_eq(clef_dtype_name((clef_dtype)99), "dtype?");
	ck_assert_uint_eq(clef_dtype_size(CLEF_FLOAT32), sizeof(float));
	ck_assert_uint_eq(clef_dtype_size(CLEF_INT32), sizeof(int32_t));
	ck_assert_uint_eq(clef_dtype_size((clef_dtype)99), 0);
}
END_TEST

/* ---- shapes ---- */

#define M31 INT64_C(2147483647)

static const struct {
	clef_shape shape;
	int64_t numel;
	const char *text;
} shapes[] = {
	{ { 0, { 0 } }, 1, "[]" },
	{ { 1, { 0 } }, 0, "[0]" },
	{ { 1, { 1 } }, 1, "[1]" },
	{ { 4, { 64, 3, 32, 32 } }, 196608, "[64, 3, 32, 32]" },
	{ { 8, { 2, 2, 2, 2, 2, 2, 2, 2 } }, 256, "[2, 2, 2, 2, 2, 2, 2, 2]" },
	{ { 3, { 5, 0, 7 } }, 0, "[5, 0, 7]" },
	{ { 1, { M31 } }, M31, "[2147483647]" },
	{ { 2, { 1, M31 } }, M31, "[1, 2147483647]" },
	{ { 1, { M31 + 1 } }, -1, "[2147483648]" },
	{ { 2, { 65536, 32768 } }, -1, "[65536, 32768]" },
	{ { 2, { 65536, 32767 } }, 2147418112, "[65536, 32767]" },
	/* These products leave 64 bits: their low halves are 0 and would look like an empty tensor. */
	{ { 4, { 65536, 65536, 65536, 65536 } }, -1, "[65536, 65536, 65536, 65536]" },
	{ { 8, { M31, M31, M31, M31, M31, M31, M31, M31 } },
	  -1,
	  "[2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647]" },
	{ { 2, { INT64_MAX, INT64_MAX } }, -1, "[9223372036854775807, 9223372036854775807]" },
	/* Empty, however large the others are, but each must be in range by itself. */
	{ { 4, { 65536, 65536, 65536, 0 } }, 0, "[65536, 65536, 65536, 0]" },
	{ { 2, { 0, M31 + 1 } }, -1, "[0, 2147483648]" },
	{ { 2, { 3, -1 } }, -1, "[3, -1]" },
	{ { 2, { 0, INT64_MIN } }, -1, "[0, -9223372036854775808]" },
	{ { -1, { 0 } }, -1, "[]" },
	{ { 9, { 1, 1, 1, 1, 1, 1, 1, 1 } }, -1, "[1, 1, 1, 1, 1, 1, 1, 1]" },
};

START_TEST(shape_numel_and_text)
{
	char text[CLEF__SHAPE_TEXT_SIZE];

	ck_assert_msg(clef_shape_numel(shapes[_i].shape) == shapes[_i].numel, "%s: %lld, should be %lld",
		      shapes[_i].text, (long long)clef_shape_numel(shapes[_i].shape), (long long)shapes[_i].numel);
	ck_assert_str_eq(clef_shape_text(shapes[_i].shape, text, sizeof(text)), shapes[_i].text);
}
END_TEST

START_TEST(shape_text_keeps_to_its_size)
{
	const clef_shape shape = CLEF_SHAPE(64, 3, 32, 32);
	const char *full = "[64, 3, 32, 32]";
	char text[32];

	for (size_t size = 1; size <= sizeof(text); size++) {
		memset(text, '#', sizeof(text));
		ck_assert_ptr_eq(clef_shape_text(shape, text, size), text);
		ck_assert_uint_eq(strlen(text), CLEF__MIN(size - 1, strlen(full)));
		ck_assert_int_eq(strncmp(text, full, strlen(text)), 0);
		for (size_t i = size; i < sizeof(text); i++)
			ck_assert_int_eq(text[i], '#');
	}
	text[0] = '#';
	clef_shape_text(shape, text, 0);
	ck_assert_int_eq(text[0], '#');
}
END_TEST

START_TEST(longest_shape_fits_the_text)
{
	clef_shape shape = { .ndim = CLEF_MAX_DIMS };
	char text[1024];

	for (int i = 0; i < CLEF_MAX_DIMS; i++)
		shape.dim[i] = M31;
	ck_assert_uint_lt(strlen(clef_shape_text(shape, text, sizeof(text))), CLEF__SHAPE_TEXT_SIZE);
	/* The longest number of all is no valid size, but messages are just where such shapes are shown. */
	for (int i = 0; i < CLEF_MAX_DIMS; i++)
		shape.dim[i] = INT64_MIN;
	ck_assert_uint_lt(strlen(clef_shape_text(shape, text, sizeof(text))), 200);
	ck_assert_uint_lt(strlen(clef_shape_text(shape, text, CLEF__SHAPE_TEXT_SIZE)), CLEF__SHAPE_TEXT_SIZE);
}
END_TEST

START_TEST(shapes_are_equal_or_not)
{
	ck_assert(clef_shape_equal(CLEF_SHAPE(2, 3), CLEF_SHAPE(2, 3)));
	ck_assert(!clef_shape_equal(CLEF_SHAPE(2, 3), CLEF_SHAPE(3, 2)));
	ck_assert(!clef_shape_equal(CLEF_SHAPE(2, 3), CLEF_SHAPE(2, 3, 1)));
	ck_assert(!clef_shape_equal(CLEF_SCALAR, CLEF_SHAPE(1)));
	ck_assert(clef_shape_equal(CLEF_SCALAR, CLEF_SCALAR));
	/* What stands behind the last dimension does not count. */
	ck_assert(clef_shape_equal((clef_shape){ 1, { 5, 6 } }, (clef_shape){ 1, { 5, 7 } }));
}
END_TEST

START_TEST(shape_macro_counts)
{
	ck_assert_int_eq(CLEF_SHAPE(7).ndim, 1);
	ck_assert_int_eq(CLEF_SHAPE(1, 2, 3, 4, 5, 6, 7, 8).ndim, 8);
	ck_assert_int_eq((int)CLEF_SHAPE(1, 2, 3, 4, 5, 6, 7, 8).dim[7], 8);
	ck_assert_int_eq(CLEF_SCALAR.ndim, 0);
}
END_TEST

/* ---- inner helpers ---- */

START_TEST(calloc_fails_with_a_message)
{
	unsigned char *p = ck_new(clef__calloc(3, 5, "a test"));

	for (int i = 0; i < 15; i++)
		ck_assert_int_eq(p[i], 0);
	free(p);
	free(ck_new(clef__calloc(0, 5, "nothing")));
	ck_null_fails(clef__calloc(SIZE_MAX / 2, 3, "the moon"), CLEF_ERROR_MEMORY, "the moon");
}
END_TEST

START_TEST(grow_keeps_and_clears)
{
	int *array = NULL;
	int capacity = 0;

	for (int n = 1; n <= 1000; n++) {
		ck_ok(clef__grow(&array, &capacity, n, sizeof(*array), "a test"));
		ck_assert_int_ge(capacity, n);
		ck_assert_int_eq(array[n - 1], 0);
		array[n - 1] = n;
	}
	for (int n = 1; n <= 1000; n++)
		ck_assert_int_eq(array[n - 1], n);
	free(array);
}
END_TEST

START_TEST(format_and_hash)
{
	char *text = ck_new(clef__format("%s-%d", "conv", 2));

	ck_assert_str_eq(text, "conv-2");
	free(text);
	/* From the authors' table of FNV-1a test vectors. */
	ck_assert(clef__hash(CLEF__HASH_START, "", 0) == UINT64_C(0xcbf29ce484222325));
	ck_assert(clef__hash(CLEF__HASH_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	ck_assert(clef__hash(CLEF__HASH_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
	ck_assert(clef__hash(clef__hash(CLEF__HASH_START, "foo", 3), "bar", 3) == UINT64_C(0x85944171f73967e8));
}
END_TEST

START_TEST(clock_goes_forward)
{
	double before = clef__seconds();

	ck_assert(before > 0);
	ck_assert(clef__seconds() >= before);
}
END_TEST

Suite *base_suite(void)
{
	Suite *s = suite_create("base");
	TCase *c = tcase_create("status");

	tcase_add_test(c, version_is_that_of_the_header);
	tcase_add_test(c, status_has_name_and_text);
	tcase_add_test(c, statuses_differ_and_are_negative);
	suite_add_tcase(s, c);
	c = tcase_create("error");
	tcase_add_test(c, error_starts_empty_and_is_cleared);
	tcase_add_test(c, error_is_replaced_by_the_next);
	tcase_add_test(c, error_may_quote_the_last_one);
	tcase_add_test(c, error_is_cut_when_too_long);
	tcase_add_test(c, null_argument_keeps_the_cause);
	tcase_add_test(c, error_belongs_to_a_thread);
	suite_add_tcase(s, c);
	c = tcase_create("log");
	tcase_add_test(c, log_drops_messages_at_first);
	tcase_add_test(c, log_passes_levels_up_to_the_chosen_one);
	suite_add_tcase(s, c);
	c = tcase_create("shape");
	tcase_add_test(c, dtype_has_name_and_size);
	tcase_add_loop_test(c, shape_numel_and_text, 0, CLEF_COUNT(shapes));
	tcase_add_test(c, shape_text_keeps_to_its_size);
	tcase_add_test(c, longest_shape_fits_the_text);
	tcase_add_test(c, shapes_are_equal_or_not);
	tcase_add_test(c, shape_macro_counts);
	suite_add_tcase(s, c);
	c = tcase_create("inner");
	tcase_add_test(c, calloc_fails_with_a_message);
	tcase_add_test(c, grow_keeps_and_clears);
	tcase_add_test(c, format_and_hash);
	tcase_add_test(c, clock_goes_forward);
	suite_add_tcase(s, c);
	return s;
}
