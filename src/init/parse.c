/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text that stands for an initializer. One table holds what can be written: a row a name. Numbers are read by hand:
 * strtod() follows the locale of the program, and "0.02" must mean the same in all of them.
 */
#include <math.h>

#include "init_internal.h"

#define VALUES 4

/* What stands in the parentheses. */
typedef struct arguments {
	int given;      /* numbers */
	bool any_named; /* else they are the first ones, in order */
	bool has[VALUES];
	float value[VALUES];
	bool has_mode, has_nonlinearity;
	clef_fan_mode mode;
	clef_nonlinearity nonlinearity;
} arguments;

typedef struct row {
	const char *name;
	clef_init_kind kind;
	const char *usage;                /* all that may be written */
	unsigned counts;                  /* bit n: n numbers without names may be given */
	const char *names[VALUES];        /* of the numbers */
	float preset[VALUES];             /* where others are given; NaN: must be given */
	bool (*fits)(const float *value); /* NULL: any do */
	float constant;                   /* p where nothing is given */
} row;

static bool bounds_fit(const float *v)
{
	return v[0] < v[1] && isfinite(v[1] - v[0]);
}

/* Both 0 would be read as the default of clef_init, not as what was written. */
static bool normal_fits(const float *v)
{
	return v[1] > 0;
}

static bool trunc_normal_fits(const float *v)
{
	return v[1] > 0 && v[2] < v[3];
}

static bool gain_fits(const float *v)
{
	return v[0] > 0;
}

static bool groups_fit(const float *v)
{
	return v[0] >= 1 && v[0] <= 0x1p24f && v[0] == floorf(v[0]);
}

static bool sparse_fits(const float *v)
{
	return v[0] >= 0 && v[0] <= 1 && v[1] > 0;
}

#define NONE 1u << 0
#define KAIMING_USAGE                                                                                                  \
	"in parentheses, in any order, each of fan_in or fan_out; leaky_relu, relu, linear, sigmoid, tanh or selu; "   \
	"the slope of leaky_relu"
#define TRUNC_USAGE                                                                                                    \
	"trunc_normal, or trunc_normal(mean, std, lo, hi) with std > 0 and lo < hi, the bounds by default -2, 2"

static const row rows[] = {
	{ "default", CLEF_INIT_DEFAULT, "default", NONE },
	{ "zeros", CLEF_INIT_CONSTANT, "zeros", NONE },
	{ "ones", CLEF_INIT_CONSTANT, "ones", NONE, .constant = 1 },
	{ "constant", CLEF_INIT_CONSTANT, "constant(value)", NONE | 1u << 1, { "value" } },
	{ "uniform",
	  CLEF_INIT_UNIFORM,
	  "uniform, or uniform(lo, hi) with lo < hi",
	  NONE | 1u << 2,
	  { "lo", "hi" },
	  { 0, 1 },
	  bounds_fit },
	{ "normal",
	  CLEF_INIT_NORMAL,
	  "normal, or normal(mean, std) with std > 0",
	  NONE | 1u << 2,
	  { "mean", "std" },
	  { 0, 1 },
	  normal_fits },
	{ "trunc_normal",
	  CLEF_INIT_TRUNC_NORMAL,
	  TRUNC_USAGE,
	  NONE | 1u << 2 | 1u << 4,
	  { "mean", "std", "lo", "hi" },
	  { 0, 1, -2, 2 },
	  trunc_normal_fits },
	{ "xavier_uniform",
	  CLEF_INIT_XAVIER_UNIFORM,
	  "xavier_uniform(gain) with gain > 0",
	  NONE | 1u << 1,
	  { "gain" },
	  .fits = gain_fits },
	{ "xavier_normal",
	  CLEF_INIT_XAVIER_NORMAL,
	  "xavier_normal(gain) with gain > 0",
	  NONE | 1u << 1,
	  { "gain" },
	  .fits = gain_fits },
	{ "kaiming_uniform", CLEF_INIT_KAIMING_UNIFORM, "kaiming_uniform; " KAIMING_USAGE, NONE | 1u << 1, { "a" } },
	{ "kaiming_normal", CLEF_INIT_KAIMING_NORMAL, "kaiming_normal; " KAIMING_USAGE, NONE | 1u << 1, { "a" } },
	{ "lecun_uniform", CLEF_INIT_LECUN_UNIFORM, "lecun_uniform", NONE },
	{ "lecun_normal", CLEF_INIT_LECUN_NORMAL, "lecun_normal", NONE },
	{ "orthogonal",
	  CLEF_INIT_ORTHOGONAL,
	  "orthogonal(gain) with gain > 0",
	  NONE | 1u << 1,
	  { "gain" },
	  .fits = gain_fits },
	{ "eye", CLEF_INIT_EYE, "eye", NONE },
	{ "dirac",
	  CLEF_INIT_DIRAC,
	  "dirac, or dirac(groups) with a whole number from 1 to 16777216",
	  NONE | 1u << 1,
	  { "groups" },
	  .fits = groups_fit },
	{ "sparse",
	  CLEF_INIT_SPARSE,
	  "sparse(sparsity, std) with 0 <= sparsity <= 1 and std > 0, by default 0.01",
	  1u << 1 | 1u << 2,
	  { "sparsity", "std" },
	  { NAN, 0.01f },
	  sparse_fits },
};

