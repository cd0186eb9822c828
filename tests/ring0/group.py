"""The proof in ring 0: the model against the real XSAVES and XRSTORS on Bochs, and the probe that
must not believe CPUID, on QEMU, which has no such instructions but can be told to promise them.

Boots build/ring0.iso, which holds no kernel: only the proof and the model's object files.
"""

import re

import ktap
from boot import Boot, built, capture, make
from framework import FAILED, OK, Outcome, excerpt

SECONDS = 600
FORCED = "max,x-force-features=on,+xsaves,+xsavec,+xfd"
REPORT = re.compile(r"# components (\w+), CPUID promises XSAVES: (\w+), it works: (\w+)")
# The machine and what it has to report: CPUID's promise, the truth, the components.
RUNS = {
    "tigerlake": ({"machine": "bochs", "bochs_cpu": "tigerlake"}, "yes", "yes", 0x1ae7),
    "arrow_lake": ({"machine": "bochs", "bochs_cpu": "arrow_lake"}, "yes", "yes", 0x5a07),
    "qemu": ({"machine": "qemu"}, "no", "no", 0x207),
    "qemu-forced": ({"machine": "qemu", "qemu_cpu": FORCED}, "yes", "no", 0x207),
}


class ProofBoot(Boot):
    """A Boot of the proof's ISO."""

    def make_iso(self, folder):
        return built("ring0.iso")


def prove(machine, promised, works, components):
    """Boots, and turns the report into outcomes; one of them is what the CPU seems to be."""
    make("build/ring0.iso")
    boot = ProofBoot(timeout=SECONDS, **machine)
    result, out, _ = capture(boot)
    text = out.decode("utf-8", "replace")
    outcomes, trouble = ktap.parse(text)
    failed = any(outcome.state == FAILED for outcome in outcomes)
    if not trouble and result.status != int(failed):
        trouble = f"status {result.status}, but the report says {int(failed)}"
    if trouble:
        evidence = "\n".join([trouble, *result.reasons, excerpt(text)])
        return outcomes + [Outcome("end", FAILED, evidence)]
    return outcomes + [detection(text, promised, works, components)]


def detection(text, promised, works, components):
    """Whether the probe told the truth about this machine."""
    found = REPORT.search(text)
    seen = found and (found[2], found[3])
    if seen != (promised, works) or int(found[1], 16) != components:
        return Outcome("detection", FAILED, f"not {promised}, {works}, {components:x}:\n{excerpt(text)}")
    return Outcome("detection", OK)


def tests():
    for name, run in RUNS.items():
        yield name, lambda run=run: prove(*run)
