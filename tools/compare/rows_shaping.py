# SPDX-License-Identifier: Apache-2.0
"""
Operations that move elements. They compute nothing but sums, in gradients of elements that are used more than once, and
the weights of bilinear interpolation.
"""

import ctypes

import torch
import torch.nn.functional as F

from case import Row
from rows_conv import MODES

EXACT = 0.0
SUMS = 2e-6
END = 2**63 - 1


def make_reshape(r):
	x = r.dims(0, 4)
	count = 1
	for n in x:
		count *= n
	shape = []
	rest = count
	for _ in range(r.integer(0, 3)):
		n = r.pick([d for d in range(1, rest + 1) if rest % d == 0])
		shape.append(n)
		rest //= n
	if rest > 1 or r.chance(0.5):
		shape.insert(r.integer(0, len(shape)), rest)
	if shape and r.chance(0.5):
		shape[r.integer(0, len(shape) - 1)] = -1
	return {"x": r.floats(x)}, {"shape": tuple(shape)}


def make_flatten(r):
	return {"x": r.floats(r.shape(1, 5))}, {}


def values(r, shape):
	"""Mostly float32, sometimes int32."""
	return r.integers(shape, -100, 100) if r.chance(0.15) else r.floats(shape)


def any_dim(r, ndim):
	return r.integer(-ndim, ndim - 1)


def make_permute(r):
	x = r.shape(0, 5)
	return {"x": values(r, x)}, {"order": tuple(r.permutation(len(x)))}


def make_transpose(r):
	x = r.shape(1, 5)
	return {"x": values(r, x)}, {"dims": (any_dim(r, len(x)), any_dim(r, len(x)))}


def listed(x):
	return [getattr(x, name) for name in sorted(vars(x))]


def make_cat(r):
	shape = list(r.shape(1, 4))
	dim = any_dim(r, len(shape))
	whole = r.chance(0.15)
	arrays = {}
	for i in range(r.integer(1, 5)):
		shape[dim] = r.integer(0, 4)
		arrays[f"x{i}"] = r.integers(shape, -100, 100) if whole else r.floats(shape)
	return arrays, {"dim": dim}


def make_stack(r):
	shape = r.shape(0, 4)
	whole = r.chance(0.15)
	arrays = {f"x{i}": r.integers(shape, -100, 100) if whole else r.floats(shape) for i in range(r.integer(1, 5))}
	return arrays, {"dim": any_dim(r, len(shape) + 1)}


def make_slice(r):
	x = r.shape(1, 4, 8)
	dim = any_dim(r, len(x))
	return {"x": values(r, x)}, {"dim": dim, "start": r.integer(-10, 10), "stop": r.pick([END, r.integer(-10, 10)]),
		"step": r.integer(1, 4)}


def sliced(x, o):
	index = [slice(None)] * x.x.dim()
	index[o.dim] = slice(o.start, o.stop, o.step)
	return x.x[tuple(index)]


