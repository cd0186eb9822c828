"""The fx- commands: Tarry's register contexts as GDB shows them. `apropos fx-` is the index.

Importing the package adds the commands; each file has one subject. Nothing here changes the machine, but for
fx-next, which sets the kernel's fpu_tracing while it waits, and puts it back.
"""

from fx import area, cpu, layout, step, trace, walk, where  # noqa: F401 (each registers its commands)
