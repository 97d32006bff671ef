/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models as text, "flatten linear(256) relu linear(10)": a loop over layers, with the words and fields of
 * layer_types.c, so that a new kind can be written at once.
 */
#include "nn_internal.h"

static const char *kind_name(int kind)
{
	return kind == CLEF_LAYER_NONE ? NULL : clef_layer_name((clef_layer_kind)kind);
}

static const clef__field *kind_fields(int kind)
{
	return clef__layer_type_of((clef_layer_kind)kind)->field;
}

static const clef__language language = { "clef_layers_parse", "layer",   "a layer",
					 CLEF_LAYER_KINDS,    kind_name, kind_fields };

/* p and q that were not given get their defaults as soon as one was; zeros throughout would all mean defaults. */
static void fill_numbers(clef_layer *layer, const clef__field *field, const bool *seen)
{
	bool any = false;

	for (int i = 0; field[i].name; i++)
		any |= seen[i] && field[i].kind == CLEF__FIELD_NUMBER;
	for (int i = 0; field[i].name && any; i++)
		if (!seen[i] && field[i].kind == CLEF__FIELD_NUMBER)
			memcpy((char *)layer + field[i].offset, &field[i].preset, sizeof(float));
	if (any && layer->p == 0.0f && layer->q == 0.0f)
		layer->p = -0.0f;
}

static clef_status parse_layer(clef__parser *in, clef_layer *layer)
{
	bool seen[CLEF__FIELDS];
	clef__word name;
	int kind;
	clef_status s = clef__parse_kind(in, &name, &kind);

	if (!s) {
		layer->kind = (clef_layer_kind)kind;
		s = clef__parse_fields(in, name, kind, layer, seen);
	}
	if (!s)
		fill_numbers(layer, kind_fields(kind), seen);
	return s;
}

clef_status clef_layers_parse(const char *text, clef_layer **layers, int *count)
{
	clef__parser in = { &language, text, text };
	clef_layer *list = NULL;
	int n = 0, capacity = 0;
	clef_status s = CLEF_OK;

	if (!text || !layers || !count)
		return clef__null_argument("clef_layers_parse");
	*layers = NULL;
	*count = 0;
	for (clef__parse_separators(&in); *in.p && !s; clef__parse_separators(&in)) {
		s = clef__grow(&list, &capacity, n + 1, sizeof(*list), "layers");
		if (!s)
			s = parse_layer(&in, &list[n++]);
	}
	if (!s && !n)
		s = clef__fail(CLEF_ERROR_INVALID, "clef_layers_parse: \"%s\" has no layers in it", text);
	if (s) {
		free(list);
		return s;
	}
	*layers = list;
	*count = n;
	return CLEF_OK;
}
