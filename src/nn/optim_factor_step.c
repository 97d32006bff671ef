/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launches of an Adafactor step, six whatever the number of parameters; those for large matrices are left out where
 * there are none.
 */
#include "optim_factor.h"

static size_t count_of(const clef__factor_list *list, const clef__optim_span *span)
{
	return (size_t)(list->first[span->end] - list->first[span->first]);
}

/* Where the span's part of a list begins, as an argument: `size` ints or floats for each. */
static clef__arg part_of(const clef__factor_list *list, const clef__optim_span *span, const clef__buffer *buffer,
			 int size)
{
	return (clef__arg)CLEF__BUFFER(buffer, (size_t)list->first[span->first] * (size_t)size);
}

static clef__arg control_of(const clef_optim *optim)
{
	return (clef__arg)CLEF__BUFFER(optim->control ? optim->control : optim->map, 0);
}

/* A work-group for each piece. bytes: for each value. */
static clef_status launch_pieces(const clef_optim *optim, const clef__optim_span *span, const char *kernel,
				 const char *label, double bytes)
{
	const clef_params *params = optim->params;
	const clef__factors *factors = optim->factors;
	size_t items = (size_t)factors->items;
	clef__launch_opts launch = {
		.program = "optim_factor",
		.defines = span->defines,
		.kernel = kernel,
		.label = label,
		.global = { items * count_of(&factors->pieces, span) },
		.local = { items },
		.bytes = bytes * (double)params->numel,
	};
	clef__arg *arg = launch.args;

	*arg++ = (clef__arg)CLEF__BUFFER(params->values->buffer, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(params->grads->buffer, 0);
	*arg++ = (clef__arg)CLEF__TENSOR(factors->stats);
	*arg++ = (clef__arg)CLEF__BUFFER(factors->mean, 0);
	*arg++ = (clef__arg)CLEF__TENSOR(factors->parts);
	*arg++ = part_of(&factors->pieces, span, factors->sums, CLEF__PARTS);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->ratios, 0);
	*arg++ = part_of(&factors->pieces, span, factors->pieces.buffer, 8);
	*arg++ = (clef__arg)CLEF__BUFFER(factors->shape_buffer, 0);
	*arg++ = control_of(optim);
	*arg++ = (clef__arg)CLEF__LOCAL((size_t)factors->scratch * sizeof(float));
	clef__optim_numbers(optim, span, 0, arg);
	return clef__launch(params->dev, &launch);
}

static clef_status finish_statistics(const clef_optim *optim, const clef__optim_span *span)
{
	const clef__factors *factors = optim->factors;
	size_t n = count_of(&factors->blocks, span) * (factors->lanes == 16 ? 1 : CLEF__BLOCK / 4);
	clef__launch_opts launch = {
		.program = "optim_factor",
		.defines = span->defines,
		.kernel = "finish_statistics",
		.label = "adafactor_statistics_end",
		.global = { n },
		.long_items = true,
		.bytes = 4.0 * (double)(factors->partial + 2 * factors->size),
	};
	clef__arg *arg = launch.args;

	*arg++ = (clef__arg)CLEF__TENSOR(factors->parts);
	*arg++ = (clef__arg)CLEF__TENSOR(factors->stats);
	*arg++ = part_of(&factors->blocks, span, factors->blocks.buffer, 8);
	*arg++ = control_of(optim);
	*arg++ = (clef__arg)CLEF__INT(n);
	clef__optim_numbers(optim, span, 0, arg);
	return clef__launch(optim->params->dev, &launch);
}

static clef_status find_means(const clef_optim *optim, const clef__optim_span *span)
{
	const clef__factors *factors = optim->factors;
	size_t items = (size_t)factors->items;

	return clef__launch(optim->params->dev,
			    &(clef__launch_opts){
				    .program = "optim_factor",
				    .defines = span->defines,
				    .kernel = "means",
				    .label = "adafactor_means",
				    .global = { items * count_of(&factors->means, span) },
				    .local = { items },
				    .args = { CLEF__TENSOR(factors->stats),
					      part_of(&factors->means, span, factors->means.buffer, 2),
					      part_of(&factors->means, span, factors->mean, 1),
					      CLEF__LOCAL(items * sizeof(float)) },
			    });
}

static clef_status find_distances(const clef_optim *optim, const clef__optim_span *span)
{
	const clef__factors *factors = optim->factors;
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

	*arg++ = part_of(&factors->pieces, span, factors->sums, CLEF__PARTS);
	*arg++ = (clef__arg)CLEF__BUFFER(factors->first_of_piece, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(factors->shape_buffer, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->ratios, 0);
	*arg++ = control_of(optim);
	*arg++ = (clef__arg)CLEF__LOCAL(size * sizeof(float));
	*arg++ = (clef__arg)CLEF__INT(span->first);
	*arg++ = (clef__arg)CLEF__INT(factors->pieces.first[span->first]);
	clef__optim_numbers(optim, span, 0, arg);
	return clef__launch(optim->params->dev, &launch);
}

clef_status clef__factors_update(clef_optim *optim, const clef__optim_span *span)
{
	bool large = count_of(&optim->factors->means, span) > 0;
	clef_status s = launch_pieces(optim, span, "statistics", "adafactor_statistics", large ? 4.0 : 8.0);

	if (!s && large)
		s = finish_statistics(optim, span);
	if (!s && large)
		s = find_means(optim, span);
	if (!s && large)
		s = launch_pieces(optim, span, "measure_tiles", "adafactor_norms", 8.0);
	if (!s)
		s = find_distances(optim, span);
	return s ? s : launch_pieces(optim, span, "update_factored", "adafactor", 12.0);
}
