/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies to and from the host. Uploads go through a ring of host copies, so that they neither wait for the queue nor
 * need the caller's memory to stay; only a full ring waits, for the oldest upload.
 */
#include "opencl.h"

/* Larger uploads are rare and would make the ring large: they wait instead. */
#define LARGEST_STAGE ((size_t)64 << 20)
/* A CPU that has nothing else to do copies so much itself, sooner than it and the host one after the other. */
#define LEAST_DIRECT ((size_t)128 << 10)

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

static bool copies_directly(const clef_device *dev, size_t bytes)
{
	bool idle = dev->stats.launches == dev->launches_done;

	return bytes > LARGEST_STAGE || (bytes >= LEAST_DIRECT && idle && dev->info.kind == CLEF_DEVICE_CPU);
}

clef_status clef__buffer_write(clef__buffer *b, size_t offset, const void *data, size_t bytes)
{
	clef_device *dev = b->dev;
	clef__stage *stage = NULL;
	bool wait = copies_directly(dev, bytes);
	cl_int code;

	if (!bytes)
		return CLEF_OK;
	if (clef__defers(dev, NULL))
		return clef__defer_upload(b, offset, data, bytes);
	if (clef__deferred_run(dev))
		return clef_error_status();
	if (!wait) {
		stage = take_stage(dev, bytes);
		if (!stage)
			return clef_error_status();
		memcpy(stage->data, data, bytes);
		data = stage->data;
	}
	code = clEnqueueWriteBuffer(dev->queue, b->mem, wait, b->start + offset, bytes, data, 0, NULL,
				    stage ? &stage->done : NULL);
	if (code) {
		if (stage)
			stage->done = NULL;
		return clef__cl_fail(dev, code, "clEnqueueWriteBuffer");
	}
	/* Once a batch is a good time for the driver to start on what it holds back. */
	clef__flush(dev);
	return CLEF_OK;
}

clef_status clef__buffer_read(const clef__buffer *b, size_t offset, void *data, size_t bytes)
{
	cl_int code;

	if (!bytes)
		return CLEF_OK;
	if (clef__deferred_run(b->dev))
		return clef_error_status();
	code = clEnqueueReadBuffer(b->dev->queue, b->mem, CL_TRUE, b->start + offset, bytes, data, 0, NULL, NULL);
	b->dev->launches_done = b->dev->stats.launches;
	return code ? clef__cl_fail(b->dev, code, "clEnqueueReadBuffer") : CLEF_OK;
}
