/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices: the list, every way of choosing from it, and closing in any order. No fixture opens a device here, because
 * most tests set the environment that drivers read once, at the first call of OpenCL in a process; and every test has a
 * process of its own.
 */
#define _XOPEN_SOURCE 700
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_clef.h"

#define MAX_DEVICES   32
#define MAX_PLATFORMS 32

static clef_device_info infos[MAX_DEVICES];
static clef_platform_info platforms[MAX_PLATFORMS];

static int list(void)
{
	int count = clef_device_list(infos, MAX_DEVICES);

	ck_assert_int_ge(count, 0);
	return count < MAX_DEVICES ? count : MAX_DEVICES;
}

/* Opens `which` and wants device `index` of the list. */
static void check_opens(const char *which, int index)
{
	clef_device *dev = ck_new(clef_device_open(which));
	const clef_device_info *info = clef_device_get_info(dev);

	ck_assert_msg(info->platform == infos[index].platform && info->device == infos[index].device,
		      "\"%s\" opened %d:%d %s, should be %d:%d %s", which ? which : "NULL", info->platform,
		      info->device, info->name, infos[index].platform, infos[index].device, infos[index].name);
	ck_assert_str_eq(info->name, infos[index].name);
	clef_device_close(dev);
}

/* ---- the list ---- */

START_TEST(list_is_complete)
{
	int count = list();

	ck_assert_int_ge(count, 1);
	ck_assert_int_eq(clef_device_list(NULL, 0), count);
	ck_assert_int_eq(clef_device_list(infos, -1), count);
	for (int i = 0; i < count; i++) {
		const clef_device_info *d = &infos[i];

		ck_assert(*d->name && *d->platform_name && *d->version && *d->driver);
		ck_assert(d->compute_units > 0 && d->global_memory > 0 && d->max_allocation > 0);
		ck_assert(d->local_memory > 0 && d->max_work_group > 0 && d->float_vector > 0);
		ck_assert_uint_le(d->max_allocation, d->global_memory);
		ck_assert_int_ge(d->platform, i ? infos[i - 1].platform : 0);
		if (i && infos[i - 1].platform == d->platform)
			ck_assert_int_gt(d->device, infos[i - 1].device);
	}
}
END_TEST

START_TEST(list_writes_no_more_than_asked)
{
	clef_device_info two[2];

	memset(two, 0x5a, sizeof(two));
	ck_assert_int_ge(clef_device_list(two, 1), 1);
	ck_assert(*two[0].name);
	for (size_t i = 0; i < sizeof(two[1]); i++)
		ck_assert_int_eq(((unsigned char *)&two[1])[i], 0x5a);
}
END_TEST

START_TEST(kinds_have_names)
{
	ck_assert_str_eq(clef_device_kind_name(CLEF_DEVICE_CPU), "CPU");
	ck_assert_str_eq(clef_device_kind_name(CLEF_DEVICE_GPU), "GPU");
	ck_assert_str_eq(clef_device_kind_name(CLEF_DEVICE_ACCELERATOR), "accelerator");
	ck_assert_str_eq(clef_device_kind_name(CLEF_DEVICE_OTHER), "other");
	ck_assert_str_eq(clef_device_kind_name((clef_device_kind)99), "other");
}
END_TEST

START_TEST(platforms_have_the_devices)
{
	int count = clef_platform_list(platforms, MAX_PLATFORMS), devices = 0, all = list();

	ck_assert_int_ge(count, 1);
	ck_assert_int_eq(clef_platform_list(NULL, 0), count);
	for (int i = 0; i < count; i++) {
		ck_assert(*platforms[i].name && *platforms[i].vendor && *platforms[i].version && !*platforms[i].error);
		devices += platforms[i].devices;
	}
	ck_assert_int_eq(devices, all);
	for (int i = 0; i < all; i++)
		ck_assert_str_eq(platforms[infos[i].platform].name, infos[i].platform_name);
}
END_TEST

START_TEST(loader_has_a_file)
{
	clef_icd_loader loader = clef_icd_loader_get();

	ck_assert_msg(strstr(loader.path, "OpenCL") && access(loader.path, R_OK) == 0, "\"%s\"", loader.path);
	/* Loaders of today tell all four, those of before 2020 none. */
	ck_assert(!*loader.name == !*loader.version && !*loader.name == !*loader.vendor);
	ck_assert(!*loader.name || strncmp(loader.opencl, "OpenCL ", 7) == 0);
}
END_TEST

/* The loader reads .icd files from this folder instead of the system's. */
static const char *vendors_folder(void)
{
	test_setenv("OCL_ICD_VENDORS", test_dir());
	test_setenv("OCL_ICD_FILENAMES", NULL);
	return test_dir();
}

