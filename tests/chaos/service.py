"""A supervised process of the rig, and what faults do to it."""

import contextlib
import os

import pair as pairs
import supervisor


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
