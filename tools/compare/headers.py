# SPDX-License-Identifier: Apache-2.0
"""
Reads clef's public headers, so that no prototype, enumeration or option struct is written down a second time.

The C preprocessor strips comments and expands the X-macros; what is left of clef's own declarations is regular enough
for a few expressions: enumerations, structs without bit-fields, and prototypes. pointwise.def is also read as it
stands, because the names and defaults of its parameters do not survive the preprocessor.
"""

import ctypes
import os
import re
import shlex
import subprocess

SCALARS = {
	"void": None, "_Bool": ctypes.c_bool, "char": ctypes.c_char, "int": ctypes.c_int, "unsigned": ctypes.c_uint,
	"float": ctypes.c_float, "double": ctypes.c_double, "size_t": ctypes.c_size_t, "int8_t": ctypes.c_int8,
	"uint8_t": ctypes.c_uint8, "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32, "int64_t": ctypes.c_int64,
	"uint64_t": ctypes.c_uint64,
}


class Prototype:
	def __init__(self, name, result, parameters):
		self.name = name
		self.result = result  # text, such as "clef_tensor *"
		self.parameters = parameters  # (text of the type, name)


def preprocess(include):
	command = shlex.split(os.environ.get("CC", "cc")) + ["-E", "-P", "-I", include, "-x", "c", "-"]
	try:
		source = "#include <clef/clef.h>\n"
		done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
	except OSError as error:
		raise SystemExit(f"compare_torch: no C preprocessor to read the headers, set CC: {error}") from error
	if done.returncode:
		raise SystemExit(f"compare_torch: {' '.join(command)} failed:\n{done.stderr}")
	text = re.sub(r"__attribute__\s*\(\(visibility\(\"default\"\)\)\)|__extension__", " ", done.stdout)
	# What the system headers left in the text is told from clef by its names.
	return re.sub(r"\s+", " ", text)


def split_type(declaration):
	"""'const clef_shape *x' -> ('clef_shape *', 'x', array size or None)."""
	declaration = re.sub(r"\b(const|volatile|restrict|struct|enum)\b", " ", declaration).strip()
	match = re.fullmatch(r"(.*?)(\w+)\s*((?:\[[^\]]*\]\s*)*)", declaration)
	kind, name, arrays = match.groups()
	if not kind.strip():  # a type without a name
		kind, name = name, ""
	return re.sub(r"\s*\*", " *", kind.strip()), name, arrays.strip()


class Headers:
	def __init__(self, include):
		text = preprocess(include)
		self.constants = {}
		self.enums = {}
		self.structs = {}
		self.prototypes = {}
		self.read_enums(text)
		self.read_structs(text)
		self.read_prototypes(text)
		with open(os.path.join(include, "clef", "pointwise.def"), encoding="utf-8") as file:
			self.pointwise = read_pointwise(file.read())

	def read_enums(self, text):
		for body, name in re.findall(r"\benum(?: clef_\w+)? ?\{([^}]*)\} ?(clef_\w+)? ?;", text):
			value = -1
			for item in filter(None, (part.strip() for part in body.split(","))):
				label, _, expression = item.partition("=")
				value = self.number(expression) if expression else value + 1
				self.constants[label.strip()] = value
			if name:
				self.enums[name] = True

	def number(self, expression):
		if not re.fullmatch(r"[\w\s+\-*/()<>|]+", expression):
			raise ValueError(f"not a constant: {expression}")
		return int(eval(expression, {"__builtins__": {}}, self.constants))  # pylint: disable=eval-used

	def read_structs(self, text):
		# In the order of the text, which is the order in which structs contain each other.
		for body, name in re.findall(r"\btypedef struct(?: clef_\w+)? ?\{([^{}]*)\} ?(clef_\w+) ?;", text):
			fields = []
			for declaration in filter(None, (part.strip() for part in body.split(";"))):
				fields += self.read_fields(declaration)
			self.structs[name] = type(name, (ctypes.Structure,), {"_fields_": fields})

	def read_fields(self, declaration):
		if "(" in declaration.split("[")[0]:  # a pointer to a function
			return [(re.search(r"\(\s*\*\s*(\w+)", declaration).group(1), ctypes.c_void_p)]
		first, *others = declaration.split(",")
		kind, _, _ = split_type(first)
		fields = []
		for part in [first] + [f"{kind.rstrip(' *')} {other}" for other in others]:
			kind, name, arrays = split_type(part)
			ctype = self.ctype(kind)
			for size in reversed(re.findall(r"\[([^\]]*)\]", arrays)):
				ctype = ctype * self.number(size)
			fields.append((name, ctype))
		return fields

	def ctype(self, kind):
		base, stars = kind.rstrip(" *"), kind.count("*")
		if stars == 0:
			if base in SCALARS:
				return SCALARS[base]
			if base in self.structs:
				return self.structs[base]
			# Function pointers are the only other types that are passed by value.
			return ctypes.c_int if base in self.enums else ctypes.c_void_p
		if stars > 1:
			return ctypes.POINTER(ctypes.c_void_p)
		if base == "char":
			return ctypes.c_char_p
		return ctypes.POINTER(self.ctype(base)) if base in self.structs or base in SCALARS and base != "void" \
			else ctypes.c_void_p

	def read_prototypes(self, text):
		pattern = r"([\w ]+[ *]+)(clef_\w+) ?\(((?:[^(){};]|\([^()]*\))*)\) ?;"
		for result, name, parameters in re.findall(pattern, text):
			if "typedef" in result or "return" in result:
				continue
			declared = []
			for part in parameters.split(","):
				kind, parameter, arrays = split_type(part)
				if kind != "void":
					declared.append((kind + " *" if arrays else kind, parameter))
			self.prototypes[name] = Prototype(name, split_type(result + " f")[0], declared)


def read_pointwise(text):
	"""The rows of pointwise.def: (name, [(parameter, default)], is it binary?)."""
	rows = []
	text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
	text = re.sub(r"^#.*(?:\\\n.*)*$", "", text, flags=re.M)
	for kind, row in re.findall(r"^CLEF_(UNARY[012]|BINARY)\((.*?)\)$", text, flags=re.M | re.S):
		cells = [cell.strip() for cell in re.sub(r'"[^"]*"', '""', row).split(",")]
		count = 2 * int(kind[-1]) if kind != "BINARY" else 0
		pairs = cells[2:2 + count]
		parameters = [(pairs[i], float(pairs[i + 1].rstrip("f").replace("INFINITY", "inf")))
			for i in range(0, count, 2)]
		rows.append((cells[0], parameters, kind == "BINARY"))
	return rows
