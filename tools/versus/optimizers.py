#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
optimizers.py LIBRARY [--rule NAME] [--list] [--loop NAME] [--rounds N] [--threads N]: steps of clef's optimizers (the
path of libclef.so; the device is that of the environment) on ten million parameters, beside the device's copy bandwidth
and PyTorch's fastest loop (default, foreach or fused), all three in turn in one process.

`bytes` is what the rule must move for a parameter: values are read and written, gradients read, states read and
written; rules that need a norm first read once more what it depends on. GB/s counts these, `of copy` compares them with
clef_copy() of as many values in the same round. Figures are medians over the rounds, ratios medians of the rounds'
ratios. With --list the parameters are those of ResNet-18, 62 tensors and 11 million in all; else one matrix.
"""

import argparse
import ctypes
import functools
import math
import os
import statistics
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
# A script's own folder is searched first, and this one's name is that of a module of Python's.
sys.path[0] = os.path.join(here, "..", "compare")
sys.modules.pop("random", None)

import torch  # noqa: E402
from torch import optim  # noqa: E402
from binding import Clef  # noqa: E402

SHARE = 0.8  # of the copy bandwidth, which every rule is to reach
RATE = 1e-5  # so that nothing grows over many steps
GLIBC_MMAP_MAX, GLIBC_TRIM_THRESHOLD, GLIBC_TOP_PAD = -4, -1, -2


class Rule:
	"""bytes: a number, or a function of the shapes. make: PyTorch's, of parameters and options, or None."""

	def __init__(self, name, text, moved, make, clip=0.0, wanted=None):
		self.name = name
		self.text = text
		self.moved = moved
		self.make = make
		self.clip = clip
		self.wanted = wanted

	def bytes(self, shapes):
		return self.moved(shapes) if callable(self.moved) else self.moved * values_in(shapes)


def values_in(shapes):
	return sum(map(math.prod, shapes))


def factored(shapes):
	"""
	Three passes: statistics, which need all of g first; the direction's norm and that of w; the step. Where the
	statistics of a matrix are at hand as soon as it has been read, the second pass is part of the first.
	"""
	total = 0
	for shape in shapes:
		n = math.prod(shape)
		if len(shape) < 2:
			total += n * (8 + 12) + n * 12  # g w, g w w; the statistics of elements: read, written, read
			continue
		matrices = n // (shape[-2] * shape[-1])
		statistics_ = matrices * (shape[-2] + shape[-1])
		small = shape[-2] * shape[-1] <= 256
		total += n * (8 + 12 if small else 4 + 8 + 12) + statistics_ * (12 if small else 16)
	return total


def rows():
	torch_rule = functools.partial
	adam = f"lr={RATE}"
	return [
		Rule("sgd", f"sgd({RATE})", 12, torch_rule(optim.SGD, lr=RATE)),
		Rule("sgd, momentum", f"momentum({RATE})", 20, torch_rule(optim.SGD, lr=RATE, momentum=0.9)),
		Rule("sgd, nesterov", f"nesterov({RATE})", 20, torch_rule(optim.SGD, lr=RATE, momentum=0.9, nesterov=True),
			wanted=1.4),
		Rule("sgd, clip norm", f"sgd({RATE})", 16, torch_rule(optim.SGD, lr=RATE), clip=1.0),
		Rule("adagrad", f"adagrad({RATE})", 20, torch_rule(optim.Adagrad, lr=RATE)),
		Rule("adadelta", f"adadelta({RATE})", 28, torch_rule(optim.Adadelta, lr=RATE)),
		Rule("rmsprop", f"rmsprop({RATE})", 20, torch_rule(optim.RMSprop, lr=RATE)),
		Rule("rmsprop, centered", f"rmsprop({RATE}, momentum=0.9, centered)", 36,
			torch_rule(optim.RMSprop, lr=RATE, momentum=0.9, centered=True)),
		Rule("adam", f"adam({adam})", 28, torch_rule(optim.Adam, lr=RATE), wanted=2),
		Rule("adam, amsgrad", f"adam({adam}, amsgrad)", 36, torch_rule(optim.Adam, lr=RATE, amsgrad=True)),
		Rule("adam, clip norm", f"adam({adam})", 32, torch_rule(optim.Adam, lr=RATE), clip=1.0),
		Rule("adamw", f"adamw({adam})", 28, torch_rule(optim.AdamW, lr=RATE), wanted=2),
		Rule("adamax", f"adamax({adam})", 28, torch_rule(optim.Adamax, lr=RATE)),
		Rule("nadam", f"nadam({adam})", 28, torch_rule(optim.NAdam, lr=RATE)),
		Rule("radam", f"radam({adam})", 28, torch_rule(optim.RAdam, lr=RATE)),
		Rule("rprop", f"rprop({adam})", 28, torch_rule(optim.Rprop, lr=RATE)),
		Rule("asgd", f"asgd({adam})", 20, torch_rule(optim.ASGD, lr=RATE)),
		Rule("lion", f"lion({adam})", 20, None),
		Rule("lars", f"lars({adam})", 28, None),
		Rule("lamb", f"lamb({adam})", 44, None),
		Rule("adafactor", f"adafactor({adam})", factored, torch_rule(optim.Adafactor, lr=RATE)),
	]


