#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh BUILD: installs a build into a temporary folder and uses it as a stranger would: a C and a C++ program,
# copied out of the tree, are built against the shared and the static library, by pkg-config and by CMake's
# find_package(), and each trains a small model. Also looks at what the library exports.
set -eu
source_dir=$(cd "$(dirname "$0")/install" && pwd)
build=$(cd "${1:?usage: install.sh BUILD}" && pwd)
# shellcheck source=tests/try.sh
. "$(dirname "$0")/try.sh"
prefix=$work/prefix

run() {
	LD_LIBRARY_PATH="$libdir" timeout -k 10 200 "$@"
}

# Does a program ask for libclef.so.0 when it starts?
is_shared() {
	readelf -d "$1" | grep -q 'NEEDED.*\[libclef\.so\.0\]'
}

is_static() {
	! readelf -d "$1" | grep -q 'NEEDED.*libclef'
}

is_installed() {
	for file in include/clef/clef.h include/clef/pointwise.def share/clef/digits.csv.gz "$lib/libclef.a" \
		"$lib/libclef.so" "$lib/libclef.so.0" "$lib/libclef.so.$version" "$lib/pkgconfig/clef.pc" \
		"$lib/cmake/clef/clefConfig.cmake" "$lib/cmake/clef/clefConfigVersion.cmake"; do
		[ -f "$prefix/$file" ] || {
			echo "not installed: $file"
			return 1
		}
	done
}

has_soname() {
	readelf -d "$libdir/libclef.so" | grep 'SONAME.*\[libclef\.so\.0\]'
}

# Only clef_* leave the library, none of the clef__* that are its own, and every function of the headers is there.
exports() {
	nm -D --defined-only "$libdir/libclef.so.0" | awk '{ print $3 }' | sort >"$work/exported"
	! grep -vE '^clef_[a-z0-9]' "$work/exported" || return 1
	echo '#include <clef/clef.h>' | cc -E -P -I"$prefix/include" -x c - | tr '\n' ' ' | tr ';' '\n' |
		grep 'visibility *("default")' | grep -oE '[^a-z_]clef_[a-z0-9_]+ *\(' | grep -oE 'clef_[a-z0-9_]+' |
		sort -u >"$work/declared"
	[ -s "$work/declared" ] || return 1
	echo "declared, and not exported, or the other way round:"
	! comm -3 "$work/declared" "$work/exported" | grep .
}

# with_pkg_config NAME COMPILER SOURCE shared|static. Both libraries stand in one folder, where the linker prefers the
# shared one, so the static one is named.
with_pkg_config() {
	if [ "$4" = shared ]; then
		flags=$(pkg-config --cflags --libs clef) || return 1
	else
		flags=$(pkg-config --static --cflags --libs clef | sed 's/-lclef\b/-l:libclef.a/') || return 1
	fi
	# shellcheck disable=SC2086 # compiler and flags are lists of words
	$2 -Wall -Wextra -Wpedantic -Werror "$work/out/$3" -o "$work/$1" $flags || return 1
	"is_$4" "$work/$1" && run "$work/$1"
}

with_cmake() {
	cmake -S "$work/out" -B "$work/cmake" -G "$generator" -DCMAKE_PREFIX_PATH="$prefix" &&
		timeout 300 cmake --build "$work/cmake" || return 1
	for kind in shared static; do
		for name in "c_$kind" "cxx_$kind"; do
			"is_$kind" "$work/cmake/$name" && run "$work/cmake/$name" || return 1
		done
	done
}

# What was installed may be moved: a package finds itself by its own place.
moved() {
	mv "$prefix" "$work/elsewhere" && rm -rf "$work/cmake" &&
		cmake -S "$work/out" -B "$work/cmake" -G "$generator" -DCMAKE_PREFIX_PATH="$work/elsewhere" &&
		timeout 300 cmake --build "$work/cmake" --target c_shared
}

tool() {
	run "$prefix/bin/clef" --help >"$work/help" && [ -s "$work/help" ] && is_static "$prefix/bin/clef"
}

# It has its kernels and references with it.
checks() {
	(cd "$work" && run "$prefix/bin/clef" check relu linear random) >"$work/checked" || return 1
	grep -qx '10 passed, 0 failed' "$work/checked"
}

cmake --install "$build" --prefix "$prefix" >"$work/log" 2>&1 || {
	cat "$work/log"
	exit 1
}
libdir=$(dirname "$(find "$prefix" -name libclef.so)")
lib=${libdir#"$prefix"/}
version=$(sed -n 's/^Version: //p' "$libdir/pkgconfig/clef.pc")
generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt")
export PKG_CONFIG_PATH="$libdir/pkgconfig"
cp -r "$source_dir" "$work/out"

try "files" is_installed
try "SONAME" has_soname
try "exported names" exports
try "C, pkg-config, shared" with_pkg_config pc_c_shared "cc -std=c11" consumer.c shared
try "C, pkg-config, static" with_pkg_config pc_c_static "cc -std=c11" consumer.c static
try "C++, pkg-config, shared" with_pkg_config pc_cxx_shared "c++ -std=c++17" consumer_cxx.cpp shared
try "C++, pkg-config, static" with_pkg_config pc_cxx_static "c++ -std=c++17" consumer_cxx.cpp static
try "C and C++, CMake, shared and static" with_cmake
[ ! -f "$build/bin/clef" ] || try "the clef tool" tool
[ ! -f "$build/bin/clef" ] || try "clef check" checks
try "CMake package at another place" moved
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
