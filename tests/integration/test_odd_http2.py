"""HTTP/2 as no library would write it, and WebSockets over it, through the real processes: the same
bytes at both ends, and every call recorded."""

import h2.events
import pytest

import calls
import h2_peer
import websocket
from h2_frames import WHOLE, block, data, headers, padded, request_fields
from h2_raw import (ACK, CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE,
                    PRIORITY, PUSH, RST, SETTINGS, WINDOW, WITH_PRIORITY, frame, number, settings)

ALPN = ("h2", "http/1.1")
RESPONSES = "/v1/responses"
HELLO = PREFACE + settings()
WELCOME = settings((8, 1))  # SETTINGS_ENABLE_CONNECT_PROTOCOL
BODY = calls.chat_body()


def play(scripted, script, alpn=ALPN):
    """A script of (who, bytes), in turn over one connection; each end gets exactly what the other
    said."""
    def handler(wire):
        for who, said in script:
            if who == "origin":
                wire.send(said)
            else:
                assert wire.recv_exact(len(said)) == said
        wire.recv_all()

    pair, origin = scripted(handler, alpn=alpn)
    with pair.connect(calls.HOST, alpn=alpn) as wire:
        assert wire.alpn == (alpn[0] if alpn else None)
        for who, said in script:
            if who == "client":
                wire.send(said)
            else:
                assert wire.recv_exact(len(said)) == said
    assert origin.sessions[0].done.wait(10) and origin.sessions[0].error is None
    return pair


def asking(stream, flags=END_HEADERS):
    return headers(stream, request_fields(calls.HOST, calls.CHAT), flags)


def ask(stream):
    return asking(stream) + data(stream, BODY, END_STREAM)


def answer(stream, *usage):
    return headers(stream, [(":status", "200"), ("content-type", "application/json")]) + \
        data(stream, calls.chat_answer(*usage), END_STREAM)


SIZES = {"up": len(BODY), "transport": "h2"}


@pytest.mark.smoke
def test_frames_in_all_their_forms(scripted):
    """Padding, priorities, CONTINUATION cut inside a field, unknown frames, settings and windows in
    between, interim answers, trailers, a pushed stream, two calls interleaved."""
    fields = block(request_fields(calls.HOST, calls.CHAT))
    strange = frame(0xfa, 0xff, 3, b"?" * 70_000) + frame(0x0a, 0, 0, b"alt-svc")
    first = frame(HEADERS, PADDED | WITH_PRIORITY, 1,
                  padded(number(0x80000000) + b"\x10" + fields[:11], 200)) + \
        frame(CONTINUATION, 0, 1) + frame(CONTINUATION, 0, 1, fields[11:30]) + \
        frame(CONTINUATION, END_HEADERS, 1, fields[30:])
    up = first + data(1, padded(BODY[:20], 255), PADDED) + strange + asking(3) + \
        frame(PRIORITY, 0, 5, number(1) + b"\xff") + data(3, BODY[:7]) + \
        frame(PING, 0, 0, b"12345678") + data(1, BODY[20:]) + data(1, b"", END_STREAM) + \
        data(3, BODY[7:], END_STREAM) + frame(WINDOW, 0, 0, number(70_000))
    one, two = calls.chat_answer(10, 1), calls.chat_answer(20, 2)
    push = frame(PUSH, END_HEADERS | PADDED, 1, padded(
        number(2) + block(request_fields(calls.HOST, "/pushed", "GET")), 9))
    down = frame(SETTINGS, ACK, 0) + settings((1, 0), (1, 65536), (0xff, 7)) + \
        headers(3, [(":status", "103"), ("link", "</x>")]) + push + \
        headers(2, [(":status", "200")]) + \
        headers(3, [(":status", "200"), ("content-type", "application/json")]) + \
        data(3, two[:9]) + headers(1, [(":status", "200")]) + data(2, b"pushed", END_STREAM) + \
        data(1, padded(one, 17), PADDED) + strange + data(3, two[9:]) + \
        frame(PING, ACK, 0, b"12345678") + \
        headers(1, [("x-checksum", "7")], WHOLE) + data(3, b"", END_STREAM)
    pair = play(scripted, [("client", HELLO), ("origin", WELCOME), ("client", up), ("origin", down)])
    calls.check_metered(pair, [(10, 1), (20, 2)], **SIZES)


