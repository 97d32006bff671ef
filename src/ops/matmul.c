/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of batches of matrices. Forward and backward, what is wanted is C = op(A) op(B) for every index of the
 * batch, each operand with its own steps through the batch's dimensions. A step of 0 repeats A or B, and adds up in C:
 * such is the gradient of an operand that was repeated. Dimensions that all three walk alike are made one. Then
 *
 *   - a dimension that continues the rows of the product, or those that it sums over, makes one longer product;
 *   - other sums are made of a batch of products, in a scratch tensor, and added up from there;
 *   - of the dimensions left the largest is the batch of one call of the runtime, and the host loops over the others,
 *     which there are only where both operands repeat, each along dimensions of its own.
 *
 * All that depends on the shapes alone, so results are the same in every run.
 */
#include <clef/ops.h>

#include "tape.h"

#define MAX_BATCH (CLEF_MAX_DIMS - 2)
/* Elements of scratch. Where sums would need more, products are added to C one after another. */
#define MAX_SCRATCH ((int64_t)1 << 26)

enum { A, B, C };

typedef struct matmul_opts {
	bool trans[2];
} matmul_opts;

/* A tensor as matrices of rows x columns, and its steps along the dimensions of the batch, innermost first. */
typedef struct operand {
	const clef_tensor *x;
	int rows, columns;
	int64_t step[MAX_BATCH];
} operand;

typedef struct view {
	bool nothing; /* no product has anything to add up: then other sizes may be beyond all bounds */
	int ndim;
	int64_t size[MAX_BATCH];
	operand operand[3]; /* a, b, y */
} view;

/* Dimensions of the batch, joined. */
typedef struct group {
	int64_t size, step[3];
} group;

typedef struct product {
	const clef_tensor *x[3];
	bool trans[2], nothing;
	int m, n, k, ld[3];
	int groups;
	group group[MAX_BATCH];
} product;

/* ---- shapes ---- */

/* Dimension i of the batch, counted from the innermost, or 1 where there is none. */
static int64_t batch_dim(const clef_shape *s, int i)
{
	return i + 2 < s->ndim ? s->dim[s->ndim - 3 - i] : 1;
}

static int batch_dims(const clef_shape *a, const clef_shape *b)
{
	return CLEF__MAX(CLEF__MAX(a->ndim, b->ndim) - 2, 0);
}

/* The matrices of a, for which one dimension is a row, or those of b, for which it is a column. */
static void matrix_size(const clef_shape *s, int which, int64_t *rows, int64_t *columns)
{
	bool vector = s->ndim == 1;

	*rows = vector ? (which == A ? 1 : s->dim[0]) : s->dim[s->ndim - 2];
	*columns = vector && which == B ? 1 : s->dim[s->ndim - 1];
}

static clef_status fail(const clef__node *n, const char *expected)
{
	const matmul_opts *o = n->opts;

	return clef__op_fail(n, CLEF_ERROR_SHAPE, "a %s%s and b %s%s, expected %s", CLEF__SHAPE_TEXT(n->x[A]->shape),
			     o->trans[A] ? " transposed" : "", CLEF__SHAPE_TEXT(n->x[B]->shape),
			     o->trans[B] ? " transposed" : "", expected);
}

