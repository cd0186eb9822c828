"""docs/ says what the code does: what comes from the code is as make docs would write it today, and what the chapters
name is there. Nothing here can tell whether a sentence is true.
"""

import glob
import os
import re

import docs                        # framework put tools/ on the path
import layouts
from framework import ROOT, expect, expect_equal

CHAPTERS = os.path.join(ROOT, "docs", "*.md")
SOURCES = ("fpu", "kernel", "sched", "user/include")
LINK = re.compile(r"\]\(([^)#]+)\)")
NAME = re.compile(r"`((?:fpu|fpregs|kernel_fpu|irq_fpu|sched|tiles?|xcomp|pasid|vcpu)_\w+)`")


def texts():
    for path in sorted(glob.glob(CHAPTERS)):
        with open(path, encoding="utf-8") as file:
            yield os.path.basename(path), file.read()


def drawn():
    expect_equal(list(docs.stale(docs.drawn())), [], "what is stale (make docs renews it)")


def traces():
    """Boots each policy once."""
    made = docs.chapters()
    expect(len(made) > 2, "hardly any chapter has a piece of trace")
    expect_equal(list(docs.stale(made)), [], "what is stale (make docs renews it)")


def layout_sizes():
    """The pictures' arithmetic gives what a real processor reports for all of its components."""
    table, parts = layouts.read_table("silicon-amx"), list(layouts.components("silicon-amx"))
    expect_equal(layouts.end_of(layouts.standard(parts)), table[layouts.LEAF, 0][1], "the standard format's size")
    expect_equal(layouts.end_of(layouts.compacted(parts)), table[layouts.LEAF, 1][1], "the compacted format's size")


def links():
    for name, text in texts():
        for target in LINK.findall(text):
            expect(os.path.exists(os.path.join(ROOT, "docs", target)), f"{name}: {target} is not there")


def names():
    """Functions of ours: in every chapter, and in the first column of each table beside Linux."""
    sources = ""
    for path in (path for folder in SOURCES for path in glob.glob(os.path.join(ROOT, folder, "*.[ch]"))):
        with open(path, encoding="utf-8") as file:
            sources += file.read()
    for name, text in texts():
        if "| Tarry | Linux |" in text:
            text = "\n".join(line.split("|")[1] if line.startswith("|") else line for line in text.splitlines())
        for word in NAME.findall(text):
            expect(re.search(rf"\b{word}\b", sources), f"{name}: there is no {word}")


def tests():
    yield "pictures and tables", drawn
    yield "pieces of trace", traces
    yield "layouts against a real processor", layout_sizes
    yield "links", links
    yield "names", names
