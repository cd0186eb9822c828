#!/usr/bin/env python3
"""run-qemu.sh's options: builds what is stale, boots Tarry, passes its input and output on and
returns its status. Everything that boots is in boot.py; here is only what a person types and sees.
"""

import argparse
import os
import signal
import sys

import elf
import image
from boot import Boot, built, make
from compare import POLICIES, RowReader, other_rows, table
from errors import TARRY_FAILED, USAGE, HostError, explain
from iso import check_cmdline
from machine import MACHINES, gdb_listener
from records import TraceFile, read_stats, write_stats
from relay import HELP_QUIT, RawTerminal, write_all

PROGRAM = "run-qemu.sh"
SMALLEST_MEM = 4
MAX_COPIES = 1024
MAX_CPUS = 16
VIEW_COLUMNS, VIEW_ROWS = 80, 32   # the live screen, and some rows below it
ALL_ROWS_SCROLL = b"\0337\033[r\0338\033[0m"
# The options that are words of the kernel's command line, and their legal values.
KERNEL_CHOICES = {
    "fpu": (POLICIES, "when registers are loaded (deferred)"),
    "xstate": (("auto", "native", "soft"),
               "XSAVES and XRSTORS by the processor or by the model (auto)"),
    "intonly": (("init", "ts"), "what registers hold while an integer-only program runs (init)"),
}


class Interrupted(Exception):
    """A signal that ends the runner."""


def say(text):
    try:
        sys.stderr.write("".join(f"{PROGRAM}: {line}\n" for line in str(text).splitlines()))
        sys.stderr.flush()
    except (OSError, AttributeError):
        pass                       # no standard error: nobody to tell


class Parser(argparse.ArgumentParser):
    """One line for a wrong option, then status 2."""

    def error(self, message):
        say(f"{message} (try --help)")
        sys.exit(USAGE)


def number(low, high):
    """An option's type: a whole number in a range."""
    def convert(text):
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
        return int(text)
    return convert


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def kernel_words(text):
    try:
        check_cmdline(text)
    except HostError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def split_program(arguments):
    """What is ours, and what belongs to --exec: the rest, whatever it looks like, or None."""
    if "--exec" not in arguments:
        return arguments, None
    at = arguments.index("--exec")
    return arguments[:at], arguments[at + 1:]


def parse(arguments):
    """The options; --exec takes everything after it."""
    parser = Parser(prog=PROGRAM, allow_abbrev=False, add_help=False,
                    usage=f"{PROGRAM} [OPTIONS] [--exec FILE [ARG...]]", description=(
        "Builds what is stale and boots Tarry: the tour, then a shell. Without a terminal on "
        "standard input it powers off after the tour."))
    option = parser.add_argument
    option("--exec", action="store_true", dest="program",
           help="FILE [ARG...] (last): run one static x86-64 Linux program as the only program; "
                "its input, output and exit status become the script's; 125 if Tarry failed")
    option("--file", action="append", default=[], metavar="HOST[:GUEST]",
           help="put a file in the boot image (repeatable)")
    option("--copies", type=number(1, MAX_COPIES), metavar="N",
           help="with --exec: run N instances at once; fails if any fails")
    option("--smp", type=number(1, MAX_CPUS), default=1, metavar="N",
           help=f"processors, up to {MAX_CPUS} (1)")
    option("--mem", type=number(SMALLEST_MEM, 1 << 20), default=256, metavar="MB",
           help="memory (256)")
    option("--cmdline", type=kernel_words, default="", metavar="WORDS",
           help="more words for the kernel's command line")
    for name, (values, text) in KERNEL_CHOICES.items():
        option("--" + name, choices=values, help=text)
    option("--trace", metavar="FILE", help="write every transition there, as JSON lines")
    option("--stats", metavar="FILE", help="write the counters at power-off there, as JSON")
    option("--machine", choices=sorted(MACHINES), default="qemu", help="the emulator (qemu)")
    option("--bochs-cpu", default="tigerlake", metavar="MODEL", help="Bochs' processor (tigerlake)")
    option("--icount", action="store_true",
           help="QEMU counts instructions: the time stamp counter adds one for each")
    option("--gdb", action="store_true",
           help="QEMU stops before the first instruction and waits for GDB")
    option("--display", default="none", metavar="none|gtk|...",
           help="QEMU's window: who owns the registers, live (none)")
    option("--view", action="store_true", help="the same on this terminal, above what Tarry prints (or, in the shell, Ctrl-T)")
    option("--log", metavar="FILE", help="write the kernel log there")
    option("--timeout", type=seconds, default=0, metavar="SECONDS",
           help="give up then, with status 124")
    option("--help", action="help", help="show this and stop")
    own, rest = split_program(arguments)
    options = parser.parse_args(own)
    options.program = rest
    check(parser, options)
    return options


