"""A gibibyte up and a gibibyte down: every byte arrives, and no process grows with it.

The data is generated as it goes and only its digests are compared; neither end keeps it. Not in the
sanitizers' choice: it runs once, on the build that users get.
"""

import contextlib
import hashlib
import pathlib
import socket
import ssl
import threading
import time

import pytest

import calls
import http1
import pair as pairs
import wire as wires

GIB, MIB = 1 << 30, 1 << 20
PIECE = MIB
# Beyond what a process has when it has carried one call: queues are at most 256 KiB each way and
# direction, plus the reads under way and what the allocator keeps.
MAY_GROW_KIB = 16 * 1024


def gibibyte(seed):
    """A GiB in pieces, each a different one, so that a lost, doubled or swapped piece shows. The whole
    reads as the beginning of a JSON document, so that the meter has something to read."""
    block = bytearray(hashlib.shake_256(seed).hexdigest(PIECE // 2).encode())
    for number in range(GIB // PIECE):
        block[:8] = b"%08x" % number if number else b'{"x":"00'
        yield block


class Digest:
    def __init__(self):
        self._hash, self.size = hashlib.sha256(), 0

    def add(self, data):
        self._hash.update(data)
        self.size += len(data)

    def told(self):
        return self.size, self._hash.hexdigest()


def send_body(sock, body, digest):
    for piece in body:
        sock.sendall(piece)
        digest.add(piece)


def take_body(sock, total, digest):
    buffer = bytearray(256 * 1024)
    view = memoryview(buffer)
    while digest.size < total:
        got = sock.recv_into(view[:min(len(buffer), total - digest.size)])
        assert got, f"the end after {digest.size} bytes"
        digest.add(view[:got])


def head_of(sock):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        assert byte, head
        head += byte
    return head


class Origin:
    """Takes one request with a body of so many bytes, then answers with these pieces."""

    def __init__(self, authority, takes, answers, body):
        self.took, self.sent, self.error = Digest(), Digest(), None
        self._takes, self._answers, self._body = takes, answers, body
        self._context = wires.server_context(*authority.leaf([calls.HOST], name="large"),
                                             ["http/1.1"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        try:
            plain, _ = self._listener.accept()
            plain.settimeout(120)
            with self._context.wrap_socket(plain, server_side=True) as sock:
                head_of(sock)
                take_body(sock, self._takes, self.took)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             b"Content-Length: %d\r\n\r\n" % self._answers)
                send_body(sock, self._body, self.sent)
                with contextlib.suppress(ssl.SSLError):  # the client does not say goodbye
                    sock.recv(1)
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            self.error = error
        finally:
            self._listener.close()


class Watch:
    """The largest resident memory of some processes while it is open."""

    def __init__(self, pair):
        self._pair = pair
        self._processes = {"edge": pair.edge, "interceptor": pair.interceptor}
        self.before = self._now()
        self.most = dict(self.before)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _now(self):
        return {name: self._pair.resident_kib(process)
                for name, process in self._processes.items()}

    def _look(self):
        while not self._stop.wait(0.05):
            for name, kib in self._now().items():
                self.most[name] = max(self.most[name], kib)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def check(self):
        print(f"resident KiB before {self.before}, at most {self.most}")
        for name, kib in self.most.items():
            assert kib - self.before[name] < MAY_GROW_KIB, (name, self.before, self.most)


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_gibibyte(make_pair, authority, way):
    """1 GiB in one direction: the digests are equal, memory stays, and the row knows the size."""
    small_up, small_down = calls.chat_body(), calls.chat_answer(21, 34)
    up, up_body = (GIB, gibibyte(b"up")) if way == "up" else (len(small_up), [small_up])
    down, down_body = (GIB, gibibyte(b"down")) if way == "down" else (len(small_down), [small_down])
    origin = Origin(authority, up, down, down_body)
    pair = make_pair(connect_to={f"{calls.HOST}:443": origin.address},
                     ca_file=authority.cert).start()
    sent, took = Digest(), Digest()
    begun = time.monotonic()
    plain = socket.create_connection(("127.0.0.1", pair.edge_port), timeout=120 * pairs.SLOW)
    plain.sendall(f"CONNECT {calls.HOST}:443 HTTP/1.1\r\n\r\n".encode())
    assert head_of(plain).startswith(b"HTTP/1.1 200")
    context = wires.client_context(pair.ca_file, ["http/1.1"])
    with context.wrap_socket(plain, server_hostname=calls.HOST) as sock, Watch(pair) as watch:
        sock.sendall(http1.request_bytes("POST", calls.CHAT, calls.HOST, b"", [
            ("Content-Type", "application/json"), ("Content-Length", str(up))]))
        send_body(sock, up_body, sent)
        assert f"Content-Length: {down}".encode() in head_of(sock)
        take_body(sock, down, took)
    origin.thread.join(30)
    assert origin.error is None
    assert sent.told() == origin.took.told() and took.told() == origin.sent.told()
    assert (sent.size, took.size) == (up, down)
    took_s = time.monotonic() - begun
    print(f"{way}: {(up + down) / MIB / took_s:.0f} MiB/s, {took_s:.1f} s")
    watch.check()
    (row,) = calls.check_metered(pair, [(21, 34) if way == "up" else (0, 0)], up=up, down=down,
                                 complete=way == "up")
    # An answer larger than what is read of one is known as a call, its figures as unknown.
    assert row["incomplete_reason"] == (None if way == "up" else "too_large")
    assert (row["status"], row["http_status"]) == ("success", 200)
    assert pair.edge.poll() is None and pair.interceptor.poll() is None
    assert pathlib.Path(pair.home, "db.sqlite").stat().st_size < MIB
