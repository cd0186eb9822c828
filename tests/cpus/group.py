"""The kernel on processors that lack something, or promise what they don't do: QEMU's software CPU
with features taken away or reported falsely.

What the kernel can do without, it must do without: the programs in /test pass, and the log says
what it found. What it needs, it must miss by name, in a line of the log. Nothing here may depend on
what a processor is called.
"""

import ktap
from boot import Boot, capture, listed_files
from framework import FAILED, excerpt, expect

SECONDS = 120
CMDLINE = "stderr=com3 log=com2 debug"
PANIC = 125
# Reports XSAVES, XSAVEC and XFD without having them: QEMU 7 raises #UD, QEMU 10 does nothing. A
# program that believes it, as the one called hostile does, can't run there.
FALSE_XSAVES = "max,x-force-features=on,+xsaves,+xsavec,+xfd"
DISBELIEF = "fpu: warning: CPUID promises XSAVES, but it does not work here; not believed"
MODEL = "mechanism soft: XSAVES, XRSTORS, PASID, XFD and AMX are modelled in software"
# name: processor, words for the kernel, programs that must pass, what the log must have.
WORKS = {
    "false XSAVES, xstate=auto": (FALSE_XSAVES, "", ("fpu", "crypt", "intonly"),
                                  (DISBELIEF, MODEL)),
    "no AVX": ("max,-mpx,-avx,-avx2", "", ("fpu", "hostile", "crypt"),
               ("components x87 SSE PKRU PASID TILECFG TILEDATA;",)),
    "no protection keys": ("max,-mpx,-pku", "", ("fpu", "pkeys"),
                           ("components x87 SSE AVX PASID TILECFG TILEDATA;",)),
    "AVX-512 in leaf 0Dh only": ("Skylake-Server", "", ("fpu", "hostile"),
                                 ("components x87 SSE AVX PKRU PASID TILECFG TILEDATA;",)),
    "XRSTOR leaves x87 pointers": ("max,-mpx,-xsaveerptr", "", ("fpu",),
                                   ("fpu: XRSTOR of this CPU leaves x87's FOP, FIP and FDP alone",)),
    "no RDRAND": ("max,-mpx,-rdrand,-rdseed", "", ("crypt",), ()),
}
# name: processor, words for the kernel, what the panic must say.
STOPS = {
    "false XSAVES, xstate=native": (FALSE_XSAVES, "xstate=native",
                                    "panic: xstate=native: this CPU has no working XSAVES"),
    "plain QEMU, xstate=native": ("max,-mpx", "xstate=native",
                                  "panic: xstate=native: this CPU has no working XSAVES"),
    "no XSAVE": ("qemu64", "", "panic: this CPU has no XSAVE (CPUID.1:ECX bit 26)"),
}


def start(cpu, words, argv):
    """Boots; gives the result, standard output, and both as text for a person."""
    boot = Boot(qemu_cpu=cpu, timeout=SECONDS, files=listed_files("test"), argv=argv,
                cmdline=f"{CMDLINE} {words}")
    result, out, _ = capture(boot)
    text = out.decode("utf-8", "replace")
    return result, text, "\n".join([*result.reasons, excerpt(text), excerpt("\n".join(result.log))])


def works(cpu, words, programs, said):
    result, out, evidence = start(cpu, words, [b"/bin/testall", *(p.encode() for p in programs)])
    outcomes, trouble = ktap.parse(out)
    failed = [outcome.name for outcome in outcomes if outcome.state == FAILED]
    expect(not trouble and not failed and result.status == 0,
           trouble or f"status {result.status}, failed: {failed}", evidence)
    for text in said:
        expect(any(text in line for line in result.log), f"the log has no {text!r}", evidence)


def stops(cpu, words, said):
    result, _, evidence = start(cpu, words, [b"/bin/true"])
    expect(result.status == PANIC and any(said in line for line in result.log),
           f"status {result.status}, or no {said!r} in the log", evidence)


def tests():
    for name, run in WORKS.items():
        yield name, lambda run=run: works(*run)
    for name, run in STOPS.items():
        yield name, lambda run=run: stops(*run)