def check(parser, options):
    """Combinations that make no sense."""
    if options.program == []:
        parser.error("--exec needs a file")
    if options.copies and not options.program:
        parser.error("--copies needs --exec")
    given = given_words(options)
    for name in (*KERNEL_CHOICES, "trace", "stats"):
        if getattr(options, name) and name in given:
            parser.error(f"--{name} is also in --cmdline")
    if options.view:
        check_terminal(parser, options)
    if options.machine != "qemu":
        for name in ("icount", "gdb"):
            if getattr(options, name):
                parser.error(f"--{name} needs --machine qemu")
        if options.display != "none":
            parser.error("--display needs --machine qemu")


def check_terminal(parser, options):
    """--view draws on the terminal that we are on."""
    if options.program or not os.isatty(0) or not os.isatty(1):
        parser.error("--view needs a terminal, and no --exec")
    if too_small():
        columns, rows = os.get_terminal_size(1)
        parser.error(f"--view needs a terminal of {VIEW_COLUMNS} columns and {VIEW_ROWS} rows; this one has"
                     f" {columns} and {rows}")


def too_small():
    """True if the live screen has no room on this terminal."""
    columns, rows = os.get_terminal_size(1)
    return columns < VIEW_COLUMNS or rows < VIEW_ROWS


def view_words(options):
    """The kernel's view=: where the live screen is, or what Ctrl-T does."""
    if options.view:
        return ["view=console"]
    if options.display != "none":
        return ["view"]
    if options.program or "view" in given_words(options) or not os.isatty(0) or not os.isatty(1):
        return []
    return ["view=small" if too_small() else "view=key"]


def given_words(options):
    """The names on --cmdline."""
    return {word.partition("=")[0] for word in options.cmdline.split()}


def program_file(options, files):
    """Puts the program of --exec into files; returns its argv in the guest."""
    host, *rest = options.program
    data = image.read_host(host)
    elf.require_static(host, data)
    guest = image.guest_path("/bin/" + os.path.basename(host))
    files[guest] = data
    return [os.fsencode(word) for word in [guest, *rest]]


def extra_files(options):
    """The files of --file as {guest: bytes}."""
    files = {}
    for word in options.file:
        host, colon, guest = word.rpartition(":")
        if not colon or not guest.startswith("/"):
            host, guest = word, "/" + os.path.basename(word)
        data = image.read_host(host)
        files[image.guest_path(guest)] = data
    return files


def input_kind(options):
    """The kernel's stdin=: what it is to make of our standard input."""
    try:
        mode = os.fstat(0)
        null = os.stat(os.devnull)
    except OSError:
        return "null"              # closed
    if options.program:
        return "null" if mode.st_rdev == null.st_rdev and mode.st_rdev else "pipe"
    return "tty" if os.isatty(0) else "null"


