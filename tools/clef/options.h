/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options as a table: a row says what an option is called, how its value is read, where it goes and what
 * the help says about it. --help comes with every table.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a value into a field; false when it is not one that is allowed. */
typedef bool option_parser(const char *text, void *field);

typedef struct option_row {
	const char *name;     /* without the dashes */
	const char *value;    /* what the help calls its value; NULL: it takes none, and `parse` gets "". "[=N]": it may
			       * be left out, and `parse` gets "" then */
	option_parser *parse; /* one of those below, or the command's own */
	size_t offset;        /* of the field in the command's struct */
	const char *allowed;  /* "a number above 0": what its value may be, for messages; NULL: reason() knows */
	const char *help;     /* lines */
} option_row;

#define OPTIONS_ANY (-1)

/* Words of a command line, which they belong to. */
typedef struct option_words {
	char **v;
	int count;
} option_words;

typedef struct option_table {
	const char *usage; /* "clef train [option ...]" */
	const char *about; /* paragraphs above the options in the help, with a newline at the end */
	const option_row *rows;
	int count;
	const char *more; /* the same below the options, or NULL */
	/* How many words without dashes there must be: "MODEL OUT" in the usage. They go into an array of const char *
	 * at this place in the command's struct; where any number may come, which OPTIONS_ANY says, into an
	 * option_words instead. */
	int words;
	size_t words_offset;
	/* Told of every option that was read, with its text; NULL: nobody is. */
	void (*seen)(const option_row *row, const char *text, void *fields);
} option_table;

/* Reads a command line into `fields`, which holds the defaults. Returns -1 when the command is to run, or the exit
 * status: after --help, or after an error that has been reported. An option given twice counts the last time. */
int options_read(const option_table *table, int argc, char **argv, void *fields);

/* Reads one option, named without its dashes, as if it stood on a command line. The same results. */
int options_store(const option_table *table, const char *name, const char *text, void *fields);

option_parser option_flag;         /* bool */
option_parser option_text;         /* const char *, not empty */
option_parser option_count;        /* int64_t, 1 to 2^31 - 1 */
option_parser option_natural;      /* int64_t, 0 to 2^31 - 1 */
option_parser option_seed;         /* uint64_t */
option_parser option_positive;     /* float, above 0 and normal, finite */
option_parser option_non_negative; /* float, 0 or above, finite */

/* The whole of `text` as a finite number, or as a whole number from low to high. For parsers. */
bool parse_number(const char *text, double *value);
bool parse_integer(const char *text, int64_t low, int64_t high, int64_t *value);

#endif
