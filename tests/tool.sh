#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tool.sh CLEF: runs the clef tool as people and scripts do, and looks at its output, messages and exit statuses: what
# is refused, and devices. train.sh has the training. The last line is "N passed, N failed".
# shellcheck disable=SC2317 # functions are called by try()
set -eu
# shellcheck source=tests/clef.sh
. "$(dirname "$0")/clef.sh"

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

try "devices" devices
cp out table
try "devices --json" devices_json
try "a device by its number" device_by_number
try "no device" in_subshell no_device
try "CLEF_DEVICE that is not there" in_subshell wrong_default

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
