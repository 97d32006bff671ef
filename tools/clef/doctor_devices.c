/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Platforms and devices as clef sees them, all drivers together, and the one that it would use. One child process asks
 * for all of it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "doctor.h"
#include "tool.h"

typedef struct answer {
	int platforms, devices, chosen;
	char reason[768];
} answer;

static void ask(void *arg, FILE *out)
{
	const doctor *d = arg;
	answer a = { .platforms = clef_platform_list(NULL, 0), .devices = clef_device_list(NULL, 0) };
	clef_platform_info *platforms = calloc((size_t)a.platforms + 1, sizeof(*platforms));
	clef_device_info *devices = a.devices >= 0 ? calloc((size_t)a.devices + 1, sizeof(*devices)) : NULL;

	if (!platforms || !devices)
		_Exit(EXIT_FAILED);
	clef_platform_list(platforms, a.platforms);
	clef_device_list(devices, a.devices);
	a.chosen = clef_device_find(d->device);
	if (a.chosen < 0)
		snprintf(a.reason, sizeof(a.reason), "%s", reason());
	fwrite(&a, sizeof(a), 1, out);
	fwrite(platforms, sizeof(*platforms), (size_t)a.platforms, out);
	fwrite(devices, sizeof(*devices), (size_t)a.devices, out);
	free(platforms);
	free(devices);
}

/* Takes the answer apart; false when it is not whole. */
static bool take(doctor *d, const child *r)
{
	answer a;
	size_t platforms, devices;

	if (r->end != CHILD_DONE || r->said.size < sizeof(a))
		return false;
	memcpy(&a, r->said.data, sizeof(a));
	platforms = (size_t)a.platforms * sizeof(*d->platforms);
	devices = (size_t)a.devices * sizeof(*d->devices);
	if (r->said.size != sizeof(a) + platforms + devices)
		return false;
	d->platforms = malloc(platforms + 1);
	d->devices = malloc(devices + 1);
	if (!d->platforms || !d->devices)
		return false;
	memcpy(d->platforms, r->said.data + sizeof(a), platforms);
	memcpy(d->devices, r->said.data + sizeof(a) + platforms, devices);
	d->platform_count = a.platforms;
	d->device_count = a.devices;
	d->chosen = a.chosen;
	snprintf(d->reason, sizeof(d->reason), "%s", a.reason);
	return true;
}

/* An empty platform is nothing wrong where another one has a device, and may still be the one that was expected. */
static void report_platform(doctor *d, const clef_platform_info *p)
{
	doctor_mark mark = d->chosen >= 0 ? DOCTOR_SKIPPED : DOCTOR_WARNING;

	if (*p->error)
		doctor_advise(d, DOCTOR_PROBLEM, doctor_empty_platform(p),
			      "platform %s (%s) does not list its devices: %s", p->name, p->version, p->error);
	else if (!p->devices)
		doctor_advise(d, mark, doctor_empty_platform(p), "platform %s (%s) has no device", p->name, p->version);
}

/* clef leaves out a device whose driver does not even say of what kind it is. */
static void report_silent(doctor *d, int platform)
{
	int silent = d->platforms[platform].devices;

	for (int i = 0; i < d->device_count; i++)
		silent -= d->devices[i].platform == platform;
	if (silent > 0)
		doctor_advise(d, DOCTOR_WARNING, "install its driver again, or another version of it",
			      "platform %s: %d of its %d devices do not answer questions, and are left out",
			      d->platforms[platform].name, silent, d->platforms[platform].devices);
}

