"""The trace of real runs against the table of transitions and the kernel's counters.

Every record must be one that fpu/transitions.def allows under the policy, each context's records
must chain, and what the trace shows must add up to what --stats says. Nothing here knows how the
kernel comes to a record.
"""

import functools
import json
import os
import re
import sys
import tempfile
import threading

from boot import make
from framework import BUILD, ROOT, WORK, command, expect, expect_equal

sys.path.insert(0, os.path.join(ROOT, "tests", "trace"))
import converters
import pages

SCRIPT = os.path.join(ROOT, "run-qemu.sh")
TABLE = os.path.join(ROOT, "fpu", "transitions.def")
LINE = re.compile(r'FPU_TRANSITION\((\w+), (\w+), (\w+), "(\w+)"')
SNAPSHOT_EVERY = 1000
# A snapshot is several records long, and waits while the table of tasks is being changed.
SNAPSHOT_SLACK = 100
SAVES = {("SWITCH_OUT", "ACTIVE"), ("FORK", "ACTIVE"), ("KERNEL_BEGIN", "ACTIVE"),
         ("SIGNAL_FRAME", "ACTIVE"), ("SIGRETURN", "ACTIVE"), ("REGSET_READ", "ACTIVE"), ("UPDATE_ONE", "ACTIVE"),
         ("VCPU_ENTER", "ACTIVE"), ("VCPU_EXIT", "ACTIVE")}
SHELL = b"""\
mandelbrot -q | cat
true
sleep 0.05
matrix | mandelbrot -q
intcrash none
crash null
exit
"""
SHOWN = os.path.join(ROOT, "tools", "stepper", "example.sh")
SHARED = threading.Lock()
SHELL_PROGRAM = os.path.join(BUILD, "user", "bin", "sh")
UPDATING_PROGRAM = os.path.join(BUILD, "user", "test", "update")
SWITCHING_PROGRAM = os.path.join(BUILD, "user", "bin", "tour")


def table():
    """{(event, from, to): letters of its policies}"""
    with open(TABLE, encoding="ascii") as file:
        found = {match.groups()[:3]: match[4] for match in LINE.finditer(file.read())}
    expect(len(found) > 10, "the table of transitions could not be read")
    return found


def traced(program, *options, stdin=b""):
    """Runs the program; gives the records and the counters."""
    return read_run(*traced_run(program, *options, stdin=stdin))


def traced_run(program, *options, stdin=b""):
    """Runs the program; gives the names of the files of the trace and of the counters."""
    folder = tempfile.mkdtemp(dir=WORK)
    names = [os.path.join(folder, name) for name in ("trace", "stats", "log")]
    words = [SCRIPT, "--timeout", "100", "--trace", names[0], "--stats", names[1], "--log",
             names[2], *options, "--exec", program]
    done = command(words, input=stdin)
    expect(done.returncode in (0, 139), f"status {done.returncode}", done.stdout, done.stderr)
    return names[:2]


def read_run(trace, counters):
    with open(trace, encoding="ascii") as file:
        header, *records = [json.loads(line) for line in file]
    with open(counters, encoding="ascii") as file:
        stats = json.load(file)
    expect(records, "the trace is empty")
    expect_equal((header["kind"], header["policy"], header["mechanism"], header["cpus"]),
                 ("trace", stats["policy"], stats["mechanism"], len(stats["cpus"])), "the header")
    return records, stats


def check_sequence(records, cpus):
    """Each record is numbered, and there is a place to start reading within every thousand."""
    for number, record in enumerate(records):
        expect_equal(record["seq"], number, "a sequence number")
    starts = [record["seq"] for record in records if record["kind"] == "snapshot-cpu"]
    expect(starts and starts[0] == 0, "the trace does not begin with a snapshot")
    expect_equal([records[i].get("cpu") for i in range(cpus)], list(range(cpus)),
                 "the processors in the first snapshot")
    for first, second in zip(starts, [*starts[1:], len(records)]):
        expect(second - first <= SNAPSHOT_EVERY + SNAPSHOT_SLACK,
               f"no snapshot between records {first} and {second}")


def move(record):
    """What a transition has to do with the values."""
    if (record["event"], record["from"]) in SAVES:
        return "save"
    return "load" if record["from"] == "INACTIVE" and record["to"] in ("ACTIVE", "CACHED") else "none"


def check_transitions(records, policy):
    legal = table()
    for record in records:
        if record["kind"] == "transition":
            step = (record["event"], record["from"], record["to"])
            expect(policy[0] in legal.get(step, ""), f"{step} is not in the table", str(record))
            expect_equal(record["move"], move(record), f"what {step} moved")


