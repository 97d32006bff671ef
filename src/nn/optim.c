/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all optimizers have in common but the step itself: making and freeing, the learning rate, groups.
 */
#include "optim_internal.h"

/* ---- making ---- */

/* The parts of the set that the kernels look up. */
static clef_status make_map(clef_optim *optim)
{
	const clef_params *params = optim->params;
	/* Blocks: enough to keep its sums small beside it, few enough to keep a GPU busy. */
	int chunk = clef_device_get_info(params->dev)->kind == CLEF_DEVICE_CPU ? 128 : 8;
	int chunks = 0;
	int *map, *starts;
	clef_status s;

	optim->blocks = (int)(params->size / CLEF__BLOCK);
	optim->first_chunk = clef__calloc((size_t)params->count + 1, sizeof(int), "an optimizer's chunks");
	if (!optim->first_chunk)
		return CLEF_ERROR_MEMORY;
	for (int i = 0; i < params->count; i++) {
		int64_t blocks = (params->list[i].w->numel + CLEF__BLOCK - 1) / CLEF__BLOCK;

		optim->first_chunk[i] = chunks;
		chunks += (int)((blocks + chunk - 1) / chunk);
	}
	optim->first_chunk[params->count] = optim->chunks = chunks;
	map = clef__calloc((size_t)(optim->blocks + chunks + 1 + params->count + 1), sizeof(int), "an optimizer's map");
	if (!map)
		return CLEF_ERROR_MEMORY;
	starts = map + optim->blocks;
	for (int i = 0; i < params->count; i++) {
		int from = (int)(params->list[i].offset / CLEF__BLOCK);
		int end = from + (int)((params->list[i].w->numel + CLEF__BLOCK - 1) / CLEF__BLOCK);

		for (int b = from; b < end; b++)
			map[b] = i;
		for (int b = from; b < end; b += chunk)
			*starts++ = b;
	}
	*starts++ = optim->blocks;
	memcpy(starts, optim->first_chunk, sizeof(int) * ((size_t)params->count + 1));
	starts += params->count + 1;
	optim->map = clef__buffer_new_whole(params->dev, sizeof(int) * (size_t)(starts - map));
	s = optim->map ? clef__buffer_write(optim->map, 0, map, sizeof(int) * (size_t)(starts - map))
		       : clef_error_status();
	free(map);
	return s;
}

/* `fill` is what the first state starts with. */
static clef_status make_state(clef_optim *optim, float weight_decay, float fill)
{
	const clef_params *params = optim->params;
	clef_status s = CLEF_OK;

	optim->steps = clef__calloc((size_t)params->count, sizeof(*optim->steps), "an optimizer's step counts");
	optim->group = clef__calloc((size_t)params->count, sizeof(*optim->group), "an optimizer's groups");
	if (!optim->steps || !optim->group ||
	    clef__grow(&optim->groups, &optim->group_capacity, 1, sizeof(*optim->groups), "an optimizer's groups"))
		return CLEF_ERROR_MEMORY;
	optim->groups[0] = (clef__optim_group){ 1.0f, weight_decay, false };
	optim->group_count = 1;
	s = make_map(optim);
	for (int i = 0; i < CLEF__STATES && optim->rule->state[i] && !optim->rule->factored && !s; i++) {
		optim->state[i] = clef_tensor_new(params->dev, CLEF_FLOAT32, params->values->shape);
		s = optim->state[i] ? clef_fill(optim->state[i], i == 0 ? (double)fill : 0.0) : clef_error_status();
	}
	if (!s && optim->rule->direction) {
		optim->ratios = clef__buffer_new_whole(params->dev, sizeof(float) * (size_t)params->count);
		s = optim->ratios ? CLEF_OK : clef_error_status();
	}
	return !s && optim->rule->factored ? clef__factors_new(optim) : s;
}

clef_optim *clef__optim_new(const clef__optim_type *type, clef_params *params, const void *opts)
{
	clef_optim_opts o = { .kind = type->kind };
	const clef__optim_rule *rule;
	clef_optim *optim;

	if (!params) {
		clef__null_argument(type->function);
		return NULL;
	}
	if (opts)
		memcpy(&o.sgd, opts, type->size);
	rule = clef__optim_check(type, &o);
	if (!rule)
		return NULL;
	if (!params->values)
		return clef__fail_null(CLEF_ERROR_STATE, "%s: the parameters need clef_params_commit() first",
				       type->function);
	if (!params->count)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: the set has no parameters", type->function);
	optim = clef__calloc(1, sizeof(*optim), "an optimizer");
	if (!optim)
		return NULL;
	optim->rule = rule;
	optim->opts = o;
	optim->lr = clef__optim_number(type, &o, "lr");
	optim->decoupled = type->decoupled || clef__optim_flag(type, &o, "decoupled");
	optim->maximize = clef__optim_flag(type, &o, "maximize");
	optim->gradient.scale = 1.0f;
	optim->params = params;
	clef__params_retain(params);
	if (!make_state(optim, clef__optim_number(type, &o, "weight_decay"),
			clef__optim_number(type, &o, "accumulator")))
		return optim;
	clef_optim_free(optim);
	return NULL;
}

