/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of tunings: the file, whoever writes it and whatever is in it. */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_clef.h"
#include "tuning.h"

static void setup(void)
{
	char path[1100];

	snprintf(path, sizeof(path), "%s/tuning.json", test_dir());
	test_setenv("CLEF_TUNING", path);
	test_setenv("CLEF_GEMM", "plain");
	test_note_warnings();
}

static clef_device *open_device(void)
{
	return ck_new(clef_device_open(NULL));
}

static clef__tuned make(const char *problem, const char *name, int value)
{
	clef__tuned t = { .choice = clef__choice_make(name), .ms = 1.5, .shipped_ms = 2.25 };

	snprintf(t.problem, sizeof(t.problem), "%s", problem);
	snprintf(t.shipped, sizeof(t.shipped), "shipped");
	if (value)
		clef__choice_add(&t.choice, "value", value);
	return t;
}

static void keep(clef_device *dev, const char *problem, const char *name, int value)
{
	const clef__tuned t = make(problem, name, value);

	ck_ok(clef__tuning_keep(dev, &t, true));
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "wb");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static char *read_file(const char *path)
{
	static char text[1 << 16];
	FILE *file = fopen(path, "rb");
	size_t size;

	ck_assert_msg(file != NULL, "no %s", path);
	size = fread(text, 1, sizeof(text) - 1, file);
	text[size] = '\0';
	fclose(file);
	return text;
}

static int files_in(const char *folder)
{
	DIR *dir = opendir(folder);
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	for (struct dirent *e; (e = readdir(dir));)
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}

/* ---- what was kept is there ---- */

START_TEST(choices_come_back)
{
	clef__tuned first = make("b 1", "fast", 7), second = make("a 2", "slow", 0);
	const clef__tuned *t;
	clef_device *dev;
	char text[CLEF__CHOICE_TEXT];

	clef__choice_add(&first.choice, "other", -3);
	snprintf(first.wrong, sizeof(first.wrong), "bad worse(mr=6,nv=1)");
	second.first_use = true;
	/* Folders are made where there are none. */
	test_setenv("CLEF_TUNING", test_path("x/y/tuning.json"));
	dev = open_device();
	ck_assert(!clef__tuning_count(dev));
	ck_ok(clef__tuning_keep(dev, &first, true));
	ck_ok(clef__tuning_keep(dev, &second, true));
	clef_device_close(dev);
	dev = open_device();
	ck_assert_int_eq(clef__tuning_count(dev), 2);
	ck_assert_str_eq(clef__tuning_get(dev, 0)->problem, "a 2");
	t = clef__tuning_find(dev, "b 1");
	ck_assert_ptr_nonnull(t);
	ck_assert_str_eq(clef__choice_text(&t->choice, text), "fast(value=7,other=-3)");
	ck_assert_str_eq(t->wrong, first.wrong);
	ck_assert_str_eq(t->shipped, "shipped");
	ck_assert(fabs(t->ms - 1.5) < 1e-9 && fabs(t->shipped_ms - 2.25) < 1e-9 && !t->first_use);
	ck_assert(clef__tuning_find(dev, "a 2")->first_use);
	ck_assert_ptr_null(clef__tuning_find(dev, "b"));
	ck_assert_ptr_null(clef__tuning_find(dev, "b 11"));
	/* A later choice takes the place of the first. */
	keep(dev, "b 1", "new", 0);
	clef_device_close(dev);
	dev = open_device();
	ck_assert_int_eq(clef__tuning_count(dev), 2);
	ck_assert_str_eq(clef__tuning_find(dev, "b 1")->choice.name, "new");
	clef_device_close(dev);
	ck_assert_int_eq(files_in(test_path("x/y")), 1);
	ck_assert_int_eq(test_warnings, 0);
}
END_TEST

