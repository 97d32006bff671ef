/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef devices: what OpenCL finds on this machine. Which device would be used is not worked out here but asked of the
 * library: so the mark is right whatever the rules are.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <clef/clef.h>

#include "options.h"
#include "tool.h"

typedef struct devices_options {
	bool json;
} devices_options;

static const option_row rows[] = {
	{ "json", NULL, option_flag, offsetof(devices_options, json), NULL, "write a JSON array instead of a table" },
};

static const option_table table = {
	.usage = "clef devices [--json]",
	.about = "Lists the OpenCL devices of this machine. The one with a * is used unless another one is asked for,\n"
		 "with --device or in $CLEF_DEVICE: by its number, PLATFORM:DEVICE, gpu, cpu, accelerator, or part\n"
		 "of its name, vendor or platform. The exit status is 1 when there is none.\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.more = "JSON: an array with one object for each device:\n"
		"  number                integer, for --device\n"
		"  platform, device      integers: --device PLATFORM:DEVICE\n"
		"  default               boolean: the one that is used where none is named\n"
		"  usable                boolean\n"
		"  kind                  \"CPU\", \"GPU\", \"accelerator\" or \"other\"\n"
		"  name, vendor, platform_name, version, driver    strings\n"
		"  compute_units, clock_mhz, float_vector, max_work_group    integers\n"
		"  global_memory, max_allocation, local_memory     integers, bytes\n"
		"  unified_memory, fp64, fp16    booleans\n",
};

/* The number of the device that is used where none is named, or -1. */
static int find_default(void)
{
	int found = clef_device_find(NULL);

	if (found < 0)
		complain("the device to use by default cannot be opened: %s", reason());
	return found;
}

/* ---- JSON ---- */

static json_t *device_json(const clef_device_info *d, int number, bool is_default)
{
	return json_pack("{si si si sb sb ss ss ss ss ss ss sI sI sI sI sI sI sI sb sb sb}", "number", number,
			 "platform", d->platform, "device", d->device, "default", is_default, "usable", d->available,
			 "kind", clef_device_kind_name(d->kind), "name", d->name, "vendor", d->vendor, "platform_name",
			 d->platform_name, "version", d->version, "driver", d->driver, "compute_units",
			 (json_int_t)d->compute_units, "clock_mhz", (json_int_t)d->clock_mhz, "float_vector",
			 (json_int_t)d->float_vector, "max_work_group", (json_int_t)d->max_work_group, "global_memory",
			 (json_int_t)d->global_memory, "max_allocation", (json_int_t)d->max_allocation, "local_memory",
			 (json_int_t)d->local_memory, "unified_memory", d->unified_memory, "fp64", d->fp64, "fp16",
			 d->fp16);
}

static int print_json(const clef_device_info *infos, int count, int chosen)
{
	json_t *list = json_array();
	int status = list ? EXIT_OK : EXIT_FAILED;

	for (int i = 0; i < count && !status; i++)
		if (json_array_append_new(list, device_json(&infos[i], i, i == chosen)))
			status = EXIT_FAILED;
	if (status || json_dumpf(list, stdout, JSON_INDENT(2)) || putchar('\n') == EOF) {
		complain("the JSON cannot be written: is a name no UTF-8, or memory short?");
		status = EXIT_FAILED;
	}
	json_decref(list);
	return status;
}

/* ---- a table ---- */

#define COLUMNS 10
#define CELL    128

static const char *const titles[COLUMNS] = { "#",      "id",    "name",   "kind",   "platform",
					     "memory", "units", "vector", "driver", "usable" };

/* Numbers stand to the right. */
static const bool right[COLUMNS] = { [0] = true, [5] = true, [6] = true, [7] = true };

static void memory_text(uint64_t bytes, char cell[CELL])
{
	double gib = (double)bytes / (1024.0 * 1024 * 1024);

	if (gib >= 1)
		snprintf(cell, CELL, "%.1f GiB", gib);
	else
		snprintf(cell, CELL, "%.0f MiB", gib * 1024);
}

