#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# layers.sh [FOLDER]: checks the rules about who may include whom, in the source tree or in FOLDER.
#
#   - A file of src/ or include/ includes only headers of its own layer or of a lower one; data stands beside the others
#     on base and init, and save above all of them. No file of src/ includes the umbrella <clef/clef.h>.
#   - No op family includes another: a header in src/ops with a .c file of its name is for that file.
#   - Only src/runtime includes <CL/...>, directly or through a header; only its gemm_clblast.c includes <clblast_c.h>. (Tests
#     may: they look behind the curtain.)
#   - Kernels include .clh files only; a .clh file that the host shares may include C's own headers.
#   - Examples include no inner headers.
#   - Names of files are unique, so that a message or a breakpoint names one place.
#
# Every breach is printed as file:line: text, and the exit status is 1.
set -eu
cd "${1:-$(dirname "$0")/..}"

find src include cl tools examples tests -name '*.[ch]' -o -name '*.cl' -o -name '*.clh' -o -name '*.def' -o -name '*.cpp' |
	LC_ALL=C sort >"${TMPDIR:-/tmp}/layers.$$"
trap 'rm -f "${TMPDIR:-/tmp}/layers.$$"' EXIT

LC_ALL=C awk '
function base_of(path) { sub(/.*\//, "", path); return path }
function stem_of(path) { path = base_of(path); sub(/\.[^.]*$/, "", path); return path }

# The layer of a file: that of its folder in src, or that of the chapter in include/clef; else "".
function layer_of(path, part) {
	split(path, part, "/")
	if (path ~ /^src\//)
		return part[2]
	if (path ~ /^include\/clef\//)
		return chapter[part[3]]
	return path ~ /^cl\// ? "base" : ""
}

function allowed(from, to) {
	if (from == "data")
		return to == "data" || to == "base" || to == "init"
	return to == "data" ? rank[from] >= rank["save"] : rank[to] <= rank[from]
}

function breach(place, text) { print place ": " text; bad++ }

# Does the file reach <CL/...> through its includes? -1 while it is being looked at.
function reaches_cl(path, i, list, n) {
	if (path in reach)
		return reach[path] == 1
	reach[path] = -1
	if (path in has_cl)
		return reach[path] = 1
	n = split(inner[path], list, " ")
	for (i = 1; i <= n; i++)
		if (reaches_cl(list[i]))
			return reach[path] = 1
	return reach[path] = 0
}

function read_includes(path, line, number, name) {
	number = 0
	while ((getline line < path) > 0) {
		number++
		if (line !~ /^[ \t]*#[ \t]*include[ \t]*["<]/)
			continue
		name = line
		sub(/^[^"<]*["<]/, "", name)
		sub(/[">].*/, "", name)
		count++
		from[count] = path
		place[count] = path ":" number
		what[count] = name
		quoted[count] = line ~ /include[ \t]*"/
		if (name ~ /^CL\//)
			has_cl[path] = 1
	}
	close(path)
}

function resolve(i) {
	if (what[i] ~ /^clef\//)
		return "include/" what[i]
	return quoted[i] && (base_of(what[i]) in where) ? where[base_of(what[i])] : ""
}

function check(i, path, to, lower, upper) {
	path = from[i]
	to = target[i]
	if (path ~ /^cl\// && what[i] !~ /\.clh$/ && !(path ~ /\.clh$/ && !quoted[i]))
		breach(place[i], "kernels include .clh files only: " what[i])
	if (what[i] ~ /^CL\// && path !~ /^(src\/runtime|tests)\//)
		breach(place[i], "only src/runtime includes <" what[i] ">")
	else if (to && path !~ /^(src\/runtime|tests)\// && reaches_cl(to))
		breach(place[i], what[i] " brings in <CL/...>, which is for src/runtime only")
	if (what[i] ~ /^clblast/ && path != "src/runtime/gemm_clblast.c" && path !~ /^tests\//)
		breach(place[i], "only src/runtime/gemm_clblast.c includes <" what[i] ">")
	if (path ~ /^examples\// && quoted[i])
		breach(place[i], "an example includes public headers only: " what[i])
	if (path ~ /^src\// && what[i] == "clef/clef.h") {
		breach(place[i], "the umbrella is for users: include the chapter")
		return
	}
	upper = layer_of(path)
	lower = layer_of(to)
	if (!upper || !lower || base_of(path) == "clef.h")
		return
	if (!allowed(upper, lower))
		breach(place[i], "layer " upper " includes " what[i] " of layer " lower)
	if (to ~ /^src\/ops\/.*\.h$/ && stem_of(to) != stem_of(path) && \
	    (("src/ops/" stem_of(to) ".c") in known) && stem_of(to) != "op")
		breach(place[i], "an op family includes another: " what[i])
}

BEGIN {
	n = split("base runtime tensor tape ops init nn models save check bench tune", names, " ")
	for (i = 1; i <= n; i++)
		rank[names[i]] = i
	n = split("base.h=base device.h=runtime tensor.h=tensor ops.h=ops init.h=init nn.h=nn layers.h=nn optim.h=nn schedule.h=nn models.h=models data.h=data checkpoint.h=save check.h=check bench.h=bench tune.h=tune",
		pairs, " ")
	for (i = 1; i <= n; i++) {
		split(pairs[i], pair, "=")
		chapter[pair[1]] = pair[2]
	}
}

{
	files[++total] = $0
	known[$0] = 1
	name = base_of($0)
	if (name in where)
		breach($0 ":1", "the same name as " where[name])
	else
		where[name] = $0
	if ($0 ~ /^src\// && !(layer_of($0) in rank) && layer_of($0) != "data")
		breach($0 ":1", "no such layer: " layer_of($0))
}

END {
	for (i = 1; i <= total; i++)
		read_includes(files[i])
	# Whatever ops.h takes in and is no chapter of a lower layer is a part of it.
	for (i = 1; i <= count; i++)
		if (from[i] == "include/clef/ops.h" && what[i] ~ /^clef\// && !(base_of(what[i]) in chapter))
			chapter[base_of(what[i])] = "ops"
	for (i = 1; i <= total; i++)
		if (files[i] ~ /^include\/clef\// && base_of(files[i]) != "clef.h" && !layer_of(files[i]))
			breach(files[i] ":1", "a public header that tests/layers.sh knows no layer for")
	for (i = 1; i <= count; i++)
		if (target[i] = resolve(i))
			inner[from[i]] = inner[from[i]] " " target[i]
	for (i = 1; i <= count; i++)
		check(i)
	if (!total || !count) {
		print "layers.sh: found no files"
		exit 1
	}
	printf "%d files, %d includes, %d breaches\n", total, count, bad
	exit bad > 0
}' "${TMPDIR:-/tmp}/layers.$$"
