#!/usr/bin/env python3
"""A real `systemd --user` for a throw-away user, in a small world of its own.

The world is a mount, process and network namespace: /run, /tmp, /dev/shm and /home are private, the
user exists only in a private /etc/passwd, the loopback interface is its own (so the usual ports
8081, 8090 and 8765 are free), and when its first process dies everything in it is gone. Nothing is
left on the machine. Needs root and systemd (252 probed, also without a booted one).

    manager = UserManager().start()
    manager.run("systemctl", "--user", "list-units")      # as the user, in the world
    manager.files("~/.halton-meter/config.toml").read_text()  # from outside
    with manager.network():                               # this thread's new sockets are inside
        provider = SimulatedProvider(...)
    manager.stop()
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time

SYSTEMD = "/lib/systemd/systemd"
JOURNALD = "/lib/systemd/systemd-journald"
UID = 41711  # of nobody else; below 60000, so that journald keeps a journal for it
USER = "meter"
HOME = f"/home/{USER}"
UNITS = pathlib.Path(__file__).resolve().parents[2] / "units"
BIN = "/opt/halton-meter"  # where the world sees the binaries under test
PATH = "/usr/local/bin:/usr/bin:/bin"


def why_not():
    """Why this machine cannot do it; empty: it can."""
    if os.geteuid() != 0:
        return "a user manager of its own needs root"
    if not os.access(SYSTEMD, os.X_OK):
        return f"{SYSTEMD} is not there: scripts/deps.sh test"
    if not cgroup_mounts():
        return "no cgroup hierarchy that systemd knows is mounted"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "mount", "-t",
                            "tmpfs", "tmpfs", "/run"], capture_output=True, text=True)
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else ""


def cgroup_mounts():
    """Where systemd keeps its tree: the named hierarchy of version 1, version 2, or both."""
    found = []
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, options = line.split(" ")[:4]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(pathlib.Path(folder))
    return found


class UserManager:
    def __init__(self, binaries=None, journal=False):
        """binaries: the folder that appears as /opt/halton-meter, readable to the user."""
        self.binaries = binaries
        self.journal = journal
        self.name = f"halton-meter-test-{secrets.token_hex(4)}"
        self._world = None
        self._init = 0

    # --- life ------------------------------------------------------------------------------
    def start(self, manager=True):
        """Makes the world; with manager=False no systemd is in it (as in a container)."""
        self._world = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc",
             sys.executable, __file__, self.name, str(self.binaries or "-"),
             "manager" if manager else "bare", "journal" if self.journal else "-"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
        line = self._world.stdout.readline()
        if line.strip() != "ready":
            self.stop()
            raise AssertionError(f"the world did not come up: {line!r}")
        children = f"/proc/{self._world.pid}/task/{self._world.pid}/children"
        self._init = int(pathlib.Path(children).read_text().split()[0])
        if manager:
            self._wait_for_manager()
        return self

    def _wait_for_manager(self, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            told = self.run("systemctl", "--user", "is-system-running")
            if told.stdout.strip() in ("running", "degraded"):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"the user manager did not start: {told.stdout}{told.stderr}")
            time.sleep(0.05)

    def stop(self):
        """Everything in the world dies with its first process; then its cgroups go."""
        if self._world is None:
            return
        if self._init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGKILL)
        self._world.kill()
        self._world.wait()
        self._world.stdout.close()
        self._world = None
        for mount in cgroup_mounts():
            self._remove_cgroup(mount / self.name)

    @staticmethod
    def _remove_cgroup(top, seconds=10):
        """A cgroup can be removed once its last process has been reaped."""
        deadline = time.monotonic() + seconds
        while top.exists():
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            if time.monotonic() > deadline:
                raise AssertionError(f"{top} cannot be removed")
            time.sleep(0.01)

    def __enter__(self):
        return self if self._world else self.start()

    def __exit__(self, *_):
        self.stop()

    # --- doing things in it ----------------------------------------------------------------
    def environment(self, extra=None):
        """What a login shell of the user has. A value of None takes a variable away."""
        all_of_it = {"HOME": HOME, "USER": USER, "LOGNAME": USER, "SHELL": "/bin/bash",
                     "PATH": PATH, "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": f"/run/user/{UID}",
                     **(extra or {})}
        return {name: str(value) for name, value in all_of_it.items() if value is not None}

    def _words(self, command, environment, cwd, root):
        words = ["nsenter", f"--target={self._init}", "--mount", "--pid", "--net",
                 f"--wd=/proc/{self._init}/root{cwd}"]
        if not root:
            words += ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups"]
        settings = [f"{name}={value}" for name, value in self.environment(environment).items()]
        return [*words, "env", "-i", *settings, *map(str, command)]

    def run(self, *command, environment=None, cwd=HOME, root=False, timeout=120, input=None,
            check=False):
        told = subprocess.run(self._words(command, environment, cwd, root), capture_output=True,
                              text=True, timeout=timeout, input=input)
        if check and told.returncode != 0:
            raise AssertionError(f"{command} ended with {told.returncode}:\n{told.stdout}"
                                 f"{told.stderr}")
        return told

    def popen(self, *command, environment=None, cwd=HOME, root=False, **arguments):
        """The process is nsenter's; to end what runs in the world, use kill()."""
        return subprocess.Popen(self._words(command, environment, cwd, root), **arguments)

    def meter(self, *words, **arguments):
        """`halton-meter WORDS` as the user. Its control sockets and ports serve nobody else."""
        return self.run(f"{BIN}/halton-meter", *words, **arguments)

    def install_units(self):
        """The unit files of the repository in the user's folder, the binaries where they name them."""
        self.run("mkdir", "-p", ".local/bin", ".config/systemd/user", check=True)
        for program in ("halton-meter-edge", "halton-meter-interceptor"):
            self.run("ln", "-s", f"{BIN}/{program}", f".local/bin/{program}", check=True)
        for unit in ("halton-meter-edge.service", "halton-meter.service"):
            self.write(f"~/.config/systemd/user/{unit}", (UNITS / unit).read_text())
        self.systemctl("daemon-reload")

    def status(self):
        """What `status --json` says."""
        return json.loads(self.meter("status", "--json").stdout)

    def systemctl(self, *words, check=True):
        return self.run("systemctl", "--user", "--no-pager", *words, check=check).stdout.strip()

    def property(self, unit, name):
        return self.systemctl("show", unit, "--property", name, "--value")

    def main_pid(self, unit):
        """In the world's own counting; 0: it does not run."""
        return int(self.property(unit, "MainPID") or 0)

    def kill(self, pid, number=signal.SIGKILL):
        self.run("kill", f"-{int(number)}", str(pid), root=True, check=True)

    # --- looking in from outside -----------------------------------------------------------
    def files(self, path):
        """A path of the world as it can be opened from outside."""
        path = str(path).replace("~", HOME, 1) if str(path).startswith("~") else str(path)
        return pathlib.Path(f"/proc/{self._init}/root{path}")

    def write(self, path, text, mode=0o644):
        """A file of the user's, with its folders."""
        target = self.files(path)
        for folder in reversed([p for p in target.parents if not p.exists()]):
            folder.mkdir(mode=0o755)
            os.chown(folder, UID, UID)
        target.write_text(text)
        target.chmod(mode)
        os.chown(target, UID, UID)
        return target

    def processes(self):
        """[(pid in the world, command line)] of the user."""
        told = self.run("ps", "-u", USER, "-o", "pid=,args=", "ww", root=True).stdout
        found = [line.strip().partition(" ") for line in told.splitlines() if line.strip()]
        return [(int(pid), command.strip()) for pid, _, command in found]

    def logs(self):
        """Processes, units and the ends of our logs, for a failed test's report."""
        units = self.run("systemctl", "--user", "--no-pager", "--all", "status", "halton-meter*")
        texts = [f"--- processes\n{self.processes()}", f"--- units\n{units.stdout}{units.stderr}"]
        for path in sorted(self.files(f"{HOME}/.halton-meter").glob("*.log")):
            texts.append(f"--- {path.name} (end)\n{path.read_text(errors='replace')[-6000:]}")
        return "\n".join(texts)

    @contextlib.contextmanager
    def network(self):
        """Sockets that this thread creates meanwhile live in the world's network. A thread
        started meanwhile stays there for ever."""
        with open("/proc/thread-self/ns/net", "rb") as ours, \
                open(f"/proc/{self._init}/ns/net", "rb") as theirs:
            _enter_network(theirs)
            try:
                yield
            finally:
                _enter_network(ours)


