/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's tuning file: JSON that a person can read, with an object for each device, driver and version of clef, and
 * in it an object for each problem.
 *
 * It is written a choice at a time: under a lock on its folder the file of this moment is read, the choice put in, and
 * the whole written under another name that then changes to the file's. So a reader sees a whole file, whoever writes;
 * two programs that tune at once keep what both find; and one that is stopped has kept all it found. What belongs to
 * other devices, and what a later clef may add, stays as it is. A file that is no such file is never written to: it may
 * be something that the user needs.
 */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "opencl.h"
#include "tuning_file.h"

#define FORMAT 1

static void warn(clef_device *dev, const char *what, const char *why)
{
	if (!dev->tuning->warned)
		clef__log(CLEF_LOG_WARN, "tuning file %s: %s: %s", dev->tuning->path, what, why);
	dev->tuning->warned = true;
}

/* ---- the device ---- */

/* Names may hold bytes that are no UTF-8, which JSON cannot. */
static json_t *plain_string(const char *text)
{
	char copy[256];
	size_t i = 0;

	for (; text[i] && i < sizeof(copy) - 1; i++)
		copy[i] = text[i] & 0x80 ? '?' : text[i];
	copy[i] = '\0';
	return json_string(copy);
}

/* All that a choice depends on, besides the problem. */
static json_t *identity(const clef_device *dev)
{
	const clef_device_info *i = &dev->info;
	char limits[160];

	snprintf(limits, sizeof(limits), "%s units %u local %llu group %llu vector %u memory %llu",
		 clef_device_kind_name(i->kind), i->compute_units, (unsigned long long)i->local_memory,
		 (unsigned long long)i->max_work_group, i->float_vector, (unsigned long long)(i->max_allocation >> 20));
	return json_pack("{so so so so so ss ss}", "platform", plain_string(i->platform_name), "name",
			 plain_string(i->name), "vendor", plain_string(i->vendor), "version", plain_string(i->version),
			 "driver", plain_string(i->driver), "limits", limits, "clef", clef_version());
}

static bool is_same(const json_t *device, const json_t *wanted)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)wanted, key, value)
		if (!json_equal(json_object_get(device, key), value))
			return false;
	return true;
}

/* The choices of this device, borrowed; NULL where there are none, or, with `make`, no memory. */
static json_t *find_choices(const clef_device *dev, json_t *file, bool make)
{
	json_t *devices = json_object_get(file, "devices"), *wanted = identity(dev), *device = NULL;

	for (size_t i = 0; i < json_array_size(devices) && wanted && !device; i++)
		if (is_same(json_array_get(devices, i), wanted))
			device = json_array_get(devices, i);
	if (!device && make && wanted && !json_object_set_new(wanted, "choices", json_object()) &&
	    !json_array_append(devices, wanted))
		device = wanted;
	json_decref(wanted);
	return json_object_get(device, "choices");
}

/* ---- reading ---- */

static json_t *empty_file(void)
{
	return json_pack("{si s[]}", "clef_tuning", FORMAT, "devices");
}

/* The file, or an empty one where there is none; NULL, after a warning, where it cannot be used. */
static json_t *load(clef_device *dev)
{
	const char *path = dev->tuning->path;
	FILE *in = fopen(path, "rb");
	json_t *file = NULL;
	json_error_t error = { .text = "it is no file" };
	struct stat st;

	if (!in && errno == ENOENT)
		return empty_file();
	if (!in) {
		warn(dev, "cannot be read", strerror(errno));
		return NULL;
	}
	if (!fstat(fileno(in), &st) && S_ISREG(st.st_mode)) {
		if (st.st_size == 0)
			file = empty_file();
		else
			file = json_loadf(in, JSON_REJECT_DUPLICATES, &error);
	}
	fclose(in);
	if (file && json_integer_value(json_object_get(file, "clef_tuning")) == FORMAT &&
	    json_is_array(json_object_get(file, "devices")))
		return file;
	warn(dev, "is not used, and nothing is kept",
	     file ? "it is no tuning file of this version of clef; remove it, or name another in CLEF_TUNING"
		  : error.text);
	json_decref(file);
	return NULL;
}

static bool take_text(const json_t *entry, const char *key, char *text, size_t size)
{
	const char *value = json_string_value(json_object_get(entry, key));

	return value && (size_t)snprintf(text, size, "%s", value) < size;
}

static bool take_params(const json_t *params, clef__choice *c)
{
	const char *key;
	json_t *value;

	if (json_object_size(params) > CLEF__TUNING_PARAMS)
		return false;
	json_object_foreach((json_t *)(uintptr_t)params, key, value) {
		if (!json_is_integer(value) || json_integer_value(value) < INT32_MIN ||
		    json_integer_value(value) > INT32_MAX || !*key || strlen(key) >= sizeof(c->param[0].name))
			return false;
		clef__choice_add(c, key, (int)json_integer_value(value));
	}
	return true;
}

