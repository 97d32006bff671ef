/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory, and the pool of what was given back.
 *
 * Small buffers are pooled by size class. Large ones are pieces of blocks: a request takes the smallest free piece that
 * holds it and leaves the rest free, and a piece that comes back joins its free neighbours. So what the small tensors
 * at the end of a network held serves the gradients of the large ones at its beginning.
 *
 * The first time that something is computed, blocks have the sizes that were asked for, and a request that none of them
 * holds takes the place of free ones, so that there is never much more than what is in use. Then the pool is torn: at
 * the next recording the free blocks are exchanged for one that holds all that was in use at once.
 *
 * Some drivers abort the process when memory runs out, and some hand out more than there is and fail later. So the
 * library keeps its own account and refuses what the device says it cannot hold, after giving back what is pooled.
 */
#include <math.h>

#include "opencl.h"

typedef enum life { TAPE, STAYS, BRIEF } life;

#define SMALLEST_LOG2 8
#define GRAIN         4096 /* pieces begin and end at multiples of it */

/* ---- the driver ---- */

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
			if (!code) {
				clef__ask_for_huge_pages(dev, mem, bytes);
				return mem;
			}
			if (code != CL_MEM_OBJECT_ALLOCATION_FAILURE && code != CL_OUT_OF_RESOURCES) {
				clef__cl_fail(dev, code, "clCreateBuffer");
				return NULL;
			}
		}
		/* Pooled buffers may still be queued; the driver frees them when they no longer are. */
		if (clef__deferred_run(dev))
			return NULL;
		clef_device_trim(dev);
		clef__wait(dev);
	}
	fail_out_of_memory(dev, bytes, "the device is full");
	return NULL;
}

/* ---- structures ---- */

static clef__buffer *new_buffer(clef_device *dev)
{
	clef__buffer *b = dev->pool.spare;

	if (!b)
		return clef__calloc(1, sizeof(*b), "a buffer");
	dev->pool.spare = b->next;
	return b;
}

static void spare(clef_device *dev, clef__buffer *b)
{
	b->next = dev->pool.spare;
	dev->pool.spare = b;
}

/* Of a buffer that is counted nowhere yet. */
static clef__buffer *create_buffer(clef_device *dev, size_t bytes, int size_class)
{
	clef__buffer *b = new_buffer(dev);
	cl_mem mem = b ? create(dev, bytes) : NULL;

	if (b && !mem)
		spare(dev, b);
	if (!mem)
		return NULL;
	*b = (clef__buffer){ .dev = dev, .mem = mem, .bytes = bytes, .size_class = size_class };
	dev->stats.buffers_created++;
	return b;
}

/* ---- small buffers ---- */

static size_t class_bytes(int c)
{
	return ((size_t)4 + (size_t)(c % 4)) << (SMALLEST_LOG2 - 2 + c / 4);
}

static int class_of(size_t bytes)
{
	int c = 0;

	while (c < CLEF__SIZE_CLASSES && class_bytes(c) < bytes)
		c++;
	return c;
}

static clef__buffer *take_small(clef_device *dev, int c, size_t bytes)
{
	clef__buffer *b = dev->pool.small[c];

	if (b && b->bytes >= bytes) {
		dev->pool.small[c] = b->next;
		dev->stats.memory_pooled -= b->bytes;
		return b;
	}
	return create_buffer(dev, class_bytes(c) > dev->info.max_allocation ? bytes : class_bytes(c), c);
}

static void trim_small(clef_device *dev)
{
	for (int c = 0; c < CLEF__SIZE_CLASSES; c++)
		while (dev->pool.small[c]) {
			clef__buffer *b = dev->pool.small[c];

			dev->pool.small[c] = b->next;
			dev->stats.memory_pooled -= b->bytes;
			clReleaseMemObject(b->mem);
			spare(dev, b);
		}
}

/* ---- pieces of blocks ---- */

static void pool_piece(clef_device *dev, clef__buffer *b)
{
	b->references = 0;
	b->previous = NULL;
	b->next = dev->pool.pieces;
	if (b->next)
		b->next->previous = b;
	dev->pool.pieces = b;
	dev->stats.memory_pooled += b->bytes;
}

