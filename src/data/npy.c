/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of NumPy, alone (.npy) and in a zip file (.npz). A header is a Python dict as text, of which this reads as
 * much as NumPy writes: three keys, with a string, a bool and a tuple of whole numbers. Sizes in it are believed only
 * as far as they are those of the file.
 */
#include "data_internal.h"

/* An array, in the memory of its file. */
typedef struct array {
	const char *what, *path; /* for messages */
	int ndim;
	int64_t dim[CLEF_MAX_DIMS];
	int64_t numel;
	char type; /* 'u' or 'i' */
	int bytes; /* of a value: 1, 2, 4, 8 */
	bool big;
	const uint8_t *data;
} array;

/* ---- the header ---- */

typedef struct header {
	const array *a;
	const char *p, *end;
} header;

static clef_status bad_header(const header *h, const char *expected)
{
	int left = (int)CLEF__MIN(h->end - h->p, 20);
	char text[24] = "";

	for (int i = 0; i < left; i++)
		text[i] = h->p[i] >= 32 && h->p[i] < 127 ? h->p[i] : '?';
	return clef__fail(CLEF_ERROR_FORMAT, "%s: %s: the header has \"%s\" where %s is expected", h->a->what,
			  h->a->path, text, expected);
}

static void skip_blanks(header *h)
{
	while (h->p < h->end && (*h->p == ' ' || *h->p == '\n'))
		h->p++;
}

static bool accept(header *h, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(h);
	if ((size_t)(h->end - h->p) < n || memcmp(h->p, word, n) != 0)
		return false;
	h->p += n;
	return true;
}

/* 'text' or "text", of up to 15 characters. */
static clef_status parse_string(header *h, char text[16])
{
	char quote = accept(h, "'") ? '\'' : accept(h, "\"") ? '"' : '\0';
	int n = 0;

	if (!quote)
		return bad_header(h, "a string");
	while (h->p < h->end && *h->p != quote && n < 15)
		text[n++] = *h->p++;
	text[n] = '\0';
	if (h->p == h->end || *h->p != quote)
		return bad_header(h, "the end of a short string");
	h->p++;
	return CLEF_OK;
}

/* '|u1', '<i8': order, kind and size. */
static clef_status parse_type(header *h, array *a)
{
	char text[16];
	clef_status s = parse_string(h, text);
	const char *kind = strchr("<>|=", text[0]) ? text + 1 : text;

	if (s)
		return s;
	a->big = text[0] == '>';
	a->type = text[0] ? kind[0] : '\0';
	a->bytes = a->type && kind[1] >= '1' && kind[1] <= '8' && !kind[2] ? kind[1] - '0' : 0;
	if ((a->type != 'u' && a->type != 'i') || (a->bytes != 1 && a->bytes != 2 && a->bytes != 4 && a->bytes != 8))
		return clef__fail(
			CLEF_ERROR_FORMAT,
			"%s: %s: its values are '%s'; integers of 1, 2, 4 or 8 bytes are read, '|u1' to '<i8'", a->what,
			a->path, text);
	return CLEF_OK;
}

static clef_status parse_shape(header *h, array *a)
{
	if (!accept(h, "("))
		return bad_header(h, "a shape");
	for (a->ndim = 0; !accept(h, ")"); a->ndim++) {
		int64_t n = 0;
		const char *start;

		skip_blanks(h);
		for (start = h->p; h->p < h->end && *h->p >= '0' && *h->p <= '9' && n <= INT32_MAX; h->p++)
			n = n * 10 + (*h->p - '0');
		if (h->p == start || n > INT32_MAX || a->ndim == CLEF_MAX_DIMS)
			return bad_header(h, "one of up to 8 sizes below 2^31");
		a->dim[a->ndim] = n;
		if (!accept(h, ",") && (skip_blanks(h), h->p == h->end || *h->p != ')'))
			return bad_header(h, "',' or ')'");
	}
	return CLEF_OK;
}

static clef_status parse_pair(header *h, array *a, bool seen[3])
{
	static const char *const keys[] = { "descr", "fortran_order", "shape" };
	char text[16];
	clef_status s = parse_string(h, text);
	int key = 0;

	while (key < 3 && strcmp(text, keys[key]) != 0)
		key++;
	if (s)
		return s;
	if (key == 3 || seen[key] || !accept(h, ":"))
		return bad_header(h, "one of descr, fortran_order and shape, and a ':'");
	seen[key] = true;
	if (key == 0)
		return parse_type(h, a);
	if (key == 2)
		return parse_shape(h, a);
	if (accept(h, "False"))
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is in Fortran's order; C's is read: numpy.ascontiguousarray()",
			  a->what, a->path);
}

