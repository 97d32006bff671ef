/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recording. A tape owns its nodes and tensors in two arrays that only grow: beginning a recording sets their counts to
 * zero and gives the buffers back to the pool, which hands the same ones out again in the same order.
 */
#include "arena.h"

clef_tape *clef_tape_new(clef_device *dev)
{
	clef_tape *tape;

	if (!dev) {
		clef__null_argument("clef_tape_new");
		return NULL;
	}
	tape = clef__calloc(1, sizeof(*tape), "a tape");
	if (!tape)
		return NULL;
	tape->dev = dev;
	clef__device_retain(dev);
	return tape;
}

static void drop_recording(clef_tape *tape)
{
	for (int i = 0; i < tape->node_count; i++)
		for (int j = 0; j < tape->nodes[i]->inputs; j++)
			if (!tape->nodes[i]->x[j]->tape)
				clef_tensor_free(tape->nodes[i]->x[j]);
	for (int i = 0; i < tape->tensor_count; i++) {
		clef__buffer_release(tape->tensors[i]->buffer);
		tape->tensors[i]->buffer = NULL;
		tape->tensors[i]->recording = 0;
	}
	tape->node_count = 0;
	tape->tensor_count = 0;
	clef__arena_reset(&tape->arena);
}

void clef_tape_free(clef_tape *tape)
{
	clef_device *dev;

	if (!tape)
		return;
	dev = tape->dev;
	drop_recording(tape);
	for (int i = 0; i < tape->node_capacity; i++)
		free(tape->nodes[i]);
	for (int i = 0; i < tape->tensor_capacity; i++)
		free(tape->tensors[i]);
	free(tape->nodes);
	free(tape->tensors);
	clef__arena_free(&tape->arena);
	if (clef__device_get_tape(dev) == tape)
		clef__device_set_tape(dev, NULL);
	free(tape);
	clef__device_release(dev);
}

static clef_status begin(const char *what, clef_tape *tape, bool no_grad, bool dry)
{
	if (!tape)
		return clef__null_argument(what);
	drop_recording(tape);
	clef__pool_settle(tape->dev);
	tape->begun = true;
	tape->no_grad = no_grad;
	tape->dry = dry;
	tape->label = NULL;
	tape->given_back = false;
	tape->recording++;
	clef__device_set_tape(tape->dev, tape);
	return CLEF_OK;
}

clef_status clef_tape_begin(clef_tape *tape)
{
	return begin("clef_tape_begin", tape, false, false);
}

clef_status clef_tape_begin_no_grad(clef_tape *tape)
{
	return begin("clef_tape_begin_no_grad", tape, true, false);
}

clef_status clef__tape_begin_dry(clef_tape *tape)
{
	return begin("clef__tape_begin_dry", tape, false, true);
}

bool clef__tape_is_dry(const clef_tape *tape)
{
	return tape->dry;
}

bool clef__tape_records_gradients(const clef_tape *tape)
{
	return !tape->no_grad;
}

clef_status clef__tape_label(clef_tape *tape, const char *label)
{
	size_t size = label ? strlen(label) + 1 : 0;
	char *copy = label ? clef__arena_alloc(&tape->arena, size) : NULL;

	if (copy)
		memcpy(copy, label, size);
	tape->label = copy;
	return copy || !label ? CLEF_OK : CLEF_ERROR_MEMORY;
}

int clef__tape_count(const clef_tape *tape)
{
	return tape->node_count;
}

const clef__node *clef__tape_node(const clef_tape *tape, int i)
{
	return tape->nodes[i];
}

/* ---- tensors of the tape ---- */

clef_tensor *clef__tape_tensor(clef_tape *tape, clef_dtype dtype, clef_shape shape)
{
	clef_tensor *x;

	if (clef__grow(&tape->tensors, &tape->tensor_capacity, tape->tensor_count + 1, sizeof(clef_tensor *), "a tape"))
		return NULL;
	x = tape->tensors[tape->tensor_count];
	if (!x) {
		x = clef__calloc(1, sizeof(*x), "a tensor");
		if (!x)
			return NULL;
		tape->tensors[tape->tensor_count] = x;
	}
	tape->tensor_count++;
	*x = (clef_tensor){ .dev = tape->dev,
			    .dtype = dtype,
			    .shape = shape,
			    .numel = clef_shape_numel(shape),
			    .tape = tape,
			    .recording = tape->recording };
	return x;
}

clef_status clef__tape_allocate(clef_tensor *x, bool brief)
{
	const size_t bytes = (size_t)x->numel * clef_dtype_size(x->dtype);

	if (x->tape->dry)
		return CLEF_OK;
	x->buffer = brief ? clef__buffer_new_brief(x->dev, bytes) : clef__buffer_new(x->dev, bytes);
	return x->buffer ? CLEF_OK : clef_error_status();
}

