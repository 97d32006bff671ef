/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL's error codes as messages. */
#include "opencl.h"

const char *clef__cl_error(cl_int code)
{
	static _Thread_local char unknown[32];

	switch (code) {
#define NAME(name)                                                                                                     \
	case CL_##name:                                                                                                \
		return #name
		NAME(SUCCESS);
		NAME(DEVICE_NOT_FOUND);
		NAME(DEVICE_NOT_AVAILABLE);
		NAME(COMPILER_NOT_AVAILABLE);
		NAME(MEM_OBJECT_ALLOCATION_FAILURE);
		NAME(OUT_OF_RESOURCES);
		NAME(OUT_OF_HOST_MEMORY);
		NAME(PROFILING_INFO_NOT_AVAILABLE);
		NAME(BUILD_PROGRAM_FAILURE);
		NAME(EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		NAME(INVALID_VALUE);
		NAME(INVALID_DEVICE_TYPE);
		NAME(INVALID_PLATFORM);
		NAME(INVALID_DEVICE);
		NAME(INVALID_CONTEXT);
		NAME(INVALID_QUEUE_PROPERTIES);
		NAME(INVALID_COMMAND_QUEUE);
		NAME(INVALID_HOST_PTR);
		NAME(INVALID_MEM_OBJECT);
		NAME(INVALID_BINARY);
		NAME(INVALID_BUILD_OPTIONS);
		NAME(INVALID_PROGRAM);
		NAME(INVALID_PROGRAM_EXECUTABLE);
		NAME(INVALID_KERNEL_NAME);
		NAME(INVALID_KERNEL_DEFINITION);
		NAME(INVALID_KERNEL);
		NAME(INVALID_ARG_INDEX);
		NAME(INVALID_ARG_VALUE);
		NAME(INVALID_ARG_SIZE);
		NAME(INVALID_KERNEL_ARGS);
		NAME(INVALID_WORK_DIMENSION);
		NAME(INVALID_WORK_GROUP_SIZE);
		NAME(INVALID_WORK_ITEM_SIZE);
		NAME(INVALID_GLOBAL_OFFSET);
		NAME(INVALID_EVENT_WAIT_LIST);
		NAME(INVALID_EVENT);
		NAME(INVALID_OPERATION);
		NAME(INVALID_BUFFER_SIZE);
		NAME(INVALID_GLOBAL_WORK_SIZE);
#undef NAME
	}
	snprintf(unknown, sizeof(unknown), "error %d", (int)code);
	return unknown;
}

clef_status clef__cl_fail(const clef_device *dev, cl_int code, const char *call)
{
	bool memory = code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_RESOURCES;

	if (code == CL_OUT_OF_HOST_MEMORY)
		return clef__fail(CLEF_ERROR_MEMORY, "%s on %s: out of host memory", call, dev->info.name);
	return clef__fail(memory ? CLEF_ERROR_DEVICE_MEMORY : CLEF_ERROR_OPENCL, "%s on %s: %s (%d)", call,
			  dev->info.name, clef__cl_error(code), (int)code);
}
