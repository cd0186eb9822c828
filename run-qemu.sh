#!/usr/bin/env bash
# Boots Tarry in an emulator: see ./run-qemu.sh --help. Installs the tools that are missing first.
# Works from any folder: file names on the command line are the caller's.
root=$(dirname "$(readlink -f "$0")")
"$root/tools/deps.sh" run && exec python3 "$root/tools/run.py" "$@"
