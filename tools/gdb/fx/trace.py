"""fx-trace: the newest records of the kernel's trace rings, of all CPUs in one order.

A ring keeps its records until they are overwritten, also those that went out to COM4 long ago.
"""

import gdb

from fx import contexts, kernel
from fx.command import Command, count, table
from fx.layout import all_names

DEFAULT = 20
OWNERS = {(1 << 64) - 1: "the kernel's", (1 << 64) - 2: "initial", 0: "nobody's"}
HOW_TO_START = ("The trace is off: the kernel keeps rings of records only if its command line says `trace`."
                " Start with `make gdb ARGS='--cmdline trace'`. (fx-why and fx-next work without.)")


def newest(number):
    """The newest transitions and changes of owner, oldest first. Raises if the trace is off."""
    size, rings = int(kernel.symbol("ring_size", "kernel/trace.c")), kernel.symbol("rings", "kernel/trace.c")
    if not size:
        raise gdb.GdbError(HOW_TO_START)
    wanted, found = [kernel.enumerators("kind")[name] for name in ("TRANSITION", "OWNER", "UPDATE")], []
    for i in range(int(kernel.symbol("ncpus"))):
        head, own = int(rings[i]["head"]), 0                # of a CPU's own, no more than that are needed
        for at in range(head - 1, max(0, head - size) - 1, -1):
            record = rings[i]["records"][at % size]
            if int(record["kind"]) in wanted:
                found.append(record)
                own += 1
            if own == number:
                break
    return sorted(found, key=lambda record: int(record["sequence"]))[-number:]


def owner_row(record):
    owner = int(record["owner"])
    return ("", "", f"the registers become {OWNERS.get(owner, f'context {owner}')}", "", "")


def transition_row(record):
    s = contexts.step(record["step"])
    moved = contexts.moved_text(s, int(record["moved"])) if s.moved else "-"
    return (int(record["context"]), s.event, f"{s.came_from} to {s.to}", moved, f"{s.function} ({s.place})")


def update_row(record):
    """One component, changed by fpu/update.c."""
    ending = contexts.enumerator("fpu_ending", int(record["ending"]), "FPU_ENDED_")
    return (int(record["context"]), "", f"{all_names()[int(record['feature'])]} is updated, {ending}", "", "")


def row(record):
    kind = contexts.enumerator("kind", int(record["kind"]))
    special = {"TRANSITION": transition_row, "OWNER": owner_row, "UPDATE": update_row}[kind]
    return (int(record["sequence"]), f"{int(record['time']) / 1e6:.3f}", int(record["step"]["cpu"]),
            int(record["tid"]) or "-", *special(record))


class Trace(Command):
    """The newest records of the trace: transitions of all contexts, in the order in which they happened.

Usage: fx-trace [N]
N records, 20 without it. Needs `trace` on the kernel's command line."""
    name, words = "fx-trace", (0, 1)

    def run(self, words):
        number = count(words[0]) if words else DEFAULT
        found = newest(number)
        rows = [("number", "ms", "CPU", "task", "context", "event", "", "moved", "asked for by"), *map(row, found)]
        lost = sum(int(record["lost"]) for record in found)
        if len(rows) == 1:
            return ["The trace is on, and has no record yet."]
        return table(rows) + ([f"{lost} records were lost in between: a ring was full."] if lost else [])


Trace()
