/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenCL loader and what it is told to load. Each driver is loaded in a process of its own, first by dlopen(),
 * which says why it fails where the loader is silent, then through the loader with no other driver beside it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "child.h"
#include "doctor.h"

/* ---- the loader ---- */

static void ask_loader(void *arg, FILE *out)
{
	clef_icd_loader loader;

	(void)arg;
	/* Nothing to load, so that no driver can spoil the answer. */
	setenv("OCL_ICD_VENDORS", "/dev/null/none.icd", 1);
	unsetenv("OCL_ICD_FILENAMES");
	unsetenv("OPENCL_LAYERS");
	loader = clef_icd_loader_get();
	fwrite(&loader, sizeof(loader), 1, out);
}

/* Is the name in the loader's file? One that it does not hold it cannot ask for. */
static bool loader_reads(const doctor *d, const char *name)
{
	FILE *file = fopen(d->loader.path, "rb");
	char *data = NULL;
	long size = 0;
	bool found = true; /* in doubt no warning */

	if (file && !fseek(file, 0, SEEK_END) && (size = ftell(file)) > 0 && !fseek(file, 0, SEEK_SET))
		data = malloc((size_t)size);
	if (data && fread(data, 1, (size_t)size, file) == (size_t)size)
		found = memmem(data, (size_t)size, name, strlen(name)) != NULL;
	free(data);
	if (file)
		fclose(file);
	return found;
}

static void check_variable(doctor *d, const char *name, const char *meaning)
{
	const char *value = getenv(name);
	char advice[256];

	if (!value || !*value)
		return;
	if (loader_reads(d, name)) {
		doctor_report(d, DOCTOR_OK, "%s=%s: %s", name, value, meaning);
		return;
	}
	snprintf(advice, sizeof(advice), "unset %s; ocl-icd takes OCL_ICD_VENDORS=FOLDER, or a single .icd file", name);
	doctor_advise(d, DOCTOR_WARNING, advice, "%s=%s is set, but this loader does not know it", name, value);
}

static void report_loader(doctor *d, const clef_icd_loader *l)
{
	const char *path = *l->path ? l->path : "linked in";

	if (*l->version)
		doctor_report(d, DOCTOR_OK, "%s: %s %s of %s, made for %s", path, l->name, l->version, l->vendor,
			      l->opencl);
	else
		doctor_report(d, DOCTOR_OK, "%s: it does not tell its version", path);
}

void doctor_loader(doctor *d)
{
	child r = { .work = ask_loader, .arg = NULL };

	child_run(&r, d->limit);
	if (r.end == CHILD_DONE && r.said.size == sizeof(d->loader)) {
		memcpy(&d->loader, r.said.data, sizeof(d->loader));
		report_loader(d, &d->loader);
	} else {
		doctor_advise(d, DOCTOR_PROBLEM, "apt-get install --reinstall ocl-icd-libopencl1",
			      "the loader %s without any driver", *r.text ? r.text : "does not answer");
	}
	child_free(&r);
	check_variable(d, "OCL_ICD_VENDORS", "only these drivers are loaded");
	check_variable(d, "OPENCL_VENDOR_PATH", "the folder of the .icd files, unless OCL_ICD_VENDORS is set");
	check_variable(d, "OCL_ICD_FILENAMES", "these libraries are loaded too");
	check_variable(d, "OPENCL_LAYERS", "these layers see every call of OpenCL");
}

/* ---- what is to be loaded ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

static bool is_folder(const char *path)
{
	struct stat s;

	return !stat(path, &s) && S_ISDIR(s.st_mode);
}

static icd_file *add_icd(doctor *d, const char *path)
{
	icd_file *f = &d->icds[d->icd_count];

	if (d->icd_count == DOCTOR_MAX_ICDS)
		return NULL;
	d->icd_count++;
	snprintf(f->path, sizeof(f->path), "%.511s", path);
	return f;
}

static int is_icd(const struct dirent *entry)
{
	return ends_with(entry->d_name, ".icd");
}

static void list_folder(doctor *d, const char *folder)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_icd, alphasort), reason = errno;
	char path[512];

	for (int i = 0; i < count; i++) {
		if (snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name) < (int)sizeof(path))
			add_icd(d, path);
		free(entries[i]);
	}
	free(entries);
	if (count > 0)
		return;
	doctor_advise(d, DOCTOR_PROBLEM,
		      "any CPU: apt-get install pocl-opencl-icd\n"
		      "GPUs: see \"Hardware\" below",
		      "%s: %s: no driver is installed", folder,
		      count < 0 ? strerror(reason) : "no file ends with .icd");
}

/* As the loader does it. */
static void find_icds(doctor *d)
{
	const char *vendors = getenv("OCL_ICD_VENDORS"), *base = getenv("OPENCL_VENDOR_PATH");
	char standard[DOCTOR_PATH], path[DOCTOR_PATH];

	if (base && *base)
		snprintf(standard, sizeof(standard), "%s", base);
	else
		doctor_path(d, "/etc/OpenCL/vendors", standard);
	if (!vendors || !*vendors) {
		/* A replaced root must hold for the loader too. */
		if (*d->root)
			setenv("OCL_ICD_VENDORS", standard, 1);
		list_folder(d, standard);
	} else if (is_folder(vendors)) {
		list_folder(d, vendors);
	} else if (ends_with(vendors, ".icd")) {
		struct stat s;

		snprintf(path, sizeof(path), "%.500s/%.500s", standard, vendors);
		add_icd(d, !strchr(vendors, '/') && !stat(path, &s) ? path : vendors);
	} else {
		icd_file *f = add_icd(d, vendors);

		snprintf(f->library, sizeof(f->library), "%s", vendors);
	}
}

