"""The kernel in the machine that GDB is attached to: its variables, CPUs and tasks.

Everything is read from the ELF file's debug information and from the machine's memory. Nothing here is
written, and no command may begin without check(): it raises one clear line where there is nothing to read.
"""

import contextlib
import os
import struct

import elf
import gdb

LONG_MODE_ACTIVE = 1 << 10         # EFER.LMA
USER_RING = 3
GUEST = "g"                        # before a tid: the guest that runs in its place
ADDRESS = (1 << 64) - 1
checked = set()                    # connections whose machine runs the kernel that GDB has opened


def symbol(name, file=None):
    """The value of a variable: a global one, or the static one of that source file."""
    if file:
        found = [s for s in gdb.lookup_static_symbols(name) if s.symtab.filename.endswith(file)]
    else:
        found = [gdb.lookup_global_symbol(name)]
    if not found or not found[0]:
        raise gdb.GdbError("no symbols of Tarry here: open its ELF file with `file build/tarry.elf`")
    return found[0].value()


def address(value):
    return int(value) & ADDRESS


def text(pointer):
    """A C string in the kernel."""
    return pointer.string("ascii", "replace")


def texts(name, file=None):
    """A table of C strings."""
    table = symbol(name, file)
    return [text(table[i]) if table[i] else "" for i in range(table.type.range()[1] + 1)]


def enumerators(name):
    """{name: value} of an enum."""
    return {field.name: field.enumval for field in gdb.lookup_type("enum " + name).fields()}


def memory(where, size):
    try:
        return bytes(gdb.selected_inferior().read_memory(where, size))
    except gdb.MemoryError as error:
        raise gdb.GdbError(f"no memory at {where:#x} in this machine") from error


def register(name):
    return address(gdb.newest_frame().read_register(name))


def user_mode():
    return register("cs") & USER_RING == USER_RING


def in_long_mode():
    return bool(register("efer") & LONG_MODE_ACTIVE)


@contextlib.contextmanager
def selection_kept():
    """What the block selects, threads and frames, is undone at its end."""
    thread = gdb.selected_thread()
    frame = gdb.selected_frame() if thread else None
    try:
        yield
    finally:
        if thread and thread.is_valid() and gdb.selected_thread() != thread:
            thread.switch()
        if frame and frame.is_valid():
            frame.select()


def constants_in_file(path):
    """(address, bytes) of the read-only data as the linker made it: full of addresses of functions."""
    with open(path, "rb") as file:
        data = file.read()
    for kind, flags, offset, start, _, size, _, _ in elf.program_headers(data):
        if kind == elf.PT_LOAD and not flags & (elf.FLAG_W | elf.FLAG_X):
            return start, data[offset:offset + size]
    raise gdb.GdbError(f"{path} has no read-only data: is that Tarry's kernel?")


def compare():
    """Raises if the machine runs something else than the ELF file that GDB has opened."""
    path = symbol_file()
    start, wanted = constants_in_file(path)
    found = memory(start, len(wanted))
    if found != wanted:
        at = start + next(i for i in range(len(wanted)) if found[i] != wanted[i])
        raise gdb.GdbError(
            f"the machine does not run {os.path.relpath(path)}: their constants differ at {at:#x}."
            " Start it again, or give GDB the kernel that it runs (`file`).")


def symbol_file():
    found = gdb.lookup_global_symbol("fpu_config")
    if not found:
        raise gdb.GdbError("no symbols of Tarry here: open its ELF file with `file build/tarry.elf`")
    return found.symtab.objfile.filename


def check(set_up=True):
    """Raises unless a machine is attached that runs this kernel, has started it and, with set_up, the registers."""
    symbol_file()
    threads = sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num)
    if not threads or not gdb.selected_thread():
        raise gdb.GdbError("no machine is attached: `make gdb` starts one; or ./run-qemu.sh --gdb in another"
                           " terminal, which prints what to type here")
    if gdb.selected_thread().is_running():
        raise gdb.GdbError("the machine is running: stop it with Ctrl-C")
    connection = gdb.selected_inferior().connection_num, symbol_file(), os.stat(symbol_file()).st_mtime_ns
    if not in_long_mode():
        threads[0].switch()        # the first CPU: one that is not started yet sees no kernel memory
        if not in_long_mode():
            raise gdb.GdbError("the kernel has not started yet: `thbreak kmain`, then `continue`")
    if connection not in checked:
        compare()
        checked.add(connection)
    if set_up and not symbol("fpu_config")["features"]:
        raise gdb.GdbError("the kernel has not set up the registers yet: `thbreak crypto_init`,"
                           " then `continue`")


