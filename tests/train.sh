#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# train.sh CLEF: trains with the clef tool, with every sort of option and data. The last line is "N passed, N failed".
# shellcheck disable=SC2317 # functions are called by try()
set -eu
# shellcheck source=tests/clef.sh
. "$(dirname "$0")/clef.sh"

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

# Not to be changed by a rate of next to nothing: what was reached is where it starts.
from_weights() {
	run 0 train --epochs 3 --checkpoint first.st && cp out first || return 1
	run 0 train --epochs 1 --weights first.st --optim "sgd(lr=1e-9)" --checkpoint second.st || return 1
	[ "$(sed -n 's/^test accuracy//p' out)" = "$(sed -n 's/^test accuracy//p' first)" ] || return 1
	rm first.st
	run 0 train --checkpoint second.st --resume --epochs 2 && has out "test accuracy" || return 1
	refuses 1 "--weights" train --epochs 1 --weights nowhere.st || return 1
	refuses 1 "does not fit the model" train --epochs 1 --weights second.st --model "linear(10)"
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
try "the weights of another run" from_weights
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
