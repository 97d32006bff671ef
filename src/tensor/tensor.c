/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors: leaves and their life, values in and out.
 *
 * A leaf counts references: one is its maker's, one is held by each node of a tape that has it as an input, so that
 * freeing in any order is safe. Tensors of a tape have no count; their tape drops them all at once.
 */
#include <math.h>

#include "tensor_internal.h"

clef_tensor *clef__tensor_view(clef_device *dev, clef_dtype dtype, clef_shape shape, clef__buffer *buffer,
			       size_t offset)
{
	clef_tensor *x = clef__calloc(1, sizeof(*x), "a tensor");

	if (!x)
		return NULL;
	x->dev = dev;
	x->dtype = dtype;
	x->shape = shape;
	x->numel = clef_shape_numel(shape);
	x->references = 1;
	x->buffer = buffer;
	x->offset = offset;
	if (buffer)
		clef__buffer_retain(buffer);
	clef__device_retain(dev);
	return x;
}

clef_tensor *clef_tensor_new(clef_device *dev, clef_dtype dtype, clef_shape shape)
{
	int64_t numel = clef_shape_numel(shape);
	clef__buffer *buffer;
	clef_tensor *x;

	if (!dev) {
		clef__null_argument("clef_tensor_new");
		return NULL;
	}
	if (!clef_dtype_size(dtype))
		return clef__fail_null(CLEF_ERROR_DTYPE, "clef_tensor_new: %d is no data type", (int)dtype);
	if (numel < 0)
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "clef_tensor_new: shape %s of %d dimensions: at most %d dimensions and 2^31 - 1 "
				       "elements, none negative",
				       CLEF__SHAPE_TEXT(shape), shape.ndim, CLEF_MAX_DIMS);
	buffer = clef__buffer_new_whole(dev, (size_t)numel * clef_dtype_size(dtype));
	if (!buffer)
		return NULL;
	x = clef__tensor_view(dev, dtype, shape, buffer, 0);
	clef__buffer_release(buffer);
	return x;
}

clef_tensor *clef_tensor_from(clef_device *dev, const clef_array *array)
{
	clef_tensor *x;

	if (!array) {
		clef__null_argument("clef_tensor_from");
		return NULL;
	}
	x = clef_tensor_new(dev, array->dtype, array->shape);
	if (x && clef_write(x, array->data, (size_t)x->numel * clef_dtype_size(x->dtype))) {
		clef_tensor_free(x);
		return NULL;
	}
	return x;
}

void clef__tensor_retain(clef_tensor *leaf)
{
	leaf->references++;
}

void clef_tensor_free(clef_tensor *x)
{
	clef_device *dev;

	if (!x || x->tape || --x->references > 0)
		return;
	dev = x->dev;
	clef_tensor_free(x->grad);
	clef_tensor_free(x->kept);
	clef__buffer_release(x->buffer);
	free(x);
	clef__device_release(dev);
}

clef_dtype clef_tensor_dtype(const clef_tensor *x)
{
	return x ? x->dtype : CLEF_FLOAT32;
}

clef_shape clef_tensor_shape(const clef_tensor *x)
{
	return x ? x->shape : CLEF_SCALAR;
}

int64_t clef_tensor_numel(const clef_tensor *x)
{
	return x ? x->numel : 0;
}

clef_device *clef_tensor_device(const clef_tensor *x)
{
	return x ? x->dev : NULL;
}

clef_status clef__tensor_check(const char *what, const clef_tensor *x)
{
	if (x->tape && !x->recording)
		return clef__fail(CLEF_ERROR_STATE,
				  "%s: the tensor was made before the last clef_tape_begin() of its tape", what);
	if (x->gone == CLEF__DROPPED)
		return clef__fail(CLEF_ERROR_STATE, "%s: the tensor %s was dropped by clef_tensor_drop()", what,
				  CLEF__SHAPE_TEXT(x->shape));
	if (x->gone)
		return clef__fail(CLEF_ERROR_STATE,
				  "%s: the tensor %s of a model's forward pass was given back by clef_backward(): "
				  "clef_tape_retain(tape, true) keeps it",
				  what, CLEF__SHAPE_TEXT(x->shape));
	return CLEF_OK;
}

static clef_status check_transfer(const char *what, const clef_tensor *x, const void *data, size_t bytes)
{
	size_t expected;

	if (!x)
		return clef__null_argument(what);
	if (clef__tensor_check(what, x))
		return CLEF_ERROR_STATE;
	expected = (size_t)x->numel * clef_dtype_size(x->dtype);
	if (bytes != expected)
		return clef__fail(CLEF_ERROR_INVALID, "%s: %zu bytes given, %s %s has %zu", what, bytes,
				  clef_dtype_name(x->dtype), CLEF__SHAPE_TEXT(x->shape), expected);
	if (!data && bytes)
		return clef__fail(CLEF_ERROR_INVALID, "%s: given NULL for data", what);
	return CLEF_OK;
}

clef_status clef_read(const clef_tensor *x, void *data, size_t bytes)
{
	clef_status status = check_transfer("clef_read", x, data, bytes);

	if (status)
		return status;
	if (!x->buffer) {
		memset(data, 0, bytes);
		return CLEF_OK;
	}
	return clef__buffer_read(x->buffer, x->offset * clef_dtype_size(x->dtype), data, bytes);
}

clef_status clef__tensor_start(clef_tensor *x, const void *data, size_t bytes)
{
	clef_status status = check_transfer("clef_write", x, data, bytes);

	if (status)
		return status;
	if (!x->buffer)
		return clef__fail(CLEF_ERROR_STATE, "clef_write: the tensor %s has no memory yet%s",
				  CLEF__SHAPE_TEXT(x->shape),
				  x->tape ? "" : ": call clef_params_commit() for a parameter");
	return clef__buffer_write(x->buffer, x->offset * clef_dtype_size(x->dtype), data, bytes);
}

/* A tape's tensor may be a view of a leaf. */
clef_status clef_write(clef_tensor *x, const void *data, size_t bytes)
{
	if (x)
		clef__device_touch(x->dev);
	return clef__tensor_start(x, data, bytes);
}

double clef_item(const clef_tensor *x)
{
	float f = 0;
	int32_t i = 0;
	clef_status status;

	if (!x) {
		clef__null_argument("clef_item");
		return (double)NAN;
	}
	if (clef__tensor_check("clef_item", x))
		return (double)NAN;
	if (x->numel != 1) {
		clef__fail(CLEF_ERROR_SHAPE, "clef_item: shape %s has %lld elements, not one",
			   CLEF__SHAPE_TEXT(x->shape), (long long)x->numel);
		return (double)NAN;
	}
	status = x->dtype == CLEF_FLOAT32 ? clef_read(x, &f, sizeof(f)) : clef_read(x, &i, sizeof(i));
	if (status)
		return (double)NAN;
	return x->dtype == CLEF_FLOAT32 ? (double)f : (double)i;
}
