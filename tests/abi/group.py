"""Outside programs, compiled here against musl and glibc and run unmodified. The expected result is
never written down: it is what the same file gives on the Linux host. Only on QEMU, because Debian's
Bochs cannot run a program that has a 64-bit signed division. Linux's own tests are in judges.py.
"""

import collections
import dataclasses
import difflib
import os
import platform
import re
import sys
import tempfile

from boot import Boot, capture
from framework import (ROOT, WORK, Skip, command, compile_program, expect, expect_equal)

SOURCES = os.path.join(ROOT, "tests", "abi")
sys.path.insert(0, SOURCES)
import judges

SECONDS = 60
ENDINGS = ["return", "abort", "null", "illegal"]
BOTH = ["musl", "glibc"]
EXECUTES_ITSELF = {"processes", "ptrace"}  # these need argv[0] to be a path of the host, too
COPIES = 4
VECTORS = {"avx2", "fma"}              # that compute.c and the C libraries choose where they are; QEMU has them
GUEST_FOLDER = "/data"
TEXT = b"".join(b"line %d%s\n" % (i, b" and more" * (i % 5)) for i in range(40)) + b"word 42\nno newline"
FILES = {"text": b"first 17 x\n" + TEXT, "empty": b"", "sub/inner": b"inner file\n",
         "data": bytes((i * 31 + i // 256) % 256 for i in range(9001))}
INPUT = bytes((i * 7 + i // 251) % 256 for i in range(20000))
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


@dataclasses.dataclass
class Case:
    """One program run twice. folder: the files that both sides get, and its path as last argument."""
    source: str
    kind: str
    words: tuple = ()
    stdin: bytes = None
    folder: dict = dataclasses.field(default_factory=dict)


def on_tarry(case, path):
    """(status, stdout, stderr) of the program on Tarry."""
    argv = ["/bin/" + os.path.basename(path), *case.words, *([GUEST_FOLDER] if case.folder else [])]
    files = {f"{GUEST_FOLDER}/{name}": data for name, data in case.folder.items()}
    with open(path, "rb") as file:
        files[argv[0]] = file.read()
    boot = Boot(argv=[word.encode() for word in argv], files=files, timeout=SECONDS,
                stdin="null" if case.stdin is None else "pipe", cmdline="stderr=com3 log=com2")
    result, out, err = capture(boot, case.stdin or b"")
    expect(result.status not in (124, 125), f"status {result.status}", *result.reasons, out, err)
    return result.status, out, err


def on_linux(case, path):
    """The same on this machine, with the same arguments and environment. In a process group of its own, whose parent
    is in another one: signals of job control stop nobody in an orphaned group, which ours may be."""
    if platform.machine() != "x86_64":
        raise Skip("this host cannot run the program for comparison")
    guest = "/bin/" + os.path.basename(path)
    argv = [path if case.source in EXECUTES_ITSELF else guest, *case.words]
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        for name, data in case.folder.items():
            host = os.path.join(folder, name)
            os.makedirs(os.path.dirname(host), exist_ok=True)
            with open(host, "wb") as file:
                file.write(data)
        argv += [folder] if case.folder else []
        given = {} if case.stdin is None else {"input": case.stdin}
        done = command(argv, executable=path, env=ENVIRONMENT, process_group=0, **given)
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return status, done.stdout, done.stderr


def same(case):
    path = build(case.source, case.kind)
    wanted, found = on_linux(case, path), on_tarry(case, path)
    for part, have, want in zip(("stdout", "stderr"), found[1:], wanted[1:]):
        expect(have == want, f"{part} differs", *difference(have, want))
    expect_equal(found[0], wanted[0], "status")


def difference(have, want):
    """The lines around the first place where Tarry's output is not Linux's."""
    lines = [data.decode("utf-8", "replace").splitlines() for data in (want, have)]
    yield "\n".join(list(difflib.unified_diff(*lines, "Linux", "Tarry", "", "", 1, ""))[:14])


def has_vectors():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        return VECTORS <= set(file.read().split())


def copies(kind):
    """compute.c, several at once on as many processors: each line of the host's as often. Catches a
    register that is lost or mixed up where nothing but the result could show it."""
    if not has_vectors():
        raise Skip("this host has no AVX2 and FMA for comparison")
    path = build("compute", kind)
    _, wanted, _ = on_linux(Case("compute", kind), path)
    done = command(["./run-qemu.sh", "--smp", str(COPIES), "--copies", str(COPIES),
                    "--timeout", str(COPIES * SECONDS), "--exec", path], COPIES * SECONDS + SECONDS)
    expect_equal(done.returncode, 0, f"status of {COPIES} copies")
    found = collections.Counter(done.stdout.splitlines())
    for line in sorted(set(wanted.splitlines()) | set(found)):
        expect(found[line] == COPIES * wanted.splitlines().count(line),
               f"{line.decode('utf-8', 'replace')}: {found[line]} times")


def cases():
    """(name, Case); every case is one boot."""
    for kind in BUILDS:
        yield f"hello, {kind}", Case("hello", kind, ("one", "two words", ""))
    for ending in ENDINGS:
        yield f"ends: {ending}", Case("ends", "musl", (ending,))
    for source in ("timers", "mappings"):
        yield source, Case(source, "musl")
    for kind in BOTH:
        yield f"ends: all, {kind}", Case("ends", kind, ("all",))
        yield f"files, {kind}", Case("files", kind, folder=FILES)
        yield f"filter, {kind}", Case("filter", kind, stdin=INPUT)
        for source in ("memory", "processes", "threads", "locks", "clocks", "floats", "signals", "stops",
                       "ptrace", "ptrace_state", "ptrace_stops"):
            yield f"{source}, {kind}", Case(source, kind)


def tests():
    for kind in BOTH:
        yield f"compute, {COPIES} copies, {kind}", lambda kind=kind: copies(kind)
    for name, case in cases():
        yield name, lambda case=case: same(case)
    yield from judges.tests()
