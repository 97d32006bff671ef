/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ModelProto and what is in it, by the field numbers of onnx.proto (IR version 10, operator set 21: the first with
 * group normalization as everybody else has it).
 */
#include "onnx_graph.h"

enum { IR_VERSION = 10, OPSET = 21 };

/* onnx.proto: the number of each field that is written here. */
enum {
	MODEL_IR_VERSION = 1,
	MODEL_PRODUCER = 2,
	MODEL_PRODUCER_VERSION = 3,
	MODEL_GRAPH = 7,
	MODEL_OPSET = 8,
	OPSET_VERSION = 2,
	GRAPH_NODE = 1,
	GRAPH_NAME = 2,
	GRAPH_INITIALIZER = 5,
	GRAPH_INPUT = 11,
	GRAPH_OUTPUT = 12,
	NODE_INPUT = 1,
	NODE_OUTPUT = 2,
	NODE_NAME = 3,
	NODE_OP = 4,
	NODE_ATTRIBUTE = 5,
	ATTRIBUTE_NAME = 1,
	ATTRIBUTE_F = 2,
	ATTRIBUTE_I = 3,
	ATTRIBUTE_S = 4,
	ATTRIBUTE_INTS = 8,
	ATTRIBUTE_TYPE = 20,
	TENSOR_DIMS = 1,
	TENSOR_TYPE = 2,
	TENSOR_NAME = 8,
	TENSOR_RAW = 9,
	VALUE_NAME = 1,
	VALUE_TYPE = 2,
	TYPE_TENSOR = 1,
	TENSOR_TYPE_ELEMENT = 1,
	TENSOR_TYPE_SHAPE = 2,
	SHAPE_DIM = 1,
	DIM_VALUE = 1,
	DIM_NAME = 2,
};

enum { TYPE_FLOAT = 1, TYPE_INT32 = 6, TYPE_INT64 = 7 };                                   /* of elements */
enum { ATTRIBUTE_FLOAT = 1, ATTRIBUTE_INT = 2, ATTRIBUTE_STRING = 3, ATTRIBUTE_LIST = 7 }; /* of attributes */

void clef__onnx_free(clef__onnx *g)
{
	for (int i = 0; i < g->count; i++)
		free(g->names[i]);
	free(g->names);
	free(g->nodes.bytes);
	free(g->attributes.bytes);
}

/* ---- attributes ---- */

static void attribute(clef__onnx *g, const char *name, int type, clef__proto *value)
{
	clef__proto a = { .used = 0 };

	clef__proto_text(&a, ATTRIBUTE_NAME, name);
	clef__proto_int(&a, ATTRIBUTE_TYPE, type);
	clef__proto_join(&a, value);
	free(value->bytes);
	clef__proto_message(&g->attributes, NODE_ATTRIBUTE, &a);
}

void clef__onnx_int(clef__onnx *g, const char *name, int64_t value)
{
	clef__proto v = { .used = 0 };

	clef__proto_int(&v, ATTRIBUTE_I, value);
	attribute(g, name, ATTRIBUTE_INT, &v);
}

void clef__onnx_float(clef__onnx *g, const char *name, float value)
{
	clef__proto v = { .used = 0 };

	clef__proto_float(&v, ATTRIBUTE_F, value);
	attribute(g, name, ATTRIBUTE_FLOAT, &v);
}

void clef__onnx_text(clef__onnx *g, const char *name, const char *value)
{
	clef__proto v = { .used = 0 };

	clef__proto_text(&v, ATTRIBUTE_S, value);
	attribute(g, name, ATTRIBUTE_STRING, &v);
}

void clef__onnx_ints(clef__onnx *g, const char *name, const int64_t *values, int count)
{
	clef__proto v = { .used = 0 };

	for (int i = 0; i < count; i++)
		clef__proto_int(&v, ATTRIBUTE_INTS, values[i]);
	attribute(g, name, ATTRIBUTE_LIST, &v);
}

/* ---- nodes ---- */

static const char *keep(clef__onnx *g, char *name)
{
	if (!name || clef__grow(&g->names, &g->capacity, g->count + 1, sizeof(*g->names), "names")) {
		free(name);
		g->failed = true;
		return NULL;
	}
	return g->names[g->count++] = name;
}

