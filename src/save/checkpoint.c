/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: what each part of a run depends on, as arrays of one safetensors file. Numbers are stored as numbers of
 * their own type, never as text, so that they come back to the bit. Loading has two passes: the first compares all of
 * the parts with the file, the second changes them.
 */
#include "optim_internal.h"
#include "save_internal.h"
#include "schedule_internal.h"

/* ---- arrays of the host ---- */

static clef_status put(clef_safetensors *file, const char *name, const char *dtype, int64_t count, const void *data)
{
	return clef_safetensors_add(file, name, dtype, CLEF_SHAPE(count), data);
}

/* The array of that name, type and shape. */
static clef_status find(const clef_safetensors *file, const char *name, const char *dtype, clef_shape shape,
			clef_safetensors_entry *e)
{
	const char *f = "clef_checkpoint_get";
	int i = clef_safetensors_find(file, name);

	if (i < 0)
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is missing", f, name);
	if (clef_safetensors_get(file, i, e))
		return clef_error_status();
	if (strcmp(e->dtype, dtype) != 0 || !clef_shape_equal(e->shape, shape))
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is %s %s, must be %s %s", f, name, e->dtype,
				  CLEF__SHAPE_TEXT(e->shape), dtype, CLEF__SHAPE_TEXT(shape));
	return CLEF_OK;
}

/* The same of one dimension, copied into `data` unless that is NULL. */
static clef_status take(const clef_safetensors *file, const char *name, const char *dtype, int64_t count, void *data)
{
	clef_safetensors_entry e;
	clef_status s = find(file, name, dtype, CLEF_SHAPE(count), &e);

	if (!s && data)
		memcpy(data, e.data, e.bytes);
	return s;
}

static clef_status compare_text(const clef_safetensors *file, const char *key, const char *want, const char *what)
{
	const char *text = clef_safetensors_text(file, key);

	if (text && !strcmp(text, want))
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_FORMAT, "clef_checkpoint_get: the %s is %s, but that of the file is %.64s", what,
			  want, text ? text : "missing");
}

/* ---- optimizers ---- */

static const char *optim_dtype(const clef_optim_entry *entry)
{
	return entry->dtype == CLEF_INT32 ? "I32" : "F32";
}

static clef_status put_optim(const clef_optim *optim, clef_safetensors *file)
{
	clef_status s = clef_safetensors_set(file, "clef.optim", clef_optim_name(optim->opts.kind));
	const int count = clef_optim_state_count(optim);

	for (int i = 0; i < count && !s; i++) {
		clef_optim_entry entry;
		size_t bytes;
		char *name;
		void *values;

		s = clef_optim_state_get(optim, i, &entry);
		if (s)
			return s;
		bytes = (size_t)clef_shape_numel(entry.shape) * clef_dtype_size(entry.dtype);
		name = clef__format("optim:%s", entry.name);
		values = name ? clef__calloc(bytes, 1, name) : NULL;
		s = values ? clef_optim_state_read(optim, i, values, bytes) : CLEF_ERROR_MEMORY;
		if (!s)
			s = clef_safetensors_add(file, name, optim_dtype(&entry), entry.shape, values);
		free(values);
		free(name);
	}
	return s;
}

/* The optimizer's entry i in the file. */
static clef_status find_optim(const clef_optim *optim, int i, const clef_safetensors *file, clef_safetensors_entry *e)
{
	clef_optim_entry entry;
	clef_status s = clef_optim_state_get(optim, i, &entry);
	char *name;

	if (s)
		return s;
	name = clef__format("optim:%s", entry.name);
	s = name ? find(file, name, optim_dtype(&entry), entry.shape, e) : CLEF_ERROR_MEMORY;
	free(name);
	return s;
}

static clef_status check_optim(const clef_optim *optim, const clef_safetensors *file)
{
	clef_status s = compare_text(file, "clef.optim", clef_optim_name(optim->opts.kind), "optimizer");
	clef_safetensors_entry e;
	const int count = clef_optim_state_count(optim);

	for (int i = 0; i < count && !s; i++)
		s = find_optim(optim, i, file, &e);
	return s;
}

static clef_status get_optim(clef_optim *optim, const clef_safetensors *file)
{
	const int count = clef_optim_state_count(optim);
	clef_status s = CLEF_OK;

	for (int i = 0; i < count && !s; i++) {
		clef_safetensors_entry e;
		void *aligned;

		s = find_optim(optim, i, file, &e);
		if (s)
			return s;
		aligned = clef__calloc(e.bytes, 1, e.name);
		if (!aligned)
			return CLEF_ERROR_MEMORY;
		memcpy(aligned, e.data, e.bytes);
		s = clef_optim_state_write(optim, i, aligned, e.bytes);
		free(aligned);
	}
	return s;
}

/* ---- schedules ---- */

