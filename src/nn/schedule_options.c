/* SPDX-License-Identifier: Apache-2.0 */
/* The options of schedules: which fields a kind takes, their defaults and their ranges. */
#include <math.h>

#include "schedule_internal.h"

enum {
	STEPS = 1 << 0,
	EVERY = 1 << 1,
	AT = 1 << 2,
	FACTOR = 1 << 3,
	END_LR = 1 << 4,
	MULTIPLE = 1 << 5,
	CYCLE = 1 << 6,
	LINE = 1 << 7,
	POWER = 1 << 8,
	PLATEAU = 1 << 9,
	FUNCTION = 1 << 10,
	NO_WARMUP = 1 << 11,
	STEPS_LEFT = 1 << 12, /* may be left out */
};

static const struct {
	const char *name;
	unsigned fields;
} kinds[CLEF_SCHEDULE_KINDS] = {
	[CLEF_SCHEDULE_CONSTANT] = { "constant", STEPS | STEPS_LEFT | FACTOR },
	[CLEF_SCHEDULE_STEP] = { "step", EVERY | FACTOR },
	[CLEF_SCHEDULE_MULTISTEP] = { "multistep", AT | FACTOR },
	[CLEF_SCHEDULE_EXPONENTIAL] = { "exponential", FACTOR },
	[CLEF_SCHEDULE_COSINE] = { "cosine", STEPS | END_LR },
	[CLEF_SCHEDULE_RESTARTS] = { "restarts", STEPS | MULTIPLE | END_LR },
	[CLEF_SCHEDULE_ONE_CYCLE] = { "one_cycle", STEPS | CYCLE | NO_WARMUP },
	[CLEF_SCHEDULE_LINEAR] = { "linear", STEPS | LINE },
	[CLEF_SCHEDULE_POLYNOMIAL] = { "polynomial", STEPS | POWER },
	[CLEF_SCHEDULE_PLATEAU] = { "plateau", FACTOR | END_LR | PLATEAU },
	[CLEF_SCHEDULE_FUNCTION] = { "function", FUNCTION },
};

const char *clef_schedule_name(clef_schedule_kind kind)
{
	return (unsigned)kind < CLEF_SCHEDULE_KINDS ? kinds[kind].name : "schedule?";
}

static bool zero(double x)
{
	return x == 0.0 && !signbit(x);
}

/* A field that was given to a kind that does not take it, or NULL. */
static const char *stray(const clef_schedule_opts *o, unsigned fields)
{
	const struct {
		const char *name;
		unsigned field;
		bool given;
	} list[] = {
		{ "steps", STEPS, o->steps != 0 },
		{ "every", EVERY, o->every != 0 },
		{ "at", AT, o->at || o->at_count },
		{ "factor", FACTOR, !zero(o->factor) },
		{ "end_lr", END_LR, !zero(o->end_lr) },
		{ "multiple", MULTIPLE, o->multiple != 0 },
		{ "start", CYCLE, !zero(o->start) },
		{ "div_factor", CYCLE, !zero(o->div_factor) },
		{ "final_div_factor", CYCLE, !zero(o->final_div_factor) },
		{ "linear", CYCLE, o->linear },
		{ "three_phase", CYCLE, o->three_phase },
		{ "start_factor", LINE, !zero(o->start_factor) },
		{ "end_factor", LINE, !zero(o->end_factor) },
		{ "power", POWER, !zero(o->power) },
		{ "patience", PLATEAU, o->patience != 0 },
		{ "cooldown", PLATEAU, o->cooldown != 0 },
		{ "threshold", PLATEAU, !zero(o->threshold) },
		{ "eps", PLATEAU, !zero(o->eps) },
		{ "absolute", PLATEAU, o->absolute },
		{ "maximum", PLATEAU, o->maximum },
		{ "function", FUNCTION, o->function != NULL },
		{ "user", FUNCTION, o->user != NULL },
	};

	for (int i = 0; i < CLEF_COUNT(list); i++)
		if (list[i].given && !(fields & list[i].field))
			return list[i].name;
	return NULL;
}

static void fill_in(clef_schedule_opts *o)
{
	struct {
		double *value, preset;
	} list[] = {
		{ &o->factor, o->kind == CLEF_SCHEDULE_CONSTANT ? 1.0 : 0.1 },
		{ &o->start, 0.3 },
		{ &o->div_factor, 25.0 },
		{ &o->final_div_factor, 1e4 },
		{ &o->start_factor, 1.0 / 3.0 },
		{ &o->end_factor, 1.0 },
		{ &o->power, 1.0 },
		{ &o->threshold, 1e-4 },
		{ &o->eps, 1e-8 },
		{ &o->warmup_factor, 1.0 / ((double)o->warmup + 1.0) },
	};

	for (int i = 0; i < CLEF_COUNT(list); i++)
		if (zero(*list[i].value))
			*list[i].value = list[i].preset;
	if (!o->multiple)
		o->multiple = 1;
	o->patience = o->patience == 0 ? 10 : o->patience == -1 ? 0 : o->patience;
}

