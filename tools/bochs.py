#!/usr/bin/env python3
"""Provides Bochs 3.1 or newer: the installed one, or a private copy in build/bochs.

Bochs 2.7 and 3.0 corrupt extended register state, so they are never used. The private copy is
unpacked from the packages of the distribution's next release, with an apt state of its own, and
runs with its own loader: nothing outside build/bochs is written and no root is needed. Debian's
Bochs links the libraries of its graphical debugger, which never runs here, so stand-ins whose
functions trap take their place and 60 MB need not be downloaded.
"""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys

from apt import Apt, run
from errors import HostError

OLDEST = (3, 1)
NEXT_RELEASE = {"debian": "testing", "ubuntu": "devel"}
PACKAGES = ["bochs", "bochs-term", "bochsbios", "vgabios", "libc6", "libstdc++6", "libgcc-s1",
            "libltdl7", "libncurses6", "libtinfo6"]
LIBRARIES = "usr/lib/x86_64-linux-gnu"
PLUGINS = LIBRARIES + "/bochs/plugins"
READY = "ready"


class Bochs:
    """How to start it: the command, its environment and where its BIOS files are."""

    def __init__(self, command, env, share):
        self.command, self.env, self.share = command, env, share


def version_of(text):
    found = re.search(r"Bochs x86 Emulator (\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else None


def ask_version(command, env):
    """The version that a Bochs reports, or None if it doesn't run."""
    try:
        done = subprocess.run(command + ["--help"], env={**os.environ, **env}, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return version_of(done.stdout + done.stderr)


def installed():
    """The machine's own Bochs if it is new enough."""
    program = shutil.which("bochs-bin") or shutil.which("bochs")
    shares = ["/usr/share/bochs", "/usr/local/share/bochs"]
    share = next((s for s in shares if os.path.exists(s + "/BIOS-bochs-latest")), None)
    if program and share and (ask_version([program], {}) or (0, 0)) >= OLDEST:
        return Bochs([program], {}, share)
    return None


def private(root):
    """The unpacked one."""
    libraries, plugins = os.path.join(root, LIBRARIES), os.path.join(root, PLUGINS)
    return Bochs([libraries + "/ld-linux-x86-64.so.2", "--library-path", f"{libraries}:{plugins}",
                  os.path.join(root, "usr/bin/bochs-bin")],
                 {"LTDL_LIBRARY_PATH": plugins}, os.path.join(root, "usr/share/bochs"))


def provide(folder):
    """A usable Bochs. folder is the cache; two runs at once wait for each other."""
    folder = os.path.abspath(folder)
    root = os.path.join(folder, "root")
    if os.path.exists(os.path.join(folder, READY)):
        return private(root)
    own = installed()
    if own:
        return own
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(folder, READY)):
            try:
                unpack(folder, root)
            except HostError as error:
                raise HostError(f"bochs: {error}; Bochs 3.1 or newer is needed") from error
    return private(root)


def unpack(folder, root):
    """Downloads the packages and puts a Bochs that runs into root."""
    if platform.machine() != "x86_64" or not shutil.which("apt-get"):
        raise HostError("install it (package list: bochs, bochs-term, bochsbios, vgabios), "
                        "older ones corrupt register state")
    print("bochs: getting Bochs 3.1 into build/bochs (once, 6 MB)", file=sys.stderr, flush=True)
    shutil.rmtree(root, ignore_errors=True)
    apt = Apt(folder, NEXT_RELEASE)
    for package in apt.download(PACKAGES):
        run(["dpkg-deb", "-x", package, root], "unpack " + os.path.basename(package))
    stand_in(folder, root)
    bochs = private(root)
    version = ask_version(bochs.command, bochs.env)
    if (version or (0, 0)) < OLDEST:
        raise HostError(f"the unpacked one is of no use: version {version}")
    apt.remove()
    with open(os.path.join(folder, READY), "w", encoding="ascii") as file:
        file.write("%d.%d\n" % version)


def symbols(path, which):
    """The names of a file's dynamic symbols, without versions and optional (weak) wishes."""
    lines = run(["nm", "-D", which, path], "read " + os.path.basename(path)).splitlines()
    return {line.split()[-1].split("@")[0] for line in lines if line.split()[-2] != "w"}


def stand_in(folder, root):
    """Gives every library that bochs-bin needs and nobody unpacked a stand-in of traps."""
    program = os.path.join(root, "usr/bin/bochs-bin")
    libraries = os.path.join(root, LIBRARIES)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run(["readelf", "-dW", program], "read bochs-bin"))
    present = [name for name in needed if os.path.exists(os.path.join(libraries, name))]
    defined = set()
    for name in present:
        defined |= symbols(os.path.join(libraries, name), "--defined-only")
    names = sorted(symbols(program, "--undefined-only") - defined)
    source = os.path.join(folder, "stand-in.s")
    with open(source, "w", encoding="ascii") as file:
        for name in names:
            file.write(f".globl {name}\n.type {name}, @function\n{name}:\n")
        file.write("ud2\n.section .note.GNU-stack,\"\",@progbits\n")
    for name in set(needed) - set(present):
        run(["gcc", "-shared", "-nostdlib", "-o", os.path.join(libraries, name), source],
            "make a stand-in for " + name)
    os.unlink(source)


def main():
    bochs = provide(os.path.join("build", "bochs"))
    print(" ".join(bochs.command))


if __name__ == "__main__":
    try:
        main()
    except HostError as failure:
        sys.exit(f"bochs.py: {failure}")
