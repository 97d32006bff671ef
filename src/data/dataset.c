/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets in host memory: two plain byte arrays. A byte a value is a quarter of what floats take, and it is what the
 * files hold; the loader turns bytes into floats through a table of 256 entries. For the same reason the statistics
 * are those of a histogram: exact counts, and 256 terms to add up, whatever the size of the set.
 */
#include <float.h>
#include <math.h>

#include "data_internal.h"

clef_status clef__sample_check(const char *what, clef_shape sample)
{
	if (sample.ndim < 0 || sample.ndim > CLEF__SAMPLE_MAX_DIMS)
		return clef__fail(CLEF_ERROR_SHAPE, "%s: a sample of %d dimensions; 0 to %d are allowed", what,
				  sample.ndim, CLEF__SAMPLE_MAX_DIMS);
	if (clef_shape_numel(sample) < 1)
		return clef__fail(CLEF_ERROR_SHAPE, "%s: a sample of shape %s; it must have 1 to 2147483647 elements",
				  what, CLEF__SHAPE_TEXT(sample));
	return CLEF_OK;
}

clef_status clef__classes_check(const char *what, int classes)
{
	if (classes < 0 || classes > CLEF__MAX_CLASSES)
		return clef__fail(CLEF_ERROR_INVALID,
				  "%s: classes is %d; 1 to %d are allowed, or 0 to count the labels", what, classes,
				  CLEF__MAX_CLASSES);
	return CLEF_OK;
}

int64_t clef__label_above(const uint8_t *labels, int64_t count, int classes)
{
	for (int64_t i = 0; i < count; i++)
		if (labels[i] >= classes)
			return i;
	return -1;
}

clef_dataset *clef__dataset_adopt(uint8_t *samples, uint8_t *labels, int64_t count, clef_shape sample, int classes)
{
	clef_dataset *set = samples && labels ? clef__calloc(1, sizeof(*set), "a data set") : NULL;

	if (!set) {
		free(samples);
		free(labels);
		return NULL;
	}
	*set = (clef_dataset){ samples, labels, count, clef_shape_numel(sample), sample, classes, NULL };
	return set;
}

clef_dataset *clef__dataset_name_classes(clef_dataset *set, const char *const *names)
{
	size_t size = 0, at;

	if (!set || !names)
		return set;
	for (int i = 0; i < set->classes; i++)
		size += sizeof(char *) + strlen(names[i]) + 1;
	set->names = clef__calloc(1, size, "the names of classes");
	if (!set->names) {
		clef_dataset_free(set);
		return NULL;
	}
	at = (size_t)set->classes * sizeof(char *);
	for (int i = 0; i < set->classes; i++) {
		set->names[i] = (char *)set->names + at;
		at += strlen(strcpy(set->names[i], names[i])) + 1;
	}
	return set;
}

/* A set of `count` samples for the caller to fill. */
static clef_dataset *allocate(int64_t count, clef_shape sample, int classes)
{
	uint8_t *samples = clef__calloc((size_t)count, (size_t)clef_shape_numel(sample), "the samples of a data set");
	uint8_t *labels = samples ? clef__calloc((size_t)count, 1, "the labels of a data set") : NULL;

	return clef__dataset_adopt(samples, labels, count, sample, classes);
}

clef_dataset *clef_dataset_new(const uint8_t *samples, const uint8_t *labels, int64_t count, clef_shape sample,
			       int classes)
{
	static const char what[] = "clef_dataset_new";
	clef_dataset *set;
	int64_t bad;

	if (clef__sample_check(what, sample))
		return NULL;
	if (count < 0 || count > INT32_MAX)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: count is %lld; 0 to 2147483647 are allowed", what,
				       (long long)count);
	if (count && (!samples || !labels))
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: %s is NULL with %lld samples", what,
				       samples ? "labels" : "samples", (long long)count);
	if (classes < 1 || classes > CLEF__MAX_CLASSES)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: classes is %d; 1 to %d are allowed", what, classes,
				       CLEF__MAX_CLASSES);
	bad = clef__label_above(labels, count, classes);
	if (bad >= 0)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: the label of sample %lld is %d; below %d is allowed",
				       what, (long long)bad, labels[bad], classes);
	set = allocate(count, sample, classes);
	if (set && count) {
		memcpy(set->samples, samples, (size_t)count * (size_t)set->numel);
		memcpy(set->labels, labels, (size_t)count);
	}
	return set;
}

void clef_dataset_free(clef_dataset *set)
{
	if (!set)
		return;
	free(set->samples);
	free(set->labels);
	free(set->names);
	free(set);
}

int64_t clef_dataset_count(const clef_dataset *set)
{
	return set ? set->count : 0;
}

clef_shape clef_dataset_sample(const clef_dataset *set)
{
	return set ? set->sample : CLEF_SCALAR;
}

