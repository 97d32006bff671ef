/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models as text, "flatten linear(256) relu linear(10)": a tokenizer and a loop, driven by the table of layer kinds in
 * layer_types.c, so that a new kind can be written at once. Numbers are copied out of the text before they are
 * converted: strtod() under a locale with decimal commas would read "(-2,2)" as one number.
 */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>

#include "nn_internal.h"

typedef struct parser {
	const char *text;
	const char *p;
} parser;

/* A piece of the text. */
typedef struct word {
	const char *start;
	int length;
} word;

static int position(const parser *in, const char *at)
{
	return (int)(at - in->text) + 1;
}

static void skip_blanks(parser *in)
{
	while (isspace((unsigned char)*in->p))
		in->p++;
}

static void skip_separators(parser *in)
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

static bool accept(parser *in, char c)
{
	skip_blanks(in);
	if (*in->p != c)
		return false;
	in->p++;
	return true;
}

static word next_name(parser *in)
{
	word w = { .start = in->p };

	while (isalnum((unsigned char)*in->p) || *in->p == '_')
		in->p++;
	w.length = (int)(in->p - w.start);
	return w;
}

/* What stands between brackets, commas and blanks: a name or a number. */
static word next_value(parser *in)
{
	word w = { .start = in->p };

	while (*in->p && !isspace((unsigned char)*in->p) && !strchr("(),=", *in->p))
		in->p++;
	w.length = (int)(in->p - w.start);
	return w;
}

static bool is_text(word w, const char *text)
{
	return strlen(text) == (size_t)w.length && !memcmp(w.start, text, (size_t)w.length);
}

/* ---- words that are not known ---- */

#define LONGEST_GUESS 32

/* The number of letters to change, insert or take out, whatever their case. */
static int distance(word w, const char *name)
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

static const char *nearest(word w)
{
	const char *best = NULL;
	int least = w.length / 3 + 2;

	for (int kind = CLEF_LAYER_NONE + 1; kind < CLEF_LAYER_KINDS; kind++) {
		const char *name = clef_layer_name((clef_layer_kind)kind);
		int d = distance(w, name);

		if (d < least) {
			least = d;
			best = name;
		}
	}
	return best;
}

static clef_status unknown_layer(const parser *in, word w)
{
	const char *guess = nearest(w);
	char known[2048] = "";
	size_t used = 0;

	for (int kind = CLEF_LAYER_NONE + 1; kind < CLEF_LAYER_KINDS && used < sizeof(known); kind++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
					 kind > CLEF_LAYER_NONE + 1 ? ", " : "",
					 clef_layer_name((clef_layer_kind)kind));
	return clef__fail(CLEF_ERROR_INVALID,
			  "clef_layers_parse: unknown layer \"%.*s\" at character %d%s%s%s; known are %s", w.length,
			  w.start, position(in, w.start), guess ? "; did you mean \"" : "", guess ? guess : "",
			  guess ? "\"?" : "", known);
}

/* ---- the values of a layer ---- */

/* "linear(out, no_bias)", for messages. */
static const char *usage(const clef__layer_type *type, char text[160])
{
	size_t used = (size_t)snprintf(text, 160, "%s", type->name);

	for (int i = 0; i < CLEF__LAYER_FIELDS && type->field[i].name; i++)
		used += (size_t)snprintf(text + used, 160 - used, "%s%s", i ? ", " : "(", type->field[i].name);
	if (type->field[0].name)
		snprintf(text + used, 160 - used, ")");
	return text;
}

static clef_status bad_value(const parser *in, word w, const clef__layer_type *type, const char *what)
{
	char allowed[160];

	return clef__fail(CLEF_ERROR_INVALID, "clef_layers_parse: \"%.*s\" at character %d: %s; allowed is %s",
			  w.length, w.start, position(in, w.start), what, usage(type, allowed));
}

/* A float, or a double where that is what the field is. */
static const char *set_number(clef_layer *layer, const clef__layer_field *field, const char *text)
{
	double d;
	float f;
	char *end;

	errno = 0;
	d = strtod(text, &end);
	if (end == text || *end || isnan(d))
		return "a number was expected";
	if (field->kind != CLEF__FIELD_NUMBER && !(d > 0))
		return "a number above 0 was expected";
	if (fabs(d) > (double)FLT_MAX && (isfinite(d) || errno == ERANGE))
		return "the number does not fit a float";
	f = (float)d;
	if (field->kind == CLEF__FIELD_POSITIVE && !(f > 0))
		return "the number does not fit a float";
	if (field->kind == CLEF__FIELD_SCALE)
		memcpy((char *)layer + field->offset, &d, sizeof(d));
	else
		memcpy((char *)layer + field->offset, &f, sizeof(f));
	return NULL;
}

static const char *set_count(clef_layer *layer, const clef__layer_field *field, const char *text)
{
	static const struct {
		int64_t least;
		const char *expected;
	} ranges[] = {
		[CLEF__FIELD_COUNT] = { 1, "a whole number from 1 to 2147483647 was expected" },
		[CLEF__FIELD_WHOLE] = { 0, "a whole number from 0 to 2147483647 was expected" },
		[CLEF__FIELD_INTEGER] = { -INT32_MAX, "a whole number other than 0 was expected" },
	};
	long long n;
	int64_t value;
	char *end;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || *end || errno || n < ranges[field->kind].least || n > INT32_MAX ||
	    (!n && field->kind == CLEF__FIELD_INTEGER))
		return ranges[field->kind].expected;
	value = n;
	memcpy((char *)layer + field->offset, &value, sizeof(value));
	return NULL;
}

