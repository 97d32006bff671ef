/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IDX format of MNIST and its kin. A header is four bytes, two zeros, the type of the values and the number of
 * dimensions, and then each dimension as a 32-bit big-endian number; values follow to the end of the file. Only the
 * two headers that such sets have are read: bytes in three dimensions are images, in one they are labels. Every
 * number in a header is an attacker's until it agrees with the length of the file.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>

#include "data_internal.h"

#define IMAGES_MAGIC 2051u
#define LABELS_MAGIC 2049u

static uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static const char *kind(uint32_t magic)
{
	return magic == IMAGES_MAGIC ? "images" : "labels";
}

static clef_status wrong_magic(const char *path, uint32_t found, uint32_t magic)
{
	if (found == IMAGES_MAGIC || found == LABELS_MAGIC)
		return clef__fail(CLEF_ERROR_FORMAT,
				  "clef_idx_open: %s holds %s (magic %u) where %s (magic %u) are expected; are the two "
				  "files exchanged?",
				  path, kind(found), found, kind(magic), magic);
	if (found >> 16 == 0 && (found >> 8 & 0xff) >= 8 && (found >> 8 & 0xff) <= 14)
		return clef__fail(
			CLEF_ERROR_FORMAT,
			"clef_idx_open: %s is IDX of type 0x%02x with %u dimensions; %s have type 0x08 (bytes) and "
			"%u (magic %u)",
			path, found >> 8 & 0xff, found & 0xff, kind(magic), magic & 0xff, magic);
	return clef__fail(CLEF_ERROR_FORMAT,
			  "clef_idx_open: %s is no IDX file: it begins with 0x%08x, and one of %s with 0x%08x (%u)",
			  path, found, kind(magic), magic, magic);
}

/* Checks a file against its own header and gives the dimensions, of which labels have one. */
static clef_status parse(const char *path, clef__bytes file, uint32_t magic, uint32_t dim[3], size_t *header)
{
	uint32_t ndim = magic & 0xff, found = file.size >= 4 ? big_endian(file.data) : 0;
	uint64_t area, want, have;

	*header = 4 + 4 * (size_t)ndim;
	if (file.size >= 4 && found != magic)
		return wrong_magic(path, found, magic);
	if (file.size < *header)
		return clef__fail(CLEF_ERROR_FORMAT,
				  "clef_idx_open: %s is truncated: %zu bytes, and the header takes %zu", path,
				  file.size, *header);
	for (uint32_t i = 0; i < 3; i++)
		dim[i] = i < ndim ? big_endian(file.data + 4 + 4 * i) : 1;
	area = (uint64_t)dim[1] * dim[2];
	if (area < 1 || area > INT32_MAX)
		return clef__fail(CLEF_ERROR_FORMAT,
				  "clef_idx_open: %s says its images are %u x %u; 1 to 2147483647 pixels are allowed",
				  path, dim[1], dim[2]);
	want = dim[0] * area; /* below 2^63 */
	have = file.size - *header;
	if (want != have)
		return clef__fail(
			CLEF_ERROR_FORMAT,
			"clef_idx_open: %s is %s: %llu bytes follow the header, which says %llu (%u %s of %llu)", path,
			have < want ? "truncated" : "too long", (unsigned long long)have, (unsigned long long)want,
			dim[0], kind(magic), (unsigned long long)area);
	return CLEF_OK;
}

/* Takes the header off a file. Giving memory back cannot matter if it fails. */
static uint8_t *behind(clef__bytes *file, size_t header)
{
	size_t size = file->size - header;
	uint8_t *data = file->data, *fitted;

	memmove(data, data + header, size);
	fitted = realloc(data, size ? size : 1);
	*file = (clef__bytes){ NULL, 0 };
	return fitted ? fitted : data;
}

static clef_status check_labels(const char *path, const uint8_t *labels, int64_t count, int *classes)
{
	int64_t bad = *classes ? clef__label_above(labels, count, *classes) : -1;

	if (bad >= 0)
		return clef__fail(CLEF_ERROR_FORMAT, "clef_idx_open: %s: label %lld is %d; below %d is allowed", path,
				  (long long)bad, labels[bad], *classes);
	if (!*classes && !count)
		return clef__fail(CLEF_ERROR_FORMAT,
				  "clef_idx_open: %s holds no labels to count the classes by; give their number", path);
	if (*classes)
		return CLEF_OK;
	for (int64_t i = 0; i < count; i++)
		*classes = CLEF__MAX(*classes, labels[i] + 1);
	return CLEF_OK;
}

