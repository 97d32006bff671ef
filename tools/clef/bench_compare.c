/* SPDX-License-Identifier: Apache-2.0 */
/* clef bench --compare: files side by side. A file with several devices is as many columns. */
#include <stdlib.h>
#include <string.h>

#include "bench_tool.h"
#include "tool.h"

typedef struct columns {
	const clef_bench_result *result[CLEF_BENCH_COLUMNS];
	const char *file[CLEF_BENCH_COLUMNS];
	int count;
} columns;

static void print_columns(const columns *c)
{
	for (int i = 0; i < c->count; i++) {
		const clef_bench_result *r = c->result[i];

		printf("[%c] %s: %s (%s), clef %s, %s\n", 'A' + i, c->file[i], r->device.name, r->device.platform_name,
		       r->clef ? r->clef : "?", r->date ? r->date : "no date");
		if (r->error)
			printf("    nothing was measured: %s\n", r->error);
	}
}

static void print_value(const clef_bench_ratio *row, int c)
{
	bool rate = !strcmp(row->kind, "limit") && !strcmp(row->pass, "rate");
	char text[BENCH_TEXT];

	if (!(row->value[c] > 0))
		printf(" %12s", row->broken[c] ? "not right" : "-");
	else
		printf(" %12s",
		       rate ? bench_rate_text(row->value[c], "/s", text) : bench_seconds_text(row->value[c], text));
	if (c && row->ratio[c] > 0)
		printf(" %7.3f%c", row->ratio[c], row->clear[c] ? ' ' : '~');
	else if (c)
		printf(" %8s", "");
}

static void print_rows(const clef_bench_ratio *rows, int count, const columns *c)
{
	int name = 9, pass = 4;

	for (int i = 0; i < count; i++) {
		int n = (int)strlen(rows[i].name), p = (int)strlen(rows[i].pass);

		name = n > name ? n : name;
		pass = p > pass ? p : pass;
	}
	printf("\n%-*s %-*s", name, "", pass, "");
	for (int k = 0; k < c->count; k++)
		printf(k ? " %12c %8s" : " %12c", 'A' + k, "ratio");
	putchar('\n');
	for (int i = 0; i < count; i++) {
		printf("%-*s %-*s", name, rows[i].name, pass, rows[i].pass);
		for (int k = 0; k < c->count; k++)
			print_value(&rows[i], k);
		putchar('\n');
	}
}

static void print_means(const clef_bench_ratio *rows, int count, const columns *c)
{
	static const char *const kinds[] = { "op", "network" };

	for (int i = 0; i < CLEF_COUNT(kinds); i++)
		for (int k = 1; k < c->count; k++) {
			double mean = clef_bench_mean(rows, count, kinds[i], k);

			if (mean > 0)
				printf("%s[%c] %ss: %.3f times the speed of [A], geometric mean\n",
				       i == 0 && k == 1 ? "\n" : "", 'A' + k, kinds[i], mean);
		}
}

/* A list that shrinks must not go unnoticed. */
static void print_missing(const clef_bench_ratio *rows, int count, const columns *c)
{
	for (int k = 1; k < c->count; k++) {
		int missing = 0;

		for (int i = 0; i < count; i++)
			missing += !(rows[i].ratio[k] > 0) && !rows[i].broken[k];
		if (missing)
			printf("%d of the %d rows of [A] are not in [%c]\n", missing, count, 'A' + k);
	}
}

static void print_slower(const clef_bench_ratio *row, const columns *c, double least)
{
	for (int k = 1; k < c->count; k++)
		if (row->broken[k])
			printf("  %s %s: right in [A], not in [%c]\n", row->name, row->pass, 'A' + k);
		else if (row->ratio[k] > 0 && row->ratio[k] < least && row->clear[k])
			printf("  %s %s: %.3f in [%c]\n", row->name, row->pass, row->ratio[k], 'A' + k);
}

/* What got slower, for sure; its number is what --fail-below asks for. */
static int print_below(const clef_bench_ratio *rows, int count, const columns *c, double least)
{
	int below = 0;

	for (int i = 0; i < count; i++) {
		if (!clef_bench_below(&rows[i], c->count, least))
			continue;
		if (!below++)
			printf("\nBelow %g of the speed of [A], with a clear distance:\n", least);
		print_slower(&rows[i], c, least);
	}
	if (!below)
		printf("\nNothing is below %g of the speed of [A] with a clear distance.\n", least);
	return below;
}

static int compare(const columns *c, const bench_options *o)
{
	double least = o->fail_below > 0 ? (double)o->fail_below : 1;
	int count, below;
	clef_bench_ratio *rows = clef_bench_compare(c->result, c->count, &count);

	if (!rows) {
		complain("%s", reason());
		return EXIT_FAILED;
	}
	print_columns(c);
	print_rows(rows, count, c);
	print_means(rows, count, c);
	print_missing(rows, count, c);
	below = print_below(rows, count, c, least);
	free(rows);
	return o->fail_below > 0 && below ? EXIT_FAILED : EXIT_OK;
}

int bench_compare_files(const bench_options *o)
{
	clef_bench_result **read[CLEF_BENCH_COLUMNS] = { NULL };
	int number[CLEF_BENCH_COLUMNS] = { 0 }, files = 0, status = -1;
	columns c = { .count = 0 };

	for (int i = 0; i < o->words.count && status < 0; i++) {
		clef_bench_result **results =
			files < CLEF_BENCH_COLUMNS ? clef_bench_read(o->words.v[i], &number[files]) : NULL;

		if (files == CLEF_BENCH_COLUMNS || (results && c.count + number[files] > CLEF_BENCH_COLUMNS)) {
			complain("more than %d results", CLEF_BENCH_COLUMNS);
			status = EXIT_FAILED;
		} else if (!results) {
			complain("%s", reason());
			status = EXIT_FAILED;
		}
		for (int k = 0; status < 0 && k < number[files]; k++) {
			c.file[c.count] = o->words.v[i];
			c.result[c.count++] = results[k];
		}
		if (results)
			read[files++] = results;
	}
	if (status < 0)
		status = compare(&c, o);
	for (int i = 0; i < files; i++)
		clef_bench_results_free(read[i], number[i]);
	return status;
}
