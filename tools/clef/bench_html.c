/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page: one file, without scripts and without anything from elsewhere, for a phone, a desk and a printer. Colours
 * follow the reader's preference. All texts come from drivers, files and command lines, so all are escaped.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_tool.h"

void bench_escape(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			/* Control characters are allowed in no page. */
			fputc((unsigned char)*text < ' ' && *text != '\n' && *text != '\t' ? '?' : *text, out);
		}
}

static const char style[] =
	":root{color-scheme:light dark;--page:#fcfcfb;--ink:#1c2024;--soft:#5c6670;--line:#dcdfe3;--track:#eceef0;"
	"--forward:#2f6fc4;--backward:#c8641b;--train:#2a8a57;--infer:#8757c2;--optimizer:#b8932a;--data:#7c8894;"
	"--bad:#b3261e}\n"
	"@media(prefers-color-scheme:dark){:root{--page:#15181b;--ink:#e6e9ec;--soft:#9aa4ae;--line:#343a40;"
	"--track:#24292e;--forward:#6aa5f0;--backward:#ec9556;--train:#58bd87;--infer:#b590e8;--optimizer:#d9b857;"
	"--data:#93a0ac;--bad:#ff8a80}}\n"
	"*{box-sizing:border-box}body{margin:0 auto;padding:1.25rem 1rem 3rem;max-width:54rem;background:var(--page);"
	"color:var(--ink);font:1rem/1.45 system-ui,sans-serif;overflow-wrap:anywhere}\n"
	"h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.2rem;margin:2.25rem 0 .25rem;padding-top:1rem;"
	"border-top:1px solid var(--line)}h3{font-size:1rem;margin:1.5rem 0 .5rem}p{margin:.4rem 0}.soft,figcaption{"
	"color:var(--soft);font-size:.875rem}\n"
	".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.5rem;margin:.75rem 0}"
	".tile{border:1px solid var(--line);border-radius:.4rem;padding:.5rem .7rem}.tile b{display:block;"
	"font-size:1.15rem;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:.8rem}\n"
	"figure{margin:.75rem auto;max-width:40rem}svg{width:100%;height:auto;display:block}svg text{font:11px "
	"system-ui,sans-serif;"
	"fill:var(--soft)}svg .label{fill:var(--ink);font-size:10.5px}.grid{stroke:var(--line);stroke-width:.6}.roof{"
	"stroke:var(--ink);stroke-width:1.6;fill:none}.roof.cache{stroke-dasharray:5 3}.probe{stroke:var(--forward);"
	"stroke-width:1.5;fill:none}circle{fill-opacity:.75;stroke:var(--page);stroke-width:.8}\n"
	"circle.forward{fill:var(--forward)}circle.backward{fill:var(--backward)}circle.train{fill:var(--train)}"
	"circle.infer{fill:var(--infer)}.key{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin:0 "
	".3em 0 "
	".5em}.key:first-child{margin-left:0}\n"
	".forward{background:var(--forward)}.backward{background:var(--backward)}.train{background:var(--train)}"
	".infer{background:var(--infer)}.optimizer{background:var(--optimizer)}.data{background:var(--data)}\n"
	".bar{margin:.55rem "
	"0;break-inside:avoid}.bar>div:first-child{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 "
	".75rem;"
	"font-size:.85rem;align-items:baseline}.bar b{flex:1 1 "
	"12rem;font-weight:400;font-family:ui-monospace,monospace;"
	"font-size:.8rem}.bar "
	"div>span{margin-left:auto;color:var(--soft);white-space:nowrap;font-variant-numeric:tabular-nums}"
	".track{display:flex;height:.6rem;background:var(--track);border-radius:.2rem;overflow:hidden;margin-top:."
	"15rem;"
	"print-color-adjust:exact;-webkit-print-color-adjust:exact}.track i{display:block;height:100%}"
	".key{print-color-adjust:exact;-webkit-print-color-adjust:exact}.bad{color:var(--bad)!important;"
	"font-size:.85rem}\n"
	".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}th,td{"
	"text-align:right;padding:.2rem .75rem .2rem 0;border-bottom:1px solid var(--line);white-space:nowrap}th{"
	"font-weight:600}td:first-child,th:first-child{text-align:left}\n"
	"@media print{body{max-width:none;padding:0;font-size:.8rem}h2{break-before:page}h2.first{break-before:auto}"
	".wide{overflow:visible}}\n";

