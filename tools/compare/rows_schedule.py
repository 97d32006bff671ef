# SPDX-License-Identifier: Apache-2.0
"""Schedules: the learning rates of 200 steps, of both libraries, with random options."""

import numpy
import torch

STEPS = 200
BASE = 0.5
LIMIT = 1e-6


class ScheduleRow:
	"""make(r) gives clef's options and a function that makes PyTorch's scheduler."""

	def __init__(self, kind, make):
		self.name = f"schedule_{kind}"
		self.kind = f"CLEF_SCHEDULE_{kind.upper()}"
		self.make = make
		self.limit = self.gradient_limit = LIMIT
		self.covers = ["clef_schedule_new"]

	def compare(self, clef, r, brief=True):  # pylint: disable=unused-argument
		options, torch_scheduler = self.make(r)
		reports = [r.real(0.5, 1.5) for _ in range(STEPS)] if self.name == "schedule_plateau" else None
		warmup = r.integer(1, 20) if reports is None and self.name != "schedule_one_cycle" and r.chance(0.3) else 0
		want = self.torch_rates(torch_scheduler, reports, warmup)
		got = self.clef_rates(clef, {"kind": self.kind, "warmup": warmup, **options}, reports)
		error = float((abs(got - want) / numpy.maximum(abs(want), 1e-9)).max())
		return {"value": (error, 0.0)}, f"{options}, warmup {warmup}"

	def torch_rates(self, make, reports, warmup):
		optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
		schedulers = torch.optim.lr_scheduler
		first = None
		if warmup:
			first = schedulers.LinearLR(optim, 1 / (warmup + 1), 1.0, warmup)
		rates = [optim.param_groups[0]["lr"]] if warmup else []
		for _ in range(warmup - 1 if warmup else 0):
			optim.step()
			first.step()
			rates.append(optim.param_groups[0]["lr"])
		for group in optim.param_groups:
			group["lr"] = BASE
			group.pop("initial_lr", None)
		scheduler = make(optim)
		for i in range(STEPS - len(rates)):
			if reports:
				scheduler.step(reports[i])
			rates.append(optim.param_groups[0]["lr"])
			optim.step()
			if not reports:
				scheduler.step()
		return numpy.array(rates)

	def clef_rates(self, clef, options, reports):
		params = clef.params_new(clef.dev)
		clef.params_add(params, "w", (1,), None)
		clef.params_commit(params, {"seed": 1})
		optim = clef.sgd_new(params, {"lr": BASE})
		at = options.get("at")
		if at is not None:
			options = {**options, "at": at.ctypes.data_as(clef.headers.structs["clef_schedule_opts"]().at.__class__)}
		schedule = clef.schedule_new(optim, options)
		rates = []
		for i in range(STEPS):
			if reports:
				clef.schedule_report(schedule, reports[i])
			rates.append(clef.optim_get_lr(optim))
			if i < STEPS - 1:
				clef.schedule_step(schedule)
		clef.schedule_free(schedule)
		clef.optim_free(optim)
		clef.params_free(params)
		return numpy.array(rates)


SCHEDULERS = torch.optim.lr_scheduler


def constant(r):
	o = {"factor": r.real(0.1, 1), "steps": r.integer(1, 100)}
	return o, lambda optim: SCHEDULERS.ConstantLR(optim, o["factor"], o["steps"])


def by_steps(r):
	o = {"every": r.integer(1, 60), "factor": r.real(0.5, 0.95)}
	return o, lambda optim: SCHEDULERS.StepLR(optim, o["every"], o["factor"])


def multistep(r):
	at = numpy.sort(r.integers(r.integer(1, 6), 1, 150)).astype(numpy.int64)
	o = {"at": at, "at_count": len(at), "factor": r.real(0.1, 0.9)}
	return o, lambda optim: SCHEDULERS.MultiStepLR(optim, at.tolist(), o["factor"])


def exponential(r):
	o = {"factor": r.real(0.95, 1)}
	return o, lambda optim: SCHEDULERS.ExponentialLR(optim, o["factor"])


def cosine(r):
	o = {"steps": STEPS + r.integer(0, 200), "end_lr": r.pick([0.0, r.real(1e-3, 0.1)])}
	return o, lambda optim: SCHEDULERS.CosineAnnealingLR(optim, o["steps"], o["end_lr"])


def restarts(r):
	o = {"steps": r.integer(2, 50), "multiple": r.integer(1, 3), "end_lr": r.pick([0.0, r.real(1e-3, 0.1)])}
	return o, lambda optim: SCHEDULERS.CosineAnnealingWarmRestarts(optim, o["steps"], o["multiple"], o["end_lr"])


def one_cycle(r):
	o = {"steps": STEPS + r.integer(0, 50), "start": r.real(0.1, 0.4), "div_factor": r.real(5, 50),
		"final_div_factor": r.real(10, 1e4), "linear": r.chance(0.5), "three_phase": r.chance(0.5)}
	return o, lambda optim: SCHEDULERS.OneCycleLR(optim, BASE, o["steps"], pct_start=o["start"],
		anneal_strategy="linear" if o["linear"] else "cos", cycle_momentum=False, div_factor=o["div_factor"],
		final_div_factor=o["final_div_factor"], three_phase=o["three_phase"])


def linear(r):
	start, steps = r.real(0.1, 1), r.integer(1, 150)
	o = {"start_factor": start, "end_factor": r.real(0.1, 1), "steps": steps, "warmup_factor": 0.0}
	return o, lambda optim: SCHEDULERS.LinearLR(optim, o["start_factor"], o["end_factor"], o["steps"])


def polynomial(r):
	o = {"steps": STEPS + r.integer(0, 100), "power": r.real(0.5, 3)}
	return o, lambda optim: SCHEDULERS.PolynomialLR(optim, o["steps"], o["power"])


def plateau(r):
	o = {"factor": r.real(0.3, 0.9), "patience": r.integer(1, 10), "cooldown": r.integer(0, 5),
		"threshold": r.real(1e-4, 0.1), "end_lr": r.pick([0.0, 0.01]), "absolute": r.chance(0.5),
		"maximum": r.chance(0.5)}
	return o, lambda optim: SCHEDULERS.ReduceLROnPlateau(optim, "max" if o["maximum"] else "min", o["factor"],
		o["patience"], o["threshold"], "abs" if o["absolute"] else "rel", o["cooldown"], o["end_lr"])


def rows(_clef):
	makers = {"constant": constant, "step": by_steps, "multistep": multistep, "exponential": exponential,
		"cosine": cosine, "restarts": restarts, "one_cycle": one_cycle, "linear": linear, "polynomial": polynomial,
		"plateau": plateau}
	return [ScheduleRow(kind, make) for kind, make in makers.items()]
