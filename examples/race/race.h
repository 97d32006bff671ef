/* SPDX-License-Identifier: Apache-2.0 */
/* What optimizer_race.c has computed, for the picture of it. */
#ifndef RACE_H
#define RACE_H

#include <stdbool.h>

#define RACE_STEPS 200

typedef struct race_point {
	float x, y;
} race_point;

/* A function of two numbers, and what of the plane is shown. */
typedef struct race_landscape {
	const char *title, *formula;
	double (*value)(double x, double y);
	double left, right, bottom, top;
	race_point start;
	bool has_minimum;
	race_point minimum;
} race_landscape;

/* Where an optimizer was after 0, 1, ... steps. */
typedef struct race_path {
	const char *name;
	race_point at[RACE_STEPS + 1];
} race_path;

/* Draws the paths, paths[l * count + i] in landscape l, into a file: an SVG, or a PNG where its name ends so. False
 * with a message on standard error. */
bool race_draw(const char *file, const race_landscape *landscapes, int landscape_count, const race_path *paths,
	       int count);

#endif
