/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initializers as data, and the text that stands for them. One table holds what can be written. Numbers are read by
 * hand: strtod() follows the locale of the program, and "0.02" must mean the same in all of them.
 */
#include <math.h>

#include "init_internal.h"

clef_status clef_init_apply(clef_tensor *x, const clef_init *init, clef_rng *rng)
{
	bool plain;

	if (!init)
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_apply: init is NULL");
	plain = init->p == 0 && init->q == 0;
	switch (init->kind) {
	case CLEF_INIT_DEFAULT:
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_apply: CLEF_INIT_DEFAULT means what the layer would "
						      "do, and there is no layer here: name an initializer");
	case CLEF_INIT_CONSTANT:
		return clef_init_constant(x, init->p);
	case CLEF_INIT_UNIFORM:
		return clef_init_uniform(x, init->p, plain ? 1 : init->q, rng);
	case CLEF_INIT_NORMAL:
		return clef_init_normal(x, init->p, plain ? 1 : init->q, rng);
	case CLEF_INIT_XAVIER_UNIFORM:
		return clef_init_xavier_uniform(x, init->p, rng);
	case CLEF_INIT_XAVIER_NORMAL:
		return clef_init_xavier_normal(x, init->p, rng);
	case CLEF_INIT_KAIMING_UNIFORM:
		return clef_init_kaiming_uniform(x, &init->kaiming, rng);
	case CLEF_INIT_KAIMING_NORMAL:
		return clef_init_kaiming_normal(x, &init->kaiming, rng);
	}
	return clef__fail(CLEF_ERROR_INVALID, "clef_init_apply: kind %d is no clef_init_kind", (int)init->kind);
}

/* ---- text ---- */

typedef struct row {
	const char *name;
	clef_init_kind kind;
	float p;           /* without numbers */
	unsigned counts;   /* bit n: n numbers may be given */
	const char *usage; /* all that may be written */
} row;

#define KAIMING_USAGE                                                                                                  \
	"in parentheses, in any order, each of fan_in or fan_out; leaky_relu, relu, linear, sigmoid, tanh or selu; "   \
	"the slope of leaky_relu"

static const row rows[] = {
	{ "default", CLEF_INIT_DEFAULT, 0, 1u << 0, "default" },
	{ "zeros", CLEF_INIT_CONSTANT, 0, 1u << 0, "zeros" },
	{ "ones", CLEF_INIT_CONSTANT, 1, 1u << 0, "ones" },
	{ "constant", CLEF_INIT_CONSTANT, 0, 1u << 0 | 1u << 1, "constant(value)" },
	{ "uniform", CLEF_INIT_UNIFORM, 0, 1u << 0 | 1u << 2, "uniform, or uniform(lo, hi) with lo < hi" },
	{ "normal", CLEF_INIT_NORMAL, 0, 1u << 0 | 1u << 2, "normal, or normal(mean, std) with std > 0" },
	{ "xavier_uniform", CLEF_INIT_XAVIER_UNIFORM, 0, 1u << 0 | 1u << 1, "xavier_uniform(gain) with gain > 0" },
	{ "xavier_normal", CLEF_INIT_XAVIER_NORMAL, 0, 1u << 0 | 1u << 1, "xavier_normal(gain) with gain > 0" },
	{ "kaiming_uniform", CLEF_INIT_KAIMING_UNIFORM, 0, 1u << 0 | 1u << 1, "kaiming_uniform; " KAIMING_USAGE },
	{ "kaiming_normal", CLEF_INIT_KAIMING_NORMAL, 0, 1u << 0 | 1u << 1, "kaiming_normal; " KAIMING_USAGE },
};

/* The words of kaiming, in the order of their enumerators. */
static const char *const modes[] = { "fan_in", "fan_out" };
static const char *const nonlinearities[] = { "leaky_relu", "relu", "linear", "sigmoid", "tanh", "selu" };

/* What stands in the parentheses. */
typedef struct arguments {
	int numbers;
	float number[2];
	int mode, nonlinearity; /* -1: not given */
} arguments;

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

