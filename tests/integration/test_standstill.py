"""A process of ours stands still (SIGSTOP, swapped out, a paused machine) while what it waits for
arrives. When it goes on its deadlines have passed, and what came in time is read first."""

import contextlib
import signal
import socket
import ssl
import threading
import time

import pytest

import calls
import http1
import wire as wires
from conftest import everywhere
from scripted_origin import ScriptedOrigin
from supervisor import alive
from test_failures import both
from test_restart import echo, world  # noqa: F401,F811 - fixtures

REQUEST = http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body(),
                              [("Content-Type", "application/json")])
PROVIDER_ROOT = "Simulated provider root"


class Steps:
    """TLS of a client, a step at a time."""

    def __init__(self, sock, trust, host=calls.HOST):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = wires.client_context(trust, ["http/1.1"]).wrap_bio(
            self.incoming, self.outgoing, server_hostname=host)

    def hello(self):
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def shake_hands(self):
        """Reads the server's flight; the Finished is made, not sent."""
        while True:
            data = self.sock.recv(65536)
            assert data, "hung up in the handshake"
            self.incoming.write(data)
            try:
                return self.tls.do_handshake()
            except ssl.SSLWantReadError:
                if self.outgoing.pending:
                    self.sock.sendall(self.outgoing.read())

    def record(self, data):
        self.tls.write(data)
        return self.outgoing.read()

    def call(self):
        self.sock.sendall(self.record(REQUEST))
        return self.answer()

    def answer(self):
        """Status and the whole body."""
        data = b""
        while True:
            try:
                data += self.tls.read(65536)
            except ssl.SSLWantReadError:
                raw = self.sock.recv(65536)
                assert raw, "hung up before the answer"
                self.incoming.write(raw)
                continue
            head, found, body = data.partition(b"\r\n\r\n")
            if found and len(body) >= int(http1_length(head)):
                return int(head.split(b" ")[1])


def http1_length(head):
    (line,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return line.split(b":")[1]


@pytest.fixture
def standing(make_pair, provider):
    """standing(config) -> (pair, who trusts both ways)"""
    def make(config):
        pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file,
                         config=config).start()
        return pair, both(pair, provider)
    return make


def still(pair, process, seconds):
    """Stands still from here on, and goes on after so long."""
    pair.signal(process, signal.SIGSTOP)
    timer = threading.Timer(seconds, lambda: pair.signal(process, signal.SIGCONT))
    timer.start()
    time.sleep(0.1)
    return timer


@contextlib.contextmanager
def late(address, seconds):
    """An address behind which the first answer of `address` comes that much later."""
    host, port = address.split(":")

    def copy(source, sink, wait):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(wait)
                wait = 0
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve(near):
        far = socket.create_connection((host, int(port)))
        threading.Thread(target=copy, args=(near, far, 0), daemon=True).start()
        copy(far, near, seconds)

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=wires.serve_each, args=(listener, serve), daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    wires.stop_listening(listener)


def ready_to_finish(wire, trust):
    """A client that has our ServerHello and has not answered it yet."""
    steps = Steps(wire.sock, trust)
    wire.sock.sendall(steps.hello())
    steps.shake_hands()
    return steps


def is_metered(pair, trust):
    with pair.connect(calls.HOST, trust=trust) as wire:
        assert calls.post(wire).status == 200
        return wire.issuer() != PROVIDER_ROOT


def test_the_clients_finished_waits(standing):
    """Our ServerHello is out: nobody else can carry the call on."""
    pair, _ = standing("[intercept]\nhandshake_timeout_ms = 1000\n")
    with pair.tunnel(calls.HOST) as wire:
        steps = ready_to_finish(wire, pair.ca_file)
        timer = still(pair, pair.interceptor, 1.6)
        assert steps.call() == 200
        timer.join()
    pair.rows(1)


def test_pieces_of_a_hello_wait(standing):
    pair, trust = standing("[intercept]\nhello_timeout_ms = 1000\n")
    with pair.tunnel(calls.HOST) as wire:
        steps = Steps(wire.sock, trust)
        hello = steps.hello()
        wire.sock.sendall(hello[:100])
        time.sleep(0.3)
        still(pair, pair.interceptor, 1.6)
        wire.sock.sendall(hello[100:])
        steps.shake_hands()
        assert steps.call() == 200
    pair.rows(1)
    assert pair.database.misses() == []