void clef_optim_free(clef_optim *optim)
{
	if (!optim)
		return;
	for (int i = 0; i < CLEF__STATES; i++)
		clef_tensor_free(optim->state[i]);
	clef__factors_free(optim->factors);
	clef__buffer_release(optim->control);
	clef__buffer_release(optim->map);
	clef__buffer_release(optim->sums);
	clef__buffer_release(optim->ratios);
	clef__buffer_release(optim->table);
	clef__optim_entries_free(optim);
	clef__params_release(optim->params);
	free(optim->first_chunk);
	free(optim->rows);
	free(optim->last_rows);
	free(optim->groups);
	free(optim->group);
	free(optim->steps);
	free(optim);
}

/* ---- the learning rate ---- */

float clef_optim_get_lr(const clef_optim *optim)
{
	if (!optim)
		clef__null_argument("clef_optim_get_lr");
	return optim ? optim->lr : NAN;
}

clef_status clef_optim_set_lr(clef_optim *optim, float lr)
{
	clef_status s;

	if (!optim)
		return clef__null_argument("clef_optim_set_lr");
	s = clef__option_check("clef_optim_set_lr", "lr", lr, CLEF__NON_NEGATIVE);
	if (!s)
		optim->lr = lr;
	return s;
}

/* ---- groups ---- */

static const char separators[] = " \t\n,";

/* Whether the name matches the pattern of that length. Of the stars only the last one seen ever needs another try. */
static bool matches(const char *pattern, size_t length, const char *name)
{
	const char *end = pattern + length, *star = NULL, *rest = NULL;

	while (*name) {
		if (pattern < end && *pattern == '*') {
			star = pattern++;
			rest = name;
		} else if (pattern < end && (*pattern == '?' || *pattern == *name)) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star + 1;
			name = ++rest;
		} else {
			return false;
		}
	}
	while (pattern < end && *pattern == '*')
		pattern++;
	return pattern == end;
}

/* How many parameters match; each gets the group, unless that is -1. */
static int match_all(const clef_optim *optim, const char *pattern, size_t length, int group)
{
	int found = 0;

	for (int i = 0; i < optim->params->count; i++)
		if (matches(pattern, length, optim->params->list[i].name)) {
			if (group >= 0)
				optim->group[i] = group;
			found++;
		}
	return found;
}

static clef_status check_patterns(const clef_optim *optim, const char *patterns)
{
	int words = 0;

	for (const char *p = patterns + strspn(patterns, separators); *p; words++) {
		size_t length = strcspn(p, separators);

		if (!match_all(optim, p, length, -1))
			return clef__fail(CLEF_ERROR_INVALID,
					  "clef_optim_group: \"%.*s\" matches none of the %d parameters: \"%s\"%s",
					  (int)length, p, optim->params->count, optim->params->list[0].name,
					  optim->params->count > 1 ? " and so on" : "");
		p += length;
		p += strspn(p, separators);
	}
	return words ? CLEF_OK : clef__fail(CLEF_ERROR_INVALID, "clef_optim_group: the pattern is empty");
}

clef_status clef_optim_group(clef_optim *optim, const char *pattern, const clef_group_opts *opts)
{
	const char *f = "clef_optim_group";
	clef__optim_group group = { 0 };
	clef_status s;

	if (!optim || !pattern || !opts)
		return clef__null_argument(f);
	group.lr_factor = clef__left_out(opts->lr_factor) ? 1.0f : opts->lr_factor;
	group.weight_decay = clef__left_out(opts->weight_decay) ? optim->groups[0].weight_decay : opts->weight_decay;
	group.frozen = opts->frozen;
	s = clef__option_check(f, "lr_factor", group.lr_factor, CLEF__POSITIVE);
	if (!s)
		s = clef__option_check(f, "weight_decay", group.weight_decay, CLEF__NON_NEGATIVE);
	if (!s)
		s = check_patterns(optim, pattern);
	if (!s)
		s = clef__grow(&optim->groups, &optim->group_capacity, optim->group_count + 1, sizeof(group),
			       "an optimizer's groups");
	if (s)
		return s;
	optim->groups[optim->group_count] = group;
	for (const char *p = pattern + strspn(pattern, separators); *p; p += strspn(p, separators)) {
		size_t length = strcspn(p, separators);

		match_all(optim, p, length, optim->group_count);
		p += length;
	}
	optim->group_count++;
	return CLEF_OK;
}
