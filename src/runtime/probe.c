/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what a device can do: bytes copied and read, single-precision operations, launches, transfers, compiling.
 * Each function is one measurement, behind a run that is not timed, so that memory is there and kernels are compiled.
 * Whoever calls repeats them and looks at the spread.
 */
#include <time.h>

#include "opencl.h"

#define COPY_FLOATS (1 << 23)
#define RUNS        5
/* A measurement is to take so long, where a single launch can. */
#define LONG_ENOUGH 2e-3
#define MOST_ROUNDS (1 << 20)
#define CHUNK       4096 /* floats; a working set is a multiple of it */

/* What is timed: enqueues something, again and again. */
typedef clef_status probe_fn(clef_device *dev, const void *what);

/* Seconds that each of `count` takes, one wait at the end. */
static clef_status time_runs(clef_device *dev, probe_fn *fn, const void *what, int count, double *seconds)
{
	clef_status status = fn(dev, what);
	double start;

	if (!status)
		status = clef_finish(dev);
	start = clef__seconds();
	for (int i = 0; i < count && !status; i++)
		status = fn(dev, what);
	if (!status)
		status = clef_finish(dev);
	*seconds = (clef__seconds() - start) / count;
	return status;
}

/* ---- memory ---- */

typedef struct memory_probe {
	const clef__buffer *x, *y;
	int floats;
} memory_probe;

static clef_status pass(clef_device *dev, const memory_probe *p, const char *kernel)
{
	/* Little for each of a GPU's many items, and a run that is worth its while on a CPU. */
	int floats = dev->info.kind == CLEF_DEVICE_CPU ? CHUNK : CHUNK / 64, items = p->floats / floats;

	return clef__launch(dev, &(clef__launch_opts){
					 .program = "probe",
					 .kernel = kernel,
					 .global = { (size_t)items },
					 .long_items = true,
					 .args = { CLEF__BUFFER(p->x, 0), CLEF__BUFFER(p->y, 0), CLEF__INT(floats / 4),
						   CLEF__INT(items) },
				 });
}

static clef_status copy(clef_device *dev, const void *what)
{
	return pass(dev, what, "probe_copy");
}

static clef_status read(clef_device *dev, const void *what)
{
	return pass(dev, what, "probe_read");
}

static clef_status fill(clef_device *dev, const clef__buffer *x, int floats)
{
	return clef__launch(dev, &(clef__launch_opts){
					 .program = "tensor",
					 .kernel = "fill",
					 .global = { (size_t)floats },
					 .args = { CLEF__BUFFER(x, 0), CLEF__FLOAT(1), CLEF__INT(floats) },
				 });
}

/* x and y together are the working set of a copy; x alone that of reading. */
clef_status clef__probe_memory(clef_device *dev, bool copying, size_t bytes, double *seconds)
{
	int floats = (int)(bytes / sizeof(float)) / (copying ? 2 : 1) / CHUNK * CHUNK, count;
	clef__buffer *x = clef__buffer_new(dev, sizeof(float) * (size_t)floats);
	clef__buffer *y = clef__buffer_new(dev, sizeof(float) * (size_t)floats);
	memory_probe p = { x, y, floats };
	clef_status status = x && y ? fill(dev, x, floats) : clef_error_status();

	if (!status)
		status = time_runs(dev, copying ? copy : read, &p, 1, seconds);
	/* Small ones in a row, so that waiting does not count. */
	count = status ? 0 : (int)CLEF__MIN(LONG_ENOUGH / CLEF__MAX(*seconds, 1e-9), 256);
	if (count > 1)
		status = time_runs(dev, copying ? copy : read, &p, count, seconds);
	clef__buffer_release(x);
	clef__buffer_release(y);
	return status;
}

/* ---- arithmetic ---- */

typedef struct arithmetic_probe {
	const clef__buffer *y;
	int items, rounds;
} arithmetic_probe;

static clef_status multiply_add(clef_device *dev, const void *what)
{
	const arithmetic_probe *p = what;

	return clef__launch(dev, &(clef__launch_opts){
					 .program = "probe",
					 .kernel = "probe_multiply_add",
					 .global = { (size_t)p->items },
					 .long_items = true,
					 .args = { CLEF__BUFFER(p->y, 0), CLEF__FLOAT(1), CLEF__INT(p->rounds),
						   CLEF__INT(p->items) },
				 });
}

clef_status clef__probe_multiply_add(clef_device *dev, double *flops_per_second)
{
	uint32_t vector = dev->info.float_vector;
	int lanes = vector >= 16 ? 16 : vector >= 8 ? 8 : vector >= 4 ? 4 : 1;
	/* Long on a CPU's few threads, short on a GPU's many. */
	arithmetic_probe p = {
		.items = (int)CLEF__MAX(dev->info.compute_units, 1) * (dev->info.kind == CLEF_DEVICE_CPU ? 32 : 2048),
		.rounds = 64,
	};
	clef__buffer *y = clef__buffer_new(dev, sizeof(float) * (size_t)(p.items * lanes));
	clef_status status = y ? CLEF_OK : clef_error_status();
	double seconds = 0;

	p.y = y;
	if (!status)
		status = time_runs(dev, multiply_add, &p, 1, &seconds);
	while (!status && seconds < LONG_ENOUGH && p.rounds < MOST_ROUNDS) {
		p.rounds *= 4;
		status = time_runs(dev, multiply_add, &p, 1, &seconds);
	}
	*flops_per_second = status ? 0 : 24.0 * lanes * p.items * p.rounds / seconds;
	clef__buffer_release(y);
	return status;
}

