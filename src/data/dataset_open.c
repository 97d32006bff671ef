/* SPDX-License-Identifier: Apache-2.0 */
/* A data set of any kind that is known, told by the names of the files. */
#define _POSIX_C_SOURCE 200809L
#include <sys/stat.h>
#include <unistd.h>

#include "data_internal.h"

static bool has(const char *folder, const char *name)
{
	char *path = clef__format("%s/%s", folder, name);
	bool there = path && access(path, F_OK) == 0;

	free(path);
	return there;
}

/* The test set has the classes of the training set. */
static clef_dataset *open_images(const char *folder, bool train)
{
	char *like = clef__format("%s/train", folder), *test = clef__format("%s/test", folder);
	clef_dataset *set = like && test ? clef_images_open(train ? like : test, like, 0) : NULL;

	free(like);
	free(test);
	return set;
}

static bool has_images(const char *folder)
{
	char *train = clef__format("%s/train", folder);
	bool yes = train && clef__has_folders(train);

	free(train);
	return yes;
}

clef_dataset *clef_dataset_open(const char *path, bool train)
{
	struct stat st;

	if (!path)
		return clef__fail_null(CLEF_ERROR_INVALID, "clef_dataset_open: the path is NULL");
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		return clef_npz_open(path, train);
	if (has(path, "data_batch_1.bin") || has(path, "data_batch_1.bin.gz") || has(path, "test_batch.bin") ||
	    has(path, "test_batch.bin.gz"))
		return clef_cifar10_open(path, train);
	if (has_images(path))
		return open_images(path, train);
	return clef_mnist_open(path, train);
}
