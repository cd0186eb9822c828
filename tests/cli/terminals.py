"""What a person at a terminal meets: the shell, the live screen above it, the ways to leave. Nothing here may need
keys that come at once, or a machine that answers in a certain time.
"""

import os

import terminal
from framework import ROOT, Fail, expect, expect_equal

SCRIPT = os.path.join(ROOT, "run-qemu.sh")
PROMPT = b"tarry$ "


def shell(machine):
    with terminal.Terminal([SCRIPT, "--machine", machine]) as screen:
        screen.wait_for(PROMPT)
        screen.type(b"echo one two\r")
        screen.wait_for(b"\none two\r\n")
        screen.wait_for(PROMPT)
        screen.type(b"yes\r")
        screen.wait_for(b"y\r\ny\r\n")
        screen.type(b"\x03")
        screen.wait_for(PROMPT)
        screen.type(b"exit\r")
        expect_equal(screen.end(), 0, "status")
        expect(screen.restored(), "the terminal was not restored")


def live_screen():
    """Above the shell; a key holds the machine, another lets it go on; at the end all rows scroll."""
    with terminal.Terminal([SCRIPT, "--view"], size=(24, 80)) as screen:
        screen.wait_for(b"--view needs a terminal of 80 columns and 32 rows; this one has 80 and")
        expect_equal(screen.end(), 2, "status")
    with terminal.Terminal([SCRIPT, "--view"], size=(40, 100)) as screen:
        screen.wait_for(b"\033[27;999r")
        screen.wait_for(b" Tarry, policy deferred")
        screen.wait_for(PROMPT)
        screen.type(b"\x14true\r")
        screen.wait_for(b"HELD")
        screen.type(b"c")
        screen.wait_for(PROMPT)
        screen.type(b"exit\r")
        screen.wait_for(b"\033[r")
        expect_equal(screen.end(), 0, "status")


def press(screen, key, text):
    """Types the key until that is shown: while nothing happens in the machine, it is the shell that gets it."""
    for _ in range(20):
        screen.type(key)
        try:
            return screen.wait_for(text, 2)
        except Fail:
            continue
    raise Fail(f"{text!r} never came")


def live_screen_by_key():
    """Ctrl-T in the shell opens it, q closes it, and again; a terminal that is too small gets a line."""
    with terminal.Terminal([SCRIPT, "--fpu", "deferred"], size=(24, 80)) as screen:
        screen.wait_for(PROMPT)
        screen.type(b"\x14help\r")
        screen.wait_for(b"larger terminal")
        screen.wait_for(b"Ctrl-T")
        screen.type(b"exit\r")
        expect_equal(screen.end(), 0, "status")
    with terminal.Terminal([SCRIPT, "--fpu", "deferred"], size=(40, 100)) as screen:
        screen.wait_for(PROMPT)
        for _ in range(2):
            screen.type(b"\x14\r")
            screen.wait_for(b"\033[27;999r")
            screen.wait_for(b" 1 transitions: ")
            screen.wait_for(b"HELD")
            screen.wait_for(b"\0338")
            press(screen, b" ", b"\0338")            # the next picture
            press(screen, b"q", b"\033[r")
        screen.type(b"\x15exit\r")
        expect_equal(screen.end(), 0, "status")


def leave():
    with terminal.Terminal([SCRIPT]) as screen:
        screen.wait_for(PROMPT)
        screen.type(b"\x01x")
        expect_equal(screen.end(), 0, "status")
        expect(screen.restored(), "the terminal was not restored")


def terminated():
    with terminal.Terminal([SCRIPT]) as screen:
        screen.wait_for(PROMPT)
        screen.process.terminate()
        expect_equal(screen.end(), 143, "status")
        expect(screen.restored(), "the terminal was not restored")
