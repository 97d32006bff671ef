/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measuring candidates against each other. Each is checked before it is timed. Then they run in turn, round after
 * round, so that what disturbs the machine disturbs all alike; what a candidate is worth is its best time, because
 * everything that disturbs makes a run slower; and those that have fallen behind run no more.
 */
#include <math.h>

#include "opencl.h"
#include "tuning_file.h"

#define MAX_ROUNDS 16
/* Short runs are timed several together, or the wait behind them would count most. */
#define LEAST_SECONDS 1e-3
#define MOST_RUNS     64
/* Behind the best one by more than this after the first round, the second ...: out. A run or two may have been
 * disturbed, on a busy machine by any factor; many hardly. What the others are compared with stays longer, so that the
 * gain that is told is not chance. */
static const double behind[] = { 5, 3, 2, 1.5, 1.3, 1.2, 1.12, 1.08 };
#define SHIPPED_ROUNDS 6
/* A gain below this is as likely chance, and a change of the last bits is not worth it. */
#define LEAST_GAIN 1.02

static bool stopped(const clef__trial *t)
{
	return t->how->stop && t->how->stop(t->how->user);
}

static bool is_memory(clef_status status)
{
	return status == CLEF_ERROR_MEMORY || status == CLEF_ERROR_DEVICE_MEMORY;
}

/* One line, and no error any more. */
static void set_aside(const clef__trial *trial, clef__candidate *c, clef__tuned *t)
{
	const char *why = clef_error_status() ? clef_error() : "it computes wrong results";
	char text[CLEF__CHOICE_TEXT];
	size_t used = strlen(t->wrong);

	c->out = true;
	clef__log(CLEF_LOG_WARN, "tuning: %s is set aside for \"%s\" on %s: %.*s", clef__choice_text(&c->choice, text),
		  trial->problem, clef_device_get_info(trial->dev)->name, (int)strcspn(why, "\n"), why);
	if (used + strlen(text) + 2 < sizeof(t->wrong)) {
		if (used)
			t->wrong[used++] = ' ';
		memcpy(t->wrong + used, text, strlen(text) + 1);
	}
	clef_error_clear();
}

static clef_status check(const clef__trial *trial, clef__candidate *c, clef__tuned *t)
{
	bool good = false;
	clef_status status;

	if (c->checked)
		return CLEF_OK;
	clef_error_clear();
	status = trial->check(trial->user, &c->choice, &good);
	if (is_memory(status))
		return status;
	c->checked = true;
	if (!good)
		set_aside(trial, c, t);
	return CLEF_OK;
}

/* Seconds of one run, out of so many. */
static clef_status time_runs(const clef__trial *trial, const clef__candidate *c, int runs, double *seconds)
{
	double start = clef__seconds();
	clef_status status = CLEF_OK;

	for (int i = 0; i < runs && !status; i++)
		status = trial->run(trial->user, &c->choice);
	if (!status)
		status = clef_finish(trial->dev);
	*seconds = (clef__seconds() - start) / runs;
	return status;
}

static double best_of(const clef__trial *trial)
{
	double best = INFINITY;

	for (int i = 0; i < trial->count; i++)
		if (trial->candidate[i].timed && !trial->candidate[i].out)
			best = fmin(best, trial->candidate[i].seconds);
	return best;
}

/* One round. *more is false when time is up. */
static clef_status run_round(const clef__trial *trial, double until, clef__tuned *t, int *runs, bool *more)
{
	for (int i = 0; i < trial->count; i++) {
		clef__candidate *c = &trial->candidate[i];
		double seconds, best = best_of(trial);
		clef_status status;

		if (c->out)
			continue;
		if (clef__seconds() >= until || stopped(trial)) {
			*more = false;
			return CLEF_OK;
		}
		/* Known to be slow, from before it ran. */
		if (!c->timed && c->seconds > 3 * best) {
			c->out = true;
			continue;
		}
		status = check(trial, c, t);
		if (status)
			return status;
		if (c->out)
			continue;
		status = time_runs(trial, c, *runs, &seconds);
		if (!status && !c->timed && *runs == 1 && seconds < LEAST_SECONDS) {
			/* The first to run: it says for all how many runs are worth timing. */
			if (isinf(best))
				*runs = (int)fmin(ceil(LEAST_SECONDS / fmax(seconds, 1e-7)), MOST_RUNS);
			status = time_runs(trial, c, *runs, &seconds);
		}
		if (is_memory(status))
			return status;
		if (status) {
			set_aside(trial, c, t);
			continue;
		}
		c->seconds = c->timed ? fmin(c->seconds, seconds) : seconds;
		c->timed = true;
	}
	return CLEF_OK;
}

static int drop_behind(const clef__trial *trial, int round)
{
	double limit = best_of(trial) * behind[CLEF__MIN(round, CLEF_COUNT(behind) - 1)];
	int left = 0;

	for (int i = 0; i < trial->count; i++) {
		clef__candidate *c = &trial->candidate[i];

		c->out = c->out || (c->timed && c->seconds > limit && (i > 0 || round >= SHIPPED_ROUNDS));
		left += !c->out;
	}
	return left;
}

static void conclude(const clef__trial *trial, clef__tuned *t, bool *done)
{
	const clef__candidate *shipped = &trial->candidate[0], *best = NULL;
	int timed = 0, open = 0;

	for (int i = 0; i < trial->count; i++) {
		const clef__candidate *c = &trial->candidate[i];

		timed += c->timed;
		open += !c->timed && !c->out;
		if (c->timed && c->checked && !c->out && (!best || c->seconds < best->seconds))
			best = c;
	}
	if (!best || (shipped->timed && !shipped->out && shipped->seconds < LEAST_GAIN * best->seconds))
		best = shipped;
	t->choice = best->choice;
	t->ms = best->timed ? 1e3 * best->seconds : 0;
	t->shipped_ms = shipped->timed ? 1e3 * shipped->seconds : 0;
	*done = timed > 1 || !open;
}

clef_status clef__trial_run(clef__trial *trial, clef__tuned *t, bool *done)
{
	double until = clef__seconds() + trial->how->seconds;
	clef_status status = CLEF_OK;
	clef__profile *profile = trial->dev->profile;
	bool more = true;
	int runs = 1;

	*t = (clef__tuned){ .first_use = false };
	snprintf(t->problem, sizeof(t->problem), "%s", trial->problem);
	snprintf(t->shipped, sizeof(t->shipped), "%s", trial->candidate[0].choice.name);
	*done = false;
	/* It is no part of the profile; and what runs in a candidate is measured when it runs by itself. */
	trial->dev->profile = NULL;
	trial->dev->tuning->measuring = true;
	for (int round = 0; round < MAX_ROUNDS && more && !status; round++) {
		status = run_round(trial, until, t, &runs, &more);
		if (!status && drop_behind(trial, round) <= 1)
			break;
	}
	trial->dev->tuning->measuring = false;
	trial->dev->profile = profile;
	if (status)
		return status;
	conclude(trial, t, done);
	if (stopped(trial))
		*done = false;
	return CLEF_OK;
}

const clef__tuned *clef__trial_keep(clef_device *dev, clef_status measured, clef__tuned *t)
{
	if (measured) {
		clef__log(CLEF_LOG_DEBUG, "tuning: not measured: %s", clef_error());
		clef_error_clear();
		return NULL;
	}
	t->first_use = true;
	clef__log(CLEF_LOG_INFO, "tuning: %s by %s, %.3f ms", t->problem, t->choice.name, t->ms);
	return clef__tuning_keep(dev, t, true) ? NULL : clef__tuning_find(dev, t->problem);
}
