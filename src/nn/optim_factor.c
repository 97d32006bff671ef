/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adafactor: its options, its statistics, and how its work is cut into pieces. In place of a value for each element it
 * keeps one for each row and each column of a matrix. Those of all parameters lie in one buffer, in parts that start at
 * multiples of a block.
 */
#include "optim_factor.h"

/* A piece: large beside the cost of a work-group, small beside the whole; and of a tile enough rows that the sums of
 * its columns are little to write. */
enum {
	CPU_PIECE = 16384,
	CPU_WIDTH = 4096,
	CPU_ROWS = 16,
	GPU_ITEMS = 64,
	GPU_VECTORS = 32, /* for each item */
	SMALL_MATRIX = 256,
	NARROW_MATRIX = 1024 /* with fewer columns than a vector has lanes */
};

static int64_t round_up(int64_t n)
{
	return (n + CLEF__BLOCK - 1) / CLEF__BLOCK * CLEF__BLOCK;
}

/* ---- lists ---- */

static void *add(clef__factor_list *list, size_t size)
{
	if (clef__grow(&list->item, &list->capacity, list->count + 1, size, "Adafactor's tables"))
		return NULL;
	return (char *)list->item + (size_t)list->count++ * size;
}

static clef__buffer *upload(clef_device *dev, const void *data, size_t bytes)
{
	clef__buffer *buffer = clef__buffer_new_whole(dev, bytes);

	if (!buffer || !bytes || !clef__buffer_write(buffer, 0, data, bytes))
		return buffer;
	clef__buffer_release(buffer);
	return NULL;
}

static void free_list(clef__factor_list *list)
{
	free(list->item);
	free(list->first);
	clef__buffer_release(list->buffer);
}

/* ---- pieces ---- */

/* Elements, or small matrices of `size` elements each. */
static clef_status cut_line(clef__factors *factors, int owner, int kind, int count, int size)
{
	int most = factors->lanes == 16 ? CPU_PIECE : GPU_ITEMS * GPU_VECTORS * factors->lanes;
	int step = CLEF__MAX(most / size / factors->lanes, 1) * factors->lanes;

	for (int from = 0; from < count; from += step) {
		clef__factor_piece *piece = add(&factors->pieces, sizeof(*piece));

		if (!piece)
			return CLEF_ERROR_MEMORY;
		*piece = (clef__factor_piece){ owner, kind, from, CLEF__MIN(count - from, step) + from, 0, 0, 0, 0 };
	}
	return CLEF_OK;
}

/* The blocks of statistics that are sums over tiles. */
static clef_status add_blocks(clef__factors *factors, int owner, int at, int64_t count, int parts, int of)
{
	int64_t stride = round_up(count);

	for (int64_t i = 0; i < stride; i += CLEF__BLOCK) {
		clef__factor_block *block = add(&factors->blocks, sizeof(*block));

		if (!block)
			return CLEF_ERROR_MEMORY;
		*block = (clef__factor_block){ .at = at + (int)i,
					       .from = (int)(factors->partial + i),
					       .stride = (int)stride,
					       .parts = parts,
					       .of = of,
					       .owner = owner };
	}
	factors->partial += stride * parts;
	return CLEF_OK;
}

/* One matrix in tiles; the sums of the rows' parts start at by_row, those of the columns' at by_col. */
static clef_status cut_matrix(clef__factors *factors, int owner, int matrix, int width, int height, int by_row,
			      int by_col)
{
	const clef__factor_shape *shape = &factors->shapes[owner];
	int row_stride = (int)round_up((int64_t)shape->matrices * shape->rows);
	int column_stride = (int)round_up((int64_t)shape->matrices * shape->columns);

	for (int row = 0; row < shape->rows; row += height)
		for (int column = 0; column < shape->columns; column += width) {
			clef__factor_piece *piece = add(&factors->pieces, sizeof(*piece));
			int from = matrix * shape->rows + row;

			if (!piece)
				return CLEF_ERROR_MEMORY;
			*piece = (clef__factor_piece){
				.owner = owner,
				.kind = CLEF__TILE,
				.from = from,
				.to = from + CLEF__MIN(height, shape->rows - row),
				.column = column,
				.column_end = column + CLEF__MIN(width, shape->columns - column),
				.row_sums = by_row + column / width * row_stride + from,
				.column_sums = by_col + row / height * column_stride + matrix * shape->columns + column,
			};
		}
	return CLEF_OK;
}