static clef_status parse_header(header *h, array *a)
{
	bool seen[3] = { false };
	clef_status s = accept(h, "{") ? CLEF_OK : bad_header(h, "'{'");

	while (!s && !accept(h, "}")) {
		s = parse_pair(h, a, seen);
		if (!s && !accept(h, ",") && (skip_blanks(h), h->p == h->end || *h->p != '}'))
			s = bad_header(h, "',' or '}'");
	}
	skip_blanks(h);
	if (!s && h->p != h->end)
		s = bad_header(h, "its end");
	if (!s && !(seen[0] && seen[1] && seen[2]))
		s = bad_header(h, "descr, fortran_order and shape, each");
	return s;
}

/* ---- an array ---- */

static clef_status check_size(array *a, size_t left)
{
	a->numel = 1;
	for (int i = 0; i < a->ndim; i++) {
		/* Below 2^31 each, so that a product of two does not overflow. */
		a->numel *= a->dim[i];
		if (a->numel > INT32_MAX)
			return clef__fail(CLEF_ERROR_FORMAT, "%s: %s says that it has more than 2147483647 values",
					  a->what, a->path);
	}
	if ((size_t)a->numel * (size_t)a->bytes != left)
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is %s: %zu bytes follow the header, which says %lld of %d",
				  a->what, a->path,
				  left < (size_t)a->numel * (size_t)a->bytes ? "truncated" : "too long", left,
				  (long long)a->numel, a->bytes);
	return CLEF_OK;
}

static clef_status parse(const char *what, const char *path, clef__bytes file, array *a)
{
	static const uint8_t magic[] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };
	size_t start = file.size > 6 && file.data[6] == 1 ? 10 : 12, length = 0;
	header h = { .a = a };
	clef_status s;

	*a = (array){ .what = what, .path = path };
	if (file.size < sizeof(magic) || memcmp(file.data, magic, sizeof(magic)) != 0)
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is no NumPy array: it does not begin with \\x93NUMPY",
				  what, path);
	if (file.size > 6 && (file.data[6] < 1 || file.data[6] > 3))
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is of version %d; 1 to 3 are read", what, path,
				  file.data[6]);
	for (size_t i = start - 1; i >= 8 && file.size >= start; i--)
		length = length << 8 | file.data[i];
	if (file.size < start || length > file.size - start)
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is truncated: %zu bytes, within the header", what, path,
				  file.size);
	h.p = (const char *)file.data + start;
	h.end = h.p + length;
	a->data = file.data + start + length;
	s = parse_header(&h, a);
	return s ? s : check_size(a, file.size - start - length);
}

/* ---- sets ---- */

/* From [n, h, w, c] to [n, c, h, w], or as they are. */
static uint8_t *copy_samples(const array *x, bool channels_last)
{
	uint8_t *out = clef__calloc((size_t)x->numel, 1, "the samples of a data set");
	int64_t area = channels_last ? x->dim[1] * x->dim[2] : 1, channels = channels_last ? x->dim[3] : 1;

	if (out && !channels_last && x->numel)
		memcpy(out, x->data, (size_t)x->numel);
	for (int64_t i = 0; i < x->numel && out && channels_last; i += area * channels)
		for (int64_t c = 0; c < channels; c++)
			for (int64_t k = 0; k < area; k++)
				out[i + c * area + k] = x->data[i + k * channels + c];
	return out;
}

/* Value i, or something above 255 for one that is no label. */
static uint64_t label_at(const array *y, int64_t i)
{
	const uint8_t *p = y->data + i * y->bytes;
	uint64_t v = 0;

	for (int k = 0; k < y->bytes; k++)
		v = v << 8 | p[y->big ? k : y->bytes - 1 - k];
	/* A negative one of fewer bytes. */
	return y->type == 'i' && v >> (8 * y->bytes - 1) ? UINT64_MAX : v;
}

static clef_status check_labels(const array *y, int64_t count, int *classes, int *largest)
{
	if (y->ndim < 1 || y->ndim > 2 || y->dim[0] != count || (y->ndim == 2 && y->dim[1] != 1))
		return clef__fail(CLEF_ERROR_FORMAT,
				  "%s: %s holds labels in %d dimensions, %lld in all; [%lld] is expected", y->what,
				  y->path, y->ndim, (long long)y->numel, (long long)count);
	for (int64_t i = 0; i < count; i++) {
		uint64_t v = label_at(y, i), limit = *classes ? (uint64_t)*classes : CLEF__MAX_CLASSES;

		if (v >= limit)
			return clef__fail(CLEF_ERROR_FORMAT, "%s: %s: label %lld is %s%llu; below %llu is allowed",
					  y->what, y->path, (long long)i, v == UINT64_MAX ? "negative, or " : "",
					  (unsigned long long)v, (unsigned long long)limit);
		*largest = CLEF__MAX(*largest, (int)v);
	}
	return CLEF_OK;
}

