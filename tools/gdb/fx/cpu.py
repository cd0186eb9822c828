"""fx-cpu: what every CPU's registers hold, and which components are enabled on it."""

from fx import contexts, kernel
from fx.command import Command, table
from fx.layout import feature_names


def mode(cpu):
    """Where a CPU is; selects its thread."""
    with kernel.selection_kept():
        kernel.thread_of(cpu)
        return "user" if kernel.user_mode() else "kernel"


def pkru(task):
    """The kernel's copy of a running task's PKRU."""
    return f"{int(task.context['pkru']):08x}" if task.context is not None else "-"


def section(cpu):
    if cpu.fpu["in_kernel"]:
        return "open"
    return "locked" if cpu.fpu["locked"] else "no"


class CpuTable(Command):
    """Every CPU: its task, whose values its registers hold, kernel section, CR0.TS, XCR0, XSS, XFD and PKRU.

Usage: fx-cpu
The CPU of the selected thread has a star."""
    name = "fx-cpu"

    def run(self, words):
        config, tasks, cpus = kernel.symbol("fpu_config"), kernel.tasks(), kernel.cpus()
        here = kernel.cpu_of_thread(cpus)
        rows = [("CPU", "in", "current", "registers hold", "section", "TS", "XCR0", "XSS", "XFD", "PKRU")]
        for cpu in cpus:
            name = f"{'*' if here and here.id == cpu.id else ' '}{cpu.id}"
            if not cpu.fpu["online"]:
                rows.append((name, "-", "not up", *[""] * 7))
                continue
            task = kernel.task_at(cpu.current)
            rows.append((name, mode(cpu), str(task), contexts.owner_text(cpu, tasks), section(cpu),
                         int(cpu.fpu["ts"]), f"{int(config['xcr0']):#x}", f"{int(config['xss']):#x}",
                         f"{int(cpu.fpu['xfd']):#x}", pkru(task)))
        lines = table(rows)
        xcr0, xss = (feature_names(int(config[name])) or "nothing" for name in ("xcr0", "xss"))
        dynamic = feature_names(int(config["dynamic"]))
        lines += ["", f"XCR0 = {xcr0};  XSS = {xss}" + ("" if config["native"] else " (the model's, like XSAVES)"),
                  *([f"XFD: while its bit is set the first use of {dynamic} traps."] if dynamic else []),
                  "PKRU: the kernel's copy, as of the task's last switch; while it runs, only the CPU knows its own.",
                  "Values: fx-area cpu0"]
        lines += [f"CPU {cpu.id}: {half}" for cpu in cpus if cpu.fpu["online"] and (half := contexts.unfinished(cpu))]
        return lines


CpuTable()
