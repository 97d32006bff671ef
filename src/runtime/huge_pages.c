/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of 2 MB instead of 4 KB for large buffers in the host's own memory. A kernel for CPUs reads rows of many
 * channels side by side, each in a page of its own, and there are fewer entries for pages in a core than such rows.
 * Where Linux gives huge pages to those that ask only ("madvise", the default of most distributions), nobody else asks:
 * drivers take their memory from malloc().
 */
#define _DEFAULT_SOURCE
#include <stdint.h>

#include "opencl.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#ifdef MADV_HUGEPAGE
#define HUGE_PAGE ((size_t)2 << 20)

/* Those that lie within it as a whole. That it is refused changes the speed only. */
static void advise(void *start, size_t bytes)
{
	const uintptr_t from = ((uintptr_t)start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	const uintptr_t to = ((uintptr_t)start + bytes) / HUGE_PAGE * HUGE_PAGE;

	if (from < to)
		(void)madvise((void *)from, to - from, MADV_HUGEPAGE);
}
#else
#define HUGE_PAGE SIZE_MAX
#define advise(start, bytes)
#endif

/* Mapping it, before anything has touched it, tells where it lies. */
void clef__ask_for_huge_pages(clef_device *dev, cl_mem mem, size_t bytes)
{
	void *start;

	if (dev->info.kind != CLEF_DEVICE_CPU || bytes < HUGE_PAGE)
		return;
	start = clEnqueueMapBuffer(dev->queue, mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, bytes, 0, NULL, NULL,
				   NULL);
	if (!start)
		return;
	advise(start, bytes);
	clEnqueueUnmapMemObject(dev->queue, mem, start, 0, NULL, NULL);
}
