/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures a device's limits: bytes copied and single-precision operations in a second. The best of a few runs counts,
 * because everything that disturbs a run makes it slower.
 */
#include "opencl.h"

#define COPY_FLOATS (1 << 23)
#define ROUNDS      20000
#define RUNS        5

/* Twin of the kernel's. */
#define LANES(dev) ((dev)->info.float_vector == 8 ? 8 : 16)

static clef_status copy(clef_device *dev, const clef__buffer *x, const clef__buffer *y)
{
	return clef__launch(dev, &(clef__launch_opts){
					 .program = "probe",
					 .kernel = "probe_copy",
					 .global = { COPY_FLOATS },
					 .args = { CLEF__BUFFER(x, 0), CLEF__BUFFER(y, 0), CLEF__INT(COPY_FLOATS) },
				 });
}

static clef_status multiply_add(clef_device *dev, const clef__buffer *y, int items, int rounds)
{
	return clef__launch(dev,
			    &(clef__launch_opts){
				    .program = "probe",
				    .kernel = "probe_multiply_add",
				    .global = { (size_t)items },
				    .long_items = true,
				    .args = { CLEF__BUFFER(y, 0), CLEF__FLOAT(1), CLEF__INT(rounds), CLEF__INT(items) },
			    });
}

clef_status clef__probe(clef_device *dev, double *bytes_per_second, double *flops_per_second)
{
	bool cpu = dev->info.kind == CLEF_DEVICE_CPU;
	/* Long on a CPU's few threads, short on a GPU's many. */
	int items = (int)CLEF__MAX(dev->info.compute_units, 1) * (cpu ? 32 : 2048), rounds = cpu ? ROUNDS : ROUNDS / 8;
	clef__buffer *x = clef__buffer_new(dev, sizeof(float) * COPY_FLOATS);
	clef__buffer *y = clef__buffer_new(dev, sizeof(float) * COPY_FLOATS);
	clef_status status = x && y ? CLEF_OK : clef_error_status();

	*bytes_per_second = *flops_per_second = 0;
	for (int run = 0; run < RUNS && !status; run++) {
		double start = clef__seconds(), middle;

		status = copy(dev, x, y);
		if (!status)
			status = clef_finish(dev);
		middle = clef__seconds();
		if (!status)
			status = multiply_add(dev, y, items, rounds);
		if (!status)
			status = clef_finish(dev);
		*bytes_per_second = CLEF__MAX(*bytes_per_second, 8.0 * COPY_FLOATS / (middle - start));
		*flops_per_second =
			CLEF__MAX(*flops_per_second, 24.0 * LANES(dev) * items * rounds / (clef__seconds() - middle));
	}
	clef__buffer_release(x);
	clef__buffer_release(y);
	return status;
}
