#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tool.sh CLEF: runs the clef tool as people and scripts do, and looks at its output, messages and exit statuses. The
# device is that of the environment. The last line is "N passed, N failed".
# shellcheck disable=SC2317 # most functions are called by try()
set -eu
clef=$(cd "$(dirname "${1:?usage: tool.sh CLEF}")" && pwd)/$(basename "$1")
# shellcheck source=tests/try.sh
. "$(dirname "$0")/try.sh"
cd "$work"
unset CLEF_DATA CLEF_PROFILE

# run STATUS argument ...: the tool with its output in the files out and err; fails unless it exits with STATUS.
run() {
	want=$1
	shift
	status=0
	timeout -k 10 300 "$clef" "$@" >out 2>err </dev/null || status=$?
	[ "$status" = "$want" ] && return
	echo "clef $*: exit status $status, expected $want"
	cat out err
	return 1
}

# has FILE TEXT: TEXT is in it, as it stands.
has() {
	grep -qF -e "$2" "$1" && return
	echo "\"$2\" is not in $1:"
	cat "$1"
	return 1
}

# refuses STATUS TEXT argument ...: it exits so, writes nothing to its output, and TEXT in a message that begins with
# the name of the command.
refuses() {
	text=$2
	status=$1
	shift 2
	run "$status" "$@" && has err "$text" || return 1
	if [ -s out ]; then
		echo "something is in the output:"
		cat out
		return 1
	fi
	grep -qE '^clef( [a-z]+)?: ' err
}

weights() {
	sed -n 's/^weights \([0-9a-f]\{16\}\)$/\1/p' "$1"
}

# ---- help ----

helps() {
	run 0 --help && has out "Commands:" && has out "train " && has out "devices " && [ ! -s err ]
}

train_helps() {
	run 0 train --help || return 1
	for option in data model init optim lr momentum nesterov weight-decay beta1 beta2 eps alpha schedule warmup \
		augment clip-norm clip-value accumulate ema batch epochs early-stop val-split seed device log plot print watch stop-nan; do
		has out "  --$option" || return 1
	done
}

devices_helps() {
	run 0 devices --help && has out "--json" && has out "global_memory"
}

no_command() {
	run 2 && has err "Usage: clef COMMAND" && [ ! -s out ]
}

version() {
	run 0 --version && grep -qx 'clef [0-9]*\.[0-9]*\.[0-9]*' out
}

full_disk() {
	status=0
	"$clef" --help >/dev/full 2>err || status=$?
	[ "$status" = 1 ] && has err "cannot be written"
}

try "--help" helps
try "train --help" train_helps
try "devices --help" devices_helps
try "no command" no_command
try "--version" version
[ ! -c /dev/full ] || try "output that cannot be written" full_disk

# ---- what is refused ----

