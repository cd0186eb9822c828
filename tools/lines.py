#!/usr/bin/env python3
"""make lines: how large the kernel is, in lines and in lines of code, beside what it may be.

A line of code is one that is neither blank nor comment only. With --write the table takes the place
of the one in the README. The parts cover every source of the kernel, each once.
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
README = os.path.join(ROOT, "README.md")
SOURCES = ("c", "h", "asm", "def")
MODEL = ("fpu/soft", "fpu/amx")
FOLDERS = ("boot", "kernel", "kernel/crypto", "fpu", "sched")
# name: what it may have in lines of code, or None.
PARTS = {"`fpu/` without the model": 1500, "the model of XSAVES and AMX in `fpu/`": 1200, "`sched/`": None,
         "`boot/` and `kernel/`": None}
ALL, ALL_BUDGET = "all", 10_000
HEAD = ("| part | lines | of that code | may be |", "|---|---:|---:|---:|")
TABLE = re.compile(re.escape(HEAD[0]) + r"\n(?:\|.*\n)+")


def part_of(path):
    if path.startswith(MODEL):
        return "the model of XSAVES and AMX in `fpu/`"
    return {"fpu": "`fpu/` without the model", "sched": "`sched/`"}.get(
        path.partition("/")[0], "`boot/` and `kernel/`")


def count(path):
    """(lines, lines of code)"""
    with open(os.path.join(ROOT, path), encoding="ascii") as file:
        text = file.read()
    code = re.sub(r";.*", "", text) if path.endswith(".asm") else \
        re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return len(text.splitlines()), sum(bool(line.strip()) for line in code.splitlines())


def table():
    totals = {name: [0, 0] for name in PARTS}
    for folder in FOLDERS:
        for path in glob.glob("*", root_dir=os.path.join(ROOT, folder)):
            path = f"{folder}/{path}"
            if path.rpartition(".")[2] in SOURCES:
                for at, number in enumerate(count(path)):
                    totals[part_of(path)][at] += number
    rows = [(name, *totals[name], budget) for name, budget in PARTS.items()]
    rows.append((ALL, *(sum(row[at] for row in rows) for at in (1, 2)), ALL_BUDGET))
    lines = [f"| {name} | {lines:,} | {code:,} | {f'{budget:,}' if budget else ''} |"
             for name, lines, code, budget in rows]
    return "\n".join([*HEAD, *lines]) + "\n"


def main(arguments):
    text = table()
    if arguments != ["--write"]:
        print(text, end="")
        return 0
    with open(README, encoding="utf-8") as file:
        old = file.read()
    if len(TABLE.findall(old)) != 1:
        print("lines: the README has no such table, or more than one", file=sys.stderr)
        return 1
    with open(README, "w", encoding="utf-8") as file:
        file.write(TABLE.sub(lambda match: text, old))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