def test_floods(scripted):
    """Twenty thousand PINGs, empty DATA, SETTINGS and WINDOW_UPDATEs from either side, around and
    inside of a call."""
    flood = (frame(PING, 0, 0, b"abcdefgh") + settings((4, 65535)) +
             frame(WINDOW, 0, 0, number(1)) +
             frame(PRIORITY, 0, 1, number(3) + b"\0")) * 20_000
    empty = data(1, b"") * 20_000
    body = calls.chat_answer(30, 3)
    pair = play(scripted, [
        ("client", HELLO + flood), ("origin", WELCOME + flood),
        ("client", asking(1) + empty + data(1, BODY, END_STREAM)), ("client", flood),
        ("origin", headers(1, [(":status", "200")]) + empty + flood + data(1, body) +
         data(1, b"", END_STREAM))])
    calls.check_metered(pair, [(30, 3)], **SIZES)
    assert pair.resident_kib(pair.interceptor) < 200 * 1024 * 6  # sanitizers included


@pytest.mark.parametrize("how", ["reset", "goaway", "goaway_then_end"])
def test_calls_that_the_origin_gives_up(scripted, how):
    """RST_STREAM in the middle of an answer, or a GOAWAY that leaves the call out: an error's row; its
    neighbour is whole."""
    half = headers(3, [(":status", "200"), ("content-type", "application/json")]) + \
        data(3, calls.chat_answer(20, 2)[:30])
    end = {"reset": half + frame(RST, 0, 3, number(2)),
           "goaway": frame(GOAWAY, 0, 0, number(1) + number(0) + b"bye"),
           "goaway_then_end": half + frame(GOAWAY, 0, 0, number(3) + number(0))}[how]
    pair = play(scripted, [("client", HELLO + ask(1) + ask(3)), ("origin", WELCOME + end),
                           ("origin", answer(1, 10, 1))])
    rows = pair.rows(2)
    whole, = [row for row in rows if row["output_tokens"] == 1]
    other, = [row for row in rows if row["output_tokens"] != 1]
    assert (whole["status"], whole["tokens_complete"]) == ("success", 1)
    assert other["tokens_complete"] == 0 and other["bytes_up"] == len(BODY)
    assert other["status"] == {"reset": "truncated", "goaway": "error",
                               "goaway_then_end": "cancelled"}[how]
    assert other["bytes_down"] == (0 if how == "goaway" else 30)
    assert pair.database.misses() == []


@pytest.mark.smoke
def test_head_beyond_the_limit(scripted):
    """Megabytes of header fields: the meter lets go of the connection, says so, and both calls go
    on."""
    huge = block([(f"x-{n}", "v" * 1000) for n in range(3000)])
    parts = [frame(HEADERS, 0, 3, block([(":status", "200")]))]
    parts += [frame(CONTINUATION, 0, 3, huge[at:at + 16_000])
               for at in range(0, len(huge), 16_000)]
    parts += [frame(CONTINUATION, END_HEADERS, 3), data(3, b"{}", END_STREAM)]
    pair = play(scripted, [("client", HELLO + ask(1)), ("origin", WELCOME + answer(1, 10, 1)),
                           ("client", ask(3)), ("origin", b"".join(parts)),
                           ("client", ask(5)), ("origin", answer(5, 20, 2))])
    calls.check_miss(pair, "observer_lost", down=len(huge), rows=2)
    first, lost = pair.rows(2)
    assert (first["tokens_complete"], first["output_tokens"]) == (1, 1)
    assert (lost["tokens_complete"], lost["incomplete_reason"]) == (0, "observer_lost")


def test_http2_without_alpn(scripted):
    """By prior knowledge: the client's preface tells, and its calls are metered."""
    script = [("client", HELLO + ask(1)), ("origin", WELCOME + answer(1, 10, 1)), ("client", ask(3)),
              ("origin", answer(3, 20, 2))]
    pair = play(scripted, script, alpn=None)
    calls.check_metered(pair, [(10, 1), (20, 2)], **SIZES)


# --- WebSockets over HTTP/2 --------------------------------------------------------------------

