/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roofline picture (Williams, Waterman and Patterson 2009): operations a second over operations per byte, both on
 * logarithmic scales, under what memory and arithmetic of the device allow. Drawn for the width of a phone; a wider
 * screen magnifies it.
 */
#include <math.h>
#include <string.h>

#include "bench_tool.h"

enum { WIDTH = 400, HEIGHT = 300, LEFT = 44, RIGHT = 384, TOP = 14, BOTTOM = 262 };

typedef struct picture {
	FILE *out;
	double x0, x1, y0, y1; /* logarithms to base 10 of what the frame spans */
	double peak, memory, cache;
} picture;

static double px(const picture *p, double intensity)
{
	return LEFT + (RIGHT - LEFT) * (log10(intensity) - p->x0) / (p->x1 - p->x0);
}

static double py(const picture *p, double rate)
{
	return BOTTOM - (BOTTOM - TOP) * (log10(rate) - p->y0) / (p->y1 - p->y0);
}

static bool shown(const clef_bench_row *r)
{
	return r->state == CLEF_BENCH_RIGHT && r->flops > 0 && r->bytes > 0 && r->seconds.count;
}

static void span(picture *p, double intensity, double rate)
{
	p->x0 = fmin(p->x0, floor(log10(intensity)));
	p->x1 = fmax(p->x1, ceil(log10(intensity) + 1e-9));
	p->y0 = fmin(p->y0, floor(log10(rate)));
	p->y1 = fmax(p->y1, log10(rate) + 0.15);
}

static void span_rows(picture *p, const clef_bench_row *rows, int count)
{
	for (int i = 0; i < count; i++)
		if (shown(&rows[i]))
			span(p, rows[i].flops / rows[i].bytes, rows[i].flops / rows[i].seconds.median);
}

/* ---- the frame ---- */

static void axis_text(picture *p, double x, double y, const char *anchor, const char *text)
{
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, text);
}

static void frame(picture *p)
{
	char text[BENCH_TEXT];

	for (double d = p->x0; d <= p->x1 + 0.01; d++) {
		double x = px(p, pow(10, d));

		fprintf(p->out, "<path class=\"grid\" d=\"M%.1f %dV%d\"/>\n", x, TOP, BOTTOM);
		snprintf(text, sizeof(text), "%g", pow(10, d));
		axis_text(p, x, BOTTOM + 14, "middle", text);
	}
	for (double d = ceil(p->y0); d <= p->y1; d++) {
		double y = py(p, pow(10, d));

		fprintf(p->out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", LEFT, y, RIGHT);
		snprintf(text, sizeof(text), "%g", pow(10, d) * 1e-9);
		axis_text(p, LEFT - 5, y + 4, "end", text);
	}
	axis_text(p, (LEFT + RIGHT) / 2.0, BOTTOM + 30, "middle", "operations per byte");
	fprintf(p->out, "<text transform=\"translate(11 %d) rotate(-90)\" text-anchor=\"middle\">GFLOP/s</text>\n",
		(TOP + BOTTOM) / 2);
}

/* A slope from the left border up to the peak, or down to the border below. */
static void slope(picture *p, double bandwidth, const char *class, const char *name)
{
	double from = pow(10, p->x0), ridge = p->peak / bandwidth, floor_at = pow(10, p->y0) / bandwidth;
	char text[BENCH_TEXT];
	double at, x, y;

	from = fmax(from, floor_at);
	ridge = fmin(ridge, pow(10, p->x1));
	if (ridge <= from)
		return;
	fprintf(p->out, "<path class=\"roof %s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", class, px(p, from),
		py(p, from * bandwidth), px(p, ridge), py(p, ridge * bandwidth));
	at = sqrt(from * ridge);
	x = px(p, at);
	y = py(p, at * bandwidth);
	fprintf(p->out,
		"<text class=\"label\" transform=\"translate(%.1f %.1f) rotate(%.1f)\" text-anchor=\"middle\">"
		"%s %s</text>\n",
		x, y - 5, -180 / 3.14159265358979 * atan2(py(p, at) - py(p, 2 * at), px(p, 2 * at) - px(p, at)), name,
		bench_rate_text(bandwidth, "B/s", text));
}

static void roofs(picture *p)
{
	char text[BENCH_TEXT];
	double y = py(p, p->peak), from = px(p, fmax(p->peak / p->cache, pow(10, p->x0)));

	fprintf(p->out, "<path class=\"roof\" d=\"M%.1f %.1fH%d\"/>\n", from, y, RIGHT);
	fprintf(p->out, "<text class=\"label\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">multiply-adds %s</text>\n",
		RIGHT, y - 5, bench_rate_text(p->peak, "FLOP/s", text));
	if (p->cache > 1.3 * p->memory)
		slope(p, p->cache, "cache", "cache");
	slope(p, p->memory, "", "memory");
}

/* ---- the dots ---- */

static void dot(picture *p, const clef_bench_row *r, const char *class)
{
	char time[BENCH_TEXT], rate[BENCH_TEXT];
	double f = r->flops / r->seconds.median;

	if (!shown(r))
		return;
	fprintf(p->out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>", class,
		px(p, r->flops / r->bytes), py(p, f));
	bench_escape(p->out, r->name);
	fputc(' ', p->out);
	bench_escape(p->out, r->pass);
	fprintf(p->out, ": %s, %s, %.0f %% of the limit</title></circle>\n",
		bench_seconds_text(r->seconds.median, time), bench_rate_text(f, "FLOP/s", rate),
		100 * clef_bench_share(r));
}

static double mean_of_probes(const clef_bench_result *r)
{
	double sum = 0;

	for (int i = 0; i < r->probes; i++)
		sum += r->probe[i].multiply_add / r->probes;
	return sum;
}

void bench_roofline(const clef_bench_result *r, FILE *out)
{
	const clef_bench_limits_result *l = &r->limits;
	picture p = { .out = out, .x0 = 0, .x1 = 2, .y0 = 12, .y1 = 0, .peak = l->multiply_add.high };

	/* The roof is that of a good moment, as medians of rows may be of better ones than the limits. */
	p.peak = fmax(p.peak, mean_of_probes(r));
	for (int i = 0; i < l->memories; i++) {
		p.memory = fmax(l->memory[i].copy.high, l->memory[i].read.high);
		p.cache = fmax(p.cache, p.memory);
	}
	if (!(p.peak > 0) || !(p.memory > 0))
		return;
	span(&p, p.peak / p.memory, p.peak);
	span_rows(&p, r->op, r->ops);
	span_rows(&p, r->network, r->networks);
	p.y0 = fmin(p.y0, floor(p.y1) - 1);
	fprintf(out,
		"<figure><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Roofline: operations a second over "
		"operations per byte\">\n",
		WIDTH, HEIGHT);
	frame(&p);
	roofs(&p);
	for (int i = 0; i < r->ops; i++)
		dot(&p, &r->op[i], strcmp(r->op[i].pass, "backward") ? "forward" : "backward");
	for (int i = 0; i < r->networks; i++)
		dot(&p, &r->network[i], strcmp(r->network[i].pass, "infer") ? "train" : "infer");
	fputs("</svg>\n<figcaption><span class=\"key forward\"></span>operation, forward "
	      "<span class=\"key backward\"></span>backward <span class=\"key train\"></span>network, training step "
	      "<span class=\"key infer\"></span>inference. Fast convolutions are counted by the definition, and may "
	      "lie "
	      "above the roof.</figcaption></figure>\n",
	      out);
}
