#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# resume.sh CLEF: checkpoints of clef train. A run that is killed at random moments and gone on with must end with the
# weights of an unbroken one, to the bit; $CLEF_TEST_LONG makes it 100 kills. The device is that of the environment. The
# last line is "N passed, N failed".
# shellcheck disable=SC2317,SC2086 # most functions are called by try(); $everything and the like are lists of words
set -eu
# shellcheck source=tests/clef.sh
. "$(dirname "$0")/clef.sh"
kills=30
[ -z "${CLEF_TEST_LONG:-}" ] || kills=100

# A whole run without a checkpoint; its weights are what all others must end with, and its time is what moments are
# taken from, the second time, when all kernels are compiled.
unbroken() {
	run 0 train "$@" || return 1
	begin=$(date +%s%N)
	run 0 train "$@" && reference=$(weights out) && [ -n "$reference" ] && milliseconds=$((($(date +%s%N) - begin) / 1000000))
}

same_as_unbroken() {
	[ "$(weights out)" = "$reference" ] && return
	echo "the weights are $(weights out), those of an unbroken run $reference"
	return 1
}

# A number of seconds, up to those of an unbroken run.
moment() {
	od -An -N2 -tu2 /dev/urandom | awk -v most="$milliseconds" '{ printf "%.3f", 0.01 + most / 1000 * $1 / 65536 }'
}

# torture COUNT option ...: kills the run so often, wherever it is, and lets it go on from its checkpoint. One that
# reaches its end is compared, and the next one begins.
torture() {
	left=$1
	shift
	unbroken "$@" || return 1
	rm -f state state.* places
	rounds=0
	: >places
	while [ "$left" -gt 0 ] || [ -f state ]; do
		"$clef" train "$@" --checkpoint state --every 2 --resume >out 2>err </dev/null &
		process=$!
		if [ "$left" -gt 0 ]; then
			sleep "$(moment)"
			kill -KILL $process 2>/dev/null || true
		fi
		status=0
		wait $process || status=$?
		grep '^resume' out >>places || true
		case $status in
		137) left=$((left - 1)) ;;
		0)
			same_as_unbroken || return 1
			rounds=$((rounds + 1))
			rm -f state state.*
			;;
		*)
			echo "exit status $status"
			cat out err
			return 1
			;;
		esac
	done
	[ "$rounds" -gt 0 ] || return 1
	echo "NOTE: $rounds runs, gone on with at $(sort -u places | wc -l) places" >>notes
	[ "$(sort -u places | wc -l)" -gt 1 ]
}

# All that has a state: running statistics, dropout, moments, averages, a schedule by steps, batches in a step.
everything="--epochs 12 --schedule cosine --warmup 5 --ema 0.9 --accumulate 2 --clip-norm 1 --optim adamw --batch 20"
net="linear(64) batch_norm relu dropout(0.3) linear(32) relu linear(10)"

tortures() {
	torture $((kills / 2)) --model "$net" $everything &&
		torture $((kills - kills / 2)) --model "conv2d(8, 3, pad=1) batch_norm relu max_pool2d(2) flatten linear(10)" \
			--optim nadam --schedule "plateau(patience=1)" --epochs 12 --batch 30
}

# Ctrl-C writes a checkpoint between two steps and ends with 130; so often that every part of an epoch has its turn. A run
# that comes to its end before the first one was in vain.
interrupts() {
	unbroken --model "$net" $everything || return 1
	rm -f state state.*
	stops=0
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		status=0
		timeout --foreground --preserve-status -s INT -k 60 "$(moment)" "$clef" train --model "$net" $everything \
			--checkpoint state --every 2 --resume >out 2>err </dev/null || status=$?
		case $status in
		130) ;;
		0)
			[ "$stops" = 0 ] || break
			rm -f state state.*
			continue
			;;
		*) break ;;
		esac
		! grep -q '^interrupted in' out || has out "checkpoint state: --resume goes on from here" || return 1
		stops=$((stops + 1))
	done
	[ "$status" = 0 ] || run 0 train --model "$net" $everything --checkpoint state --resume || return 1
	same_as_unbroken && [ "$stops" -gt 0 ]
}

