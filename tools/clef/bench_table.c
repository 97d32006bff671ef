/* SPDX-License-Identifier: Apache-2.0 */
/* Results for people, as a table, and for spreadsheets, as CSV; and which of the outputs are wanted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench_tool.h"
#include "tool.h"

/* ---- figures ---- */

const char *bench_seconds_text(double seconds, char text[BENCH_TEXT])
{
	if (seconds >= 1)
		snprintf(text, BENCH_TEXT, "%.3g s", seconds);
	else if (seconds >= 1e-3)
		snprintf(text, BENCH_TEXT, "%.3g ms", 1e3 * seconds);
	else
		snprintf(text, BENCH_TEXT, "%.3g us", 1e6 * seconds);
	return text;
}

const char *bench_rate_text(double rate, const char *unit, char text[BENCH_TEXT])
{
	static const char *const prefix[] = { "", "k", "M", "G", "T", "P" };
	int i = 0;

	while (rate >= 1000 && i < CLEF_COUNT(prefix) - 1) {
		rate /= 1000;
		i++;
	}
	snprintf(text, BENCH_TEXT, "%.*f %s%s", rate < 10 ? 2 : rate < 100 ? 1 : 0, rate, prefix[i], unit);
	return text;
}

const char *bench_bytes_text(double bytes, char text[BENCH_TEXT])
{
	if (bytes >= 1 << 30)
		snprintf(text, BENCH_TEXT, "%.3g GiB", bytes / (1 << 30));
	else if (bytes >= 1 << 20)
		snprintf(text, BENCH_TEXT, "%.3g MiB", bytes / (1 << 20));
	else if (bytes >= 1 << 10)
		snprintf(text, BENCH_TEXT, "%.3g KiB", bytes / (1 << 10));
	else
		snprintf(text, BENCH_TEXT, "%.0f B", bytes);
	return text;
}

#define SECONDS(s)       bench_seconds_text((s), (char[BENCH_TEXT]){ 0 })
#define RATE(rate, unit) bench_rate_text((rate), (unit), (char[BENCH_TEXT]){ 0 })
#define BYTES(bytes)     bench_bytes_text((bytes), (char[BENCH_TEXT]){ 0 })

/* ---- the limits ---- */

static void print_rate(FILE *out, const char *name, const clef_bench_stat *s, const char *unit)
{
	if (s->count)
		fprintf(out, "  %-28s %12s  (%s to %s)\n", name, RATE(s->median, unit), RATE(s->low, unit),
			RATE(s->high, unit));
}

static void print_time(FILE *out, const char *name, const clef_bench_stat *s)
{
	if (s->count)
		fprintf(out, "  %-28s %12s  (%s to %s)\n", name, SECONDS(s->median), SECONDS(s->low), SECONDS(s->high));
}

static void print_limits(const clef_bench_limits_result *l, FILE *out)
{
	char name[80];

	fputs("\nLimits, with the middle half of the measurements\n", out);
	print_rate(out, "multiply-adds", &l->multiply_add, "FLOP/s");
	for (int i = 0; i < l->memories; i++) {
		snprintf(name, sizeof(name), "copying in %s", BYTES((double)l->memory[i].bytes));
		print_rate(out, name, &l->memory[i].copy, "B/s");
	}
	for (int i = 0; i < l->memories; i++) {
		snprintf(name, sizeof(name), "reading in %s", BYTES((double)l->memory[i].bytes));
		print_rate(out, name, &l->memory[i].read, "B/s");
	}
	print_time(out, "a launch and the wait for it", &l->launch);
	print_time(out, "a launch among many", &l->launch_row);
	for (int i = 0; i < l->transfers; i++) {
		snprintf(name, sizeof(name), "to the device, %s", BYTES((double)l->transfer[i].bytes));
		print_rate(out, name, &l->transfer[i].to_device, "B/s");
		snprintf(name, sizeof(name), "from the device, %s", BYTES((double)l->transfer[i].bytes));
		print_rate(out, name, &l->transfer[i].to_host, "B/s");
	}
	print_time(out, "compiling, cold", &l->compile_cold);
	print_time(out, "compiling, from the cache", &l->compile_cached);
}

/* ---- rows ---- */

