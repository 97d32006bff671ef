/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choices that a device keeps: a sorted table by the text of the problem, which is also what the file has. The file
 * is read when the device is opened and never again, so that a choice does not change while a program runs; what others
 * write meanwhile is joined with our own when we write (tuning_file.c).
 *
 * Measuring at the first use is meant for devices that clef's rules have not been measured on. Where they have, on CPUs
 * with vectors of 8 or 16 floats, none is made unless the user asks for it: so two machines of one kind, and two runs,
 * give the same bits.
 */
#include <math.h>

#include "opencl.h"
#include "tuning_file.h"

/* At the first use of a problem, on a device of an unknown kind. */
#define DEFAULT_MS 50

/* ---- choices and problems as text ---- */

clef__choice clef__choice_make(const char *name)
{
	clef__choice c = { .name = "" };

	snprintf(c.name, sizeof(c.name), "%s", name);
	return c;
}

void clef__choice_add(clef__choice *c, const char *param, int value)
{
	for (int i = 0; i < CLEF__TUNING_PARAMS; i++)
		if (!c->param[i].name[0]) {
			snprintf(c->param[i].name, sizeof(c->param[i].name), "%s", param);
			c->param[i].value = value;
			return;
		}
}

int clef__choice_get(const clef__choice *c, const char *param, int otherwise)
{
	for (int i = 0; i < CLEF__TUNING_PARAMS && c->param[i].name[0]; i++)
		if (strcmp(c->param[i].name, param) == 0)
			return c->param[i].value;
	return otherwise;
}

const char *clef__choice_text(const clef__choice *c, char text[CLEF__CHOICE_TEXT])
{
	size_t used = (size_t)snprintf(text, CLEF__CHOICE_TEXT, "%s", c->name);
	bool any = false;

	for (int i = 0; i < CLEF__TUNING_PARAMS && c->param[i].name[0]; i++, any = true)
		used += (size_t)snprintf(text + used, CLEF__CHOICE_TEXT - used, "%s%s=%d", i ? "," : "(",
					 c->param[i].name, c->param[i].value);
	if (any)
		snprintf(text + used, CLEF__CHOICE_TEXT - used, ")");
	return text;
}

/* ---- the table ---- */

/* Where the problem is, or where it would have to be. */
static int find_place(const clef__tuning *t, const char *problem, bool *found)
{
	int low = 0, high = t->count;

	*found = false;
	while (low < high && !*found) {
		int middle = low + (high - low) / 2, order = strcmp(problem, t->entry[middle]->problem);

		*found = order == 0;
		if (order <= 0)
			high = middle;
		else
			low = middle + 1;
	}
	return *found ? high : low;
}

clef_status clef__tuning_insert(clef__tuning *t, const clef__tuned *new)
{
	bool found;
	int at = find_place(t, new->problem, &found);
	clef__tuned *copy;

	t->changes++;
	if (found) {
		*t->entry[at] = *new;
		return CLEF_OK;
	}
	if (clef__grow(&t->entry, &t->capacity, t->count + 1, sizeof(*t->entry), "the tuning table"))
		return CLEF_ERROR_MEMORY;
	copy = clef__calloc(1, sizeof(*copy), "the tuning table");
	if (!copy)
		return CLEF_ERROR_MEMORY;
	*copy = *new;
	memmove(&t->entry[at + 1], &t->entry[at], (size_t)(t->count - at) * sizeof(*t->entry));
	t->entry[at] = copy;
	t->count++;
	return CLEF_OK;
}

static void take_out(clef__tuning *t, int at)
{
	free(t->entry[at]);
	t->changes++;
	t->count--;
	memmove(&t->entry[at], &t->entry[at + 1], (size_t)(t->count - at) * sizeof(*t->entry));
}

/* ---- life ---- */

static bool rules_are_measured(const clef_device_info *info)
{
	return info->kind == CLEF_DEVICE_CPU && (info->float_vector == 8 || info->float_vector == 16);
}

static clef_status read_limit(clef_device *dev)
{
	const char *text = getenv("CLEF_TUNE_MS");
	double ms = rules_are_measured(&dev->info) ? 0 : DEFAULT_MS;
	char *end;

	if (text && *text) {
		ms = strtod(text, &end);
		if (end == text || *end || !(ms >= 0 && ms <= 1e6))
			return clef__fail(CLEF_ERROR_INVALID,
					  "CLEF_TUNE_MS is \"%s\": it takes milliseconds, 0 to 1000000", text);
	}
	dev->tuning->first_use = 1e-3 * ms;
	return CLEF_OK;
}

