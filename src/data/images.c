/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders of images, one for each class (torchvision's ImageFolder). Names are sorted by their bytes, whatever order
 * the file system has and whatever the locale, so that the same folder is the same set everywhere.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "data_internal.h"

static const char what[] = "clef_images_open";

typedef struct names {
	char **list;
	int count, capacity;
} names;

static void names_free(names *n)
{
	for (int i = 0; i < n->count; i++)
		free(n->list[i]);
	free(n->list);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_folder(const char *folder, const char *name)
{
	char *path = clef__format("%s/%s", folder, name);
	struct stat st;
	bool yes = path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);

	free(path);
	return yes;
}

static bool is_image(const char *folder, const char *name)
{
	static const char *const endings[] = { ".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG" };
	size_t n = strlen(name);

	for (int i = 0; i < CLEF_COUNT(endings); i++)
		if (n > strlen(endings[i]) && !strcmp(name + n - strlen(endings[i]), endings[i]))
			return !is_folder(folder, name);
	return false;
}

/* What in the folder is wanted, without hidden entries. */
static clef_status list_names(const char *folder, bool (*wanted)(const char *, const char *), names *n)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	clef_status s = CLEF_OK;

	if (!dir)
		return clef__fail(CLEF_ERROR_IO, "%s: cannot open the folder %s: %s", what, folder, strerror(errno));
	while (!s && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !wanted(folder, entry->d_name))
			continue;
		s = clef__grow(&n->list, &n->capacity, n->count + 1, sizeof(*n->list), "the names of files");
		if (!s && !(n->list[n->count] = clef__strdup(entry->d_name)))
			s = CLEF_ERROR_MEMORY;
		n->count += !s;
	}
	closedir(dir);
	if (n->count)
		qsort(n->list, (size_t)n->count, sizeof(*n->list), compare);
	return s;
}

bool clef__has_folders(const char *folder)
{
	names n = { NULL, 0, 0 };
	bool yes = !list_names(folder, is_folder, &n) && n.count;

	names_free(&n);
	return yes;
}

static clef_status check_channels(const char *function, int channels)
{
	if (channels == 0 || channels == 1 || channels == 3)
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_INVALID,
			  "%s: channels is %d; 1 for grey and 3 for red, green and blue are allowed, or 0", function,
			  channels);
}

/* ---- the set ---- */

typedef struct builder {
	clef_shape sample;
	uint8_t *samples, *labels;
	int64_t count, capacity;
	int channels;
} builder;

static clef_status make_room(builder *b)
{
	int64_t capacity = b->capacity ? 2 * b->capacity : 64;
	uint8_t *samples, *labels;

	if (b->count < b->capacity)
		return CLEF_OK;
	samples = realloc(b->samples, (size_t)capacity * (size_t)clef_shape_numel(b->sample));
	if (samples)
		b->samples = samples;
	labels = samples ? realloc(b->labels, (size_t)capacity) : NULL;
	if (!labels)
		return clef__fail(CLEF_ERROR_MEMORY, "%s: no memory for %lld images", what, (long long)capacity);
	b->labels = labels;
	b->capacity = capacity;
	return CLEF_OK;
}

/* The first image decides what all must be like. */
static clef_status add(builder *b, const char *path, int label)
{
	clef__image image;
	clef_shape shape;
	clef_status s = clef__image_read(what, path, b->channels, &image);

	if (s)
		return s;
	shape = CLEF_SHAPE(image.channels, image.height, image.width);
	if (!b->count) {
		b->sample = shape;
		b->channels = image.channels;
	}
	if (!clef_shape_equal(shape, b->sample))
		s = clef__fail(CLEF_ERROR_FORMAT,
			       "%s: %s is %lld x %lld pixels, and the images before it are %lld x %lld", what, path,
			       (long long)image.height, (long long)image.width, (long long)b->sample.dim[1],
			       (long long)b->sample.dim[2]);
	if (!s)
		s = make_room(b);
	if (!s) {
		size_t size = (size_t)clef_shape_numel(shape);

		memcpy(b->samples + (size_t)b->count * size, image.planes, size);
		b->labels[b->count++] = (uint8_t)label;
	}
	free(image.planes);
	return s;
}

static clef_status add_class(builder *b, const char *folder, const char *class, int label)
{
	names files = { NULL, 0, 0 };
	char *inner = clef__format("%s/%s", folder, class);
	clef_status s = inner ? list_names(inner, is_image, &files) : CLEF_ERROR_MEMORY;

	for (int i = 0; i < files.count && !s; i++) {
		char *path = clef__format("%s/%s", inner, files.list[i]);

		s = path ? add(b, path, label) : CLEF_ERROR_MEMORY;
		free(path);
	}
	names_free(&files);
	free(inner);
	return s;
}

/* Every folder of images must be one of a class that is known. */
static clef_status check_classes(const char *folder, const names *classes)
{
	names here = { NULL, 0, 0 };
	clef_status s = list_names(folder, is_folder, &here);

	for (int i = 0; i < here.count && !s; i++)
		if (!bsearch(&here.list[i], classes->list, (size_t)classes->count, sizeof(*classes->list), compare))
			s = clef__fail(CLEF_ERROR_FORMAT, "%s: %s/%s is none of the %d classes, %s to %s", what, folder,
				       here.list[i], classes->count, classes->list[0],
				       classes->list[classes->count - 1]);
	names_free(&here);
	return s;
}

static clef_status build(builder *b, const char *folder, const char *like, names *classes)
{
	clef_status s = list_names(like, is_folder, classes);

	if (!s && (!classes->count || classes->count > CLEF__MAX_CLASSES))
		return clef__fail(CLEF_ERROR_FORMAT,
				  "%s: %s holds %d folders; one for each of 1 to %d classes is expected", what, like,
				  classes->count, CLEF__MAX_CLASSES);
	if (!s)
		s = check_classes(folder, classes);
	for (int i = 0; i < classes->count && !s; i++)
		if (is_folder(folder, classes->list[i]))
			s = add_class(b, folder, classes->list[i], i);
	if (!s && !b->count)
		s = clef__fail(CLEF_ERROR_FORMAT, "%s: the folders in %s hold no .png, .jpg or .jpeg", what, folder);
	return s;
}

clef_dataset *clef_images_open(const char *folder, const char *like, int channels)
{
	builder b = { .channels = channels };
	names classes = { NULL, 0, 0 };
	clef_dataset *set = NULL;
	clef_status s;

	if (!folder)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: the folder is NULL", what);
	if (check_channels(what, channels))
		return NULL;
	s = build(&b, folder, like ? like : folder, &classes);
	if (!s)
		set = clef__dataset_name_classes(
			clef__dataset_adopt(b.samples, b.labels, b.count, b.sample, classes.count),
			(const char *const *)classes.list);
	if (s) {
		free(b.samples);
		free(b.labels);
	}
	names_free(&classes);
	return set;
}

/* ---- one image ---- */

clef_dataset *clef_image_open(const char *path, int channels)
{
	uint8_t *label;
	clef__image image;

	if (!path)
		return clef__fail_null(CLEF_ERROR_INVALID, "clef_image_open: the path is NULL");
	if (check_channels("clef_image_open", channels) || clef__image_read("clef_image_open", path, channels, &image))
		return NULL;
	label = clef__calloc(1, 1, "the label of an image");
	return clef__dataset_adopt(image.planes, label, 1, CLEF_SHAPE(image.channels, image.height, image.width), 1);
}