static clef_status put_schedule(const clef_schedule *schedule, clef_safetensors *file)
{
	const clef_schedule_state state = clef_schedule_get(schedule);
	const int64_t counts[] = { state.step, state.bad, state.cooldown };
	const double rates[] = { state.best, state.reduced };
	clef_status s = clef_safetensors_set(file, "clef.schedule", clef_schedule_name(clef__schedule_kind(schedule)));

	if (!s)
		s = put(file, "schedule:counts", "I64", CLEF_COUNT(counts), counts);
	return s ? s : put(file, "schedule:rates", "F64", CLEF_COUNT(rates), rates);
}

static clef_status read_schedule(const clef_safetensors *file, clef_schedule_state *state)
{
	int64_t counts[3];
	double rates[2];
	clef_status s = take(file, "schedule:counts", "I64", CLEF_COUNT(counts), counts);

	if (!s)
		s = take(file, "schedule:rates", "F64", CLEF_COUNT(rates), rates);
	if (!s)
		*state = (clef_schedule_state){ counts[0], rates[0], rates[1], counts[1], counts[2] };
	return s;
}

static clef_status check_schedule(const clef_schedule *schedule, const clef_safetensors *file)
{
	clef_schedule_state state;
	clef_status s =
		compare_text(file, "clef.schedule", clef_schedule_name(clef__schedule_kind(schedule)), "schedule");

	return s ? s : read_schedule(file, &state);
}

static clef_status get_schedule(clef_schedule *schedule, const clef_safetensors *file)
{
	clef_schedule_state state;
	clef_status s = read_schedule(file, &state);

	return s ? s : clef_schedule_set(schedule, &state);
}

/* ---- averages ---- */

/* The average of parameter i, as a tensor of its own. */
static clef_tensor *average_of(const clef_average *average, int i)
{
	const clef__param *param = &average->params->list[i];

	return clef__tensor_view(average->params->dev, CLEF_FLOAT32, param->w->shape, average->values->buffer,
				 average->values->offset + (size_t)param->offset);
}

static clef_status put_average(const clef_average *average, clef_safetensors *file)
{
	const uint8_t started = average->started;
	clef_status s = CLEF_OK;

	if (average->swapped)
		return clef__fail(CLEF_ERROR_STATE, "clef_checkpoint_put: the averages are in use as the values: call "
						    "clef_average_swap() first");
	s = put(file, "average:started", "U8", 1, &started);
	for (int i = 0; i < average->params->count && started && !s; i++) {
		clef_tensor *x = average_of(average, i);

		s = x ? clef__tensor_put(file, "average:", average->params->list[i].name, x) : clef_error_status();
		clef_tensor_free(x);
	}
	return s;
}

static clef_status find_average(const clef_average *average, int i, const clef_safetensors *file,
				clef_safetensors_entry *e)
{
	const clef__param *param = &average->params->list[i];
	char *name = clef__format("average:%s", param->name);
	clef_status s = name ? find(file, name, "F32", param->w->shape, e) : CLEF_ERROR_MEMORY;

	free(name);
	return s;
}

static clef_status check_average(const clef_average *average, const clef_safetensors *file)
{
	clef_safetensors_entry e;
	uint8_t started = 0;
	clef_status s;

	if (average->swapped)
		return clef__fail(CLEF_ERROR_STATE, "clef_checkpoint_get: the averages are in use as the values: call "
						    "clef_average_swap() first");
	s = take(file, "average:started", "U8", 1, &started);
	for (int i = 0; i < average->params->count && started && !s; i++)
		s = find_average(average, i, file, &e);
	return s;
}

/* The space between parameters is part of what an update works on. */
static clef_status get_average(clef_average *average, const clef_safetensors *file)
{
	uint8_t started = 0;
	clef_status s = take(file, "average:started", "U8", 1, &started);

	if (!s && started)
		s = clef_fill(average->values, 0.0);
	for (int i = 0; i < average->params->count && started && !s; i++) {
		clef_tensor *x = average_of(average, i);
		clef_safetensors_entry e;

		s = x ? find_average(average, i, file, &e) : clef_error_status();
		if (!s)
			s = clef_write(x, e.data, e.bytes);
		clef_tensor_free(x);
	}
	if (!s)
		average->started = started != 0;
	return s;
}

/* ---- places ---- */

static clef_status put_rng(const clef_rng *rng, const char *name, clef_safetensors *file)
{
	const uint64_t state[] = { rng->seed, rng->counter };

	return put(file, name, "U64", CLEF_COUNT(state), state);
}

static clef_status get_rng(clef_rng *rng, const char *name, const clef_safetensors *file)
{
	uint64_t state[2];
	clef_status s = take(file, name, "U64", CLEF_COUNT(state), state);

	if (!s)
		*rng = (clef_rng){ .seed = state[0], .counter = state[1] };
	return s;
}

