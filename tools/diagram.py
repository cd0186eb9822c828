"""The state diagram as SVG, from fpu/transitions.def: for the page of the stepper and for docs/.

Where the boxes stand is fixed here; which arrows there are, and their names, comes from the table. An arrow between
two states that has no place here is an error, so that the picture can never lack one.
"""

from xml.sax.saxutils import escape

from errors import HostError
from transitions import POLICIES

WIDTH, HEIGHT = 480, 336
LINE = 11
BOXES = {  # state: left, top, width, height, what is under the name
    "ACTIVE": (14, 44, 120, 42, "registers valid, memory stale"),
    "CACHED": (346, 44, 120, 42, "registers valid, memory valid"),
    "INACTIVE": (180, 212, 120, 42, "registers not, memory valid"),
    "NONE": (190, 302, 100, 28, ""),
}
NAMES = {"NONE": "no context"}
# (from, to): path, then where its names go: x, the y of the first or (negative) of the last, and the anchor.
ARROWS = {
    ("ACTIVE", "CACHED"): ("M134,57 L344,57", 240, -51, "middle"),
    ("CACHED", "ACTIVE"): ("M346,73 L136,73", 240, 86, "middle"),
    ("ACTIVE", "INACTIVE"): ("M68,86 L184,211", 103, 136, "end"),
    ("ACTIVE", "ACTIVE"): ("M50,44 C44,14 92,14 86,42", 92, 24, "start"),
    ("INACTIVE", "ACTIVE"): ("M206,212 L94,88", 182, 136, "start"),
    ("CACHED", "INACTIVE"): ("M412,86 L296,211", 377, 136, "start"),
    ("INACTIVE", "CACHED"): ("M274,212 L386,88", 322, 136, "end"),
    ("INACTIVE", "INACTIVE"): ("M300,226 C334,222 334,252 302,246", 329, 233, "start"),
    ("NONE", "INACTIVE"): ("M224,302 L224,256", 219, 282, "end"),
    ("INACTIVE", "NONE"): ("M256,254 L256,300", 261, 282, "start"),
    ("ACTIVE", "NONE"): ("M20,86 L20,270 Q20,316 64,316 L188,316", 26, 282, "start"),
    ("CACHED", "NONE"): ("M460,86 L460,270 Q460,316 416,316 L292,316", 454, 282, "end"),
}
STYLE = """text{font:10px sans-serif;fill:#333}.name{font-weight:bold;font-size:13px}.under{font-size:8px}
.box{fill:#fff;stroke:#333;stroke-width:1.5}#box-ACTIVE{fill:#cdebd0}#box-CACHED{fill:#cfe2f8}
#box-INACTIVE{fill:#e8e8e8}#box-NONE{stroke-dasharray:4 3}.arrow{fill:none;stroke:#777;stroke-width:1.4}"""


def under(x, y, text):
    """One line, or two if there is a comma."""
    lines = text.split(", ")
    return "".join(f'<text class="under" x="{x}" y="{y + 9 * i}" text-anchor="middle">{line}</text>'
                   for i, line in enumerate(lines) if line)


def box(state):
    x, y, width, height, text = BOXES[state]
    middle = x + width // 2
    name = f'<text class="name" x="{middle}" y="{y + (16 if text else 19)}" text-anchor="middle">' \
           f'{NAMES.get(state, state)}</text>'
    return f'<rect class="box" id="box-{state}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>' \
           f'{name}{under(middle, y + 27, text)}'


def first_name(pair, count):
    """The y of the first of an arrow's names."""
    y = ARROWS[pair][2]
    return y if y > 0 else -y - LINE * (count - 1)


def arrow(pair, transitions):
    """One arrow for a pair of states, with a line for each event that takes it."""
    if pair not in ARROWS:
        raise HostError(f"tools/diagram.py has no place for an arrow from {pair[0]} to {pair[1]}")
    path, x, _, anchor = ARROWS[pair]
    name, first = "-".join(pair), first_name(pair, len(transitions))
    parts = [f'<path class="arrow" id="edge-{name}" d="{path}" marker-end="url(#head)"/>']
    for i, t in enumerate(transitions):
        policies = ", ".join(POLICIES[letter] for letter in t.policies)
        parts.append(f'<text class="label" id="label-{name}-{t.event}" data-policies="{t.policies}" x="{x}" '
                     f'y="{first + LINE * i}" text-anchor="{anchor}"><title>{escape(t.reason)} ({policies})</title>'
                     f'{t.event}</text>')
    return "".join(parts)


def diagram(table, style=STYLE):
    """The picture. style: CSS of its own, or empty where the page has it."""
    pairs = {}
    for t in table.transitions:
        pairs.setdefault((t.start, t.end), []).append(t)
    body = [arrow(pair, transitions) for pair, transitions in pairs.items()] + [box(state) for state in BOXES]
    top = min(0, *(first_name(pair, len(transitions)) - LINE for pair, transitions in pairs.items()))
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top} {WIDTH} {HEIGHT - top}" role="img" '
        'aria-label="The states of a register context and what moves it from one to another">',
        f"<style>{style}</style>" if style else "",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>',
        *body, "</svg>", ""])
