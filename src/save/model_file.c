/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models in files. What a model keeps is a list of slots: its parameters, its buffers, and the counts of batches that
 * go with running means. Saving writes all of them, loading compares all of them with the file before it changes the
 * first.
 */
#include <ctype.h>

#include <clef/models.h>

#include "safetensors.h"
#include "save_internal.h"

/* ---- slots ---- */

typedef struct slot {
	char *name;
	clef_tensor *x;   /* NULL: a count */
	int64_t *batches; /* of a count */
} slot;

typedef struct slots {
	slot *list;
	int count;
} slots;

static void free_slots(slots *all)
{
	for (int i = 0; i < all->count; i++)
		free(all->list[i].name);
	free(all->list);
}

static bool add_slot(slots *all, char *name, clef_tensor *x, int64_t *batches)
{
	all->list[all->count++] = (slot){ name, x, batches };
	return name != NULL;
}

/* "1.num_batches_tracked" for "1.running_mean". */
static char *count_name(const char *mean)
{
	const char *dot = strrchr(mean, '.');

	return clef__format("%.*snum_batches_tracked", dot ? (int)(dot + 1 - mean) : 0, mean);
}

static clef_status list_slots(const clef_model *model, slots *all)
{
	const clef_params *params = model->params;
	bool good = true;

	*all = (slots){
		clef__calloc((size_t)(params->count + 2 * model->state_count), sizeof(slot), "a list of weights"), 0
	};
	if (!all->list)
		return CLEF_ERROR_MEMORY;
	for (int i = 0; i < params->count && good; i++)
		good = add_slot(all, clef__strdup(params->list[i].name), params->list[i].w, NULL);
	for (int i = 0; i < model->state_count && good; i++)
		good = add_slot(all, clef__strdup(model->states[i].name), model->states[i].x, NULL);
	for (int i = 0; i < model->state_count && good; i++)
		if (model->states[i].counts)
			good = add_slot(all, count_name(model->states[i].name), NULL, &model->states[i].batches);
	if (good)
		return CLEF_OK;
	free_slots(all);
	return CLEF_ERROR_MEMORY;
}

/* ---- saving ---- */

clef_status clef__tensor_put(clef_safetensors *file, const char *prefix, const char *name, const clef_tensor *x)
{
	const size_t bytes = (size_t)x->numel * clef_dtype_size(x->dtype);
	char *full = clef__format("%s%s", prefix, name);
	void *values = full ? clef__calloc(bytes, 1, name) : NULL;
	clef_status s = values ? clef_read(x, values, bytes) : CLEF_ERROR_MEMORY;

	if (!s)
		s = clef_safetensors_add(file, full, x->dtype == CLEF_INT32 ? "I32" : "F32", x->shape, values);
	free(values);
	free(full);
	return s;
}

/* "1 28 28" */
static clef_status put_shape(clef_safetensors *file, const char *key, clef_shape shape)
{
	char text[CLEF_MAX_DIMS * 24] = "";
	size_t used = 0;

	for (int i = 0; i < shape.ndim; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%lld", i ? " " : "",
					 (long long)shape.dim[i]);
	return clef_safetensors_set(file, key, text);
}

static clef_status put_texts(const clef_model *model, clef_safetensors *file)
{
	char *layers;
	clef_status s = clef_safetensors_set(file, "format", "pt");

	if (!s)
		s = clef_safetensors_set(file, "clef.version", clef_version());
	if (!s)
		s = put_shape(file, "clef.input", model->input);
	if (!s)
		s = put_shape(file, "clef.output", model->output);
	if (!s)
		s = clef_safetensors_set(file, "clef.dtype", clef_dtype_name(model->opts.dtype));
	if (!s && model->network)
		s = clef_safetensors_set(file, "clef.network", model->network);
	if (s || !model->layers)
		return s;
	layers = clef_layers_text(model->layers, model->layer_count);
	s = layers ? clef_safetensors_set(file, "clef.layers", layers) : clef_error_status();
	free(layers);
	return s;
}

clef_status clef__model_put(const clef_model *model, clef_safetensors *file)
{
	slots all;
	clef_status s = list_slots(model, &all);

	if (s)
		return s;
	for (int i = 0; i < all.count && !s; i++)
		s = all.list[i].x
			    ? clef__tensor_put(file, "", all.list[i].name, all.list[i].x)
			    : clef_safetensors_add(file, all.list[i].name, "I64", CLEF_SCALAR, all.list[i].batches);
	free_slots(&all);
	return s ? s : put_texts(model, file);
}

