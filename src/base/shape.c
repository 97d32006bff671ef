/* SPDX-License-Identifier: Apache-2.0 */
/* Data types and shapes. Sizes stay below 2^31 elements, so kernels index with int, which GPUs prefer to long. */
#include "base_internal.h"

const char *clef_dtype_name(clef_dtype dtype)
{
	switch (dtype) {
#define NAME(name, text, size)                                                                                         \
	case CLEF_##name:                                                                                              \
		return text;
		CLEF_DTYPE_MAP(NAME)
#undef NAME
	}
	return "dtype?";
}

size_t clef_dtype_size(clef_dtype dtype)
{
	switch (dtype) {
#define SIZE(name, text, size)                                                                                         \
	case CLEF_##name:                                                                                              \
		return size;
		CLEF_DTYPE_MAP(SIZE)
#undef SIZE
	}
	return 0;
}

int64_t clef_shape_numel(clef_shape shape)
{
	int64_t n = 1;

	if (shape.ndim < 0 || shape.ndim > CLEF_MAX_DIMS)
		return -1;
	for (int i = 0; i < shape.ndim; i++) {
		if (shape.dim[i] < 0 || shape.dim[i] > INT32_MAX)
			return -1;
		if (shape.dim[i] == 0)
			n = 0;
	}
	for (int i = 0; i < shape.ndim && n; i++)
		if ((n *= shape.dim[i]) > INT32_MAX)
			return -1;
	return n;
}

bool clef_shape_equal(clef_shape a, clef_shape b)
{
	if (a.ndim != b.ndim)
		return false;
	for (int i = 0; i < a.ndim; i++)
		if (a.dim[i] != b.dim[i])
			return false;
	return true;
}

char *clef_shape_text(clef_shape shape, char *text, size_t size)
{
	size_t used = 0;
	int n = CLEF__MIN(CLEF__MAX(shape.ndim, 0), CLEF_MAX_DIMS);

	if (!size)
		return text;
	used = (size_t)snprintf(text, size, "[");
	for (int i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)shape.dim[i]);
	if (used < size)
		snprintf(text + used, size - used, "]");
	return text;
}
