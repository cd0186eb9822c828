#!/usr/bin/env python3
"""What large fpstates cost under each strategy (fpu/buffers.h): runs user/tilebench.c where the time stamp counter
counts instructions, on four processors, and prints a table, for bench.py and docs/.

    buffers.py [--write]    --write: renews the table in docs/buffers.md, between its marks

Instructions are the kernel's without the model's. QEMU counts one for each 8 bytes that REP MOVSQ moves, and one for an
INVLPG: neither says what it takes. Nothing here may measure time.
"""

import argparse
import dataclasses
import os
import re
import sys

from boot import ROOT, Boot, capture, make
from errors import HostError

STRATEGIES = ("vmalloc", "cache", "copy", "map")
CPUS, SECONDS = 4, 300
PAGE = os.path.join(ROOT, "docs", "buffers.md")
MARKS = re.compile(r"(<!-- buffers -->\n).*?(<!-- end -->\n)", re.DOTALL)
HEAD = ("", "tasks", "save: instr.", "load: instr.", "bytes copied for one", "INVLPGs for one", "first use: instr.",
        "exit: instr.", "INVLPGs for all exits", "shootdowns", "messages", "KiB held")


@dataclasses.dataclass
class Row:
    """One strategy with so many tasks. What is not an instruction count is what docs and tests may rely on."""
    strategy: str
    tasks: int
    save: int
    load: int
    copied: int                    # bytes, by a save and by a load
    invlpgs: int                   # likewise
    first: int
    first_counts: tuple            # of all first uses: bytes copied, INVLPGs, shootdowns
    exit: int
    exit_invlpgs: int              # of all tasks' ends, with those of other CPUs
    shootdowns: int
    messages: int
    held: int                      # bytes

    def counts(self):
        return (self.strategy, self.tasks, self.copied, self.invlpgs, self.exit_invlpgs, self.shootdowns,
                self.messages, self.held)

    def cells(self):
        return (self.strategy, *(f"{number:,}" for number in (
            self.tasks, self.save, self.load, self.copied, self.invlpgs, self.first, self.exit, self.exit_invlpgs,
            self.shootdowns, self.messages, self.held // 1024)))


def row(strategy, lines):
    """The figures of one number of tasks, from {first word: numbers}."""
    tasks, = lines["tasks"]
    copied, invlpgs = (total // (2 * tasks) for total in lines["turn"])
    end, _, exit_invlpgs, shootdowns, messages = lines["exit"]
    first, *first_counts, _ = lines["first"]
    return Row(strategy, tasks, *lines["move"], copied, invlpgs, first, tuple(first_counts), end,
               exit_invlpgs, shootdowns, messages, *lines["held"])


def measure(strategy, most=100):
    """The rows of one boot."""
    make("iso")
    result, out, err = capture(Boot(smp=CPUS, icount=True, timeout=SECONDS,
                                    argv=[b"/bin/tilebench", str(most).encode()],
                                    cmdline=f"stderr=com3 log=com2 debug fpbuf={strategy}"))
    if result.status:
        raise HostError("\n".join([f"tilebench, {strategy}: status {result.status}",
                                   err.decode("utf-8", "replace"), *result.reasons]))
    parts = re.split(r"^(?=tasks )", out.decode(), flags=re.MULTILINE)[1:]
    return [row(strategy, {name: list(map(int, numbers)) for name, *numbers in map(str.split, part.splitlines())})
            for part in parts]


def measure_all(strategies=STRATEGIES, most=100):
    return [found for strategy in strategies for found in measure(strategy, most)]


def table(rows):
    """Markdown, which people can read too."""
    cells = [HEAD, *(r.cells() for r in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths))) + " |\n"
             for line in cells]
    return lines[0] + "|---|" + "---:|" * (len(HEAD) - 1) + "\n" + "".join(lines[1:])


def written():
    """The counts of the table in docs, as Row.counts has them."""
    with open(PAGE, encoding="utf-8") as file:
        text = MARKS.search(file.read())[0]
    for line in text.splitlines():
        cells = [cell.strip().replace(",", "") for cell in line.strip("|").split("|")]
        if cells[0] in STRATEGIES:
            tasks, _, _, copied, invlpgs, _, _, *rest, held = map(int, cells[1:])
            yield (cells[0], tasks, copied, invlpgs, *rest, held * 1024)


def main(arguments):
    parser = argparse.ArgumentParser(prog="buffers.py", usage="buffers.py [--write]")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    try:
        text = table(measure_all())
    except HostError as error:
        print(f"buffers: {error}", file=sys.stderr)
        return error.status
    print(text, end="")
    if options.write:
        with open(PAGE, encoding="utf-8") as file:
            page = file.read()
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(MARKS.sub(lambda marks: marks[1] + text + marks[2], page))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
