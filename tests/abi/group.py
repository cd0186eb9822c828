"""Outside programs, compiled here against musl and glibc and run unmodified. The expected result is
never written down: it is what the same file gives on the Linux host. Only on QEMU, because Debian's
Bochs cannot run a program that has a 64-bit signed division.
"""

import os
import platform
import re

from boot import Boot, capture
from framework import (ROOT, Skip, command, compile_program, expect, expect_equal)

SOURCES = os.path.join(ROOT, "tests", "abi")
SECONDS = 60
ENDINGS = ["return", "exit", "abort", "null", "divide", "illegal", "execute data", "privileged",
           "terminate", "stack", "child"]
BUILDS = {
    "musl": ("musl-gcc", ("-static",)),
    "glibc": ("gcc", ("-static",)),
    "musl static-pie": ("musl-gcc", ("-static", "-fPIE", "-nostartfiles", "-Wl,-pie",
                                     "-Wl,--no-dynamic-linker", "rcrt1.o", "crti.o")),
    "glibc static-pie": ("gcc", ("-static-pie", "-fPIE")),
}
ENVIRONMENT = {"PATH": "/bin:/test", "HOME": "/", "TERM": "linux"}


def start_file(compiler, flag):
    """The full path of a start-up object that a build names. It lies beside the compiler's specs:
    musl-gcc itself would look among glibc's files."""
    if not flag.endswith(".o"):
        return flag
    specs = re.search(rb"Reading specs from (.*musl-gcc\.specs)", command([compiler, "-v"]).stderr)
    return os.path.join(os.path.dirname(specs[1].decode()) if specs else "", flag)


def build(source, kind):
    compiler, flags = BUILDS[kind]
    flags = [start_file(compiler, flag) for flag in flags]
    name = f"{source}-{kind}".replace(" ", "-")
    return compile_program(os.path.join(SOURCES, source + ".c"), name, compiler,
                           (*flags, "-w"), ("-lm",))


def on_tarry(path, *words):
    """(status, stdout, stderr) of the program on Tarry."""
    with open(path, "rb") as file:
        data = file.read()
    argv = ["/bin/" + os.path.basename(path), *words]
    boot = Boot(argv=[word.encode() for word in argv], files={argv[0]: data},
                cmdline="stderr=com3 log=com2", timeout=SECONDS)
    result, out, err = capture(boot)
    expect(result.status not in (124, 125), f"status {result.status}", *result.reasons, out, err)
    return result.status, out, err


def on_linux(path, *words):
    """The same on this machine, with the same arguments and environment."""
    if platform.machine() != "x86_64":
        raise Skip("this host cannot run the program for comparison")
    argv = ["/bin/" + os.path.basename(path), *words]
    done = command(argv, executable=path, env=ENVIRONMENT)
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return status, done.stdout, done.stderr


def same(source, kind, *words):
    path = build(source, kind)
    wanted, found = on_linux(path, *words), on_tarry(path, *words)
    for part, have, want in zip(("status", "stdout", "stderr"), found, wanted):
        expect_equal(have, want, part)


def tests():
    for kind in BUILDS:
        yield f"hello, {kind}", lambda kind=kind: same("hello", kind, "one", "two")
    for ending in ENDINGS:
        yield f"ends: {ending}", lambda ending=ending: same("ends", "musl", ending)
    yield "ends: abort, glibc", lambda: same("ends", "glibc", "abort")
