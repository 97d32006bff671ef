# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# What the test scripts share: a temporary folder $work, removed at the end, and tests with a count. Read by
# `. try.sh` from a script's own folder.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# try NAME command ...: one test. The command runs without `set -e`, so each of its lines says what a failure means.
try() {
	label=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		passed=$((passed + 1))
		printf 'ok   %s\n' "$label"
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n' "$label"
		sed 's/^/     | /' "$work/log"
	fi
}
