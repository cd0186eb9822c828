"""The host unit tests: every tests/host/*.c is a cmocka program that holds many tests.

tests/Makefile.inc builds them; a program that crashes, or reports nothing, has failed as a whole.
"""

import glob
import os
import re
import subprocess

from boot import make
from framework import BUILD, FAILED, OK, ROOT, SKIPPED, Fail, Outcome, command, excerpt

LINE = re.compile(r"\[\s+(OK|FAILED|SKIPPED)\s*\] (\S.*)")
STATES = {"OK": OK, "FAILED": FAILED, "SKIPPED": SKIPPED}
SANITIZER = re.compile(r"^.*(?:ERROR: \w+Sanitizer|runtime error:)", re.MULTILINE)
SUMMARY = re.compile(r"\d+ test\(s\)|tests: ")
TARGETS = []               # each test builds its own program


def run_program(name):
    """Builds and runs one program; gives an outcome for each of its tests."""
    make("build/host/" + name)
    done = command([os.path.join(BUILD, "host", name)], stderr=subprocess.STDOUT,
                   env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "STDOUT"})
    text = done.stdout.decode("utf-8", "replace")
    results = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line.strip())
        if match and not SUMMARY.match(match[2]):
            results[match[2]] = STATES[match[1]]
    outcomes = [Outcome(test, state, reason(test, state, text)) for test, state in results.items()]
    if not outcomes or (done.returncode and FAILED not in results.values()):
        raise Fail(f"{name} ended with status {done.returncode}\n{crash(text)}")
    return outcomes


def crash(text):
    """What a sanitizer said first, or the output's end."""
    found = SANITIZER.search(text)
    return "\n".join(text[found.start():].splitlines()[:12]) if found else excerpt(text)


def reason(test, state, text):
    """For a failed test the lines between its start and its end."""
    if state == SKIPPED:
        return "skipped by the test"
    if state != FAILED:
        return ""
    _, _, rest = text.partition(f"[ RUN      ] {test}\n")
    return rest.partition("[  FAILED  ]")[0].replace("[  ERROR   ] --- ", "")[:1000] or "not ok"


def tests():
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "host", "*.c"))):
        name = os.path.splitext(os.path.basename(path))[0]
        yield name, lambda name=name: run_program(name)
