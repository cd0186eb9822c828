"""fx-area and fx-diff: what the registers of a task are in memory, and in what two sets of them differ."""

import itertools

from fx import kernel, show, values
from fx.command import Command
from fx.layout import feature_names, features, find_feature

NAME_WIDTH = 13


def is_zero(register):
    """Nothing to tell; a control word always tells something."""
    return register.kind in ("vector", "x87", "hex") and not register.value


def zeros(registers):
    """The names of those that are 0: neighbours as a range."""
    runs = [[register.name for register in run] for zero, run in itertools.groupby(registers, is_zero) if zero]
    return ", ".join(text for run in runs
                     for text in (run if len(run) < 3 else [f"{run[0]} to {run[-1]}"]))


def register_lines(registers):
    """Those that are not 0, each with its name and in all its views."""
    shown = []
    for register in registers:
        if not is_zero(register):
            first, *more = show.lines(register)
            shown.append(f"  {register.name.ljust(NAME_WIDTH)}{first}")
            shown += [" " * (NAME_WIDTH + 2) + line for line in more]
    names = zeros(registers)
    return shown + ([f"  0: {names}"] if names else [])


def component_title(feature, found):
    """Where a component lies and whether its bytes count."""
    number = feature.number
    if found.offsets is None:
        return f"{feature.name}:"
    if number not in found.offsets:
        return f"{feature.name}: not in the image, " + \
            ("and all zero at first" if feature.xfd else "but kept beside it, as of the task's last switch")
    title = f"{feature.name}: {feature.size} bytes at {found.offsets[number]}, "
    if found.in_use >> number & 1:
        return title + f"in use (XSTATE_BV bit {number})"
    return title + f"in its initial state (XSTATE_BV bit {number} is clear: bytes in memory don't count)"


class Area(Command):
    """A task's fpstate in memory, decoded by CPUID's layout, as integers and as floating-point numbers.

Usage: fx-area TASK [COMPONENT]
TASK is a tid or a name, or gTID for its guest; or cpuN for what the registers of CPU N hold now; or init for
initial values.
COMPONENT is one of fx-layout's. Without it all are shown, and of those in their initial state only that."""
    name, words = "fx-area", (1, 2)

    def run(self, words):
        known = features()
        one = find_feature(words[1], known) if len(words) > 1 else None
        found = values.find(words[0])
        lines = [found.title, found.stale]
        if found.offsets is not None:
            lines.append(f"{found.size} bytes, compacted; in use: {feature_names(found.in_use) or 'nothing'}")
        for number, feature in known.items():
            if one and one is not feature:
                continue
            if number not in found.registers:
                if one:
                    lines.append(f"{feature.name}: {self.absent(number, found)}")
                continue
            lines.append(component_title(feature, found))
            if one or found.in_use is None or found.in_use >> number & 1 or number not in found.offsets:
                lines += register_lines(found.registers[number])
        return filter(None, lines)

    @staticmethod
    def absent(number, found):
        enabled = int(kernel.symbol("fpu_config")["features"]) >> number & 1
        if not enabled:
            return "the machine has it, the kernel does not enable it"
        if int(kernel.symbol("fpu_config")["dynamic"]) >> number & 1 and found.offsets is not None:
            return "no room for it in this fpstate: XFD is armed, and the first use will make room"
        return values.UNSEEN if found.offsets is None else "not in this fpstate"


class Diff(Command):
    """In which registers two sets of values differ.

Usage: fx-diff A B
Each is a tid or a name for a task's fpstate in memory; or cpuN for what the registers of CPU N hold now;
or init for initial values. fx-diff 5 cpu0 shows how stale task 5's memory is."""
    name, words = "fx-diff", (2, 2)

    def run(self, words):
        known, (a, b) = features(), [values.find(word) for word in words]
        lines = [f"A: {a.title}", f"B: {b.title}"]
        lines += [f"{side}: {found.stale}" for side, found in (("A", a), ("B", b)) if found.stale]
        same, unseen = [], []
        for number, feature in known.items():
            if number in a.registers and number in b.registers:
                different = self.differences(a.registers[number], b.registers[number])
                lines += [f"{feature.name}:", *different] if different else []
                same += [] if different else [feature.name]
            elif number in a.registers or number in b.registers:
                unseen.append(feature.name)
        lines.append("the same in both: " + (" ".join(same) or "nothing"))
        if unseen:
            lines.append("seen on one side only: " + " ".join(unseen))
        return lines

    @staticmethod
    def differences(a, b):
        """Lines for each register that is not the same; some have no partner, and are left out."""
        lines, others = [], {register.name: register for register in b}
        for register in a:
            other = others.get(register.name)
            if other and other.value != register.value:
                for side, one in (("A", register), ("B", other)):
                    first, *more = show.lines(one)
                    name = one.name if side == "A" else ""
                    lines.append(f"  {name.ljust(NAME_WIDTH)}{side}  {first}")
                    lines += [" " * (NAME_WIDTH + 5) + line for line in more]
        return lines


for command in (Area, Diff):
    command()