START_TEST(default_paths)
{
	clef_device *dev;

	test_setenv("CLEF_TUNING", NULL);
	test_setenv("XDG_DATA_HOME", test_path("data"));
	test_setenv("HOME", test_path("home"));
	dev = open_device();
	ck_assert_str_eq(clef_tune_path(dev), test_path("data/clef/tuning.json"));
	keep(dev, "a", "x", 0);
	clef_device_close(dev);
	ck_assert_int_eq(access(test_path("data/clef/tuning.json"), R_OK), 0);
	/* The XDG specification says to pass over a path that is not absolute. */
	test_setenv("XDG_DATA_HOME", "relative");
	dev = open_device();
	ck_assert_str_eq(clef_tune_path(dev), test_path("home/.local/share/clef/tuning.json"));
	ck_assert_int_eq(clef_tune_count(dev), 0);
	clef_device_close(dev);
	test_setenv("CLEF_TUNING", "");
	dev = open_device();
	ck_assert_ptr_null(clef_tune_path(dev));
	keep(dev, "a", "x", 0);
	ck_assert_int_eq(clef_tune_count(dev), 1);
	clef_device_close(dev);
	ck_assert_int_eq(access(test_path("home/.local"), R_OK), -1);
	ck_assert_int_eq(test_warnings, 0);
}
END_TEST

/* ---- what is no tuning file is left alone ---- */

static const char *const foreign[] = { "{",
				       "[]\n",
				       "{\"clef_tuning\": 2, \"devices\": []}\n",
				       "{\"clef_tuning\": 1, \"devices\": {}}\n",
				       "{\"clef_tuning\": 1, \"clef_tuning\": 1, \"devices\": []}\n",
				       "dear diary\n",
				       "\xff\xfe\x01" };

START_TEST(foreign_files)
{
	const char *path = getenv("CLEF_TUNING");
	clef_device *dev;

	write_file(path, foreign[_i]);
	dev = open_device();
	ck_assert_int_eq(clef_tune_count(dev), 0);
	ck_assert_int_eq(test_warnings, 1);
	ck_assert_msg(strstr(test_warning, path) != NULL, "%s", test_warning);
	keep(dev, "a", "x", 1);
	ck_assert_str_eq(clef__tuning_find(dev, "a")->choice.name, "x");
	ck_ok(clef_tune_forget(dev, NULL, NULL));
	clef_device_close(dev);
	ck_assert_str_eq(read_file(path), foreign[_i]);
	ck_assert_int_eq(test_warnings, 1);
	ck_assert_int_eq(files_in(test_dir()), 1);
}
END_TEST

START_TEST(unusable_paths)
{
	static const char *const paths[] = { "/proc/clef/tuning.json", "/dev/null/tuning.json", "/" };
	clef_device *dev;

	test_setenv("CLEF_TUNING", paths[_i]);
	dev = open_device();
	keep(dev, "a", "x", 1);
	keep(dev, "b", "x", 1);
	ck_assert_int_eq(clef_tune_count(dev), 2);
	clef_device_close(dev);
	ck_assert_int_eq(test_warnings, 1);
	ck_assert_msg(strstr(test_warning, paths[_i]) != NULL, "%s", test_warning);
}
END_TEST

/* A file that was cut off, at any byte, is whole or refused. */
START_TEST(cut_files)
{
	const char *path = getenv("CLEF_TUNING");
	clef_device *dev = open_device();
	char *text, copy[1 << 12];
	size_t size, step;

	keep(dev, "a", "x", 1);
	clef_device_close(dev);
	text = read_file(path);
	size = strlen(text);
	ck_assert(size < sizeof(copy));
	memcpy(copy, text, size + 1);
	step = test_small() ? size / 3 : 13;
	for (size_t cut = 1; cut + 2 < size; cut += step) {
		test_warnings = 0;
		copy[cut] = '\0';
		write_file(path, copy);
		copy[cut] = text[cut];
		dev = open_device();
		ck_assert_int_eq(clef_tune_count(dev), 0);
		ck_assert_int_eq(test_warnings, 1);
		clef_device_close(dev);
	}
}
END_TEST

/* ---- entries ---- */

/* The object of the only device in the file. */
static json_t *only_choices(const json_t *file)
{
	json_t *devices = json_object_get(file, "devices");

	ck_assert_uint_eq(json_array_size(devices), 1);
	return json_object_get(json_array_get(devices, 0), "choices");
}

