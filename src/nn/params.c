/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named parameters, collated: all values in one buffer and all gradients in another, so that an optimizer needs one
 * launch for all of them. Each parameter is a leaf on its part of the first, with a gradient on the same part of the
 * second. Parts start at multiples of 32 floats, which suits the vector loads of the matrix products; the padding
 * between them is zero and every update rule keeps it so.
 */
#include "nn_internal.h"

#define ALIGNMENT 32

clef_params *clef_params_new(clef_device *dev)
{
	clef_params *params;

	if (!dev) {
		clef__null_argument("clef_params_new");
		return NULL;
	}
	params = clef__calloc(1, sizeof(*params), "a set of parameters");
	if (!params)
		return NULL;
	params->dev = dev;
	params->references = 1;
	clef__device_retain(dev);
	return params;
}

void clef__params_retain(clef_params *params)
{
	params->references++;
}

void clef__params_release(clef_params *params)
{
	if (!params || --params->references)
		return;
	for (int i = 0; i < params->count; i++) {
		clef_tensor_free(params->list[i].w);
		free(params->list[i].name);
	}
	clef_tensor_free(params->values);
	clef_tensor_free(params->grads);
	clef__device_release(params->dev);
	free(params->list);
	free(params);
}

void clef_params_free(clef_params *params)
{
	if (params && !params->of_model)
		clef__params_release(params);
}

static bool has_name(const clef__param *param, const char *layer, size_t length, const char *part)
{
	const char *rest = param->name + length;

	if (strncmp(param->name, layer, length))
		return false;
	return part ? *rest == '.' && !strcmp(rest + 1, part) : !*rest;
}

int clef__params_index(const clef_params *params, const char *layer, const char *part, int guess)
{
	size_t length = strlen(layer);

	if (guess < params->count && has_name(&params->list[guess], layer, length, part))
		return guess;
	for (int i = 0; i < params->count; i++)
		if (has_name(&params->list[i], layer, length, part))
			return i;
	return -1;
}

static clef_status check_new(const clef_params *params, const char *name, clef_shape shape)
{
	int64_t numel = clef_shape_numel(shape);
	int i;

	if (params->values)
		return clef__fail(CLEF_ERROR_STATE, "clef_params_add: \"%s\" comes after clef_params_commit()", name);
	if (!*name)
		return clef__fail(CLEF_ERROR_INVALID, "clef_params_add: the name is empty");
	i = clef__params_index(params, name, NULL, 0);
	if (i >= 0)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_params_add: there is a parameter \"%s\" already, of shape %s", name,
				  CLEF__SHAPE_TEXT(params->list[i].w->shape));
	if (numel < 0)
		return clef__fail(CLEF_ERROR_SHAPE,
				  "clef_params_add: \"%s\": %s is no shape: 0 to %d dimensions, none negative, and at "
				  "most 2^31 - 1 elements",
				  name, CLEF__SHAPE_TEXT(shape), CLEF_MAX_DIMS);
	if (params->size + numel > INT32_MAX - ALIGNMENT)
		return clef__fail(CLEF_ERROR_SHAPE,
				  "clef_params_add: \"%s\" of shape %s would make more than 2^31 - 1 values in one set",
				  name, CLEF__SHAPE_TEXT(shape));
	return CLEF_OK;
}

