"""The museum: each old bug, put back, must turn its test red, which is green without.

A mutant's number is that of the bug in the collection it comes from.
"""

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
    """The (machine, program, command line) of all mutants, each once."""
    found = {(museum.BOOT_TEST.fullmatch(mutant.test), mutant.options)
             for mutant in museum.mutants()}
    return sorted({(match[1], match[2], options) for match, options in found if match})


def green_without():
    """What goes red with a bug is green without, under the same command line."""
    for machine, program, options in boots():
        status, output = museum.boot_program(ROOT, machine, program, options)
        expect(status == 0, f"{program} is red without any mutant ({options})", output)


def tests():
    yield "green without", green_without
    for mutant in museum.mutants():
        yield f"{mutant.number} {mutant.name}", lambda mutant=mutant: caught(mutant)
