"""Memory of both processes over many calls and many streams: printed, and flat."""

import contextlib
import ssl
import threading

import pytest

import calls
import h2_origin
import http1
import pair as pairs
import scripted_origin
import wire as wires
from conftest import everywhere
from h2_client import Client

BODY = calls.chat_body(stream=True)
REQUEST = http1.request_bytes("POST", calls.CHAT, calls.HOST, BODY,
                              [("Content-Type", "application/json")])


def chunk(text):
    return b"%x\r\n" % len(text) + text + b"\r\n"


def event(body):
    return chunk(b"data: " + body + b"\n\n")


FIRST = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
         + event(b'{"id":"c","choices":[{"index":0,"delta":{"content":"Seven"}}]}'))
REST = (event(calls.chat_answer(21, 34)) + event(b"[DONE]") + b"0\r\n\r\n")


class Origin:
    """HTTP/1 or 2. `release` lets streams of HTTP/1 that it holds behind their first event go on."""

    def __init__(self):
        self.release = threading.Event()
        self.release.set()
        self._h2 = h2_origin.H2Origin()

    def __call__(self, wire):
        if wire.alpn == "h2":
            return self._h2(wire)
        wire.record = None  # ten thousand requests
        while http1.read_request(wire) is not None:
            if self.release.is_set():
                wire.send(FIRST + REST)
                continue
            wire.send(FIRST)
            assert self.release.wait(60 * pairs.SLOW)
            wire.send(REST)


class Meter:
    """Resident memory of both processes."""

    def __init__(self, pair):
        self._pair = pair

    def now(self):
        return {"edge": self._pair.resident_kib(self._pair.edge),
                "interceptor": self._pair.resident_kib(self._pair.interceptor)}

    def told(self, what):
        kib = self.now()
        print(f"{what:<44} resident KiB: edge {kib['edge']:>6}, interceptor {kib['interceptor']:>6}")
        return kib


@pytest.fixture
def setting(make_pair, authority):
    """(started pair, origin) for HTTP/1 and HTTP/2."""
    handler = Origin()
    with scripted_origin.ScriptedOrigin(authority, handler, alpn=("h2", "http/1.1")) as origin:
        # Not about quickness: a slow machine must not send calls past the meter.
        pair = make_pair(connect_to=everywhere(origin.address), ca_file=authority.cert,
                         config="[edge]\nask_limit_ms = 10000").start()
        yield pair, handler


def sequential(pair, count, per_connection):
    """So many calls one after the other."""
    context = wires.client_context(pair.ca_file, ["http/1.1"])
    whole = FIRST + REST
    for start in range(0, count, per_connection):
        wire = pair.tunnel(calls.HOST)
        with context.wrap_socket(wire.sock, server_hostname=calls.HOST) as sock:
            sock.settimeout(30 * pairs.SLOW)
            for _ in range(min(per_connection, count - start)):
                sock.sendall(REQUEST)
                got = b""
                while len(got) < len(whole):
                    data = sock.recv(65536)
                    assert data, "the answer was cut"
                    got += data
                assert got == whole
            with contextlib.suppress(ssl.SSLError, OSError):
                sock.unwrap()


def streams_at_once(pair, handler, meter, h1, h2_connections, h2_streams):
    """So many streams, all open at the same time; the memory while they are."""
    handler.release.clear()
    wires_open, clients = [], []
    for _ in range(h1):
        wires_open.append(pair.connect(calls.HOST, timeout=60))
        wires_open[-1].send(REQUEST)
    for _ in range(h2_connections):
        client = Client(pair.connect(calls.HOST, alpn=("h2",), timeout=60))
        for _ in range(h2_streams):
            client.post(BODY, [("x-sim-hold", "1")])
        client.flush()
        clients.append(client)
    for wire in wires_open:
        assert wire.recv_exact(len(FIRST)) == FIRST
    for client in clients:
        client.read_until(lambda: all(client.bodies.values()))
        assert len(client.open) == h2_streams
    while_open = meter.told(f"with {h1 + h2_connections * h2_streams} streams open")
    handler.release.set()
    for wire in wires_open:
        assert wire.recv_exact(len(REST)) == REST
    for client in clients:
        client.release()
        client.read_until(lambda: not client.open)
        assert all(body.endswith(b"data: [DONE]\n\n") for stream, body in client.bodies.items()
                   if stream != client.released)
    for wire in [*wires_open, *(client.wire for client in clients)]:
        wire.close()
    return while_open


