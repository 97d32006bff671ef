# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# What tools/demo and tools/test share: installing the packages that are missing, configuring and building, and the
# folders of compiled kernels. Read by `. tools/lib.sh` in the root of the repository.

jobs=$(nproc 2>/dev/null || echo 2)

die() {
	printf '%s\n' "$*" >&2
	exit 2
}

has() {
	command -v "$1" >/dev/null 2>&1
}

# Packages that are missing, of words PACKAGE or PACKAGE:COMMAND; the latter counts as there when the command is.
missing_packages() {
	for word in "$@"; do
		package=${word%%:*}
		case $word in
		*:*) has "${word#*:}" && continue ;;
		*) [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] && continue ;;
		esac
		printf '%s\n' "$package"
	done
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

may_be_root() {
	[ "$(id -u)" = 0 ] && return
	has sudo || return
	[ -t 0 ] || sudo -n true 2>/dev/null
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >>"$apt_log" 2>&1
}

# Installs what is missing of the packages, in the words of missing_packages(). With everything there it touches no
# network. Where this cannot work it says what to type.
need_packages() {
	if ! has dpkg-query; then
		has cc && has cmake && has pkg-config && pkg-config --exists OpenCL clblast zlib jansson && return
		die "This system has no Debian packages. Install what stands for these, then try again: $*"
	fi
	wanted=$(missing_packages "$@" | tr '\n' ' ')
	[ -n "$wanted" ] || return 0
	may_be_root || die "Packages are missing, and neither root nor sudo is at hand. Please run:
	apt-get install --no-install-recommends $wanted"
	printf 'Installing %s\n' "$wanted"
	apt_log=$(mktemp)
	apt update || true
	# shellcheck disable=SC2086 # a list of words
	if ! apt install --yes --no-install-recommends $wanted; then
		tail -n 20 "$apt_log" >&2
		rm -f "$apt_log"
		die "apt-get could not install: $wanted"
	fi
	rm -f "$apt_log"
}

build_packages="gcc:cc libc6-dev cmake:cmake pkg-config:pkg-config ocl-icd-opencl-dev opencl-headers libclblast-dev
	zlib1g-dev libjansson-dev clinfo:clinfo"
# Make does where Ninja is not there.
has make || build_packages="$build_packages ninja-build:ninja"

have_device() {
	has clinfo && [ "$(clinfo --raw 2>/dev/null | grep -c 'CL_DEVICE_NAME')" -gt 0 ]
}

# configure FOLDER [cmake option ...]. A folder that was configured for another place, in a tree since moved, is begun
# again.
configure() {
	folder=$1
	shift
	if [ -f "$folder/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$folder/CMakeCache.txt"; then
		rm -rf "$folder/CMakeCache.txt" "$folder/CMakeFiles"
	fi
	if [ ! -f "$folder/CMakeCache.txt" ] && has ninja; then
		set -- -G Ninja "$@"
	fi
	cmake -S . -B "$folder" "$@"
}

# Compiled kernels are kept beside the build, so that they go with it.
use_kernel_cache() {
	mkdir -p "$1/pocl" "$1/clef" "$1/mesa"
	export POCL_CACHE_DIR="$1/pocl" CLEF_CACHE="$1/clef" MESA_SHADER_CACHE_DIR="$1/mesa"
}
