/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Augmentation: each image of a batch is moved, mirrored and covered by chance, so that no epoch shows a network the
 * same one twice. What ops.h says of all operations holds for it too.
 */
#ifndef CLEF_AUGMENT_H
#define CLEF_AUGMENT_H

#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is done to an image, in this order; what is 0 is not done. Pixels from outside of the image are 0, which after
 * normalisation is the mean. */
typedef struct clef_augment_opts {
	int64_t crop;    /* surround the image by so many pixels, and cut one of its size out anywhere: RandomCrop with
			  * padding. Below height and width */
	float translate; /* move it by up to this share of its height and of its width, rounded to pixels; below 1 */
	float flip;      /* the probability to mirror it left to right */
	float vflip;     /* the probability to mirror it upside down */
	int64_t erase;   /* put 0 into a square of so many pixels a side, whose middle, or of an even size the pixel
			  * after it, lies anywhere in the image: DeVries and Taylor 2017, "Improved regularization
			  * of convolutional neural networks with cutout". At most height and width */
	float erase_p;   /* the probability of that; default 1, and -0.0f never */
	bool reflect;    /* pixels from outside are those of the image mirrored at its outermost ones instead of 0 */
} clef_augment_opts;

/*
 * Images with that done to them, all channels of one alike. x [n, channels, height, width], y the same; no gradient
 * flows back to x. One draw of rng, which makes the same bits on every device: integers that clef_rng_uint32() gives,
 * 12 for each image, where a choice of k is word * k / 2^32, rounded down, and a probability p holds where word / 2^8
 * is below p * 2^24. In order: choices of crop down and across (from -crop to crop), of translate down and across, then
 * flip, vflip, the square's middle down and across, and whether to erase; three are left over.
 * opts NULL: nothing is done. Options out of their ranges are ERROR_INVALID and leave rng as it was.
 */
CLEF_API clef_tensor *clef_augment(clef_tensor *x, const clef_augment_opts *opts, clef_rng *rng);

#ifdef __cplusplus
}
#endif

#endif