def idle(pair):
    """All connections gone, all rows written."""
    pairs.wait_for("no session", lambda: pair.interceptor_status().get("sessions") == "0", 20)
    pairs.wait_for("an empty queue",
                   lambda: pair.interceptor_status().get("store.queue") == "0", 20)


def test_flat_over_ten_thousand_calls(setting):
    """10,000 calls, one after the other, some on connections of their own: what the processes hold
    afterwards is what they held after the first thousand."""
    pair, _ = setting
    meter = Meter(pair)
    meter.told("at the start")
    sequential(pair, 900, 100)
    sequential(pair, 100, 1)
    idle(pair)
    before = meter.told("after 1,000 calls")
    for _ in range(9):
        sequential(pair, 950, 100)
        sequential(pair, 50, 1)
    assert len(pair.rows(10_000, 60)) == 10_000
    idle(pair)
    after = meter.told("after 10,000 calls")
    assert pair.database.misses() == []
    # A leak of a few hundred bytes for each of the nine thousand would be above this. (SQLite's cache
    # of pages grows up to 2 MiB.)
    assert after["edge"] - before["edge"] < 1024
    assert after["interceptor"] - before["interceptor"] < 4 * 1024


def test_flat_over_500_streams_at_once(setting):
    """250 connections of HTTP/1 with a stream each and 250 streams on 5 connections of HTTP/2, all
    open at once, three times over: each time the same memory, given back or used again."""
    pair, handler = setting
    meter = Meter(pair)
    meter.told("at the start")
    open_kib, closed_kib = [], []
    for turn in (1, 2, 3):
        open_kib.append(streams_at_once(pair, handler, meter, 250, 5, 50))
        pair.rows(500 * turn, 60)
        idle(pair)
        closed_kib.append(meter.told(f"after {500 * turn} streams"))
    rows = pair.rows(1500)
    assert len(rows) == 1500 and all(row["tokens_complete"] for row in rows)
    assert sum(row["transport"] == "h2" for row in rows) == 750
    assert pair.database.misses() == []
    for name, bound in (("edge", 2 * 1024), ("interceptor", 8 * 1024)):
        assert open_kib[2][name] - open_kib[0][name] < bound
        assert closed_kib[2][name] - closed_kib[0][name] < bound


@pytest.mark.smoke
def test_nothing_is_lost_at_the_end(setting):
    """The same in small, for the sanitizers: all kinds of connections, some cut, and an orderly end, at
    which whatever was lost on the way is told."""
    pair, handler = setting
    meter = Meter(pair)
    before = meter.told("at the start")
    sequential(pair, 60, 20)
    sequential(pair, 20, 1)
    streams_at_once(pair, handler, meter, 10, 2, 20)
    for alpn in (("h2",), ("http/1.1",)):  # cut in the middle of an answer
        handler.release.clear()
        with pair.connect(calls.HOST, alpn=alpn) as wire:
            if alpn == ("h2",):
                client = Client(wire)
                stream = client.post(BODY, [("x-sim-hold", "1")])
                client.flush()
                client.read_until(lambda: client.bodies[stream])
            else:
                wire.send(REQUEST)
                wire.recv_exact(len(FIRST))
            wire.reset()
        idle(pair)  # both ends of it gone, before the origin can send the rest
        handler.release.set()
    rows = pair.rows(132, 60)
    assert sum(row["tokens_complete"] for row in rows) == 130
    after = meter.told("after 132 calls")
    pair.stop()
    assert (pair.edge.returncode, pair.interceptor.returncode) == (0, 0)
    assert after["edge"] - before["edge"] < 64 * 1024
