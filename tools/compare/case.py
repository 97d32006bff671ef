# SPDX-License-Identifier: Apache-2.0
"""
A row of the comparison, a random case of it, and what the two libraries differ by.

PyTorch computes every case in double precision, on the same float32 inputs: that is the wanted result. It also
computes it in float32, to show what error is usual. The loss is the sum of every output times an array of random
numbers, so that each gradient is taken with a random gradient of the output.

The error of an array is the largest |got - want| / max(|want|, mean |want|). Where that exceeds the limit, the case
may be ill-conditioned: a sum of which almost nothing is left, say. Then the inputs, the gradient of the output among
them, are changed at random by half a unit in their last place, and what that moves the wanted result by, scaled back,
counts as the size of the terms that the result was made of; but never as more than a thousand times the result.
"""

import math
import types
import zlib

import numpy
import torch

HALF_ULP = 2.0**-24
SPECIALS = [math.nan, math.inf, -math.inf]


class Random:
	"""Random shapes, values and options. Real numbers are float32 values, so that both libraries get the same."""

	def __init__(self, seed, name, index, nonfinite=False):
		self.generator = numpy.random.default_rng([seed, zlib.crc32(name.encode()), index])
		self.nonfinite = nonfinite

	def integer(self, low, high):
		"""low to high, both included."""
		return int(self.generator.integers(low, high + 1))

	def chance(self, probability):
		return bool(self.generator.random() < probability)

	def pick(self, choices):
		return choices[self.integer(0, len(choices) - 1)]

	def real(self, low, high):
		return float(numpy.float32(self.generator.uniform(low, high)))

	def dims(self, low, high, largest=5):
		"""A shape of low to high dimensions."""
		return tuple(self.integer(1, largest) for _ in range(self.integer(low, high)))

	def shape(self, low, high, largest=5):
		"""The same; one in fifty has no elements."""
		dims = list(self.dims(low, high, largest))
		if dims and self.chance(0.02):
			dims[self.integer(0, len(dims) - 1)] = 0
		return tuple(dims)

	def floats(self, shape, low=-2.0, high=2.0, avoid=(), margin=2e-3):
		"""Uniform values, none of them nearer to a number in `avoid` than half of margin."""
		values = self.generator.uniform(low, high, shape)
		for kink in avoid:
			values = numpy.where(abs(values - kink) < margin, kink + 2 * margin, values)
		return numpy.asarray(values, numpy.float32)

	def integers(self, shape, low, high):
		return numpy.asarray(self.generator.integers(low, high + 1, shape), numpy.int32)

	def distinct(self, shape, low=-2.0, high=2.0):
		"""Values of which no two are nearer than a rounding error, in random order: for maxima and sorting."""
		count = int(numpy.prod(shape, dtype=int))
		steps = self.generator.permutation(count) + self.generator.uniform(0.2, 0.8, count)
		return numpy.asarray(low + (high - low) * steps / max(count, 1), numpy.float32).reshape(shape)

	def permutation(self, count):
		return [int(i) for i in self.generator.permutation(count)]

	def sprinkle(self, values, specials):
		"""Puts some of `specials` at random places."""
		values = values.copy()
		for _ in range(self.integer(1, 3) if values.size else 0):
			values.flat[self.integer(0, values.size - 1)] = self.pick(specials)
		return values


	def spoil(self, inputs, constant):
		"""
		Puts NaN and infinities into the data, which is the first input, or NaN into another. Infinite weights are left
		out, because where they meet a zero depends on the order of a product's factors, and all weights of
		convolutions, because it depends on the algorithm whether they meet the padding: in PyTorch as well.
		"""
		names = [name for name, values in inputs.items() if numpy.asarray(values).dtype != numpy.int32
			and not (name in ("w", "weight") and numpy.ndim(values) > 2) and name not in constant]
		if names:
			name = self.pick(names)
			values = numpy.array(inputs[name])
			for i in self.permutation(3)[:self.integer(1, 3)] if values.size else []:
				if name == names[0] or math.isnan(SPECIALS[i]):
					values.flat[self.integer(0, values.size - 1)] = SPECIALS[i]
			inputs[name] = values


