/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory: a pool of buffers by size class, and copies to and from the host.
 *
 * Some drivers abort the process when memory runs out, and some hand out more than there is and fail later. So the
 * library keeps its own account and refuses what the device says it cannot hold, after giving back what is pooled.
 *
 * Uploads go through a ring of host copies, so that they neither wait for the queue nor need the caller's memory to
 * stay; only a full ring waits, for the oldest upload.
 */
#include "opencl.h"

#define SMALLEST_LOG2 8
/* Larger uploads are rare and would make the ring large: they wait instead. */
#define LARGEST_STAGE ((size_t)64 << 20)

static size_t class_bytes(int c)
{
	return ((size_t)4 + (size_t)(c % 4)) << (SMALLEST_LOG2 - 2 + c / 4);
}

static int class_of(size_t bytes)
{
	int c = 0;

	while (c < CLEF__SIZE_CLASSES - 1 && class_bytes(c) < bytes)
		c++;
	return c;
}

void clef_device_trim(clef_device *dev)
{
	for (int c = 0; dev && c < CLEF__SIZE_CLASSES; c++)
		while (dev->pool[c]) {
			clef__buffer *b = dev->pool[c];

			dev->pool[c] = b->next;
			dev->stats.memory_pooled -= b->bytes;
			clReleaseMemObject(b->mem);
			free(b);
		}
}

void clef__pool_free(clef_device *dev)
{
	clef_device_trim(dev);
}

static clef_status fail_out_of_memory(const clef_device *dev, size_t bytes, const char *why)
{
	return clef__fail(
		CLEF_ERROR_DEVICE_MEMORY,
		"no device memory for %.1f MB on %s: %s; %.1f MB are in use, of %.1f MB in all and %.1f MB for "
		"one buffer",
		1e-6 * (double)bytes, dev->info.name, why, 1e-6 * (double)dev->stats.memory_in_use,
		1e-6 * (double)dev->info.global_memory, 1e-6 * (double)dev->info.max_allocation);
}

