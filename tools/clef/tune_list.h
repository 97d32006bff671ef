/* SPDX-License-Identifier: Apache-2.0 */
/* Problems from a command line: as words, and as lines of files. */
#ifndef TUNE_LIST_H
#define TUNE_LIST_H

#include "options.h"

typedef struct tune_list {
	char **problem;
	int count, capacity;
} tune_list;

/* Reads words, of which @FILE stands for the lines of a file. -1, or an exit status after an error that was reported.
 * Free the list in any case. */
int tune_list_read(const option_words *words, tune_list *list);
void tune_list_free(tune_list *list);

#endif
