/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State that is no parameter: the running statistics of batch normalization and the like. It is asked for by name in
 * the forward function, as parameters are, and gets its memory when the model is complete.
 */
#include "nn_internal.h"

static clef__state *find(const clef_model *model, const char *name)
{
	for (int i = 0; i < model->state_count; i++)
		if (strcmp(model->states[i].name, name) == 0)
			return &model->states[i];
	return NULL;
}

static clef_tensor *add(clef_model *model, const char *name, clef_shape shape, float start)
{
	clef__state *state;

	if (clef_shape_numel(shape) < 0)
		return clef__fail_null(CLEF_ERROR_SHAPE, "clef_nn_buffer: \"%s\": %s is no shape", name,
				       CLEF__SHAPE_TEXT(shape));
	if (clef__grow(&model->states, &model->state_capacity, model->state_count + 1, sizeof(*state), "buffers"))
		return NULL;
	state = &model->states[model->state_count];
	state->x = clef__tensor_view(model->params->dev, CLEF_FLOAT32, shape, NULL, 0);
	state->name = state->x ? clef__strdup(name) : NULL;
	state->start = start;
	if (!state->name) {
		clef_tensor_free(state->x);
		state->x = NULL;
		return NULL;
	}
	model->state_count++;
	return state->x;
}

clef_tensor *clef_nn_buffer(clef_module *m, const char *name, clef_shape shape, float start)
{
	char full[CLEF__MAX_NAME];
	clef__state *state;

	name = clef__layer_name(m, name, (const clef_tensor *)m, "clef_nn_buffer", full);
	if (!name)
		return NULL;
	state = find(m->model, name);
	if (!state && m->dry)
		return add(m->model, name, shape, start);
	if (!state)
		return clef__fail_null(CLEF_ERROR_STATE,
				       "clef_nn_buffer: \"%s\" is new, but the model exists already: the forward "
				       "function must ask for all its buffers when clef_model_new() calls it",
				       name);
	if (!clef_shape_equal(state->x->shape, shape))
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "clef_nn_buffer: \"%s\" was made with shape %s, but this call needs %s", name,
				       CLEF__SHAPE_TEXT(state->x->shape), CLEF__SHAPE_TEXT(shape));
	return state->x;
}

clef_tensor *clef_model_buffer(const clef_model *model, const char *name)
{
	clef__state *state;

	if (!model || !name) {
		clef__null_argument("clef_model_buffer");
		return NULL;
	}
	state = find(model, name);
	if (!state)
		return clef__fail_null(CLEF_ERROR_INVALID, "clef_model_buffer: the model has no buffer \"%s\"", name);
	return state->x;
}

void clef__state_count(clef_module *m, const clef_tensor *x)
{
	clef_model *model = m->model;

	for (int i = 0; i < model->state_count; i++)
		if (model->states[i].x == x) {
			model->states[i].counts = true;
			model->states[i].batches += model->training && !m->dry;
			return;
		}
}

clef_status clef__states_commit(clef_model *model)
{
	clef_status status = CLEF_OK;

	for (int i = 0; i < model->state_count && !status; i++) {
		clef_tensor *x = model->states[i].x;

		x->buffer = clef__buffer_new_whole(x->dev, sizeof(float) * (size_t)x->numel);
		status = x->buffer ? clef_fill(x, (double)model->states[i].start) : clef_error_status();
	}
	return status;
}

void clef__states_free(clef_model *model)
{
	for (int i = 0; i < model->state_count; i++) {
		clef_tensor_free(model->states[i].x);
		free(model->states[i].name);
	}
	free(model->states);
}
