"""Limits on what is run for a student: on its time and on its output.

On a busy machine a second counts only for the part of it that the machine could give, so that load
alone fails nobody; something that waits forever is ended nevertheless. Must never leave behind a
process that was started here.
"""

import os
import resource
import signal
import subprocess
import threading
import time

from machine import die_with_parent

POLL_SECONDS = 0.2
SLOWEST = 10                        # no run may take longer than this many times its seconds
MOST_OUTPUT = 64 << 20
given_up = threading.Event()        # nobody wants the results any more: ^C


def patience():
    """The one knob for slow machines: every time limit is multiplied by it."""
    return float(os.environ.get("LAB_PATIENCE", "1"))


def given():
    """The share of a processor that who wants one gets at the moment."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            running = int(file.read().split()[3].split("/")[0])
    except OSError:
        return 1.0
    return min(1.0, len(os.sched_getaffinity(0)) / max(running, 1))


class Clock:
    """Time that runs out; to be looked at every POLL_SECONDS."""

    def __init__(self, seconds):
        self.left, self.seen = seconds, time.monotonic()
        self.end = self.seen + seconds * SLOWEST

    def is_over(self):
        now = time.monotonic()
        self.left -= (now - self.seen) * given()
        self.seen = now
        return self.left <= 0 or now >= self.end


def restrain():
    """In a child, before it becomes the program."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT, MOST_OUTPUT))


def wait(child, seconds):
    """The status of a child that leads a session, or None if its time ran out. Ends all of the session."""
    clock = Clock(seconds)
    try:
        while not clock.is_over() and not given_up.is_set():
            try:
                return child.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        return None
    finally:
        kill_group(child)


def kill_group(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
