"""The museum: each old bug, put back, must turn its test red, which is green without.

A mutant's number is that of the bug in the collection it comes from.
"""

import dataclasses
import os
import sys

from framework import ROOT, Fail, Skip, expect

sys.path.insert(0, os.path.join(ROOT, "tests", "museum"))
import museum


def caught(mutant):
    try:
        museum.visit(mutant)
    except museum.Skipped as reason:
        raise Skip(str(reason)) from reason
    except museum.Wrong as wrong:
        raise Fail(str(wrong)) from wrong


def boots():
    """The (machine, program, command line) of all mutants, each once; those without options are in boot/ as they are."""
    found = {(museum.BOOT_TEST.fullmatch(mutant.test), mutant.options)
             for mutant in museum.mutants() if mutant.options}
    return sorted({(match[1], match[2], options) for match, options in found if match})


def green_without():
    """What goes red with a bug under a command line of its own is green without."""
    for machine, program, options in boots():
        status, output = museum.boot_program(ROOT, machine, program, options)
        expect(status == 0, f"{program} is red without any mutant ({options})", output)


def refused(function, *arguments):
    """What museum.py has against it."""
    try:
        function(*arguments)
    except museum.Wrong as wrong:
        return str(wrong)
    raise Fail(f"{function.__name__} has nothing against {arguments[1:]}")


def judgement():
    """Only red, in the test that was named, for the reason that was named, is success."""
    log = "ok 1 other\nnot ok 2 one\npower-off: status 1\n"
    one = museum.Mutant("00", "none", "", "", "nothing", "boot/qemu/program/one", "not ok 2", [])
    other = dataclasses.replace(one, test="boot/qemu/program/other")
    suite = dataclasses.replace(one, test="host/program/one", reason="wrong")
    museum.judge(one, 1, log)
    museum.judge(one, 125, "panic: not ok 2")
    museum.judge(suite, 1, "FAIL host/program/one: wrong\n")
    for mutant, status, output, trouble in (
            (one, 0, log, "green"), (one, 1, "ok 2 one", "red, but not with"),
            (other, 1, log, "red, but not in"), (one, None, "not ok 20 two", "red, but not in"),
            (suite, 1, "ok   host/program/one\nFAIL else: wrong", "red, but not in")):
        expect(refused(museum.judge, mutant, status, output).startswith(trouble),
               f"not {trouble}: {output}")
    gone = dataclasses.replace(one, replacements=[("Makefile", "no such line\n", "")])
    expect("0 times" in refused(museum.apply, gone, ROOT), "a text that is gone is not told")


def tests():
    yield "judgement", judgement
    yield "green without", green_without
    for mutant in museum.mutants():
        yield f"{mutant.number} {mutant.name}", lambda mutant=mutant: caught(mutant)
