/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of an optimizer as named arrays: the steps that each parameter has made, the learning rate, and for each
 * parameter what the rule keeps of it, under PyTorch's names. The list is made when it is first asked for.
 */
#include "optim_internal.h"

enum { STEPS, RATE, FIRST };

/* Where the values of an entry behind the first two lie. */
typedef struct place {
	const char *name;
	clef_shape shape;
	clef__buffer *buffer;
	size_t offset;
} place;

/* State k of parameter i; false where it has none. */
static bool find_place(const clef_optim *optim, int i, int k, place *p)
{
	const clef__param *param = &optim->params->list[i];

	if (optim->factors)
		return k < 2 && clef__factors_part(optim, i, k, &p->name, &p->shape, &p->buffer, &p->offset);
	if (!optim->state[k])
		return false;
	*p = (place){ optim->rule->state[k], param->w->shape, optim->state[k]->buffer,
		      optim->state[k]->offset + (size_t)param->offset };
	return true;
}

void clef__optim_entries_free(clef_optim *optim)
{
	for (int i = FIRST; i < optim->entry_count; i++)
		free((char *)optim->entries[i].name);
	free(optim->entries);
	optim->entries = NULL;
	optim->entry_count = 0;
}

static clef_status make_entries(clef_optim *optim)
{
	int most = FIRST + CLEF__STATES * optim->params->count;
	place p;

	optim->entries = clef__calloc((size_t)most, sizeof(*optim->entries), "an optimizer's entries");
	if (!optim->entries)
		return CLEF_ERROR_MEMORY;
	optim->entries[STEPS] = (clef_optim_entry){ "steps", CLEF_INT32, CLEF_SHAPE(optim->params->count) };
	optim->entries[RATE] = (clef_optim_entry){ "lr", CLEF_FLOAT32, CLEF_SCALAR };
	optim->entry_count = FIRST;
	for (int i = 0; i < optim->params->count; i++)
		for (int k = 0; k < CLEF__STATES && find_place(optim, i, k, &p); k++) {
			char *name = clef__format("%s.%s", optim->params->list[i].name, p.name);

			if (!name) {
				clef__optim_entries_free(optim);
				return CLEF_ERROR_MEMORY;
			}
			optim->entries[optim->entry_count++] = (clef_optim_entry){ name, CLEF_FLOAT32, p.shape };
		}
	return CLEF_OK;
}

/* The list is a cache, and making it changes nothing that a user could see. */
static clef_status need_entries(const clef_optim *optim)
{
	return optim->entries ? CLEF_OK : make_entries((clef_optim *)optim);
}

static place place_of(const clef_optim *optim, int entry)
{
	place p = { 0 };
	int at = FIRST;

	for (int i = 0; i < optim->params->count; i++)
		for (int k = 0; k < CLEF__STATES && find_place(optim, i, k, &p); k++)
			if (at++ == entry)
				return p;
	return p;
}

int clef_optim_state_count(const clef_optim *optim)
{
	if (!optim) {
		clef__null_argument("clef_optim_state_count");
		return 0;
	}
	return need_entries(optim) ? 0 : optim->entry_count;
}

clef_status clef_optim_state_get(const clef_optim *optim, int i, clef_optim_entry *entry)
{
	const char *f = "clef_optim_state_get";

	if (!optim || !entry)
		return clef__null_argument(f);
	if (need_entries(optim))
		return clef_error_status();
	if (i < 0 || i >= optim->entry_count)
		return clef__fail(CLEF_ERROR_INVALID, "%s: there is no entry %d, the optimizer has %d", f, i,
				  optim->entry_count);
	*entry = optim->entries[i];
	return CLEF_OK;
}

int clef_optim_state_find(const clef_optim *optim, const char *name)
{
	if (!optim || !name) {
		clef__null_argument("clef_optim_state_find");
		return -1;
	}
	if (need_entries(optim))
		return -1;
	for (int i = 0; i < optim->entry_count; i++)
		if (!strcmp(optim->entries[i].name, name))
			return i;
	clef__fail(CLEF_ERROR_INVALID, "clef_optim_state_find: no entry \"%s\" in the state of %s, which has %d", name,
		   optim->rule->name, optim->entry_count);
	return -1;
}

static clef_status check_copy(const char *f, const clef_optim *optim, int i, const void *data, size_t bytes)
{
	clef_optim_entry entry;
	size_t want;
	clef_status s;

	if (!optim || !data)
		return clef__null_argument(f);
	s = clef_optim_state_get(optim, i, &entry);
	if (s)
		return s;
	want = 4 * (size_t)clef_shape_numel(entry.shape);
	if (bytes != want)
		return clef__fail(CLEF_ERROR_INVALID, "%s: \"%s\" %s has %zu bytes, not %zu", f, entry.name,
				  CLEF__SHAPE_TEXT(entry.shape), want, bytes);
	return CLEF_OK;
}

clef_status clef_optim_state_read(const clef_optim *optim, int i, void *data, size_t bytes)
{
	clef_status s = check_copy("clef_optim_state_read", optim, i, data, bytes);
	place p;

	if (s)
		return s;
	if (i == RATE) {
		memcpy(data, &optim->lr, bytes);
		return CLEF_OK;
	}
	if (i == STEPS) {
		for (int k = 0; k < optim->params->count; k++)
			((int32_t *)data)[k] = (int32_t)CLEF__MIN(optim->steps[k], INT32_MAX);
		return CLEF_OK;
	}
	p = place_of(optim, i);
	return clef__buffer_read(p.buffer, p.offset * sizeof(float), data, bytes);
}

static clef_status write_steps(clef_optim *optim, const int32_t *steps)
{
	for (int i = 0; i < optim->params->count; i++)
		if (steps[i] < 0)
			return clef__fail(CLEF_ERROR_INVALID,
					  "clef_optim_state_write: \"%s\" has made %d steps, must be 0 or more",
					  optim->params->list[i].name, (int)steps[i]);
	for (int i = 0; i < optim->params->count; i++)
		optim->steps[i] = steps[i];
	return CLEF_OK;
}

clef_status clef_optim_state_write(clef_optim *optim, int i, const void *data, size_t bytes)
{
	clef_status s = check_copy("clef_optim_state_write", optim, i, data, bytes);
	place p;

	if (s)
		return s;
	if (i == STEPS)
		return write_steps(optim, data);
	if (i == RATE)
		return clef_optim_set_lr(optim, *(const float *)data);
	p = place_of(optim, i);
	return clef__buffer_write(p.buffer, p.offset * sizeof(float), data, bytes);
}
