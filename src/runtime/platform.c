/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader and the platforms, for whoever wants to know why there is no device: a platform without devices is worth
 * a line there, and the loader's file and version tell which environment variables it listens to.
 */
#define _GNU_SOURCE
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS /* clGetExtensionFunctionAddress() */
#include <link.h>

#include "opencl.h"

/* The extension cl_loader_info, which the headers of 2023 do not have yet. */
#define LOADER_OCL_VERSION 1
#define LOADER_VERSION     2
#define LOADER_NAME        3
#define LOADER_VENDOR      4

typedef cl_int(CL_API_CALL *loader_info_fn)(cl_uint param, size_t size, void *value, size_t *size_ret);

typedef struct place {
	uintptr_t address;
	char *path;
	size_t size;
} place;

/* Does the address lie in this object? For dl_iterate_phdr(), which is in every libc, where dladdr() may want -ldl. */
static int find_object(struct dl_phdr_info *object, size_t size, void *user)
{
	place *p = user;

	(void)size;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		uintptr_t start = (uintptr_t)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);

		if (object->dlpi_phdr[i].p_type == PT_LOAD && p->address >= start &&
		    p->address - start < object->dlpi_phdr[i].p_memsz) {
			snprintf(p->path, p->size, "%s", object->dlpi_name);
			return 1;
		}
	}
	return 0;
}

static void ask(loader_info_fn get, cl_uint param, char *text, size_t size)
{
	/* What does not fit is refused, and leaves "". */
	if (get(param, size - 1, text, NULL))
		*text = '\0';
}

clef_icd_loader clef_icd_loader_get(void)
{
	clef_icd_loader loader = { 0 };
	place p = { (uintptr_t)clGetPlatformIDs, loader.path, sizeof(loader.path) };
	/* The call for a platform's extensions asks a driver; this old one asks the loader. */
	void *symbol = clGetExtensionFunctionAddress("clGetICDLoaderInfoOCLICD");
	loader_info_fn get;

	dl_iterate_phdr(find_object, &p);
	memcpy(&get, &symbol, sizeof(get));
	if (get) {
		ask(get, LOADER_NAME, loader.name, sizeof(loader.name));
		ask(get, LOADER_VENDOR, loader.vendor, sizeof(loader.vendor));
		ask(get, LOADER_VERSION, loader.version, sizeof(loader.version));
		ask(get, LOADER_OCL_VERSION, loader.opencl, sizeof(loader.opencl));
	}
	return loader;
}

/* What does not fit the driver refuses, so it gets more room than the field has. */
static void query_text(cl_platform_id platform, cl_platform_info param, char *text, size_t size)
{
	char whole[1024] = "";
	size_t n;

	if (clGetPlatformInfo(platform, param, sizeof(whole) - 1, whole, NULL))
		return;
	n = CLEF__MIN(strlen(whole), size - 1);
	memcpy(text, whole, n);
	text[n] = '\0';
}

static void query_platform(cl_platform_id platform, clef_platform_info *info)
{
	cl_uint count = 0;
	cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count);

	memset(info, 0, sizeof(*info));
	query_text(platform, CL_PLATFORM_NAME, info->name, sizeof(info->name));
	query_text(platform, CL_PLATFORM_VENDOR, info->vendor, sizeof(info->vendor));
	query_text(platform, CL_PLATFORM_VERSION, info->version, sizeof(info->version));
	if (!code)
		info->devices = (int)count;
	else if (code != CL_DEVICE_NOT_FOUND)
		snprintf(info->error, sizeof(info->error), "%s", clef__cl_error(code));
}

int clef_platform_list(clef_platform_info *infos, int max)
{
	cl_platform_id platforms[32];
	cl_uint count = 0;

	if (clGetPlatformIDs(CLEF_COUNT(platforms), platforms, &count))
		return 0;
	count = CLEF__MIN(count, (cl_uint)CLEF_COUNT(platforms));
	for (int i = 0; i < CLEF__MIN((int)count, max); i++)
		query_platform(platforms[i], &infos[i]);
	return (int)count;
}
