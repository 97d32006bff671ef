/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of optimizer_race.c: a panel for each landscape, with its contours, the paths, the start and the minimum,
 * and one legend. Contours are found square by square on a grid, at levels whose distances grow: most of a path is
 * where the function is low.
 */
#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <race.h>

#define PANEL  480.0
#define GAP    50.0
#define TOP    64.0
#define FOOT   44.0 /* between the panels and the legend */
#define ROW    26.0
#define GRID   100
#define LEVELS 22

typedef struct style {
	double red, green, blue;
	double dash; /* 0: a full line */
} style;

/* Seventeen that can be told apart, by colour or by dashes. */
static const style styles[] = {
	{ 0.10, 0.10, 0.10, 0 }, { 0.12, 0.47, 0.71, 0 }, { 0.12, 0.47, 0.71, 5 }, { 0.50, 0.50, 0.50, 5 },
	{ 1.00, 0.50, 0.05, 0 }, { 0.17, 0.63, 0.17, 0 }, { 0.84, 0.15, 0.16, 0 }, { 0.58, 0.40, 0.74, 0 },
	{ 0.58, 0.40, 0.74, 5 }, { 0.89, 0.47, 0.76, 0 }, { 0.55, 0.34, 0.29, 0 }, { 0.55, 0.34, 0.29, 5 },
	{ 0.09, 0.75, 0.81, 0 }, { 0.74, 0.74, 0.13, 0 }, { 0.84, 0.15, 0.16, 5 }, { 1.00, 0.50, 0.05, 5 },
	{ 0.17, 0.63, 0.17, 5 },
};

static const int style_count = sizeof(styles) / sizeof(*styles);

static void use_style(cairo_t *c, int i)
{
	const style *s = &styles[i % style_count];

	cairo_set_source_rgba(c, s->red, s->green, s->blue, 0.85);
	cairo_set_dash(c, &s->dash, s->dash > 0, 0);
}

static void text(cairo_t *c, double x, double y, double size, const char *words)
{
	cairo_set_font_size(c, size);
	cairo_move_to(c, x, y);
	cairo_show_text(c, words);
}

static void centred(cairo_t *c, double x, double y, double size, const char *words)
{
	cairo_text_extents_t extents;

	cairo_set_font_size(c, size);
	cairo_text_extents(c, words, &extents);
	text(c, x - extents.width / 2, y, size, words);
}

/* ---- a panel: the plane is mapped to 0 ... PANEL, with y upwards ---- */

static double to_x(const race_landscape *l, double x)
{
	return (x - l->left) / (l->right - l->left) * PANEL;
}

static double to_y(const race_landscape *l, double y)
{
	return (l->top - y) / (l->top - l->bottom) * PANEL;
}

/* Where the edge from corner a to corner b of a square crosses the level; corners go round from the lower left. */
static void crossing(const double v[4], int a, int b, double level, double *x, double *y)
{
	static const double corner_x[] = { 0, 1, 1, 0 }, corner_y[] = { 0, 0, 1, 1 };
	double share = (level - v[a]) / (v[b] - v[a]);

	*x = corner_x[a] + share * (corner_x[b] - corner_x[a]);
	*y = corner_y[a] + share * (corner_y[b] - corner_y[a]);
}

static void contour_square(cairo_t *c, const double v[4], int i, int k, double level)
{
	double size = PANEL / GRID;
	int points = 0;

	for (int edge = 0; edge < 4; edge++) {
		int next = (edge + 1) % 4;
		double x, y;

		if ((v[edge] < level) == (v[next] < level))
			continue;
		crossing(v, edge, next, level, &x, &y);
		x = (i + x) * size;
		y = PANEL - (k + y) * size;
		/* A saddle in the square has four crossings: two lines. */
		if (points++ % 2 == 0)
			cairo_move_to(c, x, y);
		else
			cairo_line_to(c, x, y);
	}
}

static void contours(cairo_t *c, const race_landscape *l)
{
	static double v[GRID + 1][GRID + 1];
	double low = INFINITY, high = -INFINITY, wide = l->right - l->left, tall = l->top - l->bottom;

	for (int i = 0; i <= GRID; i++)
		for (int k = 0; k <= GRID; k++) {
			v[i][k] = l->value(l->left + wide * i / GRID, l->bottom + tall * k / GRID);
			low = fmin(low, v[i][k]);
			high = fmax(high, v[i][k]);
		}
	cairo_set_line_width(c, 0.8);
	cairo_set_dash(c, NULL, 0, 0);
	for (int n = 1; n <= LEVELS; n++) {
		double share = (double)n / (LEVELS + 1);
		double level = low + (high - low) * (l->has_minimum ? pow(share, 6) : share);

		for (int i = 0; i < GRID; i++)
			for (int k = 0; k < GRID; k++)
				contour_square(c, (double[]){ v[i][k], v[i + 1][k], v[i + 1][k + 1], v[i][k + 1] }, i,
					       k, level);
		cairo_set_source_rgb(c, 0.62 + 0.25 * share, 0.68 + 0.2 * share, 0.78 + 0.14 * share);
		cairo_stroke(c);
	}
}

