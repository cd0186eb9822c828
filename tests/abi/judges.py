"""The Linux kernel's own tests, built from the newest Linux source that the distribution has and run unmodified:
which there are, how they are built, what they must print, and which can't pass here, with the reason. They run in one
boot, one after the other (driver.c), some also on the host on a terminal, and there the whole text must be the same.

A test's exit status is not enough (xstate.c prints [FAIL] and returns 0), so its lines are counted.
"""

import concurrent.futures
import dataclasses
import difflib
import itertools
import os
import pty
import re
import subprocess

from framework import (BUILD, FAILED, OK, ROOT, SKIPPED, Fail, Outcome, Skip, command, excerpt, expect)
import selftests                                        # framework put tools/ on the path
from boot import Boot, capture
from errors import HostError
from machine import QEMU_CPU

HERE = os.path.join(ROOT, "tests", "abi")
FOLDER = os.path.join(BUILD, "selftests")
BIN = os.path.join(FOLDER, "bin")
HEADER, DRIVER = os.path.join(HERE, "selftests.h"), os.path.join(HERE, "driver.c")
FLAGS = ("-static", "-no-pie", "-std=gnu99", "-O2", "-pthread", "-w", "-D_GNU_SOURCE=", "-mxsave", "-include", HEADER)
HOST_HEADERS = ("/usr/include", "/usr/include/x86_64-linux-gnu")
COMPILERS = {"musl": ("musl-gcc", tuple(f"-idirafter{path}" for path in HOST_HEADERS)), "glibc": ("gcc", ())}
SECONDS = 300
HOST_SECONDS = 30
GUEST_FOLDER = "/selftests"
WITHOUT_SMAP = QEMU_CPU + ",-smap"     # QEMU reads a far return's stack with supervisor rights, which SMAP refuses
PASSWD = b"root:x:0:0:root:/:/bin/sh\n"
GOOD = re.compile(r"\s*(\[OK\]|ok \d+ (?!# SKIP)|PASS)", re.IGNORECASE)
BAD = re.compile(r"\s*(\[FAIL\]|not ok |FAIL\b|Assertion failed)|# Totals:.* fail:[1-9]")


@dataclasses.dataclass
class Judge:
    """One selftest. good: how many lines say that something is right. more: further sources of the same folder;
    flags: as its Makefile has them. same: the whole text must be the host's. cpu: the processor it needs. skip: why
    it can't be judged here."""
    folder: str
    name: str
    good: int = 0
    libc: str = "musl"
    more: tuple = ()
    flags: tuple = ()
    status: int = 0
    same: bool = False
    cpu: str = QEMU_CPU
    skip: str = ""


JUDGES = [
    Judge("x86", "check_initial_reg_state", 2, flags=("-Wl,-ereal_start",), same=True),
    Judge("x86", "test_FISTTP", 1, same=True),
    Judge("x86", "test_FCMOV", 1, same=True),
    Judge("x86", "test_FCOMI", 1, same=True),
    Judge("x86", "sigaltstack", 2),
    Judge("x86", "sigtrap_loop", 1, same=True),
    Judge("x86", "syscall_nt", 9, same=True),
    Judge("x86", "syscall_arg_fault", 2, same=True),
    Judge("x86", "single_step_syscall", 5, "glibc"),
    Judge("signal", "mangle_uc_sigmask", 7, same=True),
    Judge("signal", "sas", 3, "glibc"),
    Judge("x86", "sysret_rip", 52, more=("clang_helpers_64.S",)),
    Judge("x86", "nx_stack", 1),
    Judge("x86", "ioperm", 3),
    Judge("x86", "iopl", 1),
    Judge("x86", "sysret_ss_attrs", 1, more=("thunks.S",), cpu=WITHOUT_SMAP),
    Judge("x86", "corrupt_xstate_header", 2, same=True),
    Judge("x86", "avx", 9, more=("xstate.c",)),
    Judge("x86", "amx", more=("xstate.c",), skip="asks CPUID for tiles, which are modelled, and uses XSAVE on them"),
    Judge("mm", "pkey_sighandler_tests", 5, more=("pkey_util.c",)),
    Judge("mm", "protection_keys", 462, more=("pkey_util.c", "hugepage_settings.c", "vm_util.c")),
    Judge("x86", "int_signal", 29),
    Judge("x86", "fsgsbase", 110),
    Judge("x86", "fsgsbase_restore", 3, more=("clang_helpers_64.S",)),
    Judge("x86", "sigreturn", 19),
    Judge("x86", "ldt_gdt", 39, "glibc"),
    Judge("x86", "ptrace_syscall", 10),
    Judge("x86", "mov_ss_trap", 1, "glibc"),
    Judge("ptrace", "peeksiginfo", 1),
    Judge("ptrace", "get_syscall_info", 1, skip="needs pidfd_open and poll"),
    Judge("prctl", "disable-tsc-test", skip="passes whatever the kernel does without prctl(PR_SET_TSC)"),
    Judge("x86", "apx", skip="needs APX"),
    Judge("x86", "lam", skip="needs linear address masking"),
    Judge("x86", "test_shadow_stack", skip="needs shadow stacks"),
    Judge("x86", "test_vsyscall", skip="needs the vsyscall page"),
    Judge("x86", "test_mremap_vdso", skip="needs a vDSO"),
    Judge("syscall_user_dispatch", "sud_test", skip="needs syscall user dispatch"),
]


