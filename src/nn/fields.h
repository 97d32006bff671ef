/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structs of options as tables of fields, and text that fills them in: "conv2d(16, 5, pad=2)". Layers, optimizers and
 * schedules each have kinds with a table; what is written between the brackets means the same for all of them.
 */
#ifndef CLEF_FIELDS_H
#define CLEF_FIELDS_H

#include "tape.h"

typedef enum clef__field_kind {
	CLEF__FIELD_COUNT,    /* int64_t, 1 or more; required */
	CLEF__FIELD_WHOLE,    /* int64_t, 0 or more; 0 if left out */
	CLEF__FIELD_INTEGER,  /* int64_t but 0, which is left out */
	CLEF__FIELD_NUMBER,   /* float, p or q of clef_layer */
	CLEF__FIELD_OPTION,   /* float, with a range; a written 0 is stored as -0.0, which is a zero that is meant */
	CLEF__FIELD_DOUBLE,   /* double; the same, without a range here */
	CLEF__FIELD_POSITIVE, /* float above 0; 0 if left out */
	CLEF__FIELD_SCALE,    /* double above 0; 0 if left out */
	CLEF__FIELD_FLAG,     /* bool */
	CLEF__FIELD_LIST,     /* const int64_t *, allocated, of 0 or more each; the int behind it counts them */
} clef__field_kind;

typedef enum clef__range {
	CLEF__POSITIVE,     /* > 0 */
	CLEF__NON_NEGATIVE, /* >= 0 */
	CLEF__BELOW_ONE,    /* >= 0 and < 1 */
	CLEF__SHARE,        /* >= 0 and <= 1 */
	CLEF__INSIDE,       /* > 0 and < 1 */
	CLEF__ABOVE_ONE,    /* > 1 */
	CLEF__NEGATIVE,     /* <= 0 */
} clef__range;

typedef struct clef__field {
	const char *name; /* NULL ends a table */
	clef__field_kind kind;
	size_t offset;
	float preset; /* default of a number or an option */
	clef__range range;
} clef__field;

#define CLEF__FIELDS 12 /* of a kind at most, with the end */

/* True for a field that was left at 0, which means its default; -0.0f is a zero that is meant. */
bool clef__left_out(float value);

/* Fails unless the value is in the range, and finite: optim_options.c. */
clef_status clef__option_check(const char *function, const char *name, float value, clef__range range);

/* ---- text: fields_parse.c ---- */

/* A set of kinds, numbered from 0. */
typedef struct clef__language {
	const char *function; /* for messages */
	const char *noun;     /* "layer", */
	const char *a_noun;   /* "a layer" */
	int count;
	const char *(*name)(int kind); /* NULL: this kind cannot be written */
	const clef__field *(*fields)(int kind);
} clef__language;

typedef struct clef__parser {
	const clef__language *language;
	const char *text, *p;
} clef__parser;

/* A piece of the text. */
typedef struct clef__word {
	const char *start;
	int length;
} clef__word;

/* Goes over blanks, commas and arrows. */
void clef__parse_separators(clef__parser *in);

/* The name of a kind. */
clef_status clef__parse_kind(clef__parser *in, clef__word *name, int *kind);

/* What stands in brackets behind the name, if there are any, into `values`. `seen`: which fields were given. */
clef_status clef__parse_fields(clef__parser *in, clef__word name, int kind, void *values, bool seen[CLEF__FIELDS]);

/* Fails unless nothing but separators is left. */
clef_status clef__parse_end(clef__parser *in);

#endif
