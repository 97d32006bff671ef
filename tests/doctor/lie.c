/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library in front of OpenCL (LD_PRELOAD) for tests/doctor.sh, because drivers that fail on demand are not to be had.
 * $LIE is what they do wrong; $LIE_VENDOR (of a GPU), $LIE_DRIVER and $LIE_PLATFORM are what they say of themselves.
 */
#define _GNU_SOURCE
#include <CL/cl.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int lie(const char *what)
{
	return getenv("LIE") && !strcmp(getenv("LIE"), what);
}

static void say(const char *variable, size_t size, void *value)
{
	if (getenv(variable) && value)
		snprintf(value, size, "%s", getenv(variable));
}

cl_int clGetDeviceInfo(cl_device_id id, cl_device_info param, size_t size, void *value, size_t *needed)
{
	cl_int (*real)(cl_device_id, cl_device_info, size_t, void *, size_t *) = dlsym(RTLD_NEXT, "clGetDeviceInfo");
	cl_int code = real(id, param, size, value, needed);

	if (value && ((param == CL_DEVICE_COMPILER_AVAILABLE && lie("no compiler")) ||
		      (param == CL_DEVICE_AVAILABLE && lie("not available"))))
		*(cl_bool *)value = CL_FALSE;
	if (param == CL_DEVICE_TYPE && lie("silent"))
		return CL_INVALID_DEVICE;
	if (param == CL_DEVICE_TYPE && getenv("LIE_VENDOR"))
		*(cl_device_type *)value = CL_DEVICE_TYPE_GPU;
	if (param == CL_DEVICE_VENDOR)
		say("LIE_VENDOR", size, value);
	if (param == CL_DRIVER_VERSION)
		say("LIE_DRIVER", size, value);
	return code;
}

cl_int clGetPlatformInfo(cl_platform_id id, cl_platform_info param, size_t size, void *value, size_t *needed)
{
	cl_int (*real)(cl_platform_id, cl_platform_info, size_t, void *, size_t *) =
		dlsym(RTLD_NEXT, "clGetPlatformInfo");
	cl_int code = real(id, param, size, value, needed);

	if (param == CL_PLATFORM_NAME)
		say("LIE_PLATFORM", size, value);
	return code;
}

cl_int clGetDeviceIDs(cl_platform_id id, cl_device_type type, cl_uint max, cl_device_id *ids, cl_uint *count)
{
	cl_int (*real)(cl_platform_id, cl_device_type, cl_uint, cl_device_id *, cl_uint *) =
		dlsym(RTLD_NEXT, "clGetDeviceIDs");

	if (lie("no devices"))
		return CL_DEVICE_NOT_FOUND;
	return lie("bad platform") ? CL_OUT_OF_RESOURCES : real(id, type, max, ids, count);
}

cl_int clEnqueueReadBuffer(cl_command_queue q, cl_mem m, cl_bool wait, size_t offset, size_t size, void *data,
			   cl_uint n, const cl_event *events, cl_event *event)
{
	cl_int (*real)(cl_command_queue, cl_mem, cl_bool, size_t, size_t, void *, cl_uint, const cl_event *,
		       cl_event *) = dlsym(RTLD_NEXT, "clEnqueueReadBuffer");
	cl_int code = real(q, m, CL_TRUE, offset, size, data, n, events, event);

	if (lie("wrong result"))
		*(float *)data = 7;
	return code;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue q, cl_kernel k, cl_uint dim, const size_t *offset, const size_t *global,
			      const size_t *local, cl_uint n, const cl_event *events, cl_event *event)
{
	cl_int (*real)(cl_command_queue, cl_kernel, cl_uint, const size_t *, const size_t *, const size_t *, cl_uint,
		       const cl_event *, cl_event *) = dlsym(RTLD_NEXT, "clEnqueueNDRangeKernel");

	if (lie("crash"))
		raise(SIGSEGV);
	while (lie("hang"))
		pause();
	return real(q, k, dim, offset, global, local, n, events, event);
}
