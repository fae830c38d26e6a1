"""New programs under running ones, and how long the old ones go on: every protocol that a call may use
is carried to its end by the process that has it, up to the configured limit."""

import os
import pathlib
import shutil
import signal
import threading
import time

import pytest

import calls
import database
import h2_origin
import http1
import pair as pairs
import websocket
from conftest import everywhere
from h2_client import Client
from scripted_origin import ScriptedOrigin
from supervisor import Supervisor, alive
from test_restart import ECHO, Load, echo, knock_on_edge, world  # noqa: F401 - fixtures
from test_websocket import CREATE, RESPONSES, read_turn, turn


def program_of(pid):
    """None: it is gone, or about to be. A process that ends has no program before it counts as dead."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except FileNotFoundError:
        return None


def test_package_upgrade_under_load(world, provider, tmp_path):
    """What a package does: other files under the same names, then a restart of each service. Calls and
    raw tunnels all the time: none refused, none broken, none unmetered."""
    pair, edge, interceptor = world()
    installed = tmp_path / "installed"
    installed.mkdir()
    services = (edge, interceptor)

    def install():
        for service in services:
            name = pathlib.Path(service.program).name
            shutil.copy2(pairs.BIN / name, installed / f"{name}.new")
            (installed / f"{name}.new").rename(installed / name)

    install()
    for service in services:
        service.program = str(installed / service.program)
        service.restart()
    pair.wait_gate("open")
    metered = []

    def work(number):
        if number % 3 == 0:
            knock_on_edge(pair, pair.edge_port)
        else:
            with pair.connect(calls.HOST, timeout=60) as wire:
                for _ in range(number):
                    assert calls.post(wire).status == 200
                    metered.append(number)
        return 1

    with Load(work, 6) as load:
        load.wait_more(30)
        for turn_of in range(2):
            old = [service.worker for service in services]
            install()
            load.wait_more(20)
            for service in services if turn_of else reversed(services):
                service.restart()
                load.wait_more(20)
            for service, pid in zip(services, old):
                assert service.worker != pid
                assert program_of(service.worker) == service.program, "it runs what was installed"
                assert program_of(pid) in (None, f"{service.program} (deleted)")
    assert load.failures == []
    assert len(provider.ledger()) == len(metered)
    pairs.wait_for("a row per call", lambda: len(pair.database.requests()) >= len(metered), 20)
    assert len(pair.database.requests()) == len(metered) and pair.database.misses() == []


def test_drain_limit_of_the_edge(world):
    """Tunnels that go on for longer than [edge] drain_ms are cut at the limit, by the old process: a
    metered call among them is one incomplete row."""
    pair, edge, _ = world(config="[edge]\ndrain_ms = 1500\n")
    old = edge.worker
    with pair.tunnel(ECHO) as raw, pair.connect("api.anthropic.com", timeout=60) as metered:
        raw.send(b"before")
        assert raw.recv_exact(6) == b"before"
        body = b'{"model": "claude-haiku-4-5", "stream": true}'
        metered.send(http1.request_bytes("POST", "/v1/messages", "api.anthropic.com", body,
                                         [("x-sim-pace", "0.7"), ("x-sim-encoding", "identity")]))
        metered.recv_until(b"message_start")
        begun = time.monotonic()
        edge.restart()
        raw.send(b"after")
        assert raw.recv_exact(5) == b"after"
        for wire in (raw, metered):
            wire.recv_all()
            took = time.monotonic() - begun
            assert 1.4 <= took < 3 * pairs.SLOW, took
    edge.wait_gone(old)
    knock_on_edge(pair, pair.edge_port)
    pair.wait_gate("open")
    (row,) = pair.rows(1)
    assert row["tokens_complete"] == 0 and row["status"] != "success", row
    time.sleep(1.5)
    assert len(pair.database.requests()) == 1 and pair.database.misses() == []


def test_unmetered_calls_cut_at_the_limit_are_misses(world, provider):
    """Calls past the meter that the old edge had to cut: each is in the ledger, once."""
    pair, edge, interceptor = world(config="[edge]\ndrain_ms = 1000\n")
    interceptor.stop()
    pair.wait_gate("closed")
    old = edge.worker
    with pair.connect(calls.HOST, trust=provider.ca_file) as wire:
        assert calls.post(wire).status == 200
        edge.restart()
        assert wire.recv_all() == b""
    edge.wait_gone(old)
    interceptor.start()
    pair.wait_gate("open")
    pairs.wait_for("the miss", lambda: pair.database.misses(), 20)
    time.sleep(1.5)
    (miss,) = pair.database.misses()
    assert (miss["host"], miss["count"]) == (calls.HOST, 1)


@pytest.fixture
def supervised(make_pair, authority):
    """supervised(handler, alpn) -> (pair, edge, interceptor) before an origin of the test's own."""
    made = []

    def make(handler, alpn=("http/1.1",)):
        origin = ScriptedOrigin(authority, handler, alpn=alpn)
        pair = make_pair(connect_to=everywhere(origin.address), ca_file=authority.cert)
        interceptor = Supervisor(pair, "halton-meter-interceptor",
                                 ["--internal-port", "0", "--api-port", "0"]).start()
        edge = Supervisor(pair, "halton-meter-edge", ["--edge-port", "0"]).start()
        made.extend((edge, interceptor, origin))
        pair.wait_gate("open")
        return pair, edge, interceptor

    yield make
    for one in made:
        one.close()


