#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# doctor.sh CLEF: runs clef doctor on machines that it makes up: folders in the place of /etc, /sys and /dev, and drivers
# that crash, hang or are none. The one that works is that of the environment, PoCL for example. The last line is
# "N passed, N failed".
# shellcheck disable=SC2317 # functions are called by try()
set -eu
lie=$(cd "$(dirname "$0")" && pwd)/doctor/lie.c
# shellcheck source=tests/clef.sh
. "$(dirname "$0")/clef.sh"
unset CLEF_DEVICE CLEF_GEMM CLEF_CONV CLEF_KERNELS

working=${OCL_ICD_VENDORS:-/etc/OpenCL/vendors/pocl.icd}
root=$work/root
mkdir -p "$root/etc/OpenCL/vendors" "$root/sys" "$root/dev" "$work/none"
# In most tests there is no driver, which makes them quick.
export CLEF_DOCTOR_ROOT="$root" OCL_ICD_VENDORS="$work/none"

# says MARK TEXT [ADVICE]: a line with the mark and the text, and the advice right below.
says() {
	awk -v mark="$1" -v text="$2" -v advice="${3:-}" '
		/^  [a-z]/ { mine = $1 == mark && index($0, text) }
		mine && (advice == "" || (/^ *-> / && index($0, advice))) { found = 1 }
		END { exit !found }' out && return
	echo "no line says \"$1\" and \"$2\"${3:+ with the advice \"$3\"}:"
	cat out err
	return 1
}

# driver NAME TEXT: a library from C, and an .icd file in a folder of its own, that names it.
driver() {
	mkdir -p "icd-$1"
	printf '%s\n' "$2" >"$1.c"
	cc -shared -fPIC -o "lib$1.so" "$1.c" -ldl && printf '%s\n' "$work/lib$1.so" >"icd-$1/$1.icd"
}

# gpu ADDRESS CLASS VENDOR [DRIVER]: a PCI device.
gpu() {
	device=$root/sys/bus/pci/devices/$1
	mkdir -p "$device"
	echo "$2" >"$device/class"
	echo "$3" >"$device/vendor"
	echo 0x1234 >"$device/device"
	[ -z "${4:-}" ] || ln -sfn "../../drivers/$4" "$device/driver"
}

# ---- what works ----

helps() {
	run 0 doctor --help && has out "--json" && has out "CLEF_DOCTOR_ROOT" && [ ! -s err ]
}

# Also without --device and CLEF_DEVICE, which the choice then says.
works() {
	export OCL_ICD_VENDORS="$working"
	run 0 doctor && says ok "libOpenCL" && says ok "$working" && says ok "GiB" && says ok "the first" &&
		says ok "right: device opened" && says ok "again, in a second process" && ! grep -q '^  problem' out &&
		tail -n 1 out | grep -q '^clef can use ' && [ ! -s err ]
}

json() {
	export OCL_ICD_VENDORS="$working"
	run 0 doctor --json --device 0 && has out '"check": "verdict"' && has out '--device is \"0\"' && [ ! -s err ] || return 1
	command -v python3 >/dev/null || return 0
	python3 -c '
import json
lines = json.load(open("out"))
assert all(set(x) == {"check", "status", "found", "advice"} for x in lines)
assert {x["status"] for x in lines} <= {"ok", "warning", "problem", "skipped"}
order = list(dict.fromkeys(x["check"] for x in lines))
assert order == ["loader", "icd", "devices", "hardware", "permissions", "choice", "drivers", "environment", "cache",
	"kernel", "verdict"], order
assert lines[-1]["status"] == "ok" and lines[-1]["advice"] is None'
}

json_of_nothing() {
	run 1 doctor --json && has out '"status": "problem"' && has out 'apt-get install pocl-opencl-icd' && has out '"advice": null'
}

try "doctor --help" helps
try "unknown option" refuses 2 'did you mean --json?' doctor --jsno
try "time limit 0" refuses 2 '--timeout "0" will not do: it takes a number above 0' doctor --timeout 0
try "a device that works" in_subshell works
try "as JSON" in_subshell json
try "as JSON, without a driver" json_of_nothing

