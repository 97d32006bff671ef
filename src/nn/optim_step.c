/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A step: one launch over the span from the first to the last parameter that takes part.
 *
 * Steps are counted for each parameter, as PyTorch does, because one that was passed over is behind with its bias
 * correction. Most often all parameters of the span have one group and one count, and their numbers go to the kernel by
 * value. Otherwise the numbers are a table in device memory, with a row for each parameter; the row of one that takes
 * no part says so. The table is written when it changes, which a rule without bias correction does not make it.
 */
#include "optim_internal.h"

#define ROW (2 * CLEF__NUMBERS)

static bool wanted(const clef_optim *optim, int i)
{
	const clef_tensor *w = optim->params->list[i].w;

	return w->requires_grad && w->grad_fresh && !optim->groups[optim->group[i]].frozen;
}

/* The row of a parameter that takes part. */
static void fill_row(clef_optim *optim, int i, float row[ROW])
{
	const clef__optim_group *group = &optim->groups[optim->group[i]];
	clef__optim_at at = { .lr = (double)optim->lr * (double)group->lr_factor,
			      .weight_decay = (double)group->weight_decay,
			      .t = optim->steps[i] + 1 };
	bool own = optim->rule->own_decay, decoupled = optim->decoupled;

	memset(row, 0, ROW * sizeof(*row));
	row[0] = 1.0f;
	row[1] = own || decoupled ? 0.0f : group->weight_decay;
	row[2] = own || !decoupled ? 0.0f : (float)(at.lr * at.weight_decay);
	row[3] = optim->maximize ? -optim->gradient.scale : optim->gradient.scale;
	row[4] = optim->gradient.clip_value;
	row[5] = (float)at.lr;
	optim->rule->numbers(optim, &at, row + CLEF__NUMBERS);
}

/* Parameter i has the numbers of parameter k. */
static bool alike(const clef_optim *optim, int i, int k)
{
	return optim->group[i] == optim->group[k] && optim->steps[i] == optim->steps[k];
}

/* False where no parameter takes part. */
static bool find_span(const clef_optim *optim, clef__optim_span *span)
{
	span->first = span->end = -1;
	span->table = false;
	for (int i = 0; i < optim->params->count; i++) {
		if (!wanted(optim, i))
			continue;
		if (span->first < 0)
			span->first = i;
		else if (span->end != i || !alike(optim, i, span->first))
			span->table = true;
		span->end = i + 1;
	}
	return span->first >= 0;
}

static clef_status make_table(clef_optim *optim)
{
	size_t count = (size_t)optim->params->count * ROW;

	if (optim->table)
		return CLEF_OK;
	if (!optim->rows)
		optim->rows = clef__calloc(count, sizeof(float), "an optimizer's table");
	if (optim->rows && !optim->last_rows)
		optim->last_rows = clef__calloc(count, sizeof(float), "an optimizer's table");
	if (!optim->last_rows)
		return CLEF_ERROR_MEMORY;
	optim->table = clef__buffer_new_whole(optim->params->dev, count * sizeof(float));
	return optim->table ? CLEF_OK : clef_error_status();
}

static clef_status fill_table(clef_optim *optim, const clef__optim_span *span)
{
	size_t bytes = (size_t)optim->params->count * ROW * sizeof(float);
	int like = -1; /* a parameter whose row can be copied: they are often alike from one to the next but one */
	int before = -1;
	clef_status s = make_table(optim);

	if (s)
		return s;
	memset(optim->rows, 0, bytes);
	for (int i = span->first; i < span->end; i++) {
		float *row = optim->rows + (size_t)i * ROW;
		int same = like >= 0 && alike(optim, i, like)       ? like
			   : before >= 0 && alike(optim, i, before) ? before
								    : -1;

		if (!wanted(optim, i))
			continue;
		if (same >= 0)
			memcpy(row, optim->rows + (size_t)same * ROW, ROW * sizeof(float));
		else
			fill_row(optim, i, row);
		if (before < 0 || !alike(optim, i, before))
			like = before;
		before = i;
	}
	if (optim->written && !memcmp(optim->rows, optim->last_rows, bytes))
		return CLEF_OK;
	s = clef__buffer_write(optim->table, 0, optim->rows, bytes);
	optim->written = !s;
	memcpy(optim->last_rows, optim->rows, bytes);
	return s;
}

