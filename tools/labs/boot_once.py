"""Boots one program of a grading tree: a JSON object with the run in, one with what happened out.

In a process of its own because tools/boot.py belongs to the tree that it lies in. The machine gets
nothing of the grader but the nonce, in the file /lab.
"""

import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from boot import Boot
from errors import TIMED_OUT, HostError
from image import read_host
from labs.limits import MOST_OUTPUT, POLL_SECONDS, Clock

MOST_LINES = 10000                  # of the kernel's log


def gather(into):
    """A sink that keeps what a machine says, as far as anybody would want to read it."""
    return lambda data: into.extend(data[:max(0, MOST_OUTPUT // 4 - len(into))])


def stop_in_time(session, seconds, late):
    clock = Clock(seconds)
    while not session.stopped.is_set() and not late.is_set():
        time.sleep(POLL_SECONDS)
        if clock.is_over() and not session.stopped.is_set():
            late.set()
    session.stopped.set()


def main():
    run = json.load(sys.stdin)
    guest = "/bin/" + os.path.basename(run["program"])
    words = ["stderr=com3", "log=com2", "debug", "stats", *run["cmdline"].split()]
    out, trace, late = bytearray(), bytearray(), threading.Event()
    if run["trace"]:
        words.append("trace")
    try:
        boot = Boot(smp=run["smp"], cmdline=" ".join(words), argv=[guest.encode()],
                    files={guest: read_host(run["program"]), "/lab": run["nonce"].encode()})
        with boot.session(None, gather(out), gather(out), None, gather(trace) if run["trace"] else None) as session:
            threading.Thread(target=stop_in_time, args=(session, run["seconds"], late), daemon=True).start()
            result = session.wait()
    except HostError as error:
        sys.exit(f"boot: {error}")
    log = result.log if len(result.log) < MOST_LINES else result.log[:MOST_LINES // 2] + result.log[-MOST_LINES // 2:]
    json.dump({"status": TIMED_OUT if late.is_set() else result.status, "device": result.device,
               "log": log, "reasons": result.reasons, "out": out.decode("utf-8", "replace"),
               "trace": trace.decode("ascii", "replace")}, sys.stdout)


if __name__ == "__main__":
    main()
