"""Grading: the student's files in the teacher's tree, each run once, each test judged.

The tests, the tools and every file that is not the student's to write come from the root. Must never
give a point for what was not seen: what could not be built or did not end earns nothing.
"""

import concurrent.futures
import dataclasses
import importlib.util
import os
import shutil
import sys
import tempfile
import time

from . import limits, runs, story, tree as trees
from .course import LabError

AT_ONCE = 2
UNTESTED = "nothing could be tested"


@dataclasses.dataclass
class Mark:
    """What a test earned, and the context of a failure."""
    name: str
    points: int
    earned: int
    context: list


@dataclasses.dataclass
class Report:
    """A lab's result."""
    lab: object
    marks: list
    seconds: float = 0

    def score(self):
        return sum(mark.earned for mark in self.marks)


def work_folder(root):
    """Where grading trees are; one that is left over helps to find out why."""
    folder = os.path.join(root, "build", "labs-work")
    os.makedirs(folder, exist_ok=True)
    made = tempfile.mkdtemp(prefix="grade-", dir=folder)
    os.chmod(made, 0o755)           # for LAB_USER
    return made


def sums(stats):
    """{counter: its sum over all processors}"""
    return {name: sum(cpu[name] for cpu in stats["cpus"]) for name, value in stats["cpus"][0].items()
            if isinstance(value, int)}


def events(records):
    """{event: how many transitions of that event are in the trace}"""
    found = [record["event"] for record in records if record["kind"] == "transition"]
    return {event: found.count(event) for event in set(found)}


class Grading:
    """The trees of one submission, and the runs in them."""

    def __init__(self, root, lab, folder):
        self.root, self.lab, self.folder = root, lab, folder
        self.own = os.path.join(folder, "own")
        self.runs = {}

    def tree_for(self, program):
        return self.own if program.kernel == "own" else os.path.join(self.folder, program.kernel)

    def programs(self):
        used = {test.target for test in self.lab.tests if test.kind in ("program", "trace")}
        return [self.lab.programs[name] for name in self.lab.programs if name in used]

    def targets(self, kernel):
        return sorted({runs.target_of(program) for program in self.programs() if program.kernel == kernel})

    def assemble(self, student):
        """The student's tree in the teacher's, built; and, if a test wants it, with the kernel as it
        was handed out. Gives what the compiler has against it."""
        trees.make_grading_tree(self.root, self.lab, student, self.own)
        trouble = runs.make(self.own, "iso", *self.targets("own"))
        if trouble or not self.targets("start"):
            return trouble
        start = os.path.join(self.folder, "start")
        shutil.copytree(self.own, start, symlinks=True)
        trees.put_start(self.root, self.lab, start)
        return runs.make(start, "iso", *self.targets("start"))

    def key(self, test):
        return test.kind, tuple(test.target) if isinstance(test.target, list) else test.target

    def run(self, key):
        kind, target = key
        if kind == "host":
            return runs.host(self.own, target)
        if kind == "explore":
            return runs.explore(self.own, target)
        program = self.lab.programs[target]
        return runs.boot(self.tree_for(program), program, trace=kind == "trace")

    def run_all(self, keys):
        """Each run once; host programs one after the other, for they are built here."""
        hosts = [key for key in keys if key[0] in ("host", "explore")]
        boots = [key for key in keys if key not in hosts]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for_hosts = pool.submit(lambda: [self.run(key) for key in hosts])
            try:
                self.runs.update(zip(boots, pool.map(self.run, boots)))
                self.runs.update(zip(hosts, for_hosts.result()))
            except KeyboardInterrupt:
                limits.given_up.set()
                raise

    def judge_all(self):
        """The tests in waves, each once its parent has passed: what can't count is not run."""
        marks, left = {}, list(self.lab.tests)
        while left:
            ready = [test for test in left if not test.parent or test.parent in marks]
            left = [test for test in left if test not in ready]
            runnable = [test for test in ready if not test.parent or not marks[test.parent].context]
            keys = dict.fromkeys(map(self.key, runnable))
            self.run_all([key for key in keys if key not in self.runs])
            for test in ready:
                marks[test.name] = self.judge(test) if test in runnable else Mark(
                    test.name, test.points, 0, [f"not run, because '{test.parent}' failed"])
        return [marks[test.name] for test in self.lab.tests]

    def told(self, test):
        """The context of a failure: for a boot with the transitions, from a second run with the trace on."""
        said = self.runs[self.key(test)]
        lines = said.context.get(test.test, [])
        if said.trouble:
            return said.trouble
        if not lines and test.test not in said.passed:
            return [f"{test.test or test.name}: no result", *story.of_log(said.log)]
        words = story.of_output(lines)
        return (words if test.kind == "explore" else words[:story.TEXT_LINES]) + self.transitions(test, lines)

    def transitions(self, test, lines):
        if test.kind != "program" or not story.place_of(lines):
            return []
        program = self.lab.programs[test.target]
        key = ("story", test.target)
        if key not in self.runs:
            self.runs[key] = runs.boot(self.tree_for(program), program, trace=True)
        again = self.runs[key]
        place = story.place_of(again.context.get(test.test, []))
        steps = story.transitions(again.trace, place) if place else []
        heading = "the way there, in a second run with the trace on:"
        return [heading, *("  " + step for step in steps)] if steps else []

    def trace_trouble(self, test):
        """What is wrong with the trace of a run: it must be one that the table allows, agree with the
        counters, and move as much as the test says."""
        said = self.runs[self.key(test)]
        if said.trouble:
            return said.trouble
        checks = TraceChecks(self.root)
        records, stats = story.records_of(said.trace), checks.counters(said.log)
        if not records or not stats:
            return ["the run left no trace, or no counters"]
        try:
            checks.module.check(records, stats, stats["policy"])
        except checks.fail as fail:
            return [story.readable(line) for line in str(fail).splitlines()[:story.TEXT_LINES]]
        seen = {**sums(stats), **events(records)}
        return [f"{name}: expected at most {limit}, seen {seen.get(name, 0)}" for name, limit in test.most.items()
                if seen.get(name, 0) > limit] + [
                    f"{name}: expected at least {limit}, seen {seen.get(name, 0)}" for name, limit
                    in test.least.items() if seen.get(name, 0) < limit]

    def judge(self, test):
        if test.kind == "trace":
            trouble = self.trace_trouble(test)
        else:
            good = self.runs[self.key(test)].passed.get(test.test, False)
            trouble = [] if good else self.told(test) or ["not ok"]
        return Mark(test.name, test.points, 0 if trouble else test.points, trouble)


class TraceChecks:
    """tests/trace's checks, which know the table and the counters."""

    def __init__(self, root):
        for folder in ("tests", "tools"):
            if os.path.join(root, folder) not in sys.path:
                sys.path.insert(0, os.path.join(root, folder))
        spec = importlib.util.spec_from_file_location("trace_group", os.path.join(root, "tests", "trace", "group.py"))
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        from framework import Fail
        from records import read_stats
        self.fail, self.counters = Fail, read_stats


def grade(root, lab, student, keep=False):
    """Grades the student's tree. A tree that lacks a file, or does not build, earns nothing."""
    started, folder = time.monotonic(), work_folder(root)
    grading = Grading(root, lab, folder)
    try:
        try:
            trouble = grading.assemble(student)
        except LabError as error:
            trouble = [str(error)]
        if trouble:
            marks = [Mark(test.name, test.points, 0, [UNTESTED]) for test in lab.tests]
            marks[0].context = [UNTESTED, *trouble]
        else:
            marks = grading.judge_all()
        return Report(lab, marks, time.monotonic() - started)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