try "unknown command" refuses 2 'did you mean "train"?' trian
try "unknown command, nothing near" refuses 2 'unknown command "xyzzy"' xyzzy
try "unknown option of the tool" refuses 2 'did you mean "--version"?' --versoin
try "unknown option" refuses 2 'unknown option --epohcs; did you mean --epochs?' train --epohcs 3
try "unknown option, nothing near" refuses 2 'unknown option --xyzzyx' train --xyzzyx
try "unknown letter" refuses 2 'unknown option -q' train -q
try "ambiguous option" refuses 2 '--mo is short for --model and for --momentum' train --mo 1
try "missing value" refuses 2 '--lr needs a value: a number' train --lr
try "value for a flag" refuses 2 '--nesterov takes no value' train --nesterov=1
try "a word too many" refuses 2 '"digits" is one word too many' train digits
try "batch 0" refuses 2 '--batch "0" will not do: it takes a whole number from 1' train --batch 0
try "epochs -1" refuses 2 '--epochs "-1" will not do: it takes a whole number from 0' train --epochs -1
try "junk behind a number" refuses 2 '--epochs "3x"' train --epochs 3x
try "a count too large" refuses 2 '--batch "3000000000"' train --batch 3000000000
try "lr x" refuses 2 '--lr "x" will not do: it takes a number' train --lr x
try "lr 0" refuses 2 '--lr "0"' train --lr 0
try "lr nan" refuses 2 '--lr "nan"' train --lr nan
try "lr too small for a float" refuses 2 '--lr "1e-50"' train --lr 1e-50
try "seed too large" refuses 2 '--seed "18446744073709551616"' train --seed 18446744073709551616
try "val-split 1.5" refuses 2 '--val-split "1.5" will not do: it takes a share' train --val-split 1.5
try "val-split of everything" refuses 2 'the training set has 1438 images' train --val-split 1438
try "unknown optimizer" refuses 2 'did you mean "adam"?; known are sgd, ' train --optim adma
try "two optimizers" refuses 2 'there can be one optimizer' train --optim "adam sgd"
try "an option of an optimizer out of range" refuses 2 'rho is 1, must be >= 0 and < 1' train --optim "adadelta(rho=1)"
try "momentum 1" refuses 2 '--momentum "1"' train --optim sgd --momentum 1
try "momentum with adam" refuses 2 'allowed is adam(lr, beta1, beta2, eps,' train --momentum 0.9
try "beta1 with lion, in brackets" refuses 2 'given twice' train --optim "lion(beta1=0.8)" --beta1 0.9
try "weight decay with rprop" refuses 2 'allowed is rprop(lr, eta_minus' train --optim rprop --weight-decay 0.1
try "nesterov without momentum" refuses 2 'it needs momentum > 0' train --optim sgd --nesterov
try "unknown schedule" refuses 2 'did you mean "cosine"?' train --schedule cosin
try "schedule without its number" refuses 2 '--schedule "step": every is 0' train --schedule step
try "warm-up of a schedule without one" refuses 2 'allowed is one_cycle(steps' train --schedule one_cycle --warmup 3
try "warm-up longer than the run" refuses 2 'a warm-up of 1000 steps leaves none of the 13' train --warmup 1000 --epochs 1
try "clip-norm 0" refuses 2 '--clip-norm "0" will not do' train --clip-norm 0
try "accumulate 0" refuses 2 '--accumulate "0" will not do' train --accumulate 0
try "ema 1" refuses 2 '--ema "1" will not do: it takes a number above 0' train --ema 1
try "unknown augmentation" refuses 2 'did you mean "crop"?' train --augment "corp(4)"
try "augmentation out of range" refuses 2 'p is 2, must be >= 0 and <= 1' train --augment "flip(2)"
try "unknown layer" refuses 2 'did you mean "linear"?' train --model "linar(10)"
try "no layers" refuses 2 '--model ""' train --model ""
try "unknown initializer" refuses 2 '--init "xavier"' train --init xavier
try "other option of devices" refuses 2 'did you mean --json?' devices --jsno
try "output of another size than the classes" refuses 2 'let it end with linear(10)' train --model "linear(12)"
try "output of another shape" refuses 2 'have a flatten' train --model "relu linear(10)"
try "watch every 0 steps" refuses 2 '--watch "0" will not do: it takes nothing, or a whole number' train --watch=0
try "missing folder" refuses 1 '--data ./nowhere: ' train --data ./nowhere
try "folder without images" refuses 1 'train-images-idx3-ubyte' train --data .
try "log that cannot be written" refuses 1 '--log ./nowhere/log: ' train --log ./nowhere/log
try "unknown device" refuses 1 '--device nosuchdevice: ' train --device nosuchdevice

damaged_images() {
	mkdir -p damaged && printf 'no images' >damaged/train-images-idx3-ubyte &&
		printf 'no labels' >damaged/train-labels-idx1-ubyte &&
		refuses 1 'damaged/train-images-idx3-ubyte' train --data damaged
}

damaged_digits() {
	mkdir -p digits && printf '1,2,three\n' >digits/digits.csv.gz || return 1
	export CLEF_DATA=digits
	refuses 1 'digits/digits.csv.gz' train
	damaged=$?
	unset CLEF_DATA
	return $damaged
}