def test_a_connect_head_waits(standing):
    pair, _ = standing("[edge]\nhead_timeout_ms = 1000\n")
    with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=20) as sock:
        time.sleep(0.2)
        still(pair, pair.edge, 1.6)
        sock.sendall(f"CONNECT {calls.HOST}:443 HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in sock.recv(4096)


def test_the_interceptors_answer_waits(standing):
    """Its interim 102 came in time; the edge stood still for half a second."""
    pair, trust = standing("[edge]\nknock_open_ms = 60000\n")
    pair.signal(pair.interceptor, signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=20) as sock:
        sock.sendall(f"CONNECT {calls.HOST}:443 HTTP/1.1\r\n\r\n".encode())
        time.sleep(0.1)
        still(pair, pair.edge, 0.7)
        pair.signal(pair.interceptor, signal.SIGCONT)
        assert b" 200 " in sock.recv(4096)
        wire = wires.Wire(sock)
        wire.start_tls(wires.client_context(trust, ["http/1.1"]), server_hostname=calls.HOST)
        assert calls.post(wire).status == 200
        assert wire.issuer() != PROVIDER_ROOT
    pair.rows(1)


def test_the_server_hello_waits(standing):
    """The interceptor has answered in time, the edge stood still. Should the call be carried on by
    another way all the same, nobody says that the client refused our CA."""
    pair, trust = standing("[edge]\nfirst_answer_limit_ms = 1000\n")
    with pair.tunnel(calls.HOST) as wire:
        steps = Steps(wire.sock, trust)
        pair.signal(pair.interceptor, signal.SIGSTOP)  # so that the edge has passed the hello on
        wire.sock.sendall(steps.hello())
        time.sleep(0.3)
        still(pair, pair.edge, 1.6)
        pair.signal(pair.interceptor, signal.SIGCONT)
        steps.shake_hands()
        assert steps.call() == 200
    assert is_metered(pair, trust)


def test_the_origins_answer_waits(make_pair, authority):
    """The origin is not silent: it was us who did not listen."""
    with ScriptedOrigin(authority, calls.answering(*calls.numbered(2))) as origin, \
            late(origin.address, 0.5) as address:
        pair = make_pair(connect_to=everywhere(address), ca_file=authority.cert,
                         config="[intercept]\nhandshake_timeout_ms = 1000\n").start()
        trust = pair.folder / "both.pem"
        trust.write_text(pair.ca_file.read_text() + authority.cert.read_text())
        with pair.tunnel(calls.HOST) as wire:
            steps = Steps(wire.sock, trust)
            wire.sock.sendall(steps.hello())
            time.sleep(0.2)
            still(pair, pair.interceptor, 1.5)
            steps.shake_hands()
            assert steps.call() == 200
        assert is_metered(pair, trust)
        assert not [key for key in pair.interceptor_status() if key.startswith("silent_origin.")]


def test_an_upstream_proxys_answer_waits(make_pair):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            sock, _ = listener.accept()
            sock.recv(4096)
            time.sleep(0.8)
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            sock.recv(4096)
        threading.Thread(target=serve, daemon=True).start()
        pair = make_pair(config="[edge]\nconnect_timeout_ms = 1500\n")
        file = pair.home / "config.toml"
        file.write_text(file.read_text().replace(
            "[upstream]\n",
            f'[upstream]\nproxy = "http://127.0.0.1:{listener.getsockname()[1]}"\n'))
        pair.start_edge()
        with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=20) as sock:
            sock.sendall(b"CONNECT somewhere.example.org:443 HTTP/1.1\r\n\r\n")
            time.sleep(0.4)
            still(pair, pair.edge, 1.8)
            assert b" 200 " in sock.recv(4096)


# --- clients that stand still -----------------------------------------------------------------------

def test_a_client_that_is_slow_to_finish_its_handshake(standing):
    """A program that computes between our ServerHello and its Finished: its origin would wait."""
    pair, _ = standing("[intercept]\nhandshake_timeout_ms = 1000\n")
    with pair.tunnel(calls.HOST) as wire:
        steps = ready_to_finish(wire, pair.ca_file)
        time.sleep(2.5)
        assert steps.call() == 200
    pair.rows(1)


def test_half_a_record_of_the_next_request(world):
    """A client that was stopped in the middle of its next request, on a kept connection of a process
    that leaves: half a record is no idleness."""
    pair, _, interceptor = world()
    old = interceptor.worker
    with pair.tunnel(calls.HOST, timeout=60) as wire:
        steps = ready_to_finish(wire, pair.ca_file)
        assert steps.call() == 200
        interceptor.restart()
        record = steps.record(REQUEST)
        wire.sock.sendall(record[:60])
        time.sleep(4.5)
        assert alive(old)
        wire.sock.sendall(record[60:])
        assert steps.answer() == 200
    interceptor.wait_gone(old)
    assert len(pair.rows(2)) == 2 and pair.database.misses() == []
