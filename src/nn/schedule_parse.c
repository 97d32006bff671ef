/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules as text, "cosine(5000, warmup=200)": the fields of each kind, in the order in which they can be written. */
#include "schedule_internal.h"

/* clang-format off */
#define FIELD(kind, member) { #member, CLEF__FIELD_##kind, offsetof(clef_schedule_opts, member) }
#define WHOLE(member)       FIELD(WHOLE, member)
#define NUMBER(member)      FIELD(DOUBLE, member)
#define FLAG(member)        FIELD(FLAG, member)
#define WARMUP              WHOLE(warmup), NUMBER(warmup_factor)

static const clef__field fields[CLEF_SCHEDULE_KINDS][CLEF__FIELDS] = {
	[CLEF_SCHEDULE_CONSTANT] = { NUMBER(factor), WHOLE(steps), WARMUP },
	[CLEF_SCHEDULE_STEP] = { WHOLE(every), NUMBER(factor), WARMUP },
	[CLEF_SCHEDULE_MULTISTEP] = { FIELD(LIST, at), NUMBER(factor), WARMUP },
	[CLEF_SCHEDULE_EXPONENTIAL] = { NUMBER(factor), WARMUP },
	[CLEF_SCHEDULE_COSINE] = { WHOLE(steps), NUMBER(end_lr), WARMUP },
	[CLEF_SCHEDULE_RESTARTS] = { WHOLE(steps), WHOLE(multiple), NUMBER(end_lr), WARMUP },
	[CLEF_SCHEDULE_ONE_CYCLE] = { WHOLE(steps), NUMBER(start), NUMBER(div_factor), NUMBER(final_div_factor),
		FLAG(linear), FLAG(three_phase) },
	[CLEF_SCHEDULE_LINEAR] = { WHOLE(steps), NUMBER(start_factor), NUMBER(end_factor), WARMUP },
	[CLEF_SCHEDULE_POLYNOMIAL] = { WHOLE(steps), NUMBER(power), WARMUP },
	[CLEF_SCHEDULE_PLATEAU] = { NUMBER(factor), WHOLE(patience), NUMBER(threshold), WHOLE(cooldown), NUMBER(end_lr),
		NUMBER(eps), FLAG(absolute), FLAG(maximum), WARMUP },
};
/* clang-format on */

static const char *kind_name(int kind)
{
	return kind == CLEF_SCHEDULE_FUNCTION ? NULL : clef_schedule_name((clef_schedule_kind)kind);
}

static const clef__field *kind_fields(int kind)
{
	return fields[kind];
}

static const clef__language language = { "clef_schedule_parse", "schedule", "a schedule",
					 CLEF_SCHEDULE_KINDS,   kind_name,  kind_fields };

static clef_status parse(clef__parser *in, clef_schedule_opts *o)
{
	bool seen[CLEF__FIELDS];
	clef__word name;
	int kind;
	clef_status s;

	clef__parse_separators(in);
	s = clef__parse_kind(in, &name, &kind);
	if (!s)
		s = clef__parse_fields(in, name, kind, o, seen);
	if (!s)
		s = clef__parse_end(in);
	if (s)
		return s;
	o->kind = (clef_schedule_kind)kind;
	for (int i = 0; fields[kind][i].name; i++)
		if (seen[i] && fields[kind][i].offset == offsetof(clef_schedule_opts, patience) && !o->patience)
			o->patience = -1;
	return CLEF_OK;
}

clef_status clef_schedule_parse(const char *text, clef_schedule_opts *opts)
{
	clef__parser in = { &language, text, text };
	clef_schedule_opts o = { .kind = CLEF_SCHEDULE_CONSTANT }, checked;
	clef_status s;

	if (!text || !opts)
		return clef__null_argument(language.function);
	s = parse(&in, &o);
	checked = o;
	if (!checked.steps && fields[o.kind][0].offset == offsetof(clef_schedule_opts, steps))
		checked.steps = 1;
	if (!s)
		s = clef__schedule_options(&checked);
	if (s)
		free((void *)o.at);
	else
		*opts = o;
	return s;
}