static void unpool_piece(clef_device *dev, clef__buffer *b)
{
	*(b->previous ? &b->previous->next : &dev->pool.pieces) = b->next;
	if (b->next)
		b->next->previous = b->previous;
	dev->stats.memory_pooled -= b->bytes;
}

static bool is_whole(const clef__buffer *b)
{
	return !b->before && !b->behind;
}

/* Gives free blocks back to the driver until no more than `kept` bytes are pooled. */
static bool drop_blocks(clef_device *dev, uint64_t kept)
{
	bool dropped = false;

	for (clef__buffer *b = dev->pool.pieces, *next; b && dev->stats.memory_pooled > kept; b = next) {
		next = b->next;
		if (!is_whole(b))
			continue;
		unpool_piece(dev, b);
		clReleaseMemObject(b->mem);
		spare(dev, b);
		dropped = true;
	}
	return dropped;
}

/* A new block. What would make the pool larger than it ever needs to be goes, and gets a little more room each time,
 * so that this comes to an end. */
static clef__buffer *create_block(clef_device *dev, size_t bytes)
{
	clef__pool *pool = &dev->pool;
	uint64_t in_use = dev->stats.memory_in_use, most = CLEF__MAX(pool->most, in_use + bytes) + pool->slack;

	if (in_use + dev->stats.memory_pooled + bytes > most && drop_blocks(dev, most - in_use - bytes)) {
		clef__wait(dev);
		pool->slack += bytes / 8;
		pool->torn = true;
	}
	return create_buffer(dev, bytes, CLEF__SIZE_CLASSES);
}

/* The smallest that holds so many bytes; whole: a block, no more than an eighth larger. */
static clef__buffer *find_piece(const clef_device *dev, size_t bytes, bool whole)
{
	clef__buffer *best = NULL;

	for (clef__buffer *b = dev->pool.pieces; b; b = b->next)
		if (b->bytes >= bytes && (!best || b->bytes < best->bytes) &&
		    (!whole || (is_whole(b) && b->bytes - bytes <= bytes / 8)))
			best = b;
	return best;
}

/* Cuts a piece into one of so many bytes and the rest behind it, which is returned; NULL on failure. */
static clef__buffer *cut(clef_device *dev, clef__buffer *b, size_t bytes)
{
	clef__buffer *rest = new_buffer(dev);

	if (!rest)
		return NULL;
	*rest = (clef__buffer){ .dev = dev,
				.mem = b->mem,
				.start = b->start + bytes,
				.bytes = b->bytes - bytes,
				.size_class = CLEF__SIZE_CLASSES,
				.before = b,
				.behind = b->behind };
	if (b->behind)
		b->behind->before = rest;
	b->behind = rest;
	b->bytes = bytes;
	return rest;
}

/* So many bytes of a free piece: what lives long has its beginning, what does not its end. */
static clef__buffer *take_part(clef_device *dev, clef__buffer *b, size_t bytes, bool brief)
{
	clef__buffer *rest = cut(dev, b, brief ? b->bytes - bytes : bytes);

	pool_piece(dev, !rest || brief ? b : rest);
	return rest && !brief ? b : rest;
}

static clef__buffer *take_piece(clef_device *dev, size_t bytes, life l)
{
	const size_t rounded = (bytes + GRAIN - 1) / GRAIN * GRAIN;
	/* Rounding up may exceed what one buffer may have where the size itself does not. */
	const size_t size = rounded > dev->info.max_allocation ? bytes : rounded;
	clef__buffer *b = find_piece(dev, size, l == STAYS);

	if (!b)
		return create_block(dev, size);
	unpool_piece(dev, b);
	return l == STAYS || b->bytes - size < GRAIN ? b : take_part(dev, b, size, l == BRIEF);
}

/* a and the free piece behind it become one. */
static void join(clef_device *dev, clef__buffer *a, clef__buffer *b)
{
	a->bytes += b->bytes;
	a->behind = b->behind;
	if (b->behind)
		b->behind->before = a;
	spare(dev, b);
}

static void give_piece_back(clef_device *dev, clef__buffer *b)
{
	clef__buffer *before = b->before, *behind = b->behind;

	if (behind && !behind->references) {
		unpool_piece(dev, behind);
		join(dev, b, behind);
	}
	if (before && !before->references) {
		unpool_piece(dev, before);
		join(dev, before, b);
		b = before;
	}
	pool_piece(dev, b);
}

