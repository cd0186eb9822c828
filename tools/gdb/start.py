#!/usr/bin/env python3
"""make gdb: QEMU stopped at kmain and GDB attached to it, with the fx- commands, in one command.

start.py [run-qemu.sh's OPTIONS] [-- GDB's OPTIONS]. GDB has the terminal; what Tarry prints goes to a file. The
machine ends with GDB, and never outlives this script.
"""

import os
import shutil
import signal
import subprocess
import sys

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOOLS)

import run                                              # noqa: E402 (the path comes first)
from boot import built, make                            # noqa: E402
from errors import HostError                            # noqa: E402

FIRST_STOP = "kmain"               # long mode, and C: before it GDB would see 16-bit code
REFUSED = ("stats", "log", "timeout")


def check_gdb():
    """GDB's path. It must be one with Python."""
    path = shutil.which("gdb")
    if not path:
        raise HostError("gdb is missing: run tools/deps.sh gdb")
    done = subprocess.run([path, "-nx", "-batch", "-ex", "python print(6 * 7)"], capture_output=True, text=True)
    if "42" not in done.stdout:
        raise HostError("this GDB has no Python, which the fx- commands need: install the full one (Debian: gdb"
                        " instead of gdb-minimal)")
    return path


def options_of(arguments):
    """run-qemu.sh's options, and GDB's."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    options = run.parse(["--gdb", *arguments[:at]])
    for name in REFUSED:
        if getattr(options, name):
            raise HostError(f"--{name} is for ./run-qemu.sh --gdb", run.USAGE)
    return options, arguments[at + 1:]


def gdb_words(path, port, more):
    kernel = built("tarry.elf")
    return [path, "-q", "-iex", f"add-auto-load-safe-path {os.path.dirname(kernel)}", kernel,
            "-ex", f"target remote 127.0.0.1:{port}", "-ex", f"thbreak {FIRST_STOP}", "-ex", "continue", *more]


def open_console(port):
    path = built(f"console.{port}")
    print(f"Tarry's console goes to {os.path.relpath(path)} (tail -f it in another terminal)."
          " The machine ends when you quit GDB.\nThe commands for register contexts: apropos fx-", flush=True)
    return open(path, "wb", buffering=0)


def in_front(words):
    """Runs GDB as the terminal's process group: ^C is GDB's to stop the machine with, and not make's. Its status."""
    def child():
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)

    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    process = subprocess.Popen(words, preexec_fn=child)
    while True:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpgrp())
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        os.killpg(0, signal.SIGSTOP)                    # ^Z: all of us, until the shell's fg
        os.tcsetpgrp(0, process.pid)
        os.killpg(process.pid, signal.SIGCONT)


def session(options, more):
    """Runs GDB on a machine; gives GDB's status."""
    path, boot = check_gdb(), run.prepare(options)
    port = boot.gdb.getsockname()[1]
    boot.stdin = "null"            # the terminal is GDB's
    trace_fd = run.open_output(options.trace)
    make("iso")
    with open_console(port) as console:
        trace = run.TraceFile(trace_fd) if options.trace else None
        with boot.session(None, console.write, console.write, console.fileno(), trace):
            words = gdb_words(path, port, more)
            return in_front(words) if os.isatty(0) else subprocess.run(words).returncode


def main(arguments):
    try:
        return session(*options_of(arguments))
    except HostError as error:
        print(f"make gdb: {error}", file=sys.stderr)
        return error.status


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)