static clef_status find_path(clef__tuning *t)
{
	const char *named = getenv("CLEF_TUNING"), *base = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

	if (named && !*named)
		return CLEF_OK;
	if (named)
		t->path = clef__strdup(named);
	else if (base && *base == '/')
		t->path = clef__format("%s/clef/tuning.json", base);
	else if (home && *home)
		t->path = clef__format("%s/.local/share/clef/tuning.json", home);
	else
		return CLEF_OK;
	return t->path ? CLEF_OK : CLEF_ERROR_MEMORY;
}

clef_status clef__tuning_open(clef_device *dev)
{
	clef_status status;

	dev->tuning = clef__calloc(1, sizeof(*dev->tuning), "the tuning table");
	if (!dev->tuning)
		return CLEF_ERROR_MEMORY;
	dev->tuning->use = true;
	dev->tuning->changes = 1;
	status = read_limit(dev);
	if (!status)
		status = find_path(dev->tuning);
	return status ? status : clef__tuning_read(dev);
}

void clef__tuning_close(clef_device *dev)
{
	clef__tuning *t = dev->tuning;

	while (t && t->count)
		take_out(t, t->count - 1);
	if (t) {
		clef__launches_release(dev);
		free(t->entry);
		free(t->path);
	}
	free(t);
	dev->tuning = NULL;
}

/* ---- use ---- */

bool clef__tuning_wanted(const clef_device *dev)
{
	const clef__tuning *t = dev->tuning;

	return t->watch || (t->use && (t->count || t->first_use > 0));
}

const clef__tuned *clef__tuning_look(const clef_device *dev, const char *problem)
{
	const clef__tuning *t = dev->tuning;
	bool found;
	int at = find_place(t, problem, &found);

	return t->use && found ? t->entry[at] : NULL;
}

const clef__tuned *clef__tuning_find(clef_device *dev, const char *problem)
{
	if (dev->tuning->watch)
		dev->tuning->watch(dev->tuning->watch_user, problem);
	return clef__tuning_look(dev, problem);
}

double clef__tuning_first_use(const clef_device *dev)
{
	const clef__tuning *t = dev->tuning;

	return t->use && !t->watch && !t->measuring ? t->first_use : 0;
}

clef_status clef__tuning_keep(clef_device *dev, const clef__tuned *new, bool file)
{
	clef_status status = clef__tuning_insert(dev->tuning, new);

	if (!status && file)
		status = clef__tuning_write(dev, new);
	return status;
}

void clef__tuning_refuse(clef_device *dev, const char *problem, const char *why)
{
	char text[CLEF__CHOICE_TEXT];
	bool found;
	int at = find_place(dev->tuning, problem, &found);

	if (!found)
		return;
	clef__log(CLEF_LOG_WARN, "tuning: %s for \"%s\" %s on %s; the shipped rules are used instead",
		  clef__choice_text(&dev->tuning->entry[at]->choice, text), problem, why, dev->info.name);
	take_out(dev->tuning, at);
}

clef_status clef__tuning_forget(clef_device *dev, const char *problem, int *count)
{
	clef__tuning *t = dev->tuning;
	bool found;
	int at = problem ? find_place(t, problem, &found) : 0;

	*count = problem ? found : t->count;
	while (!problem && t->count)
		take_out(t, t->count - 1);
	if (problem && found)
		take_out(t, at);
	return clef__tuning_erase(dev, problem);
}

int clef__tuning_count(const clef_device *dev)
{
	return dev->tuning->count;
}

const clef__tuned *clef__tuning_get(const clef_device *dev, int i)
{
	return i >= 0 && i < dev->tuning->count ? dev->tuning->entry[i] : NULL;
}

const char *clef__tuning_path(const clef_device *dev)
{
	return dev->tuning->path;
}

void clef__tuning_use(clef_device *dev, bool use)
{
	dev->tuning->use = use;
}

void clef__tuning_watch(clef_device *dev, clef__key_fn fn, void *user)
{
	dev->tuning->watch = fn;
	dev->tuning->watch_user = user;
}
