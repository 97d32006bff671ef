/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching a forward pass. What the layers gave is still in the recording when the pass is over, so the figures are
 * found then, on the device, row by row: chunks first, each by a work-item, then all chunks by one. The host waits
 * once, for all rows together.
 */
#include <math.h>

#include "nn_internal.h"

/* A record of cl/watch.cl. Counts of zeros and NaNs fit, as a tensor has less than 2^31 values. */
typedef union word {
	uint32_t count;
	float value;
} word;

enum { MEAN, STD, LOWEST, HIGHEST, UNUSED, FINITE, ZEROS, NANS, WORDS };

#define CHUNK  1024 /* values, at least */
#define CHUNKS 1024 /* at most */

/* Appends a row for each layer call, with its last node's output, and one for each operation outside of layers; keeps
 * the outputs in order of the rows in `outputs`, which has room for all nodes. */
static clef_status make_rows(clef_model *model, const clef_tape *tape, int first, const clef_tensor **outputs,
			     int *count)
{
	const char *label = NULL;

	for (int i = first; i < clef__tape_count(tape); i++) {
		const clef__node *node = clef__tape_node(tape, i);
		clef_watch *row;

		if (!node->label || node->label != label)
			++*count;
		if (clef__grow(&model->watched, &model->watched_capacity, *count, sizeof(*model->watched),
			       "figures of layers"))
			return CLEF_ERROR_MEMORY;
		row = &model->watched[*count - 1];
		if (!node->label || node->label != label)
			*row = (clef_watch){ .name = node->label ? node->label : node->op->name, .op = node->op->name };
		row->shape = node->y->shape;
		row->numel = node->y->numel;
		outputs[*count - 1] = node->y;
		label = node->label;
	}
	return CLEF_OK;
}

/* Leaves out what is not float32. */
static int keep_floats(clef_watch *rows, const clef_tensor **outputs, int count)
{
	int kept = 0;

	for (int i = 0; i < count; i++)
		if (outputs[i]->dtype == CLEF_FLOAT32) {
			rows[kept] = rows[i];
			outputs[kept++] = outputs[i];
		}
	return kept;
}

/* The record of x, the i-th in `out`. */
static clef_status measure(const clef_tensor *x, clef__buffer *records, clef__buffer *out, int i)
{
	const int numel = (int)x->numel, chunk = CLEF__MAX(CHUNK, numel / CHUNKS + (numel % CHUNKS != 0));
	const int chunks = CLEF__MAX(numel / chunk + (numel % chunk != 0), 1);
	clef_status status =
		clef__launch(x->dev, &(clef__launch_opts){
					     .program = "watch",
					     .kernel = "watch_chunks",
					     .long_items = true,
					     .global = { (size_t)chunks },
					     .bytes = 4.0 * numel,
					     .args = { CLEF__TENSOR(x), CLEF__BUFFER(records, 0), CLEF__INT(numel),
						       CLEF__INT(chunk), CLEF__INT(chunks) },
				     });

	if (status)
		return status;
	return clef__launch(
		x->dev, &(clef__launch_opts){
				.program = "watch",
				.kernel = "watch_finish",
				.global = { 1 },
				.args = { CLEF__BUFFER(records, 0), CLEF__BUFFER(out, i * WORDS), CLEF__INT(chunks) },
			});
}

static void fill_row(clef_watch *row, const word record[WORDS])
{
	row->mean = record[MEAN].value;
	row->std = record[STD].value;
	row->min = record[LOWEST].value;
	row->max = record[HIGHEST].value;
	row->zeros = row->numel ? (float)((double)record[ZEROS].count / (double)row->numel) : 0;
	row->nans = record[NANS].count;
	row->infs = row->numel - row->nans - record[FINITE].count;
}

static clef_status measure_all(clef_device *dev, clef_watch *rows, const clef_tensor **outputs, int count)
{
	const size_t size = (size_t)count * WORDS * sizeof(word);
	clef__buffer *records = clef__buffer_new(dev, CHUNKS * WORDS * sizeof(word));
	clef__buffer *out = records ? clef__buffer_new(dev, size) : NULL;
	word *words = out ? clef__calloc((size_t)count, WORDS * sizeof(word), "figures of layers") : NULL;
	clef_status status = words ? CLEF_OK : clef_error_status();

	for (int i = 0; i < count && !status; i++)
		status = measure(outputs[i], records, out, i);
	if (!status)
		status = clef__buffer_read(out, 0, words, size);
	for (int i = 0; i < count && !status; i++)
		fill_row(&rows[i], words + (size_t)i * WORDS);
	free(words);
	clef__buffer_release(out);
	clef__buffer_release(records);
	return status;
}

clef_status clef__model_watch(clef_model *model, const clef_tape *tape, int first)
{
	const int nodes = clef__tape_count(tape) - first;
	const clef_tensor **outputs;
	clef_status status;
	int count = 0;

	if (nodes < 1)
		return CLEF_OK;
	outputs = clef__calloc((size_t)nodes, sizeof(const clef_tensor *), "outputs of layers");
	if (!outputs)
		return CLEF_ERROR_MEMORY;
	status = make_rows(model, tape, first, outputs, &count);
	if (!status)
		count = keep_floats(model->watched, outputs, count);
	if (!status && count)
		status = measure_all(model->params->dev, model->watched, outputs, count);
	free(outputs);
	if (!status)
		model->watch(model->watch_user, model->watched, count);
	return status;
}

clef_status clef_model_watch(clef_model *model, clef_watch_fn watch, void *user)
{
	if (!model)
		return clef__null_argument("clef_model_watch");
	model->watch = watch;
	model->watch_user = user;
	return CLEF_OK;
}
