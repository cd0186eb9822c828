"""Where each component lies in an XSAVE area, from the CPUID tables in tests/cpuid: numbers, and pictures as SVG.

The rules are those of the manual, volume 1, 13.2 and 13.4. The kernel has its own arithmetic for the same in
fpu/xstate.c; this one is for docs/ alone.
"""

import dataclasses
import os
import re

from errors import HostError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "tests", "cpuid")
NAMES = os.path.join(ROOT, "fpu", "xstate.c")
LEAF = 0xd
LEGACY, HEADER, ALIGN = 512, 64, 64
COMPACT_FIRST = LEGACY + HEADER
WIDTH, COLUMN, TOP = 640, 230, 40
SUPERVISOR, ALIGNED, XFD = 1, 2, 4                 # in ECX of a component's sub-leaf


@dataclasses.dataclass
class Component:
    """offset: in the standard format, where a supervisor component is not."""
    number: int
    name: str
    size: int
    offset: int
    supervisor: bool
    aligned: bool
    xfd: bool


def component_names():
    with open(NAMES, encoding="ascii") as file:
        found = re.search(r"names\[XF_COUNT\] = \{(.*?)\}", file.read(), re.DOTALL)
    if not found:
        raise HostError(f"{NAMES}: the names of the components can't be found")
    return re.findall(r'"(\w+)"', found[1])


def read_table(name):
    """{(leaf, sub-leaf): (eax, ebx, ecx, edx)}"""
    with open(os.path.join(FOLDER, f"cpuid-{name}.txt"), encoding="ascii") as file:
        lines = [[int(word, 16) for word in line.split()] for line in file if line.strip()]
    return {tuple(words[:2]): tuple(words[2:6]) for words in lines}


def components(name):
    """The components of a processor from number 2 on, by number."""
    table, names = read_table(name), component_names()
    main, one = table[LEAF, 0], table.get((LEAF, 1), (0, 0, 0, 0))
    mask = main[0] | main[3] << 32 | one[2] | one[3] << 32
    for number in range(2, len(names)):
        size, offset, flags, _ = table.get((LEAF, number), (0, 0, 0, 0))
        if mask >> number & 1 and size:
            yield Component(number, names[number], size, offset, bool(flags & SUPERVISOR), bool(flags & ALIGNED),
                            bool(flags & XFD))


def standard(parts):
    """[(component or None for a gap, offset, size)] of the standard format."""
    at, rows = COMPACT_FIRST, []
    for part in sorted((part for part in parts if not part.supervisor), key=lambda part: part.offset):
        if part.offset > at:
            rows.append((None, at, part.offset - at))
        rows.append((part, part.offset, part.size))
        at = part.offset + part.size
    return rows


def compacted(parts):
    """The same of the compacted format with every component of the processor."""
    at, rows = COMPACT_FIRST, []
    for part in parts:
        start = -(-at // ALIGN) * ALIGN if part.aligned else at
        if start > at:
            rows.append((None, at, start - at))
        rows.append((part, start, part.size))
        at = start + part.size
    return rows


def end_of(rows):
    return rows[-1][1] + rows[-1][2] if rows else COMPACT_FIRST


def height(size):
    """Not to scale: 8 KB of tiles beside 8 bytes of PKRU could not both be seen."""
    return 15 + min(size, 1024) // 32


def draw(x, title, rows):
    """One column; gives its SVG and where it ends."""
    parts = [f'<text class="title" x="{x}" y="{TOP - 22}">{title}</text>',
             f'<text x="{x}" y="{TOP - 8}">{end_of(rows):,} bytes</text>']
    y = TOP
    for part, start, size in [("legacy region: x87, SSE", 0, LEGACY), ("header: XSTATE_BV, XCOMP_BV", LEGACY, HEADER), *rows]:
        tall = height(size)
        kind = "gap" if part is None else "fixed" if isinstance(part, str) else "supervisor" if part.supervisor else "user"
        name = "unused" if part is None else part if isinstance(part, str) else f"{part.number} {part.name}" \
            + (", supervisor" if part.supervisor else "") + (", XFD" if part.xfd else "")
        parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{COLUMN}" height="{tall}"/>'
                     f'<text x="{x + 6}" y="{y + tall // 2 + 4}">{name}</text>'
                     f'<text x="{x + COLUMN - 6}" y="{y + tall // 2 + 4}" text-anchor="end">{size:,}</text>'
                     f'<text class="offset" x="{x - 5}" y="{y + 9}" text-anchor="end">{start}</text>')
        y += tall
    return parts, y


def picture(name, title):
    """The two formats of a processor side by side."""
    parts = list(components(name))
    left, left_end = draw(60, "standard: signal frames, ptrace", standard(parts))
    right, right_end = draw(60 + COLUMN + 80, "compacted: what the kernel keeps", compacted(parts))
    bottom = max(left_end, right_end) + 20
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 12}" width="{WIDTH}">',
        "<style>text{font:11px sans-serif;fill:#222}.title{font-weight:bold}.offset{fill:#777;font-size:10px}"
        "rect{stroke:#555}.fixed{fill:#eee}.user{fill:#cfe2f8}.supervisor{fill:#f8dfc4}.gap{fill:#fff;"
        "stroke-dasharray:3 3}</style>",
        f'<rect x="0" y="0" width="{WIDTH}" height="{bottom + 12}" style="fill:#fff;stroke:none"/>',
        *left, *right, f'<text x="60" y="{bottom}">{title}. Offsets on the left, sizes on the right, in bytes; '
        "heights are not to scale.</text>", "</svg>", ""])