static void report_device(doctor *d, int i)
{
	const clef_device_info *dev = &d->devices[i];
	double gib = (double)dev->global_memory / (1024.0 * 1024 * 1024);

	if (dev->available)
		doctor_report(d, DOCTOR_OK, "%d (%d:%d) %s, %s, on %s, %s, driver %s, %.1f GiB", i, dev->platform,
			      dev->device, dev->name, clef_device_kind_name(dev->kind), dev->platform_name,
			      dev->version, dev->driver, gib);
	else if (!dev->compiler)
		doctor_advise(d, DOCTOR_WARNING,
			      "clef compiles its kernels at run time: install the whole driver, with its compiler",
			      "%d (%d:%d) %s on %s cannot be used: its driver %s has no compiler for OpenCL C", i,
			      dev->platform, dev->device, dev->name, dev->platform_name, dev->driver);
	else
		doctor_advise(
			d, DOCTOR_WARNING,
			"end what holds the device (on NVIDIA: nvidia-smi shows it, and the compute mode), or start "
			"the machine again",
			"%d (%d:%d) %s on %s cannot be used: its driver %s says that it is not available", i,
			dev->platform, dev->device, dev->name, dev->platform_name, dev->driver);
}

void doctor_devices(doctor *d)
{
	child r = { .work = ask, .arg = d };

	child_run(&r, d->limit);
	d->listed = take(d, &r);
	if (!d->listed)
		doctor_advise(d, DOCTOR_PROBLEM,
			      "\"Drivers that are installed\" above tells which one; if each works alone, use one at a "
			      "time:\n"
			      "OCL_ICD_VENDORS=/etc/OpenCL/vendors/NAME.icd clef doctor",
			      "listing the devices %s", *r.text ? r.text : "fails");
	else if (!d->platform_count)
		doctor_advise(d, DOCTOR_PROBLEM,
			      "any CPU: apt-get install pocl-opencl-icd\n"
			      "GPUs: see \"Hardware\" below",
			      "there is no OpenCL platform");
	for (int i = 0; i < d->platform_count; i++) {
		report_platform(d, &d->platforms[i]);
		report_silent(d, i);
	}
	for (int i = 0; i < d->device_count; i++)
		report_device(d, i);
	child_free(&r);
}

/* ---- the choice ---- */

/* Who named the device; NULL: nobody. */
static const char *who_chose(const doctor *d, const char **which)
{
	*which = d->device ? d->device : getenv("CLEF_DEVICE");
	if (!*which || !**which)
		return NULL;
	return d->device ? "--device" : "CLEF_DEVICE";
}

static void report_choice(doctor *d)
{
	const clef_device_info *dev = &d->devices[d->chosen];
	const char *which, *who = who_chose(d, &which);

	if (who)
		doctor_report(d, DOCTOR_OK, "%d: %s on %s, because %s is \"%s\"", d->chosen, dev->name,
			      dev->platform_name, who, which);
	else
		doctor_report(d, DOCTOR_OK, "%d: %s on %s, %s", d->chosen, dev->name, dev->platform_name,
			      dev->kind == CLEF_DEVICE_GPU ? "the first GPU; --device or CLEF_DEVICE choose another"
			      : dev->kind == CLEF_DEVICE_ACCELERATOR
				      ? "the first accelerator, because no GPU can be used"
				      : "the first device, because neither a GPU nor an accelerator can be used");
}

static void report_no_choice(doctor *d)
{
	const char *which, *who = who_chose(d, &which);
	char advice[512] = "";

	if (who && d->device_count)
		snprintf(advice, sizeof(advice), "clef devices shows what can be named%s%s",
			 d->device ? "" : "; to take the first GPU or CPU: unset CLEF_DEVICE",
			 d->unserved ? "\nif it is a GPU without a driver that is meant, see \"Hardware\" above" : "");
	else
		snprintf(advice, sizeof(advice), "%s", "the lines above say why there is no device that can be used");
	doctor_advise(d, DOCTOR_PROBLEM, advice, "%s%s%s%s", who ? who : "", who ? ": " : "", d->reason,
		      *d->reason ? "" : "no device");
}

void doctor_choice(doctor *d)
{
	if (!d->listed)
		doctor_report(d, DOCTOR_SKIPPED, "the devices could not be listed");
	else if (d->chosen >= 0)
		report_choice(d);
	else
		report_no_choice(d);
}
