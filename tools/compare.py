"""Puts the tour's figures under the three policies side by side.

The tour ends with its own figures in one row. The rows of the other policies come from further
boots of the same tour, one a policy, whose other output nobody sees. No figure is made here.
"""

import dataclasses
import re

from boot import capture

POLICIES = ("deferred", "eager", "lazy")
COLUMNS = ("saves", "loads", "avoided", "traps", "KB moved")
ROW = re.compile(rb"^ *(%s)((?: +\d+){%d}) *\r?\n" % ("|".join(POLICIES).encode(), len(COLUMNS)),
                 re.MULTILINE)
KEPT = 1 << 16
NOTES = (
    "  deferred loads on the way to user mode; avoided: the values were still in the registers.",
    "  eager has loaded by then: at the switch and after each kernel section, needed or not.",
    "  lazy loads when the first vector instruction traps: few loads here, for a trap each, and",
    "  one task's registers lie open while another runs (CVE-2018-3665).")


class RowReader:
    """Passes the console's output on and picks the tour's row out of it."""

    def __init__(self, sink):
        self.sink = sink
        self.text, self.row = b"", None

    def __call__(self, data):
        self.sink(data)
        if not self.row:
            self.text = (self.text + data)[-KEPT:]
            self.row = find_row(self.text)


def find_row(text):
    """(policy, [figures]) from the tour's output, or None."""
    match = ROW.search(text)
    return match and (match[1].decode(), [int(word) for word in match[2].split()])


def other_rows(boot, own):
    """Boots the same tour under each other policy: (rows, None), or (rows, the bad Result)."""
    rows = {own[0]: own[1]}
    for policy in POLICIES:
        if policy in rows:
            continue
        words = f"{boot.cmdline} fpu={policy}"
        result, out, _ = capture(dataclasses.replace(boot, stdin="null", cmdline=words))
        row = find_row(out)
        if result.status or not row:
            return rows, result
        rows[policy] = row[1]
    return rows, None


def table(rows):
    """The text for the console."""
    lines = ["The same tour, booted again under the other two policies:",
             f"{'':12}" + "".join(f"{name:>15}" for name in COLUMNS)]
    lines += [f"  {policy:10}" + "".join(f"{figure:15}" for figure in rows[policy])
              for policy in POLICIES]
    return "\n".join([*lines, *NOTES]) + "\n"
