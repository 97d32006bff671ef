# SPDX-License-Identifier: Apache-2.0
"""
Layers: a sequential model of one layer, read from text, against the module of torch.nn. Parameters and buffers must
have the names and shapes of PyTorch's state_dict; both get the same values, and their gradients are compared.
"""

import ctypes

import torch

from case import Mismatch, Row

# A gradient through a normalization is what is left when its parts along the mean and the data are taken off.
GRADIENT_LIMIT = 2e-5

STATISTICS = ("running_mean", "running_var")


class LayerRow(Row):
	"""make(r) gives the layer's text, the module of PyTorch and the shape of x."""

	def __init__(self, name, make, limit=1e-5, gradient_limit=None, indices=0, composed=False):
		super().__init__("nn_" + name, self.inputs_of, self.sequential, self.module, limit, gradient_limit,
			["layers_parse", "sequential_new"], STATISTICS, composed)
		self.make_layer = make
		self.indices = indices
		self.model = None

	def inputs_of(self, r):
		text, module, shape = self.make_layer(r)
		x = r.integers(shape, 0, self.indices - 1) if self.indices else r.floats(shape)
		arrays = {"x": x}
		for name, values in module.state_dict().items():
			if name != "num_batches_tracked":
				low = 0.3 if name in ("running_var", "weight") and values.dim() == 1 else -1
				arrays[name] = r.floats(tuple(values.shape), low, 1.5)
		return arrays, {"text": text, "module": module}

	def module(self, x, o):
		state = {name: values for name, values in vars(x).items() if name != "x"}
		y = torch.func.functional_call(o.module, state, (x.x,))
		return [y] + [state[name] for name in STATISTICS if name in state]

	def sequential(self, c, x, o):
		"""What x holds besides x itself goes to the model, whose own tensors take the places."""
		if self.model:
			c.model_free(self.model)
			self.model = None
		layers, count = ctypes.c_void_p(), ctypes.c_int()
		c.layers_parse(o.text, ctypes.byref(layers), ctypes.byref(count))
		rows = ctypes.cast(layers, ctypes.POINTER(c.headers.structs["clef_layer"]))
		options = {"dtype": "CLEF_INT32" if self.indices else "CLEF_FLOAT32"}
		sample = c.numpy(x.x).shape[1:]
		self.model = c.sequential_new(c.dev, rows, count.value, sample, options)
		params = c.model_params(self.model)
		names = [c.params_name(params, i).decode() for i in range(c.params_count(params))]
		wanted = ["0." + name for name in vars(x) if name != "x" and name not in STATISTICS]
		if names != wanted:
			raise Mismatch(f"the parameters are {names}, PyTorch has {wanted}")
		for name in [name for name in vars(x) if name != "x"]:
			find = c.model_buffer if name in STATISTICS else c.params_find
			tensor = find(self.model if name in STATISTICS else params, "0." + name)
			values = c.numpy(getattr(x, name))
			if c.numpy(tensor).shape != values.shape:
				raise Mismatch(f"{name} is {c.numpy(tensor).shape}, PyTorch has {values.shape}")
			c.write(tensor, values.ctypes.data, values.nbytes)
			setattr(x, name, tensor)
		return [c.model_forward(self.model, x.x)] + [getattr(x, name) for name in STATISTICS
			if hasattr(x, name)]


def make_linear(r):
	size, out, bias = r.integer(1, 20), r.integer(1, 20), r.chance(0.6)
	return (f"linear({out}{'' if bias else ', no_bias'})", torch.nn.Linear(size, out, bias=bias),
		(*r.dims(1, 3), size))


