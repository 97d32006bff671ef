/* SPDX-License-Identifier: Apache-2.0 */
/* A list of blocks, filled in turn. Blocks stay, so a recording like the last one allocates nothing. */
#include "arena.h"

#define BLOCK 16384
#define ALIGN 16

struct arena_block {
	arena_block *next;
	size_t size;
	_Alignas(ALIGN) unsigned char data[];
};

void *clef__arena_alloc(clef__arena *arena, size_t size)
{
	arena_block **link;
	void *p;

	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	while (arena->current && arena->used + size > arena->current->size && arena->current->next) {
		arena->current = arena->current->next;
		arena->used = 0;
	}
	if (!arena->current || arena->used + size > arena->current->size) {
		size_t room = CLEF__MAX(size, (size_t)BLOCK);
		arena_block *block = clef__calloc(1, sizeof(arena_block) + room, "a tape");

		if (!block)
			return NULL;
		block->size = room;
		link = arena->current ? &arena->current->next : &arena->first;
		*link = block;
		arena->current = block;
		arena->used = 0;
	}
	p = arena->current->data + arena->used;
	arena->used += size;
	return p;
}

void clef__arena_reset(clef__arena *arena)
{
	arena->current = arena->first;
	arena->used = 0;
}

void clef__arena_free(clef__arena *arena)
{
	while (arena->first) {
		arena_block *next = arena->first->next;

		free(arena->first);
		arena->first = next;
	}
	arena->current = NULL;
}