# ---- drivers ----

no_icd() {
	run 1 doctor && says problem "$work/none: no file ends with .icd" "apt-get install pocl-opencl-icd" &&
		says problem "there is no OpenCL platform" && says skipped "there is no device to run it on" &&
		has out "clef has no device that it can use"
}

no_folder() {
	OCL_ICD_VENDORS="" CLEF_DOCTOR_ROOT=$work/nowhere run 1 doctor &&
		says problem "$work/nowhere/etc/OpenCL/vendors: No such file" "pocl-opencl-icd"
}

# The variable may name a single file, or a library.
named() {
	cp "$working" one.icd 2>/dev/null || cp "$(find "$working" -name '*.icd' | head -n 1)" one.icd || return 1
	OCL_ICD_VENDORS=$work/one.icd run 0 doctor && says ok "$work/one.icd: " || return 1
	OCL_ICD_VENDORS=$work/nowhere run 1 doctor &&
		says problem "$work/nowhere, from the environment, is neither a folder" "unset OCL_ICD_VENDORS" || return 1
	OCL_ICD_VENDORS=$work/nowhere.icd run 1 doctor && says problem "nowhere.icd cannot be read: No such file" "remove its name"
}

# The system's folder is not read in the place of the replaced one.
files() {
	unset OCL_ICD_VENDORS
	cd "$root/etc/OpenCL/vendors" || return 1
	echo libnowhere.so.1 >missing.icd
	echo libpocl.so.nowhere >pocl.icd
	: >empty.icd
	printf 'libc.so.6\r\n' >return.icd
	echo libc.so.6 >foreign.icd
	ln -s nowhere dangling.icd
	printf 'no library, in spite of its name\n' >text.so
	echo "$PWD/text.so" >text.icd
	cd "$work" || return 1
	run 1 doctor
	rm -f "$root"/etc/OpenCL/vendors/*
	says problem "missing.icd: libnowhere.so.1 cannot be loaded" "rm $root/etc/OpenCL/vendors/missing.icd" &&
		has out "cannot open shared object file" && says problem "libpocl.so.nowhere" "--reinstall pocl-opencl-icd" &&
		says problem "empty.icd is empty" && says problem "return.icd: the name in it ends with" "sed -i" &&
		says problem "foreign.icd: libc.so.6 is a library, but no OpenCL driver" &&
		says problem "dangling.icd cannot be read: No such file" && says problem "text.so cannot be loaded"
}

other_class() {
	driver empty 'int x;' && cp libempty.so libother.so &&
		printf '\001' | dd of=libother.so bs=1 seek=4 conv=notrunc 2>/dev/null && mkdir -p icd-other &&
		echo "$work/libother.so" >icd-other/other.icd && export OCL_ICD_VENDORS="$work/icd-other" && run 1 doctor &&
		says problem "wrong ELF class" "install the driver for this processor"
}

crashes() {
	driver crash '#include <signal.h>
#include <stdio.h>
__attribute__((constructor)) static void start(void) { fprintf(stderr, "no such chip\n"); raise(SIGSEGV); }'
	export OCL_ICD_VENDORS="$work/icd-crash"
	run 1 doctor && says problem "crashes (Segmentation fault): no such chip when it is loaded" "mv $work/icd-crash/crash.icd" &&
		says problem "listing the devices crashes (Segmentation fault)" && says skipped "could not be listed"
}

crashes_later() {
	driver later '#include <stdlib.h>
void *clGetExtensionFunctionAddress(const char *name) { (void)name; abort(); }'
	export OCL_ICD_VENDORS="$work/icd-later"
	run 1 doctor && says problem "crashes (Aborted) when it is asked for its platforms"
}

exits() {
	driver exits '#include <stdlib.h>
__attribute__((constructor)) static void start(void) { exit(3); }'
	export OCL_ICD_VENDORS="$work/icd-exits"
	run 1 doctor && says problem "ends the process with exit status 3 when it is loaded"
}

hangs() {
	driver hang '#include <unistd.h>
__attribute__((constructor)) static void start(void) { for (;;) pause(); }'
	export OCL_ICD_VENDORS="$work/icd-hang"
	run 1 doctor --timeout 0.5 && says problem "gives no answer within 0.5 s when it is loaded" &&
		says problem "listing the devices gives no answer within 0.5 s"
}

twice() {
	[ -f "$working" ] && file=$working || file=$(find "$working" -name '*.icd' | head -n 1)
	mkdir -p twice && cp "$file" twice/a.icd && cp "$file" twice/b.icd && export OCL_ICD_VENDORS="$work/twice" &&
		run 0 doctor && says warning "twice/b.icd names the same driver as $work/twice/a.icd" "rm $work/twice/b.icd"
}

unknown_to_loader() {
	export OPENCL_VENDOR_PATH="$work/none" OCL_ICD_FILENAMES=libnowhere.so
	run 1 doctor && grep -q '^  [a-z]* *OPENCL_VENDOR_PATH=' out && grep -q '^  [a-z]* *OCL_ICD_FILENAMES=' out || return 1
	# Debian's loader does not read the second one.
	! grep -q 'of OCL Icd' out || grep -q OCL_ICD_FILENAMES /usr/lib/*/libOpenCL.so.1 ||
		says warning "OCL_ICD_FILENAMES=libnowhere.so is set, but this loader does not know it" "unset"
}

