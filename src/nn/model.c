/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models. A model is its forward function and the parameters that this asked for. When the model is made the function
 * runs once on a dry recording, in which operations infer shapes and nothing else: so the parameters, their shapes and
 * the rows of clef_model_print() come from the one description of the model that there is. The parameters are
 * committed afterwards, and later calls find them by name.
 */
#include "nn_internal.h"

static clef_tensor *run_forward(clef_model *model, clef_tensor *x)
{
	clef_module *m = &model->module;

	m->cursor = 0;
	m->prefix[0] = '\0';
	m->depth = 0;
	m->prefix_bad = false;
	return model->forward(m, x);
}

clef_tensor *clef__model_record(clef_model *model, clef_tape *tape, bool first)
{
	clef_shape shape = { .ndim = model->input.ndim + 1, .dim = { 1 } };
	bool training = model->training;
	clef_tensor *x, *y;

	for (int i = 0; i < model->input.ndim; i++)
		shape.dim[i + 1] = model->input.dim[i];
	x = clef__tape_begin_dry(tape) ? NULL : clef__tape_placeholder(tape, model->opts.dtype, shape);
	if (!x)
		return NULL;
	/* An old message must not pass for that of a function that gives none. */
	clef_error_clear();
	/* One sample has no statistics of a batch, and a dropout would draw. */
	model->training = false;
	model->module.dry = first ? tape : NULL;
	model->module.named = tape;
	y = run_forward(model, x);
	model->module.dry = model->module.named = NULL;
	model->training = training;
	if (!y && !clef_error_status())
		clef__fail(CLEF_ERROR_INVALID,
			   "clef_model_new: the forward function returned NULL for x %s and gave no message",
			   CLEF__SHAPE_TEXT(shape));
	return y;
}

static clef_status trace(clef_model *model, clef_tape *tape)
{
	clef_tensor *y = clef__model_record(model, tape, true);

	if (!y)
		return clef_error_status();
	model->training = true;
	model->output.ndim = CLEF__MAX(y->shape.ndim - 1, 0);
	for (int i = 0; i < model->output.ndim; i++)
		model->output.dim[i] = y->shape.dim[i + 1];
	return clef__model_rows(model, tape);
}

/* The user may be in the midst of a recording of his own, which stays the device's latest. */
static clef_status dry_run(clef_model *model)
{
	clef_device *dev = model->params->dev;
	void *begun = clef__device_get_tape(dev);
	clef_tape *tape = clef_tape_new(dev);
	clef_status s = tape ? trace(model, tape) : clef_error_status();

	clef_tape_free(tape);
	clef__device_set_tape(dev, begun);
	return s;
}

static clef_status copy_layers(clef_model *model, const clef_layer *layers, int count)
{
	model->layers = clef__calloc((size_t)count, sizeof(*layers), "layers");
	model->layer_names = clef__calloc((size_t)count, sizeof(*model->layer_names), "names of layers");
	if (!model->layers || !model->layer_names)
		return CLEF_ERROR_MEMORY;
	memcpy(model->layers, layers, (size_t)count * sizeof(*layers));
	model->layer_count = count;
	for (int i = 0; i < count; i++)
		snprintf(model->layer_names[i], sizeof(model->layer_names[i]), "%d", i);
	return CLEF_OK;
}

static clef_status check_numel(const clef_model *model, const char *maker)
{
	int64_t numel = model->params->numel;

	for (int i = 0; i < model->state_count; i++)
		numel += model->states[i].x->numel;
	if (model->opts.max_numel > 0 && numel > model->opts.max_numel)
		return clef__fail(CLEF_ERROR_SHAPE,
				  "%s: the model has %lld values in parameters and buffers, %lld are allowed", maker,
				  (long long)numel, (long long)model->opts.max_numel);
	return CLEF_OK;
}

clef_model *clef__model_new(clef_device *dev, clef_forward_fn forward, const clef_layer *layers, int count,
			    clef_shape input, const clef_model_opts *opts)
{
	const char *maker = layers ? "clef_sequential_new" : "clef_model_new";
	clef_model *model;
	clef_status s;

	if (input.ndim >= CLEF_MAX_DIMS || clef_shape_numel(input) < 0)
		return clef__fail_null(
			CLEF_ERROR_SHAPE,
			"%s: input %s is no shape of a sample: 0 to %d dimensions, none negative, and at "
			"most 2^31 - 1 elements",
			maker, CLEF__SHAPE_TEXT(input), CLEF_MAX_DIMS - 1);
	if (opts && !clef_dtype_size(opts->dtype))
		return clef__fail_null(CLEF_ERROR_DTYPE, "%s: dtype %d is none", maker, (int)opts->dtype);
	model = clef__calloc(1, sizeof(*model), "a model");
	if (!model)
		return NULL;
	model->module.model = model;
	model->forward = forward;
	model->input = input;
	if (opts)
		model->opts = *opts;
	/* Behind the draws of any initialization. */
	model->rng = (clef_rng){ .seed = model->opts.seed, .counter = (uint64_t)1 << 63 };
	model->params = clef_params_new(dev);
	s = model->params ? CLEF_OK : clef_error_status();
	if (!s) {
		model->params->of_model = true;
		s = layers ? copy_layers(model, layers, count) : CLEF_OK;
	}
	if (!s)
		s = dry_run(model);
	if (!s)
		s = check_numel(model, maker);
	if (!s)
		s = clef_params_commit(model->params, &(clef_rng){ .seed = model->opts.seed });
	if (!s)
		s = clef__states_commit(model);
	if (!s)
		return model;
	clef_model_free(model);
	return NULL;
}

