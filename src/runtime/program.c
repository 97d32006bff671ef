/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs and kernels, made on first use.
 *
 * A program is one .cl file with the lines of #define that its user puts in front: what those lines select is compiled,
 * nothing else, because compilers for CPUs take a second and more for each program. Every part carries a #line, so that
 * compilers speak of the true file and line. Files may #include "other.clh"; we resolve that ourselves, since the
 * files need not exist where the program runs.
 */
#include "program.h"
#include "opencl.h"

#define MAX_INCLUDES 8

struct clef__program {
	clef__program *next;
	char *name, *defines;
	bool exact;
	cl_program program;
};

/* ---- sources ---- */

typedef struct text {
	char *data;
	size_t size, capacity;
} text;

static clef_status append(text *t, const char *data, size_t size)
{
	if (t->size + size + 1 > t->capacity) {
		size_t capacity = CLEF__MAX(2 * t->capacity, t->size + size + 4096);
		char *grown = realloc(t->data, capacity);

		if (!grown)
			return clef__fail(CLEF_ERROR_MEMORY, "no memory for %zu bytes: a kernel source", capacity);
		t->data = grown;
		t->capacity = capacity;
	}
	memcpy(t->data + t->size, data, size);
	t->size += size;
	t->data[t->size] = '\0';
	return CLEF_OK;
}

static clef_status read_kernel_file(const char *folder, const char *name, text *t)
{
	char *path = clef__format("%s/%s", folder, name);
	char block[4096];
	size_t n;
	FILE *file;
	clef_status status = CLEF_OK;

	if (!path)
		return CLEF_ERROR_MEMORY;
	file = fopen(path, "rb");
	if (!file)
		status = clef__fail(CLEF_ERROR_IO, "kernel file %s cannot be read (CLEF_KERNELS names its folder)",
				    path);
	while (file && !status && (n = fread(block, 1, sizeof(block), file)) > 0)
		status = append(t, block, n);
	if (file && !status && ferror(file))
		status = clef__fail(CLEF_ERROR_IO, "kernel file %s cannot be read to its end", path);
	if (file)
		fclose(file);
	free(path);
	return status;
}

