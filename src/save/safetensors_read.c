/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads safetensors files: eight bytes with the length of a header, the header, which is a JSON object that tells for
 * each array its type, shape and place, and the values. Nothing that the header says is used before it was checked
 * against the size of the file. Names come from the file, so messages show them without control characters.
 */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <sys/stat.h>

#include "safetensors.h"

#define HEADER_LIMIT 100000000u /* the format's */
#define DEPTH_LIMIT  3          /* the header, an array's object, a list in it */
#define NAME_SHOWN   100

typedef struct reader {
	const char *path;
	FILE *f;
	size_t size;   /* of the file */
	size_t header; /* of the header */
	clef_safetensors *file;
} reader;

static clef_status wrong(const reader *r, const char *format, ...) CLEF__PRINTF(2, 3);

static clef_status wrong(const reader *r, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return clef__fail(CLEF_ERROR_FORMAT, "clef_safetensors_open: %s: %s", r->path, text);
}

/* A text from the file, for messages. */
static const char *shown(const char *text, char buffer[NAME_SHOWN + 4])
{
	size_t n = 0;

	for (; text[n] && n < NAME_SHOWN; n++)
		buffer[n] = (unsigned char)text[n] < ' ' || text[n] == 0x7f ? '?' : text[n];
	strcpy(buffer + n, text[n] ? "..." : "");
	return buffer;
}

#define SHOWN(text) shown((text), (char[NAME_SHOWN + 4]){ 0 })

static clef_status io_error(const reader *r, const char *how)
{
	return clef__fail(CLEF_ERROR_IO, "clef_safetensors_open: cannot %s %s: %s", how, r->path,
			  errno ? strerror(errno) : "it ended early");
}

static clef_status read_bytes(const reader *r, void *data, size_t size)
{
	errno = 0;
	return fread(data, 1, size, r->f) == size ? CLEF_OK : io_error(r, "read");
}

/* ---- one array of the header ---- */

/* "size" or "offset" i of a list: a whole number that is not negative. */
static clef_status read_number(const reader *r, const char *name, const char *field, const json_t *list, size_t i,
			       int64_t *value)
{
	const json_t *number = json_array_get(list, i);

	if (!json_is_integer(number))
		return wrong(r, "tensor \"%s\": %s[%zu] is no whole number", SHOWN(name), field, i);
	*value = json_integer_value(number);
	if (*value < 0)
		return wrong(r, "tensor \"%s\": %s[%zu] is %lld, must not be negative", SHOWN(name), field, i,
			     (long long)*value);
	return CLEF_OK;
}

static clef_status read_shape(const reader *r, const char *name, const json_t *list, clef_shape *shape)
{
	clef_status s = CLEF_OK;

	if (!json_is_array(list))
		return wrong(r, "tensor \"%s\": shape is %s", SHOWN(name), list ? "no list" : "missing");
	if (json_array_size(list) > CLEF_MAX_DIMS)
		return wrong(r, "tensor \"%s\": shape has %zu dimensions, at most %d are allowed", SHOWN(name),
			     json_array_size(list), CLEF_MAX_DIMS);
	*shape = (clef_shape){ .ndim = (int)json_array_size(list) };
	for (int i = 0; i < shape->ndim && !s; i++)
		s = read_number(r, name, "shape", list, (size_t)i, &shape->dim[i]);
	if (!s && clef_shape_numel(*shape) < 0)
		s = wrong(r, "tensor \"%s\": shape %s is more than the 2147483647 elements allowed", SHOWN(name),
			  CLEF__SHAPE_TEXT(*shape));
	return s;
}

/* The place, which must lie in the file and have the size that type and shape imply. */
static clef_status read_place(const reader *r, const char *name, const json_t *list, clef__stored *stored)
{
	const size_t room = r->size - CLEF__SAFETENSORS_START - r->header;
	int64_t begin = 0, end = 0;
	clef_status s;

	if (!json_is_array(list) || json_array_size(list) != 2)
		return wrong(r, "tensor \"%s\": data_offsets is %s", SHOWN(name),
			     list ? "no list of two numbers" : "missing");
	s = read_number(r, name, "data_offsets", list, 0, &begin);
	if (!s)
		s = read_number(r, name, "data_offsets", list, 1, &end);
	if (s)
		return s;
	if (end < begin)
		return wrong(r, "tensor \"%s\": data_offsets end at %lld, before their begin at %lld", SHOWN(name),
			     (long long)end, (long long)begin);
	if ((uint64_t)end > room)
		return wrong(r, "tensor \"%s\": data_offsets end at %lld, but the file has %zu bytes of data",
			     SHOWN(name), (long long)end, room);
	stored->bytes = (size_t)clef_shape_numel(stored->shape) * stored->type->size;
	if ((uint64_t)(end - begin) != stored->bytes)
		return wrong(r, "tensor \"%s\": data_offsets span %lld bytes, but %s of %s takes %zu", SHOWN(name),
			     (long long)(end - begin), CLEF__SHAPE_TEXT(stored->shape), stored->type->name,
			     stored->bytes);
	stored->begin = (size_t)begin;
	return CLEF_OK;
}

