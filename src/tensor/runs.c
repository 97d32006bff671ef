/* SPDX-License-Identifier: Apache-2.0 */
#include "runs.h"

/* Elements of a run on a CPU: enough to divide seldom, and where a tensor lies across as many lines as a cache keeps
 * until the next row wants them. */
#define ALONG  1024
#define ACROSS 64

clef__arg clef__run_cut(const clef_device *dev, int64_t n, int dims, const clef__arg *size, bool across, int *items)
{
	const int inner = size->value.i8[0];
	int span = clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU ? CLEF__MIN(inner, across ? ACROSS : ALONG) : 1;
	int spans = clef__divide_up(inner, span), rows = (int)(n / inner);

	*items = spans * rows;
	return (clef__arg){ .kind = CLEF__ARG_INT8, .value.i8 = { span, spans, rows, dims } };
}

int clef__run_repeated(clef_shape shape, const bool reduce[CLEF_MAX_DIMS], clef__arg *size, clef__arg *step)
{
	int32_t next = 1;
	int used = 0;

	*size = (clef__arg){ .kind = CLEF__ARG_INT8, .value.i8 = { 1, 1, 1, 1, 1, 1, 1, 1 } };
	*step = (clef__arg){ .kind = CLEF__ARG_INT8 };
	for (int i = shape.ndim - 1; i >= 0; i--) {
		if (shape.dim[i] == 1)
			continue;
		if (used == 0 || (step->value.i8[used - 1] == 0) != reduce[i])
			step->value.i8[used++] = reduce[i] ? 0 : next;
		size->value.i8[used - 1] *= (int32_t)shape.dim[i];
		if (!reduce[i])
			next *= (int32_t)shape.dim[i];
	}
	return used;
}