# Data beside the program goes before what was compiled in, so that an installation can be moved.
beside_program() {
	mkdir -p moved/bin moved/share/clef && cp "$clef" moved/bin/ && printf 'junk\n' >moved/share/clef/digits.csv.gz ||
		return 1
	status=0
	"moved/bin/$(basename "$clef")" train >out 2>err || status=$?
	[ "$status" = 1 ] && has err "share/clef/digits.csv.gz"
}

diverges() {
	run 1 train --optim sgd --lr 1e10 --epochs 3 --log diverged.jsonl &&
		has err "the loss is NaN after epoch 1: training has diverged; try a lower --lr than 1e+10" &&
		has diverged.jsonl '"status":"diverged"'
}

# The layers in front of the one that stops the run are right.
stops_at_nan() {
	run 1 train --optim sgd --lr 1e30 --stop-nan --log nan.jsonl &&
		has err "layer 5 (linear) gave NaN in step 2, in epoch 1: 1000 of its 1000 values; layer 4 (relu)" &&
		has nan.jsonl '"status":"diverged"'
}

try "damaged images" damaged_images
try "damaged digits in CLEF_DATA" damaged_digits
try "digits beside the program" beside_program
try "a loss that is no number" diverges
try "a layer that gives NaN" stops_at_nan

# ---- devices ----

devices() {
	run 0 devices && [ "$(grep -c '^\*  *[0-9]' out)" = 1 ] && has out "platform" && has out "driver"
}

devices_json() {
	run 0 devices --json && has out '"default": true' && has out '"compute_units":' || return 1
	command -v python3 >/dev/null || return 0
	python3 -c '
import json
devices = json.load(open("out"))
assert [d["number"] for d in devices] == list(range(len(devices)))
assert sum(d["default"] for d in devices) == 1
assert all(d["global_memory"] > 0 and d["kind"] in ("CPU", "GPU", "accelerator", "other") for d in devices)'
}

# The number that the table gives is the one that --device takes.
device_by_number() {
	number=$(awk '$1 == "*" { print $2 }' table)
	run 0 train --device "$number" --epochs 0
}

# A loader that finds no driver.
no_device() {
	mkdir -p none
	OCL_ICD_VENDORS=$work/none
	export OCL_ICD_VENDORS
	run 1 devices && has err "no OpenCL device was found" && has err "pocl-opencl-icd" && [ ! -s out ] &&
		run 1 devices --json && [ "$(cat out)" = "[]" ] && has err "no OpenCL device was found" &&
		refuses 1 'no OpenCL device' train
}

wrong_default() {
	CLEF_DEVICE=nosuchdevice
	export CLEF_DEVICE
	run 0 devices && ! grep -q '^\*' out && has err 'nosuchdevice' && refuses 1 'nosuchdevice' train
}

# in_subshell function: what it exports is gone after it.
in_subshell() {
	("$@")
}

try "devices" devices
cp out table
try "devices --json" devices_json
try "a device by its number" device_by_number
try "no device" in_subshell no_device
try "CLEF_DEVICE that is not there" in_subshell wrong_default

# ---- training ----

digits() {
	run 0 train --data digits --epochs 3 --seed 7 --log run.jsonl --print && cp out first || return 1
	has first "images  1294 to train, 144 to validate, 359 to test" && has first "1 (linear)" || return 1
	[ "$(grep -c '^ *[123]  .* %  .* %  ' first)" = 3 ] || return 1
	sed -n 's/^test accuracy \([0-9.]*\) % (359 images)$/\1/p' first | awk '{ n++; good = $1 > 90 } END { exit !(n == 1 && good) }' ||
		{ cat first && return 1; }
	[ -n "$(weights first)" ]
}

no_carriage_return() {
	[ "$(tr -dc '\r\033' <first | wc -c)" = 0 ]
}