static void fill_row(const clef_device_info *d, int number, char cells[COLUMNS][CELL])
{
	snprintf(cells[0], CELL, "%d", number);
	snprintf(cells[1], CELL, "%d:%d", d->platform, d->device);
	snprintf(cells[2], CELL, "%s", d->name);
	snprintf(cells[3], CELL, "%s", clef_device_kind_name(d->kind));
	snprintf(cells[4], CELL, "%s", d->platform_name);
	memory_text(d->global_memory, cells[5]);
	snprintf(cells[6], CELL, "%" PRIu32, d->compute_units);
	snprintf(cells[7], CELL, "%" PRIu32, d->float_vector);
	snprintf(cells[8], CELL, "%s", d->driver);
	snprintf(cells[9], CELL, "%s", d->available ? "yes" : "no");
}

static void print_row(const int width[COLUMNS], const char *mark, const char *const cells[COLUMNS])
{
	fputs(mark, stdout);
	for (int c = 0; c < COLUMNS; c++)
		if (c == COLUMNS - 1)
			printf("  %s\n", cells[c]);
		else
			printf(right[c] ? "  %*s" : "  %-*s", width[c], cells[c]);
}

static int print_table(const clef_device_info *infos, int count, int chosen)
{
	char(*text)[COLUMNS][CELL] = calloc((size_t)count, sizeof(*text));
	const char *cells[COLUMNS];
	int width[COLUMNS];

	if (!text) {
		complain("no memory for a table of %d devices", count);
		return EXIT_FAILED;
	}
	for (int c = 0; c < COLUMNS; c++)
		width[c] = (int)strlen(titles[c]);
	for (int i = 0; i < count; i++) {
		fill_row(&infos[i], i, text[i]);
		for (int c = 0; c < COLUMNS; c++)
			if ((int)strlen(text[i][c]) > width[c])
				width[c] = (int)strlen(text[i][c]);
	}
	print_row(width, " ", titles);
	for (int i = 0; i < count; i++) {
		for (int c = 0; c < COLUMNS; c++)
			cells[c] = text[i][c];
		print_row(width, i == chosen ? "*" : " ", cells);
	}
	free(text);
	return EXIT_OK;
}

/* ---- the command ---- */

static void explain_none(void)
{
	complain("no OpenCL device was found. What to do:\n"
		 "  NVIDIA GPU   install NVIDIA's driver; it has OpenCL in it (Debian: nvidia-opencl-icd)\n"
		 "  Intel GPU    install intel-opencl-icd\n"
		 "  AMD GPU      install ROCm's OpenCL (rocm-opencl-icd), or mesa-opencl-icd\n"
		 "  any CPU      install PoCL (Debian and Ubuntu: apt-get install pocl-opencl-icd)\n"
		 "In a container a GPU must be handed in too (docker run --gpus all, or --device /dev/dri).\n"
		 "clef doctor looks for the reason.");
}

/* All devices in an array for free(); a negative number after an error, which has been reported. */
static int list_all(clef_device_info **infos)
{
	int count = clef_device_list(NULL, 0), seen;

	if (count < 0)
		complain("the devices cannot be listed: %s", reason());
	if (count <= 0)
		return count;
	*infos = calloc((size_t)count, sizeof(**infos));
	seen = *infos ? clef_device_list(*infos, count) : (int)CLEF_ERROR_MEMORY;
	if (seen < 0)
		complain("the devices cannot be listed: %s", *infos ? reason() : "no memory");
	return seen < count ? seen : count;
}

int devices_main(int argc, char **argv)
{
	devices_options o = { .json = false };
	clef_device_info *infos = NULL;
	int status = options_read(&table, argc, argv, &o);
	int count, chosen;

	if (status >= 0)
		return status;
	count = list_all(&infos);
	if (count < 0)
		return EXIT_FAILED;
	chosen = count ? find_default() : -1;
	status = o.json ? print_json(infos, count, chosen) : count ? print_table(infos, count, chosen) : EXIT_OK;
	if (!count) {
		explain_none();
		status = EXIT_FAILED;
	}
	free(infos);
	return status;
}
