#!/usr/bin/env python3
"""Makes a value change dump of a trace, for GTKWave and other viewers of waves: vcd.py TRACE.

A scope for each CPU: who owns its registers, and the last event. A scope for each context: where its values are
valid, and what the kernel wrote down about it. The dump's time is in nanoseconds; records that fall into the same one,
or come from a clock that is behind, are put one apart, so that each can be seen.
"""

import re
import sys

from replay import Replay
from traces import convert
from transitions import STATES

FIRST_CODE, LAST_CODE = 33, 126    # the printable characters that identifiers are made of
KERNEL, INITIAL = 0xffffffff, 0xfffffffe
TEXT = 0                           # the width of a variable that is a text, as GTKWave has them
# (name, bits)
CPU_VARIABLES = (("owner", 32), ("who", TEXT), ("event", TEXT))
CONTEXT_VARIABLES = (("registers_valid", 1), ("memory_valid", 1), ("need_load", 1), ("state", TEXT), ("last_cpu", 8),
                     ("pkru", 32), ("xstate_bv", 64))


def code(number):
    """A short identifier for each number."""
    text = ""
    while True:
        number, digit = divmod(number, LAST_CODE - FIRST_CODE + 1)
        text += chr(FIRST_CODE + digit)
        if not number:
            return text
        number -= 1


def word(text):
    """Without what a dump can't have in a name."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", text) or "_"


class Dump:
    """Knows the variables and their last values; gives lines."""

    def __init__(self):
        self.codes, self.values = {}, {}

    def declare(self, scope, variables):
        yield f"$scope module {scope} $end\n"
        for name, bits in variables:
            self.codes[scope, name] = (code(len(self.codes)), bits)
            kind = f"string 1 {self.codes[scope, name][0]} {name}" if bits == TEXT else \
                f"wire {bits} {self.codes[scope, name][0]} {name}" + (f" [{bits - 1}:0]" if bits > 1 else "")
            yield f"$var {kind} $end\n"
        yield "$upscope $end\n"

    def unknown(self):
        """The values before the trace begins."""
        yield "$dumpvars\n"
        for short, bits in self.codes.values():
            yield f"s- {short}\n" if bits == TEXT else f"x{short}\n" if bits == 1 else f"bx {short}\n"
        yield "$end\n"

    def change(self, scope, values):
        """The lines for those values that are new."""
        for name, value in values.items():
            short, bits = self.codes[scope, name]
            if self.values.get(short) != value:
                self.values[short] = value
                yield f"s{word(value)} {short}\n" if bits == TEXT else f"{value:b}{short}\n" if bits == 1 \
                    else f"b{value & (1 << bits) - 1:b} {short}\n"


def cpu_scope(cpu):
    return f"cpu{cpu}"


def context_scope(context):
    return word(f"context{context.number}_{context.task}_{context.name}")


def cpu_values(replay, record):
    owner = {None: 0, "kernel": KERNEL, "init": INITIAL}.get(record["owner"], record["owner"])
    values = {"owner": owner, "who": replay.owner_title(record["cpu"])}
    event = record.get("event") or ("update" if record["kind"] == "update" else None)
    return {**values, "event": event} if event else values


def context_values(context):
    """need_load is its own task's flag, which follows from the state."""
    return {"registers_valid": context.state in ("ACTIVE", "CACHED"),
            "memory_valid": context.state in ("CACHED", "INACTIVE"), "need_load": context.state != "ACTIVE",
            "state": context.state, "last_cpu": context.last_cpu, "pkru": int(context.record["pkru"], 16),
            "xstate_bv": int(context.record["xstate_bv"], 16)}


def header(trace, dump, scopes):
    states = ", ".join(STATES)
    yield "$comment Tarry, policy " + trace.header["policy"] + f"; states: {states}; owner: a context's number, " \
        f"0 nobody, {KERNEL:x} the kernel, {INITIAL:x} initial values $end\n$timescale 1 ns $end\n"
    yield "$scope module tarry $end\n"
    for scope, variables in scopes:
        yield from dump.declare(scope, variables)
    yield "$upscope $end\n$enddefinitions $end\n"
    yield f"#{trace.records[0]['t']}\n"
    yield from dump.unknown()


def vcd(path, trace, table):
    """a dump for GTKWave."""
    dump, replay = Dump(), Replay(trace)
    scopes = {context.number: context_scope(context) for context in replay.contexts.values()}
    yield from header(trace, dump, [(cpu_scope(cpu), CPU_VARIABLES) for cpu in range(trace.header["cpus"])]
                      + [(scope, CONTEXT_VARIABLES) for scope in scopes.values()])
    now = trace.records[0]["t"]
    for record, changed, _ in replay.steps():
        lines = list(dump.change(cpu_scope(record["cpu"]), cpu_values(replay, record))) \
            if record["kind"] != "snapshot-context" else []
        own = [replay.contexts[record["context"]]] if "last_cpu" in record else []
        for context in [*(context for context in changed if context not in own), *own]:
            lines += dump.change(scopes[context.number], context_values(context))
        if lines:
            now = max(record["t"], now + 1)
            yield f"#{now}\n"
            yield from lines


if __name__ == "__main__":
    sys.exit(convert("vcd.py", ".vcd", vcd))
