"""The tests of run-qemu.sh itself, each one a run of the script as a person would type it: what it
refuses, what it passes on, and which status it ends with. The machine is QEMU unless a test says
otherwise. No test may need the output of another.
"""

import json
import os
import re
import shutil
import struct
import sys
import tempfile
import time

import terminal
from framework import (BUILD, ROOT, WORK, Fail, Skip, command, compile_program, expect, expect_equal)
import bochs                       # framework put tools/ on the path

sys.path.insert(0, os.path.join(ROOT, "tests", "cli"))
import terminals
from terminals import SCRIPT

GUEST_BIN = os.path.join(BUILD, "user", "bin")
ALL_BYTES = bytes(range(256))


def tarry(*words, **options):
    """Runs the script; a limit of its own keeps a lost machine from lasting."""
    return command([SCRIPT, "--timeout", "60", *words], **options)


def program():
    """The program that does what its first argument says."""
    path = os.path.join(WORK, "program")
    if not os.path.exists(path):
        compile_program(os.path.join(ROOT, "tests", "cli", "program.c"))
    return path


def execute(*words, before=(), **options):
    return tarry(*before, "--exec", program(), *words, **options)


def scratch(name, data=b""):
    """A file with this content in a folder of the test's own."""
    path = os.path.join(tempfile.mkdtemp(dir=WORK), name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def refused(done, status, *words):
    """One line on stderr that holds the words, nothing on stdout, this status."""
    text = done.stderr.decode("utf-8", "replace")
    expect(done.returncode == status, f"status {done.returncode}, not {status}", text)
    expect(len(text.splitlines()) == 1, "not one line on stderr", text)
    expect(not done.stdout, "something on stdout", done.stdout)
    for word in words:
        expect(word in text, f"{word!r} is not in the message", text)


def succeeded(done, stdout=None, stderr=b""):
    """Status 0 with exactly this output."""
    expect(done.returncode == 0, f"status {done.returncode}", done.stdout, done.stderr)
    if stdout is not None:
        expect_equal(done.stdout, stdout, "stdout")
    expect_equal(done.stderr, stderr, "stderr")


def help_text():
    done = tarry("--help")
    succeeded(done)
    for option in ("--exec", "--file", "--copies", "--smp", "--mem", "--cmdline", "--machine",
                   "--icount", "--gdb", "--fpu", "--xstate", "--intonly", "--trace", "--stats",
                   "--log", "--timeout", "--display", "--view"):
        expect(option.encode() in done.stdout, f"{option} is not explained", done.stdout)


def bad_options():
    for words in (["--nonsense"], ["--mem", "lots"], ["--mem", "-1"], ["--mem"], ["--mem", "1"],
                  ["--smp", "17"], ["--smp", "0"], ["--machine", "vax"], ["--timeout", "0"],
                  ["--timeout", "nan"], ["--copies", "2"], ["--copies", "0", "--exec", "x"],
                  ["--exec"], ["stray"], ["--icount", "--machine", "bochs"],
                  ["--fpu", "sometimes"], ["--fpu"], ["--xstate", "hard"], ["--intonly", "TS"],
                  ["--fpu", "lazy", "--cmdline", "fpu=eager"], ["--trace"], ["--stats"],
                  ["--gdb", "--machine", "bochs"], ["--cmdline", "a;b"], ["--cmdline", "a'b"],
                  ["--view"]):
        refused(tarry(*words), 2, "run-qemu.sh: ")


def elf32():
    return b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HH", 2, 3) + bytes(32)


def bad_programs():
    with open(program(), "rb") as file:
        good = file.read()
    arm = good[:18] + struct.pack("<H", 183) + good[20:]
    for path, word in ((scratch("text", b"#!/bin/sh\n"), "not an ELF"),
                       (scratch("empty"), "not an ELF"),
                       (scratch("old", elf32()), "32-bit"),
                       (scratch("arm", arm), "another processor"),
                       (scratch("head", good[:40]), "truncated"),
                       (scratch("headers", good[:70]), "truncated"),
                       (scratch("half", good[:len(good) // 2]), "truncated"),
                       ("/nowhere/file", "No such file"), (WORK, "directory"),
                       ("/bin/true", "PT_INTERP")):
        refused(tarry("--exec", path), 2, word, path)


def relocatable_object():
    source = os.path.join(ROOT, "tests", "cli", "program.c")
    path = compile_program(source, "program.o", flags=("-c",))
    refused(tarry("--exec", path), 2, "relocatable")


def unreadable_program():
    if os.geteuid() == 0:
        raise Skip("root may read everything")
    path = scratch("secret", b"x")
    os.chmod(path, 0)
    refused(tarry("--exec", path), 2, "Permission denied")


def statuses():
    for status in (0, 1, 42, 124, 255):
        expect_equal(execute("status", str(status)).returncode, status, "status")


def crash():
    done = execute("crash")
    expect_equal(done.returncode, 139, "status")
    expect(b"page fault" in done.stderr, "the reason is not on stderr", done.stderr)


def arguments():
    words = ["", "two words", "--mem", "--help", "-", "--", "'\"$`\\*", "\u00e4\u20ac", "x" * 3000]
    done = execute("arguments", *words)
    wanted = "".join(f"[{word}]\n" for word in ["/bin/program", "arguments", *words])
    succeeded(done, wanted.encode())


def stdin_binary():
    data = ALL_BYTES * 200 + b"\x10\x10E\x10" + os.urandom(3000)
    succeeded(execute("copy", input=data), data, b"%d bytes\n" % len(data))


def stdin_waits():
    data = os.urandom(150_000)
    succeeded(execute("copy", "1500", input=data), data, b"%d bytes\n" % len(data))


def stdin_ends():
    succeeded(execute("copy"), b"", b"0 bytes\n")
    succeeded(execute("copy", input=b""), b"", b"0 bytes\n")
    done = command(["bash", "-c", '"$@" <&-', "bash", SCRIPT, "--timeout", "60", "--exec",
                    program(), "copy"])
    succeeded(done, b"", b"0 bytes\n")


def stdin_unread():
    succeeded(execute("status", "0", input=os.urandom(300_000)), b"")


def output_exact():
    succeeded(execute("bytes"), ALL_BYTES, ALL_BYTES)


def reader_leaves():
    done = command(["bash", "-c", '"$@" | head -n 1; exit ${PIPESTATUS[0]}', "bash", SCRIPT,
                    "--timeout", "60", "--exec", program(), "lines"])
    expect_equal(done.returncode, 141, "status")
    expect_equal(done.stdout, b"line\n", "stdout")


def output_full():
    with open("/dev/full", "wb") as full:
        done = command(["bash", "-c", '"$@" > /dev/full', "bash", SCRIPT, "--timeout", "60",
                        "--exec", program(), "lines", "5"], stdin=full)
    refused(done, 125, "no space left")


def files():
    path = scratch("note.txt", b"a note\n")
    succeeded(execute("file", "/note.txt", before=["--file", path]), b"a note\n")
    succeeded(execute("file", "/a/b/c", before=["--file", path + ":/a/b/c"]), b"a note\n")


def bad_files():
    path = scratch("note.txt", b"a note\n")
    refused(tarry("--file", "/nowhere/file"), 2, "No such file")
    refused(tarry("--file", WORK), 2, "directory")
    refused(tarry("--file", path + ":/a/../b"), 2, "guest path")
    refused(tarry("--file", path + ":/a", "--file", path + ":/a/b"), 2, "is a file")
    refused(tarry("--file", path + ":/bin"), 2, "/bin is a file")


def copies():
    done = execute("lines", "2", before=["--copies", "3"])
    succeeded(done)                # the copies' writes may be mixed
    expect_equal((done.stdout.count(b"line"), done.stdout.count(b"\n")), (6, 6), "lines, ends")
    done = execute("status", "7", before=["--copies", "3"])
    expect_equal(done.returncode, 7, "status")


def time_limit():
    started = time.monotonic()
    done = command([SCRIPT, "--timeout", "3", "--exec", program(), "spin"])
    refused(done, 124, "did not end within 3 s")
    expect(time.monotonic() - started < 10, "it took too long")


def little_memory():
    """The least that is accepted is too little; more works or says that it is too little."""
    for megabytes in (4, 6, 8):
        done = tarry("--mem", str(megabytes))
        text = done.stderr.decode("utf-8", "replace")
        expect(done.returncode in ((125,) if megabytes == 4 else (0, 125)),
               f"{megabytes} MB: status {done.returncode}", text)
        expect(done.returncode == 0 or "memory" in text, f"{megabytes} MB: no word of it", text)


def panic():
    done = execute("debug", "1", before=["--cmdline", "debug"])
    expect_equal(done.returncode, 125, "status")
    expect(b"panic:" in done.stderr, "the reason is not on stderr", done.stderr)
    expect(not done.stdout, "something on stdout", done.stdout)


def panic_everywhere():
    """All other processors at once: one of them has the last word, and its lines are whole."""
    log = scratch("log")
    done = execute("debug", "1", "65535", before=["--cmdline", "debug", "--smp", "8", "--log", log])
    expect_equal(done.returncode, 125, "status")
    with open(log, encoding="ascii") as file:
        lines = [line.split("] ", 1)[1].rstrip() for line in file if "panic" in line]
    expect_equal(lines[-1], "power-off: panic", "the last line")
    expect_equal(sum("asked for" in line for line in lines), 1, "the number of panics")
    expect(re.fullmatch(r"panic: CPU [0-7], task \d+ \(.*", lines[1]), "no CPU", *lines)


def processors():
    """As many as were asked for, or as the kernel is told to take; each has its counters."""
    for asked, words, count in (("1", "", 1), ("3", "", 3), ("16", "", 16), ("4", "maxcpus=2", 2)):
        log, stats = scratch("log"), scratch("stats")
        done = execute("status", "0", before=["--smp", asked, "--cmdline", words, "--log", log,
                                            "--stats", stats])
        expect_equal(done.returncode, 0, "status")
        with open(log, encoding="ascii") as file:
            found = re.findall(r"\bsmp: (.*)", file.read())
        expect_equal(found, [f"{count} CPU" + "s" * (count > 1)], f"--smp {asked} {words}: the log")
        with open(stats, encoding="ascii") as file:
            ids = [cpu["cpu"] for cpu in json.load(file)["cpus"]]
        expect_equal(ids, list(range(count)), f"--smp {asked} {words}: the counters")


def tour(machine):
    """No check of the tour's fails, and the table has the figures of all three policies."""
    if machine == "bochs":
        bochs.provide(os.path.join(BUILD, "bochs"))     # which would say so on stderr
    done = tarry("--machine", machine)
    succeeded(done)
    expect(b"Who owns the FPU?" in done.stdout, "the tour shows nothing", done.stdout)
    expect(b"WRONG" not in done.stdout and b"\x1b[" not in done.stdout, "wrong", done.stdout)
    for policy in (b"deferred", b"eager", b"lazy"):
        expect(re.search(rb"^  %s( +\d+){5}$" % policy, done.stdout, re.MULTILINE),
               f"no figures for {policy.decode()}", done.stdout)
    rare_registers(done.stdout, modelled=machine == "qemu")


def rare_registers(shown, modelled):
    """The guest is in every tour; tiles and PASIDs where they are modelled."""
    resumed = re.search(rb"(\d+) returns to it", shown)
    expect(resumed and int(resumed[1]) >= 1000, "no guest that was let go on 1000 times", shown)
    moved = re.search(rb"moved (\d+) bytes before, (\d+) with a tile in use, and\s+(\d+) after", shown)
    expect(bool(moved) == modelled, "tiles, or none", shown)
    expect(not moved or int(moved[2]) - max(int(moved[1]), int(moved[3])) >= 4096,
           "a tile in use makes a save no longer", shown)
    expect(bool(re.search(rb"1 time for\s+10 commands\. The device has them from PASID \d", shown)) == modelled,
           "PASIDs, or none", shown)


def tour_policies():
    """With a policy given there is one boot and no table; its checks hold under each."""
    for words in (["--fpu", "eager"], ["--fpu", "lazy"], ["--intonly", "ts", "--fpu", "deferred"],
                  ["--cmdline", "nopku fpu=deferred"]):
        done = tarry(*words)
        succeeded(done)
        expect(b"WRONG" not in done.stdout, f"wrong under {words}", done.stdout)
        expect(b"The same tour" not in done.stdout, f"a table under {words}", done.stdout)


def log_file():
    path = scratch("log")
    done = execute("status", "3", before=["--log", path])
    expect_equal(done.returncode, 3, "status")
    expect_equal(done.stdout + done.stderr, b"", "output")
    with open(path, "rb") as file:
        log = file.read()
    expect(log.rstrip().endswith(b"power-off: status 3"), "no verdict at the end", log)
    for option in ("--log", "--trace", "--stats"):
        refused(tarry(option, "/nowhere/log"), 2, "No such file")


def kernel_words():
    path = scratch("log")
    succeeded(execute("status", "0", before=["--log", path, "--cmdline", "nonsense=1"]))
    with open(path, "rb") as file:
        log = file.read()
    expect(b"nonsense" in log, "the log has no word of an unknown option", log)


def forged_verdict():
    done = execute("arguments", "\npower-off: status 0", "x")
    succeeded(done)
    forger = scratch("power-off: status 0")
    shutil.copyfile(program(), forger)
    expect_equal(tarry("--exec", forger, "crash").returncode, 139, "status")


def counted():
    succeeded(execute("bytes", before=["--icount"]), ALL_BYTES, ALL_BYTES)


def bochs_streams():
    bochs.provide(os.path.join(BUILD, "bochs"))
    data = ALL_BYTES * 16 + b"\x10E"
    done = tarry("--machine", "bochs", "--exec", os.path.join(GUEST_BIN, "cat"), input=data)
    succeeded(done, data)
    done = tarry("--machine", "bochs", "--exec", os.path.join(GUEST_BIN, "false"))
    expect_equal(done.returncode, 1, "status")


def full_disk():
    inner = ('mount -t tmpfs -o size=64k tarry "$1" && shift && export TMPDIR="$1" && shift && '
             'exec "$@"')
    folder = tempfile.mkdtemp(dir=WORK)
    probe = command(["unshare", "-rm", "true"])
    if probe.returncode:
        raise Skip("no namespaces here to mount a small disk in")
    done = command(["unshare", "-rm", "bash", "-c", inner, "bash", folder, folder, SCRIPT,
                    "--exec", program(), "status", "0"])
    refused(done, 1, "no space left")


def missing_tool():
    folder = tempfile.mkdtemp(dir=WORK)
    for name in ("bash", "env", "dirname", "readlink", "python3", "make", "nasm", "xorriso",
                 "mformat", "grub-mkrescue", "x86_64-linux-gnu-gcc", "x86_64-linux-gnu-objcopy"):
        found = shutil.which(name)
        if found:
            os.symlink(found, os.path.join(folder, name))
    done = tarry(env={**os.environ, "PATH": folder})
    refused(done, 1, "qemu-system-x86")


def other_folder():
    path = scratch("here")
    shutil.copyfile(program(), path)
    done = tarry("--exec", "here", "status", "4", cwd=os.path.dirname(path))
    expect_equal(done.returncode, 4, "status")


def gdb():
    with terminal.Terminal([SCRIPT, "--gdb", "--timeout", "60"]) as screen:
        hint = screen.wait_for(b"-ex continue").decode()
        port, entry = re.search(r"127\.0\.0\.1:(\d+)' -ex 'hbreak \*(0x[0-9a-f]+)'", hint).groups()
        words = ["target remote 127.0.0.1:" + port, "hbreak *" + entry, "continue",
                 "p/x $rip", "kill"]
        done = command(["gdb", "-batch", "-nx", os.path.join(BUILD, "tarry.elf"),
                        *[part for word in words for part in ("-ex", word)]])
        text = done.stdout.decode("utf-8", "replace")
        expect(re.search(rf"= {entry}\b", text), "GDB did not stop at the entry", text,
               done.stderr)
        screen.end()


def quick_check():
    started = time.monotonic()
    for _ in range(10):
        succeeded(command([os.path.join(ROOT, "tools", "deps.sh"), "test"]), b"")
    expect(time.monotonic() - started < 1, "looking for the tools takes more than 100 ms")


def tests():
    yield "help", help_text
    yield "bad options", bad_options
    yield "bad programs", bad_programs
    yield "relocatable object", relocatable_object
    yield "unreadable program", unreadable_program
    yield "bad files", bad_files
    yield "missing tool", missing_tool
    yield "full disk", full_disk
    yield "tools are checked quickly", quick_check
    yield "statuses", statuses
    yield "crash gives 139", crash
    yield "arguments", arguments
    yield "stdin: every byte", stdin_binary
    yield "stdin: waits for a slow reader", stdin_waits
    yield "stdin: end of file", stdin_ends
    yield "stdin: unread", stdin_unread
    yield "stdout and stderr: every byte", output_exact
    yield "stdout: reader leaves", reader_leaves
    yield "stdout: disk full", output_full
    yield "other folder", other_folder
    yield "files", files
    yield "copies", copies
    yield "time limit", time_limit
    yield "too little memory", little_memory
    yield "panic gives 125", panic
    yield "panic on all processors", panic_everywhere
    yield "number of processors", processors
    yield "log", log_file
    yield "unknown kernel option", kernel_words
    yield "forged verdict", forged_verdict
    yield "instruction count", counted
    yield "shell on a terminal", lambda: terminals.shell("qemu")
    yield "live screen", terminals.live_screen
    yield "live screen by a key", terminals.live_screen_by_key
    yield "Ctrl-A X", terminals.leave
    yield "SIGTERM", terminals.terminated
    yield "GDB", gdb
    for machine in ("qemu", "bochs"):
        yield f"tour on {machine}", lambda machine=machine: tour(machine)
    yield "tour under other policies", tour_policies
    yield "bochs: streams and status", bochs_streams
    yield "bochs: shell on a terminal", lambda: terminals.shell("bochs")
