"""fx-layout: the state components, as CPUID described them to the kernel, and where they lie in an XSAVE area.

The numbers come from fpu_config.layout, the names from xstate_name's table.
"""

import dataclasses

import gdb

from fx import kernel
from fx.command import Command, table

ALIGN = 64
LEGACY_FEATURES = 2                # x87 and SSE lie in the legacy region, at places of their own


@dataclasses.dataclass
class Feature:
    """One state component."""
    number: int
    name: str
    size: int
    offset: int                    # in the standard format, or None
    supervisor: bool
    align64: bool
    xfd: bool


def bits(value):
    """The numbers of the bits that are set."""
    return [number for number in range(64) if value >> number & 1]


def all_names():
    return kernel.texts("names", "fpu/xstate.c")


def feature_names(mask):
    """The components of a mask by name, one behind the other."""
    names = all_names()
    return " ".join(names[number] for number in bits(mask) if number < len(names))


def legacy(number, names):
    """x87 and SSE: what CPUID does not say, the structure does."""
    fields = {field.name: field for field in gdb.lookup_type("struct xsave_area").fields()}
    registers = fields["st" if number == 0 else "xmm"]
    start = 0 if number == 0 else registers.bitpos // 8
    end = registers.bitpos // 8 + registers.type.sizeof
    return Feature(number, names[number], end - start, start, False, False, False)


def features():
    """{number: Feature} of what the machine has and the kernel knows."""
    layout, names = kernel.symbol("fpu_config")["layout"], all_names()
    found = {}
    for number in bits(int(layout["user"]) | int(layout["supervisor"])):
        if number < LEGACY_FEATURES:
            found[number] = legacy(number, names)
            continue
        value = layout["component"][number]
        supervisor = bool(value["supervisor"])
        found[number] = Feature(number, names[number], int(value["size"]),
                                None if supervisor else int(value["offset"]), supervisor,
                                bool(value["align64"]), bool(value["xfd"]))
    return found


def compacted(known, xcomp_bv):
    """{number: offset} in an area with that XCOMP_BV, and its size (manual, volume 1, 13.4.3)."""
    at = gdb.lookup_type("struct xsave_area")["extended"].bitpos // 8
    offsets = {number: known[number].offset for number in range(LEGACY_FEATURES)}
    for number in bits(xcomp_bv & ~(1 << 63)):
        if number < LEGACY_FEATURES:
            continue
        if known[number].align64:
            at = (at + ALIGN - 1) // ALIGN * ALIGN
        offsets[number] = at
        at += known[number].size
    return offsets, at


def find_feature(word, known):
    """The component of that name or number."""
    for feature in known.values():
        if word.lower() in (feature.name.lower(), str(feature.number)):
            return feature
    raise gdb.GdbError(f"no component {word} in this machine: it has "
                       + " ".join(feature.name for feature in known.values()))


def switched(number, config):
    """By what the kernel moves a component."""
    if int(config["mask"]) >> number & 1:
        return "XSAVES" if config["native"] else "model"
    return "RDPKRU" if int(config["features"]) >> number & 1 else "-"


def bar(known, offsets, size):
    """A picture of an fpstate: a box for each piece, with its offset below."""
    header = gdb.lookup_type("struct xsave_area")["xstate_bv"].bitpos // 8
    pieces = sorted([(at, known[number].name) for number, at in offsets.items()] + [(header, "header")])
    boxes = [max(len(name), len(str(at))) + 2 for at, name in pieces]
    top = "|" + "|".join(f" {name}".ljust(width) for (_, name), width in zip(pieces, boxes)) + "|"
    below = " " + " ".join(str(at).ljust(width) for (at, _), width in zip(pieces, boxes)) + f" {size}"
    return [top, below]


class Layout(Command):
    """The state components, by CPUID: numbers, sizes, places in both formats, and an fpstate's picture.

Usage: fx-layout"""
    name = "fx-layout"

    def run(self, words):
        config, known = kernel.symbol("fpu_config"), features()
        offsets, size = compacted(known, int(config["mask"]) & ~int(config["dynamic"]))
        rows = [("component", "bit", "bytes", "standard", "compacted", "enabled in", "moved by", "")]
        for number, f in known.items():
            enabled = int(config["features"]) >> number & 1
            register = "IA32_XSS" if f.supervisor else "XCR0"
            notes = [text for flag, text in ((f.align64, "64-aligned"), (f.xfd, "XFD")) if flag]
            rows.append((f.name, number, f.size, "-" if f.offset is None else f.offset,
                         offsets.get(number, "-"), register if enabled else "not enabled",
                         switched(number, config), " ".join(notes)))
        lines = table(rows)
        lines += ["", f"XCR0 {int(config['xcr0']):#x} = {feature_names(int(config['xcr0']))};"
                      f" IA32_XSS {int(config['xss']):#x} = {feature_names(int(config['xss'])) or 'nothing'}"
                      + ("" if config["native"] else " (modelled)"),
                  f"An fpstate, compacted, {size} bytes:", *bar(known, offsets, size)]
        return lines


Layout()