START_TEST(no_platform_at_all)
{
	vendors_folder();
	ck_assert_int_eq(clef_device_list(infos, MAX_DEVICES), 0);
	ck_assert_int_eq(clef_platform_list(platforms, MAX_PLATFORMS), 0);
	ck_assert_int_eq(clef_device_find(NULL), CLEF_ERROR_NO_DEVICE);
	for (int i = 0; i < 2; i++)
		ck_null_fails(clef_device_open(i ? "0" : NULL), CLEF_ERROR_NO_DEVICE, "no OpenCL device");
}
END_TEST

static bool take_driver(const char *name)
{
	char from[256], to[1024];

	snprintf(from, sizeof(from), "/etc/OpenCL/vendors/%s.icd", name);
	snprintf(to, sizeof(to), "%s/%s.icd", vendors_folder(), name);
	return access(from, R_OK) == 0 && symlink(from, to) == 0;
}

/* Clover is such a platform where there is no GPU that it knows. */
START_TEST(platform_without_devices)
{
	int count;

	if (!take_driver("mesa"))
		test_skip("no driver at hand that may have no devices");
	if (!take_driver("pocl"))
		test_skip("PoCL is not installed");
	count = list();
	ck_assert_int_ge(count, 1);
	for (int i = 0; i < count; i++)
		if (strcmp(infos[i].platform_name, "Portable Computing Language") == 0)
			check_opens("portable", i);
}
END_TEST

START_TEST(platform_without_devices_alone)
{
	if (!take_driver("mesa"))
		test_skip("no driver at hand that may have no devices");
	if (list() > 0)
		test_skip("that driver has devices here");
	ck_assert_int_eq(clef_platform_list(platforms, MAX_PLATFORMS), 1);
	ck_assert(*platforms[0].name && !*platforms[0].error && platforms[0].devices == 0);
	ck_null_fails(clef_device_open(NULL), CLEF_ERROR_NO_DEVICE, "no OpenCL device");
}
END_TEST

/* ---- choosing ---- */

START_TEST(open_by_number)
{
	int count = list();
	char which[32];

	for (int i = 0; i < count; i++) {
		if (!infos[i].available)
			continue;
		snprintf(which, sizeof(which), "%d", i);
		check_opens(which, i);
		snprintf(which, sizeof(which), "%d:%d", infos[i].platform, infos[i].device);
		check_opens(which, i);
	}
}
END_TEST

START_TEST(open_by_number_among_two)
{
	if (!take_driver("pocl"))
		test_skip("PoCL is not installed");
	test_setenv("POCL_DEVICES", "basic pthread");
	ck_assert_int_eq(list(), 2);
	ck_assert_str_ne(infos[0].name, infos[1].name);
	check_opens("0", 0);
	check_opens("1", 1);
	check_opens("0:0", 0);
	check_opens("0:1", 1);
	check_opens("BASIC", 0);
	check_opens("pthread", 1);
	check_opens("cpu", 0);
	ck_null_fails(clef_device_open("2"), CLEF_ERROR_NO_DEVICE, "1 (0:1) pthread");
}
END_TEST

