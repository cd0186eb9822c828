"""The boot tests: one boot on QEMU and one on Bochs of the programs in /test, many results each.

The program /bin/testall runs them all and prints one KTAP report. A run that does not end, or that
ends otherwise than the report says, is a failure of its own.
"""

import ktap
from boot import Boot, capture, listed_files
from framework import FAILED, OK, Outcome, excerpt

SECONDS = {"qemu": 300, "bochs": 900}
ARGV = [b"/bin/testall"]
CMDLINE = "stderr=com3 log=com2 debug"


def boot_tests(machine):
    """Boots, and turns the report into outcomes."""
    boot = Boot(machine=machine, argv=ARGV, cmdline=CMDLINE, timeout=SECONDS[machine],
                files=listed_files("test"))
    result, out, err = capture(boot)
    outcomes, trouble = ktap.parse(out.decode("utf-8", "replace"))
    failed = any(outcome.state == FAILED for outcome in outcomes)
    if not trouble and result.status != int(failed):
        trouble = f"status {result.status}, but the report says {int(failed)}"
    if trouble:
        text = "\n".join([trouble, *result.reasons, excerpt(out), excerpt(err),
                          excerpt("\n".join(result.log))])
        return outcomes + [Outcome("end", FAILED, text)]
    return outcomes + [Outcome("end", OK)]


def tests():
    for machine in SECONDS:
        yield machine, lambda machine=machine: boot_tests(machine)
