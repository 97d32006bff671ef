/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding, opening and closing devices. Everything is enumerated first, into one flat list, so that every way of
 * choosing is a predicate over that list and a wrong choice can show the whole of it.
 */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <stdatomic.h>

#include "opencl.h"
#include "tuning.h"

typedef struct found {
	clef_device_info info;
	cl_device_id id;
	size_t max_item_size[3];
} found;

static atomic_int devices_open;

typedef struct found_list {
	found *item;
	int count, capacity;
} found_list;

static clef_status list_platform(found_list *list, cl_platform_id platform, int index)
{
	cl_device_id ids[64];
	cl_uint count = 0;

	/* A platform without devices answers DEVICE_NOT_FOUND and leaves the count alone. */
	if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, CLEF_COUNT(ids), ids, &count))
		return CLEF_OK;
	count = CLEF__MIN(count, (cl_uint)CLEF_COUNT(ids));
	for (cl_uint i = 0; i < count; i++) {
		found *f;

		if (clef__grow(&list->item, &list->capacity, list->count + 1, sizeof(found), "the list of devices"))
			return CLEF_ERROR_MEMORY;
		f = &list->item[list->count];
		memset(f, 0, sizeof(*f));
		if (!clef__device_query(ids[i], &f->info, f->max_item_size))
			continue;
		f->id = ids[i];
		f->info.platform = index;
		f->info.device = (int)i;
		clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof(f->info.platform_name) - 1, f->info.platform_name,
				  NULL);
		list->count++;
	}
	return CLEF_OK;
}

/* No platform at all (the loader's error -1001) is an empty list. */
static clef_status list_all(found_list *list)
{
	cl_platform_id platforms[32];
	cl_uint count = 0;

	memset(list, 0, sizeof(*list));
	if (clGetPlatformIDs(CLEF_COUNT(platforms), platforms, &count))
		return CLEF_OK;
	count = CLEF__MIN(count, (cl_uint)CLEF_COUNT(platforms));
	for (cl_uint i = 0; i < count; i++)
		if (list_platform(list, platforms[i], (int)i))
			return CLEF_ERROR_MEMORY;
	return CLEF_OK;
}

int clef_device_list(clef_device_info *infos, int max)
{
	found_list list;
	clef_status status = list_all(&list);
	int count = list.count;

	for (int i = 0; i < CLEF__MIN(count, max); i++)
		infos[i] = list.item[i].info;
	free(list.item);
	return status ? (int)status : count;
}

static bool contains(const char *text, const char *part)
{
	for (; *text; text++) {
		size_t i = 0;

		while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
			i++;
		if (!part[i])
			return true;
	}
	return false;
}

static bool same_word(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && contains(a, b);
}

static const found *first_of_kind(const found_list *list, clef_device_kind kind)
{
	for (int i = 0; i < list->count; i++)
		if (list->item[i].info.kind == kind && list->item[i].info.available)
			return &list->item[i];
	return NULL;
}

static const found *default_device(const found_list *list)
{
	const found *f = first_of_kind(list, CLEF_DEVICE_GPU);

	if (!f)
		f = first_of_kind(list, CLEF_DEVICE_ACCELERATOR);
	if (!f)
		f = first_of_kind(list, CLEF_DEVICE_CPU);
	return f ? f : first_of_kind(list, CLEF_DEVICE_OTHER);
}

static const found *choose(const found_list *list, const char *which)
{
	int platform = -1, device = -1, used = 0;

	if (!*which)
		return default_device(list);
	/* Nine digits at most: more would overflow, and there are no such numbers. */
	if (sscanf(which, "%9d:%9d%n", &platform, &device, &used) == 2 && !which[used]) {
		for (int i = 0; i < list->count; i++)
			if (list->item[i].info.platform == platform && list->item[i].info.device == device)
				return &list->item[i];
		return NULL;
	}
	if (sscanf(which, "%9d%n", &device, &used) == 1 && !which[used])
		return device >= 0 && device < list->count ? &list->item[device] : NULL;
	for (int kind = CLEF_DEVICE_CPU; kind < CLEF_DEVICE_OTHER; kind++)
		if (same_word(clef_device_kind_name((clef_device_kind)kind), which))
			return first_of_kind(list, (clef_device_kind)kind);
	for (int i = 0; i < list->count; i++) {
		const clef_device_info *info = &list->item[i].info;

		/* PoCL names itself in the version alone. */
		if (contains(info->name, which) || contains(info->vendor, which) ||
		    contains(info->platform_name, which) || contains(info->version, which))
			return &list->item[i];
	}
	return NULL;
}

