/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results side by side. Two medians of a busy machine always differ, so a difference counts only where the middle
 * halves of both measurements lie apart.
 */
#include <clef/bench.h>
#include <math.h>

#include "bench_internal.h"

typedef struct ratios {
	clef_bench_ratio *list;
	int count, capacity;
	const clef_bench_result *const *results;
	int columns;
	clef_status status;
} ratios;

static bool apart(const clef_bench_stat *a, const clef_bench_stat *b)
{
	return a->high < b->low || b->high < a->low;
}

static clef_bench_ratio *add(ratios *r, const char *kind, const char *name, const char *pass)
{
	clef_bench_ratio *row;

	if (clef__grow(&r->list, &r->capacity, r->count + 1, sizeof(*r->list), "ratios")) {
		r->status = CLEF_ERROR_MEMORY;
		return NULL;
	}
	row = &r->list[r->count++];
	*row = (clef_bench_ratio){ .kind = kind, .name = name, .pass = pass };
	return row;
}

/* ---- limits ---- */

/* A limit by its place in the structure; those in seconds are better when they are less. */
typedef struct limit {
	const char *name, *pass;
	size_t offset;
	bool rate;
} limit;

static const limit limits[] = {
	{ "multiply-adds", "rate", offsetof(clef_bench_limits_result, multiply_add), true },
	{ "launch and wait", "time", offsetof(clef_bench_limits_result, launch), false },
	{ "launch in a row", "time", offsetof(clef_bench_limits_result, launch_row), false },
	{ "compiling, cold", "time", offsetof(clef_bench_limits_result, compile_cold), false },
	{ "compiling, cached", "time", offsetof(clef_bench_limits_result, compile_cached), false },
};

static void add_limit(ratios *r, const char *name, const char *pass, const clef_bench_stat *const *stat, bool rate)
{
	clef_bench_ratio *row = stat[0] && stat[0]->count ? add(r, "limit", name, pass) : NULL;

	for (int c = 0; row && c < r->columns; c++) {
		if (!stat[c] || !stat[c]->count)
			continue;
		row->value[c] = stat[c]->median;
		row->ratio[c] = rate ? row->value[c] / row->value[0] : row->value[0] / row->value[c];
		row->clear[c] = apart(stat[0], stat[c]);
	}
}

static void add_limits(ratios *r)
{
	const clef_bench_stat *stat[CLEF_BENCH_COLUMNS], *copy[CLEF_BENCH_COLUMNS], *read[CLEF_BENCH_COLUMNS];

	for (int i = 0; i < CLEF_COUNT(limits); i++) {
		for (int c = 0; c < r->columns; c++)
			stat[c] = (const clef_bench_stat *)((const char *)&r->results[c]->limits + limits[i].offset);
		add_limit(r, limits[i].name, limits[i].pass, stat, limits[i].rate);
	}
	for (int c = 0; c < r->columns; c++) {
		const clef_bench_limits_result *l = &r->results[c]->limits;

		copy[c] = l->memories ? &l->memory[l->memories - 1].copy : NULL;
		read[c] = l->memories ? &l->memory[l->memories - 1].read : NULL;
	}
	add_limit(r, "memory, copying", "rate", copy, true);
	add_limit(r, "memory, reading", "rate", read, true);
}

/* ---- rows ---- */

static const clef_bench_row *find(const clef_bench_row *rows, int count, const clef_bench_row *like)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(rows[i].name, like->name) && !strcmp(rows[i].pass, like->pass))
			return &rows[i];
	return NULL;
}

static void add_row(ratios *r, bool network, const clef_bench_row *first)
{
	clef_bench_ratio *row = add(r, network ? "network" : "op", first->name, first->pass);

	for (int c = 0; row && c < r->columns; c++) {
		const clef_bench_result *other = r->results[c];
		const clef_bench_row *found =
			network ? find(other->network, other->networks, first) : find(other->op, other->ops, first);

		if (!found) {
			row->broken[c] = other->error != NULL;
			continue;
		}
		row->broken[c] = found->state != CLEF_BENCH_RIGHT;
		if (row->broken[c] || !found->seconds.count)
			continue;
		row->value[c] = found->seconds.median;
		row->ratio[c] = first->seconds.median / found->seconds.median;
		row->clear[c] = apart(&first->seconds, &found->seconds);
	}
}

clef_bench_ratio *clef_bench_compare(const clef_bench_result *const *results, int count, int *number)
{
	ratios r = { .results = results, .columns = count };
	const clef_bench_result *first;

	if (!results || !number) {
		clef__null_argument("clef_bench_compare");
		return NULL;
	}
	if (count < 2 || count > CLEF_BENCH_COLUMNS)
		return clef__fail_null(CLEF_ERROR_INVALID, "clef_bench_compare: %d results; 2 to %d can be compared",
				       count, CLEF_BENCH_COLUMNS);
	first = results[0];
	add_limits(&r);
	for (int i = 0; i < first->ops; i++)
		if (first->op[i].state == CLEF_BENCH_RIGHT && first->op[i].seconds.count)
			add_row(&r, false, &first->op[i]);
	for (int i = 0; i < first->networks; i++)
		if (first->network[i].state == CLEF_BENCH_RIGHT && first->network[i].seconds.count)
			add_row(&r, true, &first->network[i]);
	if (!r.status && !r.count)
		clef__fail(CLEF_ERROR_INVALID, "clef_bench_compare: the first result has nothing to compare with");
	*number = r.count;
	if (!r.status && r.count)
		return r.list;
	free(r.list);
	return NULL;
}

double clef_bench_mean(const clef_bench_ratio *list, int count, const char *kind, int column)
{
	double sum = 0;
	int n = 0;

	for (int i = 0; i < count; i++)
		if (!strcmp(list[i].kind, kind) && list[i].ratio[column] > 0) {
			sum += log(list[i].ratio[column]);
			n++;
		}
	return n ? exp(sum / n) : 0;
}

bool clef_bench_below(const clef_bench_ratio *ratio, int columns, double least)
{
	if (!strcmp(ratio->kind, "limit"))
		return false;
	for (int c = 1; c < columns; c++)
		if (ratio->broken[c] || (ratio->ratio[c] > 0 && ratio->ratio[c] < least && ratio->clear[c]))
			return true;
	return false;
}