static bool contains(const char *text, const char *part)
{
	size_t n = strlen(part);

	for (; *text; text++) {
		size_t i = 0;

		while (i < n && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
			i++;
		if (i == n)
			return true;
	}
	return false;
}

static int first_with(int count, const char *part)
{
	for (int i = 0; i < count; i++)
		if (contains(infos[i].name, part) || contains(infos[i].vendor, part) ||
		    contains(infos[i].platform_name, part))
			return i;
	return -1;
}

START_TEST(open_by_part_of_a_name)
{
	int count = list();

	for (int i = 0; i < count; i++) {
		char part[128];

		for (int which = 0; which < 4; which++) {
			snprintf(part, sizeof(part), "%s",
				 which == 3   ? infos[i].platform_name
				 : which == 2 ? infos[i].vendor
					      : infos[i].name);
			/* The middle of it, to be found anywhere. */
			if (which == 1 && strlen(part) > 8) {
				memmove(part, part + 2, strlen(part) - 1);
				part[strlen(part) - 2] = '\0';
			}
			for (char *p = part; *p; p++)
				*p = (char)(i % 2 == which % 2 ? toupper((unsigned char)*p)
							       : tolower((unsigned char)*p));
			if (*part && infos[first_with(count, part)].available)
				check_opens(part, first_with(count, part));
		}
	}
}
END_TEST

static int first_of_kind(int count, clef_device_kind kind)
{
	for (int i = 0; i < count; i++)
		if (infos[i].kind == kind && infos[i].available)
			return i;
	return -1;
}

START_TEST(open_by_kind)
{
	static const struct {
		const char *word[3];
		clef_device_kind kind;
	} rows[] = { { { "gpu", "GPU", "Gpu" }, CLEF_DEVICE_GPU },
		     { { "cpu", "CPU", "cPu" }, CLEF_DEVICE_CPU },
		     { { "accelerator", "ACCELERATOR", "Accelerator" }, CLEF_DEVICE_ACCELERATOR } };
	int count = list();

	for (int i = 0; i < CLEF_COUNT(rows); i++)
		for (int j = 0; j < 3; j++) {
			int index = first_of_kind(count, rows[i].kind);

			if (index >= 0)
				check_opens(rows[i].word[j], index);
			else
				ck_null_fails(clef_device_open(rows[i].word[j]), CLEF_ERROR_NO_DEVICE, rows[i].word[j]);
		}
}
END_TEST

START_TEST(open_default_prefers_a_gpu)
{
	static const clef_device_kind order[] = { CLEF_DEVICE_GPU, CLEF_DEVICE_ACCELERATOR, CLEF_DEVICE_CPU,
						  CLEF_DEVICE_OTHER };
	int count = list(), index = -1;

	for (int i = 0; i < CLEF_COUNT(order) && index < 0; i++)
		index = first_of_kind(count, order[i]);
	ck_assert_int_ge(index, 0);
	test_setenv("CLEF_DEVICE", NULL);
	check_opens(NULL, index);
	check_opens("", index);
	test_setenv("CLEF_DEVICE", "");
	check_opens(NULL, index);
}
END_TEST

START_TEST(open_by_environment)
{
	int last = list() - 1;
	char which[32];

	snprintf(which, sizeof(which), "%d:%d", infos[last].platform, infos[last].device);
	test_setenv("CLEF_DEVICE", which);
	check_opens(NULL, last);
	check_opens("", last);
	test_setenv("CLEF_DEVICE", "no-such-device");
	ck_null_fails(clef_device_open(NULL), CLEF_ERROR_NO_DEVICE, "no device \"no-such-device\"");
	check_opens(which, last);
}
END_TEST

START_TEST(find_tells_what_would_be_opened)
{
	clef_device *dev = ck_new(clef_device_open(NULL));
	const clef_device_info *info = clef_device_get_info(dev);
	int count = list(), found = clef_device_find(NULL);

	ck_assert(found >= 0 && found < count);
	ck_assert(infos[found].platform == info->platform && infos[found].device == info->device);
	clef_device_close(dev);
	for (int i = 0; i < count; i++) {
		char which[32];

		snprintf(which, sizeof(which), "%d", i);
		ck_assert_int_eq(clef_device_find(which), infos[i].available ? i : (int)CLEF_ERROR_NO_DEVICE);
	}
	ck_assert_int_eq(clef_device_find("no-such-device"), CLEF_ERROR_NO_DEVICE);
	ck_assert_ptr_nonnull(strstr(clef_error(), "no device \"no-such-device\""));
}
END_TEST

START_TEST(open_wrong_name_lists_the_devices)
{
	static const char *const wrong[] = { "no-such-device", "99",           "99:0", "0:99",          "-1",
					     "0:-1",           "0:0:0",        "0:",   "1x of nothing", "4294967296",
					     "0:4294967296",   "cpu of no one" };
	int count = list();

	for (int i = 0; i < CLEF_COUNT(wrong); i++) {
		ck_null_fails(clef_device_open(wrong[i]), CLEF_ERROR_NO_DEVICE, wrong[i]);
		for (int j = 0; j < count; j++) {
			char row[256];

			snprintf(row, sizeof(row), "%d (%d:%d) %s", j, infos[j].platform, infos[j].device,
				 infos[j].name);
			ck_assert_msg(strstr(clef_error(), row) != NULL, "\"%s\" is not in \"%s\"", row, clef_error());
		}
	}
}
END_TEST

/* ---- closing ---- */

START_TEST(null_is_accepted)
{
	clef_device_close(NULL);
	clef_device_trim(NULL);
	ck_assert_ptr_null(clef_device_get_info(NULL));
	ck_assert_uint_eq(clef_device_get_stats(NULL).launches, 0);
	ck_fails(clef_finish(NULL), CLEF_ERROR_INVALID, "clef_finish");
	ck_null_fails(clef_tensor_new(NULL, CLEF_FLOAT32, CLEF_SCALAR), CLEF_ERROR_INVALID, "clef_tensor_new");
	ck_null_fails(clef_tape_new(NULL), CLEF_ERROR_INVALID, "clef_tape_new");
}
END_TEST

typedef struct things {
	clef_device *dev;
	clef_tape *tape;
	clef_tensor *leaf;
	clef_model *model;
} things;

/* One training step, so that there are gradients, pooled buffers and queued kernels when things are freed. */
static things make_things(void)
{
	static const clef_layer layers[] = { { CLEF_LINEAR, .out = 3 }, { CLEF_RELU } };
	float values[4] = { 1, 2, 3, 4 };
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(2, 2), values };
	things t;

	t.dev = ck_new(clef_device_open(NULL));
	t.tape = ck_new(clef_tape_new(t.dev));
	t.leaf = ck_new(clef_tensor_from(t.dev, &array));
	t.model = ck_new(clef_sequential_new(t.dev, layers, CLEF_COUNT(layers), CLEF_SHAPE(2), NULL));
	ck_ok(clef_requires_grad(t.leaf, true));
	ck_ok(clef_tape_begin(t.tape));
	ck_ok(clef_backward(clef_sum(clef_model_forward(t.model, clef_mul(clef_input(t.tape, &array), t.leaf)), NULL)));
	return t;
}