def make_conv(name, module, dims, transposed):
	def make(r):
		groups, kernel, stride, dilation = r.integer(1, 3), r.integer(1, 3), r.integer(1, 3), r.integer(1, 2)
		channels, out, bias = groups * r.integer(1, 3), groups * r.integer(1, 3), r.chance(0.6)
		reach = dilation * (kernel - 1)
		pad = r.integer(0, reach // 2)
		options = {"stride": stride, "padding": pad, "dilation": dilation, "groups": groups, "bias": bias}
		text = f"{out}, {kernel}, {stride}, {pad}"
		if transposed:
			options["output_padding"] = r.integer(0, max(stride, dilation) - 1)
			text += f", {options['output_padding']}, {groups}, {dilation}"
		else:
			text += f", {dilation}, {groups}"
		size = [reach + r.integer(1, 6) for _ in range(dims)]
		return (f"{name}({text}{'' if bias else ', no_bias'})", module(channels, out, kernel, **options),
			(r.integer(1, 3), channels, *size))
	return make


def make_batch_norm(r):
	dims, affine, eps, momentum = r.integer(0, 2), r.chance(0.6), r.real(1e-3, 0.1), r.real(0.1, 0.9)
	module = (torch.nn.BatchNorm2d if dims == 2 else torch.nn.BatchNorm1d)
	channels = r.integer(1, 5)
	return (f"batch_norm({eps!r}, {momentum!r}{'' if affine else ', no_affine'})",
		module(channels, eps=eps, momentum=momentum, affine=affine),
		(r.integer(4, 6), channels, *[r.integer(1, 4) for _ in range(dims)]))


def make_layer_norm(r):
	shape = (*r.dims(1, 2), r.integer(1, 3), r.integer(3, 9))
	dims, eps, affine, bias = r.integer(1, 2), r.real(1e-3, 0.1), r.chance(0.7), r.chance(0.6)
	flags = "" if affine and bias else ", no_bias" if affine else ", no_affine"
	return (f"layer_norm({dims}, {eps!r}{flags})",
		torch.nn.LayerNorm(shape[-dims:], eps=eps, elementwise_affine=affine, bias=bias), shape)


def make_rms_norm(r):
	shape = (*r.dims(1, 2), r.integer(1, 3), r.integer(3, 9))
	dims, affine = r.integer(1, 2), r.chance(0.7)
	return (f"rms_norm({dims}{'' if affine else ', no_affine'})",
		torch.nn.RMSNorm(shape[-dims:], eps=2.0**-23, elementwise_affine=affine), shape)


def make_group_norm(r):
	groups = r.integer(1, 3)
	channels, affine, eps = groups * r.integer(1, 3), r.chance(0.7), r.real(1e-3, 0.1)
	return (f"group_norm({groups}, {eps!r}{'' if affine else ', no_affine'})",
		torch.nn.GroupNorm(groups, channels, eps=eps, affine=affine),
		(r.integer(2, 4), channels, r.integer(3, 6), *r.dims(0, 1)))


def make_instance_norm(r):
	channels, affine, eps, dims = r.integer(1, 4), r.chance(0.6), r.real(1e-3, 0.1), r.integer(1, 2)
	module = torch.nn.InstanceNorm2d if dims == 2 else torch.nn.InstanceNorm1d
	return (f"instance_norm({eps!r}{', affine' if affine else ''})", module(channels, eps=eps, affine=affine),
		(r.integer(1, 3), channels, *[r.integer(3, 6) for _ in range(dims)]))


def make_response_norm(r):
	size, alpha, beta, k = r.integer(1, 5), r.real(1e-3, 1), r.real(0.1, 1), r.real(0.5, 2)
	return (f"local_response_norm({size}, {alpha!r}, {beta!r}, {k!r})",
		torch.nn.LocalResponseNorm(size, alpha, beta, k), (r.integer(1, 3), r.integer(1, 7), *r.dims(1, 2)))


def make_embedding(r):
	width = r.integer(1, 6)
	return f"embedding(10, {width})", torch.nn.Embedding(10, width), r.dims(1, 3)


def make_prelu(r):
	channels, each = r.integer(1, 5), r.chance(0.5)
	return (f"prelu({'per_channel' if each else ''})", torch.nn.PReLU(channels if each else 1),
		(r.integer(1, 3), channels, *r.dims(0, 2)))


def make_max_pool(r):
	dims, kernel, ceil = r.integer(1, 2), r.integer(1, 3), r.chance(0.4)
	stride, pad, dilation = r.integer(1, 3), r.integer(0, kernel // 2), r.integer(1, 2)
	module = torch.nn.MaxPool2d if dims == 2 else torch.nn.MaxPool1d
	return (f"max_pool{dims}d({kernel}, {stride}, {pad}, {dilation}{', ceil_mode' if ceil else ''})",
		module(kernel, stride, pad, dilation, ceil_mode=ceil),
		(r.integer(1, 2), r.integer(1, 3), *[r.integer(6, 9) for _ in range(dims)]))


def make_avg_pool(r):
	dims, kernel, ceil, include = r.integer(1, 2), r.integer(1, 3), r.chance(0.4), r.chance(0.5)
	stride, pad = r.integer(1, 3), r.integer(0, kernel // 2)
	flags = (", ceil_mode" if ceil else "") + ("" if include else ", exclude_pad")
	module = torch.nn.AvgPool2d if dims == 2 else torch.nn.AvgPool1d
	return (f"avg_pool{dims}d({kernel}, {stride}, {pad}{flags})",
		module(kernel, stride, pad, ceil_mode=ceil, count_include_pad=include),
		(r.integer(1, 2), r.integer(1, 3), *[r.integer(6, 9) for _ in range(dims)]))


def make_adaptive_pool(r):
	dims, out, kind = r.integer(1, 2), r.integer(1, 4), r.pick(["Avg", "Max"])
	return (f"adaptive_{kind.lower()}_pool{dims}d({out})", getattr(torch.nn, f"Adaptive{kind}Pool{dims}d")(out),
		(r.integer(1, 2), r.integer(1, 3), *[r.integer(2, 9) for _ in range(dims)]))


def make_pad(r):
	dims, pad = r.integer(1, 2), r.integer(1, 3)
	kind = r.pick(["Zero", "Constant", "Reflection", "Replication", "Circular"])
	value = (r.real(-2, 2),) if kind == "Constant" else ()
	return (f"{kind.lower()}_pad{dims}d({', '.join(map(repr, (pad, *value)))})",
		getattr(torch.nn, f"{kind}Pad{dims}d")(pad, *value),
		(r.integer(1, 2), r.integer(1, 3), *[r.integer(4, 6) for _ in range(dims)]))


def make_upsample(r):
	bilinear, corners = r.chance(0.6), r.chance(0.5)
	size = {"size": r.integer(1, 9)} if r.chance(0.5) else {"scale_factor": r.pick([2, 3, 1.3, 1.5, 0.7])}
	text = f"out={size['size']}" if "size" in size else f"scale={size['scale_factor']}"
	options = {"mode": "bilinear", "align_corners": corners} if bilinear else {"mode": "nearest"}
	flags = (", bilinear" if bilinear else "") + (", align_corners" if bilinear and corners else "")
	return (f"upsample({text}{flags})", torch.nn.Upsample(**size, **options),
		(r.integer(1, 2), r.integer(1, 3), r.integer(2, 6), r.integer(2, 6)))


def make_reshape(r):
	factor = r.integer(1, 3)
	batch, channels, height, width = r.dims(4, 4)
	kind = r.integer(0, 3)
	if kind == 0:
		return (f"pixel_shuffle({factor})", torch.nn.PixelShuffle(factor),
			(batch, channels * factor**2, height, width))
	if kind == 1:
		return (f"pixel_unshuffle({factor})", torch.nn.PixelUnshuffle(factor),
			(batch, channels, height * factor, width * factor))
	if kind == 2:
		return "flatten", torch.nn.Flatten(), (batch, channels, height, width)
	return (f"unflatten({channels}, {height}, {width})", torch.nn.Unflatten(1, (channels, height, width)),
		(batch, channels * height * width))


def make_softmax(r):
	shape, logarithm = r.dims(2, 4), r.chance(0.5)
	dim = r.integer(1, len(shape) - 1)
	dim = dim - len(shape) if r.chance(0.5) else dim
	return (f"{'log_' if logarithm else ''}softmax({dim})",
		(torch.nn.LogSoftmax if logarithm else torch.nn.Softmax)(dim), shape)


def make_fused(r):
	"""Two layers: the first runs the second."""
	text, module, shape = r.pick([make_linear, make_batch_norm,
		make_conv("conv2d", torch.nn.Conv2d, 2, False), make_conv("conv1d", torch.nn.Conv1d, 1, False)])(r)
	slope = r.real(0.01, 0.5)
	name, activation = r.pick([("sigmoid", torch.nn.Sigmoid()), ("tanh", torch.nn.Tanh()),
		(f"leaky_relu({slope!r})", torch.nn.LeakyReLU(slope)), ("silu", torch.nn.SiLU())])
	return f"{text} {name}", Behind(module, activation), shape


class Behind(torch.nn.Module):
	"""A module with another one behind it, under its own names."""

	def __init__(self, module, activation):
		super().__init__()
		self.module = (module,)  # not a part with a name
		self.activation = activation
		for name, values in module.named_parameters():
			self.register_parameter(name, values)
		for name, values in module.named_buffers():
			self.register_buffer(name, values)

	def forward(self, x):
		own = dict(self.named_parameters()) | {n: v for n, v in self.named_buffers()}
		return self.activation(torch.func.functional_call(self.module[0], own, (x,)))


def rows(_clef):
	nn = torch.nn
	return [
		LayerRow("linear", make_linear),
		LayerRow("conv1d", make_conv("conv1d", nn.Conv1d, 1, False)),
		LayerRow("conv2d", make_conv("conv2d", nn.Conv2d, 2, False)),
		LayerRow("conv_transpose1d", make_conv("conv_transpose1d", nn.ConvTranspose1d, 1, True)),
		LayerRow("conv_transpose2d", make_conv("conv_transpose2d", nn.ConvTranspose2d, 2, True)),
		LayerRow("embedding", make_embedding, indices=10),
		LayerRow("batch_norm", make_batch_norm, gradient_limit=GRADIENT_LIMIT),
		LayerRow("layer_norm", make_layer_norm, gradient_limit=GRADIENT_LIMIT),
		LayerRow("rms_norm", make_rms_norm, gradient_limit=GRADIENT_LIMIT),
		LayerRow("group_norm", make_group_norm, gradient_limit=GRADIENT_LIMIT),
		LayerRow("instance_norm", make_instance_norm, gradient_limit=GRADIENT_LIMIT),
		LayerRow("local_response_norm", make_response_norm),
		LayerRow("prelu", make_prelu),
		LayerRow("max_pool", make_max_pool),
		LayerRow("avg_pool", make_avg_pool),
		LayerRow("adaptive_pool", make_adaptive_pool),
		LayerRow("pad", make_pad),
		LayerRow("upsample", make_upsample),
		LayerRow("reshape", make_reshape),
		LayerRow("softmax", make_softmax),
		LayerRow("fused", make_fused, gradient_limit=GRADIENT_LIMIT, composed=True),
	]
