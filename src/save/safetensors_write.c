/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes safetensors files. The bytes go to PATH.new, are flushed to the disk, and then the name changes hands, so that
 * PATH is at every moment one whole file or the other; flushing the folder makes that hold for a power failure too.
 * PATH.new always has the same name, so that a process that was killed leaves at most one, which the next overwrites. A
 * lock on it keeps two writers apart, and goes with the process that holds it.
 */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "safetensors.h"

/* ---- the header ---- */

/* Wide types first, so that every array lies at a multiple of its element's size. */
static int by_size(const void *a, const void *b)
{
	const clef__stored *x = *(const clef__stored *const *)a, *y = *(const clef__stored *const *)b;

	if (x->type->size != y->type->size)
		return x->type->size > y->type->size ? -1 : 1;
	return x < y ? -1 : x > y;
}

static const clef__stored **in_order(const clef_safetensors *file)
{
	const clef__stored **order = clef__calloc((size_t)file->count, sizeof(*order), "the order of arrays");

	for (int i = 0; i < file->count && order; i++)
		order[i] = &file->list[i];
	if (order)
		qsort(order, (size_t)file->count, sizeof(*order), by_size);
	return order;
}

static json_t *array_json(const clef__stored *stored, size_t begin)
{
	json_t *shape = json_array();

	for (int i = 0; i < stored->shape.ndim; i++)
		json_array_append_new(shape, json_integer(stored->shape.dim[i]));
	return json_pack("{ss so s[II]}", "dtype", stored->type->name, "shape", shape, "data_offsets",
			 (json_int_t)begin, (json_int_t)(begin + stored->bytes));
}

/* The header as JSON, filled up with blanks so that the values begin at a multiple of 8. */
static char *header_text(const clef_safetensors *file, const clef__stored **order)
{
	json_t *header = json_object();
	bool good = header != NULL;
	size_t begin = 0;
	char *json, *text;

	if (good && json_object_size(file->texts))
		good = !json_object_set(header, CLEF__SAFETENSORS_METADATA, file->texts);
	for (int i = 0; i < file->count && good; i++) {
		good = !json_object_set_new(header, order[i]->name, array_json(order[i], begin));
		begin += order[i]->bytes;
	}
	json = good ? json_dumps(header, JSON_COMPACT) : NULL;
	json_decref(header);
	text = json ? clef__format("%-*s", (int)((strlen(json) + 7) / 8 * 8), json) : NULL;
	free(json);
	return text ? text : clef__fail_null(CLEF_ERROR_MEMORY, "clef_safetensors_save: no memory for the header");
}

/* ---- the file ---- */

typedef struct writer {
	const char *path;
	char *fresh, *previous; /* PATH.new, PATH.prev */
	int fd;
} writer;

static clef_status io_error(const char *how, const char *path)
{
	return clef__fail(CLEF_ERROR_IO, "clef_safetensors_save: cannot %s %s: %s", how, path, strerror(errno));
}

static clef_status write_bytes(const writer *w, const void *data, size_t size)
{
	const char *p = data;

	while (size) {
		ssize_t n = write(w->fd, p, CLEF__MIN(size, (size_t)1 << 30));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return io_error("write", w->fresh);
		p += n;
		size -= (size_t)n;
	}
	return CLEF_OK;
}

/* Opens PATH.new and locks it. Its last writer may have given it the other name between the two, so that it has to be
 * looked at again. */
static clef_status open_fresh(writer *w)
{
	struct stat opened, named;

	for (;;) {
		w->fd = open(w->fresh, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
		if (w->fd < 0)
			return io_error("write", w->fresh);
		if (flock(w->fd, LOCK_EX | LOCK_NB))
			return errno == EWOULDBLOCK
				       ? clef__fail(CLEF_ERROR_IO,
						    "clef_safetensors_save: %s is being written by another "
						    "process, or thread",
						    w->path)
				       : io_error("lock", w->fresh);
		if (!fstat(w->fd, &opened) && !stat(w->fresh, &named) && opened.st_ino == named.st_ino &&
		    opened.st_dev == named.st_dev)
			break;
		close(w->fd);
	}
	return ftruncate(w->fd, 0) ? io_error("write", w->fresh) : CLEF_OK;
}

static clef_status write_all(const writer *w, const clef_safetensors *file)
{
	const clef__stored **order = in_order(file);
	char *text = order ? header_text(file, order) : NULL;
	uint8_t start[CLEF__SAFETENSORS_START];
	clef_status s = text ? CLEF_OK : CLEF_ERROR_MEMORY;

	for (size_t i = 0; i < sizeof(start) && text; i++)
		start[i] = (uint8_t)((uint64_t)strlen(text) >> 8 * i);
	if (!s)
		s = write_bytes(w, start, sizeof(start));
	if (!s)
		s = write_bytes(w, text, strlen(text));
	for (int i = 0; i < file->count && !s; i++)
		s = write_bytes(w, order[i]->data, order[i]->bytes);
	free(text);
	free(order);
	return !s && fsync(w->fd) ? io_error("flush", w->fresh) : s;
}

/* The file that was there gets a second name, so that its first one is never without a file. Where a file system cannot
 * do that, the name moves. */
static clef_status keep_previous(const writer *w)
{
	if (unlink(w->previous) && errno != ENOENT)
		return io_error("replace", w->previous);
	if (!link(w->path, w->previous) || errno == ENOENT || !rename(w->path, w->previous))
		return CLEF_OK;
	return io_error("keep", w->path);
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

static clef_status save(writer *w, const clef_safetensors *file, bool keep)
{
	clef_status s = open_fresh(w);

	if (s) {
		if (w->fd >= 0)
			close(w->fd);
		return s;
	}
	s = write_all(w, file);
	if (!s && keep)
		s = keep_previous(w);
	if (!s && rename(w->fresh, w->path))
		s = io_error("make", w->path);
	if (s)
		unlink(w->fresh);
	close(w->fd);
	if (!s)
		flush_folder(w->path);
	return s;
}

clef_status clef_safetensors_save(const clef_safetensors *file, const char *path, bool keep)
{
	writer w = { .path = path, .fd = -1 };
	clef_status s;

	if (!file || !path)
		return clef__null_argument("clef_safetensors_save");
	w.fresh = clef__format("%s.new", path);
	w.previous = clef__format("%s.prev", path);
	s = w.fresh && w.previous ? save(&w, file, keep) : CLEF_ERROR_MEMORY;
	free(w.fresh);
	free(w.previous);
	return s;
}
