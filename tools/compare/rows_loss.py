# SPDX-License-Identifier: Apache-2.0
"""Losses and scores."""

import math

import torch
import torch.nn.functional as F

from case import Row

REDUCTIONS = {"mean": "CLEF_REDUCTION_MEAN", "sum": "CLEF_REDUCTION_SUM", "none": "CLEF_REDUCTION_NONE",
	"batchmean": "CLEF_REDUCTION_BATCHMEAN"}


def make_classes(r):
	# Of one row the loss may be a thousandth: the logarithm of a rounded 1.001, in clef as in PyTorch.
	n, classes = r.integer(1, 12), r.integer(1, 12)
	size = r.pick([1, 4, 20]) if n > 4 else 1
	return {"logits": r.floats((n, classes), -size, size), "labels": r.integers((n,), 0, classes - 1)}, {}


def make_scores(r):
	inputs, options = make_classes(r)
	if r.chance(0.3):  # ties
		inputs["logits"] = inputs["logits"].round()
	if r.chance(0.1):
		inputs["logits"] = r.sprinkle(inputs["logits"], [math.nan, math.inf, -math.inf])
	return inputs, options


def accuracy(x, _):
	return (x.logits.argmax(1) == x.labels).to(x.logits.dtype).mean()


# ---- classifiers, with options ----


def make_class_loss(r, labels=True):
	classes = r.integer(1, 7)
	outer, inner = r.pick([(), (r.integer(1, 6),), (r.integer(1, 6),)]), ()
	if outer:
		inner = r.dims(0, 2, 3)
	size = r.pick([1, 4, 20]) if math.prod(outer + inner) > 4 else 1
	x = {"x": r.floats(outer + (classes,) + inner, -size, size)}
	options = {"reduction": r.pick(["mean", "sum", "none"]), "ignore": r.pick([-100, -100, 0, -1])}
	if labels:
		x["target"] = r.integers(outer + inner, 0, classes - 1)
		if r.chance(0.5):
			x["target"] = r.sprinkle(x["target"], [options["ignore"]])
	else:
		x["target"] = r.floats(outer + (classes,) + inner, 0, 1)
	if r.chance(0.5):
		x["weight"] = r.floats((classes,), 0.1, 3)
	return x, options


def make_cross_entropy(r):
	x, options = make_class_loss(r, r.chance(0.6))
	return x, {**options, "smoothing": r.pick([0.0, 0.0, 0.125, 0.5, 1.0])}


def class_opts(x, o):
	opts = {"reduction": REDUCTIONS[o.reduction], "label_smoothing": getattr(o, "smoothing", 0.0)}
	if o.ignore != -100:
		opts.update(has_ignore_index=True, ignore_index=o.ignore)
	if hasattr(x, "weight"):
		opts["weight"] = x.weight
	return opts


def cross_entropy(x, o):
	# PyTorch has no options of labels for probabilities.
	ignore = {} if x.target.is_floating_point() else {"ignore_index": o.ignore}
	return F.cross_entropy(x.x, x.target, weight=getattr(x, "weight", None), label_smoothing=o.smoothing,
		reduction=o.reduction, **ignore)


def nll_loss(x, o):
	return F.nll_loss(x.x, x.target, weight=getattr(x, "weight", None), ignore_index=o.ignore,
		reduction=o.reduction)


# ---- an element and its target ----


def elementwise(low=-3.0, high=3.0, target_low=-3.0, target_high=3.0, parameters=None,
		reductions=("mean", "sum", "none")):
	def make(r):
		shape = r.shape(0, 4)
		options = {"reduction": r.pick(reductions)}
		if options["reduction"] == "batchmean" and not shape:
			shape = (3,)
		if parameters:
			options["p"] = r.pick(parameters)
		x = r.floats(shape, low, high)
		return {"x": x, "target": r.floats(shape, target_low, target_high)}, options
	return make


def make_bce(logits):
	def make(r):
		# Of large logits with a target that agrees with them little is left, in clef as in PyTorch.
		inputs, options = elementwise(-2 if logits else 0.02, 2 if logits else 0.98, 0, 1)(r)
		shape = inputs["x"].shape
		if r.chance(0.3):
			inputs["target"] = inputs["target"].round()
		if inputs["x"].size >= 8 and logits:
			inputs["x"] = inputs["x"] * r.pick([1, 4])
		if inputs["x"].size >= 8 and r.chance(0.15):
			inputs["x"] = r.sprinkle(inputs["x"], [50, -50, 200, -200] if logits else [0, 1])
		for name in ["weight", "pos_weight"] if logits else ["weight"]:
			if r.chance(0.4):
				part = shape[r.integer(0, len(shape)):]
				inputs[name] = r.floats(tuple(1 if r.chance(0.3) else n for n in part), 0.1, 3)
		return inputs, options
	return make


def bce_opts(x, o):
	opts = {"reduction": REDUCTIONS[o.reduction]}
	opts.update({name: getattr(x, name) for name in ("weight", "pos_weight") if hasattr(x, name)})
	return opts


def bce(function, names):
	return lambda x, o: function(x.x, x.target, reduction=o.reduction, **{n: getattr(x, n, None) for n in names})


def kl_div(log_target):
	return lambda x, o: F.kl_div(x.x, x.target, reduction=o.reduction, log_target=log_target)


# ---- margins and cosines ----


def make_margin(*names):
	def make(r):
		shape = r.shape(0, 3)
		signs = r.integers(shape, 0, 1) * 2 - 1
		return {**{name: r.floats(shape, -3, 3) for name in names}, "target": signs.astype("float32")}, {
			"margin": r.real(-1, 1), "reduction": r.pick(["mean", "sum", "none"])}
	return make


