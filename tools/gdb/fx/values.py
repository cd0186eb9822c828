"""Register values, from an fpstate in memory or from a CPU.

A component in its initial state has initial values, whatever bytes lie in memory. GDB's stub knows no YMM
register, so a CPU's values come from the emulator's own `info registers`; what that does not print is not made up.
"""

import dataclasses
import re
import struct

import gdb

from fx import contexts, kernel
from fx.layout import bits, compacted, features

XMM_BYTES, ST_BYTES = 16, 10
PAGE_SIZE = 4096
MONITOR = "monitor info registers -a"
UNSEEN = "no debugger sees it on this machine"


@dataclasses.dataclass(frozen=True)
class Register:
    """One register: kind says what it can be shown as (show.py)."""
    name: str
    kind: str
    value: int
    size: int                      # bytes


@dataclasses.dataclass
class Values:
    """registers: {component: [Register]}, without those that can't be seen. stale: why they are not current."""
    title: str
    registers: dict
    in_use: int = None             # XSTATE_BV, or None where nobody tells
    offsets: dict = None           # of an fpstate
    size: int = 0
    stale: str = ""


def split(data, size, kind, name):
    """Registers of one size that lie behind each other; name has a place for the number."""
    return [Register(name.format(at // size), kind, int.from_bytes(data[at:at + size], "little"), size)
            for at in range(0, len(data), size)]


def array_bytes(value):
    return bytes(value.bytes) if hasattr(value, "bytes") else \
        kernel.memory(kernel.address(value.address), value.type.sizeof)


def decode_x87(area):
    control = [Register(name, kind, int(area[name]), area[name].type.sizeof)
               for name, kind in (("fcw", "fcw"), ("fsw", "fsw"), ("ftw", "hex"), ("fop", "hex"), ("fip", "hex"),
                                  ("fdp", "hex"))]
    return control + [Register(f"st{i}", "x87", int.from_bytes(array_bytes(area["st"][i])[:ST_BYTES], "little"),
                               ST_BYTES) for i in range(8)]


def decode_sse(area):
    return [Register("mxcsr", "mxcsr", int(area["mxcsr"]), 4),
            *split(array_bytes(area["xmm"]), XMM_BYTES, "vector", "xmm{}")]


# What lies in the components behind the header; the manual's names of the registers.
PIECES = {
    "XF_AVX": (16, "vector", "ymm{} high"),
    "XF_OPMASK": (8, "hex", "k{}"),
    "XF_ZMM_HI256": (32, "vector", "zmm{} high"),
    "XF_PKRU": (4, "pkru", "pkru"),
    "XF_PASID": (8, "hex", "IA32_PASID"),
}
TILE_BYTES, TILE_ROWS, TILES = 64, 16, 8
NAMED = {"XF_CET_U": ("IA32_U_CET", "IA32_PL3_SSP"), "XF_BNDCSR": ("BNDCFGU", "BNDSTATUS")}


def decode_tiles(data):
    return [Register(f"tmm{i // TILE_ROWS} row {i % TILE_ROWS}", row.kind, row.value, row.size)
            for i, row in enumerate(split(data, TILE_BYTES, "vector", ""))]


def decode_tile_config(data):
    """How many rows of how many bytes each tile has."""
    palette, start, *shapes = struct.unpack("<2B14x16H16B", data)
    return [Register("palette", "hex", palette, 1), Register("start_row", "hex", start, 1),
            *(Register(f"tmm{i} {name}", "hex", shapes[at + i], size)
              for i in range(TILES) for name, at, size in (("rows", 16, 1), ("colsb", 0, 2)))]


def decode_piece(enumerator, data):
    if enumerator == "XF_TILEDATA":
        return decode_tiles(data)
    if enumerator == "XF_TILECFG":
        return decode_tile_config(data)
    if enumerator in PIECES:
        return split(data, *PIECES[enumerator])
    if enumerator in NAMED:
        return [Register(name, "hex", value, 8) for name, value in
                zip(NAMED[enumerator], struct.unpack_from("<2Q", data))]
    if enumerator == "XF_HI16_ZMM":
        return [Register(f"zmm{i + 16}", "vector", r.value, r.size)
                for i, r in enumerate(split(data, 64, "vector", "{}"))]
    return split(data, 8, "hex", "word {}")


def numbers():
    """{enumerator of enum xfeature: its value}"""
    return kernel.enumerators("xfeature")


def area_bytes(area, at, size):
    """The bytes of an fpstate from an offset on. A large one may be in scattered pages (fpu/buffers.h)."""
    first, data = kernel.address(area.address), b""
    if not kernel.symbol("fpu_buffers")["open"] or not int(area["xcomp_bv"]) >> numbers()["XF_TILEDATA"] & 1:
        return kernel.memory(first + at, size)
    while len(data) < size:
        page, within = divmod(at + len(data), PAGE_SIZE)
        start = kernel.address(area["more"]["page"][page - 1]) if page else first
        data += kernel.memory(start + within, min(size - len(data), PAGE_SIZE - within))
    return data


def area_registers(where, offsets, known):
    """{component: registers} of the fpstate at an address."""
    found, names = {}, {value: name for name, value in numbers().items()}
    area = gdb.Value(where).cast(gdb.lookup_type("struct xsave_area").pointer()).dereference()
    for number, at in offsets.items():
        if names[number] == "XF_X87":
            found[number] = decode_x87(area)
        elif names[number] == "XF_SSE":
            found[number] = decode_sse(area)
        else:
            found[number] = decode_piece(names[number], area_bytes(area, at, known[number].size))
    return found


def initial(known=None):
    """Initial values, from the image that the kernel loads for them."""
    known, names = known or features(), {value: name for name, value in numbers().items()}
    image, config = kernel.symbol("init_image", "fpu/image.c"), kernel.symbol("fpu_config")
    offsets, size = compacted(known, int(config["mask"]) & ~int(config["dynamic"]))
    registers = area_registers(kernel.address(image), offsets, known)
    for number in bits(int(config["dynamic"])):             # all zero, and the image has no room for them
        registers[number] = decode_piece(names[number], bytes(known[number].size))
    return Values("initial values", registers, 0, offsets, size)


def of_task(task):
    """The fpstate of a task, and its PKRU, which is kept beside it."""
    known, context = features(), task.context
    area = context["fpstate"].dereference()
    in_use, where = int(area["xstate_bv"]), kernel.address(context["fpstate"])
    offsets, size = compacted(known, int(area["xcomp_bv"]))
    registers = area_registers(where, offsets, known)
    clean = initial(known).registers
    for number in registers:
        if not in_use >> number & 1:
            registers[number] = clean[number]
    state = contexts.state_of(task)
    values = Values(f"{task}, context {int(context['id'])}, fpstate at {where:#x}", registers, in_use, offsets, size)
    if kernel.symbol("fpu_config")["pku"]:
        registers[numbers()["XF_PKRU"]] = [Register("pkru", "pkru", int(context["pkru"]), 4)]
    if state.name == "ACTIVE":
        cpu = state.running.id if state.running else state.last_cpu
        values.stale = f"STALE: the task is ACTIVE, its values are in CPU {cpu}'s registers (fx-area cpu{cpu})"
    return values


def monitor_text(cpu):
    """The emulator's print of one CPU's registers."""
    with kernel.selection_kept():
        index = kernel.thread_of(cpu).ptid[1] - 1
    try:
        shown = gdb.execute(MONITOR, to_string=True)
    except gdb.error as error:
        raise gdb.GdbError("the registers of a CPU can be seen on QEMU only: this machine has no monitor") from error
    parts = re.split(r"^CPU#(\d+)\s*$", shown, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2])).get(str(index))
    if not found or "FCW=" not in found:
        raise gdb.GdbError(f"`{MONITOR}` shows no registers of CPU {cpu.id}")
    return found


