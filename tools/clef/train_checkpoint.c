/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoints of clef train. Beside the parts of the run there are its options: as they were given, so that the run
 * can be made again without a command line, and as they work out, so that one that would change the run is noticed. A
 * checkpoint that cannot be written is reported and the run goes on, since the disk may have room again at the next
 * one; the exit status then tells if it had not.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <clef/clef.h>

#include "tool.h"
#include "train_checkpoint.h"
#include "train_log.h"

#define OPTIONS "clef.train" /* the text with the options */

/* ---- a run to go on with ---- */

int train_checkpoint_open(const char *path, bool must, clef_safetensors **file)
{
	char previous[4096];

	*file = clef_safetensors_open(path);
	if (*file)
		return -1;
	snprintf(previous, sizeof(previous), "%s.prev", path);
	if (access(path, F_OK) && access(previous, F_OK)) {
		if (!must)
			return -1;
		complain("--checkpoint %s: there is no such file", path);
		return EXIT_FAILED;
	}
	complain("--checkpoint %s: %s", path, reason());
	*file = clef_safetensors_open(previous);
	if (*file) {
		complain("the one before it, %s, takes its place", previous);
		return -1;
	}
	return EXIT_FAILED;
}

json_t *train_checkpoint_options(const clef_safetensors *file, const char *path)
{
	const char *text = clef_safetensors_text(file, OPTIONS);
	json_t *stored = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (json_is_object(json_object_get(stored, "given")) && json_is_object(json_object_get(stored, "options")))
		return stored;
	json_decref(stored);
	complain("%s is no checkpoint of clef train: the text \"%s\" is %s", path, OPTIONS,
		 text ? "not what it should be" : "missing");
	return NULL;
}

