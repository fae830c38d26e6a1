"""A pair of real processes, edge and interceptor, in a home folder of their own.

Ports are free ones, config.toml sends every provider's name to a loopback origin, and everything
is killed at the end. `halton-meter` commands run with the same home.
"""

import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

import control
import database
import memory
import wire as wires

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("HM_BIN_DIR", ROOT / "build/dev/bin")).resolve()

# A sanitizer makes everything slower; HM_SLOW=5 multiplies every deadline.
SLOW = float(os.environ.get("HM_SLOW", "1"))


def wait_for(what, condition, seconds=10.0, pause=0.02):
    """Polls until condition() is true and returns its value; fails with `what` otherwise."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds * SLOW:.0f} s in vain for: {what}")
        time.sleep(pause)


def clean_environment(home, extra=None):
    """Our own environment without proxies, CA variables and anything of another meter."""
    drop = ("PROXY", "CA_BUNDLE", "SSL_CERT", "HALTON", "NODE_", "CAINFO", "XDG_RUNTIME")
    environment = {name: value for name, value in os.environ.items()
                   if not any(word in name.upper() for word in drop)}
    environment["HALTON_METER_HOME"] = str(home)
    environment.update(extra or {})
    return environment


class Pair:
    def __init__(self, folder, connect_to=None, ca_file=None, config="", environment=None,
                 descriptors=None):
        """connect_to: {"api.openai.com:443": "127.0.0.1:PORT"}; config: further TOML text, put
        before the [upstream] table; descriptors: the processes' hard limit of open files."""
        self.folder = pathlib.Path(folder)
        self.home, self.run_dir = self.folder / "home", self.folder / "run"
        self.home.mkdir(parents=True, mode=0o700, exist_ok=True)
        self.run_dir.mkdir(mode=0o700, exist_ok=True)
        self.database = database.Database(self.home / "db.sqlite")
        self.edge = self.interceptor = None
        self.start_ms = {}
        self.process_environment, self.descriptors = environment or {}, descriptors
        self._processes = []
        self.write_config(connect_to or {}, ca_file, config)

    def write_config(self, connect_to, ca_file=None, config=""):
        lines = [config, "[upstream]"]
        if ca_file:
            lines.append(f'ca_file = "{ca_file}"')
        lines.append("[upstream.connect_to]")
        lines += [f'"{name}" = "{address}"' for name, address in connect_to.items()]
        (self.home / "config.toml").write_text("\n".join(lines) + "\n")

    # --- processes -------------------------------------------------------------------------
    def _spawn(self, name, *arguments):
        log = (self.folder / f"{name}.log").open("ab")
        limited = ["prlimit", f"--nofile={self.descriptors}:{self.descriptors}"] \
            if self.descriptors else []
        process = subprocess.Popen(
            [*limited, BIN / name, "--home", self.home, "--run-dir", self.run_dir, *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env=clean_environment(self.home, self.process_environment))
        log.close()
        self._processes.append(process)
        return process

    def start_edge(self, port=0):
        begun = time.monotonic()
        self.edge = self._spawn("halton-meter-edge", "--edge-port", str(port))
        self._wait_for_socket("edge", self.edge, begun)
        return self

    def start_interceptor(self, internal_port=0, api_port=0):
        begun = time.monotonic()
        self.interceptor = self._spawn("halton-meter-interceptor", "--internal-port",
                                       str(internal_port), "--api-port", str(api_port))
        self._wait_for_socket("daemon", self.interceptor, begun)
        return self

    @staticmethod
    def limit_descriptors(process, soft, hard=None):
        """May be changed while the process runs. Returns the limits it had."""
        return resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard or soft))

    @staticmethod
    def open_descriptors(process):
        return len(os.listdir(f"/proc/{process.pid}/fd"))

    @staticmethod
    def cpu_seconds(process):
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _wait_for_socket(self, name, process, begun):
        def answers():
            if process.poll() is not None:
                raise AssertionError(f"{name} ended with {process.returncode} at its start:\n"
                                     + self.logs())
            try:
                return control.ask(self.run_dir / f"{name}.sock", "ping", timeout=2)
            except OSError:
                return None
        wait_for(f"control socket of {name}", answers, 20, pause=0.002)
        self.start_ms[name] = (time.monotonic() - begun) * 1000

    def start(self):
        """Both, and waits until the edge sends calls to the interceptor."""
        self.start_interceptor()
        self.start_edge()
        return self.wait_gate("open")

    def ledgers(self, kind):
        """Those in memory and their copies; kind: edge or daemon."""
        return memory.ledgers(self.home, kind) + sorted(self.home.glob(f"{kind}-ledger.*"))

    def wait_gate(self, state, seconds=10):
        wait_for(f"gate {state}", lambda: self.edge_status().get("gate") == state, seconds)
        return self

    def edge_status(self):
        return control.facts(self.run_dir / "edge.sock")

    def interceptor_status(self):
        return control.facts(self.run_dir / "daemon.sock")

    def signal(self, process, number):
        os.kill(process.pid, number)
        if number == signal.SIGKILL:
            process.wait()

    def stop(self):
        """Orderly: the interceptor writes what it still has."""
        for process in (self.interceptor, self.edge):
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in (self.interceptor, self.edge):
            if process:
                process.wait(timeout=20 * SLOW)

    def kill_all(self):
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        memory.forget(self.home)

    # --- facts -----------------------------------------------------------------------------
    def ports(self):
        return json.loads((self.run_dir / "effective-ports.json").read_text())

    @property
    def edge_port(self):
        return self.ports()["edge_port"]

    @property
    def ca_file(self):
        """The meter's own CA, as a client would be given it."""
        return self.home / "ca" / "ca-cert.pem"

    def logs(self, whole=False):
        """All that the processes said, for a failed test's report."""
        texts = []
        paths = [*self.folder.glob("*.log"), *self.home.glob("*.log")]
        for path in sorted(paths):
            text = path.read_text(errors="replace")
            if text:
                texts.append(f"--- {path.name} (end)\n{text if whole else text[-6000:]}")
        return "\n".join(texts)

    def resident_kib(self, process):
        for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def rows(self, count, seconds=10):
        """Waits until there are `count` rows, then returns them."""
        wait_for(f"{count} rows", lambda: len(self.database.requests()) >= count, seconds)
        return self.database.requests()

    def misses(self, reason=None, seconds=10):
        """Waits for a miss (of this reason) in table `misses`; returns all of them."""
        def found():
            reasons = self.database.miss_reasons()
            return reason in reasons if reason else reasons
        wait_for(f"miss {reason}", found, seconds, pause=0.05)
        return self.database.misses()

    # --- clients ---------------------------------------------------------------------------
    def connect(self, host, port=443, trust=None, alpn=("http/1.1",), tls=True, timeout=20.0):
        """A connection through the edge: CONNECT, then TLS that trusts `trust` (default: our CA)."""
        wire = self.tunnel(host, port, timeout)
        if tls:
            context = wires.client_context(trust or self.ca_file, list(alpn) if alpn else None)
            wire.start_tls(context, server_hostname=host)
        return wire

    def tunnel(self, host, port=443, timeout=20.0):
        """CONNECT only; the answer must be 200."""
        sock = socket.create_connection(("127.0.0.1", self.edge_port), timeout=timeout * SLOW)
        wire = wires.Wire(sock, timeout=timeout * SLOW)
        target = f"{host}:{port}"
        wire.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head = wire.recv_until(b"\r\n\r\n")
        assert head.split(b" ")[1] == b"200", head
        return wire

    def environment(self, trust=None):
        """What a tool needs to go through this pair."""
        proxy = f"http://127.0.0.1:{self.edge_port}"
        bundle = str(trust or self.ca_file)
        extra = {name: proxy for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY",
                                          "http_proxy")}
        extra |= {name: bundle for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
                                            "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")}
        return clean_environment(self.home, extra)

    def command(self, *arguments, timeout=60, environment=None, cwd=None, stdin=None):
        """Runs `halton-meter ARGUMENTS` with this home."""
        env = clean_environment(self.home, environment)
        return subprocess.run([BIN / "halton-meter", *map(str, arguments)], env=env, cwd=cwd,
                              capture_output=True, text=True, timeout=timeout * SLOW,
                              input=stdin)