def monitor_x87(shown):
    """Physical registers, in the order of the stack."""
    words = {name: int(value, 16) for name, value in re.findall(r"\b(FCW|FSW|FTW)=([0-9a-f]+)", shown)}
    physical = [int(exponent + mantissa, 16)
                for mantissa, exponent in re.findall(r"FPR\d=([0-9a-f]{16}) ([0-9a-f]{4})", shown)]
    top = words["FSW"] >> 11 & 7
    return [Register("fcw", "fcw", words["FCW"], 2), Register("fsw", "fsw", words["FSW"], 2),
            Register("ftw", "hex", words["FTW"], 1),
            *(Register(f"st{i}", "x87", physical[(top + i) % 8], ST_BYTES) for i in range(8))]


def modelled(soft, at):
    """The registers of a CPU that the model has in memory."""
    enabled, tiles = int(kernel.symbol("fpu_config")["features"]), soft["tiles"]
    found = {"XF_PASID": [Register("IA32_PASID", "hex", int(soft["pasid"]), 8)],
             "XF_TILECFG": decode_tile_config(array_bytes(tiles["config"])),
             "XF_TILEDATA": decode_tiles(array_bytes(tiles["tile"]))}
    return {at[name]: registers for name, registers in found.items() if enabled >> at[name] & 1}


def of_cpu(cpu):
    """What the registers of a CPU hold now."""
    shown, at = monitor_text(cpu), numbers()
    registers = {at["XF_X87"]: monitor_x87(shown)}
    vectors = [int(value.replace(" ", ""), 16) for value in re.findall(r"[XY]MM\d\d=([0-9a-f ]+)", shown)]
    low = (1 << 8 * XMM_BYTES) - 1
    mxcsr = int(re.search(r"MXCSR=([0-9a-f]+)", shown)[1], 16)
    registers[at["XF_SSE"]] = [Register("mxcsr", "mxcsr", mxcsr, 4),
                               *(Register(f"xmm{i}", "vector", v & low, XMM_BYTES) for i, v in enumerate(vectors))]
    if "YMM" in shown:
        registers[at["XF_AVX"]] = [Register(f"ymm{i} high", "vector", v >> 8 * XMM_BYTES, XMM_BYTES)
                                   for i, v in enumerate(vectors)]
    if cpu.fpu["soft"]:
        registers.update(modelled(cpu.fpu["soft"].dereference(), at))
    return Values(f"registers of CPU {cpu.id} ({contexts.owner_text(cpu, kernel.tasks())})", registers)


def find(word):
    """The values that a word of a command's names: cpuN, init, or a task."""
    match = re.fullmatch(r"cpu(\d+)", word)
    if word == "init":
        return initial()
    if not match:
        task = kernel.find_task(word)
        if not task.has_registers:
            raise gdb.GdbError(f"{task} has no fpstate")
        return of_task(task)
    found = [cpu for cpu in kernel.cpus() if cpu.id == int(match[1])]
    if not found:
        raise gdb.GdbError(f"no {word}: the last is cpu{len(kernel.cpus()) - 1}")
    return of_cpu(found[0])
