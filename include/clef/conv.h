/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions: conv2d, conv1d and their transposes. Part of ops.h, whose general remarks hold here too.
 *
 * Images are [n, c, h, w]: n of them, with c channels of h rows and w columns. Everything is float32. An image with its
 * padding, and a kernel with its dilation, may measure up to 2^26 in each direction.
 *
 *   y = clef_conv2d(x, w, b, NULL);                                            as it stands: stride 1, no padding
 *   y = clef_conv2d(x, w, b, &(clef_conv2d_opts){ .pad = 2 });
 *   y = clef_conv2d_no_bias(x, w, &(clef_conv2d_opts){ .stride = 2, .pad = 1 });
 *   y = clef_conv2d(x, w, b, &(clef_conv2d_opts){ .pad = 1, .groups = channels });   depthwise
 *
 * There are several implementations, and the forward step and each of the two gradients take the first that pays for
 * their shape on the device: "winograd" and "winograd_weights" (CPUs, 3 x 3 with stride 1: a quarter of the
 * multiplications), "winograd_gpu" (GPUs: the same but for the weights, with many channels), "cpu" and "cpu_weights"
 * (CPUs: straight from the images), "gemm" (GPUs: matrix products straight from the images), "im2col" (products of
 * matrices made of them), "direct" (by the definition: every shape, on every device). The environment variable
 * CLEF_CONV names one to use for all that it can compute, and is read at each call; a convolution that it does not do
 * then fails with CLEF_ERROR_UNSUPPORTED. Which one runs shows in the last bits of a result only, those of winograd
 * being off by up to about 3e-6 of the sum of the products' sizes. NaN and infinity in x reach the results that they
 * reach by the definition, and no others; one in w meets the zeros of the padding with some implementations and not
 * with others, as in PyTorch.
 *
 * Errors of all of them: CLEF_ERROR_SHAPE for shapes that do not fit each other, the groups, or the padding, and for a
 * kernel larger than the padded image; CLEF_ERROR_INVALID for options out of range.
 */
#ifndef CLEF_CONV_H
#define CLEF_CONV_H

#include <clef/activation.h>
#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What lies beyond the border of an image, at x = a b c d with two more on either side. torch.nn.functional.pad. */
typedef enum clef_pad_mode {
	CLEF_PAD_ZEROS,     /* 0 0 | a b c d | 0 0 */
	CLEF_PAD_REFLECT,   /* c b | a b c d | c b   the padding must be smaller than the image */
	CLEF_PAD_REPLICATE, /* a a | a b c d | d d */
	CLEF_PAD_CIRCULAR,  /* c d | a b c d | a b   the padding must not be larger than the image */
} clef_pad_mode;

typedef struct clef_conv2d_opts {
	int stride;   /* from one row of y to the next, in rows of x. 0: 1 */
	int stride_w; /* the same for columns. 0: as stride */
	int pad;      /* rows added above and below x, and columns left and right. 0: none */
	int pad_w;    /* columns added left and right instead of pad. 0: as pad */
	/* More padding on one side, on top of the above: so { .pad_top = 1, .pad_bottom = 1 } pads the rows alone, and
	 * { .pad_right = 1, .pad_bottom = 1 } is the lopsided sort. 0: no more. */
	int pad_top, pad_bottom, pad_left, pad_right;
	int dilation;   /* from one row of the kernel to the next, in rows of x. 0: 1 */
	int dilation_w; /* the same for columns. 0: as dilation */
	/* The channels of x and of y fall into so many groups, and one of y sees those of its own group of x only. 0:
	 * 1, all see all. As many as x has channels: a depthwise convolution. */
	int groups;
	clef_pad_mode pad_mode;
	clef_activation activation; /* applied to the result; default none */
} clef_conv2d_opts;

/*
 * y[n][k] = b[k] + the sum over c of the cross-correlation of x[n][c] with w[k][c].
 * x [n, c, h, w], w [k, c / groups, r, s], b [k]; y [n, k, oh, ow] with
 *     oh = (h + padding above and below - dilation * (r - 1) - 1) / stride + 1, rounded down; ow likewise.
 * opts NULL: all defaults. n may be 0, then y is empty and the gradients of w and b are 0; images and kernels must have
 * pixels. To leave the bias out call clef_conv2d_no_bias(): a NULL b is an error that came from elsewhere.
 * torch.nn.functional.conv2d; other padding modes than zeros as in torch.nn.Conv2d.
 */