def resnet18():
	"""Its parameters for images of 3 channels and 10 classes, with a stem of 3 x 3."""
	shapes = []

	def conv(inside, out, size):
		shapes.extend([(out, inside, size, size), (out,), (out,)])

	conv(3, 64, 3)
	inside = 64
	for out in (64, 128, 256, 512):
		for block in range(2):
			conv(inside, out, 3)
			conv(out, out, 3)
			if inside != out and block == 0:
				conv(inside, out, 1)
			inside = out
	return shapes + [(10, 512), (10,)]


# ---- the two sides ----

class Ours:
	def __init__(self, clef, shapes):
		self.clef = clef
		self.params = clef.params_new(clef.dev)
		w = [clef.params_add(self.params, f"w{i}", shape, {"kind": "CLEF_INIT_NORMAL"})
			for i, shape in enumerate(shapes)]
		clef.params_commit(self.params, {"seed": 1})
		clef.tape_begin(clef.tape)
		rng = clef.struct("clef_rng", {"seed": 2})
		self.loss = None
		self.factors = []
		# The gradient of a value is what it is multiplied with, so one recording serves all steps.
		for tensor, shape in zip(w, shapes):
			factor = clef.tensor_new(clef.dev, "CLEF_FLOAT32", shape)
			clef.call("clef_init_normal", factor, 0.0, 1.0, ctypes.byref(rng))
			self.factors.append(factor)
			term = clef.sum(clef.mul(tensor, factor), None)
			self.loss = clef.add(self.loss, term) if self.loss else term
		count = values_in(shapes)
		self.copies = [clef.tensor_new(clef.dev, "CLEF_FLOAT32", (count,)) for _ in range(2)]
		for tensor in self.copies:
			clef.fill(tensor, 1.0)

	def use(self, rule):
		options = ctypes.create_string_buffer(1024)  # a clef_optim_opts, which has a union
		self.clef.optim_parse(rule.text, options)
		self.optim = self.clef.call("clef_optim_new", self.params, options)
		if rule.clip:
			self.clef.optim_gradients(self.optim, {"clip_norm": rule.clip})

	def timed(self, work):
		self.clef.finish(self.clef.dev)
		start = time.perf_counter()
		work()
		self.clef.finish(self.clef.dev)
		return time.perf_counter() - start

	def step(self):
		self.clef.backward(self.loss)
		return self.timed(lambda: self.clef.optim_step(self.optim))

	def copy(self):
		return self.timed(lambda: self.clef.copy(*self.copies))

	def done(self):
		self.clef.optim_free(self.optim)

	def close(self):
		for tensor in self.copies + self.factors:
			self.clef.tensor_free(tensor)
		self.clef.params_free(self.params)
		self.clef.close()


