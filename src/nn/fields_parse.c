/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds and their options as text, "leaky_relu(0.2)": a tokenizer that is driven by tables of names and fields, so that
 * whatever has a table can be written at once. Numbers are copied out of the text before they are converted: strtod()
 * under a locale with decimal commas would read "(-2,2)" as one number.
 */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>

#include "fields.h"

static int position(const clef__parser *in, const char *at)
{
	return (int)(at - in->text) + 1;
}

static void skip_blanks(clef__parser *in)
{
	while (isspace((unsigned char)*in->p))
		in->p++;
}

void clef__parse_separators(clef__parser *in)
{
	for (;;) {
		if (isspace((unsigned char)*in->p) || *in->p == ',')
			in->p++;
		else if (in->p[0] == '-' && in->p[1] == '>')
			in->p += 2;
		else
			return;
	}
}

static bool accept(clef__parser *in, char c)
{
	skip_blanks(in);
	if (*in->p != c)
		return false;
	in->p++;
	return true;
}

static clef__word next_name(clef__parser *in)
{
	clef__word w = { .start = in->p };

	while (isalnum((unsigned char)*in->p) || *in->p == '_')
		in->p++;
	w.length = (int)(in->p - w.start);
	return w;
}

/* What stands between brackets, commas and blanks: a name or a number. */
static clef__word next_value(clef__parser *in)
{
	clef__word w = { .start = in->p };

	while (*in->p && !isspace((unsigned char)*in->p) && !strchr("(),=", *in->p))
		in->p++;
	w.length = (int)(in->p - w.start);
	return w;
}

static bool is_text(clef__word w, const char *text)
{
	return strlen(text) == (size_t)w.length && !memcmp(w.start, text, (size_t)w.length);
}

/* ---- words that are not known ---- */

#define LONGEST_GUESS 32