#define SECONDS(s)       bench_seconds_text((s), (char[BENCH_TEXT]){ 0 })
#define RATE(rate, unit) bench_rate_text((rate), (unit), (char[BENCH_TEXT]){ 0 })
#define BYTES(bytes)     bench_bytes_text((bytes), (char[BENCH_TEXT]){ 0 })

/* ---- the device ---- */

static void tile(FILE *out, const char *value, const char *name)
{
	fprintf(out, "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n", value, name);
}

static void tiles(FILE *out, const clef_bench_limits_result *l)
{
	const clef_bench_memory *m = l->memories ? &l->memory[l->memories - 1] : NULL;

	fputs("<div class=\"tiles\">\n", out);
	tile(out, RATE(l->multiply_add.median, "FLOP/s"), "multiply-adds");
	if (m) {
		tile(out, RATE(m->copy.median, "B/s"), "copying in memory");
		tile(out, RATE(m->read.median, "B/s"), "reading memory");
	}
	tile(out, SECONDS(l->launch_row.median), "a launch among many");
	tile(out, SECONDS(l->launch.median), "a launch and the wait");
	if (l->compile_cold.count)
		tile(out, SECONDS(l->compile_cold.median), "compiling, cold");
	if (l->compile_cached.count)
		tile(out, SECONDS(l->compile_cached.median), "compiling, from the cache");
	fputs("</div>\n", out);
}

static void describe(FILE *out, const clef_bench_result *r, bool first)
{
	const clef_device_info *d = &r->device;

	fprintf(out, "<h2%s>", first ? " class=\"first\"" : "");
	bench_escape(out, d->name);
	fputs("</h2>\n<p class=\"soft\">", out);
	fprintf(out, "%s, %u units, vectors of %u floats, %s memory, ", clef_device_kind_name(d->kind),
		(unsigned)d->compute_units, (unsigned)d->float_vector, BYTES((double)d->global_memory));
	bench_escape(out, d->platform_name);
	fputs(", driver ", out);
	bench_escape(out, d->driver);
	fputs("<br>", out);
	bench_escape(out, r->system ? r->system : "");
	fputs("<br>clef ", out);
	bench_escape(out, r->clef ? r->clef : "?");
	fputs(", ", out);
	bench_escape(out, r->effort ? r->effort : "");
	fprintf(out, " run of %.0f s, ", r->seconds);
	bench_escape(out, r->date ? r->date : "");
	fputs("</p>\n", out);
}

static void stat_cells(FILE *out, const clef_bench_stat *s, const char *unit)
{
	if (s->count)
		fprintf(out, "<td>%s</td><td>%s to %s</td>", RATE(s->median, unit), RATE(s->low, unit),
			RATE(s->high, unit));
	else
		fputs("<td></td><td></td>", out);
}

