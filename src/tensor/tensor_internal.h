/* SPDX-License-Identifier: Apache-2.0 */
/* What a tensor is, and arithmetic on tensors that no tape records. */
#ifndef CLEF_TENSOR_INTERNAL_H
#define CLEF_TENSOR_INTERNAL_H

#include <clef/tensor.h>

#include "runtime.h"

/* Why there are no values any more. */
typedef enum clef__gone { CLEF__HERE, CLEF__DROPPED, CLEF__GIVEN_BACK } clef__gone;

struct clef_tensor {
	clef_device *dev;
	clef_dtype dtype;
	clef_shape shape;
	int64_t numel;
	clef__buffer *buffer; /* NULL: shape only, in the dry run that finds a model's parameters */
	size_t offset;        /* of the first element in the buffer, in elements */
	clef_tape *tape;      /* the owner; NULL: a leaf, which counts references and holds the device */
	int references;
	uint64_t recording; /* of the tape, at which this was made, 0 once it is over: to notice a use after that */
	struct clef__node *maker; /* of a tape's tensor: the node whose result it is, if any */
	int uses;                 /* and how often nodes take it */
	clef__gone gone;
	bool asked_grad;    /* clef_requires_grad() */
	bool requires_grad; /* asked, or depends on one that asked */
	clef_tensor *grad;  /* of a leaf: owned by it; of a tape's tensor: by the tape. NULL until needed */
	uint64_t grad_pass; /* the backward pass that wrote grad last; 0: none */
	uint64_t seen_pass; /* the one that will come to it */
	bool grad_fresh;    /* written since the optimizer's last step */
	clef_tensor *kept;  /* of a leaf: see clef__keep() */
	uint64_t kept_key, kept_changes;
};

/* As an argument of clef__launch(). */
#define CLEF__TENSOR(x) CLEF__BUFFER((x)->buffer, (x)->offset)

/* A leaf on part of a buffer, which it retains; buffer NULL: shape only, to be given one later. */
clef_tensor *clef__tensor_view(clef_device *dev, clef_dtype dtype, clef_shape shape, clef__buffer *buffer,
			       size_t offset);

void clef__tensor_retain(clef_tensor *leaf);

/* clef_write() for the first values of a tensor, whose memory is no other's. */
clef_status clef__tensor_start(clef_tensor *x, const void *data, size_t bytes);

/* Fails with "WHAT: ..." when x was of a recording that is over, or was given back before: its memory may be another
 * tensor's by now. */
clef_status clef__tensor_check(const char *what, const clef_tensor *x);

/* y = alpha * x + beta * y, elementwise, n = numel of both; at beta 0 y is not read. */
clef_status clef__axpby(float alpha, const clef_tensor *x, float beta, clef_tensor *y);

/*
 * y = alpha * (x summed over the dimensions where reduce[i]) + beta * y. x float32 of any shape; y has as many elements
 * as the kept dimensions of x, in their order. The order of summation depends on the shape alone. At beta 0 y is not
 * read. Sums of many values are made of partial sums, which keeps the rounding error small.
 */
clef_status clef__reduce_sum(const clef_tensor *x, const bool reduce[CLEF_MAX_DIMS], float alpha, float beta,
			     clef_tensor *y);

#endif
