/* SPDX-License-Identifier: Apache-2.0 */
/* A run of benchmarks, from its beginning to its end, and the rows that it collects. */
#define _POSIX_C_SOURCE 200809L
#include <sys/utsname.h>
#include <time.h>

#include "bench_internal.h"

const char *clef_bench_state_name(clef_bench_state state)
{
	static const char *const names[] = { "right", "wrong", "impossible", "failed" };

	return (int)state >= 0 && (int)state < CLEF_COUNT(names) ? names[state] : "state?";
}

static char *date_now(void)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[32] = "";

	if (gmtime_r(&now, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return clef__strdup(text);
}

/* The processor's name is Linux's own; without it the system alone must do. */
static char *system_text(void)
{
	struct utsname u;
	char line[256], cpu[256] = "";
	FILE *file = fopen("/proc/cpuinfo", "r");

	while (file && !*cpu && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (!strncmp(line, "model name", 10) && colon)
			snprintf(cpu, sizeof(cpu), ", %.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
	}
	if (file)
		fclose(file);
	if (uname(&u))
		return clef__strdup("unknown");
	return clef__format("%s %s %s%s", u.sysname, u.release, u.machine, cpu);
}

clef_bench *clef_bench_new(clef_device *dev, clef_bench_effort effort)
{
	static const char *const efforts[] = { "default", "quick", "full" };
	clef_bench *b;

	if (!dev) {
		clef__null_argument("clef_bench_new");
		return NULL;
	}
	if ((int)effort < 0 || (int)effort >= CLEF_COUNT(efforts))
		return clef__fail_null(CLEF_ERROR_INVALID, "clef_bench_new: %d is no effort", (int)effort);
	b = clef__calloc(1, sizeof(*b), "a benchmark");
	if (!b)
		return NULL;
	clef__device_retain(dev);
	b->dev = dev;
	b->effort = effort;
	b->start = clef__seconds();
	b->result.device = *clef_device_get_info(dev);
	b->result.clef = clef__strdup(clef_version());
	b->result.date = date_now();
	b->result.system = system_text();
	b->result.effort = clef__strdup(efforts[effort]);
	if (b->result.clef && b->result.date && b->result.system && b->result.effort)
		return b;
	clef_bench_free(b);
	return NULL;
}

void clef__bench_row_free(clef_bench_row *row)
{
	free(row->name);
	free(row->pass);
	free(row->group);
	free(row->message);
}

static void result_clear(clef_bench_result *r)
{
	for (int i = 0; i < r->ops; i++)
		clef__bench_row_free(&r->op[i]);
	for (int i = 0; i < r->networks; i++)
		clef__bench_row_free(&r->network[i]);
	free(r->op);
	free(r->network);
	free(r->probe);
	free(r->error);
	free(r->clef);
	free(r->date);
	free(r->system);
	free(r->effort);
}

void clef_bench_free(clef_bench *b)
{
	if (!b)
		return;
	result_clear(&b->result);
	clef__device_release(b->dev);
	free(b);
}

void clef_bench_results_free(clef_bench_result **results, int count)
{
	for (int i = 0; results && i < count; i++)
		if (results[i]) {
			result_clear(results[i]);
			free(results[i]);
		}
	free(results);
}

const clef_bench_result *clef_bench_get(const clef_bench *b)
{
	return b ? &b->result : NULL;
}

clef_bench_row *clef__bench_add(clef_bench *b, bool network, const char *name, const char *pass, const char *group)
{
	clef_bench_row **list = network ? &b->result.network : &b->result.op, *row;
	int *count = network ? &b->result.networks : &b->result.ops;

	if (clef__grow(list, network ? &b->network_capacity : &b->op_capacity, *count + 1, sizeof(**list),
		       "a benchmark"))
		return NULL;
	row = &(*list)[*count];
	*row = (clef_bench_row){
		.name = clef__strdup(name), .pass = clef__strdup(pass), .group = clef__strdup(group), .bound = ""
	};
	if (!row->name || !row->pass || !row->group) {
		clef__bench_row_free(row);
		return NULL;
	}
	(*count)++;
	return row;
}

void clef__bench_set_state(clef_bench_row *row, clef_bench_state state, char *message)
{
	if (row->state != CLEF_BENCH_RIGHT) {
		free(message);
		return;
	}
	row->state = state;
	row->message = message;
}

void clef__bench_set_failed(clef_bench_row *row)
{
	clef__bench_set_state(row, CLEF_BENCH_FAILED, clef__strdup(clef_error()));
}
