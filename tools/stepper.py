#!/usr/bin/env python3
"""Makes one HTML page of a trace, to step through in a browser: stepper.py TRACE [-o FILE].

The page holds everything: the trace in columns, the state diagram and the texts of fpu/transitions.def, the lines of
source that the trace names, and the program in tools/stepper/. It asks for nothing from any network. What happened is
for the page to show; here nothing is interpreted.
"""

import array
import base64
import json
import os
import re
import sys
from textwrap import dedent

from diagram import diagram
from errors import USAGE, HostError
from traces import KINDS, MOVES, convert
from transitions import STATES

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = os.path.join(ROOT, "tools", "stepper")
SCRIPTS = ("model.js", "filter.js", "lanes.js", "panels.js", "app.js")
AROUND = 4                         # lines of source before and behind the one that asks for a transition
NOBODY, KERNEL, INITIAL = -1, -2, -3
# name: type of its array. What is text in the trace is a number here, into a list of the page's.
COLUMNS = {"time": "d", "seq": "I", "lost": "I", "owner": "i", "task": "i", "slot": "i", "pkru": "I", "name": "H",
           "note": "H", "xstate": "H", "saved": "H", "loaded": "H", "site": "H", "kind": "B", "cpu": "B", "event": "B",
           "from": "B", "to": "B", "needLoad": "B", "avoided": "B", "move": "B", "formed": "B", "lastCpu": "b"}
JS_TYPES = {"d": "Float64Array", "I": "Uint32Array", "i": "Int32Array", "H": "Uint16Array", "B": "Uint8Array",
            "b": "Int8Array"}


class Names:
    """Gives each different value a number, in the order of their coming."""

    def __init__(self, *values):
        self.numbers = {value: number for number, value in enumerate(values)}

    def __call__(self, value):
        return self.numbers.setdefault(value, len(self.numbers))

    def list(self):
        return list(self.numbers)


def owner_number(owner, slots):
    special = {None: NOBODY, "kernel": KERNEL, "init": INITIAL}
    return special[owner] if owner in special else slots(owner)


def site_of(record):
    return (os.path.normpath(record["file"]), record["line"], record["function"]) if "file" in record else None


def note_of(record):
    """What an update has to say."""
    if record["kind"] != "update":
        return ""
    where = {"registers": "found in registers", "memory": "found in memory", "init": "was initial", None: "not looked at"}
    return f"{record['component']} {where.get(record['found'], record['found'])}: {record['ending']}"


def rows(trace, table, lists):
    """The records as dictionaries of numbers."""
    kinds, events = list(KINDS), list(table.events)
    for r in trace.records:
        step = r["kind"] == "transition"
        yield {"time": r["t"], "seq": r["seq"], "lost": r["lost"], "task": r.get("task", -1), "cpu": r["cpu"],
               "owner": owner_number(r["owner"], lists["contexts"]),
               "slot": lists["contexts"](r["context"]) if "last_cpu" in r else -1,
               "pkru": int(r.get("pkru", "0"), 16), "name": lists["names"](r.get("name", "")),
               "note": lists["names"](note_of(r)),
               "xstate": lists["masks"](r.get("xstate_bv", "0x0")), "saved": lists["masks"](r.get("saved", "0x0")),
               "loaded": lists["masks"](r.get("loaded", "0x0")), "site": lists["sites"](site_of(r)),
               "kind": kinds.index(r["kind"]), "event": events.index(r["event"]) if step else 0,
               "from": STATES.index(r["from"]) if step else 0, "to": STATES.index(r["to"]) if step else 0,
               "needLoad": r.get("need_load", 0), "avoided": int(r.get("avoided", False)),
               "move": MOVES.index(r["move"]) if step else 0,
               "formed": int(int(r.get("xcomp_bv", "0"), 16) != 0),
               "lastCpu": r.get("last_cpu", -1)}


def columns(trace, table, lists):
    """{name: array}, largest items first so that each array is aligned."""
    made = {name: array.array(code) for name, code in COLUMNS.items()}
    for row in rows(trace, table, lists):
        for name, column in made.items():
            column.append(row[name])
    return made


def excerpt(site):
    """The source around a site as it is now, or none if there is no such line."""
    if not site:
        return None
    name, line, function = site
    path = os.path.join(ROOT, name)
    first, lines = max(1, line - AROUND), []
    if os.path.realpath(path).startswith(ROOT + os.sep) and os.path.isfile(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read().splitlines()
        lines = dedent("\n".join(text[first - 1:line + AROUND])).split("\n") if line <= len(text) else []
    return {"file": name, "line": line, "function": function, "first": first, "lines": lines}


def describe(path, trace, table, lists, made):
    """What the page has to know beside the columns."""
    offset, layout = 0, []
    for name, column in made.items():
        layout.append({"name": name, "type": JS_TYPES[COLUMNS[name]], "offset": offset})
        offset += len(column) * column.itemsize
    return {
        "file": os.path.basename(path), "header": trace.header, "cut": trace.cut, "count": len(trace.records),
        "columns": layout, "kinds": list(KINDS), "states": STATES, "moves": MOVES, "nobody": NOBODY, "kernel": KERNEL,
        "initial": INITIAL, "events": [{"name": name, "text": text} for name, text in table.events.items()],
        "transitions": [{"event": t.event, "from": t.start, "to": t.end, "policies": t.policies, "reason": t.reason}
                        for t in table.transitions],
        "contexts": lists["contexts"].list(), "names": lists["names"].list(), "masks": lists["masks"].list(),
        "sites": [excerpt(site) for site in lists["sites"].list()],
    }


def template(name):
    with open(os.path.join(PARTS, name), encoding="utf-8") as file:
        return file.read()


def page(path, trace, table):
    """The whole page, in pieces of text."""
    lists = {"contexts": Names(), "names": Names(), "masks": Names("0x0"), "sites": Names(None)}
    try:
        made = columns(trace, table, lists)
    except OverflowError as error:
        raise HostError(f"{path}: a number in the trace is out of range", USAGE) from error
    meta = json.dumps(describe(path, trace, table, lists, made)).replace("<", "\\u003c")
    data = b"".join(column.tobytes() for column in made.values())
    values = {"style": template("style.css"), "diagram": diagram(table, style=""), "meta": meta,
              "columns": base64.b64encode(data).decode("ascii"),
              "script": "\n".join(template(name) for name in SCRIPTS)}
    yield re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template("page.html"))


if __name__ == "__main__":
    sys.exit(convert("stepper.py", ".html", page))