json_lines() {
	[ "$(wc -l <run.jsonl)" = 5 ] && has run.jsonl "\"weights\":\"$(weights first)\"" || return 1
	if ! command -v python3 >/dev/null; then
		[ "$(grep -cE '^\{"event":"(start|epoch|end)",.*\}$' run.jsonl)" = 5 ]
		return
	fi
	python3 -c '
import json
start, *epochs, end = [json.loads(line) for line in open("run.jsonl")]
assert start["event"] == "start" and start["options"]["seed"] == "7" and start["options"]["lr"] == 0.001
assert start["device"]["name"] and start["data"]["sample"] == [1, 8, 8] and start["parameters"] == 85002
assert [(e["event"], e["epoch"]) for e in epochs] == [("epoch", 1), ("epoch", 2), ("epoch", 3)]
assert epochs[2]["loss"] < epochs[0]["loss"] and epochs[2]["validation_accuracy"] > 0.8
assert all(e["seconds"] > 0 and e["images_per_second"] > 0 for e in epochs)
assert end["event"] == "end" and end["status"] == "done" and end["test_images"] == 359 and end["test_accuracy"] > 0.9'
}

same_seed() {
	run 0 train --data digits --epochs 3 --seed 7 && [ "$(weights out)" = "$(weights first)" ]
}

other_seed() {
	run 0 train --data digits --epochs 3 --seed 8 && [ -n "$(weights out)" ] &&
		[ "$(weights out)" != "$(weights first)" ]
}

# Each of them must change the weights.
matters() {
	run 0 train --epochs 1 "$@" && [ -n "$(weights out)" ] || return 1
	for other in seen.*; do
		[ ! -f "$other" ] || [ "$(weights out)" != "$(weights "$other")" ] || {
			echo "the weights are those of $other"
			return 1
		}
	done
	cp out "seen.$(printf '%s' "$*" | tr -c 'a-z0-9' _)"
}

options_matter() {
	matters && matters --lr 0.01 && matters --weight-decay 0.1 && matters --batch 50 && matters --init default &&
		matters --init "normal(0, 0.1)" && matters --val-split 0 && matters --val-split 100 &&
		matters --optim sgd && matters --optim sgd --momentum 0.9 &&
		matters --optim sgd --momentum 0.9 --nesterov && matters --beta1 0.5 && matters --beta2 0.9 &&
		matters --eps 0.1 && matters --optim rmsprop && matters --optim rmsprop --alpha 0.5 &&
		matters --schedule cosine && matters --schedule "step(1, 0.5)" --epochs 2 && matters --warmup 5 &&
		matters --clip-norm 0.1 && matters --clip-value 0.001 && matters --accumulate 2 && matters --ema 0.9 &&
		matters --augment "crop(1)" && matters --augment "flip(0.1)" && matters --augment "erase(2)" &&
		matters --model "linear(32) gelu linear(10)"
}

# One table an epoch, or one every 20 steps of the 26; a row for each layer; the relu in the middle gives zeros.
watches() {
	run 0 train --epochs 2 --watch --model "linear(32) relu linear(10)" || return 1
	[ "$(grep -c '^step [0-9]*, in epoch [12]:$' out)" = 2 ] && has out "step 14, in epoch 2:" || return 1
	awk '$1 == 1 && $2 == "(linear)" && $4 == "32]" && $7 < 0 { linear++ }
	     $1 == 2 && $2 == "(relu)" && $7 == 0 && $9 > 10 && $9 < 90 && $11 == 0 { relu++ }
	     END { exit !(linear == 2 && relu == 2) }' out || { cat out && return 1; }
	run 0 train --epochs 2 --watch=20 --stop-nan && has out "step 1, in" && has out "step 21, in epoch 2:" &&
		[ "$(grep -c '^step' out)" = 2 ]
}

# Two ways to say it.
# shellcheck disable=SC2086 # the options are words
same_weights() {
	run 0 train --epochs 1 $1 && cp out one && run 0 train --epochs 1 $2 && [ -n "$(weights out)" ] &&
		[ "$(weights out)" = "$(weights one)" ]
}

