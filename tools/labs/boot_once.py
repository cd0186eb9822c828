"""Boots one program of a grading tree: a JSON object with the run in, one with what happened out.

In a process of its own because tools/boot.py belongs to the tree that it lies in. The machine gets
nothing of the grader but the nonce, in the file /lab.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from boot import Boot
from errors import HostError
from image import read_host


def main():
    run = json.load(sys.stdin)
    guest = "/bin/" + os.path.basename(run["program"])
    words = ["stderr=com3", "log=com2", "debug", "stats", *run["cmdline"].split()]
    out, trace = bytearray(), bytearray()
    if run["trace"]:
        words.append("trace")
    try:
        boot = Boot(smp=run["smp"], timeout=run["seconds"], cmdline=" ".join(words), argv=[guest.encode()],
                    files={guest: read_host(run["program"]), "/lab": run["nonce"].encode()})
        result = boot.run(None, out.extend, out.extend, None, trace.extend if run["trace"] else None)
    except HostError as error:
        sys.exit(f"boot: {error}")
    json.dump({"status": result.status, "device": result.device, "log": result.log, "reasons": result.reasons,
               "out": out.decode("utf-8", "replace"), "trace": trace.decode("ascii", "replace")}, sys.stdout)


if __name__ == "__main__":
    main()