static clef_status fail_not_found(const found_list *list, const char *which)
{
	char text[4096] = "";
	size_t used = 0;

	if (!list->count)
		return clef__fail(CLEF_ERROR_NO_DEVICE,
				  "no OpenCL device: install the driver of your GPU's maker, or PoCL for the CPU "
				  "(Debian: apt-get install pocl-opencl-icd)");
	for (int i = 0; i < list->count && used < sizeof(text); i++) {
		const clef_device_info *info = &list->item[i].info;

		used += (size_t)snprintf(text + used, sizeof(text) - used, "\n  %d (%d:%d) %s, %s, on %s%s", i,
					 info->platform, info->device, info->name, clef_device_kind_name(info->kind),
					 info->platform_name, info->available ? "" : " (not usable)");
	}
	return clef__fail(CLEF_ERROR_NO_DEVICE,
			  "no device \"%s\": give gpu, cpu, accelerator, a number, PLATFORM:DEVICE or part of a name; "
			  "there are%s",
			  which, text);
}

static clef_status open_context(clef_device *dev, cl_platform_id platform)
{
	const cl_context_properties properties[] = { CL_CONTEXT_PLATFORM, (cl_context_properties)platform, 0 };
	const char *profile = getenv("CLEF_PROFILE");
	cl_command_queue_properties flags = 0;
	cl_int code;

	clef__pool_open(dev);
	if (profile && *profile && strcmp(profile, "0") != 0) {
		flags |= CL_QUEUE_PROFILING_ENABLE;
		dev->profile = clef__profile_new();
		if (!dev->profile)
			return CLEF_ERROR_MEMORY;
	}
	dev->context = clCreateContext(properties, 1, &dev->id, NULL, NULL, &code);
	if (code)
		return clef__cl_fail(dev, code, "clCreateContext");
	dev->queue = clCreateCommandQueue(dev->context, dev->id, flags, &code);
	if (code)
		return clef__cl_fail(dev, code, "clCreateCommandQueue");
	clef__cache_open(dev);
	if (clef__compile_open(dev) || clef__tuning_open(dev))
		return clef_error_status();
	return clef__gemm_open(dev);
}

/* The device that `which` means, or NULL. */
static const found *find_usable(const found_list *list, const char *which)
{
	const found *f;

	if (!which || !*which)
		which = getenv("CLEF_DEVICE");
	if (!which)
		which = "";
	f = choose(list, which);
	if (!f)
		fail_not_found(list, which);
	else if (!f->info.available)
		f = clef__fail_null(CLEF_ERROR_NO_DEVICE, "device %s on %s: %s", f->info.name, f->info.platform_name,
				    f->info.compiler ? "the driver says that it is not available"
						     : "its driver has no compiler for OpenCL C");
	return f;
}

int clef_device_find(const char *which)
{
	found_list list;
	const found *f;
	int number = (int)list_all(&list);

	if (!number) {
		f = find_usable(&list, which);
		number = f ? (int)(f - list.item) : (int)clef_error_status();
	}
	free(list.item);
	return number;
}

/* PoCL shall compile each kernel once, not once more for each size of work-group: starts take half as long, and steps
 * no longer. It looks at this with each launch. */
static void shorten_starts(const clef_device *dev)
{
	if (clef__is_pocl(dev))
		setenv("POCL_WORK_GROUP_SPECIALIZATION", "0", 0);
}

