/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that write layers as ONNX share. */
#ifndef CLEF_ONNX_INTERNAL_H
#define CLEF_ONNX_INTERNAL_H

#include "nn_internal.h"
#include "onnx_graph.h"

/* A layer on its way. */
typedef struct clef__onnx_job {
	clef__onnx *g;
	const clef_model *model;
	const clef_layer *layer;
	int index;          /* of a sequential model's layer; -1: of a forward function's */
	const char *name;   /* "3", "layer1.0.conv1" */
	clef_shape in, out; /* of x and the result, with a batch of one */
} clef__onnx_job;

/* Adds a layer's nodes behind x; the name of the result, or NULL with a message. */
const char *clef__onnx_layer(const clef__onnx_job *j, const char *x);
const char *clef__onnx_pointwise(const clef__onnx_job *j, const char *x);

/* The nodes of a model that is a forward function: onnx_function.c. The name of the result, or NULL with a message. */
const char *clef__onnx_function(clef__onnx *g, const clef_model *model);

/* NULL, with a message. */
const char *clef__onnx_refuse(const clef__onnx_job *j, const char *why);

/* Short words for what formulas are made of. */
static inline const char *un(const clef__onnx_job *j, const char *op, const char *x)
{
	return clef__onnx_unary(j->g, op, x);
}

static inline const char *bin(const clef__onnx_job *j, const char *op, const char *x, const char *y)
{
	return clef__onnx_binary(j->g, op, x, y);
}

static inline const char *number(const clef__onnx_job *j, float value)
{
	return clef__onnx_constant(j->g, value);
}

#endif
