#!/usr/bin/env python3
"""make test-labs: is each lab's grader right? The tree as handed out earns what the lab says, the
reference earns everything, and each wrong solution loses the tests that it names and is told why.

A wrong solution is a file labs/NN-name/wrong/NAME.mutant, replacements as in the museum after

    title: the mistake
    loses: a test; another
    says: what the report must contain

Nothing here may change the tree that it runs in.

    campaign.py [NN [NAME...]]    all labs, one, or some of its cases: start, reference, a wrong solution
"""

import dataclasses
import glob
import os
import resource
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tools"), os.path.join(ROOT, "tests", "museum")]
import boot
import museum
from labs import grade, report, tree as trees
from labs.course import LabError, find_lab, folders, read_lab

WANTED = {"title", "loses", "says"}


@dataclasses.dataclass
class Wrong:
    """A wrong solution; replacements as museum.apply takes them."""
    name: str
    loses: list
    says: str
    replacements: list


def read_wrong(path):
    name = os.path.basename(path).removesuffix(".mutant")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    fields = dict(museum.FIELD.findall(museum.REPLACEMENT.sub("", text)))
    if set(fields) != WANTED:
        raise LabError(f"{path}: wrong or missing: {' '.join(sorted(set(fields) ^ WANTED))}")
    return Wrong(name, fields["loses"].split("; "), fields["says"], museum.REPLACEMENT.findall(text))


def wrong_solutions(lab):
    found = sorted(glob.glob(os.path.join(ROOT, "labs", lab.folder, "wrong", "*.mutant")))
    return [read_wrong(path) for path in found]


def graded(lab, make):
    """The report on the folder that make fills."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        make(folder)
        return grade.grade(ROOT, lab, folder)


def start_of(lab):
    def make(folder):
        trees.make_student_tree(ROOT, lab, os.path.join(folder, "tree"))
        for name in lab.owned():
            trees.write(folder, name, trees.read(os.path.join(folder, "tree"), name))
    return make


def wrong_of(lab, wrong):
    def make(folder):
        trees.reference(ROOT, lab, folder)
        museum.apply(wrong, folder)
    return make


def trouble_with_wrong(lab, wrong, result):
    """What the grader did not see, or nothing."""
    lost = [mark.name for mark in result.marks if mark.earned < mark.points]
    if result.marks[0].context[:1] == [grade.UNTESTED]:
        return "does not build"
    missed = [name for name in wrong.loses if name not in lost]
    if missed:
        return f"keeps {'; '.join(missed)}"
    return "" if wrong.says in report.text(result) else f"is not told {wrong.says!r}"


def trouble_with(result, score):
    if result.marks[0].context[:1] == [grade.UNTESTED]:
        return "does not build"
    return "" if result.score() == score else f"{result.score()} points, not {score}"


def trouble_with_start(lab, result):
    """It scores what the lab says, and where a function stops, that is named."""
    if any(hole.stops() for hole in lab.holes) and "is not written yet" not in report.text(result):
        return "does not say what is not written yet"
    return trouble_with(result, lab.start)


def all_cases(lab):
    """(what, the folder's maker, the judge) of everything to be graded."""
    yield "start", start_of(lab), lambda result: trouble_with_start(lab, result)
    yield "reference", lambda folder: trees.reference(ROOT, lab, folder), lambda result: trouble_with(
        result, lab.points())
    for wrong in wrong_solutions(lab):
        yield wrong.name, wrong_of(lab, wrong), lambda result, wrong=wrong: trouble_with_wrong(lab, wrong, result)


def used_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def check(lab, names):
    """Grades all of a lab; True if the grader was right each time."""
    good = True
    for what, make, judge in all_cases(lab):
        if names and what not in names:
            continue
        started, used = time.monotonic(), used_seconds()
        try:
            result = graded(lab, make)
            trouble, score = judge(result), f"{result.score()}/{lab.points()}"
        except (LabError, museum.Wrong) as error:
            result, trouble, score = None, str(error), "not graded"
        print(f"{'FAIL' if trouble else 'ok  '} {lab.number} {what}: {score} ({time.monotonic() - started:.0f} s, "
              f"{used_seconds() - used:.0f} s of processor time){': ' + trouble if trouble else ''}", flush=True)
        if trouble and result:
            print("     | " + report.text(result).replace("\n", "\n     | "), flush=True)
        good = good and not trouble
    return good


def main():
    number, names = (sys.argv[1] if len(sys.argv) > 1 else None), sys.argv[2:]
    labs = [find_lab(ROOT, number)] if number else [read_lab(ROOT, folder) for folder in folders(ROOT)]
    boot.make("iso")
    results = [check(lab, names) for lab in labs]
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
