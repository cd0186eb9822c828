"""The limits of make bench as tests: one run, one result for each operation that has a limit.

The figures are instruction counts and therefore exact: a change that makes a path longer fails
here on every machine alike.
"""

import bench
from framework import FAILED, OK, Outcome


def limits():
    figures = bench.measure()
    for operation in bench.OPERATIONS:
        if operation.limit is None:
            continue
        detail = f"{bench.judged(operation, figures)} instructions, at most {operation.limit}"
        state = FAILED if bench.exceeded(operation, figures) else OK
        yield Outcome(operation.name, state, detail)


def tests():
    yield "limits", lambda: list(limits())
