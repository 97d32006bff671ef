#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
random_numbers.py LIBRARY [--count N] [--rounds N] [--threads N]: random numbers of clef (the path of libclef.so; the device is
that of the environment) beside those of PyTorch, in millions of values a second. Both sides draw in turn, in one
process, with the same number of threads; a figure is the median over the rounds, and the ratio the median of the rounds'
ratios. Both write into memory that they have written before. `memory` fills the tensor with a constant, on the device: no
draw can be faster than what writes its values.
"""

import argparse
import ctypes
import os
import statistics
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
# A script's own folder is searched first, and this one's name is that of a module of Python's.
sys.path[0] = os.path.join(here, "..", "compare")
sys.modules.pop("random", None)

import torch  # noqa: E402
from binding import Clef  # noqa: E402

# Name, clef's function and arguments behind the tensor, PyTorch's, and the ratio that is wanted.
ROWS = [
	("memory", "fill", (1.5,), lambda y: y.fill_(1.5), None),
	("uniform", "init_uniform", (0.0, 1.0, "rng"), lambda y: torch.rand(y.shape, out=y), 8),
	("normal", "init_normal", (0.0, 1.0, "rng"), lambda y: torch.randn(y.shape, out=y), 4),
	("bernoulli", "random_bernoulli", (0.3, "rng"), lambda y: y.bernoulli_(0.3), None),
	("exponential", "random_exponential", (1.0, "rng"), lambda y: y.exponential_(1.0), None),
]


def seconds(work, repeats):
	start = time.perf_counter()
	work(repeats)
	return (time.perf_counter() - start) / repeats


class Sides:
	def __init__(self, clef, count):
		self.clef = clef
		self.count = count
		self.x = clef.tensor_new(clef.dev, "CLEF_FLOAT32", (count,))
		self.y = torch.empty(count)
		self.rng = clef.struct("clef_rng", {"seed": 1})

	def ours(self, name, arguments):
		arguments = [ctypes.byref(self.rng) if a == "rng" else a for a in arguments]

		def work(repeats):
			for _ in range(repeats):
				self.clef.call("clef_" + name, self.x, *arguments)
			self.clef.finish(self.clef.dev)

		return work

	def theirs(self, function):
		def work(repeats):
			for _ in range(repeats):
				function(self.y)

		return work


def main():
	parser = argparse.ArgumentParser(description=__doc__.strip().split("\n\n", maxsplit=1)[0])
	parser.add_argument("library")
	parser.add_argument("--count", type=int, default=10_000_000)
	parser.add_argument("--rounds", type=int, default=7)
	parser.add_argument("--threads", type=int, default=os.cpu_count())
	options = parser.parse_args()
	torch.set_num_threads(options.threads)
	os.environ.setdefault("POCL_MAX_PTHREAD_COUNT", str(options.threads))
	clef = Clef(options.library, os.path.join(here, "..", "..", "include"), os.environ.get("CLEF_DEVICE"))
	sides = Sides(clef, options.count)
	print(f"{options.count} floats, {options.threads} threads, {clef.device_name()}, PyTorch {torch.__version__}")
	print(f"{'millions a second':<18} {'clef':>8} {'PyTorch':>8} {'ratio':>7}  wanted")
	missed = 0
	for name, function, arguments, other, wanted in ROWS:
		ours, theirs = sides.ours(function, arguments), sides.theirs(other)
		ours(2)
		theirs(1)
		pairs = [(seconds(ours, 5), seconds(theirs, 1)) for _ in range(options.rounds)]
		ratio = statistics.median(b / a for a, b in pairs)
		rates = [options.count / statistics.median(side) / 1e6 for side in zip(*pairs)]
		missed += wanted is not None and ratio < wanted
		print(f"{name:<18} {rates[0]:8.0f} {rates[1]:8.0f} {ratio:7.2f}  {wanted or '-'}")
	return 1 if missed else 0


if __name__ == "__main__":
	sys.exit(main())