CONNECT_FIELDS = [*request_fields(calls.HOST, RESPONSES, "CONNECT", protocol="websocket"),
                  ("sec-websocket-version", "13"),
                  ("sec-websocket-extensions", "permessage-deflate")]
CONNECT = headers(1, CONNECT_FIELDS)


def socket_turn(socket, number):
    socket.send({"type": "response.completed", "response": {
        "id": f"resp_{number}", "model": "gpt-5.5",
        "usage": {"input_tokens": 10 * number, "output_tokens": number}}}, number)


@pytest.mark.parametrize("deflate", [False, pytest.param(True, marks=pytest.mark.smoke)])
def test_websocket_over_h2(scripted, deflate):
    """Extended CONNECT (RFC 8441): one row per turn, while an ordinary call goes on beside it."""
    agreed = [("sec-websocket-extensions", "permessage-deflate")] if deflate else []
    create = {"type": "response.create", "model": "gpt-5.5", "input": "count " * 50}

    def handler(wire):
        peer = h2_peer.Peer(wire, client=False, settings={8: 1})
        assert peer.next_event(h2.events.RequestReceived).stream_id == 1
        peer.send_headers(1, [(":status", "200"), *agreed])
        socket = websocket.WebSocket(h2_peer.StreamWire(peer, 1), client=False, deflate=deflate)
        for number in (1, 2):
            assert socket.recv()["type"] == "response.create"
            socket_turn(socket, number)
            if number == 1:
                peer.next_event(h2.events.RequestReceived, 3)
                peer.send_headers(3, [(":status", "200"), ("content-type", "application/json")])
                peer.send_data(3, calls.chat_answer(30, 3), end=True)
        wire.recv_all()

    pair, origin = scripted(handler, alpn=ALPN)
    with pair.connect(calls.HOST, alpn=ALPN) as wire:
        peer = h2_peer.Peer(wire, client=True)
        peer.send_headers(1, CONNECT_FIELDS)
        assert peer.next_event(h2.events.ResponseReceived, 1)
        socket = websocket.WebSocket(h2_peer.StreamWire(peer, 1), client=True, deflate=deflate)
        peer.send_headers(3, request_fields(calls.HOST, calls.CHAT))
        peer.send_data(3, BODY, end=True)
        for number in (1, 2):
            socket.send(create, number)
            assert socket.recv()["response"]["id"] == f"resp_{number}"
        assert peer.body(3) == calls.chat_answer(30, 3)
        assert len(pair.rows(3)) == 3  # while the socket is open
        socket.close()
    assert origin.sessions[0].done.wait(10) and origin.sessions[0].error is None
    rows = calls.check_metered(pair, [(10, 1), (20, 2), (30, 3)], transport=None)
    assert sorted((row["transport"], row["endpoint"], row["http_status"]) for row in rows) == [
        ("h2", "chat.completions", 200), ("ws", "responses", 200), ("ws", "responses", 200)]
    assert all(row["bytes_up"] > 20 and row["bytes_down"] > 20 for row in rows)


@pytest.mark.parametrize("status", ["403", "426", "501"])
def test_websocket_over_h2_refused(scripted, status):
    """The refusal passes at once, and the call behind it on the connection is metered."""
    refusal = headers(1, [(":status", status)]) + data(1, b"no", END_STREAM)
    pair = play(scripted, [("client", HELLO + CONNECT), ("origin", WELCOME + refusal),
                           ("client", ask(3)), ("origin", answer(3, 10, 1))])
    calls.check_metered(pair, [(10, 1)], **SIZES)


def test_open_turn_when_the_client_ends_the_stream(scripted):
    """END_STREAM of the client in the middle of a turn: nobody's error."""
    create = websocket.WebSocket(None, client=True)
    said = []
    create.wire = type("Kept", (), {"send": lambda self, payload: said.append(payload)})()
    create.send({"type": "response.create", "model": "gpt-5.5"})
    pair = play(scripted, [
        ("client", HELLO + CONNECT), ("origin", WELCOME + headers(1, [(":status", "200")])),
        ("client", data(1, said[0]) + data(1, b"", END_STREAM)),
        ("origin", data(1, b"", END_STREAM))])
    (row,) = pair.rows(1)
    assert (row["transport"], row["status"], row["tokens_complete"]) == ("ws", "cancelled", 0)
    assert row["error_class"] is None and pair.database.misses() == []
