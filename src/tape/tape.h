/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tape, as operations see it. It stands below them: a node carries its operation's functions, so the tape names no
 * operation. All that is recorded lives in the tape's arena and in buffers of the pool, both reused when it is begun
 * again.
 */
#ifndef CLEF_TAPE_H
#define CLEF_TAPE_H

#include "tensor_internal.h"

typedef struct clef__node clef__node;

/* Where a gradient goes: dx = beta * dx + term. dx NULL: not wanted. At beta 0 dx must not be read. With a gate, of the
 * same size, beta is 0, and dx is 0 where the gate is 0 or less: where a relu whose result the gate is let nothing
 * pass. */
typedef struct clef__grad {
	clef_tensor *dx;
	float beta;
	const clef_tensor *gate;
} clef__grad;

typedef struct clef__op {
	const char *name;
	/* Checks the inputs (present, on one device and tape) and gives shape and dtype (preset to float32) of y. */
	clef_status (*infer)(clef__node *n, clef_shape *shape, clef_dtype *dtype);
	/* Enqueues y. NULL: a view, y shares the memory of x[0]. */
	clef_status (*forward)(const clef__node *n);
	/* Enqueues each wanted dx[i], in the order of i and by kernels of their own: two of them may be one tensor, the
	 * second then with beta 1. NULL: no gradient flows through. */
	clef_status (*backward)(const clef__node *n, const clef_tensor *dy, const clef__grad *dx);
	/* Whether dx[0] may have the memory of dy, where both have as many elements: each element of dx[0] follows from
	 * that of dy, and then nothing else needs dy. NULL: no. */
	bool (*in_place)(const clef__node *n);
	/* Whether backward() needs the values of x[i], or at i = -1 those of y: they may be gone by then where it does
	 * not, and may not even be an argument of a kernel. NULL: it needs all of them. */
	bool (*needs)(const clef__node *n, int i);
	/* Whether y is the relu of something: who writes its gradient may then have it pass the relu as well, and says
	 * so by n->gated. NULL: no. */
	bool (*is_relu)(const clef__node *n);
	/* Whether backward() heeds the gate of dx[0]. */
	bool heeds_gate;
	/* Whether dx[0] may have the memory of its gate, x[0]: backward() then computes it last, and heeds each element
	 * of the gate where it writes that of dx[0]. NULL: no. */
	bool (*over_gate)(const clef__node *n);
} clef__op;

/* An in_place for operations of which it always holds. */
bool clef__in_place(const clef__node *n);

/* A needs for operations whose gradients follow from dy and from what was saved. */
bool clef__needs_nothing(const clef__node *n, int i);

/* dx = beta dx + dy, which may be in one place: where the gradient passes. */
clef_status clef__pass_gradient(const clef_tensor *dy, const clef__grad *dx);

struct clef__node {
	const clef__op *op;
	clef_tape *tape;
	int inputs;
	clef_tensor **x;
	clef_tensor *y;
	const void *opts;      /* the operation's options, copied into the arena */
	const char *label;     /* the layer's name, or NULL */
	clef_tensor *saved[2]; /* what forward keeps for backward: see clef__save() */
	bool inner;            /* only the tape has y: clef_backward() gives it back on its way */
	bool gated;            /* dy in backward() has passed the relu of y already */
	bool given_back;
};

/* Applies an operation: checks, records, gives y its memory, enqueues. `opts` is copied. NULL on failure. */
clef_tensor *clef__apply(const clef__op *op, clef_tensor *const *x, int inputs, const void *opts, size_t opts_size);

/* In infer(): makes n->saved[i], an extra result that lives as long as y. */
clef_status clef__save(clef__node *n, int i, clef_dtype dtype, clef_shape shape);

/* The options of a node in infer(), where they may be completed: they are the node's own copy. */
static inline void *clef__own_opts(clef__node *n)
{
	return (void *)(uintptr_t)n->opts;
}

/* A scratch tensor of the tape for the time of one forward() or backward(): release it with clef__scratch_free(). */
clef_tensor *clef__scratch(const clef__node *n, clef_dtype dtype, clef_shape shape);
void clef__scratch_free(clef_tensor *x);

/*
 * In forward(): memory for what is made of leaves alone, such as weights in another order. Where no gradients are
 * recorded it stays with the leaf, and *made says that it still holds what an earlier forward() made of it under the
 * same key: nothing has written to any leaf since. Otherwise it is a scratch tensor; so it is for leaf NULL. Release it
 * with clef__keep_end(), with whether what it was for went well.
 */
clef_tensor *clef__keep(const clef__node *n, const clef_tensor *leaf, uint64_t key, clef_shape shape, bool *made);
void clef__keep_end(const clef_tensor *leaf, clef_tensor *kept, bool well);

/* Whether it would stay. Where gradients are recorded, what is kept with the leaf is given back. */
bool clef__keeps(const clef__node *n, const clef_tensor *leaf);

/* In backward(): it does not need the values of y any more, which may then be another tensor's. */
void clef__result_done(const clef__node *n);

/* Fails with "NAME: ..." for the node's operation. */
clef_status clef__op_fail(const clef__node *n, clef_status status, const char *format, ...) CLEF__PRINTF(3, 4);

/* Checks that x[i] has the type; the error names the operation and the argument. */
clef_status clef__op_dtype(const clef__node *n, int i, const char *argument, clef_dtype dtype);

/* ---- for models ---- */

/* Starts a recording without memory or kernels: operations check, infer shapes and record. */
clef_status clef__tape_begin_dry(clef_tape *tape);

/* An input without values, for a dry recording. */
clef_tensor *clef__tape_placeholder(clef_tape *tape, clef_dtype dtype, clef_shape shape);

/* Nodes recorded from now on carry a copy of this label, another one in each call; NULL ends that. */
clef_status clef__tape_label(clef_tape *tape, const char *label);

int clef__tape_count(const clef_tape *tape);
const clef__node *clef__tape_node(const clef_tape *tape, int i);

/* Makes the nodes from `first` on, but for that of `result`, inner ones: they are of a model's forward pass. */
void clef__tape_enclose(clef_tape *tape, int first, const clef_tensor *result);

/* While it is held, nothing of the recording is given back: someone will look at it. */
void clef__tape_hold(clef_tape *tape, bool yes);

/* True for a dry recording. */
bool clef__tape_is_dry(const clef_tape *tape);

/* False where nothing can ask for gradients. */
bool clef__tape_records_gradients(const clef_tape *tape);

#endif