class Task:
    """One struct task, as it was when it was read, and one of its contexts: the active one, which may be a guest's,
    or its own, which is parked then."""

    def __init__(self, pointer, own=False):
        self.address = address(pointer)
        self.value = pointer.dereference()
        self.value.fetch_lazy()
        self.tid = int(self.value["tid"])
        self.name = text(self.value["name"])
        self.flags = int(self.value["flags"])
        active, user = self.value["fpu"]["active"], self.value["fpu"]["user"].address
        self.parked = own and bool(active) and active != user
        chosen = user if self.parked else active
        self.context = chosen.dereference() if chosen else None
        self.context_address = address(chosen)
        self.guest = self.context is not None and bool(self.context["guest"])

    def __str__(self):
        if not self.tid:
            return f"kernel thread {self.name}"
        return f"the guest of task {self.tid} {self.name}" if self.guest else f"task {self.tid} {self.name}"

    @property
    def word(self):
        """What names it in a command."""
        return f"{GUEST}{self.tid}" if self.guest else str(self.tid)

    @property
    def has_registers(self):
        return self.context is not None and bool(self.context["fpstate"])


class Cpu:
    """One struct cpu, as it was when it was read."""

    def __init__(self, pointer):
        self.address = address(pointer)
        self.value = pointer.dereference()
        self.value.fetch_lazy()
        self.id = int(self.value["id"])
        self.fpu = self.value["fpu"]
        self.owner = address(self.fpu["owner"])
        self.current = address(self.value["current_task"])


def cpus():
    table, count = symbol("cpus"), int(symbol("ncpus"))
    return [Cpu(table[i]) for i in range(count)]


def task_at(where, own=False):
    return Task(gdb.Value(where).cast(gdb.lookup_type("struct task").pointer()), own)


def chain(first):
    """The tasks of one bucket of the tid table."""
    while first:
        task = task_at(first)
        if task.guest:
            yield task_at(first, own=True)
        yield task
        first = address(task.value["next_tid"])


def tasks():
    """Every user task, by tid, and behind it the guest that runs in its place."""
    table = symbol("tid_table")
    heads = struct.unpack(f"<{table.type.sizeof // 8}Q", memory(address(table.address), table.type.sizeof))
    return sorted((task for head in heads for task in chain(head)), key=lambda task: task.tid)


def cpu_of_thread(known):
    """The Cpu of the selected thread, found by the GS base it runs with; None before it has one."""
    bases = [register("k_gs_base")] if user_mode() else [register("gs_base"), register("k_gs_base")]
    return next((cpu for base in bases for cpu in known if cpu.address == base), None)


def this_cpu():
    found = cpu_of_thread(cpus())
    if not found:
        raise gdb.GdbError("the selected thread is no CPU of Tarry's yet (`info threads`, `thread 1`)")
    return found


def thread_of(cpu):
    """Selects the thread that is this CPU."""
    known, threads = cpus(), sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num)
    for thread in threads[cpu.id:] + threads[:cpu.id]:      # mostly in this order
        thread.switch()
        found = cpu_of_thread(known) if in_long_mode() else None
        if found and found.id == cpu.id:
            return thread
    raise gdb.GdbError(f"no thread of GDB's is CPU {cpu.id}")


def find_task(word=""):
    """The task with that tid or name; no word: the current one of the selected thread."""
    if not word:
        return task_at(this_cpu().current)
    known = tasks()
    if word.removeprefix(GUEST).isdecimal():
        found = [task for task in known if task.word == word]
    else:
        running = {cpu.current for cpu in cpus()} | {address(cpu.value["idle"]) for cpu in cpus()}
        found = [task for task in known + [task_at(where) for where in sorted(running)
                                           if where not in {task.address for task in known}]
                 if task.name == word and not task.guest]
    if not found:
        raise gdb.GdbError(f"no task {word}: there are " + ", ".join(f"{t.word} {t.name}" for t in known))
    if len(found) > 1 and found[0].tid:
        raise gdb.GdbError(f"{len(found)} tasks are called {word}: name one by its tid, "
                           + ", ".join(task.word for task in found))
    return found[0]
