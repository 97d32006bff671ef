#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# bench.sh CLEF [KERNELS]: clef bench as people and scripts use it: what is refused, files made by hand compared and
# shown, and a few short measurements. KERNELS is the folder of the kernels, to be given ones that are wrong; without it
# that of the source tree. The last line is "N passed, N failed".
# shellcheck disable=SC2317 # functions are called by try()
set -eu
kernels=$(cd "${2:-$(dirname "$0")/../cl}" && pwd)
# shellcheck source=tests/clef.sh
. "$(dirname "$0")/clef.sh"

# ---- what is refused ----

bench_helps() {
	run 0 bench --help && [ ! -s err ] || return 1
	for option in device all-devices time-limit quick full only model input classes batch optim json csv html read \
		compare fail-below; do
		has out "  --$option" || return 1
	done
}

try "bench --help" bench_helps
try "a problem with a wrong word" refuses 2 '"out" means nothing to linear; there are x, out' bench "linear x3 out"
try "what is no operation" refuses 2 'optim is no operation that can be timed' bench relu optim
try "no such operation" refuses 2 '"conw2d" is no operation' bench "conw2d n3"
try "a shape that is none" refuses 2 '"x3q"' bench "relu x3q"
try "a file of problems that is not there" refuses 1 'nowhere.txt cannot be read' bench @nowhere.txt
try "no such model" refuses 2 'did you mean "mlp"' bench --model mpl
try "no such optimizer" refuses 2 'did you mean "sgd"' bench --model mlp --optim sdg
try "a batch without a model" refuses 2 'need --model' bench --batch 3
try "a shape of images that is none" refuses 2 '--input "3x" will not do: it takes sizes such as 3x32x32' bench --model mlp --input 3x
try "a part that is none" refuses 2 '--only "op" will not do: it takes limits, ops, networks' bench --only op
try "quick and full" refuses 2 'exclude each other' bench --quick --full
try "all devices and one" refuses 2 'exclude each other' bench --all-devices --device 0
try "a time limit for one device" refuses 2 '--time-limit needs --all-devices' bench --time-limit 3
try "one file to compare" refuses 2 'needs two files' bench --compare one.json
try "comparing and measuring" refuses 2 '--compare measures nothing' bench --compare --quick one.json two.json
try "reading and measuring" refuses 2 '--read measures nothing' bench --read one.json --quick
try "a limit without a comparison" refuses 2 '--fail-below needs --compare' bench --fail-below 0.9
try "no such device" refuses 1 '--device nosuchdevice: ' bench --device nosuchdevice

# ---- files by hand ----

# stat MEDIAN: 1 % of spread to both sides.
stat() {
	awk -v m="$1" 'BEGIN { printf "{\"count\": 9, \"median\": %.9g, \"low\": %.9g, \"high\": %.9g, \"least\": %.9g, \"most\": %.9g}",
		m, 0.99 * m, 1.01 * m, 0.9 * m, 1.1 * m }'
}

# row NAME PASS SECONDS STATE [MORE]
row() {
	printf '{"name": "%s", "pass": "%s", "group": "g", "state": "%s", "message": "why <b>", "seconds": %s, "flops": 1e8,
		"bytes": 1e6, "launches": 1, "limit": 1e-3, "bound": "arithmetic", "multiply_add": 1e11, "copy": 1e10%s}' \
		"$1" "$2" "$4" "$(stat "$3")" "$5"
}

# results DEVICE FACTOR STATE: all of it FACTOR times as slow.
results() {
	first=$(awk -v f="$2" 'BEGIN { print 2e-3 * f }')
	second=$(awk -v f="$2" 'BEGIN { print 8e-3 * f }')
	printf '{"schema": 1, "results": [{"device": {"platform": 0, "device": 1, "kind": "CPU", "name": "%s", "vendor": "v",
		"platform_name": "p", "version": "1", "driver": "d", "compute_units": 2, "clock_mhz": 0, "float_vector": 8,
		"max_work_group": 64, "global_memory": 1e9, "max_allocation": 1e9, "local_memory": 1024,
		"unified_memory": true}, "seconds": 3, "limits": {"multiply_add": %s, "memory": [{"bytes": 1e8, "copy": %s,
		"read": %s}], "launch": %s, "launch_row": %s, "transfer": [], "compile_cold": null, "compile_cached": null},
		"probes": [{"at": 1, "multiply_add": 1e11, "copy": 1e10}, {"at": 2, "multiply_add": 9e10, "copy": 1e10}],
		"ops": [%s], "networks": [%s]}]}\n' \
		"$1" "$(stat 1e11)" "$(stat 1e10)" "$(stat 1.1e10)" "$(stat 2e-5)" "$(stat 5e-6)" \
		"$(row "linear x64x3072 out4000" forward "$first" "$3" ', "error": 0.5')" \
		"$(row "mlp n100" "train sgd" "$second" right ", \"memory\": 5e6, \"images\": 100, \"loss\": 2.3,
			\"data\": null, \"forward\": $(stat 1e-3), \"backward\": $(stat 2e-3), \"optimizer\": $(stat 1e-3)")"
}

