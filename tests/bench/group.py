"""make bench as tests: the limits, with the trace off and on, one result for each operation.

The figures are instruction counts and therefore exact: a change that makes a path longer fails
here on every machine alike. What is only counted is in tests/boot/counts.c.
"""

import bench
import buffers
import crowd
from framework import FAILED, OK, Outcome, expect, expect_equal

# Operations that move no registers, and some that do in each round.
UNTRACED = ("null", "null-integer", "getpid", "section-again")
# One that tells other CPUs, and one that costs at each move; tests/boot/buffers.c looks at all four.
SOME_STRATEGIES, FEW_TASKS, FIRST_USE_LIMIT = ("vmalloc", "map"), 10, 2000
TRACED = ("switch", "ipc", "pipe", "section-first")


def outcomes(figures):
    for operation in bench.OPERATIONS:
        if operation.limit is None:
            continue
        detail = f"{bench.judged(operation, figures)} instructions, at most {operation.limit}"
        state = FAILED if bench.exceeded(operation, figures) else OK
        yield Outcome(operation.name, state, detail)


def limits():
    """And a program without vector registers takes the same way through a null call as one with."""
    figures = bench.measure()
    expect_equal(figures["null-integer"].median, figures["null"].median,
                 "an integer-only program's null call")
    return list(outcomes(figures))


def limits_traced():
    """The limits hold for what is left without the trace's share; that share is where it must be."""
    figures = bench.measure_traced()
    for name in UNTRACED:
        expect_equal(figures[name].trace, 0, f"{name}: instructions inside the trace")
    for name in TRACED:
        expect(figures[name].trace > 0, f"{name}: nothing inside the trace")
    return list(outcomes(figures))


def crowds():
    """A scheduler that looks at every runnable task, a task that holds more than it needs, a lock that all CPUs wait
    for, a CPU without work beside one with two programs."""
    return [Outcome(check.name, OK if check.good else FAILED, check.text) for check in crowd.checks()]


def places():
    """What docs say of the places for large fpstates still holds: counts exactly, instructions by limits."""
    said = {count[:2]: count for count in buffers.written()}
    for row in buffers.measure_all(SOME_STRATEGIES, FEW_TASKS):
        name = f"{row.strategy}, {row.tasks} tasks"
        expect_equal(row.counts(), said[row.strategy, row.tasks], f"{name}: the counts in {buffers.PAGE}")
        expect_equal(row.first_counts, (0, 0, 0), f"{name}: counts of the first use")
        expect(row.first <= FIRST_USE_LIMIT, f"{name}: a first use takes {row.first} instructions")


def tests():
    yield "limits", limits
    yield "limits, traced", limits_traced
    yield "crowd", crowds
    yield "buffers", places
