/* SPDX-License-Identifier: Apache-2.0 */
/* clef_conv1d() and clef_conv_transpose1d(): images of one row. */
#include "conv_internal.h"

static const clef__op conv1d = { .name = "conv1d",
				 .infer = clef__conv_infer,
				 .forward = clef__conv_forward,
				 .backward = clef__conv_backward,
				 .needs = clef__conv_needs,
				 .is_relu = clef__conv_is_relu,
				 .heeds_gate = true,
				 .over_gate = clef__conv_over_gate };
static const clef__op conv_transpose1d = { "conv_transpose1d",
					   clef__conv_transpose_infer,
					   clef__conv_transpose_forward,
					   clef__conv_transpose_backward,
					   NULL,
					   clef__conv_needs,
					   clef__conv_is_relu };

static clef_tensor *apply(clef_tensor *x, clef_tensor *w, clef_tensor *b, bool has_bias, const clef_conv1d_opts *opts)
{
	const clef_conv1d_opts o = opts ? *opts : (clef_conv1d_opts){ 0 };
	const clef__conv_field fields[] = {
		{ "stride", o.stride },       { "pad", o.pad },           { "pad_left", o.pad_left },
		{ "pad_right", o.pad_right }, { "dilation", o.dilation }, { "groups", o.groups },
	};
	const clef__conv_opts all = {
		.dims = 1,
		.stride = { 1, CLEF__MAX(o.stride, 1) },
		.before = { 0, (int64_t)o.pad + o.pad_left },
		.after = { 0, (int64_t)o.pad + o.pad_right },
		.dilation = { 1, CLEF__MAX(o.dilation, 1) },
		.groups = CLEF__MAX(o.groups, 1),
		.activation = o.activation,
		.mode = o.pad_mode,
	};

	return clef__conv_apply(&conv1d, x, w, b, has_bias, &all, fields, CLEF_COUNT(fields));
}

clef_tensor *clef_conv1d(clef_tensor *x, clef_tensor *w, clef_tensor *b, const clef_conv1d_opts *opts)
{
	return apply(x, w, b, true, opts);
}

clef_tensor *clef_conv1d_no_bias(clef_tensor *x, clef_tensor *w, const clef_conv1d_opts *opts)
{
	return apply(x, w, NULL, false, opts);
}

static clef_tensor *apply_transposed(clef_tensor *x, clef_tensor *w, clef_tensor *b, bool has_bias,
				     const clef_conv_transpose1d_opts *opts)
{
	const clef_conv_transpose1d_opts o = opts ? *opts : (clef_conv_transpose1d_opts){ 0 };
	const clef__conv_field fields[] = {
		{ "stride", o.stride },         { "pad", o.pad },           { "pad_left", o.pad_left },
		{ "pad_right", o.pad_right },   { "dilation", o.dilation }, { "groups", o.groups },
		{ "output_pad", o.output_pad },
	};
	const clef__conv_opts all = {
		.dims = 1,
		.stride = { 1, CLEF__MAX(o.stride, 1) },
		.before = { 0, (int64_t)o.pad + o.pad_left },
		.after = { 0, (int64_t)o.pad + o.pad_right },
		.dilation = { 1, CLEF__MAX(o.dilation, 1) },
		.output_pad = { 0, o.output_pad },
		.groups = CLEF__MAX(o.groups, 1),
		.activation = o.activation,
	};

	return clef__conv_apply(&conv_transpose1d, x, w, b, has_bias, &all, fields, CLEF_COUNT(fields));
}

clef_tensor *clef_conv_transpose1d(clef_tensor *x, clef_tensor *w, clef_tensor *b,
				   const clef_conv_transpose1d_opts *opts)
{
	return apply_transposed(x, w, b, true, opts);
}

clef_tensor *clef_conv_transpose1d_no_bias(clef_tensor *x, clef_tensor *w, const clef_conv_transpose1d_opts *opts)
{
	return apply_transposed(x, w, NULL, false, opts);
}