def prepare(options):
    """The Boot that the options describe."""
    files = extra_files(options)
    argv = list(image.DEFAULT_ARGV)
    words = [f"{name}={getattr(options, name)}" for name in KERNEL_CHOICES
             if getattr(options, name)]
    words += [name for name in ("trace", "stats") if getattr(options, name)]
    words += view_words(options)
    words.append(options.cmdline)
    if options.program:
        argv = program_file(options, files)
        words = ["stderr=com3", "log=com2", *words]
    if options.copies:
        words.append(f"copies={options.copies}")
    return Boot(machine=options.machine, mem=options.mem, smp=options.smp, display=options.display,
                icount=options.icount,
                gdb=gdb_listener() if options.gdb else None, timeout=options.timeout,
                bochs_cpu=options.bochs_cpu, stdin=input_kind(options), cmdline=" ".join(words),
                files=files, argv=argv)


def hints(boot):
    """What a person has to know before the machine starts."""
    if boot.gdb:
        with open(built("tarry.elf"), "rb") as file:
            entry = elf.entry_point(file.read(elf.HEADER.size))
        say("waiting for GDB; in another terminal: gdb -iex 'add-auto-load-safe-path build' build/tarry.elf"
            f" -ex 'target remote 127.0.0.1:{boot.gdb.getsockname()[1]}' -ex 'hbreak *{entry:#x}' -ex continue")
    if boot.stdin == "tty":
        say(HELP_QUIT)


def open_output(path):
    """A file that the options name, or None."""
    if not path:
        return None
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as error:
        raise HostError(explain(error, path), USAGE) from error


def writer(fd):
    return lambda data: write_all(fd, data)


def run(boot, out, log_fd, trace):
    """Boots with the script's own standard streams."""
    source = None if boot.stdin == "null" else 0
    hints(boot)
    if boot.stdin != "tty":
        return boot.run(source, out, writer(2), log_fd, trace)
    with RawTerminal(0):
        try:
            return boot.run(source, out, writer(2), log_fd, trace)
        finally:
            if os.isatty(1):
                write_all(1, ALL_ROWS_SCROLL)


def wants_comparison(options):
    """The plain tour, with the policy left to us."""
    return not (options.program or options.fpu or "fpu" in given_words(options) or options.gdb or options.trace
                or options.stats or options.view or options.display != "none")


def compare(boot, row):
    """The three policies side by side; the status of a boot that failed, or 0."""
    rows, failed = other_rows(boot, row)
    if failed:
        say("\n".join(["a boot for the comparison failed", *failed.reasons, *failed.log[-5:]]))
        return failed.status or TARRY_FAILED
    write_all(1, table(rows).encode())
    return 0


def run_options(options):
    """Everything after the options were understood; returns the exit status."""
    boot = prepare(options)
    log_fd = open_output(options.log)
    trace_fd, stats_fd = open_output(options.trace), open_output(options.stats)
    trace = TraceFile(trace_fd) if options.trace else None
    out = RowReader(writer(1)) if wants_comparison(options) else writer(1)
    make("iso")
    result = run(boot, out, log_fd, trace)
    for line in result.reasons:
        say(line)
    if trace:
        trace.check(result.ended)
    if options.stats:
        stats = read_stats(result.log)
        if stats:
            with open(stats_fd, "w", encoding="ascii") as file:
                write_stats(file, stats)
        else:
            say(f"{options.stats}: no counters, for Tarry did not come to power off")
    if result.status == 0 and result.ended and wants_comparison(options) and out.row:
        return compare(boot, out.row)
    return result.status


def on_signal(signum, _frame):
    raise Interrupted(signum)


def reserve_standard_streams():
    """Opens a closed stdin, stdout or stderr on /dev/null: no other file may get its number."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def main(arguments):
    reserve_standard_streams()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, on_signal)
    try:
        return run_options(parse(arguments))
    except HostError as error:
        say(error)
        return error.status
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except OSError as error:
        say("cannot pass Tarry's output on: " + explain(error))
        return TARRY_FAILED
    except Interrupted as interrupt:
        return 128 + interrupt.args[0]


if __name__ == "__main__":
    # Not sys.exit(): threads that wait for input that never comes must not be waited for.
    status = main(sys.argv[1:])
    os._exit(status)
