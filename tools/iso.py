#!/usr/bin/env python3
"""Makes the bootable ISO: GRUB, the kernel, its symbols and the boot image.

As a program: iso.py OUTPUT KERNEL SYMBOLS IMAGE. As a library: run.py makes an ISO with another
image or kernel command line. GRUB gets only the modules that the menu needs, and if it cannot
start the kernel it must end the machine (never wait at a prompt that nobody can see).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from errors import HostError, USAGE, explain

MODULES = "multiboot2 normal iso9660 biosdisk iorw"
GRUB_PLATFORM = ["/usr/lib/grub/i386-pc", "/usr/share/grub2/i386-pc", "/usr/lib/grub2/i386-pc"]
MAKERS = ["grub-mkrescue", "grub2-mkrescue"]
SAFE_WORD = re.compile(r"[A-Za-z0-9_.,:=+@/%-]+")
# Written to QEMU's isa-debug-exit port, which makes the exit code (value << 1) | 1.
LOADER_FAILED = 0x30
SHUTDOWN_PORT = 0x8900

GRUB_MENU = """\
set timeout=0
multiboot2 /boot/tarry.elf {cmdline}
module2 /boot/image.cpio image
module2 /boot/tarry.sym symbols
boot
{give_up}
"""


def check_cmdline(cmdline):
    """Refuses a kernel command line that GRUB's script language would change."""
    for word in cmdline.split():
        if not SAFE_WORD.fullmatch(word):
            raise HostError(f"kernel command line: {word!r} has a character GRUB can't pass", USAGE)


def menu(cmdline):
    """The text of grub.cfg."""
    check_cmdline(cmdline)
    give_up = [f"outb {SHUTDOWN_PORT:#x} {byte:#x}" for byte in b"Shutdown"]
    give_up.append(f"outb 0xf4 {LOADER_FAILED:#x}")
    return GRUB_MENU.format(cmdline=cmdline, give_up="\n".join(give_up))


def maker():
    """The command that makes a rescue image, restricted to BIOS machines."""
    for name in MAKERS:
        if shutil.which(name):
            break
    else:
        raise HostError("grub-mkrescue is missing: run tools/deps.sh run")
    for folder in GRUB_PLATFORM:
        if os.path.isdir(folder):
            return [name, "-d", folder]
    raise HostError("GRUB's BIOS modules (i386-pc) are missing: run tools/deps.sh run")


def build(output, kernel, symbols, image, cmdline=""):
    """Writes the ISO. kernel and symbols are host paths, image is bytes."""
    stage = tempfile.mkdtemp(prefix="tarry-iso-")
    try:
        boot = os.path.join(stage, "root", "boot")
        os.makedirs(os.path.join(boot, "grub"))
        shutil.copyfile(kernel, os.path.join(boot, "tarry.elf"))
        shutil.copyfile(symbols, os.path.join(boot, "tarry.sym"))
        with open(os.path.join(boot, "image.cpio"), "wb") as file:
            file.write(image)
        with open(os.path.join(boot, "grub", "grub.cfg"), "w", encoding="ascii") as file:
            file.write(menu(cmdline))
        make_rescue(output, stage)
    except OSError as error:
        raise HostError(f"cannot write the boot image: {explain(error)}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def make_rescue(output, stage):
    """Runs grub-mkrescue on stage/root and says in one line what went wrong."""
    command = maker() + ["-o", output, os.path.join(stage, "root"), "--locales=", "--fonts=",
                         "--themes=", f"--install-modules={MODULES}"]
    env = {**os.environ, "TMPDIR": stage, "LC_ALL": "C"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace")
    if done.returncode == 0:
        return
    if os.path.exists(output):
        os.unlink(output)
    text = done.stdout + done.stderr
    if "No space left" in text:
        raise HostError("cannot write the boot image: no space left on the disk")
    lines = [line for line in text.splitlines() if "error" in line.lower() or "FAILURE" in line]
    raise HostError(f"{command[0]} failed: {(lines or text.splitlines() or ['no message'])[0]}")


def main():
    output, kernel, symbols, image = sys.argv[1:]
    with open(image, "rb") as file:
        data = file.read()
    try:
        build(output, kernel, symbols, data)
    except HostError as error:
        sys.exit(f"iso.py: {error}")


if __name__ == "__main__":
    main()