/* The place of the word in the list, which is passed over; else -1. */
static int take_word(const char **at, const char *const *list, int count)
{
	const size_t length = word_length(*at);

	for (int i = 0; i < count; i++)
		if (strlen(list[i]) == length && !memcmp(list[i], *at, length)) {
			*at += length;
			return i;
		}
	return -1;
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

static bool take_argument(const char **at, arguments *args)
{
	int i;

	skip_blanks(at);
	if ((i = take_word(at, modes, CLEF_COUNT(modes))) >= 0) {
		if (args->mode >= 0)
			return false;
		args->mode = i;
		return true;
	}
	if ((i = take_word(at, nonlinearities, CLEF_COUNT(nonlinearities))) >= 0) {
		if (args->nonlinearity >= 0)
			return false;
		args->nonlinearity = i;
		return true;
	}
	return args->numbers < CLEF_COUNT(args->number) && take_number(at, &args->number[args->numbers++]);
}

/* Nothing, or a list in parentheses, and then the end. */
static bool take_arguments(const char **at, arguments *args)
{
	if (take(at, '(') && !take(at, ')')) {
		do {
			if (!take_argument(at, args))
				return false;
		} while (take(at, ','));
		if (!take(at, ')'))
			return false;
	}
	skip_blanks(at);
	return !**at;
}

/* Are these values what the row takes? Both 0 would be read as the default of clef_init, not as what was written. */
static bool values_fit(const row *r, const arguments *args)
{
	const float p = args->number[0], q = args->number[1];
	const bool kaiming = r->kind == CLEF_INIT_KAIMING_UNIFORM || r->kind == CLEF_INIT_KAIMING_NORMAL;

	if (!(r->counts >> args->numbers & 1) || (!kaiming && (args->mode >= 0 || args->nonlinearity >= 0)))
		return false;
	if (!args->numbers)
		return true;
	switch (r->kind) {
	case CLEF_INIT_UNIFORM:
		return p < q && isfinite(q - p);
	case CLEF_INIT_NORMAL:
		return q > 0;
	case CLEF_INIT_XAVIER_UNIFORM:
	case CLEF_INIT_XAVIER_NORMAL:
		return p > 0;
	case CLEF_INIT_DEFAULT:
	case CLEF_INIT_CONSTANT:
	case CLEF_INIT_KAIMING_UNIFORM:
	case CLEF_INIT_KAIMING_NORMAL:
		break;
	}
	return true;
}

static const row *find_row(const char **at)
{
	const size_t length = word_length(*at);

	for (int i = 0; i < CLEF_COUNT(rows); i++)
		if (strlen(rows[i].name) == length && !memcmp(rows[i].name, *at, length)) {
			*at += length;
			return &rows[i];
		}
	return NULL;
}

clef_status clef_init_parse(const char *text, clef_init *init)
{
	arguments args = { .mode = -1, .nonlinearity = -1 };
	const char *at = text;
	const row *r;

	if (!text || !init)
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_parse: %s is NULL", text ? "init" : "text");
	skip_blanks(&at);
	r = find_row(&at);
	if (!r)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_init_parse: \"%s\" begins with no initializer, expected default, zeros, ones, "
				  "constant, uniform, normal, xavier_uniform, xavier_normal, kaiming_uniform or "
				  "kaiming_normal",
				  text);
	if (!take_arguments(&at, &args) || !values_fit(r, &args))
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_parse: \"%s\", expected %s", text, r->usage);

	*init = (clef_init){ .kind = r->kind, .p = args.numbers ? args.number[0] : r->p, .q = args.number[1] };
	if (r->kind == CLEF_INIT_KAIMING_UNIFORM || r->kind == CLEF_INIT_KAIMING_NORMAL) {
		init->p = 0;
		init->kaiming.mode = (clef_fan_mode)CLEF__MAX(args.mode, 0);
		init->kaiming.nonlinearity = (clef_nonlinearity)CLEF__MAX(args.nonlinearity, 0);
		init->kaiming.a = args.number[0];
	}
	return CLEF_OK;
}