START_TEST(entries_without_sense)
{
	static const char *const bad[] = {
		"3",
		"{}",
		"{\"use\": \"\", \"shipped\": \"x\"}",
		"{\"use\": \"x\"}",
		"{\"use\": \"a name that is far too long\", \"shipped\": \"x\"}",
		"{\"use\": \"x\", \"shipped\": \"x\", \"parameters\": {\"kc\": 1.5}}",
		"{\"use\": \"x\", \"shipped\": \"x\", \"parameters\": {\"a_long_name\": 1}}",
		"{\"use\": \"x\", \"shipped\": \"x\", \"parameters\": {\"kc\": 99999999999}}",
		"{\"use\": \"x\", \"shipped\": \"x\", \"parameters\": {\"a\": 1, \"b\": 1, \"c\": 1, \"d\": 1, \"e\": "
		"1, \"f\": 1, \"g\": 1, \"h\": 1, \"i\": 1, \"j\": 1, \"k\": 1, \"l\": 1, \"m\": 1, \"n\": 1, \"o\": "
		"1, \"p\": 1, \"q\": 1, \"r\": 1, \"s\": 1}}"
	};
	const char *path = getenv("CLEF_TUNING");
	clef_device *dev = open_device();
	json_t *file;

	keep(dev, "good", "x", 1);
	clef_device_close(dev);
	file = json_load_file(path, 0, NULL);
	for (int i = 0; i < CLEF_COUNT(bad); i++) {
		char name[16];

		snprintf(name, sizeof(name), "bad %d", i);
		ck_assert_int_eq(
			json_object_set_new(only_choices(file), name, json_loads(bad[i], JSON_DECODE_ANY, NULL)), 0);
	}
	ck_assert_int_eq(json_dump_file(file, path, 0), 0);
	json_decref(file);
	dev = open_device();
	ck_assert_int_eq(clef_tune_count(dev), 1);
	ck_assert_int_eq(test_warnings, 1);
	ck_assert_msg(strstr(test_warning, "bad 0") && strstr(test_warning, path), "%s", test_warning);
	/* They stay in the file: a later clef may know what they mean. */
	keep(dev, "better", "x", 1);
	clef_device_close(dev);
	file = json_load_file(path, 0, NULL);
	ck_assert_uint_eq(json_object_size(only_choices(file)), 2 + CLEF_COUNT(bad));
	json_decref(file);
}
END_TEST

/* Of another driver, another clef, or of what only a later clef knows. */
START_TEST(others_are_untouched)
{
	static const char *const changes[][2] = { { "driver", "99" }, { "clef", "7.0.0" }, { "limits", "none" } };
	const char *path = getenv("CLEF_TUNING");
	clef_device *dev = open_device();
	json_t *file, *device, *before, *after;

	keep(dev, "mine", "x", 1);
	clef_device_close(dev);
	file = json_load_file(path, 0, NULL);
	device = json_array_get(json_object_get(file, "devices"), 0);
	json_object_set_new(device, changes[_i][0], json_string(changes[_i][1]));
	json_object_set_new(device, "more", json_integer(4));
	json_object_set_new(file, "also", json_true());
	ck_assert_int_eq(json_dump_file(file, path, 0), 0);
	before = json_deep_copy(device);
	json_decref(file);
	dev = open_device();
	ck_assert_int_eq(clef_tune_count(dev), 0);
	keep(dev, "mine", "y", 2);
	ck_assert_int_eq(clef_tune_count(dev), 1);
	ck_ok(clef_tune_forget(dev, NULL, NULL));
	clef_device_close(dev);
	file = json_load_file(path, 0, NULL);
	after = json_array_get(json_object_get(file, "devices"), 0);
	ck_assert(json_equal(before, after));
	ck_assert(json_is_true(json_object_get(file, "also")));
	ck_assert_uint_eq(json_array_size(json_object_get(file, "devices")), 2);
	json_decref(before);
	json_decref(file);
	ck_assert_int_eq(test_warnings, 0);
}
END_TEST