static clef_status check_number(const char *name, double value, double low, bool open, double high)
{
	char upper[40] = "finite";

	if (isfinite(value) && (open ? value > low : value >= low) && value <= high)
		return CLEF_OK;
	if (isfinite(high))
		snprintf(upper, sizeof(upper), "<= %g", high);
	return clef__fail(CLEF_ERROR_INVALID, "clef_schedule_new: %s is %g, must be %s %g and %s", name, value + 0.0,
			  open ? ">" : ">=", low, upper);
}

static clef_status check_whole(const char *name, int64_t value, int64_t low)
{
	if (value >= low)
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_INVALID, "clef_schedule_new: %s is %lld, must be >= %lld", name, (long long)value,
			  (long long)low);
}

static clef_status check_numbers(const clef_schedule_opts *o)
{
	const struct {
		const char *name;
		double value, low, high;
		bool open;
	} list[] = {
		{ "warmup_factor", o->warmup_factor, 0, 1, false },
		{ "factor", o->factor, 0, INFINITY, true },
		{ "end_lr", o->end_lr, 0, INFINITY, false },
		{ "start", o->start, 0, 1, true },
		{ "div_factor", o->div_factor, 0, INFINITY, true },
		{ "final_div_factor", o->final_div_factor, 0, INFINITY, true },
		{ "start_factor", o->start_factor, 0, 1, true },
		{ "end_factor", o->end_factor, 0, 1, false },
		{ "power", o->power, 0, INFINITY, true },
		{ "threshold", o->threshold, 0, INFINITY, false },
		{ "eps", o->eps, 0, INFINITY, false },
	};
	clef_status s = CLEF_OK;

	for (int i = 0; i < CLEF_COUNT(list) && !s; i++)
		s = check_number(list[i].name, list[i].value, list[i].low, list[i].open, list[i].high);
	return s;
}

static clef_status check_at(const clef_schedule_opts *o)
{
	if (!o->at || o->at_count < 1)
		return clef__fail(CLEF_ERROR_INVALID, "clef_schedule_new: multistep needs at and at_count, 1 or more");
	for (int i = 1; i < o->at_count; i++)
		if (o->at[i] < o->at[i - 1])
			return clef__fail(CLEF_ERROR_INVALID,
					  "clef_schedule_new: at[%d] is %lld, must be >= %lld, the one before", i,
					  (long long)o->at[i], (long long)o->at[i - 1]);
	return CLEF_OK;
}

static clef_status check_opts(const clef_schedule_opts *o)
{
	unsigned fields;
	const char *name;
	clef_status s;

	if ((unsigned)o->kind >= CLEF_SCHEDULE_KINDS)
		return clef__fail(CLEF_ERROR_INVALID, "clef_schedule_new: kind is %d, must be 0 to %d", (int)o->kind,
				  CLEF_SCHEDULE_KINDS - 1);
	fields = kinds[o->kind].fields;
	name = fields & NO_WARMUP && o->warmup ? "warmup" : stray(o, fields);
	if (name)
		return clef__fail(CLEF_ERROR_INVALID, "clef_schedule_new: %s: this kind takes no %s",
				  kinds[o->kind].name, name);
	s = check_whole("warmup", o->warmup, 0);
	if (!s && fields & STEPS)
		s = check_whole("steps", o->steps, fields & STEPS_LEFT ? 0 : 1);
	if (!s && fields & EVERY)
		s = check_whole("every", o->every, 1);
	if (!s)
		s = check_whole("multiple", o->multiple, 0);
	if (!s)
		s = check_whole("patience", o->patience, -1);
	if (!s)
		s = check_whole("cooldown", o->cooldown, 0);
	if (!s && fields & AT)
		s = check_at(o);
	if (!s && fields & FUNCTION && !o->function)
		s = clef__fail(CLEF_ERROR_INVALID, "clef_schedule_new: function is NULL");
	return s;
}

clef_status clef__schedule_options(clef_schedule_opts *o)
{
	clef_status s = check_opts(o);

	if (s)
		return s;
	fill_in(o);
	return check_numbers(o);
}
