"""What a lab is: the data of labs/NN-name/lab.toml, checked and made into objects.

    title, minutes, start        for the handout; start: the points that the tree as handed out earns
    files                        what the student writes besides the files that have holes
    [[hole]]   file, function, step, text; body: what it does at the start instead of stopping, or
               replace: the same with the signature and whatever must stand before it
    [program.NAME]               one boot: source (tests/NAME.c), cmdline, smp, seconds, kernel ("own",
               or "start": the tree as handed out), status: the program's own status is the verdict
    [[test]]   name, points, parent, and what it is: program and test, or host and test, or explore
               (arguments), or trace (a program whose trace is checked) with most and least

Must stay free of paths outside the tree it is given.
"""

import dataclasses
import glob
import os
import tomllib

HOLE_KEYS = {"file", "function", "step", "text", "body", "replace"}
PROGRAM_KEYS = {"source", "cmdline", "smp", "seconds", "kernel", "status"}
TEST_KEYS = {"name", "points", "parent", "program", "host", "explore", "trace", "test", "most", "least"}
KINDS = ("program", "host", "explore", "trace")
LAB_KEYS = {"title", "minutes", "start", "files", "hole", "program", "test"}


class LabError(Exception):
    """A lab, a tree or a submission is not as it should be; the text says why."""


@dataclasses.dataclass
class Hole:
    """A function that the student writes."""
    file: str
    function: str
    step: int
    text: str
    body: str = ""
    replace: str = ""


@dataclasses.dataclass
class Program:
    """A program that is booted as the only one, and under which kernel."""
    name: str
    source: str
    cmdline: str = ""
    smp: int = 1
    seconds: int = 40
    kernel: str = "own"
    status: int | None = None


@dataclasses.dataclass
class Test:
    """What earns points. kind is one of KINDS, target the program's name or the arguments."""
    name: str
    points: int
    kind: str
    target: object
    test: str = ""
    parent: str = ""
    most: dict = dataclasses.field(default_factory=dict)
    least: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Lab:
    """A lab; folder is its name below labs/."""
    number: str
    folder: str
    title: str
    minutes: int
    start: int
    holes: list
    programs: dict
    tests: list
    files: list

    def owned(self):
        """The files that a student hands in."""
        return list(dict.fromkeys([*(hole.file for hole in self.holes), *self.files]))

    def points(self):
        return sum(test.points for test in self.tests)


def expect_keys(where, found, allowed, needed=()):
    wrong = set(found) - set(allowed) or set(needed) - set(found)
    if wrong:
        raise LabError(f"{where}: wrong or missing: {' '.join(sorted(wrong))}")


def read_hole(where, data):
    expect_keys(where, data, HOLE_KEYS, ("file", "function", "step", "text"))
    if "body" in data and "replace" in data:
        raise LabError(f"{where}: body or replace, not both")
    return Hole(**data)


def read_test(where, data, programs):
    expect_keys(where, data, TEST_KEYS, ("name", "points"))
    kinds = [kind for kind in KINDS if kind in data]
    if len(kinds) != 1:
        raise LabError(f"{where}: {data['name']} is none, or more than one, of {' '.join(KINDS)}")
    target = data.pop(kinds[0])
    if kinds[0] in ("program", "trace") and target not in programs:
        raise LabError(f"{where}: there is no program {target}")
    return Test(kind=kinds[0], target=target, **data)


def check_parents(where, tests):
    seen = set()
    for test in tests:
        if test.parent and test.parent not in seen:
            raise LabError(f"{where}: {test.name}: no test before it is called {test.parent}")
        if test.name in seen:
            raise LabError(f"{where}: two tests are called {test.name}")
        seen.add(test.name)


def read_lab(root, folder):
    """The lab in root/labs/folder."""
    where = os.path.join(root, "labs", folder, "lab.toml")
    with open(where, "rb") as file:
        try:
            data = tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise LabError(f"{where}: {error}") from error
    expect_keys(where, data, LAB_KEYS, LAB_KEYS - {"files", "program", "start"})
    programs = {}
    for name, value in data.get("program", {}).items():
        expect_keys(f"{where}: program {name}", value, PROGRAM_KEYS)
        programs[name] = Program(**{"name": name, "source": f"labs/{folder}/tests/{name}.c", **value})
    holes = [read_hole(where, hole) for hole in data["hole"]]
    tests = [read_test(where, test, programs) for test in data["test"]]
    check_parents(where, tests)
    return Lab(folder.split("-")[0], folder, data["title"], data["minutes"], data.get("start", 0), holes,
               programs, tests, data.get("files", []))


def folders(root):
    return sorted(os.path.basename(os.path.dirname(path))
                  for path in glob.glob(os.path.join(root, "labs", "[0-9][0-9]-*", "lab.toml")))


def find_lab(root, number):
    """The lab of that number, "4" or "04"; without one, the only one there is."""
    found = [folder for folder in folders(root) if not number or folder.split("-")[0] == number.zfill(2)]
    if len(found) != 1:
        raise LabError(f"LAB={number or ''}: there is " + (f"no lab {number}" if number else "more than one lab")
                       + f"; labs: {' '.join(folders(root))}")
    return read_lab(root, found[0])
