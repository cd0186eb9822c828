"""Real GDB sessions on real machines: what the fx- commands print while a program with known registers runs.

Each session is the one that `make gdb` starts, in batch. The machine counts instructions, so that it is the same
each time.
"""

import importlib
import os
import re
import socket
import sys

import terminal
from framework import BUILD, ROOT, WORK, command, compile_program, expect, expect_equal

import elf

START = os.path.join(ROOT, "tools", "gdb", "start.py")
KERNEL = os.path.join(BUILD, "tarry.elf")
SOURCE = os.path.join(ROOT, "tests", "gdb", "planted.c")
COMMANDS = ["fx-area", "fx-cpu", "fx-diff", "fx-layout", "fx-next", "fx-step", "fx-tasks", "fx-trace", "fx-where",
            "fx-why"]
MARK = "--- command "
WHEN_PARENT = 'if $_streq($fx_owner(), "task 2 planted")'
sys.path.append(os.path.join(ROOT, "tools", "gdb", "fx"))


def program():
    return compile_program(SOURCE, "planted", "musl-gcc", ("-static", "-mavx"))


def marked(commands):
    """GDB's options for the commands, with a line between their outputs."""
    return [word for number, text in enumerate(commands)
            for word in ("-ex", f"echo {MARK}{number}\\n", "-ex", text)]


def outputs(done, commands):
    parts = re.split(rf"^{MARK}\d+\n", done.stdout.decode("utf-8", "replace"), flags=re.MULTILINE)
    expect_equal(len(parts), len(commands) + 1, "the number of commands that GDB came to")
    return parts


class Session:
    """A finished session: what each command printed, in order."""

    def __init__(self, commands, *options, arguments=None):
        arguments = arguments or (program(),)
        words = [sys.executable, START, *options, "--icount", "--exec", *arguments, "--", "-nx", "-batch",
                 *marked(commands)]
        self.done = command(words, stderr=-2)
        self.start, *self.parts = outputs(self.done, commands)
        self.commands = commands
        self.at = -1

    def next(self, wanted_command, *patterns, absent=()):
        """The next command's output: it must have all the patterns and none of the absent ones."""
        self.at += 1
        expect_equal(self.commands[self.at], wanted_command, "the command that the test looks at")
        text = self.parts[self.at]
        for pattern in patterns:
            expect(re.search(pattern, text, re.MULTILINE), f"{wanted_command}: no {pattern!r} in", text)
        for pattern in absent:
            expect(not re.search(pattern, text, re.MULTILINE), f"{wanted_command}: {pattern!r} in", text)
        return text


def check(session, steps):
    for wanted, *patterns in steps:
        absent = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        session.next(wanted, *(p for p in patterns if not p.startswith("!")), absent=absent)