/* Under AddressSanitizer this also says whether anything is leaked. */
START_TEST(close_in_any_order)
{
	int orders = test_small() ? 2 : 24;

	test_setenv("CLEF_GEMM", "plain");
	for (int order = 0; order < orders; order++) {
		int rest[4] = { 0, 1, 2, 3 }, code = test_small() ? 23 * order : order;
		things t = make_things();

		for (int left = 4; left > 0; left--) {
			int at = code % left;

			code /= left;
			switch (rest[at]) {
			case 0:
				clef_device_close(t.dev);
				break;
			case 1:
				clef_tape_free(t.tape);
				break;
			case 2:
				clef_tensor_free(t.leaf);
				break;
			default:
				clef_model_free(t.model);
				break;
			}
			rest[at] = rest[left - 1];
		}
	}
}
END_TEST

/* What is left of a closed device works on. */
START_TEST(closed_device_lives_as_long_as_its_tensors)
{
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef_tensor *x = ck_new(clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(100)));
	float values[100];

	clef_device_close(dev);
	ck_ok(clef_fill(x, 2.5));
	ck_ok(clef_axpy(2, x, x));
	ck_ok(clef_read(x, values, sizeof(values)));
	for (int i = 0; i < 100; i++)
		ck_assert(values[i] == 7.5f);
	clef_tensor_free(x);
}
END_TEST

START_TEST(two_devices_at_a_time)
{
	clef_device *a = ck_new(clef_device_open(NULL)), *b = ck_new(clef_device_open(NULL));
	clef_tensor *x = ck_new(clef_tensor_new(a, CLEF_INT32, CLEF_SCALAR));
	clef_tensor *y = ck_new(clef_tensor_new(b, CLEF_INT32, CLEF_SCALAR));

	ck_ok(clef_fill(x, 1));
	ck_ok(clef_fill(y, 2));
	ck_assert(clef_item(x) == 1);
	ck_assert_ptr_eq(clef_tensor_device(y), b);
	clef_tensor_free(x);
	clef_device_close(a);
	ck_ok(clef_fill(y, 3));
	ck_assert(clef_item(y) == 3);
	clef_tensor_free(y);
	clef_device_close(b);
}
END_TEST

Suite *device_suite(void)
{
	Suite *s = suite_create("device");
	TCase *c = tcase_create("list");

	tcase_add_test(c, list_is_complete);
	tcase_add_test(c, list_writes_no_more_than_asked);
	tcase_add_test(c, kinds_have_names);
	tcase_add_test(c, platforms_have_the_devices);
	tcase_add_test(c, loader_has_a_file);
	tcase_add_test(c, no_platform_at_all);
	tcase_add_test(c, platform_without_devices);
	tcase_add_test(c, platform_without_devices_alone);
	suite_add_tcase(s, c);
	c = tcase_create("choosing");
	tcase_add_test(c, open_by_number);
	tcase_add_test(c, open_by_number_among_two);
	tcase_add_test(c, open_by_part_of_a_name);
	tcase_add_test(c, open_by_kind);
	tcase_add_test(c, open_default_prefers_a_gpu);
	tcase_add_test(c, open_by_environment);
	tcase_add_test(c, find_tells_what_would_be_opened);
	tcase_add_test(c, open_wrong_name_lists_the_devices);
	suite_add_tcase(s, c);
	c = tcase_create("closing");
	tcase_add_test(c, null_is_accepted);
	tcase_add_test(c, close_in_any_order);
	tcase_add_test(c, closed_device_lives_as_long_as_its_tensors);
	tcase_add_test(c, two_devices_at_a_time);
	suite_add_tcase(s, c);
	return s;
}
