#!/usr/bin/env bash
# Runs all tests: ./run-tests.sh [-j N] [--list] [TEXT...], where TEXT selects tests by a part of
# their name. Installs the tools that are missing first.
root=$(dirname "$(readlink -f "$0")")
"$root/tools/deps.sh" test && exec python3 "$root/tests/run.py" "$@"
