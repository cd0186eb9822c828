"""fx-where, fx-why, fx-tasks, $fx_owner and $fx_state: where the current values are, and how that came about."""

import gdb

from fx import contexts, kernel
from fx.command import Command, table
from fx.layout import feature_names

NO_REGISTERS = {
    True: "is integer-only: it has no vector registers, so there is nothing to save or load."
          " A vector instruction would be its last.",
    False: "has no context: it never uses user registers, and leaves those in the CPU alone."}


def nothing_to_show(task):
    return f"{task} {NO_REGISTERS[task.context is not None]}"


def meaning(state):
    """What the state says, in words."""
    cpu = state.holder.id if state.holder else None
    if state.name == "ACTIVE":
        cpu = state.running.id if state.running else cpu
        return f"The values are in the registers of CPU {cpu} and nowhere else; the fpstate in memory is stale."
    if state.name == "CACHED":
        return f"The values are in the registers of CPU {cpu} and in memory, the same in both; nobody may write them."
    return "The values are in memory (its fpstate) and in no CPU's registers; the kernel may write them there."


def on_thread_of(cpu, function):
    """What the function finds with that CPU's thread selected."""
    with kernel.selection_kept():
        kernel.thread_of(cpu)
        return function()


def on_cpu(task, state):
    if state.running:
        where = "user mode" if on_thread_of(state.running, kernel.user_mode) else "the kernel"
        return f"on CPU {state.running.id}, in {where}"
    return "parked while its guest runs" if task.parked else f"not running (it was on CPU {int(task.value['cpu'])})"


def evidence(task, state, tasks):
    """The rule's three facts, and what follows from each; the flag is about the active context only."""
    if not state.holder:
        yield "last_cpu", "none", "so no CPU's registers are valid for it"
    else:
        cpu, elsewhere = state.holder.id, state.running and state.running is not state.holder
        yield "last_cpu", str(cpu), f"but it runs on CPU {state.running.id}" if elsewhere else \
            f"so if any registers hold it, those of CPU {cpu} do"
        yield f"owner[{cpu}]", "this context" if state.owns else contexts.owner_text(state.holder, tasks), \
            f"so the registers of CPU {cpu} are {'valid' if state.owns else 'not valid'} for it"
    if task.parked:
        return
    yield "TASK_NEED_FPU_LOAD", "set" if state.load_flag else "clear", \
        f"so it is {f'not ACTIVE: {due(state)}' if state.load_flag else 'ACTIVE'}"


def due(state):
    """When a context that is not ACTIVE will be."""
    if state.running and state.running.fpu["ts"] and on_thread_of(state.running, kernel.user_mode):
        return "CR0.TS is set, and its first vector instruction will trap"
    return "the way to user mode has work to do"


def since(state, last, tasks):
    """What no record of the context's own tells: a CACHED one is displaced by others, who don't know of it."""
    if last.to != "CACHED" or state.name != "INACTIVE" or not state.holder:
        return
    if state.owns:
        yield f"  Since then it came to CPU {state.running.id}, where CPU {state.holder.id}'s registers don't help."
    else:
        yield (f"  Since then the registers of CPU {state.holder.id} got another owner,"
               f" {contexts.owner_text(state.holder, tasks)}: that made it INACTIVE.")


class Where(Command):
    """Where the current values of a task's registers are, and why.

Usage: fx-where [TASK]
TASK is a tid or a name, or gTID for the guest that runs in that task's place; without it, the current task of the
selected CPU (`info threads`), or its guest."""
    name, words = "fx-where", (0, 1)

    def run(self, words):
        task, tasks = kernel.find_task(*words), kernel.tasks()
        if not task.has_registers:
            return [nothing_to_show(task)]
        state = contexts.state_of(task)
        half = contexts.unfinished(state.running) if state.running else ""
        lines = [f"{task}, context {int(task.context['id'])}, {on_cpu(task, state)}: {state.name}",
                 f"  {meaning(state)}"]
        if half:
            lines.append(f"  But {half}: until its end these may contradict each other.")
        armed = feature_names(int(task.context["xfd"]))
        lines += ["Why, by the rule of fpu/context.h:", *table(list(evidence(task, state, tasks)), "  ")]
        if armed:
            room = "" if task.guest else ", and its fpstate has no room for it yet"
            lines.append(f"Its XFD is armed for {armed}: a first use will trap{room}.")
        lines.append("How it came to be so:")
        for last in contexts.history(task.context, 1):
            lines += [f"  {last}, on CPU {last.cpu}, by {last.function} ({last.place})",
                      f"  {last.text}: {last.reason}", *since(state, last, tasks)]
        return lines


