/* SPDX-License-Identifier: Apache-2.0 */
/* Products of matrices: matmul, and matmul_trans with every transpose. The shapes are those of a and b as they lie. */
#include <clef/ops.h>

#include "families.h"

typedef struct matmul_opts {
	clef_shape a, b;
	bool trans_a, trans_b;
	bool twice; /* the one operand a is both */
} matmul_opts;

/* The shape with two dimensions at least: a vector is a row of a or a column of b. */
static clef_shape as_matrix(clef_shape s, bool is_b)
{
	return s.ndim != 1 ? s : is_b ? CLEF_SHAPE(s.dim[0], 1) : CLEF_SHAPE(1, s.dim[0]);
}

static clef_status setup(clef__problem *p)
{
	const matmul_opts *o = (const void *)p->opts;

	p->operands = o->twice ? 1 : 2;
	for (int i = 0; i < p->operands; i++)
		p->in[i] = (clef__operand){ .shape = i ? o->b : o->a, .lo = -8, .hi = 8, .whole = p->whole };
	return CLEF_OK;
}

static clef_tensor *apply_matmul(clef_tensor *const *x, const void *opts)
{
	(void)opts;
	return clef_matmul(x[0], x[1]);
}

static clef_tensor *apply_trans(clef_tensor *const *x, const void *opts)
{
	const matmul_opts *o = opts;

	return clef_matmul_trans(x[0], o->trans_a, x[o->twice ? 0 : 1], o->trans_b);
}

/* ---- the reference ---- */

/* Element (r, c) of op(x) at the index of the batch whose dimensions are given from the innermost. */
static double element(const clef__ref *x, bool is_b, bool transposed, const int64_t *index, int64_t r, int64_t c)
{
	clef_shape s = as_matrix(x->shape, is_b);
	int64_t rows = s.dim[s.ndim - 2], columns = s.dim[s.ndim - 1], at = 0;

	for (int i = 0; i < s.ndim - 2; i++) {
		int64_t inner = s.ndim - 3 - i;

		at = at * s.dim[i] + (s.dim[i] == 1 ? 0 : index[inner]);
	}
	return x->v[(at * rows + (transposed ? c : r)) * columns + (transposed ? r : c)];
}

static bool reference(const clef__ref *x, const void *opts, clef__ref *y)
{
	const matmul_opts *o = opts;
	const clef__ref *a = &x[0], *b = &x[o->twice ? 0 : 1];
	clef_shape as = as_matrix(a->shape, false), bs = as_matrix(b->shape, true);
	int batch = CLEF__MAX(as.ndim, bs.ndim) - 2;
	int64_t m = as.dim[as.ndim - (o->trans_a ? 1 : 2)], k = as.dim[as.ndim - (o->trans_a ? 2 : 1)];
	int64_t n = bs.dim[bs.ndim - (o->trans_b ? 2 : 1)];

	for (int64_t e = y->from; e < y->to; e++) {
		int64_t index[CLEF_MAX_DIMS] = { 0 }, rest = e / n / m;
		double sum = 0;

		for (int i = 0; i < batch; i++) {
			int64_t size = y->shape.dim[batch - 1 - i];

			index[i] = rest % size;
			rest /= size;
		}
		for (int64_t l = 0; l < k; l++)
			sum += element(a, false, o->trans_a, index, e / n % m, l) *
			       element(b, true, o->trans_b, index, l, e % n);
		y->v[e] = sum;
	}
	return true;
}

/* Also of a batch that broadcasts; of shapes that do not fit the product means nothing, and the operation fails. */
static double flops(const clef__problem *p)
{
	const matmul_opts *o = (const void *)p->opts;
	clef_shape as = as_matrix(o->a, false), bs = as_matrix(o->twice ? o->a : o->b, true);
	double count = 2;

	if (!as.ndim || !bs.ndim)
		return 0;
	count *= (double)as.dim[as.ndim - 1] * (double)as.dim[as.ndim - 2];
	count *= (double)bs.dim[bs.ndim - (o->trans_b ? 2 : 1)];
	for (int i = 3; i <= CLEF__MAX(as.ndim, bs.ndim); i++) {
		int64_t of_a = i > as.ndim ? 1 : as.dim[as.ndim - i], of_b = i > bs.ndim ? 1 : bs.dim[bs.ndim - i];

		count *= (double)(of_a == 1 ? of_b : of_a);
	}
	return count;
}

/* ---- the families ---- */

