/* SPDX-License-Identifier: Apache-2.0 */
/* Problems as text, "conv forward n64 c3 h32": names with numbers, by which choices are kept, and back. */
#include "tuning.h"

/* By hand, because this may stand in front of every product of a small network. */
void clef__key_add(char *text, const char *name, int value)
{
	char digits[12];
	unsigned rest = value < 0 ? 0u - (unsigned)value : (unsigned)value;
	int n = 0;

	text += strlen(text);
	*text++ = ' ';
	while (*name)
		*text++ = *name++;
	if (value < 0)
		*text++ = '-';
	do
		digits[n++] = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	while (n)
		*text++ = digits[--n];
	*text = '\0';
}

static int *field_of(void *problem, const clef__key_field *field)
{
	return (int *)(void *)((char *)problem + field->offset);
}

void clef__key_write(char text[CLEF__KEY_TEXT], const clef__key_field *fields, const void *problem)
{
	for (const clef__key_field *f = fields; f->name; f++) {
		int value = *(const int *)(const void *)((const char *)problem + f->offset);

		if (value != f->otherwise)
			clef__key_add(text, f->name, value);
	}
}

static bool read_field(const char **text, const clef__key_field *fields, void *problem)
{
	size_t letters = strspn(*text, "abcdefghijklmnopqrstuvwxyz");
	int used = 0;

	for (const clef__key_field *f = fields; f->name; f++)
		if (strlen(f->name) == letters && strncmp(*text, f->name, letters) == 0 &&
		    sscanf(*text + letters, "%9d%n", field_of(problem, f), &used) == 1 &&
		    *field_of(problem, f) >= f->least) {
			*text += letters + (size_t)used;
			return true;
		}
	return false;
}

bool clef__key_read(const char *text, const clef__key_field *fields, void *problem)
{
	for (const clef__key_field *f = fields; f->name; f++)
		*field_of(problem, f) = f->otherwise;
	while (*text == ' ') {
		text++;
		if (!read_field(&text, fields, problem))
			return false;
	}
	return !*text;
}
