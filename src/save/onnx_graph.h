/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A graph of ONNX while it is put together. Values between nodes have names, numbered as they come; a name is valid as
 * long as the graph. Whatever is given NULL for a name returns NULL, so that a failure is looked for once.
 */
#ifndef CLEF_ONNX_GRAPH_H
#define CLEF_ONNX_GRAPH_H

#include "protobuf.h"

typedef struct clef__onnx {
	clef__proto nodes;      /* GraphProto, nodes and initializers so far */
	clef__proto attributes; /* of the node to come */
	char **names;
	int count, capacity;
	bool failed; /* without memory */
} clef__onnx;

void clef__onnx_free(clef__onnx *g);

/* An attribute of the next node. */
void clef__onnx_int(clef__onnx *g, const char *name, int64_t value);
void clef__onnx_float(clef__onnx *g, const char *name, float value);
void clef__onnx_text(clef__onnx *g, const char *name, const char *value);
void clef__onnx_ints(clef__onnx *g, const char *name, const int64_t *values, int count);

/* A node with the attributes since the last one, and the name of its result. x[i] "" leaves an input out. */
const char *clef__onnx_node(clef__onnx *g, const char *op, const char *const *x, int inputs);
const char *clef__onnx_unary(clef__onnx *g, const char *op, const char *x);
const char *clef__onnx_binary(clef__onnx *g, const char *op, const char *x, const char *y);

/* A weight. name NULL: it gets one. */
const char *clef__onnx_floats(clef__onnx *g, const char *name, clef_shape shape, const float *values);
const char *clef__onnx_constant(clef__onnx *g, float value); /* a scalar */
const char *clef__onnx_sizes(clef__onnx *g, const int64_t *values, int count);

/* The whole model, whose first dimension of input and output is N. The result is taken out of the graph. */
clef__proto clef__onnx_model(clef__onnx *g, const char *result, bool indices, clef_shape input, clef_shape output);

#endif