results one 1 right >one.json
results two 1.25 right >two.json
results near 1.01 right >near.json
results wrong 1 wrong >wrong.json
printf '{"schema": 1, "results": [' >damaged.json
printf '{"schema": 9, "results": []}' >later.json

compares() {
	run 0 bench --compare one.json two.json && has out "[B] two.json: two (p)" && has out "0.800" &&
		has out "[B] ops: 0.800 times the speed of [A], geometric mean" &&
		has out "linear x64x3072 out4000 forward: 0.800 in [B]" && has out "mlp n100 train sgd: 0.800 in [B]"
}

fails_below() {
	run 1 bench --compare --fail-below 0.95 one.json two.json && has out "Below 0.95" &&
		run 0 bench --compare --fail-below 0.75 one.json two.json && has out "Nothing is below 0.75" &&
		run 0 bench --compare --fail-below 0.95 two.json one.json && has out "1.250"
}

# 1 % of difference with quartiles that overlap.
chance() {
	run 0 bench --compare --fail-below 0.999 one.json near.json && has out "0.990~" && has out "Nothing is below"
}

becomes_wrong() {
	run 1 bench --compare --fail-below 0.01 one.json wrong.json && has out "right in [A], not in [B]" &&
		has out "not right"
}

several() {
	run 1 bench --compare one.json near.json two.json wrong.json --fail-below 0.9 && has out "[D] wrong.json" &&
		has out "0.800 in [C]" && has out "not in [D]"
}

try "--compare" compares
try "--fail-below" fails_below
try "differences that may be chance" chance
try "a result that became wrong" becomes_wrong
try "four files" several
try "a damaged file" refuses 1 'damaged.json is no JSON: line 1' bench --compare one.json damaged.json
try "a later schema" refuses 1 'later.json: schema 9; this version reads 1' bench --compare later.json one.json
try "a file that is not there" refuses 1 'nowhere.json cannot be opened' bench --compare one.json nowhere.json
try "a damaged file to be shown" refuses 1 'damaged.json is no JSON' bench --read damaged.json

# The page stands on its own: well-formed, nothing from elsewhere, and no text that becomes a tag.
page_is_whole() {
	command -v python3 >/dev/null || return 0
	python3 - "$1" <<'END'
import html.parser, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
void = {"meta", "br"}
class Page(html.parser.HTMLParser):
	def __init__(self):
		super().__init__(convert_charrefs=True)
		self.open, self.seen = [], {}
	def handle_starttag(self, tag, attributes):
		self.seen[tag] = self.seen.get(tag, 0) + 1
		assert tag not in ("script", "link", "img", "iframe", "object", "base", "b<"), tag
		for name, value in attributes:
			assert name not in ("src", "href", "xlink:href", "srcset") and not name.startswith("on"), name
		if tag not in void:
			self.open.append(tag)
	def handle_endtag(self, tag):
		assert self.open and self.open[-1] == tag, (tag, self.open, self.getpos())
		self.open.pop()
page = Page()
page.feed(text)
page.close()
assert not page.open, page.open
assert page.seen["svg"] >= 1 and page.seen["circle"] >= 1 and page.seen["title"] >= 2, page.seen
assert not re.search(r"https?:|//|url\(|@import", text)
import xml.dom.minidom
for svg in re.findall(r"<svg.*?</svg>", text, re.S):
	xml.dom.minidom.parseString(svg)
END
}

shows() {
	run 0 bench --read one.json --html page.html --csv page.csv --json again.json && has out "linear x64x3072 out4000" &&
		has out "mlp n100" && has page.html "<svg" && page_is_whole page.html &&
		has page.csv "one,p,op,linear x64x3072 out4000,forward,right,9,0.002," &&
		run 0 bench --compare --fail-below 1 one.json again.json
}

# What is wrong has no time and no bar, and texts of a file are no tags.
shows_wrong() {
	results '<img src=x onerror=a>' 1 wrong >bad.json
	run 1 bench --read bad.json --html bad.html && has out "wrong: why <b>" && has err "1 result is not right" &&
		has bad.html "wrong: why &lt;b&gt;" && has bad.html "&lt;img src=x onerror=a&gt;" && page_is_whole bad.html
}

