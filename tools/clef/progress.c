/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bar. Its width is that of the terminal at this moment, which the user may change. The rate leaves out the first
 * step of an epoch, because the first one of all compiles kernels, which says nothing about the time that is left.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "progress.h"
#include "tool.h"

#define REDRAW_SECONDS 0.1
#define LONGEST_LINE   512
#define LONGEST_BAR    30
#define SHORTEST_BAR   5
#define RATE_WIDTH     29
#define CLEAR_LINE     "\r\033[K"

void progress_start(progress *p)
{
	const char *term = getenv("TERM");

	p->terminal = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

void progress_plan(progress *p, int64_t epochs, int64_t images)
{
	p->epochs = epochs;
	p->images = images;
}

static int columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0)
		return 80;
	return size.ws_col < LONGEST_LINE ? size.ws_col : LONGEST_LINE - 1;
}

/* The last column stays free: in it some terminals go on to the next line. */
static void draw(progress *p, const char *line)
{
	printf("%s%.*s", CLEAR_LINE, columns() - 1, line);
	fflush(stdout);
	p->drawn = true;
	p->last = seconds();
}

void progress_show(progress *p, const char *line)
{
	if (p->terminal)
		draw(p, line);
}

void progress_clear(progress *p)
{
	if (!p->drawn)
		return;
	fputs(CLEAR_LINE, stdout);
	fflush(stdout);
	p->drawn = false;
}

void progress_message(void *user, clef_log_level level, const char *message)
{
	progress *p = user;
	char line[LONGEST_LINE];

	if (level == CLEF_LOG_WARN) {
		progress_clear(p);
		complain("warning: %s", message);
	} else if (p->terminal) {
		snprintf(line, sizeof(line), "%s ...", message);
		draw(p, line);
	} else if (!p->told) {
		complain("compiling kernels for this device, which takes a while");
		p->told = true;
	}
}

void progress_epoch(progress *p, int64_t epoch)
{
	p->epoch = epoch;
	p->mark_images = 0;
}

bool progress_due(progress *p, int64_t images)
{
	double now;

	if (!p->terminal)
		return false;
	now = seconds();
	if (!p->mark_images) {
		p->mark = now;
		p->mark_images = images;
	}
	return now - p->last >= REDRAW_SECONDS;
}

/* "0:42", "12:05", "1:02:03". */
static void time_text(double left, char *text, size_t size)
{
	long s = left < 1e6 ? (long)(left + 0.5) : 1000000;

	if (s < 3600)
		snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
	else
		snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

/* "  10851 images/s   0:09 left", or blanks of that length while there is no rate. */
static void rate_text(const progress *p, int64_t images, char *text, size_t size)
{
	double elapsed = seconds() - p->mark;
	int64_t total = (p->epochs - p->epoch + 1) * p->images;
	char left[32];
	double rate;

	snprintf(text, size, "%*s", RATE_WIDTH, "");
	if (elapsed <= 0 || images <= p->mark_images)
		return;
	rate = (double)(images - p->mark_images) / elapsed;
	time_text((double)(total - images) / rate, left, sizeof(left));
	snprintf(text, size, "  %6.0f images/s  %5s left", rate, left);
}

void progress_draw(progress *p, int64_t images, double loss, double accuracy)
{
	char front[64], back[160], line[LONGEST_LINE], bar[LONGEST_BAR], rate[96];
	double done = (double)images / (double)p->images;
	int room;

	rate_text(p, images, rate, sizeof(rate));
	snprintf(front, sizeof(front), "epoch %" PRId64 "/%" PRId64 " ", p->epoch, p->epochs);
	snprintf(back, sizeof(back), "loss %.4f  accuracy %.2f %%%s", loss, 100 * accuracy, rate);
	room = columns() - 1 - (int)(strlen(front) + strlen("[] ") + strlen(back));
	if (room > LONGEST_BAR)
		room = LONGEST_BAR;
	if (room < SHORTEST_BAR) {
		snprintf(line, sizeof(line), "%s%s", front, back);
	} else {
		memset(bar, '-', (size_t)room);
		memset(bar, '#', (size_t)(done * room));
		snprintf(line, sizeof(line), "%s[%.*s] %s", front, room, bar, back);
	}
	draw(p, line);
}
