/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers as text, what net_parse.c reads: a field that is not at its default is written, the sizes that a layer cannot
 * do without by their place and all else by its name. Numbers get as few digits as tell them from their neighbours.
 */
#include "nn_internal.h"

typedef struct text {
	char *chars;
	int used, capacity;
} text;

static clef_status append(text *t, const char *word)
{
	const int length = (int)strlen(word);
	clef_status s = clef__grow(&t->chars, &t->capacity, t->used + length + 1, 1, "the text of layers");

	if (s)
		return s;
	memcpy(t->chars + t->used, word, (size_t)length + 1);
	t->used += length;
	return CLEF_OK;
}

/* Under any locale with a point. */
static void number_text(double value, bool wide, char word[64])
{
	char *comma;

	for (int digits = 6; digits <= 17; digits++) {
		snprintf(word, 64, "%.*g", digits, value);
		if (wide ? strtod(word, NULL) == value : strtof(word, NULL) == (float)value)
			break;
	}
	comma = strchr(word, ',');
	if (comma)
		*comma = '.';
}

/* The value of a field; false where it is at its default. */
static bool field_text(const clef_layer *layer, const clef__field *field, char word[64])
{
	static const char zeros[sizeof(int64_t)];
	const char *at = (const char *)layer + field->offset;
	int64_t size;
	double wide;
	float number;
	/* p and q stand for their defaults only where both are 0. */
	const bool written = field->kind == CLEF__FIELD_NUMBER && (memcmp(&layer->p, zeros, sizeof(float)) != 0 ||
								   memcmp(&layer->q, zeros, sizeof(float)) != 0);

	switch (field->kind) {
	case CLEF__FIELD_COUNT:
	case CLEF__FIELD_WHOLE:
	case CLEF__FIELD_INTEGER:
		memcpy(&size, at, sizeof(size));
		snprintf(word, 64, "%lld", (long long)size);
		return size != 0;
	case CLEF__FIELD_SCALE:
		memcpy(&wide, at, sizeof(wide));
		number_text(wide, true, word);
		return memcmp(at, zeros, sizeof(wide)) != 0;
	case CLEF__FIELD_FLAG:
		snprintf(word, 64, "%s", field->name);
		return *(const bool *)at;
	default:
		memcpy(&number, at, sizeof(number));
		number_text((double)number + 0.0, false, word);
		return written || (field->kind != CLEF__FIELD_NUMBER && memcmp(at, zeros, sizeof(number)) != 0);
	}
}

static clef_status append_layer(text *t, const clef_layer *layer)
{
	const clef__layer_type *type = clef__layer_type_of(layer->kind);
	clef_status s = append(t, type->name);
	bool any = false;

	for (int i = 0; type->field[i].name && !s; i++) {
		const clef__field *field = &type->field[i];
		const bool by_name = field->kind != CLEF__FIELD_FLAG && field->kind != CLEF__FIELD_COUNT;
		char word[64];

		if (!field_text(layer, field, word))
			continue;
		s = append(t, any ? ", " : "(");
		any = true;
		if (!s && by_name)
			s = append(t, field->name);
		if (!s && by_name)
			s = append(t, "=");
		if (!s)
			s = append(t, word);
	}
	return !s && any ? append(t, ")") : s;
}

char *clef_layers_text(const clef_layer *layers, int count)
{
	const char *f = "clef_layers_text";
	text t = { NULL, 0, 0 };
	clef_status s = append(&t, "");

	if (!layers) {
		free(t.chars);
		clef__null_argument(f);
		return NULL;
	}
	for (int i = 0; i < count && !s; i++) {
		if (!clef__layer_type_of(layers[i].kind))
			s = clef__fail(CLEF_ERROR_INVALID, "%s: layer %d is of kind %d, which is no clef_layer_kind", f,
				       i, (int)layers[i].kind);
		if (!s && i)
			s = append(&t, " ");
		if (!s)
			s = append_layer(&t, &layers[i]);
	}
	if (!s)
		return t.chars;
	free(t.chars);
	return NULL;
}
