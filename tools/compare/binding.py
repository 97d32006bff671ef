# SPDX-License-Identifier: Apache-2.0
"""
The shared library as a Python object: `clef.conv2d(x, w, b, {"stride": 2})` calls clef_conv2d().

Arguments follow the prototypes in the headers: a tuple becomes a clef_shape, a dictionary an option struct, a list of
tensors an array of pointers, and text the value of an enumerator. What the library reports as an error is raised with
its own message.
"""

import ctypes

import numpy

import headers


class ClefError(Exception):
	pass


class Clef:
	"""One device and one tape."""

	def __init__(self, library, include, device):
		self.lib = ctypes.CDLL(library)
		self.headers = headers.Headers(include)
		self.functions = {}
		self.dtypes = {numpy.dtype(numpy.float32): self.headers.constants["CLEF_FLOAT32"],
			numpy.dtype(numpy.int32): self.headers.constants["CLEF_INT32"]}
		self.dev = self.call("clef_device_open", device)
		self.tape = self.call("clef_tape_new", self.dev)

	def close(self):
		self.call("clef_tape_free", self.tape)
		self.call("clef_device_close", self.dev)

	def device_name(self):
		return self.call("clef_device_get_info", self.dev).contents.name.decode()

	def has(self, name):
		return name in self.headers.prototypes and hasattr(self.lib, name)

	def __getattr__(self, name):
		return lambda *arguments: self.call("clef_" + name, *arguments)

	def call(self, name, *arguments):
		if name not in self.functions:
			self.functions[name] = self.bind(name)
		function, prototype = self.functions[name]
		if len(arguments) != len(prototype.parameters):
			raise TypeError(f"{name}: {len(arguments)} arguments for {prototype.parameters}")
		kinds = (kind for kind, _ in prototype.parameters)
		result = function(*map(self.argument, kinds, arguments))
		if prototype.result == "clef_status" and result != 0 and name != "clef_error_status":
			raise ClefError(self.error(name))
		if prototype.result.endswith("*") and result is None:
			raise ClefError(self.error(name))
		return result

	def error(self, name):
		text = self.lib.clef_error
		text.restype = ctypes.c_char_p
		return text().decode() or f"{name} failed without a message"

	def bind(self, name):
		prototype = self.headers.prototypes[name]
		function = getattr(self.lib, name)
		function.restype = self.headers.ctype(prototype.result)
		function.argtypes = [self.headers.ctype(kind) for kind, _ in prototype.parameters]
		return function, prototype

	def argument(self, kind, value):
		base = kind.rstrip(" *")
		if isinstance(value, dict):
			return ctypes.byref(self.struct(base, value)) if "*" in kind else self.struct(base, value)
		if isinstance(value, (tuple, list)) and base == "clef_shape" and "*" not in kind:
			return self.shape(value)
		if isinstance(value, (tuple, list)) and kind.count("*") == 2:
			return (ctypes.c_void_p * max(len(value), 1))(*value)
		if isinstance(value, (tuple, list)) and kind.count("*") == 1:
			return (headers.SCALARS[base] * max(len(value), 1))(*value)
		if isinstance(value, str):
			return value.encode() if base == "char" else self.headers.constants[value]
		return value

	def shape(self, dims):
		shape = self.headers.structs["clef_shape"](ndim=len(dims))
		shape.dim[:len(dims)] = [int(n) for n in dims]
		return shape

	def struct(self, name, values):
		struct = self.headers.structs[name]()
		known = {field[0] for field in struct._fields_}
		for key, value in values.items():
			if key not in known:
				raise TypeError(f"{name} has no field {key}")
			current = getattr(struct, key)
			if isinstance(value, dict):
				value = self.struct(type(current).__name__, value)
			elif isinstance(current, ctypes.Array):
				if isinstance(value, (int, float)):
					value = [value]
				current[:len(value)] = value
				continue
			elif isinstance(value, (tuple, list)):
				value = self.shape(value)
			elif isinstance(value, str):
				value = self.headers.constants[value]
			setattr(struct, key, value)
		return struct

	# ---- tensors ----

	def array(self, values):
		"""A clef_array of a NumPy array, which must outlive the call that it is made for."""
		fields = {"dtype": self.dtypes[values.dtype], "shape": values.shape}
		return self.struct("clef_array", {**fields, "data": values.ctypes.data if values.size else None})

	def upload(self, values):
		"""An input of the tape."""
		values = numpy.ascontiguousarray(values).reshape(values.shape)
		return self.call("clef_input", self.tape, self.array(values))

	def leaf(self, values):
		values = numpy.ascontiguousarray(values).reshape(values.shape)
		return self.call("clef_tensor_from", self.dev, self.array(values))

	def numpy(self, tensor):
		shape = self.call("clef_tensor_shape", tensor)
		code = self.call("clef_tensor_dtype", tensor)
		dtype = next(dtype for dtype, known in self.dtypes.items() if known == code)
		values = numpy.empty(tuple(shape.dim[:shape.ndim]), dtype)
		self.call("clef_read", tensor, values.ctypes.data, values.nbytes)
		return values
