#!/usr/bin/env python3
"""Boots the storm (user/storm.c) and reads what it found; run alone, the long campaign.

The campaign is three runs on QEMU with 4 processors, one for each policy, and three on Bochs with
2. A run's seed is printed and can be given again. A run without its last line, with fewer checks
or fewer processors than were asked for, has failed, whatever its status.

    storm.py [--seed N] [--percent N] [--hotplug]
"""

import argparse
import dataclasses
import re
import sys
import time

from boot import Boot, capture, make
from compare import POLICIES
from errors import HostError

FIRST_LINE = re.compile(r"storm: (\d+) CPUs; a check is .*")
LAST_LINE = re.compile(r"storm: (\d+) checks, (\d+) mismatches, (\d+) tasks")
SECONDS = 1800
MACHINES = {"qemu": (4, 10_000_000), "bochs": (2, 1_000_000)}
TASKS = 24


@dataclasses.dataclass
class Storm:
    """One run. words: more for the kernel's command line."""
    machine: str
    policy: str
    checks: int
    tasks: int = 12
    seed: int = 1
    smp: int = 1
    bochs_cpu: str = "tigerlake"
    words: str = ""
    hotplug: bool = False
    seconds: float = SECONDS

    def run(self):
        """(last line, what is wrong or an empty text)"""
        words = f"-n {self.checks} -t {self.tasks} -s {self.seed}{' -p 1' * self.hotplug}"
        boot = Boot(machine=self.machine, smp=self.smp, bochs_cpu=self.bochs_cpu,
                    timeout=self.seconds, argv=[b"/bin/storm", *words.encode().split()],
                    cmdline=f"stderr=com3 log=com2 fpu={self.policy} {self.words}"
                            f"{' debug' * self.hotplug}")
        result, out, err = capture(boot)
        text = out.decode("utf-8", "replace")
        return self.judge(result, text, text + err.decode("utf-8", "replace"))

    def judge(self, result, out, everything):
        lines = out.splitlines() or [""]
        first, match = FIRST_LINE.fullmatch(lines[0]), LAST_LINE.fullmatch(lines[-1])
        if not first or not match:
            trouble = "the storm did not come to its end"
        elif int(first[1]) != self.smp:
            trouble = f"{first[1]} processors ran programs, not {self.smp}"
        elif int(match[1]) < self.checks or int(match[3]) != self.tasks:
            trouble = f"{self.checks} checks by {self.tasks} tasks were wanted: {lines[-1]}"
        elif int(match[2]) or result.status:
            trouble = f"{lines[-1]}; status {result.status}"
        else:
            return lines[-1], ""
        return lines[-1], "\n".join([trouble, everything[-3000:], *result.reasons,
                                     *result.log[-12:]])


def main():
    parser = argparse.ArgumentParser(prog="storm.py", description="The storm's long campaign.")
    parser.add_argument("--seed", type=int, default=1, help="of the first run (1)")
    parser.add_argument("--percent", type=int, default=100, help="of the checks (100)")
    parser.add_argument("--hotplug", action="store_true", help="CPUs come and go meanwhile")
    options = parser.parse_args()
    try:
        make("iso")
        failed = [not campaign_run(machine, policy, options) for machine in MACHINES
                  for policy in POLICIES]
    except HostError as error:
        sys.exit(f"storm.py: {error}")
    return int(any(failed))


def campaign_run(machine, policy, options):
    """Prints a line; true if all is well."""
    smp, checks = MACHINES[machine]
    started = time.monotonic()
    storm = Storm(machine, policy, checks * options.percent // 100, TASKS, options.seed, smp,
                  hotplug=options.hotplug)
    line, trouble = storm.run()
    print(f"{machine} {policy}, {smp} processors, seed {options.seed}: {line} "
          f"({time.monotonic() - started:.0f} s)", flush=True)
    if trouble:
        print(trouble, flush=True)
    return not trouble


if __name__ == "__main__":
    sys.exit(main())
