/* SPDX-License-Identifier: Apache-2.0 */
/* clef_conv_transpose2d(): its options, in the form that all convolutions share. */
#include "conv_internal.h"

static const clef__op conv_transpose2d = { "conv_transpose2d",
					   clef__conv_transpose_infer,
					   clef__conv_transpose_forward,
					   clef__conv_transpose_backward,
					   NULL,
					   clef__conv_needs,
					   clef__conv_is_relu };

static clef_tensor *apply(clef_tensor *x, clef_tensor *w, clef_tensor *b, bool has_bias,
			  const clef_conv_transpose2d_opts *opts)
{
	const clef_conv_transpose2d_opts o = opts ? *opts : (clef_conv_transpose2d_opts){ 0 };
	const clef__conv_field fields[] = {
		{ "stride", o.stride },
		{ "stride_w", o.stride_w },
		{ "pad", o.pad },
		{ "pad_w", o.pad_w },
		{ "pad_top", o.pad_top },
		{ "pad_bottom", o.pad_bottom },
		{ "pad_left", o.pad_left },
		{ "pad_right", o.pad_right },
		{ "output_pad", o.output_pad },
		{ "output_pad_h", o.output_pad_h },
		{ "output_pad_w", o.output_pad_w },
		{ "dilation", o.dilation },
		{ "dilation_w", o.dilation_w },
		{ "groups", o.groups },
	};
	int64_t stride = CLEF__MAX(o.stride, 1), dilation = CLEF__MAX(o.dilation, 1), pad = o.pad,
		pad_w = o.pad_w ? o.pad_w : o.pad, more = o.output_pad;
	const clef__conv_opts all = {
		.dims = 2,
		.stride = { stride, o.stride_w ? o.stride_w : stride },
		.before = { pad + o.pad_top, pad_w + o.pad_left },
		.after = { pad + o.pad_bottom, pad_w + o.pad_right },
		.dilation = { dilation, o.dilation_w ? o.dilation_w : dilation },
		.output_pad = { more + o.output_pad_h, more + o.output_pad_w },
		.groups = CLEF__MAX(o.groups, 1),
		.activation = o.activation,
	};

	return clef__conv_apply(&conv_transpose2d, x, w, b, has_bias, &all, fields, CLEF_COUNT(fields));
}

clef_tensor *clef_conv_transpose2d(clef_tensor *x, clef_tensor *w, clef_tensor *b,
				   const clef_conv_transpose2d_opts *opts)
{
	return apply(x, w, b, true, opts);
}

clef_tensor *clef_conv_transpose2d_no_bias(clef_tensor *x, clef_tensor *w, const clef_conv_transpose2d_opts *opts)
{
	return apply(x, w, NULL, false, opts);
}
