"""A supervised process of the rig, and what faults do to it."""

import contextlib
import os
import pathlib
import signal
import time

import pair as pairs
import supervisor


def stands_still(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def accepted_peers(pid, port):
    """The remote ports of a process' connections at its own `port`. What still waits in the backlog
    belongs to nobody."""
    sockets = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(os.readlink(entry))
    peers = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        local, remote = (int(word.rpartition(":")[2], 16) for word in words[1:3])
        if local == port and words[3] != "0A" and f"socket:[{words[9]}]" in sockets:
            peers.add(remote)
    return peers


class Service(supervisor.Supervisor):
    def working(self):
        """The process that does the work; None while there is none."""
        pid = self.worker
        return pid if pid and supervisor.alive(pid) else None

    def kill(self, number):
        """A signal to who works. Its pid, or None: there is nobody just now."""
        pid = self.working()
        if pid is None:
            return None
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return None
        return pid

    def kill_hard(self, port):
        """kill -9 of who works, waited for. (time, pid, what it carried): the peers' ports of the
        connections that it had accepted at `port`, exactly, because it stands still meanwhile."""
        while True:
            self.wait_working()
            pid = self.kill(signal.SIGSTOP)
            if pid is None:
                continue
            with contextlib.suppress(OSError):
                pairs.wait_for(f"{self.program} to stand still", lambda: stands_still(pid), 10,
                               pause=0.001)
                carried = accepted_peers(pid, port)
                began = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                return began, pid, carried

    def planned_restart(self):
        """`systemctl restart`, also of a service that is about to be started again anyway."""
        count = self.ready_count
        pairs.wait_for(f"a running {self.program}", lambda: self.main is not None, 30)
        with contextlib.suppress(ProcessLookupError, TypeError):
            return self.restart()
        return self.wait_started(count + 1)

    def wait_working(self):
        pairs.wait_for(f"a working {self.program}", self.working, 30)

    def stop_for_good(self):
        """`systemctl stop`: nobody takes over."""
        self.wait_working()
        self.stop()
