# SPDX-License-Identifier: Apache-2.0
"""Reductions over dimensions, positions, and the softmax family."""

import ctypes
import math

import torch

from case import Row

SPECIALS = [math.nan, math.inf, -math.inf]


def reduction(r, empty=True):
	"""A shape, and the options of a reduction over some of its dimensions; no `dim` means all of them."""
	x = r.shape(0, 5) if empty else r.dims(0, 5)
	if not x or r.chance(0.15):
		return x, {"dim": None, "keepdim": False}
	dims = r.permutation(len(x))[:r.integer(1, len(x))]
	return x, {"dim": [d - len(x) if r.chance(0.3) else d for d in dims], "keepdim": r.chance(0.5)}


def opts_of(o, **more):
	"""clef's options for these."""
	if o.dim is None:
		return more or None
	return {"ndim": len(o.dim), "dim": o.dim, "keepdim": o.keepdim, **more}


def make_reduction(r):
	x, options = reduction(r)
	return {"x": r.floats(x)}, options


def over_dims(function):
	return lambda x, o: function(x.x) if o.dim is None else function(x.x, dim=tuple(o.dim), keepdim=o.keepdim)


def make_extremum(r):
	x, options = reduction(r, empty=False)
	values = r.distinct(x)
	if r.chance(0.3):  # ties
		values = values.round()
	return {"x": r.sprinkle(values, SPECIALS) if r.chance(0.1) else values}, options


def make_position(r):
	inputs, options = make_extremum(r)
	if options["dim"]:
		options["dim"] = options["dim"][:1]
	return inputs, options


def position(function):
	return lambda x, o: function(x.x) if o.dim is None else function(x.x, dim=o.dim[0], keepdim=o.keepdim)


def make_var(r):
	x, options = reduction(r)
	return {"x": r.floats(x) + r.pick([0, 0, 100])}, {**options, "biased": r.chance(0.5)}


def variance(function):
	return lambda x, o: function(x.x, dim=None if o.dim is None else tuple(o.dim), correction=0 if o.biased else 1,
		keepdim=o.keepdim)


def make_norm(r):
	x, options = reduction(r, empty=False)
	p = r.pick([0, 1, 2, 3, 1.5, 0.5, -1, -2.5, r.real(0.5, 4), math.inf, -math.inf])
	values = r.floats(x, avoid=[0.0], margin=0.05)
	return {"x": values * 0 if p >= 1 and r.chance(0.05) else values}, {**options, "p": p}


def norm(x, o):
	return torch.linalg.vector_norm(x.x, o.p or 2, dim=None if o.dim is None else tuple(o.dim), keepdim=o.keepdim)


def make_logsumexp(r):
	inputs, options = make_reduction(r)
	return {"x": inputs["x"] * r.pick([1, 5]) + r.pick([0, 0, 100, -100])}, options


def logsumexp(x, o):
	return torch.logsumexp(x.x, dim=tuple(range(x.x.dim())) if o.dim is None else tuple(o.dim), keepdim=o.keepdim)


def make_softmax(r):
	x = r.shape(0, 5, r.pick([5, 5, 9]))
	dim = r.integer(-len(x), len(x) - 1) if x else r.pick([0, -1])
	# Where one value outweighs the others little is left of the gradient, so there are other rows beside.
	size = r.pick([2, 6]) if x and math.prod(x) > 8 * x[dim] else 2
	values = r.floats(x, -size, size) + r.pick([0, 0, 100, -100])
	return {"x": r.sprinkle(values, SPECIALS) if values.ndim and r.chance(0.1) else values}, {"dim": dim}


def make_topk(r):
	x = r.shape(1, 4, 9)
	return {"x": r.distinct(x)}, {"k": r.integer(0, x[-1])}


def topk(c, x, o):
	indices = (ctypes.c_void_p * 1)()
	return [c.topk(x.x, o.k, indices), indices[0]]


def make_topk_accuracy(r):
	n, classes = r.integer(1, 12), r.integer(1, 12)
	return {"x": r.distinct((n, classes)), "labels": r.integers((n,), 0, classes - 1)}, {"k": r.integer(1, classes)}


def topk_accuracy(x, o):
	return (x.x.topk(o.k).indices == x.labels[:, None]).any(1).to(x.x.dtype).mean()


def rows(_clef):
	return [
		Row("sum", make_reduction, lambda c, x, o: c.sum(x.x, opts_of(o)), over_dims(torch.sum)),
		Row("mean", make_reduction, lambda c, x, o: c.mean(x.x, opts_of(o)), over_dims(torch.mean)),
		Row("max", make_extremum, lambda c, x, o: c.max(x.x, opts_of(o)), over_dims(torch.amax), 0.0, 1e-6),
		Row("min", make_extremum, lambda c, x, o: c.min(x.x, opts_of(o)), over_dims(torch.amin), 0.0, 1e-6),
		Row("argmax", make_position, lambda c, x, o: c.argmax(x.x, opts_of(o)), position(torch.argmax), 0.0),
		Row("argmin", make_position, lambda c, x, o: c.argmin(x.x, opts_of(o)), position(torch.argmin), 0.0),
		Row("var", make_var, lambda c, x, o: c.var(x.x, opts_of(o, biased=o.biased)), variance(torch.var)),
		Row("std", make_var, lambda c, x, o: c.std(x.x, opts_of(o, biased=o.biased)), variance(torch.std)),
		Row("norm", make_norm, lambda c, x, o: c.norm(x.x, opts_of(o, p=o.p)), norm),
		Row("logsumexp", make_logsumexp, lambda c, x, o: c.logsumexp(x.x, opts_of(o)), logsumexp),
		Row("softmax", make_softmax, lambda c, x, o: c.softmax(x.x, o.dim),
			lambda x, o: torch.softmax(x.x, o.dim), gradient_limit=2e-5),
		Row("log_softmax", make_softmax, lambda c, x, o: c.log_softmax(x.x, o.dim),
			lambda x, o: torch.log_softmax(x.x, o.dim)),
		Row("topk", make_topk, topk, lambda x, o: list(torch.topk(x.x, o.k)), 0.0, 1e-6),
		Row("topk_accuracy", make_topk_accuracy, lambda c, x, o: c.topk_accuracy(x.x, x.labels, o.k),
			topk_accuracy, 1e-6),
	]
