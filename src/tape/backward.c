/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gradients. One walk over the recording from its end: each node adds to the gradients of its inputs, and then its own
 * result's gradient is not needed any more and its memory goes to the next, at once where an operation can work in
 * place. The first term of a gradient is written
 * with beta 0 and the others are added with beta 1, in the order of the walk, so sums are the same in every run and
 * nothing has to be zeroed.
 */
#include <stdatomic.h>

#include "arena.h"

/* Numbers the backward passes of all tapes, so that a leaf can tell which pass wrote its gradient. */
static _Atomic uint64_t passes;

clef_status clef_requires_grad(clef_tensor *x, bool yes)
{
	if (!x)
		return clef__null_argument("clef_requires_grad");
	if (clef__tensor_check("clef_requires_grad", x))
		return CLEF_ERROR_STATE;
	if (x->dtype != CLEF_FLOAT32)
		return clef__fail(CLEF_ERROR_DTYPE, "clef_requires_grad: the tensor is %s; only float32 has gradients",
				  clef_dtype_name(x->dtype));
	if (!yes && x->tape)
		return clef__fail(CLEF_ERROR_STATE, "clef_requires_grad: only a leaf can stop requiring a gradient; "
						    "clef_detach() cuts a tensor of a tape off");
	x->asked_grad = yes;
	x->requires_grad = yes;
	return CLEF_OK;
}

clef_tensor *clef_grad(const clef_tensor *x)
{
	if (!x) {
		clef__null_argument("clef_grad");
		return NULL;
	}
	if (clef__tensor_check("clef_grad", x))
		return NULL;
	if (!x->asked_grad)
		return clef__fail_null(CLEF_ERROR_STATE,
				       "clef_grad: the tensor %s did not ask for a gradient: call clef_requires_grad()",
				       CLEF__SHAPE_TEXT(x->shape));
	if (!x->grad || !x->grad_pass)
		return clef__fail_null(CLEF_ERROR_STATE, "clef_grad: no clef_backward() has reached the tensor %s yet",
				       CLEF__SHAPE_TEXT(x->shape));
	return x->grad;
}

/* In the memory of `from`, if there is one. */
static clef_status make_grad(clef_tensor *x, const clef_tensor *from)
{
	if (!x->tape) {
		x->grad = clef_tensor_new(x->dev, CLEF_FLOAT32, x->shape);
		return x->grad ? CLEF_OK : clef_error_status();
	}
	x->grad = clef__tape_tensor(x->tape, CLEF_FLOAT32, x->shape);
	if (!x->grad || !from)
		return x->grad ? clef__tape_allocate(x->grad, true) : CLEF_ERROR_MEMORY;
	clef__buffer_retain(from->buffer);
	x->grad->buffer = from->buffer;
	x->grad->offset = from->offset;
	return CLEF_OK;
}

/* Whether the gradient of x[0] may begin where that of the result ends, which no one reads afterwards. */
static bool passes_memory(const clef__node *n, uint64_t pass)
{
	const clef_tensor *x = n->x[0];

	return n->op->in_place && x->tape && x->grad_pass != pass && !n->y->asked_grad && x->numel == n->y->numel &&
	       n->op->in_place(n);
}

bool clef__in_place(const clef__node *n)
{
	(void)n;
	return true;
}

bool clef__needs_nothing(const clef__node *n, int i)
{
	(void)n;
	(void)i;
	return false;
}

clef_status clef__pass_gradient(const clef_tensor *dy, const clef__grad *dx)
{
	if (!dx->dx || (dx->beta == 0 && dx->dx->buffer == dy->buffer && dx->dx->offset == dy->offset))
		return CLEF_OK;
	return clef__axpby(1, dy, dx->beta, dx->dx);
}

/* The relu that the gradient of x[0] passes next, and no other gradient with it. Views of all of its result are the
 * same values. */
static clef__node *relu_behind(const clef__node *n)
{
	while (n) {
		const clef_tensor *x = n->x[0];
		clef__node *maker = x->uses == 1 && !x->asked_grad ? x->maker : NULL;

		if (maker && maker->op->is_relu && maker->op->is_relu(maker))
			return maker;
		n = maker && !maker->op->forward && maker->op->backward && maker->x[0]->numel == x->numel ? maker
													  : NULL;
	}
	return NULL;
}

/* Whether the gradient of x[0] begins where x[0] itself is: it is the result of that relu, the tape alone has it, and
 * nobody reads it any more. Then it is as good as given back, also where this pass fails before it gets to the relu. */
static bool takes_memory(const clef__node *n, clef__node *relu)
{
	if (!relu || relu->y != n->x[0] || !relu->inner || n->tape->retain || !n->op->over_gate || !n->op->over_gate(n))
		return false;
	relu->given_back = n->tape->given_back = true;
	return true;
}

