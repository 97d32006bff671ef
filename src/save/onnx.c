/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models as ONNX: the layers of a sequential model one behind the other, with the shapes that the dry run has found, or
 * what a forward function records. A reader gets the model as it evaluates.
 */
#include <clef/checkpoint.h>

#include "onnx_internal.h"
#include "replace.h"

const char *clef__onnx_refuse(const clef__onnx_job *j, const char *why)
{
	const char *kind = clef_layer_name(j->layer->kind);

	if (j->index < 0)
		return clef__fail_null(CLEF_ERROR_UNSUPPORTED,
				       "clef_onnx_save: %s \"%s\" cannot be written as ONNX: %s", kind, j->name, why);
	return clef__fail_null(CLEF_ERROR_UNSUPPORTED, "clef_onnx_save: layer %d (%s) cannot be written as ONNX: %s",
			       j->index, kind, why);
}

/* What the layer of that name gives; that of x where it does nothing, as dropout in evaluation. */
static clef_shape output_of(const clef_model *model, const char *name, clef_shape x)
{
	for (int i = 0; i < model->row_count; i++)
		if (model->rows[i].layer && !strcmp(model->rows[i].layer, name) && model->rows[i].output.ndim >= 0)
			x = model->rows[i].output;
	return x;
}

static const char *add_layers(clef__onnx *g, const clef_model *model)
{
	clef_shape shape = { .ndim = model->input.ndim + 1, .dim = { 1 } };
	const char *x = "x";

	for (int i = 0; i < model->input.ndim; i++)
		shape.dim[i + 1] = model->input.dim[i];
	for (int i = 0; i < model->layer_count && x; i++) {
		const clef__onnx_job job = { .g = g,
					     .model = model,
					     .layer = &model->layers[i],
					     .index = i,
					     .name = model->layer_names[i],
					     .in = shape,
					     .out = output_of(model, model->layer_names[i], shape) };

		x = clef__onnx_layer(&job, x);
		shape = job.out;
	}
	/* So that there is a node where all layers are dropouts. */
	return clef__onnx_unary(g, "Identity", x);
}

static clef_status write_bytes(const clef__writer *w, const void *what)
{
	const clef__proto *message = what;

	return clef__write(w, message->bytes, (size_t)message->used);
}

clef_status clef_onnx_save(const clef_model *model, const char *path)
{
	clef__onnx g = { .count = 0 };
	clef__proto message = { .used = 0 };
	const char *result;
	clef_status s = CLEF_OK;

	if (!model || !path)
		return clef__null_argument("clef_onnx_save");
	clef_error_clear();
	result = model->layers ? add_layers(&g, model) : clef__onnx_function(&g, model);
	if (result)
		message = clef__onnx_model(&g, result, model->opts.dtype == CLEF_INT32, model->input, model->output);
	if (!result || message.failed)
		s = clef_error_status() ? clef_error_status() : CLEF_ERROR_MEMORY;
	if (!s)
		s = clef__replace("clef_onnx_save", path, false, write_bytes, &message);
	free(message.bytes);
	clef__onnx_free(&g);
	return s;
}
