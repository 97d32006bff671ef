/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations at the sizes of real networks, forward and backward. Operands are leaves that require gradients, as
 * weights do; the gradient of the result is a tensor that is there already, so that the backward pass has no work but
 * the operation's own, and one launch of one element.
 */
#include <clef/bench.h>

#include "bench_op.h"

clef__bench_trait clef__bench_trait_of(const clef__problem *p)
{
	static const struct {
		const char *name;
		clef__bench_trait trait;
	} known[] = {
		{ "conv1d", { true, false, CLEF__WINOGRAD_SAVES } },
		{ "conv2d", { true, false, CLEF__WINOGRAD_SAVES } },
		{ "conv_transpose1d", { true, false, CLEF__WINOGRAD_SAVES } },
		{ "conv_transpose2d", { true, false, CLEF__WINOGRAD_SAVES } },
		{ "linear", { true, false, 1 } },
		{ "matmul", { true, false, 1 } },
		{ "matmul_trans", { true, false, 1 } },
		{ "slice", { false, true, 1 } },
		{ "split", { false, true, 1 } },
		{ "gather", { false, true, 1 } },
		{ "index_select", { false, true, 1 } },
		{ "embedding", { false, true, 1 } },
		{ "pad", { false, true, 1 } },
	};
	clef__bench_trait trait = { false, false, 1 };

	for (int i = 0; i < CLEF_COUNT(known); i++)
		if (!strcmp(p->family->name, known[i].name))
			trait = known[i].trait;
	/* An activation behind the products. */
	trait.products = trait.products && !strstr(p->text, " act=");
	return trait;
}

bool clef__bench_has_gradient(const clef__bench_op *op, int i)
{
	return !op->p.no_gradient && op->p.in[i].kind == CLEF__OPERAND_GRADIENT;
}

/* ---- a node whose backward pass hands down a given gradient ---- */

static clef_status seed_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	(void)n;
	(void)dtype;
	*shape = CLEF_SCALAR;
	return CLEF_OK;
}

static clef_status seed_forward(const clef__node *n)
{
	return clef_fill(n->y, 0);
}

/* dx takes the memory of the weights, and gives it back when the walk drops it. */
static clef_status seed_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef_tensor *weight = n->x[1];

	(void)dy;
	clef__buffer_release(dx[0].dx->buffer);
	dx[0].dx->buffer = weight->buffer;
	dx[0].dx->offset = weight->offset;
	clef__buffer_retain(weight->buffer);
	return CLEF_OK;
}

static const clef__op seed = { "bench", seed_infer, seed_forward, seed_backward };

static clef_tensor *seed_loss(clef__bench_op *op)
{
	clef_tensor *x[] = { op->y, op->weight_dev };

	return clef__apply(&seed, x, 2, NULL, 0);
}

/* ---- runs ---- */

clef_status clef__bench_forward(void *what)
{
	clef__bench_op *op = what;
	clef_status s = clef_tape_begin(op->tape);

	op->loss = NULL;
	op->y = s ? NULL : op->p.family->apply(op->x, op->p.opts);
	return op->y ? CLEF_OK : clef_error_status();
}

static clef_status backward(void *what)
{
	return clef_backward(((clef__bench_op *)what)->loss);
}

static clef_status prepare_backward(clef__bench_op *op)
{
	clef_shape shape = clef_tensor_shape(op->y);
	int64_t n = clef_tensor_numel(op->y);
	uint64_t state = 54321;

	op->weight = clef__calloc((size_t)n, sizeof(*op->weight), "a gradient");
	if (!op->weight)
		return CLEF_ERROR_MEMORY;
	for (int64_t i = 0; i < n; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		op->weight[i] = (float)(state >> 40) * 0x1p-23f - 1.0f;
	}
	op->weight_dev = clef_tensor_from(op->b->dev, &(clef_array){ CLEF_FLOAT32, shape, op->weight });
	op->loss = op->weight_dev ? seed_loss(op) : NULL;
	return op->loss ? CLEF_OK : clef_error_status();
}

/* ---- what is to be done by definition ---- */

static void count_work(const clef__bench_op *op, bool gradients, clef_bench_row *row)
{
	clef__bench_trait trait = clef__bench_trait_of(&op->p);
	double flops = op->p.family->flops ? op->p.family->flops(&op->p) : 0, y = (double)clef_tensor_numel(op->y);
	double numbers = y;
	int products = 0;

	for (int i = 0; i < op->p.operands; i++) {
		double n = (double)op->ref[i].numel;
		bool wanted = clef__bench_has_gradient(op, i);

		if (!gradients || flops > 0) /* what is not a product may need no values for its gradient */
			numbers += trait.parts ? CLEF__MIN(n, y) : n;
		if (gradients && wanted)
			numbers += n;
		products += wanted && i < 2;
	}
	row->flops = gradients ? flops * products : flops;
	row->bytes = sizeof(float) * numbers;
}

/* ---- rows ---- */

typedef struct pass {
	const char *name;
	clef__bench_fn *fn;
	char *(*check)(clef__bench_op *op, clef_status *status);
} pass;

static const pass passes[] = {
	{ "forward", clef__bench_forward, clef__bench_check_values },
	{ "backward", backward, clef__bench_check_gradients },
};

