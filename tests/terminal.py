"""A terminal for tests: runs a program on a pseudo-terminal, types, and waits for what it shows."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

from framework import ROOT, Fail, excerpt

WAIT_SECONDS = 40
END_SECONDS = 10


def take_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """Context: the program is gone at the end, whatever the test did."""

    def __init__(self, words, controlling=False, size=(0, 0)):
        """controlling: ^C on it is a signal, too. size: rows and columns."""
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.shown = b""
        self.process = subprocess.Popen(words, stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, cwd=ROOT, start_new_session=True,
                                        preexec_fn=take_terminal if controlling else None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def type(self, keys):
        os.write(self.master, keys)

    def read(self, seconds):
        """Adds what is shown within this time; False if nothing was."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            self.shown += os.read(self.master, 65536)
        return bool(ready)

    def wait_for(self, text, seconds=WAIT_SECONDS):
        """Waits until text is shown; gives everything up to it and forgets that."""
        until = time.monotonic() + seconds
        while text not in self.shown:
            if time.monotonic() > until:
                raise Fail(f"waited {seconds} s for {text!r}\n{excerpt(self.shown)}")
            if not self.read(0.2) and self.process.poll() is not None:
                raise Fail(f"ended with status {self.process.returncode} before {text!r} was shown"
                           f"\n{excerpt(self.shown)}")
        found, _, self.shown = self.shown.partition(text)
        return found + text

    def end(self, seconds=WAIT_SECONDS):
        """Waits for the program's end; gives its status as a shell does."""
        until = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read(0.1)
            if time.monotonic() > until:
                raise Fail(f"did not end within {seconds} s\n{excerpt(self.shown)}")
        status = self.process.returncode
        return status if status >= 0 else 128 - status

    def restored(self):
        return termios.tcgetattr(self.slave) == self.before
