"""What the test groups share: how a test says how it went, and how it builds and runs things.

A group is a file tests/NAME/group.py with a function tests() that yields (name, function). The
function returns nothing if all is well, raises Fail or Skip, or returns a list of Outcome when one
run of Tarry holds many tests. Nothing here may depend on one group.
"""

import dataclasses
import os
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
WORK = os.path.join(BUILD, "tests")
EXCERPT_LINES = 15
RUN_SECONDS = 120

sys.path.insert(0, os.path.join(ROOT, "tools"))

OK, FAILED, SKIPPED = "ok", "FAIL", "skip"


class Fail(Exception):
    """A test's expectation was not met; the text says which."""


class Skip(Exception):
    """A test makes no sense here; the text says why."""


@dataclasses.dataclass
class Outcome:
    """One test's result. detail is the reason, with an excerpt after the first line."""
    name: str
    state: str
    detail: str = ""


def excerpt(text):
    """The last lines of an output, for a person who wants to know what happened."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-EXCERPT_LINES:])


def expect(condition, what, *evidence):
    """Fails with what and the ends of the evidence (outputs) unless condition holds."""
    if not condition:
        raise Fail("\n".join([what] + [excerpt(text) for text in evidence if text]))


def expect_equal(found, wanted, what):
    if found != wanted:
        raise Fail(f"{what} is {short(found)}, not {short(wanted)}")


def short(value, limit=300):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(value)} long)"


def command(words, seconds=RUN_SECONDS, **options):
    """Runs a host command from the repository; gives the finished process with bytes."""
    options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    try:
        return subprocess.run(words, timeout=seconds, **options)
    except subprocess.TimeoutExpired as error:
        raise Fail(f"{words[0]} did not end within {seconds} s\n"
                   f"{excerpt(error.stdout or b'')}\n{excerpt(error.stderr or b'')}") from error
    except FileNotFoundError as error:
        raise Fail(f"{words[0]} is not there") from error


def compile_program(source, name=None, compiler="musl-gcc", flags=("-static",), libraries=()):
    """Builds an outside program from a C file or text; gives its path. Safe in parallel."""
    os.makedirs(WORK, exist_ok=True)
    if not os.path.exists(source):
        raise Fail(f"{source} is not there")
    name = name or os.path.splitext(os.path.basename(source))[0]
    output = os.path.join(WORK, name)
    made = f"{output}.{os.getpid()}.{threading.get_ident()}"
    done = command([compiler, "-O1", *flags, "-o", made, source, *libraries])
    expect(done.returncode == 0, f"{compiler} failed on {source}", done.stderr)
    os.replace(made, output)
    return output


def build_programs():
    """Host paths of all programs of ours, from the lists that make wrote."""
    paths = []
    for name in ("image.list", "test.list"):
        with open(os.path.join(BUILD, name), encoding="utf-8") as file:
            paths += [line.split()[1] for line in file]
    return [path for path in paths if "/hostile/" not in path]
