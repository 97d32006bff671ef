/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comma-separated integers. The parser walks over the bytes of the file once and never treats them as a string, so a
 * zero byte is a bad value like any other. A value takes at least two bytes, itself and what ends it, which bounds the
 * memory by the length of the file before a line has been counted.
 */
#include "data_internal.h"

typedef struct reader {
	const char *path;
	const uint8_t *at, *end;
	long long line;
	int64_t columns; /* of every line, the label included */
	int classes;     /* labels are below it */
	uint8_t *samples, *labels;
	int64_t rows;
	int largest; /* label */
} reader;

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(reader *r)
{
	while (r->at < r->end && is_blank(*r->at))
		r->at++;
}

/* The field that begins at `p`, for a message: its first bytes, what cannot be printed as "?". */
static void quote(const reader *r, const uint8_t *p, char text[24])
{
	int n = 0;

	for (; p < r->end && *p != ',' && *p != '\n' && n < 20; p++)
		text[n++] = *p >= 32 && *p < 127 ? (char)*p : '?';
	while (n && text[n - 1] == ' ')
		n--;
	if (p < r->end && *p != ',' && *p != '\n' && !is_blank(*p)) {
		memcpy(text + n, "...", 3);
		n += 3;
	}
	text[n] = '\0';
}

static clef_status bad_field(const reader *r, int64_t column, const uint8_t *field)
{
	char text[24];

	quote(r, field, text);
	return clef__fail(CLEF_ERROR_FORMAT,
			  "clef_csv_open: %s, line %lld, column %lld: '%s'; an integer 0..255 is expected", r->path,
			  r->line, (long long)column + 1, text);
}

/* One value and the blanks around it; stops at what ends it. */
static clef_status parse_field(reader *r, int64_t column, int *value)
{
	const uint8_t *field;

	skip_blanks(r);
	field = r->at;
	for (*value = 0; r->at < r->end && *r->at >= '0' && *r->at <= '9' && *value <= 255; r->at++)
		*value = *value * 10 + (*r->at - '0');
	if (r->at == field || *value > 255)
		return bad_field(r, column, field);
	skip_blanks(r);
	if (r->at < r->end && *r->at != ',' && *r->at != '\n')
		return bad_field(r, column, field);
	return CLEF_OK;
}

static clef_status add_label(reader *r, int label)
{
	if (label >= r->classes)
		return clef__fail(CLEF_ERROR_FORMAT,
				  "clef_csv_open: %s, line %lld, column %lld: the label is %d; below %d is allowed",
				  r->path, r->line, (long long)r->columns, label, r->classes);
	r->labels[r->rows++] = (uint8_t)label;
	r->largest = CLEF__MAX(r->largest, label);
	return CLEF_OK;
}

/* The values of a line that is not blank, up to its end. */
static clef_status parse_row(reader *r)
{
	for (int64_t column = 0; column < r->columns; column++) {
		bool last = column == r->columns - 1, ends;
		clef_status s;
		int value;

		s = parse_field(r, column, &value);
		if (s)
			return s;
		ends = r->at == r->end || *r->at == '\n';
		if (ends != last)
			return clef__fail(
				CLEF_ERROR_FORMAT,
				"clef_csv_open: %s, line %lld, column %lld: %s columns than the %lld of a sample and "
				"its label",
				r->path, r->line, (long long)column + 1, last ? "more" : "fewer",
				(long long)r->columns);
		if (last)
			return add_label(r, value);
		r->samples[r->rows * (r->columns - 1) + column] = (uint8_t)value;
		r->at++;
	}
	return CLEF_OK;
}

static clef_status parse_line(reader *r)
{
	clef_status s = CLEF_OK;

	skip_blanks(r);
	if (r->at < r->end && *r->at != '\n')
		s = parse_row(r);
	if (r->at < r->end)
		r->at++;
	r->line++;
	return s;
}

static clef_status parse_file(reader *r, clef__bytes file)
{
	size_t values = file.size / 2 + 1;
	clef_status s = CLEF_OK;

	r->at = file.data;
	r->end = file.data + file.size;
	r->line = 1;
	r->samples = clef__calloc(values, 1, "the samples of a data set");
	r->labels = r->samples ? clef__calloc(values / (size_t)r->columns + 1, 1, "the labels of a data set") : NULL;
	if (!r->labels)
		return CLEF_ERROR_MEMORY;
	while (!s && r->at < r->end)
		s = parse_line(r);
	if (!s && !r->rows)
		s = clef__fail(CLEF_ERROR_FORMAT, "clef_csv_open: %s holds only blank lines", r->path);
	return s;
}

clef_dataset *clef_csv_open(const char *path, clef_shape sample, int classes)
{
	static const char what[] = "clef_csv_open";
	reader r = { .path = path, .classes = classes ? classes : CLEF__MAX_CLASSES };
	clef__bytes file;
	uint8_t *fitted;
	clef_status s;

	if (!path)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: the path is NULL", what);
	if (clef__sample_check(what, sample) || clef__classes_check(what, classes) ||
	    clef__file_read(what, path, CLEF__FILE_LIMIT, &file))
		return NULL;
	r.columns = clef_shape_numel(sample) + 1;
	s = parse_file(&r, file);
	free(file.data);
	if (s) {
		free(r.samples);
		free(r.labels);
		return NULL;
	}
	fitted = realloc(r.samples, (size_t)(r.rows * (r.columns - 1)));
	return clef__dataset_adopt(fitted ? fitted : r.samples, r.labels, r.rows, sample,
				   classes ? classes : r.largest + 1);
}
