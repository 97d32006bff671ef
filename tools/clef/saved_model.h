/* SPDX-License-Identifier: Apache-2.0 */
/* A model from a file, for commands that use one. */
#ifndef SAVED_MODEL_H
#define SAVED_MODEL_H

#include <clef/checkpoint.h>

typedef struct saved_model {
	const char *path;
	clef_safetensors *file;
	clef_device *dev;
	clef_model *model; /* with averaged weights, if the file has some */
	clef_average *average;
} saved_model;

/* Opens the device, NULL for the default one, and the model. -1, or an exit status after an error that was reported;
 * saved_model_close() either way. */
int saved_model_open(saved_model *m, const char *path, const char *device);
void saved_model_close(saved_model *m);

#endif
