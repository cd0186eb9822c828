"""The files that tools/ makes of a trace for other programs, and the files that it refuses.

Each is read by a program that is not ours: speedscope for Chrome's JSON, GTKWave's own converters for the dump of
waves. What they found in it is compared with the trace. Some rules of the JSON format that speedscope does not insist
on are checked besides.
"""

import base64
import itertools
import json
import os
import sys
import tempfile

from framework import ROOT, WORK, command, expect, expect_equal
from pages import PLAYWRIGHT, browse, moments, read_trace, require

TOOLS = ("stepper", "perfetto", "vcd")
SPEEDSCOPE = os.path.join(PLAYWRIGHT, "node_modules", "speedscope", "dist", "release", "index.html")
REQUIRED = {"X": {"ts", "dur", "name", "args"}, "i": {"ts", "s", "name"}, "C": {"ts", "name", "args"},
            "M": {"name", "args"}, "s": {"ts", "id", "cat", "name"}, "f": {"ts", "id", "cat", "name", "bp"}}
KERNEL, INITIAL = 0xffffffff, 0xfffffffe


def convert(tool, path):
    """Runs a converter; gives the finished process and the file it was to write."""
    output = os.path.join(tempfile.mkdtemp(dir=WORK), "out")
    return command([sys.executable, os.path.join(ROOT, "tools", tool + ".py"), path, "-o", output]), output


def converted(tool, path):
    done, output = convert(tool, path)
    expect(done.returncode == 0 and not done.stderr, f"{tool}: status {done.returncode}", done.stderr)
    return output


def runs(values):
    """Without repetitions."""
    return [value for value, _ in itertools.groupby(values)]


def owners_and_states(records):
    """From the trace: for each CPU the owners one after the other, for each context the states."""
    owners, states = {}, {}
    for _, now, contexts in moments(records, 0):
        for cpu, owner in now.items():
            owners.setdefault(cpu, []).append(owner)
        for number, (state, *_) in contexts.items():
            states.setdefault(int(number), []).append(state)
    return ({cpu: runs(list_) for cpu, list_ in owners.items()},
            {number: [state for state in runs(list_) if state != "NONE"] for number, list_ in states.items()})


def refuse_constant(word):
    raise ValueError(f"{word} is not JSON")


def check_rules(events):
    """What the format demands of each event, and of each row and arrow."""
    rows, arrows = {}, {}
    for event in events:
        missing = REQUIRED[event["ph"]] | {"pid", "tid"} - event.keys()
        expect(REQUIRED[event["ph"]] <= event.keys(), f"{event} lacks something of {missing}")
        if event["ph"] == "X":
            rows.setdefault((event["pid"], event["tid"]), []).append(event)
        elif event["ph"] in "sf":
            arrows.setdefault(event["id"], []).append(event)
    for row, slices in rows.items():
        for first, second in zip(slices, slices[1:]):
            expect(first["dur"] >= 0 and first["ts"] + first["dur"] <= second["ts"] + 1e-3,
                   f"two slices of row {row} overlap: {first} {second}")
    for number, ends in arrows.items():
        expect([end["ph"] for end in ends] == ["s", "f"] and ends[0]["tid"] != ends[1]["tid"],
               f"arrow {number}: {ends}")
    return rows


def perfetto_rules(path):
    """Rules, and what the file says, against the trace."""
    _, records = read_trace(path)
    with open(converted("perfetto", path), encoding="ascii") as file:
        events = json.load(file, parse_constant=refuse_constant)["traceEvents"]
    rows, (owners, states) = check_rules(events), owners_and_states(records)
    for cpu, wanted in owners.items():
        expect_equal([event["args"]["owner"] for event in rows[1, cpu]], wanted, f"the owners of CPU {cpu}")
    for context, wanted in states.items():
        expect_equal([event["name"] for event in rows[2, context]], wanted, f"the states of context {context}")
    steps = [r for r in records if r["kind"] in ("transition", "owner", "update")]
    expect_equal([event["args"]["seq"] for event in events if event["ph"] == "i"],
                 [r["seq"] for r in sorted(steps, key=lambda r: r["t"])], "the instants")
    last = [event for event in events if event["ph"] == "C"][-1]["args"]
    expect_equal(last, {"saves": sum(r.get("move") == "save" for r in steps),
                        "loads": sum(r.get("move") == "load" for r in steps),
                        "avoided": sum(r.get("avoided", 0) for r in steps)}, "the counters at the end")


def speedscope(path):
    """What speedscope has read from the file, as it writes it out again."""
    require("browser")
    _, records = read_trace(path)
    output = converted("perfetto", path)
    script = output + ".js"
    with open(output, "rb") as data, open(script, "w", encoding="ascii") as file:
        file.write(f'speedscope.loadFileFromBase64("trace", "{base64.b64encode(data.read()).decode()}")')
    [found] = browse(f"{SPEEDSCOPE}#localProfilePath={script}", [["export"]])
    frames = [frame["name"].split(" {")[0] for frame in found["shared"]["frames"]]
    rows = {profile["name"]: [frames[event["frame"]] for event in profile["events"] if event["type"] == "O"]
            for profile in found["profiles"]}
    owners, states = owners_and_states(records)
    expect_equal(len(rows), len(owners) + len(states), "the number of rows")
    special = {None: "nobody", "kernel": "the kernel", "init": "initial values"}
    for cpu, wanted in owners.items():
        [row] = [row for name, row in rows.items() if f"CPU {cpu} " in name]
        expect_equal([name if name in special.values() else "a task's" for name in row],
                     [special.get(owner, "a task's") for owner in wanted], f"the owners of CPU {cpu}")
    for number, wanted in states.items():
        [row] = [row for name, row in rows.items() if f"(context {number})" in name]
        expect_equal(row, wanted, f"the states of context {number}")


