#!/usr/bin/env bash
# Checks for the host tools that Tarry needs and installs what is missing: deps.sh run|gdb|test|browser|waves.
#
#   run    what building the ISO and booting it needs
#   gdb    that, and GDB
#   test   that, and what the tests need
#   browser, waves: for one test each, which is skipped without it: a browser without a window; GTKWave's readers
#
# On Debian and Ubuntu it uses apt-get, with sudo if not root; elsewhere it prints what to install.
# When nothing is missing it starts no other process: every run of run-qemu.sh comes through here.

missing=()

# want PACKAGE COMMAND...: the package, unless one of the commands or files is there.
want() {
	local package=$1 thing
	shift
	for thing; do
		case $thing in
		/*) [ -e "$thing" ] && return ;;
		*) type -P "$thing" >/dev/null && return ;;
		esac
	done
	missing+=("$package")
}

want_run() {
	local compiler=gcc
	[ "$HOSTTYPE" = x86_64 ] || compiler=gcc-x86-64-linux-gnu
	want "$compiler" "${CROSS_COMPILE:-x86_64-linux-gnu-}gcc" x86_64-elf-gcc
	want "${compiler/gcc/binutils}" "${CROSS_COMPILE:-x86_64-linux-gnu-}objcopy" x86_64-elf-objcopy
	want nasm nasm
	want make make
	want xorriso xorriso
	want mtools mformat
	want grub-common grub-mkrescue grub2-mkrescue
	want grub-pc-bin /usr/lib/grub/i386-pc/multiboot2.mod /usr/lib/grub2/i386-pc/multiboot2.mod \
		/usr/share/grub2/i386-pc/multiboot2.mod
	want qemu-system-x86 qemu-system-x86_64
	want python3 python3
}

want_test() {
	want gcc gcc
	want libc6-dev /usr/lib/x86_64-linux-gnu/libc.a /usr/lib64/libc.a /usr/lib/libc.a
	want musl-tools musl-gcc
	want libcmocka-dev /usr/include/cmocka.h
	want gdb gdb
}

want_browser() {
	want chromium-headless-shell chromium-headless-shell
	want nodejs node
	want npm npm
}

install() {
	local sudo=()
	if [ "$EUID" != 0 ]; then
		if ! type -P sudo >/dev/null; then
			echo "deps.sh: missing: ${missing[*]} (no sudo here: install them as root)" >&2
			return 1
		fi
		sudo=(sudo)
		[ -t 0 ] || sudo+=(-n)
	fi
	echo "deps.sh: installing ${missing[*]}" >&2
	local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
		-o DPkg::Lock::Timeout=120 -o Acquire::Retries=3)
	local log
	log=$("${apt[@]}" install --no-install-recommends "${missing[@]}" </dev/null 2>&1) && return
	log=$({ "${apt[@]}" update &&
		"${apt[@]}" install --no-install-recommends "${missing[@]}"; } </dev/null 2>&1) && return
	echo "$log" | tail -n 5 >&2
	echo "deps.sh: could not install ${missing[*]}" >&2
	return 1
}

case $1 in
run) want_run ;;
gdb) want_run; want gdb gdb ;;
test) want_run; want_test ;;
browser) want_browser ;;
waves) want gtkwave vcd2fst ;;
*) echo "usage: deps.sh run|gdb|test|browser|waves" >&2; exit 2 ;;
esac

[ ${#missing[@]} = 0 ] && exit 0
if type -P apt-get >/dev/null; then
	install
else
	echo "deps.sh: missing; install these (Debian's names): ${missing[*]}" >&2
	exit 1
fi