static clef_status set_field(const parser *in, clef_layer *layer, const clef__layer_type *type, int i, word value)
{
	const clef__layer_field *field = &type->field[i];
	const char *wrong;
	char text[64];

	if (value.length == 0 || (size_t)value.length >= sizeof(text))
		return bad_value(in, value, type, "a number was expected");
	memcpy(text, value.start, (size_t)value.length);
	text[value.length] = '\0';
	if (field->kind <= CLEF__FIELD_INTEGER)
		wrong = set_count(layer, field, text);
	else
		wrong = set_number(layer, field, text);
	return wrong ? bad_value(in, value, type, wrong) : CLEF_OK;
}

static int field_of(const clef__layer_type *type, word name)
{
	for (int i = 0; i < CLEF__LAYER_FIELDS && type->field[i].name; i++)
		if (is_text(name, type->field[i].name))
			return i;
	return -1;
}

static int next_field(const clef__layer_type *type, const bool *seen)
{
	for (int i = 0; i < CLEF__LAYER_FIELDS && type->field[i].name; i++)
		if (!seen[i] && type->field[i].kind != CLEF__FIELD_FLAG)
			return i;
	return -1;
}

/* One of "0.2" (the next number), "no_bias" (a flag), "min_val=-2" (a number by name). */
static clef_status parse_argument(parser *in, clef_layer *layer, const clef__layer_type *type, bool *seen)
{
	word w, value;
	int i;

	skip_blanks(in);
	w = value = next_value(in);
	if (!w.length)
		return bad_value(in, w, type, "a value was expected");
	i = field_of(type, w);
	if (accept(in, '=')) {
		if (i < 0 || type->field[i].kind == CLEF__FIELD_FLAG)
			return bad_value(in, w, type, "this takes no value of that name");
		skip_blanks(in);
		value = next_value(in);
	} else if (i < 0) {
		i = next_field(type, seen);
		if (i < 0)
			return bad_value(in, w, type, "one value too many, or an unknown word");
	}
	if (seen[i])
		return bad_value(in, w, type, "given twice");
	seen[i] = true;
	if (type->field[i].kind != CLEF__FIELD_FLAG)
		return set_field(in, layer, type, i, value);
	memcpy((char *)layer + type->field[i].offset, &(bool){ true }, sizeof(bool));
	return CLEF_OK;
}

/* p and q that were not given get their defaults as soon as one was; zeros throughout would all mean defaults. */
static void fill_numbers(clef_layer *layer, const clef__layer_type *type, const bool *seen)
{
	bool any = false;

	for (int i = 0; i < CLEF__LAYER_FIELDS && type->field[i].name; i++)
		any |= seen[i] && type->field[i].kind == CLEF__FIELD_NUMBER;
	for (int i = 0; i < CLEF__LAYER_FIELDS && type->field[i].name && any; i++)
		if (!seen[i] && type->field[i].kind == CLEF__FIELD_NUMBER)
			memcpy((char *)layer + type->field[i].offset, &type->field[i].preset, sizeof(float));
	if (any && layer->p == 0.0f && layer->q == 0.0f)
		layer->p = -0.0f;
}

static clef_status parse_arguments(parser *in, clef_layer *layer, const clef__layer_type *type, word name)
{
	bool seen[CLEF__LAYER_FIELDS] = { false };
	bool open = accept(in, '(');
	clef_status s = CLEF_OK;

	if (open && !accept(in, ')')) {
		do
			s = parse_argument(in, layer, type, seen);
		while (!s && accept(in, ','));
		if (!s && !accept(in, ')'))
			return clef__fail(
				CLEF_ERROR_INVALID,
				"clef_layers_parse: \"%.*s\" at character %d has no closing bracket: expected "
				"',' or ')' at character %d",
				name.length, name.start, position(in, name.start), position(in, in->p));
	}
	for (int i = 0; i < CLEF__LAYER_FIELDS && type->field[i].name && !s; i++)
		if (!seen[i] && type->field[i].kind == CLEF__FIELD_COUNT)
			s = bad_value(in, name, type, "a number is missing");
	if (!s)
		fill_numbers(layer, type, seen);
	return s;
}

static clef_status parse_layer(parser *in, clef_layer *layer)
{
	word name = next_name(in);
	const char *after;

	if (!name.length)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_layers_parse: \"%c\" at character %d: the name of a layer was expected", *in->p,
				  position(in, in->p));
	for (int kind = CLEF_LAYER_NONE + 1; kind < CLEF_LAYER_KINDS && !layer->kind; kind++)
		if (is_text(name, clef_layer_name((clef_layer_kind)kind)))
			layer->kind = (clef_layer_kind)kind;
	if (!layer->kind)
		return unknown_layer(in, name);
	after = in->p;
	skip_blanks(in);
	if (*in->p != '(')
		in->p = after;
	return parse_arguments(in, layer, clef__layer_type_of(layer->kind), name);
}

clef_status clef_layers_parse(const char *text, clef_layer **layers, int *count)
{
	parser in = { text, text };
	clef_layer *list = NULL;
	int n = 0, capacity = 0;
	clef_status s = CLEF_OK;

	if (!text || !layers || !count)
		return clef__null_argument("clef_layers_parse");
	*layers = NULL;
	*count = 0;
	for (skip_separators(&in); *in.p && !s; skip_separators(&in)) {
		s = clef__grow(&list, &capacity, n + 1, sizeof(*list), "layers");
		if (!s)
			s = parse_layer(&in, &list[n++]);
	}
	if (!s && !n)
		s = clef__fail(CLEF_ERROR_INVALID, "clef_layers_parse: \"%s\" has no layers in it", text);
	if (s) {
		free(list);
		return s;
	}
	*layers = list;
	*count = n;
	return CLEF_OK;
}
