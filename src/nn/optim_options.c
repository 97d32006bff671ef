/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of optimizers: ranges and defaults, and rules by name. A rule brings a table of its fields, which is all
 * that its constructor and its text, "sgd(0.1, momentum=0.9)", need.
 */
#include "optim_internal.h"

/* ---- ranges ---- */

static const struct {
	double low, high;
	bool low_open, high_open;
} ranges[] = {
	[CLEF__POSITIVE] = { 0, INFINITY, true, true },
	[CLEF__NON_NEGATIVE] = { 0, INFINITY, false, true },
	[CLEF__BELOW_ONE] = { 0, 1, false, true },
	[CLEF__SHARE] = { 0, 1, false, false },
	[CLEF__INSIDE] = { 0, 1, true, true },
	[CLEF__ABOVE_ONE] = { 1, INFINITY, true, true },
	[CLEF__NEGATIVE] = { -INFINITY, 0, true, false },
};

clef_status clef__option_check(const char *function, const char *name, float value, clef__range range)
{
	double x = (double)value, low = ranges[range].low, high = ranges[range].high;
	char lower[32] = "", upper[32] = "finite";

	if (isfinite(x) && (ranges[range].low_open ? x > low : x >= low) &&
	    (ranges[range].high_open ? x < high : x <= high))
		return CLEF_OK;
	if (isfinite(low))
		snprintf(lower, sizeof(lower), "%s %g and ", ranges[range].low_open ? ">" : ">=", low);
	if (isfinite(high))
		snprintf(upper, sizeof(upper), "%s %g", ranges[range].high_open ? "<" : "<=", high);
	/* Adding 0 makes a plain one of -0. */
	return clef__fail(CLEF_ERROR_INVALID, "%s: %s is %g, must be %s%s", function, name, x + 0.0, lower, upper);
}

/* ---- fields ---- */

static const char *find_field(const clef__optim_type *type, const clef_optim_opts *o, const char *name)
{
	for (const clef__field *field = type->field; field->name; field++)
		if (!strcmp(field->name, name))
			return (const char *)&o->sgd + field->offset;
	return NULL;
}

float clef__optim_number(const clef__optim_type *type, const clef_optim_opts *o, const char *name)
{
	const char *place = find_field(type, o, name);
	float value = 0.0f;

	if (place)
		memcpy(&value, place, sizeof(value));
	return value;
}

bool clef__optim_flag(const clef__optim_type *type, const clef_optim_opts *o, const char *name)
{
	const char *place = find_field(type, o, name);
	bool value = false;

	if (place)
		memcpy(&value, place, sizeof(value));
	return value;
}

const clef__optim_rule *clef__optim_check(const clef__optim_type *type, clef_optim_opts *o)
{
	for (const clef__field *field = type->field; field->name; field++) {
		char *place = (char *)&o->sgd + field->offset;
		float value;

		if (field->kind == CLEF__FIELD_FLAG)
			continue;
		memcpy(&value, place, sizeof(value));
		if (clef__left_out(value))
			value = field->preset;
		memcpy(place, &value, sizeof(value));
		if (clef__option_check(type->function, field->name, value, field->range))
			return NULL;
	}
	return type->pick ? type->pick(o, type->function) : type->rule;
}

/* ---- rules by name ---- */

static const clef__optim_type *const types[CLEF_OPTIM_KINDS] = {
	[CLEF_OPTIM_SGD] = &clef__sgd,
	[CLEF_OPTIM_ADAGRAD] = &clef__adagrad,
	[CLEF_OPTIM_ADADELTA] = &clef__adadelta,
	[CLEF_OPTIM_RMSPROP] = &clef__rmsprop,
	[CLEF_OPTIM_ADAM] = &clef__adam,
	[CLEF_OPTIM_ADAMW] = &clef__adamw,
	[CLEF_OPTIM_ADAMAX] = &clef__adamax,
	[CLEF_OPTIM_NADAM] = &clef__nadam,
	[CLEF_OPTIM_RADAM] = &clef__radam,
	[CLEF_OPTIM_RPROP] = &clef__rprop,
	[CLEF_OPTIM_ASGD] = &clef__asgd,
	[CLEF_OPTIM_LION] = &clef__lion,
	[CLEF_OPTIM_LARS] = &clef__lars,
	[CLEF_OPTIM_LAMB] = &clef__lamb,
	[CLEF_OPTIM_ADAFACTOR] = &clef__adafactor,
};

const char *clef_optim_name(clef_optim_kind kind)
{
	return (unsigned)kind < CLEF_OPTIM_KINDS ? types[kind]->name : "optimizer?";
}

clef_optim *clef_optim_new(clef_params *params, const clef_optim_opts *opts)
{
	const char *f = "clef_optim_new";

	if (!opts) {
		clef__null_argument(f);
		return NULL;
	}
	if ((unsigned)opts->kind >= CLEF_OPTIM_KINDS)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: kind is %d, must be 0 to %d", f, (int)opts->kind,
				       CLEF_OPTIM_KINDS - 1);
	return clef__optim_new(types[opts->kind], params, &opts->sgd);
}

/* ---- text ---- */

/* Words for SGD behind those of the kinds. */
enum { MOMENTUM = CLEF_OPTIM_KINDS, NESTEROV, WORDS };

static const char *word_name(int word)
{
	return word == MOMENTUM ? "momentum" : word == NESTEROV ? "nesterov" : types[word]->name;
}

static const clef__field *word_fields(int word)
{
	return types[word < CLEF_OPTIM_KINDS ? word : CLEF_OPTIM_SGD]->field;
}

static const clef__language language = {
	"clef_optim_parse", "optimizer", "an optimizer", WORDS, word_name, word_fields
};

clef_status clef_optim_parse(const char *text, clef_optim_opts *opts)
{
	clef__parser in = { &language, text, text };
	clef_optim_opts o = { .kind = CLEF_OPTIM_SGD }, checked;
	bool seen[CLEF__FIELDS];
	clef__word name;
	int word;
	clef_status s;

	if (!text || !opts)
		return clef__null_argument(language.function);
	clef__parse_separators(&in);
	s = clef__parse_kind(&in, &name, &word);
	if (!s)
		s = clef__parse_fields(&in, name, word, &o.sgd, seen);
	if (!s)
		s = clef__parse_end(&in);
	if (s)
		return s;
	if (word < CLEF_OPTIM_KINDS)
		o.kind = (clef_optim_kind)word;
	else if (clef__left_out(o.sgd.momentum))
		o.sgd.momentum = 0.9f;
	if (word == NESTEROV)
		o.sgd.nesterov = true;
	checked = o;
	if (!clef__optim_check(types[o.kind], &checked))
		return clef_error_status();
	*opts = o;
	return CLEF_OK;
}
