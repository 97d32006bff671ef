/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work in child processes, because drivers crash and hang: that then costs the child. Whoever starts one must not have
 * called OpenCL, whose threads do not survive a fork. What the work has to tell goes through a pipe.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

typedef enum child_end {
	CHILD_DONE,
	CHILD_CRASHED,
	CHILD_LATE,   /* it said nothing for too long */
	CHILD_FAILED, /* it exited by itself, or could not be started */
} child_end;

typedef struct child_bytes {
	char *data; /* ends with a zero */
	size_t size, capacity;
} child_bytes;

typedef struct child {
	void (*work)(void *arg, FILE *out); /* runs in the child; `out` is a pipe to here, without a buffer */
	void *arg;
	/* Told of each line of `out` when it comes, without its newline; NULL: they stay in `said`. */
	void (*line)(void *user, char *line);
	void *user;

	/* Once it has ended. */
	child_end end;
	child_bytes said; /* what the work wrote to `out` */
	char text[256];   /* the end in words: "crashes (Segmentation fault)", with the last line that it printed */

	/* Of child.c. */
	pid_t pid; /* 0: it does not run */
	int out, printed_fd;
	child_bytes printed;
	double heard; /* when it said something last */
} child;

/* Starts work(arg, out) in a process of its own; work, arg, line and user are set, the rest is zero. Where no process
 * can be started it has ended with CHILD_FAILED. */
void child_start(child *c);

#define CHILD_MOST 16

/* Waits until one of those that run has ended, of CHILD_MOST at most, and returns its index; -1 where none runs. Tells
 * of lines meanwhile. One that says nothing for `limit` seconds is killed. */
int child_wait(child *const *list, int count, double limit);

/* Starts a child and waits for its end. */
void child_run(child *c, double limit);

/* Kills one that runs, and frees what it has said; the struct stays the caller's. */
void child_free(child *c);

#endif