static clef_device *open_found(const found *f)
{
	clef_device *dev;
	cl_platform_id platform;

	dev = clef__calloc(1, sizeof(*dev), "a device");
	if (!dev)
		return NULL;
	atomic_fetch_add(&devices_open, 1);
	dev->references = 1;
	dev->deferred_end = &dev->deferred;
	dev->info = f->info;
	dev->id = f->id;
	memcpy(dev->max_item_size, f->max_item_size, sizeof(dev->max_item_size));
	clGetDeviceInfo(f->id, CL_DEVICE_PLATFORM, sizeof(platform), &platform, NULL);
	shorten_starts(dev);
	if (open_context(dev, platform)) {
		clef_device_close(dev);
		return NULL;
	}
	clef__log(CLEF_LOG_DEBUG, "device: %s, %s, on %s, driver %s", dev->info.name,
		  clef_device_kind_name(dev->info.kind), dev->info.platform_name, dev->info.driver);
	return dev;
}

clef_device *clef_device_open(const char *which)
{
	found_list list;
	const found *f;
	clef_device *dev = NULL;

	if (list_all(&list) == CLEF_OK) {
		f = find_usable(&list, which);
		if (f)
			dev = open_found(f);
	}
	free(list.item);
	return dev;
}

static void destroy(clef_device *dev)
{
	/* The profile's probe makes and drops buffers, which must not end the device a second time. */
	dev->references = 1;
	clef__deferred_free(dev);
	if (dev->queue)
		clef__wait(dev);
	if (dev->profile)
		clef__profile_close(dev);
	clef__gemm_close(dev);
	clef__tuning_close(dev);
	clef__programs_free(dev);
	clef__stages_free(dev);
	clef__pool_free(dev);
	if (dev->queue)
		clReleaseCommandQueue(dev->queue);
	if (dev->context)
		clReleaseContext(dev->context);
	free(dev->cache_folder);
	free(dev);
	atomic_fetch_sub(&devices_open, 1);
}

bool clef__device_is_only_one(void)
{
	return atomic_load(&devices_open) == 1;
}

void clef__device_retain(clef_device *dev)
{
	dev->references++;
}

void clef__device_release(clef_device *dev)
{
	if (--dev->references == 0)
		destroy(dev);
}

void clef_device_close(clef_device *dev)
{
	if (dev)
		clef__device_release(dev);
}

const clef_device_info *clef_device_get_info(const clef_device *dev)
{
	return dev ? &dev->info : NULL;
}

clef_device_stats clef_device_get_stats(const clef_device *dev)
{
	return dev ? dev->stats : (clef_device_stats){ 0 };
}

void clef_device_reset_peak(clef_device *dev)
{
	if (dev)
		dev->stats.memory_peak = dev->stats.memory_in_use + dev->stats.memory_pooled;
}

void clef__flush(clef_device *dev)
{
	clFlush(dev->queue);
	dev->unflushed = 0;
}

cl_int clef__wait(clef_device *dev)
{
	/* Rusticl of Mesa 22.3 does not wait for what it has started on, but for the last of what it has not. */
	cl_int code = clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, NULL);

	return code ? code : clFinish(dev->queue);
}

clef_status clef_finish(clef_device *dev)
{
	cl_int code;

	if (!dev)
		return clef__null_argument("clef_finish");
	if (clef__deferred_run(dev))
		return clef_error_status();
	code = clef__wait(dev);
	dev->launches_done = dev->stats.launches;
	return code ? clef__cl_fail(dev, code, "clFinish") : CLEF_OK;
}

void *clef__device_get_tape(const clef_device *dev)
{
	return dev->tape;
}

void clef__device_set_tape(clef_device *dev, void *tape)
{
	dev->tape = tape;
}

const char *clef__device_get_conv(const clef_device *dev)
{
	return dev->conv;
}

uint64_t clef__device_changes(const clef_device *dev)
{
	return dev->stats.launches - dev->forward_launches + dev->touches;
}

void clef__device_forward(clef_device *dev, bool yes)
{
	if (yes)
		dev->forward_from = dev->stats.launches;
	else
		dev->forward_launches += dev->stats.launches - dev->forward_from;
}

void clef__device_touch(clef_device *dev)
{
	dev->touches++;
}

void clef__device_set_conv(clef_device *dev, const char *name)
{
	dev->conv = name;
}
