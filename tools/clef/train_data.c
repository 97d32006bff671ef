/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the data of clef train comes from. The digits that are shipped with clef are looked for where the user says,
 * beside the program, so that an installation can be moved, and where they were when clef was built.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <clef/clef.h>

#include "tool.h"
#include "train_data.h"

#define DIGITS_FILE   "digits.csv.gz"
#define DIGITS_PLACES 4
#define PATH_SIZE     4096

/* "FOLDER/../share/clef" of the program in FOLDER; "" where the system does not say. */
static void beside_program(char path[PATH_SIZE])
{
	static const char share[] = "/../share/clef";
	ssize_t n = readlink("/proc/self/exe", path, PATH_SIZE - sizeof(share));

	path[n > 0 ? n : 0] = '\0';
	if (n > 0 && strrchr(path, '/'))
		strcpy(strrchr(path, '/'), share);
}

static clef_dataset *open_digits(void)
{
	char share[PATH_SIZE], path[PATH_SIZE + sizeof(DIGITS_FILE)];
	const char *places[DIGITS_PLACES] = { getenv("CLEF_DATA"), share, CLEF_DATA_INSTALLED, CLEF_DATA_SOURCE };

	beside_program(share);
	for (int i = 0; i < DIGITS_PLACES; i++) {
		if (!places[i] || !*places[i])
			continue;
		snprintf(path, sizeof(path), "%s/%s", places[i], DIGITS_FILE);
		if (access(path, F_OK) == 0)
			return clef_csv_open(path, CLEF_SHAPE(1, 8, 8), 10);
	}
	complain("--data digits: %s is not to be found; name its folder in $CLEF_DATA. Looked in:", DIGITS_FILE);
	for (int i = 0; i < DIGITS_PLACES; i++)
		if (places[i] && *places[i])
			fprintf(stderr, "  %s\n", places[i]);
	return NULL;
}

static int failed(const train_options *o)
{
	if (clef_error_status())
		complain("--data %s: %s", o->data, reason());
	return EXIT_FAILED;
}

/* Digits come in one file, all else in two parts. */
static int read_sets(const train_options *o, train_data *data)
{
	clef_dataset *all;
	int64_t count;

	if (strcmp(o->data, "digits") != 0) {
		data->scale = 1.0f / 255;
		data->train = clef_dataset_open(o->data, true);
		data->test = data->train ? clef_dataset_open(o->data, false) : NULL;
		return data->test ? -1 : failed(o);
	}
	data->scale = 1.0f / 16;
	all = open_digits();
	if (!all)
		return failed(o);
	count = clef_dataset_count(all);
	clef_dataset_split(all, count - count / 5, o->seed, &data->train, &data->test);
	clef_dataset_free(all);
	return data->test ? -1 : failed(o);
}

static int check_sets(const train_options *o, const train_data *data)
{
	char train[160], test[160];

	if (!clef_dataset_count(data->train) || !clef_dataset_count(data->test)) {
		complain("--data %s: the %s set has no images", o->data,
			 clef_dataset_count(data->train) ? "test" : "training");
		return EXIT_FAILED;
	}
	if (clef_shape_equal(clef_dataset_sample(data->train), clef_dataset_sample(data->test)))
		return -1;
	complain("--data %s: training images are %s and test images %s; they must be alike", o->data,
		 clef_shape_text(clef_dataset_sample(data->train), train, sizeof(train)),
		 clef_shape_text(clef_dataset_sample(data->test), test, sizeof(test)));
	return EXIT_FAILED;
}

static int hold_out(const train_options *o, train_data *data)
{
	clef_dataset *all = data->train;
	int64_t count = clef_dataset_count(all);
	double wanted = o->val_split < 1 ? round(o->val_split * (double)count) : o->val_split;

	if (wanted < 1)
		return -1;
	if (wanted >= (double)count) {
		complain("--val-split %g: the training set has %lld images, of which at least one must remain",
			 o->val_split, (long long)count);
		return EXIT_MISUSED;
	}
	clef_dataset_split(all, count - (int64_t)wanted, o->seed, &data->train, &data->validation);
	clef_dataset_free(all);
	return data->train ? -1 : failed(o);
}

static int find_stats(const train_options *o, train_data *data)
{
	size_t channels = (size_t)clef_dataset_channels(data->train);

	data->mean = calloc(channels, sizeof(*data->mean));
	data->std = calloc(channels, sizeof(*data->std));
	if (!data->mean || !data->std) {
		complain("no memory on the host for the means of %zu channels", channels);
		return EXIT_FAILED;
	}
	return clef_dataset_channel_stats(data->train, data->scale, data->mean, data->std) ? failed(o) : -1;
}

int train_data_open(const train_options *o, train_data *data)
{
	int status = read_sets(o, data);

	if (status < 0)
		status = check_sets(o, data);
	if (status < 0)
		status = hold_out(o, data);
	return status < 0 ? find_stats(o, data) : status;
}

void train_data_close(train_data *data)
{
	clef_dataset_free(data->train);
	clef_dataset_free(data->validation);
	clef_dataset_free(data->test);
	free(data->mean);
	free(data->std);
}

clef_loader *train_data_loader(const train_data *data, const clef_dataset *set, const train_options *o, bool shuffle)
{
	return clef_loader_open(set, &(clef_loader_opts){ .batch = o->batch,
							  .shuffle = shuffle,
							  .seed = o->seed,
							  .scale = data->scale,
							  .channel_mean = data->mean,
							  .channel_std = data->std });
}
