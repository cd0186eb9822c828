#!/usr/bin/env python3
"""Makes a file in Chrome's JSON trace format, which ui.perfetto.dev and chrome://tracing open: perfetto.py TRACE.

One process of the file is Tarry's CPUs: a row for each, with who owns its registers, and an instant for each record.
The other is its contexts: a row for each, with the state. An arrow goes from where a context's values were saved to
the other CPU that loads them. Slices of one row never overlap: a row has one value at a time.
"""

import json
import sys

from replay import Replay
from traces import convert

CPUS, CONTEXTS = 1, 2              # the two process numbers
TAIL = 1000        # ns for what begins with the last record: viewers leave out what takes no time
DETAILS = ("event", "from", "to", "saved", "loaded", "avoided", "file", "line", "function", "context", "need_load",
           "last_cpu", "xstate_bv", "xcomp_bv", "pkru", "component", "found", "ending")


def microseconds(nanoseconds):
    return nanoseconds / 1000


class Rows:
    """The slice that each row is in. Time on one row never runs backwards, whatever the CPUs' clocks say."""

    def __init__(self):
        self.open = {}

    def enter(self, row, time, name, args):
        """Ends what the row was in, and begins name unless it is None; gives the event of what ended, or none."""
        ended = self.open.pop(row, None)
        if ended:
            time = max(time, ended[0])
        if name:
            self.open[row] = (time, name, args)
        return [slice_event(row, time, *ended)] if ended else []

    def close(self, time):
        return [event for row in list(self.open) for event in self.enter(row, time, None, None)]


def slice_event(row, end, start, name, args):
    return {"ph": "X", "pid": row[0], "tid": row[1], "ts": microseconds(start), "dur": microseconds(end - start),
            "name": name, "cat": "registers" if row[0] == CPUS else "state", "args": args}


def name_event(kind, pid, tid, name):
    return {"ph": "M", "pid": pid, "tid": tid, "name": kind, "args": {"name": name}}


def arrow(number, saved, record):
    """From the CPU that saved a context to the one that loads it."""
    for phase, r in (("s", saved), ("f", record)):
        yield {"ph": phase, "pid": CPUS, "tid": r["cpu"], "ts": microseconds(r["t"]), "id": number,
               "cat": "migration", "name": "values move to another CPU", **({"bp": "e"} if phase == "f" else {})}


def instant(record):
    return {"ph": "i", "s": "t", "pid": CPUS, "tid": record["cpu"], "ts": microseconds(record["t"]),
            "name": record.get("event", record["kind"]), "cat": record["kind"],
            "args": {key: record[key] for key in ("seq", *DETAILS) if key in record}}


class Counters:
    """The sums of saves, loads and avoided loads so far."""

    def __init__(self):
        self.sums = {"saves": 0, "loads": 0, "avoided": 0}

    def add(self, record):
        for name, more in (("saves", record["move"] == "save"), ("loads", record["move"] == "load"),
                           ("avoided", record["avoided"])):
            self.sums[name] += more
        return {"ph": "C", "pid": CPUS, "tid": 0, "ts": microseconds(record["t"]), "name": "so far",
                "args": dict(self.sums)}


def events(trace):
    """All events but the names, in the order of the records."""
    replay, rows, counters, saved, arrows = Replay(trace), Rows(), Counters(), {}, 0
    for record, changed, moved in replay.steps():
        if moved or (CPUS, record["cpu"]) not in rows.open:
            yield from rows.enter((CPUS, record["cpu"]), record["t"], replay.owner_title(record["cpu"]),
                                  {"owner": record["owner"]})
        for context in changed:
            state = None if context.state == "NONE" else context.state
            yield from rows.enter((CONTEXTS, context.number), record["t"], state, {"cpu": context.last_cpu})
        if record["kind"] not in ("transition", "owner", "update"):
            continue
        yield instant(record)
        if record["kind"] == "transition":
            yield counters.add(record)
            if record["move"] == "save":
                saved[record["context"]] = record
            elif record["move"] == "load" and saved.get(record["context"], record)["cpu"] != record["cpu"]:
                yield from arrow(arrows := arrows + 1, saved[record["context"]], record)
    yield from rows.close(max(r["t"] for r in trace.records) + TAIL)
    yield from (name_event("thread_name", CONTEXTS, context.number, f"{context.title} (context {context.number})")
                for context in replay.contexts.values())


def chrome_json(path, trace, table):
    """a file for ui.perfetto.dev and chrome://tracing."""
    made = [name_event("process_name", CPUS, 0, "who owns the registers"),
            name_event("process_name", CONTEXTS, 0, "where the values are"),
            *(name_event("thread_name", CPUS, cpu, f"CPU {cpu}") for cpu in range(trace.header["cpus"])),
            *sorted(events(trace), key=lambda event: event.get("ts", 0))]
    other = {key: trace.header[key] for key in ("policy", "mechanism")}
    yield json.dumps({"displayTimeUnit": "ns", "otherData": other, "traceEvents": made}, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    sys.exit(convert("perfetto.py", ".perfetto.json", chrome_json))
