"""Moves bytes between the host's files and the machine's serial ports.

Output is passed on as it comes, byte for byte and without a buffer of our own, so a slow reader
slows the guest down and nothing is lost. Nothing here may decide how a run ended: it only tells
the owner (through the events) that the host side is broken or that the user wants to leave.
"""

import collections
import os
import termios
import threading

CHUNK = 65536
DLE = b"\x10"
END_OF_FILE = DLE + b"E"
ESCAPE = 0x01                      # Ctrl-A
HELP_QUIT = "Ctrl-A X ends the machine, Ctrl-A Ctrl-A sends a Ctrl-A"
LOG_LINES_KEPT = 5000


def write_all(fd, data):
    """write() until everything is out."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


class Pump(threading.Thread):
    """Reads a port of the machine until it closes and gives each piece to a function.

    An error of the function is kept for the owner and reported once through on_error; reading
    goes on, so that the guest can end.
    """

    def __init__(self, fd, sink, on_error):
        super().__init__(daemon=True)
        self.fd, self.sink, self.on_error = fd, sink, on_error
        self.error = None
        self.start()

    def run(self):
        while True:
            try:
                data = os.read(self.fd, CHUNK)
            except OSError:
                data = b""
            if not data:
                return
            self.pass_on(data)

    def pass_on(self, data):
        if self.error or not self.sink:
            return
        try:
            self.sink(data)
        except OSError as error:
            self.error = error
            self.on_error()


class LogReader:
    """The kernel log: copies it to a file, if there is one, and keeps its last lines.

    The first of it means that the kernel has set up the serial ports: input sent before is lost.
    """

    def __init__(self, fd):
        self.fd = fd
        self.begun = threading.Event()
        self.lines = collections.deque(maxlen=LOG_LINES_KEPT)
        self.rest = b""

    def __call__(self, data):
        self.begun.set()
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.lines.extend(line.rstrip(b"\r").decode("utf-8", "replace") for line in lines)
        if self.fd is not None:
            write_all(self.fd, data)

    def all_lines(self):
        return list(self.lines) + ([self.rest.decode("utf-8", "replace")] if self.rest else [])


class Feeder(threading.Thread):
    """Gives the host's standard input to COM1 as the kernel's stdin=pipe expects it."""

    def __init__(self, fd, port, ready):
        super().__init__(daemon=True)
        self.fd, self.port, self.ready = fd, port, ready
        self.start()

    def run(self):
        self.ready.wait()
        try:
            while data := os.read(self.fd, CHUNK):
                write_all(self.port, data.replace(DLE, DLE + DLE))
        except OSError:
            pass
        try:
            write_all(self.port, END_OF_FILE)
        except OSError:
            pass                   # the machine has ended


class Keyboard(threading.Thread):
    """Gives the keys of a terminal in raw mode to COM1; Ctrl-A X calls leave."""

    def __init__(self, fd, port, ready, leave):
        super().__init__(daemon=True)
        self.fd, self.port, self.ready, self.leave = fd, port, ready, leave
        self.escaped = False
        self.start()

    def run(self):
        try:
            while data := os.read(self.fd, CHUNK):
                keys = self.keys(data)
                self.ready.wait()
                write_all(self.port, keys)
        except OSError:
            pass
        self.leave()

    def keys(self, data):
        """What of the typed bytes goes to the guest."""
        out = bytearray()
        for byte in data:
            if self.escaped:
                self.escaped = False
                if byte in b"xX":
                    self.leave()
                elif byte == ESCAPE:
                    out.append(byte)
            elif byte == ESCAPE:
                self.escaped = True
            else:
                out.append(byte)
        return bytes(out)


class RawTerminal:
    """Context: the terminal passes every key on; its state is restored whatever happens."""

    def __init__(self, fd):
        self.fd = fd

    def __enter__(self):
        self.saved = termios.tcgetattr(self.fd)
        raw = termios.tcgetattr(self.fd)
        raw[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INLCR | termios.IXON | termios.ISTRIP)
        raw[1] &= ~termios.OPOST
        raw[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self.fd, termios.TCSADRAIN, raw)

    def __exit__(self, *_):
        termios.tcsetattr(self.fd, termios.TCSADRAIN, self.saved)