clef__arg *clef__optim_numbers(const clef_optim *optim, const clef__optim_span *span, int64_t block, clef__arg *arg)
{
	*arg++ = (clef__arg)CLEF__BUFFER(span->table ? optim->table : optim->map, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->map, block);
	for (int i = 0; i < 2; i++) {
		arg->kind = CLEF__ARG_INT8; /* eight of anything that has four bytes */
		memcpy(arg->value.i8, span->numbers + i * CLEF__NUMBERS, sizeof(arg->value.i8));
		arg++;
	}
	return arg;
}

static int state_count(const clef__optim_rule *rule)
{
	int count = 0;

	while (count < CLEF__STATES && rule->state[count])
		count++;
	return count;
}

static clef_status update(clef_optim *optim, const clef__optim_span *span)
{
	const clef_params *params = optim->params;
	const clef__param *last = &params->list[span->end - 1];
	int64_t offset = params->list[span->first].offset;
	int64_t n = last->offset + last->w->numel - offset;
	int64_t blocks = (n + CLEF__BLOCK - 1) / CLEF__BLOCK;
	int64_t items =
		clef_device_get_info(params->dev)->kind == CLEF_DEVICE_CPU ? blocks : blocks * (CLEF__BLOCK / 4);
	int states = state_count(optim->rule);
	clef__launch_opts launch = {
		.program = "optim",
		.defines = span->defines,
		.kernel = "update",
		.label = optim->rule->name,
		.global = { (size_t)items },
		.bytes = (3.0 + 2.0 * states) * sizeof(float) * (double)n,
		.args = { CLEF__BUFFER(params->values->buffer, offset), CLEF__BUFFER(params->grads->buffer, offset) },
	};
	clef__arg *arg = &launch.args[2];

	for (int i = 0; i < CLEF__STATES; i++)
		*arg++ = (clef__arg)CLEF__BUFFER((i < states ? optim->state[i] : params->values)->buffer, offset);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->control ? optim->control : optim->map, 0);
	*arg++ = (clef__arg)CLEF__BUFFER(optim->ratios ? optim->ratios : optim->map, 0);
	*arg++ = (clef__arg)CLEF__INT(items);
	clef__optim_numbers(optim, span, offset / CLEF__BLOCK, arg);
	return clef__launch(params->dev, &launch);
}

static void make_defines(const clef_optim *optim, const clef__optim_span *span, char *text, size_t size)
{
	const clef__optim_rule *rule = optim->rule;

	snprintf(text, size, "#define RULE %s\n#define STATES %d\n%s%s%s%s%s%s", rule->name, state_count(rule),
		 span->table ? "#define TABLE\n" : "", optim->control ? "#define CONTROL\n" : "",
		 optim->gradient.clip_value > 0.0f ? "#define CLIP_VALUE\n" : "",
		 rule->direction ? "#define RATIO\n#define DIRECTION " : "", rule->direction ? rule->direction : "",
		 rule->direction ? "\n" : "");
}

static clef_status step(clef_optim *optim, clef__optim_span *span)
{
	char defines[256];
	clef_status s = CLEF_OK;

	make_defines(optim, span, defines, sizeof(defines));
	span->defines = defines;
	if (span->table)
		s = fill_table(optim, span);
	else
		fill_row(optim, span->first, span->numbers);
	if (!s && optim->control)
		s = clef__optim_measure_gradient(optim, span);
	if (!s && optim->rule->factored)
		return clef__factors_update(optim, span);
	if (!s && optim->rule->direction)
		s = clef__optim_measure_ratio(optim, span);
	return s ? s : update(optim, span);
}

clef_status clef_optim_step(clef_optim *optim)
{
	clef__optim_span span = { 0 };
	clef_status s;

	if (!optim)
		return clef__null_argument("clef_optim_step");
	if (!find_span(optim, &span))
		return clef__fail(
			CLEF_ERROR_STATE,
			"clef_optim_step: none of the %d parameters that require a gradient has got one since "
			"the last step: call clef_backward() on a loss that depends on them",
			optim->params->count);
	s = step(optim, &span);
	if (s)
		return s;
	for (int i = span.first; i < span.end; i++)
		if (wanted(optim, i))
			optim->steps[i]++;
	for (int i = 0; i < optim->params->count; i++)
		optim->params->list[i].w->grad_fresh = false;
	return CLEF_OK;
}
