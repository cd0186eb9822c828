"""What many tasks and many CPUs cost: runs user/crowd.c where the time stamp counter counts instructions,
for bench.py and tests/bench. Nothing here may measure time.

A switch must cost the same however many tasks are runnable. How the CPUs' work is counted: QEMU adds the
instructions of all CPUs into one clock, so that the difference of two time stamps is all that all of them have
executed, and the rest is shares. The programs, one for each CPU, count the blocks they have computed, whose length in
instructions is known: that is what was computed, and what is left of the clock is the kernel's. Each program's
part of what was computed is its CPU's part, as long as each has a CPU to itself: two that take turns on one CPU
get half as much.
"""

import dataclasses

from boot import Boot, capture, make
from errors import HostError

SECONDS = 300
# Instructions of a switch outside the model, among the fewest tasks; among more, it may be so much dearer.
SWITCH_LIMIT = 364
TASKS = (2, 10, 100, 1000)
FLAT_PERCENT = 5
# Bytes. A thread is its kernel stack (16,384), struct task and, if it has vector registers, their place in memory; a
# process also has page tables and its own copies of pages.
MEMORY = (("thread", "thread", 18432),
          ("integer-only-thread", "thread, integer-only", 17408),
          ("process", "process that answers IPC calls", 73728),
          ("integer-only-process", "process, integer-only", 69632))
CPUS = (1, 2, 4)
# In percent of all instructions, more than with one CPU; and of a CPU's N-th.
KERNEL_GROWTH, UNEVEN = 5, 5


@dataclasses.dataclass
class Check:
    """One figure with its limit. text: the figure as a person reads it."""
    name: str
    text: str
    good: bool


def run_crowd(what, smp=1):
    """The lines of user/crowd.c as lists of words."""
    make("iso")
    result, out, err = capture(Boot(smp=smp, icount=True, timeout=SECONDS,
                                    argv=[b"/bin/crowd", what.encode()],
                                    cmdline="stderr=com3 log=com2"))
    if result.status:
        text = err.decode("utf-8", "replace")
        raise HostError("\n".join([f"crowd {what}: status {result.status}", text, *result.reasons]))
    return [line.split() for line in out.decode().splitlines()]


def rows(lines, name):
    """The figures of the lines with that first word, the key first."""
    return [(key, *map(int, figures)) for word, key, *figures in lines if word == name]


def switch_checks(lines):
    limit = SWITCH_LIMIT
    for tasks, gross, model in rows(lines, "switch"):
        net = gross - model
        yield Check(f"switch among {tasks}", f"switch among {tasks} runnable tasks: {net} instructions "
                    f"({gross:,} with the model's), at most {limit}", net <= limit)
        if tasks == str(TASKS[0]):
            limit = net * (100 + FLAT_PERCENT) // 100


def memory_checks(lines):
    found = {key: figures[0] for key, *figures in rows(lines, "memory")}
    for name, text, limit in MEMORY:
        yield Check(f"memory, {name}", f"memory of an idle {text}: {found[name]:,} bytes, "
                    f"at most {limit:,}", found[name] <= limit)


def kernel_percent(lines):
    (_, clock, computed, _, _), = rows(lines, "cpus")
    return 100 * (clock - computed) / clock


def unevenness(lines):
    """How far, in percent of an N-th, the program is off that is farthest."""
    parts = [part for _, part in rows(lines, "task")]
    fair = sum(parts) / len(parts)
    return max(abs(part - fair) for part in parts) * 100 / fair


def cpu_checks():
    """From one CPU to many, as many programs as CPUs."""
    alone = None
    for count in CPUS:
        lines = run_crowd("cpus", count)
        (_, _, _, idle, ticks), = rows(lines, "cpus")
        percent, uneven = kernel_percent(lines), unevenness(lines)
        alone = percent if alone is None else alone
        name = f"{count} CPU{'s' if count > 1 else ''}"
        yield Check(f"kernel's share, {name}", f"{name}: {percent:.2f} % of all instructions are the "
                    f"kernel's, at most {alone + KERNEL_GROWTH:.2f} %", percent <= alone + KERNEL_GROWTH)
        yield Check(f"shares, {name}", f"{name}: the programs' parts are off by {uneven:.2f} %, at most {UNEVEN} %; "
                    f"{idle} idle ticks of {ticks}",
                    uneven <= UNEVEN and idle * 100 <= ticks * UNEVEN)


def checks():
    """All of them. A missing line is an error."""
    lines = run_crowd("tasks")
    found = [*switch_checks(lines), *memory_checks(lines)]
    if len(found) < len(TASKS) + len(MEMORY):
        raise HostError("crowd tasks: lines are missing")
    return found + list(cpu_checks())