try "no driver" no_icd
try "no folder of drivers" no_folder
try "a file or a library in the place of the folder" named
try "files that name no driver" in_subshell files
try "a library of another class" in_subshell other_class
try "a driver that crashes when it is loaded" in_subshell crashes
try "a driver that crashes later" in_subshell crashes_later
try "a driver that ends the process" in_subshell exits
try "a driver that hangs" in_subshell hangs
try "a driver named twice" in_subshell twice
try "variables of the loader" in_subshell unknown_to_loader

# ---- devices ----

wrong_choice() {
	export OCL_ICD_VENDORS="$working" CLEF_DEVICE=nosuchdevice
	run 1 doctor && says problem 'CLEF_DEVICE: no device "nosuchdevice"' "unset CLEF_DEVICE" || return 1
	run 1 doctor --device othername && says problem '--device: no device "othername"' "clef devices" &&
		has out "clef has no device that it can use of that name"
}

# lies NAME=VALUE ...: from here on drivers say or do other things than they should; doctor/lie.c says what there is.
lies() {
	[ -f liblie.so ] || cc -shared -fPIC -DCL_TARGET_OPENCL_VERSION=120 -o liblie.so "$lie" -ldl || return 1
	# What is remembered of an invented device must not stay in the cache.
	export OCL_ICD_VENDORS="$working" LD_PRELOAD="$work/liblie.so" CLEF_CACHE="$work/lies" CLEF_GEMM=plain
	# shellcheck disable=SC2163 # words NAME=VALUE
	export "$@"
}

no_compiler() {
	lies LIE="no compiler" && run 1 doctor --device 0 &&
		says warning "has no compiler for OpenCL C" "install the whole driver" && says problem "--device: device" &&
		has out "its driver has no compiler for OpenCL C"
}

not_available() {
	lies LIE="not available" && run 1 doctor --device 0 && says warning "says that it is not available" &&
		says problem "not available"
}

silent() {
	lies LIE=silent && run 1 doctor && says warning "devices do not answer questions, and are left out"
}

empty_platform() {
	lies LIE="no devices" LIE_PLATFORM=rusticl && run 1 doctor && says warning "platform rusticl" "export RUSTICL_ENABLE=" ||
		return 1
	for platform in Clover "AMD Accelerated" "NVIDIA CUDA" "Intel(R) OpenCL" "Portable Computing" "Other"; do
		LIE_PLATFORM=$platform run 1 doctor && says warning "platform $platform" "->" || return 1
	done
}

bad_platform() {
	lies LIE="bad platform" && run 1 doctor && says problem "does not list its devices: OUT_OF_RESOURCES"
}

