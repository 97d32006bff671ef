/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooling: the largest or the mean value of windows that slide over images or sequences. Included by ops.h, whose
 * general rules hold.
 *
 * The 2d operations take x [n, c, h, w] or [c, h, w], the 1d ones [n, c, l] or [c, l]; n and c may be 0, the image may
 * not. In an option struct the plain field is for both axes, and the one that ends in _w, if not 0, is for the width
 * instead; 1d operations use the plain fields and refuse the others.
 *
 * The size of the result along an axis is (size + 2 pad - dilation (kernel - 1) - 1) / stride + 1, rounded down, or up
 * with ceil_mode; but a last window that would start behind the image and its left padding is left out, as in PyTorch.
 * A window larger than the padded image is an error.
 */
#ifndef CLEF_POOL_H
#define CLEF_POOL_H

#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clef_max_pool_opts {
	int kernel, kernel_w;     /* size of the window, 1 or more; no default */
	int stride, stride_w;     /* from one window to the next; 0: the kernel */
	int pad, pad_w;           /* minus infinity on both sides, at most half of the kernel; pad_w -1: none */
	int dilation, dilation_w; /* from one element of a window to the next; 0: 1 */
	bool ceil_mode;           /* round the size of the result up */
} clef_max_pool_opts;

/* The largest element of each window. A window with a NaN gives NaN; of equal elements the first one counts, and the
 * gradient goes to it alone (of several NaN to the last). A window that meets no element, which takes padding, dilation
 * and a tiny image, gives minus infinity. torch.nn.functional.max_pool2d and max_pool1d. */
CLEF_API clef_tensor *clef_max_pool2d(clef_tensor *x, const clef_max_pool_opts *opts);
CLEF_API clef_tensor *clef_max_pool1d(clef_tensor *x, const clef_max_pool_opts *opts);

typedef struct clef_avg_pool_opts {
	int kernel, kernel_w; /* size of the window, 1 or more; no default */
	int stride, stride_w; /* from one window to the next; 0: the kernel */
	int pad, pad_w;       /* zeros on both sides, at most half of the kernel; pad_w -1: none */
	bool ceil_mode;       /* round the size of the result up */
	bool exclude_pad;     /* divide by the elements of the image alone (PyTorch: count_include_pad=False) */
	int divisor;          /* divide by this instead, 1 or more or negative; 0: by the size of the window */
} clef_avg_pool_opts;

/* The mean of each window. Without exclude_pad padding counts as elements, but what ceil_mode adds behind it does not.
 * torch.nn.functional.avg_pool2d and avg_pool1d. */
CLEF_API clef_tensor *clef_avg_pool2d(clef_tensor *x, const clef_avg_pool_opts *opts);
CLEF_API clef_tensor *clef_avg_pool1d(clef_tensor *x, const clef_avg_pool_opts *opts);

/*
 * Pooling to a given size, 1 or more, or -1 for that of x: output o of `out` covers the elements from o size / out,
 * rounded down, up to (o + 1) size / out, rounded up. Size 1 is global pooling: clef_adaptive_avg_pool2d(x, 1, 1).
 * torch.nn.functional.adaptive_avg_pool2d, adaptive_avg_pool1d, adaptive_max_pool2d and adaptive_max_pool1d.
 */
CLEF_API clef_tensor *clef_adaptive_avg_pool2d(clef_tensor *x, int64_t out_h, int64_t out_w);
CLEF_API clef_tensor *clef_adaptive_avg_pool1d(clef_tensor *x, int64_t out);
CLEF_API clef_tensor *clef_adaptive_max_pool2d(clef_tensor *x, int64_t out_h, int64_t out_w);
CLEF_API clef_tensor *clef_adaptive_max_pool1d(clef_tensor *x, int64_t out);

/* Where the result y of a maximum pooling found its elements: int32, of the shape of y, row * width + column within
 * each image, -1 for a window without elements. It belongs to the tape. ERROR_INVALID when y is no such result.
 * PyTorch: return_indices=True. */
CLEF_API clef_tensor *clef_max_pool_indices(clef_tensor *y);

#ifdef __cplusplus
}
#endif

#endif
