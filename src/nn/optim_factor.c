/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adafactor: its options, its statistics, its launches. In place of a value for each element it keeps one for each row
 * and each column of a matrix. Those of all parameters lie in one buffer, in parts that start at multiples of a block,
 * with a table of which block belongs to what.
 */
#include "optim_internal.h"

/* What the kernels know of a parameter. */
typedef struct shape_row {
	int start, count, rows, columns, by_row, by_col, matrix, matrices;
} shape_row;

struct clef__factors {
	shape_row *shapes;
	int size;     /* of the statistics */
	int matrices; /* of all parameters */
	clef_tensor *stats;
	clef__buffer *means; /* of each matrix */
	clef__buffer
		*tables; /* ints: the shapes; the owner of each block of statistics; the parameter of each matrix */
};

/* ---- statistics ---- */

static int round_up(int64_t n)
{
	return (int)((n + CLEF__BLOCK - 1) / CLEF__BLOCK * CLEF__BLOCK);
}

static void describe(const clef_params *params, clef__factors *factors)
{
	for (int i = 0; i < params->count; i++) {
		const clef_tensor *w = params->list[i].w;
		shape_row *row = &factors->shapes[i];
		int ndim = w->shape.ndim;

		*row = (shape_row){ .start = (int)params->list[i].offset,
				    .count = (int)w->numel,
				    .rows = 1,
				    .columns = 1,
				    .by_row = factors->size,
				    .matrix = factors->matrices };
		if (ndim < 2 || !w->numel) {
			factors->size += round_up(w->numel);
			continue;
		}
		row->rows = (int)w->shape.dim[ndim - 2];
		row->columns = (int)w->shape.dim[ndim - 1];
		row->matrices = row->count / row->rows / row->columns;
		row->by_col = row->by_row + round_up((int64_t)row->matrices * row->rows);
		factors->size = row->by_col + round_up((int64_t)row->matrices * row->columns);
		factors->matrices += row->matrices;
	}
}

static clef_status write_tables(const clef_params *params, clef__factors *factors)
{
	size_t shapes = (size_t)params->count * sizeof(shape_row) / sizeof(int);
	size_t blocks = (size_t)factors->size / CLEF__BLOCK, count = shapes + blocks + (size_t)factors->matrices;
	int *tables = clef__calloc(count, sizeof(int), "Adafactor's tables"), *matrix;
	clef_status s;

	if (!tables)
		return CLEF_ERROR_MEMORY;
	memcpy(tables, factors->shapes, shapes * sizeof(int));
	matrix = tables + shapes + blocks;
	for (int i = 0; i < params->count; i++) {
		const shape_row *row = &factors->shapes[i];
		int end = i + 1 < params->count ? row[1].by_row : factors->size;

		for (int at = row->by_row; at < end; at += CLEF__BLOCK)
			tables[shapes + (size_t)(at / CLEF__BLOCK)] = 2 * i + (row->matrices && at >= row->by_col);
		for (int k = 0; k < row->matrices; k++)
			*matrix++ = i;
	}
	factors->tables = clef__buffer_new(params->dev, count * sizeof(int));
	s = factors->tables ? clef__buffer_write(factors->tables, 0, tables, count * sizeof(int)) : clef_error_status();
	free(tables);
	return s;
}

clef_status clef__factors_new(clef_optim *optim)
{
	const clef_params *params = optim->params;
	clef__factors *factors = clef__calloc(1, sizeof(*factors), "Adafactor's state");
	clef_status s;

	if (!factors)
		return CLEF_ERROR_MEMORY;
	optim->factors = factors;
	factors->shapes = clef__calloc((size_t)params->count, sizeof(*factors->shapes), "Adafactor's state");
	if (!factors->shapes)
		return CLEF_ERROR_MEMORY;
	describe(params, factors);
	factors->stats = clef_tensor_new(params->dev, CLEF_FLOAT32, CLEF_SHAPE(factors->size));
	factors->means = clef__buffer_new(params->dev, sizeof(float) * (size_t)factors->matrices);
	optim->ratios = clef__buffer_new(params->dev, sizeof(float) * (size_t)params->count);
	optim->sums = clef__buffer_new(params->dev, sizeof(float) * 3 * (size_t)optim->chunks);
	if (!factors->stats || !factors->means || !optim->ratios || !optim->sums)
		return clef_error_status();
	s = clef_fill(factors->stats, 0.0);
	return s ? s : write_tables(params, factors);
}

