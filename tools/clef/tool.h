/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of the clef tool share. A command is a function in a file of its own and one row of the table in
 * tool.c. Results go to standard output; messages go to standard error and begin with the command ("clef train: ").
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit statuses: it worked; it did not; the command line makes no sense; Ctrl-C (128 + SIGINT, as shells have it). */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_MISUSED = 2, EXIT_INTERRUPTED = 130 };

/* The commands, called as main() is; argv[0] is the command. They return an exit status. */
int devices_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int check_main(int argc, char **argv);
int train_main(int argc, char **argv);
int eval_main(int argc, char **argv);
int predict_main(int argc, char **argv);
int tune_main(int argc, char **argv);
int export_main(int argc, char **argv);
int bench_main(int argc, char **argv);

/* Writes "clef COMMAND: message" and a newline to standard error. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* clef_error() without the name of the library's function in front, which means nothing to whoever uses a tool. */
const char *reason(void);

/* The name nearest to `word` in a table whose rows begin with their name (a const char *), `size` bytes a row; NULL
 * when none resembles it. */
const char *nearest(const char *word, const void *rows, size_t size, int count);

/* Seconds since some moment, for differences. */
double seconds(void);

#endif