static clef_status put_loader(const clef_loader *loader, clef_safetensors *file)
{
	const int64_t place[] = { clef_loader_epoch(loader), clef_loader_index(loader), clef_loader_batches(loader) };

	return put(file, "loader:place", "I64", CLEF_COUNT(place), place);
}

static clef_status check_loader(const clef_loader *loader, const clef_safetensors *file)
{
	int64_t place[3];
	clef_status s = take(file, "loader:place", "I64", CLEF_COUNT(place), place);

	if (s)
		return s;
	if (place[2] != clef_loader_batches(loader))
		return clef__fail(
			CLEF_ERROR_FORMAT,
			"clef_checkpoint_get: the loader has %lld batches in an epoch, but that of the file has %lld",
			(long long)clef_loader_batches(loader), (long long)place[2]);
	if (place[0] < 0 || place[1] < 0 || place[1] > place[2])
		return clef__fail(CLEF_ERROR_FORMAT,
				  "clef_checkpoint_get: loader:place is epoch %lld, batch %lld of %lld",
				  (long long)place[0], (long long)place[1], (long long)place[2]);
	return CLEF_OK;
}

static clef_status get_loader(clef_loader *loader, const clef_safetensors *file)
{
	int64_t place[3];
	clef_status s = take(file, "loader:place", "I64", CLEF_COUNT(place), place);

	return s ? s : clef_loader_seek(loader, place[0], place[1]);
}

/* ---- all parts ---- */

clef_status clef_checkpoint_put(const clef_checkpoint *parts, clef_safetensors *file)
{
	clef_status s = CLEF_OK;

	if (!parts || !file)
		return clef__null_argument("clef_checkpoint_put");
	if (parts->model)
		s = clef__model_put(parts->model, file);
	if (!s && parts->model)
		s = put_rng(&parts->model->rng, "rng:model", file);
	if (!s && parts->optim)
		s = put_optim(parts->optim, file);
	if (!s && parts->schedule)
		s = put_schedule(parts->schedule, file);
	if (!s && parts->average)
		s = put_average(parts->average, file);
	if (!s && parts->loader)
		s = put_loader(parts->loader, file);
	return !s && parts->rng ? put_rng(parts->rng, "rng:own", file) : s;
}

static clef_status check(const clef_checkpoint *parts, const clef_safetensors *file)
{
	clef_status s = CLEF_OK;

	if (parts->model)
		s = clef__model_check(parts->model, file, "the file");
	if (!s && parts->model)
		s = take(file, "rng:model", "U64", 2, NULL);
	if (!s && parts->optim)
		s = check_optim(parts->optim, file);
	if (!s && parts->schedule)
		s = check_schedule(parts->schedule, file);
	if (!s && parts->average)
		s = check_average(parts->average, file);
	if (!s && parts->loader)
		s = check_loader(parts->loader, file);
	return !s && parts->rng ? take(file, "rng:own", "U64", 2, NULL) : s;
}

/* The schedule comes first, because it sets the rate that the optimizer then gets to the bit. */
clef_status clef_checkpoint_get(const clef_checkpoint *parts, const clef_safetensors *file)
{
	clef_status s;

	if (!parts || !file)
		return clef__null_argument("clef_checkpoint_get");
	s = check(parts, file);
	if (!s && parts->schedule)
		s = get_schedule(parts->schedule, file);
	if (!s && parts->optim)
		s = get_optim(parts->optim, file);
	if (!s && parts->model)
		s = clef__model_get(parts->model, file);
	if (!s && parts->model)
		s = get_rng(&parts->model->rng, "rng:model", file);
	if (!s && parts->average)
		s = get_average(parts->average, file);
	if (!s && parts->loader)
		s = get_loader(parts->loader, file);
	return !s && parts->rng ? get_rng(parts->rng, "rng:own", file) : s;
}

clef_status clef_checkpoint_save(const clef_checkpoint *parts, const char *path)
{
	clef_safetensors *file;
	clef_status s;

	if (!parts || !path)
		return clef__null_argument("clef_checkpoint_save");
	file = clef_safetensors_new();
	s = file ? clef_checkpoint_put(parts, file) : clef_error_status();
	if (!s)
		s = clef_safetensors_save(file, path, true);
	clef_safetensors_free(file);
	return s;
}

clef_status clef_checkpoint_load(const clef_checkpoint *parts, const char *path)
{
	clef_safetensors *file;
	clef_status s;

	if (!parts || !path)
		return clef__null_argument("clef_checkpoint_load");
	file = clef_safetensors_open(path);
	s = file ? clef_checkpoint_get(parts, file) : clef_error_status();
	if (s && file)
		clef__fail(s, "clef_checkpoint_load: %s: %s", path, clef_error());
	clef_safetensors_free(file);
	return s;
}
