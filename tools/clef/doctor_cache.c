/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folders of compiled kernels: clef's own, and PoCL's where PoCL is. A program that cannot keep its kernels works,
 * and compiles them at every start, which looks like a slow device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor.h"

#define MIB (1024.0 * 1024)

/* nftw() has no argument for its user. */
static struct {
	long files;
	double bytes;
} total;

static int count_file(const char *path, const struct stat *s, int type, struct FTW *place)
{
	(void)path;
	(void)place;
	if (type == FTW_F) {
		total.files++;
		total.bytes += (double)s->st_size;
	}
	return 0;
}

/* Writes a file of the size of a kernel and removes it. Returns 0 or an errno. */
static int try_write(const char *folder)
{
	static const char block[64 * 1024];
	char path[1024];
	int fd, reason = 0;

	if (snprintf(path, sizeof(path), "%s/doctor-XXXXXX", folder) >= (int)sizeof(path))
		return ENAMETOOLONG;
	fd = mkstemp(path);
	if (fd < 0)
		return errno;
	for (size_t done = 0; done < sizeof(block) && !reason;) {
		ssize_t n = write(fd, block + done, sizeof(block) - done);

		if (n < 0)
			reason = errno;
		else
			done += (size_t)n;
	}
	if (close(fd) && !reason)
		reason = errno;
	unlink(path);
	return reason;
}

/* Could the folder be made? Makes the first that is missing above it and removes it again. Returns 0 or an errno. */
static int try_making(const char *folder)
{
	char path[1024], missing[1024], *slash;
	struct stat s;

	snprintf(path, sizeof(path), "%s", folder);
	do {
		if (errno != ENOENT && errno != ENOTDIR)
			return errno;
		memcpy(missing, path, sizeof(missing));
		slash = strrchr(path, '/');
		if (!slash)
			snprintf(path, sizeof(path), ".");
		else
			slash[slash == path] = '\0';
	} while (stat(path, &s));
	if (mkdir(missing, 0777))
		return errno;
	rmdir(missing);
	return 0;
}

static void report_bad(doctor *d, const char *what, const char *variable, const char *folder, int reason)
{
	char advice[1024];

	if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG)
		snprintf(advice, sizeof(advice), "make room, or name another folder: export %s=FOLDER", variable);
	else if (reason == EACCES || reason == EROFS || reason == EPERM)
		snprintf(advice, sizeof(advice),
			 "name a folder of your own: export %s=FOLDER\nor: sudo chown -R $USER %s", variable, folder);
	else
		snprintf(advice, sizeof(advice), "name another folder: export %s=FOLDER", variable);
	doctor_advise(d, DOCTOR_WARNING, advice, "%s %s cannot be written: %s; kernels are compiled at every start",
		      what, folder, strerror(reason));
}

static void check_folder(doctor *d, const char *what, const char *variable, const char *folder)
{
	struct stat s;
	struct statvfs fs;
	double room = -1;
	int reason = stat(folder, &s) ? errno : 0;
	char advice[256];

	if (reason) {
		reason = try_making(folder);
		if (reason)
			report_bad(d, what, variable, folder, reason);
		else
			doctor_report(d, DOCTOR_OK, "%s %s is not there yet, and will be made", what, folder);
		return;
	}
	reason = try_write(folder);
	if (reason) {
		report_bad(d, what, variable, folder, reason);
		return;
	}
	total.files = 0;
	total.bytes = 0;
	nftw(folder, count_file, 16, FTW_PHYS);
	if (!statvfs(folder, &fs))
		room = (double)fs.f_bavail * (double)fs.f_frsize / MIB;
	snprintf(advice, sizeof(advice), "make room there, or name another folder: export %s=FOLDER", variable);
	if (room >= 0 && room < 100)
		doctor_advise(d, DOCTOR_WARNING, advice, "%s %s: %ld files, %.1f MiB, and only %.0f MiB are free", what,
			      folder, total.files, total.bytes / MIB, room);
	else
		doctor_report(d, DOCTOR_OK, "%s %s: %ld files, %.1f MiB, %.0f GiB free", what, folder, total.files,
			      total.bytes / MIB, room / 1024);
}

/* Where PoCL keeps its own. */
static bool find_pocl(char *folder, size_t size)
{
	const char *named = getenv("POCL_CACHE_DIR"), *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (named && *named)
		snprintf(folder, size, "%s", named);
	else if (base && *base)
		snprintf(folder, size, "%s/pocl/kcache", base);
	else if (home && *home)
		snprintf(folder, size, "%s/.cache/pocl/kcache", home);
	else
		return false;
	return true;
}

void doctor_cache(doctor *d)
{
	char folder[1024];
	const char *named = getenv("CLEF_CACHE");

	if (*clef_cache_folder(folder, sizeof(folder)))
		check_folder(d, "clef's", "CLEF_CACHE", folder);
	else if (named)
		doctor_advise(d, DOCTOR_WARNING, "unset CLEF_CACHE, or name a folder: export CLEF_CACHE=FOLDER",
			      "CLEF_CACHE is empty: clef compiles its kernels at every start");
	else
		doctor_advise(
			d, DOCTOR_WARNING, "export CLEF_CACHE=FOLDER",
			"neither CLEF_CACHE, XDG_CACHE_HOME nor HOME is set: clef compiles its kernels at every start");
	if (doctor_has_platform(d, "Portable") && find_pocl(folder, sizeof(folder)))
		check_folder(d, "PoCL's", "POCL_CACHE_DIR", folder);
}