class Row:
	"""
	An operation. make(r) gives a dictionary of inputs (NumPy arrays; those of float32 get a gradient, but for the
	ones named in `constant`) and one of options. clef(c, x, o) and reference(x, o) apply the operation to them, as
	x.name and o.name, and return a result or a list of results. `covers` names the library's functions, if they are
	others. `composed`: PyTorch makes its gradient of those of several operations (or the reference does), in which
	infinities meet that do not meet in the formula of the gradient.
	"""

	def __init__(self, name, make, clef, reference, limit=1e-5, gradient_limit=None, covers=None, constant=(),
			composed=False):
		self.name = name
		self.make = make
		self.clef = clef
		self.reference = reference
		self.limit = limit
		self.gradient_limit = limit if gradient_limit is None else gradient_limit
		self.covers = ["clef_" + each for each in (covers or [name])]
		self.constant = constant
		self.composed = composed

	def compare(self, clef, r, brief=True):
		"""Runs a case. Gives {"value" or an input: (error of clef, error of PyTorch)} and what the case is."""
		inputs, options = self.make(r)
		if r.nonfinite:
			r.spoil(inputs, self.constant)
		case = Case(self, inputs, types.SimpleNamespace(**options), r)
		if not r.nonfinite or case.torch_accepts():
			case.run(clef)
		return case.errors, case.text() if brief else case.text() + "\n" + case.details_text()


class Mismatch(Exception):
	"""clef refused the case, or gave something of another shape."""


