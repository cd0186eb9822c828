"""Runs: the boots and host programs behind a lab's tests, each once, and what each of its tests said.

A verdict never rests on a string that the student's code could print: a boot counts only if the
exit device says that the kernel powered off, and each result line only with its sum of the nonce. A
run that does not end in time has failed, and says so.
"""

import dataclasses
import json
import os
import pwd
import re
import secrets
import signal
import subprocess
import sys
import tempfile

from . import limits, story
from .limits import patience

POWERED_OFF, PANICKED, LOADER_FAILED = 0x10 << 1 | 1, 0x20 << 1 | 1, 0x30 << 1 | 1
RESULT = re.compile(r"lab (\d+) (ok|bad) ([0-9a-f]{16}) (.*)")
HOST_FAILURE = re.compile(r"(?:^ERROR: ([^\n]*)\n)?(?:\[  ERROR   \] --- |^Could not run test: )(.*?)"
                          r"\[   LINE   \] --- (.*?)$", re.MULTILINE | re.DOTALL)
CRASH_SIGNS = ("panic", "ERROR: ", "runtime error", "undefined reference")
HOST_ENVIRONMENT = {"CMOCKA_MESSAGE_OUTPUT": "STDOUT", "ASAN_OPTIONS": "detect_leaks=0"}
EXPLORED = re.compile(r"(ok|FAIL) (.+)")
WORD = 2 ** 64 - 1
HOST_FRAME = "HOST_EXTRA=labs/nonce.c -Wl,--wrap=main,--wrap=_cmocka_run_group_tests"
HOST_SECONDS = 60
BOOT_SLACK = 30                     # for making the ISO
MAKE_SECONDS = 300


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


def as_somebody_else():
    """What keeps a student's code from the grader's files, where the grader is root: LAB_USER's rights."""
    name = os.environ.get("LAB_USER")
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []} if name else {}


def command(words, tree, seconds, text="", env=None, **rights):
    """(status, output) of a command in the tree; status None if it took too long."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as given:
        given.write(text.encode())
        given.seek(0)
        child = subprocess.Popen(words, cwd=tree, stdin=given, stdout=said, stderr=subprocess.STDOUT,
                                 start_new_session=True, preexec_fn=limits.restrain,
                                 env={**os.environ, **(env or {})}, **rights)
        status = limits.wait(child, seconds * patience())
        said.seek(0)
        return status, said.read().decode("utf-8", "replace").replace(os.path.join(tree, ""), "")


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
        if match and int(match[3], 16) == mixed(nonce, int(match[1]), match[2] == "ok"):
            passed[match[4]] = match[2] == "ok"
            context[match[4]], lines = lines, []
        elif line.startswith("# test: "):
            lines = []
        else:
            lines.append(line)
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

def source_line(tree, place):
    """The assertion at "tests/host/x.c:12: error: ..."."""
    name, _, rest = place.partition(":")
    number = rest.partition(":")[0]
    try:
        with open(os.path.join(tree, name), encoding="utf-8") as file:
            return f"# {name}:{number}: {file.read().splitlines()[int(number) - 1].strip()}"
    except (OSError, ValueError, IndexError):
        return f"# {place}"


def first_failure(tree, output):
    """What cmocka has against the test that this is the output of: the values, then the assertion."""
    match = HOST_FAILURE.search(output)
    if not match:
        return []
    told = match[1] or "seen and expected: " + "; ".join(match[2].strip().splitlines()[:3])
    return ["# " + told, source_line(tree, match[3])]


def host_command(tree, program, arguments):
    """Builds a host program with the nonce's frame and runs it: (trouble, status, output, nonce). status
    is None unless its main came to its end and said so."""
    nonce = secrets.randbits(64)
    trouble = make(tree, program, HOST_FRAME)
    if trouble:
        return trouble, None, "", nonce
    status, output = command([program, *arguments], tree, HOST_SECONDS,
                             env={**HOST_ENVIRONMENT, "LAB_NONCE": f"{nonce:016x}"}, **as_somebody_else())
    if status is None:
        return [f"time-out: {program} did not end within {HOST_SECONDS * patience():g} s"], None, output, nonce
    body, _, end = output.rpartition("\nlab ")
    if end.split()[:2] == [str(status), f"{mixed(nonce, status, 0):016x}"]:
        return [], status, body, nonce
    return crash(output) or [f"{program} {way_out(status)} before it was through"], None, output, nonce


def way_out(status):
    if status == -signal.SIGXFSZ:
        return f"printed more than {limits.MOST_OUTPUT >> 20} MB"
    return f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"


def crash(output):
    return [line for line in output.splitlines() if any(sign in line for sign in CRASH_SIGNS)][:2]


def host(tree, name):
    """A program of tests/host. All its tests count as failed unless it comes to its end."""
    trouble, status, output, nonce = host_command(tree, f"build/host/{name}", [])
    if trouble:
        return Said(trouble=trouble)
    passed, lines = results(output, nonce)
    if status != list(passed.values()).count(False):
        return Said(trouble=crash(output) or [f"{name} ended with status {status}"])
    return Said(passed, {test: first_failure(tree, "\n".join(lines[test])) for test in passed}, status=status)


def explore(tree, arguments):
    """The explorer; each of its verdicts is a test, and all of them together are the test ''."""
    trouble, status, output, _ = host_command(tree, "build/explore/explore", arguments)
    if trouble:
        return Said(trouble=trouble)
    verdicts = [match[1] for line in output.splitlines() if (match := EXPLORED.fullmatch(line))]
    said = Said({"": status == 0 and bool(verdicts) and set(verdicts) == {"ok"}}, status=status)
    told = [line.strip() for line in output.splitlines() if not EXPLORED.fullmatch(line) and " edges" not in line]
    said.context[""] = ["# " + line for line in story.shortened([line for line in told if line])]
    return said