static bool is_kaiming(const row *r)
{
	return r->kind == CLEF_INIT_KAIMING_UNIFORM || r->kind == CLEF_INIT_KAIMING_NORMAL;
}

static void skip_blanks(const char **at)
{
	*at += strspn(*at, " \t");
}

static bool take(const char **at, char c)
{
	skip_blanks(at);
	if (**at != c)
		return false;
	++*at;
	return true;
}

static size_t word_length(const char *at)
{
	return strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789");
}

static bool is_word(const char *at, size_t length, const char *word)
{
	return strlen(word) == length && !memcmp(word, at, length);
}

/* Digits go on to *mantissa as long as it holds them exactly; returns how many there were, *dropped how many not. */
static int take_digits(const char **at, double *mantissa, int *dropped)
{
	int count = 0;

	for (*dropped = 0; **at >= '0' && **at <= '9'; ++*at, count++) {
		if (*mantissa < 1e14)
			*mantissa = 10 * *mantissa + (**at - '0');
		else
			++*dropped;
	}
	return count;
}

/* [+-]digits[.digits][e[+-]digits], finite as a float. */
static bool take_number(const char **at, float *value)
{
	const bool minus = **at == '-';
	double mantissa = 0, power = 0;
	int exponent, digits, dropped;

	*at += minus || **at == '+';
	digits = take_digits(at, &mantissa, &exponent);
	if (**at == '.') {
		int after;

		++*at;
		after = take_digits(at, &mantissa, &dropped);
		exponent -= after - dropped;
		digits += after;
	}
	if (!digits)
		return false;
	if (**at == 'e' || **at == 'E') {
		const bool down = (*at)[1] == '-';

		*at += 1 + (down || (*at)[1] == '+');
		if (!take_digits(at, &power, &dropped) || power > 999)
			return false;
		exponent += down ? -(int)power : (int)power;
	}
	if (exponent < 0 && exponent > -300)
		mantissa /= pow(10, -exponent);
	else if (mantissa > 0)
		mantissa *= pow(10, exponent);
	*value = (float)(minus ? -mantissa : mantissa);
	return isfinite(*value);
}

static bool take_mode(const char **at, arguments *args)
{
	static const char *const modes[] = { [CLEF_FAN_IN] = "fan_in", [CLEF_FAN_OUT] = "fan_out" };
	const size_t length = word_length(*at);

	for (int i = 0; i < CLEF_COUNT(modes); i++)
		if (!args->has_mode && is_word(*at, length, modes[i])) {
			args->mode = (clef_fan_mode)i;
			args->has_mode = true;
			*at += length;
			return true;
		}
	return false;
}

