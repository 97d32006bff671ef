/* SPDX-License-Identifier: Apache-2.0 */
/* What a tape is made of; only the tape's own files see it. */
#ifndef CLEF_ARENA_H
#define CLEF_ARENA_H

#include "tape.h"

typedef struct arena_block arena_block;

/* Memory that is handed out in pieces and taken back all at once. */
typedef struct clef__arena {
	arena_block *first, *current;
	size_t used; /* of the current block */
} clef__arena;

void *clef__arena_alloc(clef__arena *arena, size_t size);
void clef__arena_reset(clef__arena *arena); /* keeps the blocks */
void clef__arena_free(clef__arena *arena);

struct clef_tape {
	clef_device *dev;
	bool begun, dry, no_grad;
	bool retain, held;
	bool given_back;    /* some node's tensors, in this recording */
	uint64_t recording; /* number of the recording; never 0 in one */
	const char *label;
	clef__arena arena;
	clef__node **nodes; /* allocated once, used again by every recording */
	int node_count, node_capacity;
	clef_tensor **tensors;
	int tensor_count, tensor_capacity;
};

/* Before an inner node's backward pass: gives back what that does not need. After it: the rest. */
void clef__tape_leave(clef__node *n);
void clef__tape_give_back(const clef__node *n);

/* A tensor of the tape without memory. */
clef_tensor *clef__tape_tensor(clef_tape *tape, clef_dtype dtype, clef_shape shape);

/* Gives it memory, unless the recording is dry; brief: for a short time. */
clef_status clef__tape_allocate(clef_tensor *x, bool brief);

#endif
