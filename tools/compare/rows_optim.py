# SPDX-License-Identifier: Apache-2.0
"""
Optimizers: 200 steps on two parameters with the same gradients in both libraries. The loss is the sum of each parameter
times the gradient that it is to get.
"""

import numpy
import torch

STEPS = 200
LIMIT = 1e-5


class OptimRow:
	def __init__(self, name, make, torch_class, torch_options):
		self.name = name
		self.make = make
		self.torch_class = torch_class
		self.torch_options = torch_options
		self.limit = self.gradient_limit = LIMIT
		self.covers = [f"clef_{name}_new"]

	def compare(self, clef, r, brief=True):  # pylint: disable=unused-argument
		options = self.make(r)
		shapes = [r.dims(0, 3), r.dims(1, 3)]
		start = [r.floats(shape, 0.2, 2) for shape in shapes]
		gradients = [[r.floats(shape, -1, 1) for shape in shapes] for _ in range(STEPS)]
		want = self.torch_steps(torch.float64, start, gradients, options)
		usual = self.torch_steps(torch.float32, start, gradients, options)
		got = self.clef_steps(clef, start, gradients, options)
		errors = (distance(got, want), distance(usual, want))
		return {"value": errors}, f"{', '.join(str(list(shape)) for shape in shapes)}; {options}"

	def torch_steps(self, dtype, start, gradients, options):
		w = [torch.from_numpy(numpy.array(values)).to(dtype).requires_grad_() for values in start]
		optim = self.torch_class(w, **self.torch_options(options))
		for step in gradients:
			for tensor, g in zip(w, step):
				tensor.grad = torch.from_numpy(g).to(dtype)
			optim.step()
		return [tensor.detach().numpy() for tensor in w]

	def clef_steps(self, clef, start, gradients, options):
		params = clef.params_new(clef.dev)
		w = [clef.params_add(params, f"w{i}", values.shape, None) for i, values in enumerate(start)]
		clef.params_commit(params, {"seed": 1})
		for tensor, values in zip(w, start):
			clef.write(tensor, values.ctypes.data, values.nbytes)
		optim = clef.call(self.covers[0], params, options)
		# One recording serves all steps: the gradient of a parameter is the other factor, which may be changed.
		clef.tape_begin(clef.tape)
		factors = [clef.upload(values) for values in start]
		loss = clef.add(*(clef.sum(clef.mul(tensor, factor), None) for tensor, factor in zip(w, factors)))
		for step in gradients:
			for factor, g in zip(factors, step):
				clef.write(factor, g.ctypes.data, g.nbytes)
			clef.backward(loss)
			clef.optim_step(optim)
		values = [clef.numpy(tensor) for tensor in w]
		clef.optim_free(optim)
		clef.params_free(params)
		return values


def distance(got, want):
	"""Over all parameters, relative to the larger of the element and the mean."""
	got, want = (numpy.concatenate([values.ravel() for values in list_]).astype(float) for list_ in (got, want))
	return float((abs(got - want) / numpy.maximum(abs(want), abs(want).mean())).max())


def make_sgd(r):
	options = {"lr": r.real(1e-3, 0.05), "weight_decay": r.pick([0.0, r.real(1e-4, 0.1)])}
	if r.chance(0.7):
		options["momentum"] = r.real(0.1, 0.95)
		options["nesterov"] = r.chance(0.4)
		if not options["nesterov"]:
			options["dampening"] = r.pick([0.0, r.real(0, 1), 1.0])
	return options


def make_adam(r):
	options = {"lr": r.real(1e-4, 0.02), "weight_decay": r.pick([0.0, r.real(1e-4, 0.1)])}
	if r.chance(0.6):
		options.update(beta1=r.real(0.5, 0.95), beta2=r.real(0.9, 0.999), eps=r.pick([1e-8, 1e-6, 1e-3]))
	return options


def adam_options(options):
	return {"lr": options["lr"], "betas": (options.get("beta1", 0.9), options.get("beta2", 0.999)),
		"eps": options.get("eps", 1e-8), "weight_decay": options["weight_decay"]}


def rows(_clef):
	return [
		OptimRow("sgd", make_sgd, torch.optim.SGD, dict),
		OptimRow("adam", make_adam, torch.optim.Adam, adam_options),
	]
