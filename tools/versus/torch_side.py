# SPDX-License-Identifier: Apache-2.0
"""
PyTorch's side of tools/versus_torch: a process that takes one command a line, as step.c does.

	weights FILE         the values that clef starts with
	setting KEY=VALUE... trains in another way from now on, from these values: layout=last, optimizer=fused, compile=1
	train STEPS          seconds and the loss of the last step
	infer N STEPS        seconds of so many runs on the first N samples, and their loss
	layout plain|last    how inference has its values in memory
	memory               the highest number of bytes that tensors take in a step of training
"""

import sys
import time

# A neighbour of this file has the name of a module that PyTorch wants: what is installed goes first.
sys.path.append(sys.path.pop(0))

import numpy
import torch
from torch import nn

import models


class Side:
	def __init__(self, name, batch, samples, path):
		model = models.MODELS[name]
		channels, size = model.sample
		data = numpy.fromfile(path, numpy.float32, samples * channels * size * size)
		offset = data.nbytes
		self.model = model
		self.batch = batch
		self.samples = samples
		self.images = torch.from_numpy(data.reshape(samples, channels, size, size))
		self.labels = torch.from_numpy(numpy.fromfile(path, numpy.int32, samples, offset=offset)).long()
		self.values = {}
		self.settings = {}
		self.set({})

	def set(self, settings):
		channels, size = self.model.sample
		self.settings = settings
		self.layout = torch.channels_last if settings.get("layout") == "last" else torch.contiguous_format
		self.net = models.torch_model(nn, self.model.text, channels, size)
		with torch.no_grad():
			for name, value in self.values.items():
				self.net.get_parameter(name).copy_(value.reshape(self.net.get_parameter(name).shape))
		self.net = self.net.to(memory_format=self.layout)
		how = {settings["optimizer"]: True} if "optimizer" in settings else {}
		self.optimizer = models.torch_optimizer(torch, self.model.optimizer, self.net.parameters(), **how)
		self.forward = torch.compile(self.net) if settings.get("compile") else self.net
		self.step = 0

	def weights(self, path):
		with open(path, "rb") as file:
			for line in iter(file.readline, b""):
				name, count = line.decode().split()
				self.values[name] = torch.from_numpy(numpy.fromfile(file, numpy.float32, int(count)))
		if set(self.values) != {name for name, _ in self.net.named_parameters()}:
			raise SystemExit(f"versus_torch: the parameters of both sides differ: {sorted(self.values)}")
		self.set(self.settings)
		return "read"

	def train(self, steps):
		self.net.train()
		start = time.perf_counter()
		for _ in range(int(steps)):
			first = self.step * self.batch % self.samples
			x = self.images[first:first + self.batch].to(memory_format=self.layout)
			self.optimizer.zero_grad()
			loss = nn.functional.cross_entropy(self.forward(x), self.labels[first:first + self.batch])
			loss.backward()
			self.optimizer.step()
			self.step += 1
		return f"{time.perf_counter() - start:.9f} {loss.item():.9g}"

	def infer(self, count, steps):
		self.net.eval()
		x = self.images[:int(count)]
		with torch.inference_mode():
			start = time.perf_counter()
			for _ in range(int(steps)):
				y = self.forward(x.to(memory_format=self.layout))
			seconds = time.perf_counter() - start
			return f"{seconds:.9f} {nn.functional.cross_entropy(y, self.labels[:int(count)]).item():.9g}"

	def set_layout(self, layout):
		self.layout = torch.channels_last if layout == "last" else torch.contiguous_format
		self.net = self.net.to(memory_format=self.layout)
		return "set"

	def memory(self):
		"""What there is before the step, and the highest sum of what is allocated and freed in it."""
		kept = list(self.net.parameters()) + list(self.net.buffers())
		kept += [p.grad for p in self.net.parameters() if p.grad is not None]
		kept += [x for state in self.optimizer.state.values() for x in state.values() if torch.is_tensor(x)]
		used = peak = sum(x.numel() * x.element_size() for x in kept)
		with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
			self.train(1)
		events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
		for event in sorted(events, key=lambda event: event.start_ns()):
			used += event.nbytes()
			peak = max(peak, used)
		return str(peak)

	def obey(self, line):
		command, *values = line.split()
		if command == "setting":
			self.set(dict(value.split("=") for value in values))
			return "set"
		return {"weights": self.weights, "train": self.train, "infer": self.infer, "layout": self.set_layout,
			"memory": self.memory}[command](*values)


def main():
	name, batch, samples, path, threads = sys.argv[1:]
	torch.set_num_threads(int(threads))
	torch.set_flush_denormal(True)
	side = Side(name, int(batch), int(samples), path)
	print(f"PyTorch {torch.__version__}", flush=True)
	for line in sys.stdin:
		print(side.obey(line), flush=True)


if __name__ == "__main__":
	main()
