"""Packages from a release that this machine does not run, without root and without touching its apt.

A private apt state, below a folder that the caller gives, reads the lists of one suite from the mirror that
the machine already uses, with the distribution's own keyring. Nothing is installed: files are downloaded.
"""

import glob
import os
import re
import shutil
import subprocess

from errors import HostError


def run(command, what, cwd=None):
    """Runs a command of the provisioning; its last line is the reason if it fails."""
    try:
        done = subprocess.run(command, cwd=cwd, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, env={**os.environ, "LC_ALL": "C"})
    except OSError as error:
        raise HostError(f"cannot {what}: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise HostError(f"cannot {what}: {(lines or [done.stderr.strip()])[-1]}")
    return done.stdout


def distribution():
    """The ID of /etc/os-release."""
    with open("/etc/os-release", encoding="utf-8") as file:
        pairs = (line.strip().split("=", 1) for line in file if "=" in line)
        return {key: value.strip('"') for key, value in pairs}.get("ID", "")


def source_line(system, suite):
    """An apt source for the suite, at the mirror that this machine already uses."""
    targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(SUITE) $(COMPONENT)",
                   "Created-By: Packages"], "ask apt for its mirror").splitlines()
    mirrors = [line.split()[0] for line in targets
               if line.endswith(" main") and "security" not in line]
    if not mirrors:
        raise HostError("apt knows no mirror: is /etc/apt/sources.list.d empty?")
    keyring = f"/usr/share/keyrings/{system}-archive-keyring.gpg"
    signed = f"[signed-by={keyring}] " if os.path.exists(keyring) else ""
    parts = "main" if system == "debian" else "main universe"
    return f"deb {signed}{mirrors[0]} {suite} {parts}\n"


class Apt:
    """The private state. suites: {distribution: suite}; HostError if this is none of them."""

    def __init__(self, folder, suites):
        system = distribution()
        if not shutil.which("apt-get") or system not in suites:
            raise HostError(f"no idea where {system or 'this system'} has it")
        self.state = os.path.join(os.path.abspath(folder), "apt")
        self.remove()
        for name in ("lists/partial", "cache/archives/partial", "packages"):
            os.makedirs(os.path.join(self.state, name))
        with open(self.state + "/sources.list", "w", encoding="ascii") as file:
            file.write(source_line(system, suites[system]))
        options = {"Dir::Etc::sourcelist": self.state + "/sources.list",
                   "Dir::Etc::sourceparts": "-", "Dir::State::Lists": self.state + "/lists",
                   "Dir::State::status": "/dev/null", "Dir::Cache": self.state + "/cache",
                   "APT::Architecture": "amd64", "Acquire::Retries": "3",
                   "Acquire::Languages": "none", "APT::Sandbox::User": "",
                   "Acquire::http::Timeout": "30"}
        self.options = [word for item in options.items() for word in ("-o", "=".join(item))]
        run(["apt-get", "-q", *self.options, "update", "--error-on=any"], "read the package lists")

    def names(self, pattern):
        """The names of the packages that match the regular expression as a whole."""
        listed = run(["apt-cache", *self.options, "pkgnames"], "list packages").split()
        return [name for name in listed if re.fullmatch(pattern, name)]

    def download(self, packages):
        """Fetches the packages; returns their files."""
        run(["apt-get", "-q", *self.options, "download", *packages], "download packages",
            cwd=self.state + "/packages")
        return sorted(glob.glob(self.state + "/packages/*.deb"))

    def remove(self):
        shutil.rmtree(self.state, ignore_errors=True)