# The driver is that of the environment all the time. Without kernels to compile the first one fails soon.
known() {
	mkdir -p kernels
	lies CLEF_KERNELS=kernels POCL_WORK_GROUP_SPECIALIZATION=1 LIE_PLATFORM="Portable Computing Language"
	run 1 doctor && says warning "PoCL compiles a kernel anew" "unset POCL_WORK_GROUP_SPECIALIZATION" || return 1
	lies POCL_WORK_GROUP_SPECIALIZATION=0 POCL_MAX_WORK_GROUP_SIZE=64 POCL_EXTRA_BUILD_FLAGS=-g POCL_MEMORY_LIMIT=2
	run 1 doctor && ! grep -q 'compiles a kernel anew' out && says warning "POCL_MAX_WORK_GROUP_SIZE=64" "unset" &&
		says warning "POCL_EXTRA_BUILD_FLAGS=-g" "unset" && says warning "POCL_MEMORY_LIMIT=2" "unset" || return 1
	# One that is not used is no reason to do something.
	lies LIE_PLATFORM=Clover POCL_DEVICES="basic pthread"
	run 1 doctor && says warning "Clover aborts" "CLEF_DEVICE=rusticl" &&
		says skipped "device 1, which is not used: Clover aborts" || return 1
	lies LIE_PLATFORM=Oclgrind
	run 1 doctor && says warning "Oclgrind is a simulator" "CLEF_GEMM=plain" || return 1
	lies LIE_PLATFORM=rusticl LIE_DRIVER=22.3.6
	run 1 doctor && says warning "Mesa 22.3 has the first Rusticl" "newer" || return 1
	lies LIE_DRIVER=23.0.1
	run 1 doctor && ! grep -q 'first Rusticl' out && says ok "none is known of these" || return 1
	lies LIE_VENDOR=Apple
	run 1 doctor && says warning "wrong on Apple's M1" "CLEF_GEMM=plain" || return 1
	lies LIE_VENDOR="Intel(R) Corporation"
	gpu 0000:00:02.0 0x030000 0x8086 i915
	gpu 0000:01:00.0 0x030000 0x1002 amdgpu
	run 1 doctor && says warning "wrong on some Intel GPUs" "CLEF_GEMM=plain" && says ok "the first GPU" &&
		says ok "Intel GPU [8086:1234] at 0000:00:02.0, kernel driver i915: OpenCL has a device of its maker" &&
		says warning "AMD GPU" "export RUSTICL_ENABLE=radeonsi"
}

first_kernel() {
	lies LIE="wrong result"
	run 1 doctor && says problem "a first kernel failed: the device computed 1.5 + 2 * 0 = 7" "try another device" || return 1
	lies LIE=crash
	run 1 doctor && says problem "the driver crashes (Segmentation fault)" "try another device" || return 1
	lies LIE=hang
	run 1 doctor --timeout 1 && says problem "gives no answer within 6 s" "--timeout 120" || return 1
	mkdir -p kernels
	lies LIE='' CLEF_KERNELS=kernels
	run 1 doctor && says warning "CLEF_KERNELS=kernels: kernels come from this folder" "unset CLEF_KERNELS" &&
		says problem "a first kernel failed: " && has out "clef cannot compute on "
}

try "CLEF_DEVICE that is not there" in_subshell wrong_choice
try "a driver without a compiler" in_subshell no_compiler
try "a device that is not available" in_subshell not_available
try "a device that does not answer" in_subshell silent
try "platforms without devices" in_subshell empty_platform
try "a platform that fails" in_subshell bad_platform
try "drivers with known problems" in_subshell known
rm -rf "$root/sys/bus"
try "a first kernel that fails" in_subshell first_kernel

# ---- hardware ----

