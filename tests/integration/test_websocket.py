"""WebSockets through the pair: relayed as they are, one row per turn."""

import time

import pytest

import calls
import websocket

RESPONSES = "/v1/responses"
CREATE = {"type": "response.create", "model": "gpt-5.5",
          "input": [{"role": "user", "content": "z\u00e4hl die M\u00f6wen " * 400}]}


def turn(socket, number, fragments=1):
    """One answer: response.created, text, response.completed with its own usage."""
    response = {"id": f"resp_{number}", "model": "gpt-5.5"}
    socket.send({"type": "response.created", "response": response})
    socket.send({"type": "response.output_text.delta", "delta": "\u00e4" * 5000}, fragments)
    socket.send({"type": "response.completed", "response": response | {"usage": {
        "input_tokens": 100 * number, "input_tokens_details": {"cached_tokens": 10 * number},
        "output_tokens": number, "output_tokens_details": {"reasoning_tokens": 0}}}}, fragments)


def answer_all(socket, fragments=1):
    """Answers warm-ups with zeros and every other create with the next turn."""
    number = 0
    while (message := socket.recv()) is not None:
        if message.get("generate") is False:
            socket.send({"type": "response.completed", "response": {"id": "warm", "usage": {
                "input_tokens": 0, "output_tokens": 0}}})
            continue
        number += 1
        turn(socket, number, fragments)


def read_turn(socket):
    while (message := socket.recv()) is not None:
        if message["type"] == "response.completed":
            return message["response"]["id"]
    return None


@pytest.mark.smoke
@pytest.mark.parametrize("deflate,fragments", [(True, 1), (True, 3), (False, 2)])
def test_turns_are_metered(scripted, deflate, fragments):
    """A warm-up and three turns on one socket: three rows, each there when its turn has ended."""
    pair, origin = scripted(lambda wire: answer_all(websocket.accept(wire, deflate), fragments))
    with pair.connect(calls.HOST) as wire:
        socket = websocket.connect(wire, calls.HOST, RESPONSES, deflate)
        assert socket.deflate == deflate
        socket.send(CREATE | {"generate": False}, fragments)
        assert read_turn(socket) == "warm"
        for number in (1, 2, 3):
            socket.send(CREATE, fragments)
            assert read_turn(socket) == f"resp_{number}"
            assert len(pair.rows(number)) == number  # while the socket is open
        wire.close()
    assert origin.sessions[0].done.wait(10)
    pair.stop()
    rows = pair.database.requests()
    assert [(row["model"], row["endpoint"], row["transport"], row["status"], row["stream"],
             row["input_tokens"], row["cache_read_tokens"], row["output_tokens"],
             row["tokens_complete"], row["error_class"]) for row in rows] == \
        [("gpt-5.5", "responses", "ws", "success", 1, 90 * n, 10 * n, n, 1, None)
         for n in (1, 2, 3)]
    assert all(row["bytes_up"] > 50 and row["bytes_down"] > 100 and row["duration_us"] > 0
               for row in rows)
    assert pair.database.misses() == []


REFUSALS = {
    "426": b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nnope",
    "401": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nnope",
    "404": b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
    "429": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nnope",
    "503": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "302": b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "200": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope",
}


@pytest.mark.parametrize("status", [pytest.param("426", marks=pytest.mark.smoke),
                                    *(name for name in REFUSALS if name != "426")])
def test_refused_upgrade_passes_at_once(scripted, status):
    """The refusal reaches the client byte for byte, and the next request on the connection is
    metered."""
    refusal = REFUSALS[status]

    def handler(wire):
        websocket.http1.read_request(wire)
        wire.send(refusal)
        websocket.http1.read_request(wire)
        wire.send(calls.response_bytes(calls.chat_answer(8, 9)))
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        begun = time.monotonic()
        answer = websocket.ask(wire, calls.HOST, RESPONSES)
        assert answer.head + wire.recv_exact(len(refusal) - len(answer.head)) == refusal
        assert time.monotonic() - begun < 5
        assert calls.post(wire).status == 200
    rows = pair.rows(1)
    assert [row["output_tokens"] for row in rows] == [9]
    assert pair.database.misses() == []


@pytest.mark.parametrize("by_client,abrupt", [(True, False), (True, True), (False, False),
                                              (False, True)])
def test_open_turns_at_the_end(scripted, by_client, abrupt):
    """Nobody's error when the client leaves; `network` when the origin does."""
    def handler(wire):
        socket = websocket.accept(wire)
        socket.recv()
        socket.send({"type": "response.created", "response": {"id": "resp_x"}})
        if by_client:
            wire.recv_all()
        elif abrupt:
            wire.reset()
        else:
            socket.close(1001)
            wire.half_close()
            wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        socket = websocket.connect(wire, calls.HOST, RESPONSES)
        socket.send(CREATE)
        assert socket.recv()["type"] == "response.created"
        if not by_client:
            wire.recv_all()
        elif abrupt:
            wire.reset()
        else:
            wire.half_close()
    row, = pair.rows(1)
    assert row["tokens_complete"] == 0
    assert row["error_kind"] == (None if by_client else "network")
    assert row["status"] == ("cancelled" if by_client else "truncated")


def test_idle_socket_leaves_no_row(scripted):
    """A socket on which nobody asked for anything, closed in good order."""
    pair, origin = scripted(lambda wire: answer_all(websocket.accept(wire)))
    with pair.connect(calls.HOST) as wire:
        socket = websocket.connect(wire, calls.HOST, RESPONSES)
        socket.send_frame(websocket.PING, b"anyone?")
        time.sleep(0.3)
        socket.close()
    assert origin.sessions[0].done.wait(10)
    pair.stop()
    assert pair.database.requests() == []
    assert pair.database.misses() == []
