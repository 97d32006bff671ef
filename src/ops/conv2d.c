/* SPDX-License-Identifier: Apache-2.0 */
/* clef_conv2d(): its options, in the form that all convolutions share. */
#include "conv_internal.h"

static const clef__op conv2d = { .name = "conv2d",
				 .infer = clef__conv_infer,
				 .forward = clef__conv_forward,
				 .backward = clef__conv_backward,
				 .needs = clef__conv_needs,
				 .is_relu = clef__conv_is_relu,
				 .heeds_gate = true,
				 .over_gate = clef__conv_over_gate };

static clef_tensor *apply(clef_tensor *x, clef_tensor *w, clef_tensor *b, bool has_bias, const clef_conv2d_opts *opts)
{
	const clef_conv2d_opts o = opts ? *opts : (clef_conv2d_opts){ 0 };
	const clef__conv_field fields[] = {
		{ "stride", o.stride },         { "stride_w", o.stride_w },   { "pad", o.pad },
		{ "pad_w", o.pad_w },           { "pad_top", o.pad_top },     { "pad_bottom", o.pad_bottom },
		{ "pad_left", o.pad_left },     { "pad_right", o.pad_right }, { "dilation", o.dilation },
		{ "dilation_w", o.dilation_w }, { "groups", o.groups },
	};
	int64_t stride = CLEF__MAX(o.stride, 1), dilation = CLEF__MAX(o.dilation, 1), pad = o.pad,
		pad_w = o.pad_w ? o.pad_w : o.pad;
	const clef__conv_opts all = {
		.dims = 2,
		.stride = { stride, o.stride_w ? o.stride_w : stride },
		.before = { pad + o.pad_top, pad_w + o.pad_left },
		.after = { pad + o.pad_bottom, pad_w + o.pad_right },
		.dilation = { dilation, o.dilation_w ? o.dilation_w : dilation },
		.groups = CLEF__MAX(o.groups, 1),
		.activation = o.activation,
		.mode = o.pad_mode,
	};

	return clef__conv_apply(&conv2d, x, w, b, has_bias, &all, fields, CLEF_COUNT(fields));
}

clef_tensor *clef_conv2d(clef_tensor *x, clef_tensor *w, clef_tensor *b, const clef_conv2d_opts *opts)
{
	return apply(x, w, b, true, opts);
}

clef_tensor *clef_conv2d_no_bias(clef_tensor *x, clef_tensor *w, const clef_conv2d_opts *opts)
{
	return apply(x, w, NULL, false, opts);
}
