"""scripts/chaos: see there."""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import control  # noqa: E402
import database  # noqa: E402
import dns  # noqa: E402
import faults  # noqa: E402
import load as loads  # noqa: E402
import memory  # noqa: E402
import origin as origins  # noqa: E402
import reckoning  # noqa: E402
import routes  # noqa: E402
import service  # noqa: E402

DISK_MIB = 192


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


class Rig:
    """Two supervised processes with a disk of their own, between a load and its origins."""

    ORIGIN_NAME, DNS_NAME = "origin.test", "flaky.test"

    def __init__(self, folder, seed, mounted):
        self.folder, self.mounted = pathlib.Path(folder), mounted
        self.home, self.run_dir = self.folder / "home", self.folder / "run"
        self.run_dir.mkdir(mode=0o700)
        self.broken, self.stage = [], "faults"
        self._began, self._log_lock = time.monotonic(), threading.Lock()
        self._log_file = (self.folder / "events.jsonl").open("a")
        self.provider, self.echo = origins.Provider(self.folder / "provider"), origins.Echo()
        self.dns = dns.Dns(self.folder / "dns")
        self.dns.set(self.ORIGIN_NAME, "addr 127.0.0.1")
        self.dns.set(self.DNS_NAME, "addr 127.0.0.1")
        self.edge_port, internal_port, api_port = free_ports(3)
        self.doors = {"edge": self.edge_port, "interceptor": internal_port}
        self.write_config({})
        self.process_environment = self.dns.environment
        self.services = {
            "edge": service.Service(self, "halton-meter-edge",
                                    ["--edge-port", str(self.edge_port)], restart_s=0.2),
            "interceptor": service.Service(
                self, "halton-meter-interceptor",
                ["--internal-port", str(internal_port), "--api-port", str(api_port)],
                restart_s=1.0)}
        self.database = database.Database(self.home / "db.sqlite")
        self._seed = seed
        self.load = None

    def log(self, event, **facts):
        with self._log_lock:
            at = round(time.monotonic() - self._began, 3)
            self._log_file.write(json.dumps({"at": at, "event": event, **facts}) + "\n")
            self._log_file.flush()

    def fail(self, text):
        self.broken.append(text)
        self.log("broken", text=text)

    def write_config(self, sections):
        sections = dict(sections)
        sections["edge"] = "connect_timeout_ms = 3000\n" + sections.get("edge", "")
        # The edge's log tells which connection of the interceptor carries which call.
        sections["log"] = 'level = "debug"\n' + sections.get("log", "")
        text = "".join(f"[{name}]\n{lines}\n" for name, lines in sections.items())
        origin = f"{self.ORIGIN_NAME}:{self.provider.port}"
        names = {loads.HOST: origin, loads.RAW_HOST: f"{self.ORIGIN_NAME}:{self.echo.port}",
                 loads.DNS_HOST: f"{self.DNS_NAME}:{self.provider.port}",
                 loads.RESET_HOST: f"{self.ORIGIN_NAME}:{self.provider.resetting_port}"}
        text += f'[upstream]\nca_file = "{self.provider.authority.cert}"\n[upstream.connect_to]\n'
        text += "".join(f'"{host}:443" = "{address}"\n' for host, address in names.items())
        fresh = self.folder / "config.new"
        fresh.write_text(text)
        # As an editor writes it. The disk may be full: then it stays as it was.
        with contextlib.suppress(OSError):
            (self.home / "config.tmp").write_text(text)
            (self.home / "config.tmp").rename(self.home / "config.toml")

    def full_disk(self):
        return faults.filled(self.home) if self.mounted else self.dns.disk_full(below=self.home)

    def ports(self):
        with contextlib.suppress(OSError, ValueError):
            ports = json.loads((self.run_dir / "effective-ports.json").read_text())
            return [ports[name] for name in ("internal_port", "api_port")]
        return []

    def logs(self):
        return "\n".join(path.read_text(errors="replace")[-4000:]
                         for path in self.folder.glob("halton-*.log"))

    def status(self, name):
        try:
            return control.facts(self.socket(name))
        except OSError:
            return {}

    def socket(self, name):
        return self.run_dir / ("edge.sock" if name == "edge" else "daemon.sock")

    def reload(self, name):
        """As `halton-meter reload` asks for it; what became of it, the log says."""
        self.services[name].wait_working()
        try:
            answer = control.ask(self.socket(name), "reload", timeout=10)
        except OSError as error:
            return self.log("no answer to reload", service=name, error=str(error))
        if "ok=1" not in answer.splitlines():
            self.fail(f"the {name} answers {answer!r} to a reload")

    def start(self):
        self.services["interceptor"].start()
        self.services["edge"].start()
        self.wait("an open gate", lambda: self.status("edge").get("gate") == "open", 30)
        bundle = self.folder / "both.pem"
        bundle.write_text((self.home / "ca" / "ca-cert.pem").read_text()
                          + self.provider.authority.cert.read_text())
        self.load = loads.Load(self.edge_port, bundle, self._seed, self.log)

    def wait(self, what, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.fail(f"waited {seconds} s in vain for {what}")
                return
            time.sleep(0.05)

    def processes(self):
        """Everything that runs with our home, predecessors that finish their calls included."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and str(self.home).encode() in \
                        (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def ledgers(self, kind):
        return memory.ledgers(self.home, kind)

    def settle(self):
        """The load is over: everything that is known must get into the database."""
        self.wait("an open gate", lambda: self.status("edge").get("gate") == "open", 30)
        self.wait("the end of predecessors", lambda: len(self.processes()) <= 4, 60)

        def handed_over():
            edge = self.status("edge")
            return edge.get("open_calls") == "0" and edge.get("ledger.calls") == "0" \
                and edge.get("ledger.open", "0") == "0"
        self.wait("an empty ledger", handed_over, 60)
        # What dead processes left is looked for every 5 s.
        self.wait("the ledgers of the dead", lambda: all(
            len(self.ledgers(kind)) <= 1 for kind in ("edge", "daemon")), 60)
        for name in ("interceptor", "edge"):
            self.services[name].stop_for_good()
        self.wait("the end of all processes", lambda: not self.processes(), 60)

    def end(self):
        for each in self.services.values():
            each.close()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        memory.forget(self.home)


def with_a_disk(arguments):
    """Runs this program again where it may mount a file system of its own: as root, or as root of
    a user namespace. Returns when that cannot be had."""
    for flags in (["-m"], ["-rm"]):
        probe = subprocess.run(["unshare", *flags, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                               capture_output=True)
        if probe.returncode == 0:
            os.execvp("unshare", ["unshare", *flags, sys.executable, __file__, *arguments,
                                  "--inside"])


def table(title, figures):
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:<62} {value:>9,}")


def verdict(folder, problems, repeat):
    """The last lines of the output, few enough that a log which is cut shows them all."""
    if not problems:
        print("\ncalls = rows + misses: exactly; nothing to complain of")
        return
    (folder / "problems.txt").write_text("\n".join(problems) + "\n")
    print(f"\ncalls = rows + misses: NO; {len(problems)} to complain of")
    for kind, count in collections.Counter(text.split(":")[0] for text in problems).most_common(5):
        print(f"  {count:>5} x {kind}"[:160])
    for problem in problems[:12]:
        for at, line in enumerate(problem.splitlines()[:3 if problem in problems[:3] else 1]):
            print(f"  {'!' if at == 0 else '    '} {line}"[:500])
    print(f"repeat: {repeat}; logs in {folder}", flush=True)


class OutOfTime(Exception):
    """SIGTERM: whoever started this has lost patience, and is to know how far it came."""


def out_of_time(*_):
    raise OutOfTime("ended from outside (SIGTERM): a limit of time?")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--no-mount", action="store_true")
    parser.add_argument("--folder")
    parser.add_argument("--inside", action="store_true")
    options = parser.parse_args()
    if not options.inside and not options.no_mount:
        with_a_disk(sys.argv[1:])
    count = 200 if options.short else options.faults
    folder = pathlib.Path(options.folder or tempfile.mkdtemp(prefix="halton-chaos-"))
    home = folder / "home"
    home.mkdir(parents=True, mode=0o700)
    if options.inside:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "tmpfs", home],
                       check=True)
    print(f"seed {options.seed}, {count} faults, files in {folder}", flush=True)
    signal.signal(signal.SIGTERM, out_of_time)
    began = time.monotonic()
    rig = chaos = None
    figures, problems = {}, []
    try:
        rig = Rig(folder, options.seed, options.inside)
        chaos = faults.Faults(rig, options.seed)
        rig.start()
        rig.load.start({"short": 4, "stream": 3, "kept": 2, "h2": 2, "slow reader": 1, "raw": 2})
        chaos.run(count, *((0.2, 0.8) if options.short else (0.4, 1.6)))
        rig.stage = "end of the load"
        rig.load.stop()
        rig.stage = "settling"
        rig.settle()
        rig.stage = "reckoning"
        result = reckoning.Reckoning(rig.load.calls, rig.provider, chaos.kills,
                                     routes.Routes(folder / "halton-meter-edge.log"),
                                     rig.database.requests(), rig.database.misses())
        figures, problems = result.verdicts()
        missing = [kind for kind in faults.WEIGHTS if not chaos.done.get(kind)]
        problems = [f"no fault of the kind {kind}" for kind in missing] + problems
    except Exception as error:  # noqa: BLE001 - whatever it is, what was found so far is told
        done = sum(chaos.done.values()) if chaos else 0
        trace = traceback.format_exc().splitlines()
        (folder / "traceback.txt").write_text("\n".join(trace) + "\n")
        problems = [f"not finished: {error!r}\nafter {time.monotonic() - began:.0f} s, {done} of "
                    f"{count} faults, in: {rig.stage if rig else 'making the rig'}\n"
                    f"{' | '.join(line.strip() for line in trace[-7:-1])}"]
    finally:
        if rig:
            rig.end()
    if chaos:
        table(f"Faults in {time.monotonic() - began:.0f} s", dict(sorted(chaos.done.items())))
    table("Calls", figures)
    problems = (rig.broken if rig else []) + problems
    if problems and options.inside:  # the small disk goes with us
        shutil.copytree(home, folder / "home-kept", dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("filler", "*.sock"))
    how = "--short" if options.short else f"--faults {count}"
    verdict(folder, problems, f"scripts/chaos {how} --seed {options.seed}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
