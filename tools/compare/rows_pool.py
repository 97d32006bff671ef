# SPDX-License-Identifier: Apache-2.0
"""Pooling. Values that are compared are distinct but for a share of the cases, which have ties and NaN."""

import math

import torch.nn.functional as F

from case import Row


def image(r, size):
	front = (r.integer(1, 4),) if r.chance(0.2) else (0 if r.chance(0.02) else r.integer(1, 3), r.integer(1, 4))
	shape = (*front, *size)
	x = r.distinct(shape)
	if r.chance(0.15):
		x = x.round()
	if r.chance(0.1):
		x = r.sprinkle(x, [math.nan, math.inf, -math.inf])
	return x


def both(r, options, name, choices, dims, default=0):
	"""A field for both axes and perhaps one for the width alone; the list of what they mean."""
	value = r.pick(choices)
	if value != default or r.chance(0.5):
		options[name] = value
	values = [value] * dims
	if dims == 2 and r.chance(0.3):
		other = r.pick(choices)
		if other != 0:
			options[name + "_w"] = values[1] = other
	return values


def windows(r, dims, dilated):
	"""clef's options and PyTorch's kernel, stride, padding and dilation, and a size of image that they fit."""
	options = {}
	kernel = both(r, options, "kernel", [1, 2, 3, 4], dims)
	stride = both(r, options, "stride", [0, 1, 2, 3, 5], dims)
	if not options.get("stride_w"):
		stride = [options.get("stride") or k for k in kernel]
	else:
		stride = [options.get("stride") or kernel[0], options["stride_w"]]
	dilation = both(r, options, "dilation", [1, 1, 2, 3], dims, 1) if dilated else [1] * dims
	# PyTorch allows no more, also where the window is dilated.
	room = [k // 2 for k in kernel]
	pad = [r.integer(0, room[0])] * dims
	if dims == 2 and (pad[0] > room[1] or r.chance(0.3)):
		pad[1] = r.integer(0, room[1])
		options["pad_w"] = pad[1] or -1  # 0 would mean that of the other axis
	options["pad"] = pad[0]
	options["ceil_mode"] = r.chance(0.4)
	# An image at least as large as the dilation: of a window that meets no element PyTorch gives an index outside
	# of the image, and its backward pass writes there.
	size = [r.integer(max(d, d * (k - 1) + 1 - 2 * p), d * (k - 1) + 8) for k, d, p in zip(kernel, dilation, pad)]
	return options, {"kernel": kernel, "stride": stride, "pad": pad, "dilation": dilation}, size


def make_max(dims):
	def make(r):
		options, meaning, size = windows(r, dims, True)
		return {"x": image(r, size)}, {"opts": options, **meaning}
	return make


def max_reference(dims):
	function = F.max_pool2d if dims == 2 else F.max_pool1d
	return lambda x, o: function(x.x, o.kernel, o.stride, o.pad, o.dilation, o.opts["ceil_mode"],
		return_indices=True)


def with_indices(name):
	def clef(c, x, o):
		y = c.call("clef_" + name, x.x, o.opts)
		return y, c.max_pool_indices(y)
	return clef


def make_avg(dims):
	def make(r):
		options, meaning, size = windows(r, dims, False)
		options["exclude_pad"] = r.chance(0.4)
		if dims == 2 and r.chance(0.25):
			options["divisor"] = r.pick([1, 3, 7, -2])
		return {"x": image(r, size)}, {"opts": options, **meaning}
	return make


def avg_reference(dims):
	def reference(x, o):
		common = (x.x, o.kernel, o.stride, o.pad, o.opts["ceil_mode"], not o.opts["exclude_pad"])
		return F.avg_pool2d(*common, o.opts.get("divisor")) if dims == 2 else F.avg_pool1d(*common)
	return reference


def make_adaptive(dims):
	def make(r):
		x = image(r, [r.integer(1, 10) for _ in range(dims)])
		return {"x": x}, {"out": [-1 if dims == 2 and r.chance(0.1) else r.integer(1, 12) for _ in range(dims)]}
	return make


def adaptive(name, dims):
	function = getattr(F, name)
	indices = "max" in name

	def clef(c, x, o):
		y = c.call("clef_" + name, x.x, *o.out)
		return (y, c.max_pool_indices(y)) if indices else y

	def reference(x, o):
		out = [None if n == -1 else n for n in o.out]
		return function(x.x, out, return_indices=True) if indices else function(x.x, out)
	return Row(name, make_adaptive(dims), clef, reference, covers=[name] + ["max_pool_indices"] * indices)


def rows(_clef):
	table = []
	for dims in (2, 1):
		name = f"max_pool{dims}d"
		table.append(Row(name, make_max(dims), with_indices(name), max_reference(dims),
			covers=[name, "max_pool_indices"]))
		name = f"avg_pool{dims}d"
		table.append(Row(name, make_avg(dims), lambda c, x, o, name=name: c.call("clef_" + name, x.x, o.opts),
			avg_reference(dims)))
		table += [adaptive(f"adaptive_{kind}_pool{dims}d", dims) for kind in ("avg", "max")]
	return table
