#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# race.sh OPTIMIZER_RACE: runs the example, which checks its claims itself; that its table says what it must; and its
# picture, where it was built with cairo.
set -eu
race=${1:?usage: race.sh OPTIMIZER_RACE}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
problem() {
	cat "$work/out" "$work/err"
	echo "FAIL: $*"
	exit 1
}

picture=
if "$race" "$work/race.svg" >"$work/out" 2>"$work/err"; then
	picture=yes
else
	grep -q 'built without cairo' "$work/err" || problem "it fails"
fi
grep -q '^all [0-9]* claims hold$' "$work/out" || problem "not all claims hold"

# By the columns from the right: adaptive, units, escapes, ravine, Beale.
awk '
	function rule() { name = $1; sub(/\(.*/, "", name); return name }
	NF >= 6 && $1 ~ /\(/ { n++; adaptive[rule()] = $(NF - 4); units[rule()] = $(NF - 3); escapes[rule()] = $(NF - 2) }
	END {
		fine = n == 17 && adaptive["sgd"] == "no" && adaptive["adam"] == "yes" && units["adam"] == "no" &&
			units["adadelta"] == "yes" && escapes["sgd"] > 2 * escapes["adagrad"] && escapes["adam"] > 0 &&
			escapes["momentum"] < escapes["sgd"]
		exit !fine
	}' "$work/out" || problem "the table"
cat "$work/out"
if [ -z "$picture" ]; then
	echo "no picture: built without cairo"
	exit
fi
grep -q '<svg' "$work/race.svg" || problem "no SVG"
grep -q '</svg>' "$work/race.svg" || problem "the SVG is cut off"
# Each of the 17 paths in each of the three panels is a line of its own.
[ "$(grep -c '<path' "$work/race.svg")" -gt 100 ] || problem "the picture has next to nothing in it"
! "$race" "$work/nowhere/race.svg" >"$work/out" 2>"$work/err" || problem "a picture that cannot be written"
grep -q 'nowhere/race.svg: ' "$work/err" || problem "no message for a picture that cannot be written"
