#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tune.sh CLEF: clef tune as people and scripts use it: what it shows, keeps, lists and forgets, that it goes on where it
# stopped, and what it refuses. The last line is "N passed, N failed".
# shellcheck disable=SC2317 # functions are called by try()
set -eu
# shellcheck source=tests/clef.sh
. "$(dirname "$0")/clef.sh"

export CLEF_TUNING="$work/tuning.json"
product="gemm m7 n17 k33 tb"

# check_json EXPRESSION: of the output d, where there is Python to read it.
check_json() {
	! command -v python3 >/dev/null || python3 -c "import json, os, sys
d = json.load(open('out'))
sys.exit(not ($1))"
}

helps() {
	run 0 tune --help || return 1
	for option in model batch shape classes budget again list forget json device; do
		has out "  --$option" || return 1
	done
	has out CLEF_TUNE_MS
}

# Three products: forward, and to both operands.
problem() {
	run 0 tune "linear x7x33 out17" && has out "3 problems: 3 measured" && has out "$product" &&
		has out "file    $CLEF_TUNING" && has "$CLEF_TUNING" "\"$product\""
}

known() {
	run 0 tune linear x7x33 out17 && has out "3 problems: 0 measured" && has out "3 known from before"
}

again() {
	run 0 tune --again "$product" && has out "1 problem: 1 measured"
}

files() {
	printf '# a list\n\n linear x7x33 out17 # known\ngemm m5 n6 k7\n' >list
	run 0 tune @list && has out "4 problems: 1 measured" && has out "gemm m5 n6 k7 "
}

lists() {
	run 0 tune --list && has out "$product" && has out "4 choices kept"
}

lists_json() {
	run 0 tune --list --json || return 1
	check_json 'd["file"] == os.environ["CLEF_TUNING"] and len(d["results"]) == 4 and
		all(r["wrong"] == "" and r["after_ms"] > 0 for r in d["results"])'
}

forgets_one() {
	run 0 tune --forget "$product" && has out "1 choice forgotten" && run 0 tune --list && has out "3 choices kept" &&
		run 1 tune --forget "$product" && has err "nothing is kept about"
}

forgets_all() {
	run 0 tune --forget && has out "3 choices forgotten" && run 0 tune --list && has out "0 choices kept"
}

model() {
	run 0 tune --model "conv2d(4, 3) relu flatten linear(5)" --shape 2x6x6 --batch 3 --budget 90s || return 1
	has out "conv forward n3 c2 h6 w6 k4 r3 s3 oh4 ow4" && has out "conv backward_weights n3" && has out "step    before" ||
		return 1
	grep -q "conv backward_data" out && return 1
	grep -Eq '^step    before [0-9.]+ ms, after [0-9.]+ ms: [0-9.]+x' out
}

model_json() {
	run 0 tune --model "conv2d(4, 3) relu flatten linear(5)" --shape 2x6x6 --batch 3 --budget 90s --json --again || return 1
	check_json 'd["report"]["problems"] == len(d["results"]) and d["report"]["steps"] >= 3 and
		d["report"]["step_after_ms"] > 0'
}

# What was found by then is in the file, and the next run has the rest to do.
interrupted() {
	run 0 tune --forget || return 1
	"$clef" tune --model vgg11 --batch 4 >out 2>err &
	child=$!
	tries=0
	until grep -q "^conv forward" out || [ $tries = 600 ]; do
		tries=$((tries + 1))
		sleep 0.2
	done
	kill -INT $child
	status=0
	wait $child || status=$?
	[ $status = 130 ] || {
		echo "exit status $status"
		cat out err
		return 1
	}
	has err "the same command goes on" || return 1
	found=$(grep -c '^conv\|^gemm' out)
	run 0 tune --list && has out "$found choice" && run 0 tune --model vgg11 --batch 4 --budget 0.1s &&
		has out " $found known from before"
}

# A choice that makes no sense here costs a warning and nothing else.
doctored() {
	run 0 tune --forget && run 0 tune "gemm m5 n6 k7" || return 1
	sed 's/"use": "[a-z]*"/"use": "no_such"/' "$CLEF_TUNING" >doctored.json
	CLEF_TUNING=$work/doctored.json run 0 tune --again "gemm m5 n6 k7" && has out "1 problem: 1 measured"
}

damaged() {
	echo '{ "clef_tuning": 1, "dev' >damaged.json
	CLEF_TUNING=$work/damaged.json run 0 tune "gemm m5 n6 k7" && has err "warning: tuning file $work/damaged.json" &&
		[ "$(cat damaged.json)" = '{ "clef_tuning": 1, "dev' ]
}

no_file() {
	CLEF_TUNING='' run 0 tune "gemm m5 n6 k7" && has err "there is no tuning file" && has out "file    none"
}

try "tune --help" helps
try "a problem" problem
try "a problem, again" known
try "--again" again
try "a file of problems" files
try "--list" lists
try "--list --json" lists_json
try "--forget one" forgets_one
try "--forget all" forgets_all
try "a model" model
try "a model, as JSON" model_json
try "Ctrl-C, and going on" interrupted
try "a doctored file" doctored
try "a damaged file" damaged
try "no file" no_file

try "nothing to do" refuses 2 'nothing to tune for: give --model, or a problem' tune
try "a model and a problem" refuses 2 'it is either --model or problems' tune --model mlp "$product"
try "--list with a model" refuses 2 '--list goes with no --model' tune --model mlp --list
try "--list and --forget" refuses 2 'it is either --list or --forget' tune --list --forget
try "a budget without sense" refuses 2 '--budget "soon" will not do: it takes a time such as 60s' tune --model mlp --budget soon
try "a budget of nothing" refuses 2 '--budget "0s" will not do' tune --model mlp --budget 0s
try "a shape without sense" refuses 2 '--shape "3x" will not do: it takes sizes' tune --model mlp --shape 3x
try "no such problem" refuses 2 '"linaer"' tune "linaer x3x4"
try "no such model" refuses 2 'resnet' tune --model "resnet99"
try "no such file of problems" refuses 1 'nowhere' tune @nowhere
try "an empty file of problems" refuses 1 'there is no problem in it' tune @/dev/null
CLEF_TUNE_MS=often
export CLEF_TUNE_MS
try "a limit without sense" refuses 1 'CLEF_TUNE_MS is "often"' tune --list

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
