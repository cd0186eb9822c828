"""The boot tests: the programs in /test, many results a boot.

All of them run once on QEMU and once on Bochs, and on QEMU with several processors; those that
the FPU policy and mechanism matter to run again under each policy, each mode of integer-only
programs, on Bochs' other processors, and there with two. The
program /bin/testall prints one KTAP report. A run that does not end, or that ends otherwise than
the report says, is a failure of its own.
"""

import ktap
from boot import Boot, capture, listed_files
from compare import POLICIES
from framework import FAILED, OK, Outcome, excerpt

SECONDS = {"qemu": 300, "bochs": 900}
CMDLINE = "stderr=com3 log=com2"
FPU_PROGRAMS = ("alike", "amx", "amxstate", "counts", "crypt", "fpu", "hostile", "intonly", "pasid", "pkeys",
                "ptracefp", "sigframe", "sigkeys", "signals", "update", "vcpu", "vcpustate")
SMP_PROGRAMS = ("hotplug", "ptrace", "ptracerace", "smp", "vcpubad", *FPU_PROGRAMS)
BUFFER_PROGRAMS, BUFFER_STRATEGIES = ("amxstate", "buffers"), ("cache", "vmalloc", "copy", "map")
SMP = {"qemu": 4, "bochs": 2}
INTEGER_ONLY_MODES = ("init", "ts")
# What does not need the debug call, and whether it is refused without the word.
PLAIN_PROGRAMS = ("alike", "intonly", "pkeys")
# Bochs' processors and the mechanisms that the plain run on tigerlake leaves out.
BOCHS_VARIANTS = (("tigerlake", "native", "ts"), ("tigerlake", "soft", "init"),
                  ("arrow_lake", "native", "ts"), ("arrow_lake", "soft", "init"))
# What the kernel must have said; the second only where there are keys.
LOG_WORDS = ("a vector instruction in an integer-only program", "(protection key 1)")
# And what it must have said once all programs have run.
ALL_LOG_WORDS = ("clone: flags 1000 are not supported", "clone: no more than 2016 tasks")


def boot_tests(machine, cpu="tigerlake", policy="deferred", mode="init", words="", programs=(),
               smp=1, mem=256, debug=True, log_words=LOG_WORDS):
    """Boots, and turns the report into outcomes. No programs: all."""
    boot = Boot(machine=machine, bochs_cpu=cpu, smp=smp, mem=mem, timeout=SECONDS[machine],
                files=listed_files("test"),
                argv=[b"/bin/testall", *(name.encode() for name in programs)],
                cmdline=f"{CMDLINE} {'debug ' * debug}fpu={policy} intonly={mode} {words}")
    result, out, err = capture(boot)
    outcomes, trouble = ktap.parse(out.decode("utf-8", "replace"))
    failed = any(outcome.state == FAILED for outcome in outcomes)
    if not trouble and result.status != int(failed):
        trouble = f"status {result.status}, but the report says {int(failed)}"
    said = (f"smp: {smp} CPU", *(log_words[:1] if "nopku" in words else log_words))
    for text in said if programs else (*said, *ALL_LOG_WORDS):
        if not trouble and not any(text in line for line in result.log):
            trouble = f"the log has no {text!r}"
    if trouble:
        text = "\n".join([trouble, *result.reasons, excerpt(out), excerpt(err),
                          excerpt("\n".join(result.log))])
        return outcomes + [Outcome("end", FAILED, text)]
    return outcomes + [Outcome("end", OK)]


def fpu_tests(*arguments, **options):
    return lambda: boot_tests(*arguments, programs=FPU_PROGRAMS, **options)


def buffer_tests(strategy):
    """On a machine that is soon out of memory."""
    return lambda: boot_tests("qemu", programs=BUFFER_PROGRAMS, smp=SMP["qemu"], mem=64, words=f"fpbuf={strategy}",
                              log_words=("no memory for its tiles",))


def tests():
    for machine in SECONDS:
        yield machine, lambda machine=machine: boot_tests(machine)
    yield f"qemu, {SMP['qemu']} processors", lambda: boot_tests("qemu", smp=SMP["qemu"])
    yield f"bochs, {SMP['bochs']} processors", lambda: boot_tests(
        "bochs", programs=SMP_PROGRAMS, smp=SMP["bochs"])
    for policy in POLICIES:
        for mode in INTEGER_ONLY_MODES:
            if (policy, mode) != ("deferred", "init"):
                words = "update=load" if mode == "ts" else ""
                yield f"qemu {policy} {mode}", fpu_tests("qemu", policy=policy, mode=mode, words=words)
    for strategy in BUFFER_STRATEGIES:
        yield f"qemu {strategy}", buffer_tests(strategy)
    yield "qemu nopku", fpu_tests("qemu", words="nopku")
    yield "qemu without debug", lambda: boot_tests("qemu", programs=PLAIN_PROGRAMS, debug=False)
    for cpu, mechanism, mode in BOCHS_VARIANTS:
        yield f"bochs {cpu} {mechanism} {mode}", fpu_tests("bochs", cpu, mode=mode,
                                                          words=f"xstate={mechanism}")
