/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader. An epoch's order is the permutation of stream (seed, epoch), so any epoch can be made again without the
 * ones before it. Everything that can fail is done when the loader is opened, memory included, which is why
 * clef_loader_next() has no status. Normalising is a look-up in a table of the 256 values that a byte can have, one for
 * each channel; their arithmetic is in double precision and rounded once, so the default scale gives raw / 255 to the
 * bit.
 */
#include <float.h>
#include <math.h>

#include "data_internal.h"

struct clef_loader {
	const clef_dataset *set;
	clef_loader_opts opts;
	int64_t channels;
	float (*table)[256]; /* of each channel */
	int32_t *order;      /* NULL: the set's own */
	float *images;
	int32_t *labels;
	int64_t batches; /* in an epoch */
	int64_t index;   /* of the next batch */
	int64_t epoch;
};

static clef_status check_number(const char *name, float value)
{
	if (!isfinite(value))
		return clef__fail(CLEF_ERROR_INVALID, "clef_loader_open: %s is %g; it must be finite", name,
				  (double)value);
	if (value < 0 && !strcmp(name, "std"))
		return clef__fail(CLEF_ERROR_INVALID, "clef_loader_open: std is %g; it must be above 0, or 0 for 1",
				  (double)value);
	return CLEF_OK;
}

static clef_status check_opts(const clef_loader_opts *o)
{
	if (o->batch < 0)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_loader_open: batch is %lld; 1 or more is allowed, or 0 for 1",
				  (long long)o->batch);
	return check_number("scale", o->scale);
}

static clef_status make_table(const clef_loader *l, int64_t channel)
{
	const clef_loader_opts *o = &l->opts;
	float mean = o->channel_mean ? o->channel_mean[channel] : o->mean;
	float std = o->channel_std ? o->channel_std[channel] : o->std;
	clef_status s = check_number("mean", mean);

	if (!s)
		s = check_number("std", std);
	for (int raw = 0; raw < 256 && !s; raw++) {
		double scaled = fabsf(o->scale) > 0 ? raw * (double)o->scale : raw / 255.0;
		double x = (scaled - (double)mean) / (std > 0 ? (double)std : 1);

		if (fabs(x) > (double)FLT_MAX)
			s = clef__fail(
				CLEF_ERROR_INVALID,
				"clef_loader_open: scale %g, mean %g and std %g make %g of the value %d, which is "
				"not a finite float",
				(double)o->scale, (double)mean, (double)std, x, raw);
		l->table[channel][raw] = (float)x;
	}
	return s;
}

/* The user's arrays are read here and never again. */
static clef_status make_tables(clef_loader *l)
{
	clef_status s = CLEF_OK;

	l->channels = clef_dataset_channels(l->set);
	l->table = clef__calloc((size_t)l->channels, sizeof(*l->table), "the table of a loader");
	if (!l->table)
		return CLEF_ERROR_MEMORY;
	for (int64_t c = 0; c < l->channels && !s; c++)
		s = make_table(l, c);
	l->opts.channel_mean = l->opts.channel_std = NULL;
	return s;
}

static clef_status prepare(clef_loader *l)
{
	const clef_dataset *set = l->set;
	int64_t batch = l->opts.batch, held = CLEF__MIN(batch, set->count);
	clef_status s = make_tables(l);

	if (s)
		return s;
	if (held * set->numel > INT32_MAX)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_loader_open: batch is %lld; samples of %s allow %lld, for 2147483647 elements",
				  (long long)batch, CLEF__SHAPE_TEXT(set->sample), (long long)(INT32_MAX / set->numel));
	l->batches = set->count / batch + (!l->opts.drop_last && set->count % batch);
	l->images = clef__calloc((size_t)(held * set->numel), sizeof(*l->images), "the images of a batch");
	l->labels = clef__calloc((size_t)held, sizeof(*l->labels), "the labels of a batch");
	if (l->opts.shuffle)
		l->order = clef__calloc((size_t)set->count, sizeof(*l->order), "the order of an epoch");
	return l->images && l->labels && (l->order || !l->opts.shuffle) ? CLEF_OK : CLEF_ERROR_MEMORY;
}