static clef_status cut_large(clef__factors *factors, int owner)
{
	const clef__factor_shape *shape = &factors->shapes[owner];
	bool cpu = factors->lanes == 16;
	int width = CLEF__MIN(shape->columns, cpu ? CPU_WIDTH : factors->items * factors->lanes);
	int at_a_time = factors->items / clef__divide_up(width, factors->lanes); /* rows, on a GPU */
	int height = cpu ? CLEF__MAX(CPU_ROWS, CPU_PIECE / width) : GPU_VECTORS * at_a_time;
	int by_row = (int)factors->partial, by_col;
	clef_status s = add_blocks(factors, owner, shape->by_row, (int64_t)shape->matrices * shape->rows,
				   clef__divide_up(shape->columns, width), shape->columns);

	by_col = (int)factors->partial;
	if (!s)
		s = add_blocks(factors, owner, shape->by_col, (int64_t)shape->matrices * shape->columns,
			       clef__divide_up(shape->rows, height), shape->rows);
	if (!s && factors->partial > INT32_MAX)
		s = clef__fail(CLEF_ERROR_SHAPE, "clef_adafactor_new: parameter %d is a matrix of %d x %d, too large",
			       owner, shape->rows, shape->columns);
	for (int i = 0; i < shape->matrices && !s; i++) {
		int *mean = add(&factors->means, 2 * sizeof(*mean));

		if (!mean)
			return CLEF_ERROR_MEMORY;
		mean[0] = shape->by_row + i * shape->rows;
		mean[1] = shape->rows;
		s = cut_matrix(factors, owner, i, width, height, by_row, by_col);
	}
	return s;
}

/* ---- statistics ---- */

/* Floats that a CPU's kernel wants for 16 small matrices: gradients, statistics of rows and columns, and something in
 * the order of the memory, with what is written too much. */
static int64_t small_scratch(const clef__factor_shape *shape)
{
	return 16 * (2 * (int64_t)shape->rows * shape->columns + shape->rows + shape->columns + 1);
}

static bool is_small(const clef__factors *factors, const clef__factor_shape *shape, const clef_device_info *info)
{
	int64_t size = (int64_t)shape->rows * shape->columns;

	if (factors->lanes == 16 && small_scratch(shape) * (int64_t)sizeof(float) > (int64_t)info->local_memory)
		return false;
	return size <= SMALL_MATRIX ||
	       (shape->columns < factors->lanes && shape->matrices >= factors->lanes && size <= NARROW_MATRIX);
}

static clef_status describe(clef__factors *factors, int owner, const clef__param *param, const clef_device_info *info)
{
	clef_shape full = param->w->shape;
	clef__factor_shape *shape = &factors->shapes[owner];

	*shape = (clef__factor_shape){ .start = (int)param->offset,
				       .count = (int)param->w->numel,
				       .rows = 1,
				       .columns = 1,
				       .by_row = (int)factors->size,
				       .mean = factors->means.count };
	if (full.ndim < 2 || !shape->count) {
		factors->size += round_up(shape->count);
		return cut_line(factors, owner, CLEF__FLAT, shape->count, 1);
	}
	shape->rows = (int)full.dim[full.ndim - 2];
	shape->columns = (int)full.dim[full.ndim - 1];
	shape->matrices = shape->count / shape->rows / shape->columns;
	factors->size += round_up((int64_t)shape->matrices * shape->rows);
	shape->by_col = (int)factors->size;
	factors->size += round_up((int64_t)shape->matrices * shape->columns);
	if (factors->size > INT32_MAX)
		return clef__fail(CLEF_ERROR_SHAPE, "clef_adafactor_new: more than 2^31 - 1 statistics");
	if (is_small(factors, shape, info)) {
		if (factors->lanes == 16)
			factors->scratch = (int)CLEF__MAX(factors->scratch, small_scratch(shape));
		return cut_line(factors, owner, CLEF__SMALL, shape->matrices, shape->rows * shape->columns);
	}
	return cut_large(factors, owner);
}

