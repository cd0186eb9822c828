"""Tells whether a host file is a program that Tarry can start, before a machine is booted for it.

Only what a person gets wrong is checked here: another architecture, a dynamic program, a file cut
short. It must never be relied on for safety: the kernel's own loader judges every file again.
"""

import struct

from errors import USAGE, HostError

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
ELFCLASS64 = 2
ELFDATA2LSB = 1
EM_X86_64 = 62
ET_EXEC = 2
ET_DYN = 3
PT_LOAD = 1
PT_INTERP = 3
OTHER_TYPES = {1: "a relocatable object, not a linked program", 4: "a core dump"}
FLAG_X, FLAG_W = 1, 2


def program_headers(data):
    """The program headers as tuples (type, flags, offset, vaddr, paddr, filesz, memsz, align)."""
    fields = HEADER.unpack_from(data)
    offset, entry_size, count = fields[5], fields[9], fields[10]
    if entry_size != PROGRAM_HEADER.size or offset + count * entry_size > len(data):
        return None
    return [PROGRAM_HEADER.unpack_from(data, offset + i * entry_size) for i in range(count)]


def entry_point(data):
    """The address of the first instruction."""
    return HEADER.unpack_from(data)[4]


def why_not_static(data):
    """None if data is a static x86-64 program, else the reason in one line."""
    if data[:4] != b"\x7fELF":
        return "not an ELF file"
    if len(data) > 4 and data[4] == 1:
        return "a 32-bit ELF file (Tarry runs 64-bit programs)"
    if len(data) < HEADER.size:
        return "truncated: the ELF header is cut short"
    _, kind, machine, *_ = HEADER.unpack_from(data)
    if data[4] != ELFCLASS64 or data[5] != ELFDATA2LSB or machine != EM_X86_64:
        return f"an ELF file for another processor (machine {machine}, not x86-64)"
    if kind not in (ET_EXEC, ET_DYN):
        return OTHER_TYPES.get(kind, f"not a program (ELF type {kind})")
    headers = program_headers(data)
    if headers is None:
        return "truncated: the program headers are outside the file"
    if any(header[0] == PT_INTERP for header in headers):
        return "dynamic: has PT_INTERP (link it with -static)"
    loads = [header for header in headers if header[0] == PT_LOAD]
    if not loads:
        return "nothing to load: no PT_LOAD segment"
    if any(header[2] + header[5] > len(data) for header in loads):
        return "truncated: a segment ends outside the file"
    if entry_point(data) == 0:
        return "no entry point (a shared library?)"
    return None


def require_static(path, data):
    """Refuses a file that Tarry could never start."""
    reason = why_not_static(data)
    if reason:
        raise HostError(f"{path}: {reason}", USAGE)
