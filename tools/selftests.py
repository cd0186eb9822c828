#!/usr/bin/env python3
"""Provides the sources of the Linux kernel's own tests: build/selftests/linux.

They come out of the newest linux-source package of one of the distribution's releases (on Debian:
backports), found by name and checked by apt. Of the 1.6 GB in it only FOLDERS are unpacked. Nothing outside
build/selftests is written, nothing of it enters the repository, and no root is needed.
"""

import fcntl
import os
import re
import shutil
import sys

from apt import Apt, run
from errors import HostError

SUITES = {"debian": "trixie-backports", "ubuntu": "devel"}
SELFTESTS = "tools/testing/selftests"
UAPI = "include/uapi"      # one header is newer than the release that builds the tests
FOLDERS = [f"{SELFTESTS}/{name}" for name in ("x86", "mm", "ptrace", "prctl", "signal", "kselftest*.h")]
FOLDERS += ["arch/x86/include/asm", UAPI + "/linux/fs.h"]
READY = "ready"


def provide(folder):
    """The root of the unpacked sources. folder is the cache; two runs at once wait for each other."""
    folder = os.path.abspath(folder)
    os.makedirs(folder, exist_ok=True)
    root, ready = os.path.join(folder, "linux"), os.path.join(folder, READY)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(ready):
            version = unpack(folder, root)
            with open(ready, "w", encoding="ascii") as file:
                file.write(version + "\n")
    return root


def newest(names):
    """The package with the highest version in its name."""
    return max(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def unpack(folder, root):
    """Downloads the package and puts the wanted folders into root; returns the package's name."""
    apt = Apt(folder, SUITES)
    names = apt.names(r"linux-source-\d+(\.\d+)+")
    if not names:
        raise HostError("the release has no linux-source package")
    package = newest(names)
    print(f"selftests: getting {package} (once, 160 MB) for the tests in it", file=sys.stderr, flush=True)
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    extract(apt.download([package])[0], root)
    apt.remove()
    return package


def extract(package, root):
    """The archive in the archive: as a stream, for it is large; its first folder's name is left out."""
    wanted = " ".join(f"'*/{path}'" for path in FOLDERS)
    command = (f"set -o pipefail; dpkg-deb --fsys-tarfile {package} | tar -xO --wildcards '*.tar.*' | "
               f"xz -dcT0 | tar -x -C {root} --strip-components=1 --wildcards {wanted}")
    run(["bash", "-c", command], "unpack " + os.path.basename(package))


def main():
    print(provide(os.path.join("build", "selftests")))


if __name__ == "__main__":
    try:
        main()
    except HostError as failure:
        sys.exit(f"selftests.py: {failure}")