clef_dataset *clef_idx_open(const char *images, const char *labels, int classes)
{
	static const char what[] = "clef_idx_open";
	clef__bytes x = { NULL, 0 }, y = { NULL, 0 };
	size_t x_header, y_header;
	uint32_t x_dim[3], y_dim[3];
	clef_dataset *set = NULL;

	if (!images || !labels)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: the path of the %s is NULL", what,
				       images ? "labels" : "images");
	if (clef__classes_check(what, classes))
		return NULL;
	if (clef__file_read(what, images, CLEF__FILE_LIMIT, &x) || parse(images, x, IMAGES_MAGIC, x_dim, &x_header))
		goto out;
	if (clef__file_read(what, labels, CLEF__FILE_LIMIT, &y) || parse(labels, y, LABELS_MAGIC, y_dim, &y_header))
		goto out;
	if (x_dim[0] != y_dim[0]) {
		clef__fail(CLEF_ERROR_FORMAT, "%s: %s holds %u images, but %s holds %u labels", what, images, x_dim[0],
			   labels, y_dim[0]);
		goto out;
	}
	if (check_labels(labels, y.data + y_header, y_dim[0], &classes))
		goto out;
	set = clef__dataset_adopt(behind(&x, x_header), behind(&y, y_header), x_dim[0],
				  CLEF_SHAPE(1, x_dim[1], x_dim[2]), classes);
out:
	free(x.data);
	free(y.data);
	return set;
}

/* ---- MNIST's file names ---- */

#define NAME_SIZE 256

/* A file as a folder has it, and the PREFIX in it: "" or "optdigits-". */
typedef struct entry_name {
	char prefix[NAME_SIZE];
	char name[NAME_SIZE];
} entry_name;

/* Whether `name` is [PREFIX-]base[.gz], and where base begins. */
static bool matches(const char *name, const char *base, size_t *prefix)
{
	size_t n = strlen(name), size = strlen(base);

	if (n > 3 && !strcmp(name + n - 3, ".gz"))
		n -= 3;
	if (n < size || n + 3 >= NAME_SIZE || memcmp(name + n - size, base, size))
		return false;
	*prefix = n - size;
	return *prefix == 0 || (*prefix > 1 && name[*prefix - 1] == '-');
}

static clef_status not_found(const char *folder, const char *base, const char *prefix)
{
	if (prefix)
		return clef__fail(CLEF_ERROR_IO, "clef_mnist_open: %s has images, but neither %s%s nor %s%s.gz", folder,
				  prefix, base, prefix, base);
	return clef__fail(CLEF_ERROR_IO,
			  "clef_mnist_open: %s has none of %s, %s.gz, PREFIX-%s and PREFIX-%s.gz, for any PREFIX",
			  folder, base, base, base, base);
}

/* Looks for base in the folder, with any prefix or with the one that is given. A name without a prefix goes before
 * one with, and a plain file before a compressed one; two prefixes are two sets, between which this cannot choose. */
static clef_status find(const char *folder, const char *base, const char *prefix, entry_name *best)
{
	char other[NAME_SIZE] = "";
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	size_t n;

	if (!dir)
		return clef__fail(CLEF_ERROR_IO, "clef_mnist_open: cannot open the folder %s: %s", folder,
				  strerror(errno));
	best->name[0] = '\0';
	while ((entry = readdir(dir))) {
		entry_name f = { { 0 }, { 0 } };
		bool same;

		if (!matches(entry->d_name, base, &n))
			continue;
		memcpy(f.name, entry->d_name, strlen(entry->d_name));
		memcpy(f.prefix, entry->d_name, n);
		if (prefix && strcmp(prefix, f.prefix))
			continue;
		same = best->name[0] && !strcmp(best->prefix, f.prefix);
		if (best->name[0] && !same && best->prefix[0] && n)
			memcpy(other, f.prefix, sizeof(other));
		if (!best->name[0] || (same ? strlen(f.name) < strlen(best->name) : !n))
			*best = f;
	}
	closedir(dir);
	if (!best->name[0])
		return not_found(folder, base, prefix);
	if (best->prefix[0] && other[0])
		return clef__fail(
			CLEF_ERROR_INVALID,
			"clef_mnist_open: %s has more than one set: %s%s and %s%s; name one with clef_idx_open()",
			folder, best->prefix, base, other, base);
	return CLEF_OK;
}

clef_dataset *clef_mnist_open(const char *folder, bool train)
{
	entry_name images, labels;
	clef_dataset *set = NULL;
	char *x, *y;

	if (!folder)
		return clef__fail_null(CLEF_ERROR_INVALID, "clef_mnist_open: the folder is NULL");
	if (find(folder, train ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte", NULL, &images) ||
	    find(folder, train ? "train-labels-idx1-ubyte" : "t10k-labels-idx1-ubyte", images.prefix, &labels))
		return NULL;
	x = clef__format("%s/%s", folder, images.name);
	y = clef__format("%s/%s", folder, labels.name);
	if (x && y)
		set = clef_idx_open(x, y, 10);
	free(x);
	free(y);
	return set;
}
