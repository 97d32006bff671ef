/* SPDX-License-Identifier: Apache-2.0 */
/* What models and checkpoints share: the arrays of a model in a file. */
#ifndef CLEF_SAVE_INTERNAL_H
#define CLEF_SAVE_INTERNAL_H

#include <clef/checkpoint.h>

#include "nn_internal.h"

/* Adds parameters, buffers and texts of a model. */
clef_status clef__model_put(const clef_model *model, clef_safetensors *file);

/* Compares the arrays of a file with the model; `path` is for the message, which lists what does not fit. An array
 * whose name has a colon in it is not the model's. */
clef_status clef__model_check(const clef_model *model, const clef_safetensors *file, const char *path);

/* Takes over the values of a file that was checked. */
clef_status clef__model_get(clef_model *model, const clef_safetensors *file);

/* Adds the values of a tensor, float32 or int32, with `prefix` in front of the name. */
clef_status clef__tensor_put(clef_safetensors *file, const char *prefix, const char *name, const clef_tensor *x);

#endif
