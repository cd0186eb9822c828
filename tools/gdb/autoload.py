"""Copied to build/tarry.elf-gdb.py, which GDB loads when it opens build/tarry.elf.

Only finds the package: everything else is in tools/gdb/fx.
"""

import os
import sys

import gdb

opened = gdb.current_objfile()
tools = os.path.join(os.path.dirname(os.path.abspath(opened.filename if opened else __file__)), "..", "tools")
sys.path += [os.path.join(tools, "gdb"), tools]

import fx                          # noqa: E402 (the path comes first)
