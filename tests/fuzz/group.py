"""The fuzzer, shortly: the same cases each time, on several processors. The long run is make fuzz.

Catches: a frame or a regset that is believed though it may not be, or taken in part; a system call
that trusts an argument, or keeps what it allocated when it failed; and whatever of this reaches
another task's registers.
"""

from framework import Fail
from fuzz import Fuzz

CASES = {"frame": 4_000, "call": 30_000}
SECONDS = 240


def short_run():
    _, trouble = Fuzz(CASES, seconds=SECONDS).run()
    if trouble:
        raise Fail(trouble)


def tests():
    yield "frames and calls", short_run
