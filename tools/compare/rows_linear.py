# SPDX-License-Identifier: Apache-2.0
"""Linear algebra: linear, matmul, and prelu, which has a weight too."""

import torch
import torch.nn.functional as F

from case import Row


def make_prelu(r):
	x = r.shape(1, 4)
	channels = x[1] if len(x) > 1 and r.chance(0.7) else 1
	x = r.floats(x, -3, 3, avoid=(0,))
	if x.size >= 8 and r.chance(0.2):
		x = r.sprinkle(x, [float("nan"), float("inf"), -0.0, 0.0])
	return {"x": x, "w": r.floats((channels,), -0.5, 1)}, {}


def largest(r, usual):
	"""Sometimes more than a block of the fastest matrix product."""
	return r.pick([40, 150]) if r.chance(0.05) else usual


def make_linear(r):
	x = r.shape(1, 4, 7)
	x = (*x[:-1], x[-1] and r.integer(1, largest(r, 7)))
	out = r.integer(1, largest(r, 20))
	return {"x": r.floats(x), "w": r.floats((out, x[-1])), "b": r.floats((out,))}, {}


def make_linear_no_bias(r):
	inputs, options = make_linear(r)
	del inputs["b"]
	return inputs, options


def make_matmul(r):
	m, n, k = (r.integer(1, largest(r, 24)) for _ in range(3))
	return {"a": r.floats((m, k)), "b": r.floats((k, n))}, {}


def rows(_clef):
	return [
		Row("prelu", make_prelu, lambda c, x, o: c.prelu(x.x, x.w), lambda x, o: F.prelu(x.x, x.w)),
		Row("linear", make_linear, lambda c, x, o: c.linear(x.x, x.w, x.b),
			lambda x, o: F.linear(x.x, x.w, x.b)),
		Row("linear_no_bias", make_linear_no_bias, lambda c, x, o: c.linear_no_bias(x.x, x.w),
			lambda x, o: F.linear(x.x, x.w)),
		Row("matmul", make_matmul, lambda c, x, o: c.matmul(x.a, x.b), lambda x, o: torch.matmul(x.a, x.b)),
	]