def newest(paths):
    return max(os.path.getmtime(path) for path in paths)


def compile_to(output, words, since):
    """Runs the compiler unless the output is newer than the files in since."""
    if os.path.exists(output) and os.path.getmtime(output) > newest(since):
        return output
    os.makedirs(os.path.dirname(output), exist_ok=True)
    done = command([*words, "-o", output + ".new"])
    expect(done.returncode == 0, f"{words[0]} failed on {os.path.basename(output)}", done.stderr)
    os.replace(output + ".new", output)
    return output


def build(judge, root):
    """The path of the program."""
    folder = os.path.join(root, selftests.SELFTESTS)
    compiler, headers = COMPILERS[judge.libc]
    sources = [os.path.join(folder, judge.folder, name) for name in (judge.name + ".c", *judge.more)]
    words = [compiler, *FLAGS, *judge.flags, "-I" + folder,
             "-idirafter" + os.path.join(root, selftests.UAPI), *headers, *sources, "-lrt", "-ldl", "-lm"]
    return compile_to(os.path.join(BIN, judge.name), words, [*sources, HEADER, __file__])


def build_all(judges):
    """{name: path}."""
    try:
        root = selftests.provide(FOLDER)
    except HostError as error:
        raise Skip(f"no Linux source: {error}") from error
    os.makedirs(BIN, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip((j.name for j in judges), pool.map(lambda j: build(j, root), judges)))


def split(text):
    """{name: (status, text)} of what the driver printed."""
    found = {}
    for part in re.split(r"\n@begin ", text.replace("\r\n", "\n"))[1:]:
        path, _, rest = part.partition("\n")
        body, end, status = rest.rpartition("\n@end ")
        found[os.path.basename(path)] = (int(status) if end else None, body if end else rest)
    return found


def on_tarry(driver, paths, cpu):
    """What the programs did in one boot, and what there is to say about the boot."""
    files = {"/bin/driver": driver, **{f"{GUEST_FOLDER}/{name}": path for name, path in paths.items()}}
    images = {"/etc/passwd": PASSWD}
    for guest, path in files.items():
        with open(path, "rb") as file:
            images[guest] = file.read()
    argv = ["/bin/driver", *(f"{GUEST_FOLDER}/{name}" for name in paths)]
    boot = Boot(argv=[word.encode() for word in argv], files=images, timeout=SECONDS, smp=2, qemu_cpu=cpu,
                cmdline="log=com2")
    result, out, _ = capture(boot)
    return split(out.decode("utf-8", "replace")), "\n".join([*result.reasons, *result.log])


def on_linux(driver, paths):
    """The same on this machine, on a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([driver, *paths.values()], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                          start_new_session=True) as process, os.fdopen(ours, "rb", buffering=0) as terminal:
        os.close(theirs)
        text = b""
        try:
            while data := terminal.read(65536):
                text += data
        except OSError:
            pass                   # how a terminal says that nobody writes any more
        process.wait(HOST_SECONDS)
    return split(text.decode("utf-8", "replace"))


def complaint(judge, status, text):
    """What is wrong with a result, or ""."""
    lines = text.splitlines()
    good = sum(bool(GOOD.match(line)) for line in lines)
    bad = [line for line in lines if BAD.match(line)]
    if status is None:
        return "did not end"
    if bad:
        return "said: " + bad[0].strip()
    if status != judge.status:
        return f"ended with {status}, not {judge.status}"
    return "" if good == judge.good else f"{good} lines say that something is right, not {judge.good}"


def difference(linux, tarry):
    """The lines around the first places where the texts differ."""
    lines = difflib.unified_diff(linux.splitlines(), tarry.splitlines(), "Linux", "Tarry", "", "", 1, "")
    return "\n".join(itertools.islice(lines, 14))


def verdict(judge, tarry, linux, log):
    """The outcome of one test."""
    if judge.name not in tarry:
        return Outcome(judge.name, FAILED, f"was not started\n{excerpt(log)}")
    status, text = tarry[judge.name]
    wrong = complaint(judge, status, text)
    host = linux.get(judge.name, (None, ""))
    if wrong:
        return Outcome(judge.name, FAILED, f"{wrong}\n{excerpt(text)}\n{excerpt(log)}")
    if not complaint(judge, *host) and host[1] != text:
        return Outcome(judge.name, FAILED, "differs from Linux\n" + difference(host[1], text))
    return Outcome(judge.name, OK)


def session(judges):
    """Runs the tests, those that want the same processor in one boot."""
    driver = compile_to(os.path.join(FOLDER, "driver"), ["musl-gcc", "-static", "-O1", DRIVER], [DRIVER])
    paths = build_all(judges)
    tarry, log = {}, ""
    for cpu in sorted({judge.cpu for judge in judges}):
        results, said = on_tarry(driver, {j.name: paths[j.name] for j in judges if j.cpu == cpu}, cpu)
        tarry.update(results)
        log += said
    linux = on_linux(driver, {j.name: paths[j.name] for j in judges if j.same})
    return [verdict(judge, tarry, linux, log) for judge in judges]


def outcomes():
    """All of them: run, or listed with the reason."""
    wanted = [judge for judge in JUDGES if not judge.skip]
    return session(wanted) + [Outcome(j.name, SKIPPED, j.skip) for j in JUDGES if j.skip]


def tests():
    yield "selftests", outcomes
