"""Reads the nested KTAP that the boot tests print and gives one Outcome for each innermost test.

Everything that is missing counts as failed: a plan that was not kept, a report that stops in the
middle, a parent that failed though all its children did not.
"""

import re

from framework import FAILED, OK, SKIPPED, Outcome

RESULT = re.compile(r"(not )?ok \d+ ?(?:- )?(.*?)(?: # (SKIP|XFAIL|TIMEOUT|ERROR) ?(.*))?")
EXPECTED_END = re.compile(r"\S+ ended with status [1-9]\d?")
PLAN = re.compile(r"1\.\.(\d+)")


class Level:
    """One level of nesting: its plan, its results so far and the lines since the last one."""

    def __init__(self):
        self.plan, self.count, self.outcomes, self.lines = None, 0, [], []

    def plan_broken(self):
        if self.plan is None:
            return "no plan"
        return f"planned {self.plan} tests, ran {self.count}" if self.plan != self.count else ""


def judge(match, lines, children):
    """The outcomes of one result line."""
    bad, name, directive, reason = match.groups()
    below = []
    if children:
        below = [Outcome(f"{name}/{o.name}", o.state, o.detail) for o in children.outcomes]
        broken = children.plan_broken()
        if broken:
            lines = [broken] + lines
            bad = True
    if directive in ("SKIP", "XFAIL"):
        return below + [Outcome(name, SKIPPED, reason or directive)]
    if any(o.state == FAILED for o in below):
        lines = [line for line in lines if not EXPECTED_END.fullmatch(line)]
        bad = bool(lines)
    if directive or bad:
        return below + [Outcome(name, FAILED, "\n".join(lines) or "not ok")]
    return below or [Outcome(name, OK)]


def parse(text):
    """(outcomes, trouble): trouble is empty if the report is complete."""
    levels = [Level()]
    for line in text.splitlines():
        body = line.lstrip(" ")
        depth = (len(line) - len(body)) // 2
        plan, result = PLAN.fullmatch(body), RESULT.fullmatch(body)
        if plan or result:
            while len(levels) <= depth:
                levels.append(Level())
        level = levels[min(depth, len(levels) - 1)]
        if plan:
            level.plan = int(plan[1])
        elif result:
            children = levels[depth + 1] if len(levels) > depth + 1 else None
            level.outcomes += judge(result, level.lines, children)
            level.count, level.lines = level.count + 1, []
            del levels[depth + 1:]
        elif body and not body.startswith("KTAP version"):
            level.lines.append(body.removeprefix("# "))
    return finish(levels)


def finish(levels):
    """The report's end: what is still open at a deeper level was cut off."""
    outcomes = [outcome for level in levels for outcome in level.outcomes]
    if len(levels) > 1:
        return outcomes, "the report stops in the middle of a test"
    return outcomes, levels[0].plan_broken()
