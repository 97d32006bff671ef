# SPDX-License-Identifier: Apache-2.0
"""
Initializers. PyTorch's random numbers are others, so what is random is compared in distribution: the error is the
distance of Kolmogorov and Smirnov between a tensor of clef's and one of PyTorch's, times sqrt(n m / (n + m)), which
exceeds 3 in one of thirty million cases; in brackets that between two of PyTorch's. What is structure must be the same:
eye, dirac, the number of zeros in a column of sparse; and orthogonal must be the Q that PyTorch's QR decomposition, in
double precision, gives for the normal values that clef draws with the same stream.
"""

import math

import numpy
import torch
from torch.nn import init

DISTANCE = 3.0


def distance(a, b):
	"""Of two samples, of any shapes."""
	a, b = numpy.sort(a.ravel().astype(float)), numpy.sort(b.ravel().astype(float))
	if not a.size or not b.size:
		return 0.0
	both = numpy.concatenate([a, b])
	gap = abs(numpy.searchsorted(a, both, "right") / a.size - numpy.searchsorted(b, both, "right") / b.size)
	return float(gap.max() * math.sqrt(a.size * b.size / (a.size + b.size)))


class InitRow:
	"""make(r) gives a shape and options; clef(c, x, o, rng) and reference(x, o) fill a tensor."""

	def __init__(self, name, make, clef, reference, limit=DISTANCE, covers=None):
		self.name = name
		self.make = make
		self.clef = clef
		self.reference = reference
		self.limit = self.gradient_limit = limit
		self.covers = ["clef_" + each for each in (covers or [name])]
		self.compare_values = self.compare_random

	def compare(self, clef, r, brief=True):  # pylint: disable=unused-argument
		shape, options = self.make(r)
		seed = r.integer(0, 2**31)
		torch.manual_seed(seed)
		tensor = clef.leaf(numpy.full(shape, numpy.nan, numpy.float32))
		self.clef(clef, tensor, options, {"seed": seed, "counter": r.integer(0, 9)})
		got = clef.numpy(tensor)
		errors = self.compare_values(clef, got, options)
		clef.tensor_free(tensor)
		return errors, f"{list(shape)}; {options}; seed {seed}"

	def compare_random(self, _clef, got, options):
		want, again = (self.reference(torch.empty(got.shape), options).numpy() for _ in range(2))
		return {"value": (distance(got, want), distance(again, want))}

	def compare_exactly(self, _clef, got, options):
		want = self.reference(torch.empty(got.shape), options).numpy()
		return {"value": (float((got != want).sum()), 0.0)}


class SparseRow(InitRow):
	"""The zeros of each column are counted, the rest is compared in distribution."""

	def compare_random(self, clef, got, options):
		want, again = (self.reference(torch.empty(got.shape), options).numpy() for _ in range(2))
		wrong = float(((got == 0).sum(0) != (want == 0).sum(0)).sum())
		return {"value": (distance(got[got != 0], want[want != 0]), distance(again[again != 0], want[want != 0])),
			"zeros": (wrong * (DISTANCE + 1), 0.0)}


class OrthogonalRow(InitRow):
	"""The same Q where the host makes it, in double. Where the device has a part in it only the angles count, since
	vectors that are nearly dependent magnify rounding errors."""

	def compare(self, clef, r, brief=True):
		shape, options = self.make(r)
		stream = {"seed": r.integer(0, 2**31), "counter": r.integer(0, 9)}
		x, z = (clef.leaf(numpy.zeros(shape, numpy.float32)) for _ in range(2))
		self.clef(clef, x, options, stream)
		clef.init_normal(z, 0.0, 1.0, stream)
		got, normal = (clef.numpy(tensor).reshape(shape[0], -1).astype(float) for tensor in (x, z))
		clef.tensor_free(x)
		clef.tensor_free(z)
		usual = self.matrix(normal.astype(numpy.float32), options)
		errors = {"angles": (self.angles(got, options), self.angles(usual, options))}
		if min(got.shape) <= 128:
			want = self.matrix(normal, options)
			errors["value"] = (float(abs(got - want).max()) / options["gain"],
				float(abs(usual - want).max()) / options["gain"])
		return errors, f"{list(shape)}; {options}; {stream}"

	@staticmethod
	def matrix(normal, options):
		wide = normal.shape[0] < normal.shape[1]
		q, r = torch.linalg.qr(torch.from_numpy(normal.T.copy() if wide else normal))
		q = (q * torch.diag(r).sign()).numpy().astype(float)
		return (q.T if wide else q) * options["gain"]

	@staticmethod
	def angles(x, options):
		x = x / options["gain"]
		products = x @ x.T if x.shape[0] < x.shape[1] else x.T @ x
		return float(abs(products - numpy.eye(len(products))).max())


def weights(r):
	return (r.integer(1, 40), r.integer(1, 40)) + tuple(r.integer(1, 5) for _ in range(r.pick([0, 0, 1, 2, 3])))


def make_gain(r):
	return weights(r), {"gain": r.pick([1.0, r.real(0.1, 4)])}


def make_kaiming(r):
	return weights(r), {"a": r.pick([0.0, 2.2360679775, r.real(-1, 3)]), "mode": r.pick(["fan_in", "fan_out"]),
		"nonlinearity": r.pick(["leaky_relu", "relu", "linear", "sigmoid", "tanh", "selu"])}


