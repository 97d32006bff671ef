/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Problems as text, both ways: a tokenizer that is driven by the families' tables of terms. Reading and writing go
 * through the same table, so what is printed can be typed in again.
 */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>

#include "problem.h"

static const clef__term common[] = {
	{ .name = "whole",
	  .kind = CLEF__TERM_FLAG,
	  .about = "data are whole numbers, and results must be exact where they can" },
	{ NULL },
};

typedef struct reader {
	clef__problem *p;
	char word[128]; /* that is being read */
	bool seen[64];  /* terms of the family */
} reader;

/* ---- families ---- */

static const clef__family *find_family(const char *name)
{
	for (int i = 0; i < clef__family_count; i++)
		if (!strcmp(clef__families[i]->name, name))
			return clef__families[i];
	return NULL;
}

/* The number of letters in front that both have. */
static int shared(const char *a, const char *b)
{
	int n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

static clef_status unknown_family(const char *name)
{
	const char *best = NULL;
	int most = 2;

	for (int i = 0; i < clef__family_count; i++) {
		int n = shared(name, clef__families[i]->name);

		if (n > most) {
			most = n;
			best = clef__families[i]->name;
		}
	}
	return clef__fail(CLEF_ERROR_INVALID, "problem: \"%s\" is no operation%s%s%s", name,
			  best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "");
}

/* ---- values ---- */

static void store(clef__problem *p, const clef__term *t, double value)
{
	unsigned char *at = p->opts + t->offset;
	int i = (int)value;
	float f = (float)value;
	bool b = value != 0;

	if (t->kind == CLEF__TERM_INT || t->kind == CLEF__TERM_WORD)
		memcpy(at, &i, sizeof(i));
	else if (t->kind == CLEF__TERM_FLOAT)
		memcpy(at, &f, sizeof(f));
	else if (t->kind == CLEF__TERM_DOUBLE)
		memcpy(at, &value, sizeof(value));
	else if (t->kind == CLEF__TERM_FLAG)
		memcpy(at, &b, sizeof(b));
	else if (t->kind == CLEF__TERM_SHAPE && value < 0)
		memcpy(at, &(clef_shape){ .ndim = -1 }, sizeof(clef_shape));
}

static double load(const clef__problem *p, const clef__term *t)
{
	const unsigned char *at = p->opts + t->offset;
	int i;
	float f;
	double d;
	bool b;

	switch (t->kind) {
	case CLEF__TERM_FLOAT:
		memcpy(&f, at, sizeof(f));
		return (double)f;
	case CLEF__TERM_DOUBLE:
		memcpy(&d, at, sizeof(d));
		return d;
	case CLEF__TERM_FLAG:
		memcpy(&b, at, sizeof(b));
		return b;
	default:
		memcpy(&i, at, sizeof(i));
		return i;
	}
}

static clef_status bad_word(const reader *r, const char *what)
{
	return clef__fail(CLEF_ERROR_INVALID, "problem: \"%s\" of %s: %s", r->word, r->p->family->name, what);
}

static clef_status out_of_range(const reader *r, const clef__term *t)
{
	return clef__fail(CLEF_ERROR_INVALID, "problem: \"%s\" of %s: %.10g to %.10g are allowed", r->word,
			  r->p->family->name, t->least, t->most);
}

static clef_status read_number(reader *r, const clef__term *t, const char *text)
{
	bool whole = t->kind == CLEF__TERM_INT;
	double value;
	char *end;

	errno = 0;
	value = strtod(text, &end);
	if (end == text || *end || isnan(value) || (whole && value != floor(value)))
		return bad_word(r, whole ? "a whole number is expected" : "a number is expected");
	if ((t->least < t->most && !(value >= t->least && value <= t->most)))
		return out_of_range(r, t);
	/* "inf" is a number, 1e999 is not. */
	if (whole ? fabs(value) > INT_MAX : isinf(value) ? errno == ERANGE : fabs(value) > (double)FLT_MAX)
		return bad_word(r, "the number is too large");
	store(r->p, t, value);
	return CLEF_OK;
}

/* Numbers with `separator` in between, into v; -1 where they are none or too many. */
static int read_list(const char *text, char separator, int64_t v[CLEF_MAX_DIMS])
{
	int count = 0;

	for (;;) {
		char *end;

		if (count == CLEF_MAX_DIMS || isspace((unsigned char)*text))
			return -1;
		errno = 0;
		v[count++] = strtoll(text, &end, 10);
		if (end == text || errno || (*end && *end != separator))
			return -1;
		if (!*end)
			return count;
		text = end + 1;
	}
}

static clef_status read_shape(reader *r, const clef__term *t, const char *text)
{
	clef_shape shape = { 0 };

	if (strcmp(text, "scalar") != 0)
		shape.ndim = read_list(text, 'x', shape.dim);
	if (shape.ndim < 0 || clef_shape_numel(shape) < 0)
		return bad_word(r, "a shape is expected, such as 2x3x4, of 2147483647 elements at most, or scalar");
	memcpy(r->p->opts + t->offset, &shape, sizeof(shape));
	return CLEF_OK;
}

static clef_status read_word(reader *r, const clef__term *t, const char *text)
{
	char known[200] = "";
	size_t used = 0;

	for (int i = 0; t->words[i]; i++) {
		if (!strcmp(t->words[i], text)) {
			store(r->p, t, i);
			return CLEF_OK;
		}
		if (used < sizeof(known))
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
						 t->words[i]);
	}
	return clef__fail(CLEF_ERROR_INVALID, "problem: \"%s\" of %s: there are %s", r->word, r->p->family->name,
			  known);
}

