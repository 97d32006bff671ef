# SPDX-License-Identifier: Apache-2.0
"""
Activations among the options of an operation: some that become a part of it, and one that does not. None saturates,
because of what is left of a slope then the last bits would be compared.
"""

import torch.nn.functional as F

FUNCTIONS = {"CLEF_ACT_NONE": lambda x: x, "CLEF_ACT_RELU": F.relu, "CLEF_ACT_SILU": F.silu,
	"CLEF_ACT_LEAKY_RELU": lambda x: F.leaky_relu(x, 0.25)}


def pick(r):
	"""A clef_activation, none at all in every other case."""
	kind = r.pick(["CLEF_ACT_NONE"] * 2 + list(FUNCTIONS))
	return {"kind": kind, "p": 0.25 if kind == "CLEF_ACT_LEAKY_RELU" else 0.0}


def apply(y, activation):
	return FUNCTIONS[activation["kind"]](y)