START_TEST(forgetting)
{
	clef_device *dev = open_device();
	int count;

	keep(dev, "a", "x", 0);
	keep(dev, "b", "x", 0);
	keep(dev, "c", "x", 0);
	ck_ok(clef_tune_forget(dev, "b", &count));
	ck_assert_int_eq(count, 1);
	ck_ok(clef_tune_forget(dev, "b", &count));
	ck_assert_int_eq(count, 0);
	clef_device_close(dev);
	dev = open_device();
	ck_assert_int_eq(clef_tune_count(dev), 2);
	ck_assert_ptr_null(clef__tuning_find(dev, "b"));
	ck_ok(clef_tune_forget(dev, NULL, &count));
	ck_assert_int_eq(count, 2);
	clef_device_close(dev);
	dev = open_device();
	ck_assert_int_eq(clef_tune_count(dev), 0);
	clef_device_close(dev);
	ck_fails(clef_tune_forget(NULL, NULL, NULL), CLEF_ERROR_INVALID, "clef_tune_forget");
}
END_TEST

/* ---- several processes ---- */

START_TEST(writers_at_once)
{
	enum { PROCESSES = 4, EACH = 12 };
	pid_t child[PROCESSES];
	clef_device *dev;
	int status;

	for (int i = 0; i < PROCESSES; i++) {
		child[i] = fork();
		ck_assert_int_ge(child[i], 0);
		if (child[i] == 0) {
			dev = clef_device_open(NULL);
			for (int j = 0; dev && j < EACH; j++) {
				char name[48];
				clef__tuned t;

				snprintf(name, sizeof(name), "process %d choice %d", i, j);
				t = make(name, "x", j);
				if (clef__tuning_keep(dev, &t, true))
					_exit(1);
			}
			clef_device_close(dev);
			_exit(!dev || test_warnings ? 2 : 0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: wait status %d", i, status);
	}
	dev = open_device();
	ck_assert_int_eq(clef_tune_count(dev), PROCESSES * EACH);
	clef_device_close(dev);
	ck_assert_int_eq(files_in(test_dir()), 1);
}
END_TEST

/* ---- the environment ---- */

START_TEST(limits)
{
	static const char *const bad[] = { "x", "-1", "5x", "nan", "1e9" };
	const clef_device_info *info;
	clef_device *dev;

	for (int i = 0; i < CLEF_COUNT(bad); i++) {
		test_setenv("CLEF_TUNE_MS", bad[i]);
		ck_null_fails(clef_device_open(NULL), CLEF_ERROR_INVALID, bad[i]);
	}
	test_setenv("CLEF_TUNE_MS", "250");
	dev = open_device();
	ck_assert(fabs(clef__tuning_first_use(dev) - 0.25) < 1e-9);
	ck_assert(clef__tuning_wanted(dev));
	clef_device_close(dev);
	test_setenv("CLEF_TUNE_MS", NULL);
	dev = open_device();
	info = clef_device_get_info(dev);
	if (info->kind == CLEF_DEVICE_CPU && (info->float_vector == 8 || info->float_vector == 16))
		ck_assert(!(clef__tuning_first_use(dev) > 0) && !clef__tuning_wanted(dev));
	else
		ck_assert(clef__tuning_first_use(dev) > 0);
	clef_device_close(dev);
}
END_TEST

Suite *tuning_suite(void)
{
	Suite *s = suite_create("tuning");
	TCase *c = tcase_create("file");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, choices_come_back);
	tcase_add_test(c, default_paths);
	tcase_add_loop_test(c, foreign_files, 0, CLEF_COUNT(foreign));
	tcase_add_loop_test(c, unusable_paths, 0, 3);
	tcase_add_test(c, cut_files);
	tcase_add_test(c, entries_without_sense);
	tcase_add_loop_test(c, others_are_untouched, 0, 3);
	tcase_add_test(c, forgetting);
	tcase_add_test(c, writers_at_once);
	tcase_add_test(c, limits);
	suite_add_tcase(s, c);
	return s;
}
