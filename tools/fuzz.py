#!/usr/bin/env python3
"""Boots the fuzzer (user/fuzz.c) and reads what it found; run alone, the long campaign.

The campaign is QEMU with 4 processors, under each policy. A run's seed is printed and can be given
again, and each finding names the case: fuzz's -b throws one alone. A run without its last line, with
fewer cases or fewer processors than were asked for, has failed, whatever its status.

    fuzz.py [--seed N] [--percent N] [--policy NAME]...
"""

import argparse
import dataclasses
import re
import sys
import time

from boot import Boot, capture, make
from compare import POLICIES
from errors import HostError

CPUS = re.compile(r"storm: (\d+) CPUs; a check is .*")
COUNT = re.compile(r"fuzz: (\d+) (\w+)s: .*")
LAST_LINE = re.compile(r"fuzz: (\d+) findings, (\d+) checks of registers, (\d+) mismatches")
SECONDS = 3600
SMP = 4
CASES = {"frame": 100_000, "call": 1_000_000}


@dataclasses.dataclass
class Fuzz:
    """One run. cases: {kind: how many}."""
    cases: dict
    policy: str = "deferred"
    seed: int = 1
    smp: int = SMP
    seconds: float = SECONDS

    def run(self):
        """(lines to show, what is wrong or an empty text)"""
        words = f"-s {self.seed} " + " ".join(f"-{kind[0]} {n}" for kind, n in self.cases.items())
        boot = Boot(smp=self.smp, timeout=self.seconds, argv=[b"/bin/fuzz", *words.encode().split()],
                    cmdline=f"stderr=com3 log=com2 fpu={self.policy} debug")
        result, out, err = capture(boot)
        lines = out.decode("utf-8", "replace").splitlines()
        trouble = self.judge(result, lines)
        if trouble:
            trouble = "\n".join([trouble, *lines[-12:], err.decode("utf-8", "replace")[-1000:],
                                 *result.reasons, *result.log[-12:]])
        return [line for line in lines if COUNT.fullmatch(line) or LAST_LINE.fullmatch(line)], trouble

    def judge(self, result, lines):
        cpus = next((match for line in lines if (match := CPUS.fullmatch(line))), None)
        last = LAST_LINE.fullmatch(lines[-1]) if lines else None
        counts = {match[2]: int(match[1]) for line in lines if (match := COUNT.fullmatch(line))}
        if not cpus or not last:
            return "the fuzzer did not come to its end"
        if int(cpus[1]) != self.smp:
            return f"{cpus[1]} processors ran programs, not {self.smp}"
        if counts != self.cases:
            return f"{self.cases} were wanted, {counts} were thrown"
        if int(last[1]) or int(last[3]) or not int(last[2]) or result.status:
            return f"status {result.status}: {lines[-1]}"
        return ""


def main():
    parser = argparse.ArgumentParser(prog="fuzz.py", description="The fuzzer's long campaign.")
    parser.add_argument("--seed", type=int, default=1, help="(1)")
    parser.add_argument("--percent", type=int, default=100, help="of the cases (100)")
    parser.add_argument("--policy", action="append", choices=POLICIES, help="(all)")
    options = parser.parse_args()
    cases = {kind: n * options.percent // 100 for kind, n in CASES.items()}
    try:
        make("iso")
        failed = [not campaign_run(Fuzz(cases, policy, options.seed))
                  for policy in options.policy or POLICIES]
    except HostError as error:
        sys.exit(f"fuzz.py: {error}")
    return int(any(failed))


def campaign_run(fuzz):
    """Prints what was found; true if all is well."""
    started = time.monotonic()
    lines, trouble = fuzz.run()
    print(f"{fuzz.policy}, {fuzz.smp} processors, seed {fuzz.seed} ({time.monotonic() - started:.0f} s):")
    print("\n".join(f"  {line}" for line in lines), flush=True)
    if trouble:
        print(trouble, flush=True)
    return not trouble


if __name__ == "__main__":
    sys.exit(main())
