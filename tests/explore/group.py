"""The explorer: every order of events on the real code of fpu/.

make explore prints the same and more; here each configuration is a test. Its failure is the shortest
story that leads there. On one CPU all of them are searched, on two the default policy's but for
intonly=ts; that one, other policies on two CPUs, and long walks, are for make explore.
"""

import os
import re
import subprocess

from boot import make
from framework import BUILD, FAILED, OK, Fail, Outcome, command, excerpt

VERDICT = re.compile(r"(ok|FAIL) (.+)")
VERDICTS = 3 * (6 + 1)  # for each policy its configurations, and the table's transitions
COVERED = re.compile(r"(\d+) states, (\d+) edges")
TWO_CPUS = ["no integer-only", "intonly=init"]
WALKS = 2000
SECONDS = 1200
TARGETS = []               # each test builds its own program


def summary(story):
    """What the passes have covered together; anything else as it is."""
    covered = [match for match in map(COVERED.search, story) if match]
    if not covered:
        return "\n".join(story)
    states, edges = (sum(int(match[i]) for match in covered) for i in (1, 2))
    return f"{len(covered)} passes, {states} states, {edges} edges"


def explorer(*arguments):
    """Builds and runs the explorer; gives an outcome for each of its verdicts."""
    make("build/explore/explore")
    done = command([os.path.join(BUILD, "explore", "explore"), *arguments],
                   seconds=SECONDS, stderr=subprocess.STDOUT)
    outcomes, story = [], []
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        match = VERDICT.fullmatch(line)
        if match:
            good = match[1] == "ok"
            detail = summary(story) if good else "\n".join(story)
            outcomes.append(Outcome(match[2], OK if good else FAILED, detail))
            story = []
        else:
            story.append(line.strip())
    return outcomes, done


def explore(expected, *arguments):
    outcomes, done = explorer(*arguments)
    if len(outcomes) != expected:
        raise Fail(f"the explorer ended with status {done.returncode} after {len(outcomes)} "
                   f"verdicts\n{excerpt(done.stdout)}")
    return outcomes


def tests():
    yield "orders", lambda: explore(VERDICTS, "--cpus", "1")
    for mode in TWO_CPUS:
        yield (f"two CPUs {mode}",
               lambda mode=mode: explore(1, "--cpus", "2", f"deferred, {mode}, 2 CPUs"))
    yield "walks", lambda: explore(1, "--walk", f"{WALKS}w")
