#!/usr/bin/env bash
# Gradescope runs this once, as root, when the image is made: the packages, and what can be built beforehand.
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends gcc libc6-dev binutils make nasm xorriso mtools grub-common grub-pc-bin \
	qemu-system-x86 python3 libcmocka-dev unzip
cd /autograder/source/tarry
make -s -j"$(nproc)" iso build/explore/explore
