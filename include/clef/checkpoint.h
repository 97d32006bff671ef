/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of weights and of whole training runs, in the safetensors format, which PyTorch, JAX and others read and write.
 *
 * Files are written whole or not at all: under another name beside the wanted one (PATH.new), which is flushed to the
 * disk and then takes its place. Who is killed in between, or finds the disk full, leaves the file that was there.
 *
 * Reading trusts nothing. Sizes are compared with those of the file before anything is allocated for them, the values
 * of tensors must fill the file to its end without gaps and without sharing bytes, and whatever is wrong is
 * CLEF_ERROR_FORMAT with the path, the name of the tensor and the field. A file that cannot be opened, read or written
 * is CLEF_ERROR_IO.
 */
#ifndef CLEF_CHECKPOINT_H
#define CLEF_CHECKPOINT_H

#include <clef/data.h>
#include <clef/schedule.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- safetensors ---- */

/* Named arrays, and texts with a key (the format's __metadata__), in host memory. */
typedef struct clef_safetensors clef_safetensors;

/* An array. */
typedef struct clef_safetensors_entry {
	const char *name;
	const char *dtype; /* "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL",
			    * "F8_E4M3" or "F8_E5M2" */
	clef_shape shape;
	const void *data; /* row-major, little-endian; may begin at any address, so copy it before use as numbers */
	size_t bytes;
} clef_safetensors_entry;

/* An empty one. Free it with clef_safetensors_free(). */
CLEF_API clef_safetensors *clef_safetensors_new(void);

/* Reads a file. It may have a header of up to 100 MB, arrays of up to 8 dimensions and 2^31 - 1 elements, and no two of
 * one name. */
CLEF_API clef_safetensors *clef_safetensors_open(const char *path);

/* NULL is accepted. */
CLEF_API void clef_safetensors_free(clef_safetensors *file);

/* The number of arrays; 0 for NULL. */
CLEF_API int clef_safetensors_count(const clef_safetensors *file);

/* Array i, 0 <= i < count; what it points to is valid until the file is freed. ERROR_INVALID outside. */
CLEF_API clef_status clef_safetensors_get(const clef_safetensors *file, int i, clef_safetensors_entry *entry);

/* The array of that name, or -1; no error is set where there is none. */
CLEF_API int clef_safetensors_find(const clef_safetensors *file, const char *name);

/* Adds an array, whose values are copied. The name must be new, not empty, not "__metadata__", and UTF-8. */
CLEF_API clef_status clef_safetensors_add(clef_safetensors *file, const char *name, const char *dtype, clef_shape shape,
					  const void *data);

/* The text of that key, valid until it is set anew or the file is freed; NULL, without an error, where there is none.
 */
CLEF_API const char *clef_safetensors_text(const clef_safetensors *file, const char *key);

/* Key i of the texts, in the order of the file; NULL behind the last. */
CLEF_API const char *clef_safetensors_key(const clef_safetensors *file, int i);

/* Sets a text, both UTF-8; value NULL takes it out. */
CLEF_API clef_status clef_safetensors_set(clef_safetensors *file, const char *key, const char *value);

/* Writes the file as told above. With `keep`, what was there before remains as PATH.prev. ERROR_IO too where another
 * process is writing the same file. */
CLEF_API clef_status clef_safetensors_save(const clef_safetensors *file, const char *path, bool keep);

/* ---- models ----
 *
 * Parameters and buffers have PyTorch's names, layouts and types: what is written here is what
 * safetensors.torch.save_file(model.state_dict(), path) writes for the same torch.nn.Sequential, or for modules of the
 * same names. A batch normalization has its count of batches with it, "1.num_batches_tracked", though nothing here
 * depends on it. Texts: "clef.input" and "clef.output" are the shapes of a sample, "clef.dtype" is the type of the
 * input, and what the model is stands in "clef.layers", those of a sequential one, or "clef.network", the text that
 * clef_model_parse() made a network of. */

/* Writes parameters and buffers. Waits for the device. */
CLEF_API clef_status clef_model_save(const clef_model *model, const char *path);

/* Reads parameters and buffers, all of which must be in the file with their shapes, as F32, F16, BF16 or F64, which is
 * rounded; only a count of batches may be missing, and is 0 then. Arrays that the model does not have are refused too,
 * other than what a checkpoint has beside the model. ERROR_FORMAT lists what does not fit, and the model is as it was
 * then. */
CLEF_API clef_status clef_model_load(clef_model *model, const char *path);

/* The model that a file describes, with its weights. Its size is compared with that of the file before memory is
 * allocated for it. ERROR_FORMAT for a file that does not say what its model is, such as that of another library or of
 * a forward function of your own: make the model, then clef_model_load(). */
CLEF_API clef_model *clef_model_open(clef_device *dev, const char *path);

/* Writes a model as ONNX (IR version 10, operator set 21), as it evaluates: input "x" [N, sample...], with any N, and
 * weights under their names. A sequential model may have nearly all layers; a forward function may be made of linear
 * layers, convolutions, batch normalization, pooling, flatten and reshape, pointwise operations of one operand or two,
 * and clef_add_act(). ERROR_UNSUPPORTED, which names the layer or operation, for what has no counterpart. */
CLEF_API clef_status clef_onnx_save(const clef_model *model, const char *path);

/* ---- checkpoints ----
 *
 * All that a training run depends on, in one file: a run that is stopped, made anew with the same options and given its
 * checkpoint goes on as if it had never stopped, to the bit. A checkpoint of one device can be loaded on another.
 *
 *   const clef_checkpoint parts = { .model = model, .optim = optim, .loader = train };
 *   ...
 *   clef_optim_step(optim);
 *   if (++steps % 1000 == 0)
 *       clef_checkpoint_save(&parts, "run.safetensors");
 *
 * The time to save is between a step and the batch after it: gradients are not kept. A checkpoint is a file of its
 * model too, for clef_model_load() and clef_model_open(); its other arrays have a colon in their names, so that PyTorch
 * can leave them out: { name: x for name, x in load_file(path).items() if ":" not in name }. */

/* What there is to keep; NULL for what there is not. */
typedef struct clef_checkpoint {
	clef_model *model;       /* parameters, buffers, and the random numbers of dropout */
	clef_optim *optim;       /* its state and the learning rate; not its options and groups */
	clef_schedule *schedule; /* of that optimizer */
	clef_average *average;   /* not while it is swapped: ERROR_STATE */
	clef_loader *loader;     /* the place in the run */
	clef_rng *rng;           /* random numbers of your own */
} clef_checkpoint;

/* Writes the parts to a file, as clef_safetensors_save() does; the one before remains as PATH.prev. Waits for the
 * device. */
CLEF_API clef_status clef_checkpoint_save(const clef_checkpoint *parts, const char *path);

/* Gives the parts what the file has of them; parts that are NULL here may be in the file. First names, types and shapes
 * are compared, and so are the optimizer's rule, the kind of the schedule and the number of batches in an epoch:
 * ERROR_FORMAT tells what does not fit, and nothing has changed then. */
CLEF_API clef_status clef_checkpoint_load(const clef_checkpoint *parts, const char *path);

/* The same with a file in memory, for arrays and texts of your own beside the parts. Their names must not begin with
 * "optim:", "schedule:", "average:", "loader:" or "rng:"; those of arrays need a colon. */
CLEF_API clef_status clef_checkpoint_put(const clef_checkpoint *parts, clef_safetensors *file);
CLEF_API clef_status clef_checkpoint_get(const clef_checkpoint *parts, const clef_safetensors *file);

#ifdef __cplusplus
}
#endif

#endif
