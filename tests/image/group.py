"""What may be in our binaries: read from the disassembly, because a compiler may change its mind.

A 64-bit signed division gives garbage on Bochs, a vector instruction in the kernel destroys user
registers, and a segment that is both writable and executable breaks W^X.
"""

import os
import re
import shutil

import elf
from framework import BUILD, ROOT, Fail, build_programs, command, expect

KERNEL = os.path.join(BUILD, "tarry.elf")
REGISTER_64 = r"%r(?:[abcd]x|[sd]i|[sb]p|8|9|1[0-5])\b"
SIGNED_DIVISION = re.compile(rf"\bidivq\b|\bidiv\s+{REGISTER_64}")
VECTOR = re.compile(r"%(?:[xyz]?mm\d|k[0-7]|st)|\t(?:f(?!s\b)[a-z]+|v?ldmxcsr|v?stmxcsr|emms"
                    r"|vzero\w+|xsave\w*|xrstor\w*)\b")
FUNCTION = re.compile(r"[0-9a-f]+ <(.+)>:")

# Kernel objects that handle vector registers: nothing else there may touch one.
VECTOR_OBJECTS = re.compile(r"fpu/[a-z_]+\.o|kernel/crypto/[a-z0-9]+_(?:sse2|avx2)\.o")

GNU_STACK = 0x6474E551


def tool(name):
    """The cross tool that matches the compiler."""
    prefix = os.environ.get("CROSS_COMPILE")
    for candidate in ([prefix] if prefix is not None else ["x86_64-linux-gnu-", "x86_64-elf-"]):
        if shutil.which(candidate + name):
            return candidate + name
    return name


def instructions(path):
    """(function, instruction text) of everything that is code."""
    done = command([tool("objdump"), "-d", "--no-show-raw-insn", path])
    expect(done.returncode == 0, f"objdump failed on {path}", done.stderr)
    function = "?"
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        start = FUNCTION.match(line)
        if start:
            function = start[1]
        elif ":\t" in line:
            yield function, "\t" + line.split(":\t", 1)[1].split("#")[0].strip()


def binaries():
    return [KERNEL] + [os.path.join(ROOT, path) for path in build_programs()]


def refuse(found, what):
    """Fails with the places, if there are any."""
    if found:
        places = [f"{os.path.relpath(path, ROOT)}: {function}: {text.strip()}"
                  for path, function, text in found]
        raise Fail("\n".join([f"{len(found)} {what}", *places[:12]]))


def no_signed_division():
    refuse([(path, function, text) for path in binaries() for function, text in instructions(path)
            if SIGNED_DIVISION.search(text)], "64-bit signed divisions")


def kernel_objects():
    """Paths of the kernel's object files below the build folder."""
    for directory in ("boot", "kernel", "fpu", "sched"):
        for where, _, names in os.walk(os.path.join(BUILD, directory)):
            for name in sorted(names):
                if name.endswith(".o"):
                    yield os.path.relpath(os.path.join(where, name), BUILD)


def no_vector_in_kernel():
    found, allowed = [], 0
    for name in kernel_objects():
        path = os.path.join(BUILD, name)
        here = [(path, function, text) for function, text in instructions(path)
                if VECTOR.search(text)]
        if VECTOR_OBJECTS.fullmatch(name):
            allowed += len(here)
        else:
            found += here
    refuse(found, "vector or x87 instructions in kernel objects that must not have any")
    expect(allowed, "no vector instruction anywhere: the test looks in the wrong place")


def write_xor_execute():
    for path in binaries():
        with open(path, "rb") as file:
            headers = elf.program_headers(file.read())
        for kind, flags, *_ in headers:
            if kind in (elf.PT_LOAD, GNU_STACK) and flags & elf.FLAG_X and flags & elf.FLAG_W:
                raise Fail(f"{os.path.relpath(path, ROOT)}: a segment is writable and executable")


def detects():
    """The patterns find what they are for, and only that."""
    for text in ("\tidiv   %rcx", "\tidivq  0x8(%rsp)", "\tidiv   %r9"):
        expect(SIGNED_DIVISION.search(text), f"missed: {text}")
    for text in ("\tidiv   %ecx", "\tidivl  0x8(%rsp)", "\tdiv    %rcx", "\tidiv   %r9d"):
        expect(not SIGNED_DIVISION.search(text), f"wrongly found: {text}")
    for text in ("\tmovaps %xmm0,(%rdi)", "\tfninit", "\txsave  (%rdi)", "\tfld    %st(1)",
                 "\txrstor64 (%rdi)", "\tvzeroupper", "\tkmovq  %k1,%rax", "\tmovq   %mm0,%rax"):
        expect(VECTOR.search(text), f"missed: {text}")
    for text in ("\tmov    %fs:0x0,%rax", "\tmfence", "\txgetbv", "\txsetbv", "\tmov %rax,%rbx"):
        expect(not VECTOR.search(text), f"wrongly found: {text}")


def tests():
    yield "patterns", detects
    yield "no 64-bit signed division", no_signed_division
    yield "no vector instruction in the kernel", no_vector_in_kernel
    yield "no writable and executable segment", write_xor_execute
