#!/usr/bin/env python3
"""Makes the boot image: a cpio archive (format newc) that is the guest's read-only root directory.

As a program: image.py OUTPUT LIST, where each line of LIST is "GUEST HOST"; /etc/argv starts
/bin/init. As a library: run.py adds the files of --exec and --file. The same input must always
give the same bytes, so no time, user or inode number of the host may get in.
"""

import posixpath
import sys

from errors import USAGE, HostError, explain

DEFAULT_ARGV = [b"/bin/init"]
ARGV_FILE = "/etc/argv"
DIRECTORY = 0o040755
PROGRAM = 0o100755
PLAIN = 0o100644
TRAILER = "TRAILER!!!"


def read_host(path):
    """The bytes of a host file that the user named."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except IsADirectoryError as error:
        raise HostError(f"{path}: is a directory, not a file", USAGE) from error
    except OSError as error:
        raise HostError(explain(error, path), USAGE) from error
    except ValueError as error:
        raise HostError(f"{path!r}: not a file name", USAGE) from error


def guest_path(path):
    """A guest path in its shortest form; refuses what has no place in the image."""
    parts = [part for part in path.split("/") if part]
    if not path.startswith("/") or not parts or path.endswith("/") or {".", ".."} & set(parts):
        raise HostError(f"{path}: a guest path is absolute, names a file and has no . or ..", USAGE)
    return "/" + "/".join(parts)


def read_list(path):
    """The files of a list that the Makefile wrote, {guest: host}."""
    with open(path, encoding="utf-8") as file:
        return dict(line.split(None, 1) for line in file.read().splitlines() if line)


def entry(inode, name, mode, data):
    """One archive member."""
    name = name.encode("utf-8", "surrogateescape") + b"\0"
    links = 2 if mode == DIRECTORY else 1
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return pad(head) + pad(data)


def pad(data):
    return data + bytes(-len(data) % 4)


def directories(paths):
    """Every directory above the paths, parents first; refuses a file used as a directory."""
    found = set()
    for path in paths:
        parent = posixpath.dirname(path)
        while parent != "/":
            if parent in paths:
                raise HostError(f"{path}: {parent} is a file in the boot image", USAGE)
            found.add(parent)
            parent = posixpath.dirname(parent)
    clash = found & set(paths)
    if clash:
        raise HostError(f"{sorted(clash)[0]}: is a directory in the boot image", USAGE)
    return sorted(found)


def build(files, argv):
    """The archive that holds files {guest: bytes} and starts argv (a list of bytes)."""
    files = dict(files)
    files[ARGV_FILE] = b"".join(word + b"\0" for word in argv)
    members = [(path, DIRECTORY, b"") for path in directories(files)]
    for path in sorted(files):
        members.append((path, PROGRAM if files[path][:4] == b"\x7fELF" else PLAIN, files[path]))
    body = b"".join(entry(inode, path[1:], mode, data)
                    for inode, (path, mode, data) in enumerate(members, 1))
    return body + entry(0, TRAILER, 0, b"")


def main():
    output, listing = sys.argv[1:]
    files = {guest: read_host(host) for guest, host in read_list(listing).items()}
    with open(output, "wb") as file:
        file.write(build(files, DEFAULT_ARGV))


if __name__ == "__main__":
    main()
