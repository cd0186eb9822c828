"""Runs: the boots and host programs behind a lab's tests, each once, and what each of its tests said.

A verdict never rests on a string that the student's code could print: a boot counts only if the
exit device says that the kernel powered off, and each result line only with its sum of the nonce. A
run that does not end in time has failed, and says so.
"""

import dataclasses
import json
import os
import re
import secrets
import subprocess
import sys

from . import story

POWERED_OFF, PANICKED, LOADER_FAILED = 0x10 << 1 | 1, 0x20 << 1 | 1, 0x30 << 1 | 1
RESULT = re.compile(r"lab (\d+) (ok|bad) ([0-9a-f]{16}) (.*)")
HOST_RESULT = re.compile(r"\[\s+(OK|FAILED)\s*\] (\w+)")
EXPLORED = re.compile(r"(ok|FAIL) (.+)")
WORD = 2 ** 64 - 1
HOST_SECONDS = 60
BOOT_SLACK = 30                     # for making the ISO
MAKE_SECONDS = 300


def patience():
    """The one knob for slow machines: every time limit is multiplied by it."""
    return float(os.environ.get("LAB_PATIENCE", "1"))


@dataclasses.dataclass
class Said:
    """What one run said: {test: passed}, {test: lines of context}, what holds for all the others,
    whether it came to its end, and the run's records."""
    passed: dict = dataclasses.field(default_factory=dict)
    context: dict = dataclasses.field(default_factory=dict)
    trouble: list = dataclasses.field(default_factory=list)
    status: int | None = None
    log: list = dataclasses.field(default_factory=list)
    trace: str = ""


def mixed(nonce, number, good):
    """The sum in labs/lab.h."""
    z = (nonce + number * 2 + good) & WORD
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 & WORD
    z = (z ^ z >> 27) * 0x94d049bb133111eb & WORD
    return z ^ z >> 31


def command(words, tree, seconds, text=None, env=None):
    """(status, output) of a command in the tree; status None if it took too long."""
    try:
        done = subprocess.run(words, cwd=tree, timeout=seconds * patience(), input=text or "", text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, **(env or {})})
    except subprocess.TimeoutExpired as error:
        return None, (error.stdout or b"").decode("utf-8", "replace")
    return done.returncode, done.stdout.replace(os.path.join(tree, ""), "")


def make(tree, *targets):
    """What the compiler said, or nothing if all went well."""
    os.makedirs(os.path.join(tree, "build"), exist_ok=True)
    status, output = command(["make", "-s", f"-j{os.cpu_count()}", *targets], tree, MAKE_SECONDS)
    if status == 0:
        return []
    lines = output.strip().splitlines() or ["make failed"]
    errors = [line for line in lines if "error:" in line or "undefined reference" in line]
    return (errors or lines)[:story.TEXT_LINES] if status is not None else ["the build took too long"]


# --- Boots ---

def target_of(program):
    """What make calls the program."""
    base = os.path.splitext(program.source)[0]
    return "build/user/bin/" + base.removeprefix("user/") if base.startswith("user/") else "build/" + base


def results(output, nonce):
    """(passed, context) of the result lines whose sum is right; each ends the lines of its test."""
    passed, context, lines = {}, {}, []
    for line in output.splitlines():
        match = RESULT.fullmatch(line)
        if not match:
            lines = [] if line.startswith("# test: ") else [*lines, line]
            continue
        good = match[2] == "ok"
        if int(match[3], 16) == mixed(nonce, int(match[1]), good):
            passed[match[4]] = good
            context[match[4]] = lines
        lines = []
    return passed, context


def ended(program, run):
    """Why a run's results may not count, or nothing."""
    device = run["device"]
    if run["status"] == 124:
        return [f"time-out: {program.name} did not end within {program.seconds * patience():g} s"]
    if device == PANICKED:
        return story.of_log(run["log"]) or ["the kernel panicked"]
    if device == LOADER_FAILED:
        return ["the boot loader could not start the kernel"]
    if device != POWERED_OFF:
        return [f"the machine stopped without a word to the exit device (status {device})",
                *run["reasons"][:1], *run["log"][-4:]]
    return []


def boot(tree, program, trace=False):
    """Boots the program; Said with a result for each of its tests."""
    nonce = secrets.randbits(64)
    seconds = program.seconds * patience()
    run = {"program": os.path.join(tree, target_of(program)), "cmdline": program.cmdline, "smp": program.smp,
           "seconds": seconds, "nonce": f"{nonce:016x}", "trace": trace}
    status, output = command([sys.executable, "tools/labs/boot_once.py"], tree, program.seconds + BOOT_SLACK,
                             json.dumps(run))
    try:
        happened = json.loads(output)
    except ValueError:
        return Said(trouble=["time-out"] if status is None else output.strip().splitlines()[-4:] or ["no boot"])
    passed, context = results(happened["out"], nonce)
    trouble = ended(program, happened)
    lines = happened["out"].splitlines()[-story.TEXT_LINES:] if program.status is not None else []
    said = Said(passed, context, trouble, happened["status"], happened["log"], happened["trace"])
    if trouble:
        said.passed = {}
    elif program.status is not None:
        said.passed = {"": said.status == program.status}
        said.context[""] = [f"# expected: status {program.status}", f"# seen: status {said.status}",
                            *("# " + line for line in lines)]
    return said


# --- Host programs ---

def host(tree, name):
    """A program of tests/host. All its tests count as failed unless it comes to its end."""
    trouble = make(tree, f"build/host/{name}")
    if trouble:
        return Said(trouble=trouble)
    status, output = command([f"build/host/{name}"], tree, HOST_SECONDS, env={"CMOCKA_MESSAGE_OUTPUT": "STDOUT"})
    if status is None:
        return Said(trouble=[f"time-out: {name} did not end within {HOST_SECONDS * patience():g} s"])
    said, lines = Said(status=status), []
    for line in output.splitlines():
        match = HOST_RESULT.match(line.strip())
        if not match:
            lines.append(line.strip().replace("[  ERROR   ] --- ", "# "))
            continue
        said.passed[match[2]] = match[1] == "OK"
        said.context[match[2]] = [line for line in lines if line.startswith("# ")]
        lines = []
    if "tests: " not in output and " test(s) run" not in output:
        said.passed = {}
        said.trouble = [line for line in lines if "panic" in line or "ERROR" in line or "runtime error" in line
                        ][:2] or [f"{name} ended with status {status}"]
    return said


def explore(tree, arguments):
    """The explorer; each of its verdicts is a test, and all of them together are the test ''."""
    trouble = make(tree, "build/explore/explore")
    if trouble:
        return Said(trouble=trouble)
    status, output = command(["build/explore/explore", *arguments], tree, HOST_SECONDS)
    if status is None:
        return Said(trouble=[f"time-out: the explorer did not end within {HOST_SECONDS * patience():g} s"])
    verdicts = [match[1] for line in output.splitlines() if (match := EXPLORED.fullmatch(line))]
    said = Said({"": status == 0 and bool(verdicts) and set(verdicts) == {"ok"}}, status=status)
    told = [line.strip() for line in output.splitlines() if not EXPLORED.fullmatch(line) and " edges" not in line]
    said.context[""] = ["# " + line for line in told if line][:2 * story.PANIC_LINES]
    return said