def make_split(r):
	x = r.shape(1, 4, 8)
	dim = any_dim(r, len(x))
	size = r.integer(1, 5)
	return {"x": values(r, x)}, {"size": size, "dim": dim, "count": max(-(-x[dim] // size), 1)}


def split(c, x, o):
	parts = (ctypes.c_void_p * o.count)()
	c.split(x.x, o.size, o.dim, parts, o.count)
	return list(parts)


def make_pad(r):
	if r.chance(0.5):
		x = r.shape(1, 5)
		pads = []
		for n in reversed(x[-r.integer(1, len(x)):]):
			first, last = r.integer(-1, 3), r.integer(-1, 3)
			pads += [first, last] if n + min(first, 0) + min(last, 0) >= 0 else [0, 1]
		value = r.pick([0.0, float(r.integer(-3, 3))])
		return {"x": values(r, x)}, {"pad": pads, "mode": "CLEF_PAD_ZEROS", "value": value}
	# PyTorch has these for one to three dimensions behind two others.
	mode = r.pick([name for name in MODES if name != "CLEF_PAD_ZEROS"])
	x = r.dims(3, 5)
	pads = []
	for n in reversed(x[2:]):
		most = {"CLEF_PAD_REFLECT": n - 1, "CLEF_PAD_CIRCULAR": n}.get(mode, 4)
		pads += [r.integer(0, most), r.integer(0, most)]
	return {"x": r.floats(x)}, {"pad": pads, "mode": mode, "value": 0.0}


def pad(x, o):
	return F.pad(x.x, o.pad, MODES[o.mode], o.value if o.mode == "CLEF_PAD_ZEROS" else None)


def make_expand(r):
	shape = r.shape(0, 5, 4)
	x = tuple(1 if r.chance(0.4) else n for n in shape[r.integer(0, len(shape)):])
	keep = len(shape) - len(x)
	return {"x": values(r, x)}, {"shape": tuple(-1 if i >= keep and x[i - keep] == n and r.chance(0.3) else n
		for i, n in enumerate(shape))}


def make_gather(r):
	x = r.dims(1, 4)
	dim = any_dim(r, len(x))
	shape = [r.integer(1, n) for n in x]
	shape[dim] = r.integer(0 if r.chance(0.05) else 1, 8)
	return {"x": values(r, x), "index": r.integers(shape, 0, x[dim] - 1)}, {"dim": dim}


def make_index_select(r):
	x = r.dims(1, 4)
	dim = any_dim(r, len(x))
	return {"x": values(r, x), "index": r.integers((r.integer(0, 8),), 0, x[dim] - 1)}, {"dim": dim}


def make_embedding(r):
	weight = r.dims(1, 3, 7)
	opts = {"has_padding": True, "padding_idx": r.integer(-weight[0], weight[0] - 1)} if r.chance(0.4) else None
	return {"weight": r.floats(weight), "index": r.integers(r.shape(0, 3), 0, weight[0] - 1)}, {"opts": opts}


def embedding(x, o):
	# F.embedding itself takes matrices only.
	rows_ = x.weight.reshape(x.weight.shape[0], -1)
	y = F.embedding(x.index, rows_, o.opts["padding_idx"] if o.opts else None)
	return y.reshape((*x.index.shape, *x.weight.shape[1:]))


def make_upsample(r):
	x = (r.integer(1, 2), r.integer(1, 3), r.integer(1, 7), r.integer(1, 7))
	opts = {"mode": r.pick(["CLEF_UPSAMPLE_NEAREST", "CLEF_UPSAMPLE_BILINEAR"])}
	if r.chance(0.5):
		opts.update(out_h=r.integer(1, 12), out_w=r.integer(1, 12))
	else:
		least = 1 / min(x[2:])
		opts["scale"] = max(r.pick([0.5, 1.0, 1.5, 2.0, 3.0, r.real(0.4, 3)]), least)
		if r.chance(0.4):
			opts["scale_w"] = max(r.pick([0.5, 2.0, r.real(0.4, 3)]), least)
	if opts["mode"] == "CLEF_UPSAMPLE_BILINEAR":
		opts["align_corners"] = r.chance(0.5)
	return {"x": r.floats(x)}, {"opts": opts}


def upsample(x, o):
	size = (o.opts["out_h"], o.opts["out_w"]) if "out_h" in o.opts else None
	scale = None if size else (o.opts["scale"], o.opts.get("scale_w", o.opts["scale"]))
	mode = "nearest" if o.opts["mode"] == "CLEF_UPSAMPLE_NEAREST" else "bilinear"
	return F.interpolate(x.x, size, scale, mode, o.opts.get("align_corners"))


def make_shuffle(down):
	def make(r):
		factor = r.integer(1, 3)
		h, w, channels = r.integer(1, 4), r.integer(1, 4), r.integer(1, 3)
		image = (channels, h * factor, w * factor) if down else (channels * factor**2, h, w)
		return {"x": values(r, (*r.dims(0, 2, 3), *image))}, {"r": factor}
	return make


def rows(_clef):
	def one(name, make, *arguments, gradient=EXACT, reference=None):
		"""For clef_name(x, o.argument, ...) and torch.name(x, o.argument, ...)."""
		function = reference or getattr(torch, name, None)

		def values_of(o):
			return [getattr(o, argument) for argument in arguments]
		return Row(name, make, lambda c, x, o: c.call("clef_" + name, x.x, *values_of(o)),
			lambda x, o: function(x.x, *values_of(o)), EXACT, gradient)

	return [
		one("reshape", make_reshape, "shape"),
		Row("flatten", make_flatten, lambda c, x, o: c.flatten(x.x),
			lambda x, o: x.x.reshape(x.x.shape[0], x.x.shape[1:].numel()), EXACT),
		one("permute", make_permute, "order"),
		Row("transpose", make_transpose, lambda c, x, o: c.transpose(x.x, *o.dims),
			lambda x, o: torch.transpose(x.x, *o.dims), EXACT),
		Row("cat", make_cat, lambda c, x, o: c.cat(listed(x), len(vars(x)), o.dim),
			lambda x, o: torch.cat(listed(x), o.dim), EXACT),
		Row("stack", make_stack, lambda c, x, o: c.stack(listed(x), len(vars(x)), o.dim),
			lambda x, o: torch.stack(listed(x), o.dim), EXACT),
		Row("slice", make_slice, lambda c, x, o: c.slice(x.x, o.dim, o.start, o.stop, o.step), sliced, EXACT),
		Row("split", make_split, split, lambda x, o: torch.split(x.x, o.size, o.dim), EXACT),
		Row("pad", make_pad, lambda c, x, o: c.pad(x.x, vars(o)), pad, EXACT, SUMS),
		one("expand", make_expand, "shape", gradient=SUMS, reference=lambda x, shape: x.expand(shape)),
		Row("gather", make_gather, lambda c, x, o: c.gather(x.x, o.dim, x.index),
			lambda x, o: torch.gather(x.x, o.dim, x.index), EXACT, SUMS),
		Row("index_select", make_index_select, lambda c, x, o: c.index_select(x.x, o.dim, x.index),
			lambda x, o: torch.index_select(x.x, o.dim, x.index), EXACT, SUMS),
		Row("embedding", make_embedding, lambda c, x, o: c.embedding(x.index, x.weight, o.opts), embedding,
			EXACT, SUMS),
		Row("upsample", make_upsample, lambda c, x, o: c.upsample(x.x, o.opts), upsample),
		one("pixel_shuffle", make_shuffle(False), "r"),
		one("pixel_unshuffle", make_shuffle(True), "r", reference=F.pixel_unshuffle),
	]