class Theirs:
	LOOPS = {"default": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}

	def __init__(self, shapes, loops):
		self.loops = loops or list(self.LOOPS)
		self.w = [torch.randn(shape).requires_grad_() for shape in shapes]
		for tensor in self.w:
			tensor.grad = torch.randn(tensor.shape)

	def use(self, rule):
		"""Finds the fastest loop."""
		times = {}
		for name in self.loops:
			try:
				self.optim = rule.make(self.w, **self.LOOPS[name])
				self.clip = rule.clip
				self.foreach = name != "default"
				self.step()
			except (RuntimeError, TypeError):
				continue  # PyTorch has no such loop for this rule
			times[min(self.step() for _ in range(3))] = name, self.optim, self.foreach
		self.name, self.optim, self.foreach = times[min(times)]

	def step(self):
		start = time.perf_counter()
		if self.clip:
			torch.nn.utils.clip_grad_norm_(self.w, self.clip, foreach=self.foreach)
		self.optim.step()
		return time.perf_counter() - start


def measure(rule, ours, theirs, rounds):
	"""Seconds of copy, clef and PyTorch (or None) in each round."""
	ours.use(rule)
	for _ in range(2):
		ours.step()
	if rule.make:
		theirs.use(rule)
	result = []
	for _ in range(rounds):
		result.append((ours.copy(), ours.step(), theirs.step() if rule.make else None))
		if rule.make:
			time.sleep(0.03)  # until idle threads stop spinning
	ours.done()
	return result


def show(rule, shapes, result, theirs):
	"""False where less than is wanted."""
	count, moved = values_in(shapes), rule.bytes(shapes)
	took = statistics.median(clef for _, clef, _ in result)
	share = statistics.median(moved / clef / (8 * count / copy) for copy, clef, _ in result)
	line = f"{rule.name:<18} {1e3 * took:7.2f} {moved / count:6.1f} {1e-9 * moved / took:6.1f} {100 * share:7.0f} %"
	good = share >= SHARE
	if rule.make:
		ratio = statistics.median(torch_ / clef for _, clef, torch_ in result)
		good &= ratio >= (rule.wanted or 0)
		other = statistics.median(torch_ for _, _, torch_ in result)
		line += f" {1e3 * other:9.2f} {theirs.name:<8} {ratio:6.2f}  {rule.wanted or '-'}"
	print(line, flush=True)
	return good


def main():
	parser = argparse.ArgumentParser(description=__doc__.strip().split("\n\n", maxsplit=1)[0])
	parser.add_argument("library")
	parser.add_argument("--rule", action="append", metavar="NAME", help="only this row; may be repeated")
	parser.add_argument("--list", action="store_true", help="62 tensors in place of one")
	parser.add_argument("--rounds", type=int, default=15)
	parser.add_argument("--threads", type=int, default=os.cpu_count())
	parser.add_argument("--loop", action="append", choices=Theirs.LOOPS, help="only this of PyTorch's loops")
	options = parser.parse_args()
	known = [rule.name for rule in rows()]
	for name in options.rule or []:
		if name not in known:
			parser.error(f"there is no {name}; there are: {'; '.join(known)}")
	torch.set_num_threads(options.threads)
	os.environ.setdefault("POCL_MAX_PTHREAD_COUNT", str(options.threads))
	# glibc gives freed memory back to the system, and PyTorch would pay for fresh pages in every step.
	if hasattr(ctypes.CDLL(None), "mallopt"):
		for setting, value in ((GLIBC_MMAP_MAX, 0), (GLIBC_TRIM_THRESHOLD, 1 << 30), (GLIBC_TOP_PAD, 1 << 26)):
			ctypes.CDLL(None).mallopt(setting, value)
	clef = Clef(options.library, os.path.join(here, "..", "..", "include"), os.environ.get("CLEF_DEVICE"))
	shapes = resnet18() if options.list else [(3200, 3125)]
	print(f"{values_in(shapes)} parameters in {len(shapes)} tensors, {options.threads} threads, {clef.device_name()}, "
		f"PyTorch {torch.__version__}")
	ours, theirs = Ours(clef, shapes), Theirs(shapes, options.loop)
	print(f"copy: {8e-9 * values_in(shapes) / statistics.median(ours.copy() for _ in range(15)):.1f} GB/s")
	print("rule               clef ms  bytes   GB/s   of copy PyTorch ms loop     ratio  wanted")
	good = True
	for rule in rows():
		if not options.rule or rule.name in options.rule:
			good &= show(rule, shapes, measure(rule, ours, theirs, options.rounds), theirs)
	ours.close()
	return 0 if good else 1


if __name__ == "__main__":
	sys.exit(main())
