"""Stories: the few lines that explain a failure, from a test's own words, the kernel log and the trace.

A story is short: the first difference, what the kernel said, and the last transitions of the context
concerned. Must never show the reference solution or the tests' source.
"""

import ast
import json
import re

PLACE = re.compile(r"# at: task (\d+), (\d+) ns")
LOG_TIME = re.compile(r"^\[ *[\d.]+\] ")
STORY_STEPS = 8
TEXT_LINES = 8
UNWRITTEN = "is not written yet"      # of labs/hole.h: who called it does not matter
PANIC_LINES = 14
LONG_LINES = 30


def records_of(trace):
    """The trace's records, without its header; a machine that was stopped leaves half a line."""
    records = []
    for line in trace.splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return [record for record in records if "seq" in record]


def step_line(record):
    moved = [f"{word} {record[word]}" for word in ("saved", "loaded") if record[word] != "0x0"]
    moved += ["load avoided"] if record["avoided"] else []
    owner = {None: "nobody"}.get(record["owner"], record["owner"])
    return (f"CPU {record['cpu']}  {record['event']}: {record['from']} to {record['to']}"
            f"{'  ' + ', '.join(moved) if moved else ''}  owner {owner}, last_cpu {record['last_cpu']}"
            f"  ({record['function']}, {record['file'].removeprefix('./')}:{record['line']})")


def readable(line):
    """A record that a check has put into its words, in the story's form; other lines as they are."""
    try:
        record = ast.literal_eval(line)
        return step_line(record) if record["kind"] == "transition" else line
    except (ValueError, SyntaxError, TypeError, KeyError):
        return line


def transitions(trace, place):
    """The last steps of the task's context before the moment, and who got its CPU in between."""
    task, until = int(place[1]), int(place[2])
    before = [r for r in records_of(trace) if r.get("t", 0) <= until]
    own = [r for r in before if r["kind"] == "transition" and r["task"] == task]
    if not own:
        return []
    contexts = {own[-1]["context"]}
    told, others = [], 0
    for record in before:
        if record["kind"] == "transition" and record["context"] in contexts:
            if others:
                told.append(f"       ... {others} of other contexts")
            told.append(step_line(record))
            others = 0
        elif record["kind"] == "transition" or record["kind"] == "owner":
            others += 1
    return told[-STORY_STEPS:]


def of_output(lines):
    """The test's own words: what was expected and what was seen, each once."""
    words = [line.removeprefix("# ") for line in lines if line.startswith("# ") and not PLACE.fullmatch(line)]
    return list(dict.fromkeys(words))


def shortened(lines):
    """A long story's beginning and its end."""
    left_out = len(lines) - LONG_LINES
    return lines if left_out <= 0 else lines[:2] + [f"... {left_out} lines ..."] + lines[2 + left_out:]


def place_of(lines):
    """Where the first check failed, or None."""
    return next((match for line in lines if (match := PLACE.fullmatch(line))), None)


def of_log(log):
    """What the kernel says of its end: from the fpu's own story, or the panic, on."""
    lines = [LOG_TIME.sub("", line) for line in log]
    for sign in ("fpu: context ", "panic: "):
        at = next((i for i, line in enumerate(lines) if line.startswith(sign)), None)
        if at is not None:
            told = [line for line in lines[at:] if line.startswith(("fpu:", "panic:"))]
            return told[:1 if told[0].endswith(UNWRITTEN) else PANIC_LINES]
    return [line for line in lines if line.startswith("kill:")][-2:]
