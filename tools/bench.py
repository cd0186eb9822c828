#!/usr/bin/env python3
"""make bench: what Tarry's operations cost, beside their limits and Linux's figures.

Runs user/bench.c where the time stamp counter counts instructions (run-qemu.sh --icount), so the
figures are exact and the same everywhere. What was spent inside the model of XSAVES and XRSTORS,
and inside the trace, is shown apart; the limits hold for the rest. Then come tests/boot/counts.c's
figures, which are counts and not instructions, crowd.py's and buffers.py's. The exit status is 1 if a limit is
exceeded.

    bench.py [--trace] [FILE.c...]   --trace: once more with the trace on; FILE.c, a freestanding
                                     benchmark for Linux: built and run too, its output as it is

Nothing here may measure time.
"""

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile

import buffers
import crowd
from boot import BUILD, ROOT, make
from errors import HostError

PROGRAM = os.path.join(BUILD, "user", "bin", "bench")
COUNTS = os.path.join(BUILD, "user", "test", "counts")
SECONDS = "300"
ROW = "bench"
COUNTED = "# counted: "
# What each record costs outside the trace: the call, interrupts off and on, the taking of the time.
TRACE_CALL = 25
END_OF_LINUX_BENCH = "# BENCH DONE"
# Nothing but general registers, at an address of its own: what such a program is built with.
FREESTANDING = ("-O2 -static -nostdlib -ffreestanding -fno-stack-protector -fno-pic -no-pie "
                "-fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns "
                "-fcf-protection=none -mgeneral-regs-only -Wl,--build-id=none "
                "-Wl,-z,noseparate-code -Wl,-Ttext-segment=0x10000000").split()


@dataclasses.dataclass
class Operation:
    """One row. linux is (lean, default), None where Linux has nothing like it."""
    name: str
    text: str
    limit: int = None
    linux: tuple = (None, None)
    part: str = None  # the row of what the limit does not count
    records: int = 0  # that the trace makes in a round


# Linux's figures: Debian 12's Linux 6.1 in the same emulator (QEMU TCG, -icount shift=0, one time
# stamp tick = one instruction), a freestanding program as /init, the minimum of 256 to 2048 rounds
# less an empty RDTSC pair. "default" is Debian's kernel with mitigations=off; "lean" also has what
# can be removed on the command line removed (init_on_alloc, PSI, audit, AppArmor, memory cgroups).
# The boot is from the kernel's first instruction to init's first one, decompression left out.
#
# The limits of the rows with a switch in them count what a stay on a CPU costs a program that has
# vector registers: PKRU out and in, the save at switch-out, the load on the way back to user mode,
# the check of both transitions, their history and counters: about 80 instructions each way. The
# same rows with a bare XSAVE and XRSTOR in the switch were 172, 350 and 1,374.
OPERATIONS = [
    Operation("null", "null system call (unknown number)", 60, (196, 210)),
    Operation("null-integer", "the same in an integer-only program", 60),
    Operation("getpid", "getpid", 70, (293, 307)),
    Operation("switch", "switch by yield, two processes, one way", 364, (1457, 1594),
              records=2),
    Operation("ipc", "IPC call and reply, two processes", 720, records=4),
    Operation("pipe", "pipe, one byte there and back, two processes", 1800, (8662, 10008),
              records=4),
    Operation("fork", "fork + exit + wait", 25000, (125194, 151570)),
    Operation("write-fault", "first write to a page", 1200, (5983, 6353)),
    Operation("signal", "signal to oneself: kill, handler, sigreturn", 4100, (3738, 4150),
              records=4),
    Operation("regset", "a stopped task's vector registers by ptrace", 3700),
    Operation("boot", "first kernel to first user instruction", 20_000_000, (None, 1_599_190_303)),
    Operation("section-first", "kernel FPU section, first after user code", 60, (None, 151),
              "section-save", 2),
    Operation("section-save", "  of that, the save (the limit is for the rest)"),
    Operation("section-again", "kernel FPU section, again", 20, (None, 57)),
    Operation("yield", "sched_yield, nobody else runnable", None, (778, 792)),
    Operation("futex", "futex, there and back, two threads", None, (5736, 6627)),
    Operation("read-fault", "first read of a page", None, (1148, 1251)),
    Operation("cow-fault", "first write to a page that was read", None, (6398, 6769)),
    Operation("mprotect", "mprotect to read-only and back", None, (12241, 14836)),
    Operation("exec", "fork + exec + exit + wait", None, (253859, 341528)),
]


