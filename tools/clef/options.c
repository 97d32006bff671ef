/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading command lines by a table, on top of getopt_long(). Its own messages are turned off: ours name the option, the
 * value and what is allowed, and suggest the nearest name for one that is unknown.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "tool.h"

#define MAX_OPTIONS  48
#define FIRST_OPTION 256 /* getopt_long() returns this for row 0: above all letters */
#define HELP_COLUMN  26

/* ---- values ---- */

bool parse_number(const char *text, double *value)
{
	char *end;

	if (!isdigit((unsigned char)*text) && !strchr("+-.", *text))
		return false;
	*value = strtod(text, &end);
	return end != text && !*end && isfinite(*value);
}

bool parse_integer(const char *text, int64_t low, int64_t high, int64_t *value)
{
	long long n;
	char *end;

	if (!isdigit((unsigned char)*text) && *text != '-')
		return false;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || *end || errno || n < low || n > high)
		return false;
	*value = n;
	return true;
}

bool option_flag(const char *text, void *field)
{
	(void)text;
	*(bool *)field = true;
	return true;
}

bool option_text(const char *text, void *field)
{
	*(const char **)field = text;
	return *text != '\0';
}

bool option_count(const char *text, void *field)
{
	return parse_integer(text, 1, INT32_MAX, field);
}

bool option_natural(const char *text, void *field)
{
	return parse_integer(text, 0, INT32_MAX, field);
}

bool option_seed(const char *text, void *field)
{
	unsigned long long n;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end || errno)
		return false;
	*(uint64_t *)field = n;
	return true;
}

/* A float from `low` to the largest there is. What rounds to 0 must not pass for a number above 0. */
static bool parse_float(const char *text, double low, void *field)
{
	double value;

	if (!parse_number(text, &value) || !(value >= low && value <= (double)FLT_MAX))
		return false;
	*(float *)field = (float)value;
	return true;
}

bool option_positive(const char *text, void *field)
{
	return parse_float(text, (double)FLT_MIN, field);
}

bool option_non_negative(const char *text, void *field)
{
	return parse_float(text, 0, field);
}

/* ---- help ---- */

static void help_row(const char *name, const char *value, const char *help)
{
	int used = printf("  --%s%s%s", name, value && *value != '[' ? " " : "", value ? value : "");
	const char *line = help;

	while (*line) {
		int length = (int)strcspn(line, "\n");

		if (line == help && used >= HELP_COLUMN) {
			putchar('\n');
			used = 0;
		}
		printf("%*s%.*s\n", HELP_COLUMN - used, "", length, line);
		used = 0;
		line += length;
		line += *line == '\n';
	}
}

static void help(const option_table *table)
{
	printf("Usage: %s\n\n%s\nOptions:\n", table->usage, table->about);
	for (int i = 0; i < table->count; i++)
		help_row(table->rows[i].name, table->rows[i].value, table->rows[i].help);
	help_row("help", NULL, "show this text");
	if (table->more)
		printf("\n%s", table->more);
}

/* For getopt_long(). */
static int argument_of(const option_row *row)
{
	if (!row->value)
		return no_argument;
	return *row->value == '[' ? optional_argument : required_argument;
}

/* ---- errors ---- */

/* An option that getopt_long() does not know, or that it cannot tell from others by its beginning. */
static int unknown(const option_table *table, const char *text)
{
	static const char *const help_name[] = { "help" };
	char word[64];
	size_t length = strcspn(text + 2, "=");
	const char *guess, *found[2] = { NULL, NULL };

	if (length >= sizeof(word))
		length = sizeof(word) - 1;
	memcpy(word, text + 2, length);
	word[length] = '\0';
	for (int i = 0; i < table->count && length && !found[1]; i++)
		if (!strncmp(table->rows[i].name, word, length))
			found[found[0] != NULL] = table->rows[i].name;
	guess = nearest(word, table->rows, sizeof(table->rows[0]), table->count);
	if (!guess)
		guess = nearest(word, help_name, sizeof(help_name[0]), 1);
	if (found[1])
		complain("--%s is short for --%s and for --%s", word, found[0], found[1]);
	else if (guess)
		complain("unknown option --%s; did you mean --%s?", word, guess);
	else
		complain("unknown option --%s; --help lists the options", word);
	return EXIT_MISUSED;
}

static int no_value(const option_row *row)
{
	complain("--%s needs a value: %s", row->name, row->allowed ? row->allowed : row->value);
	return EXIT_MISUSED;
}

static int store(const option_table *table, const option_row *row, const char *text, void *fields)
{
	if (row->parse(text, (char *)fields + row->offset)) {
		if (table->seen)
			table->seen(row, text, fields);
		return -1;
	}
	if (row->allowed)
		complain("--%s \"%s\" will not do: it takes %s", row->name, text, row->allowed);
	else
		complain("--%s \"%s\": %s", row->name, text, reason());
	return EXIT_MISUSED;
}

/* What getopt_long() gave. Of a long option only optind tells which word it was. */
static int take(const option_table *table, int code, char **argv, void *fields)
{
	const option_row *row = table->rows + (optopt - FIRST_OPTION);
	bool known = optopt >= FIRST_OPTION && optopt < FIRST_OPTION + table->count;

	if (code == 'h') {
		help(table);
		return EXIT_OK;
	}
	if (code >= FIRST_OPTION)
		return store(table, &table->rows[code - FIRST_OPTION], optarg ? optarg : "", fields);
	if (code == ':' && known)
		return no_value(row);
	if (known)
		complain("--%s takes no value", row->name);
	else if (optopt == 'h')
		complain("--help takes no value");
	else if (optopt)
		complain("unknown option -%c; --help lists the options", optopt);
	else
		return unknown(table, argv[optind - 1]);
	return EXIT_MISUSED;
}

int options_store(const option_table *table, const char *name, const char *text, void *fields)
{
	for (int i = 0; i < table->count; i++)
		if (!strcmp(table->rows[i].name, name))
			return store(table, &table->rows[i], text, fields);
	complain("there is no option --%s", name);
	return EXIT_MISUSED;
}

/* What is left of the command line, without the options. */
static int take_words(const option_table *table, int argc, char **argv, void *fields)
{
	if (table->words == OPTIONS_ANY) {
		*(option_words *)(void *)((char *)fields + table->words_offset) = (option_words){ argv, argc };
		return -1;
	}
	if (argc < table->words) {
		complain("%s is missing; usage: %s", argc ? "a word" : "the file", table->usage);
		return EXIT_MISUSED;
	}
	if (argc > table->words) {
		complain("\"%s\" is one word too many; options begin with --, and --help lists them",
			 argv[table->words]);
		return EXIT_MISUSED;
	}
	for (int i = 0; i < argc; i++)
		((const char **)((char *)fields + table->words_offset))[i] = argv[i];
	return -1;
}

int options_read(const option_table *table, int argc, char **argv, void *fields)
{
	struct option list[MAX_OPTIONS + 2] = { { 0 } };
	int code, status = -1;

	for (int i = 0; i < table->count && i < MAX_OPTIONS; i++)
		list[i] = (struct option){ table->rows[i].name, argument_of(&table->rows[i]), NULL, FIRST_OPTION + i };
	list[table->count] = (struct option){ "help", no_argument, NULL, 'h' };
	opterr = 0;
	optind = 0; /* from the start, also where a command line is read again */
	while (status < 0 && (code = getopt_long(argc, argv, ":h", list, NULL)) != -1)
		status = take(table, code, argv, fields);
	return status < 0 ? take_words(table, argc - optind, argv + optind, fields) : status;
}