static void tables(FILE *out, const clef_bench_limits_result *l)
{
	fputs("<h3>Memory, by working set</h3><div class=\"wide\"><table><tr><th>size</th><th>copying</th><th>middle "
	      "half</th><th>reading</th><th>middle half</th></tr>\n",
	      out);
	for (int i = 0; i < l->memories; i++) {
		fprintf(out, "<tr><td>%s</td>", BYTES((double)l->memory[i].bytes));
		stat_cells(out, &l->memory[i].copy, "B/s");
		stat_cells(out, &l->memory[i].read, "B/s");
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n<h3>Transfers</h3><div class=\"wide\"><table><tr><th>size</th><th>to the device</th>"
	      "<th>middle half</th><th>from it</th><th>middle half</th></tr>\n",
	      out);
	for (int i = 0; i < l->transfers; i++) {
		fprintf(out, "<tr><td>%s</td>", BYTES((double)l->transfer[i].bytes));
		stat_cells(out, &l->transfer[i].to_device, "B/s");
		stat_cells(out, &l->transfer[i].to_host, "B/s");
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n", out);
}

/* ---- bars ---- */

static void bar_head(FILE *out, const clef_bench_row *r)
{
	fputs("<div class=\"bar\"><div><b>", out);
	bench_escape(out, r->name);
	fputc(' ', out);
	bench_escape(out, r->pass);
	fputs("</b>", out);
}

/* What is not right has no bar. */
static bool bar_bad(FILE *out, const clef_bench_row *r)
{
	if (r->state == CLEF_BENCH_RIGHT && r->seconds.count)
		return false;
	fprintf(out, "</div><p class=\"bad\">%s: ", clef_bench_state_name(r->state));
	bench_escape(out, r->message ? r->message : "");
	fputs("</p></div>\n", out);
	return true;
}

static void op_bar(FILE *out, const clef_bench_row *r)
{
	double t = r->seconds.median, share = clef_bench_share(r);

	bar_head(out, r);
	if (bar_bad(out, r))
		return;
	fprintf(out, "<span>%s &#183; %s &#183; <strong>%.0f %%</strong></span></div>", SECONDS(t),
		!strcmp(r->bound, "arithmetic") ? RATE(r->flops / t, "FLOP/s") : RATE(r->bytes / t, "B/s"),
		100 * share);
	fprintf(out,
		"<div class=\"track\" title=\"bound by %s; middle half %s to %s\"><i class=\"%s\" style=\"width:%.1f%%"
		"\"></i></div></div>\n",
		r->bound, SECONDS(r->seconds.low), SECONDS(r->seconds.high),
		strcmp(r->pass, "backward") ? "forward" : "backward", fmin(100 * share, 100));
}

static void ops(FILE *out, const clef_bench_result *r)
{
	if (!r->ops)
		return;
	fputs("<h3>Operations: share of the device&#8217;s limit</h3>\n<p class=\"soft\">Full width is what "
	      "multiply-adds, "
	      "memory or launches allow, whichever is least, as it was at that moment.</p>\n",
	      out);
	for (int i = 0; i < r->ops; i++)
		op_bar(out, &r->op[i]);
}

static void part(FILE *out, const char *name, const clef_bench_stat *s, double whole)
{
	if (s->count)
		fprintf(out, "<i class=\"%s\" style=\"width:%.2f%%\" title=\"%s %s\"></i>", name,
			100 * s->median / whole, name, SECONDS(s->median));
}

static void network_bar(FILE *out, const clef_bench_row *r)
{
	double t = r->seconds.median;
	double whole = r->data.median + r->forward.median + r->backward.median + r->optimizer.median;

	bar_head(out, r);
	if (bar_bad(out, r))
		return;
	fprintf(out,
		"<span>%.0f images/s &#183; %s &#183; %s &#183; <strong>%.0f %%</strong></span></div>"
		"<div class=\"track\">",
		r->images / t, SECONDS(t), BYTES((double)r->memory), 100 * clef_bench_share(r));
	if (whole > 0) {
		part(out, "data", &r->data, whole);
		part(out, "forward", &r->forward, whole);
		part(out, "backward", &r->backward, whole);
		part(out, "optimizer", &r->optimizer, whole);
	} else {
		fprintf(out, "<i class=\"infer\" style=\"width:%.1f%%\"></i>", fmin(100 * clef_bench_share(r), 100));
	}
	fputs("</div></div>\n", out);
}

static void networks(FILE *out, const clef_bench_result *r)
{
	if (!r->networks)
		return;
	fputs("<h3>Networks</h3>\n<p class=\"soft\">Images a second, time of a step, memory at most, share of the "
	      "limit. "
	      "The bar of a training step is divided into <span class=\"key data\"></span>data <span class=\"key "
	      "forward\">"
	      "</span>forward <span class=\"key backward\"></span>backward <span class=\"key "
	      "optimizer\"></span>optimizer; "
	      "that of <span class=\"key infer\"></span>inference is its share.</p>\n",
	      out);
	for (int i = 0; i < r->networks; i++)
		network_bar(out, &r->network[i]);
}

/* ---- how steady the device was ---- */

static void probes(FILE *out, const clef_bench_result *r)
{
	double most = 0, end = r->probes ? r->probe[r->probes - 1].at : 0;
	char text[BENCH_TEXT];

	for (int i = 0; i < r->probes; i++)
		most = fmax(most, r->probe[i].multiply_add);
	if (r->probes < 2 || !(most > 0) || !(end > 0))
		return;
	fprintf(out,
		"<h3>Speed of the device during the run</h3>\n<figure><svg viewBox=\"0 0 400 90\" role=\"img\" "
		"aria-label=\"Multiply-adds a second over time\">\n<path class=\"grid\" d=\"M44 14H392M44 70H392\"/>"
		"<text x=\"39\" y=\"18\" text-anchor=\"end\">%.3g</text><text x=\"39\" y=\"74\" text-anchor=\"end\">0"
		"</text><text x=\"44\" y=\"85\">0 s</text><text x=\"392\" y=\"85\" text-anchor=\"end\">%.0f s</text>"
		"<path class=\"probe\" d=\"",
		1e-9 * most, end);
	for (int i = 0; i < r->probes; i++)
		fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', 44 + 348 * r->probe[i].at / end,
			70 - 56 * r->probe[i].multiply_add / most);
	fprintf(out,
		"\"/></svg><figcaption>GFLOP/s of a short probe before and behind each measurement, at most %s. %s"
		"</figcaption></figure>\n",
		bench_rate_text(most, "FLOP/s", text),
		clef_bench_drift(r) > 0.1 ? "It was not steady: clocks changed, or others used the machine. Compare "
					    "shares of the limit, not times."
					  : "It was steady.");
}