def make_cosine_embedding(r):
	n = r.pick([(), (r.integer(1, 6),)])
	shape = n + (r.integer(2, 9),)
	signs = r.integers(n, 0, 1) * 2 - 1
	return {"x1": r.floats(shape), "x2": r.floats(shape), "target": signs.astype("float32")}, {
		"margin": r.real(-0.5, 0.5), "reduction": r.pick(["mean", "sum", "none"])}


def make_similarity(r):
	x1 = r.dims(1, 4)
	dim = r.integer(-len(x1), len(x1) - 1)
	# Of a single number the cosine is constant, and its gradient but rounding error.
	x1 = tuple(r.integer(2, 6) if i == dim % len(x1) else n for i, n in enumerate(x1))
	x2 = tuple(1 if i != dim % len(x1) and r.chance(0.2) else n for i, n in enumerate(x1))
	return {"x1": r.floats(x1), "x2": r.floats(x2)}, {"dim": dim, "eps": r.pick([1e-8, 0.5])}


def cosine_similarity(x, o):
	x1, x2 = torch.broadcast_tensors(x.x1, x.x2)
	# F.cosine_similarity() hides its limit of the norms from the gradient.
	a = x1 / torch.linalg.vector_norm(x1, dim=o.dim, keepdim=True).clamp(min=o.eps)
	b = x2 / torch.linalg.vector_norm(x2, dim=o.dim, keepdim=True).clamp(min=o.eps)
	result = (a * b).sum(o.dim)
	assert torch.allclose(result, F.cosine_similarity(x1, x2, o.dim, o.eps), atol=1e-5)
	return result


def rows(_clef):
	def reduction(o):
		return REDUCTIONS[o.reduction]

	kl = elementwise(-4, 0, 0.02, 1, reductions=tuple(REDUCTIONS))
	kl_log = elementwise(-4, 0, -3, 0, reductions=tuple(REDUCTIONS))
	weights = ("weight", "pos_weight")
	return [
		Row("cross_entropy", make_classes, lambda c, x, o: c.cross_entropy(x.logits, x.labels),
			lambda x, o: F.cross_entropy(x.logits, x.labels)),
		Row("accuracy", make_scores, lambda c, x, o: c.accuracy(x.logits, x.labels), accuracy),
		Row("cross_entropy_with", make_cross_entropy,
			lambda c, x, o: c.cross_entropy_with(x.x, x.target, class_opts(x, o)), cross_entropy,
			constant=weights),
		Row("nll_loss", make_class_loss, lambda c, x, o: c.nll_loss(x.x, x.target, class_opts(x, o)), nll_loss,
			constant=weights),
		Row("mse_loss", elementwise(), lambda c, x, o: c.mse_loss(x.x, x.target, reduction(o)),
			lambda x, o: F.mse_loss(x.x, x.target, reduction=o.reduction)),
		Row("l1_loss", elementwise(), lambda c, x, o: c.l1_loss(x.x, x.target, reduction(o)),
			lambda x, o: F.l1_loss(x.x, x.target, reduction=o.reduction)),
		Row("smooth_l1_loss", elementwise(parameters=(1.0, 0.25, 2.0, 0.0)),
			lambda c, x, o: c.smooth_l1_loss(x.x, x.target, o.p, reduction(o)),
			lambda x, o: F.smooth_l1_loss(x.x, x.target, beta=o.p, reduction=o.reduction)),
		Row("huber_loss", elementwise(parameters=(1.0, 0.25, 2.0)),
			lambda c, x, o: c.huber_loss(x.x, x.target, o.p, reduction(o)),
			lambda x, o: F.huber_loss(x.x, x.target, delta=o.p, reduction=o.reduction)),
		Row("bce_loss", make_bce(False), lambda c, x, o: c.bce_loss(x.x, x.target, bce_opts(x, o)),
			bce(F.binary_cross_entropy, weights[:1]), constant=weights),
		Row("bce_with_logits_loss", make_bce(True),
			lambda c, x, o: c.bce_with_logits_loss(x.x, x.target, bce_opts(x, o)),
			bce(F.binary_cross_entropy_with_logits, weights), constant=weights),
		Row("kl_div", kl, lambda c, x, o: c.kl_div(x.x, x.target, False, reduction(o)),
			kl_div(False)),
		Row("kl_div_log_target", kl_log, lambda c, x, o: c.kl_div(x.x, x.target, True, reduction(o)),
			kl_div(True), covers=["kl_div"]),
		Row("hinge_embedding_loss", make_margin("x"),
			lambda c, x, o: c.hinge_embedding_loss(x.x, x.target, o.margin, reduction(o)),
			lambda x, o: F.hinge_embedding_loss(x.x, x.target, margin=o.margin, reduction=o.reduction),
			constant=("target",)),
		Row("margin_ranking_loss", make_margin("x1", "x2"),
			lambda c, x, o: c.margin_ranking_loss(x.x1, x.x2, x.target, o.margin, reduction(o)),
			lambda x, o: F.margin_ranking_loss(x.x1, x.x2, x.target, o.margin, reduction=o.reduction),
			constant=("target",)),
		Row("cosine_similarity", make_similarity, lambda c, x, o: c.cosine_similarity(x.x1, x.x2, o.dim, o.eps),
			cosine_similarity),
		Row("cosine_embedding_loss", make_cosine_embedding,
			lambda c, x, o: c.cosine_embedding_loss(x.x1, x.x2, x.target, o.margin, reduction(o)),
			lambda x, o: F.cosine_embedding_loss(x.x1, x.x2, x.target, o.margin, reduction=o.reduction),
			constant=("target",)),
	]
