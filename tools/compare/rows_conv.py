# SPDX-License-Identifier: Apache-2.0
"""
Convolutions. PyTorch gets padding of unequal sides as an operation of its
own, and cuts from transposed convolutions as slices.
"""

import os

import torch.nn.functional as F

import activation
from binding import ClefError
from case import Row

# Every one is made to take part.
WAYS = ["", "direct", "im2col", "winograd", "winograd_weights", "winograd_gpu", "cpu", "cpu_weights", "gemm"]
MODES = {"CLEF_PAD_ZEROS": "constant", "CLEF_PAD_REFLECT": "reflect", "CLEF_PAD_REPLICATE": "replicate",
	"CLEF_PAD_CIRCULAR": "circular"}
# The names of clef's sides, from the last dimension's first side, in PyTorch's order.
SIDES = {2: ("pad_left", "pad_right", "pad_top", "pad_bottom"), 1: ("pad_left", "pad_right")}
LIMIT = 1e-5


def geometry(r, dims):
	"""Stride, dilation and padding as options of clef's, and as lists: for rows and columns, or for a sequence."""
	options = {}
	stride, dilation, pads = [r.integer(1, 3)] * dims, [r.pick([1, 1, 2, 3])] * dims, [0] * 2 * dims
	if dims == 2 and r.chance(0.3):
		stride[1] = options["stride_w"] = r.integer(1, 3)
	if dims == 2 and r.chance(0.3):
		dilation[1] = options["dilation_w"] = r.integer(1, 2)
	options.update(stride=r.pick([stride[0], 0]) if stride[0] == 1 else stride[0], dilation=dilation[0])
	if r.chance(0.6):
		options["pad"] = r.integer(0, 2)
		pads = [options["pad"]] * 2 * dims
	if dims == 2 and r.chance(0.3):
		options["pad_w"] = r.integer(1, 2)
		pads[:2] = [options["pad_w"]] * 2
	if r.chance(0.3):
		for i, side in enumerate(SIDES[dims]):
			options[side] = r.integer(0, 2)
			pads[i] += options[side]
	return options, stride, dilation, pads


def channels(r):
	"""Groups, and the channels of each in x and in y; of these some so many that im2col takes part."""
	shape = r.integer(0, 5)
	if shape == 0:  # depthwise
		return r.integer(2, 6), 1, r.integer(1, 2)
	if shape == 1:
		return 2, r.integer(4, 9), r.integer(8, 10)
	return r.pick([1, 1, 1, 2, 3]), r.integer(1, 5), r.integer(1, 6)


def make_conv(dims, bias):
	def make(r):
		options, stride, dilation, pads = geometry(r, dims)
		groups, inputs, outputs = channels(r)
		size = [r.integer(1, 9) for _ in range(dims)]
		mode = r.pick(["CLEF_PAD_ZEROS", "CLEF_PAD_ZEROS"] + list(MODES))
		# The last dimension comes first in pads.
		sides = [pads[2 * (dims - 1 - i):2 * (dims - i)] for i in range(dims)]
		padded = [n + sum(side) for n, side in zip(size, sides)]
		most = {"CLEF_PAD_REFLECT": -1, "CLEF_PAD_CIRCULAR": 0}
		if mode in most and any(max(side) > n + most[mode] for n, side in zip(size, sides)):
			mode = "CLEF_PAD_ZEROS"
		kernel = [r.integer(1, min(5, (n - 1) // d + 1)) for n, d in zip(padded, dilation)]
		images = 0 if mode == "CLEF_PAD_ZEROS" and r.chance(0.02) else r.integer(1, 3)
		arrays = {"x": r.floats((images, groups * inputs, *size)),
			"w": r.floats((groups * outputs, inputs, *kernel))}
		if bias:
			arrays["b"] = r.floats((groups * outputs,))
		options.update(groups=r.pick([groups, 0]) if groups == 1 else groups, pad_mode=mode,
			activation=activation.pick(r))
		return arrays, {"opts": options, "stride": stride, "dilation": dilation, "pads": pads, "groups": groups,
			"way": r.pick(WAYS)}
	return make


def conv(dims):
	function = F.conv2d if dims == 2 else F.conv1d

	def reference(x, o):
		y = F.pad(x.x, o.pads, mode=MODES[o.opts["pad_mode"]]) if any(o.pads) else x.x
		y = function(y, x.w, getattr(x, "b", None), o.stride, 0, o.dilation, o.groups)
		return activation.apply(y, o.opts["activation"])
	return reference


def apply(name):
	def clef(c, x, o):
		arguments = [x.x, x.w] + ([x.b] if hasattr(x, "b") else []) + [o.opts]
		# Threads of PoCL that run kernels read the environment.
		c.call("clef_finish", c.dev)
		os.environ["CLEF_CONV"] = o.way
		try:
			return c.call("clef_" + name, *arguments)
		except ClefError as error:
			if not o.way or "which does not do" not in str(error):
				raise
		finally:
			c.call("clef_finish", c.dev)
			os.environ["CLEF_CONV"] = ""
		return c.call("clef_" + name, *arguments)
	return clef


def make_transposed(dims, bias):
	def make(r):
		while True:
			options, stride, dilation, cuts = geometry(r, dims)
			groups, inputs, outputs = channels(r)
			size, kernel = ([r.integer(1, high) for _ in range(dims)] for high in (6, 4))
			most = [max(s, d) - 1 for s, d in zip(stride, dilation)]
			output_pad = [r.integer(0, min(most))] * dims
			options["output_pad"] = output_pad[0]
			for i, field in enumerate(("output_pad_h", "output_pad_w") if dims == 2 else ()):
				options[field] = r.integer(0, most[i] - output_pad[i])
				output_pad[i] += options[field]
			full = [(n - 1) * s + d * (k - 1) + 1 + extra
				for n, s, d, k, extra in zip(size, stride, dilation, kernel, output_pad)]
			if all(n - sum(cuts[2 * (dims - 1 - i):2 * (dims - i)]) > 0 for i, n in enumerate(full)):
				break
		arrays = {"x": r.floats((r.integer(1, 3), groups * inputs, *size)),
			"w": r.floats((groups * inputs, outputs, *kernel))}
		if bias:
			arrays["b"] = r.floats((groups * outputs,))
		options.update(groups=groups, activation=activation.pick(r))
		return arrays, {"opts": options, "stride": stride, "dilation": dilation, "cuts": cuts, "groups": groups,
			"output_pad": output_pad, "way": r.pick(WAYS)}
	return make


def transposed(dims):
	function = F.conv_transpose2d if dims == 2 else F.conv_transpose1d

	def reference(x, o):
		y = function(x.x, x.w, getattr(x, "b", None), o.stride, 0, o.output_pad, o.groups, o.dilation)
		for i in range(dims):
			first, last = o.cuts[2 * i:2 * i + 2]
			y = y.narrow(-1 - i, first, y.shape[-1 - i] - first - last)
		return activation.apply(y, o.opts["activation"])
	return reference


def rows(_clef):
	table = []
	for dims in (2, 1):
		for suffix, bias in (("", True), ("_no_bias", False)):
			name = f"conv{dims}d{suffix}"
			table.append(Row(name, make_conv(dims, bias), apply(name), conv(dims), LIMIT, composed=True))
			name = f"conv_transpose{dims}d{suffix}"
			table.append(Row(name, make_transposed(dims, bias), apply(name), transposed(dims), LIMIT, composed=True))
	return table
