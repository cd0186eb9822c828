#!/usr/bin/env python3
"""Makes malformed ELF files for the tests of execve: mkhostile.py DIRECTORY.

good-*  is valid and ends with status 7: it shows that the others start from something right.
bad-*   must be refused by execve with an error, the caller going on.
odd-*   may be refused or may run and die; either way the kernel must not mind.
Nothing here may depend on a compiler: every byte is written below.
"""
import os
import struct
import sys

BASE = 0x400000
PAGE = 0x1000
CODE = bytes.fromhex("bf07000000" "b8e7000000" "0f05")      # exit_group(7)
PF_X, PF_W, PF_R = 1, 2, 4
PT_LOAD, PT_INTERP = 1, 3


def phdr(kind=PT_LOAD, flags=PF_R | PF_X, offset=0, vaddr=BASE, filesz=None, memsz=None,
         align=PAGE):
    filesz = 0x200 if filesz is None else filesz
    memsz = filesz if memsz is None else memsz
    return struct.pack("<IIQQQQQQ", kind, flags, offset, vaddr, vaddr, filesz, memsz, align)


def elf(phdrs=None, entry=BASE + 0x180, size=0x200, **fields):
    """One file: header, program headers, code at 0x180. Any header field can be replaced."""
    phdrs = [phdr()] if phdrs is None else phdrs
    f = dict(ident=b"\x7fELF\x02\x01\x01" + bytes(9), type=2, machine=62, version=1,
             phoff=64, shoff=0, flags=0, ehsize=64, phentsize=56, phnum=len(phdrs),
             shentsize=0, shnum=0, shstrndx=0)
    f.update(fields)
    header = f["ident"] + struct.pack(
        "<HHIQQQIHHHHHH", f["type"], f["machine"], f["version"], entry, f["phoff"], f["shoff"],
        f["flags"], f["ehsize"], f["phentsize"], f["phnum"], f["shentsize"], f["shnum"],
        f["shstrndx"])
    data = bytearray(max(size, 0x180 + len(CODE)))
    data[:64] = header
    body = b"".join(phdrs)
    data[64:64 + len(body)] = body
    data[0x180:0x180 + len(CODE)] = CODE
    return bytes(data)


def ident(at, value):
    good = bytearray(b"\x7fELF\x02\x01\x01" + bytes(9))
    good[at] = value
    return bytes(good)


def truncations():
    whole = elf()
    for n in (0, 1, 3, 4, 15, 16, 17, 63, 64, 65, 64 + 55, 0x180, 0x1ff):
        yield f"bad-cut-at-{n}", whole[:n]


def headers():
    yield "bad-magic", elf(ident=ident(0, 0x7e))
    yield "bad-32-bit", elf(ident=ident(4, 1))
    yield "bad-big-endian", elf(ident=ident(5, 2))
    yield "bad-machine-i386", elf(machine=3)
    yield "bad-machine-arm64", elf(machine=183)
    yield "bad-type-relocatable", elf(type=1)
    yield "bad-type-core", elf(type=4)
    yield "bad-type-0", elf(type=0)
    yield "bad-phentsize-0", elf(phentsize=0)
    yield "bad-phentsize-32", elf(phentsize=32)
    yield "bad-phentsize-57", elf(phentsize=57)
    yield "bad-phentsize-65535", elf(phentsize=65535)
    yield "bad-phnum-0", elf(phnum=0)
    yield "bad-phnum-65535", elf(phnum=65535)
    yield "bad-phnum-past-end", elf(phnum=100)
    yield "bad-phoff-past-end", elf(phoff=0x10000)
    yield "bad-phoff-wraps", elf(phoff=2**64 - 8)
    yield "bad-phoff-2-63", elf(phoff=2**63)
    yield "bad-no-segments", elf([phdr(kind=0)])
    yield "bad-text", b"just some text\n" * 20
    yield "bad-script", b"#!/nosuch\n" + bytes(100)