def _enter_network(file):
    CLONE_NEWNET = 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


# --- the first process of the world ----------------------------------------------------------

def _mount(*words):
    subprocess.run(["mount", *words], check=True)


def _loopback_up():
    SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def _make_world(name, binaries):
    _mount("--make-rprivate", "/")
    # The binaries first: what comes next may hide the folder they are in.
    os.makedirs("/mnt", exist_ok=True)
    if binaries != "-":
        _mount("--bind", binaries, "/mnt")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/opt")
    os.mkdir(BIN)
    if binaries != "-":
        _mount("--move", "/mnt", BIN)
    for folder, mode in (("/run", "755"), ("/tmp", "1777"), ("/dev/shm", "1777"),
                         ("/home", "755"), ("/var/log", "755"), ("/var/lib/systemd", "755")):
        os.makedirs(folder, exist_ok=True)
        _mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", folder)
    for folder in ("/run/systemd/system", f"/run/user/{UID}", HOME, "/var/log/journal",
                   "/run/lock"):
        os.makedirs(folder)
    for folder in (HOME, f"/run/user/{UID}"):
        os.chown(folder, UID, UID)
        os.chmod(folder, 0o700)
    for file, line in (("passwd", f"{USER}:x:{UID}:{UID}::{HOME}:/bin/bash"),
                       ("group", f"{USER}:x:{UID}:")):
        text = pathlib.Path("/etc", file).read_text()
        pathlib.Path("/run", file).write_text(f"{text.rstrip()}\n{line}\n")
        _mount("--bind", f"/run/{file}", f"/etc/{file}")
    _loopback_up()
    for mount in cgroup_mounts():
        folder = mount / name
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.procs").write_text("0")
        for path in (folder, folder / "cgroup.procs", folder / "tasks",
                     folder / "cgroup.subtree_control", folder / "cgroup.threads"):
            if path.exists():
                os.chown(path, UID, UID)


def _be_first_process(name, binaries, kind, journal):
    _make_world(name, binaries)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
             "stderr": subprocess.DEVNULL}
    if journal == "journal":
        os.makedirs("/run/systemd/journal")
        pathlib.Path("/run/systemd/journal/flushed").touch()  # a journal per user, at once
        subprocess.Popen([JOURNALD], **quiet)
        while not os.path.exists("/run/systemd/journal/stdout"):
            time.sleep(0.01)
    if kind == "manager":
        subprocess.Popen(
            ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups", "env", "-i",
             f"HOME={HOME}", f"USER={USER}", f"LOGNAME={USER}", f"PATH={PATH}",
             f"XDG_RUNTIME_DIR=/run/user/{UID}", SYSTEMD, "--user"], **quiet)
    print("ready", flush=True)
    while True:  # as an init does: collect whoever was left behind
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.2)


if __name__ == "__main__":
    _be_first_process(*sys.argv[1:])