CLEF_API clef_tensor *clef_conv2d(clef_tensor *x, clef_tensor *w, clef_tensor *b, const clef_conv2d_opts *opts);
CLEF_API clef_tensor *clef_conv2d_no_bias(clef_tensor *x, clef_tensor *w, const clef_conv2d_opts *opts);

typedef struct clef_conv1d_opts {
	int stride;              /* 0: 1 */
	int pad;                 /* added at both ends of x. 0: none */
	int pad_left, pad_right; /* more at one end, on top of pad. 0: no more */
	int dilation;            /* 0: 1 */
	int groups;              /* as in clef_conv2d_opts. 0: 1 */
	clef_pad_mode pad_mode;
	clef_activation activation; /* applied to the result; default none */
} clef_conv1d_opts;

/* The same along one dimension: x [n, c, l], w [k, c / groups, r], b [k]; y [n, k, ol] with
 *     ol = (l + padding - dilation * (r - 1) - 1) / stride + 1, rounded down.
 * torch.nn.functional.conv1d. */
CLEF_API clef_tensor *clef_conv1d(clef_tensor *x, clef_tensor *w, clef_tensor *b, const clef_conv1d_opts *opts);
CLEF_API clef_tensor *clef_conv1d_no_bias(clef_tensor *x, clef_tensor *w, const clef_conv1d_opts *opts);

/* ---- transposed ---- */

typedef struct clef_conv_transpose2d_opts {
	int stride;   /* from the place where one row of x is spread to that of the next, in rows of y. 0: 1 */
	int stride_w; /* the same for columns. 0: as stride */
	int pad;      /* rows cut from the top and the bottom of y, and columns from left and right. 0: none */
	int pad_w;    /* columns cut instead of pad. 0: as pad */
	/* More cut on one side, on top of the above. 0: no more. */
	int pad_top, pad_bottom, pad_left, pad_right;
	/* Rows added at the bottom of y and columns added at its right; both smaller than the stride or the dilation.
	 * It says which of the sizes is meant that a convolution of this stride shrinks to that of x. 0: none */
	int output_pad;
	int output_pad_h, output_pad_w; /* more of one, on top of output_pad. 0: no more */
	int dilation;                   /* from one row of the kernel to the next, in rows of y. 0: 1 */
	int dilation_w;                 /* the same for columns. 0: as dilation */
	int groups;                     /* as in clef_conv2d_opts. 0: 1 */
	clef_activation activation;     /* applied to the result; default none */
} clef_conv_transpose2d_opts;

/*
 * Each pixel of x, times the kernel, is added to y at its place: the gradient of clef_conv2d() with respect to its
 * images, as an operation.
 * x [n, c, h, w], w [c, k / groups, r, s], b [k]; y [n, k, oh, ow] with
 *     oh = (h - 1) * stride - what is cut above and below + dilation * (r - 1) + 1 + output_pad; ow likewise.
 * opts NULL: all defaults. torch.nn.functional.conv_transpose2d.
 */
CLEF_API clef_tensor *clef_conv_transpose2d(clef_tensor *x, clef_tensor *w, clef_tensor *b,
					    const clef_conv_transpose2d_opts *opts);
CLEF_API clef_tensor *clef_conv_transpose2d_no_bias(clef_tensor *x, clef_tensor *w,
						    const clef_conv_transpose2d_opts *opts);

typedef struct clef_conv_transpose1d_opts {
	int stride;                 /* 0: 1 */
	int pad;                    /* cut from both ends of y. 0: none */
	int pad_left, pad_right;    /* more cut at one end, on top of pad. 0: no more */
	int output_pad;             /* added at the end of y, smaller than the stride or the dilation. 0: none */
	int dilation;               /* 0: 1 */
	int groups;                 /* as in clef_conv2d_opts. 0: 1 */
	clef_activation activation; /* applied to the result; default none */
} clef_conv_transpose1d_opts;

/* The same along one dimension: x [n, c, l], w [c, k / groups, r], b [k]; y [n, k, ol] with
 *     ol = (l - 1) * stride - what is cut + dilation * (r - 1) + 1 + output_pad.
 * torch.nn.functional.conv_transpose1d. */
CLEF_API clef_tensor *clef_conv_transpose1d(clef_tensor *x, clef_tensor *w, clef_tensor *b,
					    const clef_conv_transpose1d_opts *opts);
CLEF_API clef_tensor *clef_conv_transpose1d_no_bias(clef_tensor *x, clef_tensor *w,
						    const clef_conv_transpose1d_opts *opts);

#ifdef __cplusplus
}
#endif

#endif