const char *clef__onnx_node(clef__onnx *g, const char *op, const char *const *x, int inputs)
{
	const char *y = keep(g, clef__format("t%d", g->count));
	clef__proto node = { .used = 0 };

	for (int i = 0; i < inputs && y; i++)
		y = x[i] ? y : NULL;
	if (!y)
		return NULL;
	for (int i = 0; i < inputs; i++)
		clef__proto_text(&node, NODE_INPUT, x[i]);
	clef__proto_text(&node, NODE_OUTPUT, y);
	clef__proto_text(&node, NODE_NAME, y);
	clef__proto_text(&node, NODE_OP, op);
	clef__proto_join(&node, &g->attributes);
	clef__proto_message(&g->nodes, GRAPH_NODE, &node);
	return y;
}

const char *clef__onnx_unary(clef__onnx *g, const char *op, const char *x)
{
	return clef__onnx_node(g, op, &x, 1);
}

const char *clef__onnx_binary(clef__onnx *g, const char *op, const char *x, const char *y)
{
	return clef__onnx_node(g, op, (const char *const[]){ x, y }, 2);
}

/* ---- weights ---- */

static const char *initializer(clef__onnx *g, const char *name, int type, clef_shape shape, const void *values,
			       size_t size)
{
	clef__proto t = { .used = 0 };

	name = keep(g, name ? clef__strdup(name) : clef__format("c%d", g->count));
	if (!name)
		return NULL;
	for (int i = 0; i < shape.ndim; i++)
		clef__proto_int(&t, TENSOR_DIMS, shape.dim[i]);
	clef__proto_int(&t, TENSOR_TYPE, type);
	clef__proto_text(&t, TENSOR_NAME, name);
	clef__proto_bytes(&t, TENSOR_RAW, values, size);
	clef__proto_message(&g->nodes, GRAPH_INITIALIZER, &t);
	return name;
}

const char *clef__onnx_floats(clef__onnx *g, const char *name, clef_shape shape, const float *values)
{
	return initializer(g, name, TYPE_FLOAT, shape, values, (size_t)clef_shape_numel(shape) * sizeof(float));
}

const char *clef__onnx_constant(clef__onnx *g, float value)
{
	return clef__onnx_floats(g, NULL, CLEF_SCALAR, &value);
}

const char *clef__onnx_sizes(clef__onnx *g, const int64_t *values, int count)
{
	return initializer(g, NULL, TYPE_INT64, CLEF_SHAPE(count), values, (size_t)count * sizeof(*values));
}

/* ---- the model ---- */

static void value_info(clef__proto *graph, int field, const char *name, int type, clef_shape sample)
{
	clef__proto value = { .used = 0 }, of = { .used = 0 }, tensor = { .used = 0 }, shape = { .used = 0 };

	for (int i = -1; i < sample.ndim; i++) {
		clef__proto dim = { .used = 0 };

		if (i < 0)
			clef__proto_text(&dim, DIM_NAME, "N");
		else
			clef__proto_int(&dim, DIM_VALUE, sample.dim[i]);
		clef__proto_message(&shape, SHAPE_DIM, &dim);
	}
	clef__proto_int(&tensor, TENSOR_TYPE_ELEMENT, type);
	clef__proto_message(&tensor, TENSOR_TYPE_SHAPE, &shape);
	clef__proto_message(&of, TYPE_TENSOR, &tensor);
	clef__proto_text(&value, VALUE_NAME, name);
	clef__proto_message(&value, VALUE_TYPE, &of);
	clef__proto_message(graph, field, &value);
}

clef__proto clef__onnx_model(clef__onnx *g, const char *result, bool indices, clef_shape input, clef_shape output)
{
	clef__proto model = { .used = 0 }, opset = { .used = 0 };

	clef__proto_text(&g->nodes, GRAPH_NAME, "clef");
	value_info(&g->nodes, GRAPH_INPUT, "x", indices ? TYPE_INT32 : TYPE_FLOAT, input);
	value_info(&g->nodes, GRAPH_OUTPUT, result, TYPE_FLOAT, output);
	clef__proto_int(&opset, OPSET_VERSION, OPSET);
	clef__proto_int(&model, MODEL_IR_VERSION, IR_VERSION);
	clef__proto_text(&model, MODEL_PRODUCER, "clef");
	clef__proto_text(&model, MODEL_PRODUCER_VERSION, clef_version());
	clef__proto_message(&model, MODEL_OPSET, &opset);
	model.failed |= g->failed || g->attributes.failed;
	clef__proto_message(&model, MODEL_GRAPH, &g->nodes);
	return model;
}
