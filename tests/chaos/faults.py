"""The faults, and the seeded order in which they come. Each is a function of the rig and a random
source; it returns when the fault is over. Faults of one service, and those of the disk, wait for
each other; all others overlap as they come."""

import contextlib
import errno
import os
import random
import signal
import socket
import sqlite3
import struct
import threading
import time

import load as loads

# How often each kind comes, relative to the others.
WEIGHTS = {
    "kill -9 interceptor": 12, "kill -9 edge": 8, "SIGSTOP interceptor": 10, "SIGSTOP edge": 6,
    "restart interceptor": 8, "restart edge": 8, "config reload": 4, "database lock": 10,
    "full disk": 6, "DNS failure": 8, "origin resets": 8, "slow readers": 6, "garbage clients": 10,
}


class Faults:
    def __init__(self, rig, seed):
        self.rig = rig
        self.done, self.kills = {}, []   # kills: (time, service, pid, ports it carried)
        self._chance = random.Random(seed)
        self._locks = {name: threading.Lock() for name in ("edge", "interceptor", "disk", "dns")}
        self._record = threading.Lock()
        self._running = []

    def run(self, count, least_pause, most_pause):
        """Starts `count` faults one after the other and waits for the end of the last."""
        kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
        for number in range(count):
            # Everything that is decided is decided here, in this order: the seed repeats it.
            kind = kinds[number] if number < len(kinds) else \
                self._chance.choices(kinds, weights)[0]
            chance = random.Random(self._chance.getrandbits(64))
            pause = self._chance.uniform(least_pause, most_pause)
            thread = threading.Thread(target=self._one, args=(number, kind, chance), daemon=True)
            thread.start()
            self._running = [each for each in self._running if each.is_alive()] + [thread]
            time.sleep(pause)
            while sum(each.is_alive() for each in self._running) >= 4:
                time.sleep(0.05)
            if self.rig.broken:
                break
        for thread in self._running:
            thread.join(180)

    def _one(self, number, kind, chance):
        self.rig.log("fault begins", number=number, kind=kind)
        try:
            getattr(self, kind.replace("-9 ", "").replace(" ", "_").lower())(chance)
        except Exception as error:  # noqa: BLE001
            self.rig.fail(f"fault {number} ({kind}) could not be made: {error!r}")
        with self._record:
            self.done[kind] = self.done.get(kind, 0) + 1
        self.rig.log("fault ends", number=number, kind=kind)

    # --- the two processes -------------------------------------------------------------------
    def _kill(self, name):
        with self._locks[name]:
            at, pid, carried = self.rig.services[name].kill_hard(self.rig.doors[name])
            with self._record:
                self.kills.append((at, name, pid, carried))
            self.rig.log("killed", service=name, pid=pid, carried=sorted(carried))

    def kill_interceptor(self, _):
        self._kill("interceptor")

    def kill_edge(self, _):
        self._kill("edge")

    def _stop_for_a_while(self, name, seconds):
        with self._locks[name]:
            pid = None
            while pid is None:
                self.rig.services[name].wait_working()
                pid = self.rig.services[name].kill(signal.SIGSTOP)
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def sigstop_interceptor(self, chance):
        self._stop_for_a_while("interceptor", chance.choice((0.05, 0.2, 0.5, 1.0, 2.5)))

    def sigstop_edge(self, chance):
        self._stop_for_a_while("edge", chance.choice((0.05, 0.2, 0.5, 1.0, 2.0)))

    def _restart(self, name):
        with self._locks[name]:
            self.rig.services[name].planned_restart()

    def restart_interceptor(self, _):
        self._restart("interceptor")

    def restart_edge(self, _):
        self._restart("edge")

    def config_reload(self, chance):
        """Another config.toml, mostly with a mistake in it: `reload` at both control sockets, which
        takes up what can be taken up, then a restart of both, which reads the rest."""
        self.rig.write_config(chance.choice((
            {"log": "max_bytes = 1000000"}, {"edge": "ask_limit_ms = 400"}, {"edge": "nonsense = 7"},
            {"intercept": 'max_sessions = "many"'}, {})))
        names = chance.sample(("edge", "interceptor"), 2)
        for name in names:
            with self._locks[name]:
                self.rig.reload(name)
        for name in names:
            self._restart(name)

    # --- what they depend on -----------------------------------------------------------------
    def database_lock(self, chance):
        with self._locks["disk"], contextlib.closing(sqlite3.connect(
                self.rig.home / "db.sqlite", timeout=60, isolation_level=None)) as database:
            database.execute("BEGIN EXCLUSIVE")
            time.sleep(chance.choice((0.1, 0.5, 2.0, 6.0)))
            database.execute("ROLLBACK")

    def full_disk(self, chance):
        with self._locks["disk"], self.rig.full_disk():
            time.sleep(chance.choice((0.3, 1.0, 3.0)))

    def dns_failure(self, chance):
        """The name servers fail, hang or lie for one host; the load's own host is looked up, too,
        and must not notice."""
        with self._locks["dns"]:
            self.rig.dns.set(self.rig.DNS_NAME, chance.choice(("again", "hang", "none")))
            self.rig.load.burst("dns", loads.DNS_HOST, chance.randint(1, 12))
            self.rig.dns.set(self.rig.DNS_NAME, "addr 127.0.0.1")

    def origin_resets(self, chance):
        self.rig.load.burst("reset", loads.RESET_HOST, chance.randint(2, 12))

    def slow_readers(self, chance):
        self.rig.load.burst("slow reader", loads.HOST, chance.randint(2, 8))

    # --- clients -----------------------------------------------------------------------------
    def garbage_clients(self, chance):
        """Nonsense at every door: bytes, half a head, a head and then nonsense, resets."""
        ports = self.rig.ports()
        for _ in range(chance.randint(5, 30)):
            port = chance.choice((self.rig.edge_port, self.rig.edge_port, *ports))
            data = chance.choice((
                chance.randbytes(chance.randint(1, 3000)), b"CONNECT api.openai.com:443 HT",
                b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % port, b"GET / HTTP/1.1\r\n\r\n",
                b"CONNECT echo.test:443 HTTP/1.1\r\n\r\n" + chance.randbytes(200), b"\x16\x03\x01"))
            with contextlib.suppress(OSError), \
                    socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                sock.sendall(data)
                if chance.random() < 0.5:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    sock.settimeout(0.2)
                    sock.recv(4096)


@contextlib.contextmanager
def filled(folder):
    """No byte is left on the file system of `folder`, whatever is freed meanwhile."""
    path = folder / "filler"
    stop = threading.Event()

    def fill():
        size = 1 << 20
        with path.open("wb", buffering=0) as file:
            while not stop.is_set():
                try:
                    file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size = max(size // 2, 1)
                    stop.wait(0.005 if size == 1 else 0)
    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        path.unlink()