static bool take_nonlinearity(const char **at, arguments *args)
{
	const size_t length = word_length(*at);
	char word[32];

	/* A number is not even tried, so that it leaves no error behind. */
	if (args->has_nonlinearity || !length || length >= sizeof(word) || (**at >= '0' && **at <= '9'))
		return false;
	memcpy(word, *at, length);
	word[length] = 0;
	if (clef_nonlinearity_parse(word, &args->nonlinearity))
		return false;
	args->has_nonlinearity = true;
	*at += length;
	return true;
}

static bool take_value(const char **at, int i, arguments *args)
{
	if (i >= VALUES || args->has[i] || !take_number(at, &args->value[i]))
		return false;
	args->has[i] = true;
	args->given++;
	return true;
}

/* A value with its name in front. */
static bool take_named(const row *r, const char *name, size_t length, const char **at, arguments *args)
{
	if (is_kaiming(r) && is_word(name, length, "mode"))
		return take_mode(at, args);
	if (is_kaiming(r) && is_word(name, length, "nonlinearity"))
		return take_nonlinearity(at, args);
	args->any_named = true;
	for (int i = 0; i < VALUES && r->names[i]; i++)
		if (is_word(name, length, r->names[i]))
			return take_value(at, i, args);
	return false;
}

static bool take_argument(const row *r, const char **at, arguments *args)
{
	const char *name, *after;

	skip_blanks(at);
	name = after = *at;
	after += word_length(name);
	if (after > name && take(&after, '=')) {
		*at = after;
		skip_blanks(at);
		return take_named(r, name, word_length(name), at, args);
	}
	if (is_kaiming(r) && (take_mode(at, args) || take_nonlinearity(at, args)))
		return true;
	return !args->any_named && take_value(at, args->given, args);
}

/* Nothing, or a list in parentheses, and then the end. */
static bool take_arguments(const row *r, const char **at, arguments *args)
{
	if (take(at, '(') && !take(at, ')')) {
		do {
			if (!take_argument(r, at, args))
				return false;
		} while (take(at, ','));
		if (!take(at, ')'))
			return false;
	}
	skip_blanks(at);
	return !**at;
}

/* Puts presets where nothing was given, and tells whether the values are what the row takes. */
static bool complete(const row *r, arguments *args)
{
	if (!args->any_named && !(r->counts >> args->given & 1))
		return false;
	if (!args->given)
		return true;
	for (int i = 0; i < VALUES; i++)
		if (!args->has[i])
			args->value[i] = r->preset[i];
	return !r->fits || r->fits(args->value);
}

static const row *find_row(const char **at)
{
	const size_t length = word_length(*at);

	for (int i = 0; i < CLEF_COUNT(rows); i++)
		if (is_word(*at, length, rows[i].name)) {
			*at += length;
			return &rows[i];
		}
	return NULL;
}

static clef_status fail_name(const char *text)
{
	char names[400] = "";
	size_t length = 0;

	for (int i = 0; i < CLEF_COUNT(rows) && length < sizeof(names); i++)
		length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
					   !i                         ? ""
					   : i + 1 < CLEF_COUNT(rows) ? ", "
								      : " or ",
					   rows[i].name);
	return clef__fail(CLEF_ERROR_INVALID, "clef_init_parse: \"%s\" begins with no initializer, expected %s", text,
			  names);
}

clef_status clef_init_parse(const char *text, clef_init *init)
{
	arguments args = { 0 };
	const char *at = text;
	const float *v = args.value;
	const row *r;

	if (!text || !init)
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_parse: %s is NULL", text ? "init" : "text");
	skip_blanks(&at);
	r = find_row(&at);
	if (!r)
		return fail_name(text);
	if (!take_arguments(r, &at, &args) || !complete(r, &args))
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_parse: \"%s\", expected %s", text, r->usage);

	*init = (clef_init){ .kind = r->kind };
	if (is_kaiming(r)) {
		init->kaiming = (clef_kaiming_opts){ args.mode, args.nonlinearity, v[0] };
	} else if (r->kind == CLEF_INIT_DIRAC) {
		init->groups = (int)v[0];
	} else {
		init->p = args.given ? v[0] : r->constant;
		init->q = v[1];
		init->lo = v[2];
		init->hi = v[3];
	}
	return CLEF_OK;
}
