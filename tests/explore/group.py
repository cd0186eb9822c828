"""The explorer: every order of events for three contexts on one CPU, on the real code of fpu/.

make explore prints the same; here each configuration is a test. Its failure is the shortest story that
leads there.
"""

import os
import re
import subprocess

from boot import make
from framework import BUILD, FAILED, OK, Fail, Outcome, command, excerpt

VERDICT = re.compile(r"(ok|FAIL) (.+)")
VERDICTS = 3 * (6 + 1)  # for each policy its configurations, and the table's transitions


def explore():
    """Builds and runs the explorer; gives an outcome for each configuration."""
    make("build/explore/explore")
    done = command([os.path.join(BUILD, "explore", "explore")], stderr=subprocess.STDOUT)
    outcomes, story = [], []
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        match = VERDICT.fullmatch(line)
        if match:
            good = match[1] == "ok"
            outcomes.append(Outcome(match[2], OK if good else FAILED, "\n".join(story)))
            story = []
        else:
            story.append(line.strip())
    if len(outcomes) != VERDICTS:
        raise Fail(f"the explorer ended with status {done.returncode} after {len(outcomes)} "
                   f"verdicts\n{excerpt(done.stdout)}")
    return outcomes


def tests():
    yield "orders", explore
