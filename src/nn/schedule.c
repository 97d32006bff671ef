/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedules. Each kind but one is a closed formula of the step, so nothing adds up over the steps and any step can be
 * gone to at once. The options are in schedule_options.c.
 */
#include <math.h>

#include "schedule_internal.h"

#define PI 3.14159265358979323846

struct clef_schedule {
	clef_optim *optim;
	clef_schedule_opts o; /* with defaults filled in; `at` is a copy */
	double base;
	clef_schedule_state state;
};

/* ---- formulas: the rate at step t behind the warm-up ---- */

static double constant_rate(const clef_schedule *s, int64_t t)
{
	return t < s->o.steps ? s->base * s->o.factor : s->base;
}

static double step_rate(const clef_schedule *s, int64_t t)
{
	return s->base * pow(s->o.factor, (double)(t / s->o.every));
}

static double multistep_rate(const clef_schedule *s, int64_t t)
{
	int reached = 0;

	while (reached < s->o.at_count && t >= s->o.at[reached])
		reached++;
	return s->base * pow(s->o.factor, (double)reached);
}

static double exponential_rate(const clef_schedule *s, int64_t t)
{
	return s->base * pow(s->o.factor, (double)t);
}

/* From `from` to `to`, as the share of the way goes from 0 to 1. */
static double cosine(double from, double to, double share)
{
	return to + (from - to) * (1.0 + cos(PI * share)) / 2.0;
}

static double cosine_rate(const clef_schedule *s, int64_t t)
{
	return cosine(s->base, s->o.end_lr, (double)CLEF__MIN(t, s->o.steps) / (double)s->o.steps);
}

static double restarts_rate(const clef_schedule *s, int64_t t)
{
	int64_t length = s->o.steps;

	if (s->o.multiple == 1)
		t %= length;
	for (; t >= length; length *= s->o.multiple) {
		t -= length;
		if (length > INT64_MAX / s->o.multiple)
			break;
	}
	return cosine(s->base, s->o.end_lr, (double)t / (double)length);
}

static double one_cycle_rate(const clef_schedule *s, int64_t t)
{
	double steps = (double)s->o.steps, at = fmin((double)t, steps - 1.0);
	double low = s->base / s->o.div_factor, last = low / s->o.final_div_factor;
	const double ends[] = { s->o.start * steps - 1.0, 2.0 * s->o.start * steps - 2.0, steps - 1.0 };
	const double rates[] = { low, s->base, low, last };
	double begin = 0.0;

	for (int phase = 0; phase < 3; phase++) {
		double share, to = rates[phase + 1];

		if (!s->o.three_phase && phase == 1)
			continue;
		if (!s->o.three_phase && phase == 2)
			to = last;
		share = (at - begin) / (ends[phase] - begin);
		if (at <= ends[phase] || phase == 2) {
			double from = !s->o.three_phase && phase == 2 ? s->base : rates[phase];

			return s->o.linear ? from + (to - from) * share : cosine(from, to, share);
		}
		begin = ends[phase];
	}
	return last;
}

static double linear_rate(const clef_schedule *s, int64_t t)
{
	double share = (double)CLEF__MIN(t, s->o.steps) / (double)s->o.steps;

	return s->base * (s->o.start_factor + (s->o.end_factor - s->o.start_factor) * share);
}

static double polynomial_rate(const clef_schedule *s, int64_t t)
{
	return s->base * pow(1.0 - (double)CLEF__MIN(t, s->o.steps) / (double)s->o.steps, s->o.power);
}

static double plateau_rate(const clef_schedule *s, int64_t t)
{
	(void)t;
	return s->state.reduced;
}

static double function_rate(const clef_schedule *s, int64_t t)
{
	return s->base * s->o.function(t, s->o.user);
}

/* ---- the table ---- */

static double (*const rates[CLEF_SCHEDULE_KINDS])(const clef_schedule *, int64_t) = {
	[CLEF_SCHEDULE_CONSTANT] = constant_rate,     [CLEF_SCHEDULE_STEP] = step_rate,
	[CLEF_SCHEDULE_MULTISTEP] = multistep_rate,   [CLEF_SCHEDULE_EXPONENTIAL] = exponential_rate,
	[CLEF_SCHEDULE_COSINE] = cosine_rate,         [CLEF_SCHEDULE_RESTARTS] = restarts_rate,
	[CLEF_SCHEDULE_ONE_CYCLE] = one_cycle_rate,   [CLEF_SCHEDULE_LINEAR] = linear_rate,
	[CLEF_SCHEDULE_POLYNOMIAL] = polynomial_rate, [CLEF_SCHEDULE_PLATEAU] = plateau_rate,
	[CLEF_SCHEDULE_FUNCTION] = function_rate,
};