class Why(Command):
    """The last transitions of a task's register context, told as a story.

Usage: fx-why [TASK]
TASK is a tid or a name; without it, the current task of the selected CPU.
Every context remembers its last ones, whether the trace is on or not."""
    name, words = "fx-why", (0, 1)

    def run(self, words):
        task = kernel.find_task(*words)
        if not task.has_registers:
            return [nothing_to_show(task)]
        state, steps = contexts.state_of(task), contexts.history(task.context)
        lines = [f"{task}, context {int(task.context['id'])}, is {state.name}. Its last {len(steps)} transitions of"
                 f" {int(task.context['steps'])}, the newest at the end:"]
        rows = [(f"{s.number + 1:5}", f"CPU {s.cpu}", s.event, f"{s.came_from} to {s.to}", s.moved,
                 f"{s.function} ({s.place})") for s in steps]
        told, before = set(), None
        for line, s in zip(table(rows), steps):
            if before == "CACHED" and s.came_from == "INACTIVE":
                lines.append("         (others took those registers meanwhile, or it came to another CPU)")
            lines.append(line)
            if str(s) not in told:
                lines.append(f"         {s.text}: {s.reason}")
            told.add(str(s))
            before = s.to
        return lines + list(since(state, steps[-1], kernel.tasks()))


class Tasks(Command):
    """All tasks that have a tid: where each one's values are, and what is in use.

Usage: fx-tasks"""
    name = "fx-tasks"

    def run(self, words):
        cpus, rows = kernel.cpus(), [("tid", "name", "CPU", "state", "context", "last_cpu", "in memory, not initial")]
        for task in kernel.tasks():
            row = (task.word, task.name, int(task.value["cpu"]))
            if task.has_registers:
                state = contexts.state_of(task, cpus)
                in_use = feature_names(int(task.context["fpstate"]["xstate_bv"])) or "none"
                rows.append((*row, state.name, int(task.context["id"]), state.last_cpu if state.holder else "none",
                             in_use + (" (stale)" if state.name == "ACTIVE" else "")))
            else:
                rows.append((*row, "integer-only" if task.context is not None else "no context", "", "", ""))
        return table(rows)


class Owner(gdb.Function):
    """Whose values the registers of a CPU hold, as a text: $fx_owner() of the selected CPU, or $fx_owner(N)."""

    def __init__(self):
        super().__init__("fx_owner")

    def invoke(self, *number):
        with kernel.selection_kept():
            kernel.check()
            cpu = kernel.this_cpu() if not number else \
                next((cpu for cpu in kernel.cpus() if cpu.id == int(number[0])), None)
            if not cpu:
                raise gdb.GdbError(f"no CPU {int(number[0])}: the last is {len(kernel.cpus()) - 1}")
            return contexts.owner_text(cpu, kernel.tasks())


class StateOf(gdb.Function):
    """The state of a task's context, an enum fpu_state: $fx_state() of the selected CPU's task, or $fx_state(TID)."""

    def __init__(self):
        super().__init__("fx_state")

    def invoke(self, *tid):
        with kernel.selection_kept():
            kernel.check()
            task = kernel.find_task(*(str(int(word)) for word in tid))
            name = contexts.state_of(task).name if task.has_registers else "NONE"
            return gdb.Value(kernel.enumerators("fpu_state")["FPU_" + name]).cast(gdb.lookup_type("enum fpu_state"))


for command in (Where, Why, Tasks, Owner, StateOf):
    command()
