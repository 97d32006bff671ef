/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is seen while a command works: on a terminal a bar that is drawn over and over in one line, elsewhere nothing
 * but whole lines. Drawing is rare (progress_due() says when), because what the bar shows has to be fetched from the
 * device, which makes the program wait for it.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <clef/base.h>

typedef struct progress {
	bool terminal;          /* is the standard output one that can redraw a line? */
	bool drawn;             /* is there something in the line? */
	bool told;              /* of compiling, where there is no terminal */
	int64_t epochs, images; /* in the run; in an epoch */
	int64_t epoch;          /* from 1 */
	double last;            /* when the line was last drawn */
	double mark;            /* the rate is that since this time, when so many images of the epoch were done */
	int64_t mark_images;
} progress;

/* Looks at the standard output. Messages of the library are shown by progress_message(). */
void progress_start(progress *p);

/* How much there is to do: epochs, and images in each. */
void progress_plan(progress *p, int64_t epochs, int64_t images);

/* A clef_log_fn with a progress as user data: warnings become lines of their own, the news that a kernel is being
 * compiled stands in the line of the bar until that is drawn. */
void progress_message(void *p, clef_log_level level, const char *message);

void progress_epoch(progress *p, int64_t epoch);

/* After each step, with the images of the epoch that are done: is it time to draw? At most ten times a second, and
 * never where there is no terminal. */
bool progress_due(progress *p, int64_t images);

/* Draws the bar, with the means so far. */
void progress_draw(progress *p, int64_t images, double loss, double accuracy);

/* A line instead of the bar, where there is a terminal. */
void progress_show(progress *p, const char *line);

/* Takes the bar away: call it before printing anything else. */
void progress_clear(progress *p);

#endif