static clef_tensor *new_input(const char *what, clef_tape *tape, clef_dtype dtype, clef_shape shape)
{
	clef_tensor *x;

	if (!tape->begun)
		return clef__fail_null(CLEF_ERROR_STATE, "%s: the tape has not been begun: call clef_tape_begin()",
				       what);
	if (!clef_dtype_size(dtype))
		return clef__fail_null(CLEF_ERROR_DTYPE, "%s: %d is no data type", what, (int)dtype);
	if (clef_shape_numel(shape) < 0)
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "%s: shape %s of %d dimensions: at most %d dimensions and 2^31 - 1 elements, "
				       "none negative",
				       what, CLEF__SHAPE_TEXT(shape), shape.ndim, CLEF_MAX_DIMS);
	x = clef__tape_tensor(tape, dtype, shape);
	return x && !clef__tape_allocate(x, false) ? x : NULL;
}

clef_tensor *clef__tape_placeholder(clef_tape *tape, clef_dtype dtype, clef_shape shape)
{
	return new_input("clef__tape_placeholder", tape, dtype, shape);
}

clef_tensor *clef_input(clef_tape *tape, const clef_array *array)
{
	clef_tensor *x;

	if (!tape || !array) {
		clef__null_argument("clef_input");
		return NULL;
	}
	x = new_input("clef_input", tape, array->dtype, array->shape);
	if (x && !tape->dry && clef__tensor_start(x, array->data, (size_t)x->numel * clef_dtype_size(x->dtype)))
		return NULL;
	return x;
}

clef_status clef__save(clef__node *n, int i, clef_dtype dtype, clef_shape shape)
{
	n->saved[i] = clef__tape_tensor(n->tape, dtype, shape);
	return n->saved[i] ? clef__tape_allocate(n->saved[i], false) : CLEF_ERROR_MEMORY;
}

clef_tensor *clef__scratch(const clef__node *n, clef_dtype dtype, clef_shape shape)
{
	clef_tensor *x = clef__tape_tensor(n->tape, dtype, shape);

	return x && !clef__tape_allocate(x, true) ? x : NULL;
}

void clef__scratch_free(clef_tensor *x)
{
	if (!x)
		return;
	clef__buffer_release(x->buffer);
	x->buffer = NULL;
}

/* ---- what is not needed any more ---- */

static void lose_memory(clef_tensor *x, clef__gone gone)
{
	if (!x)
		return;
	clef__buffer_release(x->buffer);
	x->buffer = NULL;
	x->gone = gone;
}

void clef__result_done(const clef__node *n)
{
	if (n->given_back)
		lose_memory(n->y, n->y->gone ? n->y->gone : CLEF__GIVEN_BACK);
}

void clef__tape_give_back(const clef__node *n)
{
	clef__result_done(n);
	for (int i = 0; i < CLEF_COUNT(n->saved) && n->given_back; i++)
		lose_memory(n->saved[i], CLEF__GIVEN_BACK);
}

void clef__tape_enclose(clef_tape *tape, int first, const clef_tensor *result)
{
	for (int i = first; i < tape->node_count; i++)
		tape->nodes[i]->inner |= tape->nodes[i]->y != result;
}

void clef__tape_hold(clef_tape *tape, bool yes)
{
	tape->held = yes;
}

clef_status clef_tape_retain(clef_tape *tape, bool yes)
{
	if (!tape)
		return clef__null_argument("clef_tape_retain");
	tape->retain = yes;
	return CLEF_OK;
}

static bool needs(const clef__node *n, int i)
{
	return n->y->requires_grad && n->op->backward && n->op->forward && (!n->op->needs || n->op->needs(n, i));
}

void clef__tape_leave(clef__node *n)
{
	if (!n->inner || n->tape->retain || n->y->asked_grad)
		return;
	n->given_back = n->tape->given_back = true;
	if (!needs(n, -1))
		clef__result_done(n);
}

/* Whether the gradients of what has been recorded need its values. `maker`: the node that it is the result of. */
static bool is_needed(const clef_tensor *x, clef__node **maker)
{
	bool needed = false;

	*maker = NULL;
	for (int i = x->tape->node_count - 1; i >= 0 && !*maker; i--) {
		clef__node *n = x->tape->nodes[i];

		for (int j = 0; j < n->inputs; j++)
			needed |= n->x[j] == x && needs(n, j);
		if (n->y == x) {
			needed |= needs(n, -1);
			*maker = n;
		}
	}
	return needed;
}

void clef_tensor_drop(clef_tensor *x)
{
	clef__node *maker;
	bool needed;

	if (!x || !x->tape || !x->recording || x->gone)
		return;
	x->gone = CLEF__DROPPED;
	if (x->tape->retain || x->tape->held)
		return;
	needed = is_needed(x, &maker);
	if (maker && needed)
		maker->inner = true;
	if (!needed)
		lose_memory(x, CLEF__DROPPED);
}

/* ---- operations ---- */

clef_status clef__op_fail(const clef__node *n, clef_status status, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return clef__fail(status, "%s: %s", n->op->name, text);
}