int clef_dataset_classes(const clef_dataset *set)
{
	return set ? set->classes : 0;
}

const char *clef_dataset_class(const clef_dataset *set, int label)
{
	return set && set->names && label >= 0 && label < set->classes ? set->names[label] : NULL;
}

int64_t clef_dataset_channels(const clef_dataset *set)
{
	return !set ? 0 : set->sample.ndim < 3 ? 1 : set->sample.dim[0];
}

const uint8_t *clef_dataset_samples(const clef_dataset *set)
{
	return set ? set->samples : NULL;
}

const uint8_t *clef_dataset_labels(const clef_dataset *set)
{
	return set ? set->labels : NULL;
}

/* Adds the values of one channel to the counts. */
static void count_values(const clef_dataset *set, int64_t channel, uint64_t bins[256])
{
	int64_t area = set->numel / clef_dataset_channels(set);

	for (int64_t i = 0; i < set->count; i++) {
		const uint8_t *x = set->samples + i * set->numel + channel * area;

		for (int64_t k = 0; k < area; k++)
			bins[x[k]]++;
	}
}

static void moments(const uint64_t bins[256], float scale, float *mean, float *std)
{
	double n = 0, sum = 0, squares = 0;

	for (int v = 0; v < 256; v++) {
		n += (double)bins[v];
		sum += v * (double)bins[v];
	}
	for (int v = 0; v < 256; v++)
		squares += (v - sum / n) * (v - sum / n) * (double)bins[v];
	if (mean)
		*mean = (float)(sum / n * (double)scale);
	if (std)
		*std = (float)(sqrt(squares / n) * fabs((double)scale));
}

static clef_status check_stats(const char *what, const clef_dataset *set, float scale)
{
	if (!set)
		return clef__null_argument(what);
	if (!isfinite(scale) || fabs((double)scale) > (double)FLT_MAX / 255)
		return clef__fail(CLEF_ERROR_INVALID, "%s: scale is %g; it and 255 times it must be finite", what,
				  (double)scale);
	if (!set->count)
		return clef__fail(CLEF_ERROR_SHAPE, "%s: an empty set has neither mean nor deviation", what);
	return CLEF_OK;
}

clef_status clef_dataset_stats(const clef_dataset *set, float scale, float *mean, float *std)
{
	clef_status s = check_stats("clef_dataset_stats", set, scale);
	uint64_t bins[256] = { 0 };

	if (s)
		return s;
	for (int64_t c = 0; c < clef_dataset_channels(set); c++)
		count_values(set, c, bins);
	moments(bins, scale, mean, std);
	return CLEF_OK;
}

clef_status clef_dataset_channel_stats(const clef_dataset *set, float scale, float *mean, float *std)
{
	clef_status s = check_stats("clef_dataset_channel_stats", set, scale);

	for (int64_t c = 0; c < clef_dataset_channels(set) && !s; c++) {
		uint64_t bins[256] = { 0 };

		count_values(set, c, bins);
		moments(bins, scale, mean ? mean + c : NULL, std ? std + c : NULL);
	}
	return s;
}

static clef_dataset *gather(const clef_dataset *set, const int32_t *order, int64_t count)
{
	clef_dataset *part = allocate(count, set->sample, set->classes);
	size_t size = (size_t)set->numel;

	for (size_t i = 0; part && i < (size_t)count; i++) {
		memcpy(part->samples + i * size, set->samples + (size_t)order[i] * size, size);
		part->labels[i] = set->labels[order[i]];
	}
	return clef__dataset_name_classes(part, (const char *const *)set->names);
}

clef_status clef_dataset_split(const clef_dataset *set, int64_t count, uint64_t seed, clef_dataset **first,
			       clef_dataset **second)
{
	clef_rng rng = { .seed = seed, .counter = 0 };
	int32_t *order;

	if (!first || !second)
		return clef__fail(CLEF_ERROR_INVALID, "clef_dataset_split: %s is NULL; both parts need a place",
				  first ? "second" : "first");
	*first = *second = NULL;
	if (!set)
		return clef__null_argument("clef_dataset_split");
	if (count < 0 || count > set->count)
		return clef__fail(CLEF_ERROR_INVALID, "clef_dataset_split: count is %lld; 0 to %lld are allowed",
				  (long long)count, (long long)set->count);
	order = clef__calloc((size_t)set->count, sizeof(*order), "the order of a split");
	if (!order)
		return CLEF_ERROR_MEMORY;
	clef_rng_permutation(&rng, order, (size_t)set->count);
	*first = gather(set, order, count);
	*second = *first ? gather(set, order + count, set->count - count) : NULL;
	free(order);
	if (*second)
		return CLEF_OK;
	clef_dataset_free(*first);
	*first = NULL;
	return CLEF_ERROR_MEMORY;
}
