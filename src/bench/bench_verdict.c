/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which device to train on, in words. The reason is looked for in what holds the second best device back in that very
 * network: where the best one has more of it, that is why; otherwise clef makes better use of it.
 */
#include <clef/bench.h>

#include "bench_internal.h"

typedef struct verdict {
	const clef_bench_result *const *results;
	int count;
	char *text;
	size_t used, size;
	bool failed;
} verdict;

static void say(verdict *v, const char *format, ...) CLEF__PRINTF(2, 3);

static void say(verdict *v, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	if (v->used + (size_t)n + 1 > v->size) {
		size_t size = 2 * v->size + (size_t)n + 256;
		char *text = realloc(v->text, size);

		v->failed |= !text;
		v->text = text ? text : v->text;
		v->size = text ? size : v->size;
	}
	if (v->used + (size_t)n + 1 <= v->size)
		v->used += (size_t)vsnprintf(v->text + v->used, v->size - v->used, format, again);
	va_end(again);
	va_end(args);
}

static void say_device(verdict *v, const clef_bench_result *r)
{
	say(v, "%d:%d %s (%s)", r->device.platform, r->device.device, r->device.name, r->device.platform_name);
}

static const clef_bench_row *row_of(const clef_bench_result *r, const char *name, const char *pass)
{
	for (int i = 0; i < r->networks; i++)
		if (!strcmp(r->network[i].name, name) && !strcmp(r->network[i].pass, pass))
			return &r->network[i];
	return NULL;
}

static bool ran(const clef_bench_row *row)
{
	return row && row->state == CLEF_BENCH_RIGHT && row->seconds.count;
}

/* The fastest device but `but`; -1 where no other ran it. */
static int fastest(const verdict *v, const clef_bench_row *like, int but)
{
	int best = -1;

	for (int i = 0; i < v->count; i++) {
		const clef_bench_row *row = row_of(v->results[i], like->name, like->pass);

		if (i != but && ran(row) &&
		    (best < 0 ||
		     row->seconds.median < row_of(v->results[best], like->name, like->pass)->seconds.median))
			best = i;
	}
	return best;
}

/* ---- why ---- */

static double whole_copy(const clef_bench_limits_result *l)
{
	return l->memories ? l->memory[l->memories - 1].copy.median : 0;
}

static void say_reason(verdict *v, int best, int second, const clef_bench_row *a, const clef_bench_row *b)
{
	const clef_bench_limits_result *l = &v->results[best]->limits, *m = &v->results[second]->limits;
	double more = 0, mine = 0, other = 0;
	const char *what = "", *unit = "";

	if (!strcmp(b->bound, "arithmetic")) {
		mine = 1e-9 * l->multiply_add.median;
		other = 1e-9 * m->multiply_add.median;
		what = "multiplies and adds";
		unit = "GFLOP/s";
	} else if (!strcmp(b->bound, "memory")) {
		mine = 1e-9 * whole_copy(l);
		other = 1e-9 * whole_copy(m);
		what = "moves data";
		unit = "GB/s";
	} else if (!strcmp(b->bound, "launches") && l->launch_row.median > 0 && m->launch_row.median > 0) {
		mine = 1e-3 / l->launch_row.median;
		other = 1e-3 / m->launch_row.median;
		what = "starts kernels";
		unit = "thousand launches/s";
	}
	more = other > 0 ? mine / other : 0;
	if (more >= 1.2)
		say(v, ", because it %s %.1f times as fast (%.3g against %.3g %s)", what, more, mine, other, unit);
	else if (a->limit > 0 && b->limit > 0)
		say(v, ", because clef reaches %.0f %% of its limits and %.0f %% of the other's",
		    100 * clef_bench_share(a), 100 * clef_bench_share(b));
	else
		say(v, ", as measured");
}

static void say_failures(verdict *v, const clef_bench_row *like)
{
	for (int i = 0; i < v->count; i++) {
		const clef_bench_result *r = v->results[i];
		const clef_bench_row *row = row_of(r, like->name, like->pass);

		if (!r->error && (!row || ran(row)))
			continue;
		say(v, " Not on ");
		say_device(v, r);
		if (r->error)
			say(v, ": %s.", r->error);
		else
			say(v, ": %s%s%s.", clef_bench_state_name(row->state), row->message ? ", " : "",
			    row->message ? row->message : "");
	}
}

static void judge(verdict *v, const clef_bench_row *like)
{
	int best = fastest(v, like, -1), second = fastest(v, like, best);
	const clef_bench_row *a, *b;

	if (best < 0) {
		say(v, "No device trains %s.", like->name);
		say_failures(v, like);
		say(v, "\n");
		return;
	}
	a = row_of(v->results[best], like->name, like->pass);
	say(v, "Train %s on ", like->name);
	say_device(v, v->results[best]);
	say(v, ": %.0f images/s", a->images / a->seconds.median);
	if (second < 0) {
		say(v, ", %.0f %% of its limits, the only device that did it.", 100 * clef_bench_share(a));
	} else {
		b = row_of(v->results[second], like->name, like->pass);
		say(v, ", %.3g times as fast as ", b->seconds.median / a->seconds.median);
		say_device(v, v->results[second]);
		say_reason(v, best, second, a, b);
		say(v, ".");
	}
	say_failures(v, like);
	say(v, "\n");
}

/* Has an earlier device judged this network already? */
static bool seen(const verdict *v, int result, const clef_bench_row *row)
{
	for (int i = 0; i < result; i++)
		if (row_of(v->results[i], row->name, row->pass))
			return true;
	return false;
}

char *clef_bench_verdict(const clef_bench_result *const *results, int count)
{
	verdict v = { .results = results, .count = results ? count : 0 };

	say(&v, "%s", "");
	for (int i = 0; i < v.count; i++)
		for (int k = 0; k < results[i]->networks; k++) {
			const clef_bench_row *row = &results[i]->network[k];

			if (!strncmp(row->pass, "train", 5) && !seen(&v, i, row))
				judge(&v, row);
		}
	if (!v.failed)
		return v.text;
	free(v.text);
	clef__fail(CLEF_ERROR_MEMORY, "clef_bench_verdict: no memory");
	return NULL;
}