same_options() {
	same_weights "" "--optim adam --lr 0.001" &&
		same_weights "--optim sgd(nesterov,momentum=0.9,lr=0.1)" "--optim nesterov --lr 0.1" &&
		same_weights "--optim momentum(momentum=0.5)" "--optim sgd --momentum 0.5" &&
		same_weights "--optim adamw --weight-decay 0" "--optim adam" &&
		same_weights "--schedule cosine(1)" "--schedule cosine" &&
		same_weights "--model mlp(width=20,stages=1)" "--model linear(20),relu,linear(10)" &&
		same_weights "--schedule cosine --warmup 3" "--schedule cosine(warmup=3)"
}

# Every rule by its name.
all_rules() {
	for rule in sgd momentum nesterov adagrad adadelta rmsprop adam adamw adamax nadam radam rprop asgd lion lars lamb \
		adafactor; do
		run 0 train --epochs 1 --optim "$rule" && has out "optim   $rule" && [ -n "$(weights out)" ] || return 1
		for other in rule.*; do
			[ ! -f "$other" ] || [ "$(weights out)" != "$(weights "$other")" ] || {
				echo "$rule has the weights of $other"
				return 1
			}
		done
		cp out "rule.$rule"
	done
}

# The rates at the ends of three epochs of 13 steps.
rates() {
	run 0 train --epochs 3 --lr 0.01 --schedule "$1" --log rates.jsonl || return 1
	got=$(sed -n 's/^{"event":"epoch".*"lr":\([0-9.e-]*\)[,}].*/\1/p' rates.jsonl | tr '\n' ' ')
	[ "$got" = "$2" ] || {
		echo "$1: the rates are $got, expected $2"
		return 1
	}
}

schedules() {
	rates "step(1, 0.5)" "0.005 0.0025 0.00125 " && rates "multistep(1, 2, factor=0.5)" "0.005 0.0025 0.0025 " &&
		rates "exponential(0.5)" "0.005 0.0025 0.00125 " && rates "cosine" "0.0075 0.0025 0.0 " &&
		rates "polynomial" "0.006666666 0.003333333 0.0 " && rates "constant(0.5, 2)" "0.005 0.01 0.01 " &&
		rates "linear(2, 0.5)" "0.0075 0.01 0.01 " && rates "restarts(1)" "0.01 0.01 0.01 " &&
		rates "plateau(factor=0.5, patience=1, threshold=1e9, absolute)" "0.01 0.01 0.005 " && has out "       lr"
}

# A mean over two batches of 50 is one over a batch of 100, but for rounding; 1294 images end with a batch of 94 or two.
accumulates() {
	run 0 train --epochs 2 --batch 100 && cp out one && run 0 train --epochs 2 --batch 50 --accumulate 2 || return 1
	for file in one out; do
		sed -n 's/^ *2  *\([0-9]*\.[0-9]*\)  .*/\1/p' "$file"
	done | awk '{ v[NR] = $1 } END { d = v[1] - v[2]; exit !(NR == 2 && v[1] > 0 && d < 0.01 && d > -0.01) }' ||
		{ cat one out && return 1; }
}

# A flatten may be left out, and makes no difference.
flatten() {
	run 0 train --epochs 1 --model "linear(32) relu linear(10)" && cp out without &&
		run 0 train --epochs 1 --model "flatten linear(32) relu linear(10)" &&
		[ -n "$(weights out)" ] && [ "$(weights out)" = "$(weights without)" ]
}

no_validation() {
	run 0 train --epochs 1 --val-split 0 && has out "images  1438 to train, 0 to validate" && ! grep -q 'val\. loss' out
}

