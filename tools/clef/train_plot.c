/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The learning curve, as an SVG: two panels, loss and accuracy over the epochs, with a line for training and one for
 * validation. It is text, so no drawing library is needed. After each epoch the whole picture is written under another
 * name and renamed, so that whoever looks at it never sees half of one.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"
#include "train_plot.h"

enum { WIDTH = 440, HEIGHT = 280, LEFT = 60, TOP = 46, BETWEEN = 70, BELOW = 54 };

static const char *const colours[] = { "#1f6fb4", "#d9541e" };

/* One panel: which number of a score it shows, and its axis. */
typedef struct panel {
	FILE *file;
	const train_plot *plot;
	const char *title;
	bool percent;
	double x; /* of its left side */
	double low, high, step;
} panel;

static double value_of(const panel *p, train_score score)
{
	return p->percent ? 100 * score.accuracy : score.loss;
}

/* 1, 2 or 5 times a power of ten, for four to eight steps. */
static double step_of(double range)
{
	double unit = pow(10, floor(log10(range / 4))), ratio = range / 4 / unit;

	return unit * (ratio < 2 ? 1 : ratio < 5 ? 2 : 5);
}

/* Not the first epochs' losses alone decide the scale, but all that are finite. */
static void find_axis(panel *p)
{
	double low = INFINITY, high = -INFINITY;

	for (int i = 0; i < p->plot->count; i++) {
		const train_plot_epoch *e = &p->plot->epochs[i];
		const train_score scores[] = { e->train, e->validation };

		for (int k = 0; k < 2; k++)
			if (scores[k].images && isfinite(value_of(p, scores[k]))) {
				low = fmin(low, value_of(p, scores[k]));
				high = fmax(high, value_of(p, scores[k]));
			}
	}
	if (!(low <= high))
		low = high = 0;
	if (high - low < 1e-9 * fmax(1, fabs(high)))
		high = low + fmax(1e-3, fabs(low) * 0.1);
	p->step = step_of(high - low);
	p->low = floor(low / p->step) * p->step;
	p->high = ceil(high / p->step) * p->step;
}

static double x_of(const panel *p, int64_t epoch)
{
	int64_t first = p->plot->epochs[0].epoch, last = p->plot->epochs[p->plot->count - 1].epoch;

	return p->x + (first < last ? (double)(epoch - first) / (double)(last - first) : 0.5) * WIDTH;
}

static double y_of(const panel *p, double value)
{
	return TOP + HEIGHT * (p->high - value) / (p->high - p->low);
}

static void draw_axes(const panel *p)
{
	int64_t first = p->plot->epochs[0].epoch, last = p->plot->epochs[p->plot->count - 1].epoch;
	int64_t step = last - first > 4 ? (int64_t)fmax(1, step_of((double)(last - first))) : 1;
	int digits = p->step < 1 ? (int)fmin(9, ceil(-log10(p->step) - 1e-9)) : 0;
	int steps = (int)round((p->high - p->low) / p->step);

	fprintf(p->file, "<text x=\"%g\" y=\"%d\" font-weight=\"bold\">%s</text>\n", p->x, TOP - 14, p->title);
	for (int i = 0; i <= steps; i++) {
		double value = p->low + i * p->step, y = y_of(p, value);

		fprintf(p->file,
			"<path d=\"M%g %.2f h%d\" stroke=\"#d8d8d8\"/>"
			"<text x=\"%g\" y=\"%.2f\" text-anchor=\"end\">%.*f%s</text>\n",
			p->x, y, WIDTH, p->x - 8, y + 4, digits, value, p->percent ? " %" : "");
	}
	for (int64_t e = first; e <= last; e += step)
		fprintf(p->file, "<text x=\"%.2f\" y=\"%d\" text-anchor=\"middle\">%" PRId64 "</text>\n", x_of(p, e),
			TOP + HEIGHT + 20, e);
	fprintf(p->file, "<text x=\"%g\" y=\"%d\" text-anchor=\"middle\">epoch</text>\n", p->x + WIDTH / 2.0,
		TOP + HEIGHT + 40);
}

