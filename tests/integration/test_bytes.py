"""Byte identity: what the origin receives is what the client sent, and the reverse."""

import gzip
import hashlib
import os
import random
import threading

import pytest

import calls
import http1

MIB = 1 << 20
SIZES = [0, 1, 2, 1023, 16_383, 16_384, 16_385, 65_536, 262_145, MIB]


def exchange(pair, origin, request, response_size):
    """Sends the bytes, takes an answer of that many bytes, and the end."""
    with pair.connect(calls.HOST, timeout=120) as wire:
        wire.send(request)
        got = wire.recv_exact(response_size)
        wire.half_close()
        wire.recv_all()
    assert origin.sessions[-1].done.wait(60)
    assert origin.sessions[-1].error is None
    return got


def same(left, right, what):
    """Exact, but without printing megabytes when it fails."""
    assert len(left) == len(right), f"{what}: {len(left)} bytes instead of {len(right)}"
    assert hashlib.sha256(left).digest() == hashlib.sha256(right).digest(), f"{what}: differs"


def answer_with(response):
    """A handler that reads one whole request and answers with these bytes."""
    def handler(wire):
        request = http1.read_request(wire)
        assert request is not None
        wire.send(response)
        wire.recv_all()
    return handler


@pytest.mark.parametrize("size", SIZES)
def test_plain_bodies(scripted, size):
    """Content-Length bodies of many sizes, both directions."""
    body, answer = os.urandom(size), os.urandom(size)
    response = calls.response_bytes(answer, content_type="application/octet-stream")
    pair, origin = scripted(answer_with(response))
    request = http1.request_bytes("POST", calls.CHAT, calls.HOST, body,
                                  [("Content-Length", str(size))])
    same(exchange(pair, origin, request, len(response)), response, "response")
    same(bytes(origin.sessions[-1].received), request, "request")


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(4))
def test_chunked_bodies_of_random_sizes(scripted, seed):
    """Chunk borders arrive as they were sent, in both directions."""
    rng = random.Random(seed)
    body, answer = rng.randbytes(rng.randrange(1, MIB)), rng.randbytes(rng.randrange(1, MIB))
    sizes = [rng.randrange(1, 40_000) for _ in range(20)]
    response = (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n") + http1.chunked(answer, sizes)
    pair, origin = scripted(answer_with(response))
    request = http1.request_bytes("POST", calls.CHAT, calls.HOST, b"",
                                  [("Transfer-Encoding", "chunked")]) + \
        http1.chunked(body, sizes[::-1])
    same(exchange(pair, origin, request, len(response)), response, "response")
    same(bytes(origin.sessions[-1].received), request, "request")


@pytest.mark.parametrize("kind", ["plain", "chunked", "gzip", "streamed"])
def test_64_mib(scripted, kind):
    """64 MiB up and 64 MiB down: plain, chunked, gzip, and as 16,000 events of a stream."""
    payload = os.urandom(64 * MIB)
    headers = []
    if kind == "gzip":
        payload = gzip.compress(payload[:63 * MIB], 1)  # random bytes do not shrink
        headers = [("Content-Encoding", "gzip")]
    if kind == "streamed":
        payload = b"".join(b"data: {\"x\":\"%s\"}\n\n" % payload[at:at + 2040].hex().encode()
                           for at in range(0, 32 * MIB, 2048))
        assert len(payload) > 63 * MIB
    if kind in ("chunked", "streamed"):
        framed = http1.chunked(payload, [65_000, 1, 16_384, 100_000])
        request = http1.request_bytes("POST", calls.CHAT, calls.HOST, b"",
                                      [("Transfer-Encoding", "chunked")]) + framed
        media = b"text/event-stream" if kind == "streamed" else b"application/json"
        response = (b"HTTP/1.1 200 OK\r\nContent-Type: " + media +
                    b"\r\nTransfer-Encoding: chunked\r\n\r\n") + framed
    else:
        request = http1.request_bytes("POST", calls.CHAT, calls.HOST, payload, headers)
        response = calls.response_bytes(payload, headers=headers)
    pair, origin = scripted(answer_with(response))
    same(exchange(pair, origin, request, len(response)), response, "response")
    same(bytes(origin.sessions[-1].received), request, "request")
    assert len(pair.rows(1, 30)) == 1


@pytest.mark.smoke
def test_both_directions_at_once(scripted):
    """An origin that answers while the upload still runs: neither direction waits for the other."""
    body, answer = os.urandom(24 * MIB), os.urandom(24 * MIB)
    response = calls.response_bytes(answer)
    total = []

    def handler(wire):
        head = wire.recv_until(b"\r\n\r\n")
        sender = threading.Thread(target=wire.send, args=(response,))
        sender.start()
        total.append(head + wire.recv_exact(len(body)))
        sender.join()
        wire.recv_all()

    pair, origin = scripted(handler)
    request = http1.request_bytes("POST", calls.CHAT, calls.HOST, body)
    with pair.connect(calls.HOST, timeout=120) as wire:
        sender = threading.Thread(target=wire.send, args=(request,))
        sender.start()
        got = wire.recv_exact(len(response))
        sender.join()
        wire.half_close()
        wire.recv_all()
    assert origin.sessions[0].done.wait(60)
    same(got, response, "response")
    same(total[0], request, "request")


def test_slow_reader_does_not_swell_the_process(scripted):
    """A client that does not read for a while pauses the origin; memory stays within bounds."""
    answer = os.urandom(48 * MIB)
    response = calls.response_bytes(answer)
    pair, origin = scripted(answer_with(response))
    with pair.connect(calls.HOST, timeout=120) as wire:
        wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body()))
        first = wire.recv_exact(1)
        before = pair.resident_kib(pair.interceptor)
        threading.Event().wait(1.0)
        grown = pair.resident_kib(pair.interceptor) - before
        same(first + wire.recv_exact(len(response) - 1), response, "response")
    assert grown < 16 * 1024, f"{grown} KiB more while nobody read"


def test_header_case_order_and_blanks_are_kept(scripted):
    """Odd but legal heads pass as they are: case, order, repeats, tabs, empty values."""
    body = calls.chat_body()
    request = (f"POST {calls.CHAT}?a=%20&b=;c HTTP/1.1\r\nhOsT: {calls.HOST}\r\nX-B:\t two \r\n"
               f"x-a: 1\r\nX-A: 2\r\nX-Empty:\r\ncontent-LENGTH: {len(body)}\r\n\r\n"
               ).encode() + body
    response = (b"HTTP/1.1 200 \r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nCONTENT-length:3\r\n"
                b"x-odd: \xe9\xff\r\n\r\nabc")
    pair, origin = scripted(answer_with(response))
    assert exchange(pair, origin, request, len(response)) == response
    assert bytes(origin.sessions[-1].received) == request


@pytest.mark.smoke
def test_gzip_bomb_passes_and_is_not_unpacked(scripted):
    """A body that unpacks to hundreds of MiB reaches the client; the meter gives up, not the call."""
    bomb = gzip.compress(b" " * (300 * MIB), 9)
    response = calls.response_bytes(bomb, headers=[("Content-Encoding", "gzip")])
    pair, origin = scripted(answer_with(response))
    request = http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body())
    assert exchange(pair, origin, request, len(response)) == response
    (row,) = pair.rows(1)
    assert row["tokens_complete"] == 0
    assert pair.resident_kib(pair.interceptor) < 200 * 1024 * 6  # sanitizers included