clef_model *clef_model_new(clef_device *dev, clef_forward_fn forward, clef_shape input, const clef_model_opts *opts)
{
	if (!dev || !forward) {
		clef__null_argument("clef_model_new");
		return NULL;
	}
	return clef__model_new(dev, forward, NULL, 0, input, opts);
}

void clef_model_free(clef_model *model)
{
	if (!model)
		return;
	clef__states_free(model);
	clef__params_release(model->params);
	for (int i = 0; i < model->row_count; i++)
		free(model->rows[i].layer);
	free(model->rows);
	free(model->watched);
	free(model->layers);
	free(model->layer_names);
	free(model->owned);
	free(model->network);
	free(model);
}

/* "[N, 1, 28, 28]" */
static const char *expected(const clef_model *model, char text[CLEF__SHAPE_TEXT_SIZE])
{
	size_t used = (size_t)snprintf(text, CLEF__SHAPE_TEXT_SIZE, "[N");

	for (int i = 0; i < model->input.ndim; i++)
		used += (size_t)snprintf(text + used, CLEF__SHAPE_TEXT_SIZE - used, ", %lld",
					 (long long)model->input.dim[i]);
	snprintf(text + used, CLEF__SHAPE_TEXT_SIZE - used, "]");
	return text;
}

static clef_tensor *run_watched(clef_model *model, clef_tape *tape, int first, clef_tensor *x)
{
	clef_tensor *y;

	model->module.named = tape;
	clef__tape_hold(tape, true);
	y = run_forward(model, x);
	model->module.named = NULL;
	y = y && !clef__model_watch(model, tape, first) ? y : NULL;
	clef__tape_hold(tape, false);
	return y;
}

static clef_tensor *run(clef_model *model, clef_tensor *x)
{
	clef_tape *tape = x->tape ? x->tape : clef__device_get_tape(x->dev);
	int first = tape ? clef__tape_count(tape) : 0;
	clef_tensor *y;

	/* Within the dry run of another model there are no values to watch. */
	if (model->watch && tape && !clef__tape_is_dry(tape))
		y = run_watched(model, tape, first, x);
	else
		y = run_forward(model, x);
	if (tape)
		clef__tape_enclose(tape, first, y);
	return y;
}

clef_tensor *clef_model_forward(clef_model *model, clef_tensor *x)
{
	char text[CLEF__SHAPE_TEXT_SIZE];
	bool fits;

	if (!model || !x) {
		clef__null_argument("clef_model_forward");
		return NULL;
	}
	fits = x->shape.ndim == model->input.ndim + 1;
	for (int i = 0; i < model->input.ndim && fits; i++)
		fits = x->shape.dim[i + 1] == model->input.dim[i];
	if (!fits)
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "clef_model_forward: x is %s, but the model was made for %s, N the batch",
				       CLEF__SHAPE_TEXT(x->shape), expected(model, text));
	if (x->dtype != model->opts.dtype)
		return clef__fail_null(CLEF_ERROR_DTYPE, "clef_model_forward: x is %s, must be %s",
				       clef_dtype_name(x->dtype), clef_dtype_name(model->opts.dtype));
	return run(model, x);
}

clef_params *clef_model_params(clef_model *model)
{
	if (!model)
		clef__null_argument("clef_model_params");
	return model ? model->params : NULL;
}

clef_shape clef_model_input(const clef_model *model)
{
	return model ? model->input : CLEF_SCALAR;
}

clef_shape clef_model_output(const clef_model *model)
{
	return model ? model->output : CLEF_SCALAR;
}

clef_status clef_model_train(clef_model *model, bool training)
{
	if (!model)
		return clef__null_argument("clef_model_train");
	model->training = training;
	return CLEF_OK;
}

bool clef_module_training(const clef_module *m)
{
	return m && m->model->training;
}

void *clef_module_user(const clef_module *m)
{
	return m ? m->model->opts.user : NULL;
}
