"""Where the measurements happen: one provider, and every process of an experiment on one core.

Pinned on purpose: unpinned, the cost of waking another core hides every difference.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import certificates  # noqa: E402
import pair as pairs  # noqa: E402

NAME = "api.openai.com"  # what the load asks for; its address is the bench provider's


def pinned(cpu, *command):
    return ["taskset", "-c", str(cpu), *map(str, command)]


@contextlib.contextmanager
def on_core(cpu):
    """What is started in here is pinned from its first instruction on; no taskset to start first."""
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


def wait_port(port, seconds=30):
    """Until somebody listens on this port of 127.0.0.1."""
    def listens():
        wanted = f"0100007F:{port:04X}"
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[1] in (wanted, f"00000000:{port:04X}"):
                return True
        return False
    pairs.wait_for(f"port {port}", listens, seconds, pause=0.01)


def memory_kib(pid):
    """Proportional set size: what this process costs the machine."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])


class World:
    """The provider of the benchmarks and a certificate for it; processes end with close()."""

    def __init__(self, folder, bin_dir, cpu):
        self.folder, self.bin, self.cpu = pathlib.Path(folder), pathlib.Path(bin_dir), cpu
        self.authority = certificates.Authority(self.folder / "authority")
        self.cert, self.key = self.authority.leaf([NAME, "localhost"])
        self._processes = []
        origin = self.spawn(self.bin / "bench_origin", "--cert", self.cert, "--key", self.key,
                            stdout=subprocess.PIPE)
        self.echo, self.bulk, self.tls = map(int, origin.stdout.readline().split())

    def spawn(self, *command, **options):
        options.setdefault("stdout", subprocess.DEVNULL)
        log = (self.folder / "processes.log").open("ab")
        process = subprocess.Popen(pinned(self.cpu, *command), stdin=subprocess.DEVNULL,
                                   stderr=log, start_new_session=True, **options)
        log.close()
        self._processes.append(process)
        return process

    def load(self, mode, *arguments, timeout=600):
        """One run of the load generator: its figures."""
        result = subprocess.run(
            pinned(self.cpu, self.bin / "bench_load", mode, *arguments),
            capture_output=True, text=True, timeout=timeout)
        if result.returncode != 0:
            raise RuntimeError(f"bench_load {mode} {' '.join(map(str, arguments))}: "
                               f"{result.stderr.strip()}")
        return json.loads(result.stdout)

    def pair(self, name="pair", config=""):
        """Edge and interceptor on the experiment's core, metering NAME."""
        pair = PinnedPair(self.folder / name, self.cpu, {f"{NAME}:443": f"127.0.0.1:{self.tls}"},
                          self.authority.cert, config)
        self._processes.append(pair)
        return pair.start()

    def close(self):
        for process in reversed(self._processes):
            if isinstance(process, pairs.Pair):
                process.kill_all()
            elif process.poll() is None:
                process.kill()
                process.wait()


class PinnedPair(pairs.Pair):
    def __init__(self, folder, cpu, connect_to, ca_file, config):
        self.cpu = cpu
        super().__init__(folder, connect_to, ca_file, config)

    def _spawn(self, name, *arguments):
        with on_core(self.cpu):
            return super()._spawn(name, *arguments)

    def spawn_pinned(self, name):
        """With the ports of the configuration."""
        return self._spawn(name)
