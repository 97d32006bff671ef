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
	"""`translate` makes the class's options of clef's."""

	def __init__(self, name, make, torch_class, translate):
		self.name = name
		self.make = make
		self.torch_class = torch_class
		self.torch_options = translate
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


# ---- rules that PyTorch does not have, after their papers ----

class Rule(torch.optim.Optimizer):
	"""step() calls update(w, g, state, options) for each parameter."""

	def __init__(self, params, **options):
		super().__init__(params, options)

	@torch.no_grad()
	def step(self):  # pylint: disable=arguments-differ
		for group in self.param_groups:
			for w in group["params"]:
				state = self.state[w]
				state["t"] = state.get("t", 0) + 1
				self.update(w, -w.grad if group["maximize"] else w.grad, state, group)

	def average(self, state, name, value, beta):
		state[name] = beta * state.get(name, torch.zeros_like(value)) + (1 - beta) * value
		return state[name]


class Lion(Rule):
	def update(self, w, g, state, o):
		w.mul_(1 - o["lr"] * o["weight_decay"])
		m = state.get("m", torch.zeros_like(g))
		w.sub_(o["lr"] * torch.sign(o["beta1"] * m + (1 - o["beta1"]) * g))
		self.average(state, "m", g, o["beta2"])


class Lars(Rule):
	def update(self, w, g, state, o):
		size = w.norm()
		ratio = o["trust"] * size / (g.norm() + o["weight_decay"] * size + o["eps"])
		d = o["lr"] * (ratio if size > 0 and g.norm() > 0 else 1.0) * (g + o["weight_decay"] * w)
		state["v"] = o["momentum"] * state.get("v", torch.zeros_like(g)) + d
		w.sub_(o["momentum"] * state["v"] + d if o["nesterov"] else state["v"])


class Lamb(Rule):
	def update(self, w, g, state, o):
		m = self.average(state, "m", g, o["beta1"]) / (1 - o["beta1"] ** state["t"])
		v = self.average(state, "v", g * g, o["beta2"]) / (1 - o["beta2"] ** state["t"])
		u = m / (v.sqrt() + o["eps"]) + o["weight_decay"] * w
		ratio = w.norm() / u.norm() if w.norm() > 0 and u.norm() > 0 else 1.0
		w.sub_(o["lr"] * ratio * u)


# ---- random options ----

def common(r, low, high, decoupled=True):
	options = {"lr": r.real(low, high), "weight_decay": r.pick([-0.0, r.real(1e-4, 0.1)]), "maximize": r.chance(0.2)}
	if decoupled:
		options["decoupled"] = r.chance(0.3)
	return options


def betas(r, options, eps=(1e-8, 1e-6, 1e-3)):
	options.update(beta1=r.pick([-0.0, 0.9, r.real(0.5, 0.95)]), beta2=r.pick([0.999, r.real(0.9, 0.999)]),
		eps=r.pick(eps))
	return options


def make_sgd(r):
	options = common(r, 1e-3, 0.05)
	if r.chance(0.7):
		options["momentum"] = r.real(0.1, 0.95)
		options["nesterov"] = r.chance(0.4)
		options["classical"] = r.chance(0.2)  # the same while lr is constant and there is no dampening
		if not options["nesterov"] and not options["classical"]:
			options["dampening"] = r.pick([0.0, r.real(0, 1), 1.0])
	return options


def make_adagrad(r):
	return {**common(r, 1e-3, 0.05), "lr_decay": r.pick([0.0, r.real(1e-4, 0.1)]),
		"accumulator": r.pick([0.0, r.real(0.01, 1)]), "eps": r.pick([1e-10, 1e-6])}


def make_adadelta(r):
	return {**common(r, 0.1, 1), "rho": r.real(0.5, 0.99), "eps": r.pick([1e-6, 1e-4])}


def make_rmsprop(r):
	return {**common(r, 1e-4, 0.01), "alpha": r.real(0.9, 0.99), "eps": r.pick([1e-8, 1e-4]),
		"momentum": r.pick([0.0, r.real(0.1, 0.9)]), "centered": r.chance(0.5)}


def make_adam(r):
	return {**betas(r, common(r, 1e-4, 0.02)), "amsgrad": r.chance(0.3)}


def make_adamw(r):
	return {**betas(r, common(r, 1e-4, 0.02, decoupled=False)), "amsgrad": r.chance(0.3)}


def make_adamax(r):
	return betas(r, common(r, 1e-4, 0.02))