clef_loader *clef_loader_open(const clef_dataset *set, const clef_loader_opts *opts)
{
	clef_loader *l;

	if (!set) {
		clef__null_argument("clef_loader_open");
		return NULL;
	}
	if (opts && check_opts(opts))
		return NULL;
	l = clef__calloc(1, sizeof(*l), "a loader");
	if (!l)
		return NULL;
	l->set = set;
	if (opts)
		l->opts = *opts;
	if (!l->opts.batch)
		l->opts.batch = 1;
	if (prepare(l)) {
		clef_loader_close(l);
		return NULL;
	}
	return l;
}

void clef_loader_close(clef_loader *loader)
{
	if (!loader)
		return;
	free(loader->table);
	free(loader->order);
	free(loader->images);
	free(loader->labels);
	free(loader);
}

static void gather(clef_loader *l, int64_t first, int64_t count)
{
	const clef_dataset *set = l->set;
	const int64_t area = set->numel / l->channels;

	for (int64_t i = 0; i < count; i++) {
		int64_t sample = l->order ? l->order[first + i] : first + i;
		const uint8_t *raw = set->samples + sample * set->numel;
		float *x = l->images + i * set->numel;

		for (int64_t c = 0; c < l->channels; c++, raw += area, x += area)
			for (int64_t j = 0; j < area; j++)
				x[j] = l->table[c][raw[j]];
		l->labels[i] = set->labels[sample];
	}
}

/* Apart from the order's stream, and so far from one batch to the next that a batch can have many draws. */
static clef_rng batch_rng(const clef_loader *l)
{
	clef_rng rng = clef_rng_stream((clef_rng){ .seed = l->opts.seed, .counter = 0 }, (uint64_t)l->epoch);

	rng.counter = (uint64_t)l->index << 32;
	return rng;
}

static void shuffle(clef_loader *l)
{
	clef_rng rng = { .seed = l->opts.seed, .counter = (uint64_t)l->epoch };

	if (l->order)
		clef_rng_permutation(&rng, l->order, (size_t)l->set->count);
}

bool clef_loader_next(clef_loader *loader, clef_batch *batch)
{
	clef_loader *l = loader;
	int64_t first, count;

	if (!l || !batch) {
		clef__null_argument("clef_loader_next");
		return false;
	}
	if (l->index == l->batches) {
		l->index = 0;
		l->epoch++;
		return false;
	}
	if (l->index == 0)
		shuffle(l);
	first = l->index * l->opts.batch;
	count = CLEF__MIN(l->opts.batch, l->set->count - first);
	gather(l, first, count);
	*batch = (clef_batch){
		.images = { CLEF_FLOAT32, { l->set->sample.ndim + 1, { count } }, l->images },
		.labels = { CLEF_INT32, CLEF_SHAPE(count), l->labels },
		.count = count,
		.index = l->index,
		.rng = batch_rng(l),
	};
	l->index++;
	for (int i = 0; i < l->set->sample.ndim; i++)
		batch->images.shape.dim[i + 1] = l->set->sample.dim[i];
	return true;
}

int64_t clef_loader_batches(const clef_loader *loader)
{
	return loader ? loader->batches : 0;
}

int64_t clef_loader_epoch(const clef_loader *loader)
{
	return loader ? loader->epoch : 0;
}

int64_t clef_loader_index(const clef_loader *loader)
{
	return loader ? loader->index : 0;
}

clef_status clef_loader_seek(clef_loader *loader, int64_t epoch, int64_t index)
{
	if (!loader)
		return clef__null_argument("clef_loader_seek");
	if (epoch < 0 || index < 0 || index > loader->batches)
		return clef__fail(
			CLEF_ERROR_INVALID,
			"clef_loader_seek: epoch %lld, index %lld; an epoch from 0 and an index from 0 to %lld are "
			"allowed",
			(long long)epoch, (long long)index, (long long)loader->batches);
	loader->epoch = epoch;
	loader->index = index;
	if (index > 0)
		shuffle(loader);
	return CLEF_OK;
}
