/* SPDX-License-Identifier: Apache-2.0 */
/* Augmentation as text, "crop(4) flip erase(8)": a word for each thing that is done, with the fields of its options. */
#include "nn_internal.h"

/* clang-format off */
#define FIELD(name, kind, member, range) \
	{ name, CLEF__FIELD_##kind, offsetof(clef_augment_opts, member), 0, CLEF__##range }

static const struct {
	const char *name;
	clef__field field[3];
	float preset; /* of the first field, where that is an option; 0: it must be given */
} kinds[] = {
	{ "crop", { FIELD("pad", COUNT, crop, POSITIVE) }, 0 },
	{ "translate", { FIELD("share", OPTION, translate, BELOW_ONE) }, 0.1f },
	{ "flip", { FIELD("p", OPTION, flip, SHARE) }, 0.5f },
	{ "vflip", { FIELD("p", OPTION, vflip, SHARE) }, 0.5f },
	{ "erase", { FIELD("size", COUNT, erase, POSITIVE), FIELD("p", OPTION, erase_p, SHARE) }, 0 },
	{ "reflect", { { 0 } }, 0 },
};
/* clang-format on */

enum { REFLECT = CLEF_COUNT(kinds) - 1 };

static const char *kind_name(int kind)
{
	return kinds[kind].name;
}

static const clef__field *kind_fields(int kind)
{
	return kinds[kind].field;
}

static const clef__language language = { "clef_augment_parse", "augmentation", "an augmentation",
					 CLEF_COUNT(kinds),    kind_name,      kind_fields };

/* The ranges, and what was left out. */
static clef_status finish(clef_augment_opts *o, int kind, const bool *seen)
{
	const clef__field *field = kinds[kind].field;
	clef_status s = CLEF_OK;

	for (int i = 0; field[i].name && !s; i++) {
		float *value = (float *)(void *)((char *)o + field[i].offset);

		if (field[i].kind != CLEF__FIELD_OPTION)
			continue;
		if (!seen[i] && i == 0)
			*value = kinds[kind].preset;
		s = clef__option_check(language.function, field[i].name, *value, field[i].range);
	}
	return s;
}

static clef_status parse_word(clef__parser *in, clef_augment_opts *o, bool *done)
{
	bool seen[CLEF__FIELDS];
	clef__word name;
	int kind;
	clef_status s = clef__parse_kind(in, &name, &kind);

	if (!s && done[kind])
		s = clef__fail(CLEF_ERROR_INVALID, "%s: \"%s\" is there twice", language.function, kinds[kind].name);
	if (!s)
		s = clef__parse_fields(in, name, kind, o, seen);
	if (s)
		return s;
	done[kind] = true;
	return finish(o, kind, seen);
}

clef_status clef_augment_parse(const char *text, clef_augment_opts *opts)
{
	clef__parser in = { &language, text, text };
	clef_augment_opts o = { .crop = 0 };
	bool done[CLEF_COUNT(kinds)] = { false };
	clef_status s = CLEF_OK;

	if (!text || !opts)
		return clef__null_argument(language.function);
	for (clef__parse_separators(&in); *in.p && !s; clef__parse_separators(&in))
		s = parse_word(&in, &o, done);
	if (s)
		return s;
	o.reflect = done[REFLECT];
	*opts = o;
	return CLEF_OK;
}
