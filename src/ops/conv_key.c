/* SPDX-License-Identifier: Apache-2.0 */
/* A convolution as the text of a problem, by which choices are kept, and back. */
#include "conv_internal.h"

static const char *const way_names[CLEF__CONV_WAYS] = { "forward", "backward_data", "backward_weights" };

/* Those with a default are left out where they have it. */
static const struct {
	const char *name;
	size_t offset;
	int otherwise, least;
} fields[] = {
	{ "n", offsetof(clef__conv, n), -1, 1 },          { "c", offsetof(clef__conv, c), -1, 1 },
	{ "h", offsetof(clef__conv, h), -1, 1 },          { "w", offsetof(clef__conv, w), -1, 1 },
	{ "k", offsetof(clef__conv, k), -1, 1 },          { "r", offsetof(clef__conv, r), -1, 1 },
	{ "s", offsetof(clef__conv, s), -1, 1 },          { "oh", offsetof(clef__conv, oh), -1, 1 },
	{ "ow", offsetof(clef__conv, ow), -1, 1 },        { "sh", offsetof(clef__conv, stride_h), 1, 1 },
	{ "sw", offsetof(clef__conv, stride_w), 1, 1 },   { "pt", offsetof(clef__conv, pad_top), 0, 0 },
	{ "pl", offsetof(clef__conv, pad_left), 0, 0 },   { "dh", offsetof(clef__conv, dilation_h), 1, 1 },
	{ "dw", offsetof(clef__conv, dilation_w), 1, 1 }, { "g", offsetof(clef__conv, groups), 1, 1 },
};

static int *field_of(clef__conv *g, int i)
{
	return (int *)(void *)((char *)g + fields[i].offset);
}

void clef__conv_key(const clef__conv *g, clef__conv_way way, char text[CLEF__KEY_TEXT])
{
	clef__conv copy = *g;

	strcpy(text, "conv ");
	strcat(text, way_names[way]);
	for (int i = 0; i < CLEF_COUNT(fields); i++)
		if (*field_of(&copy, i) != fields[i].otherwise)
			clef__key_add(text, fields[i].name, *field_of(&copy, i));
}

static bool parse_field(const char **text, clef__conv *g)
{
	int letters = (int)strspn(*text, "abcdefghijklmnopqrstuvwxyz"), used = 0;

	for (int i = 0; i < CLEF_COUNT(fields); i++)
		if ((int)strlen(fields[i].name) == letters && strncmp(*text, fields[i].name, (size_t)letters) == 0 &&
		    sscanf(*text + letters, "%9d%n", field_of(g, i), &used) == 1 &&
		    *field_of(g, i) >= fields[i].least) {
			*text += letters + used;
			return true;
		}
	return false;
}

/* The last tap of the last output must lie in the image with its padding, which is as much as at the beginning, or a
 * part of a stride more. */
static bool is_consistent(const clef__conv *g)
{
	for (int d = 0; d < 2; d++) {
		double out = d ? g->ow : g->oh, stride = d ? g->stride_w : g->stride_h, size = d ? g->w : g->h;
		double reach = d ? (double)(g->s - 1) * g->dilation_w : (double)(g->r - 1) * g->dilation_h;

		if (out < 1 || size < 1 || (out - 1) * stride + reach > 1 << 26)
			return false;
	}
	return g->n > 0 && g->c > 0 && g->k > 0 && g->r > 0 && g->s > 0 && g->c % g->groups == 0 &&
	       g->k % g->groups == 0 && clef_shape_numel(CLEF_SHAPE(g->n, g->c, g->h, g->w)) > 0 &&
	       clef_shape_numel(CLEF_SHAPE(g->n, g->k, g->oh, g->ow)) > 0 &&
	       clef_shape_numel(CLEF_SHAPE(g->k, g->c / g->groups, g->r, g->s)) > 0;
}

bool clef__conv_key_parse(const char *text, clef__conv *g, clef__conv_way *way)
{
	bool found = false;

	*g = (clef__conv){ .n = 0 };
	for (int i = 0; i < CLEF_COUNT(fields); i++)
		*field_of(g, i) = fields[i].otherwise;
	if (strncmp(text, "conv ", 5) != 0)
		return false;
	text += 5;
	for (int i = 0; i < CLEF__CONV_WAYS && !found; i++)
		if (strncmp(text, way_names[i], strlen(way_names[i])) == 0 && text[strlen(way_names[i])] == ' ') {
			text += strlen(way_names[i]);
			*way = (clef__conv_way)i;
			found = true;
		}
	while (found && *text == ' ') {
		text++;
		if (!parse_field(&text, g))
			return false;
	}
	return found && !*text && is_consistent(g);
}
