/* SPDX-License-Identifier: Apache-2.0 */
/* Opens what clef train, or the library, has saved. What a run validates and tests is the average of its weights, where
 * it keeps one, so that is what counts here too. */
#include <clef/clef.h>

#include "saved_model.h"
#include "tool.h"

static clef_status take_average(saved_model *m)
{
	const clef_checkpoint parts = { .average = clef_average_new(clef_model_params(m->model), 0) };
	clef_status s;

	m->average = parts.average;
	s = parts.average ? clef_checkpoint_get(&parts, m->file) : clef_error_status();
	return !s && clef_average_ready(m->average) ? clef_average_swap(m->average) : s;
}

int saved_model_open(saved_model *m, const char *path, const char *device)
{
	*m = (saved_model){ .path = path, .file = clef_safetensors_open(path) };
	if (!m->file) {
		complain("%s", reason());
		return EXIT_FAILED;
	}
	m->dev = clef_device_open(device);
	if (!m->dev) {
		complain(device ? "--device %s: %s" : "%s%s", device ? device : "", reason());
		return EXIT_FAILED;
	}
	m->model = clef_model_open(m->dev, path);
	if (m->model && (clef_safetensors_find(m->file, "average:started") < 0 || !take_average(m)))
		return -1;
	complain("%s", reason());
	return EXIT_FAILED;
}

void saved_model_close(saved_model *m)
{
	clef_average_free(m->average);
	clef_model_free(m->model);
	clef_device_close(m->dev);
	clef_safetensors_free(m->file);
}
