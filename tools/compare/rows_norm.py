# SPDX-License-Identifier: Apache-2.0
"""
Normalization, dropout and bernoulli. These two are compared given the draw, which the host's random numbers tell.
"""

import ctypes

import numpy
import torch.nn.functional as F

import activation
from case import Row

# A gradient through a normalization is what is left when its parts along the mean and the data are taken off.
GRADIENT_LIMIT = 2e-5


def data(r, shape):
	"""Values around 0, or far from it for their spread."""
	x = r.floats(shape)
	if r.chance(0.2):
		x = (x * r.pick([0.1, 3]) + r.pick([-1, 1]) * r.real(10, 100)).astype(numpy.float32)
	return x


def affine(r, shape, yes):
	return {"w": r.floats(shape, 0.3, 1.5), "b": r.floats(shape)} if yes else {}


def eps_of(o, default=1e-5):
	return o.eps or default


def pick_eps(r):
	return r.pick([0.0, 0.0, 1e-3, 0.1])


def make_batch_norm(with_affine):
	def make(r):
		training = r.chance(0.6)
		# Two values of a channel leave no gradient but for eps.
		x = (r.integer(4, 6), r.integer(1, 5), *r.dims(0, 3, 3))
		if not training and r.chance(0.1):
			x = (0, *x[1:])
		channels = (x[1],)
		options = {"training": training, "momentum": r.pick([0.0, r.real(0.01, 1), 1.0]), "eps": pick_eps(r),
			"activation": activation.pick(r)}
		if training:
			options["keep_running"] = r.chance(0.2)
		arrays = {"x": data(r, x), **affine(r, channels, with_affine), "running_mean": r.floats(channels),
			"running_var": r.floats(channels, 0.2, 2)}
		return arrays, options
	return make


def batch_norm(x, o):
	keep = getattr(o, "keep_running", False)
	mean, var = (None, None) if keep else (x.running_mean, x.running_var)
	y = F.batch_norm(x.x, mean, var, getattr(x, "w", None), getattr(x, "b", None), o.training, o.momentum or 0.1,
		eps_of(o))
	# It changes the running statistics in place.
	return activation.apply(y, o.activation), x.running_mean, x.running_var


def clef_batch_norm(c, x, o):
	statistics = x.running_mean, x.running_var
	if hasattr(x, "w"):
		y = c.batch_norm(x.x, x.w, x.b, *statistics, vars(o))
	else:
		y = c.batch_norm_plain(x.x, *statistics, vars(o))
	return y, *statistics


def make_trailing(names):
	"""Inputs for normalization over the last dimensions, with weights called `names`."""
	def make(r):
		x = list(r.dims(1, 4, 6))
		dims = r.integer(1, len(x))
		x[-1] += 2  # of two values there is nothing left but their sign
		if len(x) > dims and r.chance(0.03):
			x[0] = 0
		shape = tuple(x[len(x) - dims:])
		arrays = {"x": data(r, x), **{name: r.floats(shape, 0.3, 1.5) for name in names}}
		return arrays, {"dims": dims, "shape": shape, "eps": pick_eps(r)}
	return make


def make_channels(groups, with_affine):
	def make(r):
		count = r.integer(1, 3) if groups else 1
		channels = count * r.integer(1, 3)
		x = (r.integer(1, 3), channels, r.integer(3, 5), *r.dims(0, 2, 4))
		return {"x": data(r, x), **affine(r, (channels,), with_affine)}, {"groups": count, "eps": pick_eps(r)}
	return make


def weights(x):
	return [getattr(x, name) for name in ("w", "b") if hasattr(x, name)]


def make_local_response(r):
	options = {}
	for name, low, high in (("alpha", 1e-4, 1), ("beta", 0.3, 1.5), ("k", 0.5, 2)):
		if r.chance(0.5):
			options[name] = r.real(low, high)
	return {"x": r.floats((*r.dims(2, 2, 7), *r.dims(1, 2)))}, {"opts": options, "size": r.integer(1, 9)}


def local_response(x, o):
	alpha, beta, k = (o.opts.get(name, default) for name, default in (("alpha", 1e-4), ("beta", 0.75), ("k", 1)))
	return F.local_response_norm(x.x, o.size, alpha, beta, k)