def make_nadam(r):
	return {**betas(r, common(r, 1e-4, 0.02)), "momentum_decay": r.pick([-0.0, 4e-3, r.real(1e-3, 0.1)])}


def make_rprop(r):
	return {"lr": r.real(1e-3, 0.05), "maximize": r.chance(0.2), "eta_minus": r.real(0.3, 0.7),
		"eta_plus": r.real(1.05, 1.3), "step_min": 1e-6, "step_max": r.pick([50.0, 0.1])}


def make_asgd(r):
	return {**common(r, 1e-3, 0.05), "lambd": r.real(1e-4, 0.01), "alpha": r.real(0.5, 1),
		"t0": r.pick([1e6, 20.0])}


def make_lion(r):
	options = common(r, 1e-4, 0.01, decoupled=False)
	return {**options, "beta1": r.real(0.5, 0.95), "beta2": r.real(0.9, 0.99)}


def make_lars(r):
	return {**common(r, 0.01, 0.5, decoupled=False), "momentum": r.real(0.1, 0.9), "trust": r.real(1e-3, 0.1),
		"eps": 1e-8, "nesterov": r.chance(0.3)}


def make_lamb(r):
	return betas(r, common(r, 1e-4, 0.01, decoupled=False), (1e-6, 1e-3))


def make_adafactor(r):
	options = common(r, 1e-3, 0.05, decoupled=False)
	return {**options, "beta2_decay": r.pick([-0.8, r.real(-0.9, -0.5)]), "d": r.real(1, 3),
		"eps1": r.pick([2.0 ** -23, 1e-4]), "eps2": r.pick([1e-3, 0.1])}


# ---- PyTorch's names of them ----

def translate(options):
	"""L2 weight decay; the decoupled one is a change of the values that Decoupled makes."""
	names = {"accumulator": "initial_accumulator_value", "decoupled": None, "classical": None}
	done = {names.get(key, key): value for key, value in options.items()}
	done.pop(None, None)
	if "beta1" in done:
		done["betas"] = (done.pop("beta1"), done.pop("beta2"))
	if "eta_minus" in done:
		done["etas"] = (done.pop("eta_minus"), done.pop("eta_plus"))
		done["step_sizes"] = (done.pop("step_min"), done.pop("step_max"))
	if "beta2_decay" in done:
		done["eps"] = (done.pop("eps1"), done.pop("eps2"))
	return done


def decouple(torch_class):
	"""The class; with `decoupled` all that it has none for is that the values shrink before the step."""

	class Decoupled(torch_class):
		def __init__(self, params, decoupled=False, **options):
			self.decay = options["weight_decay"] if decoupled else 0.0
			if decoupled:
				options["weight_decay"] = 0.0
			super().__init__(params, **options)

		@torch.no_grad()
		def step(self):  # pylint: disable=arguments-differ
			for group in self.param_groups:
				for w in group["params"]:
					w.mul_(1 - group["lr"] * self.decay)
			super().step()

	return Decoupled


def own(name, torch_class):
	"""A class with a decoupled weight decay of its own."""
	def options_of(options):
		return {**translate(options), **({name: options["decoupled"]} if "decoupled" in options else {})}
	return torch_class, options_of


def split(torch_class):
	def options_of(options):
		return {**translate(options), "decoupled": options["decoupled"]}
	return decouple(torch_class), options_of


def rows(_clef):
	optim = torch.optim
	return [
		OptimRow("sgd", make_sgd, *split(optim.SGD)),
		OptimRow("adagrad", make_adagrad, *split(optim.Adagrad)),
		OptimRow("adadelta", make_adadelta, *split(optim.Adadelta)),
		OptimRow("rmsprop", make_rmsprop, *split(optim.RMSprop)),
		OptimRow("adam", make_adam, *own("decoupled_weight_decay", optim.Adam)),
		OptimRow("adamw", make_adamw, optim.AdamW, translate),
		OptimRow("adamax", make_adamax, *split(optim.Adamax)),
		OptimRow("nadam", make_nadam, *own("decoupled_weight_decay", optim.NAdam)),
		OptimRow("radam", make_adamax, *own("decoupled_weight_decay", optim.RAdam)),
		OptimRow("rprop", make_rprop, optim.Rprop, translate),
		OptimRow("asgd", make_asgd, *split(optim.ASGD)),
		OptimRow("lion", make_lion, Lion, dict),
		OptimRow("lars", make_lars, Lars, dict),
		OptimRow("lamb", make_lamb, Lamb, dict),
		OptimRow("adafactor", make_adafactor, optim.Adafactor, translate),
	]