static int widest(const clef_bench_row *rows, int count, bool pass)
{
	int width = pass ? 4 : 9;

	for (int i = 0; i < count; i++) {
		int n = (int)strlen(pass ? rows[i].pass : rows[i].name);

		width = n > width ? n : width;
	}
	return width;
}

/* Half the distance between the quartiles, in percent. */
static double spread(const clef_bench_stat *s)
{
	return s->median > 0 ? 50 * (s->high - s->low) / s->median : 0;
}

static void print_state(const clef_bench_row *r, FILE *out)
{
	if (r->state != CLEF_BENCH_RIGHT)
		fprintf(out, "    %s: %s\n", clef_bench_state_name(r->state), r->message ? r->message : "");
}

static void print_ops(const clef_bench_row *rows, int count, FILE *out)
{
	int name = widest(rows, count, false);

	fprintf(out, "\n%-*s %-8s %10s %6s %9s %8s %7s  %s\n", name, "operation", "pass", "time", "+-", "GFLOP/s",
		"GB/s", "limit %", "bound");
	for (int i = 0; i < count; i++) {
		const clef_bench_row *r = &rows[i];
		double t = r->seconds.median;

		fprintf(out, "%-*s %-8s", name, r->name, r->pass);
		if (r->seconds.count && r->state == CLEF_BENCH_RIGHT)
			fprintf(out, " %10s %5.1f%% %9.2f %8.2f %7.1f  %s", SECONDS(t), spread(&r->seconds),
				1e-9 * r->flops / t, 1e-9 * r->bytes / t, 100 * clef_bench_share(r), r->bound);
		fputc('\n', out);
		print_state(r, out);
	}
}

static void print_networks(const clef_bench_row *rows, int count, FILE *out)
{
	int name = widest(rows, count, false);

	fprintf(out, "\n%-*s %-6s %9s %10s %6s %8s %8s %8s %8s %9s %7s  %s\n", name, "network", "pass", "images/s",
		"step", "+-", "data", "forward", "backward", "optimize", "memory", "limit %", "bound");
	for (int i = 0; i < count; i++) {
		const clef_bench_row *r = &rows[i];
		double t = r->seconds.median;

		fprintf(out, "%-*s %-6.*s", name, r->name, (int)strcspn(r->pass, " "), r->pass);
		if (r->seconds.count && r->state == CLEF_BENCH_RIGHT) {
			fprintf(out, " %9.0f %10s %5.1f%%", r->images / t, SECONDS(t), spread(&r->seconds));
			if (r->forward.count)
				fprintf(out, " %8s %8s %8s %8s", SECONDS(r->data.median), SECONDS(r->forward.median),
					SECONDS(r->backward.median), SECONDS(r->optimizer.median));
			else
				fprintf(out, " %8s %8s %8s %8s", "", "", "", "");
			fprintf(out, " %9s %7.1f  %s", BYTES((double)r->memory), 100 * clef_bench_share(r), r->bound);
		}
		fputc('\n', out);
		print_state(r, out);
	}
}

static void print_drift(const clef_bench_result *r, FILE *out)
{
	double least = 0, most = 0;

	for (int i = 0; i < r->probes; i++) {
		double rate = r->probe[i].multiply_add;

		least = i && least < rate ? least : rate;
		most = most > rate ? most : rate;
	}
	if (r->probes > 1)
		fprintf(out, "\nSpeed of the device in the run of %.0f s, by %d probes: %s to %s.%s\n", r->seconds,
			r->probes, RATE(least, "FLOP/s"), RATE(most, "FLOP/s"),
			clef_bench_drift(r) > 0.1 ? " It was not steady: clocks changed, or others\nused the machine. "
						    "Compare ratios and shares of the limit, not times."
						  : "");
}

static const char *known(const char *text)
{
	return text ? text : "?";
}

void bench_table(const clef_bench_result *r, FILE *out)
{
	const clef_device_info *d = &r->device;

	fprintf(out, "%s, %s, %u units, %s, driver %s\n", d->name, clef_device_kind_name(d->kind),
		(unsigned)d->compute_units, d->platform_name, d->driver);
	if (r->error) {
		fprintf(out, "  nothing was measured: %s\n", r->error);
		return;
	}
	fprintf(out, "%s; clef %s, %s, %s\n", known(r->system), known(r->clef), known(r->effort), known(r->date));
	if (r->limits.multiply_add.count)
		print_limits(&r->limits, out);
	if (r->ops)
		print_ops(r->op, r->ops, out);
	if (r->networks)
		print_networks(r->network, r->networks, out);
	print_drift(r, out);
}