static clef_status describe_all(const clef_params *params, clef__factors *factors)
{
	clef__factor_list *list[] = { &factors->pieces, &factors->blocks, &factors->means };
	clef_status s = CLEF_OK;

	factors->shapes = clef__calloc((size_t)params->count, sizeof(*factors->shapes), "Adafactor's state");
	if (!factors->shapes)
		return CLEF_ERROR_MEMORY;
	for (int k = 0; k < CLEF_COUNT(list); k++) {
		list[k]->first = clef__calloc((size_t)params->count + 1, sizeof(int), "Adafactor's state");
		if (!list[k]->first)
			return CLEF_ERROR_MEMORY;
	}
	for (int i = 0; i < params->count && !s; i++) {
		s = describe(factors, i, &params->list[i], clef_device_get_info(params->dev));
		for (int k = 0; k < CLEF_COUNT(list); k++)
			list[k]->first[i + 1] = list[k]->count;
	}
	return s;
}

static clef_status upload_all(const clef_params *params, clef__factors *factors)
{
	clef_device *dev = params->dev;
	size_t count = (size_t)params->count;

	factors->shape_buffer = upload(dev, factors->shapes, count * sizeof(*factors->shapes));
	factors->first_of_piece = upload(dev, factors->pieces.first, (count + 1) * sizeof(int));
	factors->pieces.buffer =
		upload(dev, factors->pieces.item, (size_t)factors->pieces.count * sizeof(clef__factor_piece));
	factors->blocks.buffer =
		upload(dev, factors->blocks.item, (size_t)factors->blocks.count * sizeof(clef__factor_block));
	factors->means.buffer = upload(dev, factors->means.item, (size_t)factors->means.count * 2 * sizeof(int));
	return factors->shape_buffer && factors->first_of_piece && factors->pieces.buffer && factors->blocks.buffer &&
			       factors->means.buffer
		       ? CLEF_OK
		       : clef_error_status();
}

static clef_status make_state(clef_optim *optim)
{
	clef__factors *factors = optim->factors;
	clef_device *dev = optim->params->dev;
	clef_status s;

	factors->stats = clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(factors->size));
	factors->parts = clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(factors->partial));
	factors->mean = clef__buffer_new_whole(dev, sizeof(float) * (size_t)factors->means.count);
	factors->sums = clef__buffer_new_whole(dev, sizeof(float) * CLEF__PARTS * (size_t)factors->pieces.count);
	optim->ratios = clef__buffer_new_whole(dev, sizeof(float) * (size_t)optim->params->count);
	if (!factors->stats || !factors->parts || !factors->mean || !factors->sums || !optim->ratios)
		return clef_error_status();
	s = clef_fill(factors->stats, 0.0);
	return s ? s : clef_fill(factors->parts, 0.0);
}

clef_status clef__factors_new(clef_optim *optim)
{
	const clef_params *params = optim->params;
	const clef_device_info *info = clef_device_get_info(params->dev);
	clef__factors *factors = clef__calloc(1, sizeof(*factors), "Adafactor's state");
	clef_status s;

	if (!factors)
		return CLEF_ERROR_MEMORY;
	optim->factors = factors;
	factors->lanes = info->kind == CLEF_DEVICE_CPU ? 16 : 4;
	factors->items = 1;
	while (factors->lanes == 4 && 2 * factors->items <= CLEF__MIN(GPU_ITEMS, (int64_t)info->max_work_group))
		factors->items *= 2;
	/* Of a CPU a tile's columns; of a GPU one vector an item, and sums of rows with a pitch, as in the kernel. */
	factors->scratch = factors->lanes == 16 ? CPU_WIDTH : factors->items * (4 + GPU_VECTORS * 3 / 2);
	s = describe_all(params, factors);
	if (!s)
		s = upload_all(params, factors);
	return s ? s : make_state(optim);
}

void clef__factors_free(clef__factors *factors)
{
	if (!factors)
		return;
	free_list(&factors->pieces);
	free_list(&factors->blocks);
	free_list(&factors->means);
	clef_tensor_free(factors->stats);
	clef_tensor_free(factors->parts);
	clef__buffer_release(factors->mean);
	clef__buffer_release(factors->sums);
	clef__buffer_release(factors->shape_buffer);
	clef__buffer_release(factors->first_of_piece);
	free(factors->shapes);
	free(factors);
}

bool clef__factors_part(const clef_optim *optim, int i, int which, const char **name, clef_shape *shape,
			clef__buffer **buffer, size_t *offset)
{
	const clef__factor_shape *row = &optim->factors->shapes[i];
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
