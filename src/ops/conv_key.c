/* SPDX-License-Identifier: Apache-2.0 */
/* A convolution as the text of a problem, by which choices are kept, and back. */
#include "conv_internal.h"

static const char *const way_names[CLEF__CONV_WAYS] = { "forward", "backward_data", "backward_weights" };

#define FIELD(name, field, otherwise, least)                                                                           \
	{                                                                                                              \
		name, offsetof(clef__conv, field), otherwise, least                                                    \
	}
/* clang-format off */
static const clef__key_field fields[] = {
	FIELD("n", n, -1, 1), FIELD("c", c, -1, 1), FIELD("h", h, -1, 1), FIELD("w", w, -1, 1),
	FIELD("k", k, -1, 1), FIELD("r", r, -1, 1), FIELD("s", s, -1, 1), FIELD("oh", oh, -1, 1), FIELD("ow", ow, -1, 1),
	FIELD("sh", stride_h, 1, 1), FIELD("sw", stride_w, 1, 1), FIELD("pt", pad_top, 0, 0), FIELD("pl", pad_left, 0, 0),
	FIELD("dh", dilation_h, 1, 1), FIELD("dw", dilation_w, 1, 1), FIELD("g", groups, 1, 1), { NULL },
};
/* clang-format on */

void clef__conv_key(const clef__conv *g, clef__conv_way way, char text[CLEF__KEY_TEXT])
{
	strcpy(text, "conv ");
	strcat(text, way_names[way]);
	clef__key_write(text, fields, g);
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
	*g = (clef__conv){ .n = 0 };
	if (strncmp(text, "conv ", 5) != 0)
		return false;
	text += 5;
	for (int i = 0; i < CLEF__CONV_WAYS; i++) {
		size_t letters = strlen(way_names[i]);

		if (strncmp(text, way_names[i], letters) == 0 && text[letters] == ' ') {
			*way = (clef__conv_way)i;
			return clef__key_read(text + letters, fields, g) && is_consistent(g);
		}
	}
	return false;
}
