"""Boots Tarry once and says how it went: the library behind run-qemu.sh and the boot tests.

A Boot describes the run; its run() returns a Result. The verdict is the last power-off line of the
kernel log, which no program can write to. Nothing here reads the command line or prints.
"""

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

import image
import iso
from errors import TARRY_FAILED, TIMED_OUT, HostError
from machine import MACHINES, QEMU_CPU
from relay import Feeder, Keyboard, LogReader, Pump, write_all

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
VERDICT = re.compile(r"(?:\[ *[\d.]+\] )?power-off: (?:status (\d+)|(panic))")
DRAIN_SECONDS = 30


def make(*targets):
    """Brings targets up to date; the compiler's output is shown only if that fails."""
    os.makedirs(BUILD, exist_ok=True)
    with open(os.path.join(BUILD, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            done = subprocess.run(["make", "-s", f"-j{os.cpu_count()}", *targets], cwd=ROOT,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace")
        except FileNotFoundError as error:
            raise HostError("make is missing: run tools/deps.sh run") from error
    if done.returncode:
        raise HostError(f"make {' '.join(targets)} failed:\n{done.stdout.strip()}")


def built(name):
    return os.path.join(BUILD, name)


def listed_files(name):
    """The files of build/NAME.list as {guest: bytes}."""
    files = image.read_list(built(name + ".list"))
    return {guest: image.read_host(os.path.join(ROOT, host)) for guest, host in files.items()}


@dataclasses.dataclass
class Result:
    """How a run ended. status is what run-qemu.sh returns; reasons are lines for stderr; ended is
    true if Tarry itself powered off. device is the emulator's own exit status, which on QEMU is
    what the kernel wrote to the exit device."""
    status: int
    log: list
    reasons: list
    seconds: float
    ended: bool
    device: int


@dataclasses.dataclass
class Boot:
    """One run. files {guest: bytes} are added to the default boot image."""
    machine: str = "qemu"
    mem: int = 256
    smp: int = 1
    display: str = "none"
    icount: bool = False
    gdb: object = None             # the socket where QEMU waits for GDB, if it is to
    timeout: float = 0
    qemu_cpu: str = QEMU_CPU
    bochs_cpu: str = "tigerlake"
    bochs_folder: str = built("bochs")
    stdin: str = "null"            # the kernel's stdin=: tty, pipe or null
    cmdline: str = ""              # further words for the kernel
    files: dict = dataclasses.field(default_factory=dict)
    argv: list = dataclasses.field(default_factory=lambda: list(image.DEFAULT_ARGV))

    def kernel_cmdline(self):
        words = [] if self.stdin == "tty" else ["stdin=" + self.stdin]
        return " ".join(words + self.cmdline.split())

    def make_iso(self, folder):
        """The ISO for this run: the one that make built, if it fits."""
        cmdline = self.kernel_cmdline()
        if not cmdline and not self.files and self.argv == image.DEFAULT_ARGV:
            return built("tarry.iso")
        path = os.path.join(folder, "tarry.iso")
        data = image.build({**listed_files("image"), **self.files}, self.argv)
        iso.build(path, built("tarry.stripped.elf"), built("tarry.sym"), data, cmdline)
        return path

    @contextlib.contextmanager
    def session(self, source=None, out=None, err=None, log_fd=None, trace=None):
        """A running machine, for the block. source is a file descriptor for stdin=pipe or tty; out,
        err and trace are functions that take bytes; log_fd gets the kernel log."""
        try:
            folder = tempfile.mkdtemp(prefix="tarry-run-")
        except OSError as error:
            raise HostError(f"cannot make a temporary folder: {error.strerror}") from error
        try:
            path = self.make_iso(folder)
            machine = MACHINES[self.machine](self, path, folder)
            session = Session(self, machine, source, (out, err, LogReader(log_fd), trace))
            try:
                yield session
            finally:
                session.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, *ends, **named_ends):
        """Boots and waits; the ends are session()'s."""
        with self.session(*ends, **named_ends) as session:
            return session.wait()


class Session:
    """The threads around a running machine, and the verdict."""

    def __init__(self, boot, machine, source, sinks):
        self.boot, self.machine, self.log = boot, machine, sinks[2]
        self.started = time.monotonic()
        self.stopped = threading.Event()
        self.user_left = False
        ports = (machine.com1, machine.com3, machine.com2, machine.com4)
        self.pumps = [Pump(fd, sink, self.stopped.set) for fd, sink in zip(ports, sinks)]
        threading.Thread(target=self.watch_process, daemon=True).start()
        if source is not None and boot.stdin == "pipe":
            Feeder(source, machine.keys, self.log.begun)
        elif source is not None and boot.stdin == "tty":
            Keyboard(source, machine.keys, self.log.begun, self.leave)

    def watch_process(self):
        self.machine.process.wait()
        self.stopped.set()

    def leave(self):
        self.user_left = True
        self.stopped.set()

    def wait(self):
        """Waits for the machine, the time limit or a broken host side, and judges."""
        timed_out = not self.stopped.wait(self.boot.timeout or None)
        ended = self.machine.process.poll() is not None
        self.machine.stop()
        for pump in self.pumps:
            pump.join(DRAIN_SECONDS)
        seconds = time.monotonic() - self.started
        status, reasons = self.judge(timed_out, ended)
        lines = self.log.all_lines()
        return Result(status, lines, reasons, seconds,
                      any(VERDICT.fullmatch(line) for line in lines), self.machine.process.returncode)

    def close(self):
        """Ends the machine, and gives its ports back unless a thread hangs in one."""
        self.machine.stop()
        if not any(pump.is_alive() for pump in self.pumps):
            self.machine.close()

    def judge(self, timed_out, ended):
        """The exit status and what a person should be told."""
        errors = [pump.error for pump in self.pumps if pump.error]
        lines = self.log.all_lines()
        if errors:
            raise errors[0]
        if self.user_left:
            return 0, []
        verdict = next((m for line in reversed(lines) if (m := VERDICT.fullmatch(line))), None)
        if timed_out and not verdict:
            return TIMED_OUT, [f"Tarry did not end within {self.boot.timeout:g} s"]
        if not verdict:
            return TARRY_FAILED, self.failure(lines, ended)
        if verdict[2]:
            return TARRY_FAILED, [line for line in lines if "panic:" in line] or ["Tarry panicked"]
        status = int(verdict[1])
        return status, [line for line in lines if "cannot start" in line
                        or (status >= 128 and "kill:" in line)][-1:]

    def failure(self, lines, ended):
        """Why a machine stopped that never said power-off."""
        complaint = self.machine.complaint()
        if complaint:
            return [f"{self.boot.machine} failed: {complaint}"]
        if not lines:
            return ["the boot loader could not start the kernel (is the memory too small?)"]
        return ["the machine stopped without a power-off line; the log's end:"] + lines[-12:]


def capture(boot, stdin=b""):
    """run() for tests: stdin as bytes (for stdin=pipe); returns (Result, stdout, stderr)."""
    out, err = bytearray(), bytearray()
    source = None
    if boot.stdin == "pipe":
        source, end = os.pipe()
        threading.Thread(target=give, args=(end, stdin), daemon=True).start()
    try:
        result = boot.run(source, out.extend, err.extend)
    finally:
        if source is not None:
            os.close(source)
    return result, bytes(out), bytes(err)


def give(fd, data):
    """Writes data into a pipe and closes it."""
    try:
        write_all(fd, data)
    except OSError:
        pass                       # the reader has ended
    os.close(fd)
