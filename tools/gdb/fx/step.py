"""fx-step: runs single instructions, and shows those only that changed something about register contexts.

What is compared: every CPU's owner, kernel section, CR0.TS, XFD and locks; every context's state, last_cpu, flag,
header, PKRU and XFD; and the values in the stepping CPU's registers.
"""

import gdb

from fx import contexts, kernel, show, values
from fx.command import Command, count


def cpu_facts(cpu, tasks):
    name, fpu = f"CPU {cpu.id}", cpu.fpu
    yield f"{name}: registers hold", contexts.owner_text(cpu, tasks)
    yield f"{name}: current", str(kernel.task_at(cpu.current))
    for field in ("in_kernel", "ts", "locked"):
        yield f"{name}: {field}", str(int(fpu[field]))
    yield f"{name}: xfd", f"{int(fpu['xfd']):#x}"


def task_facts(task, cpus):
    if not task.has_registers:
        return
    context, area = task.context, task.context["fpstate"].dereference()
    yield f"{task}: state", contexts.state_of(task, cpus).name
    yield f"{task}: last_cpu", str(int(context["last_cpu"]))
    yield f"{task}: TASK_NEED_FPU_LOAD", "set" if task.flags & int(kernel.symbol("fpu_load_flag")) else "clear"
    for field in ("xstate_bv", "xcomp_bv"):
        yield f"{task}: {field} in memory", f"{int(area[field]):#x}"
    yield f"{task}: pkru", f"{int(context['pkru']):08x}"
    yield f"{task}: xfd", f"{int(context['xfd']):#x}"


def register_facts(cpu):
    for registers in values.of_cpu(cpu).registers.values():
        for register in registers:
            yield f"CPU {cpu.id}: {register.name}", show.grouped(register.value, register.size)


def facts():
    """{what: its value as text} of the machine as it stands."""
    cpus, tasks, found = kernel.cpus(), kernel.tasks(), {}
    for cpu in cpus:
        found.update(cpu_facts(cpu, tasks))
    for task in tasks:
        found.update(task_facts(task, cpus))
    here = kernel.cpu_of_thread(cpus)
    if here:
        found.update(register_facts(here))
    return found


def place():
    """The instruction that is next, with the line of source that it belongs to."""
    frame = gdb.newest_frame()
    instruction = frame.architecture().disassemble(frame.pc())[0]["asm"]
    where = frame.find_sal()
    source = f"{where.symtab.filename}:{where.line}" if where.symtab else "no source"
    return f"{frame.pc():#x} {frame.name() or '?'} ({source})  {instruction.expandtabs(1)}"


def changes(before, after):
    for what in {**before, **after}:
        old, new = before.get(what), after.get(what)
        if old != new:
            yield f"    {what}: {old or 'not there'} -> {new or 'gone'}"


class Step(Command):
    """Single-step N instructions, showing only those that changed something about register contexts.

Usage: fx-step [N]
One instruction without N. Says how many changed nothing. Interrupts don't come while QEMU steps."""
    name, words = "fx-step", (0, 1)

    def run(self, words):
        self.number = count(words[0]) if words else 1
        return []

    def finish(self):
        before, silent = facts(), 0
        for _ in range(self.number):
            at = place()
            gdb.execute("with suppress-cli-notifications on -- stepi", to_string=True)
            after = facts()
            found = list(changes(before, after))
            silent += not found
            if found:
                gdb.write("\n".join([at, *found]) + "\n")
            before = after
        if silent:
            gdb.write(f"{silent} of {self.number} instructions changed nothing; next: {place()}\n")


Step()