hardware() {
	gpu 0000:01:00.0 0x030000 0x1002 amdgpu
	gpu 0000:02:00.0 0x030200 0x10de nouveau
	gpu 0000:03:00.0 0x038000 0x8086
	gpu 0000:04:00.0 0x030000 0x1a03 ast
	gpu 0000:05:00.0 0x120000 0x1002 vfio-pci
	gpu 0000:06:00.0 0x020000 0x8086 e1000e
	mkdir -p "$root/dev/dri"
	run 1 doctor
	says problem "AMD GPU [1002:1234] at 0000:01:00.0, kernel driver amdgpu: OpenCL has no device" "RUSTICL_ENABLE=radeonsi" &&
		says problem "NVIDIA GPU [10de:1234] at 0000:02:00.0, kernel driver nouveau" "nvidia-opencl-icd" &&
		says problem "Intel GPU [8086:1234] at 0000:03:00.0, kernel driver none" "modprobe i915" &&
		says skipped "display [1a03:1234] at 0000:04:00.0" && says problem "AMD accelerator" "virtual machine" &&
		! grep -q '0000:06' out || return 1
	# Clear enough where a device is asked for by name.
	export OCL_ICD_VENDORS="$working"
	run 0 doctor --device 0 && says warning "AMD GPU" "rocm-opencl-icd" && says warning "Intel GPU"
}

# A container: the GPU is there, and nothing of its driver but the nodes.
nvidia() {
	gpu 0000:02:00.0 0x030200 0x10de nvidia
	touch "$root/.dockerenv"
	run 1 doctor && says problem "kernel driver nvidia" "docker run --gpus all" || return 1
	touch "$root/dev/nvidiactl"
	run 1 doctor && says problem "kernel driver nvidia" "utility" || return 1
	driver nvidia-opencl 'int x;' && ln -s libnvidia-opencl.so libnvidia-opencl.so.1
	LD_LIBRARY_PATH=$work run 1 doctor &&
		says problem "kernel driver nvidia" "echo libnvidia-opencl.so.1 >/etc/OpenCL/vendors/nvidia.icd"
}

# The library of one version, and the kernel of another.
nvidia_versions() {
	mkdir -p "$root/proc/driver/nvidia"
	echo "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023" \
		>"$root/proc/driver/nvidia/version"
	driver nvidia 'void *clGetExtensionFunctionAddress(const char *name) { return (void *)(name - name); }'
	cp libnvidia.so libnvidia-opencl.so.535.129.03 && export OCL_ICD_VENDORS="$work/icd-nvidia" || return 1
	echo "$work/libnvidia-opencl.so.535.129.03" >icd-nvidia/nvidia.icd
	run 1 doctor && says ok "NVIDIA's driver in the kernel is of version 535.129.03" &&
		says warning "loads, but shows no platform" || return 1
	mv libnvidia-opencl.so.535.129.03 libnvidia-opencl.so.550.54.14
	echo "$work/libnvidia-opencl.so.550.54.14" >icd-nvidia/nvidia.icd
	run 1 doctor && says problem "library is of version 550.54.14, and the kernel's driver of version 535.129.03" "restart"
}

board() {
	mkdir -p "$root/sys/class/drm/renderD128/device"
	printf 'DRIVER=panfrost\nOF_NAME=gpu\n' >"$root/sys/class/drm/renderD128/device/uevent"
	run 1 doctor && says problem "GPU at renderD128, kernel driver panfrost" "RUSTICL_ENABLE=panfrost"
}

try "GPUs without a driver" in_subshell hardware
rm -rf "$root/sys/bus" "$root/dev/dri"
try "an NVIDIA GPU in a container" in_subshell nvidia
rm -rf "$root/sys/bus" "$root/.dockerenv" "$root/dev/nvidiactl"
try "versions of NVIDIA's driver" in_subshell nvidia_versions
rm -rf "$root/proc"
try "a GPU that is no PCI device" in_subshell board
rm -rf "$root/sys/class"

# ---- permissions ----

# as_other [setpriv option ...]: clef doctor as a user without rights, who reads the user's own name from `id`.
as_other() {
	status=0
	HOME=$work/home CLEF_CACHE=$work/home setpriv --reuid=65534 --regid=65534 "$@" "$work/clef" doctor >out 2>err || status=$?
	[ "$status" = 1 ]
}

