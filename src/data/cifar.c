/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The binary version of CIFAR-10: files without a header, of records of 3073 bytes each, a label and an image as three
 * planes of 32 x 32. So the length is all there is to tell such a file by, and it must be a whole number of records;
 * how many is left to the files, so that a part of the set can be used in the same way.
 */
#define _POSIX_C_SOURCE 200809L
#include <unistd.h>

#include "data_internal.h"

enum { PIXELS = 3 * 32 * 32, RECORD = 1 + PIXELS, CLASSES = 10 };

static const char *const train_files[] = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
					   "data_batch_4.bin", "data_batch_5.bin" };
static const char *const test_files[] = { "test_batch.bin" };

static const char *const class_names[] = { "airplane", "automobile", "bird",  "cat",  "deer",
					   "dog",      "frog",       "horse", "ship", "truck" };

/* What has been read so far. */
typedef struct records {
	uint8_t *images, *labels;
	size_t count;
} records;

/* The path of the file, or of the same with .gz; free it with free(). */
static char *find(const char *folder, const char *name)
{
	for (int packed = 0; packed < 2; packed++) {
		char *path = clef__format("%s/%s%s", folder, name, packed ? ".gz" : "");

		if (!path || access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return clef__fail_null(CLEF_ERROR_IO, "clef_cifar10_open: %s has neither %s nor %s.gz", folder, name, name);
}

static clef_status make_room(records *r, size_t count)
{
	uint8_t *images = realloc(r->images, count * PIXELS), *labels;

	if (images)
		r->images = images;
	labels = images ? realloc(r->labels, count) : NULL;
	if (!labels)
		return clef__fail(CLEF_ERROR_MEMORY, "clef_cifar10_open: no memory for %zu images", count);
	r->labels = labels;
	return CLEF_OK;
}

static clef_status add(records *r, const char *path, clef__bytes file)
{
	size_t count = file.size / RECORD;
	clef_status s;

	if (file.size % RECORD)
		return clef__fail(CLEF_ERROR_FORMAT,
				  "clef_cifar10_open: %s is truncated, or none of CIFAR-10: %zu bytes are no whole "
				  "number of records of %d",
				  path, file.size, RECORD);
	s = make_room(r, r->count + count);
	for (size_t i = 0; i < count && !s; i++) {
		const uint8_t *record = file.data + i * RECORD;

		if (*record >= CLASSES)
			s = clef__fail(CLEF_ERROR_FORMAT, "clef_cifar10_open: %s: label %zu is %d; below %d is allowed",
				       path, i, *record, CLASSES);
		r->labels[r->count + i] = *record;
		memcpy(r->images + (r->count + i) * PIXELS, record + 1, PIXELS);
	}
	r->count += count;
	return s;
}

static clef_status read_file(records *r, const char *folder, const char *name)
{
	char *path = find(folder, name);
	clef__bytes file;
	clef_status s =
		path ? clef__file_read("clef_cifar10_open", path, CLEF__FILE_LIMIT, &file) : clef_error_status();

	if (!s) {
		s = add(r, path, file);
		free(file.data);
	}
	free(path);
	return s;
}

clef_dataset *clef_cifar10_open(const char *folder, bool train)
{
	const char *const *names = train ? train_files : test_files;
	int count = train ? CLEF_COUNT(train_files) : CLEF_COUNT(test_files);
	records r = { NULL, NULL, 0 };
	clef_status s = CLEF_OK;

	if (!folder)
		return clef__fail_null(CLEF_ERROR_INVALID, "clef_cifar10_open: the folder is NULL");
	for (int i = 0; i < count && !s; i++)
		s = read_file(&r, folder, names[i]);
	if (s) {
		free(r.images);
		free(r.labels);
		return NULL;
	}
	return clef__dataset_name_classes(
		clef__dataset_adopt(r.images, r.labels, (int64_t)r.count, CLEF_SHAPE(3, 32, 32), CLASSES), class_names);
}
