#!/usr/bin/env python3
"""The labs' one program: makes student's trees and zips, and grades.

    lab.py lab NN [DIR]                          a student's working tree
    lab.py grade NN [--tree T] [--json FILE]     grades T (a tree, a folder with the student's files,
                                                 or a zip), by default the tree this file lies in
    lab.py submission-check NN [ZIP]             will it be accepted? without ZIP, packs this tree's
    lab.py handout NN | autograder NN | list

What a lab is, is data: tools/labs/course.py. The status is 0 for a full score or a good check, 1 for
less, 2 for a wrong command.
"""

import argparse
import os
import sys
import tempfile

from errors import HostError
from labs import grade, pack, report, tree as trees
from labs.course import LabError, find_lab, folders, read_lab

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")


def built(name):
    os.makedirs(BUILD, exist_ok=True)
    return os.path.join(BUILD, name)


def expect_teachers_tree():
    if not os.path.exists(os.path.join(ROOT, "labs", "README.md")):
        raise LabError("this is a student's tree; trees and zips are made from the teacher's")


def make_lab(lab, options):
    expect_teachers_tree()
    folder = options.path or built(f"lab-{lab.number}")
    trees.make_student_tree(ROOT, lab, folder)
    print(f"Lab {lab.number}, {lab.title}: {folder}\nStart with labs/{lab.folder}/handout.md there; "
          f"grep -rn 'Lab {lab.number}, step' finds what is to be written.")
    return 0


def with_submission(lab, path, function):
    """function on the folder that the student's files are in: path, what a zip holds, or, without a
    path, this tree's own (in the teacher's tree: the reference)."""
    if path and os.path.isdir(path):
        return function(path)
    with tempfile.TemporaryDirectory() as folder:
        wrong = []
        if path:
            wrong, _ = pack.unpack(lab, path, folder)
        else:
            trees.reference(ROOT, lab, folder)
        if wrong:
            raise LabError("; ".join(wrong))
        return function(folder)


def grade_tree(lab, options):
    if options.json:
        report.write_json(options.json, report.nothing(lab))
    try:
        result = with_submission(lab, options.tree, lambda folder: grade.grade(ROOT, lab, folder, options.keep))
    except LabError as error:
        if options.json:
            report.write_json(options.json, report.nothing(lab, str(error)))
        raise
    print(report.text(result))
    if options.json:
        report.write_json(options.json, report.gradescope(result))
    return int(result.score() < lab.points())


def check_submission(lab, options):
    path = options.path
    if not path:
        path = built(f"submission-{lab.number}.zip")
        pack.pack(lab, ROOT, path)
        print(f"{path}: {', '.join(lab.owned())}")
    with tempfile.TemporaryDirectory() as folder:
        wrong, notes = pack.unpack(lab, path, folder)
        if not wrong:
            notes += [f"{hole.file}: {hole.function} is not written yet" for hole in trees.holes_left(lab, folder)]
    for line in notes:
        print("note: " + line)
    for line in wrong:
        print("refused: " + line)
    print("will not be accepted" if wrong else "will be accepted")
    return int(bool(wrong))


def make_zip(function, prefix):
    def command(lab, _):
        expect_teachers_tree()
        path = built(f"{prefix}-{lab.number}.zip")
        function(ROOT, lab, path)
        print(path)
        return 0
    return command


def list_labs():
    for folder in folders(ROOT):
        lab = read_lab(ROOT, folder)
        print(f"{lab.number}  {lab.title}  ({lab.minutes} minutes, {lab.points()} points)")
    return 0


COMMANDS = {"lab": make_lab, "grade": grade_tree, "submission-check": check_submission,
            "handout": make_zip(pack.handout, "handout"), "autograder": make_zip(pack.autograder, "autograder")}


def main():
    parser = argparse.ArgumentParser(prog="lab.py", description="Makes and grades Tarry's labs.")
    parser.add_argument("command", choices=[*COMMANDS, "list"])
    parser.add_argument("number", nargs="?", default="", metavar="NN", help="the lab")
    parser.add_argument("path", nargs="?", metavar="PATH", help="lab: the new tree; submission-check: the zip")
    parser.add_argument("--tree", help="grade: what to grade")
    parser.add_argument("--json", metavar="FILE", help="grade: write Gradescope's results there")
    parser.add_argument("--keep", action="store_true", help="grade: leave the grading tree behind")
    options = parser.parse_args()
    if options.command == "list":
        return list_labs()
    try:
        return COMMANDS[options.command](find_lab(ROOT, options.number), options)
    except (LabError, HostError, OSError) as error:
        print(f"lab.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
