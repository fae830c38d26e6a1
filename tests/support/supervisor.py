"""A supervisor that does what systemd does for a unit of ours: Type=notify, NotifyAccess=all,
KillMode=process, Restart=always, a descriptor store, a watchdog.

    with Supervisor(pair, "halton-meter-edge", ["--edge-port", "0"]) as edge:
        edge.restart()          # as `systemctl --user restart`: returns when the new one is ready
        os.kill(edge.worker, signal.SIGKILL)
        edge.wait_started(3)    # the third start was ready

`main` is the process that was started, `worker` the one that said READY=1. Old workers are in
`workers`; they belong to nobody, as with KillMode=process.
"""

import array
import contextlib
import os
import pathlib
import select
import signal
import socket
import struct
import tempfile
import threading
import time

import pair as pairs


def is_ours(pid):
    try:
        name = pathlib.Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return False
    return name.startswith("halton-meter") and alive(pid)


def alive(pid):
    """Neither gone nor a zombie that nobody has fetched."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


class Supervisor:
    def __init__(self, pair, program, arguments=(), restart_s=0.2, watchdog_s=None, keeps=True):
        """keeps=False: as FileDescriptorStoreMax=0."""
        self.pair, self.program, self.arguments = pair, program, list(arguments)
        self.restart_s, self.watchdog_s, self.keeps = restart_s, watchdog_s, keeps
        self.main = self.worker = None
        self.workers, self.ends, self.said = [], [], []
        self.ready_count = 0
        self.store = []  # (name, descriptor)
        self._lock = threading.RLock()
        self._wanted = False
        self._job = False  # a restart job: start at once when the old one has ended
        self._heard = 0.0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        # Not in the pair's folder: an address of 108 bytes holds no long path.
        self._folder = tempfile.TemporaryDirectory(prefix="hm-notify-")
        self._path = pathlib.Path(self._folder.name) / program
        self._socket.bind(str(self._path))
        self._closing = False
        threading.Thread(target=self._listen, daemon=True).start()

    # --- what a user does ------------------------------------------------------------------
    def start(self):
        self._wanted = True
        self._spawn()
        return self.wait_started(self.ready_count + 1)

    def restart(self):
        count = self.ready_count
        with self._lock:
            self._job = True
            main = self.main
        os.kill(main, signal.SIGTERM)
        return self.wait_started(count + 1)

    def stop(self):
        """Explicit: nobody takes over, and the store is given up."""
        with self._lock:
            self._wanted = False
            main = self.main
        if main:
            os.kill(main, signal.SIGTERM)
        pairs.wait_for(f"end of {self.program}", lambda: self.main is None)

    def wait_started(self, count):
        """Until the count-th READY=1 came."""
        def ready():
            return self.ready_count >= count
        try:
            pairs.wait_for(f"start {count} of {self.program}", ready, 20, pause=0.005)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said}\n{self.pair.logs()}") from None
        return self

    def wait_gone(self, pid, seconds=15):
        pairs.wait_for(f"end of process {pid}", lambda: not alive(pid), seconds)

    def names(self):
        with self._lock:
            return sorted(name for name, _ in self.store)

    def close(self):
        self._wanted = False
        self._closing = True
        for pid in [self.main, *self.workers]:
            if pid and is_ours(pid):  # a number of long ago may be somebody else's by now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._drop_store()
        self._folder.cleanup()

    def __enter__(self):
        return self if self.main else self.start()

    def __exit__(self, *_):
        self.close()

    # --- starting and ending ---------------------------------------------------------------
    def _spawn(self):
        with self._lock:
            kept = list(self.store)
            # Out of the way of 3, 4, ..., where they are to be.
            high = [os.dup(descriptor) for _, descriptor in kept]
            high = [_moved_up(descriptor) for descriptor in high]
            environment = pairs.clean_environment(self.pair.home, self.pair.process_environment)
            environment["NOTIFY_SOCKET"] = str(self._path)
            variables = ""
            if kept:
                environment["LISTEN_FDS"] = str(len(kept))
                environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in kept)
                variables += "export LISTEN_PID=$$; "
            if self.watchdog_s:
                environment["WATCHDOG_USEC"] = str(int(self.watchdog_s * 1e6))
                variables += "export WATCHDOG_PID=$$; "
            log = str(self.pair.folder / f"{self.program}.log")
            actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                       (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                       (os.POSIX_SPAWN_DUP2, 1, 2)]
            actions += [(os.POSIX_SPAWN_DUP2, descriptor, 3 + at)
                        for at, descriptor in enumerate(high)]
            words = ["/bin/sh", "-c", f'{variables}exec "$0" "$@"', str(pairs.BIN / self.program),
                     "--supervised", "--home", str(self.pair.home), "--run-dir",
                     str(self.pair.run_dir), *self.arguments]
            self.main = os.posix_spawn("/bin/sh", words, environment, file_actions=actions,
                                       setsid=True)
            self._heard = time.monotonic()
            for descriptor in high:
                os.close(descriptor)
            threading.Thread(target=self._wait, args=(self.main,), daemon=True).start()

    def _wait(self, pid):
        _, status = os.waitpid(pid, 0)
        time.sleep(0.01)  # words that were said before the end are heard first, as systemd does
        with self._lock:
            self.ends.append(os.waitstatus_to_exitcode(status))
            self.main = None
            at_once, self._job = self._job, False
        if not self._wanted:
            self._drop_store()
            return
        if not at_once:
            time.sleep(self.restart_s)
        if self._wanted:
            self._spawn()

    # --- what the processes say ------------------------------------------------------------
    def _listen(self):
        while not self._closing:
            readable, _, _ = select.select([self._socket], [], [], 0.1)
            if readable:
                self._hear()
            self._watch_store()
            with self._lock:
                late = (self.watchdog_s and self.main and self.ready_count
                        and time.monotonic() - self._heard > self.watchdog_s)
                if late:
                    self._heard = time.monotonic()
                    os.kill(self.main, signal.SIGABRT)

    def _hear(self):
        data, ancillary, _, _ = self._socket.recvmsg(4096, 1024, socket.MSG_CMSG_CLOEXEC)
        pid, received = 0, array.array("i")
        for level, kind, content in ancillary:
            if level != socket.SOL_SOCKET:
                continue
            if kind == socket.SCM_RIGHTS:
                received.frombytes(content[:len(content) - len(content) % received.itemsize])
            elif kind == socket.SCM_CREDENTIALS:
                pid = struct.unpack("3i", content[:12])[0]
        lines = data.decode().splitlines()
        facts = dict(line.split("=", 1) for line in lines)
        with self._lock:
            self.said.append((pid, lines))
            if "WATCHDOG" in facts:
                self._heard = time.monotonic()
            if "FDSTORE" in facts:
                for descriptor in received:
                    self._keep(facts["FDNAME"], descriptor)
            if "FDSTOREREMOVE" in facts:
                for name, descriptor in [one for one in self.store if one[0] == facts["FDNAME"]]:
                    self.store.remove((name, descriptor))
                    os.close(descriptor)
            if "READY" in facts:
                self.worker = pid
                self.workers.append(pid)
                self._heard = time.monotonic()
                self.ready_count += 1

    def _keep(self, name, descriptor):
        same = any(os.path.sameopenfile(descriptor, other) for _, other in self.store)
        if same or not self.keeps:
            os.close(descriptor)
        else:
            self.store.append((name, descriptor))

    def _watch_store(self):
        """systemd drops what hangs up."""
        poller = select.poll()
        with self._lock:
            for _, descriptor in self.store:
                poller.register(descriptor, 0)
            for descriptor, _ in poller.poll(0):
                self.store = [one for one in self.store if one[1] != descriptor]
                os.close(descriptor)

    def _drop_store(self):
        with self._lock:
            for _, descriptor in self.store:
                os.close(descriptor)
            self.store = []


def _moved_up(descriptor):
    import fcntl
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 100)
    os.close(descriptor)
    return moved