static clef_status check(const clef__node *n)
{
	const matmul_opts *o = n->opts;
	const clef_shape *a = &n->x[A]->shape, *b = &n->x[B]->shape;
	int64_t size[2][2];
	clef_status status = clef__op_dtype(n, A, "a", CLEF_FLOAT32);

	if (!status)
		status = clef__op_dtype(n, B, "b", CLEF_FLOAT32);
	if (status)
		return status;
	if (a->ndim < 1 || b->ndim < 1)
		return fail(n, "at least one dimension each");
	if ((o->trans[A] && a->ndim < 2) || (o->trans[B] && b->ndim < 2))
		return fail(n, "at least two dimensions of what is transposed");
	matrix_size(a, A, &size[A][0], &size[A][1]);
	matrix_size(b, B, &size[B][0], &size[B][1]);
	if (size[A][!o->trans[A]] != size[B][o->trans[B]])
		return fail(n, "[..., m, k] and [..., k, n]");
	for (int i = 0; i < batch_dims(a, b); i++)
		if (batch_dim(a, i) != batch_dim(b, i) && batch_dim(a, i) != 1 && batch_dim(b, i) != 1)
			return fail(n, "dimensions before the last two that are equal or 1");
	return CLEF_OK;
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const matmul_opts *o = n->opts;
	const clef_shape *a = &n->x[A]->shape, *b = &n->x[B]->shape;
	int64_t size[2][2];
	clef_status status = check(n);
	int ndim = batch_dims(a, b);

	(void)dtype;
	if (status)
		return status;
	*shape = CLEF_SCALAR;
	for (int i = ndim - 1; i >= 0; i--)
		shape->dim[shape->ndim++] = batch_dim(a, i) == 1 ? batch_dim(b, i) : batch_dim(a, i);
	matrix_size(a, A, &size[A][0], &size[A][1]);
	matrix_size(b, B, &size[B][0], &size[B][1]);
	if (a->ndim > 1)
		shape->dim[shape->ndim++] = size[A][o->trans[A]];
	if (b->ndim > 1)
		shape->dim[shape->ndim++] = size[B][!o->trans[B]];
	if (clef_shape_numel(*shape) < 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE,
				     "a %s and b %s: the result %s would have more than 2^31 - 1 elements",
				     CLEF__SHAPE_TEXT(*a), CLEF__SHAPE_TEXT(*b), CLEF__SHAPE_TEXT(*shape));
	return CLEF_OK;
}

/* ---- views ---- */

/* `size` is the tensor's own. Steps through an empty tensor might overflow, and no element of it is looked at. */
static operand make_operand(const clef_tensor *x, int64_t rows, int64_t columns, int ndim, const int64_t *size)
{
	operand o = { .x = x, .rows = (int)rows, .columns = (int)columns };
	int64_t step = x->numel ? rows * columns : 0;

	for (int i = 0; i < ndim; i++) {
		o.step[i] = size[i] == 1 ? 0 : step;
		step *= x->numel ? size[i] : 0;
	}
	return o;
}

/* `y` is the result or its gradient. */
static view make_view(const clef__node *n, const clef_tensor *y)
{
	const matmul_opts *o = n->opts;
	const clef_shape *shape[2] = { &n->x[A]->shape, &n->x[B]->shape };
	view v = { .ndim = batch_dims(shape[A], shape[B]) };
	int64_t size[2][MAX_BATCH], matrix[2][2];

	for (int i = 0; i < v.ndim; i++) {
		size[A][i] = batch_dim(shape[A], i);
		size[B][i] = batch_dim(shape[B], i);
		v.size[i] = size[A][i] == 1 ? size[B][i] : size[A][i];
	}
	for (int i = A; i <= B; i++) {
		matrix_size(shape[i], i, &matrix[i][0], &matrix[i][1]);
		v.operand[i] = make_operand(n->x[i], matrix[i][0], matrix[i][1], v.ndim, size[i]);
	}
	v.nothing = y->numel == 0 || matrix[A][!o->trans[A]] == 0;
	v.operand[C] = make_operand(y, matrix[A][o->trans[A]], matrix[B][!o->trans[B]], v.ndim, v.size);
	return v;
}

/* ---- products ---- */

/* Takes the next dimension in, of a size other than 1: into the last group, if that goes on with it. */
static void add_dim(product *p, const group *next)
{
	group *last = p->groups ? &p->group[p->groups - 1] : NULL;
	bool joins = last != NULL;

	for (int i = 0; i < 3 && joins; i++)
		joins = next->step[i] == last->step[i] * last->size;
	if (joins)
		last->size *= next->size;
	else
		p->group[p->groups++] = *next;
}

