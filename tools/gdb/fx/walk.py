"""fx-next: lets the machine run to the next transition of any context, and says what it is.

The kernel calls debugger_stop at the events that debugger_events names, while fpu_tracing is set. The two are set
while we wait, and then get their old values back; with the trace off, the kernel does nothing else at a transition.
"""

import gdb

from fx import contexts, kernel
from fx.command import Command, print_lines

HOOK = "debugger_stop"
EVERY = (1 << 64) - 1


def event_number(word):
    """The event of that name, as transitions.def spells it."""
    known = kernel.texts("fpu_event_names")
    if word.upper() not in known:
        raise gdb.GdbError(f"no event {word}: there are " + " ".join(known))
    return known.index(word.upper())


def frame_of(function):
    """The newest frame of that function, or None."""
    frame = gdb.newest_frame()
    while frame and frame.name() != function:
        frame = frame.older()
    return frame


def store(variable, value):
    gdb.execute(f"set var *({variable.type.unqualified()} *) {kernel.address(variable.address):#x} = {value}")


def transition_here():
    """What tells one transition from all others, while the machine stands in the hook; else None."""
    frame = gdb.newest_frame()
    if frame.name() != HOOK:
        return None
    context = frame.read_var("context")
    return kernel.address(context), int(context["steps"])


def run_to(events):
    """Lets the machine run; true if it stopped in the hook. For other stops GDB itself says where."""
    waiting = [(kernel.symbol("fpu_tracing"), 1), (kernel.symbol("debugger_events", "kernel/trace.c"), events)]
    before = [(variable, int(variable)) for variable, _ in waiting]
    start, stop = transition_here(), gdb.Breakpoint(HOOK, type=gdb.BP_HARDWARE_BREAKPOINT, internal=True)
    stop.silent = True
    for variable, value in waiting:
        store(variable, value)
    try:
        gdb.execute("continue", to_string=True)
        # GDB leaves a breakpoint by a single step, and QEMU's may end before the instruction has run.
        while stop.hit_count and start and transition_here() == start:
            stop.hit_count = 0
            gdb.execute("continue", to_string=True)
        return stop.hit_count > 0
    finally:
        stop.delete()
        if gdb.selected_thread():
            for variable, value in before:
                store(variable, value)


def description():
    """The transition that the hook is being told of. The frame that asked for it is selected from then on."""
    frame = gdb.newest_frame()
    context, step = frame.read_var("context"), contexts.step(frame.read_var("step").dereference())
    known = [*kernel.tasks(), kernel.find_task()]           # at its end a task is in no table
    owner = next((task for task in known if task.context_address == kernel.address(context)), None)
    nobody = f"a guest of {kernel.find_task()}" if context["guest"] else "a task that is being made"
    lines = [f"CPU {step.cpu}, {owner or nobody}, context {int(context['id'])}: {step}",
             f"  {step.text}: {step.reason}", f"  {contexts.moved_text(step, int(frame.read_var('moved')))}"]
    (frame_of(step.function) or gdb.newest_frame()).select()
    return lines


class Next(Command):
    """Run to the next transition of any context, and print it with the function and line that asked for it.

Usage: fx-next [EVENT]
EVENT is one of transitions.def's, such as SWITCH_OUT: transitions by others are passed over.
The function's frame is selected: `list` shows the source, `bt` how the kernel came there."""
    name, words, early = "fx-next", (0, 1), True

    def run(self, words):
        self.events = 1 << event_number(words[0]) if words else EVERY
        return []

    def finish(self):
        """What moves the machine stands here, for it leaves another place selected."""
        try:
            met = run_to(self.events)
        except gdb.error as error:
            raise gdb.GdbError(f"the machine has ended before that ({error})") from error
        if not gdb.selected_thread():
            raise gdb.GdbError("the machine has ended before that")
        if not met:
            raise gdb.GdbError("stopped elsewhere before that")
        print_lines(description())
        gdb.execute("frame")


Next()
