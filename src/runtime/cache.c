/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled programs on disk.
 *
 * Drivers crash on damaged binaries, so a file says in its header how long its parts are and what their sum is, and
 * nothing of it reaches the driver unless all of that holds and the key in it is, byte for byte, the key that is asked
 * for. Files are written under another name and renamed, so that a reader sees a whole file or none, whoever else
 * writes. Nothing here fails: without a usable folder everything is compiled, after one warning.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "opencl.h"

static const char magic[8] = "clefbin1";

typedef struct header {
	char magic[8];
	uint64_t key_size, binary_size;
	uint64_t checksum; /* of key and binary */
} header;

static void warn_once(clef_device *dev, const char *path, const char *what)
{
	if (dev->cache_warned)
		return;
	dev->cache_warned = true;
	clef__log(CLEF_LOG_WARN, "kernel cache: %s: %s: %s; kernels are compiled anew at every start", path, what,
		  strerror(errno));
}

/* mkdir -p */
static bool make_folder(char *path)
{
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			mkdir(path, 0777);
			*p = '/';
		}
	return mkdir(path, 0777) == 0 || errno == EEXIST;
}

/* To be freed; NULL where none is kept. */
static char *folder_path(void)
{
	const char *named = getenv("CLEF_CACHE"), *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (named)
		return *named ? clef__strdup(named) : NULL;
	if (base && *base == '/')
		return clef__format("%s/clef", base);
	return home && *home ? clef__format("%s/.cache/clef", home) : NULL;
}

char *clef_cache_folder(char *text, size_t size)
{
	char *path = folder_path();

	snprintf(text, size, "%s", path ? path : "");
	free(path);
	return text;
}

void clef__cache_open(clef_device *dev)
{
	dev->cache_folder = folder_path();
	if (dev->cache_folder && !make_folder(dev->cache_folder)) {
		warn_once(dev, dev->cache_folder, "cannot be made");
		free(dev->cache_folder);
		dev->cache_folder = NULL;
	}
}

static char *file_path(const clef_device *dev, const char *key, size_t key_size)
{
	return clef__format("%s/%016llx.bin", dev->cache_folder,
			    (unsigned long long)clef__hash(CLEF__HASH_START, key, key_size));
}

static bool read_all(FILE *file, void *data, size_t size)
{
	return fread(data, 1, size, file) == size;
}

/* The binary of an open file, if the file is whole and is the one with this key. */
static unsigned char *read_binary(FILE *file, const char *key, size_t key_size, size_t *size)
{
	header h;
	struct stat st;
	char *stored = NULL;
	unsigned char *binary = NULL;
	bool good = false;

	if (!read_all(file, &h, sizeof(h)) || memcmp(h.magic, magic, sizeof(magic)) != 0 || h.key_size != key_size ||
	    fstat(fileno(file), &st) || st.st_size < 0 || (uint64_t)st.st_size < sizeof(h) + key_size ||
	    (uint64_t)st.st_size - sizeof(h) - key_size != h.binary_size || !h.binary_size)
		return NULL;
	stored = malloc(key_size);
	binary = malloc((size_t)h.binary_size);
	if (stored && binary && read_all(file, stored, key_size) && read_all(file, binary, (size_t)h.binary_size)) {
		uint64_t sum =
			clef__hash(clef__hash(CLEF__HASH_START, stored, key_size), binary, (size_t)h.binary_size);

		good = sum == h.checksum && memcmp(stored, key, key_size) == 0;
	}
	free(stored);
	if (!good) {
		free(binary);
		return NULL;
	}
	*size = (size_t)h.binary_size;
	return binary;
}

unsigned char *clef__cache_load(clef_device *dev, const char *key, size_t key_size, size_t *size)
{
	unsigned char *binary = NULL;
	char *path;
	FILE *file;

	if (!dev->cache_folder)
		return NULL;
	path = file_path(dev, key, key_size);
	file = path ? fopen(path, "rb") : NULL;
	if (file) {
		binary = read_binary(file, key, key_size, size);
		if (!binary)
			clef__log(CLEF_LOG_DEBUG, "kernel cache: %s is damaged or for something else", path);
		fclose(file);
	}
	free(path);
	return binary;
}

static bool write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

void clef__cache_store(clef_device *dev, const char *key, size_t key_size, const unsigned char *binary, size_t size)
{
	header h = { .key_size = key_size, .binary_size = size };
	char *path, *temporary;
	bool written = false;
	int fd;

	if (!dev->cache_folder)
		return;
	memcpy(h.magic, magic, sizeof(magic));
	h.checksum = clef__hash(clef__hash(CLEF__HASH_START, key, key_size), binary, size);
	path = file_path(dev, key, key_size);
	temporary = clef__format("%s/tmp-XXXXXX", dev->cache_folder);
	fd = path && temporary ? mkstemp(temporary) : -1;
	if (fd >= 0) {
		written = write_all(fd, &h, sizeof(h)) && write_all(fd, key, key_size) && write_all(fd, binary, size);
		/* A full disk may show only now. */
		written = close(fd) == 0 && written;
		written = written && rename(temporary, path) == 0;
	}
	if (!written) {
		warn_once(dev, dev->cache_folder, "cannot be written to");
		if (fd >= 0)
			unlink(temporary);
	}
	free(path);
	free(temporary);
}