/* Where the next term of the gradient of x goes in this pass; from: the memory that it may take for the first. */
static clef_status grad_target(clef_tensor *x, uint64_t pass, bool accumulate, const clef_tensor *from,
			       clef__grad *target)
{
	bool first = x->grad_pass != pass;

	if (!x->grad || (x->tape && first)) {
		clef_status status = make_grad(x, from);

		if (status)
			return status;
	}
	target->dx = x->grad;
	target->beta = !first || (accumulate && !x->tape && x->grad_fresh) ? 1.0f : 0.0f;
	x->grad_pass = pass;
	x->grad_fresh = true;
	return CLEF_OK;
}

static bool is_reached(const clef__node *n, uint64_t y_pass, uint64_t pass)
{
	return n->y->requires_grad && y_pass == pass && n->op->backward;
}

/* Before a pass over a recording that one has been over. */
static clef_status check_tensors(const char *what, const clef_tape *tape, clef_tensor *loss, uint64_t pass)
{
	loss->seen_pass = pass;
	for (int i = tape->node_count - 1; i >= 0; i--) {
		const clef__node *n = tape->nodes[i];

		if (!is_reached(n, n->y->seen_pass, pass))
			continue;
		if (n->given_back)
			return clef__fail(CLEF_ERROR_STATE,
					  "%s: a second time over the forward pass of a model, whose tensors the "
					  "first time gave back; to keep them call clef_tape_retain(tape, true) before "
					  "it",
					  what);
		for (int j = 0; j < n->inputs; j++)
			n->x[j]->seen_pass = pass;
	}
	return CLEF_OK;
}

static clef_status node_backward(clef__node *n, uint64_t pass, bool accumulate, clef__grad *grads)
{
	clef_tensor *y = n->y;
	clef_status status = CLEF_OK;
	clef__node *relu;

	if (!is_reached(n, y->grad_pass, pass))
		return CLEF_OK;
	clef__tape_leave(n);
	relu = n->op->heeds_gate && n->x[0]->requires_grad && n->x[0]->grad_pass != pass ? relu_behind(n) : NULL;
	for (int i = 0; i < n->inputs && !status; i++) {
		const clef_tensor *from = i > 0                    ? NULL
					  : passes_memory(n, pass) ? y->grad
					  : takes_memory(n, relu)  ? n->x[0]
								   : NULL;

		grads[i] = (clef__grad){ NULL, 0, NULL };
		if (n->x[i]->requires_grad)
			status = grad_target(n->x[i], pass, accumulate, from, &grads[i]);
	}
	if (relu && !status) {
		relu->gated = true;
		grads[0].gate = n->x[0];
	}
	if (!status)
		status = n->op->backward(n, y->grad, grads);
	n->gated = false;
	if (!y->asked_grad)
		clef__scratch_free(y->grad);
	clef__tape_give_back(n);
	return status;
}

static clef_status check_loss(const char *what, const clef_tensor *loss)
{
	if (!loss)
		return clef__null_argument(what);
	if (loss->numel != 1)
		return clef__fail(CLEF_ERROR_SHAPE, "%s: the loss has shape %s; it must have one element", what,
				  CLEF__SHAPE_TEXT(loss->shape));
	if (!loss->tape || loss->recording != loss->tape->recording)
		return clef__fail(CLEF_ERROR_STATE, "%s: the loss is not a result of the current recording", what);
	if (loss->tape->dry)
		return clef__fail(CLEF_ERROR_STATE, "%s: called in the forward function of a model", what);
	if (!loss->requires_grad)
		return clef__fail(CLEF_ERROR_STATE, "%s: nothing that the loss depends on requires a gradient%s", what,
				  loss->tape->no_grad ? ": the tape was begun with clef_tape_begin_no_grad()" : "");
	return CLEF_OK;
}

static clef_status backward(const char *what, clef_tensor *loss, bool accumulate)
{
	clef_status status = check_loss(what, loss);
	const uint64_t pass = ++passes;
	clef__grad start, *grads;
	clef_tape *tape;
	int most = 0;

	if (status)
		return status;
	tape = loss->tape;
	if (tape->given_back && check_tensors(what, tape, loss, pass))
		return clef_error_status();
	for (int i = 0; i < tape->node_count; i++)
		most = CLEF__MAX(most, tape->nodes[i]->inputs);
	grads = clef__arena_alloc(&tape->arena, (size_t)most * sizeof(clef__grad));
	if (!grads)
		return CLEF_ERROR_MEMORY;
	status = grad_target(loss, pass, false, NULL, &start);
	if (!status)
		status = clef_fill(start.dx, 1);
	for (int i = tape->node_count - 1; i >= 0 && !status; i--)
		status = node_backward(tape->nodes[i], pass, accumulate, grads);
	return status;
}

clef_status clef_backward(clef_tensor *loss)
{
	return backward("clef_backward", loss, false);
}

clef_status clef_backward_add(clef_tensor *loss)
{
	return backward("clef_backward_add", loss, true);
}

/* ---- detach ---- */

static clef_status infer_detach(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	*shape = n->x[0]->shape;
	*dtype = n->x[0]->dtype;
	return CLEF_OK;
}

static const clef__op detach = { "detach", infer_detach, NULL, NULL };

clef_tensor *clef_detach(clef_tensor *x)
{
	return clef__apply(&detach, &x, 1, NULL, 0);
}