void clef__factors_free(clef__factors *factors)
{
	if (!factors)
		return;
	clef_tensor_free(factors->stats);
	clef__buffer_release(factors->means);
	clef__buffer_release(factors->tables);
	free(factors->shapes);
	free(factors);
}

bool clef__factors_part(const clef_optim *optim, int i, int which, const char **name, clef_shape *shape,
			clef__buffer **buffer, size_t *offset)
{
	const shape_row *row = &optim->factors->shapes[i];
	clef_shape full = optim->params->list[i].w->shape;

	if (which && !row->matrices)
		return false;
	*name = row->matrices ? (which ? "col_var" : "row_var") : "variance";
	*shape = full;
	if (row->matrices)
		shape->dim[full.ndim - (which ? 2 : 1)] = 1;
	*buffer = optim->factors->stats->buffer;
	*offset = optim->factors->stats->offset + (size_t)(which ? row->by_col : row->by_row);
	return true;
}

/* ---- the launches ---- */

/* What all of them take first, as far as each needs it. */
static clef__arg *tables_arg(const clef_optim *optim, clef__arg *arg)
{
	*arg++ = (clef__arg)CLEF__BUFFER(optim->factors->tables, 0);
	return arg;
}

static clef__arg *control_arg(const clef_optim *optim, clef__arg *arg)
{
	*arg++ = (clef__arg)CLEF__BUFFER(optim->control ? optim->control : optim->map, 0);
	return arg;
}

static clef__arg *values_args(const clef_optim *optim, clef__arg *arg)
{
	*arg++ = (clef__arg)CLEF__BUFFER(optim->params->values->buffer, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->params->grads->buffer, 0);
	*arg++ = (clef__arg)CLEF__TENSOR(optim->factors->stats);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->factors->means, 0);
	return control_arg(optim, tables_arg(optim, arg));
}

static clef_status launch_statistics(const clef_optim *optim, const clef__optim_span *span)
{
	const clef_params *params = optim->params;
	const clef__factors *factors = optim->factors;
	int shapes = params->count * (int)(sizeof(shape_row) / sizeof(int)), from = factors->shapes[span->first].by_row;
	int end = span->end < params->count ? factors->shapes[span->end].by_row : factors->size;
	clef__launch_opts launch = {
		.program = "optim_factor",
		.defines = span->defines,
		.kernel = "statistics",
		.label = "adafactor_statistics",
		.global = { (size_t)(end - from) },
		.bytes = 8.0 * (double)params->numel,
	};
	clef__arg *arg = launch.args;
	clef_status s;

	*arg++ = (clef__arg)CLEF__BUFFER(params->grads->buffer, 0);
	*arg++ = (clef__arg)CLEF__TENSOR(factors->stats);
	*arg++ = (clef__arg)CLEF__BUFFER(factors->tables, shapes);
	arg = control_arg(optim, tables_arg(optim, arg));
	*arg++ = (clef__arg)CLEF__INT(span->first);
	*arg++ = (clef__arg)CLEF__INT(span->end);
	*arg++ = (clef__arg)CLEF__INT(end);
	launch.global[0] = (size_t)end;
	clef__optim_numbers(optim, span, 0, arg);
	s = clef__launch(params->dev, &launch);
	if (s)
		return s;
	return clef__launch(params->dev,
			    &(clef__launch_opts){
				    .program = "optim_factor",
				    .defines = span->defines,
				    .kernel = "means",
				    .label = "adafactor_means",
				    .global = { (size_t)factors->matrices },
				    .long_items = true,
				    .args = { CLEF__TENSOR(factors->stats),
					      CLEF__BUFFER(factors->tables, shapes + factors->size / CLEF__BLOCK),
					      CLEF__BUFFER(factors->tables, 0), CLEF__BUFFER(factors->means, 0),
					      CLEF__INT(factors->matrices) },
			    });
}

