# SPDX-License-Identifier: Apache-2.0
"""
The rows of pointwise.def, found by themselves: PyTorch's function is that of the same name in torch or
torch.nn.functional, with the same parameters in the same order. What differs from that, the range of the inputs, the
range of the parameters and the points where a function or its slope jumps, stands in the tables below.
"""

import math

import torch
import torch.nn.functional as F

from case import Row

# name: function of PyTorch
FUNCTIONS = {
	"gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
	"add_scalar": lambda x, value: x + value,
	"mul_scalar": lambda x, value: x * value,
}

# name: range of the inputs, (-4, 4) for the others. Functions that saturate are computed as 1 minus something, in clef
# as in PyTorch, so that far out nothing is left of their slope.
RANGES = {"log": (0.05, 9), "sqrt": (0.05, 9), "rsqrt": (0.05, 9), "reciprocal": (0.3, 6), "div": (0.4, 6),
	"pow": (0.2, 4), "sigmoid": (-4.5, 4.5), "tanh": (-3, 3), "silu": (-9, 9), "mish": (-9, 9),
	"logsigmoid": (-9, 9), "tanhshrink": (-6, 6), "hardsigmoid": (-6, 6), "hardswish": (-6, 6), "relu6": (-3, 9),
	"softplus": (-12, 12)}

# (name, parameter) or parameter: its range, (0.2, 2) for the others
PARAMETERS = {"negative_slope": (-0.5, 1.5), ("softplus", "threshold"): (2, 20), "threshold": (-2, 2), "value": (-3, 3),
	"min_val": (-2, 0), "max_val": (0.2, 2), "min": (-2, 0), "max": (0.2, 2), "exponent": (-3, 3)}

# name: points where the slope jumps, from the parameters; 0 for the others
KINKS = {
	"hardtanh": lambda low, high: (low, high),
	"clamp": lambda low, high: (low, high),
	"relu6": lambda: (0, 6),
	"hardsigmoid": lambda: (-3, 3),
	"hardswish": lambda: (-3, 3),
	"softshrink": lambda lamb: (-lamb, lamb),
	"hardshrink": lambda lamb: (-lamb, lamb),
	"threshold": lambda threshold, value: (threshold,),
	"softplus": lambda beta, threshold: (0, threshold / beta),
}

SPECIALS = [math.nan, math.inf, -math.inf, 0.0, -0.0, 30.0, -30.0, 300.0, -300.0, 1e8, -1e8]

# How near a kink inputs may be, where it is not 2e-3: of x - tanh(x) little is left near 0, in clef as in PyTorch.
MARGINS = {"tanhshrink": 0.2}

# Where the slope at the kink itself is not compared: softplus computes it, and the slope of clamp at its bounds is 1 in
# older versions of PyTorch and 0 in newer ones.
NO_KINK = ("softplus", "clamp")


def function_of(name):
	function = FUNCTIONS.get(name) or getattr(torch, name, None) or getattr(F, name, None)
	if not function:
		raise SystemExit(f"compare_torch: PyTorch has no {name}; it needs a line in rows_pointwise.py")
	return function


def parameter(r, name, key):
	low, high = PARAMETERS.get((name, key)) or PARAMETERS.get(key) or (0.2, 2)
	# Powers of negative numbers exist for whole exponents only, and those are the common ones.
	return float(r.integer(-2, 4)) if key == "exponent" and r.chance(0.5) else r.real(low, high)


def unary(name, parameters):
	function = function_of(name)

	def make(r):
		values = [default for _, default in parameters]
		if r.chance(0.7):
			values = [parameter(r, name, key) for key, _ in parameters]
		low, high = RANGES.get(name, (-4, 4))
		kinks = KINKS[name](*values) if name in KINKS else (0,)
		finite = [kink for kink in kinks if math.isfinite(kink)]
		x = r.floats(r.shape(0, 4), low, high, finite, MARGINS.get(name, 2e-3))
		if name in ("reciprocal", "pow") and r.chance(0.5) and all(value == int(value) for value in values):
			x = -x
		if x.size >= 8 and r.chance(0.2):
			# Below -3 hardswish is 0; PyTorch computes -inf * 0 and gives NaN at -inf.
			specials = [v for v in SPECIALS if name != "hardswish" or v != -math.inf]
			x = r.sprinkle(x, specials + ([] if name in NO_KINK else list(kinks)))
		return {"x": x}, {"p": values}

	return Row(name, make, lambda c, x, o: c.call("clef_" + name, x.x, *o.p), lambda x, o: function(x.x, *o.p))


def binary(name):
	function = function_of(name)

	def make(r):
		shape = r.shape(0, 4)
		low, high = RANGES.get(name, (-4, 4))
		a, b = (r.floats(broadcast_part(r, shape), low, high) for _ in range(2))
		if r.chance(0.2):  # equal elements, for maximum and minimum
			a, b = a.round(), b.round()
		if name == "div":
			a, b = a * r.pick([-1, 1]), b * r.pick([-1, 1])
			b = b + (b == 0)
		if r.chance(0.1):
			a, b = r.sprinkle(a, SPECIALS), r.sprinkle(b, SPECIALS)
		return {"a": a, "b": b}, {}

	return Row(name, make, lambda c, x, o: c.call("clef_" + name, x.a, x.b), lambda x, o: function(x.a, x.b))


def broadcast_part(r, shape):
	"""A shape that is broadcast to `shape`, or is it."""
	if r.chance(0.4):
		return shape
	shape = shape[r.integer(0, len(shape)):]
	return tuple(1 if r.chance(0.3) else n for n in shape)


def activate(clef):
	"""clef_activate() with one of the rows of one operand, all its parameters given."""
	table = {name: unary(name, parameters) for name, parameters, two in clef.headers.pointwise if not two}

	def make(r):
		name = r.pick(sorted(table))
		arrays, options = table[name].make(r)
		p, q = (options["p"] + [0.0, 0.0])[:2]
		return arrays, {"name": name, **options,
			"activation": {"kind": "CLEF_ACT_" + name.upper(), "p": p or -0.0, "q": q}}

	return Row("activate", make, lambda c, x, o: c.activate(x.x, o.activation),
		lambda x, o: function_of(o.name)(x.x, *o.p))


def rows(clef):
	table = [binary(name) if two else unary(name, parameters) for name, parameters, two in clef.headers.pointwise]
	return table + [activate(clef)]
