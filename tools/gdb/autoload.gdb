# Copied to build/tarry.elf-gdb.gdb, for a GDB without Python: it says so at this line, instead of knowing no fx- command.
python pass