static clef_status check_fields(const reader *r, const char *name, json_t *object)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return wrong(r, "tensor \"%s\" is no object", SHOWN(name));
	json_object_foreach(object, key, value) {
		if (strcmp(key, "dtype") != 0 && strcmp(key, "shape") != 0 && strcmp(key, "data_offsets") != 0)
			return wrong(r, "tensor \"%s\": there is no field \"%s\"", SHOWN(name), SHOWN(key));
	}
	return CLEF_OK;
}

static clef_status read_array(const reader *r, const char *name, json_t *object, clef__stored *stored)
{
	const char *type;
	clef_status s = check_fields(r, name, object);

	if (s)
		return s;
	if (!*name)
		return wrong(r, "a tensor has the empty name");
	type = json_string_value(json_object_get(object, "dtype"));
	if (!type)
		return wrong(r, "tensor \"%s\": dtype is %s", SHOWN(name),
			     json_object_get(object, "dtype") ? "no text" : "missing");
	stored->type = clef__stored_type_of(type);
	if (!stored->type)
		return wrong(r, "tensor \"%s\": dtype \"%s\" is unknown", SHOWN(name), SHOWN(type));
	s = read_shape(r, name, json_object_get(object, "shape"), &stored->shape);
	if (!s)
		s = read_place(r, name, json_object_get(object, "data_offsets"), stored);
	if (s)
		return s;
	stored->name = clef__strdup(name);
	return stored->name ? CLEF_OK : CLEF_ERROR_MEMORY;
}

/* ---- all of the header ---- */

static clef_status read_texts(const reader *r, json_t *texts)
{
	const char *key;
	json_t *value;

	if (!json_is_object(texts))
		return wrong(r, CLEF__SAFETENSORS_METADATA " is no object");
	json_object_foreach(texts, key, value) {
		if (!json_is_string(value))
			return wrong(r, CLEF__SAFETENSORS_METADATA ": \"%s\" is no text", SHOWN(key));
	}
	if (json_object_update(r->file->texts, texts))
		return clef__fail(CLEF_ERROR_MEMORY, "clef_safetensors_open: no memory for the texts of %s", r->path);
	return CLEF_OK;
}

static clef_status read_arrays(const reader *r, json_t *header)
{
	clef_safetensors *file = r->file;
	clef_status s = CLEF_OK;
	const char *name;
	json_t *value;

	json_object_foreach(header, name, value) {
		if (!strcmp(name, CLEF__SAFETENSORS_METADATA)) {
			s = read_texts(r, value);
		} else {
			s = clef__grow(&file->list, &file->capacity, file->count + 1, sizeof(*file->list), "arrays");
			if (!s)
				s = read_array(r, name, value, &file->list[file->count]);
			file->count += !s;
		}
		if (s)
			return s;
	}
	return s;
}

static int by_place(const void *a, const void *b)
{
	const clef__stored *x = *(const clef__stored *const *)a, *y = *(const clef__stored *const *)b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The arrays, in the order of their places, follow each other without gaps up to the end of the file. */
static clef_status check_places(const reader *r)
{
	const size_t room = r->size - CLEF__SAFETENSORS_START - r->header;
	const clef_safetensors *file = r->file;
	const clef__stored **order = clef__calloc((size_t)file->count, sizeof(*order), "the order of arrays");
	clef_status s = order ? CLEF_OK : CLEF_ERROR_MEMORY;
	size_t end = 0;

	for (int i = 0; i < file->count && order; i++)
		order[i] = &file->list[i];
	if (order)
		qsort(order, (size_t)file->count, sizeof(*order), by_place);
	for (int i = 0; i < file->count && !s; i++) {
		if (order[i]->begin < end)
			s = wrong(r,
				  "tensor \"%s\": data_offsets begin at %zu, within tensor \"%s\", which ends at %zu",
				  SHOWN(order[i]->name), order[i]->begin, SHOWN(order[i - 1]->name), end);
		else if (order[i]->begin > end)
			s = wrong(r, "tensor \"%s\": data_offsets begin at %zu and leave a hole behind %zu",
				  SHOWN(order[i]->name), order[i]->begin, end);
		else
			end += order[i]->bytes;
	}
	free(order);
	if (!s && end != room)
		s = wrong(r, "the tensors end at %zu, but the file has %zu bytes of data", end, room);
	return s;
}

/* Before the parser, which goes to work recursively, sees the text. */
static clef_status check_depth(const reader *r, const char *text)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < r->header; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!quoted && (text[i] == '}' || text[i] == ']'))
			depth--;
		if (depth > DEPTH_LIMIT)
			return wrong(r, "the header is nested deeper than %d levels at its byte %zu", DEPTH_LIMIT, i);
	}
	return CLEF_OK;
}