def test_streams_of_http2_outlive_both_restarts(supervised):
    """Three streams on one connection, held in the middle of their answers, while both processes are
    restarted: finished and recorded; calls on fresh connections go to the new ones meanwhile."""
    origin = h2_origin.H2Origin()
    pair, edge, interceptor = supervised(origin, alpn=("h2", "http/1.1"))
    old = edge.worker, interceptor.worker
    client = Client(pair.connect(calls.HOST, alpn=("h2",), timeout=60))
    streams = [client.post(calls.chat_body(stream=True), [("x-sim-hold", "1")]) for _ in range(3)]
    client.flush()
    client.read_until(lambda: all(client.bodies[stream] for stream in streams))
    interceptor.restart()
    edge.restart()
    pair.wait_gate("open")
    other = Client(pair.connect(calls.HOST, alpn=("h2",), timeout=60))
    other.post(calls.chat_body())
    other.flush()
    other.read_until(lambda: not other.open)
    time.sleep(4 * pairs.SLOW)  # longer than a connection may be idle while its process leaves
    assert all(alive(pid) for pid in old) and set(streams) <= client.open
    client.release()
    client.read_until(lambda: not client.open)
    assert all(client.bodies[stream].endswith(b"data: [DONE]\n\n") for stream in streams)
    for one in (client, other):
        one.wire.close()
    rows = pair.rows(4)
    assert sorted(map(database.row_key, rows)) == sorted(map(database.ledger_key, origin.ledger()))
    assert all(row["tokens_complete"] == 1 and row["transport"] == "h2" for row in rows)
    for service, pid in zip((edge, interceptor), old):
        service.wait_gone(pid)
    assert pair.database.misses() == []


def test_turn_of_a_websocket_outlives_a_restart(supervised):
    """A turn that is under way when the interceptor is restarted is finished and recorded by the old
    process; one that begins a moment later on the same socket, too."""
    go_on = threading.Event()

    def handler(wire):
        socket = websocket.accept(wire, True)
        for number in (1, 2):
            if socket.recv() is None:
                return
            socket.send({"type": "response.created", "response": {"id": f"resp_{number}"}})
            assert go_on.wait(30 * pairs.SLOW)
            turn(socket, number)
        wire.recv_all()

    pair, _, interceptor = supervised(handler)
    old = interceptor.worker
    with pair.connect(calls.HOST, timeout=60) as wire:
        socket = websocket.connect(wire, calls.HOST, RESPONSES, True)
        socket.send(CREATE)
        assert socket.recv()["type"] == "response.created"
        interceptor.restart()
        time.sleep(4 * pairs.SLOW)
        assert alive(old), "it has a turn to finish"
        go_on.set()
        assert read_turn(socket) == "resp_1"
        socket.send(CREATE)
        assert read_turn(socket) == "resp_2"
        rows = pair.rows(2)
        assert sorted(row["output_tokens"] for row in rows) == [1, 2]
        assert all(row["transport"] == "ws" and row["tokens_complete"] == 1 for row in rows)
    interceptor.wait_gone(old)
    assert pair.database.misses() == []


def test_a_request_that_waits_in_the_socket(world):
    """A kept connection is idle, and closed while its process leaves, only when nothing waits in it:
    a process that stood still for longer than that (SIGSTOP, no memory, no processor) finds the time
    past and the next request unread."""
    pair, _, interceptor = world()
    old = interceptor.worker
    with pair.connect(calls.HOST, timeout=60) as wire:
        assert calls.post(wire).status == 200
        interceptor.restart()
        os.kill(old, signal.SIGSTOP)
        time.sleep(4)  # idle for 3 s is when it would hang up
        wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body()))
        time.sleep(0.5)
        os.kill(old, signal.SIGCONT)
        assert http1.read_response(wire, "POST").status == 200
        assert alive(old), "it is the old one that has the connection"
    interceptor.wait_gone(old)
    assert len(pair.rows(2)) == 2 and pair.database.misses() == []


def test_http2_at_the_drain_limit(make_pair, authority):
    """Streams that go on beyond [intercept] drain_ms: cut then, and each is an incomplete row."""
    origin_handler = h2_origin.H2Origin()
    with ScriptedOrigin(authority, origin_handler, alpn=("h2",)) as origin:
        pair = make_pair(connect_to=everywhere(origin.address), ca_file=authority.cert,
                         config="[intercept]\ndrain_ms = 1500\n")
        with Supervisor(pair, "halton-meter-interceptor",
                        ["--internal-port", "0", "--api-port", "0"]) as interceptor, \
                Supervisor(pair, "halton-meter-edge", ["--edge-port", "0"]):
            pair.wait_gate("open")
            old = interceptor.worker
            client = Client(pair.connect(calls.HOST, alpn=("h2",), timeout=60))
            for _ in range(3):
                client.post(calls.chat_body(stream=True), [("x-sim-hold", "1")])
            client.flush()
            client.read_until(lambda: all(client.bodies.values()))
            begun = time.monotonic()
            interceptor.restart()
            while client.wire.recv():
                pass
            assert 1.4 <= time.monotonic() - begun < 4 * pairs.SLOW
            client.wire.close()
            interceptor.wait_gone(old)
            rows = pair.rows(3)
            assert len(rows) == 3 and all(row["tokens_complete"] == 0 for row in rows)
            assert pair.database.misses() == []
