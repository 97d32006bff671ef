/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replaces a file in one piece. The bytes go to PATH.new, are flushed to the disk, and then the name changes hands, so
 * that PATH is at every moment one whole file or the other; flushing the folder makes that hold for a power failure
 * too. PATH.new always has the same name, so that a process that was killed leaves at most one, which the next
 * overwrites. A lock on it keeps two writers apart, and goes with the process that holds it.
 */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replace.h"

struct clef__writer {
	const char *function, *path;
	char *fresh, *previous; /* PATH.new, PATH.prev */
	int fd;
};

static clef_status io_error(const clef__writer *w, const char *how, const char *path)
{
	return clef__fail(CLEF_ERROR_IO, "%s: cannot %s %s: %s", w->function, how, path, strerror(errno));
}

clef_status clef__write(const clef__writer *w, const void *data, size_t size)
{
	const char *p = data;

	while (size) {
		ssize_t n = write(w->fd, p, CLEF__MIN(size, (size_t)1 << 30));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return io_error(w, "write", w->fresh);
		p += n;
		size -= (size_t)n;
	}
	return CLEF_OK;
}

/* Opens PATH.new and locks it. Its last writer may have given it the other name between the two, so that it has to be
 * looked at again. */
static clef_status open_fresh(clef__writer *w)
{
	struct stat opened, named;

	for (;;) {
		w->fd = open(w->fresh, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
		if (w->fd < 0)
			return io_error(w, "write", w->fresh);
		if (flock(w->fd, LOCK_EX | LOCK_NB))
			return errno == EWOULDBLOCK
				       ? clef__fail(CLEF_ERROR_IO,
						    "clef_safetensors_save: %s is being written by another "
						    "process, or thread",
						    w->path)
				       : io_error(w, "lock", w->fresh);
		if (!fstat(w->fd, &opened) && !stat(w->fresh, &named) && opened.st_ino == named.st_ino &&
		    opened.st_dev == named.st_dev)
			break;
		close(w->fd);
	}
	return ftruncate(w->fd, 0) ? io_error(w, "write", w->fresh) : CLEF_OK;
}

/* The file that was there gets a second name, so that its first one is never without a file. Where a file system cannot
 * do that, the name moves. */
static clef_status keep_previous(const clef__writer *w)
{
	if (unlink(w->previous) && errno != ENOENT)
		return io_error(w, "replace", w->previous);
	if (!link(w->path, w->previous) || errno == ENOENT || !rename(w->path, w->previous))
		return CLEF_OK;
	return io_error(w, "keep", w->path);
}

/* Some file systems have no folders that can be flushed, and need none. */
static void flush_folder(const char *path)
{
	char *folder = clef__strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	int fd;

	if (slash)
		slash[slash == folder] = '\0';
	fd = folder ? open(slash ? folder : ".", O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

static clef_status replace(clef__writer *w, bool keep, clef__write_fn write, const void *what)
{
	clef_status s = open_fresh(w);

	if (s) {
		if (w->fd >= 0)
			close(w->fd);
		return s;
	}
	s = write(w, what);
	if (!s && fsync(w->fd))
		s = io_error(w, "flush", w->fresh);
	if (!s && keep)
		s = keep_previous(w);
	if (!s && rename(w->fresh, w->path))
		s = io_error(w, "make", w->path);
	if (s)
		unlink(w->fresh);
	close(w->fd);
	if (!s)
		flush_folder(w->path);
	return s;
}

clef_status clef__replace(const char *function, const char *path, bool keep, clef__write_fn write, const void *what)
{
	clef__writer w = { .function = function, .path = path, .fd = -1 };
	clef_status s;

	w.fresh = clef__format("%s.new", path);
	w.previous = clef__format("%s.prev", path);
	s = w.fresh && w.previous ? replace(&w, keep, write, what) : CLEF_ERROR_MEMORY;
	free(w.fresh);
	free(w.previous);
	return s;
}