clef_status clef_model_save(const clef_model *model, const char *path)
{
	clef_safetensors *file;
	clef_status s;

	if (!model || !path)
		return clef__null_argument("clef_model_save");
	file = clef_safetensors_new();
	s = file ? clef__model_put(model, file) : clef_error_status();
	if (!s)
		s = clef_safetensors_save(file, path, false);
	clef_safetensors_free(file);
	return s;
}

/* ---- comparing ---- */

#define LISTED 12 /* differences at most */

typedef struct differences {
	char text[4096];
	size_t used;
	int count;
} differences;

static void differ(differences *d, const char *format, ...) CLEF__PRINTF(2, 3);

static void differ(differences *d, const char *format, ...)
{
	va_list args;

	if (d->count++ >= LISTED || d->used >= sizeof(d->text) - 1)
		return;
	va_start(args, format);
	d->used += (size_t)snprintf(d->text + d->used, sizeof(d->text) - d->used, "\n  ");
	if (d->used < sizeof(d->text))
		d->used += (size_t)vsnprintf(d->text + d->used, sizeof(d->text) - d->used, format, args);
	va_end(args);
}

static void compare_slot(differences *d, const slot *want, const clef_safetensors *file)
{
	clef_shape shape = want->x ? want->x->shape : CLEF_SCALAR;
	clef_safetensors_entry e;
	int i = clef_safetensors_find(file, want->name);

	if (i < 0 && want->x)
		differ(d, "%.200s %s is missing", want->name, CLEF__SHAPE_TEXT(shape));
	if (i < 0 || clef_safetensors_get(file, i, &e))
		return;
	if (!clef_shape_equal(e.shape, shape))
		differ(d, "%.200s is %s, must be %s", want->name, CLEF__SHAPE_TEXT(e.shape), CLEF__SHAPE_TEXT(shape));
	else if (want->x ? !clef__stored_is_float(&e) : strcmp(e.dtype, "I64") != 0)
		differ(d, "%.200s is %s, must be %s", want->name, e.dtype, want->x ? "F32, F16, BF16 or F64" : "I64");
}

static bool has_slot(const slots *all, const char *name)
{
	for (int i = 0; i < all->count; i++)
		if (!strcmp(all->list[i].name, name))
			return true;
	return false;
}

clef_status clef__model_check(const clef_model *model, const clef_safetensors *file, const char *path)
{
	differences d = { .used = 0 };
	clef_safetensors_entry e;
	slots all;
	clef_status s = list_slots(model, &all);

	if (s)
		return s;
	for (int i = 0; i < all.count; i++)
		compare_slot(&d, &all.list[i], file);
	for (int i = 0; i < clef_safetensors_count(file); i++)
		if (!clef_safetensors_get(file, i, &e) && !strchr(e.name, ':') && !has_slot(&all, e.name))
			differ(&d, "%.200s %s is none of the model's", e.name, CLEF__SHAPE_TEXT(e.shape));
	free_slots(&all);
	if (!d.count)
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_FORMAT, "clef_model_load: %s does not fit the model in %d place%s:%s%s", path,
			  d.count, d.count == 1 ? "" : "s", d.text, d.count > LISTED ? "\n  ..." : "");
}

/* ---- loading ---- */

static clef_status write_floats(clef_tensor *x, const clef_safetensors_entry *e)
{
	size_t bytes = (size_t)x->numel * sizeof(float);
	float *values = clef__calloc(bytes, 1, e->name);
	clef_status s;

	if (!values)
		return CLEF_ERROR_MEMORY;
	clef__stored_floats(e, values);
	s = clef_write(x, values, bytes);
	free(values);
	return s;
}

clef_status clef__model_get(clef_model *model, const clef_safetensors *file)
{
	clef_safetensors_entry e;
	slots all;
	clef_status s = list_slots(model, &all);

	if (s)
		return s;
	for (int i = 0; i < all.count && !s; i++) {
		const slot *to = &all.list[i];
		int at = clef_safetensors_find(file, to->name);

		if (at < 0) {
			*to->batches = 0;
			continue;
		}
		s = clef_safetensors_get(file, at, &e);
		if (!s && to->x)
			s = write_floats(to->x, &e);
		else if (!s)
			memcpy(to->batches, e.data, sizeof(*to->batches));
	}
	free_slots(&all);
	return s;
}

clef_status clef_model_load(clef_model *model, const char *path)
{
	clef_safetensors *file;
	clef_status s;

	if (!model || !path)
		return clef__null_argument("clef_model_load");
	file = clef_safetensors_open(path);
	s = file ? clef__model_check(model, file, path) : clef_error_status();
	if (!s)
		s = clef__model_get(model, file);
	clef_safetensors_free(file);
	return s;
}

