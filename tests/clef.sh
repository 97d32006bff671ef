# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# What tests of the clef tool share. Read by `. clef.sh` from a script's own folder, which has the tool as its first
# argument and goes on in the temporary folder $work. The device is that of the environment.
# shellcheck disable=SC2034,SC2317 # for those who read it

clef=$(cd "$(dirname "${1:?usage: $(basename "$0") CLEF}")" && pwd)/$(basename "$1")
# shellcheck source=tests/try.sh
. "$(dirname "$0")/try.sh"
cd "$work" || exit
unset CLEF_DATA CLEF_PROFILE
# What a user has tuned, and what a device measures by itself, is no business of tests but those of it.
export CLEF_TUNING="" CLEF_TUNE_MS=0

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

# in_subshell function: what it exports is gone after it.
in_subshell() {
	("$@")
}
