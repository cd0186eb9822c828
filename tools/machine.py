"""Starts an emulated PC: QEMU or Bochs, with COM1 in both directions, COM2 to COM4 outwards.

Both classes give the same three host ends, so nothing above them knows which emulator runs. The
exit status of the emulator is no verdict (Bochs always ends with 1): that is in the kernel log.
"""

import ctypes
import os
import pty
import shutil
import signal
import socket
import subprocess
import threading

import bochs
from errors import HostError

QEMU = "qemu-system-x86_64"
QEMU_CPU = "max,-mpx"             # all that its software CPU can do; the bounds are of no use
GDB_PORT_BASE, GDB_PORT_RANGE, GDB_PORT_END = 25000, 5000, 65000
ACCEPT_SECONDS = 30
# Emulated instructions a second: sets how fast Bochs' devices are against its processor.
BOCHS_IPS = 20_000_000
PR_SET_PDEATHSIG = 1
# Words of Bochs' own log.
PANIC, SHUTDOWN = ">>PANIC<<", "shutdown requested"
TRIPLE_FAULT = "exception with no resolution"

BOCHSRC = """\
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1
display_library: term
megs: {mem}
romimage: file="{share}/BIOS-bochs-latest"
vgaromimage: file="{share}/VGABIOS-lgpl-latest"
cpu: model={cpu}, count={smp}, ips={ips}, reset_on_triple_fault=0, ignore_bad_msrs=0
clock: sync={sync}, time0=utc
ata0-master: type=cdrom, path="{iso}", status=inserted
boot: cdrom
com1: enabled=1, {com1}
com2: enabled=1, mode=file, dev=/proc/self/fd/{com2}
com3: enabled=1, mode=file, dev=/proc/self/fd/{com3}
com4: enabled=1, mode=file, dev=/proc/self/fd/{com4}
log: /proc/self/fd/{log}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""


def gdb_listener():
    """A socket where GDB can connect, on a free port of this user's own: two users of one machine don't meet."""
    own = GDB_PORT_BASE + os.getuid() % GDB_PORT_RANGE
    for port in range(own, GDB_PORT_END, GDB_PORT_RANGE):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            continue               # another machine of this user's listens there
    raise HostError(f"no port is free for GDB: tried {own} and every {GDB_PORT_RANGE}th from there")


def die_with_parent():
    """In the child: no emulator may go on when its runner was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Machine:
    """A running emulator. com1 to com4: what the host reads; keys: what it writes, or None."""

    def __init__(self, folder):
        self.folder = folder
        self.com2, self.child_com2 = os.pipe()
        self.com3, self.child_com3 = os.pipe()
        self.com4, self.child_com4 = os.pipe()

    def launch(self, command, child_fds, env=None, **streams):
        """Starts the process in a session of its own: ^C is for us to handle."""
        fds = [self.child_com2, self.child_com3, self.child_com4, *child_fds]
        try:
            self.process = subprocess.Popen(command, pass_fds=fds, start_new_session=True,
                                            preexec_fn=die_with_parent, cwd=self.folder,
                                            env={**os.environ, **(env or {})}, **streams)
        except OSError as error:
            raise HostError(f"cannot start {command[0]}: {error.strerror}") from error
        finally:
            for fd in fds:
                os.close(fd)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def close(self):
        """Gives the host ends back, once nobody reads them any more."""
        for fd in (self.com2, self.com3, self.com4):
            os.close(fd)
        self.com1_end.close()


