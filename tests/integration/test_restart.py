"""Restart, crash and upgrade are invisible: the ports stay open, calls in flight are finished by the
old process, new ones are served, and metered, by the new one."""

import collections
import contextlib
import json
import os
import signal
import socket
import ssl
import threading
import time

import pytest

import calls
import control
import database
import http1
import pair as pairs
import wire as wires
from conftest import everywhere
from supervisor import Supervisor, alive

ECHO = "echo.example.org"


@pytest.fixture
def echo():
    """A plain TCP server that says what it hears."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def serve(sock):
        with sock, contextlib.suppress(OSError):
            while data := sock.recv(65536):
                sock.sendall(data)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    wires.stop_listening(listener)


@pytest.fixture
def world(make_pair, provider, echo):
    """world(config=...) -> (pair, edge, interceptor), both supervised, the gate open."""
    with contextlib.ExitStack() as stack:
        def make(config="", gate=True, **options):
            pair = make_pair(connect_to={**everywhere(provider.address), f"{ECHO}:443": echo},
                             ca_file=provider.ca_file, config=config)
            interceptor = stack.enter_context(Supervisor(
                pair, "halton-meter-interceptor", ["--internal-port", "0", "--api-port", "0"],
                **options))
            edge = stack.enter_context(Supervisor(pair, "halton-meter-edge",
                                                  ["--edge-port", "0"], **options))
            if gate:
                pair.wait_gate("open")
            return pair, edge, interceptor
        yield make


class Load:
    """Threads that call until told to stop. `failures` must stay empty."""

    def __init__(self, work, threads):
        self.done, self.failures, self._stop = 0, [], threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(work, n)) for n in range(threads)]

    def _run(self, work, number):
        while not self._stop.is_set():
            try:
                self._count(work(number))
            except Exception as error:  # noqa: BLE001
                self.failures.append(repr(error))

    def _count(self, calls_made):
        with self._lock:
            self.done += calls_made

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def wait_more(self, count):
        target = self.done + count
        pairs.wait_for(f"{count} more calls (failures: {self.failures[:3]})",
                       lambda: self.done >= target or self.failures, 30)

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def knock_on_edge(pair, port):
    """A connection through the edge and one turn. Tells 'cut' when the edge took it and died."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20 * pairs.SLOW)
    with wires_closing(sock) as wire:
        wire.send(f"CONNECT {ECHO}:443 HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in wire.recv_until(b"\r\n\r\n")
        wire.send(b"hello")
        assert wire.recv_exact(5) == b"hello"


@contextlib.contextmanager
def wires_closing(sock):
    wire = wires.Wire(sock, timeout=20 * pairs.SLOW)
    try:
        yield wire
    finally:
        wire.close()


@pytest.mark.smoke
def test_no_connection_is_refused(world):
    """Planned restarts of the edge and kill -9 of its parent: no client notices anything. kill -9 of
    the worker itself: who was in the middle of something is cut off, nobody is refused."""
    pair, edge, _ = world(gate=False)
    port = pair.edge_port
    refused, cut = [], []

    def work(_):
        try:
            knock_on_edge(pair, port)
        except ConnectionRefusedError as error:
            refused.append(error)
        except (OSError, wires.EndOfStream):
            cut.append(time.monotonic())
        time.sleep(0.005)
        return 1

    with Load(work, 8) as load:
        for round_ in range(2):
            before = edge.worker
            edge.restart()
            assert edge.worker != before
            load.wait_more(50)
            count = edge.ready_count
            os.kill(edge.main, signal.SIGKILL)
            edge.wait_started(count + 1)
            load.wait_more(50)
        assert (refused, cut, load.failures) == ([], [], [])
        for round_ in range(2):
            count = edge.ready_count
            os.kill(edge.worker, signal.SIGKILL)
            edge.wait_started(count + 1)
            load.wait_more(50)
    assert (refused, load.failures) == ([], [])
    assert len(cut) <= 2 * 8, "more were cut off than can have been in the killed workers"
    assert pair.edge_port == port
    assert edge.ends.count(-signal.SIGKILL) == 4 and edge.ends.count(0) == 2, edge.ends


@pytest.mark.smoke
def test_tunnel_goes_through_a_restart_of_the_edge(world):
    """Open tunnels, raw and metered, are carried on by the old worker; then it ends."""
    pair, edge, _ = world()
    old = edge.worker
    with pair.tunnel(ECHO) as raw, pair.connect(calls.HOST) as metered:
        assert calls.post(metered).status == 200
        edge.restart()
        assert edge.worker != old and alive(old)
        assert int(pair.edge_status()["pid"]) == edge.worker, "the control socket is the new one's"
        for _ in range(3):
            raw.send(b"still here")
            assert raw.recv_exact(10) == b"still here"
            assert calls.post(metered).status == 200
        pair.wait_gate("open")
        with pair.connect(calls.HOST) as fresh:
            assert calls.post(fresh).status == 200
        assert alive(old)
    edge.wait_gone(old)
    assert len(pair.rows(5)) == 5 and pair.database.misses() == []
    control.ask(pair.run_dir / "edge.sock", "ping")


def test_restart_of_the_interceptor_under_load(world, provider):
    """Two planned restarts and one death of the parent while calls are made all the time, on fresh
    and on kept connections: none fails, none goes unmetered, every one is a row. A long stream is
    finished and recorded by the old process while the new one meters new calls."""
    pair, _, interceptor = world()
    old = interceptor.worker
    stream = {}

    def long_stream():
        body = json.dumps({"model": "claude-haiku-4-5", "stream": True}).encode()
        with pair.connect("api.anthropic.com", timeout=60) as wire:
            stream["response"] = calls.post(wire, "/v1/messages", body, "api.anthropic.com",
                                            [("x-sim-pace", str(0.6 * pairs.SLOW)),
                                             ("x-sim-encoding", "identity")])
            stream["alive"] = alive(old)

    def work(number):
        with pair.connect(calls.HOST, timeout=60) as wire:
            for _ in range(1 + number % 2 * 20):
                assert calls.post(wire).status == 200
        return 1 + number % 2 * 20

    streaming = threading.Thread(target=long_stream)
    streaming.start()
    pairs.wait_for("begin of the stream", lambda: any(line["stream"] for line in provider.ledger()))
    with Load(work, 6) as load:
        load.wait_more(40)
        interceptor.restart()
        assert alive(old), "it has a stream to finish"
        assert int(pair.interceptor_status()["pid"]) == interceptor.worker
        load.wait_more(100)
        interceptor.restart()
        load.wait_more(100)
        count = interceptor.ready_count
        os.kill(interceptor.main, signal.SIGKILL)
        interceptor.wait_started(count + 1)
        load.wait_more(100)
    assert load.failures == []
    streaming.join()
    assert stream["response"].status == 200 and b"message_stop" in stream["response"].body
    assert stream["alive"]
    interceptor.wait_gone(old)
    lines = provider.ledger()
    pairs.wait_for("a row per call", lambda: len(pair.database.requests()) >= len(lines)
                   or pair.database.misses(), 20)
    rows = pair.database.requests()
    assert (len(rows), len(lines), pair.database.misses()) == (load.done + 1, load.done + 1, [])
    assert collections.Counter(map(database.row_key, rows)) == \
        collections.Counter(map(database.ledger_key, lines))
    assert all(row["tokens_complete"] == 1 for row in rows)
    pair.wait_gate("open")


def test_api_port_stays_open(world):
    """The HTTP API over a restart: the same port, no refusal."""
    pair, _, interceptor = world(gate=False)
    port = pair.ports()["api_port"]
    pids = set()

    def work(_):
        with wires_closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as wire:
            wire.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = http1.read_response(wire, "GET")
            assert answer.status == 200
            pids.add(json.loads(answer.body)["pid"])
        time.sleep(0.01)
        return 1

    first = interceptor.worker
    with Load(work, 2) as load:
        load.wait_more(5)
        interceptor.restart()
        load.wait_more(20)
    assert load.failures == []
    assert pids >= {first, interceptor.worker}
    assert pair.ports()["api_port"] == port


def test_crash_of_the_interceptor(world):
    """kill -9 of the worker: its parent ends the same way, so the supervisor acts; ports stay."""
    pair, _, interceptor = world()
    ports = pair.ports()
    os.kill(interceptor.worker, signal.SIGKILL)
    interceptor.wait_started(2)
    assert interceptor.ends == [-signal.SIGKILL]
    pair.wait_gate("open")
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
    pair.rows(1)
    after = pair.ports()
    assert [after[name] for name in ("edge_port", "internal_port", "api_port")] == \
        [ports[name] for name in ("edge_port", "internal_port", "api_port")]


def test_drain_limit(world, provider):
    """A stream that goes on for longer than drain_ms is cut at the limit, and its row says so."""
    pair, _, interceptor = world(config="[intercept]\ndrain_ms = 1500\n")
    old = interceptor.worker
    body = json.dumps({"model": "claude-haiku-4-5", "stream": True}).encode()
    with pair.connect("api.anthropic.com", timeout=60) as wire:
        wire.send(http1.request_bytes("POST", "/v1/messages", "api.anthropic.com", body,
                                      [("x-sim-pace", "600"), ("x-sim-encoding", "identity")]))
        wire.recv_until(b"message_start")
        begun = time.monotonic()
        interceptor.restart()
        wire.recv_all()
        assert time.monotonic() - begun >= 1.4
    interceptor.wait_gone(old)
    (row,) = pair.rows(1)
    assert row["tokens_complete"] == 0 and row["status"] in ("truncated", "cancelled", "error")


def test_explicit_stop(world):
    """`stop`: the store is given up, so the worker knows that nobody comes. The port is closed at
    once, the call in flight is finished and recorded, and a later start has the port again."""
    pair, edge, interceptor = world(config="[daemon]\nedge_port = 0\n")
    port, old = pair.edge_port, (edge.worker, interceptor.worker)
    with pair.tunnel(ECHO) as raw, pair.connect(calls.HOST) as metered:
        assert calls.post(metered).status == 200
        edge.stop()
        pairs.wait_for("closed port", lambda: refuses(port), 3)
        interceptor.stop()
        assert alive(old[0]), "it has tunnels to finish"
        raw.send(b"more")
        assert raw.recv_exact(4) == b"more"
        edge.arguments = ["--edge-port", str(port)]
        edge.start()
        assert pair.edge_port == port, "taken over from the one that still finishes"
        raw.send(b"even more")
        assert raw.recv_exact(9) == b"even more"
    for pid in old:
        edge.wait_gone(pid)
    assert len(pair.rows(1)) == 1


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_changed_port_wins(world):
    """A kept socket is for the port that was asked for; another one is asked for now."""
    pair, edge, _ = world(gate=False)
    old_port, old_name = pair.edge_port, "edge-0"
    assert old_name in edge.names()
    with socket.create_server(("127.0.0.1", 0)) as finder:
        wanted = finder.getsockname()[1]
    edge.arguments = ["--edge-port", str(wanted)]
    edge.restart()
    assert pair.edge_port == wanted
    pairs.wait_for("old socket dropped", lambda: old_name not in edge.names())
    assert f"edge-{wanted}" in edge.names()
    pairs.wait_for("old port closed", lambda: refuses(old_port))


def test_supervisor_that_keeps_nothing(world):
    """Without a descriptor store the successor takes the port from the one that leaves."""
    pair, edge, interceptor = world(keeps=False)
    port = pair.edge_port
    edge.arguments = ["--edge-port", str(port)]
    for _ in range(3):
        edge.restart()
        assert pair.edge_port == port
        knock_on_edge(pair, port)
    ports = pair.ports()
    interceptor.arguments = ["--internal-port", str(ports["internal_port"]), "--api-port",
                             str(ports["api_port"])]
    interceptor.restart()
    assert {**pair.ports(), "pid": 0, "written_at": 0} == {**ports, "pid": 0, "written_at": 0}
    pair.wait_gate("open")
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
    pair.rows(1)


def test_watchdog_ends_a_hung_worker(world):
    """A worker that says nothing any more (SIGSTOP) is killed by way of its parent, and replaced."""
    pair, edge, interceptor = world(watchdog_s=3 * pairs.SLOW)
    for one in (edge, interceptor):
        hung, count = one.worker, one.ready_count
        os.kill(hung, signal.SIGSTOP)
        one.wait_started(count + 1)
        one.wait_gone(hung)
    pair.wait_gate("open")
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200


def test_hung_worker_does_not_hold_up_its_successor(world):
    """kill -9 of the parent of a worker that is stopped: the new one takes everything over, and the
    old one, when it wakes up, finishes and goes."""
    pair, edge, _ = world()
    hung, count = edge.worker, edge.ready_count
    with pair.tunnel(ECHO) as raw:
        os.kill(hung, signal.SIGSTOP)
        os.kill(edge.main, signal.SIGKILL)
        edge.wait_started(count + 1)
        assert int(pair.edge_status()["pid"]) == edge.worker
        knock_on_edge(pair, pair.edge_port)
        os.kill(hung, signal.SIGCONT)
        raw.send(b"awake")
        assert raw.recv_exact(5) == b"awake"
    assert int(pair.edge_status()["pid"]) == edge.worker


def test_successor_that_cannot_start_costs_nothing(world, provider):
    """An upgrade to something broken: while its successors die at their start the old process serves
    on, for as long as a restart may take."""
    pair, _, interceptor = world()
    old = interceptor.worker
    good, interceptor.program = interceptor.program, "no-such-program"
    os.kill(interceptor.main, signal.SIGTERM)
    pairs.wait_for("successors that die", lambda: len(interceptor.ends) >= 3)
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
        assert wire.issuer() != "Simulated provider root", "metered by the old one"
    interceptor.program = good
    interceptor.wait_started(2)
    interceptor.wait_gone(old)
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
    assert len(pair.rows(2)) == 2 and pair.database.misses() == []


def test_refusals_are_remembered_over_a_restart(world, provider):
    """A client that does not trust our CA loses one call, not one more with every restart or crash."""
    pair, _, interceptor = world()
    with pytest.raises(ssl.SSLCertVerificationError):
        pair.connect(calls.HOST, trust=provider.ca_file)
    # Whose connection it was is found out beside it, later on a busy machine.
    pairs.wait_for("the name of the client", lambda: "client=python" in
                   pair.interceptor_status().get("distrust.0", ""))
    before = pair.interceptor_status()["distrust.0"]
    interceptor.restart()
    os.kill(interceptor.worker, signal.SIGKILL)
    interceptor.wait_started(3)
    pair.wait_gate("open")
    with pair.connect(calls.HOST, trust=provider.ca_file) as wire:
        assert calls.post(wire).status == 200
    after = pair.interceptor_status()["distrust.0"]
    assert after.split(" tunnelled=")[0] == before.split(" tunnelled=")[0]
    assert (pair.home / "ca-refusals").stat().st_mode & 0o777 == 0o600


def test_a_mistake_in_the_file_takes_nothing_away(make_pair, provider):
    """Processes that are started again (crash, restart) while config.toml has a fault: the port that
    running tools carry, the way to the providers and everything else stay as they were."""
    with contextlib.ExitStack() as stack:
        finders = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        names = ("edge_port", "internal_port", "api_port")
        lines = [f"{name} = {finder.getsockname()[1]}" for name, finder in zip(names, finders)]
    with contextlib.ExitStack() as stack:
        pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file,
                         config="\n".join(["[daemon]", *lines, ""]))
        services = [stack.enter_context(Supervisor(pair, f"halton-meter-{name}"))
                    for name in ("interceptor", "edge")]
        pair.wait_gate("open")
        before = {name: pair.ports()[name] for name in names}
        assert [f"{name} = {port}" for name, port in before.items()] == lines
        file = pair.home / "config.toml"
        good = file.read_text()
        made = 0
        for bad in ("[daemon\n" + good, good.replace("edge_port = ", "edge_port = 'port '")):
            file.write_text(bad)
            for service in services:
                count = service.ready_count
                os.kill(service.worker, signal.SIGKILL)
                service.wait_started(count + 1)
                service.restart()
            assert {name: pair.ports()[name] for name in names} == before
            pair.wait_gate("open")
            with pair.connect(calls.HOST) as wire:
                assert calls.post(wire).status == 200
            made += 1
            pair.rows(made)
            for status in (pair.edge_status(), pair.interceptor_status()):
                assert "config.toml:" in status["config.warning"], status
                assert "what was in force before is used" in status["config.warning"]
        assert (pair.home / "config.toml.good").stat().st_mode & 0o777 == 0o600
        file.unlink()  # no file is all defaults, not what was once
        services[1].restart()
        assert not (pair.home / "config.toml.good").exists()
