"""Streams: nothing is held back, nothing is cut for being quiet."""

import threading
import time
import zlib

import pytest

import calls
import http1
import provider_answers
import codings

HEAD = (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n%s"
        b"transfer-encoding: chunked\r\n\r\n")


# Every deadline there is, shortened tenfold: none of them may end a call that is merely quiet. So a
# pause of a few seconds stands for the ten minutes that a thinking model can take.
SHORT_LIMITS = """
[edge]
connect_timeout_ms = 1000
first_answer_limit_ms = 1000
head_timeout_ms = 1000
[intercept]
hello_timeout_ms = 1000
handshake_timeout_ms = 1000
"""


def chunk(data):
    return b"%x\r\n" % len(data) + data + b"\r\n"


@pytest.mark.smoke
@pytest.mark.parametrize("encoding", ["identity", "gzip", "br", "zstd"])
def test_first_event_comes_before_the_second_is_sent(scripted, encoding):
    """The origin sends event 2 only after the client holds event 1, compressed or not."""
    if encoding not in codings.ENCODERS:
        pytest.skip(f"no Python module for {encoding}")
    encoder = codings.ENCODERS[encoding]()
    events = provider_answers.openai_chat(7, {"stream": True, "model": "gpt-5-mini",
                                              "stream_options": {"include_usage": True}}).events
    pieces = [encoder.event(event) for event in events]
    pieces[-1] += encoder.end()
    client_has = threading.Semaphore(0)
    coding = b"" if encoding == "identity" else b"content-encoding: %s\r\n" % encoding.encode()

    def handler(wire):
        http1.read_request(wire)
        wire.send(HEAD % coding)
        for piece in pieces:
            wire.send(chunk(piece))
            assert client_has.acquire(timeout=10), "the client never got the event before this"
        wire.send(b"0\r\n\r\n")

    pair, origin = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body(True)))
        wire.recv_until(b"\r\n\r\n")
        for piece in pieces:
            assert wire.recv_exact(len(chunk(piece))) == chunk(piece)
            client_has.release()
        assert wire.recv_exact(5) == b"0\r\n\r\n"
    assert origin.sessions[0].done.wait(10)
    assert origin.sessions[0].error is None
    (row,) = pair.rows(1)
    assert (row["output_tokens"], row["tokens_complete"]) == \
        (provider_answers.Figures.of_call(7).output_tokens, 1)


def test_idle_stream_stays_open(scripted):
    """A stream that is silent for several times every configured deadline goes on afterwards."""
    events = provider_answers.anthropic_messages(3, {"stream": True,
                                                     "model": "claude-sonnet-4-5"}).events

    def handler(wire):
        http1.read_request(wire)
        wire.send(HEAD % b"" + chunk(events[0]))
        time.sleep(4.5)
        wire.send(b"".join(map(chunk, events[1:])) + b"0\r\n\r\n")

    pair, origin = scripted(handler, config=SHORT_LIMITS)
    with pair.connect("api.anthropic.com", timeout=40) as wire:
        wire.send(http1.request_bytes("POST", "/v1/messages", "api.anthropic.com",
                                      b'{"model":"claude-sonnet-4-5","stream":true}'))
        response = http1.read_response(wire, "POST")
    assert response.body == b"".join(events)
    (row,) = pair.rows(1)
    assert row["tokens_complete"] == 1
    assert row["duration_us"] > 4_000_000


def test_silence_before_the_first_byte(scripted):
    """A model that thinks for longer than every deadline before its first byte is not cut off."""
    answer = calls.response_bytes(calls.chat_answer())

    def handler(wire):
        http1.read_request(wire)
        time.sleep(3.5)
        wire.send(answer)

    pair, _ = scripted(handler, config=SHORT_LIMITS)
    with pair.connect(calls.HOST, timeout=40) as wire:
        assert calls.post(wire).status == 200
    (row,) = pair.rows(1)
    assert row["ttfb_us"] > 3_000_000


@pytest.mark.smoke
def test_cut_stream_reaches_the_client_at_once_and_is_recorded_as_cut(scripted):
    """An origin that dies in the middle: the client sees the same, the row says truncated."""
    events = provider_answers.openai_responses(5, {"stream": True, "model": "gpt-5"}).events

    def handler(wire):
        http1.read_request(wire)
        wire.send(HEAD % b"" + chunk(events[0]) + chunk(events[1]))
        wire.fin()  # no last chunk, no close_notify

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("POST", "/v1/responses", calls.HOST,
                                      b'{"model":"gpt-5","stream":true}'))
        wire.recv_until(b"\r\n\r\n")
        begun = time.monotonic()
        got = wire.recv_all()
        assert got == chunk(events[0]) + chunk(events[1])
        assert wire.eof == "fin", "a missing close_notify must stay missing"
        assert time.monotonic() - begun < 5
    (row,) = pair.rows(1)
    assert (row["status"], row["tokens_complete"]) == ("truncated", 0)


@pytest.mark.smoke
def test_client_abort_reaches_the_origin_at_once(scripted):
    """A client that hangs up in the middle of a stream: the origin learns it, the row is kept."""
    gone = threading.Event()

    def handler(wire):
        http1.read_request(wire)
        wire.send(HEAD % b"" + chunk(b"data: {}\n\n"))
        wire.recv_all()
        gone.set()

    pair, _ = scripted(handler)
    wire = pair.connect(calls.HOST)
    wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body(True)))
    wire.recv_until(b"data: {}\n\n")
    wire.close()
    assert gone.wait(5), "the origin did not hear of it"
    (row,) = pair.rows(1)
    assert (row["status"], row["tokens_complete"]) == ("cancelled", 0)


def test_raw_deflate_of_careless_servers(scripted):
    """`deflate` without its zlib wrapper is read all the same."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = packer.compress(calls.chat_answer(21, 34)) + packer.flush()

    def handler(wire):
        http1.read_request(wire)
        wire.send(calls.response_bytes(body, headers=[("Content-Encoding", "deflate")]))
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).body == body
    (row,) = pair.rows(1)
    assert (row["input_tokens"], row["output_tokens"]) == (21, 34)
