"""Where a context's current value is, by the rule at the head of fpu/context.h, and what it has been through.

The rule is all that is written here in Python; every name and every reason comes from the kernel.
"""

import dataclasses

import gdb

from fx import kernel
from fx.layout import feature_names

VERBS = ("fpu/verbs.h", "fpu/verbs.c")
VERB_IS_DONE = "fpu_note"          # a verb calls it at its end
SECTION_BEGINS = ("kernel_fpu_begin", "kernel_fpu_begin_first")
ONLY_LOOK = ("fpregs_valid", "fpregs_state")
FRAMES = 8                         # how far up a verb is looked for
NO_CONTEXT = {"fpu_kernel_owner": "the kernel", "fpu_init_owner": "the initial image"}


@dataclasses.dataclass
class State:
    """name: as the kernel has it. running: the CPU that runs the task, or None; holder: the one
    that last_cpu names, or None; owns: the holder's registers are this context's."""
    name: str
    running: kernel.Cpu
    holder: kernel.Cpu
    owns: bool
    load_flag: bool
    last_cpu: int


def enumerator(enum, value, prefix=""):
    """The kernel's name for a value of an enum."""
    return next(name for name, number in kernel.enumerators(enum).items() if number == value).removeprefix(prefix)


def state_of(task, cpus=None):
    """The State of a task that has registers."""
    cpus = cpus or kernel.cpus()
    last_cpu = int(task.context["last_cpu"])
    running = None if task.parked else next((cpu for cpu in cpus if cpu.current == task.address), None)
    holder = next((cpu for cpu in cpus if cpu.id == last_cpu), None)
    owns = bool(holder) and holder.owner == task.context_address
    flag = task.parked or bool(task.flags & int(kernel.symbol("fpu_load_flag")))
    valid = owns and (not running or running.id == holder.id)
    name = "ACTIVE" if not flag else "CACHED" if valid else "INACTIVE"
    return State(name, running, holder, owns, flag, last_cpu)


def owner_text(cpu, tasks):
    """Whose values the registers of a CPU hold."""
    if not cpu.owner:
        return "nobody"
    for name, words in NO_CONTEXT.items():
        if cpu.owner == kernel.address(kernel.symbol(name).address):
            return words
    task = next((task for task in tasks if task.context_address == cpu.owner), None)
    if not task:
        return "a context that is gone, or a guest that does not run"
    last_cpu = int(task.context["last_cpu"])
    if last_cpu == cpu.id:
        return str(task)
    return f"{task}, given up" if last_cpu < 0 else f"{task}, outdated by CPU {last_cpu}"


def functions():
    """(name, file) of the selected thread's functions, inlined ones too, the innermost first."""
    frame, found = gdb.newest_frame(), []
    while frame and len(found) < FRAMES:
        table = frame.find_sal().symtab
        found.append((frame.name() or "", table.filename if table else ""))
        frame = frame.older()
    return found


def unfinished(cpu):
    """What the CPU is in the middle of, so that the rule does not hold there; or an empty text."""
    with kernel.selection_kept():
        kernel.thread_of(cpu)
        here = functions()
    names = [name for name, _ in here]
    if any(name in SECTION_BEGINS for name in names):
        return "a kernel section is beginning"
    verbs = [name for name, file in here if file.endswith(VERBS) and name.startswith("fpregs_")
             and name not in ONLY_LOOK]
    return f"the verb {verbs[0].removesuffix('_at')} is half done" if verbs and VERB_IS_DONE not in names else ""


@dataclasses.dataclass
class Step:
    """One transition, from a context's history or from the trace, with what the kernel says of it."""
    number: int
    event: str
    came_from: str
    to: str
    cpu: int
    function: str
    place: str
    text: str
    reason: str
    moved: str                     # saved, loaded or nothing

    def __str__(self):
        return f"{self.event}, {self.came_from} to {self.to}"


def rule(event, came_from, to):
    """transitions.def's reason for a transition, from the table in the kernel."""
    rules = kernel.symbol("fpu_rules")
    for i in range(rules.type.range()[1] + 1):
        if (int(rules[i]["event"]), int(rules[i]["from"]), int(rules[i]["to"])) == (event, came_from, to):
            return kernel.text(rules[i]["reason"])
    return "transitions.def does not know this one"


def step(value, number=0):
    """A struct fpu_step of the kernel's."""
    event, came_from, to = (int(value[name]) for name in ("event", "from", "to"))
    states, site = kernel.texts("fpu_state_names"), value["site"]
    place = f"{kernel.text(site['file']).removeprefix('./')}:{int(site['line'])}"
    return Step(number, kernel.text(kernel.symbol("fpu_event_names")[event]), states[came_from], states[to],
                int(value["cpu"]), kernel.text(site["function"]), place,
                kernel.text(kernel.symbol("fpu_event_texts")[event]), rule(event, came_from, to),
                ("loaded" if states[came_from] == "INACTIVE" else "saved") if value["moved"] else "")


def moved_text(step, mask):
    """What a transition saved or loaded; mask: the components that were not in their initial state."""
    return f"{step.moved}: {feature_names(mask) or 'initial values only'}" if step.moved else "nothing saved or loaded"


def history(context, most=None):
    """The last transitions that a context remembers, oldest first."""
    ring = context["history"]
    size, count = ring.type.range()[1] + 1, int(context["steps"])
    first = max(0, count - min(size, most or size))
    return [step(ring[number % size], number) for number in range(first, count)]
