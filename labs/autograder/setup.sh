#!/usr/bin/env bash
# Gradescope runs this once, as root, when the image is made: the packages, what of them is too old, and what can be
# built beforehand.
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends gcc libc6-dev binutils make nasm xorriso mtools grub-common grub-pc-bin \
	qemu-system-x86 python3 libcmocka-dev unzip

too_old() {
	echo "setup.sh: $1 is too old; choose a newer base image (Ubuntu 24.04, Debian 12)" >&2
	exit 1
}
python3 -c 'import tomllib' || too_old "Python $(python3 --version)"
qemu-system-x86_64 -version | grep -Eq 'version (7\.[2-9]|[89]|[1-9][0-9])' ||
	too_old QEMU
cd /autograder/source/tarry
make -s -j"$(nproc)" iso build/explore/explore