# A file in MNIST's layout: one image of 2 x 2 for each class, twice over.
mnist_layout() {
	mkdir -p tiny
	for part in train t10k; do
		printf '\0\0\010\003\0\0\0\012\0\0\0\002\0\0\0\002' >"tiny/$part-images-idx3-ubyte"
		printf '\0\0\010\001\0\0\0\012' >"tiny/$part-labels-idx1-ubyte"
		for class in 0 1 2 3 4 5 6 7 10 11; do
			# shellcheck disable=SC2059 # the escapes are meant
			printf "\\$class\\3\\$class\\7" >>"tiny/$part-images-idx3-ubyte"
			# shellcheck disable=SC2059
			printf "\\$class" >>"tiny/$part-labels-idx1-ubyte"
		done
	done
	run 0 train --data tiny --epochs 1 --val-split 2 --batch 3 && has out "images [1, 2, 2], 10 classes" &&
		has out "images  8 to train, 2 to validate, 10 to test"
}

# The matrix adds up to the images of the test, and its diagonal to those that were right.
confusion() {
	run 0 train --epochs 2 || return 1
	awk '/^test accuracy/ { accuracy = $3 }
	     /^class / { table = 1; next }
	     /^$/ { table = rows > 0 ? 0 : table }
	     table && NF == 14 && $1 == rows { rows++; right += $(4 + rows); images += $2
		for (i = 5; i <= 14; i++) sum += $i
		d = $3 - 100 * $(4 + rows) / $2; if (d > 0.006 || d < -0.006) wrong++ }
	     END { d = accuracy - 100 * right / 359
		exit !(rows == 10 && sum == 359 && images == 359 && !wrong && d < 0.006 && d > -0.006) }' out && return
	cat out
	return 1
}

# With a rate of 0 in all but name nothing gets better.
stops_early() {
	run 0 train --epochs 9 --optim sgd --lr 1e-30 --early-stop 3 --log stop.jsonl &&
		has out "stopped early: epoch 1 was the best" && [ "$(grep -c '"event":"epoch"' stop.jsonl)" = 4 ] &&
		has stop.jsonl '"status":"done"' && run 0 train --epochs 5 --early-stop 4 && ! grep -q 'stopped' out
}

plots() {
	run 0 train --epochs 3 --plot curve.svg --model "linear(10)" && [ ! -e curve.svg.part ] || return 1
	[ "$(grep -c '<circle' curve.svg)" = 12 ] && has curve.svg '</svg>' && has curve.svg '>validation<' &&
		has curve.svg '>linear(10)</text>' && run 0 train --epochs 2 --val-split 0 --plot curve.svg \
		--model "linear(5)->linear(10)" && [ "$(grep -c '<circle' curve.svg)" = 4 ] &&
		! grep -q validation curve.svg && has curve.svg 'linear(5)-&gt;linear(10)' || return 1
	! command -v python3 >/dev/null || python3 -c 'import xml.dom.minidom; xml.dom.minidom.parse("curve.svg")' ||
		return 1
	run 1 train --epochs 1 --plot ./nowhere/curve.svg && has err "--plot ./nowhere/curve.svg: No such file"
}

# What was learnt of pixels, by the names of the classes.
predicts() {
	run 0 train --data pixels --epochs 9 --val-split 0 --batch 5 --model "linear(2)" --optim sgd --lr 1 \
		--checkpoint pixels.state && run 0 predict pixels.state pixels/test/white/1.png &&
		[ "$(awk '{ print $3, $4 }' out | tr '\n' ' ')" = "1 white 0 black " ] &&
		awk '{ sum += $1 } NR == 1 && $1 < 90 { bad = 1 } END { exit bad || sum < 99.9 || sum > 100.1 }' out &&
		run 0 predict pixels.state pixels/test/black/1.png --top 1 && has out "0 black" &&
		[ "$(wc -l <out)" = 1 ] && run 2 predict pixels.state && has err "missing" &&
		run 1 predict pixels.state nowhere.png && has err "nowhere.png: No such file" &&
		run 1 predict nowhere pixels/test/black/1.png && has err "nowhere" && run 0 train --epochs 1 \
		--checkpoint digits.state && run 1 predict digits.state pixels/test/black/1.png &&
		has err "pixels/test/black/1.png is [1, 1, 1], and digits.state takes [1, 8, 8]"
}