# The options are in the file; a finished run is only tested.
without_options() {
	unbroken --epochs 3 --model "$net" --lr 0.01 --seed 5 && cp out whole || return 1
	rm -f state state.*
	run 0 train --epochs 3 --model "$net" --lr 0.01 --seed 5 --checkpoint state --log run.jsonl && same_as_unbroken || return 1
	run 0 train --checkpoint state --resume --log run.jsonl && same_as_unbroken && has out "resume  state, in epoch 4 after 0 of" &&
		[ "$(grep -c '"event":"start"' run.jsonl)" = 2 ] && [ "$(grep -c '"event":"epoch"' run.jsonl)" = 3 ] || return 1
	run 0 train --checkpoint state --eval-only && same_as_unbroken &&
		[ "$(grep '^test accuracy' out)" = "$(grep '^test accuracy' whole)" ]
}

# clef eval needs the file alone, and tests what clef train tested: the average, where there is one.
evaluates() {
	for ema in "" "--ema 0.9"; do
		rm -f state state.*
		run 0 train --epochs 3 --model "$net" $ema --checkpoint state && cp out whole && run 0 eval state &&
			grep -q "^test accuracy" out &&
			[ "$(grep '^test accuracy' out)" = "$(grep '^test accuracy' whole)" ] &&
			[ "$(sed -n '/^class/,$p' out)" = "$(sed -n '/^class/,/^$/p' whole)" ] || return 1
	done
	has out ", averaged" && run 0 eval state --batch 7 --data digits &&
		[ "$(grep '^test accuracy' out)" = "$(grep '^test accuracy' whole)" ] || return 1
	mkdir -p tiny && for part in train t10k; do
		printf '\0\0\010\003\0\0\0\001\0\0\0\002\0\0\0\002abcd' >tiny/$part-images-idx3-ubyte
		printf '\0\0\010\001\0\0\0\001\003' >tiny/$part-labels-idx1-ubyte
	done
	run 1 eval state --data tiny && has err 'the model was made for [N, 1, 8, 8]' &&
		run 2 eval && has err 'the file is missing' && run 2 eval state state && has err 'one word too many' &&
		run 1 eval nowhere && has err 'No such file' && echo 12345678 >bad && run 1 eval bad && has err 'bad: '
}

exports() {
	rm -f state state.*
	run 0 train --epochs 2 --model "$net" --ema 0.9 --checkpoint state && run 0 eval state && cp out whole || return 1
	run 0 export state weights.safetensors && run 0 eval weights.safetensors --data digits &&
		[ "$(grep '^test accuracy' out)" = "$(grep '^test accuracy' whole)" ] || return 1
	[ "$(wc -c <weights.safetensors)" -lt "$(wc -c <state)" ] && run 0 export state model.onnx && has model.onnx "BatchNorm" &&
		has model.onnx "1.weight" || return 1
	run 2 export state model.pt && has err 'must end in .onnx or .safetensors' && run 2 export state &&
		run 1 export nowhere x.onnx && has err 'No such file' && run 1 export state no/x.onnx && has err 'No such file'
}

# Without a schedule a run can be made longer.
longer() {
	unbroken --epochs 4 && rm -f state state.* && run 0 train --epochs 2 --checkpoint state &&
		run 0 train --checkpoint state --resume --epochs 4 && same_as_unbroken
}

# What --resume takes is either file that is whole.
damaged() {
	unbroken --epochs 4 && rm -f state state.* && run 0 train --epochs 4 --checkpoint state --every 5 || return 1
	head -c 1000 state >part && mv part state
	run 0 train --checkpoint state --resume && has err "state: it is truncated" &&
		has err "the one before it, state.prev, takes its place" && same_as_unbroken || return 1
	echo x >state && echo y >state.prev && run 1 train --checkpoint state --resume && has err "it is truncated"
}