def kaiming_opts(o):
	return {"a": o["a"], "mode": "CLEF_" + o["mode"].upper(),
		"nonlinearity": "CLEF_NONLINEARITY_" + o["nonlinearity"].upper()}


def make_trunc_normal(r):
	mean, std = r.pick([0.0, r.real(-2, 2)]), r.pick([1.0, r.real(0.01, 3)])
	lo = mean + std * r.real(-4, 2)
	return weights(r), {"mean": mean, "std": std, "a": float(numpy.float32(lo)),
		"b": float(numpy.float32(lo + std * r.real(0.1, 4)))}


def make_uniform(r):
	a = r.real(-2, 2)
	return weights(r), {"a": a, "b": float(numpy.float32(a + r.real(0.1, 3)))}


def make_normal(r):
	return weights(r), {"mean": r.real(-2, 2), "std": r.real(0.01, 3)}


def make_dirac(r):
	groups = r.pick([1, 1, 2, 3])
	kernel = tuple(r.integer(1, 6) for _ in range(r.integer(1, 3)))
	return (groups * r.integer(1, 8), r.integer(1, 12)) + kernel, {"groups": groups}


def make_sparse(r):
	# Shares that a float holds exactly, as PyTorch's are doubles.
	return (r.integer(1, 64), r.integer(1, 64)), {"sparsity": r.integer(0, 64) / 64, "std": r.pick([0.01, r.real(0.1, 2)])}


def make_orthogonal(r):
	shape = weights(r) if r.chance(0.9) else (r.integer(100, 300), r.integer(100, 300))
	return shape, {"gain": r.pick([1.0, r.real(0.1, 4)])}


def lecun(function):
	return lambda x, _: function(x, nonlinearity="linear")


def rows(_clef):
	fixed = [
		InitRow("init_eye", lambda r: ((r.integer(1, 40), r.integer(1, 40)), {}),
			lambda c, x, o, rng: c.init_eye(x), lambda x, o: init.eye_(x), 0.0),
		InitRow("init_dirac", make_dirac, lambda c, x, o, rng: c.init_dirac(x, o["groups"]),
			lambda x, o: init.dirac_(x, **o), 0.0),
		InitRow("init_constant", lambda r: (weights(r), {"val": r.real(-2, 2)}),
			lambda c, x, o, rng: c.init_constant(x, o["val"]), lambda x, o: init.constant_(x, **o), 0.0),
	]
	for row in fixed:
		row.compare_values = row.compare_exactly
	return fixed + [
		InitRow("init_uniform", make_uniform, lambda c, x, o, rng: c.init_uniform(x, o["a"], o["b"], rng),
			lambda x, o: init.uniform_(x, **o)),
		InitRow("init_normal", make_normal, lambda c, x, o, rng: c.init_normal(x, o["mean"], o["std"], rng),
			lambda x, o: init.normal_(x, **o)),
		InitRow("init_trunc_normal", make_trunc_normal,
			lambda c, x, o, rng: c.init_trunc_normal(x, o["mean"], o["std"], o["a"], o["b"], rng),
			lambda x, o: init.trunc_normal_(x, **o)),
		InitRow("init_xavier_uniform", make_gain, lambda c, x, o, rng: c.init_xavier_uniform(x, o["gain"], rng),
			lambda x, o: init.xavier_uniform_(x, **o)),
		InitRow("init_xavier_normal", make_gain, lambda c, x, o, rng: c.init_xavier_normal(x, o["gain"], rng),
			lambda x, o: init.xavier_normal_(x, **o)),
		InitRow("init_kaiming_uniform", make_kaiming,
			lambda c, x, o, rng: c.init_kaiming_uniform(x, kaiming_opts(o), rng),
			lambda x, o: init.kaiming_uniform_(x, **o)),
		InitRow("init_kaiming_normal", make_kaiming,
			lambda c, x, o, rng: c.init_kaiming_normal(x, kaiming_opts(o), rng),
			lambda x, o: init.kaiming_normal_(x, **o)),
		InitRow("init_lecun_uniform", lambda r: (weights(r), {}),
			lambda c, x, o, rng: c.init_lecun_uniform(x, rng), lecun(init.kaiming_uniform_)),
		InitRow("init_lecun_normal", lambda r: (weights(r), {}),
			lambda c, x, o, rng: c.init_lecun_normal(x, rng), lecun(init.kaiming_normal_)),
		SparseRow("init_sparse", make_sparse, lambda c, x, o, rng: c.init_sparse(x, o["sparsity"], o["std"], rng),
			lambda x, o: init.sparse_(x, **o)),
		OrthogonalRow("init_orthogonal", make_orthogonal,
			lambda c, x, o, rng: c.init_orthogonal(x, o["gain"], rng), None, 1e-5),
		InitRow("random_exponential", lambda r: (weights(r), {"lambd": r.real(0.1, 5)}),
			lambda c, x, o, rng: c.random_exponential(x, o["lambd"], rng), lambda x, o: x.exponential_(**o)),
		InitRow("random_bernoulli", lambda r: (weights(r), {"p": r.pick([0.0, 1.0, r.real(0, 1)])}),
			lambda c, x, o, rng: c.random_bernoulli(x, o["p"], rng), lambda x, o: x.bernoulli_(**o)),
	]
