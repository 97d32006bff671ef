/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors, the tape and gradients.
 *
 * A tensor is a contiguous row-major array in device memory. There are two sorts:
 *
 *   - Leaves, made by clef_tensor_new() and clef_tensor_from(): weights, statistics, constants. Whoever made one frees
 *     it. The parameters of a model are leaves that the model owns.
 *   - Results of operations, and inputs. The tape owns these: they live until the next clef_tape_begin() of their tape
 *     and are never freed by hand. Their memory may go before: that of what clef_tensor_drop() was called for, and of
 *     what the forward function of a model made on the way to its result, which clef_backward() gives back when it has
 *     passed it; using such a tensor is an error. A training loop allocates no memory once it is warm: from the second
 *     step on, from the third where one takes many megabytes.
 *
 * A tape records the operations applied since it was begun, so that clef_backward() can walk them in reverse. An
 * operation records on the tape of its inputs; when all of them are leaves, on the tape of the device that was begun
 * last.
 *
 * Nothing here waits for the device but clef_item(), clef_read() and a clef_input() that is far ahead of the device.
 */
#ifndef CLEF_TENSOR_H
#define CLEF_TENSOR_H

#include <clef/base.h>
#include <clef/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clef_tensor clef_tensor;
typedef struct clef_tape clef_tape;

/* ---- leaves ---- */

/* A tensor with undefined values. Free it with clef_tensor_free(). NULL on a bad dtype or shape, or without memory. */
CLEF_API clef_tensor *clef_tensor_new(clef_device *dev, clef_dtype dtype, clef_shape shape);

/* A tensor with the values of a host array, which may be changed or freed when the call returns. */
CLEF_API clef_tensor *clef_tensor_from(clef_device *dev, const clef_array *array);

/* Frees a leaf and its gradient. NULL is accepted, and so is a tensor of a tape, which is left to its tape. A leaf
 * that a tape still needs for clef_backward() lives on until that tape is begun again. */
CLEF_API void clef_tensor_free(clef_tensor *x);

/* ---- properties; all accept NULL and then give CLEF_FLOAT32, a scalar shape, 0 or NULL ---- */

CLEF_API clef_dtype clef_tensor_dtype(const clef_tensor *x);
CLEF_API clef_shape clef_tensor_shape(const clef_tensor *x);
CLEF_API int64_t clef_tensor_numel(const clef_tensor *x);
CLEF_API clef_device *clef_tensor_device(const clef_tensor *x);

/* ---- values ---- */

/* Waits for x and copies all its values to host memory; `bytes` is the size of `data` and must be exactly numel times
 * the size of an element. Errors: NULL x (keeps the first message), ERROR_INVALID on a wrong size. */
CLEF_API clef_status clef_read(const clef_tensor *x, void *data, size_t bytes);

/* Overwrites all values of a leaf or result with those of host memory, which may be reused when the call returns. */
CLEF_API clef_status clef_write(clef_tensor *x, const void *data, size_t bytes);

/* Waits for x, which has one element, and returns its value; NaN on an error (then clef_error() is set). */
CLEF_API double clef_item(const clef_tensor *x);

/* Sets all elements to `value`, rounded towards zero for an int32 tensor. Not recorded on any tape. */
CLEF_API clef_status clef_fill(clef_tensor *x, double value);

/* y += alpha * x, elementwise; float32 tensors of the same shape on one device. Not recorded on any tape: this is for
 * update rules by hand and running sums. BLAS: saxpy. */
CLEF_API clef_status clef_axpy(float alpha, const clef_tensor *x, clef_tensor *y);

/* y = x, elementwise; same dtype, shape and device. Not recorded on any tape. */
CLEF_API clef_status clef_copy(const clef_tensor *x, clef_tensor *y);

/* ---- tape ---- */

/* A tape on a device. Call clef_tape_begin() before the first operation. Free it with clef_tape_free(). */
CLEF_API clef_tape *clef_tape_new(clef_device *dev);

/* Frees the tape and its tensors, in any order with the device and the leaves. NULL is accepted. */
CLEF_API void clef_tape_free(clef_tape *tape);

/* Starts a new recording: the tensors of the last one are gone, their memory is used again. */
CLEF_API clef_status clef_tape_begin(clef_tape *tape);

/* The same without recording for gradients, as under torch.no_grad(): for evaluation and inference. Results do not
 * require gradients, and clef_backward() on one is an error. */
CLEF_API clef_status clef_tape_begin_no_grad(clef_tape *tape);

/* Whether clef_backward() keeps what it otherwise gives back: the tensors that a model's forward function makes besides
 * its result. So they can be read afterwards, and clef_backward() can be called again. Stays as it is set, false at
 * first. PyTorch: retain_graph. */
CLEF_API clef_status clef_tape_retain(clef_tape *tape, bool yes);

/* Says that no operation from here on takes x, a tensor of a tape, and that no one reads it: its memory is used again
 * as soon as the gradients do not need it. For long forward functions, at the places where PyTorch lets go of a tensor
 * by itself; a later use is an error. NULL, leaves and tensors that are gone already are left alone. */
CLEF_API void clef_tensor_drop(clef_tensor *x);

/* Copies a host array to the device, as a tensor of the tape. The array may be reused when the call returns; the copy
 * itself runs behind what is already enqueued. Zero elements are allowed. */
CLEF_API clef_tensor *clef_input(clef_tape *tape, const clef_array *array);

/* ---- gradients ---- */

/* Asks for the gradient of a float32 tensor: of a leaf, or of a tensor of a tape before it is used. A result of
 * operations that depends on such a tensor requires a gradient by itself; asking for it too keeps its gradient after
 * clef_backward(), so that clef_grad() can show it (PyTorch: retain_grad). `yes` false takes a leaf out again, which
 * freezes it. */
CLEF_API clef_status clef_requires_grad(clef_tensor *x, bool yes);

/*
 * Computes the gradient of `loss`, which has one element, with respect to every tensor that asked for it. Gradients
 * are overwritten: there is no zero_grad(). A leaf that the loss does not depend on keeps the gradient it had.
 * May be called again on the same recording, but for what went through a model: see clef_tape_retain(). Gradients are
 * added up in a fixed order, so that equal inputs give equal bits.
 * Errors: NULL (an operation failed: the first message is kept), ERROR_SHAPE unless loss has one element, ERROR_STATE
 * when nothing in the recording requires a gradient, or tensors were given back.
 */
CLEF_API clef_status clef_backward(clef_tensor *loss);

/* The same, but adds to the gradients that the leaves already have, as PyTorch's backward() does: for micro-batches. */
CLEF_API clef_status clef_backward_add(clef_tensor *loss);

/* The gradient of x from the last clef_backward() that reached it: a tensor of the shape of x that x owns, valid as
 * long as x. NULL with a message when x did not ask for one, or none has been computed. */
CLEF_API clef_tensor *clef_grad(const clef_tensor *x);

/* A tensor of the same tape (or, for a leaf, of the tape begun last) with the values of x, sharing its memory, through
 * which no gradient flows. PyTorch: Tensor.detach(). */
CLEF_API clef_tensor *clef_detach(clef_tensor *x);

#ifdef __cplusplus
}
#endif

#endif