def segments():
    yield "bad-memsz-huge", elf([phdr(memsz=2**62)])
    yield "bad-memsz-all", elf([phdr(memsz=2**64 - 1)])
    yield "bad-memsz-past-user", elf([phdr(memsz=0x7fffffffffff)])
    yield "bad-memsz-below-filesz", elf([phdr(filesz=0x200, memsz=0x100)])
    yield "bad-filesz-past-end", elf([phdr(filesz=0x2000)])
    yield "bad-filesz-huge", elf([phdr(filesz=2**40, memsz=2**40)])
    yield "bad-filesz-wraps", elf([phdr(filesz=2**64 - 0x100, memsz=2**64 - 0x100)])
    yield "bad-offset-past-end", elf([phdr(offset=0x100000)])
    yield "bad-offset-wraps", elf([phdr(offset=2**64 - PAGE)])
    yield "bad-offset-2-63", elf([phdr(offset=2**63)])
    yield "bad-vaddr-kernel", elf([phdr(vaddr=0xffffffff80000000)], entry=0xffffffff80000180)
    yield "bad-vaddr-kernel-half", elf([phdr(vaddr=0xffff800000000000)])
    yield "bad-vaddr-non-canonical", elf([phdr(vaddr=0x800000000000)])
    yield "bad-vaddr-top", elf([phdr(vaddr=0x7ffffffff000)], entry=0x7ffffffff180)
    yield "bad-vaddr-across-top", elf([phdr(vaddr=0x7fffffffe000, memsz=0x3000)],
                                      entry=0x7fffffffe180)
    yield "bad-vaddr-wraps", elf([phdr(vaddr=2**64 - PAGE, memsz=0x2000)])
    yield "bad-vaddr-misaligned", elf([phdr(vaddr=BASE + 1)])
    yield "bad-offset-misaligned", elf([phdr(offset=8, filesz=0x1f0)])
    yield "bad-overlap", elf([phdr(), phdr(flags=PF_R | PF_W, memsz=0x3000)])
    yield "bad-overlap-inside", elf([phdr(memsz=0x4000),
                                     phdr(flags=PF_R | PF_W, vaddr=BASE + 0x2000)])
    yield "bad-second-kernel", elf([phdr(), phdr(flags=PF_R | PF_W,
                                                 vaddr=0xffffffff80100000)])
    yield "good-write-and-execute", elf([phdr(flags=PF_R | PF_W | PF_X)])  # as on Linux
    yield "bad-interpreter", elf([phdr(), phdr(kind=PT_INTERP, offset=0x190, vaddr=BASE + 0x190,
                                               filesz=16)])
    yield "bad-interpreter-outside", elf([phdr(), phdr(kind=PT_INTERP, offset=0x100000,
                                                       filesz=2**40)])


def entries():
    yield "bad-entry-outside", elf(entry=0x10000000)
    yield "bad-entry-0", elf(entry=0)
    yield "bad-entry-kernel", elf(entry=0xffffffff80100000)
    yield "bad-entry-non-canonical", elf(entry=0x800000000000)
    yield "bad-entry-behind-memsz", elf(entry=BASE + PAGE)
    yield "odd-entry-not-executable", elf([phdr(flags=PF_R)])
    yield "odd-entry-in-header", elf(entry=BASE)
    yield "odd-no-permissions", elf([phdr(flags=0)])
    yield "odd-align-0", elf([phdr(align=0)])
    yield "odd-align-3", elf([phdr(align=3)])
    yield "odd-align-huge", elf([phdr(align=2**63)])
    yield "odd-vaddr-0", elf([phdr(vaddr=0)], entry=0x180)
    yield "odd-out-of-order", elf([phdr(vaddr=BASE + 0x10000), phdr()])
    yield "odd-dyn-huge-vaddr", elf([phdr(vaddr=0x7fffffff0000)], entry=0x7fffffff0180, type=3)
    yield "odd-empty-segment", elf([phdr(), phdr(flags=PF_R | PF_W, vaddr=BASE + 0x2000,
                                                 filesz=0, memsz=0)])
    yield "odd-bss-1-gib", elf([phdr(), phdr(flags=PF_R | PF_W, vaddr=BASE + 0x2000, filesz=0,
                                             memsz=2**30)])


def files():
    yield "good-exec", elf()
    yield "good-dyn", elf([phdr(vaddr=0)], entry=0x180, type=3)
    yield "good-bss", elf([phdr(), phdr(flags=PF_R | PF_W, vaddr=BASE + 0x2000, filesz=0,
                                        memsz=0x5000)])
    yield from truncations()
    yield from headers()
    yield from segments()
    yield from entries()


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: mkhostile.py DIRECTORY")
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, data in files():
        path = os.path.join(sys.argv[1], name)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, 0o755)


if __name__ == "__main__":
    main()
