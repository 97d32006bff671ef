/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef_model_print(): the rows are read off the recording of the dry run, so that they show what runs and not what was
 * declared. The operations of one layer call carry one label and make one row; an operation outside of layers is a row
 * of its own. A parameter counts where it is used first. The batch of one of the dry run is shown as N.
 */
#include "nn_internal.h"

static int param_of(const clef_params *params, const clef_tensor *x)
{
	for (int i = 0; i < params->count; i++)
		if (params->list[i].w == x)
			return i;
	return -1;
}

static clef__row *new_row(clef_model *model, const char *layer, const char *op)
{
	clef__row *row;

	if (clef__grow(&model->rows, &model->row_capacity, model->row_count + 1, sizeof(*model->rows),
		       "rows of the model's table"))
		return NULL;
	row = &model->rows[model->row_count];
	row->op = op;
	row->layer = layer ? clef__strdup(layer) : NULL;
	if (layer && !row->layer)
		return NULL;
	model->row_count++;
	return row;
}

static void count_params(const clef_model *model, const clef__node *node, clef__row *row, bool *counted)
{
	for (int i = 0; i < node->inputs; i++) {
		int k = param_of(model->params, node->x[i]);

		if (k < 0)
			continue;
		if (counted[k])
			row->shared = true;
		else
			row->numel += model->params->list[k].w->numel;
		counted[k] = true;
	}
}

/* Parameters that the forward function asked for and no operation took. */
static clef_status add_unused(clef_model *model, const bool *counted)
{
	for (int i = 0; i < model->params->count; i++) {
		const clef__param *param = &model->params->list[i];
		clef__row *row;

		if (counted[i])
			continue;
		row = new_row(model, param->name, "not used");
		if (!row)
			return CLEF_ERROR_MEMORY;
		row->numel = param->w->numel;
		row->output.ndim = -1;
	}
	return CLEF_OK;
}

clef_status clef__model_rows(clef_model *model, const clef_tape *tape)
{
	bool *counted = clef__calloc((size_t)model->params->count, sizeof(*counted), "marks of parameters");
	clef_status s = counted ? CLEF_OK : CLEF_ERROR_MEMORY;
	const char *label = NULL;
	clef__row *row = NULL;

	for (int i = 0; i < clef__tape_count(tape) && !s; i++) {
		const clef__node *node = clef__tape_node(tape, i);

		if (!row || !node->label || node->label != label)
			row = new_row(model, node->label, node->op->name);
		if (!row) {
			s = CLEF_ERROR_MEMORY;
			break;
		}
		label = node->label;
		row->output = node->y->shape;
		count_params(model, node, row, counted);
	}
	if (!s)
		s = add_unused(model, counted);
	free(counted);
	return s;
}

/* "269,322" */
static const char *grouped(int64_t n, char text[32])
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%lld", (long long)n);
	char *p = text;

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return text;
}

typedef struct row_text {
	char title[160];
	char output[CLEF__SHAPE_TEXT_SIZE];
	char params[32];
} row_text;

static void write_row(const clef__row *row, row_text *text)
{
	const char *name = row->layer;
	int ndim = row->output.ndim;
	size_t used;

	snprintf(text->title, sizeof(text->title), name ? "%s (%s)" : "%s%s", name ? name : "", row->op);
	used = (size_t)snprintf(text->output, sizeof(text->output), ndim < 0 ? "-" : "[");
	for (int i = 0; i < ndim; i++)
		used += (size_t)snprintf(text->output + used, sizeof(text->output) - used,
					 i == 0 && row->output.dim[0] == 1 ? "%sN" : "%s%lld", i ? ", " : "",
					 (long long)row->output.dim[i]);
	if (ndim >= 0)
		snprintf(text->output + used, sizeof(text->output) - used, "]");
	if (row->numel)
		grouped(row->numel, text->params);
	else
		snprintf(text->params, sizeof(text->params), "%s", row->shared ? "shared" : "-");
}

static void print_line(FILE *out, size_t length)
{
	while (length--)
		fputc('-', out);
	fputc('\n', out);
}

static void print_totals(const clef_params *params, FILE *out)
{
	char total[32], trainable[32];
	double kib = (double)params->size * sizeof(float) / 1024;
	int64_t wanted = 0;

	for (int i = 0; i < params->count; i++)
		if (params->list[i].w->requires_grad)
			wanted += params->list[i].w->numel;
	fprintf(out, "Parameters: %s, trainable: %s\n", grouped(params->numel, total), grouped(wanted, trainable));
	fprintf(out, "Memory: %.1f %s for the parameters, as much for their gradients\n", kib < 1024 ? kib : kib / 1024,
		kib < 1024 ? "KiB" : "MiB");
}

static void print_table(const clef_model *model, const row_text *texts, FILE *out)
{
	size_t title = strlen("Layer"), output = strlen("Output shape"), params = strlen("Parameters");

	for (int i = 0; i <= model->row_count; i++) {
		title = CLEF__MAX(title, strlen(texts[i].title));
		output = CLEF__MAX(output, strlen(texts[i].output));
		params = CLEF__MAX(params, strlen(texts[i].params));
	}
	fprintf(out, "%-*s  %-*s  %*s\n", (int)title, "Layer", (int)output, "Output shape", (int)params, "Parameters");
	print_line(out, title + output + params + 4);
	for (int i = 0; i <= model->row_count; i++)
		fprintf(out, "%-*s  %-*s  %*s\n", (int)title, texts[i].title, (int)output, texts[i].output, (int)params,
			texts[i].params);
	print_line(out, title + output + params + 4);
	print_totals(model->params, out);
}

clef_status clef_model_print(const clef_model *model, FILE *out)
{
	row_text *texts;
	clef__row input = { .op = "input" };

	if (!model || !out)
		return clef__null_argument("clef_model_print");
	texts = clef__calloc((size_t)model->row_count + 1, sizeof(*texts), "the model's table");
	if (!texts)
		return CLEF_ERROR_MEMORY;
	input.output.ndim = model->input.ndim + 1;
	input.output.dim[0] = 1;
	for (int i = 0; i < model->input.ndim; i++)
		input.output.dim[i + 1] = model->input.dim[i];
	write_row(&input, &texts[0]);
	for (int i = 0; i < model->row_count; i++)
		write_row(&model->rows[i], &texts[i + 1]);
	print_table(model, texts, out);
	free(texts);
	if (fflush(out) || ferror(out))
		return clef__fail(CLEF_ERROR_IO, "clef_model_print: the table could not be written");
	return CLEF_OK;
}