/* Takes out the dimensions that only make a product longer: sums over matrices of which each continues the rows of the
 * one before, in A' and B; and with B repeated, rows of A and C that go on in the next matrix. */
static void lengthen(product *p)
{
	int left = 0;

	for (int i = 0; i < p->groups; i++) {
		const group g = p->group[i];

		if (p->trans[A] && !p->trans[B] && g.step[C] == 0 && g.step[A] == (int64_t)p->k * p->ld[A] &&
		    g.step[B] == (int64_t)p->k * p->ld[B])
			p->k *= (int)g.size;
		else if (!p->trans[A] && g.step[B] == 0 && g.step[A] == (int64_t)p->m * p->ld[A] &&
			 g.step[C] == (int64_t)p->m * p->ld[C])
			p->m *= (int)g.size;
		else
			p->group[left++] = g;
	}
	p->groups = left;
}

static product make_product(const view *v, const operand *a, bool trans_a, const operand *b, bool trans_b,
			    const operand *c)
{
	product p = { .x = { a->x, b->x, c->x },
		      .trans = { trans_a, trans_b },
		      .nothing = v->nothing,
		      .m = c->rows,
		      .n = c->columns,
		      .k = trans_a ? a->rows : a->columns,
		      .ld = { CLEF__MAX(a->columns, 1), CLEF__MAX(b->columns, 1), CLEF__MAX(c->columns, 1) } };

	for (int i = 0; i < v->ndim && !v->nothing; i++)
		if (v->size[i] != 1)
			add_dim(&p, &(group){ v->size[i], { a->step[i], b->step[i], c->step[i] } });
	lengthen(&p);
	return p;
}

static int64_t matrices(const product *p)
{
	int64_t count = 1;

	for (int i = 0; i < p->groups; i++)
		count *= p->group[i].size;
	return count;
}

/* One call of the runtime: all matrices of one group, or one matrix, from the given offsets on. */
static clef_status call(const product *p, const group *batch, const int64_t at[3], float beta)
{
	const clef_tensor *const *x = p->x;

	return clef__gemm(x[C]->dev, &(clef__gemm_opts){ .trans_a = p->trans[A],
							 .trans_b = p->trans[B],
							 .m = p->m,
							 .n = p->n,
							 .k = p->k,
							 .alpha = 1,
							 .beta = beta,
							 .a = x[A]->buffer,
							 .b = x[B]->buffer,
							 .c = x[C]->buffer,
							 .a_offset = x[A]->offset + (size_t)at[A],
							 .b_offset = x[B]->offset + (size_t)at[B],
							 .c_offset = x[C]->offset + (size_t)at[C],
							 .lda = p->ld[A],
							 .ldb = p->ld[B],
							 .ldc = p->ld[C],
							 .batch = batch ? (int)batch->size : 1,
							 .a_step = batch ? (size_t)batch->step[A] : 0,
							 .b_step = batch ? (size_t)batch->step[B] : 0,
							 .c_step = batch ? (size_t)batch->step[C] : 0 });
}

/* C = beta C */
static clef_status scale(const clef_tensor *c, float beta)
{
	return clef__gemm(c->dev, &(clef__gemm_opts){ .m = 1,
						      .n = (int)c->numel,
						      .beta = beta,
						      .a = c->buffer,
						      .b = c->buffer,
						      .c = c->buffer,
						      .c_offset = c->offset,
						      .ldc = (int)c->numel });
}

/* All products. The first one into a matrix of C is added to beta times what is there, the others to that. */
static clef_status run_all(const product *p, float beta)
{
	const group *batch = NULL;
	int64_t loops = matrices(p);
	clef_status status = CLEF_OK;

	for (int i = 0; i < p->groups; i++)
		if (p->group[i].step[C] && (!batch || p->group[i].size > batch->size))
			batch = &p->group[i];
	loops /= batch ? batch->size : 1;
	for (int64_t loop = 0; loop < loops && !status; loop++) {
		int64_t at[3] = { 0 }, rest = loop;
		bool first = true;

		for (int i = 0; i < p->groups; i++) {
			const group *g = &p->group[i];

			if (g == batch)
				continue;
			for (int j = 0; j < 3; j++)
				at[j] += rest % g->size * g->step[j];
			first = first && (g->step[C] || rest % g->size == 0);
			rest /= g->size;
		}
		status = call(p, batch, at, first ? beta : 1);
	}
	return status;
}