/* ---- CSV, by RFC 4180 ---- */

static void csv_text(FILE *out, const char *text, char behind)
{
	bool quoted = text && strpbrk(text, ",\"\n\r");

	if (quoted)
		fputc('"', out);
	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == '"')
			fputc('"', out);
		fputc(*p, out);
	}
	if (quoted)
		fputc('"', out);
	fputc(behind, out);
}

static void csv_row(FILE *out, const clef_bench_result *r, const char *kind, const clef_bench_row *row)
{
	csv_text(out, r->device.name, ',');
	csv_text(out, r->device.platform_name, ',');
	csv_text(out, kind, ',');
	csv_text(out, row->name, ',');
	csv_text(out, row->pass, ',');
	csv_text(out, clef_bench_state_name(row->state), ',');
	fprintf(out, "%d,%.9g,%.9g,%.9g,%.9g,%.9g,%.0f,%.6g,%s,%.9g,%.9g,%.9g,%.9g,%.9g,%.0f,%.9g,", row->seconds.count,
		row->seconds.median, row->seconds.low, row->seconds.high, row->flops, row->bytes, row->launches,
		clef_bench_share(row), row->bound, row->images, row->data.median, row->forward.median,
		row->backward.median, row->optimizer.median, (double)row->memory, row->multiply_add);
	csv_text(out, row->message, '\n');
}

void bench_csv(const clef_bench_result *const *results, int count, FILE *out)
{
	fputs("device,platform,kind,name,pass,state,count,seconds,low,high,flops,bytes,launches,share,bound,images,"
	      "data,"
	      "forward,backward,optimizer,memory,multiply_add,message\n",
	      out);
	for (int i = 0; i < count; i++) {
		for (int k = 0; k < results[i]->ops; k++)
			csv_row(out, results[i], "op", &results[i]->op[k]);
		for (int k = 0; k < results[i]->networks; k++)
			csv_row(out, results[i], "network", &results[i]->network[k]);
	}
}

/* ---- all outputs ---- */

typedef void writer(const clef_bench_result *const *results, int count, FILE *out);

static int write_to(const char *path, writer *fn, const clef_bench_result *const *results, int count)
{
	bool screen = !strcmp(path, "-"), good;
	FILE *out = screen ? stdout : fopen(path, "w");

	if (!out) {
		complain("%s cannot be written: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	fn(results, count, out);
	good = !ferror(out);
	good = (screen ? fflush(out) : fclose(out)) == 0 && good;
	if (!good)
		complain("%s cannot be written: %s", path, strerror(errno));
	return good ? -1 : EXIT_FAILED;
}

static int not_right(const clef_bench_row *rows, int count)
{
	int bad = 0;

	for (int i = 0; i < count; i++)
		bad += rows[i].state != CLEF_BENCH_RIGHT;
	return bad;
}

static bool on_screen(const char *path)
{
	return path && !strcmp(path, "-");
}

int bench_show(const bench_options *o, const clef_bench_result *const *results, int count)
{
	bool table = !on_screen(o->json) && !on_screen(o->csv) && !on_screen(o->html);
	int status = -1, bad = 0, measured = 0;

	for (int i = 0; i < count; i++) {
		if (table && i)
			putchar('\n');
		if (table)
			bench_table(results[i], stdout);
		bad += not_right(results[i]->op, results[i]->ops) +
		       not_right(results[i]->network, results[i]->networks);
		measured += !results[i]->error;
	}
	if (table && (count > 1 || o->all_devices)) {
		char *verdict = clef_bench_verdict(results, count);

		printf("\n%s", verdict ? verdict : "");
		free(verdict);
	}
	if (o->json && clef_bench_write(o->json, results, count)) {
		complain("%s", reason());
		status = EXIT_FAILED;
	}
	if (status < 0 && o->csv)
		status = write_to(o->csv, bench_csv, results, count);
	if (status < 0 && o->html)
		status = write_to(o->html, bench_html, results, count);
	if (bad)
		complain("%d result%s not right: see above", bad, bad == 1 ? " is" : "s are");
	return status >= 0 ? status : bad || !measured ? EXIT_FAILED : EXIT_OK;
}
