/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of a program: its .cl file, what that includes, and lines of #define in front. Every part carries a #line,
 * so that compilers speak of the true file and line. Files may #include "other.clh"; we resolve that ourselves, since
 * the files need not exist where the program runs.
 */
#include "opencl.h"
#include "program.h"

#define MAX_INCLUDES 8

static clef_status append(clef__text *t, const char *data, size_t size)
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

static clef_status read_kernel_file(const char *folder, const char *name, clef__text *t)
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

static clef_status find_kernel_file(const char *name, clef__text *t)
{
	const char *folder = getenv("CLEF_KERNELS");

	if (folder && *folder)
		return read_kernel_file(folder, name, t);
	for (const clef__kernel_file *f = clef__kernel_files; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return append(t, f->text, f->size);
	return clef__fail(CLEF_ERROR_INVALID, "no kernel file %s in the library", name);
}

static clef_status append_line_mark(clef__text *out, int line, const char *name)
{
	char mark[160];

	return append(out, mark, (size_t)snprintf(mark, sizeof(mark), "#line %d \"%s\"\n", line, name));
}

/* The file with its includes in place. */
static clef_status append_file(clef__text *out, const char *name, int depth)
{
	static const char include[] = "#include \"";
	clef__text file = { 0 };
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

static clef_status make_source(const clef_device *dev, const char *name, const char *defines, clef__text *out)
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

const char *clef__build_options(bool exact)
{
	/* Denormal numbers slow a CPU's kernels down a hundred times, and training has no use for them. */
	return exact ? "-cl-std=CL1.2" : "-cl-std=CL1.2 -cl-denorms-are-zero";
}

clef_status clef__source_key(const clef_device *dev, const char *name, const char *defines, bool exact, clef__text *key,
			     size_t *prefix)
{
	char head[1024];
	clef_status status;

	snprintf(head, sizeof(head), "clef 1\n%s\n%s\n%s\n%s\n%s\n%s\n", dev->info.platform_name, dev->info.name,
		 dev->info.vendor, dev->info.version, dev->info.driver, clef__build_options(exact));
	*prefix = strlen(head);
	status = append(key, head, *prefix);
	return status ? status : make_source(dev, name, defines, key);
}

clef_status clef__program_hash(clef_device *dev, const char *program, uint64_t *hash)
{
	clef__text key = { 0 };
	size_t prefix;
	clef_status status = clef__source_key(dev, program, "", false, &key, &prefix);

	if (!status)
		*hash = clef__hash(CLEF__HASH_START, key.data, key.size);
	free(key.data);
	return status;
}