permissions() {
	cp "$clef" "$work/clef" && chmod 755 "$work/clef" && mkdir -p "$root/dev/dri" home &&
		chown 65534 home || return 1
	node=$root/dev/dri/renderD128
	user=$(id -un 65534)
	touch "$node" "$root/dev/kfd" && chown root:4321 "$node" && chmod 660 "$node" && chmod 600 "$root/dev/kfd" || return 1
	: >"$root/etc/group"
	as_other --clear-groups && says problem "$node, of the group without a name: $user may not read and write it" \
		"docker run --group-add 4321" && says problem "/dev/kfd" "70-clef.rules" || return 1
	echo 'render:x:4321:' >"$root/etc/group"
	as_other --clear-groups && says problem "$node, of the group render" "sudo usermod -aG render,video $user" || return 1
	echo "render:x:4321:$user" >"$root/etc/group"
	as_other --clear-groups && says problem "$node, of the group render" "log out and in again, or: newgrp render" || return 1
	as_other --groups=4321 && says ok "$node can be read and written"
}

readable() {
	touch "$root/dev/kfd"
	run 1 doctor && says ok "$root/dev/kfd can be read and written" && ! grep -q 'no device nodes' out
}

chmod 755 "$work"
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$work" 2>/dev/null; then
	try "nodes without permission" in_subshell permissions
else
	echo "skip nodes without permission: this needs root, setpriv and a temporary folder that others reach"
fi
rm -rf "${root:?}/dev" && mkdir "$root/dev"
try "nodes with permission" readable
rm -f "$root/dev/kfd"

# ---- caches and environment ----

cache_unwritable() {
	export OCL_ICD_VENDORS="$working" CLEF_CACHE=/proc/nowhere
	run 0 doctor && says warning "clef's /proc/nowhere cannot be written" "export CLEF_CACHE=FOLDER" &&
		says warning "kernel cache: /proc/nowhere: cannot be made" &&
		says warning "a second process compiled" "Caches of compiled kernels"
}

# A limit on the size of files stands for a full disk. What the tool prints goes through a pipe, which has no size.
cache_full() {
	mkdir -p full
	export CLEF_CACHE=full
	(
		trap '' XFSZ
		ulimit -f 0
		"$clef" doctor
	) 2>&1 | cat >out
	says warning "clef's full cannot be written: File too large" "make room" && [ -z "$(ls full)" ]
}

cache_file() {
	touch file
	CLEF_CACHE=./file run 1 doctor && says warning "clef's ./file cannot be written: Not a directory"
}

cache_none() {
	CLEF_CACHE='' run 1 doctor && says warning "CLEF_CACHE is empty" "unset CLEF_CACHE" || return 1
	env -u CLEF_CACHE -u XDG_CACHE_HOME -u HOME "$clef" doctor >out 2>err || true
	says warning "neither CLEF_CACHE, XDG_CACHE_HOME nor HOME is set"
}

# Nothing is left of looking whether it could be made.
cache_missing() {
	CLEF_CACHE=$work/not/yet run 1 doctor && says ok "not/yet is not there yet, and will be made" && [ ! -e not ]
}

environment() {
	export OCL_ICD_VENDORS="$working" CLEF_GEM=plain CLEF_PROFILE=1 CLEF_CONV=direct
	run 0 doctor --device 0 && says warning "CLEF_GEM is set, and clef knows no such variable" "did you mean CLEF_GEMM?" &&
		says warning "CLEF_PROFILE=1" && says warning "CLEF_CONV=direct" "unset CLEF_CONV"
}

invalid() {
	export OCL_ICD_VENDORS="$working"
	CLEF_CONV=fast run 1 doctor && says problem 'CLEF_CONV is "fast": there are' "unset CLEF_CONV" || return 1
	CLEF_GEMM=fast run 1 doctor && says problem 'CLEF_GEMM is "fast": there are' "unset CLEF_GEMM" || return 1
	CLEF_KERNELS=/nowhere run 1 doctor && says problem "CLEF_KERNELS=/nowhere: No such file" "unset CLEF_KERNELS"
}

try "a cache that cannot be made" in_subshell cache_unwritable
try "a full disk" in_subshell cache_full
try "a cache that is a file" cache_file
try "no cache" cache_none
try "a cache that is not there yet" cache_missing
try "unusual variables" in_subshell environment
try "invalid variables" in_subshell invalid

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
