/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child processes with a limit for their silence. Both their pipes are read all the time, so that none stops because
 * nobody listens; the second has what drivers print, of which the last line often says why they died.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "child.h"
#include "tool.h"

#define SLICE 50 /* milliseconds: how soon the end of a child is seen whose own children hold its pipes */
#define MOST  CHILD_MOST

/* ---- what comes through the pipes ---- */

static void append(child_bytes *b, const char *data, size_t size)
{
	if (b->size + size + 1 > b->capacity) {
		size_t capacity = 2 * b->capacity + size + 1;
		char *grown = realloc(b->data, capacity);

		if (!grown)
			return;
		b->data = grown;
		b->capacity = capacity;
	}
	memcpy(b->data + b->size, data, size);
	b->size += size;
	b->data[b->size] = '\0';
}

/* Takes what is there; false at the end. */
static bool drain(int fd, child_bytes *b)
{
	char block[4096];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		append(b, block, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void tell_lines(child *c)
{
	char *start = c->said.data, *end;
	size_t left;

	while (c->line && start && (end = strchr(start, '\n'))) {
		*end = '\0';
		c->line(c->user, start);
		start = end + 1;
	}
	if (!c->line || !start || start == c->said.data)
		return;
	left = c->said.size - (size_t)(start - c->said.data);
	memmove(c->said.data, start, left + 1);
	c->said.size = left;
}

static void listen_to(child *c)
{
	size_t before = c->said.size + c->printed.size;

	if (c->out >= 0 && !drain(c->out, &c->said)) {
		close(c->out);
		c->out = -1;
	}
	if (c->printed_fd >= 0 && !drain(c->printed_fd, &c->printed)) {
		close(c->printed_fd);
		c->printed_fd = -1;
	}
	if (c->said.size + c->printed.size > before)
		c->heard = seconds();
	tell_lines(c);
}

/* ---- the child ---- */

static void be_child(const child *c, int out, int printed)
{
	FILE *file = fdopen(out, "w");
	int nothing = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
#ifdef __linux__
	prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (nothing >= 0)
		dup2(nothing, STDIN_FILENO);
	dup2(printed, STDOUT_FILENO);
	dup2(printed, STDERR_FILENO);
	if (!file)
		_exit(EXIT_FAILED);
	setvbuf(file, NULL, _IONBF, 0); /* what was written before a crash must come through */
	c->work(c->arg, file);
	fflush(stdout);
	/* Not exit(): the exit handlers of a driver are no part of the question. */
	_exit(EXIT_OK);
}

void child_start(child *c)
{
	int out[2], printed[2] = { -1, -1 };

	c->end = CHILD_FAILED;
	c->out = c->printed_fd = -1;
	c->pid = -1;
	fflush(NULL);
	if (!pipe2(out, O_CLOEXEC)) {
		if (!pipe2(printed, O_CLOEXEC))
			c->pid = fork();
		if (c->pid == 0)
			be_child(c, out[1], printed[1]);
		c->out = out[0];
		c->printed_fd = printed[0];
		close(out[1]);
		if (printed[1] >= 0)
			close(printed[1]);
	}
	c->heard = seconds();
	if (c->pid < 0) {
		snprintf(c->text, sizeof(c->text), "no process could be started: %s", strerror(errno));
		c->pid = 0;
		return;
	}
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	fcntl(c->printed_fd, F_SETFL, O_NONBLOCK);
}

/* ---- its end ---- */

/* The last line with something in it, printable. */
static void last_line(const child_bytes *b, char *text, size_t size)
{
	size_t end = b->size, start;

	while (end > 0 && (unsigned char)b->data[end - 1] <= ' ')
		end--;
	for (start = end; start > 0 && b->data[start - 1] != '\n'; start--)
		;
	snprintf(text, size, "%.*s", (int)(end - start < 150 ? end - start : 150), b->data ? b->data + start : "");
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

static void describe(child *c, int status, double limit, bool late)
{
	char line[152], end[96] = "";

	c->end = late ? CHILD_LATE : WIFSIGNALED(status) ? CHILD_CRASHED : status ? CHILD_FAILED : CHILD_DONE;
	last_line(&c->printed, line, sizeof(line));
	if (late)
		snprintf(end, sizeof(end), "gives no answer within %g s", limit);
	else if (WIFSIGNALED(status))
		snprintf(end, sizeof(end), "crashes (%s)", strsignal(WTERMSIG(status)));
	else if (status)
		snprintf(end, sizeof(end), "ends the process with exit status %d", WEXITSTATUS(status));
	snprintf(c->text, sizeof(c->text), "%s%s%s", end, *line && *end ? ": " : "", *end ? line : "");
}

static void kill_all(const child *c)
{
	kill(-c->pid, SIGKILL); /* with whatever it has started */
	kill(c->pid, SIGKILL);
}

static bool has_ended(child *c, double limit)
{
	siginfo_t ended = { 0 };
	int status = 0;
	bool late;

	/* As long as it has not been waited for, its number cannot be another's, and is safe to kill. */
	waitid(P_PID, (id_t)c->pid, &ended, WEXITED | WNOHANG | WNOWAIT);
	if (!ended.si_pid && seconds() - c->heard <= limit)
		return false;
	late = !ended.si_pid;
	kill_all(c);
	waitpid(c->pid, &status, 0);
	listen_to(c);
	append(&c->said, "", 0);
	describe(c, status, limit, late);
	c->pid = 0;
	return true;
}

int child_wait(child *const *list, int count, double limit)
{
	struct pollfd fds[2 * MOST];

	count = count < MOST ? count : MOST;
	for (;;) {
		bool any = false, open = false;

		for (int i = 0; i < count; i++) {
			bool runs = list[i]->pid > 0;

			any = any || runs;
			open = open || (runs && (list[i]->out >= 0 || list[i]->printed_fd >= 0));
			fds[2 * i] = (struct pollfd){ .fd = runs ? list[i]->out : -1, .events = POLLIN };
			fds[2 * i + 1] = (struct pollfd){ .fd = runs ? list[i]->printed_fd : -1, .events = POLLIN };
		}
		if (!any)
			return -1;
		/* Where all pipes are at their end, the children are about to be gone. */
		poll(fds, 2 * (nfds_t)count, open ? SLICE : 1);
		for (int i = 0; i < count; i++) {
			if (list[i]->pid <= 0)
				continue;
			listen_to(list[i]);
			if (has_ended(list[i], limit))
				return i;
		}
	}
}

void child_run(child *c, double limit)
{
	child_start(c);
	child_wait(&c, 1, limit);
}

void child_free(child *c)
{
	if (c->heard <= 0)
		return; /* it was never started */
	if (c->pid > 0) {
		kill_all(c);
		waitpid(c->pid, NULL, 0);
		c->pid = 0;
	}
	if (c->out >= 0)
		close(c->out);
	if (c->printed_fd >= 0)
		close(c->printed_fd);
	c->out = c->printed_fd = -1;
	free(c->said.data);
	free(c->printed.data);
	c->said = c->printed = (child_bytes){ NULL, 0, 0 };
}