static clef_status find_kernel_file(const char *name, text *t)
{
	const char *folder = getenv("CLEF_KERNELS");

	if (folder && *folder)
		return read_kernel_file(folder, name, t);
	for (const clef__kernel_file *f = clef__kernel_files; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return append(t, f->text, f->size);
	return clef__fail(CLEF_ERROR_INVALID, "no kernel file %s in the library", name);
}

static clef_status append_line_mark(text *out, int line, const char *name)
{
	char mark[160];

	return append(out, mark, (size_t)snprintf(mark, sizeof(mark), "#line %d \"%s\"\n", line, name));
}

/* The file with its includes in place. */
static clef_status append_file(text *out, const char *name, int depth)
{
	static const char include[] = "#include \"";
	text file = { 0 };
	int line = 1;
	clef_status status = find_kernel_file(name, &file);

	if (!status && depth > MAX_INCLUDES)
		status = clef__fail(CLEF_ERROR_INVALID, "kernel file %s: includes go too deep", name);
	if (!status)
		status = append_line_mark(out, 1, name);
	for (const char *p = file.data; p && *p && !status; line++) {
		const char *end = strchr(p, '\n');
		size_t size = end ? (size_t)(end - p) + 1 : strlen(p);
		char inner[64];

		if (strncmp(p, include, sizeof(include) - 1) == 0 &&
		    sscanf(p + sizeof(include) - 1, "%63[^\"]\"", inner) == 1) {
			status = append_file(out, inner, depth + 1);
			if (!status)
				status = append_line_mark(out, line + 1, name);
		} else {
			status = append(out, p, size);
		}
		p += size;
	}
	if (!status)
		status = append(out, "\n", 1);
	free(file.data);
	return status;
}

static clef_status make_source(const clef_device *dev, const char *name, const char *defines, text *out)
{
	char about[256], file[128];
	int n = snprintf(about, sizeof(about), "#define DEVICE_IS_%s 1\n#define FLOAT_VECTOR %u\n",
			 dev->info.kind == CLEF_DEVICE_CPU ? "CPU" : "GPU",
			 dev->info.float_vector ? dev->info.float_vector : 1u);
	clef_status status = append(out, about, (size_t)n);

	snprintf(file, sizeof(file), "%s.cl", name);
	if (!status)
		status = append_line_mark(out, 1, "defines");
	if (!status)
		status = append(out, defines, strlen(defines));
	if (!status)
		status = append_file(out, "common.clh", 0);
	return status ? status : append_file(out, file, 0);
}

static const char *build_options(bool exact)
{
	/* Denormal numbers slow a CPU's kernels down a hundred times, and training has no use for them. */
	return exact ? "-cl-std=CL1.2" : "-cl-std=CL1.2 -cl-denorms-are-zero";
}

/* The key of the cache is all that the binary depends on; the source stands at its end, behind the prefix. */
static clef_status make_key(const clef_device *dev, const char *name, const char *defines, bool exact, text *key,
			    size_t *prefix)
{
	char head[1024];
	clef_status status;

	snprintf(head, sizeof(head), "clef 1\n%s\n%s\n%s\n%s\n%s\n%s\n", dev->info.platform_name, dev->info.name,
		 dev->info.vendor, dev->info.version, dev->info.driver, build_options(exact));
	*prefix = strlen(head);
	status = append(key, head, *prefix);
	return status ? status : make_source(dev, name, defines, key);
}

clef_status clef__program_hash(clef_device *dev, const char *program, uint64_t *hash)
{
	text key = { 0 };
	size_t prefix;
	clef_status status = make_key(dev, program, "", false, &key, &prefix);

	if (!status)
		*hash = clef__hash(CLEF__HASH_START, key.data, key.size);
	free(key.data);
	return status;
}

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

static bool load_binary(clef_device *dev, clef__program *p, const text *key)
{
	size_t size;
	unsigned char *binary = clef__cache_load(dev, key->data, key->size, &size);
	const unsigned char *parts[] = { binary };
	cl_int code, status;

	if (!binary)
		return false;
	p->program = clCreateProgramWithBinary(dev->context, 1, &dev->id, &size, parts, &status, &code);
	free(binary);
	if (!code && !status && !clBuildProgram(p->program, 1, &dev->id, build_options(p->exact), NULL, NULL))
		return true;
	if (!code)
		clReleaseProgram(p->program);
	p->program = NULL;
	return false;
}

static void store_binary(clef_device *dev, const clef__program *p, const text *key)
{
	size_t size = 0;
	unsigned char *binary;

	if (!dev->cache_folder || clGetProgramInfo(p->program, CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, NULL) ||
	    !size)
		return;
	binary = malloc(size);
	if (binary && !clGetProgramInfo(p->program, CL_PROGRAM_BINARIES, sizeof(binary), &binary, NULL))
		clef__cache_store(dev, key->data, key->size, binary, size);
	free(binary);
}

static clef_status build_source(clef_device *dev, clef__program *p, const text *source, size_t prefix)
{
	const char *string = source->data + prefix;
	size_t length = source->size - prefix;
	cl_int code;

	clef__log(CLEF_LOG_INFO, "compiling %s.cl for %s", p->name, dev->info.name);
	p->program = clCreateProgramWithSource(dev->context, 1, &string, &length, &code);
	if (code)
		return clef__cl_fail(dev, code, "clCreateProgramWithSource");
	code = clBuildProgram(p->program, 1, &dev->id, build_options(p->exact), NULL, NULL);
	if (code == CL_BUILD_PROGRAM_FAILURE)
		return fail_build(dev, p);
	return code ? clef__cl_fail(dev, code, "clBuildProgram") : CLEF_OK;
}

static clef_status build(clef_device *dev, clef__program *p)
{
	double start = clef__seconds();
	text key = { 0 };
	size_t prefix;
	clef_status status = make_key(dev, p->name, p->defines, p->exact, &key, &prefix);

	if (!status && load_binary(dev, p, &key)) {
		dev->stats.programs_cached++;
		clef__log(CLEF_LOG_DEBUG, "%s.cl from the cache", p->name);
	} else if (!status) {
		status = build_source(dev, p, &key, prefix);
		if (!status) {
			dev->stats.programs_built++;
			store_binary(dev, p, &key);
		}
	}
	free(key.data);
	dev->stats.build_seconds += clef__seconds() - start;
	return status;
}

static void program_free(clef__program *p)
{
	if (p->program)
		clReleaseProgram(p->program);
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
	if (!p->name || !p->defines || build(dev, p)) {
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
	cl_int code;

	if (!p || table_grow(dev))
		return NULL;
	k = clef__calloc(1, sizeof(*k), "a kernel");
	if (!k)
		return NULL;
	k->kernel = clCreateKernel(p->program, opts->kernel, &code);
	if (code) {
		clef__fail(CLEF_ERROR_OPENCL, "kernel %s of %s.cl on %s: %s", opts->kernel, opts->program,
			   dev->info.name, clef__cl_error(code));
		free(k);
		return NULL;
	}
	k->program = p;
	k->name = opts->kernel;
	k->hash = hash;
	if (clGetKernelWorkGroupInfo(k->kernel, dev->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof(k->work_group_size),
				     &k->work_group_size, NULL) ||
	    !k->work_group_size)
		k->work_group_size = 1;
	clGetKernelWorkGroupInfo(k->kernel, dev->id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof(k->local_memory),
				 &k->local_memory, NULL);
	table_insert(dev->kernels, dev->kernel_capacity, k);
	dev->kernel_count++;
	return k;
}

clef__kernel *clef__kernel_get(clef_device *dev, const clef__launch_opts *opts)
{
	uint64_t hash = kernel_hash(opts);
	size_t mask = (size_t)dev->kernel_capacity - 1;

	if (dev->kernel_capacity)
		for (size_t i = (size_t)hash & mask; dev->kernels[i]; i = (i + 1) & mask)
			if (kernel_matches(dev->kernels[i], hash, opts))
				return dev->kernels[i];
	return kernel_new(dev, opts, hash);
}

void clef__programs_free(clef_device *dev)
{
	for (int i = 0; i < dev->kernel_capacity; i++)
		if (dev->kernels[i]) {
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
