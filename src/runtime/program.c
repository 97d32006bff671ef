/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs and kernels, made on first use.
 *
 * A program is one .cl file with the lines of #define that its user puts in front: what those lines select is compiled,
 * nothing else, because compilers for CPUs take a second and more for each program.
 */
#include "opencl.h"

/* ---- building ---- */

static clef_status fail_build(clef_device *dev, const clef__program *p)
{
	size_t size = 0;
	char *log = NULL;

	clGetProgramBuildInfo(p->program, dev->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
	log = clef__calloc(size + 1, 1, "a build log");
	if (!log)
		return CLEF_ERROR_MEMORY;
	clGetProgramBuildInfo(p->program, dev->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
	clef__fail(CLEF_ERROR_BUILD, "%s.cl does not compile on %s, driver %s:\n%s", p->name, dev->info.name,
		   dev->info.driver, log);
	free(log);
	return CLEF_ERROR_BUILD;
}

static bool load_binary(clef_device *dev, clef__program *p)
{
	size_t size;
	unsigned char *binary = clef__cache_load(dev, p->key.data, p->key.size, &size);
	const unsigned char *parts[] = { binary };
	cl_int code, status;

	if (!binary)
		return false;
	p->program = clCreateProgramWithBinary(dev->context, 1, &dev->id, &size, parts, &status, &code);
	free(binary);
	if (!code && !status && !clBuildProgram(p->program, 1, &dev->id, clef__build_options(p->exact), NULL, NULL))
		return true;
	if (!code)
		clReleaseProgram(p->program);
	p->program = NULL;
	return false;
}

static void store_binary(clef_device *dev, const clef__program *p)
{
	size_t size = 0;
	unsigned char *binary;

	if (!dev->cache_folder || clGetProgramInfo(p->program, CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, NULL) ||
	    !size)
		return;
	binary = malloc(size);
	if (binary && !clGetProgramInfo(p->program, CL_PROGRAM_BINARIES, sizeof(binary), &binary, NULL))
		clef__cache_store(dev, p->key.data, p->key.size, binary, size);
	free(binary);
}

static clef_status build_source(clef_device *dev, clef__program *p)
{
	const char *string = p->key.data + p->source;
	size_t length = p->key.size - p->source;
	cl_int code;

	p->program = clCreateProgramWithSource(dev->context, 1, &string, &length, &code);
	if (code)
		return clef__cl_fail(dev, code, "clCreateProgramWithSource");
	code = clBuildProgram(p->program, 1, &dev->id, clef__build_options(p->exact), NULL, NULL);
	if (!code) {
		store_binary(dev, p);
		return CLEF_OK;
	}
	if (code == CL_BUILD_PROGRAM_FAILURE)
		fail_build(dev, p);
	else
		clef__cl_fail(dev, code, "clBuildProgram");
	clReleaseProgram(p->program);
	p->program = NULL;
	return clef_error_status();
}

static void drop_key(clef__program *p)
{
	free(p->key.data);
	p->key = (clef__text){ 0 };
}

/* Loads it from the cache, or makes ready to build it. */
static clef_status open_program(clef_device *dev, clef__program *p)
{
	double start = clef__seconds();
	clef_status status = clef__source_key(dev, p->name, p->defines, p->exact, &p->key, &p->source);

	if (!status && load_binary(dev, p)) {
		dev->stats.programs_cached++;
		clef__log(CLEF_LOG_DEBUG, "%s.cl from the cache", p->name);
	}
	if (status || p->program)
		drop_key(p);
	dev->stats.build_seconds += clef__seconds() - start;
	return status;
}

clef_status clef__program_build(clef_device *dev, clef__program *p)
{
	double start = clef__seconds();
	clef_status status = CLEF_OK;

	if (p->program)
		return CLEF_OK;
	/* It has failed before; its source may be another now. */
	if (!p->key.data && open_program(dev, p))
		return clef_error_status();
	if (!p->program && !(p->aside && load_binary(dev, p))) {
		clef__log(CLEF_LOG_INFO, "compiling %s.cl for %s", p->name, dev->info.name);
		status = build_source(dev, p);
	}
	if (!status && p->key.data)
		dev->stats.programs_built++;
	p->aside = false;
	drop_key(p);
	dev->stats.build_seconds += clef__seconds() - start;
	return status;
}

/* In a process of its own: all that matters is what is in the cache afterwards. */
void clef__program_build_aside(clef_device *dev, clef__program *p)
{
	if (!build_source(dev, p))
		clReleaseProgram(p->program);
	p->program = NULL;
}

static void program_free(clef__program *p)
{
	if (p->program)
		clReleaseProgram(p->program);
	free(p->key.data);
	free(p->name);
	free(p->defines);
	free(p);
}

static clef__program *program_get(clef_device *dev, const clef__launch_opts *opts)
{
	const char *defines = opts->defines ? opts->defines : "";
	clef__program *p;

	for (p = dev->programs; p; p = p->next)
		if (p->exact == opts->exact && strcmp(p->name, opts->program) == 0 && strcmp(p->defines, defines) == 0)
			return p;
	p = clef__calloc(1, sizeof(*p), "a program");
	if (!p)
		return NULL;
	p->name = clef__strdup(opts->program);
	p->defines = clef__strdup(defines);
	p->exact = opts->exact;
	if (!p->name || !p->defines || open_program(dev, p)) {
		program_free(p);
		return NULL;
	}
	p->next = dev->programs;
	dev->programs = p;
	return p;
}

/* ---- kernels ---- */

static uint64_t kernel_hash(const clef__launch_opts *opts)
{
	const char *defines = opts->defines ? opts->defines : "";
	uint64_t hash = clef__hash(CLEF__HASH_START, opts->program, strlen(opts->program) + 1);

	hash = clef__hash(hash, opts->kernel, strlen(opts->kernel) + 1);
	hash = clef__hash(hash, &opts->exact, sizeof(opts->exact));
	return clef__hash(hash, defines, strlen(defines));
}

static bool kernel_matches(const clef__kernel *k, uint64_t hash, const clef__launch_opts *opts)
{
	return k->hash == hash && strcmp(k->name, opts->kernel) == 0 && k->program->exact == opts->exact &&
	       strcmp(k->program->name, opts->program) == 0 &&
	       strcmp(k->program->defines, opts->defines ? opts->defines : "") == 0;
}

static void table_insert(clef__kernel **table, int capacity, clef__kernel *k)
{
	size_t i = (size_t)k->hash & (size_t)(capacity - 1);

	while (table[i])
		i = (i + 1) & (size_t)(capacity - 1);
	table[i] = k;
}

static clef_status table_grow(clef_device *dev)
{
	int capacity = CLEF__MAX(64, 2 * dev->kernel_capacity);
	clef__kernel **table;

	if (2 * (dev->kernel_count + 1) <= dev->kernel_capacity)
		return CLEF_OK;
	table = clef__calloc((size_t)capacity, sizeof(clef__kernel *), "the table of kernels");
	if (!table)
		return CLEF_ERROR_MEMORY;
	for (int i = 0; i < dev->kernel_capacity; i++)
		if (dev->kernels[i])
			table_insert(table, capacity, dev->kernels[i]);
	free(dev->kernels);
	dev->kernels = table;
	dev->kernel_capacity = capacity;
	return CLEF_OK;
}

static clef__kernel *kernel_new(clef_device *dev, const clef__launch_opts *opts, uint64_t hash)
{
	clef__program *p = program_get(dev, opts);
	clef__kernel *k;

	if (!p || table_grow(dev))
		return NULL;
	k = clef__calloc(1, sizeof(*k), "a kernel");
	if (!k)
		return NULL;
	k->program = p;
	k->name = opts->kernel;
	k->hash = hash;
	table_insert(dev->kernels, dev->kernel_capacity, k);
	dev->kernel_count++;
	return k;
}

clef__kernel *clef__kernel_find(clef_device *dev, const clef__launch_opts *opts)
{
	uint64_t hash = kernel_hash(opts);
	size_t mask = (size_t)dev->kernel_capacity - 1;

	if (dev->kernel_capacity)
		for (size_t i = (size_t)hash & mask; dev->kernels[i]; i = (i + 1) & mask)
			if (kernel_matches(dev->kernels[i], hash, opts))
				return dev->kernels[i];
	return kernel_new(dev, opts, hash);
}

clef_status clef__kernel_build(clef_device *dev, clef__kernel *k)
{
	cl_int code;

	if (k->kernel)
		return CLEF_OK;
	if (clef__program_build(dev, k->program))
		return clef_error_status();
	k->kernel = clCreateKernel(k->program->program, k->name, &code);
	if (code) {
		k->kernel = NULL;
		return clef__fail(CLEF_ERROR_OPENCL, "kernel %s of %s.cl on %s: %s", k->name, k->program->name,
				  dev->info.name, clef__cl_error(code));
	}
	if (clGetKernelWorkGroupInfo(k->kernel, dev->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof(k->work_group_size),
				     &k->work_group_size, NULL) ||
	    !k->work_group_size)
		k->work_group_size = 1;
	clGetKernelWorkGroupInfo(k->kernel, dev->id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof(k->local_memory),
				 &k->local_memory, NULL);
	return CLEF_OK;
}

void clef__programs_free(clef_device *dev)
{
	for (int i = 0; i < dev->kernel_capacity; i++)
		if (dev->kernels[i]) {
			if (dev->kernels[i]->kernel)
				clReleaseKernel(dev->kernels[i]->kernel);
			free(dev->kernels[i]);
		}
	free(dev->kernels);
	while (dev->programs) {
		clef__program *next = dev->programs->next;

		program_free(dev->programs);
		dev->programs = next;
	}
}