/* ---- the schedule ---- */

static clef_status apply(clef_schedule *s)
{
	int64_t t = s->state.step - s->o.warmup;
	double rate;

	if (t < 0) {
		double share = (double)s->state.step / (double)s->o.warmup;

		rate = s->state.reduced * (s->o.warmup_factor + (1.0 - s->o.warmup_factor) * share);
	} else {
		rate = rates[s->o.kind](s, t);
	}
	if (!(rate >= 0.0 && rate <= 3.4e38))
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_schedule_step: %s gives a rate of %g at step %lld, must be >= 0 and finite",
				  clef_schedule_name(s->o.kind), rate, (long long)s->state.step);
	return clef_optim_set_lr(s->optim, (float)rate);
}

clef_schedule *clef_schedule_new(clef_optim *optim, const clef_schedule_opts *opts)
{
	clef_schedule *s;
	clef_schedule_opts o;

	if (!optim || !opts) {
		clef__null_argument("clef_schedule_new");
		return NULL;
	}
	o = *opts;
	if (clef__schedule_options(&o))
		return NULL;
	s = clef__calloc(1, sizeof(*s), "a schedule");
	if (!s)
		return NULL;
	s->o = o;
	s->o.at = NULL;
	if (o.at_count) {
		int64_t *at = clef__calloc((size_t)o.at_count, sizeof(*at), "a schedule");

		if (!at) {
			free(s);
			return NULL;
		}
		memcpy(at, o.at, (size_t)o.at_count * sizeof(*at));
		s->o.at = at;
	}
	s->optim = optim;
	s->base = (double)clef_optim_get_lr(optim);
	s->state.best = o.maximum ? -INFINITY : INFINITY;
	s->state.reduced = s->base;
	if (!apply(s))
		return s;
	clef_schedule_free(s);
	return NULL;
}

void clef_schedule_free(clef_schedule *s)
{
	if (!s)
		return;
	free((int64_t *)s->o.at);
	free(s);
}

clef_status clef_schedule_step(clef_schedule *s)
{
	clef_status status;

	if (!s)
		return clef__null_argument("clef_schedule_step");
	s->state.step++;
	status = apply(s);
	if (status)
		s->state.step--;
	return status;
}

static bool better(const clef_schedule *s, double value)
{
	double best = s->state.best, threshold = s->o.threshold;

	if (s->o.maximum)
		return value > (s->o.absolute ? best + threshold : best * (1.0 + threshold));
	return value < (s->o.absolute ? best - threshold : best * (1.0 - threshold));
}

clef_status clef_schedule_report(clef_schedule *s, double value)
{
	clef_schedule_state *at;

	if (!s)
		return clef__null_argument("clef_schedule_report");
	if (s->o.kind != CLEF_SCHEDULE_PLATEAU)
		return clef__fail(CLEF_ERROR_STATE, "clef_schedule_report: %s takes no reports, only plateau does",
				  clef_schedule_name(s->o.kind));
	at = &s->state;
	if (better(s, value)) {
		at->best = value;
		at->bad = 0;
	} else {
		at->bad++;
	}
	if (at->cooldown > 0) {
		at->cooldown--;
		at->bad = 0;
	}
	if (at->bad > s->o.patience) {
		double reduced = fmax(at->reduced * s->o.factor, s->o.end_lr);

		if (at->reduced - reduced > s->o.eps)
			at->reduced = reduced;
		at->cooldown = s->o.cooldown;
		at->bad = 0;
	}
	return apply(s);
}

clef_schedule_kind clef__schedule_kind(const clef_schedule *s)
{
	return s->o.kind;
}

clef_schedule_state clef_schedule_get(const clef_schedule *s)
{
	if (!s)
		clef__null_argument("clef_schedule_get");
	return s ? s->state : (clef_schedule_state){ 0 };
}

clef_status clef_schedule_set(clef_schedule *s, const clef_schedule_state *state)
{
	clef_schedule_state before;
	clef_status status;

	if (!s || !state)
		return clef__null_argument("clef_schedule_set");
	if (state->step < 0)
		return clef__fail(CLEF_ERROR_INVALID, "clef_schedule_set: step is %lld, must be >= 0",
				  (long long)state->step);
	before = s->state;
	s->state = *state;
	status = apply(s);
	if (status)
		s->state = before;
	return status;
}