static uint64_t bytes_of_blocks(const clef_device *dev)
{
	uint64_t bytes = 0;

	for (const clef__buffer *b = dev->pool.pieces; b; b = b->next)
		bytes += is_whole(b) ? b->bytes : 0;
	return bytes;
}

void clef__pool_settle(clef_device *dev)
{
	clef__pool *pool = &dev->pool;
	uint64_t wanted = pool->pieces_most - pool->pieces_in_use, largest = dev->info.max_allocation / GRAIN * GRAIN;

	if (!pool->torn || !largest)
		return;
	pool->torn = false;
	if (!bytes_of_blocks(dev))
		return;
	drop_blocks(dev, 0);
	clef__wait(dev);
	/* Some room for holes. */
	wanted += wanted / 64 / GRAIN * GRAIN;
	while (wanted) {
		size_t bytes = (size_t)CLEF__MIN(wanted, largest);
		clef__buffer *b = create_buffer(dev, bytes, CLEF__SIZE_CLASSES);

		if (!b) {
			/* What is missing will be asked for when it is needed, and fail then if it must. */
			clef_error_clear();
			return;
		}
		pool_piece(dev, b);
		wanted -= bytes;
	}
}

/* ---- buffers ---- */

void clef_device_trim(clef_device *dev)
{
	if (!dev)
		return;
	trim_small(dev);
	drop_blocks(dev, 0);
}

void clef__pool_open(clef_device *dev)
{
	const char *poison = getenv("CLEF_POISON");

	dev->pool.poison = poison && *poison && strcmp(poison, "0") != 0;
}

void clef__pool_free(clef_device *dev)
{
	clef_device_trim(dev);
	while (dev->pool.spare) {
		clef__buffer *b = dev->pool.spare;

		dev->pool.spare = b->next;
		free(b);
	}
}

static clef__buffer *new_of(clef_device *dev, size_t bytes, life l)
{
	clef_device_stats *stats = &dev->stats;
	int c = class_of(bytes);
	bool piece = c == CLEF__SIZE_CLASSES;
	clef__buffer *b = piece ? take_piece(dev, bytes, l) : take_small(dev, c, bytes);

	if (!b)
		return NULL;
	b->next = NULL;
	b->references = 1;
	b->stays = l == STAYS;
	clef__device_retain(dev);
	stats->memory_in_use += b->bytes;
	stats->memory_peak = CLEF__MAX(stats->memory_peak, stats->memory_in_use + stats->memory_pooled);
	dev->pool.most = CLEF__MAX(dev->pool.most, stats->memory_in_use);
	if (piece && l != STAYS) {
		dev->pool.pieces_in_use += b->bytes;
		dev->pool.pieces_most = CLEF__MAX(dev->pool.pieces_most, dev->pool.pieces_in_use);
	}
	return b;
}

clef__buffer *clef__buffer_new(clef_device *dev, size_t bytes)
{
	return new_of(dev, bytes, TAPE);
}

clef__buffer *clef__buffer_new_whole(clef_device *dev, size_t bytes)
{
	return new_of(dev, bytes, STAYS);
}

clef__buffer *clef__buffer_new_brief(clef_device *dev, size_t bytes)
{
	return new_of(dev, bytes, BRIEF);
}

void clef__buffer_retain(clef__buffer *b)
{
	b->references++;
}

/* Whoever still reads it shall see that. Where it fails, nothing is lost but that. */
static void poison(const clef__buffer *b)
{
	const cl_float value = NAN;

	clEnqueueFillBuffer(b->dev->queue, b->mem, &value, sizeof(value), b->start, b->bytes / 4 * 4, 0, NULL, NULL);
}

void clef__buffer_release(clef__buffer *b)
{
	clef_device *dev;

	if (!b || --b->references > 0)
		return;
	dev = b->dev;
	if (dev->pool.poison)
		poison(b);
	dev->stats.memory_in_use -= b->bytes;
	if (b->size_class < CLEF__SIZE_CLASSES) {
		dev->stats.memory_pooled += b->bytes;
		b->next = dev->pool.small[b->size_class];
		dev->pool.small[b->size_class] = b;
	} else {
		dev->pool.pieces_in_use -= b->stays ? 0 : b->bytes;
		give_piece_back(dev, b);
	}
	clef__device_release(dev);
}