refusals() {
	rm -f state state.*
	run 0 train --epochs 1 --checkpoint state --schedule cosine && cp state kept || return 1
	refuses 1 "there is a file of that name; --resume goes on with it" train --checkpoint state &&
		refuses 2 'batch is 7, but in the run of state it was 100' train --checkpoint state --resume --batch 7 &&
		refuses 2 'optim is "sgd", but in the run of state it was "adam"' train --checkpoint state --resume --optim sgd &&
		refuses 2 'epochs is 9, but in the run of state it was 1' train --checkpoint state --resume --epochs 9 &&
		refuses 2 '--resume needs --checkpoint' train --resume && refuses 2 '--every needs --checkpoint' train --every 3 &&
		refuses 2 '--eval-only needs --checkpoint' train --eval-only &&
		refuses 2 '--every "0"' train --every 0 --checkpoint new &&
		refuses 1 'there is no such file' train --checkpoint new --eval-only &&
		refuses 1 'No such file' train --checkpoint no/folder && cmp state kept && [ ! -f new ]
}

# Files that are no checkpoints of clef train, or whose options were changed.
foreign() {
	command -v python3 >/dev/null || return 0
	rm -f state state.*
	run 0 train --epochs 1 --checkpoint state || return 1
	python3 -c '
import json, struct
data = open("state", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
header, rest = json.loads(data[8:8 + n]), data[8 + n:]
def write(name, change):
    h = json.loads(json.dumps(header))
    change(h["__metadata__"])
    text = json.dumps(h).encode()
    open(name, "wb").write(struct.pack("<Q", len(text)) + text + rest)
def train(change):
    def apply(m):
        t = json.loads(m["clef.train"])
        change(t)
        m["clef.train"] = json.dumps(t)
    return apply
write("none", lambda m: m.pop("clef.train"))
write("junk", lambda m: m.update({"clef.train": "[" * 100000}))
write("option", train(lambda t: t["given"].update({"xyzzy": "1"})))
write("value", train(lambda t: t["given"].update({"batch": "-1"})))
write("type", train(lambda t: t["given"].update({"batch": [3]})))
write("device", train(lambda t: t["given"].update({"device": "nosuchdevice"})))
write("logged", train(lambda t: t["given"].update({"log": "written"})))
' || return 1
	refuses 1 'is no checkpoint of clef train: the text "clef.train" is missing' train --resume --checkpoint none &&
		refuses 1 'the text "clef.train" is not what it should be' train --resume --checkpoint junk &&
		refuses 1 'there is no option --xyzzy' train --resume --checkpoint option &&
		refuses 1 '--batch "-1" will not do' train --resume --checkpoint value &&
		refuses 1 '--batch "" will not do' train --resume --checkpoint type &&
		refuses 1 '--device is none of the options of a run' train --resume --checkpoint device &&
		refuses 1 '--log is none of the options of a run' train --resume --checkpoint logged && [ ! -f written ]
}

# PoCL has a second device, which computes alike to a few digits at least.
other_device() {
	POCL_DEVICES="pthread basic"
	export POCL_DEVICES
	"$clef" devices >list && grep -q ' 1  0:1 ' list || return 0
	rm -f state state.* run.jsonl
	run 0 train --epochs 4 --device 0 --log whole.jsonl && run 0 train --epochs 2 --device 0 --checkpoint state --log run.jsonl &&
		run 0 train --epochs 4 --device 1 --checkpoint state --resume --log run.jsonl && has out "device  " || return 1
	for file in whole.jsonl run.jsonl; do
		sed -n 's/.*"event":"epoch","epoch":4,"loss":\([0-9.e-]*\),.*/\1/p' $file
	done | awk '{ v[NR] = $1 } END { d = v[1] / v[2] - 1; exit !(NR == 2 && d < 0.02 && d > -0.02) }'
}

# in_subshell function: what it exports is gone after it.
in_subshell() {
	("$@")
}

try "$kills kills with SIGKILL" tortures
try "Ctrl-C again and again" interrupts
try "options from the file, and --eval-only" without_options
try "clef eval" evaluates
try "clef export" exports
try "more epochs" longer
try "a damaged file" damaged
try "what cannot be resumed" refusals
try "files that are no checkpoints" foreign
try "on another device" in_subshell other_device

cat notes
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
