/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches and uploads that wait for kernels to be compiled.
 *
 * Compilers for CPUs take seconds for a program, and a network's first step wants a dozen. Where several can be
 * compiled at a time, a launch whose kernel is not ready is put aside, with all that comes behind it, and the host goes
 * on; by the time that it waits for a result it has gone through the whole step, and all that is missing is compiled
 * together. So what is wrong with such a launch is told by the call that waits.
 */
#include "opencl.h"
#include "tuning_file.h"

/* So much waits at most, launches and bytes of uploads: more than one step has, for who never waits for a result. */
#define MOST_WAITING 1000
#define MOST_BYTES   ((size_t)256 << 20)

struct clef__deferred {
	clef__deferred *next;
	clef__kernel *kernel;   /* NULL: an upload */
	clef__launch_opts opts; /* its buffers are those below */
	clef__buffer buffer[CLEF__MAX_ARGS];
	int buffers;            /* the memory of each is retained, since a buffer may be gone by then */
	clef__profile *profile; /* that the launch belongs to */
	size_t offset, bytes;
	void *data; /* of an upload, a copy */
};

/* Where something else looks at single launches, or enqueues between them, they do not wait. */
bool clef__defers(const clef_device *dev, const clef__kernel *k)
{
	const clef__tuning *t = dev->tuning;

	if (!dev->deferred && (!k || k->program->program))
		return false;
	if (dev->deferred_count >= MOST_WAITING || dev->deferred_bytes >= MOST_BYTES)
		return false;
	return dev->compile_jobs > 1 && !dev->pool.poison && !(t && (t->watch || t->measuring));
}

static const clef__buffer *keep_buffer(clef__deferred *d, const clef__buffer *b)
{
	clef__buffer *kept = &d->buffer[d->buffers++];

	*kept = *b;
	clRetainMemObject(kept->mem);
	return kept;
}

static clef__deferred *add(clef_device *dev)
{
	clef__deferred *d = clef__calloc(1, sizeof(*d), "a launch that waits for its kernel");

	if (d) {
		*dev->deferred_end = d;
		dev->deferred_end = &d->next;
		dev->deferred_count++;
	}
	return d;
}

clef_status clef__defer_launch(clef_device *dev, clef__kernel *k, const clef__launch_opts *opts)
{
	clef__deferred *d = add(dev);

	if (!d)
		return CLEF_ERROR_MEMORY;
	d->kernel = k;
	d->profile = dev->profile;
	d->opts = *opts;
	d->opts.program = k->program->name;
	d->opts.defines = k->program->defines;
	for (clef__arg *arg = d->opts.args; arg->kind != CLEF__ARG_END; arg++)
		if (arg->kind == CLEF__ARG_BUFFER)
			arg->buffer = keep_buffer(d, arg->buffer);
	return CLEF_OK;
}

clef_status clef__defer_upload(const clef__buffer *b, size_t offset, const void *data, size_t bytes)
{
	clef__deferred *d;
	void *copy = clef__calloc(bytes, 1, "an upload");

	if (!copy)
		return CLEF_ERROR_MEMORY;
	d = add(b->dev);
	if (!d) {
		free(copy);
		return CLEF_ERROR_MEMORY;
	}
	memcpy(copy, data, bytes);
	d->offset = offset;
	d->bytes = bytes;
	d->data = copy;
	b->dev->deferred_bytes += bytes;
	keep_buffer(d, b);
	return CLEF_OK;
}

static void release(clef__deferred *d)
{
	for (int i = 0; i < d->buffers; i++)
		clReleaseMemObject(d->buffer[i].mem);
	free(d->data);
	free(d);
}

/* ---- running ---- */

/* One that has failed has no source until clef__program_build() reads it again. */
static bool is_new(const clef__program *p)
{
	return !p->program && p->key.data && !p->wanted;
}

static void build_programs(clef_device *dev, const clef__deferred *first)
{
	clef__program **list;
	int count = 0;

	for (const clef__deferred *d = first; d; d = d->next)
		if (d->kernel && is_new(d->kernel->program)) {
			d->kernel->program->wanted = true;
			count++;
		}
	list = count ? clef__calloc((size_t)count, sizeof(clef__program *), "programs to build") : NULL;
	count = 0;
	for (clef__program *p = dev->programs; p; p = p->next) {
		if (p->wanted && list)
			list[count++] = p;
		p->wanted = false;
	}
	clef__programs_build(dev, list, count);
	free(list);
}

static clef_status run_launch(clef_device *dev, clef__deferred *d)
{
	clef__profile *profile = dev->profile;
	clef_status status;

	dev->profile = d->profile;
	status = clef__launch_now(dev, d->kernel, &d->opts);
	dev->profile = profile;
	return status;
}

/* All that waits, which then waits no more. */
static clef__deferred *take_all(clef_device *dev)
{
	clef__deferred *first = dev->deferred;

	dev->deferred = NULL;
	dev->deferred_end = &dev->deferred;
	dev->deferred_count = 0;
	dev->deferred_bytes = 0;
	return first;
}

static void put_back(clef_device *dev, clef__deferred *first)
{
	*dev->deferred_end = first;
	for (clef__deferred *d = first; d; d = d->next) {
		dev->deferred_end = &d->next;
		dev->deferred_count++;
		dev->deferred_bytes += d->bytes;
	}
}

clef_status clef__deferred_run_first(clef_device *dev, int count)
{
	clef__deferred *d = take_all(dev), *next;
	clef_status status = CLEF_OK;

	if (d)
		build_programs(dev, d);
	for (; d && (count > 0 || status); d = next, count--) {
		next = d->next;
		if (!status)
			status = d->kernel ? run_launch(dev, d)
					   : clef__buffer_write(d->buffer, d->offset, d->data, d->bytes);
		release(d);
	}
	put_back(dev, d);
	return status;
}

clef_status clef__deferred_run(clef_device *dev)
{
	return clef__deferred_run_first(dev, dev->deferred_count);
}

void clef__deferred_free(clef_device *dev)
{
	clef__deferred *next;

	for (clef__deferred *d = take_all(dev); d; d = next) {
		next = d->next;
		release(d);
	}
}