/* Only the Khronos loader has this list; it loads these in addition. */
static void find_listed(doctor *d)
{
	const char *names = getenv("OCL_ICD_FILENAMES");
	char list[2048], *rest = list, *name;

	if (!names || !*names || !loader_reads(d, "OCL_ICD_FILENAMES"))
		return;
	snprintf(list, sizeof(list), "%s", names);
	while ((name = strsep(&rest, ":")) != NULL) {
		icd_file *f = *name ? add_icd(d, name) : NULL;

		if (f)
			snprintf(f->library, sizeof(f->library), "%s", name);
	}
}

/* ---- one driver ---- */

/* Writes a line for each step, so that a crash shows where it was. The last ones name the platforms. */
static void try_driver(void *arg, FILE *out)
{
	const icd_file *f = arg;
	clef_platform_info platforms[16];
	void *handle = dlopen(f->library, RTLD_LAZY | RTLD_LOCAL);
	struct link_map *map = NULL;
	int count;

	if (!handle) {
		fprintf(out, "error %s\n", dlerror());
		return;
	}
	fprintf(out, "loaded %s\n", !dlinfo(handle, RTLD_DI_LINKMAP, &map) && map ? map->l_name : f->library);
	if (!dlsym(handle, "clGetExtensionFunctionAddress")) {
		fprintf(out, "foreign\n");
		return;
	}
	/* ocl-icd takes the one file, and the Khronos loader the one library. */
	setenv("OCL_ICD_VENDORS", f->path, 1);
	setenv("OCL_ICD_FILENAMES", f->library, 1);
	count = clef_platform_list(platforms, CLEF_COUNT(platforms));
	fprintf(out, "platforms\n");
	for (int i = 0; i < count && i < CLEF_COUNT(platforms); i++)
		fprintf(out, "platform %s, %d device%s\n", platforms[i].name, platforms[i].devices,
			platforms[i].devices == 1 ? "" : "s");
}

/* The rest of the first line that begins with the word. */
static bool find_line(const char *data, const char *word, char *text, size_t size)
{
	size_t n = strlen(word);

	for (const char *line = data; line && *line; line = strchr(line, '\n'), line += line != NULL)
		if (!strncmp(line, word, n)) {
			line += n + (line[n] == ' ');
			snprintf(text, size, "%.*s", (int)strcspn(line, "\n"), line);
			return true;
		}
	*text = '\0';
	return false;
}

/* The Debian package that a driver's library comes in. */
static const char *package_of(const char *library)
{
	static const char *const table[][2] = {
		{ "libpocl", "pocl-opencl-icd" },
		{ "libMesaOpenCL", "mesa-opencl-icd" },
		{ "libRusticlOpenCL", "mesa-opencl-icd" },
		{ "libigdrcl", "intel-opencl-icd" },
		{ "libamdocl64", "rocm-opencl-icd" },
		{ "libnvidia-opencl", "nvidia-opencl-icd" },
		{ "liboclgrind", "oclgrind" },
	};

	for (int i = 0; i < CLEF_COUNT(table); i++)
		if (strstr(library, table[i][0]))
			return table[i][1];
	return NULL;
}

static void report_unloadable(doctor *d, const icd_file *f, const char *error)
{
	const char *package = package_of(f->library);
	const char *last = f->library + (*f->library ? strlen(f->library) - 1 : 0);
	char advice[1600];

	if (strchr(" \t\r", *last)) {
		snprintf(advice, sizeof(advice), "sed -i 's/[[:space:]]*$//' %s", f->path);
		doctor_advise(d, DOCTOR_PROBLEM, advice,
			      "%s: the name in it ends with a space or a carriage return, and is no file's: %s",
			      f->path, error);
		return;
	}
	if (!strcmp(f->path, f->library)) {
		doctor_advise(
			d, DOCTOR_PROBLEM, "unset OCL_ICD_VENDORS, or let it name a folder, an .icd file or a library",
			"%s, from the environment, is neither a folder, nor can it be loaded: %s", f->library, error);
		return;
	}
	if (strstr(error, "wrong ELF class"))
		snprintf(advice, sizeof(advice), "install the driver for this processor%s%s",
			 package ? ": apt-get install " : "", package ? package : "");
	else if (package)
		snprintf(advice, sizeof(advice),
			 "apt-get install --reinstall %s\nor, if the driver is not wanted: rm %s", package, f->path);
	else
		snprintf(advice, sizeof(advice), "install the driver again, or, if it is not wanted: rm %s", f->path);
	doctor_advise(d, DOCTOR_PROBLEM, advice, "%s: %s cannot be loaded: %s", f->path, f->library, error);
}