unwritable() {
	run 1 bench --read one.json --html no/such/page.html && has err "no/such/page.html cannot be written" &&
		run 1 bench --read one.json --json no/such/page.json && has err "no/such/page.json cannot be written"
}

try "--read" shows
try "--read of wrong results" shows_wrong
try "files that cannot be written" unwritable

# ---- measuring ----

measures() {
	printf '# a remark\nrelu x64x1000 # and another\n\nlinear x20x300 out40\n' >problems.txt
	run 0 bench --quick @problems.txt --model "linear(8) relu linear(10)" --input 1x4x4 --batch 8 --json run.json \
		--csv run.csv --html run.html && has out "multiply-adds" && has out "relu x64x1000" && has out "Speed of the device"
}

# The JSON is as docs/bench.md says.
documented() {
	command -v python3 >/dev/null || return 0
	python3 - <<'END'
import json
f = json.load(open("run.json"))
assert set(f) == {"schema", "results", "verdict"} and f["schema"] == 1 and len(f["results"]) == 1
r = f["results"][0]
assert set(r) == {"device", "error", "clef", "date", "system", "effort", "seconds", "drift", "limits", "probes",
	"ops", "networks"}, set(r)
assert r["error"] is None and r["effort"] == "quick"
stat = {"count", "median", "low", "high", "least", "most"}
limits = r["limits"]
for key in ("multiply_add", "launch", "launch_row", "compile_cold"):
	assert set(limits[key]) == stat and limits[key]["median"] > 0, key
assert all(set(m) == {"bytes", "copy", "read"} for m in limits["memory"]) and limits["memory"]
assert all(set(t) == {"bytes", "to_device", "to_host"} for t in limits["transfer"]) and limits["transfer"]
row = {"name", "pass", "group", "state", "message", "seconds", "flops", "bytes", "launches", "limit", "bound",
	"share", "multiply_add", "copy"}
assert len(r["ops"]) == 4 and [o["pass"] for o in r["ops"]] == 2 * ["forward", "backward"]
for o in r["ops"]:
	assert set(o) == row | {"error"} and o["state"] == "right" and o["error"] <= 1, o
	s = o["seconds"]
	assert set(s) == stat and s["least"] <= s["low"] <= s["median"] <= s["high"] <= s["most"]
train, infer = r["networks"]
for n in (train, infer):
	assert set(n) == row | {"memory", "images", "loss", "data", "forward", "backward", "optimizer"}
	assert n["state"] == "right" and n["images"] == 8 and n["memory"] > 0
assert all(train[k]["median"] > 0 for k in ("data", "forward", "backward", "optimizer"))
assert infer["forward"] is None and train["loss"] > 0
assert len(r["probes"]) >= 5 and all(p["multiply_add"] > 0 and p["copy"] > 0 for p in r["probes"])
END
}

csv_is_whole() {
	command -v python3 >/dev/null || return 0
	python3 -c '
import csv
rows = list(csv.DictReader(open("run.csv", newline="")))
assert len(rows) == 6 and all(len(r) == 23 and None not in r and r["state"] == "right" for r in rows)
assert rows[0]["name"] == "relu x64x1000" and float(rows[0]["seconds"]) > 0'
}

run_page() {
	page_is_whole run.html
}

# The probe does a hundred times what it counts, so the limit seems a hundred times lower than it is.
impossible() {
	mkdir -p kernels && cp "$kernels"/*.cl "$kernels"/*.clh kernels/ &&
		sed -i 's/r < rounds; r++/r < 100 * rounds; r++/' kernels/probe.cl || return 1
	CLEF_KERNELS=$work/kernels
	export CLEF_KERNELS
	run 1 bench --quick "linear x256x1024 out1024" && has out "impossible: " &&
		has out "where the limits of the device allow" && has err "not right"
}

every_device() {
	run 0 bench --quick --all-devices --model "linear(10)" --input 1x4x4 --batch 8 --json all.json &&
		has out "Train linear(10) n8 c1 h4 w4 on " && has out " images/s" && has all.json '"verdict": "Train linear(10)'
}

# Each device is given up, and none of them is a success.
late() {
	run 1 bench --all-devices --time-limit 1 && has out "nothing was measured: gives no answer within 1 s"
}

try "a run" measures
try "its JSON" documented
try "its CSV" csv_is_whole
try "its page" run_page
try "results that cannot be" in_subshell impossible
try "--all-devices" every_device
try "a device that hangs" late

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
