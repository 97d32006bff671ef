/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets in host memory, and the loader that makes batches of them (torch.utils.data).
 *
 * Readers trust nothing in a file: one that is empty, truncated, too long, mislabelled or of another format is
 * CLEF_ERROR_FORMAT with its path, what was found and what was expected; one that cannot be opened or read is
 * CLEF_ERROR_IO. No memory is allocated for what a header merely claims. Every reader takes plain and gzip-compressed
 * files, whatever their names, of up to 2 GiB, which holds for what they expand to as well.
 */
#ifndef CLEF_DATA_H
#define CLEF_DATA_H

#include <clef/init.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- data sets ---- */

/* Samples and their labels. Samples are kept as 8-bit integers and normalised when batches are made. */
typedef struct clef_dataset clef_dataset;

/* A set from host memory, which is copied. `samples` holds count times numel(sample) bytes, `labels` count bytes, each
 * below `classes` (1..256). A sample has 1 to 2^31 - 1 elements in up to 7 dimensions; count is at most 2^31 - 1, and
 * with count 0 both pointers may be NULL. */
CLEF_API clef_dataset *clef_dataset_new(const uint8_t *samples, const uint8_t *labels, int64_t count, clef_shape sample,
					int classes);

/* Frees the set; loaders on it must be closed first. NULL is accepted. */
CLEF_API void clef_dataset_free(clef_dataset *set);

/* 0 for NULL. */
CLEF_API int64_t clef_dataset_count(const clef_dataset *set);

/* The shape of one sample, as it was given; [1, height, width] for IDX. */
CLEF_API clef_shape clef_dataset_sample(const clef_dataset *set);

CLEF_API int clef_dataset_classes(const clef_dataset *set);

/* The raw samples, count times numel(sample) bytes, and the count labels; owned by the set. */
CLEF_API const uint8_t *clef_dataset_samples(const clef_dataset *set);
CLEF_API const uint8_t *clef_dataset_labels(const clef_dataset *set);

/* The name of a class, "airplane", owned by the set; NULL where the files of the set name none, and for a label that is
 * none of 0..classes-1. */
CLEF_API const char *clef_dataset_class(const clef_dataset *set, int label);

/* Channels of a sample: the first dimension of one with three or more, [channels, height, width], else 1. */
CLEF_API int64_t clef_dataset_channels(const clef_dataset *set);

/* Mean and standard deviation of all raw values times `scale`, over the whole set; either pointer may be NULL.
 * The deviation is the population's, as is customary for normalising. ERROR_SHAPE on an empty set. */
CLEF_API clef_status clef_dataset_stats(const clef_dataset *set, float scale, float *mean, float *std);

/* The same for each channel, into arrays of clef_dataset_channels(set) values; for clef_loader_opts. */
CLEF_API clef_status clef_dataset_channel_stats(const clef_dataset *set, float scale, float *mean, float *std);

/* The training or the test part of a set of any kind below that is told by its files: a file is a .npz; a folder is one
 * with CIFAR-10, one of images with the folders train and test in it, or one with MNIST. */
CLEF_API clef_dataset *clef_dataset_open(const char *path, bool train);

/* Images and labels in the IDX format (magic 2051 with dimensions count, height, width, and 2049 with dimension count;
 * big-endian), as MNIST and its kin are published. The sample's shape is [1, height, width]; classes is the largest
 * label plus 1, or `classes` when that is > 0 (a larger label is then an error); a set of no samples needs it. */
CLEF_API clef_dataset *clef_idx_open(const char *images, const char *labels, int classes);

/* MNIST or any set in its layout from a folder: train-images-idx3-ubyte and so on with `train`, else t10k-*; with or
 * without .gz, and with or without a "PREFIX-" in front ("optdigits-train-images-idx3-ubyte.gz"). 10 classes.
 * Files without a prefix go before those with one, and plain ones before compressed ones; several prefixes in one
 * folder are an error. */
CLEF_API clef_dataset *clef_mnist_open(const char *folder, bool train);

/* CIFAR-10 in its binary version: data_batch_1.bin to data_batch_5.bin with `train`, else test_batch.bin; with or
 * without .gz. Samples are [3, 32, 32], red first. 10 classes with their names. Each file may have any number of
 * records from 1 on. */
CLEF_API clef_dataset *clef_cifar10_open(const char *folder, bool train);

/*
 * Images by class: FOLDER/CLASS/NAME.png, .jpg or .jpeg. Classes are numbered in the order of their names, by bytes,
 * and so are the images in each; hidden files and others are passed over. All are of one size, [channels, height,
 * width]. `channels` is 1, grey, or 3, red, green and blue, to which the others are converted; 0: that of the first
 * image. Transparent pixels are mixed with black. `like` is another such folder, whose classes these are, of which some
 * may be missing here but none added: that of the training set for a test set; or NULL. Up to 256 classes, with their
 * names. PNG and JPEG need libpng and libjpeg when clef is built; without them a file of theirs is CLEF_ERROR_IO.
 */
