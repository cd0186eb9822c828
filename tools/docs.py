#!/usr/bin/env python3
"""make docs: everything in docs/ that comes from the code. docs.py [--check]

The state diagram and the table of transitions come from fpu/transitions.def, the pictures of XSAVE areas from the CPUID
tables in tests/cpuid, and the pieces of trace in the chapters from real boots, with instructions counted so that they
come out the same each time. In a chapter such a piece stands between two marks:

    <!-- trace POLICY: WORD... -->    the first place in the trace of that policy where the records are these, one
    <!-- end -->                      behind the other: EVENT, EVENT/TO, owner or update

With --check nothing is written: the status is 1 if a file is not as it would be written, and each is named.
"""

import glob
import os
import re
import sys
import tempfile

import boot
import image
import layouts
from diagram import diagram
from errors import HostError
from traces import read_trace
from transitions import POLICIES, read_table

DOCS = os.path.join(boot.ROOT, "docs")
PROGRAM = os.path.join(boot.BUILD, "user", "bin", "paths")
SECONDS = 100
NAME_WIDTH = 6                     # of the shortest names in a piece of trace
PIECE = re.compile(r"(<!-- trace (\w+): ([^>]*) -->\n)(?:.*?)(<!-- end -->\n)", re.DOTALL)
MACHINES = {                       # picture: (CPUID table, what it is)
    "layout-amx": ("silicon-amx", "A server processor with AMX"),
    "layout-tigerlake": ("bochs31-tigerlake", "Bochs' Tiger Lake"),
    "layout-qemu": ("qemu10-max", "QEMU's processor, -cpu max"),
}


def transitions_page(table):
    """The table of events as markdown."""
    yield "# Every transition there is\n\n"
    yield "Made by `make docs` from [fpu/transitions.def](../fpu/transitions.def). The kernel stops if it takes one\n" \
        "that is not here.\n\n![The states](states.svg)\n"
    for event, text in table.events.items():
        yield f"\n## {event}\n\n{text[0].upper()}{text[1:]}.\n\n| from | to | under | why |\n|---|---|---|---|\n"
        for t in table.transitions:
            if t.event == event:
                policies = "all policies" if len(t.policies) == len(POLICIES) else \
                    ", ".join(POLICIES[letter] for letter in t.policies)
                yield f"| {t.start} | {t.end} | {policies} | {t.reason} ({t.source}) |\n"


def drawn():
    """{file name: text} of what comes from tables alone."""
    table = read_table()
    made = {"states.svg": diagram(table), "transitions.md": "".join(transitions_page(table))}
    made.update((picture + ".svg", layouts.picture(*what)) for picture, what in MACHINES.items())
    return made


def boot_trace(policy):
    """The records of the paths program, run alone on one processor."""
    run = boot.Boot(icount=True, timeout=SECONDS, cmdline=f"stderr=com3 log=com2 trace fpu={policy}",
                    files={"/bin/paths": image.read_host(PROGRAM)}, argv=[b"/bin/paths"])
    with tempfile.NamedTemporaryFile() as file:
        result = run.run(out=lambda data: None, err=lambda data: None, trace=file.write)
        file.flush()
        if result.status:
            raise HostError("\n".join(["the run for the trace failed", *result.reasons]))
        return read_trace(file.name, read_table().events)


def moved(record, components):
    """What was saved or loaded, in words."""
    if record["avoided"]:
        return "load avoided"
    if record["move"] == "none":
        return ""
    what = {"save": "saved", "load": "loaded"}[record["move"]]
    mask = int(record[what], 16)
    return f"{what}: " + (" ".join(name for bit, name in enumerate(components) if mask >> bit & 1) or "all initial")


def line_of(record, components, width):
    """One record for a reader: neither times nor line numbers, which any change to the source would change. width: of
    the names."""
    name = record["name"].ljust(width)
    if record["kind"] == "owner":
        return f"{name} (the registers are now the {record['owner'] or 'nobody'}'s)"
    if record["kind"] == "update":
        return f"{name} ({record['component']}, {record['found']}: {record['ending']})"
    return f"{name} {record['event']:12} {record['from']:8} -> {record['to']:8} " \
        f"{moved(record, components):19} {record['function']}"


def matches(record, word):
    event, _, state = word.partition("/")
    return event in (record["kind"], record.get("event")) and state in ("", record.get("to"))


def piece(trace, words):
    """The lines of the first place in a trace where these records are."""
    records = [r for r in trace.records if not r["kind"].startswith("snapshot")]
    for at in range(len(records) - len(words) + 1):
        found = records[at:at + len(words)]
        if all(map(matches, found, words)):
            width = max(NAME_WIDTH, *(len(r["name"]) for r in found))
            return "".join(line_of(r, trace.header["components"], width).rstrip() + "\n" for r in found)
    raise HostError("there is no such place in the trace: " + " ".join(words))


def chapters():
    """{file name: text} of the chapters, their pieces of trace made anew."""
    boot.make("iso")
    traces, made = {}, {}

    def fill(match):
        policy = match[2]
        if policy not in traces:
            traces[policy] = boot_trace(policy)
        return f"{match[1]}```\n{piece(traces[policy], match[3].split())}```\n{match[4]}"

    for path in sorted(glob.glob(os.path.join(DOCS, "*.md"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if PIECE.search(text):
            made[os.path.basename(path)] = PIECE.sub(fill, text)
    return made


def stale(made):
    """The names of files that are not as they should be."""
    for name, text in made.items():
        try:
            with open(os.path.join(DOCS, name), encoding="utf-8") as file:
                same = file.read() == text
        except FileNotFoundError:
            same = False
        if not same:
            yield name


def main(arguments):
    try:
        made = {**drawn(), **chapters()}
    except HostError as error:
        print(f"docs.py: {error}", file=sys.stderr)
        return error.status
    names = list(stale(made))
    for name in names:
        print(f"docs/{name}")
        if arguments != ["--check"]:
            with open(os.path.join(DOCS, name), "w", encoding="utf-8") as file:
                file.write(made[name])
    return bool(names) if arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
