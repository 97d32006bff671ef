#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check.sh CLEF: runs clef check as people and scripts do: what it prints, what it refuses, and what becomes of drivers
# that compute wrong results, crash or hang, which a small library in front of the real one does on demand. The last
# line is "N passed, N failed".
# shellcheck disable=SC2317 # functions are called by try()
set -eu
# shellcheck source=tests/clef.sh
. "$(dirname "$0")/clef.sh"

# ---- what is printed ----

helps() {
	run 0 check --help && has out "--full" && has out "value_limit" && has out "[FAMILY|PROBLEM|@FILE ...]"
}

lists() {
	run 0 check --list && has out "linear x4x5 out3 no_bias" && has out "random draw=normal" &&
		cp out quick && run 0 check --list --full && [ "$(wc -l <out)" -gt $((2 * $(wc -l <quick))) ] || return 1
	run 0 check --list softplus && has out "thresholdX" && has out "(20)"
}

table() {
	run 0 check relu "linear x7x9 out5" random || return 1
	grep -qE '^relu +1 .* of 2e-06 .* ok$' out && grep -qE '^linear +1 .*ok$' out && has out "random" &&
		has out "draw=uniform: hash 4a113ed1a23dc4ff, expected 4a113ed1a23dc4ff" && has out "8 passed, 0 failed"
}

unquoted() {
	run 0 check linear out5 x7x9 whole relu x3 && has out "2 passed, 0 failed" && grep -qE '^linear .* exact' out
}

from_file() {
	printf '# remark\nrelu x5\n\n  linear x2x3 out4 # another\n' >problems
	run 0 check @problems && has out "2 passed, 0 failed" || return 1
	refuses 1 "nowhere cannot be read" check @nowhere
}

json() {
	run 0 check --json relu random || return 1
	python3 - <<-'END'
		import json
		r = json.load(open("out"))
		assert r["schema"] == 1 and r["passed"] == 7 and r["failed"] == r["skipped"] == 0, r
		assert r["device"]["name"] and r["device"]["kind"] in ("CPU", "GPU", "accelerator", "other")
		c = r["cases"][0]
		assert c["problem"] == "relu x33" and c["verdict"] == "passed" and c["value_error"] <= c["value_limit"]
		assert r["cases"][1]["gradient_limit"] is None and "hash" in r["cases"][1]["message"]
	END
}

try "check --help" helps
try "the list of cases" lists
try "a table" table
try "problems without quotes" unquoted
try "problems in a file" from_file
if command -v python3 >/dev/null; then
	try "JSON" json
fi

# ---- what is refused ----

try "an unknown family" refuses 2 '"liner" is no operation; did you mean "linear"?' check liner
try "an unknown word" refuses 2 '"oot5" means nothing to linear; there are x, out, no_bias, whole' check "linear x3x4 oot5"
try "a word twice" refuses 2 '"out6" of linear: it is given twice' check "linear x3x4 out5 out6"
try "a number out of range" refuses 2 '"out0" of linear: 1 to 1000000 are allowed' check "linear x3x4 out0"
try "no number" refuses 2 '"out2.5" of linear: a whole number is expected' check "linear x3x4 out2.5"
try "no shape" refuses 2 '"x3x" of linear: a shape is expected' check "linear x3x out2"
try "too large a shape" refuses 2 '2147483647 elements at most' check "relu x65536x65536"
try "a shape that is missing" refuses 2 'linear needs x, as in x2x3x4' check "linear out2"
try "a choice that is missing" refuses 2 'random needs draw, as in draw=uniform' check "random n3"
try "an unknown choice" refuses 2 'there are uniform, normal, exponential' check "random draw=cauchy"
try "an empty problem" refuses 2 'the name of an operation is expected' check " "
try "both levels" refuses 2 'exclude each other' check --quick --full
try "no such device" refuses 1 'the device cannot be opened: no device "xyzzy"' check --device xyzzy relu

# ---- bad drivers ----

# In front of clEnqueueNDRangeKernel: kernel $BAD_KERNEL is not run ($BAD_WAY lost), or the process crashes or hangs.
cat >bad.c <<'E2'
#define _GNU_SOURCE
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

cl_int clEnqueueNDRangeKernel(cl_command_queue q, cl_kernel k, cl_uint d, const size_t *o, const size_t *g,
			      const size_t *l, cl_uint n, const cl_event *w, cl_event *e)
{
	static cl_int (*real)(cl_command_queue, cl_kernel, cl_uint, const size_t *, const size_t *, const size_t *,
			      cl_uint, const cl_event *, cl_event *);
	const char *bad = getenv("BAD_KERNEL"), *way = getenv("BAD_WAY");
	char name[256] = "";

	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "clEnqueueNDRangeKernel");
	clGetKernelInfo(k, CL_KERNEL_FUNCTION_NAME, sizeof(name), name, NULL);
	if (bad && way && !strcmp(name, bad)) {
		if (!strcmp(way, "crash"))
			raise(SIGSEGV);
		if (!strcmp(way, "hang"))
			pause();
		if (!strcmp(way, "lost") && !e)
			return CL_SUCCESS;
	}
	return real(q, k, d, o, g, l, n, w, e);
}
E2

bad_driver() {
	export BAD_WAY="$1" BAD_KERNEL="$2" LD_PRELOAD="$PWD/bad.so"
	shift 2
	run 1 check --jobs 1 "$@"
}

wrong() {
	(bad_driver lost unary_forward relu add) || return 1
	grep -qE '^relu .* 1 FAILED$' out && grep -qE '^add .* ok$' out && has out "FAILED  relu x33" &&
		has out ", expected " && has out 'again: clef check "relu x33"' && has out "3 passed, 1 failed"
}

crash() {
	(bad_driver crash unary_forward relu add) || return 1
	has out "the driver crashes (Segmentation fault)" && grep -qE '^add .* ok$' out && has out "3 passed, 1 failed"
}

hang() {
	(bad_driver hang unary_forward --limit 4 sub relu add) || return 1
	has out "the driver gives no answer within 4 s" && grep -qE '^add .* ok$' out && has out "6 passed, 1 failed"
}

if cc -shared -fPIC -o bad.so bad.c -ldl 2>cc.log; then
	try "a driver that loses a kernel" wrong
	try "a driver that crashes" crash
	try "a driver that hangs" hang
else
	echo "skipped: bad drivers, because there is no OpenCL header for the C compiler"
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
