/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of clef doctor share: the findings, and what one check leaves for those behind it. A check is a
 * function in one of the files and a row of the table in doctor.c.
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <clef/clef.h>

typedef enum doctor_mark { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_PROBLEM, DOCTOR_SKIPPED } doctor_mark;

typedef struct finding {
	const char *check; /* name of the check in JSON */
	doctor_mark mark;
	char found[1024];
	char advice[1024]; /* lines; "": nothing to do */
} finding;

#define DOCTOR_MAX_ICDS 64

/* A driver that the loader is told of. */
typedef struct icd_file {
	char path[512];     /* of the .icd file; the library itself where no file names it */
	char library[512];  /* what the file names */
	char resolved[512]; /* the file that was loaded for it, or "" */
	bool loads;
} icd_file;

typedef struct doctor {
	const char *root;   /* in front of /etc, /sys, /dev and /proc: "", or $CLEF_DOCTOR_ROOT */
	const char *device; /* --device, or NULL */
	double limit;       /* seconds that a driver may take to answer */
	bool json;

	finding *findings;
	int count, capacity;
	const char *check; /* the one that runs */
	bool out_of_memory;

	/* What the checks have found, for those behind them. */
	clef_icd_loader loader;
	icd_file icds[DOCTOR_MAX_ICDS];
	int icd_count;
	clef_platform_info *platforms;
	int platform_count;
	clef_device_info *devices;
	int device_count;
	bool listed;      /* the drivers, all together, answered */
	int chosen;       /* index of the device that clef uses, or -1 */
	char reason[768]; /* why there is none */
	int unserved;     /* GPUs without an OpenCL driver */
	bool works;       /* the first kernel was right */
} doctor;

/* ---- findings: doctor.c ---- */

/* Adds a finding of the check that runs, and prints it. */
void doctor_report(doctor *d, doctor_mark mark, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with advice, lines of what to do, which may not be NULL. */
void doctor_advise(doctor *d, doctor_mark mark, const char *advice, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* "folder/" + path below the root, in a buffer of the caller's. */
#define DOCTOR_PATH 1024
const char *doctor_path(const doctor *d, const char *path, char text[DOCTOR_PATH]);

/* Reads the beginning of a small file, without the newline at its end; false when it cannot be read. */
bool doctor_read(const char *path, char *text, size_t size);

/* Does text contain the word, in any case of letters? */
bool doctor_contains(const char *text, const char *word);

/* Is there a container around this process? Advice differs there. */
bool doctor_in_container(const doctor *d);

/* ---- checks ---- */

typedef void doctor_check(doctor *d);

doctor_check doctor_loader, doctor_icd_files;              /* doctor_icd.c */
doctor_check doctor_devices, doctor_choice, doctor_kernel; /* doctor_devices.c, doctor_kernel.c */
doctor_check doctor_hardware, doctor_permissions;          /* doctor_hardware.c, doctor_permissions.c */
doctor_check doctor_drivers, doctor_environment;           /* doctor_drivers.c, doctor_environment.c */
doctor_check doctor_cache;                                 /* doctor_cache.c */

/* What to do about a platform that has no devices: doctor_drivers.c. */
const char *doctor_empty_platform(const clef_platform_info *p);

/* How bad it is that a GPU cannot be used: a problem where clef runs on a CPU for want of it, and nobody asked for
 * that. */
doctor_mark doctor_weight(const doctor *d);

/* Is a device of the platform there? In any case of letters. */
bool doctor_has_platform(const doctor *d, const char *name);

#endif
