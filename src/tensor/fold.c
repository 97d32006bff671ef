/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reductions by expression. Neighbouring dimensions that are reduced alike are made one, so any set of dimensions
 * becomes at most four kept and four reduced ones. Where there are too few results to keep a device busy, each is
 * folded in chunks first: that is also what keeps the rounding error of long sums small.
 */
#include "fold.h"
#include "runs.h"

#define CHUNK       1024
#define FEW_OUTPUTS 4096
#define HALF        (CLEF_MAX_DIMS / 2)

/* Sizes in the first half, strides in the second, innermost first; sizes filled up with 1. */
typedef struct layout {
	int32_t kept[CLEF_MAX_DIMS], reduced[CLEF_MAX_DIMS];
	int total; /* values folded into each result */
} layout;

static layout make_layout(const clef_tensor *x, const bool reduce[CLEF_MAX_DIMS])
{
	layout l = { .kept = { 1, 1, 1, 1 }, .reduced = { 1, 1, 1, 1 }, .total = 1 };
	int used[2] = { 0, 0 }, before = -1;
	int32_t step = 1;

	if (x->numel == 0) {
		l.total = 0;
		return l;
	}
	for (int i = x->shape.ndim - 1; i >= 0; i--) {
		int32_t size = (int32_t)x->shape.dim[i];
		int kind = reduce[i] ? 1 : 0;
		int32_t *part = reduce[i] ? l.reduced : l.kept;

		if (size == 1)
			continue;
		if (kind != before)
			part[HALF + used[kind]++] = step;
		part[used[kind] - 1] *= size;
		l.total *= reduce[i] ? size : 1;
		step *= size;
		before = kind;
	}
	return l;
}

static clef__arg int8_arg(const int32_t v[8])
{
	clef__arg arg = { .kind = CLEF__ARG_INT8 };

	memcpy(arg.value.i8, v, sizeof(arg.value.i8));
	return arg;
}

static const clef_tensor *or_else(const clef_tensor *wanted, const clef_tensor *any)
{
	return wanted ? wanted : any;
}

/* y[chunk][result] = alpha * the fold of one chunk. */
static clef_status fold_chunks(const clef__fold_row *row, const clef_tensor *x, const layout *l,
			       const clef__fold_args *args, int chunk, int chunks, float alpha, const clef_tensor *y)
{
	int outputs = (int)(y->numel / chunks);

	return clef__launch(
		x->dev, &(clef__launch_opts){
				.program = "fold",
				.defines = row->defines,
				.kernel = "fold",
				.label = row->label,
				.global = { (size_t)y->numel },
				.long_items = true,
				.bytes = 4.0 * ((double)x->numel * (args->z ? 2 : 1) + (double)y->numel),
				.args = { CLEF__TENSOR(x), CLEF__TENSOR(or_else(args->z, x)),
					  CLEF__TENSOR(or_else(args->s, x)), CLEF__TENSOR(y), CLEF__FLOAT(args->p),
					  CLEF__FLOAT(alpha), CLEF__INT(l->total), CLEF__INT(chunk), CLEF__INT(outputs),
					  CLEF__INT(y->numel), int8_arg(l->kept), int8_arg(l->reduced) },
			});
}

clef_status clef__fold(const clef__fold_row *row, const clef_tensor *x, const bool reduce[CLEF_MAX_DIMS],
		       const clef__fold_args *args, float alpha, clef_tensor *y)
{
	static const bool first_dim[CLEF_MAX_DIMS] = { true };
	const clef__fold_args none = { .p = args ? args->p : 0 };
	const layout l = make_layout(x, reduce);
	int chunks = l.total / CHUNK + (l.total % CHUNK != 0);
	clef_tensor part = { .dev = x->dev, .dtype = CLEF_FLOAT32 };
	clef_status status;

	if (!x->buffer || !y->buffer)
		return CLEF_OK;
	if (!args)
		args = &none;
	if (l.total <= 2 * CHUNK || y->numel >= FEW_OUTPUTS)
		return fold_chunks(row, x, &l, args, CLEF__MAX(l.total, 1), 1, alpha, y);
	part.shape = CLEF_SHAPE(chunks, y->numel);
	part.numel = chunks * y->numel;
	part.buffer = clef__buffer_new(x->dev, sizeof(float) * (size_t)part.numel);
	if (!part.buffer)
		return clef_error_status();
	status = fold_chunks(row, x, &l, args, CHUNK, chunks, 1, &part);
	if (!status && row->sum)
		status = clef__reduce_sum(&part, first_dim, alpha, 0, y);
	else if (!status)
		status = clef__fold(row, &part, first_dim, &none, 1, y);
	clef__buffer_release(part.buffer);
	return status;
}

clef_status clef__fold_finish(const clef__fold_row *row, const clef__fold_args *args, clef_tensor *y)
{
	if (!y->buffer)
		return CLEF_OK;
	return clef__launch(y->dev, &(clef__launch_opts){
					    .program = "fold",
					    .defines = row->defines,
					    .kernel = "fold_finish",
					    .label = row->label,
					    .global = { (size_t)y->numel },
					    .bytes = 8.0 * (double)y->numel,
					    .args = { CLEF__TENSOR(or_else(args ? args->s : NULL, y)), CLEF__TENSOR(y),
						      CLEF__FLOAT(args ? args->p : 0), CLEF__INT(y->numel) },
				    });
}

clef_status clef__fold_backward(const clef__fold_row *row, const clef_tensor *x, const bool reduce[CLEF_MAX_DIMS],
				const clef_tensor *y, const clef_tensor *dy, const clef__fold_args *args, float beta,
				clef_tensor *dx)
{
	clef__arg cut, size, step;
	int dims, items;

	if (!x->buffer || !dx->buffer || x->numel == 0)
		return CLEF_OK;
	dims = clef__run_repeated(x->shape, reduce, &size, &step);
	cut = clef__run_cut(x->dev, x->numel, dims, &size, false, &items);
	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = "fold",
			.defines = row->defines,
			.kernel = "fold_backward",
			.label = row->backward_label,
			.global = { (size_t)items },
			.long_items = items < x->numel,
			.bytes = (beta != 0 ? 12.0 : 8.0) * (double)x->numel,
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(or_else(args->z, x)), CLEF__TENSOR(y), CLEF__TENSOR(dy),
				  CLEF__TENSOR(or_else(args->s, y)), CLEF__TENSOR(dx), CLEF__FLOAT(args->p),
				  CLEF__FLOAT(beta), CLEF__INT(y->numel), cut, size, step, CLEF__INT(items) },
		});
}