#define SHAPES                                                                                                         \
	{ .name = "a",                                                                                                 \
	  .kind = CLEF__TERM_SHAPE,                                                                                    \
	  .offset = offsetof(matmul_opts, a),                                                                          \
	  .preset = 1,                                                                                                 \
	  .about = "a [..., m, k]" },                                                                                  \
	{                                                                                                              \
		.name = "b", .kind = CLEF__TERM_SHAPE, .offset = offsetof(matmul_opts, b), .about = "b [..., k, n]"    \
	}
#define FLAG(term, field, text)                                                                                        \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_FLAG, .offset = offsetof(matmul_opts, field), .about = text           \
	}

static const clef__term terms_matmul[] = { SHAPES, { NULL } };
static const clef__term terms_trans[] = { SHAPES,
					  FLAG("ta", trans_a, "a is [..., k, m]"),
					  FLAG("tb", trans_b, "b is [..., n, k]"),
					  FLAG("twice", twice, "a is b as well"),
					  { NULL } };

/* M, N and K are 1, or neither a power of two nor a multiple of a tile, and in two cases beyond a tile. Then vectors,
 * batches, sums over all dimensions of the batch, over outer, inner and middle ones, with both operands repeated; and
 * nothing to multiply, with sizes whose product no integer holds. */
static const char *const problems_matmul[] = {
	"matmul a3x4 b4x5 whole",
	"matmul a2x1x3 b3x2 whole",
	"matmul a3x4 b2x4x5",
	"matmul a1x1 b1x1 whole",
	"matmul a33x1 b1x17 whole",
	"matmul a1x257 b257x1 whole",
	"matmul a40x65 b65x33 whole",
	"matmul a40x65 b65x33",
	"matmul a5 b5 whole",
	"matmul a257 b257 whole",
	"matmul a5 b5x3 whole",
	"matmul a3x5 b5 whole",
	"matmul a5 b2x5x3 whole",
	"matmul a2x3x5 b5 whole",
	"matmul a5 b2x3x5x4 whole",
	"matmul a2x2x3x5 b5 whole",
	"matmul a1 b1 whole",
	"matmul a2x3x4 b2x4x5 whole",
	"matmul a3x33x17 b3x17x9 whole",
	"matmul a2x3x2x3 b2x3x3x2 whole",
	"matmul a2x1x2x3x4 b2x1x2x4x5 whole",
	"matmul a7x1x3x1 b7x1x1x2 whole",
	"matmul a2x1x3x4 b3x4x5 whole",
	"matmul a2x3x4 b4x5 whole",
	"matmul a3x4 b2x4x5 whole",
	"matmul a2x3x4 b1x4x5 whole",
	"matmul a1x3x4 b2x4x5 whole",
	"matmul a2x3x3x4 b1x3x4x5 whole",
	"matmul a2x3x3x4 b2x1x4x5 whole",
	"matmul a2x3x2x3x4 b2x1x2x4x3 whole",
	"matmul a1x3x1x3x4 b2x1x2x4x3 whole",
	"matmul a3x2x1x2x3 b1x2x3x2 whole",
	"matmul a2x1x2x1x2x1x2x3 b1x2x1x2x1x2x3x2 whole",
	"matmul a1x1x3x4 b4x5 whole",
	"matmul a2x1x257 b257x3 whole",
	"matmul a2x3x0 b2x0x5 whole",
	"matmul a0x3x4 b4x5 whole",
	"matmul a0x3x4 b0x4x5 whole",
	"matmul a3x4 b0x4x5 whole",
	"matmul a2x0x4 b4x5 whole",
	"matmul a2x3x4 b4x0 whole",
	"matmul a0 b0 whole",
	"matmul a2x3x0 b0 whole",
	"matmul a0 b0x3 whole",
	"matmul a0x4 b4 whole",
	"matmul a0x1x3x4 b2x4x5 whole",
	"matmul a2147483647x2147483647x2147483647x0x3x4 b4x5 whole",
	"matmul a2147483647x2147483647x2147483647x0x4 b4x5 whole",
};

/* a and b as they are for matmul, and with the last two dimensions exchanged. */
#define TA(a, a_trans, b) "matmul_trans a" a_trans " b" b " ta whole"
#define TB(a, b, b_trans) "matmul_trans a" a " b" b_trans " tb whole"
#define WAYS(a, a_trans, b, b_trans)                                                                                   \
	TA(a, a_trans, b), TB(a, b, b_trans), "matmul_trans a" a_trans " b" b_trans " ta tb whole"

