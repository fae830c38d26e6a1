"""HTTP/1.1 in all its turns: relayed as it is, and metered right."""

import base64
import hashlib
import os
import threading

import pytest

import calls
import http1
from calls import answering, figures, numbered
from conftest import everywhere


@pytest.mark.smoke
def test_keep_alive(scripted):
    """Five calls, one connection: five rows, one origin connection."""
    answers = numbered(5)
    pair, origin = scripted(answering(*answers))
    with pair.connect(calls.HOST) as wire:
        for answer in answers:
            assert calls.post(wire).raw == answer
    assert sorted(figures(pair.rows(5))) == [(10 * n, n) for n in range(1, 6)]
    assert len(origin.sessions) == 1


@pytest.mark.smoke
def test_pipelining(scripted):
    """Four requests in one segment; answers in order, each with its own row and model."""
    answers = numbered(4)
    pair, origin = scripted(answering(*answers))
    requests = b"".join(http1.request_bytes("POST", calls.CHAT, calls.HOST,
                                            calls.chat_body(model=f"gpt-5-m{n}"))
                        for n in range(1, 5))
    with pair.connect(calls.HOST) as wire:
        wire.send(requests)
        assert wire.recv_exact(sum(map(len, answers))) == b"".join(answers)
    rows = pair.rows(4)
    assert sorted((row["requested_model"], row["output_tokens"]) for row in rows) == \
        [(f"gpt-5-m{n}", n) for n in range(1, 5)]
    assert bytes(origin.sessions[0].received) == requests


def test_expect_100_continue(scripted):
    """The client waits for 100 and only then sends; we neither answer it nor swallow it."""
    body = calls.chat_body(content="x" * 5000)
    answer = calls.response_bytes(calls.chat_answer(5, 6))
    order = []

    def handler(wire):
        http1.read_request(wire, on_expect=lambda: (order.append(bytes(wire.record)),
                                                    wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")))
        wire.send(answer)
        wire.recv_all()

    pair, _ = scripted(handler)
    head = http1.request_bytes("POST", calls.CHAT, calls.HOST, b"",
                               [("Expect", "100-continue"), ("Content-Length", str(len(body)))])
    with pair.connect(calls.HOST) as wire:
        wire.send(head)
        assert wire.recv_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(body)
        assert http1.read_response(wire).raw == answer
    assert order == [head]
    assert figures(pair.rows(1)) == [(5, 6)]


def test_early_answer_without_the_body(scripted):
    """A 401 before the upload: it is relayed at once and both sides close."""
    answer = calls.response_bytes(b'{"error":{"type":"invalid_request_error",'
                                  b'"code":"invalid_api_key","message":"no"}}',
                                  "401 Unauthorized", headers=[("Connection", "close")])

    def handler(wire):
        wire.recv_until(b"\r\n\r\n")
        wire.send(answer)
        wire.send_close_notify()
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, b"",
                                      [("Content-Length", "1000000")]) + b"x" * 5000)
        assert wire.recv_exact(len(answer)) == answer
    (row,) = pair.rows(1)
    assert (row["http_status"], row["status"], row["error_class"]) == (401, "error", "auth")


def test_interim_103(scripted):
    """103 Early Hints, twice, before the answer: passed on, not taken for it."""
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n" * 2
    answer = calls.response_bytes(calls.chat_answer(7, 9))
    pair, _ = scripted(answering(interim + answer))
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body()))
        assert wire.recv_exact(len(interim + answer)) == interim + answer
    (row,) = pair.rows(1)
    assert row["http_status"] == 200 and figures([row]) == [(7, 9)]


def test_answers_without_a_body(scripted):
    """HEAD, 204 and 304 carry no body whatever their Content-Length says; the next call is read."""
    bodyless = [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
                b"HTTP/1.1 204 No Content\r\n\r\n",
                b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n"]
    final = calls.response_bytes(calls.chat_answer(3, 4))
    pair, _ = scripted(answering(*bodyless, final))
    with pair.connect(calls.HOST) as wire:
        for method, answer in zip(("HEAD", "DELETE", "GET"), bodyless):
            wire.send(http1.request_bytes(method, "/v1/models", calls.HOST))
            assert wire.recv_exact(len(answer)) == answer
        assert calls.post(wire).raw == final
    assert figures(pair.rows(1)) == [(3, 4)]


def test_close_delimited_answer(scripted):
    """A body that ends with the connection, cleanly: whole, and complete."""
    body = calls.chat_answer(31, 32)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body

    def handler(wire):
        http1.read_request(wire)
        wire.send(answer)
        wire.half_close()
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body()))
        assert wire.recv_all() == answer
        assert wire.eof == "close_notify"
    (row,) = pair.rows(1)
    assert (row["tokens_complete"], *figures([row])[0]) == (1, 31, 32)


def test_http_1_0(scripted):
    """An HTTP/1.0 answer, close-delimited by its nature."""
    answer = b"HTTP/1.0 200 OK\r\n\r\n" + calls.chat_answer(1, 2)

    def handler(wire):
        http1.read_request(wire)
        wire.send(answer)
        wire.half_close()
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body()))
        assert wire.recv_all() == answer
    assert figures(pair.rows(1)) == [(1, 2)]


