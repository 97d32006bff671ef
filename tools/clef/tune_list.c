/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of problems: a word of the command line each, or a line of a file without its blanks and comments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <clef/check.h>

#include "tool.h"
#include "tune_list.h"

#define LONGEST_LINE 1024

static int no_memory(void)
{
	complain("no memory for the list of problems");
	return EXIT_FAILED;
}

static int add(tune_list *list, const char *text, size_t length)
{
	char **grown, *copy;

	if (list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : 16;
		grown = realloc(list->problem, (size_t)list->capacity * sizeof(*grown));
		if (!grown)
			return no_memory();
		list->problem = grown;
	}
	copy = malloc(length + 1);
	if (!copy)
		return no_memory();
	memcpy(copy, text, length);
	copy[length] = '\0';
	list->problem[list->count++] = copy;
	return -1;
}

/* Without comment, and blanks around it. */
static int add_line(tune_list *list, char *line)
{
	size_t length;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	length = strlen(line);
	while (length && strchr(" \t", line[length - 1]))
		length--;
	return length ? add(list, line, length) : -1;
}

static int add_file(tune_list *list, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[LONGEST_LINE];
	int status = -1, before = list->count;

	if (!file) {
		complain("%s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	while (status < 0 && fgets(line, sizeof(line), file))
		if (strlen(line) == sizeof(line) - 1) {
			complain("%s: a line of more than %d characters", path, LONGEST_LINE - 2);
			status = EXIT_FAILED;
		} else {
			status = add_line(list, line);
		}
	if (status < 0 && (ferror(file) || list->count == before)) {
		complain("%s: %s", path, ferror(file) ? "it cannot be read" : "there is no problem in it");
		status = EXIT_FAILED;
	}
	fclose(file);
	return status;
}

/* Whether a word names an operation, or a computation as clef tune lists it: there a problem begins. */
static bool begins(const char *word)
{
	size_t length = strcspn(word, " ");

	for (int i = 0; i < clef_check_count(); i++)
		if (strlen(clef_check_get(i).name) == length && !strncmp(clef_check_get(i).name, word, length))
			return true;
	return (length == 4 && (!strncmp(word, "gemm", 4) || !strncmp(word, "conv", 4))) ||
	       (length == 7 && !strncmp(word, "clblast", 7));
}

int tune_list_read(const option_words *words, tune_list *list)
{
	int status = -1;

	for (int i = 0; i < words->count && status < 0;) {
		char text[LONGEST_LINE];
		size_t used;

		if (words->v[i][0] == '@') {
			status = add_file(list, words->v[i++] + 1);
			continue;
		}
		/* A problem in quotation marks is one word, and one without them several. */
		used = (size_t)snprintf(text, sizeof(text), "%s", words->v[i++]);
		while (used < sizeof(text) && i < words->count && words->v[i][0] != '@' && !begins(words->v[i]))
			used += (size_t)snprintf(text + used, sizeof(text) - used, " %s", words->v[i++]);
		status = add(list, text, strlen(text));
	}
	return status;
}

void tune_list_free(tune_list *list)
{
	for (int i = 0; i < list->count; i++)
		free(list->problem[i]);
	free(list->problem);
}
