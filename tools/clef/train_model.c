/* SPDX-License-Identifier: Apache-2.0 */
/* The model of clef train, from its text. What does not fit the data is found here, before anything runs. */
#include <stdlib.h>

#include <clef/clef.h>

#include "tool.h"
#include "train_model.h"

/* A shape or a number that does not fit is the user's, all else is the machine's. */
static int failed(const train_options *o, clef_status s)
{
	if (s == CLEF_ERROR_MEMORY) {
		complain("no memory on the host for the model");
		return EXIT_FAILED;
	}
	complain("--model \"%s\" with --init %s: %s", o->model, o->init, reason());
	return s == CLEF_ERROR_SHAPE || s == CLEF_ERROR_INVALID ? EXIT_MISUSED : EXIT_FAILED;
}

static int check_output(const train_options *o, const train_data *data, clef_shape output)
{
	int classes = clef_dataset_classes(data->train);
	char text[160];

	if (output.ndim == 1 && output.dim[0] == classes)
		return -1;
	complain("--model \"%s\": its output for an image is %s, and for the %d classes of the data it must be [%d]: "
		 "let it end with linear(%d)%s",
		 o->model, clef_shape_text(output, text, sizeof(text)), classes, classes, classes,
		 output.ndim > 1 ? ", and have a flatten before its first linear" : "");
	return EXIT_MISUSED;
}

/* A run that is resumed has its own, and does not need the file any more. */
static int load_weights(const train_options *o, clef_model *model)
{
	if (!o->weights || o->file || !clef_model_load(model, o->weights))
		return -1;
	complain("--weights %s", reason());
	return EXIT_FAILED;
}

int train_model_open(const train_options *o, const train_data *data, clef_device *dev, clef_model **model)
{
	clef_model_opts opts = { .seed = o->seed };
	clef_status s = clef_init_parse(o->init, &opts.weight);
	int status;

	if (!s) {
		*model = clef_model_parse(dev, o->model, clef_dataset_sample(data->train),
					  clef_dataset_classes(data->train), &opts);
		s = *model ? CLEF_OK : clef_error_status();
	}
	status = s ? failed(o, s) : check_output(o, data, clef_model_output(*model));
	return status < 0 ? load_weights(o, *model) : status;
}

static uint64_t fnv1a(uint64_t hash, const unsigned char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * 0x100000001b3u;
	return hash;
}

clef_status train_model_hash(clef_model *model, uint64_t *hash)
{
	const clef_params *params = clef_model_params(model);
	clef_status s = CLEF_OK;

	*hash = 0xcbf29ce484222325u;
	for (int i = 0; i < clef_params_count(params) && !s; i++) {
		const clef_tensor *w = clef_params_get(params, i);
		size_t bytes = (size_t)clef_tensor_numel(w) * sizeof(float);
		unsigned char *values = malloc(bytes ? bytes : 1);

		s = values ? clef_read(w, values, bytes) : CLEF_ERROR_MEMORY;
		if (!s)
			*hash = fnv1a(*hash, values, bytes);
		free(values);
	}
	return s;
}