static clef_status parse_header(const reader *r, const char *text)
{
	clef_status s = check_depth(r, text);
	json_error_t error;
	json_t *header;

	if (s)
		return s;
	if (text[0] != '{')
		return wrong(r, "the header does not begin with a curly bracket");
	header = json_loadb(text, r->header, JSON_REJECT_DUPLICATES, &error);
	if (!header)
		return wrong(r, "the header is no JSON at its byte %d: %s", error.position, SHOWN(error.text));
	s = read_arrays(r, header);
	json_decref(header);
	return s ? s : check_places(r);
}

/* ---- the file ---- */

static clef_status measure(reader *r)
{
	uint8_t start[CLEF__SAFETENSORS_START];
	uint64_t length = 0;
	struct stat st;
	clef_status s;

	if (fstat(fileno(r->f), &st))
		return io_error(r, "read");
	if (!S_ISREG(st.st_mode))
		return clef__fail(CLEF_ERROR_IO, "clef_safetensors_open: %s is %s; a file is expected", r->path,
				  S_ISDIR(st.st_mode) ? "a folder" : "no plain file");
	if ((uintmax_t)st.st_size > SIZE_MAX)
		return wrong(r, "it is larger than the memory");
	r->size = (size_t)st.st_size;
	if (r->size < sizeof(start))
		return wrong(r, "it is truncated: %zu bytes are too few for the length of a header", r->size);
	s = read_bytes(r, start, sizeof(start));
	if (s)
		return s;
	for (size_t i = sizeof(start); i > 0; i--)
		length = length << 8 | start[i - 1];
	if (length < 2 || length > HEADER_LIMIT)
		return wrong(
			r,
			"it is no safetensors file, or damaged: its header would have %llu bytes, 2 to %u are allowed",
			(unsigned long long)length, HEADER_LIMIT);
	if (length > r->size - sizeof(start))
		return wrong(r, "it is truncated: the header has %llu bytes, and %zu are left in the file",
			     (unsigned long long)length, r->size - sizeof(start));
	r->header = (size_t)length;
	return CLEF_OK;
}

static clef_status read_data(const reader *r)
{
	const size_t bytes = r->size - CLEF__SAFETENSORS_START - r->header;
	clef_safetensors *file = r->file;
	clef_status s;

	file->data = clef__calloc(bytes, 1, r->path);
	s = file->data ? read_bytes(r, file->data, bytes) : CLEF_ERROR_MEMORY;
	for (int i = 0; i < file->count && !s; i++)
		file->list[i].data = (const uint8_t *)file->data + file->list[i].begin;
	return s;
}

static clef_status read_file(reader *r)
{
	clef_status s = measure(r);
	char *text;

	if (s)
		return s;
	text = clef__calloc(r->header, 1, r->path);
	s = text ? read_bytes(r, text, r->header) : CLEF_ERROR_MEMORY;
	if (!s)
		s = parse_header(r, text);
	free(text);
	return s ? s : read_data(r);
}

clef_safetensors *clef_safetensors_open(const char *path)
{
	reader r = { .path = path };
	clef_status s;

	if (!path) {
		clef__null_argument("clef_safetensors_open");
		return NULL;
	}
	r.f = fopen(path, "rb");
	if (!r.f) {
		io_error(&r, "open");
		return NULL;
	}
	r.file = clef_safetensors_new();
	s = r.file ? read_file(&r) : CLEF_ERROR_MEMORY;
	fclose(r.f);
	if (!s)
		return r.file;
	clef_safetensors_free(r.file);
	return NULL;
}