static bool take_entry(const char *problem, const json_t *entry, clef__tuned *t)
{
	const json_t *wrong = json_object_get(entry, "wrong");
	const char *measured = json_string_value(json_object_get(entry, "measured"));

	*t = (clef__tuned){ .first_use = measured && strcmp(measured, "first use") == 0,
			    .ms = json_number_value(json_object_get(entry, "ms")),
			    .shipped_ms = json_number_value(json_object_get(entry, "shipped_ms")) };
	for (size_t i = 0, used = 0; i < json_array_size(wrong) && used < sizeof(t->wrong); i++) {
		const char *name = json_string_value(json_array_get(wrong, i));

		used += (size_t)snprintf(t->wrong + used, sizeof(t->wrong) - used, "%s%s", used ? " " : "",
					 name ? name : "?");
	}
	return (size_t)snprintf(t->problem, sizeof(t->problem), "%s", problem) < sizeof(t->problem) &&
	       take_text(entry, "use", t->choice.name, sizeof(t->choice.name)) && t->choice.name[0] &&
	       take_text(entry, "shipped", t->shipped, sizeof(t->shipped)) &&
	       take_params(json_object_get(entry, "parameters"), &t->choice);
}

clef_status clef__tuning_read(clef_device *dev)
{
	json_t *file = dev->tuning->path ? load(dev) : NULL, *entry;
	clef_status status = CLEF_OK;
	const char *problem;
	clef__tuned t;

	if (file)
		json_object_foreach(find_choices(dev, file, false), problem, entry) {
			if (take_entry(problem, entry, &t))
				status = clef__tuning_insert(dev->tuning, &t);
			else
				warn(dev, "an entry makes no sense and is passed over", problem);
			if (status)
				break;
		}
	json_decref(file);
	return status;
}

/* ---- writing ---- */

static json_t *make_entry(const clef__tuned *t)
{
	json_t *params = json_object(), *wrong = json_array();
	char names[sizeof(t->wrong)];

	for (int i = 0; i < CLEF__TUNING_PARAMS && t->choice.param[i].name[0]; i++)
		json_object_set_new(params, t->choice.param[i].name, json_integer(t->choice.param[i].value));
	memcpy(names, t->wrong, sizeof(names));
	for (char *name = names; *name;) {
		size_t length = strcspn(name, " ");

		json_array_append_new(wrong, json_stringn(name, length));
		name += length + (name[length] == ' ');
	}
	return json_pack("{ss so sf ss sf so ss}", "use", t->choice.name, "parameters", params, "ms", t->ms, "shipped",
			 t->shipped, "shipped_ms", t->shipped_ms, "wrong", wrong, "measured",
			 t->first_use ? "first use" : "clef tune");
}

/* The folder of a file, made with those above it where that is wanted. */
static int open_folder(const char *path, bool make)
{
	char *folder = clef__strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
	int fd = -1;

	if (slash)
		slash[slash == folder] = '\0';
	for (char *p = folder && slash && make ? folder + 1 : NULL; p && *p; p++)
		if (*p == '/') {
			*p = '\0';
			mkdir(folder, 0777);
			*p = '/';
		}
	if (folder && slash && make)
		mkdir(folder, 0777);
	if (folder)
		fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	return fd;
}

/* False with errno. The file keeps its permissions. */
static bool replace(const char *path, const json_t *file)
{
	char *temporary = clef__format("%s.XXXXXX", path);
	int fd = temporary ? mkstemp(temporary) : -1, code;
	bool written = false;
	struct stat st;

	if (fd >= 0) {
		written = (stat(path, &st) || !fchmod(fd, st.st_mode & 0777)) &&
			  !json_dumpfd(file, fd, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) && write(fd, "\n", 1) == 1;
		/* A full disk may show only now. */
		written = close(fd) == 0 && written;
		written = written && rename(temporary, path) == 0;
		code = errno;
		if (!written)
			unlink(temporary);
		errno = code;
	}
	free(temporary);
	return written;
}

/* Changes the file of this moment. t NULL: takes out `problem`, or all. */
static clef_status change(clef_device *dev, const clef__tuned *t, const char *problem)
{
	int folder = open_folder(dev->tuning->path, t != NULL);
	json_t *file, *choices;
	bool locked = folder >= 0 && flock(folder, LOCK_EX) == 0;

	/* Without a lock, on some network's file system, the file is whole all the same. */
	(void)locked;
	file = folder >= 0 ? load(dev) : NULL;
	choices = file ? find_choices(dev, file, t != NULL) : NULL;
	if (t && choices)
		json_object_set_new(choices, t->problem, make_entry(t));
	else if (problem)
		json_object_del(choices, problem);
	else
		json_object_clear(choices);
	if ((folder < 0 && t) || (choices && !replace(dev->tuning->path, file)))
		warn(dev, "cannot be written", strerror(errno));
	json_decref(file);
	if (folder >= 0)
		close(folder);
	return CLEF_OK;
}

clef_status clef__tuning_write(clef_device *dev, const clef__tuned *t)
{
	return dev->tuning->path ? change(dev, t, NULL) : CLEF_OK;
}

clef_status clef__tuning_erase(clef_device *dev, const char *problem)
{
	return dev->tuning->path ? change(dev, NULL, problem) : CLEF_OK;
}