@pytest.mark.smoke
def test_trailers_both_ways(scripted):
    """Chunk extensions and trailers in both directions stay, and the next call is still read."""
    def framed(payload):
        return (b"%x;ext=1\r\n" % len(payload) + payload +
                b"\r\n0\r\nX-Checksum: abc\r\nX-Other:\r\n\r\n")

    request = (f"POST {calls.CHAT} HTTP/1.1\r\nHost: {calls.HOST}\r\nTrailer: X-Checksum\r\n"
               "Transfer-Encoding: chunked\r\n\r\n").encode() + framed(calls.chat_body())
    answer = (b"HTTP/1.1 200 OK\r\nTrailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n" +
              framed(calls.chat_answer(41, 42)))
    second = calls.response_bytes(calls.chat_answer(43, 44))
    pair, origin = scripted(answering(answer, second))
    with pair.connect(calls.HOST) as wire:
        wire.send(request)
        assert wire.recv_exact(len(answer)) == answer
        assert calls.post(wire).raw == second
    assert bytes(origin.sessions[0].received).startswith(request)
    assert sorted(figures(pair.rows(2))) == [(41, 42), (43, 44)]


@pytest.mark.smoke
def test_upgrade_to_websocket(scripted):
    """101 Switching Protocols: afterwards bytes pass both ways as they are, frames or not; a miss says
    that they were none."""
    key = base64.b64encode(os.urandom(16)).decode()
    accept = base64.b64encode(hashlib.sha1(
        (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    frames = b"\xff" + os.urandom(70_000)

    def handler(wire):
        http1.read_request(wire)
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        wire.send(wire.recv_exact(len(frames))[::-1])
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("GET", "/v1/responses", calls.HOST, b"", [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key)]))
        assert wire.recv_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        wire.send(frames)
        assert wire.recv_exact(len(frames)) == frames[::-1]
    pair.misses("observer_lost")


@pytest.mark.smoke
@pytest.mark.parametrize("host", [calls.HOST, "files.example.org"])
def test_half_close(scripted, authority, host):
    """A client that has said all still gets its answer, metered or raw."""
    answer = calls.response_bytes(calls.chat_answer(2, 3))
    everything = threading.Event()

    def handler(wire):
        wire.recv_all()  # to the client's end
        everything.set()
        wire.send(answer)
        wire.half_close()

    pair, origin = scripted(handler, hosts=[calls.HOST, "files.example.org"], start=False)
    pair.write_config({**everywhere(origin.address), "files.example.org:443": origin.address},
                      authority.cert)
    pair.start()
    trust = None if host == calls.HOST else authority.cert
    with pair.connect(host, trust=trust) as wire:
        wire.send(http1.request_bytes("POST", calls.CHAT, host, calls.chat_body()))
        wire.half_close()
        assert everything.wait(10), "the client's end did not reach the origin"
        assert wire.recv_all() == answer


def test_only_model_calls_are_rows(metered, provider):
    """Listing models and unknown paths are no calls; counting tokens is a free row."""
    with metered.connect("api.anthropic.com") as wire:
        host = "api.anthropic.com"
        wire.send(http1.request_bytes("GET", "/v1/models", host))
        assert http1.read_response(wire).status == 200
        assert calls.post(wire, "/v1/unknown", host=host).status == 404
        assert calls.post(wire, "/v1/messages/count_tokens", host=host).status == 200
        assert calls.post(wire, "/v1/messages", b'{"model":"claude-sonnet-4-5"}', host).status == 200
    rows = metered.rows(2)
    assert sorted(row["endpoint"] for row in rows) == ["messages", "messages.count_tokens"]
    free = next(row for row in rows if row["endpoint"] == "messages.count_tokens")
    assert (free["input_tokens"] or 0, free["output_tokens"] or 0) == (0, 0)


@pytest.mark.parametrize("host,status,error_class", [
    ("api.anthropic.com", 429, "rate_limit"), ("api.anthropic.com", 401, "auth"),
    ("api.anthropic.com", 529, "server_error"), ("api.openai.com", 429, "rate_limit"),
    ("api.openai.com", 401, "auth"), ("api.openai.com", 500, "server_error")])
def test_provider_errors(metered, host, status, error_class):
    """Errors are rows too: their status, the locked word, zero tokens, exact."""
    path = "/v1/messages" if "anthropic" in host else calls.CHAT
    with metered.connect(host) as wire:
        assert calls.post(wire, path, calls.chat_body(), host,
                          [("x-sim-status", str(status))]).status == status
    (row,) = metered.rows(1)
    assert (row["http_status"], row["status"], row["error_class"], row["tokens_complete"]) == \
        (status, "error", error_class, 1)
    assert (row["input_tokens"] or 0) == 0


def test_response_seen_before_the_request_is_whole(scripted):
    """Responses may come byte by byte: each is relayed, the row is right."""
    answer = calls.response_bytes(calls.chat_answer(61, 62))

    def handler(wire):
        http1.read_request(wire)
        for at in range(len(answer)):
            wire.send(answer[at:at + 1])
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        request = http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body())
        for at in range(len(request)):
            wire.send(request[at:at + 1])
        assert wire.recv_exact(len(answer)) == answer
    assert figures(pair.rows(1)) == [(61, 62)]