static clef_status read_value(reader *r, const clef__term *t, const char *text)
{
	clef__list list = { 0 };

	switch (t->kind) {
	case CLEF__TERM_SHAPE:
		return read_shape(r, t, text);
	case CLEF__TERM_WORD:
		return read_word(r, t, text);
	case CLEF__TERM_LIST:
		list.count = read_list(text, ',', list.v);
		if (list.count < 0)
			return bad_word(r, "whole numbers are expected, 8 at most, with commas in between");
		for (int i = 0; i < list.count && t->least < t->most; i++)
			if ((double)list.v[i] < t->least || (double)list.v[i] > t->most)
				return out_of_range(r, t);
		memcpy(r->p->opts + t->offset, &list, sizeof(list));
		return CLEF_OK;
	default:
		return read_number(r, t, text);
	}
}

/* ---- words ---- */

/* Where the value begins, if the word can be one of this term; NULL if not. */
static const char *value_of(const clef__term *t, const char *word)
{
	size_t n = strlen(t->name);

	if (strncmp(word, t->name, n) != 0)
		return NULL;
	word += n;
	if (t->kind == CLEF__TERM_FLAG)
		return *word ? NULL : word;
	if (*word == '=')
		return word + 1;
	return isdigit((unsigned char)*word) || *word == '-' || *word == '.' ? word : NULL;
}

/* The one with the longest name: "pad2" is not "p" with the value "ad2". */
static int find_term(const clef__term *terms, const char *word)
{
	int best = -1;

	for (int i = 0; terms[i].name; i++)
		if (value_of(&terms[i], word) && (best < 0 || strlen(terms[i].name) > strlen(terms[best].name)))
			best = i;
	return best;
}