static clef_status sample_of(const array *x, clef_shape *sample, bool *channels_last)
{
	*channels_last = x->ndim == 4 && x->dim[3] >= 1 && x->dim[3] <= 4 && x->dim[1] > 4;
	if (x->type != 'u' || x->bytes != 1)
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s: samples are of type '%c%d'; 'u1', uint8, is expected",
				  x->what, x->path, x->type, x->bytes);
	if (x->ndim < 1 || x->ndim > CLEF_MAX_DIMS - (x->ndim == 3))
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is of %d dimensions; [n, ...] is expected", x->what,
				  x->path, x->ndim);
	*sample = (clef_shape){ .ndim = 0 };
	if (x->ndim == 3 || *channels_last)
		sample->dim[sample->ndim++] = *channels_last ? x->dim[3] : 1;
	for (int i = 1; i < x->ndim - *channels_last; i++)
		sample->dim[sample->ndim++] = x->dim[i];
	return clef__sample_check(x->what, *sample);
}

/* A set of both arrays; classes 0: as the labels say. */
static clef_dataset *make_set(const array *x, const array *y, int classes)
{
	int64_t count = x->ndim ? x->dim[0] : 0;
	bool channels_last;
	clef_shape sample;
	uint8_t *labels;
	int largest = -1;

	if (sample_of(x, &sample, &channels_last) || check_labels(y, count, &classes, &largest))
		return NULL;
	if (!classes && !count)
		return clef__fail_null(CLEF_ERROR_FORMAT, "%s: %s holds no labels to count the classes by", y->what,
				       y->path);
	labels = clef__calloc((size_t)count, 1, "the labels of a data set");
	for (int64_t i = 0; i < count && labels; i++)
		labels[i] = (uint8_t)label_at(y, i);
	return clef__dataset_adopt(labels ? copy_samples(x, channels_last) : NULL, labels, count, sample,
				   classes ? classes : largest + 1);
}

clef_dataset *clef_npy_open(const char *samples, const char *labels, int classes)
{
	static const char what[] = "clef_npy_open";
	clef__bytes x = { NULL, 0 }, y = { NULL, 0 };
	clef_dataset *set = NULL;
	array a, b;

	if (!samples || !labels)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: the path of the %s is NULL", what,
				       samples ? "labels" : "samples");
	if (clef__classes_check(what, classes))
		return NULL;
	if (!clef__file_read(what, samples, CLEF__FILE_LIMIT, &x) && !parse(what, samples, x, &a) &&
	    !clef__file_read(what, labels, CLEF__FILE_LIMIT, &y) && !parse(what, labels, y, &b))
		set = make_set(&a, &b, classes);
	free(x.data);
	free(y.data);
	return set;
}

/* ---- .npz ---- */

/* The classes of an array of labels, which may be missing. */
static clef_status count_classes(const char *what, const char *path, clef__bytes file, const char *name, int *classes)
{
	clef__bytes contents;
	int any = 0, largest = -1;
	array y;
	clef_status s;

	if (!clef__zip_has(file, name))
		return CLEF_OK;
	s = clef__zip_read(what, path, file, name, &contents);
	if (s)
		return s;
	s = parse(what, name, contents, &y);
	if (!s)
		s = check_labels(&y, y.ndim ? y.dim[0] : 0, &any, &largest);
	*classes = CLEF__MAX(*classes, largest + 1);
	free(contents.data);
	return s;
}

clef_dataset *clef_npz_open(const char *path, bool train)
{
	static const char what[] = "clef_npz_open";
	static const char *const names[2][2][2] = {
		{ { "x_test.npy", "y_test.npy" }, { "x_train.npy", "y_train.npy" } },
		{ { "test_images.npy", "test_labels.npy" }, { "train_images.npy", "train_labels.npy" } },
	};
	clef__bytes file, x = { NULL, 0 }, y = { NULL, 0 };
	const char *const(*pair)[2];
	clef_dataset *set = NULL;
	int classes = 0;
	array a, b;

	if (!path)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: the path is NULL", what);
	if (clef__file_read(what, path, CLEF__FILE_LIMIT, &file))
		return NULL;
	pair = names[clef__zip_has(file, names[1][train][0])];
	if (!clef__zip_read(what, path, file, pair[train][0], &x) && !parse(what, pair[train][0], x, &a) &&
	    !clef__zip_read(what, path, file, pair[train][1], &y) && !parse(what, pair[train][1], y, &b) &&
	    !count_classes(what, path, file, pair[0][1], &classes) &&
	    !count_classes(what, path, file, pair[1][1], &classes))
		set = make_set(&a, &b, classes);
	free(x.data);
	free(y.data);
	free(file.data);
	return set;
}
