#!/usr/bin/env python3
"""The test runner behind run-tests.sh: finds the groups, runs their tests three at a time and counts.

The last line is always "N passed, M failed, K skipped"; the status is 1 if anything failed or
nothing passed. A test that breaks in an unforeseen way has failed: no error may be swallowed.
"""

import argparse
import concurrent.futures
import glob
import importlib.util
import os
import shutil
import sys
import threading
import time
import traceback

from framework import FAILED, OK, ROOT, SKIPPED, WORK, Fail, Outcome, Skip
from boot import make                                   # framework put tools/ on the path
from errors import HostError

JOBS = 3                                                # on two cores: tests wait a quarter of their time
QUICK_FIRST = ["host", "image", "cli", "abi", "boot"]
BUILD_TARGETS = ["iso", "test-image"]                   # for groups that don't say theirs: TARGETS
printing = threading.Lock()


def load_groups():
    """{name: module} of all tests/NAME/group.py, the quick ones first."""
    groups = {}
    for path in glob.glob(os.path.join(ROOT, "tests", "*", "group.py")):
        name = os.path.basename(os.path.dirname(path))
        spec = importlib.util.spec_from_file_location("group_" + name, path)
        groups[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(groups[name])
    order = {name: at for at, name in enumerate(QUICK_FIRST)}
    return dict(sorted(groups.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def all_tests():
    """(full name, function, what make must have built before) of every test."""
    for group, module in load_groups().items():
        targets = getattr(module, "TARGETS", BUILD_TARGETS)
        for name, function in module.tests():
            yield f"{group}/{name}", function, targets


def wanted(name, filters):
    """A test runs if a filter is part of its name, or names one of the tests inside it."""
    return not filters or any(text in name or text.startswith(name + "/") for text in filters)


def run_one(name, function):
    """The outcomes of one test, with full names."""
    try:
        inner = function() or [Outcome("", OK)]
    except Skip as skip:
        inner = [Outcome("", SKIPPED, str(skip))]
    except (Fail, HostError) as fail:
        inner = [Outcome("", FAILED, str(fail))]
    except Exception:
        inner = [Outcome("", FAILED, traceback.format_exc())]
    return [Outcome(f"{name}/{o.name}" if o.name else name, o.state, o.detail) for o in inner]


def show(outcome, seconds):
    first, *rest = outcome.detail.splitlines() or [""]
    end = f": {first}" if first else f" ({seconds:.1f} s)" if seconds >= 0.05 else ""
    print(f"{outcome.state:4} {outcome.name}{end}", flush=True)
    if outcome.state == FAILED:
        for line in rest:
            print("     | " + line, flush=True)


def run_all(tests, filters, jobs):
    """Runs the tests; gives the states of all outcomes."""
    states = []

    def job(name, function):
        started = time.monotonic()
        outcomes = [o for o in run_one(name, function) if wanted(o.name, filters)
                    or o.state == FAILED]
        seconds = time.monotonic() - started
        with printing:
            for outcome in outcomes:
                show(outcome, seconds if len(outcomes) == 1 else 0)
                states.append(outcome.state)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for future in [pool.submit(job, name, function) for name, function, _ in tests]:
            future.result()
    return states


def finish(states):
    passed, failed, skipped = (states.count(state) for state in (OK, FAILED, SKIPPED))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(prog="run-tests.sh", description="Runs Tarry's tests.")
    parser.add_argument("-j", type=int, default=JOBS, metavar="N", help=f"tests at once ({JOBS})")
    parser.add_argument("--list", action="store_true", help="only print the names")
    parser.add_argument("filters", nargs="*", metavar="TEXT", help="part of a test's name")
    options = parser.parse_args()
    tests = [test for test in all_tests() if wanted(test[0], options.filters)]
    if options.list:
        print("\n".join(name for name, _, _ in tests))
        return 0
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    try:
        targets = dict.fromkeys(target for _, _, targets in tests for target in targets)
        if targets:
            make(*targets)
    except HostError as error:
        show(Outcome("build", FAILED, str(error)), 0)
        return finish([FAILED])
    return finish(run_all(tests, options.filters, max(1, options.j)))


if __name__ == "__main__":
    sys.exit(main())