static const char *const problems_trans[] = {
	WAYS("3x4", "4x3", "4x5", "5x4"),
	WAYS("2x1x3", "2x3x1", "3x2", "2x3"),
	WAYS("1x1", "1x1", "1x1", "1x1"),
	WAYS("33x1", "1x33", "1x17", "17x1"),
	WAYS("1x257", "257x1", "257x1", "1x257"),
	WAYS("40x65", "65x40", "65x33", "33x65"),
	"matmul_trans a40x65 b33x65 tb",
	"matmul_trans a65x40 b65x33 ta",
	"matmul_trans a40x65 b65x33 whole",
	TB("5", "5x3", "3x5"),
	TA("3x5", "5x3", "5"),
	TB("5", "2x5x3", "2x3x5"),
	TA("2x3x5", "2x5x3", "5"),
	TB("5", "2x3x5x4", "2x3x4x5"),
	TA("2x2x3x5", "2x2x5x3", "5"),
	WAYS("2x3x4", "2x4x3", "2x4x5", "2x5x4"),
	WAYS("3x33x17", "3x17x33", "3x17x9", "3x9x17"),
	WAYS("2x3x2x3", "2x3x3x2", "2x3x3x2", "2x3x2x3"),
	WAYS("2x1x2x3x4", "2x1x2x4x3", "2x1x2x4x5", "2x1x2x5x4"),
	WAYS("7x1x3x1", "7x1x1x3", "7x1x1x2", "7x1x2x1"),
	WAYS("2x1x3x4", "2x1x4x3", "3x4x5", "3x5x4"),
	WAYS("2x3x4", "2x4x3", "4x5", "5x4"),
	WAYS("3x4", "4x3", "2x4x5", "2x5x4"),
	WAYS("2x3x4", "2x4x3", "1x4x5", "1x5x4"),
	WAYS("1x3x4", "1x4x3", "2x4x5", "2x5x4"),
	WAYS("2x3x3x4", "2x3x4x3", "1x3x4x5", "1x3x5x4"),
	WAYS("2x3x3x4", "2x3x4x3", "2x1x4x5", "2x1x5x4"),
	WAYS("2x3x2x3x4", "2x3x2x4x3", "2x1x2x4x3", "2x1x2x3x4"),
	WAYS("1x3x1x3x4", "1x3x1x4x3", "2x1x2x4x3", "2x1x2x3x4"),
	WAYS("3x2x1x2x3", "3x2x1x3x2", "1x2x3x2", "1x2x2x3"),
	WAYS("2x1x2x1x2x1x2x3", "2x1x2x1x2x1x3x2", "1x2x1x2x1x2x3x2", "1x2x1x2x1x2x2x3"),
	WAYS("1x1x3x4", "1x1x4x3", "4x5", "5x4"),
	WAYS("2x1x257", "2x257x1", "257x3", "3x257"),
	WAYS("2x3x0", "2x0x3", "2x0x5", "2x5x0"),
	WAYS("0x3x4", "0x4x3", "4x5", "5x4"),
	WAYS("0x3x4", "0x4x3", "0x4x5", "0x5x4"),
	WAYS("3x4", "4x3", "0x4x5", "0x5x4"),
	WAYS("2x0x4", "2x4x0", "4x5", "5x4"),
	WAYS("2x3x4", "2x4x3", "4x0", "0x4"),
	TA("2x3x0", "2x0x3", "0"),
	TB("0", "0x3", "3x0"),
	TA("0x4", "4x0", "4"),
	WAYS("0x1x3x4", "0x1x4x3", "2x4x5", "2x5x4"),
	"matmul_trans a2x4x4 twice whole",
	"matmul_trans a2x3x4 ta twice whole",
	"matmul_trans a2x3x4 tb twice whole",
	"matmul_trans a2x4x4 ta tb twice whole",
};

const clef__family clef__family_matmul = { .name = "matmul",
					   .terms = terms_matmul,
					   .setup = setup,
					   .apply = apply_matmul,
					   .reference = reference,
					   .flops = flops,
					   CLEF__PROBLEMS(problems_matmul, 3) };

const clef__family clef__family_matmul_trans = { .name = "matmul_trans",
						 .terms = terms_trans,
						 .setup = setup,
						 .apply = apply_trans,
						 .reference = reference,
						 .flops = flops,
						 CLEF__PROBLEMS(problems_trans, 3) };