static clef_status measure(clef__bench_op *op, const pass *how, clef_bench_row *row)
{
	uint64_t launches = clef_device_get_stats(op->b->dev).launches;
	clef_status s = how->fn(op);
	char *wrong = NULL;

	row->launches = (double)(clef_device_get_stats(op->b->dev).launches - launches);
	if (!s)
		s = clef__bench_time(op->b, how->fn, op, &row->seconds);
	if (!s)
		wrong = how->check(op, &s);
	if (wrong)
		clef__bench_set_state(row, CLEF_BENCH_WRONG, wrong);
	row->error = op->error;
	return s;
}

/* One row, between two probes. False where there is no point in going on, or with a status. */
static bool run_pass(clef__bench_op *op, int index, clef_bench_probe *probe, clef_status *status)
{
	const pass *how = &passes[index];
	clef_bench_row *row = clef__bench_add(op->b, false, op->p.text, how->name, op->p.family->name);
	clef_bench_probe before = *probe;

	if (!row) {
		*status = clef_error_status();
		return false;
	}
	op->error = 0;
	if ((index && prepare_backward(op)) || measure(op, how, row))
		clef__bench_set_failed(row);
	*status = clef__bench_probe_now(op->b, probe);
	if (*status || !row->seconds.count)
		return false;
	/* A view is no work. */
	if (row->launches > 0)
		count_work(op, index > 0, row);
	clef__bench_judge(&op->b->result.limits, before, *probe, clef__bench_trait_of(&op->p).saves, row);
	return true;
}

static clef_status fill_operand(clef__bench_op *op, int i)
{
	int64_t n = clef_shape_numel(op->p.in[i].shape);
	clef_status s;

	op->host[i] = clef__calloc((size_t)n + 1, sizeof(float), "an operand");
	if (!op->host[i])
		return CLEF_ERROR_MEMORY;
	s = clef__problem_draw(&op->p, i, &op->ref[i], op->host[i]);
	if (!s)
		s = clef_write(op->x[i], op->host[i], (size_t)n * sizeof(float));
	return !s && clef__bench_has_gradient(op, i) ? clef_requires_grad(op->x[i], true) : s;
}

/* The device's memory first: where it does not do, nothing need be drawn. */
static clef_status open_op(clef__bench_op *op)
{
	clef_status s = CLEF_OK;

	for (int i = 0; i < op->p.operands; i++) {
		const clef__operand *in = &op->p.in[i];
		clef_dtype dtype = in->kind == CLEF__OPERAND_LABEL ? CLEF_INT32 : CLEF_FLOAT32;

		op->x[i] = clef_tensor_new(op->b->dev, dtype, in->shape);
		if (!op->x[i])
			return clef_error_status();
	}
	for (int i = 0; i < op->p.operands && !s; i++)
		s = fill_operand(op, i);
	if (s)
		return s;
	op->tape = clef_tape_new(op->b->dev);
	return op->tape ? CLEF_OK : clef_error_status();
}

static void close_op(clef__bench_op *op)
{
	clef_tape_free(op->tape);
	for (int i = 0; i < op->p.operands; i++) {
		clef_tensor_free(op->x[i]);
		free(op->ref[i].v);
		free(op->host[i]);
	}
	clef_tensor_free(op->weight_dev);
	free(op->weight);
}

static clef_status run(clef__bench_op *op)
{
	clef_bench_probe probe;
	clef_status s = clef__bench_probe_now(op->b, &probe);
	bool gradients = false, go_on;

	for (int i = 0; i < op->p.operands; i++)
		gradients |= clef__bench_has_gradient(op, i);
	if (!s && open_op(op)) {
		clef_bench_row *row = clef__bench_add(op->b, false, op->p.text, "forward", op->p.family->name);

		if (!row)
			return clef_error_status();
		clef__bench_set_failed(row);
		return CLEF_OK;
	}
	go_on = !s && run_pass(op, 0, &probe, &s);
	if (go_on && gradients)
		run_pass(op, 1, &probe, &s);
	return s;
}

static clef_status parse_operation(const char *problem, clef__problem *p)
{
	clef_status s = clef__problem_parse(problem, p);

	if (!s && !p->family->apply)
		return clef__fail(CLEF_ERROR_INVALID,
				  "\"%s\": %s is no operation that can be timed; updates and networks as a whole are "
				  "timed as networks",
				  problem, p->family->name);
	return s;
}

clef_status clef_bench_measurable(const char *problem)
{
	clef__problem *p;
	clef_status s;

	if (!problem)
		return clef__null_argument("clef_bench_measurable");
	p = clef__calloc(1, sizeof(*p), "a problem");
	s = p ? parse_operation(problem, p) : CLEF_ERROR_MEMORY;
	free(p);
	return s;
}

clef_status clef_bench_problem(clef_bench *b, const char *problem)
{
	clef__bench_op *op;
	clef_status s;

	if (!b || !problem)
		return clef__null_argument("clef_bench_problem");
	if (!b->result.limits.multiply_add.count)
		return clef__fail(CLEF_ERROR_STATE, "clef_bench_problem: call clef_bench_limits() first");
	op = clef__calloc(1, sizeof(*op), "a problem");
	if (!op)
		return CLEF_ERROR_MEMORY;
	op->b = b;
	s = parse_operation(problem, &op->p);
	if (!s)
		s = run(op);
	close_op(op);
	free(op);
	clef_device_trim(b->dev);
	return s;
}