/* A point that is no number leaves a gap. */
static void draw_line(const panel *p, bool validation)
{
	const char *colour = colours[validation];
	bool down = false;

	fprintf(p->file, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" d=\"", colour);
	for (int i = 0; i < p->plot->count; i++) {
		const train_plot_epoch *e = &p->plot->epochs[i];
		train_score score = validation ? e->validation : e->train;
		double v = value_of(p, score);

		if (score.images && isfinite(v))
			fprintf(p->file, "%s%.2f %.2f", down ? " L" : " M", x_of(p, e->epoch), y_of(p, v));
		down = score.images && isfinite(v);
	}
	fputs("\"/>\n", p->file);
	for (int i = 0; i < p->plot->count && p->plot->count <= 40; i++) {
		const train_plot_epoch *e = &p->plot->epochs[i];
		train_score score = validation ? e->validation : e->train;

		if (score.images && isfinite(value_of(p, score)))
			fprintf(p->file, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"3\" fill=\"%s\"/>\n", x_of(p, e->epoch),
				y_of(p, value_of(p, score)), colour);
	}
}

static void write_text(FILE *file, const char *text)
{
	for (; *text; text++)
		if (*text == '<')
			fputs("&lt;", file);
		else if (*text == '>')
			fputs("&gt;", file);
		else if (*text == '&')
			fputs("&amp;", file);
		else
			fputc((unsigned char)*text < 32 ? ' ' : *text, file);
}

static void draw(FILE *file, const train_plot *plot)
{
	const int width = 2 * (LEFT + WIDTH) + BETWEEN - 20, height = TOP + HEIGHT + BELOW + 24;
	bool validated = plot->epochs[0].validation.images > 0;

	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
		"font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		width, height);
	for (int i = 0; i < 2; i++) {
		panel p = { .file = file,
			    .plot = plot,
			    .title = i ? "accuracy" : "loss",
			    .percent = i,
			    .x = LEFT + i * (WIDTH + BETWEEN) };

		find_axis(&p);
		draw_axes(&p);
		draw_line(&p, false);
		if (validated)
			draw_line(&p, true);
	}
	for (int i = 0; i < 1 + validated; i++)
		fprintf(file, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", LEFT + 60 + 70 * i, TOP - 14,
			colours[i], i ? "validation" : "training");
	fprintf(file, "<text x=\"%d\" y=\"%d\" fill=\"#606060\">", LEFT, height - 8);
	write_text(file, plot->title);
	fputs("</text>\n</svg>\n", file);
}

static int failed(const train_plot *plot)
{
	complain("--plot %s: %s", plot->path, errno ? strerror(errno) : "it cannot be written");
	return EXIT_FAILED;
}

static int write_picture(const train_plot *plot)
{
	size_t size = strlen(plot->path) + sizeof(".part");
	char *part = malloc(size);
	FILE *file;
	bool good;

	if (!part)
		return failed(plot);
	snprintf(part, size, "%s.part", plot->path);
	errno = 0;
	file = fopen(part, "w");
	if (file) {
		draw(file, plot);
		good = !ferror(file);
		good = !fclose(file) && good && !rename(part, plot->path);
		if (!good)
			remove(part);
	}
	free(part);
	return file && good ? -1 : failed(plot);
}

int train_plot_add(train_plot *plot, int64_t epoch, train_score train, const train_score *validation)
{
	if (!plot->path)
		return -1;
	if (plot->count == plot->capacity) {
		int capacity = plot->capacity ? 2 * plot->capacity : 16;
		train_plot_epoch *longer = realloc(plot->epochs, (size_t)capacity * sizeof(*longer));

		errno = ENOMEM;
		if (!longer)
			return failed(plot);
		plot->epochs = longer;
		plot->capacity = capacity;
	}
	plot->epochs[plot->count++] = (train_plot_epoch){ epoch, train, validation ? *validation : (train_score){ 0 } };
	return write_picture(plot);
}

void train_plot_close(train_plot *plot)
{
	free(plot->epochs);
	plot->epochs = NULL;
}
