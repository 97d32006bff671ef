/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of --log. Lines are written out one by one, so that a run can be watched and one that was killed leaves what
 * it reached. JSON knows no NaN, so what is not a number is null.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include <clef/clef.h>

#include "tool.h"
#include "train_log.h"

static int failed(const train_log *log)
{
	complain("--log %s: %s", log->path, errno ? strerror(errno) : "it cannot be written");
	return EXIT_FAILED;
}

int train_log_open(train_log *log, const char *path, bool append)
{
	*log = (train_log){ .path = path };
	if (!path)
		return -1;
	errno = 0;
	log->file = fopen(path, append ? "a" : "w");
	return log->file ? -1 : failed(log);
}

/* Most numbers are floats, and have no more than seven digits. Takes `line` over; NULL means that it could not be made.
 */
static int write_line(const train_log *log, json_t *line)
{
	int status = -1;

	errno = 0;
	if (!line) {
		complain("--log %s: no memory for a line, or a text in it is no UTF-8", log->path);
		status = EXIT_FAILED;
	} else if (json_dumpf(line, log->file, JSON_COMPACT | JSON_REAL_PRECISION(7)) ||
		   fputc('\n', log->file) == EOF || fflush(log->file)) {
		status = failed(log);
	}
	json_decref(line);
	return status;
}

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *hex(uint64_t value)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, value);
	return json_string(text);
}

static json_t *shape_json(clef_shape shape)
{
	json_t *list = json_array();

	for (int i = 0; i < shape.ndim; i++)
		json_array_append_new(list, json_integer(shape.dim[i]));
	return list;
}

/* A seed above 2^63 - 1 is more than a JSON integer of Jansson holds, hence a text. */
json_t *train_log_options(const train_options *o, float lr)
{
	char seed[32];

	snprintf(seed, sizeof(seed), "%" PRIu64, o->seed);
	return json_pack("{ss ss ss ss? ss ss sf so so so sI sI sI so ss? ss ss? ss? ss? sI sb}", "data", o->data,
			 "model", o->model, "init", o->init, "weights", o->weights, "optim", o->optim_text, "schedule",
			 o->schedule_text, "lr", (double)lr, "clip_norm", number((double)o->clip_norm), "clip_value",
			 number((double)o->clip_value), "ema", number((double)o->ema), "accumulate",
			 (json_int_t)o->accumulate, "batch", (json_int_t)o->batch, "epochs", (json_int_t)o->epochs,
			 "val_split", number(o->val_split), "augment", o->augment, "seed", seed, "device", o->device,
			 "log", o->log, "plot", o->plot, "early_stop", (json_int_t)o->early_stop, "print", o->print);
}

/* A value for each channel. */
static json_t *channels_json(const train_data *d, const float *values)
{
	json_t *list = json_array();

	for (int64_t i = 0; i < clef_dataset_channels(d->train); i++)
		json_array_append_new(list, number((double)values[i]));
	return list;
}

static json_t *data_json(const train_data *d)
{
	return json_pack("{sI sI sI so si so so so}", "train_images", (json_int_t)clef_dataset_count(d->train),
			 "validation_images", (json_int_t)clef_dataset_count(d->validation), "test_images",
			 (json_int_t)clef_dataset_count(d->test), "sample", shape_json(clef_dataset_sample(d->train)),
			 "classes", clef_dataset_classes(d->train), "scale", number((double)d->scale), "mean",
			 channels_json(d, d->mean), "std", channels_json(d, d->std));
}

int train_log_start(train_log *log, const train_options *o, const train_data *data, const clef_device_info *device,
		    int64_t parameters, float lr)
{
	if (!log->file)
		return -1;
	return write_line(log,
			  json_pack("{ss ss so s{ss ss ss ss ss ss} so sI}", "event", "start", "clef", clef_version(),
				    "options", train_log_options(o, lr), "device", "name", device->name, "kind",
				    clef_device_kind_name(device->kind), "vendor", device->vendor, "platform",
				    device->platform_name, "version", device->version, "driver", device->driver, "data",
				    data_json(data), "parameters", (json_int_t)parameters));
}

int train_log_epoch(train_log *log, int64_t epoch, train_score train, const train_score *validation, double seconds,
		    float lr)
{
	if (!log->file)
		return -1;
	return write_line(log, json_pack("{ss sI so so so so so so so}", "event", "epoch", "epoch", (json_int_t)epoch,
					 "loss", number(train.loss), "accuracy", number(train.accuracy),
					 "validation_loss", number(validation ? validation->loss : NAN),
					 "validation_accuracy", number(validation ? validation->accuracy : NAN),
					 "seconds", number(seconds), "images_per_second",
					 number((double)train.images / seconds), "lr", number((double)lr)));
}

int train_log_end(train_log *log, const char *status, const train_score *test, double seconds, uint64_t weights)
{
	if (!log->file)
		return -1;
	if (!test)
		return write_line(log, json_pack("{ss ss}", "event", "end", "status", status));
	return write_line(log,
			  json_pack("{ss ss so so sI so so}", "event", "end", "status", status, "test_accuracy",
				    number(test->accuracy), "test_loss", number(test->loss), "test_images",
				    (json_int_t)test->images, "seconds", number(seconds), "weights", hex(weights)));
}

void train_log_close(train_log *log)
{
	if (log->file)
		fclose(log->file);
	log->file = NULL;
}
