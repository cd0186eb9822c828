"""fpu/transitions.def for programs: the events and the transitions, in the table's own order and words.

The one reader of that file outside the kernel. Nothing that it says may be written down a second time elsewhere.
"""

import dataclasses
import os
import re

from errors import HostError

TABLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fpu", "transitions.def")
STATES = ("NONE", "ACTIVE", "CACHED", "INACTIVE")
POLICIES = {"d": "deferred", "e": "eager", "l": "lazy"}
EVENT = re.compile(r'^FPU_EVENT\((\w+), "(.*)"\)$', re.MULTILINE)
TRANSITION = re.compile(r'^FPU_TRANSITION\((\w+), (\w+), (\w+), "(\w+)", "([^"]*)", "([^"]*)"\)$', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Transition:
    """One line of the table. policies: letters of POLICIES."""
    event: str
    start: str
    end: str
    policies: str
    source: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Table:
    """events: {name: what makes a context change state}."""
    events: dict
    transitions: tuple

    def legal(self, event, start, end, policy):
        """policy: its first letter."""
        return any((t.event, t.start, t.end) == (event, start, end) and policy in t.policies
                   for t in self.transitions)


def read_table():
    """The table. A line of it that this module would miss, or can't place, is an error."""
    with open(TABLE, encoding="ascii") as file:
        text = file.read()
    table = Table(dict(EVENT.findall(text)), tuple(Transition(*found) for found in TRANSITION.findall(text)))
    for word, found in (("FPU_EVENT", table.events), ("FPU_TRANSITION", table.transitions)):
        if len(re.findall(rf"^{word}\(", text, re.MULTILINE)) != len(found) or not found:
            raise HostError(f"{TABLE}: not every {word} can be read")
    for t in table.transitions:
        if t.event not in table.events or not {t.start, t.end} <= set(STATES) or not set(t.policies) <= set(POLICIES):
            raise HostError(f"{TABLE}: {t.event} {t.start} {t.end} {t.policies} has an unknown name")
    return table
