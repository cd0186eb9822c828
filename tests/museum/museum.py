#!/usr/bin/env python3
"""The museum's keeper: puts an old bug back into a copy of Tarry and asks a test to find it.

A mutant is a file NN-name.mutant: lines "key: value" that say what was wrong and where it really
happened, which test must go red and what it must say, and, where the test is a boot test that needs
them, further options for run-qemu.sh. Then one or two replacements of whole lines:

    file: fpu/verbs.c
    <<<<
    text that is there exactly once
    ====
    text that takes its place
    >>>>

Red for the stated reason is success. Green, red for another reason, and a text that is no longer
there are failures. Nothing here may change the tree that the tests run in: copies go to
build/museum/NN.

    museum.py [--full] [NN...]    all or the named ones; --full runs the whole suite on each
"""

import argparse
import dataclasses
import fcntl
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build")
ROOMS = os.path.join(BUILD, "museum")

REPLACEMENT = re.compile(r"^file: (\S+)\n<<<<\n(.*?)^====\n(.*?)^>>>>\n", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^(\w+): (.*)$", re.MULTILINE)
WANTED = {"title", "happened", "wrong", "test", "reason"}
KNOWN = WANTED | {"options"}
BOOT_TEST = re.compile(r"boot/(qemu|bochs)/(\w+)(?:/(.+))?")
NOT_COPIED = {"build", ".git", "__pycache__"}
BOCHS = "bochs"                    # shared: no mutant changes it
REUSED = {"boot", "fpu", "kernel", "sched", "user"}
BOOT_SECONDS = {"qemu": 60, "bochs": 300}
MAKE_SECONDS, SUITE_SECONDS = 300, 1800


class Wrong(Exception):
    """The mutant or its test is not as it should be; the text says why."""


class Skipped(Exception):
    """The test that must catch the mutant cannot run on this machine."""


@dataclasses.dataclass
class Mutant:
    """One old bug. number and name come from the file's name, the rest from its text."""
    number: str
    name: str
    title: str
    happened: str
    wrong: str
    test: str
    reason: str
    replacements: list
    options: str = ""


def read_mutant(path):
    number, name = os.path.basename(path).removesuffix(".mutant").split("-", 1)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    replacements = REPLACEMENT.findall(text)
    fields = dict(FIELD.findall(REPLACEMENT.sub("", text)))
    if not WANTED <= set(fields) <= KNOWN:
        raise Wrong(f"{path}: wrong or missing: {' '.join(sorted(set(fields) ^ WANTED))}")
    if not 1 <= len(replacements) <= 2:
        raise Wrong(f"{path}: {len(replacements)} replacements, not one or two")
    return Mutant(number, name, replacements=replacements, **fields)


def mutants():
    return [read_mutant(path) for path in sorted(glob.glob(os.path.join(HERE, "*.mutant")))]


def apply(mutant, tree):
    """Puts the bug into the tree."""
    for name, old, new in mutant.replacements:
        path = os.path.join(tree, name)
        if not os.path.exists(path):
            raise Wrong(f"{name} is not there any more: move the mutant to where its code went")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if text.count(old) != 1:
            raise Wrong(f"{name} has this text {text.count(old)} times, not once: bring the "
                        f"mutant up to date\n{old}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))


def not_reused(where, names):
    """What of the build folder a copy does without: what other tests may be building now."""
    if where != BUILD:
        return []
    return [name for name in names
            if name not in REUSED and os.path.isdir(os.path.join(where, name))
            or name.endswith((".new", ".lock"))]


def copy_tree(tree):
    """A copy of the sources, and of what make has built of them, with the times make goes by."""
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(ROOT, tree, symlinks=True,
                    ignore=lambda where, names: NOT_COPIED.intersection(names))
    os.makedirs(os.path.join(BUILD, BOCHS), exist_ok=True)
    shutil.copytree(BUILD, os.path.join(tree, "build"), symlinks=True, ignore=not_reused)
    os.symlink(os.path.join(BUILD, BOCHS), os.path.join(tree, "build", BOCHS))


def run(words, tree, seconds):
    """(status, output with errors) of a command in the tree; status None if it did not end."""
    try:
        done = subprocess.run(words, cwd=tree, timeout=seconds, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace")
    except subprocess.TimeoutExpired as error:
        return None, (error.stdout or b"").decode("utf-8", "replace")
    return done.returncode, done.stdout


def build(tree, *targets):
    """Brings targets up to date, one make at a time in a tree, like the boot runner."""
    with open(os.path.join(tree, "build", ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, output = run(["make", "-s", "-j2", *targets], tree, MAKE_SECONDS)
    if status != 0:
        raise Wrong(f"make {' '.join(targets)} failed:\n{output}")


def boot_program(tree, machine, program, options):
    """(status, output and kernel log) of one program of tests/boot in one boot."""
    path, log = f"build/user/test/{program}", os.path.join(tree, "build", "museum.log")
    build(tree, "iso", path)
    status, output = run([sys.executable, "tools/run.py", "--machine", machine, "--log", log,
                          "--timeout", str(BOOT_SECONDS[machine]), "--cmdline", "debug",
                          *shlex.split(options), "--exec", path], tree,
                         BOOT_SECONDS[machine] + MAKE_SECONDS)
    if not os.path.exists(log):
        raise Wrong(f"{program} was not booted:\n{output}")
    with open(log, encoding="utf-8", errors="replace") as file:
        return status, output + file.read()


def run_test(tree, test, options):
    """(status, output) of a test by its name in the suite; of a boot test only its program runs."""
    boot = BOOT_TEST.fullmatch(test)
    if boot:
        return boot_program(tree, boot[1], boot[2], options)
    status, output = run(["./run-tests.sh", test], tree, SUITE_SECONDS)
    if status == 1 and re.search(r"^FAIL build", output, re.MULTILINE):
        raise Wrong(f"the mutant does not build\n{output}")
    if re.search(rf"^skip {re.escape(test)}", output, re.MULTILINE):
        raise Skipped(f"{test} is skipped on this machine")
    return status, output


def result_of(test, output):
    """True if the test itself is green, False if it is red, None if it did not come to an end."""
    boot = BOOT_TEST.fullmatch(test)
    if boot and not boot[3]:
        return False
    green, red, name = (r"ok \d+ ", r"not ok \d+ ", boot[3]) if boot else ("ok +", "FAIL ", test)
    found = re.search(rf"^(?:({green})|{red}){re.escape(name)}\b", output, re.MULTILINE)
    return bool(found[1]) if found else None


def judge(mutant, status, output):
    """Red for the stated reason, or Wrong."""
    green = result_of(mutant.test, output)
    if status == 0:
        raise Wrong(f"green: {mutant.test} does not see that {mutant.wrong}")
    if mutant.reason not in output:
        raise Wrong(f"red, but not with {mutant.reason!r}:\n{output[-1500:]}")
    if green or green is None and "panic:" not in output:
        raise Wrong(f"red, but not in {mutant.test}:\n{output[-1500:]}")


def visit(mutant):
    """Makes the copy, puts the bug in and runs the test that must find it."""
    tree = os.path.join(ROOMS, mutant.number)
    copy_tree(tree)
    apply(mutant, tree)
    judge(mutant, *run_test(tree, mutant.test, mutant.options))
    shutil.rmtree(tree)


def red_tests(mutant):
    """The names of all tests of the suite but this room's that go red with the bug in."""
    tree = os.path.join(ROOMS, mutant.number)
    copy_tree(tree)
    apply(mutant, tree)
    os.remove(os.path.join(tree, "tests", "museum", "group.py"))
    status, output = run(["./run-tests.sh"], tree, SUITE_SECONDS)
    red = re.findall(r"^FAIL (.*?)(?:: | \([\d.]+ s\)$|$)", output, re.MULTILINE)
    shutil.rmtree(tree)
    red = list(dict.fromkeys(red))
    return red if status is not None else red + ["(the suite did not end)"]


def show_full(mutant):
    red = red_tests(mutant)
    print(f"{mutant.number} {mutant.name}: {len(red)} red", flush=True)
    for name in red:
        print(f"    {name}", flush=True)
    return bool(red)


def show_visit(mutant):
    started = time.monotonic()
    try:
        visit(mutant)
        verdict = "caught"
    except (Wrong, Skipped) as trouble:
        verdict = f"{type(trouble).__name__.lower()}: {trouble}"
    print(f"{mutant.number} {mutant.name} by {mutant.test}: {verdict} "
          f"({time.monotonic() - started:.1f} s)", flush=True)
    return not verdict.startswith("wrong")


def main():
    parser = argparse.ArgumentParser(prog="museum.py", description="Puts old bugs back into Tarry.")
    parser.add_argument("--full", action="store_true", help="run the whole suite on each")
    parser.add_argument("numbers", nargs="*", metavar="NN", help="only these")
    options = parser.parse_args()
    chosen = [m for m in mutants() if not options.numbers or m.number in options.numbers]
    os.makedirs(BUILD, exist_ok=True)
    try:
        build(ROOT, "iso", "test-image")
    except Wrong as wrong:
        sys.exit(f"museum.py: {wrong}")
    results = [(show_full if options.full else show_visit)(mutant) for mutant in chosen]
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
