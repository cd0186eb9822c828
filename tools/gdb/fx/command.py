"""What all fx- commands have in common: their words, the checks before they begin, and how they print."""

import gdb

from fx import kernel


class Command(gdb.Command):
    """A command fx-NAME. run(words) does it and gives the lines to print; the class's docstring is its help."""
    name = None
    words = 0, 0                   # least and most
    early = False                  # works before the kernel has set up the registers

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_DATA)

    def invoke(self, argument, _from_tty):
        words = gdb.string_to_argv(argument)
        least, most = self.words
        if not least <= len(words) <= most:
            usage = self.__doc__.partition("Usage: ")[2].splitlines()[0]
            raise gdb.GdbError(f"usage: {usage}")
        try:
            with kernel.selection_kept():
                kernel.check(not self.early)
                lines = self.run(words)
            print_lines(lines)
            self.finish()
        except gdb.MemoryError as error:
            raise gdb.GdbError(f"the machine's memory does not hold what the kernel should have there: {error}") \
                from error

    def run(self, words):
        raise NotImplementedError

    def finish(self):
        """For commands that leave another place selected than they found."""


def print_lines(lines):
    gdb.write("".join(line.rstrip() + "\n" for line in lines))


def table(rows, indent=""):
    """Rows of texts in columns, the first row being the titles."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return [indent + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def count(word, least=1, most=1_000_000):
    if not word.isdecimal() or not least <= int(word) <= most:
        raise gdb.GdbError(f"{word} is not a number from {least} to {most}")
    return int(word)