/* What a run may be resumed with: nothing of it is in the weights. */
static bool free_to_differ(const char *name, const train_options *o)
{
	static const char *const names[] = { "device", "log", "plot", "print", "early_stop" };

	for (int i = 0; i < CLEF_COUNT(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return !strcmp(name, "epochs") && !*o->schedule_text;
}

int train_checkpoint_compare(const train_options *o)
{
	json_t *now = train_log_options(o, 0), *then = json_object_get(o->stored, "options"), *value;
	const char *name;
	int status = now ? -1 : EXIT_FAILED;

	json_object_foreach(now, name, value) {
		char *was, *is;

		if (json_equal(value, json_object_get(then, name)) || free_to_differ(name, o))
			continue;
		was = json_object_get(then, name) ? json_dumps(json_object_get(then, name), JSON_ENCODE_ANY) : NULL;
		is = json_dumps(value, JSON_ENCODE_ANY);
		complain("--resume: %s is %s, but in the run of %s it was %s", name, is ? is : "?", o->checkpoint,
			 was ? was : "not there");
		free(was);
		free(is);
		status = EXIT_MISUSED;
	}
	json_decref(now);
	return status;
}

/* ---- saving ---- */

int train_checkpoint_begin(const train_checkpoint *c)
{
	const char *path = c->options->checkpoint;

	if (!path || access(path, F_OK))
		return -1;
	complain("--checkpoint %s: there is a file of that name; --resume goes on with it, else remove it", path);
	return EXIT_FAILED;
}

bool train_checkpoint_due(train_checkpoint *c)
{
	c->steps++;
	return c->options->checkpoint && c->options->every && c->steps >= c->options->every;
}

/* For clef predict; NULL where the data have none. */
static json_t *class_names(const clef_dataset *set)
{
	json_t *list = clef_dataset_class(set, 0) ? json_array() : NULL;

	for (int i = 0; i < clef_dataset_classes(set) && list; i++)
		if (json_array_append_new(list, json_string(clef_dataset_class(set, i)))) {
			json_decref(list);
			return NULL; /* a name that is no UTF-8 */
		}
	return list;
}

static clef_status put_options(const train_checkpoint *c, clef_safetensors *file)
{
	json_t *all = json_pack("{sO? so?}", "given", c->options->given, "options", train_log_options(c->options, 0));
	char *text;
	clef_status s;

	if (all && !c->options->given)
		json_object_set_new(all, "given", json_object());
	if (all && clef_dataset_class(c->data->train, 0))
		json_object_set_new(all, "classes", class_names(c->data->train));
	text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	s = text ? clef_safetensors_set(file, OPTIONS, text) : CLEF_ERROR_MEMORY;
	free(text);
	json_decref(all);
	return s;
}

/* Scale, means and deviations: an array for free(), of *count values; NULL without memory. */
static float *normal_of(const train_data *data, int64_t *count)
{
	const int64_t channels = clef_dataset_channels(data->train);
	float *values = calloc((size_t)(1 + 2 * channels), sizeof(*values));

	*count = 1 + 2 * channels;
	if (!values)
		return NULL;
	values[0] = data->scale;
	memcpy(values + 1, data->mean, (size_t)channels * sizeof(*values));
	memcpy(values + 1 + channels, data->std, (size_t)channels * sizeof(*values));
	return values;
}

/* A point of the learning curve. */
enum { EPOCH, LOSS, ACCURACY, IMAGES, VAL_LOSS, VAL_ACCURACY, VAL_IMAGES, COLUMNS };

static clef_status put_curve(const train_plot *plot, clef_safetensors *file)
{
	double(*rows)[COLUMNS] = calloc((size_t)plot->count + 1, sizeof(*rows));
	clef_status s;

	if (!rows)
		return CLEF_ERROR_MEMORY;
	for (int i = 0; i < plot->count; i++) {
		const train_plot_epoch *e = &plot->epochs[i];
		const double row[COLUMNS] = { [EPOCH] = (double)e->epoch,
					      [LOSS] = e->train.loss,
					      [ACCURACY] = e->train.accuracy,
					      [IMAGES] = (double)e->train.images,
					      [VAL_LOSS] = e->validation.loss,
					      [VAL_ACCURACY] = e->validation.accuracy,
					      [VAL_IMAGES] = (double)e->validation.images };

		memcpy(rows[i], row, sizeof(row));
	}
	s = clef_safetensors_add(file, "train:curve", "F64", CLEF_SHAPE(plot->count, COLUMNS), rows);
	free(rows);
	return s;
}

static clef_status put_rest(const train_checkpoint *c, clef_safetensors *file)
{
	const double best[] = { (double)c->best.epoch, c->best.loss };
	int64_t count;
	float *normal = normal_of(c->data, &count);
	clef_status s = normal ? clef_safetensors_add(file, "train:normal", "F32", CLEF_SHAPE(count), normal)
			       : CLEF_ERROR_MEMORY;

	free(normal);
	if (!s)
		s = clef_safetensors_add(file, "train:sums", "F32", CLEF_SHAPE(2), c->sums);
	if (!s)
		s = clef_safetensors_add(file, "train:images", "I64", CLEF_SCALAR, &c->images);
	if (!s)
		s = clef_safetensors_add(file, "train:best", "F64", CLEF_SHAPE(2), best);
	return s ? s : put_curve(c->plot, file);
}

void train_checkpoint_save(train_checkpoint *c)
{
	clef_safetensors *file;
	clef_status s;

	if (!c->options->checkpoint)
		return;
	c->steps = 0;
	file = clef_safetensors_new();
	s = file ? clef_checkpoint_put(&c->parts, file) : clef_error_status();
	if (!s)
		s = put_rest(c, file);
	if (!s)
		s = put_options(c, file);
	if (!s)
		s = clef_safetensors_save(file, c->options->checkpoint, true);
	clef_safetensors_free(file);
	c->failed = s != CLEF_OK;
	if (s)
		complain("--checkpoint: %s", reason());
}

/* ---- loading ---- */

/* The array of that name, of so many numbers of that type. */
static bool take(const clef_safetensors *file, const char *name, const char *dtype, int64_t count, void *data)
{
	clef_safetensors_entry e;
	int i = clef_safetensors_find(file, name);

	if (i < 0 || clef_safetensors_get(file, i, &e) || strcmp(e.dtype, dtype) != 0 ||
	    clef_shape_numel(e.shape) != count) {
		complain("the checkpoint has no array %s of %" PRId64 " %s", name, count, dtype);
		return false;
	}
	memcpy(data, e.data, e.bytes);
	return true;
}

int train_checkpoint_normal(const clef_safetensors *file, const char *path, train_data *data)
{
	const int64_t channels = clef_dataset_channels(data->train), count = 1 + 2 * channels;
	float *values = calloc((size_t)count, sizeof(*values));
	bool good = values && take(file, "train:normal", "F32", count, values);

	for (int64_t i = 0; i < count && good; i++)
		if (!isfinite(values[i]) || (i > channels && values[i] < 0)) {
			complain("%s: train:normal has %g in it, which is no scale, mean or deviation", path,
				 (double)values[i]);
			good = false;
		}
	if (good) {
		data->scale = values[0];
		memcpy(data->mean, values + 1, (size_t)channels * sizeof(*values));
		memcpy(data->std, values + 1 + channels, (size_t)channels * sizeof(*values));
	}
	free(values);
	return good ? -1 : EXIT_FAILED;
}

/* Other images would be normalised in another way. */
static bool same_data(const train_checkpoint *c)
{
	clef_safetensors_entry e;
	int i = clef_safetensors_find(c->options->file, "train:normal");
	int64_t count;
	float *normal = normal_of(c->data, &count);
	bool same = normal && i >= 0 && !clef_safetensors_get(c->options->file, i, &e) &&
		    e.bytes == (size_t)count * sizeof(*normal) && !memcmp(e.data, normal, e.bytes);

	free(normal);
	if (!same)
		complain("--resume: the images of %s are not those of the run: they have another mean or deviation",
			 c->options->data);
	return same;
}

/* The curve so far; a run without one, or a strange array, has none. */
static void take_curve(const clef_safetensors *file, train_plot *plot)
{
	clef_safetensors_entry e;
	int i = clef_safetensors_find(file, "train:curve");

	if (i < 0 || clef_safetensors_get(file, i, &e) || strcmp(e.dtype, "F64") != 0 || e.shape.ndim != 2 ||
	    e.shape.dim[1] != COLUMNS || !e.shape.dim[0] || !plot->path)
		return;
	plot->epochs = calloc((size_t)e.shape.dim[0], sizeof(*plot->epochs));
	for (; plot->epochs && plot->count < e.shape.dim[0]; plot->count++) {
		double row[COLUMNS];

		memcpy(row, (const char *)e.data + (size_t)plot->count * sizeof(row), sizeof(row));
		for (int k = 0; k < COLUMNS; k++)
			row[k] = row[k] >= 0 && row[k] <= 1e15 ? row[k] : 0;
		plot->epochs[plot->count] =
			(train_plot_epoch){ (int64_t)row[EPOCH],
					    { row[LOSS], row[ACCURACY], (int64_t)row[IMAGES] },
					    { row[VAL_LOSS], row[VAL_ACCURACY], (int64_t)row[VAL_IMAGES] } };
	}
	plot->capacity = plot->count;
}

int train_checkpoint_load(train_checkpoint *c)
{
	const clef_safetensors *file = c->options->file;
	double best[2];

	if (!same_data(c))
		return EXIT_FAILED;
	if (clef_checkpoint_get(&c->parts, file)) {
		complain("--resume: %s: %s", c->options->checkpoint, reason());
		return EXIT_FAILED;
	}
	if (!take(file, "train:sums", "F32", 2, c->sums) || !take(file, "train:images", "I64", 1, &c->images) ||
	    !take(file, "train:best", "F64", 2, best))
		return EXIT_FAILED;
	c->best = (train_best){ best[0] >= 0 && best[0] <= 1e15 ? (int64_t)best[0] : 0, best[1] };
	take_curve(file, c->plot);
	return -1;
}