/* ---- several devices ---- */

static const clef_bench_row *like(const clef_bench_result *r, const clef_bench_row *row)
{
	for (int i = 0; i < r->networks; i++)
		if (!strcmp(r->network[i].name, row->name) && !strcmp(r->network[i].pass, row->pass) &&
		    r->network[i].state == CLEF_BENCH_RIGHT && r->network[i].seconds.count)
			return &r->network[i];
	return NULL;
}

static void side_by_side(FILE *out, const clef_bench_result *const *results, int count)
{
	const clef_bench_result *first = NULL;

	for (int i = 0; i < count && !first; i++)
		first = results[i]->networks ? results[i] : NULL;
	for (int k = 0; first && k < first->networks; k++) {
		const clef_bench_row *row = &first->network[k];
		double best = 0;

		for (int i = 0; i < count; i++)
			if (like(results[i], row))
				best = fmax(best, row->images / like(results[i], row)->seconds.median);
		fputs("<h3>", out);
		bench_escape(out, row->name);
		fputc(' ', out);
		bench_escape(out, row->pass);
		fputs("</h3>\n", out);
		for (int i = 0; i < count && best > 0; i++) {
			const clef_bench_row *r = like(results[i], row);
			double rate = r ? row->images / r->seconds.median : 0;

			fputs("<div class=\"bar\"><div><b>", out);
			bench_escape(out, results[i]->device.name);
			fprintf(out,
				"</b><span>%.0f images/s</span></div><div class=\"track\"><i class=\"%s\" "
				"style=\"width:"
				"%.1f%%\"></i></div></div>\n",
				rate, strcmp(row->pass, "infer") ? "train" : "infer", 100 * rate / best);
		}
	}
}

static void verdict(FILE *out, const clef_bench_result *const *results, int count)
{
	char *text = clef_bench_verdict(results, count);

	for (char *line = text ? strtok(text, "\n") : NULL; line; line = strtok(NULL, "\n")) {
		fputs("<p>", out);
		bench_escape(out, line);
		fputs("</p>\n", out);
	}
	free(text);
}

void bench_html(const clef_bench_result *const *results, int count, FILE *out)
{
	fprintf(out,
		"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\""
		"width=device-width,initial-scale=1\"><title>clef bench</title>\n<style>\n%s</style></head>\n<body>\n"
		"<h1>clef bench</h1>\n<p class=\"soft\">What the device can do, and how near operations and networks "
		"come to it. Times are medians; every result was checked in the same run.</p>\n",
		style);
	if (count > 1) {
		verdict(out, results, count);
		side_by_side(out, results, count);
	}
	for (int i = 0; i < count; i++) {
		const clef_bench_result *r = results[i];

		describe(out, r, i == 0);
		if (r->error) {
			fputs("<p class=\"bad\">Nothing was measured: ", out);
			bench_escape(out, r->error);
			fputs("</p>\n", out);
			continue;
		}
		tiles(out, &r->limits);
		bench_roofline(r, out);
		networks(out, r);
		ops(out, r);
		probes(out, r);
		tables(out, &r->limits);
	}
	fputs("</body></html>\n", out);
}
