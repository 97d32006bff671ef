/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launching kernels. Everything that drivers answer with an abort, or that differs between them, is settled here:
 * work-group sizes come from the kernel's and the device's limits, and local memory is checked before the driver sees
 * it.
 */
#include "opencl.h"

/* Some drivers, Rusticl for one, start on nothing before they are asked to or somebody waits: a device would idle while
 * the host enqueues a step. */
#define FLUSH_EACH 32

static clef_status set_arg(clef_device *dev, const clef__kernel *k, cl_uint *index, const clef__arg *arg)
{
	cl_ulong offset = arg->value.ul;
	cl_int code = CL_SUCCESS;

	switch (arg->kind) {
	case CLEF__ARG_BUFFER:
		/* All that kernels take elements of has four bytes. */
		offset += arg->buffer->start / 4;
		code = clSetKernelArg(k->kernel, (*index)++, sizeof(cl_mem), &arg->buffer->mem);
		if (!code)
			code = clSetKernelArg(k->kernel, (*index)++, sizeof(offset), &offset);
		break;
	case CLEF__ARG_INT:
	case CLEF__ARG_UINT:
	case CLEF__ARG_FLOAT:
		code = clSetKernelArg(k->kernel, (*index)++, 4, &arg->value);
		break;
	case CLEF__ARG_ULONG:
		code = clSetKernelArg(k->kernel, (*index)++, 8, &arg->value);
		break;
	case CLEF__ARG_INT8:
		code = clSetKernelArg(k->kernel, (*index)++, 32, &arg->value);
		break;
	case CLEF__ARG_LOCAL:
		code = clSetKernelArg(k->kernel, (*index)++, (size_t)arg->value.ul, NULL);
		break;
	case CLEF__ARG_END:
		break;
	}
	if (code)
		return clef__fail(CLEF_ERROR_OPENCL, "kernel %s on %s: argument %u: %s", k->name, dev->info.name,
				  (unsigned)(*index - 1), clef__cl_error(code));
	return CLEF_OK;
}

/* What the kernel declares and what its arguments add. */
static clef_status check_local_memory(const clef_device *dev, const clef__kernel *k, const clef__launch_opts *opts)
{
	uint64_t bytes = k->local_memory;

	for (const clef__arg *arg = opts->args; arg->kind != CLEF__ARG_END; arg++)
		if (arg->kind == CLEF__ARG_LOCAL)
			bytes = arg->value.ul > UINT64_MAX - bytes ? UINT64_MAX : bytes + arg->value.ul;
	if (bytes > dev->info.local_memory)
		return clef__fail(CLEF_ERROR_UNSUPPORTED, "kernel %s wants %llu bytes of local memory, %s has %llu",
				  k->name, (unsigned long long)bytes, dev->info.name,
				  (unsigned long long)dev->info.local_memory);
	return CLEF_OK;
}

/* One size for every launch of a kernel, since some drivers compile anew for each: on a CPU, large ones that share the
 * cost of a group, unless there is enough work in an item; on a GPU, a few wavefronts. Rows of a matrix may be short.
 */
size_t clef__launch_shipped_group(const clef_device *dev, const clef__kernel *k, const clef__launch_opts *opts)
{
	bool cpu = dev->info.kind == CLEF_DEVICE_CPU;
	bool rows = opts->global[1] > 1 || opts->global[2] > 1;
	size_t most = opts->long_items ? (cpu ? 8 : 64) : rows ? 64 : cpu ? 1024 : 256, size = 1;

	most = CLEF__MIN(most, k->work_group_size);
	most = CLEF__MIN(most, dev->max_item_size[0]);
	while (2 * size <= most)
		size *= 2;
	return size;
}

static clef_status choose_local(clef_device *dev, clef__kernel *k, const clef__launch_opts *opts, size_t local[3])
{
	if (clef__launch_group(dev, k, opts, &local[0]))
		return clef_error_status();
	if (!local[0])
		local[0] = clef__launch_shipped_group(dev, k, opts);
	return CLEF_OK;
}

static clef_status check_local(const clef_device *dev, const clef__kernel *k, const size_t local[3])
{
	size_t size = local[0] * local[1] * local[2];
	bool fits = size <= dev->info.max_work_group;

	for (int i = 0; i < 3; i++)
		fits = fits && local[i] <= dev->max_item_size[i];
	if (!fits)
		return clef__fail(CLEF_ERROR_UNSUPPORTED,
				  "kernel %s wants work-groups of %zu x %zu x %zu, %s takes %zu", k->name, local[0],
				  local[1], local[2], dev->info.name, (size_t)dev->info.max_work_group);
	return CLEF_OK;
}

static cl_int enqueue(clef_device *dev, const clef__kernel *k, const clef__launch_opts *opts, const size_t local[3])
{
	size_t global[3];
	cl_event event;
	cl_int code;

	for (int i = 0; i < 3; i++) {
		size_t n = opts->global[i] || i == 0 ? opts->global[i] : 1;

		global[i] = (n + local[i] - 1) / local[i] * local[i];
	}
	code = clEnqueueNDRangeKernel(dev->queue, k->kernel, 3, NULL, global, local, 0, NULL,
				      dev->profile ? &event : NULL);
	if (!code && dev->profile)
		clef__profile_event(dev->profile, opts->label ? opts->label : k->name, event, opts->bytes, opts->flops);
	if (!code && ++dev->unflushed == FLUSH_EACH)
		clef__flush(dev);
	return code;
}

clef_status clef__launch_now(clef_device *dev, clef__kernel *k, const clef__launch_opts *opts)
{
	size_t local[3] = { opts->local[0], CLEF__MAX(opts->local[1], 1), CLEF__MAX(opts->local[2], 1) };
	cl_uint index = 0;
	cl_int code;

	if (clef__kernel_build(dev, k) || check_local_memory(dev, k, opts))
		return clef_error_status();
	for (const clef__arg *arg = opts->args; arg->kind != CLEF__ARG_END; arg++)
		if (set_arg(dev, k, &index, arg))
			return clef_error_status();
	if (!local[0] && choose_local(dev, k, opts, local))
		return clef_error_status();
	if (check_local(dev, k, local))
		return clef_error_status();
	code = enqueue(dev, k, opts, local);
	if (code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_RESOURCES) {
		/* Drivers that allocate late find out here. */
		clef__wait(dev);
		clef_device_trim(dev);
		code = enqueue(dev, k, opts, local);
	}
	if (code)
		return clef__fail(code == CL_MEM_OBJECT_ALLOCATION_FAILURE ? CLEF_ERROR_DEVICE_MEMORY
									   : CLEF_ERROR_OPENCL,
				  "kernel %s of %s.cl on %s: %s (%d)", k->name, opts->program, dev->info.name,
				  clef__cl_error(code), (int)code);
	return CLEF_OK;
}

void clef__count_launch(clef_device *dev, double flops, double bytes)
{
	if (dev->uncounted)
		return;
	dev->stats.launches++;
	dev->stats.flops += flops;
	dev->stats.bytes += bytes;
}

clef_status clef__launch(clef_device *dev, const clef__launch_opts *opts)
{
	clef__kernel *k;

	if (!opts->global[0])
		return CLEF_OK;
	k = clef__kernel_find(dev, opts);
	if (!k)
		return clef_error_status();
	if (clef__defers(dev, k) ? clef__defer_launch(dev, k, opts)
				 : clef__deferred_run(dev) || clef__launch_now(dev, k, opts))
		return clef_error_status();
	clef__count_launch(dev, opts->flops, opts->bytes);
	return CLEF_OK;
}