clef_status clef__probe(clef_device *dev, double *bytes_per_second, double *flops_per_second)
{
	clef_status status = CLEF_OK;

	*bytes_per_second = *flops_per_second = 0;
	for (int run = 0; run < RUNS && !status; run++) {
		double seconds, flops = 0;

		status = clef__probe_memory(dev, true, 2 * sizeof(float) * COPY_FLOATS, &seconds);
		if (!status) {
			*bytes_per_second = CLEF__MAX(*bytes_per_second, 8.0 * COPY_FLOATS / seconds);
			status = clef__probe_multiply_add(dev, &flops);
			*flops_per_second = CLEF__MAX(*flops_per_second, flops);
		}
	}
	return status;
}

/* ---- launches and transfers ---- */

static clef_status launch(clef_device *dev, const void *what)
{
	return clef__launch(dev, &(clef__launch_opts){
					 .program = "probe",
					 .kernel = "probe_launch",
					 .global = { 1 },
					 .local = { 1 },
					 .args = { CLEF__BUFFER((const clef__buffer *)what, 0), CLEF__FLOAT(1) },
				 });
}

clef_status clef__probe_launch(clef_device *dev, int count, double *seconds)
{
	clef__buffer *y = clef__buffer_new(dev, sizeof(float));
	clef_status status = y ? time_runs(dev, launch, y, count, seconds) : clef_error_status();

	clef__buffer_release(y);
	return status;
}

clef_status clef__probe_transfer(clef_device *dev, bool to_host, size_t bytes, double *seconds)
{
	clef__buffer *x = clef__buffer_new(dev, bytes);
	char *data = clef__calloc(bytes, 1, "a transfer");
	clef_status status = x && data ? CLEF_OK : clef_error_status();

	/* Once through the ring of copies that uploads go by. */
	for (int run = 0; run <= CLEF__STAGES && !status; run++) {
		double start = clef__seconds();

		status = to_host ? clef__buffer_read(x, 0, data, bytes) : clef__buffer_write(x, 0, data, bytes);
		if (!status)
			status = clef_finish(dev);
		*seconds = clef__seconds() - start;
	}
	clef__buffer_release(x);
	free(data);
	return status;
}

/* ---- compiling ---- */

/* As at the start of a program: without the programs that there are, which come back afterwards. */
static clef_status compile(clef_device *dev, const char *defines, const clef__buffer *y, double *seconds)
{
	clef__program *programs = dev->programs;
	clef__kernel **kernels = dev->kernels;
	int capacity = dev->kernel_capacity, count = dev->kernel_count;
	clef_status status;
	double start;

	dev->programs = NULL;
	dev->kernels = NULL;
	dev->kernel_capacity = dev->kernel_count = 0;
	start = clef__seconds();
	status = clef__launch(dev, &(clef__launch_opts){
					   .program = "tensor",
					   .defines = defines,
					   .kernel = "fill",
					   .global = { 1 },
					   .args = { CLEF__BUFFER(y, 0), CLEF__FLOAT(0), CLEF__INT(1) },
				   });
	if (!status)
		status = clef_finish(dev);
	*seconds = clef__seconds() - start;
	clef__programs_free(dev);
	dev->programs = programs;
	dev->kernels = kernels;
	dev->kernel_capacity = capacity;
	dev->kernel_count = count;
	return status;
}

clef_status clef__probe_compile(clef_device *dev, bool cached, double *seconds)
{
	clef__buffer *y = clef__buffer_new(dev, sizeof(float));
	char *folder = dev->cache_folder, defines[80];
	clef_status status = y ? clef_finish(dev) : clef_error_status();

	*seconds = 0;
	if (!status && cached && folder) {
		snprintf(defines, sizeof(defines), "#define PROBE 1\n");
		status = compile(dev, defines, y, seconds);
		if (!status)
			status = compile(dev, defines, y, seconds);
	} else if (!status && !cached) {
		/* A source that no cache has seen, also none of the driver's own. */
		static unsigned int count;

		snprintf(defines, sizeof(defines), "#define PROBE_%llx_%u_%llx 1\n", (unsigned long long)time(NULL),
			 count++, (unsigned long long)(clef__seconds() * 1e9));
		dev->cache_folder = NULL;
		status = compile(dev, defines, y, seconds);
		dev->cache_folder = folder;
	}
	clef__buffer_release(y);
	return status;
}