# Images of one grey pixel, black ones and white ones.
image_folders() {
	start='\211PNG\r\n\032\n\0\0\0\015IHDR\0\0\0\001\0\0\0\001\010\0\0\0\0\072\176\233\125\0\0\0\012IDAT'
	end='\0\0\0\0IEND\256\102\140\202'
	for part in train test; do
		mkdir -p "pixels/$part/black" "pixels/$part/white"
		for i in 1 2 3 4 5; do
			# shellcheck disable=SC2059 # the escapes are meant
			printf "$start"'\170\332\143\140\0\0\0\002\0\001\345\047\336\374'"$end" >"pixels/$part/black/$i.png"
			# shellcheck disable=SC2059
			printf "$start"'\170\332\143\370\017\0\001\001\001\0\034\260\214\231'"$end" >"pixels/$part/white/$i.png"
		done
	done
	status=0
	run 0 train --data pixels --epochs 9 --val-split 0 --batch 5 --model "linear(2)" --optim sgd --lr 1 || status=1
	[ $status = 0 ] || ! grep -q 'was built without' err || return 0
	has out "images [1, 1, 1], 2 classes" && has out "1 white" && has out "test accuracy 100.00 %" || return 1
	predicts || return 1
	printf junk >pixels/test/white/3.png
	refuses 1 "pixels/test/white/3.png is neither a PNG nor a JPEG" train --data pixels
}

# Ten black images, of airplanes: a channel without any deviation must not make NaN.
cifar_layout() {
	mkdir -p planes
	for part in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
		head -c 30730 /dev/zero >"planes/$part.bin"
	done
	run 0 train --data planes --epochs 2 --val-split 0 --model "linear(10)" --optim sgd --lr 1 --log planes.jsonl &&
		has out "images [3, 32, 32], 10 classes" && has out "images  50 to train, 0 to validate, 10 to test" &&
		has out "test accuracy 100.00 %" && has out "0 airplane            10  100.00 %    10     0" &&
		has out "9 truck                0         -     0" && has planes.jsonl '"mean":[0.0,0.0,0.0],"std":[0.0,0.0,0.0]'
}

# Ctrl-C comes while it trains: 100 million epochs take longer. The signal is sent to the program alone, and once.
interrupt() {
	status=0
	timeout --foreground --preserve-status -s INT -k 60 5 "$clef" train --epochs 100000000 --log int.jsonl >out 2>err ||
		status=$?
	[ "$status" = 130 ] && grep -q '^interrupted in epoch [0-9]* after [0-9]* of 1294 images: loss [0-9.]*, accuracy ' out &&
		[ -n "$(weights out)" ] && has int.jsonl '"status":"interrupted"' && [ ! -s err ] && return
	echo "exit status $status"
	tail -n 5 out err
	return 1
}

# On a terminal there is a bar, and it is taken away before the line of the epoch.
terminal() {
	TERM=xterm timeout 300 script -qec "'$clef' train --epochs 20" typescript >/dev/null </dev/null || return 1
	escape=$(printf '\033')
	grep -q "epoch [0-9]*/20 \[[#-]*\] loss [0-9.]*  accuracy" typescript &&
		grep -q "$escape\[K *[0-9]*  " typescript && has typescript "test accuracy"
}

try "digits to more than 90 %" digits
try "no redrawing without a terminal" no_carriage_return
try "the log is JSON lines" json_lines
try "equal seeds, equal weights" same_seed
try "another seed, other weights" other_seed
try "options have an effect" options_matter
try "what the layers give" watches
try "options of the optimizer in two ways" same_options
try "every optimizer" all_rules
try "schedules" schedules
try "batches add up to a step" accumulates
try "flatten is put in front" flatten
try "nothing held out" no_validation
try "the confusion matrix" confusion
try "--early-stop" stops_early
try "--plot" plots
try "a folder in MNIST's layout" mnist_layout
try "a folder with CIFAR-10" cifar_layout
try "folders of images" image_folders
try "Ctrl-C" interrupt
if command -v script >/dev/null; then
	try "the bar on a terminal" terminal
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