CLEF_API clef_dataset *clef_images_open(const char *folder, const char *like, int channels);

/* A set of one image file, with the label 0 of one class; channels as above. For a model that is to say what it is. */
CLEF_API clef_dataset *clef_image_open(const char *path, int channels);

/* Two files in NumPy's format, .npy: samples of type uint8, and as many labels of any integer type, in one dimension or
 * in two of which the second is 1. Arrays are in C's order; versions 1 to 3. Samples [n, h, w] become [1, h, w] and
 * those with a last dimension of 1 to 4 and a second one above 4, [n, h, w, c], become [c, h, w]; others are taken as
 * they are. classes as in clef_idx_open(). */
CLEF_API clef_dataset *clef_npy_open(const char *samples, const char *labels, int classes);

/* A .npz, which is a zip file of such arrays: x_train.npy and y_train.npy with `train`, else x_test.npy and y_test.npy,
 * as in Keras; or train_images.npy, train_labels.npy, test_images.npy and test_labels.npy. classes is the largest label
 * of both parts plus 1. */
CLEF_API clef_dataset *clef_npz_open(const char *path, bool train);

/* Comma-separated integers 0..255, one sample a line, the label in the last column; blank lines are passed over, and so
 * are blanks around a number. The number of columns must be numel(sample) + 1. classes as in clef_idx_open(). An error
 * names the line and column. */
CLEF_API clef_dataset *clef_csv_open(const char *path, clef_shape sample, int classes);

/* Splits a set in two by a permutation of `seed`: the first part gets `count` samples, the second the rest; both are
 * new sets, of as many classes. 0 <= count <= clef_dataset_count(set). After an error both are NULL. */
CLEF_API clef_status clef_dataset_split(const clef_dataset *set, int64_t count, uint64_t seed, clef_dataset **first,
					clef_dataset **second);

/* ---- loader ---- */

typedef struct clef_loader clef_loader;

typedef struct clef_loader_opts {
	int64_t batch; /* samples a batch; default 1 */
	bool shuffle;  /* a new order every epoch: the permutation of stream (seed, epoch) */
	uint64_t seed;
	bool drop_last;            /* leave out a last batch that is not full */
	float scale;               /* x = (raw * scale - mean) / std; default 1/255 */
	float mean;                /* default 0 */
	float std;                 /* > 0; default 1 */
	const float *channel_mean; /* clef_dataset_channels() values instead of mean; only read when opening */
	const float *channel_std;  /* the same instead of std; a 0 among them counts as 1 */
} clef_loader_opts;

/* A batch in host memory, owned by the loader and valid until its next call: hand it to clef_input(). */
typedef struct clef_batch {
	clef_array images; /* float32 [count, sample...] */
	clef_array labels; /* int32 [count] */
	int64_t count;     /* samples in this batch */
	int64_t index;     /* number of this batch in the epoch, from 0 */
	clef_rng rng;      /* random numbers for this batch, a stream by (seed, epoch, index): 2^32 draws */
} clef_batch;

/* A loader over a set, which must outlive it. opts NULL: all defaults. All its memory is allocated here: one batch, of
 * at most 2^31 - 1 elements and never more samples than the set has, and one order. Close it with
 * clef_loader_close(). */
CLEF_API clef_loader *clef_loader_open(const clef_dataset *set, const clef_loader_opts *opts);

/* NULL is accepted. */
CLEF_API void clef_loader_close(clef_loader *loader);

/* The next batch of the epoch. False at the end of the epoch, and for NULL; the call after the end starts the next
 * epoch. */
CLEF_API bool clef_loader_next(clef_loader *loader, clef_batch *batch);

/* Batches in an epoch. */
CLEF_API int64_t clef_loader_batches(const clef_loader *loader);

/* Epochs finished: the number of times that clef_loader_next() returned false. */
CLEF_API int64_t clef_loader_epoch(const clef_loader *loader);

/* The number in its epoch of the batch that comes next, from 0; behind the last it is clef_loader_batches(). */
CLEF_API int64_t clef_loader_index(const clef_loader *loader);

/* Goes to a place in a run, as if all batches before it had been taken: 0 <= epoch, 0 <= index <= batches. An epoch's
 * batches depend on the seed and the number of the epoch alone, so this costs no more than the start of an epoch. */
CLEF_API clef_status clef_loader_seek(clef_loader *loader, int64_t epoch, int64_t index);

#ifdef __cplusplus
}
#endif

#endif