static clef_status unknown_word(const reader *r)
{
	const clef__family *f = r->p->family;
	char known[400] = "";
	size_t used = 0;

	for (int i = 0; f->terms && f->terms[i].name && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s, ", f->terms[i].name);
	return clef__fail(CLEF_ERROR_INVALID, "problem: \"%s\" means nothing to %s; there are %s%s", r->word, f->name,
			  known, common[0].name);
}

static clef_status read_term(reader *r)
{
	const clef__term *terms = r->p->family->terms;
	int i = terms ? find_term(terms, r->word) : -1;

	if (i < 0) {
		if (strcmp(r->word, common[0].name) != 0)
			return unknown_word(r);
		r->p->whole = true;
		return CLEF_OK;
	}
	if (r->seen[i])
		return bad_word(r, "it is given twice");
	r->seen[i] = true;
	if (terms[i].kind != CLEF__TERM_FLAG)
		return read_value(r, &terms[i], value_of(&terms[i], r->word));
	store(r->p, &terms[i], 1);
	return CLEF_OK;
}

/* The next word of the text; false at its end. */
static bool next_word(const char **text, char word[128])
{
	const char *p = *text;
	size_t n = 0;

	while (isspace((unsigned char)*p))
		p++;
	while (p[n] && !isspace((unsigned char)p[n]))
		n++;
	snprintf(word, 128, "%.*s", (int)n, p);
	*text = p + n;
	return n > 0;
}

static clef_status check_required(reader *r)
{
	const clef__term *t = r->p->family->terms;

	for (int i = 0; t && t[i].name; i++) {
		bool number = t[i].kind <= CLEF__TERM_DOUBLE && t[i].least < t[i].most && t[i].preset < t[i].least;
		bool shape = t[i].kind == CLEF__TERM_SHAPE && t[i].preset > 0;
		bool word = t[i].kind == CLEF__TERM_WORD && t[i].preset < 0;

		if (!r->seen[i] && (number || shape || word))
			return clef__fail(CLEF_ERROR_INVALID, "problem: %s needs %s, as in %s%s%s", r->p->family->name,
					  t[i].name, t[i].name, word ? "=" : "",
					  number  ? "8"
					  : shape ? "2x3x4"
						  : t[i].words[0]);
	}
	return CLEF_OK;
}

/* ---- writing ---- */

static size_t write_list(char *text, size_t size, const int64_t *v, int count, char separator)
{
	size_t used = 0;

	for (int i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%.*s%lld", i > 0, &separator, (long long)v[i]);
	return used;
}

/* As few digits as give the same number; an int has ten at most. */
static size_t write_number(const clef__term *t, double value, char *text, size_t size)
{
	return (size_t)snprintf(text, size, t->kind == CLEF__TERM_FLOAT ? "%.7g" : "%.10g", value);
}

static size_t write_term(const clef__problem *p, const clef__term *t, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, " %s", t->name);
	clef_shape shape;
	clef__list list;

	if (used >= size)
		return used;
	switch (t->kind) {
	case CLEF__TERM_FLAG:
		return used;
	case CLEF__TERM_SHAPE:
		memcpy(&shape, p->opts + t->offset, sizeof(shape));
		if (shape.ndim == 0)
			return used + (size_t)snprintf(text + used, size - used, "=scalar");
		return used + write_list(text + used, size - used, shape.dim, shape.ndim, 'x');
	case CLEF__TERM_LIST:
		memcpy(&list, p->opts + t->offset, sizeof(list));
		return used + write_list(text + used, size - used, list.v, list.count, ',');
	case CLEF__TERM_WORD:
		return used + (size_t)snprintf(text + used, size - used, "=%s", t->words[(int)load(p, t)]);
	default:
		/* "pinf" would be a word of its own. */
		if (isinf(load(p, t)))
			return used + (size_t)snprintf(text + used, size - used, "=%g", load(p, t));
		return used + write_number(t, load(p, t), text + used, size - used);
	}
}

/* A negative zero is not a preset of zero: some operations tell them apart. */
static bool is_preset(const clef__problem *p, const clef__term *t)
{
	double value = load(p, t);

	return value == t->preset && !signbit(value) == !signbit(t->preset);
}

static void write_problem(const reader *r, const clef__problem *p)
{
	const clef__term *t = p->family->terms;
	char *text = r->p->text;
	size_t used = (size_t)snprintf(text, CLEF__PROBLEM_TEXT, "%s", p->family->name);

	for (int i = 0; t && t[i].name && used < CLEF__PROBLEM_TEXT; i++) {
		bool always = t[i].kind == CLEF__TERM_SHAPE || t[i].kind == CLEF__TERM_LIST;

		if (r->seen[i] && (always || !is_preset(p, &t[i])))
			used += write_term(p, &t[i], text + used, CLEF__PROBLEM_TEXT - used);
	}
	if (p->whole && used < CLEF__PROBLEM_TEXT)
		snprintf(text + used, CLEF__PROBLEM_TEXT - used, " %s", common[0].name);
}

/* ---- a problem ---- */

clef_status clef__problem_parse(const char *text, clef__problem *p)
{
	reader r = { .p = p };
	clef_status s = CLEF_OK;

	memset(p, 0, sizeof(*p));
	if (!next_word(&text, r.word))
		return clef__fail(CLEF_ERROR_INVALID, "problem: the name of an operation is expected");
	p->family = find_family(r.word);
	if (!p->family)
		return unknown_family(r.word);
	for (int i = 0; p->family->terms && p->family->terms[i].name; i++)
		store(p, &p->family->terms[i], p->family->terms[i].preset);
	while (!s && next_word(&text, r.word))
		s = read_term(&r);
	if (!s)
		s = check_required(&r);
	if (s)
		return s;
	write_problem(&r, p);
	return p->family->setup ? p->family->setup(p) : CLEF_OK;
}

/* ---- in public ---- */

static size_t describe(const clef__term *t, char *text, size_t size)
{
	static const char *const values[] = { "N", "X", "X", "", "SHAPE", "N,N", "=" };
	size_t used = (size_t)snprintf(text, size, "%s%s", t->name, values[t->kind]);

	for (int i = 0; t->kind == CLEF__TERM_WORD && t->words[i] && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "|" : "", t->words[i]);
	if (used < size)
		used += (size_t)snprintf(text + used, size - used, "\t%s", t->about ? t->about : "");
	if (used < size && t->kind <= CLEF__TERM_DOUBLE) {
		used += (size_t)snprintf(text + used, size - used, " (");
		used += used < size ? write_number(t, t->preset, text + used, size - used) : 0;
		used += used < size ? (size_t)snprintf(text + used, size - used, ")") : 0;
	}
	if (used < size)
		used += (size_t)snprintf(text + used, size - used, "\n");
	return used;
}

clef_status clef_check_terms(const char *family, char *text, size_t size)
{
	const clef__family *f = family ? find_family(family) : NULL;
	size_t used = 0;

	if (!family || !text || !size)
		return clef__null_argument("clef_check_terms");
	if (!f)
		return unknown_family(family);
	*text = '\0';
	for (int i = 0; f->terms && f->terms[i].name && used < size; i++)
		used += describe(&f->terms[i], text + used, size - used);
	if (used < size)
		describe(&common[0], text + used, size - used);
	return CLEF_OK;
}

clef_status clef_check_normalize(const char *problem, char *text, size_t size)
{
	clef__problem *p;
	clef_status s;

	if (!problem || !text)
		return clef__null_argument("clef_check_normalize");
	p = clef__calloc(1, sizeof(*p), "a problem");
	if (!p)
		return CLEF_ERROR_MEMORY;
	s = clef__problem_parse(problem, p);
	if (!s)
		snprintf(text, size, "%s", p->text);
	free(p);
	return s;
}