/* ---- a model from a file alone ---- */

/* The inverse of what put_texts() writes. */
static clef_status read_input(const char *text, clef_shape *shape)
{
	char *end;

	*shape = CLEF_SCALAR;
	for (const char *p = text; *p; p = end) {
		long long size = strtoll(p, &end, 10);

		if (end == p || (*end && *end != ' ') || size < 0 || size > INT32_MAX ||
		    shape->ndim == CLEF_MAX_DIMS - 1)
			return CLEF_ERROR_FORMAT;
		shape->dim[shape->ndim++] = size;
		while (*end == ' ')
			end++;
	}
	return CLEF_OK;
}

static clef_status read_texts(const clef_safetensors *file, const char *path, clef_shape *input, clef_dtype *dtype)
{
	const char *f = "clef_model_open", *shape = clef_safetensors_text(file, "clef.input");
	const char *type = clef_safetensors_text(file, "clef.dtype");

	if (!clef_safetensors_text(file, "clef.layers") && !clef_safetensors_text(file, "clef.network"))
		return clef__fail(CLEF_ERROR_FORMAT,
				  "%s: %s has no text \"clef.layers\" or \"clef.network\", so it does not say what its "
				  "model is; make the model and use clef_model_load()",
				  f, path);
	if (!shape || read_input(shape, input))
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s: the text \"clef.input\" is %s, must be up to %d sizes", f,
				  path, shape ? "no shape" : "missing", CLEF_MAX_DIMS - 1);
	*dtype = CLEF_FLOAT32;
	if (type && !strcmp(type, clef_dtype_name(CLEF_INT32)))
		*dtype = CLEF_INT32;
	else if (type && strcmp(type, clef_dtype_name(CLEF_FLOAT32)) != 0)
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s: the text \"clef.dtype\" is neither float32 nor int32", f,
				  path);
	return CLEF_OK;
}

static int64_t numel_of(const clef_safetensors *file)
{
	clef_safetensors_entry e;
	int64_t numel = 0;

	for (int i = 0; i < clef_safetensors_count(file); i++)
		if (!clef_safetensors_get(file, i, &e))
			numel += clef_shape_numel(e.shape);
	return CLEF__MAX(numel, 1);
}

static clef_model *of_layers(clef_device *dev, const char *text, clef_shape input, const clef_model_opts *opts)
{
	clef_layer *layers;
	clef_model *model;
	int count;

	if (clef_layers_parse(text, &layers, &count))
		return NULL;
	model = clef_sequential_new(dev, layers, count, input, opts);
	free(layers);
	return model;
}

/* The output of a network is a value for each class. */
static clef_model *of_network(clef_device *dev, const clef_safetensors *file, clef_shape input,
			      const clef_model_opts *opts)
{
	const char *text = clef_safetensors_text(file, "clef.output");
	char *end;
	long classes = text ? strtol(text, &end, 10) : 0;

	if (classes < 1 || classes > INT32_MAX || *end)
		return clef__fail_null(CLEF_ERROR_INVALID, "the text \"clef.output\" is %s",
				       text ? "no size" : "missing");
	return clef_model_parse(dev, clef_safetensors_text(file, "clef.network"), input, (int)classes, opts);
}

static clef_model *make_model(clef_device *dev, const clef_safetensors *file, const char *path)
{
	const char *layers = clef_safetensors_text(file, "clef.layers");
	clef_model_opts opts = { .max_numel = numel_of(file) };
	clef_model *model;
	clef_shape input;
	clef_status s = read_texts(file, path, &input, &opts.dtype);

	if (s)
		return NULL;
	model = layers ? of_layers(dev, layers, input, &opts) : of_network(dev, file, input, &opts);
	s = clef_error_status();
	if (!model && (s == CLEF_ERROR_INVALID || s == CLEF_ERROR_SHAPE || s == CLEF_ERROR_DTYPE))
		clef__fail(CLEF_ERROR_FORMAT,
			   "clef_model_open: %s: the text \"clef.%s\" is no model for \"clef.input\": %s", path,
			   layers ? "layers" : "network", clef_error());
	return model;
}

clef_model *clef_model_open(clef_device *dev, const char *path)
{
	clef_safetensors *file;
	clef_model *model;

	if (!dev || !path) {
		clef__null_argument("clef_model_open");
		return NULL;
	}
	file = clef_safetensors_open(path);
	model = file ? make_model(dev, file, path) : NULL;
	if (model && (clef__model_check(model, file, path) || clef__model_get(model, file))) {
		clef_model_free(model);
		model = NULL;
	}
	clef_safetensors_free(file);
	return model;
}