class Case:
	def __init__(self, row, inputs, options, r):
		self.row = row
		# Arithmetic on arrays without dimensions gives NumPy's numbers, and some of it doubles.
		self.inputs = {name: numpy.asarray(values) for name, values in inputs.items()}
		for name, values in self.inputs.items():
			if values.dtype != numpy.int32:
				self.inputs[name] = values.astype(numpy.float32)
		self.options = options
		self.differentiable = [name for name, values in self.inputs.items()
			if values.dtype == numpy.float32 and name not in row.constant]
		self.generator = r.generator
		self.nonfinite = r.nonfinite
		self.weights = None
		self.errors = {}
		self.details = []

	def text(self):
		shapes = ", ".join(f"{name} {list(values.shape)}" for name, values in self.inputs.items())
		return f"{shapes}; {vars(self.options)}"

	def details_text(self):
		"""Every array of the case, where it has few elements, and what the results are off by."""
		lines = [f"{name} = {numpy.array2string(array, threshold=200)}" for name, array in self.inputs.items()]
		return "\n".join(lines + self.details)

	# ---- PyTorch ----

	def torch(self, dtype, perturb=None):
		"""Values and gradients as NumPy arrays; a gradient that is not reached is None."""
		x = types.SimpleNamespace()
		for name, values in self.inputs.items():
			if values.dtype == numpy.int32:
				setattr(x, name, torch.from_numpy(values.astype(numpy.int64)))
				continue
			tensor = torch.from_numpy(nearby(values.astype(numpy.float64), perturb))
			setattr(x, name, tensor.to(dtype).requires_grad_(name in self.differentiable))
		results = self.row.reference(x, self.options)
		results = list(results) if isinstance(results, (list, tuple)) else [results]
		if self.weights is None:
			self.weights = [self.random_like(y) if y.requires_grad else None for y in results]
		weights = [g if g is None else torch.from_numpy(nearby(g.astype(numpy.float64), perturb)).to(dtype)
			for g in self.weights]
		terms = ((y * g).sum() for y, g in zip(results, weights) if g is not None)
		loss = sum(terms, torch.zeros((), dtype=dtype))
		leaves = [getattr(x, name) for name in self.differentiable]
		gradients = [None] * len(leaves)
		if loss.requires_grad:
			gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
		return ([y.detach().numpy() for y in results],
			[None if g is None else g.detach().numpy() for g in gradients])

	def random_like(self, y):
		return numpy.asarray(self.generator.uniform(0.3, 1.5, tuple(y.shape)), numpy.float32)

	def torch_accepts(self):
		"""Some of its functions refuse what is not finite."""
		try:
			self.torch(torch.float64)
		except (RuntimeError, AssertionError):
			return False
		return True

	# ---- clef ----

	def clef(self, clef):
		clef.tape_begin(clef.tape)
		x = types.SimpleNamespace()
		for name, values in self.inputs.items():
			setattr(x, name, clef.upload(values))
			if name in self.differentiable:
				clef.requires_grad(getattr(x, name), True)
		results = self.row.clef(clef, x, self.options)
		results = list(results) if isinstance(results, (list, tuple)) else [results]
		values = [clef.numpy(y) for y in results]
		loss = None
		for y, value, g in zip(results, values, self.weights):
			if g is None:
				continue
			if value.shape != g.shape:
				raise Mismatch(f"the result is {list(value.shape)}, PyTorch's is {list(g.shape)}")
			term = clef.sum(clef.mul(y, clef.upload(g)), None)
			loss = term if loss is None else clef.add(loss, term)
		if loss is None:
			return values, [None] * len(self.differentiable)
		clef.backward(loss)
		return values, [clef.numpy(clef.grad(getattr(x, name))) if wanted else None
			for name, wanted in zip(self.differentiable, self.reached)]

	# ---- both ----

	def run(self, clef):
		want_values, want_gradients = self.torch(torch.float64)
		self.reached = [gradient is not None for gradient in want_gradients]
		usual_values, usual_gradients = self.torch(torch.float32)
		got_values, got_gradients = self.clef(clef)
		if len(got_values) != len(want_values):
			raise Mismatch(f"{len(got_values)} results, PyTorch has {len(want_values)}")
		for i, (got, want, usual) in enumerate(zip(got_values, want_values, usual_values)):
			self.note("value", self.row.limit, got, want, usual, lambda run, i=i: run[0][i])
		for i, (got, want, usual) in enumerate(zip(got_gradients, want_gradients, usual_gradients)):
			if want is None:
				continue
			name = self.differentiable[i]
			# At NaN and infinity themselves PyTorch's vectorized and scalar code do not agree.
			finite = numpy.isfinite(self.inputs[name])
			got, want, usual = (numpy.where(finite, gradient, 0) for gradient in (got, want, usual))
			if self.nonfinite and self.row.composed:
				continue
			if self.nonfinite:  # that they are not finite counts, not the kind
				got, want, usual = (numpy.where(numpy.isfinite(gradient), 0, numpy.nan) for gradient in (got, want, usual))
			self.note(name, self.row.gradient_limit, got, want, usual, lambda run, i=i: run[1][i])

	def note(self, name, limit, got, want, usual, part):
		if got.shape != want.shape:
			raise Mismatch(f"{name}: the shape is {list(got.shape)}, PyTorch's is {list(want.shape)}")
		errors = [error(got, want), error(usual, want)]
		if self.nonfinite and errors[1] > limit:
			return  # PyTorch does not agree with itself
		if max(errors) > limit and want.dtype != numpy.int64:
			size = self.size_of_terms(want, part)
			errors = [error(got, want, size), error(usual, want, size)]
		if errors[0] > limit:
			self.tell(name, limit, got, want, usual)
		before = self.errors.get(name, (0.0, 0.0))
		self.errors[name] = (max(before[0], errors[0]), max(before[1], errors[1]))

	def tell(self, name, limit, got, want, usual):
		with numpy.errstate(all="ignore"):
			right = (got == want.astype(got.dtype)) | (abs(got - want) <= limit * abs(want))
		for at in map(tuple, numpy.argwhere(~(right | (numpy.isnan(got) & numpy.isnan(want))))[:8]):
			place = f"{name}{[int(i) for i in at]}"
			self.details.append(f"{place}: {got[at]}, PyTorch {want[at]}, in float32 {usual[at]}")

	def size_of_terms(self, want, part):
		moved = numpy.zeros(want.shape)
		perturb = numpy.random.default_rng(1)
		with numpy.errstate(invalid="ignore"):
			for _ in range(6):
				change = abs(part(self.torch(torch.float64, perturb)) - want)
				moved = numpy.fmax(moved, numpy.where(numpy.isfinite(change), change, 0))
		moved = numpy.maximum(moved, numpy.sqrt((moved**2).mean())) if moved.size else moved
		return moved / HALF_ULP / 8


def nearby(values, perturb):
	"""With a generator: the values up or down by half a unit in the last place of a float32."""
	if perturb is None:
		return values
	return numpy.asarray(values * (1 + HALF_ULP * perturb.choice([-1.0, 1.0], values.shape)))


def error(got, want, size=None):
	"""The largest relative error; infinity where NaN or infinities are not at the same places."""
	if not want.size:
		return 0.0
	with numpy.errstate(over="ignore", invalid="ignore"):
		single = want.astype(numpy.float32)
		finite = numpy.isfinite(single)
		same = (got == single) | (numpy.isnan(got) & numpy.isnan(single))
	if not numpy.where(finite, numpy.isfinite(got), same).all():
		return numpy.inf
	if not finite.any():
		return 0.0
	want, got = want[finite].astype(numpy.float64), got[finite].astype(numpy.float64)
	scale = numpy.maximum(abs(want), abs(want).mean())
	if size is not None:
		scale = numpy.maximum(scale, numpy.minimum(size[finite], 1000 * scale))
	# Below this, float32 numbers are denormal, and devices may take them for zero.
	return float((abs(got - want) / numpy.maximum(scale, 1e-30)).max())