static void report_ended(doctor *d, const icd_file *f, const child *r, bool loaded)
{
	const char *package = package_of(f->library);
	char advice[1600];

	snprintf(advice, sizeof(advice),
		 "it takes every OpenCL program with it; move it away: mv %s %s.off\n"
		 "or choose others with OCL_ICD_VENDORS=FOLDER; or try another version%s%s",
		 f->path, f->path, package ? ": apt-get install " : "", package ? package : "");
	doctor_advise(d, DOCTOR_PROBLEM, advice, "%s: %s %s when %s", f->path, f->library, r->text,
		      loaded ? "it is asked for its platforms" : "it is loaded");
}

/* The names of all platforms, "; " between them. */
static void report_platforms(doctor *d, const icd_file *f, const char *data)
{
	char names[512] = "";
	const char *line = strstr(data, "platforms\n");

	for (line = line ? line + 10 : ""; !strncmp(line, "platform ", 9); line += strcspn(line, "\n") + 1) {
		size_t used = strlen(names);

		snprintf(names + used, sizeof(names) - used, "%s%.*s", used ? "; " : "", (int)strcspn(line + 9, "\n"),
			 line + 9);
	}
	if (*names)
		doctor_report(d, DOCTOR_OK, "%s: %s: %s", f->path, f->library, names);
	else
		doctor_advise(d, DOCTOR_WARNING,
			      "a driver whose hardware is not there may do so; else see \"Hardware\" and "
			      "\"Permissions\" below",
			      "%s: %s loads, but shows no platform", f->path, f->library);
}

static void report_duplicates(doctor *d, const icd_file *f)
{
	for (const icd_file *other = d->icds; other < f; other++)
		if (*f->resolved && !strcmp(f->resolved, other->resolved)) {
			char advice[600];

			snprintf(advice, sizeof(advice), "rm %s", f->path);
			doctor_advise(d, DOCTOR_WARNING, advice, "%s names the same driver as %s", f->path,
				      other->path);
			return;
		}
}

static void check_driver(doctor *d, icd_file *f)
{
	char text[512], real[PATH_MAX];
	child r = { .work = try_driver, .arg = f };

	child_run(&r, d->limit);
	f->loads = find_line(r.said.data ? r.said.data : "", "loaded", text, sizeof(text));
	if (f->loads)
		snprintf(f->resolved, sizeof(f->resolved), "%.511s", realpath(text, real) ? real : text);
	if (find_line(r.said.data ? r.said.data : "", "error", text, sizeof(text)))
		report_unloadable(d, f, text);
	else if (r.end != CHILD_DONE)
		report_ended(d, f, &r, f->loads);
	else if (find_line(r.said.data, "foreign", text, sizeof(text)))
		doctor_advise(d, DOCTOR_PROBLEM,
			      "let the first line of the file name an OpenCL driver, or remove the file",
			      "%s: %s is a library, but no OpenCL driver", f->path, f->library);
	else
		report_platforms(d, f, r.said.data);
	report_duplicates(d, f);
	child_free(&r);
}

static void check_file(doctor *d, icd_file *f)
{
	char text[512], advice[600];

	if (*f->library) { /* named in the environment, without a file */
		check_driver(d, f);
	} else if (!doctor_read(f->path, text, sizeof(text))) {
		int reason = errno;

		snprintf(advice, sizeof(advice),
			 reason == EACCES ? "chmod a+r %s" : "create it, or remove its name: %s", f->path);
		doctor_advise(d, DOCTOR_PROBLEM, advice, "%s cannot be read: %s", f->path, strerror(reason));
	} else {
		snprintf(f->library, sizeof(f->library), "%.*s", (int)strcspn(text, "\n"), text);
		if (*f->library) {
			check_driver(d, f);
			return;
		}
		snprintf(advice, sizeof(advice), "let its first line name the driver's library, or: rm %s", f->path);
		doctor_advise(d, DOCTOR_PROBLEM, advice, "%s is empty", f->path);
	}
}

void doctor_icd_files(doctor *d)
{
	find_icds(d);
	find_listed(d);
	for (int i = 0; i < d->icd_count; i++)
		check_file(d, &d->icds[i]);
}