static cl_mem create(clef_device *dev, size_t bytes)
{
	cl_int code;
	cl_mem mem;

	if (bytes > dev->info.max_allocation) {
		fail_out_of_memory(dev, bytes, "more than one buffer may have");
		return NULL;
	}
	for (int attempt = 0; attempt < 2; attempt++) {
		if (dev->stats.memory_in_use + dev->stats.memory_pooled + bytes <= dev->info.global_memory) {
			mem = clCreateBuffer(dev->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
			if (!code)
				return mem;
			if (code != CL_MEM_OBJECT_ALLOCATION_FAILURE && code != CL_OUT_OF_RESOURCES) {
				clef__cl_fail(dev, code, "clCreateBuffer");
				return NULL;
			}
		}
		/* Pooled buffers may still be queued; the driver frees them when they no longer are. */
		clef_device_trim(dev);
		clFinish(dev->queue);
	}
	fail_out_of_memory(dev, bytes, "the device is full");
	return NULL;
}

static clef__buffer *create_buffer(clef_device *dev, int c, size_t asked)
{
	/* Rounding up may exceed what one buffer may have where the size itself does not. */
	size_t bytes = class_bytes(c) > dev->info.max_allocation ? asked : class_bytes(c);
	clef__buffer *b = clef__calloc(1, sizeof(*b), "a buffer");

	if (!b)
		return NULL;
	b->mem = create(dev, bytes);
	if (!b->mem) {
		free(b);
		return NULL;
	}
	b->bytes = bytes;
	b->size_class = c;
	dev->stats.buffers_created++;
	return b;
}

clef__buffer *clef__buffer_new(clef_device *dev, size_t bytes)
{
	int c = class_of(bytes);
	clef__buffer *b = dev->pool[c];

	if (b && b->bytes >= bytes) {
		dev->pool[c] = b->next;
		dev->stats.memory_pooled -= b->bytes;
	} else {
		b = create_buffer(dev, c, bytes);
		if (!b)
			return NULL;
	}
	b->dev = dev;
	b->next = NULL;
	b->references = 1;
	clef__device_retain(dev);
	dev->stats.memory_in_use += b->bytes;
	dev->stats.memory_peak = CLEF__MAX(dev->stats.memory_peak, dev->stats.memory_in_use + dev->stats.memory_pooled);
	return b;
}

void clef__buffer_retain(clef__buffer *b)
{
	b->references++;
}

void clef__buffer_release(clef__buffer *b)
{
	clef_device *dev;

	if (!b || --b->references > 0)
		return;
	dev = b->dev;
	dev->stats.memory_in_use -= b->bytes;
	dev->stats.memory_pooled += b->bytes;
	b->next = dev->pool[b->size_class];
	dev->pool[b->size_class] = b;
	clef__device_release(dev);
}

static clef_status wait_for_stage(clef_device *dev, clef__stage *stage)
{
	cl_int code;

	if (!stage->done)
		return CLEF_OK;
	code = clWaitForEvents(1, &stage->done);
	clReleaseEvent(stage->done);
	stage->done = NULL;
	return code ? clef__cl_fail(dev, code, "clWaitForEvents") : CLEF_OK;
}

/* All at once, although that waits for those in use: so a loop that uploads the same sizes again allocates nothing. */
static clef_status grow_stages(clef_device *dev, size_t bytes)
{
	for (int i = 0; i < CLEF__STAGES; i++) {
		clef__stage *stage = &dev->stage[i];

		if (wait_for_stage(dev, stage))
			return clef_error_status();
		free(stage->data);
		stage->size = 0;
		stage->data = clef__calloc(bytes, 1, "an upload");
		if (!stage->data)
			return CLEF_ERROR_MEMORY;
		stage->size = bytes;
	}
	return CLEF_OK;
}

/* The next place in the ring, free for `bytes`; NULL on failure. */
static clef__stage *take_stage(clef_device *dev, size_t bytes)
{
	clef__stage *stage = &dev->stage[dev->next_stage];

	dev->next_stage = (dev->next_stage + 1) % CLEF__STAGES;
	if (stage->size < bytes ? grow_stages(dev, bytes) : wait_for_stage(dev, stage))
		return NULL;
	return stage;
}

void clef__stages_free(clef_device *dev)
{
	for (int i = 0; i < CLEF__STAGES; i++) {
		if (dev->stage[i].done)
			clReleaseEvent(dev->stage[i].done);
		free(dev->stage[i].data);
	}
}

clef_status clef__buffer_write(clef__buffer *b, size_t offset, const void *data, size_t bytes)
{
	clef_device *dev = b->dev;
	clef__stage *stage = NULL;
	bool wait = bytes > LARGEST_STAGE;
	cl_int code;

	if (!bytes)
		return CLEF_OK;
	if (!wait) {
		stage = take_stage(dev, bytes);
		if (!stage)
			return clef_error_status();
		memcpy(stage->data, data, bytes);
		data = stage->data;
	}
	code = clEnqueueWriteBuffer(dev->queue, b->mem, wait, offset, bytes, data, 0, NULL,
				    stage ? &stage->done : NULL);
	if (code) {
		if (stage)
			stage->done = NULL;
		return clef__cl_fail(dev, code, "clEnqueueWriteBuffer");
	}
	/* Once a batch is a good time for the driver to start on what it holds back. */
	clFlush(dev->queue);
	return CLEF_OK;
}

clef_status clef__buffer_read(const clef__buffer *b, size_t offset, void *data, size_t bytes)
{
	cl_int code;

	if (!bytes)
		return CLEF_OK;
	code = clEnqueueReadBuffer(b->dev->queue, b->mem, CL_TRUE, offset, bytes, data, 0, NULL, NULL);
	return code ? clef__cl_fail(b->dev, code, "clEnqueueReadBuffer") : CLEF_OK;
}