def check_chains(records):
    """Each context goes on from where it was; CACHED may have become INACTIVE unseen, when its CPU
    got another owner, or it another CPU."""
    states, owners, cached = {}, {}, {}
    for number, record in enumerate(records):
        cpu = record["cpu"]
        if record["lost"]:
            states.clear()
        if record["owner"] != owners.get(cpu):
            owners[cpu] = record["owner"]
            cached = {context: (on, valid and on != cpu) for context, (on, valid) in cached.items()}
        if record["kind"] != "transition":
            continue
        context, known = record["context"], states.get(record["context"])
        if known == "CACHED" and record["from"] == "INACTIVE":
            expect(not cached[context][1] or cached[context][0] != cpu,
                   "a CACHED context lost its registers without a new owner", str(record))
        elif known:
            expect(known == record["from"], f"record {number}: it was {known}", str(record))
        else:
            expect(record["from"] == "NONE" or any(r["lost"] for r in records[:number + 1]),
                   "a context that nobody saw being born", str(record))
        states[context] = record["to"]
        cached[context] = (cpu, record["to"] == "CACHED")


def check_counters(records, stats):
    """The trace's saves, loads and avoided loads against the counters; lost records lose some."""
    steps = [record for record in records if record["kind"] == "transition"]
    shown = {
        "saves": sum(r["move"] == "save" for r in steps),
        "loads": sum(r["move"] == "load" for r in steps),
        "loads_avoided": sum(r["avoided"] for r in steps),
    }
    lost = sum(record["lost"] for record in records)
    for name, found in shown.items():
        counted = sum(cpu[name] for cpu in stats["cpus"])
        expect(found <= counted <= found + lost, f"{name}: {counted} counted, {found} in the trace "
                                                 f"({lost} records lost)")
    return lost


def check(records, stats, policy):
    expect_equal(stats["policy"], policy, "the policy")
    check_sequence(records, len(stats["cpus"]))
    check_transitions(records, policy)
    check_chains(records)
    return check_counters(records, stats)


def small_run(policy, *options):
    """A shell and a few programs: nothing may be lost."""
    records, stats = traced(SHELL_PROGRAM, "--fpu", policy, *options, stdin=SHELL)
    expect_equal(check(records, stats, policy), 0, "the number of lost records")


def many_switches(policy):
    """Thousands of records, faster than a serial line takes them: some may be lost, and counted. A guest that an
    interrupt's section has saved makes no transition as it is left; but it was loaded before."""
    records, stats = traced(SWITCHING_PROGRAM, "--fpu", policy)
    lost = check(records, stats, policy)
    named = {record["event"]: record["name"] for record in records if record.get("event", "").startswith("VCPU")}
    names = {"VCPU_ENTER": "tour", "VCPU_EXIT": "guest of tour"}
    expect(named.items() <= names.items(), "who a guest's run is told of", str(named))
    expect(lost or any(record.get("name") == "guest of tour" for record in records), "no record names the guest")


@functools.lru_cache(maxsize=None)
def update_run(option):
    make("build/user/test/update")
    return traced_run(UPDATING_PROGRAM, "--cmdline", f"debug update={option}")


def flagged_updates():
    with SHARED:
        return update_run("flag")


def updates(option):
    """Each update of one component, by what became of it and where the value before was."""
    records, stats = read_run(*(flagged_updates() if option == "flag" else update_run(option)))
    lost = check(records, stats, "deferred")
    shown = [record for record in records if record["kind"] == "update"]
    for field, words in (("ending", {"flag": "flagged", "load": "loaded", "direct": "direct",
                                     "queued": "queued"}),
                         ("found", {"registers": "registers", "memory": "memory", "init": "initial"})):
        for word, name in words.items():
            found = sum(record[field] == word for record in shown)
            counted = sum(cpu[f"updates_{name}"] for cpu in stats["cpus"])
            expect(found <= counted <= found + lost, f"{name}: {counted} counted, {found} in the trace")
            expect(counted or word in ("flag", "load"), f"no update was {name}")
    expect(any(record["ending"] == option for record in shown), f"update={option} was not obeyed")


@functools.lru_cache(maxsize=None)
def shared_trace():
    """The file of one run on two processors, for all tests of what shows a trace."""
    with open(SHOWN, "rb") as file:
        return traced_run(SHELL_PROGRAM, "--smp", "2", stdin=file.read())[0]


def one_trace():
    with SHARED:
        return shared_trace()


def tests():
    for policy in ("deferred", "eager", "lazy"):
        yield policy, lambda policy=policy: small_run(policy)
        yield f"{policy}, many switches", lambda policy=policy: many_switches(policy)
    for count in ("2", "4"):
        yield f"{count} processors", lambda count=count: small_run("deferred", "--smp", count)
    yield "updates", lambda: updates("flag")
    yield "updates, loaded at once", lambda: updates("load")
    yield "integer-only, ts", lambda: small_run("deferred", "--intonly", "ts")
    yield from pages.tests(one_trace, lambda: flagged_updates()[0])
    yield from converters.tests(one_trace)
    yield "bochs", lambda: small_run("deferred", "--machine", "bochs")
