/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of drivers: a table with one row for each problem that was seen or that its makers document. To add
 * one, add a row; a version range is on CL_DRIVER_VERSION.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

typedef struct known_problem {
	const char *platform;     /* part of the platform's name; NULL: any */
	const char *vendor;       /* part of the device's vendor; NULL: any */
	bool gpu;                 /* of GPUs only */
	const char *from, *below; /* versions of the driver, or NULL */
	const char *what, *advice;
} known_problem;

static const known_problem known[] = {
	{ "Clover", NULL, false, NULL, NULL,
	  "Clover aborts the program at vloadN, half and atomics, which clef's kernels use",
	  "use Rusticl, its successor in the same package: export RUSTICL_ENABLE=radeonsi (AMD), iris (Intel), nouveau "
	  "or "
	  "llvmpipe (CPU); CLEF_DEVICE=rusticl" },
	{ "Oclgrind", NULL, false, NULL, NULL,
	  "Oclgrind is a simulator that looks for errors in kernels, thousands of times slower than a driver",
	  "use it for tests alone, with CLEF_GEMM=plain and CLEF_CACHE=; else CLEF_DEVICE=portable, or another "
	  "device" },
	{ "rusticl", NULL, false, NULL, "23",
	  "Mesa 22.3 has the first Rusticl: it says 32 work-items for kernels that take 256, and has no fp64",
	  "use a newer mesa-opencl-icd, where the distribution has one" },
	{ NULL, "Intel", true, NULL, NULL, "CLBlast's matrix product was wrong on some Intel GPUs (its issue 533)",
	  "clef checks it when it opens a device, and sets it aside where it fails; CLEF_GEMM=plain does without" },
	{ NULL, "Apple", true, NULL, NULL,
	  "CLBlast's matrix product was wrong on Apple's M1 from 1152 x 1152 on (its issue 542)",
	  "if losses look wrong: export CLEF_GEMM=plain" },
};

typedef struct empty_platform {
	const char *name, *advice;
} empty_platform;

static const empty_platform empty[] = {
	{ "rusticl",
	  "Rusticl shows only what it is told to: export RUSTICL_ENABLE=radeonsi (AMD), iris (Intel), nouveau "
	  "(NVIDIA), panfrost, freedreno, asahi, or llvmpipe (CPU)" },
	{ "Clover", "nothing, where another driver serves the GPU: Clover is for old ones of AMD; its successor is "
		    "Rusticl: export "
		    "RUSTICL_ENABLE=radeonsi" },
	{ "AMD",
	  "ROCm needs a GPU that it supports, and /dev/kfd and /dev/dri/renderD*: see \"Hardware\" and \"Permissions\" "
	  "below; rocminfo tells more" },
	{ "NVIDIA",
	  "the library must be of the version of the kernel's driver: compare with nvidia-smi; restart after an "
	  "update" },
	{ "Intel",
	  "Intel's driver needs /dev/dri/renderD*: see \"Permissions\" below; from release 24.35 on it has left GPUs "
	  "before Gen12 to intel-opencl-icd-legacy" },
	{ "Portable", "PoCL has no device where POCL_DEVICES names none that it knows: unset POCL_DEVICES" },
};

const char *doctor_empty_platform(const clef_platform_info *p)
{
	for (int i = 0; i < CLEF_COUNT(empty); i++)
		if (doctor_contains(p->name, empty[i].name))
			return empty[i].advice;
	return "its hardware may not be there: see \"Hardware\" and \"Permissions\" below";
}

/* Compares numbers part by part, at any character between them; words in front do not count. */
static int compare_versions(const char *a, const char *b)
{
	while (*a && !isdigit((unsigned char)*a))
		a++;
	while (*b && !isdigit((unsigned char)*b))
		b++;
	while (*a || *b) {
		char *end_a, *end_b;
		long x = strtol(a, &end_a, 10), y = strtol(b, &end_b, 10);

		if (x != y)
			return x < y ? -1 : 1;
		a = *end_a == '.' ? end_a + 1 : "";
		b = *end_b == '.' ? end_b + 1 : "";
	}
	return 0;
}

static bool applies(const known_problem *k, const clef_device_info *dev)
{
	return (!k->platform || doctor_contains(dev->platform_name, k->platform)) &&
	       (!k->vendor || doctor_contains(dev->vendor, k->vendor)) && (!k->gpu || dev->kind == CLEF_DEVICE_GPU) &&
	       (!k->from || compare_versions(dev->driver, k->from) >= 0) &&
	       (!k->below || compare_versions(dev->driver, k->below) < 0);
}

/* Of the device that clef uses a warning, of others a note: who does not use it has nothing to do. */
void doctor_drivers(doctor *d)
{
	int seen = 0;

	for (int i = 0; i < d->device_count; i++)
		for (int k = 0; k < CLEF_COUNT(known); k++)
			if (applies(&known[k], &d->devices[i])) {
				bool used = i == d->chosen;

				seen++;
				if (used)
					doctor_advise(d, DOCTOR_WARNING, known[k].advice, "%s", known[k].what);
				else
					doctor_report(d, DOCTOR_SKIPPED, "device %d, which is not used: %s", i,
						      known[k].what);
			}
	if (!d->device_count)
		doctor_report(d, DOCTOR_SKIPPED, "there is no device");
	else if (!seen)
		doctor_report(d, DOCTOR_OK, "none is known of these");
}