def other_kernel():
    """The kernel with one byte of its constants changed."""
    with open(KERNEL, "rb") as file:
        data = bytearray(file.read())
    constants = next(header for header in elf.program_headers(bytes(data))
                     if header[0] == elf.PT_LOAD and not header[1] & (elf.FLAG_W | elf.FLAG_X))
    data[constants[2] + constants[5] // 2] ^= 1
    path = os.path.join(WORK, "other.elf")
    with open(path, "wb") as file:
        file.write(data)
    return path


def errors():
    """One clear line each; then the session goes on."""
    return [
        ("fx-where", "has not set up the registers yet: `thbreak crypto_init`"),
        (f"file {other_kernel()}",),
        ("fx-cpu", r"^the machine does not run build/tests/other\.elf: their constants differ at 0xffffffff8"),
        (f"file {program()}",),
        ("fx-next", r"^no symbols of Tarry here"),
        (f"file {KERNEL}",),
        ("tbreak sys_sched_yield " + WHEN_PARENT,),
        ("continue", "sys_sched_yield"),
        ("fx-where 99", r"^no task 99: there are 2 planted, 3 planted"),
        ("fx-why planted", r"^2 tasks are called planted: name one by its tid, 2, 3"),
        ("fx-area 2 x86", r"^no component x86 in this machine: it has x87 SSE AVX"),
        ("fx-area cpu9", "^no cpu9: the last is cpu0"),
        ("fx-area", r"^usage: fx-area TASK \[COMPONENT\]"),
        ("fx-next SIGRTURN", "^no event SIGRTURN: there are BIRTH SWITCH_OUT"),
        ("fx-step many", "^many is not a number"),
        ("fx-trace", "^The trace is off: .*make gdb ARGS='--cmdline trace'"),
        ("print $fx_owner(1)", "^no CPU 1: the last is 0"),
    ]


ACTIVE = [
    ("fx-where", r"^task 2 planted, context \d+, on CPU 0, in the kernel: ACTIVE$", "the fpstate in memory is stale",
     r"^  owner\[0\] +this context +so the registers of CPU 0 are valid", r"^  TASK_NEED_FPU_LOAD +clear",
     "EXIT_TO_USER, .* to ACTIVE, on CPU 0, by fpu_exit_to_user", "!half done"),
    ("fx-area cpu0 AVX", "^registers of CPU 0 .task 2 planted", r"^  ymm3 high .*\n.*\n.* double 3 1e\+10$",
     r"^  ymm15 high .*\n.*\n *float 5 6 7 8 ", r"^  0: ymm0 high to ymm2 high, ymm4 high to ymm14 high$"),
    ("fx-area 2", "^STALE: the task is ACTIVE"),
    ("fx-diff 2 cpu0", "^A: STALE", r"^  xmm3 ", r"^ +B  .*\n.*\n.* double 1\.5 -2\.25$", "^  st0 ", "^AVX:$"),
    ("print $fx_state()", r"= FPU_ACTIVE$"),
]
CACHED = [
    ("fx-next SWITCH_OUT", r"^CPU 0, task 2 planted, context \d+: SWITCH_OUT, ACTIVE to CACHED$",
     "the task leaves the CPU: always saved", "^  saved: x87 SSE AVX$",
     r"^#\d+  fpu_switch_out .* at .*fpu/switch.h:\d+\n\d+\s+fpregs_copy_to_memory"),
    ("fx-where 2", "in the kernel: CACHED$", r"^  TASK_NEED_FPU_LOAD +set", "SWITCH_OUT, ACTIVE to CACHED"),
    ("print $fx_state(2)", "= FPU_CACHED$"),
    ("fx-area 2", r"^\d+ bytes, compacted; in use: x87 SSE AVX$", r"^  st0 +0x4000_c90fdaa22168c235  = 3\.141593$",
     r"^  xmm3 +0xc002000000000000_3ff8000000000000\n.* int64 4609434218613702656 -4611123068473966592$",
     r"^  xmm3 .*\n.*\n.* double 1\.5 -2\.25$",
     r"^  xmm15 .*\n +int32 1065353216 1073741824 .*\n +float 1 2 3 4 ", r"^  pkru +0x55555554  open: key 0;",
     "^AVX: 256 bytes at 576, in use", "^PASID: .* initial state", "!STALE"),
    ("fx-diff 2 cpu0", "^the same in both: x87 SSE AVX", "!^  xmm"),
]
INACTIVE = [
    ("fx-next EXIT_TO_USER", r"^CPU 0, task 3 planted, .*: EXIT_TO_USER, INACTIVE to ACTIVE", "^  loaded: "),
    ("fx-where 2", r"^task 2 planted, .* not running .*: INACTIVE$",
     r"^  owner\[0\] +task 3 planted +so .* not valid",
     "got another owner, task 3 planted: that made it INACTIVE"),
    ("fx-next SWITCH_OUT", "task 3 planted, .* ACTIVE to CACHED"),
    ("fx-diff 2 3", r"^  xmm3 +A .*\n.*\n.* double 1\.5 -2\.25\n +B .*\n.*\n.* double -1\.5 2\.25$",
     "^the same in both: x87 ", "!xmm15"),
    ("fx-why 2", r"^task 2 planted, context \d+, is INACTIVE\. Its last \d+ transitions of",
     r"\A.*\n +1  CPU 0  BIRTH .*fpu_context_born \(fpu/verbs.c:\d+\)\n", "FORK +ACTIVE to CACHED",
     r"SWITCH_OUT +ACTIVE to CACHED .*\n.*\n  Since then .* task 3 planted"),
    ("fx-tasks", "^2 +planted +0 +INACTIVE .* x87 SSE AVX$", "^3 +planted +0 +CACHED"),
]
SECTION = [
    ("thbreak sys_getrandom",),
    ("continue", "sys_getrandom"),
    ("fx-next KERNEL_BEGIN", "task 2 planted, .*: KERNEL_BEGIN, ACTIVE to INACTIVE",
     r"^#\d+  kernel_fpu_begin_first .* at fpu/kernel.c:\d+"),
    ("fx-where", "But a kernel section is beginning", r"^  last_cpu +none"),
    ("fx-step 60",),
    ("fx-cpu", r"^\*0 +kernel +task 2 planted +the kernel +open "),
    ("thbreak fpu_intonly_exit",),
    ("continue",),
    ("fx-where", "^task 3 intcrash is integer-only"),
    ("fx-layout", "^AVX +2 +256 +576 +576 +XCR0 ", "^PKRU +9 .* RDPKRU", r"^\| x87 \| SSE \| header \| AVX "),
    ("print fpu_config.size",),
    ("fx-next REGSET_WRITE", "^the machine has ended before that"),
    ("fx-where", "^no machine is attached: `make gdb` starts one"),
]
STEP_CHANGES = {"CPU 0: fsw", "CPU 0: ftw", "CPU 0: st0", "CPU 0: st7", "CPU 0: registers hold"}


def one_processor():
    """The three states and why, planted values, a kernel section step by step, and what can go wrong."""
    steps = [*errors(), *ACTIVE, *CACHED, *INACTIVE, *SECTION]
    session = Session([step[0] for step in steps])
    check(session, steps)
    printed = dict(zip(session.commands, session.parts))
    changed = re.findall(r"^    (.*): .* -> ", printed["fx-step 60"], re.MULTILINE)
    expect_equal(set(changed), STEP_CHANGES, "what fx-step saw changing when the kernel took the registers")
    expect(re.search(r"^    CPU 0: registers hold: .* -> the kernel$", printed["fx-step 60"], re.MULTILINE),
           "fx-step did not see the owner change", printed["fx-step 60"])
    size = re.search(r"= (\d+)", printed["print fpu_config.size"])[1]
    expect(f"compacted, {size} bytes:" in printed["fx-layout"], "fx-layout's size is not the kernel's")


FOUR = [
    ("tbreak sys_sched_yield",),
    ("continue", "Thread 3 hit"),
    ("fx-cpu", r"^ 0  ", r"^ 1  ", r"^\*2 +kernel +task 2 planted +task 2 planted +no ", r"^ 3  ", "!^ 4"),
    ("thread 1",),
    ("fx-where", "^kernel thread .* has no context"),
    ("fx-where planted", "^task 2 planted, .* on CPU 2, in the kernel: ACTIVE$", r"^  last_cpu +2 "),
    ("print $fx_owner(2)", '= "task 2 planted"'),
    ("print $fx_owner()",),
    ("fx-area cpu2 SSE", r"^  xmm3 .*\n.*\n.* double 1\.5 -2\.25$"),
    ("fx-area cpu0 SSE", "!^  xmm3 "),
    ("fx-trace 2",),
    ("fx-where planted", "^Its XFD is armed for TILEDATA: not used so far"),
    ("fx-area planted TILEDATA", "^TILEDATA: no room for it in this fpstate: XFD is armed"),
    ("fx-area init TILEDATA", "^TILEDATA: .* all zero at first$", "^  0: tmm0 row 0 to tmm7 row 15$"),
    ("fx-next FIRST_USE", r"^CPU 2, task 2 planted, .*: FIRST_USE, ACTIVE to ACTIVE$"),
    ("fx-next SWITCH_OUT", r"^CPU 2, task 2 planted, .*: SWITCH_OUT, ACTIVE to CACHED$", "^  saved: .*TILECFG TILEDATA"),
    ("fx-cpu", r"^\*2 +kernel +task 2 planted +task 2 planted +no +0 +0x[0-9a-f]+ +0x[0-9a-f]+ +0x0 ",
     r"^ 1 .* 0x40000 ", "^XFD: while its bit is set the first use of TILEDATA traps"),
    ("fx-where planted", "CACHED$", "!XFD"),
    ("fx-area planted TILEDATA", "^TILEDATA: 8192 bytes at .* in use", r"^  tmm2 row 0 +0x0.*_000000000000004d$"),
    ("fx-area cpu2 TILECFG", r"^  palette +0x01$", r"^  tmm2 rows +0x01$", r"^  tmm2 colsb +0x0008$"),
    ("fx-diff planted cpu2", "^the same in both: .*TILECFG TILEDATA"),
    ("fx-next DEATH", r"^CPU 2, task 2 planted, .*: DEATH, ACTIVE to NONE$", "nothing saved or loaded",
     r"fpu_death .* at fpu/life.c:\d+"),
    ("fx-trace 1", r"^\d+ +[\d.]+ +2 +2 +\d+ +DEATH +ACTIVE to NONE .* fpu_death \(fpu/life.c:\d+\)$"),
    ("print fpu_tracing", "= true"),
]


def four_processors():
    """GDB's threads are the CPUs; the trace is on, and its newest record is the transition that GDB stopped at."""
    session = Session([step[0] for step in FOUR], "--smp", "4", "--cmdline", "trace", arguments=(program(), "2"))
    check(session, FOUR)


GUEST = [
    ("fx-next VCPU_ENTER", r"^CPU 0, task 2 paths, .*: VCPU_ENTER, ACTIVE to CACHED$", r"^  saved: .*SSE"),
    ("fx-next EXIT_TO_USER", r"^CPU 0, the guest of task 2 paths, .*: EXIT_TO_USER, INACTIVE to ACTIVE$"),
    ("fx-where", r"^the guest of task 2 paths, .* on CPU 0, in the kernel: ACTIVE$"),
    ("fx-where 2", "^task 2 paths, .* parked while its guest runs: INACTIVE$", "!TASK_NEED_FPU_LOAD",
     r"^  owner\[0\] +the guest of task 2 paths +so .* not valid", "^  VCPU_ENTER, ACTIVE to CACHED"),
    ("fx-tasks", "^2 +paths +0 +INACTIVE +1 ", "^g2 +paths +0 +ACTIVE +[2-9] .*stale"),
    ("fx-next VCPU_EXIT", r"the guest of task 2 paths, .*: VCPU_EXIT, ACTIVE to CACHED$"),
    ("fx-where g2", "^the guest of task 2 paths, .*: CACHED$"),
    ("fx-area g2 SSE", r"^  xmm15 .*\n.*\n.* double 8 0$"),
    ("fx-area paths SSE", r"^  xmm15 .*\n.*\n.* double 10 0$"),
    ("fx-next EXIT_TO_USER", r"^CPU 0, task 2 paths, "),
    ("fx-where g2", "^no task g2: there are 2 paths$"),
]


def guest():
    """Two contexts of one task: which one is meant, where each is, and what is in it."""
    session = Session([step[0] for step in GUEST], arguments=(os.path.join(BUILD, "user", "bin", "paths"),))
    check(session, GUEST)


def index():
    """Opening the kernel is enough; every command has help whose first line says what it does."""
    commands = ["apropos fx-", *(f"help {name}" for name in COMMANDS), "fx-cpu", "help function"]
    done = command(["gdb", "-nx", "-batch", "-iex", f"add-auto-load-safe-path {BUILD}", KERNEL, *marked(commands)],
                   stderr=-2)
    _, apropos, *helps, cpu, functions = outputs(done, commands)
    expect_equal([line.split()[0] for line in apropos.splitlines()], COMMANDS, "the commands in the index")
    for name, text in zip(COMMANDS, helps):
        first = text.splitlines()[0]
        expect(f"{name} -- {first}" in apropos.splitlines(), f"the index and the help of {name} differ", text,
               apropos)
        expect(f"Usage: {name}" in text, f"help {name} has no usage", text)
    expect(cpu.startswith("no machine is attached"), "fx-cpu without a machine", cpu)
    expect("fx_owner" in functions and "fx_state" in functions, "the functions have no help", functions)


def wrong_gdb():
    """No GDB, and one without Python: a line each."""
    folder = os.path.join(WORK, "no-python")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "gdb"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\necho 'Python scripting is not supported in this copy of GDB.' >&2\n")
    os.chmod(file.name, 0o755)
    for path, line in ((folder, "make gdb: this GDB has no Python"), (WORK, "make gdb: gdb is missing")):
        done = command([sys.executable, START], env={**os.environ, "PATH": path})
        expect_equal(done.returncode, 1, "the status")
        expect(done.stderr.decode().startswith(line) and done.stderr.count(b"\n") == 1, f"not the line {line}",
               done.stderr)
    done = command([sys.executable, START, "--stats", "x"])
    expect(done.returncode == 2 and done.stderr.count(b"\n") == 1, "a useless option was taken", done.stderr)


def typed():
    """make gdb on a terminal: ^C stops the machine, and quitting GDB ends it."""
    with terminal.Terminal(["make", "-s", "gdb", "ARGS=--smp 2"], controlling=True) as screen:
        console = re.search(r"console goes to (\S+)", screen.wait_for(b"(gdb) ").decode())[1]
        screen.type(b"set pagination off\ncontinue\n")
        screen.wait_for(b"Continuing.")
        while not os.path.getsize(os.path.join(ROOT, console)):
            screen.read(0.1)
        screen.type(b"\x03")
        screen.wait_for(b"SIGINT")
        screen.type(b"fx-cpu\n")
        screen.wait_for(b"fx-area cpu0")
        screen.type(b"quit\n")
        screen.wait_for(b"(y or n)")
        screen.type(b"y\n")
        expect_equal(screen.end(), 0, "status")
    port = int(console.rpartition(".")[2])
    with socket.socket() as probe:
        expect(probe.connect_ex(("127.0.0.1", port)), "the machine outlives GDB")


SCREEN = ("python print(bytes(gdb.selected_inferior().read_memory(0xffff8880000b8000, 4000))[::2].decode('latin-1')"
          " + 'end ' + 'of screen')\n").encode()


def picture(debugger):
    """The rows of the VGA screen."""
    debugger.type(SCREEN)
    text = debugger.wait_for(b"end of screen").decode("latin-1").replace("\r", "").replace("\n", "")[-2013:-13]
    return [text[at:at + 80].rstrip() for at in range(0, 2000, 80)]


def held_at(debugger, machine, number):
    """Lets the machine run to that transition; gives the picture."""
    rows = [f" {number - 1} transitions:"]
    if number > 1:
        machine.type(b" ")
    while f" {number - 1} transitions:" in rows[0]:     # QEMU may report a breakpoint again that GDB steps over
        debugger.type(b"continue\n")
        debugger.wait_for(b"Continuing.")
        debugger.wait_for(b"smp_hold_others (hold")
        rows = picture(debugger)
    return rows


def live_screen():
    """Held at the first transition, the machine goes on by one for each key; the picture says what GDB says."""
    words = [os.path.join(ROOT, "run-qemu.sh"), "--gdb", "--smp", "2", "--cmdline", "view=held", "--timeout", "100"]
    with terminal.Terminal(words) as machine:
        port = re.search(r"127\.0\.0\.1:(\d+)", machine.wait_for(b"-ex continue").decode())[1]
        words = ["gdb", "-nx", "-q", "-iex", f"add-auto-load-safe-path {BUILD}", "-iex", "set pagination off",
                 "-iex", "set style enabled off", "-iex", "set width 0", KERNEL, "-ex",
                 f"target remote 127.0.0.1:{port}", "-ex", "hbreak smp_hold_others if hold"]
        with terminal.Terminal(words) as debugger:
            debugger.wait_for(b"Hardware assisted breakpoint")
            for number in range(1, 8):
                rows = held_at(debugger, machine, number)
                expect(f" {number} transitions:" in rows[0] and rows[-1].startswith(" HELD"),
                       f"not the picture of transition {number}", "\n".join(rows))
            debugger.type(b"fx-where\n")
            tid, name, state = re.search(r"task (\d+) (\w+), context .*: ([A-Z]+)\s",
                                         debugger.wait_for(b"Why,").decode()).groups()
            expect(any(re.match(rf"{tid} +{name} +{state} ", row) for row in rows), f"not {state} on the screen",
                   "\n".join(rows))
            debugger.type(b"continue\n")
            debugger.wait_for(b"Continuing.")
            machine.type(b"c")
            machine.wait_for(b"Who owns the FPU?")


def looks():
    """Values as a person reads them: no machine is needed."""
    show = importlib.import_module("show")
    for value, text in ((0x4000c90fdaa22168c235, "3.141593"), (0xbfff8000000000000000, "-1"), (0, "0"),
                        (0x7fff8000000000000000, "infinity"), (0xffffc000000000000000, "-NaN"),
                        (0x7ffe8000000000000000, "about 2^16383"), (0x3fff0000000000000001, "1.084202e-19")):
        expect_equal(show.x87(value), text, f"{value:#x}")
    expect_equal(show.pkru(0x55555554), "open: key 0; no access: key 1-15", "PKRU's default")
    expect_equal(show.pkru(0), "open: all keys", "PKRU 0")
    expect_equal(show.pkru(0x8), "open: key 0,2-15; read only: key 1", "PKRU with one key read only")
    expect_equal(show.mxcsr(0x1f80), "round to nearest, all exceptions masked", "MXCSR's initial value")
    expect_equal(show.mxcsr(0x7f05), "round toward zero, unmasked: invalid, raised: invalid divide", "an MXCSR")
    expect_equal(show.fcw(0x27f), "round to nearest, precision 53 bits, all exceptions masked", "an FCW")
    expect_equal(show.grouped(0x4000c90fdaa22168c235, 10), "0x4000_c90fdaa22168c235", "80 bits")


def tests():
    yield "one processor", one_processor
    yield "four processors", four_processors
    yield "a guest", guest
    yield "index and help", index
    yield "missing GDB or Python", wrong_gdb
    yield "typed", typed
    yield "live screen", live_screen
    yield "values in words", looks