static clef_status launch_measure(const clef_optim *optim, const clef__optim_span *span)
{
	int chunk = optim->first_chunk[span->first], count = optim->first_chunk[span->end] - chunk;
	clef__launch_opts launch = {
		.program = "optim_factor",
		.defines = span->defines,
		.kernel = "measure_factored",
		.label = "adafactor_norms",
		.global = { (size_t)count },
		.long_items = true,
		.bytes = 8.0 * (double)optim->params->numel,
	};
	clef__arg *arg = values_args(optim, launch.args);

	*arg++ = (clef__arg)CLEF__BUFFER(optim->map, optim->blocks + chunk);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->sums, 0);
	*arg++ = (clef__arg)CLEF__INT(count);
	clef__optim_numbers(optim, span, 0, arg);
	return clef__launch(optim->params->dev, &launch);
}

static clef_status launch_finish(const clef_optim *optim, const clef__optim_span *span)
{
	size_t size = clef__optim_finish_size(optim);
	clef__launch_opts launch = {
		.program = "optim_factor",
		.defines = span->defines,
		.kernel = "finish_factored",
		.label = "adafactor_distances",
		.global = { size * (size_t)(span->end - span->first) },
		.local = { size },
	};
	clef__arg *arg = launch.args;

	*arg++ = (clef__arg)CLEF__BUFFER(optim->sums, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->map, optim->blocks + optim->chunks + 1);
	arg = tables_arg(optim, arg);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->ratios, 0);
	*arg++ = (clef__arg)CLEF__LOCAL(size * sizeof(float));
	*arg++ = (clef__arg)CLEF__INT(span->first);
	*arg++ = (clef__arg)CLEF__INT(optim->first_chunk[span->first]);
	clef__optim_numbers(optim, span, 0, arg);
	return clef__launch(optim->params->dev, &launch);
}

clef_status clef__factors_update(clef_optim *optim, const clef__optim_span *span)
{
	const clef_params *params = optim->params;
	const clef__param *last = &params->list[span->end - 1];
	int64_t offset = params->list[span->first].offset;
	int64_t n = (last->offset + last->w->numel - offset + CLEF__BLOCK - 1) / CLEF__BLOCK;
	clef__launch_opts launch = {
		.program = "optim_factor",
		.defines = span->defines,
		.kernel = "update_factored",
		.label = "adafactor",
		.bytes = 12.0 * (double)params->numel,
	};
	clef__arg *arg = values_args(optim, launch.args);
	clef_status s = launch_statistics(optim, span);

	if (clef_device_get_info(params->dev)->kind != CLEF_DEVICE_CPU)
		n *= CLEF__BLOCK / 4;
	launch.global[0] = (size_t)n;
	*arg++ = (clef__arg)CLEF__BUFFER(optim->ratios, 0);
	*arg++ = (clef__arg)CLEF__INT(offset / CLEF__BLOCK);
	*arg++ = (clef__arg)CLEF__INT(n);
	clef__optim_numbers(optim, span, 0, arg);
	if (!s)
		s = launch_measure(optim, span);
	if (!s)
		s = launch_finish(optim, span);
	return s ? s : clef__launch(params->dev, &launch);
}

/* ---- the rule ---- */

static void numbers(clef_optim *optim, const clef__optim_at *at, float k[CLEF__NUMBERS])
{
	const clef_adafactor_opts *o = &optim->opts.adafactor;

	k[0] = (float)pow((double)at->t, (double)o->beta2_decay);
	k[1] = (float)fmin(at->lr, 1.0 / sqrt((double)at->t));
	k[2] = o->eps1;
	k[3] = o->eps2;
	k[4] = o->d;
}

static const clef__optim_rule adafactor = { .name = "adafactor", .numbers = numbers, .factored = true };

const clef__optim_type clef__adafactor = {
	CLEF__OPTIM_TYPE(adafactor, ADAFACTOR, adafactor),
	.decoupled = true,
	.rule = &adafactor,
	.field = { CLEF__OPTION(adafactor, lr, POSITIVE, 1e-2f), CLEF__OPTION(adafactor, beta2_decay, NEGATIVE, -0.8f),
		   CLEF__OPTION(adafactor, eps1, POSITIVE, 0x1p-23f), CLEF__OPTION(adafactor, eps2, POSITIVE, 1e-3f),
		   CLEF__OPTION(adafactor, d, POSITIVE, 1.0f), CLEF__WEIGHT_DECAY(adafactor, 0.0f),
		   CLEF__FLAG(adafactor, maximize) },
};

clef_optim *clef_adafactor_new(clef_params *params, const clef_adafactor_opts *opts)
{
	return clef__optim_new(&clef__adafactor, params, opts);
}
