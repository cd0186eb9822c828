"""Reads the file that run-qemu.sh --trace wrote, for the programs that show it.

Anything that is not such a file is refused with the number of the line and the reason. A machine that was stopped
leaves half a line at the end: that is told, and the rest is good. What the records mean is not known here.
"""

import argparse
import dataclasses
import json
import re
import sys

from errors import USAGE, HostError, explain
from transitions import STATES, read_table

FORMAT = 1
MOVES = ("none", "save", "load")   # what a transition did with the values
HEX = re.compile(r"0x[0-9a-f]{1,16}")
TRUTH = {"lost": int, "cpu": int, "seq": int, "t": int}
CONTEXT = {"task": int, "name": str, "context": int, "last_cpu": int, "need_load": int, "xstate_bv": HEX,
           "xcomp_bv": HEX, "pkru": HEX}
STEP = {"event": str, "from": str, "to": str, "saved": HEX, "loaded": HEX, "move": str, "avoided": bool, "file": str,
        "line": int, "function": str}
KINDS = {
    "snapshot-cpu": TRUTH,
    "owner": {**TRUTH, "task": int, "name": str},
    "snapshot-context": {**TRUTH, **CONTEXT},
    "transition": {**TRUTH, **CONTEXT, **STEP},
    "update": {**TRUTH, "task": int, "name": str, "context": int, "component": str, "found": (str, type(None)),
               "ending": str},
}
HEADER = {"policy": str, "mechanism": str, "cpus": int, "features": str, "components": list}


@dataclasses.dataclass
class Trace:
    """header and records as the kernel wrote them. cut: text for a person if the end is missing, or empty."""
    header: dict
    records: list
    cut: str = ""


def parse(line):
    """The JSON object in a line, or None."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def fits(record, keys):
    """keys: {name: type, or some, or pattern of a text}"""
    return all(isinstance(record.get(key), str) and kind.fullmatch(record[key]) if kind is HEX
               else type(record.get(key)) in (kind if isinstance(kind, tuple) else (kind,))
               for key, kind in keys.items())


def is_owner(value):
    return value in (None, "kernel", "init") or type(value) is int and value > 0


def read_header(path, line):
    header = parse(line)
    if header is None or header.get("kind") != "trace":
        raise HostError(f"{path}: line 1 is not the header of a Tarry trace", USAGE)
    if header.get("format") != FORMAT or not fits(header, HEADER):
        raise HostError(f"{path}: a trace of another version of Tarry (format {header.get('format')}, "
                        f"not {FORMAT})", USAGE)
    return header


def trouble(record, events, cpus):
    """Why that is no record of ours, or None."""
    if record is None:
        return "is no JSON object"
    keys = KINDS.get(record.get("kind"))
    if not keys:
        return "is of no kind that a Tarry trace has"
    if not fits(record, keys) or not is_owner(record.get("owner", 0)):
        return "lacks something that a Tarry trace has"
    if not 0 <= record["cpu"] < cpus:
        return f"names CPU {record['cpu']} of {cpus}"
    if "event" in keys:
        if record["event"] not in events:
            return f"has the event {record['event']}, which fpu/transitions.def has not: another version of Tarry?"
        if not {record["from"], record["to"]} <= set(STATES):
            return f"has an unknown state, {record['from']} or {record['to']}"
        if record["move"] not in MOVES:
            return f"moved values in an unknown way, {record['move']}"
    return None


def read_trace(path, events):
    """The trace in a file; events: the names that transitions may have."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode("ascii", "replace")
    except OSError as error:
        raise HostError(explain(error, path), USAGE) from error
    if not text:
        raise HostError(f"{path}: the trace is empty", USAGE)
    lines = text.split("\n")
    rest = lines.pop()
    header = read_header(path, lines[0] if lines else rest)
    trace = Trace(header, [])
    for number, line in enumerate(lines[1:], 2):
        record = parse(line)
        reason = trouble(record, events, header["cpus"])
        if reason:
            raise HostError(f"{path}: line {number} {reason}", USAGE)
        trace.records.append(record)
    if rest and lines:
        trace.cut = f"{path}: the last line is cut off; what stands before it is {len(trace.records)} records"
    if not trace.records:
        raise HostError(f"{path}: the trace has no records", USAGE)
    return trace


def write(path, pieces):
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(pieces)
    except OSError as error:
        raise HostError(explain(error, path)) from error


def convert(program, suffix, make):
    """A whole program, PROGRAM TRACE [-o FILE]: gives the exit status. make(path, trace, table) yields pieces of text
    for the file; its docstring says what that is."""
    parser = argparse.ArgumentParser(
        prog=program, description=f"Of a trace that ./run-qemu.sh --trace wrote: {make.__doc__}")
    parser.add_argument("trace", metavar="TRACE")
    parser.add_argument("-o", metavar="FILE", help=f"the file to write (TRACE{suffix})")
    options = parser.parse_args()
    output = options.o or options.trace + suffix
    try:
        table = read_table()
        trace = read_trace(options.trace, table.events)
        write(output, make(options.trace, trace, table))
    except HostError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.status
    if trace.cut:
        print(f"{program}: {trace.cut}", file=sys.stderr)
    print(f"{output}: {len(trace.records)} records")
    return 0