class Qemu(Machine):
    """QEMU with its software CPU. keys is always there: COM1 is a socket pair."""

    def __init__(self, config, iso, folder):
        super().__init__(folder)
        if not shutil.which(QEMU):
            raise HostError(f"{QEMU} is missing: run tools/deps.sh run")
        ours, theirs = socket.socketpair()
        self.com1_end = ours
        self.com1 = self.keys = ours.fileno()
        self.messages = os.path.join(folder, "qemu.txt")
        command = self.command(config, iso, theirs.fileno())
        with open(self.messages, "wb") as messages:
            fds = [theirs.detach(), *([config.gdb.detach()] if config.gdb else [])]
            self.launch(command, fds, stdin=subprocess.DEVNULL, stdout=messages,
                        stderr=messages)

    def command(self, config, iso, com1):
        command = [QEMU, "-accel", "tcg", "-cpu", config.qemu_cpu, "-smp", str(config.smp),
                   "-m", str(config.mem), "-display", config.display, "-no-reboot",
                   "-nic", "none", "-boot", "d",
                   "-drive", f"file={iso.replace(',', ',,')},format=raw,media=cdrom,readonly=on",
                   "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
                   "-chardev", f"socket,id=com1,fd={com1}",
                   "-chardev", f"file,id=com2,path=/proc/self/fd/{self.child_com2}",
                   "-chardev", f"file,id=com3,path=/proc/self/fd/{self.child_com3}",
                   "-chardev", f"file,id=com4,path=/proc/self/fd/{self.child_com4}",
                   *(word for port in range(1, 5) for word in ("-serial", f"chardev:com{port}"))]
        if config.icount:
            command += ["-icount", "shift=0,sleep=off"]
        if config.gdb:
            command += ["-S", "-gdb", "chardev:gdb",
                        "-chardev", f"socket,id=gdb,server=on,wait=off,nodelay=on,fd={config.gdb.fileno()}"]
        return command

    def complaint(self):
        """What the emulator itself said, or an empty text."""
        with open(self.messages, encoding="utf-8", errors="replace") as file:
            return file.read().strip()


class BochsMachine(Machine):
    """Bochs. With input, COM1 is a loopback connection: the one mode that loses no byte, because
    Bochs sends blocking and takes the next byte only when the guest has read the last one."""

    def __init__(self, config, iso, folder):
        super().__init__(folder)
        program = bochs.provide(config.bochs_folder)
        self.messages = []
        log, child_log = os.pipe()
        listener, com1, child_fds = None, None, [child_log]
        if config.stdin == "null":
            self.com1, child = os.pipe()
            self.com1_end, self.keys = os.fdopen(self.com1, "rb", 0), None
            child_fds.append(child)
            com1 = f"mode=file, dev=/proc/self/fd/{child}"
        else:
            listener = socket.create_server(("127.0.0.1", 0))
            com1 = f"mode=socket-client, dev=127.0.0.1:{listener.getsockname()[1]}"
        settings = os.path.join(folder, "bochsrc")
        with open(settings, "w", encoding="utf-8") as file:
            file.write(BOCHSRC.format(
                mem=config.mem, share=program.share, cpu=config.bochs_cpu, smp=config.smp,
                ips=BOCHS_IPS, sync="slowdown" if config.stdin == "tty" else "none", iso=iso,
                com1=com1, com2=self.child_com2, com3=self.child_com3, com4=self.child_com4,
                log=child_log))
        self.start_on_terminal(program, settings, child_fds)
        threading.Thread(target=self.watch, args=(log,), daemon=True).start()
        if listener:
            self.accept(listener)

    def start_on_terminal(self, program, settings, child_fds):
        """Bochs' text display wants a terminal: it gets one that nobody looks at."""
        screen, child = pty.openpty()
        self.launch(program.command + ["-q", "-f", settings], [*child_fds, child],
                    env={**program.env, "TERM": "xterm"}, stdin=child, stdout=child, stderr=child)
        threading.Thread(target=self.drain, args=(screen,), daemon=True).start()

    @staticmethod
    def drain(screen):
        try:
            while os.read(screen, 65536):
                pass
        except OSError:
            pass                   # how a pty says that the other end is closed
        os.close(screen)

    def accept(self, listener):
        """Waits until Bochs has connected COM1, or has ended."""
        listener.settimeout(0.2)
        for _ in range(ACCEPT_SECONDS * 5):
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                if self.process.poll() is not None:
                    break
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(True)
            self.com1_end = connection
            self.com1 = self.keys = connection.fileno()
            listener.close()
            return
        listener.close()
        self.stop()
        raise HostError(f"Bochs did not start: {self.complaint() or 'no message'}")

    def complaint(self):
        """The reason for which Bochs gave up, or an empty text."""
        return "; ".join(self.messages)

    def watch(self, log):
        """Reads Bochs' own messages. After a triple fault it would hang for ever."""
        with open(log, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if TRIPLE_FAULT in line:
                    self.messages.append("triple fault")
                    self.process.kill()
                elif PANIC in line and SHUTDOWN not in line:
                    self.messages.append(line.split(PANIC)[1].strip())


MACHINES = {"qemu": Qemu, "bochs": BochsMachine}