/* The products in a scratch tensor of their own, then their sum. */
static clef_status run_and_add(const clef__node *n, const product *p, float beta, clef_tensor *c)
{
	product parts = *p;
	clef_shape shape = { .ndim = p->groups + 2 };
	bool reduce[CLEF_MAX_DIMS] = { false };
	int64_t step = (int64_t)p->m * p->n;
	clef_tensor *scratch;
	clef_status status;

	for (int i = 0; i < p->groups; i++) {
		int dim = p->groups - 1 - i;

		shape.dim[dim] = p->group[i].size;
		reduce[dim] = p->group[i].step[C] == 0;
		parts.group[i].step[C] = step;
		step *= p->group[i].size;
	}
	shape.dim[p->groups] = p->m;
	shape.dim[p->groups + 1] = p->n;
	scratch = clef__scratch(n, CLEF_FLOAT32, shape);
	if (!scratch)
		return clef_error_status();
	parts.x[C] = scratch;
	status = run_all(&parts, 0);
	if (!status)
		status = clef__reduce_sum(scratch, reduce, 1, beta, c);
	clef__scratch_free(scratch);
	return status;
}

/* c = beta c + the products, summed where c does not step. */
static clef_status run(const clef__node *n, const product *p, float beta, clef_tensor *c)
{
	bool sums = false;

	if (c->numel == 0)
		return CLEF_OK;
	if (p->nothing)
		return scale(c, beta);
	for (int i = 0; i < p->groups; i++)
		sums = sums || p->group[i].step[C] == 0;
	return sums && matrices(p) <= MAX_SCRATCH / p->m / p->n ? run_and_add(n, p, beta, c) : run_all(p, beta);
}

/* ---- the operation ---- */

static clef_status forward(const clef__node *n)
{
	const matmul_opts *o = n->opts;
	const view v = make_view(n, n->y);
	const product p = make_product(&v, &v.operand[A], o->trans[A], &v.operand[B], o->trans[B], &v.operand[C]);

	return run(n, &p, 0, n->y);
}

/* Of op(a) the gradient is dy op(b)', of op(b) it is op(a)' dy; of a and b themselves, where they are transposed, the
 * transpose of that. */
static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const matmul_opts *o = n->opts;
	const view v = make_view(n, dy);
	const operand *a = &v.operand[A], *b = &v.operand[B], *y = &v.operand[C];
	bool ta = o->trans[A], tb = o->trans[B];
	clef_status status = CLEF_OK;

	if (dx[A].dx) {
		operand da = *a;
		product p;

		da.x = dx[A].dx;
		p = ta ? make_product(&v, b, tb, y, true, &da) : make_product(&v, y, false, b, !tb, &da);
		status = run(n, &p, dx[A].beta, dx[A].dx);
	}
	if (dx[B].dx && !status) {
		operand db = *b;
		product p;

		db.x = dx[B].dx;
		p = tb ? make_product(&v, y, true, a, ta, &db) : make_product(&v, a, !ta, y, false, &db);
		status = run(n, &p, dx[B].beta, dx[B].dx);
	}
	return status;
}

static const clef__op matmul = { "matmul", infer, forward, backward };

clef_tensor *clef_matmul(clef_tensor *a, clef_tensor *b)
{
	return clef_matmul_trans(a, false, b, false);
}

clef_tensor *clef_matmul_trans(clef_tensor *a, bool trans_a, clef_tensor *b, bool trans_b)
{
	const matmul_opts opts = { { trans_a, trans_b } };

	return clef__apply(&matmul, (clef_tensor *[]){ a, b }, 2, &opts, sizeof(opts));
}
