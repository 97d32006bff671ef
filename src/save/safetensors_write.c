/* SPDX-License-Identifier: Apache-2.0 */
/* Writes safetensors files: the length of a header, the header as JSON, and the values. */
#include "replace.h"
#include "safetensors.h"

/* Wide types first, so that every array lies at a multiple of its element's size. */
static int by_size(const void *a, const void *b)
{
	const clef__stored *x = *(const clef__stored *const *)a, *y = *(const clef__stored *const *)b;

	if (x->type->size != y->type->size)
		return x->type->size > y->type->size ? -1 : 1;
	return x < y ? -1 : x > y;
}

static const clef__stored **in_order(const clef_safetensors *file)
{
	const clef__stored **order = clef__calloc((size_t)file->count, sizeof(*order), "the order of arrays");

	for (int i = 0; i < file->count && order; i++)
		order[i] = &file->list[i];
	if (order)
		qsort(order, (size_t)file->count, sizeof(*order), by_size);
	return order;
}

static json_t *array_json(const clef__stored *stored, size_t begin)
{
	json_t *shape = json_array();

	for (int i = 0; i < stored->shape.ndim; i++)
		json_array_append_new(shape, json_integer(stored->shape.dim[i]));
	return json_pack("{ss so s[II]}", "dtype", stored->type->name, "shape", shape, "data_offsets",
			 (json_int_t)begin, (json_int_t)(begin + stored->bytes));
}

/* The header as JSON, filled up with blanks so that the values begin at a multiple of 8. */
static char *header_text(const clef_safetensors *file, const clef__stored **order)
{
	json_t *header = json_object();
	bool good = header != NULL;
	size_t begin = 0;
	char *json, *text;

	if (good && json_object_size(file->texts))
		good = !json_object_set(header, CLEF__SAFETENSORS_METADATA, file->texts);
	for (int i = 0; i < file->count && good; i++) {
		good = !json_object_set_new(header, order[i]->name, array_json(order[i], begin));
		begin += order[i]->bytes;
	}
	json = good ? json_dumps(header, JSON_COMPACT) : NULL;
	json_decref(header);
	text = json ? clef__format("%-*s", (int)((strlen(json) + 7) / 8 * 8), json) : NULL;
	free(json);
	return text ? text : clef__fail_null(CLEF_ERROR_MEMORY, "clef_safetensors_save: no memory for the header");
}

static clef_status write_file(const clef__writer *w, const void *what)
{
	const clef_safetensors *file = what;
	const clef__stored **order = in_order(file);
	char *text = order ? header_text(file, order) : NULL;
	uint8_t start[CLEF__SAFETENSORS_START];
	clef_status s = text ? CLEF_OK : CLEF_ERROR_MEMORY;

	for (size_t i = 0; i < sizeof(start) && text; i++)
		start[i] = (uint8_t)((uint64_t)strlen(text) >> 8 * i);
	if (!s)
		s = clef__write(w, start, sizeof(start));
	if (!s)
		s = clef__write(w, text, strlen(text));
	for (int i = 0; i < file->count && !s; i++)
		s = clef__write(w, order[i]->data, order[i]->bytes);
	free(text);
	free(order);
	return s;
}

clef_status clef_safetensors_save(const clef_safetensors *file, const char *path, bool keep)
{
	if (!file || !path)
		return clef__null_argument("clef_safetensors_save");
	return clef__replace("clef_safetensors_save", path, keep, write_file, file);
}