@dataclasses.dataclass
class Figures:
    """What one operation took, in instructions. model and trace are parts of the median."""
    minimum: int
    median: int
    model: int
    trace: int

    @property
    def net(self):
        """The model stands for one instruction, and the trace is not there when nobody looks."""
        return self.median - self.model - self.trace


def run_under_icount(program, *options):
    """Runs it on Tarry; gives its standard output as lines."""
    words = [os.path.join(ROOT, "run-qemu.sh"), "--icount", "--cmdline", "debug",
             "--timeout", SECONDS, *options, "--exec", program]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise HostError(f"{program} ended with status {done.returncode}")
    return done.stdout.splitlines()


def measure(*options):
    """{operation name: Figures}"""
    make("iso")
    figures = {}
    for line in run_under_icount(PROGRAM, *options):
        words = line.split()
        if len(words) == 7 and words[0] == ROW:
            figures[words[1]] = Figures(*map(int, words[2:6]))
    missing = [operation.name for operation in OPERATIONS if operation.name not in figures]
    if missing:
        raise HostError(f"no figure for {', '.join(missing)}")
    return figures


def measure_traced():
    """The same with the trace on; what it writes goes nowhere."""
    return measure("--trace", os.devnull)


def counts():
    """The lines of counts.c that say what was counted."""
    make("test-image")
    return [line.removeprefix(COUNTED) for line in run_under_icount(COUNTS)
            if line.startswith(COUNTED)]


def judged(operation, figures):
    """What the limit is for: the net figure, less the part that has a row of its own."""
    found = figures[operation.name]
    part = figures[operation.part].net if operation.part else 0
    return found.net - part - (operation.records * TRACE_CALL if found.trace else 0)


def exceeded(operation, figures):
    """The limit holds for the net median, which the minimum cannot hide behind."""
    return operation.limit is not None and judged(operation, figures) > operation.limit


def number(value):
    return "-" if value is None else f"{value:,}"


def ratio(linux, tarry):
    return "-" if linux is None else f"{linux / tarry:.1f}"


def table(figures):
    """The lines of the table."""
    form = "{:45} {:>10} {:>9} {:>9} {:>10} {:>10} {:>10} {:>13} {:>6}  {}"
    yield form.format("instructions for", "gross", "in model", "in trace", "net", "limit",
                      "Linux lean", "Linux default", "ratio", "").rstrip()
    for operation in OPERATIONS:
        found = figures[operation.name]
        lean, default = operation.linux
        yield form.format(operation.text, number(found.median), number(found.model),
                          number(found.trace), number(found.net), number(operation.limit),
                          number(lean), number(default), ratio(lean or default, found.net),
                          "EXCEEDED" if exceeded(operation, figures) else "").rstrip()


def linux_bench(source):
    """Builds a benchmark written for Linux, runs it unmodified and prints what it says."""
    with tempfile.TemporaryDirectory(prefix="tarry-bench-") as folder:
        program = os.path.join(folder, "linux-bench")
        compiler = os.environ.get("HOST_CC", "gcc")
        done = subprocess.run([compiler, *FREESTANDING, "-o", program, source])
        if done.returncode:
            raise HostError(f"{source}: does not compile")
        lines = run_under_icount(program)
    print(f"\n{source}, unmodified:")
    print("\n".join(lines))
    if END_OF_LINUX_BENCH not in lines:
        raise HostError(f"{source} did not run to its end")


def show(figures):
    print("\n".join(table(figures)))
    return any(exceeded(operation, figures) for operation in OPERATIONS)


def show_crowd():
    checks = crowd.checks()
    for check in checks:
        print(f"  {check.text}{'' if check.good else '  EXCEEDED'}")
    return not all(check.good for check in checks)


def main(arguments):
    parser = argparse.ArgumentParser(prog="bench.py", usage="bench.py [--trace] [FILE.c...]")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("sources", nargs="*")
    options = parser.parse_args(arguments)
    try:
        bad = show(measure())
        print("\ncounted, not timed:\n" + "\n".join(f"  {line}" for line in counts()))
        print("\nmany tasks, and one program on each of many CPUs:")
        bad |= show_crowd()
        print(f"\ntasks with tiles on one of {buffers.CPUS} CPUs, by where their fpstates lie (fpbuf=):")
        print(buffers.table(buffers.measure_all()), end="")
        if options.trace:
            print("\nwith the trace on (each record costs up to "
                  f"{TRACE_CALL} instructions outside the trace, which the limits allow for):")
            bad |= show(measure_traced())
        for source in options.sources:
            linux_bench(source)
    except HostError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.status
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
