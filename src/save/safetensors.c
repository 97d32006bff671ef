/* SPDX-License-Identifier: Apache-2.0 */
/* The arrays and texts of a safetensors file in memory: looking them up, and putting a file together. */
#include "safetensors.h"

static const clef__stored_type types[] = {
	{ "F64", 8 }, { "F32", 4 }, { "F16", 2 },  { "BF16", 2 },    { "I64", 8 },
	{ "I32", 4 }, { "I16", 2 }, { "I8", 1 },   { "U64", 8 },     { "U32", 4 },
	{ "U16", 2 }, { "U8", 1 },  { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 },
};

const clef__stored_type *clef__stored_type_of(const char *name)
{
	for (int i = 0; i < CLEF_COUNT(types); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

clef_safetensors *clef_safetensors_new(void)
{
	clef_safetensors *file = clef__calloc(1, sizeof(*file), "a safetensors file");

	if (!file)
		return NULL;
	file->texts = json_object();
	if (file->texts)
		return file;
	free(file);
	return clef__fail_null(CLEF_ERROR_MEMORY, "clef_safetensors_new: no memory");
}

void clef_safetensors_free(clef_safetensors *file)
{
	if (!file)
		return;
	for (int i = 0; i < file->count; i++) {
		free(file->list[i].name);
		free(file->list[i].own);
	}
	json_decref(file->texts);
	free(file->list);
	free(file->data);
	free(file);
}

/* ---- arrays ---- */

int clef_safetensors_count(const clef_safetensors *file)
{
	return file ? file->count : 0;
}

clef_status clef_safetensors_get(const clef_safetensors *file, int i, clef_safetensors_entry *entry)
{
	const char *f = "clef_safetensors_get";
	const clef__stored *stored;

	if (!file || !entry)
		return clef__null_argument(f);
	if (i < 0 || i >= file->count)
		return clef__fail(CLEF_ERROR_INVALID, "%s: there is no array %d, the file has %d", f, i, file->count);
	stored = &file->list[i];
	*entry = (clef_safetensors_entry){ stored->name, stored->type->name, stored->shape, stored->data,
					   stored->bytes };
	return CLEF_OK;
}

int clef_safetensors_find(const clef_safetensors *file, const char *name)
{
	for (int i = 0; file && name && i < file->count; i++)
		if (!strcmp(file->list[i].name, name))
			return i;
	return -1;
}

static clef_status check_new(const clef_safetensors *file, const char *name, const char *dtype, clef_shape shape)
{
	const char *f = "clef_safetensors_add";
	json_t *text = json_string(name);

	json_decref(text);
	if (!text)
		return clef__fail(CLEF_ERROR_INVALID, "%s: the name \"%s\" is no UTF-8", f, name);
	if (!*name || !strcmp(name, CLEF__SAFETENSORS_METADATA))
		return clef__fail(CLEF_ERROR_INVALID, "%s: \"%s\" cannot be the name of an array", f, name);
	if (clef_safetensors_find(file, name) >= 0)
		return clef__fail(CLEF_ERROR_INVALID, "%s: there is an array \"%s\" already", f, name);
	if (!clef__stored_type_of(dtype))
		return clef__fail(CLEF_ERROR_DTYPE, "%s: \"%s\": the format knows no type \"%s\"", f, name, dtype);
	if (clef_shape_numel(shape) < 0)
		return clef__fail(CLEF_ERROR_SHAPE, "%s: \"%s\": %s is no shape", f, name, CLEF__SHAPE_TEXT(shape));
	return CLEF_OK;
}

clef_status clef_safetensors_add(clef_safetensors *file, const char *name, const char *dtype, clef_shape shape,
				 const void *data)
{
	clef__stored stored = { .shape = shape };
	clef_status s;

	if (!file || !name || !dtype || !data)
		return clef__null_argument("clef_safetensors_add");
	s = check_new(file, name, dtype, shape);
	if (!s)
		s = clef__grow(&file->list, &file->capacity, file->count + 1, sizeof(stored), "arrays");
	if (s)
		return s;
	stored.type = clef__stored_type_of(dtype);
	stored.bytes = (size_t)clef_shape_numel(shape) * stored.type->size;
	stored.name = clef__strdup(name);
	stored.own = stored.name ? clef__calloc(stored.bytes, 1, name) : NULL;
	if (!stored.own) {
		free(stored.name);
		return CLEF_ERROR_MEMORY;
	}
	memcpy(stored.own, data, stored.bytes);
	stored.data = stored.own;
	file->list[file->count++] = stored;
	return CLEF_OK;
}

/* ---- texts ---- */

const char *clef_safetensors_text(const clef_safetensors *file, const char *key)
{
	return file && key ? json_string_value(json_object_get(file->texts, key)) : NULL;
}

const char *clef_safetensors_key(const clef_safetensors *file, int i)
{
	void *at = file ? json_object_iter(file->texts) : NULL;

	for (; at && i > 0; i--)
		at = json_object_iter_next(file->texts, at);
	return at && i == 0 ? json_object_iter_key(at) : NULL;
}

clef_status clef_safetensors_set(clef_safetensors *file, const char *key, const char *value)
{
	const char *f = "clef_safetensors_set";

	if (!file || !key)
		return clef__null_argument(f);
	if (!value) {
		json_object_del(file->texts, key);
		return CLEF_OK;
	}
	if (!json_object_set_new(file->texts, key, json_string(value)))
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_INVALID, "%s: \"%s\" or its value is no UTF-8, or there is no memory for it", f,
			  key);
}