clef_tensor *clef_params_add(clef_params *params, const char *name, clef_shape shape, const clef_init *init)
{
	clef__param *param;

	if (!params || !name) {
		clef__null_argument("clef_params_add");
		return NULL;
	}
	if (check_new(params, name, shape))
		return NULL;
	if (clef__grow(&params->list, &params->capacity, params->count + 1, sizeof(*params->list), "parameters"))
		return NULL;
	param = &params->list[params->count];
	param->w = clef__tensor_view(params->dev, CLEF_FLOAT32, shape, NULL, 0);
	param->name = param->w ? clef__strdup(name) : NULL;
	if (!param->name) {
		clef_tensor_free(param->w);
		param->w = NULL;
		return NULL;
	}
	if (init && init->kind != CLEF_INIT_DEFAULT)
		param->init = *init;
	else
		param->init = (clef_init){ .kind = CLEF_INIT_CONSTANT };
	param->zero_row = -1;
	param->w->asked_grad = true;
	param->w->requires_grad = true;
	param->offset = params->size;
	params->count++;
	params->numel += param->w->numel;
	params->size += (param->w->numel + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	return param->w;
}

void clef__params_zero_row(clef_params *params, int i, int64_t row)
{
	params->list[i].zero_row = row;
}

/* A zero-filled leaf as large as the set. */
static clef_tensor *new_flat(const clef_params *params)
{
	clef_tensor *x = clef_tensor_new(params->dev, CLEF_FLOAT32, CLEF_SHAPE(params->size));

	if (!x || !clef_fill(x, 0.0))
		return x;
	clef_tensor_free(x);
	return NULL;
}

static clef_status attach(const clef_params *params, clef__param *param)
{
	clef_tensor *w = param->w;

	w->grad = clef__tensor_view(params->dev, CLEF_FLOAT32, w->shape, params->grads->buffer, (size_t)param->offset);
	if (!w->grad)
		return clef_error_status();
	w->buffer = params->values->buffer;
	clef__buffer_retain(w->buffer);
	w->offset = (size_t)param->offset;
	return CLEF_OK;
}

static void detach_all(clef_params *params)
{
	for (int i = 0; i < params->count; i++) {
		clef_tensor *w = params->list[i].w;

		clef__buffer_release(w->buffer);
		clef_tensor_free(w->grad);
		w->buffer = NULL;
		w->grad = NULL;
		w->offset = 0;
	}
	clef_tensor_free(params->values);
	clef_tensor_free(params->grads);
	params->values = NULL;
	params->grads = NULL;
}

static clef_status zero_row(const clef__param *param)
{
	const clef_tensor *w = param->w;
	int64_t length = w->numel / w->shape.dim[0];
	clef_tensor *row = clef__tensor_view(w->dev, CLEF_FLOAT32, CLEF_SHAPE(length), w->buffer,
					     w->offset + (size_t)(param->zero_row * length));
	clef_status s = row ? clef_fill(row, 0.0) : clef_error_status();

	clef_tensor_free(row);
	return s;
}

/* Parameter i always gets draw i, so that a constant one among them does not change the values of the others. */
static clef_status initialize(const clef_params *params, int i, clef_rng rng)
{
	const clef__param *param = &params->list[i];
	clef_status s;

	rng.counter += (uint64_t)i;
	s = clef_init_apply(param->w, &param->init, &rng);
	if (!s && param->zero_row >= 0)
		s = zero_row(param);
	if (s)
		return clef__fail(s, "clef_params_commit: parameter \"%s\" %s: %s", param->name,
				  CLEF__SHAPE_TEXT(param->w->shape), clef_error());
	return CLEF_OK;
}

clef_status clef_params_commit(clef_params *params, clef_rng *rng)
{
	clef_status s = CLEF_OK;

	if (!params || !rng)
		return clef__null_argument("clef_params_commit");
	if (params->values)
		return clef__fail(CLEF_ERROR_STATE, "clef_params_commit: this set is committed already");
	params->values = new_flat(params);
	params->grads = params->values ? new_flat(params) : NULL;
	if (!params->grads)
		s = clef_error_status();
	for (int i = 0; i < params->count && !s; i++)
		s = attach(params, &params->list[i]);
	for (int i = 0; i < params->count && !s; i++)
		s = initialize(params, i, *rng);
	if (s)
		detach_all(params);
	else
		rng->counter += (uint64_t)params->count;
	return s;
}

int clef_params_count(const clef_params *params)
{
	return params ? params->count : 0;
}

int64_t clef_params_numel(const clef_params *params)
{
	return params ? params->numel : 0;
}

static const clef__param *param_at(const clef_params *params, int i, const char *function)
{
	if (!params) {
		clef__null_argument(function);
		return NULL;
	}
	if (i < 0 || i >= params->count)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: there is no parameter %d, the set has %d", function, i,
				       params->count);
	return &params->list[i];
}

clef_tensor *clef_params_get(const clef_params *params, int i)
{
	const clef__param *param = param_at(params, i, "clef_params_get");

	return param ? param->w : NULL;
}

const char *clef_params_name(const clef_params *params, int i)
{
	const clef__param *param = param_at(params, i, "clef_params_name");

	return param ? param->name : NULL;
}

clef_tensor *clef_params_find(const clef_params *params, const char *name)
{
	char names[1024] = "";
	size_t used = 0;
	int i;

	if (!params || !name) {
		clef__null_argument("clef_params_find");
		return NULL;
	}
	i = clef__params_index(params, name, NULL, 0);
	if (i >= 0)
		return params->list[i].w;
	for (i = 0; i < params->count && used < sizeof(names); i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
					 params->list[i].name);
	return clef__fail_null(CLEF_ERROR_INVALID, "clef_params_find: no parameter \"%s\"; there are %d: %s%s", name,
			       params->count, names, used < sizeof(names) ? "" : "...");
}