clef_status clef__op_dtype(const clef__node *n, int i, const char *argument, clef_dtype dtype)
{
	if (n->x[i]->dtype == dtype)
		return CLEF_OK;
	return clef__op_fail(n, CLEF_ERROR_DTYPE, "%s is %s, expected %s", argument, clef_dtype_name(n->x[i]->dtype),
			     clef_dtype_name(dtype));
}

/* The tape that the inputs are on; that of the device for leaves alone. */
static clef_tape *find_tape(const clef__op *op, clef_tensor *const *x, int inputs)
{
	clef_tape *tape = NULL;

	for (int i = 0; i < inputs; i++) {
		if (!x[i]) {
			clef__null_argument(op->name);
			return NULL;
		}
		if (x[i]->dev != x[0]->dev)
			return clef__fail_null(CLEF_ERROR_INVALID, "%s: tensors of two devices, %s and %s", op->name,
					       clef_device_get_info(x[0]->dev)->name,
					       clef_device_get_info(x[i]->dev)->name);
		if (x[i]->tape && x[i]->recording != x[i]->tape->recording)
			return clef__fail_null(CLEF_ERROR_STATE,
					       "%s: argument %d was made before the last clef_tape_begin() of its tape",
					       op->name, i + 1);
		if (x[i]->gone && clef__tensor_check(op->name, x[i]))
			return NULL;
		if (x[i]->tape && tape && x[i]->tape != tape)
			return clef__fail_null(CLEF_ERROR_INVALID, "%s: tensors of two tapes", op->name);
		if (x[i]->tape)
			tape = x[i]->tape;
	}
	if (!tape)
		tape = clef__device_get_tape(x[0]->dev);
	if (!tape)
		return clef__fail_null(CLEF_ERROR_STATE, "%s: no tape has been begun: call clef_tape_begin()",
				       op->name);
	for (int i = 0; i < inputs && !tape->dry; i++)
		if (!x[i]->buffer)
			return clef__fail_null(CLEF_ERROR_STATE,
					       "%s: argument %d has no values yet: call clef_params_commit()", op->name,
					       i + 1);
	return tape;
}

static clef__node *new_node(clef_tape *tape)
{
	if (clef__grow(&tape->nodes, &tape->node_capacity, tape->node_count + 1, sizeof(clef__node *), "a tape"))
		return NULL;
	if (!tape->nodes[tape->node_count])
		tape->nodes[tape->node_count] = clef__calloc(1, sizeof(clef__node), "a tape");
	return tape->nodes[tape->node_count];
}

static clef_status fill_node(clef__node *n, clef_tape *tape, const clef__op *op, clef_tensor *const *x, int inputs,
			     const void *opts, size_t opts_size)
{
	void *copy = opts_size ? clef__arena_alloc(&tape->arena, opts_size) : NULL;

	*n = (clef__node){ .op = op, .tape = tape, .inputs = inputs, .label = tape->label, .opts = copy };
	n->x = clef__arena_alloc(&tape->arena, (size_t)inputs * sizeof(clef_tensor *));
	if (!n->x || (opts_size && !copy))
		return CLEF_ERROR_MEMORY;
	memcpy(n->x, x, (size_t)inputs * sizeof(clef_tensor *));
	if (opts_size)
		memcpy(copy, opts, opts_size);
	return CLEF_OK;
}

static clef_status run_node(clef__node *n)
{
	clef_shape shape = CLEF_SCALAR;
	clef_dtype dtype = CLEF_FLOAT32;
	clef_status status = n->op->infer(n, &shape, &dtype);

	if (status)
		return status;
	n->y = clef__tape_tensor(n->tape, dtype, shape);
	if (!n->y)
		return CLEF_ERROR_MEMORY;
	for (int i = 0; i < n->inputs; i++)
		n->y->requires_grad |= n->x[i]->requires_grad && n->op->backward && !n->tape->no_grad;
	if (!n->op->forward) {
		n->y->buffer = n->x[0]->buffer;
		n->y->offset = n->x[0]->offset;
		if (n->y->buffer)
			clef__buffer_retain(n->y->buffer);
		return CLEF_OK;
	}
	status = clef__tape_allocate(n->y, false);
	if (status || n->tape->dry)
		return status;
	clef__device_forward(n->tape->dev, true);
	status = n->op->forward(n);
	clef__device_forward(n->tape->dev, false);
	return status;
}

clef_tensor *clef__apply(const clef__op *op, clef_tensor *const *x, int inputs, const void *opts, size_t opts_size)
{
	clef_tape *tape = find_tape(op, x, inputs);
	clef__node *n = tape ? new_node(tape) : NULL;

	if (!n || fill_node(n, tape, op, x, inputs, opts, opts_size) || run_node(n))
		return NULL;
	for (int i = 0; i < inputs; i++)
		if (x[i]->tape)
			x[i]->uses++;
		else
			clef__tensor_retain(x[i]);
	n->y->maker = n;
	tape->node_count++;
	return n->y;
}
