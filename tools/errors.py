"""The one exception of the host tools: a reason that a person can act on.

Everything that can go wrong outside Tarry (a missing file, a full disk, a tool that fails) is
raised as HostError with one line of text and shown as that line. It must never carry a traceback
to the user, and must never be used for a failure of Tarry itself: that one is a result of a run.
"""

import errno

USAGE = 2
TARRY_FAILED = 125
TIMED_OUT = 124


class HostError(Exception):
    """A reason to stop, and the exit status it gives."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


def explain(error, path=None):
    """Text for an OSError, without the number and the traceback."""
    name = path or error.filename or ""
    reason = "no space left on the disk" if error.errno == errno.ENOSPC else error.strerror
    return f"{name}: {reason}" if name else str(reason)