static void axes(cairo_t *c, const race_landscape *l)
{
	char label[16];

	cairo_set_source_rgb(c, 0.25, 0.25, 0.25);
	for (double x = ceil(l->left); x <= l->right; x++) {
		snprintf(label, sizeof(label), "%g", x + 0.0);
		centred(c, to_x(l, x), PANEL + 16, 11, label);
	}
	for (double y = ceil(l->bottom); y <= l->top; y++) {
		snprintf(label, sizeof(label), "%g", y + 0.0);
		text(c, y < 0 ? -16 : -12, to_y(l, y) + 4, 11, label);
	}
	centred(c, PANEL / 2, -30, 17, l->title);
	centred(c, PANEL / 2, -10, 12, l->formula);
	cairo_set_dash(c, NULL, 0, 0);
	cairo_set_line_width(c, 1);
	cairo_rectangle(c, 0, 0, PANEL, PANEL);
	cairo_stroke(c);
}

/* Up to where it leaves the panel by far: what comes behind it would only cross it again. */
static int path_end(const race_landscape *l, const race_path *path)
{
	int t = 0;

	while (t < RACE_STEPS && to_x(l, path->at[t].x) > -PANEL && to_x(l, path->at[t].x) < 2 * PANEL &&
	       to_y(l, path->at[t].y) > -PANEL && to_y(l, path->at[t].y) < 2 * PANEL && isfinite(path->at[t + 1].x) &&
	       isfinite(path->at[t + 1].y))
		t++;
	return t;
}

static void draw_path(cairo_t *c, const race_landscape *l, const race_path *path, int i)
{
	int end = path_end(l, path);

	use_style(c, i);
	cairo_set_line_width(c, 1.5);
	cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
	for (int t = 0; t <= end; t++)
		cairo_line_to(c, to_x(l, path->at[t].x), to_y(l, path->at[t].y));
	cairo_stroke(c);
	cairo_set_dash(c, NULL, 0, 0);
	for (int t = 1; t <= end; t++) {
		cairo_arc(c, to_x(l, path->at[t].x), to_y(l, path->at[t].y), t == end ? 4.5 : 1.4, 0, 7);
		cairo_fill(c);
	}
}

static void cross(cairo_t *c, double x, double y)
{
	cairo_set_line_width(c, 2.5);
	cairo_move_to(c, x - 6, y - 6);
	cairo_line_to(c, x + 6, y + 6);
	cairo_move_to(c, x - 6, y + 6);
	cairo_line_to(c, x + 6, y - 6);
	cairo_stroke(c);
}

static void panel(cairo_t *c, const race_landscape *l, const race_path *paths, int count)
{
	cairo_save(c);
	cairo_rectangle(c, 0, 0, PANEL, PANEL);
	cairo_clip(c);
	contours(c, l);
	for (int i = 0; i < count; i++)
		draw_path(c, l, &paths[i], i);
	cairo_set_source_rgb(c, 0, 0, 0);
	cairo_set_line_width(c, 2);
	cairo_arc(c, to_x(l, l->start.x), to_y(l, l->start.y), 6, 0, 7);
	cairo_stroke(c);
	if (l->has_minimum)
		cross(c, to_x(l, l->minimum.x), to_y(l, l->minimum.y));
	cairo_restore(c);
	axes(c, l);
}

static void legend(cairo_t *c, const race_path *paths, int count, double wide)
{
	const int columns = 6;

	for (int i = 0; i < count; i++) {
		double x = wide / columns * (i % columns), y = ROW * (i / columns);

		use_style(c, i);
		cairo_set_line_width(c, 3);
		cairo_move_to(c, x, y);
		cairo_line_to(c, x + 30, y);
		cairo_stroke(c);
		cairo_set_source_rgb(c, 0.1, 0.1, 0.1);
		text(c, x + 38, y + 4, 12, paths[i].name);
	}
	cairo_set_source_rgb(c, 0.25, 0.25, 0.25);
	text(c, wide / columns * (count % columns), ROW * (count / columns) + 4, 12,
	     "ring: start; cross: minimum; dot: a step");
}

bool race_draw(const char *file, const race_landscape *landscapes, int landscape_count, const race_path *paths,
	       int count)
{
	double wide = GAP + landscape_count * (PANEL + GAP), tall = TOP + PANEL + FOOT + 4 * ROW;
	size_t length = strlen(file);
	bool png = length > 4 && !strcmp(file + length - 4, ".png");
	cairo_surface_t *surface = png ? cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)wide, (int)tall)
				       : cairo_svg_surface_create(file, wide, tall);
	cairo_t *c = cairo_create(surface);
	cairo_status_t s;

	cairo_set_source_rgb(c, 1, 1, 1);
	cairo_paint(c);
	cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
	for (int i = 0; i < landscape_count; i++) {
		cairo_save(c);
		cairo_translate(c, GAP + i * (PANEL + GAP), TOP);
		panel(c, &landscapes[i], paths + i * count, count);
		cairo_restore(c);
	}
	cairo_translate(c, GAP, TOP + PANEL + FOOT);
	legend(c, paths, count, wide - GAP);
	s = cairo_status(c);
	cairo_destroy(c);
	if (!s && png)
		s = cairo_surface_write_to_png(surface, file);
	cairo_surface_finish(surface);
	if (!s)
		s = cairo_surface_status(surface);
	cairo_surface_destroy(surface);
	if (s)
		fprintf(stderr, "optimizer_race: %s: %s\n", file, cairo_status_to_string(s));
	return !s;
}
