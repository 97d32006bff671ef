/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work in a child process with a time limit. The parent of all these never calls OpenCL, so a child made by fork()
 * starts without any driver and may load what it likes. Results come through a pipe, not through a file, since a full
 * disk is one of the things to be found.
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

#include "doctor.h"
#include "tool.h"

#define SLICE 50 /* milliseconds: how soon the end of a child is seen whose own children hold its pipes */

typedef struct bytes {
	char *data;
	size_t size, capacity;
} bytes;

static void append(bytes *b, const char *data, size_t size)
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
static bool drain(int fd, bytes *b)
{
	char block[4096];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		append(b, block, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void be_child(const int result[2], const int print[2], void (*work)(void *arg, FILE *out), void *arg)
{
	FILE *out = fdopen(result[1], "w");
	int nothing = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
#ifdef __linux__
	prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (nothing >= 0)
		dup2(nothing, STDIN_FILENO);
	dup2(print[1], STDOUT_FILENO);
	dup2(print[1], STDERR_FILENO);
	if (!out)
		_exit(EXIT_FAILED);
	setvbuf(out, NULL, _IONBF, 0); /* what was written before a crash must come through */
	work(arg, out);
	fflush(stdout);
	/* Not exit(): the exit handlers of a driver are no part of the question. */
	_exit(EXIT_OK);
}

/* Reads both pipes until the child has ended, or kills it at the limit. Returns its wait status. */
static int watch(pid_t pid, int result, int print, double limit, bytes *data, bytes *printed, bool *late)
{
	struct pollfd fds[2] = { { .fd = result, .events = POLLIN }, { .fd = print, .events = POLLIN } };
	double start = seconds();
	siginfo_t ended = { 0 };
	int status = 0;

	/* As long as it has not been waited for, its number cannot be another's, and is safe to kill. */
	while (!ended.si_pid) {
		/* Once both pipes are at their end the child is about to be gone. */
		poll(fds, 2, fds[0].fd < 0 && fds[1].fd < 0 ? 1 : SLICE);
		if (fds[0].fd >= 0 && !drain(result, data))
			fds[0].fd = -1;
		if (fds[1].fd >= 0 && !drain(print, printed))
			fds[1].fd = -1;
		waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT);
		if (!ended.si_pid && seconds() - start > limit) {
			*late = true;
			kill(pid, SIGKILL);
			waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT);
		}
	}
	kill(-pid, SIGKILL); /* and whatever it has started */
	waitpid(pid, &status, 0);
	drain(result, data);
	drain(print, printed);
	return status;
}

/* The last line with something in it, printable. */
static void last_line(const bytes *b, char *text, size_t size)
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

static void describe(child_result *r, int status, double limit, bool late, const bytes *printed)
{
	char line[152], end[96];

	r->end = late ? CHILD_LATE : WIFSIGNALED(status) ? CHILD_CRASHED : status ? CHILD_FAILED : CHILD_DONE;
	last_line(printed, line, sizeof(line));
	if (late)
		snprintf(end, sizeof(end), "gives no answer within %g s", limit);
	else if (WIFSIGNALED(status))
		snprintf(end, sizeof(end), "crashes (%s)", strsignal(WTERMSIG(status)));
	else if (status)
		snprintf(end, sizeof(end), "ends the process with exit status %d", WEXITSTATUS(status));
	else
		*end = '\0';
	snprintf(r->text, sizeof(r->text), "%s%s%s", end, *line && *end ? ": " : "", *end ? line : "");
}

void child_run(child_result *r, double limit, void (*work)(void *arg, FILE *out), void *arg)
{
	int result[2], print[2] = { -1, -1 }, status;
	bytes data = { 0 }, printed = { 0 };
	bool late = false;
	pid_t pid = -1;

	memset(r, 0, sizeof(*r));
	r->end = CHILD_FAILED;
	snprintf(r->text, sizeof(r->text), "no process could be started: %s", strerror(errno));
	if (pipe2(result, O_CLOEXEC))
		return;
	fflush(NULL);
	if (!pipe2(print, O_CLOEXEC))
		pid = fork();
	if (pid == 0)
		be_child(result, print, work, arg);
	close(result[1]);
	if (print[1] >= 0)
		close(print[1]);
	if (pid > 0) {
		fcntl(result[0], F_SETFL, O_NONBLOCK);
		fcntl(print[0], F_SETFL, O_NONBLOCK);
		status = watch(pid, result[0], print[0], limit, &data, &printed, &late);
		describe(r, status, limit, late, &printed);
	} else {
		snprintf(r->text, sizeof(r->text), "no process could be started: %s", strerror(errno));
	}
	close(result[0]);
	if (print[0] >= 0)
		close(print[0]);
	append(&data, "", 0);
	r->data = data.data;
	r->size = data.size;
	free(printed.data);
}