def dropout(clef, name, whole_channels):
	def make(r):
		x = r.dims(2, 4) if whole_channels else r.dims(0, 4)
		p, seed = r.pick([0.0, 1.0, r.real(0, 1), r.real(0, 1)]), r.integer(0, 1 << 30)
		drawn = numpy.empty(x[:2] if whole_channels else x, numpy.float32)
		clef.rng_uniform({"seed": seed}, drawn.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), drawn.size)
		mask = (drawn >= p).astype(numpy.float32).reshape(x[:2] + (1,) * (len(x) - 2) if whole_channels else x)
		return {"x": r.floats(x), "mask": mask}, {"p": p, "training": r.chance(0.8), "seed": seed}

	def reference(x, o):
		if not o.training:
			return F.dropout(x.x, o.p, False)
		return x.x * x.mask / (1 - o.p) if o.p < 1 else F.dropout(x.x, 1.0)

	def apply(c, x, o):
		return c.call("clef_" + name, x.x, o.p, o.training, {"seed": o.seed})

	return Row(name, make, apply, reference, constant=("mask",))


def bernoulli(clef):
	def make(r):
		p, seed = r.floats(r.dims(0, 4), -0.1, 1.1), r.integer(0, 1 << 30)
		drawn = numpy.empty(p.shape, numpy.float32)
		clef.rng_uniform({"seed": seed}, drawn.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), drawn.size)
		return {"p": p, "drawn": drawn}, {"seed": seed}

	return Row("bernoulli", make, lambda c, x, o: c.bernoulli(x.p, {"seed": o.seed}),
		lambda x, o: (x.drawn < x.p).to(x.p.dtype), 0.0, constant=("drawn",))


def rows(clef):
	table = []
	for suffix, yes in (("", True), ("_plain", False)):
		table.append(Row("batch_norm" + suffix, make_batch_norm(yes), clef_batch_norm, batch_norm,
			gradient_limit=GRADIENT_LIMIT, constant=("running_mean", "running_var")))
		table.append(Row("group_norm" + suffix, make_channels(True, yes),
			lambda c, x, o, s=suffix: c.call("clef_group_norm" + s, x.x, o.groups, *weights(x), o.eps),
			lambda x, o: F.group_norm(x.x, o.groups, *weights(x), eps=eps_of(o)),
			gradient_limit=GRADIENT_LIMIT))
		table.append(Row("instance_norm" + suffix, make_channels(False, yes),
			lambda c, x, o, s=suffix: c.call("clef_instance_norm" + s, x.x, *weights(x), o.eps),
			lambda x, o: F.instance_norm(x.x, None, None, *weights(x), eps=eps_of(o)),
			gradient_limit=GRADIENT_LIMIT))
	table += [
		Row("layer_norm", make_trailing("wb"), lambda c, x, o: c.layer_norm(x.x, x.w, x.b, o.eps),
			lambda x, o: F.layer_norm(x.x, o.shape, x.w, x.b, eps_of(o)), gradient_limit=GRADIENT_LIMIT),
		Row("layer_norm_plain", make_trailing(""), lambda c, x, o: c.layer_norm_plain(x.x, o.dims, o.eps),
			lambda x, o: F.layer_norm(x.x, o.shape, eps=eps_of(o)), gradient_limit=GRADIENT_LIMIT),
		Row("rms_norm", make_trailing("w"), lambda c, x, o: c.rms_norm(x.x, x.w, o.eps),
			lambda x, o: F.rms_norm(x.x, o.shape, x.w, eps_of(o, 2.0**-23)), gradient_limit=GRADIENT_LIMIT),
		Row("rms_norm_plain", make_trailing(""), lambda c, x, o: c.rms_norm_plain(x.x, o.dims, o.eps),
			lambda x, o: F.rms_norm(x.x, o.shape, eps=eps_of(o, 2.0**-23)), gradient_limit=GRADIENT_LIMIT),
		Row("local_response_norm", make_local_response,
			lambda c, x, o: c.local_response_norm(x.x, o.size, o.opts), local_response, composed=True),
		dropout(clef, "dropout", False),
		dropout(clef, "dropout2d", True),
		bernoulli(clef),
	]
	return table