/* The number of letters to change, insert or take out, whatever their case. */
static int distance(clef__word w, const char *name)
{
	int row[LONGEST_GUESS + 1];
	int n = (int)strlen(name);

	if (n > LONGEST_GUESS)
		return n;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 0; i < w.length; i++) {
		int diagonal = row[0];

		row[0] = i + 1;
		for (int j = 1; j <= n; j++) {
			bool same = tolower((unsigned char)w.start[i]) == name[j - 1];
			int change = diagonal + !same;

			diagonal = row[j];
			row[j] = CLEF__MIN(change, CLEF__MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

static const char *nearest(const clef__language *language, clef__word w)
{
	const char *best = NULL;
	int least = w.length / 3 + 2;

	for (int kind = 0; kind < language->count; kind++) {
		const char *name = language->name(kind);
		int d = name ? distance(w, name) : least;

		if (d < least) {
			least = d;
			best = name;
		}
	}
	return best;
}

static clef_status unknown_kind(const clef__parser *in, clef__word w)
{
	const clef__language *language = in->language;
	const char *guess = nearest(language, w);
	char known[2048] = "";
	size_t used = 0;

	for (int kind = 0; kind < language->count && used < sizeof(known); kind++)
		if (language->name(kind))
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
						 language->name(kind));
	return clef__fail(CLEF_ERROR_INVALID, "%s: unknown %s \"%.*s\" at character %d%s%s%s; known are %s",
			  language->function, language->noun, w.length, w.start, position(in, w.start),
			  guess ? "; did you mean \"" : "", guess ? guess : "", guess ? "\"?" : "", known);
}

clef_status clef__parse_kind(clef__parser *in, clef__word *name, int *kind)
{
	const clef__language *language = in->language;

	*name = next_name(in);
	if (!name->length)
		return clef__fail(CLEF_ERROR_INVALID, "%s: \"%.1s\" at character %d: the name of %s was expected",
				  language->function, in->p, position(in, in->p), language->a_noun);
	for (*kind = 0; *kind < language->count; ++*kind)
		if (language->name(*kind) && is_text(*name, language->name(*kind)))
			return CLEF_OK;
	return unknown_kind(in, *name);
}

/* ---- values ---- */

#define USAGE 256

/* "linear(out, no_bias)", for messages. */
static const char *usage(const clef__language *language, int kind, char text[USAGE])
{
	const clef__field *field = language->fields(kind);
	size_t used = (size_t)snprintf(text, USAGE, "%s", language->name(kind));

	for (int i = 0; field[i].name && used < USAGE; i++)
		used += (size_t)snprintf(text + used, USAGE - used, "%s%s", i ? ", " : "(", field[i].name);
	if (field[0].name && used < USAGE)
		snprintf(text + used, USAGE - used, ")");
	return text;
}

static clef_status bad_value(const clef__parser *in, clef__word w, int kind, const char *what)
{
	char allowed[USAGE];

	return clef__fail(CLEF_ERROR_INVALID, "%s: \"%.*s\" at character %d: %s; allowed is %s", in->language->function,
			  w.length, w.start, position(in, w.start), what, usage(in->language, kind, allowed));
}

/* A float, or a double where that is what the field is. */
static const char *set_number(void *values, const clef__field *field, const char *text)
{
	bool option = field->kind == CLEF__FIELD_OPTION || field->kind == CLEF__FIELD_DOUBLE;
	bool wide = field->kind == CLEF__FIELD_SCALE || field->kind == CLEF__FIELD_DOUBLE;
	double d;
	float f;
	char *end;

	errno = 0;
	d = strtod(text, &end);
	if (end == text || *end || isnan(d))
		return "a number was expected";
	if (field->kind != CLEF__FIELD_NUMBER && !option && !(d > 0))
		return "a number above 0 was expected";
	if (fabs(d) > (double)FLT_MAX && (isfinite(d) || errno == ERANGE))
		return "the number does not fit a float";
	if (option && d == 0)
		d = -0.0;
	f = (float)d;
	if (field->kind == CLEF__FIELD_POSITIVE && !(f > 0))
		return "the number does not fit a float";
	if (wide)
		memcpy((char *)values + field->offset, &d, sizeof(d));
	else
		memcpy((char *)values + field->offset, &f, sizeof(f));
	return NULL;
}

static const char *append(void *values, const clef__field *field, int64_t value)
{
	char *place = (char *)values + field->offset;
	int64_t *list;
	int count;

	memcpy(&list, place, sizeof(list));
	memcpy(&count, place + sizeof(list), sizeof(count));
	list = realloc(list, ((size_t)count + 1) * sizeof(*list));
	if (!list)
		return "there is no memory for it";
	list[count++] = value;
	memcpy(place, &list, sizeof(list));
	memcpy(place + sizeof(list), &count, sizeof(count));
	return NULL;
}

static const char *set_count(void *values, const clef__field *field, const char *text)
{
	int64_t least = field->kind == CLEF__FIELD_COUNT ? 1 : field->kind == CLEF__FIELD_INTEGER ? -INT32_MAX : 0;
	bool no_zero = field->kind == CLEF__FIELD_INTEGER;
	long long n;
	int64_t value;
	char *end;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || *end || errno || n < least || n > INT32_MAX || (!n && no_zero))
		return no_zero ? "a whole number other than 0 was expected"
		       : least ? "a whole number from 1 to 2147483647 was expected"
			       : "a whole number from 0 to 2147483647 was expected";
	value = n;
	if (field->kind == CLEF__FIELD_LIST)
		return append(values, field, value);
	memcpy((char *)values + field->offset, &value, sizeof(value));
	return NULL;
}

static clef_status set_field(const clef__parser *in, int kind, const clef__field *field, clef__word value, void *values)
{
	bool whole = field->kind <= CLEF__FIELD_INTEGER || field->kind == CLEF__FIELD_LIST;
	const char *wrong;
	char text[64];

	if (value.length == 0 || (size_t)value.length >= sizeof(text))
		return bad_value(in, value, kind, "a number was expected");
	memcpy(text, value.start, (size_t)value.length);
	text[value.length] = '\0';
	wrong = whole ? set_count(values, field, text) : set_number(values, field, text);
	return wrong ? bad_value(in, value, kind, wrong) : CLEF_OK;
}

static int field_of(const clef__field *field, clef__word name)
{
	for (int i = 0; field[i].name; i++)
		if (is_text(name, field[i].name))
			return i;
	return -1;
}

/* The one that a value without a name is for; a list takes all there are. */
static int next_field(const clef__field *field, const bool *seen)
{
	for (int i = 0; field[i].name; i++)
		if (field[i].kind == CLEF__FIELD_LIST || (!seen[i] && field[i].kind != CLEF__FIELD_FLAG))
			return i;
	return -1;
}

/* One of "0.2" (the next number), "no_bias" (a flag), "min_val=-2" (a number by name). */
static clef_status parse_argument(clef__parser *in, int kind, void *values, bool *seen)
{
	const clef__field *field = in->language->fields(kind);
	clef__word w, value;
	int i;

	skip_blanks(in);
	w = value = next_value(in);
	if (!w.length)
		return bad_value(in, w, kind, "a value was expected");
	i = field_of(field, w);
	if (accept(in, '=')) {
		if (i < 0 || field[i].kind == CLEF__FIELD_FLAG)
			return bad_value(in, w, kind, "this takes no value of that name");
		skip_blanks(in);
		value = next_value(in);
	} else if (i < 0) {
		i = next_field(field, seen);
		if (i < 0)
			return bad_value(in, w, kind, "one value too many, or an unknown word");
	}
	if (seen[i] && field[i].kind != CLEF__FIELD_LIST)
		return bad_value(in, w, kind, "given twice");
	seen[i] = true;
	if (field[i].kind != CLEF__FIELD_FLAG)
		return set_field(in, kind, &field[i], value, values);
	memcpy((char *)values + field[i].offset, &(bool){ true }, sizeof(bool));
	return CLEF_OK;
}

clef_status clef__parse_fields(clef__parser *in, clef__word name, int kind, void *values, bool seen[CLEF__FIELDS])
{
	const clef__field *field = in->language->fields(kind);
	const char *after = in->p;
	clef_status s = CLEF_OK;

	memset(seen, 0, CLEF__FIELDS * sizeof(*seen));
	if (!accept(in, '(')) {
		in->p = after;
	} else if (!accept(in, ')')) {
		do
			s = parse_argument(in, kind, values, seen);
		while (!s && accept(in, ','));
		if (!s && !accept(in, ')'))
			return clef__fail(CLEF_ERROR_INVALID,
					  "%s: \"%.*s\" at character %d has no closing bracket: expected "
					  "',' or ')' at character %d",
					  in->language->function, name.length, name.start, position(in, name.start),
					  position(in, in->p));
	}
	for (int i = 0; field[i].name && !s; i++)
		if (!seen[i] && field[i].kind == CLEF__FIELD_COUNT)
			s = bad_value(in, name, kind, "a number is missing");
	return s;
}

clef_status clef__parse_end(clef__parser *in)
{
	clef__parse_separators(in);
	if (!*in->p)
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_INVALID, "%s: \"%.20s\" at character %d is left over: there can be one %s",
			  in->language->function, in->p, position(in, in->p), in->language->noun);
}
