/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the kernel cache share: tiny programs in a folder of CLEF_KERNELS, so that compiling is quick. */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cache_case.h"
#include "tensor_internal.h"

char cache_folder[1024];
const char *cache_doing = "";
int cache_warnings;
char cache_warning[1024];

static void count_warnings(void *user, clef_log_level level, const char *message)
{
	(void)user;
	if (level == CLEF_LOG_WARN) {
		cache_warnings++;
		snprintf(cache_warning, sizeof(cache_warning), "%s", message);
	}
}

void cache_write(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "wb");

	ck_assert_msg(file && fwrite(data, 1, size, file) == size && fclose(file) == 0, "cannot write %s", path);
}

void cache_kernel(const char *name, int value, const char *comment)
{
	char path[1100], source[256];

	snprintf(path, sizeof(path), "%s/kernels/%s.cl", test_dir(), name);
	snprintf(source, sizeof(source),
		 "__kernel void put(__global int *y, ulong y_offset)\n{\n\tif (get_global_id(0) == 0)\n"
		 "\t\ty[y_offset] = %d;\n}\n%s",
		 value, comment);
	cache_write(path, source, strlen(source));
}

void cache_setup(void)
{
	char path[1100];

	snprintf(cache_folder, sizeof(cache_folder), "%s/cache", test_dir());
	snprintf(path, sizeof(path), "%s/kernels", test_dir());
	ck_assert_int_eq(mkdir(path, 0700), 0);
	test_setenv("CLEF_KERNELS", path);
	test_setenv("CLEF_CACHE", cache_folder);
	/* Its file is not in the folder, so there is nothing to check at open and to remember. */
	test_setenv("CLEF_GEMM", "plain");
	strcat(path, "/common.clh");
	cache_write(path, "", 0);
	cache_kernel("a", 1001, "");
	cache_kernel("b", 1002, "");
	cache_kernel("c", 1003, "");
	clef_log_set(count_warnings, NULL, CLEF_LOG_WARN);
}

void cache_run_on(clef_device *dev, const char *programs)
{
	clef_tensor *y = ck_new(clef_tensor_new(dev, CLEF_INT32, CLEF_SCALAR));

	for (const char *p = programs; *p; p++) {
		const char name[2] = { *p, '\0' };

		ck_ok(clef__launch(dev, &(clef__launch_opts){ .program = name,
							      .kernel = "put",
							      .global = { 1 },
							      .args = { CLEF__BUFFER(y->buffer, y->offset) } }));
		ck_assert_int_eq((int)clef_item(y), 1001 + *p - 'a');
	}
	clef_tensor_free(y);
}

void cache_run(const char *programs, int built, int cached)
{
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef_device_stats stats;

	cache_run_on(dev, programs);
	stats = clef_device_get_stats(dev);
	clef_device_close(dev);
	ck_assert_msg(stats.programs_built == (uint64_t)built && stats.programs_cached == (uint64_t)cached,
		      "programs %s%s%s: %d compiled and %d cached, should be %d and %d", programs,
		      *cache_doing ? ", file " : "", cache_doing, (int)stats.programs_built, (int)stats.programs_cached,
		      built, cached);
}

int cache_files(const char *folder, const char *prefix, char *path, size_t size)
{
	DIR *dir = opendir(folder);
	int count = 0;

	for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
		if (*e->d_name == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (path)
			ck_assert_int_lt(snprintf(path, size, "%s/%s", folder, e->d_name), (int)size);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}