def read_dump(text):
    """{scope and name: values one after the other} of a dump that GTKWave has written, texts as they are."""
    names, values, scopes = {}, {}, []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["$scope"]:
            scopes.append(words[2])
        elif words[:1] == ["$upscope"]:
            scopes.pop()
        elif words[:1] == ["$var"]:
            names[words[3]] = ".".join([*scopes, words[4]])
            values[names[words[3]]] = []
        elif line[:1] in "bs" and len(words) == 2:
            values[names[words[1]]].append(words[0][1:])
        elif line[:1] in "01x" and line[1:] in names:
            values[names[line[1:]]].append(line[0])
    return {name: [value for value in found if value.strip("x") not in ("", "-")] for name, found in values.items()}


def waves(path):
    """Through GTKWave's format and back, then against the trace."""
    require("waves")
    _, records = read_trace(path)
    output = converted("vcd", path)
    done = command(["vcd2fst", output, output + ".fst"])
    expect(done.returncode == 0 and not done.stderr, "vcd2fst refuses the dump", done.stdout, done.stderr)
    done = command(["fst2vcd", output + ".fst"])
    expect(done.returncode == 0, "fst2vcd failed", done.stderr)
    found = read_dump(done.stdout.decode("ascii"))
    owners, states = owners_and_states(records)
    for cpu, wanted in owners.items():
        numbers = [{None: 0, "kernel": KERNEL, "init": INITIAL}.get(owner, owner) for owner in wanted]
        expect_equal([int(value, 2) for value in found[f"tarry.cpu{cpu}.owner"]], numbers, f"the owners of CPU {cpu}")
    for number, wanted in states.items():
        [scope] = {name.rpartition(".")[0] for name in found if name.startswith(f"tarry.context{number}_")}
        shown = [state for state in found[scope + ".state"] if state != "NONE"]
        expect_equal(shown, wanted, f"the states of context {number}")
        valid = [state in ("ACTIVE", "CACHED") for state in wanted]
        expect_equal([value == "1" for value in found[scope + ".registers_valid"]][:len(runs(valid))], runs(valid),
                     f"context {number}: whether registers are valid")


def changed(lines, number, old, new):
    """The lines with one of them changed."""
    return b"\n".join([*lines[:number - 1], lines[number - 1].replace(old, new), *lines[number:]])


def bad_files(path):
    """Every tool says in one line what is wrong, and writes nothing; a file that only ends early is shown."""
    with open(path, "rb") as file:
        whole = file.read()
    lines = whole.split(b"\n")
    step = next(number for number, line in enumerate(lines, 1) if b'"SWITCH_OUT"' in line)
    bad = (("empty", b"", "is empty"), ("text", b"hello\n", "line 1 is not the header"),
           ("binary", bytes(range(256)), "line 1"), ("only a header", lines[0] + b"\n", "no records"),
           ("no header", b"\n".join(lines[1:]), "line 1 is not the header"),
           ("old", whole.replace(b'"format":1', b'"format":0', 1), "another version"),
           ("garbage", changed(lines, 3, b"{", b"{{"), "line 3 is no JSON object"),
           ("number", changed(lines, 3, lines[2], b"17"), "line 3 is no JSON object"),
           ("kind", changed(lines, 3, b'"kind":"', b'"kind":"x'), "line 3 is of no kind"),
           ("key", changed(lines, step, b'"saved"', b'"svaed"'), f"line {step} lacks"),
           ("type", changed(lines, step, b'"line":', b'"line":"x","lin":'), f"line {step} lacks"),
           ("event", changed(lines, step, b"SWITCH_OUT", b"SWITCH_OFF"), f"line {step} has the event SWITCH_OFF"),
           ("state", changed(lines, step, b'"ACTIVE"', b'"LAZY"'), f"line {step} has an unknown state"),
           ("mask", changed(lines, step, b'"saved":"0x', b'"saved":"0y'), f"line {step}"),
           ("owner", changed(lines, step, b'"owner":', b'"owner":"me","own":'), f"line {step}"),
           ("cpu", changed(lines, step, b'"cpu":', b'"cpu":7'), f"line {step} names CPU 7"))
    folder = tempfile.mkdtemp(dir=WORK)
    for name, data, words in bad:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
        done, output = convert(TOOLS[len(name) % len(TOOLS)], file.name)
        text = done.stderr.decode()
        expect(done.returncode == 2 and len(text.splitlines()) == 1 and words in text and not os.path.exists(output),
               f"{name}: status {done.returncode}", text)
    cut = os.path.join(folder, "cut")
    with open(cut, "wb") as file:
        file.write(b"\n".join(lines[:20]) + b"\n" + lines[20][:40])
    for tool in TOOLS:
        done, output = convert(tool, cut)
        expect(done.returncode == 0 and b"cut off" in done.stderr and os.path.getsize(output) > 500, tool, done.stderr)
        done, _ = convert(tool, "/nowhere/trace")
        expect(done.returncode == 2 and b"No such file" in done.stderr, f"{tool}: no file", done.stderr)


def tests(small_trace):
    """small_trace() gives the path of a trace of two processors that lacks nothing."""
    for name, check in (("bad files", bad_files), ("Chrome's JSON", perfetto_rules),
                        ("Chrome's JSON in speedscope", speedscope), ("waves through GTKWave", waves)):
        yield name, lambda check=check: check(small_trace())
