"""What the kernel writes for programs to read: the trace on COM4 and the counters in its log.

Both are checked as they come in and handed on; what they mean is not known here.
"""

import json
import re

from errors import TARRY_FAILED, HostError
from relay import write_all

STATS = re.compile(r"(?:\[ *[\d.]+\] )?stats: (.*)")


class TraceFile:
    """Copies the trace to a file and insists that each line is a JSON object.

    A line that is not is remembered and reported by check(): the file holds it for a person to see.
    """

    def __init__(self, fd):
        self.fd = fd
        self.rest, self.lines, self.bad = b"", 0, None

    def __call__(self, data):
        write_all(self.fd, data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.lines += 1
            if not self.bad and not is_object(line):
                self.bad = (self.lines, line)

    def check(self, complete):
        """Raises if a line was bad; a machine that was stopped may leave a half line."""
        if complete and self.rest and not self.bad:
            self.bad = (self.lines + 1, self.rest)
        if self.bad:
            number, line = self.bad
            raise HostError(f"line {number} of the trace is no JSON object: "
                            f"{line[:80].decode('ascii', 'replace')!r}", TARRY_FAILED)


def is_object(line):
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def read_stats(log):
    """The counters at power-off from the log's lines; None if the kernel never came to that."""
    text = "".join(m[1] for line in log if (m := STATS.fullmatch(line)))
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise HostError(f"the counters in the log are not JSON: {error}", TARRY_FAILED) from error


def write_stats(file, stats):
    """Pretty-printed, for people and for programs."""
    json.dump(stats, file, indent=2)
    file.write("\n")
