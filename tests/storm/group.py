"""The storm on every platform and under every policy: a short run each, no register may change. On
several processors these come and go meanwhile.

Catches what nobody thought of on the way of the registers: a component that is not saved or not
loaded, values of a dead or an earlier task, a section of the kernel that gives back too little. The
long runs are make storm.
"""

from compare import POLICIES
from framework import Fail
from storm import MACHINES, Storm

# Checks that take some seconds; what each processor has is in tests/cpuid.
CHECKS = {"qemu": 1_000_000, "bochs": 150_000}
BOCHS_VARIANTS = (("tigerlake", "native"), ("tigerlake", "soft"), ("arrow_lake", "native"))
SECONDS = 240


def passes(storm):
    _, trouble = storm.run()
    if trouble:
        raise Fail(trouble)


def tests():
    for policy in POLICIES:
        yield f"qemu {policy}", lambda policy=policy: passes(
            Storm("qemu", policy, CHECKS["qemu"], seconds=SECONDS))
        for cpu, mechanism in BOCHS_VARIANTS:
            yield f"bochs {cpu} {mechanism} {policy}", lambda variant=(policy, cpu, mechanism): passes(
                Storm("bochs", variant[0], CHECKS["bochs"], bochs_cpu=variant[1],
                      words=f"xstate={variant[2]}", seconds=SECONDS))
    for machine, (smp, _) in MACHINES.items():
        for policy in POLICIES:
            yield f"{machine}, {smp} processors, {policy}", lambda run=(machine, policy, smp): passes(
                Storm(run[0], run[1], CHECKS[run[0]], smp=run[2], hotplug=True, seconds=SECONDS))
    yield "qemu nopku", lambda: passes(Storm("qemu", "deferred", CHECKS["qemu"] // 4,
                                             words="nopku", seconds=SECONDS))
