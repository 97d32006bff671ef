# SPDX-License-Identifier: Apache-2.0
"""Linear algebra: linear with and without an activation, matmul, and prelu, which has a weight too."""

import torch
import torch.nn.functional as F

import activation
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


# The kinds that linear_act is compared with: those that are one operation with it, and some that are another.
ACTIVATIONS = {
	"RELU": lambda x, p, q: F.relu(x), "LEAKY_RELU": lambda x, p, q: F.leaky_relu(x, p), "TANH": lambda x, p, q: x.tanh(),
	"SIGMOID": lambda x, p, q: x.sigmoid(), "HARDTANH": lambda x, p, q: F.hardtanh(x, p - 1, q + 1),
	"RELU6": lambda x, p, q: F.relu6(x), "GELU": lambda x, p, q: F.gelu(x), "SILU": lambda x, p, q: F.silu(x),
	"ELU": lambda x, p, q: F.elu(x, p),
}


def make_linear_act(r):
	inputs, _ = make_linear(r)
	kind, p, q = r.pick(list(ACTIVATIONS)), r.real(0.1, 0.9), r.real(0, 0.9)
	activation = {"kind": "CLEF_ACT_" + kind, "p": p - 1 if kind == "HARDTANH" else p, "q": q + 1}
	# Where tanh and sigmoid are 1 nearly, nothing is left of their slope.
	return {name: values * 0.3 for name, values in inputs.items()}, {"kind": kind, "p": p, "q": q, "act": activation}


def make_linear_act_no_bias(r):
	inputs, options = make_linear_act(r)
	del inputs["b"]
	return inputs, options


def make_add_act(r):
	shape = r.dims(0, 4)
	return {"a": r.floats(shape), "b": r.floats(shape)}, {"act": activation.pick(r)}


def activated(y, o):
	return ACTIVATIONS[o.kind](y, o.p, o.q)


def broadcast_part(r, batch):
	"""Dimensions of a batch that broadcast to `batch`, or are it."""
	if r.chance(0.5):
		return batch
	return tuple(1 if r.chance(0.4) else n for n in batch[r.integer(0, len(batch)):])


def make_matmul(r, transposes=False):
	m, n, k = (0 if r.chance(0.01) else r.integer(1, largest(r, 24)) for _ in range(3))
	batch = r.shape(0, 3, 4)
	a, b = (*broadcast_part(r, batch), m, k), (*broadcast_part(r, batch), k, n)
	if transposes:
		trans_a, trans_b = r.chance(0.5), r.chance(0.5)
		a = (*a[:-2], k, m) if trans_a else a
		b = (*b[:-2], n, k) if trans_b else b
		return {"a": r.floats(a), "b": r.floats(b)}, {"trans_a": trans_a, "trans_b": trans_b}
	if r.chance(0.15):
		a = (k,)
	if r.chance(0.15):
		b = (k,)
	return {"a": r.floats(a), "b": r.floats(b)}, {}


def make_matmul_trans(r):
	return make_matmul(r, True)


def matmul_trans(x, o):
	return torch.matmul(x.a.mT if o.trans_a else x.a, x.b.mT if o.trans_b else x.b)


def rows(_clef):
	return [
		Row("prelu", make_prelu, lambda c, x, o: c.prelu(x.x, x.w), lambda x, o: F.prelu(x.x, x.w)),
		Row("linear", make_linear, lambda c, x, o: c.linear(x.x, x.w, x.b),
			lambda x, o: F.linear(x.x, x.w, x.b)),
		Row("linear_no_bias", make_linear_no_bias, lambda c, x, o: c.linear_no_bias(x.x, x.w),
			lambda x, o: F.linear(x.x, x.w)),
		Row("linear_act", make_linear_act, lambda c, x, o: c.linear_act(x.x, x.w, x.b, o.act),
			lambda x, o: activated(F.linear(x.x, x.w, x.b), o), composed=True),
		Row("linear_act_no_bias", make_linear_act_no_bias, lambda c, x, o: c.linear_act_no_bias(x.x, x.w, o.act),
			lambda x, o: activated(F.linear(x.x, x.w), o), composed=True),
		Row("add_act", make_add_act, lambda c, x, o: c.add_act(x.a, x.b, o.act),
			lambda x, o: activation.apply(x.a + x.b, o.act), composed=True),
		Row("matmul", make_matmul, lambda c, x, o: c.matmul(x.a, x.b), lambda x, o: torch.matmul(x.a, x.b)),
		Row("matmul_trans", make_matmul_trans,
			lambda c, x, o: c.matmul_trans(x.a, int(o.trans_a), x.b, int(o.trans_b)), matmul_trans),
	]
