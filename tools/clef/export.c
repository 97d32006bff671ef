/* SPDX-License-Identifier: Apache-2.0 */
/* clef export: a saved model for other programs, without what only training needs. */
#include <string.h>

#include <clef/clef.h>

#include "options.h"
#include "saved_model.h"
#include "tool.h"

typedef struct export_options {
	const char *words[2];
	const char *device;
} export_options;

static const option_row rows[] = {
	{ "device", "WHICH", option_text, offsetof(export_options, device),
	  "gpu, cpu, accelerator, a number, PLATFORM:DEVICE or part of a name", "the device, as for clef train" },
};

static const option_table table = {
	.usage = "clef export MODEL OUT [option ...]",
	.about = "Writes a saved model for other programs. OUT decides what it becomes:\n"
		 "  FILE.onnx          ONNX: input \"x\" [N, ...], as the model evaluates\n"
		 "  FILE.safetensors   weights and buffers alone, under PyTorch's names, for load_state_dict()\n"
		 "Where the checkpoint of a run has averaged weights, these are what is written.\n",
	.rows = rows,
	.count = CLEF_COUNT(rows),
	.words = 2,
	.words_offset = offsetof(export_options, words),
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text);

	return length > strlen(end) && !strcmp(text + length - strlen(end), end);
}

int export_main(int argc, char **argv)
{
	export_options o = { .device = NULL };
	saved_model m;
	int status = options_read(&table, argc, argv, &o);
	bool onnx;

	if (status >= 0)
		return status;
	onnx = ends_with(o.words[1], ".onnx");
	if (!onnx && !ends_with(o.words[1], ".safetensors")) {
		complain("\"%s\" will not do: the name must end in .onnx or .safetensors", o.words[1]);
		return EXIT_MISUSED;
	}
	status = saved_model_open(&m, o.words[0], o.device);
	if (status < 0) {
		status = EXIT_OK;
		if ((onnx ? clef_onnx_save : clef_model_save)(m.model, o.words[1])) {
			complain("%s", reason());
			status = EXIT_FAILED;
		}
	}
	saved_model_close(&m);
	return status;
}
