#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# experiments.sh FOLDER: runs the examples in FOLDER that are experiments, and checks what their tables claim. The device
# is that of the environment. With CLEF_TEST_LONG and MNIST in $CLEF_TEST_DATA/mnist, the one on pretraining runs on that
# too. The last line is "N passed, N failed".
# shellcheck disable=SC2016,SC2317 # what looks like variables is awk's; the claims are called by try()
set -eu
programs=$(cd "${1:?usage: experiments.sh FOLDER}" && pwd)
# shellcheck source=tests/try.sh
. "$(dirname "$0")/try.sh"
cd "$work"

# table FILE program argument ...: its output into FILE.
table() {
	file=$1
	program=$2
	shift 2
	timeout -k 10 1200 "$programs/$program" "$@" >"$file" && return
	cat "$file"
	return 1
}

# holds FILE 'AWK PROGRAM': it sets `good` for the claim to hold.
holds() {
	awk "$2"' END { exit !good }' "$1" && return
	cat "$1"
	return 1
}

# ---- deep_init: 100 layers of 256 ----

explodes() {
	holds deep 'BEGIN { good = 1 }
		$1 ~ /^[0-9]+$/ && NF == 7 && $1 <= 31 { if (!($2 > 15.2 ^ $1 && $2 < 16.8 ^ $1)) good = 0; rows++ }
		$1 ~ /^[0-9]+$/ && NF == 7 && $1 >= 33 { if ($2 !~ /nan/) good = 0; rows++ }
		/^linear, N\(0, 1\):/ { sure = /times 1[56]\./ && /infinite in layer 3[12], NaN in layer 3[123]/ }
		END { good = good && sure && rows >= 12 }'
}

# column N LOW HIGH [FROM]: in all rows from layer FROM on.
column() {
	holds deep "BEGIN { good = 1 } \$1 ~ /^[0-9]+\$/ && NF == 7 && \$1 >= ${4:-1} {
		if (!(\$$1 > $2 && \$$1 < $3)) good = 0; rows++ } END { good = good && rows >= 8 }"
}

vanishes() {
	holds deep '$1 == 100 && NF == 7 { good = $4 < 0.1 && $6 < 1e-13 && $6 > 0 }'
}

gains() {
	holds deep '$1 == "relu" && NF == 3 && $2 > 1.40 && $2 < 1.43 && $3 == 1.4142 { n++ }
		$1 == "leaky_relu" && NF == 3 && $2 > 1.37 && $2 < 1.40 && $3 == 1.3868 { n++ }
		$1 == "tanh" && NF == 3 && $2 > 1.58 && $2 < 1.61 && $3 == 1.6667 { n++ }
		$1 == "linear" && NF == 3 && $2 > 0.99 && $2 < 1.01 && $3 == 1 { n++ } END { good = n == 4 }'
}

try "deep_init" table deep deep_init
try "weights from N(0, 1): 16 times larger a layer, NaN behind layer 31" explodes
try "weights from N(0, 1/n): the size stays" column 3 0.5 2
try "tanh with a gain of 5/3 settles at 0.65" column 5 0.63 0.67 10
try "relu with kaiming: the size stays" column 7 0.4 1.6
try "tanh and relu with xavier: the values vanish" vanishes
try "measured gains are those of calculate_gain, but for tanh: 1.59" gains

# ---- symmetry ----

alike() {
	holds symmetric '/^all 0  / { n += $3 == 1 && $4 == 0 && $5 < 20 } /^all 0\.1 / { n += $3 == 1 && $4 < 1e-5 && $5 < 60 }
		END { good = n == 2 }'
}

apart() {
	holds symmetric '/^0\.1 and noise/ { n += $4 == 32 && $6 > 90 } /^xavier/ { n += $2 == 32 && $4 > 90 }
		END { good = n == 2 }'
}

try "symmetry" table symmetric symmetry 10
try "neurons that begin alike stay alike" alike
try "neurons that begin apart learn" apart

# ---- pretraining ----

# pretrained FILE EPOCHS: ahead of both others from the first epoch to the last.
pretrained() {
	holds "$1" 'BEGIN { good = 1 }
		/^epoch/ { table = 1 }
		table && $1 ~ /^[0-9]+$/ { rows++; if (!($6 > 88 && $6 > $4 && $6 > $2 + 5)) good = 0; last = $6 }
		END { good = good && rows == '"$2"' && last > 91 }'
}

# In the last epoch.
ordered() {
	holds mnist '$1 == 3 && NF == 7 { good = $6 > $4 + 1 && $4 > $2 + 10 }'
}

try "pretraining" table digits pretraining digits 4 8
try "digits: a pretrained network is far ahead" pretrained digits 4
if [ -n "${CLEF_TEST_LONG:-}" ] && [ -d "${CLEF_TEST_DATA:-}/mnist" ]; then
	try "pretraining on MNIST" table mnist pretraining "$CLEF_TEST_DATA/mnist" 3 2
	try "MNIST: a pretrained network is ahead" pretrained mnist 3
	try "MNIST: xavier is ahead of small random weights" ordered
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
